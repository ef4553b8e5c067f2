//! What can be wrong with a checkpoint.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::files::IoError;
use thiserror::Error;

/// How many tensors that are needed, and how many that are not, an error tells one by one.
const LISTED: usize = 8;

/// Weights cannot be loaded, or saved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The system refused a file operation.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A directory holds no file of weights.
    #[error("{} holds no weights: none of {} is there", path.display(), expected.join(", "))]
    NoWeights {
        /// The directory.
        path: PathBuf,
        /// Names of the files that were looked for.
        expected: &'static [&'static str],
    },
    /// A file is not what its name says, is cut off, or contradicts itself.
    #[error("{} is damaged: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        problem: String,
        /// The parser's error.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// A file is sound, and describes something that this crate does not have.
    #[error("{}: {what} is {found}; supported is {supported}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The setting or property.
        what: String,
        /// Its value.
        found: String,
        /// Values that it could have.
        supported: String,
    },
    /// The checkpoint has another tower than the one asked for.
    #[error("{} holds no {tower} tower: its model type is {found}", path.display())]
    NoTower {
        /// Its `config.json`.
        path: PathBuf,
        /// The tower asked for.
        tower: &'static str,
        /// The model type.
        found: String,
    },
    /// An encoder or a classifier was asked for that is not the checkpoint's.
    #[error("{setting} is {expected} as configured, but {found} in {}", path.display())]
    Differs {
        /// What says so: the checkpoint's `config.json`, or the file of weights.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// What the checkpoint says.
        found: String,
        /// What the configuration asks for.
        expected: String,
    },
    /// An encoder or a classifier was asked for that cannot be built.
    #[error("the model cannot be built: {problem}")]
    Invalid {
        /// Which sizes do not fit together.
        problem: String,
    },
    /// The tensors are not those of the model: all that is wrong with them.
    #[error("the weights in {} do not fit: {}", path.display(), Listed(problems))]
    Tensors {
        /// The checkpoint.
        path: PathBuf,
        /// Missing tensors, then misshaped ones, then those that nothing needs.
        problems: Vec<TensorProblem>,
    },
}

impl WeightsError {
    pub(super) fn malformed(path: &Path, problem: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            problem: problem.into(),
            source: None,
        }
    }

    /// A file in whose format a parser found an error.
    pub(super) fn unparsable<E: Error + Send + Sync + 'static>(
        path: &Path,
        problem: &str,
    ) -> impl FnOnce(E) -> Self + use<E> {
        let (path, problem) = (path.to_owned(), problem.to_owned());
        move |source| Self::Malformed {
            path,
            problem,
            source: Some(Box::new(source)),
        }
    }
}

/// What is wrong with a tensor of a checkpoint. Shapes are as the file has them.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorProblem {
    /// The model needs it, and it is not there.
    #[error("`{name}` {expected:?} is missing")]
    Missing {
        /// Its name.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
    },
    /// It has another shape.
    #[error("`{name}` is {found:?}, not {expected:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that the model needs.
        expected: Vec<usize>,
    },
    /// It does not hold weights.
    #[error("`{name}` holds {found}, not F32, F16 or BF16")]
    Type {
        /// Its name.
        name: String,
        /// Type of its elements.
        found: String,
    },
    /// It belongs to nothing that is known.
    #[error("`{name}` {found:?} is used by nothing")]
    Unused {
        /// Its name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
    },
}

/// The first problems of both sorts, since names found explain names missing, and how many more.
struct Listed<'a>(&'a [TensorProblem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_unused = |problem: &&TensorProblem| matches!(problem, TensorProblem::Unused { .. });
        let needed = self.0.iter().filter(|problem| !is_unused(problem));
        let unused = self.0.iter().filter(is_unused);
        let mut listed = 0;
        for problem in needed.take(LISTED).chain(unused.take(LISTED)) {
            let comma = if listed == 0 { "" } else { ", " };
            write!(f, "{comma}{problem}")?;
            listed += 1;
        }
        match self.0.len() - listed {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}
