//! `ReadOptions`: what a reader is told about a file that the file does not say, or says wrongly.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Place, ReadError};
use crate::data::window::Windows;

/// How to read data; the default lets the file tell.
///
/// A column is meant by its name in the header, or else by its number from 1, or by `first` or
/// `last`.
///
/// # Examples
///
/// ```
/// use timesclip::data::{Layout, ReadOptions};
///
/// let options = ReadOptions {
///     label_column: Some("crop".to_owned()),
///     id_columns: vec!["field".to_owned()],
///     n_variates: Some(14),
///     layout: Some(Layout::VariateMajor),
///     ..ReadOptions::default()
/// };
/// # assert!(options.validate().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReadOptions {
    /// The format, in place of what the first bytes tell (`--format`).
    pub format: Option<Format>,
    /// What separates columns; a blank stands for any number of blanks (`--delimiter`).
    pub delimiter: Option<char>,
    /// Whether numbers are written as `1,5` (`--decimal-comma`).
    pub decimal_comma: Option<bool>,
    /// Whether the first row of a table is a header (`--header`, `--no-header`).
    pub header: HeaderRow,
    /// The column of the class (`--label-column`); `none` where there is none.
    pub label_column: Option<String>,
    /// Whether samples have labels (`--no-label`).
    pub labels: Labels,
    /// A file with one label for each sample, beside an `.npy` array (`--label-file`).
    pub label_file: Option<PathBuf>,
    /// Columns that name the samples and are carried through to predictions (`--id-column`).
    pub id_columns: Vec<String>,
    /// The column of what samples belong to: no group is on both sides of a split
    /// (`--group-column`).
    pub group_column: Option<String>,
    /// The column of how much a sample counts (`--weight-column`).
    pub weight_column: Option<String>,
    /// Columns to pass over (`--ignore-columns`).
    pub ignore_columns: Vec<String>,
    /// Columns that hold values; the others are passed over, but for those that have a role
    /// (`--value-columns`).
    pub value_columns: Vec<String>,
    /// Number of variates, where names do not tell (`--variates`).
    pub n_variates: Option<usize>,
    /// Order of the values of a row or of the axes of an array (`--layout`).
    pub layout: Option<Layout>,
    /// The column of the time, in a table with a row for each step (`--time-column`).
    pub time_column: Option<String>,
    /// The column that names the variate, in a table with a row for each value
    /// (`--variate-column`).
    pub variate_column: Option<String>,
    /// Spellings of a missing value besides the usual ones (`--missing`).
    pub missing: Vec<String>,
    /// Windows over recordings, each a sample (`--window`, `--stride`, `--window-label`).
    pub windows: Option<Windows>,
    /// What to do about a malformed row (`--on-error`).
    pub on_error: OnError,
}

impl ReadOptions {
    /// Checks what does not depend on a file.
    ///
    /// # Errors
    ///
    /// [`ReadError::Option`] for zero variates, a delimiter that numbers, quotes or lines need,
    /// contradictions, and windows without steps.
    pub fn validate(&self) -> Result<(), ReadError> {
        if self.n_variates == Some(0) {
            return Err(ReadError::option("--variates", "0", "at least one"));
        }
        let refused = |mark: char| {
            !mark.is_ascii() || mark.is_ascii_alphanumeric() || "+-.?\"\r\n".contains(mark)
        };
        if let Some(mark) = self.delimiter.filter(|&mark| refused(mark)) {
            let found = mark.escape_default().to_string();
            let expected = "an ASCII character such as a comma, a semicolon or a tab";
            return Err(ReadError::option("--delimiter", &found, expected));
        }
        if self.delimiter == Some(',') && self.decimal_comma == Some(true) {
            let expected = "another delimiter beside --decimal-comma";
            return Err(ReadError::option("--delimiter", ",", expected));
        }
        if let (Labels::Absent, Some(column)) = (self.labels, &self.label_column)
            && column != "none"
        {
            let expected = "no label column beside --no-label";
            return Err(ReadError::option("--label-column", column, expected));
        }
        if self.label_column.as_deref() == Some("none") && self.labels == Labels::Required {
            return Self {
                labels: Labels::Absent,
                ..self.clone()
            }
            .validate();
        }
        self.windows.map_or(Ok(()), |windows| windows.validate())
    }

    /// Refuses options that a format has no use for.
    pub(crate) fn check_use(&self, file: &Path, format: Format) -> Result<(), ReadError> {
        let is = |formats: &[Format]| formats.contains(&format);
        let rows = is(&[Format::Table, Format::Parquet]);
        let text = is(&[Format::Table, Format::Folder]);
        let attributes = rows || is(&[Format::Arff]);
        let columns = attributes || is(&[Format::Npz]);
        let array = is(&[Format::Npy, Format::Npz]);
        let label = self
            .label_column
            .as_ref()
            .is_some_and(|name| name != "none");
        let unused = [
            ("--variates", self.n_variates.is_some(), attributes),
            ("--layout", self.layout.is_some(), attributes || array),
            ("--delimiter", self.delimiter.is_some(), text),
            ("--decimal-comma", self.decimal_comma.is_some(), text),
            ("--header", self.header != HeaderRow::Auto, text),
            ("--time-column", self.time_column.is_some(), rows || text),
            ("--variate-column", self.variate_column.is_some(), rows),
            (
                "--value-columns",
                !self.value_columns.is_empty(),
                attributes || text,
            ),
            (
                "--ignore-columns",
                !self.ignore_columns.is_empty(),
                attributes || text,
            ),
            ("--label-column", label, columns),
            ("--id-column", !self.id_columns.is_empty(), columns),
            ("--group-column", self.group_column.is_some(), columns),
            ("--weight-column", self.weight_column.is_some(), columns),
            (
                "--label-file",
                self.label_file.is_some(),
                is(&[Format::Npy]),
            ),
        ];
        match unused.iter().find(|(_, given, used)| *given && !*used) {
            Some((flag, ..)) => {
                let expected = format!("a kind of file that {flag} is for");
                Err(Place::file(file).found(format!("a {format}"), expected))
            }
            None => Ok(()),
        }
    }
}

