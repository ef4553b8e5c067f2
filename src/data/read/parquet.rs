//! Reads Parquet files: columns as in a table of text, or lists of the steps of a variate.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::reader::RowIter;
use ::parquet::record::{Field, Row};
use bytes::Bytes;

use super::options::{HeaderRow, ReadOptions};
use super::sample::Source;
use super::source::Opened;
use super::table::{self, Asked, Rows};
use super::{Place, ReadError};

/// Most steps of a list: a damaged length must not make that many columns.
const MOST_STEPS: usize = 1 << 20;

/// The rows of a file as cells of text; the names of the columns are the first one.
struct ParquetRows {
    /// `None` behind the first damage.
    rows: Option<RowIter<'static>>,
    file: PathBuf,
    columns: Vec<Column>,
    cells: Vec<String>,
    /// Rows so far, the names included.
    n_rows: u64,
}

/// A column, and the cells that it takes.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    /// The most steps of its lists; `None` if it holds no lists.
    n_steps: Option<usize>,
}

/// Reads a Parquet file.
pub(super) fn read<'a>(
    opened: Opened<'a>,
    asked: Asked<'_>,
) -> Result<Box<dyn Source + 'a>, ReadError> {
    let file = opened.file;
    let mut reader = opened.reader;
    let mut bytes = Vec::new();
    reader
        .read_to_end(&mut bytes)
        .map_err(ReadError::io(&file))?;
    let bytes = Bytes::from(bytes);
    let columns = columns(&bytes, &file)?;
    let rows = || ParquetRows::open(&bytes, &file, &columns);
    let options = ReadOptions {
        header: HeaderRow::Present,
        ..asked.options.clone()
    };
    table::read_rows(
        rows()?,
        rows()?,
        Asked {
            options: &options,
            known: asked.known,
        },
    )
}

fn open(bytes: &Bytes, file: &Path) -> Result<RowIter<'static>, ReadError> {
    undamaged(file, 0, || {
        let reader = SerializedFileReader::new(bytes.clone())?;
        check_places(reader.metadata(), bytes.len())?;
        Ok(RowIter::from_file_into(Box::new(reader)))
    })
}

/// Refuses columns that are said to be outside of the file.
fn check_places(metadata: &ParquetMetaData, len: usize) -> Result<(), ParquetError> {
    let columns = metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns());
    for column in columns {
        let start = column.dictionary_page_offset();
        let start = start.unwrap_or_else(|| column.data_page_offset());
        let end = start.checked_add(column.compressed_size());
        let is_inside = start >= 0
            && column.compressed_size() >= 0
            && end
                .and_then(|end| usize::try_from(end).ok())
                .is_some_and(|end| end <= len);
        if !is_inside {
            let problem = "a column that is not in the file";
            return Err(ParquetError::General(problem.to_owned()));
        }
    }
    Ok(())
}

/// What `read` gives. The crate that decodes has assertions for what a damaged file may say: then,
/// too, it is the file that is at fault.
fn undamaged<T>(
    file: &Path,
    row: u64,
    read: impl FnOnce() -> Result<T, ParquetError>,
) -> Result<T, ReadError> {
    let read = catch_unwind(AssertUnwindSafe(read));
    let read = read.unwrap_or_else(|_| {
        let problem = "parts that contradict each other";
        Err(ParquetError::General(problem.to_owned()))
    });
    read.map_err(damaged(file, row))
}

fn damaged(file: &Path, row: u64) -> impl FnOnce(ParquetError) -> ReadError {
    move |error| {
        let place = Place::file(file).field(format!("row {row}"));
        place.found(
            super::text::excerpt(&error.to_string()),
            "an undamaged Parquet file",
        )
    }
}

