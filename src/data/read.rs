//! Reading data from files: any table of series, recognized by its contents.
//!
//! [`SeriesDataset::read`] reads a file and lets it tell; [`read_with`] is told how by
//! [`ReadOptions`], and says what it [understood](Understanding); [`read_like`] matches new data to
//! those that a model was trained on, by name. [`SeriesReader`] reads a file that is larger than the
//! memory.

mod arff;
mod error;
mod folder;
mod lines;
mod npy;
mod npz;
mod options;
#[cfg(feature = "parquet")]
mod parquet;
mod reader;
mod sample;
mod schema;
mod source;
mod table;
mod text;
mod ts;
mod understanding;
mod windowed;

use std::io::BufRead;
use std::path::Path;

pub use error::{Place, ReadError};
pub use options::{Format, HeaderRow, Labels, Layout, OnError, ReadOptions};
pub use reader::{Part, Rejected, SeriesReader};
pub use schema::TableSchema;
pub use understanding::{ClassCount, Understanding, VariateRange};

use super::SeriesDataset;

/// A data set, and how it was read.
#[derive(Clone, Debug)]
pub struct ReadSeries {
    /// The samples.
    pub dataset: SeriesDataset,
    /// What was understood of the file.
    pub understanding: Understanding,
    /// What new data for a model that is trained on these have to have in common with them.
    pub schema: TableSchema,
}

impl SeriesDataset {
    /// Reads a file of any kind, or a folder with a folder of files for each class.
    ///
    /// # Errors
    ///
    /// [`ReadError`] names the file, the line and the column, what was found and what was expected.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use timesclip::data::SeriesDataset;
    ///
    /// let vowels = SeriesDataset::read("JapaneseVowels_TRAIN.ts")?;
    /// let crops = SeriesDataset::read("crops.csv.gz")?;
    /// # Ok::<(), timesclip::data::ReadError>(())
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        Ok(read_with(path.as_ref(), &ReadOptions::default())?.dataset)
    }
}

/// Reads a file or a folder as told.
///
/// # Errors
///
/// As [`SeriesDataset::read`].
pub fn read_with(path: &Path, options: &ReadOptions) -> Result<ReadSeries, ReadError> {
    SeriesReader::open(path, options)?.read_all()
}

/// Reads data that match those that a model was trained on: variates by name if both have names,
/// else by position, with an equal count. Classes are those of the schema, in its order, then
/// others that samples have. Columns that the schema does not know are passed over.
///
/// # Errors
///
/// As [`SeriesDataset::read`], and [`ReadError::Content`] that names the variates that are missing.
pub fn read_like(
    path: &Path,
    options: &ReadOptions,
    schema: &TableSchema,
) -> Result<ReadSeries, ReadError> {
    SeriesReader::open_like(path, options, schema)?.read_all()
}

/// Reads bytes from anywhere; `file` stands for them in messages, and its stem names the set.
///
/// # Errors
///
/// As [`SeriesDataset::read`].
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use timesclip::data::{ReadOptions, read::parse};
///
/// let table = "id,red_1,nir_1,red_2,nir_2,crop\na,0.2,0.3,0.2,0.4,maize\nb,0.2,0.3,,,wheat\n";
/// let read = parse(table.as_bytes(), Path::new("crops.csv"), &ReadOptions::default())?;
///
/// assert_eq!(
///     read.understanding.to_string(),
///     "2 samples, 2 variates (red, nir), 1 to 2 steps, 2 classes from column \"crop\", column \
///      \"id\" carried through"
/// );
/// # Ok::<(), timesclip::data::ReadError>(())
/// ```
pub fn parse(
    reader: impl BufRead + Send,
    file: &Path,
    options: &ReadOptions,
) -> Result<ReadSeries, ReadError> {
    SeriesReader::of_bytes(reader, file, options)?.read_all()
}

/// As [`read_like`], for bytes from anywhere.
///
/// # Errors
///
/// As [`read_like`].
pub fn parse_like(
    reader: impl BufRead + Send,
    file: &Path,
    options: &ReadOptions,
    schema: &TableSchema,
) -> Result<ReadSeries, ReadError> {
    SeriesReader::of_bytes_like(reader, file, options, schema)?.read_all()
}

#[cfg(test)]
mod tests;
