//! Reading a data set from a file: the choice of the reader, and what can be wrong with a file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub mod csv;
pub(crate) mod text;
pub mod ts;

use csv::{CsvFormat, read_csv};
use ts::read_ts;

use crate::data::{SeriesDataset, SeriesError};

/// Reads a data set from a `.ts` file or, with a format, from a CSV file of any other name.
///
/// # Errors
///
/// [`ReadError::NoCsvFormat`] if `path` does not end in `.ts` and `csv_format` is `None`, and
/// whatever [`read_ts`] and [`read_csv`] refuse.
///
/// # Examples
///
/// ```no_run
/// use std::path::Path;
/// use timesclip::data::{csv::CsvFormat, read_dataset};
///
/// let vowels = read_dataset(Path::new("JapaneseVowels_TRAIN.ts"), None)?;
/// let crops = read_dataset(Path::new("crops.csv"), Some(&CsvFormat::new(14)))?;
/// # Ok::<(), timesclip::data::ReadError>(())
/// ```
pub fn read_dataset(
    path: &Path,
    csv_format: Option<&CsvFormat>,
) -> Result<SeriesDataset, ReadError> {
    let is_ts = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("ts"));
    match csv_format {
        _ if is_ts => read_ts(path),
        Some(format) => read_csv(path, format),
        None => Err(ReadError::NoCsvFormat {
            file: path.to_owned(),
        }),
    }
}

/// Why a data file cannot be read.
///
/// Lines, columns, variates and values are counted from 1 here, as in an editor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error("cannot read `{file}`")]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A table of unknown form.
    #[error(
        "`{file}` is a table, expected the number of its variates beside it (a `CsvFormat`; the examples \
         take `--variates`)"
    )]
    NoCsvFormat {
        /// The file.
        file: PathBuf,
    },
    /// A CSV format that no file can have.
    #[error("the CSV format has {found}, expected {expected}")]
    Format {
        /// The setting that is refused.
        found: String,
        /// What is allowed.
        expected: &'static str,
    },
    /// A file with nothing in it.
    #[error("`{file}` is empty, expected a row for each sample")]
    Empty {
        /// The file.
        file: PathBuf,
    },
    /// A `.ts` file that ends within its header.
    #[error("`{file}` ends at line {line} without an `@data` line")]
    NoDataLine {
        /// The file.
        file: PathBuf,
        /// Its last line.
        line: u64,
    },
    /// A file that has a header and nothing else.
    #[error("`{file}` has no rows after its header in line {line}, expected one for each sample")]
    NoRows {
        /// The file.
        file: PathBuf,
        /// Last line of the header.
        line: u64,
    },
    /// A header that is malformed, or announces data that cannot be classified.
    #[error("`{file}`, line {line}: found `{found}`, expected {expected}")]
    Header {
        /// The file.
        file: PathBuf,
        /// Line of the header.
        line: u64,
        /// What the line says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// The first row of a CSV file may be a header or a sample.
    #[error(
        "`{file}`, line {line}: found column numbers or the values 0, 1, 2, .. of a sample, \
         expected the format to say whether there is a header"
    )]
    AmbiguousHeader {
        /// The file.
        file: PathBuf,
        /// The row.
        line: u64,
    },
    /// The label column does not exist, or is not the only one of its name.
    #[error(
        "`{file}`, line {line}: found {found} columns called `{name}`, expected one among: {}",
        shortened(columns)
    )]
    LabelColumn {
        /// The file.
        file: PathBuf,
        /// Line of the header.
        line: u64,
        /// Name of the label column that was asked for.
        name: String,
        /// Number of columns of that name.
        found: usize,
        /// The column names of the header.
        columns: Vec<String>,
    },
    /// The value columns do not divide into steps.
    #[error(
        "`{file}`, line {line}: found {found} value columns, expected a multiple of the \
         {n_variates} variates"
    )]
    ValueColumns {
        /// The file.
        file: PathBuf,
        /// First line of the table.
        line: u64,
        /// Number of columns without the label.
        found: usize,
        /// Number of variates of the format.
        n_variates: usize,
    },
    /// A CSV row with more or fewer columns than the first row.
    #[error("`{file}`, line {line}: found {found} columns, expected {expected} as in line {first}")]
    ColumnCount {
        /// The file.
        file: PathBuf,
        /// Line of the row.
        line: u64,
        /// Number of its columns.
        found: usize,
        /// Number of columns of the first row.
        expected: usize,
        /// Line of the first row.
        first: u64,
    },
    /// A `.ts` row with more or fewer variates than the first row.
    #[error(
        "`{file}`, line {line}: found {found} variates, expected {expected} as in line {first}"
    )]
    VariateCount {
        /// The file.
        file: PathBuf,
        /// Line of the row.
        line: u64,
        /// Number of its variates.
        found: usize,
        /// Number of variates of the first row.
        expected: usize,
        /// Line of the first row.
        first: u64,
    },
    /// A value that is neither a finite number nor missing, or a label that is not there.
    #[error("`{file}`, line {line}, {field}: found `{found}`, expected {expected}")]
    Field {
        /// The file.
        file: PathBuf,
        /// Line of the row.
        line: u64,
        /// Place within the row.
        field: Field,
        /// The text there, shortened if it is long.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A label that is not among the classes of the header.
    #[error(
        "`{file}`, line {line}, {}: found the class `{found}`, expected one of: {}",
        Field::Label,
        shortened(classes)
    )]
    UnknownClass {
        /// The file.
        file: PathBuf,
        /// Line of the row.
        line: u64,
        /// The label.
        found: String,
        /// The class names of the header.
        classes: Vec<String>,
    },
    /// A row that makes no series.
    #[error("`{file}`, line {line}: the row makes no series")]
    Row {
        /// The file.
        file: PathBuf,
        /// Line of the row.
        line: u64,
        /// What is wrong with the series.
        #[source]
        source: SeriesError,
    },
    /// Rows that make no data set.
    #[error("`{file}` holds no usable data set")]
    Dataset {
        /// The file.
        file: PathBuf,
        /// What is wrong with the set.
        #[source]
        source: SeriesError,
    },
}

