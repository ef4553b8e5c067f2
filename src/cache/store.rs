//! The container of all stores: one record of bytes for each sample, in one checked file.
//!
//! What a file holds is told by its [`StoreKind`]: pictures
//! ([`cache::disk::StoreHeader`](crate::cache::disk::StoreHeader)) or the outputs of an encoder
//! ([`features::FeatureHeader`](crate::cache::features::FeatureHeader)).
//! All that keeps a file safe is here, once for every kind: keys, checksums, building that is
//! killed and resumed, one builder among several processes, publishing all or nothing,
//! verified reading, building in shards and joining, finding and removing. `docs/store-format.md` draws the file byte by byte.

use std::error::Error;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

mod build;
mod defect;
mod file;
mod format;
mod lock;
mod options;
mod partial;
mod pieces;
mod pool;
mod prune;
mod shard;

pub use defect::{Section, StoreDefect};
pub use file::StoreFile;
pub use options::{BuildOptions, BuildPhase, BuildProgress};
pub use pieces::join;
pub use prune::{FoundStore, find_stores};
pub use shard::{BuiltShard, Shard, ShardError};

use crate::files::IoError;

pub(crate) use build::{Builder, build, build_shard, find_shard, open_if_whole};
pub(crate) use format::{file_len, u32_at, u32_bytes, u64_at, u128_at};
pub(crate) use pool::Pool;
pub(crate) use shard::{ShardHeader, list_numbers};

/// What one kind of store writes in front of its records, and what it asks of them.
pub trait StoreKind: Clone + fmt::Debug + PartialEq + Send + Sync {
    /// What fails in the room of this kind.
    type Error: Error + Send + Sync + From<StoreError> + 'static;

    /// First bytes of a file. A byte above 127, both line endings and an end-of-file mark show a
    /// transfer that took the file for text.
    const MAGIC: [u8; 8];
    /// Last bytes of a file that is complete.
    const END_MAGIC: [u8; 8];
    /// The only version that is written and read.
    const VERSION: u32;
    /// Ending of the name of a file.
    const EXTENSION: &'static str;
    /// What a build does, for those who watch it.
    const PHASE: BuildPhase;
    /// Bytes of [`fields`](Self::fields).
    const FIELDS_LEN: usize;

    /// The key in the name of a file: 32 hexadecimal digits.
    fn key_digits(&self) -> String;

    /// Number of samples, and so of records.
    fn n_samples(&self) -> usize;

    /// Number of variates of every sample: what progress counts.
    fn n_variates(&self) -> usize;

    /// How long the body of a record can be, in bytes; nothing if no such store can be.
    fn body_lens(&self) -> Option<RangeInclusive<u64>>;

    /// The numbers of the header, [`FIELDS_LEN`](Self::FIELDS_LEN) bytes.
    fn fields(&self) -> Vec<u8>;

    /// The rest of the header, for people.
    fn text(&self) -> &str;

    /// What these fields and this text say; nothing if they cannot be.
    fn from_parts(fields: &[u8], text: String) -> Option<Self>;

    /// Says in which way `found` is not this store.
    ///
    /// # Errors
    ///
    /// The [`StoreDefect`] that names the difference.
    fn check(&self, found: &Self) -> Result<(), StoreDefect>;
}

/// Why a store cannot be built or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The system refused a file operation.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A file is not the store that is wanted.
    #[error("the store {} cannot be used", path.display())]
    Defect {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: StoreDefect,
    },
    /// Another process is building the store.
    #[error("the store {} is being built by another process", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The store takes more room than the caller allows.
    #[error("the store takes about {needed} bytes, more than the budget of {budget} bytes")]
    OverBudget {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that are allowed.
        budget: u64,
    },
    /// Not every sample is in a shard.
    #[error(
        "the store {} cannot be joined: {} of its {count} shards are missing or not complete: {}",
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
    /// The progress callback stopped the building.
    #[error("the building was cancelled after {done} of {total}")]
    Cancelled {
        /// Variates of samples that were done until then.
        done: usize,
        /// Those in all.
        total: usize,
    },
}

impl StoreError {
    /// Puts a path beside a defect.
    fn defect(path: &Path) -> impl FnOnce(StoreDefect) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Defect { path, source }
    }
}

/// The file in `folder` that is, or would be, the store of this kind with this key.
pub(crate) fn path_of<K: StoreKind>(folder: &Path, key: impl fmt::Display) -> PathBuf {
    folder.join(format!("{key}.{}", K::EXTENSION))
}

/// The file whose lock the builder of the store at `path` holds.
fn lock_path(store: &Path) -> PathBuf {
    store.with_added_extension("lock")
}

/// The file in which the store at `path` is built.
fn partial_path(store: &Path) -> PathBuf {
    store.with_added_extension("partial")
}
