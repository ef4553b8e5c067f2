//! Why the directory of a run cannot be used.

use std::path::PathBuf;

use thiserror::Error;

use crate::files::IoError;

/// The directory of a run cannot be made, resumed or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// The directory already holds a run.
    #[error("{} already holds a run: name another directory, or resume that run", path.display())]
    Occupied {
        /// The directory.
        path: PathBuf,
    },
    /// The system refused a file operation.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A file does not hold what it should.
    #[error("cannot use {}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The run was started with other options.
    #[error(
        "{} was started with {field} {kept}, not {given}: a run is resumed with the options it was \
         started with",
        path.display()
    )]
    OtherConfig {
        /// The configuration file.
        path: PathBuf,
        /// First field that differs.
        field: String,
        /// What the run was started with, shortened if it is long.
        kept: String,
        /// What it was to be resumed with.
        given: String,
    },
    /// The run was started with other training data.
    #[error(
        "{} was started with other training data: a run is resumed with the data it was started with",
        path.display()
    )]
    OtherData {
        /// The configuration file.
        path: PathBuf,
    },
    /// The run is not complete, so that it cannot be extended.
    #[error(
        "{} is not complete: resume it with the options it was started with, then extend it",
        path.display()
    )]
    Incomplete {
        /// The directory.
        path: PathBuf,
    },
    /// Another process writes into the directory.
    #[error("another process is training in {}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
}