/// A kind of data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// A `.ts` file of the UEA/UCR archive.
    Ts,
    /// An `.arff` file of the archive or of Weka.
    Arff,
    /// A table of text: CSV, TSV, semicolons, blanks.
    Table,
    /// A numpy array.
    Npy,
    /// A zip archive of numpy arrays.
    Npz,
    /// A Parquet file.
    Parquet,
    /// A folder for each class, with a file for each sample.
    Folder,
}

/// Names of the formats, as `--format` takes them.
const FORMATS: [(&str, Format); 7] = [
    ("ts", Format::Ts),
    ("arff", Format::Arff),
    ("table", Format::Table),
    ("npy", Format::Npy),
    ("npz", Format::Npz),
    ("parquet", Format::Parquet),
    ("folder", Format::Folder),
];

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ts => ".ts file",
            Self::Arff => ".arff file",
            Self::Table => "table",
            Self::Npy => "numpy array",
            Self::Npz => "numpy archive",
            Self::Parquet => "Parquet file",
            Self::Folder => "folder of classes",
        })
    }
}

impl FromStr for Format {
    type Err = ReadError;

    fn from_str(name: &str) -> Result<Self, ReadError> {
        let found = FORMATS.iter().find(|(known, _)| *known == name);
        let expected = "ts, arff, table, npy, npz, parquet or folder";
        found
            .map(|&(_, format)| format)
            .ok_or_else(|| ReadError::option("--format", name, expected))
    }
}

/// Order of the values of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// All variates of the first step, then all of the second: `[n_steps, n_variates]`.
    TimeMajor,
    /// All steps of the first variate, then all of the second: `[n_variates, n_steps]`.
    VariateMajor,
}

impl FromStr for Layout {
    type Err = ReadError;

    fn from_str(name: &str) -> Result<Self, ReadError> {
        match name {
            "time-major" => Ok(Self::TimeMajor),
            "variate-major" => Ok(Self::VariateMajor),
            _ => Err(ReadError::option(
                "--layout",
                name,
                "time-major or variate-major",
            )),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimeMajor => "time-major",
            Self::VariateMajor => "variate-major",
        })
    }
}

/// Whether samples have labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// All have.
    #[default]
    Required,
    /// Some may be missing, or all: those samples have a class without a name, and so has one whose
    /// steps have several labels.
    Optional,
    /// None has: all samples have one class without a name.
    Absent,
}

/// Whether the first row of a table is a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderRow {
    /// The rows tell: text above numbers is one, and so are numbers that count from 0 or 1.
    #[default]
    Auto,
    /// It is one.
    Present,
    /// It is a sample.
    Absent,
}

/// What to do about a malformed row, or a malformed file of a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// End with its error.
    #[default]
    Fail,
    /// Leave it out, and say so at the end.
    Skip,
}

impl FromStr for OnError {
    type Err = ReadError;

    fn from_str(name: &str) -> Result<Self, ReadError> {
        match name {
            "fail" => Ok(Self::Fail),
            "skip" => Ok(Self::Skip),
            _ => Err(ReadError::option("--on-error", name, "fail or skip")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::window::LabelRule;

    fn refusal(options: &ReadOptions) -> String {
        options.validate().unwrap_err().to_string()
    }

    #[test]
    fn settings_that_no_file_can_have_are_refused_with_their_flag() {
        let base = ReadOptions::default();
        let zero = ReadOptions {
            n_variates: Some(0),
            ..base.clone()
        };
        assert_eq!(refusal(&zero), "--variates is `0`, expected at least one");
        for mark in ['1', 'x', '.', '"', '\n', 'é'] {
            let options = ReadOptions {
                delimiter: Some(mark),
                ..base.clone()
            };
            assert!(refusal(&options).starts_with("--delimiter is `"), "{mark}");
        }
        let both = ReadOptions {
            labels: Labels::Absent,
            label_column: Some("y".to_owned()),
            ..base.clone()
        };
        assert!(refusal(&both).starts_with("--label-column is `y`, expected no label column"));
        let windows = Windows {
            length: 3,
            stride: 0,
            label: LabelRule::Last,
        };
        let options = ReadOptions {
            windows: Some(windows),
            ..base
        };
        assert_eq!(
            refusal(&options),
            "--stride is `0`, expected at least one step"
        );
    }

    #[test]
    fn settings_are_read_from_the_command_line_and_from_json() {
        assert_eq!("time-major".parse::<Layout>().unwrap(), Layout::TimeMajor);
        assert!(
            "rows"
                .parse::<Layout>()
                .unwrap_err()
                .to_string()
                .starts_with("--layout is `rows`")
        );
        assert_eq!("skip".parse::<OnError>().unwrap(), OnError::Skip);
        assert_eq!("npz".parse::<Format>().unwrap(), Format::Npz);
        let options: ReadOptions = serde_json::from_str(r#"{"n_variates": 3}"#).unwrap();
        assert_eq!(options.n_variates, Some(3));
    }
}
