//! Why training cannot start or go on.

use thiserror::Error;

use super::CheckpointError;
use crate::batch::BatchError;

/// Training cannot start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A number of the configuration cannot be.
    #[error("invalid training configuration: {problem}")]
    Config {
        /// Which, with its value.
        problem: String,
    },
    /// There are no training samples.
    #[error("there are no training samples")]
    NoSamples,
    /// Samples, views, features and model do not belong together.
    #[error("the data do not fit: {problem}")]
    Data {
        /// What does not, with what it has and what it should have.
        problem: String,
    },
    /// A batch cannot be gathered.
    #[error("a batch cannot be gathered")]
    Batch {
        /// What failed.
        #[from]
        source: BatchError,
    },
    /// The loss stopped being a number.
    #[error("the loss became {loss} in step {step} of epoch {epoch}")]
    NonFiniteLoss {
        /// Counted from 1.
        epoch: usize,
        /// Counted from 1.
        step: usize,
        /// Infinite or not a number.
        loss: f64,
    },
    /// The loss of the validation samples is not a number.
    #[error("the validation loss became {loss} in epoch {epoch}")]
    NonFiniteValidation {
        /// Counted from 1.
        epoch: usize,
        /// Infinite or not a number.
        loss: f64,
    },
    /// A checkpoint cannot be written or read.
    #[error("a checkpoint failed")]
    Checkpoint {
        /// What failed.
        #[from]
        source: CheckpointError,
    },
}
