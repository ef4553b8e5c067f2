//! Why a model cannot be fitted, saved, loaded or used.

use std::path::PathBuf;

use thiserror::Error;

use crate::backend::BackendError;
use crate::batch::{BatchError, DeviceCacheError};
use crate::cache::CacheError;
use crate::cache::features::FeatureError;
use crate::closed_form::ClosedFormError;
use crate::data::SeriesError;
use crate::data::augment::AugmentError;
use crate::data::normalize::NormalizeError;
use crate::data::split::SplitError;
use crate::files::IoError;
use crate::kernels::KernelError;
use crate::model::ConfigError;
use crate::raster::RasterError;
use crate::weights::WeightsError;
use crate::weights::hub::HubError;

/// A model cannot be fitted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FitError {
    /// Options contradict each other or the data.
    #[error("invalid options: {problem}")]
    Options {
        /// Which, with their values.
        problem: String,
    },
    /// This build has no trainer.
    #[error("this build cannot train networks: cargo feature `train` is off")]
    NoTrainer,
    /// The fit was cancelled before anything was fitted.
    #[error("cancelled before there was a model")]
    Cancelled,
    /// The series cannot be fitted to.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// The samples cannot be split.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// The values cannot be normalized.
    #[error(transparent)]
    Normalize(#[from] NormalizeError),
    /// Series cannot be augmented like this.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// The kernels cannot be fitted.
    #[error(transparent)]
    Kernels(#[from] KernelError),
    /// The closed-form head cannot be fitted.
    #[error(transparent)]
    ClosedForm(#[from] ClosedFormError),
    /// The network cannot be built, or cannot take these series.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Pretrained weights cannot be used.
    #[error("{option} cannot be used")]
    Weights {
        /// The option that names them.
        option: &'static str,
        /// What is wrong with them.
        source: WeightsError,
    },
    /// The model that networks are to start from cannot be read.
    #[error("the model to start from cannot be used")]
    StartingModel {
        /// What is wrong with it.
        source: ModelFileError,
    },
    /// Pretrained weights cannot be found.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// Pictures cannot be cached.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Embeddings cannot be cached.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// A set does not fit on the device.
    #[error(transparent)]
    DeviceCache(#[from] DeviceCacheError),
    /// A batch cannot be gathered.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The device cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The network cannot be trained.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Train(#[from] crate::train::TrainError),
    /// Checkpoints cannot be kept.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Checkpoint(#[from] crate::train::CheckpointError),
    /// A fitted part cannot predict.
    #[error(transparent)]
    Predict(#[from] PredictError),
}

/// A model cannot predict.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PredictError {
    /// A series is not of the kind that the model was fitted to.
    #[error("series {index} has {found} variates, the model was fitted to {expected}")]
    Variates {
        /// Position of the series among those given.
        index: usize,
        /// Its variates.
        found: usize,
        /// Variates of the training series.
        expected: usize,
    },
    /// A series is too short or too long for the network.
    #[error(transparent)]
    Steps(#[from] ConfigError),
    /// The model has no encoder, so that there is no embedding.
    #[error("a model of type {modalities} without encoders embeds nothing")]
    NoEmbedding {
        /// What the model has.
        modalities: crate::Modalities,
    },
    /// Series cannot be cut, or put in a set.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// The kernels cannot take a series.
    #[error(transparent)]
    Kernels(#[from] KernelError),
    /// A batch cannot be gathered.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Series cannot be drawn.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Series cannot be drawn in the style of the encoders.
    #[error(transparent)]
    Raster(#[from] RasterError),
    /// The device cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
}

/// A model file cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelFileError {
    /// The system refused a file operation.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The file is not a model of this crate.
    #[error("{} is not a timesclip model: {found}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// The file was a model, and some of its bytes have changed or are gone.
    #[error("the model {} is damaged: {problem}; restore it from a copy or fit it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What shows it.
        problem: String,
    },
    /// The file was written by a later release.
    #[error(
        "the model {} has format {found}, and this release reads up to {supported}: it was written \
         by timesclip {version}, use that or a later release",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The latest that this release reads.
        supported: u32,
        /// The release that wrote it.
        version: String,
    },
    /// The file was written before its features meant what they mean today.
    #[error(
        "the model {} has format {found}, and this release reads {supported} alone: train it again",
        path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The one that this release reads.
        supported: u32,
    },
    /// A directory that a run of an early release left.
    #[error(
        "{} is a run of an early release, which kept its model in several files: train it again with \
         `timesclip train`", path.display()
    )]
    OldRun {
        /// The directory.
        path: PathBuf,
    },
    /// The file describes a model that this release cannot make.
    #[error("the model {} cannot be used: {problem}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Which parts of it contradict each other.
        problem: String,
    },
    /// A pretrained encoder that the model names, and does not hold, cannot be used.
    #[error("the encoder of the model {} cannot be used: {problem}", path.display())]
    Encoder {
        /// The file.
        path: PathBuf,
        /// Which encoder is expected, and what was found.
        problem: String,
    },
    /// The weights in the file are not those of the model it describes.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The device cannot be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
}
