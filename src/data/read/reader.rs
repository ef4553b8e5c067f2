//! `SeriesReader`: the samples of a file, a part at a time or all at once.

mod build;

use std::io::BufRead;
use std::path::Path;

use super::error::shortened;
use super::options::{Format, Labels, OnError, ReadOptions};
use super::sample::{Sample, Source};
use super::schema::{Matched, TableSchema};
use super::source::{self, Opened};
use super::understanding::{Origin, Understanding};
use super::windowed::Windowed;
use super::{Place, ReadError, ReadSeries, arff, folder, npy, npz, table, ts};
use crate::data::SeriesDataset;
use crate::data::classes::class_of_label;

/// Reads samples part by part, in memory that does not grow with the file where the format allows:
/// tables with a row for each sample, `.ts` and `.npy` files, folders. Others are read whole first.
///
/// # Examples
///
/// ```no_run
/// use std::path::Path;
/// use timesclip::data::{ReadOptions, SeriesReader};
///
/// let mut reader = SeriesReader::open(Path::new("large.csv"), &ReadOptions::default())?;
/// while let Some(part) = reader.next_part(1000)? {
///     for sample in part.dataset.iter().flat_map(|set| set.samples()) {
///         println!("row {}: {} steps", sample.id, sample.series.n_steps());
///     }
/// }
/// # Ok::<(), timesclip::data::ReadError>(())
/// ```
pub struct SeriesReader<'a> {
    source: Box<dyn Source + 'a>,
    origin: Origin,
    options: ReadOptions,
    known: Option<TableSchema>,
    n_rows: u64,
    n_variates: Option<usize>,
    n_rejected: usize,
    done: bool,
}

/// Samples that follow each other in a file.
#[derive(Debug)]
pub struct Part {
    /// The samples; `None` if all rows were malformed.
    pub dataset: Option<SeriesDataset>,
    /// Malformed rows among them that were left out, by `OnError::Skip`.
    pub rejected: Vec<Rejected>,
}

/// A malformed row.
#[derive(Debug)]
pub struct Rejected {
    /// Its number, which the id of its sample would have been.
    pub row: u64,
    /// What is wrong with it.
    pub error: ReadError,
}

impl std::fmt::Debug for SeriesReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = f.debug_struct("SeriesReader");
        fields
            .field("file", &self.origin.file)
            .field("n_rows", &self.n_rows)
            .finish_non_exhaustive()
    }
}

impl SeriesReader<'static> {
    /// Opens a file or a folder.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if it cannot be opened, is of another kind, or contradicts the options.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<Self, ReadError> {
        Self::open_as(path, options, None)
    }

    /// Opens a file or a folder whose samples are to match those that a model was trained on.
    ///
    /// # Errors
    ///
    /// As [`Self::open`], and if variates are missing or their number differs.
    pub fn open_like(
        path: &Path,
        options: &ReadOptions,
        schema: &TableSchema,
    ) -> Result<Self, ReadError> {
        Self::open_as(path, &schema.complete(options), Some(schema))
    }

    fn open_as(
        path: &Path,
        options: &ReadOptions,
        known: Option<&TableSchema>,
    ) -> Result<Self, ReadError> {
        options.validate()?;
        if path.is_dir() {
            options.check_use(path, Format::Folder)?;
            let source = folder::read(path, options, known)?;
            let origin = Origin {
                file: path.display().to_string(),
                format: Format::Folder,
                gzipped: false,
            };
            return Self::new(source, origin, options, known);
        }
        Self::of_opened(source::open(path, options)?, options, known)
    }
}

