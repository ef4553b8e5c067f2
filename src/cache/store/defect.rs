//! What can be wrong with a store, so that it is named before it is replaced.

use std::fmt;

use super::Shard;

/// A part of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Section {
    /// What is stored, in which format.
    Header,
    /// What is stored of each sample.
    Records,
    /// Where each record is.
    Index,
    /// Where the index is.
    Footer,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Records => "records",
            Self::Index => "index",
            Self::Footer => "footer",
        })
    }
}

/// Why a file is not the store that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreDefect {
    /// It is some other file.
    #[error("it is no such store: its first bytes are others")]
    NotAStore,
    /// It is of another version of the format.
    #[error("it has format version {found}, expected {supported}")]
    Version {
        /// Version of the file.
        found: u32,
        /// The version that can be read.
        supported: u32,
    },
    /// It is cut off.
    #[error("it ends after {len} bytes, inside its {section}")]
    Truncated {
        /// The part that is not whole.
        section: Section,
        /// Bytes of the file.
        len: u64,
    },
    /// Some bytes are not those that were written.
    #[error("its {0} is damaged")]
    Checksum(
        /// The damaged part.
        Section,
    ),
    /// The record of a sample is not the one that was written.
    #[error("its record of sample {id} at position {position} is damaged")]
    Record {
        /// Position of the sample in the store.
        position: usize,
        /// Id of the sample.
        id: u64,
    },
    /// It is about other samples.
    #[error("it holds {found} samples of other content, expected {expected} of this data set")]
    OtherSeries {
        /// Number of samples in the file.
        found: usize,
        /// Number of samples of the data set.
        expected: usize,
    },
    /// It holds pictures in another style, or of another renderer.
    #[error("it holds pictures of the style `{found}`, expected `{expected}`")]
    OtherStyle {
        /// Style of the file.
        found: String,
        /// Style that is wanted.
        expected: String,
    },
    /// It holds outputs of another encoder, of other pictures, or in another form.
    #[error("it holds features of `{found}`, expected `{expected}`")]
    OtherFeatures {
        /// What the features of the file are.
        found: String,
        /// What is wanted.
        expected: String,
    },
    /// It is another shard of the store.
    #[error("it is shard {found}, expected shard {expected}")]
    OtherShard {
        /// Which shard the file is.
        found: Shard,
        /// Which one is wanted.
        expected: Shard,
    },
    /// It has the name of another store.
    #[error("it holds the store of the key {key}, which is not the one that it is named by")]
    OtherKey {
        /// Key of what the file holds.
        key: String,
    },
}