impl ReadError {
    /// What happened to `file`, with the cause to be filled in.
    pub(super) fn io(file: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Io {
            file: file.to_owned(),
            source,
        }
    }

    /// What is wrong with the rows of `file`, with the cause to be filled in.
    pub(super) fn dataset(file: &Path) -> impl FnOnce(SeriesError) -> Self {
        |source| Self::Dataset {
            file: file.to_owned(),
            source,
        }
    }

    /// What is wrong with one row of `file`, with the cause to be filled in.
    pub(super) fn row(file: &Path, line: u64) -> impl FnOnce(SeriesError) -> Self {
        move |source| Self::Row {
            file: file.to_owned(),
            line,
            source,
        }
    }
}

/// A place within a row of a data file, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// A value of a `.ts` row.
    Value {
        /// Variate of the value.
        variate: usize,
        /// Place of the value within its variate.
        value: usize,
    },
    /// A column of a CSV row.
    Column {
        /// Number of the column.
        number: usize,
        /// Its name, if the file has a header.
        name: Option<String>,
    },
    /// The class label of a `.ts` row.
    Label,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { variate, value } => write!(f, "variate {variate}, value {value}"),
            Self::Column {
                number,
                name: Some(name),
            } => write!(f, "column {number} (`{name}`)"),
            Self::Column { number, name: None } => write!(f, "column {number}"),
            Self::Label => f.write_str("label"),
        }
    }
}

/// Names for a message: all of a few, the first and the last of many.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 20;
    match names {
        [first @ .., last] if first.len() >= SHOWN => {
            format!(
                "{}, .., {last} ({} names)",
                first[..SHOWN - 1].join(", "),
                names.len()
            )
        }
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_chooses_the_reader() {
        let folder = tempfile::tempdir().unwrap();
        let ts = folder.path().join("set.TS");
        let csv = folder.path().join("set.csv");
        std::fs::write(&ts, "@classLabel true a b\n@data\n1,2:a\n3,4:b\n").unwrap();
        std::fs::write(&csv, "1,2,a\n3,4,b\n").unwrap();

        let from_ts = read_dataset(&ts, Some(&CsvFormat::new(1))).unwrap();
        let from_csv = read_dataset(&csv, Some(&CsvFormat::new(1))).unwrap();

        assert_eq!(from_ts, from_csv);
        assert!(matches!(
            read_dataset(&csv, None),
            Err(ReadError::NoCsvFormat { .. })
        ));
    }

    #[test]
    fn a_missing_file_is_named_and_the_cause_kept() {
        use std::error::Error;

        for (name, format) in [("none.ts", None), ("none.csv", Some(CsvFormat::new(1)))] {
            let error = read_dataset(Path::new(name), format.as_ref()).unwrap_err();

            assert_eq!(error.to_string(), format!("cannot read `{name}`"));
            let cause = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
            assert_eq!(cause.kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn many_names_are_shortened() {
        let names = |n: usize| (1..=n).map(|i| i.to_string()).collect::<Vec<_>>();

        assert_eq!(shortened(&names(3)), "1, 2, 3");
        assert!(shortened(&names(20)).ends_with(", 19, 20"));
        assert!(shortened(&names(519)).ends_with(", 18, 19, .., 519 (519 names)"));
    }
}