/// The columns of all rows, with the most steps of their lists.
fn columns(bytes: &Bytes, file: &Path) -> Result<Vec<Column>, ReadError> {
    let mut columns: Vec<Column> = Vec::new();
    let mut rows = open(bytes, file)?;
    for number in 1.. {
        let Some(row) = undamaged(file, number, || rows.next().transpose())? else {
            break;
        };
        if columns.is_empty() {
            let names = row.get_column_iter().map(|(name, _)| name.clone());
            columns = names
                .map(|name| Column {
                    name,
                    n_steps: None,
                })
                .collect();
        }
        let mut lists = false;
        for (column, (_, field)) in columns.iter_mut().zip(row.get_column_iter()) {
            if let Field::ListInternal(list) = field {
                lists = true;
                let n_steps = list.elements().len().min(MOST_STEPS);
                column.n_steps = Some(column.n_steps.unwrap_or(1).max(n_steps));
            }
        }
        // Without lists, all rows have the same cells.
        let known = columns.iter().all(|column| column.n_steps.is_none());
        if known
            && !lists
            && row
                .get_column_iter()
                .all(|(_, field)| !matches!(field, Field::Null))
        {
            break;
        }
    }
    // Variates have the same steps; those that a list lacks are missing.
    let most = columns.iter().filter_map(|column| column.n_steps).max();
    for column in columns.iter_mut().filter(|column| column.n_steps.is_some()) {
        column.n_steps = most;
    }
    if columns.is_empty() {
        return Err(Place::file(file).found("no rows", "a row for each sample"));
    }
    Ok(columns)
}

impl ParquetRows {
    fn open(bytes: &Bytes, file: &Path, columns: &[Column]) -> Result<Self, ReadError> {
        Ok(Self {
            rows: Some(open(bytes, file)?),
            file: file.to_owned(),
            columns: columns.to_vec(),
            cells: Vec::new(),
            n_rows: 0,
        })
    }

    fn names(&self) -> Vec<String> {
        let name = |column: &Column| match column.n_steps {
            Some(n) => (0..n)
                .map(|step| format!("{}[{step}]", column.name))
                .collect(),
            None => vec![column.name.clone()],
        };
        self.columns.iter().flat_map(name).collect()
    }

    fn take(&mut self, row: &Row) -> Result<(), ReadError> {
        self.cells.clear();
        for (column, (_, field)) in self.columns.iter().zip(row.get_column_iter()) {
            let odd = || {
                let place = Place::line(&self.file, self.n_rows - 1);
                let place = place.field(format!("column `{}`", super::text::excerpt(&column.name)));
                place.found(
                    "a nested value",
                    "a number, a text, a date or a list of numbers",
                )
            };
            match (column.n_steps, field) {
                (None, field) => self.cells.push(text(field).ok_or_else(odd)?),
                (Some(n), Field::Null) => self.cells.extend(vec![String::new(); n]),
                (Some(n), Field::ListInternal(list)) => {
                    let elements = list.elements();
                    for step in 0..n {
                        let cell = elements.get(step).map_or(Some(String::new()), text);
                        self.cells.push(cell.ok_or_else(odd)?);
                    }
                }
                (Some(_), _) => return Err(odd()),
            }
        }
        Ok(())
    }
}

impl Rows for ParquetRows {
    fn advance(&mut self) -> Result<bool, ReadError> {
        self.n_rows += 1;
        if self.n_rows == 1 {
            self.cells = self.names();
            return Ok(true);
        }
        let Some(rows) = &mut self.rows else {
            return Ok(false);
        };
        match undamaged(&self.file, self.n_rows - 1, || rows.next().transpose()) {
            Ok(None) => Ok(false),
            Ok(Some(row)) => self.take(&row).map(|()| true),
            Err(error) => {
                // Nothing can be believed of what comes after.
                self.rows = None;
                Err(error)
            }
        }
    }

    fn line(&self) -> u64 {
        self.n_rows.saturating_sub(1).max(1)
    }

    fn n_cells(&self) -> usize {
        self.cells.len()
    }

    fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn n_comments(&self) -> usize {
        0
    }
}

/// A field as the text of a cell; `None` if it is nested. Times are seconds.
fn text(field: &Field) -> Option<String> {
    const DAY: i64 = 86_400;
    let seconds = |time: i64, unit: f64| (time as f64 / unit).to_string();
    Some(match field {
        Field::Null => String::new(),
        Field::Bool(value) => value.to_string(),
        Field::Byte(value) => value.to_string(),
        Field::Short(value) => value.to_string(),
        Field::Int(value) => value.to_string(),
        Field::Long(value) => value.to_string(),
        Field::UByte(value) => value.to_string(),
        Field::UShort(value) => value.to_string(),
        Field::UInt(value) => value.to_string(),
        Field::ULong(value) => value.to_string(),
        Field::Float16(value) => value.to_string(),
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        Field::Str(value) => value.trim().to_owned(),
        Field::Date(days) => (i64::from(*days) * DAY).to_string(),
        Field::TimestampMillis(time) => seconds(*time, 1e3),
        Field::TimestampMicros(time) => seconds(*time, 1e6),
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into_owned(),
        _ => return None,
    })
}
