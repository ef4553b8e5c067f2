//! Where pictures and embeddings are kept, and on what is computed.

use std::path::PathBuf;

use super::Switch;
use crate::backend::BackendChoice;
use crate::cache::features::FeatureDtype;

/// Where pictures and embeddings are kept, and on what is computed.
#[derive(Clone, Debug, PartialEq)]
pub struct ComputeOptions {
    /// The backend.
    pub backend: BackendChoice,
    /// Number of the device within its kind. Default: the first, or with `auto` any GPU.
    pub device: Option<usize>,
    /// Devices that every batch is spread over.
    pub n_devices: usize,
    /// Where pictures are kept.
    pub pictures: PictureCache,
    /// Whether outputs of a frozen vision encoder are cached, so that epochs skip it.
    pub feature_cache: Switch,
    /// How they are kept.
    pub feature_dtype: FeatureDtype,
    /// Keep all pictures, or their features, on the device, in at most so many bytes; the training samples
    /// are then varied by cached views alone.
    pub device_cache: Option<u64>,
    /// A folder for checkpoints, from which an interrupted fit is resumed. Default: none are kept.
    pub checkpoints: Option<PathBuf>,
    /// A complete model of the same options and data, whose networks are trained on. Default: none.
    pub extends: Option<Extension>,
}

/// A complete model whose networks are trained on, for a part of the options' training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// The model file.
    pub model: PathBuf,
    /// How much of the training is left.
    pub left: TrainingLeft,
}

/// How much of a training is left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainingLeft {
    /// So many passes over the training samples.
    Epochs(usize),
    /// So many optimizer steps.
    Steps(usize),
}

impl Default for ComputeOptions {
    fn default() -> Self {
        Self {
            backend: BackendChoice::Auto,
            device: None,
            n_devices: 1,
            pictures: PictureCache::Memory,
            feature_cache: Switch::Auto,
            feature_dtype: FeatureDtype::F32,
            device_cache: None,
            checkpoints: None,
            extends: None,
        }
    }
}

/// Where pictures are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureCache {
    /// In memory.
    Memory,
    /// In files of this folder, drawn by the first fit that needs them.
    Disk(PathBuf),
    /// Nowhere: drawn whenever they are needed.
    None,
}
