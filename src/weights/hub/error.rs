//! `HubError`: why there is no folder of weights, and what to do about it.

use std::error::Error;
use std::path::PathBuf;

use crate::files::IoError;

/// Why a model cannot be had by its name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No text where a path or name should be.
    #[error("no weights are named, expected a path or `hf:owner/name[@revision]`")]
    NoSource,
    /// An invalid name.
    #[error("`{found}` names no model of a hub, expected `owner/name` in letters, digits, `-_.`")]
    Name {
        /// What was given.
        found: String,
    },
    /// An invalid revision.
    #[error(
        "`{found}` is no revision, expected a branch, tag or commit in letters, digits, `-_./`"
    )]
    Revision {
        /// What was given.
        found: String,
    },
    /// A variable of the environment that cannot be understood.
    #[error("the environment variable {variable} is `{found}`, expected {expected}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        expected: &'static str,
    },
    /// There is no place for a cache.
    #[error(
        "there is no home directory for the cache of models, expected one, or HF_HOME to be set"
    )]
    NoCacheDir,
    /// Fetching is not in this build.
    #[error(
        "fetching `{name}` needs a build with `--features hub`; or pass a folder with its \
         config.json and weights"
    )]
    NotCompiled {
        /// The model.
        name: String,
    },
    /// The cache lacks the model, and fetching is forbidden.
    #[error(
        "`{name}` at `{revision}` is not whole in {}: there is no {missing}, and HF_HUB_OFFLINE \
         forbids to fetch it; unset that, or pass a folder with config.json and weights",
        cache_dir.display()
    )]
    Offline {
        /// The model.
        name: String,
        /// The revision.
        revision: String,
        /// The cache that was looked into.
        cache_dir: PathBuf,
        /// The first file that is not there.
        missing: String,
    },
    /// The hub does not answer, or not as a hub does.
    #[error(
        "cannot fetch {file} of `{name}` from {endpoint}; the machine may be offline: try again, \
         what has come is kept, or pass a folder with config.json and weights"
    )]
    Unreachable {
        /// The model.
        name: String,
        /// The file.
        file: String,
        /// The hub.
        endpoint: String,
        /// What the client says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The hub has no such model, or no such file in it.
    #[error(
        "{endpoint} has no {file} of `{name}` at `{revision}`; is the name right? A folder with \
         config.json and weights can be passed instead"
    )]
    NotFound {
        /// The model.
        name: String,
        /// The revision.
        revision: String,
        /// The file.
        file: String,
        /// The hub.
        endpoint: String,
    },
    /// The hub wants to know who asks.
    #[error(
        "{endpoint} refuses {file} of `{name}` (status {status}): it is not there, private or \
         gated; put a token that may read it into HF_TOKEN, or pass a folder with config.json and \
         weights"
    )]
    Refused {
        /// The model.
        name: String,
        /// The file.
        file: String,
        /// The hub.
        endpoint: String,
        /// The HTTP status: 401 or 403.
        status: u16,
    },
    /// The model has no weights that can be read.
    #[error("`{name}` at `{revision}` has none of: {}", tried.join(", "))]
    NoWeights {
        /// The model.
        name: String,
        /// The revision.
        revision: String,
        /// The files that were looked for.
        tried: Vec<String>,
    },
    /// A file did not come whole; nothing of it is kept.
    #[error("{file} of `{name}` came with {found} bytes, expected {expected}; try again")]
    Damaged {
        /// The model.
        name: String,
        /// The file.
        file: String,
        /// Bytes that came.
        found: u64,
        /// Bytes that the hub announced.
        expected: u64,
    },
    /// The list of the parts of the weights cannot be used.
    #[error("{} is no list of the parts of weights: {problem}", path.display())]
    Index {
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The system refused a file operation.
    #[error(transparent)]
    Io(#[from] IoError),
}
