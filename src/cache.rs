//! The image cache: coverage masks of every sample, drawn once and read many times.
//!
//! [`CachedImageDataset`] is what the rest of the crate, and downstream code, reads pictures
//! from. [`InMemoryImages`] draws all pictures beforehand and keeps them coded (a few KB each),
//! [`OnDiskImages`] does so in a file that later runs find again, [`UncachedImages`] draws on every
//! read, [`ImageSubset`] is some samples of another one. They differ in cost only:
//! [`check_contract`] holds them, and implementations elsewhere, to that.

use std::error::Error;
use std::path::PathBuf;

use crate::cache::store::{StoreError, list_numbers};
use crate::data::{SampleError, SampleSource};
use crate::files::IoError;
use crate::raster::RasterError;

mod available;
mod build;
pub mod codec;
mod contract;
pub mod disk;
pub mod features;
mod key;
mod memory;
pub mod store;
mod subset;
mod uncached;

pub use available::available_memory;
pub use build::BuildCost;
pub use contract::{ContractViolation, check_contract};
pub use disk::OnDiskImages;
pub use key::ImageKey;
pub use memory::InMemoryImages;
pub use subset::ImageSubset;
pub use uncached::UncachedImages;

pub use crate::cache::store::{BuildOptions, BuildPhase, BuildProgress, BuiltShard, Shard};

use codec::CodecError;
use disk::StoreDefect;

/// Labeled series, a [`SampleSource`], with the pictures of their variates.
///
/// Object safe; reads take `&self` and may come from several threads at once. Whatever the
/// implementation, the masks of an index are those of drawing the very series that
/// [`sample`](SampleSource::sample) returns for it, in any order of reading. [`check_contract`]
/// tests an implementation.
pub trait CachedImageDataset: SampleSource {
    /// Width and height of a picture in pixels.
    fn side_px(&self) -> usize;

    /// Writes the coverage masks of the sample at `index`; what `masks` held before is gone.
    ///
    /// # Shapes
    ///
    /// - `masks`: `[n_variates, side_px, side_px]`, rows from the top, 0 is paper, 255 is ink
    ///
    /// # Errors
    ///
    /// [`CacheError::IndexOutOfRange`], [`CacheError::BufferLength`] if `masks` has another
    /// length; whatever an implementation meets while it reads. `masks` holds no picture then.
    fn masks_into(&self, index: usize, masks: &mut [u8]) -> Result<(), CacheError>;

    /// Identity of the pictures: equal keys, equal pictures.
    fn key(&self) -> ImageKey;

    /// What the cache holds and has done so far.
    fn stats(&self) -> CacheStats;
}

/// What an image cache holds, and what it cost and saved until now.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct CacheStats {
    /// What it is: `memory`, `disk`, `none`, or the name of another implementation.
    pub kind: &'static str,
    /// Pictures it stands for: samples times variates.
    pub images: usize,
    /// Bytes it takes where it keeps them, memory or disk; 0 if it keeps none.
    pub bytes: u64,
    /// Wall seconds until the pictures could be read: to draw and code them, or to open and
    /// verify those of an earlier run.
    pub build_seconds: f64,
    /// Pictures read without drawing them.
    pub hits: u64,
    /// Pictures drawn, before or during reading.
    pub drawn: u64,
}

/// Why pictures cannot be cached or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// A sample that is not there was asked for.
    #[error("sample index {index} was asked for, expected one below the {n_samples} samples")]
    IndexOutOfRange {
        /// The index.
        index: usize,
        /// Number of samples.
        n_samples: usize,
    },
    /// A sample is to be taken twice into a subset.
    #[error("sample index {index} is given twice, expected every index once")]
    DuplicateIndex {
        /// The index.
        index: usize,
    },
    /// The buffer for the masks of one sample has the wrong length.
    #[error("the buffer for the masks holds {found} bytes, expected {expected}")]
    BufferLength {
        /// Bytes of the buffer.
        found: usize,
        /// Bytes of the masks: variates times the side squared.
        expected: usize,
    },
    /// The style cannot be drawn.
    #[error("the pictures cannot be drawn")]
    Raster {
        /// What is wrong with the style.
        #[source]
        source: RasterError,
    },
    /// The pictures take more room than the caller allows.
    #[error("the pictures take about {needed} bytes, more than the budget of {budget} bytes")]
    OverBudget {
        /// Bytes that all pictures take, estimated.
        needed: u64,
        /// Bytes that are allowed.
        budget: u64,
    },
    /// The progress callback stopped the building.
    #[error("building the pictures was cancelled after {done} of {total}")]
    Cancelled {
        /// Pictures drawn until then.
        done: usize,
        /// Pictures in all.
        total: usize,
    },
    /// A coded picture is damaged.
    #[error("a coded picture of sample {id} is damaged")]
    Codec {
        /// Id of the sample.
        id: u64,
        /// What is wrong with the code.
        #[source]
        source: CodecError,
    },
    /// The system refused a file operation.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A file is not the store that is wanted.
    #[error("the image store {} cannot be used", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: StoreDefect,
    },
    /// Another process is building the store.
    #[error("the image store {} is being built by another process", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Not every sample is in a shard of the store.
    #[error(
        "the image store {} cannot be joined: {} of its {count} shards are missing or not complete: {}",
        path.display(),
        missing.len(),
        list_numbers(missing)
    )]
    MissingShards {
        /// The file of the store.
        path: PathBuf,
        /// Numbers of the shards that are not there, from 1.
        missing: Vec<u32>,
        /// How many shards the store is divided into.
        count: u32,
    },
    /// An implementation outside this crate failed.
    #[error("the image data set failed")]
    Custom {
        /// Its own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl CacheError {
    /// Refuses an index that no sample has.
    ///
    /// # Errors
    ///
    /// [`CacheError::IndexOutOfRange`] unless `index` is below `n_samples`.
    pub fn check_index(index: usize, n_samples: usize) -> Result<(), Self> {
        if index < n_samples {
            Ok(())
        } else {
            Err(Self::IndexOutOfRange { index, n_samples })
        }
    }

    /// Refuses a buffer that does not hold exactly `n_variates` masks.
    ///
    /// # Errors
    ///
    /// [`CacheError::BufferLength`] unless `masks` has `n_variates * side_px * side_px` bytes.
    pub fn check_masks(masks: &[u8], n_variates: usize, side_px: usize) -> Result<(), Self> {
        let (found, expected) = (masks.len(), n_variates * side_px * side_px);
        if found == expected {
            Ok(())
        } else {
            Err(Self::BufferLength { found, expected })
        }
    }
}

impl From<SampleError> for CacheError {
    fn from(error: SampleError) -> Self {
        match error {
            SampleError::IndexOutOfRange { index, n_samples } => {
                Self::IndexOutOfRange { index, n_samples }
            }
            SampleError::Custom { source } => Self::Custom { source },
        }
    }
}

impl From<StoreError> for CacheError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io(error) => Self::Io(error),
            StoreError::Defect { path, source } => Self::Store { path, source },
            StoreError::Busy { path } => Self::Busy { path },
            StoreError::MissingShards {
                path,
                missing,
                count,
            } => Self::MissingShards {
                path,
                missing,
                count,
            },
            StoreError::OverBudget { needed, budget } => Self::OverBudget { needed, budget },
            StoreError::Cancelled { done, total } => Self::Cancelled { done, total },
        }
    }
}
