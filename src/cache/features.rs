//! The feature store: what a frozen vision encoder says of every picture, computed once.
//!
//! A picture that never changes, seen by an encoder that never changes, gives the same few hundred
//! numbers every time. [`FeatureStore`] keeps them, in memory or in a file that later runs find
//! again, under a [`FeatureKey`] that stands for all that decides them. The encoder itself is the
//! caller's: a closure that fills in the features of some samples.

use std::error::Error;

use crate::cache::store::StoreError;
use crate::data::SampleError;

mod dtype;
mod feature_store;
mod header;
mod key;

pub use dtype::FeatureDtype;
pub use feature_store::FeatureStore;
pub use header::FeatureHeader;
pub use key::{EncoderIdentity, FeatureKey, FeatureSet};

/// What a feature store holds, and what it cost and saved until now.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct FeatureStats {
    /// Where the features are: `memory` or `disk`.
    pub kind: &'static str,
    /// Features it holds, one for each picture: samples times variates.
    pub features: usize,
    /// Bytes it takes, in memory or on disk.
    pub bytes: u64,
    /// Wall seconds until the features could be read: to compute them, or to open and verify
    /// those of an earlier run.
    pub build_seconds: f64,
    /// Features read.
    pub hits: u64,
    /// Features computed to build it; none if an earlier run did.
    pub computed: u64,
}

/// Why features cannot be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeatureError {
    /// The store cannot be built or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A name that is no [`FeatureDtype`].
    #[error("`{name}` is no form of features, expected f32, f16 or bf16")]
    UnknownDtype {
        /// The name.
        name: String,
    },
    /// The samples whose pictures are encoded cannot be read.
    #[error("the samples of the features cannot be read")]
    Samples {
        /// What their data set says.
        #[source]
        source: SampleError,
    },
    /// A sample that is not there was asked for.
    #[error("sample index {index} was asked for, expected one below the {n_samples} samples")]
    IndexOutOfRange {
        /// The index.
        index: usize,
        /// Number of samples.
        n_samples: usize,
    },
    /// The buffer for the features of one sample has the wrong length.
    #[error("the buffer for the features holds {found} numbers, expected {expected}")]
    BufferLength {
        /// Numbers of the buffer.
        found: usize,
        /// Numbers of the features: variates times the width.
        expected: usize,
    },
    /// A number of a feature is no finite number where it is kept.
    #[error("a feature of variate {variate} of sample {id} is {value}, not finite as {dtype}")]
    NotFinite {
        /// Id of the sample.
        id: u64,
        /// The variate.
        variate: usize,
        /// The encoder's output; NaN if there is none.
        value: f32,
        /// How it was to be kept.
        dtype: FeatureDtype,
    },
    /// The caller's encoder failed.
    #[error("the encoder failed on the samples from index {start} up to {end}")]
    Encoder {
        /// Index of the first sample it was given.
        start: usize,
        /// Index behind the last one.
        end: usize,
        /// Its own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}
