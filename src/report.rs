//! What a run leaves behind: its configuration, its report, its confusion matrix as a picture.

mod confusion;
mod difference;
mod files;
mod lock;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use confusion::draw_confusion;
pub use files::{Augmentation, DataSource, RunConfig, RunDirectory};

use crate::cache::CacheStats;
use crate::cache::features::FeatureStats;
use crate::metrics::ClassificationMetrics;
use crate::model::{ModelMode, ParameterCount};
use crate::train::EpochRecord;

/// `report.json` of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Sizes of the data.
    pub dataset: DatasetReport,
    /// Sizes of the model.
    pub model: ModelReport,
    /// The image cache; `None` for a model that sees no pictures.
    pub cache: Option<CacheStats>,
    /// The feature store; `None` if the vision encoder was run in every epoch, or there is none.
    pub features: Option<FeatureStats>,
    /// Wall time.
    pub timing: TimingReport,
    /// All epochs.
    pub history: Vec<EpochRecord>,
    /// The best epoch, counted from 1, whose weights met the test set.
    pub best_epoch: Option<usize>,
    /// Scores on the test set.
    pub test: ClassificationMetrics,
}

/// Sizes of the data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DatasetReport {
    /// Name of the set.
    pub name: String,
    /// Training samples.
    pub n_train: usize,
    /// Validation samples.
    pub n_valid: usize,
    /// Test samples.
    pub n_test: usize,
    /// Variates of a series.
    pub n_variates: usize,
    /// Classes.
    pub n_classes: usize,
}

/// Sizes of the model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelReport {
    /// Its views.
    pub mode: ModelMode,
    /// All weights.
    pub parameters: usize,
    /// Those that training changes.
    pub trainable: usize,
    /// Those that are held as they are.
    pub frozen: usize,
}

impl ModelReport {
    /// Sizes of a model of some mode.
    pub fn new(mode: ModelMode, count: ParameterCount) -> Self {
        Self {
            mode,
            parameters: count.total,
            trainable: count.trainable,
            frozen: count.frozen,
        }
    }
}

/// Wall time of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TimingReport {
    /// Seconds of each epoch, validation included.
    pub epoch_seconds: Vec<f64>,
    /// Seconds from reading the data to the test score.
    pub total_seconds: f64,
}

/// A file of a run cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The directory already holds a run.
    #[error("{path} already holds a run; name another directory, or go on with that run", path = path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// A file operation failed.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("cannot use {path}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A picture cannot be coded.
    #[error("cannot code the picture {path}", path = path.display())]
    Png {
        /// The file.
        path: PathBuf,
        /// What the coder says.
        source: png::EncodingError,
    },
    /// A checkpoint folder cannot be used.
    #[error("the checkpoints of {path} cannot be used", path = path.display())]
    Checkpoint {
        /// The run's directory.
        path: PathBuf,
        /// What failed.
        source: crate::train::CheckpointError,
    },
    /// The run was made with another configuration.
    #[error(
        "{path} was made with {field} {kept}, not {given}; a run can only go on as it began",
        path = path.display()
    )]
    OtherConfig {
        /// The configuration file.
        path: PathBuf,
        /// First field that differs.
        field: String,
        /// What the run was made with, shortened if it is long.
        kept: String,
        /// What it was to go on with.
        given: String,
    },
    /// The run learnt from other data.
    #[error(
        "{path} was made with other training data; a run can only go on with those it began with",
        path = path.display()
    )]
    OtherData {
        /// The configuration file.
        path: PathBuf,
    },
    /// Another process writes into the directory.
    #[error("another process is training in {path}", path = path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}