impl<'a> SeriesReader<'a> {
    /// Reads bytes from anywhere; `file` stands for them in messages, and its stem names the set.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn of_bytes(
        reader: impl BufRead + Send + 'a,
        file: &Path,
        options: &ReadOptions,
    ) -> Result<Self, ReadError> {
        options.validate()?;
        Self::of_opened(source::of_reader(reader, file, options)?, options, None)
    }

    /// Reads bytes that are to match the data that a model was trained on.
    ///
    /// # Errors
    ///
    /// As [`SeriesReader::open_like`].
    pub fn of_bytes_like(
        reader: impl BufRead + Send + 'a,
        file: &Path,
        options: &ReadOptions,
        schema: &TableSchema,
    ) -> Result<Self, ReadError> {
        let options = schema.complete(options);
        options.validate()?;
        Self::of_opened(
            source::of_reader(reader, file, &options)?,
            &options,
            Some(schema),
        )
    }

    fn of_opened(
        opened: Opened<'a>,
        options: &ReadOptions,
        known: Option<&TableSchema>,
    ) -> Result<Self, ReadError> {
        let origin = Origin {
            file: opened.file.display().to_string(),
            format: opened.format,
            gzipped: opened.gzipped,
        };
        options.check_use(&opened.file, opened.format)?;
        let asked = table::Asked { options, known };
        let source = match opened.format {
            Format::Ts => ts::read(opened, options)?,
            Format::Arff => arff::read(opened, asked)?,
            Format::Table => table::read(opened, asked)?,
            Format::Npy => npy::read(opened, options)?,
            Format::Npz => npz::read(opened, options)?,
            #[cfg(feature = "parquet")]
            Format::Parquet => super::parquet::read(opened, asked)?,
            #[cfg(not(feature = "parquet"))]
            Format::Parquet => return Err(source::no_parquet(&opened.file)),
            Format::Folder => {
                let place = Place::file(&opened.file);
                return Err(place.found("a file", "a folder, by --format folder"));
            }
        };
        Self::new(source, origin, options, known)
    }

    fn new(
        mut source: Box<dyn Source + 'a>,
        origin: Origin,
        options: &ReadOptions,
        known: Option<&TableSchema>,
    ) -> Result<Self, ReadError> {
        if let Some(schema) = known {
            let place = Place::file(Path::new(&origin.file));
            source = Box::new(Matched::new(source, schema, place)?);
        }
        if let Some(windows) = options.windows {
            source = Box::new(Windowed::new(source, windows));
        }
        Ok(Self {
            source,
            origin,
            options: options.clone(),
            n_variates: known.map(|known| known.n_variates),
            known: known.cloned(),
            n_rows: 0,
            n_rejected: 0,
            done: false,
        })
    }

    /// The next samples, `max` of them at most, and `None` at the end. Their class names are those
    /// of the schema, then others as they appear; without one, those of the part.
    ///
    /// # Errors
    ///
    /// [`ReadError`] names the file, the line and the column, what was found and what was expected.
    pub fn next_part(&mut self, max: usize) -> Result<Option<Part>, ReadError> {
        let (samples, rejected) = self.gather(max)?;
        if samples.is_empty() && rejected.is_empty() {
            return Ok(None);
        }
        let dataset = match samples.is_empty() {
            true => None,
            false => Some(self.dataset(samples)?),
        };
        Ok(Some(Part { dataset, rejected }))
    }

    /// What the reader decided so far, for people.
    pub fn notes(&mut self) -> &[String] {
        &self.source.facts().notes
    }

    /// What looks wrong so far, for people.
    pub fn warnings(&mut self) -> &[String] {
        &self.source.facts().warnings
    }

    /// Names of the id columns.
    pub fn id_names(&mut self) -> &[String] {
        &self.source.facts().ids
    }

    /// Malformed rows left out so far.
    pub fn n_rejected(&self) -> usize {
        self.n_rejected
    }

    /// All samples.
    pub(crate) fn read_all(mut self) -> Result<ReadSeries, ReadError> {
        let (samples, rejected) = self.gather(usize::MAX)?;
        self.source
            .facts()
            .rejected
            .extend(rejected.into_iter().map(|rejected| rejected.error));
        let file = self.origin.file.clone();
        if samples.is_empty() {
            return Err(match self.source.facts().rejected.drain(..).next() {
                Some(error) => error,
                None => Place::file(Path::new(&file)).found("no rows", "a row for each sample"),
            });
        }
        if self.known.is_none() {
            match self.refuse_targets(&samples) {
                Err(error) if self.options.labels != Labels::Required => {
                    self.source.facts().warnings.push(error.to_string());
                }
                checked => checked?,
            }
        }
        let n_variates = samples[0].series.n_variates();
        let dataset = self.dataset(samples)?;
        let facts = self.source.facts();
        let mut understanding = Understanding::new(&self.origin, facts, &dataset);
        let schema = TableSchema::new(facts, &self.options, (n_variates, dataset.class_names()));
        if let Some(known) = &self.known {
            understanding.compare(&known.class_names);
        }
        Ok(ReadSeries {
            dataset,
            understanding,
            schema,
        })
    }

    /// The next samples, and the malformed rows among them.
    fn gather(&mut self, max: usize) -> Result<(Vec<Sample>, Vec<Rejected>), ReadError> {
        let (mut samples, mut rejected) = (Vec::new(), Vec::new());
        while !self.done && samples.len() + rejected.len() < max {
            let row = self.n_rows;
            self.n_rows += 1;
            let next = self.source.next();
            match next.and_then(|sample| sample.map(|s| self.check(s)).transpose()) {
                Ok(Some(sample)) => samples.push(sample),
                Ok(None) => {
                    self.done = true;
                    self.n_rejected += self.source.facts().rejected.len();
                }
                Err(error) if self.options.on_error == OnError::Skip && error.line().is_some() => {
                    self.n_rejected += 1;
                    rejected.push(Rejected { row, error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok((samples, rejected))
    }

    fn place(&self, sample: &Sample) -> Place {
        let file = Path::new(&self.origin.file);
        match sample.line {
            0 => Place::file(file).field(format!("sample {}", sample.row + 1)),
            line => Place::line(file, line),
        }
    }

    /// Checks what all samples of all formats have to be.
    fn check(&mut self, sample: Sample) -> Result<Sample, ReadError> {
        let found = sample.series.n_variates();
        let expected = *self.n_variates.get_or_insert(found);
        if found != expected {
            let place = self.place(&sample);
            let as_in = match &self.known {
                Some(_) => "that the model was trained on",
                None => "of the first sample",
            };
            let error = place.found(
                format!("{found} variates"),
                format!("the {expected} {as_in}"),
            );
            return Err(error);
        }
        if !sample.step_labels.is_empty() && self.options.windows.is_none() {
            let mut labels = sample.step_labels.clone();
            labels.sort();
            labels.dedup();
            let found = format!("the labels {} within one sample", shortened(&labels));
            let error = self.place(&sample).found(found, "one label throughout");
            return Err(error.hint(
                "--window and --stride cut recordings into samples, --id-column tells samples apart",
            ));
        }
        if let Some(label) = &sample.label
            && let Some(listed) = &self.source.facts().classes
            && class_of_label(listed, label).is_none()
        {
            let expected = format!("one of: {}", shortened(listed));
            let found = format!("the class `{}`", super::text::excerpt(label));
            return Err(self.place(&sample).field("label").found(found, expected));
        }
        Ok(sample)
    }
}
