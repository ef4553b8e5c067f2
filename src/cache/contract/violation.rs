//! How an image data set can break its promises.

use crate::cache::{CacheError, ImageKey};

/// Where an implementation departs from what [`CachedImageDataset`](super::super::CachedImageDataset) promises.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContractViolation {
    /// The data set cannot be held against the style: this breaks no promise of it.
    #[error("the style does not draw this data set")]
    Style {
        /// Why.
        #[source]
        source: CacheError,
    },
    /// Pictures have another side than the style says.
    #[error("pictures have a side of {found} px, expected {expected} of the style")]
    Side {
        /// The side that the data set tells.
        found: usize,
        /// The side of the style.
        expected: usize,
    },
    /// A sample cannot be read.
    #[error("the sample at index {index} cannot be read")]
    Failed {
        /// Index of the sample.
        index: usize,
        /// What the data set says.
        #[source]
        source: CacheError,
    },
    /// A sample has another number of variates than the data set says.
    #[error("the sample at index {index} has {found} variates, expected {expected}")]
    VariateCount {
        /// Index of the sample.
        index: usize,
        /// Variates of its series.
        found: usize,
        /// Variates that the data set tells.
        expected: usize,
    },
    /// Two samples have the same id.
    #[error("the sample at index {index} has the id {id}, which one before it has too")]
    DuplicateId {
        /// Index of the later sample.
        index: usize,
        /// The id.
        id: u64,
    },
    /// Another sample was returned than the first time.
    #[error("`sample({index})` returns another sample than before, read {order}")]
    SampleChanged {
        /// Index of the sample.
        index: usize,
        /// How it was read.
        order: &'static str,
    },
    /// The masks are not those of the sample.
    #[error("the masks at index {index} are not those of its sample {id}, read {order}")]
    Masks {
        /// Index of the sample.
        index: usize,
        /// Id of the sample.
        id: u64,
        /// How it was read.
        order: &'static str,
    },
    /// What must be refused is not, or not as it must be.
    #[error("`{call}` must fail with `{expected}`, found {found}")]
    NotRefused {
        /// The call.
        call: String,
        /// The message of the error that is expected.
        expected: String,
        /// What came of the call.
        found: String,
    },
    /// The key is not that of the samples and the style.
    #[error("the key is {found}, expected {expected} of the samples and the style")]
    Key {
        /// Key that the data set tells.
        found: ImageKey,
        /// Key of its samples in the style.
        expected: ImageKey,
    },
    /// A statistic cannot be right.
    #[error("the statistic `{field}` is {found}, expected {expected}")]
    Stats {
        /// Name of the statistic.
        field: &'static str,
        /// Its value.
        found: String,
        /// The values that can be right.
        expected: String,
    },
}
