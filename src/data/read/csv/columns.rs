//! What the columns of a CSV table are, and the series of a row.

use std::borrow::Cow;
use std::io::Read;

use super::rows::Rows;
use super::{CsvFormat, HeaderRow, Labels, Layout};
use crate::data::classes::Classes;
use crate::data::read::text::{EXPECTED_VALUE, excerpt, parse_value};
use crate::data::{Field, ReadError, Series};

/// What the columns of a table are.
pub(super) struct Columns {
    /// The header, if there is one.
    names: Option<Vec<String>>,
    /// Index of the label column, if there is one.
    label: Option<usize>,
    /// Whether its cells may be empty.
    optional: bool,
    n_columns: usize,
    n_variates: usize,
    n_steps: usize,
    layout: Layout,
    /// Line of the first row.
    line: u64,
}

impl Columns {
    /// Takes the first row, header or sample, for the shape of all rows.
    pub(super) fn of_first_row<R: Read>(
        rows: &Rows<'_, R>,
        format: &CsvFormat,
    ) -> Result<Self, ReadError> {
        let header = || rows.cells().map(Cow::into_owned).collect::<Vec<String>>();
        let names = is_header(rows, format)?.then(header);
        let n_columns = rows.n_cells();
        let label = match (&format.label_column, &names) {
            _ if format.labels == Labels::Absent => None,
            (Some(label), Some(names)) => Some(find_column(rows, names, label)?),
            _ => Some(n_columns.saturating_sub(1)),
        };
        let (n_values, n_variates) = (n_values(rows, format), format.n_variates);
        if n_values == 0 || !n_values.is_multiple_of(n_variates) {
            return Err(ReadError::ValueColumns {
                file: rows.file.to_owned(),
                line: rows.line(),
                found: n_values,
                n_variates,
            });
        }
        Ok(Self {
            names,
            label,
            optional: format.labels == Labels::Optional,
            n_columns,
            n_variates,
            n_steps: n_values / n_variates,
            layout: format.layout,
            line: rows.line(),
        })
    }

    /// Whether the first row is a header and not a sample.
    pub(super) fn has_header(&self) -> bool {
        self.names.is_some()
    }

    /// The series and the label of the row at hand.
    pub(super) fn parse<R: Read>(
        &self,
        rows: &Rows<'_, R>,
        classes: &mut Classes,
    ) -> Result<(Series, usize), ReadError> {
        self.check_count(rows)?;
        let cells = rows
            .cells()
            .enumerate()
            .filter(|&(column, _)| Some(column) != self.label);
        let mut values = vec![f32::NAN; self.n_steps * self.n_variates];
        for (place, (column, cell)) in cells.enumerate() {
            values[self.time_major(place)] = parse_cell(&cell)
                .ok_or_else(|| self.field_error(rows, column, &cell, EXPECTED_VALUE))?;
        }
        let n_steps = known_steps(&values, self.n_variates);
        values.truncate(n_steps * self.n_variates);
        let series = Series::new(values, n_steps, self.n_variates)
            .map_err(ReadError::row(rows.file, rows.line()))?;
        Ok((series, self.parse_label(rows, classes)?))
    }

    fn parse_label<R: Read>(
        &self,
        rows: &Rows<'_, R>,
        classes: &mut Classes,
    ) -> Result<usize, ReadError> {
        let Some(column) = self.label else {
            return Ok(classes.index_of("").unwrap_or_default());
        };
        let label = rows.cell(column);
        let label = label.filter(|label| self.optional || !label.is_empty());
        label
            .and_then(|label| classes.index_of(&label))
            .ok_or_else(|| self.field_error(rows, column, "", "the name of a class"))
    }

    /// Where the value of the `place`-th value column is kept.
    fn time_major(&self, place: usize) -> usize {
        match self.layout {
            Layout::TimeMajor => place,
            Layout::VariateMajor => {
                let (variate, step) = (place / self.n_steps, place % self.n_steps);
                step * self.n_variates + variate
            }
        }
    }

    fn check_count<R: Read>(&self, rows: &Rows<'_, R>) -> Result<(), ReadError> {
        let found = rows.n_cells();
        if found == self.n_columns {
            return Ok(());
        }
        Err(ReadError::ColumnCount {
            file: rows.file.to_owned(),
            line: rows.line(),
            found,
            expected: self.n_columns,
            first: self.line,
        })
    }

    fn field_error<R: Read>(
        &self,
        rows: &Rows<'_, R>,
        column: usize,
        found: &str,
        expected: &'static str,
    ) -> ReadError {
        let name = self
            .names
            .as_ref()
            .and_then(|names| names.get(column).cloned());
        ReadError::Field {
            file: rows.file.to_owned(),
            line: rows.line(),
            field: Field::Column {
                number: column + 1,
                name,
            },
            found: excerpt(found),
            expected,
        }
    }
}

/// Number of columns of the row at hand without that of the label.
fn n_values<R: Read>(rows: &Rows<'_, R>, format: &CsvFormat) -> usize {
    let n_labels = usize::from(format.labels != Labels::Absent);
    rows.n_cells().saturating_sub(n_labels)
}

/// Whether the first row is a header, as far as the format leaves it open.
fn is_header<R: Read>(rows: &Rows<'_, R>, format: &CsvFormat) -> Result<bool, ReadError> {
    match format.header {
        HeaderRow::Present => return Ok(true),
        HeaderRow::Absent => return Ok(false),
        HeaderRow::Auto if format.label_column.is_some() => return Ok(true),
        HeaderRow::Auto => {}
    }
    let words: Vec<Cow<'_, str>> = rows.cells().take(n_values(rows, format)).collect();
    if is_enumeration(&words) {
        return Err(ReadError::AmbiguousHeader {
            file: rows.file.to_owned(),
            line: rows.line(),
        });
    }
    let is_number = |word: &Cow<'_, str>| word.parse().is_ok_and(|value: f32| !value.is_nan());
    let is_text = |word: &Cow<'_, str>| parse_cell(word).is_none();
    Ok(!words.iter().any(is_number) && words.iter().any(is_text))
}

/// Whether the words are the numbers from 0 or 1 on: column numbers that a table without column
/// names was written with, or a sample. A few numbers in order are taken for a sample.
fn is_enumeration(words: &[Cow<'_, str>]) -> bool {
    const FEW: usize = 4;
    let counts_from = |start: usize| {
        (start..)
            .zip(words)
            .all(|(number, word)| word.parse() == Ok(number))
    };
    words.len() >= FEW && (counts_from(0) || counts_from(1))
}

/// Index of the only column of a name.
fn find_column<R: Read>(
    rows: &Rows<'_, R>,
    names: &[String],
    label: &str,
) -> Result<usize, ReadError> {
    let found: Vec<usize> = (0..names.len())
        .filter(|&column| names[column] == label)
        .collect();
    match found.as_slice() {
        [column] => Ok(*column),
        _ => Err(ReadError::LabelColumn {
            file: rows.file.to_owned(),
            line: rows.line(),
            name: label.to_owned(),
            found: found.len(),
            columns: names.to_vec(),
        }),
    }
}

/// The value of a cell, `NaN` if it is empty or says "missing"; `None` if it is no finite number.
fn parse_cell(cell: &str) -> Option<f32> {
    if cell.is_empty() {
        Some(f32::NAN)
    } else {
        parse_value(cell)
    }
}

/// Number of steps up to the last one that has a value; at least one.
fn known_steps(values: &[f32], n_variates: usize) -> usize {
    let last = values.iter().rposition(|value| !value.is_nan());
    last.map_or(1, |index| index / n_variates + 1)
}
