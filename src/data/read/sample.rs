//! What every reader makes: samples one after the other, and what is known of all of them.

use super::ReadError;
use crate::data::Series;

/// A sample as it stands in a file.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Number of the sample in its file, from 0.
    pub(crate) row: u64,
    /// Line in which it begins, from 1; 0 where there are no lines.
    pub(crate) line: u64,
    pub(crate) series: Series,
    /// Its class, if it has one.
    pub(crate) label: Option<String>,
    /// Labels of its steps, where each has its own.
    pub(crate) step_labels: Vec<String>,
    pub(crate) about: About,
}

/// What a sample is called, and what it belongs to.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    /// Texts of the id columns.
    pub(crate) ids: Vec<String>,
    pub(crate) group: Option<String>,
    pub(crate) weight: Option<f32>,
}

impl Sample {
    /// A sample of which nothing but series and label is known.
    pub(crate) fn new(row: u64, line: u64, series: Series, label: Option<String>) -> Self {
        Self {
            row,
            line,
            series,
            label,
            step_labels: Vec::new(),
            about: About::default(),
        }
    }
}

/// What is known of the samples of a file.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Name of the set.
    pub(crate) name: String,
    /// Names of the variates; empty where they have none.
    pub(crate) variates: Vec<String>,
    /// Classes that the file lists.
    pub(crate) classes: Option<Vec<String>>,
    /// Where labels come from; `None` where there are none.
    pub(crate) label: Option<LabelOrigin>,
    /// Names of the id columns.
    pub(crate) ids: Vec<String>,
    pub(crate) group: Option<String>,
    pub(crate) weight: Option<String>,
    /// The time column of a long table.
    pub(crate) time: Option<String>,
    /// Its variate column.
    pub(crate) variate: Option<String>,
    /// Names of the columns of a table with a header.
    pub(crate) columns: Vec<String>,
    /// Number of columns of a table.
    pub(crate) n_columns: Option<usize>,
    /// Columns that are passed over.
    pub(crate) ignored: Vec<String>,
    /// Columns that could be labels, for messages.
    pub(crate) could_be_labels: Vec<String>,
    /// What the reader decided.
    pub(crate) notes: Vec<String>,
    /// What looks wrong, but can be read.
    pub(crate) warnings: Vec<String>,
    /// Rows that were left out while rows were put together, and files of a folder.
    pub(crate) rejected: Vec<ReadError>,
}

/// Where labels come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelOrigin {
    /// In words, after "classes from".
    pub(crate) text: String,
    /// The column, as an option names it.
    pub(crate) column: Option<String>,
}

impl LabelOrigin {
    pub(crate) fn of_file(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            column: None,
        }
    }
}

/// The samples of a file, one at a time.
pub(crate) trait Source {
    /// The next sample. After an error with a line, reading can go on with the next one.
    fn next(&mut self) -> Result<Option<Sample>, ReadError>;

    /// What is known of the samples by now; complete after the last one.
    fn facts(&mut self) -> &mut Facts;
}

/// Samples that are all in memory.
pub(crate) struct Loaded {
    samples: std::vec::IntoIter<Sample>,
    facts: Facts,
}

impl Loaded {
    pub(crate) fn new(samples: Vec<Sample>, facts: Facts) -> Self {
        Self {
            samples: samples.into_iter(),
            facts,
        }
    }
}

impl Source for Loaded {
    fn next(&mut self) -> Result<Option<Sample>, ReadError> {
        Ok(self.samples.next())
    }

    fn facts(&mut self) -> &mut Facts {
        &mut self.facts
    }
}
