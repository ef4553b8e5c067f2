//! What can be wrong with a data file: where, what was found, what was expected, what would help.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::text::{excerpt, visible};
use crate::data::SeriesError;
use crate::files::IoError;

/// Why data cannot be read.
///
/// Lines, columns, variates and values are counted from 1 here, as in an editor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The file is something else than a data file, which its first bytes tell.
    #[error("`{}` is {found}, expected {expected}", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// What it is.
        found: String,
        /// What can be read instead.
        expected: String,
    },
    /// A setting that no file can have.
    #[error("{flag} is `{found}`, expected {expected}")]
    Option {
        /// The flag of the command line.
        flag: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        expected: String,
    },
    /// Something at one place of a file is not what it has to be.
    #[error("{place}: found {found}, expected {expected}{}", fix(hint))]
    Content {
        /// Where it is.
        place: Box<Place>,
        /// What is there.
        found: String,
        /// What should be there.
        expected: String,
        /// What would make the file readable, where there is something.
        hint: Option<String>,
    },
    /// A sample that makes no series.
    #[error("{place}: the sample makes no series")]
    Series {
        /// Where it is.
        place: Box<Place>,
        /// What is wrong with the series.
        #[source]
        source: SeriesError,
    },
    /// Samples that make no data set.
    #[error("`{}` holds no usable data set", file.display())]
    Dataset {
        /// The file.
        file: PathBuf,
        /// What is wrong with the set.
        #[source]
        source: SeriesError,
    },
}

/// A place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, if one is at fault.
    pub line: Option<u64>,
    /// The place within the line: a column, a variate, the label.
    pub field: Option<String>,
}

impl Place {
    /// The whole file.
    pub(crate) fn file(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            ..Self::default()
        }
    }

    /// A line of the file.
    pub(crate) fn line(file: &Path, line: u64) -> Self {
        Self {
            line: Some(line),
            ..Self::file(file)
        }
    }

    /// The same place, or a field within it.
    pub(crate) fn field(self, field: impl Into<String>) -> Self {
        Self {
            field: Some(visible(&field.into())),
            ..self
        }
    }

    /// What is found here is not what is expected.
    pub(crate) fn found(self, found: impl Into<String>, expected: impl Into<String>) -> ReadError {
        ReadError::Content {
            place: Box::new(self),
            found: visible(&found.into()),
            expected: visible(&expected.into()),
            hint: None,
        }
    }

    /// As [`Self::found`], for text of the file, which is quoted and shortened.
    pub(crate) fn found_text(self, text: &str, expected: impl Into<String>) -> ReadError {
        self.found(format!("`{}`", excerpt(text)), expected)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        self.field
            .iter()
            .try_for_each(|field| write!(f, ", {field}"))
    }
}

impl ReadError {
    /// What happened to `file`, with the cause to be filled in.
    pub(crate) fn io(file: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io(IoError::at("read", file)(source))
    }

    /// What is wrong with the samples of `file`, with the cause to be filled in.
    pub(crate) fn dataset(file: &Path) -> impl FnOnce(SeriesError) -> Self {
        |source| Self::Dataset {
            file: file.to_owned(),
            source,
        }
    }

    /// What is wrong with the series at a place, with the cause to be filled in.
    pub(crate) fn series(place: Place) -> impl FnOnce(SeriesError) -> Self {
        move |source| Self::Series {
            place: Box::new(place),
            source,
        }
    }

    /// A setting that cannot be.
    pub(crate) fn option(flag: &'static str, found: &str, expected: &str) -> Self {
        Self::Option {
            flag,
            found: found.to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// The same, with what would make the file readable.
    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Content { hint, .. } = &mut self {
            *hint = Some(visible(&text.into()));
        }
        self
    }

    /// Line of the row at fault, if it is one row: reading can go on behind it.
    pub fn line(&self) -> Option<u64> {
        match self {
            Self::Content { place, .. } | Self::Series { place, .. } => place.line,
            _ => None,
        }
    }
}

fn fix(hint: &Option<String>) -> String {
    hint.as_ref()
        .map_or_else(String::new, |hint| format!("; {hint}"))
}

/// Names for a message: all of a few, the first and the last of many.
pub(crate) fn shortened<S: AsRef<str>>(names: &[S]) -> String {
    const SHOWN: usize = 20;
    let listed = |names: &[S]| {
        names
            .iter()
            .map(|n| excerpt(n.as_ref()))
            .collect::<Vec<_>>()
    };
    match names {
        [first @ .., last] if first.len() >= SHOWN => format!(
            "{}, .., {} ({} names)",
            listed(&first[..SHOWN - 1]).join(", "),
            excerpt(last.as_ref()),
            names.len()
        ),
        _ => listed(names).join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_place_finding_expectation_and_remedy() {
        let place = Place::line(Path::new("a.csv"), 3).field("column 2 (`x`)");
        let error = place
            .found_text("ab\u{1b}[31m", "a number")
            .hint("--missing ab helps");
        assert_eq!(
            error.to_string(),
            "`a.csv`, line 3, column 2 (`x`): found `ab\\u{1b}[31m`, expected a number; --missing \
             ab helps"
        );
        assert_eq!(error.line(), Some(3));
    }

    #[test]
    fn many_names_are_shortened() {
        let names = |n: usize| (1..=n).map(|i| i.to_string()).collect::<Vec<_>>();

        assert_eq!(shortened(&names(3)), "1, 2, 3");
        assert!(shortened(&names(20)).ends_with(", 19, 20"));
        assert!(shortened(&names(519)).ends_with(", 18, 19, .., 519 (519 names)"));
    }
}
