//! Why a batch cannot be gathered, or its rows not be kept on a device.

use thiserror::Error;

use crate::cache::CacheError;
use crate::cache::features::FeatureError;
use crate::data::SampleError;

/// A batch cannot be gathered.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The series of a sample cannot be read.
    #[error("the series of sample {index} cannot be read")]
    Sample {
        /// Position of the sample in its set.
        index: usize,
        /// What the set says.
        source: SampleError,
    },
    /// Batches are to carry pictures, but come from series alone.
    #[error("batches are to carry pictures, but only the series are there")]
    NoPictures,
    /// The pictures of a sample cannot be read.
    #[error("the pictures of sample {index} cannot be read")]
    Pictures {
        /// Position of the sample in its set.
        index: usize,
        /// What the set says.
        source: CacheError,
    },
    /// The features of a sample cannot be read.
    #[error("the features of sample {index} cannot be read")]
    Features {
        /// Position of the sample in its set.
        index: usize,
        /// What the store says.
        source: FeatureError,
    },
    /// A feature store was made of other pictures, or of the same in other colors.
    #[error("the feature store was made of other {what}: it has {found}, the pictures {expected}")]
    ForeignFeatures {
        /// What differs.
        what: &'static str,
        /// What the store has.
        found: String,
        /// What the pictures have.
        expected: String,
    },
    /// A device cache was built from another source.
    #[error("the device cache was built from other {what}: it has {found}, the source {expected}")]
    ForeignDeviceCache {
        /// What differs.
        what: &'static str,
        /// What the device cache has.
        found: String,
        /// What the source has.
        expected: String,
    },
    /// A device cache was built for another backend.
    #[error("the device cache has nothing for the backend {backend}: it was built for {found}")]
    OtherBackend {
        /// The backend that is asked for.
        backend: &'static str,
        /// The backends that it was built for.
        found: String,
    },
}

/// The pictures or features of a source cannot be kept on a device.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeviceCacheError {
    /// They take more room than the caller allows.
    #[error("they take {needed} bytes of each device, more than the budget of {budget} bytes")]
    OverBudget {
        /// Bytes that they take, exactly.
        needed: u64,
        /// Bytes that are allowed.
        budget: u64,
    },
    /// The batches of the source carry no pictures.
    #[error("batches of values alone have nothing to keep on a device")]
    NoPictures,
    /// They cannot be read.
    #[error("what is to be kept on a device cannot be read")]
    Batch {
        /// What failed.
        #[from]
        source: BatchError,
    },
}
