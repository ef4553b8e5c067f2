//! Reads numpy arrays: `X [n_samples, n_variates, n_steps]` or `[n_samples, n_steps]`.

mod array;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

pub(super) use self::array::Array;

use super::options::{Labels, Layout, ReadOptions};
use super::sample::{Facts, LabelOrigin, Sample, Source};
use super::source::Opened;
use super::text::set_name;
use super::{Place, ReadError};
use crate::data::Series;

/// The samples of an array, read as they are asked for.
pub(super) struct ArraySource<R> {
    array: Array<R>,
    n_samples: usize,
    n_variates: usize,
    n_steps: usize,
    layout: Layout,
    labels: Option<Vec<Option<String>>>,
    pub(super) about: super::npz::Columns,
    facts: Facts,
    row: usize,
}

impl<R: Read> ArraySource<R> {
    pub(super) fn new(
        array: Array<R>,
        options: &ReadOptions,
        mut facts: Facts,
    ) -> Result<Self, ReadError> {
        array.check_numbers()?;
        let layout = options.layout.unwrap_or(Layout::VariateMajor);
        let (n_samples, n_variates, n_steps) = match (array.shape.as_slice(), layout) {
            (&[n, steps], _) => (n, 1, steps),
            (&[n, variates, steps], Layout::VariateMajor) => (n, variates, steps),
            (&[n, steps, variates], Layout::TimeMajor) => (n, variates, steps),
            _ => {
                let found = format!("an array of the shape {:?}", array.shape);
                let expected = "[n_samples, n_variates, n_steps] or [n_samples, n_steps]";
                return Err(array.place.found(found, expected));
            }
        };
        array.n_elements()?;
        let axes = match (array.shape.len(), layout) {
            (2, _) => "[n_samples, n_steps]",
            (_, Layout::VariateMajor) => "[n_samples, n_variates, n_steps]",
            (_, Layout::TimeMajor) => "[n_samples, n_steps, n_variates]",
        };
        facts.notes.push(format!(
            "shape {:?} is {axes}: --layout says else",
            array.shape
        ));
        if n_variates > n_steps && options.layout.is_none() {
            let warning = format!(
                "{n_variates} variates of {n_steps} steps: --layout time-major reads [n_samples, \
                 n_steps, n_variates]"
            );
            facts.warnings.push(warning);
        }
        Ok(Self {
            array,
            n_samples,
            n_variates,
            n_steps,
            layout,
            labels: None,
            about: super::npz::Columns::default(),
            facts,
            row: 0,
        })
    }

    pub(super) fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// Adds the label of each sample.
    pub(super) fn set_labels(
        &mut self,
        labels: Vec<String>,
        origin: &str,
        required: bool,
    ) -> Result<(), ReadError> {
        let missing = super::text::Missing::default();
        let is_missing = |label: &String| missing.is_label(label);
        if let Some(at) = labels.iter().position(is_missing).filter(|_| required) {
            let place = self
                .array
                .place
                .clone()
                .field(format!("label of sample {}", at + 1));
            return Err(place.found_text(&labels[at], "the name of a class"));
        }
        let labels = labels
            .into_iter()
            .map(|label| Some(label).filter(|l| !is_missing(l)));
        self.labels = Some(labels.collect());
        self.facts.label = Some(LabelOrigin::of_file(origin));
        Ok(())
    }

    fn sample(&mut self) -> Result<Sample, ReadError> {
        let row = self.row;
        self.row += 1;
        let (n_steps, n_variates) = (self.n_steps, self.n_variates);
        let mut values = self.array.values(n_steps * n_variates)?;
        if self.layout == Layout::VariateMajor && n_variates > 1 {
            let steps = 0..n_steps;
            let at = |step: usize, variate: usize| values[variate * n_steps + step];
            values = steps
                .flat_map(|s| (0..n_variates).map(move |v| (s, v)))
                .map(|(s, v)| at(s, v))
                .collect();
        }
        // Shorter series are filled up at their ends.
        let known = values.iter().rposition(|value| !value.is_nan());
        let kept = known
            .map_or(1, |index| index / n_variates.max(1) + 1)
            .min(n_steps);
        values.truncate(kept * n_variates);
        let place = self
            .array
            .place
            .clone()
            .field(format!("sample {}", row + 1));
        let series = Series::new(values, kept, n_variates).map_err(ReadError::series(place))?;
        let label = self.labels.as_mut().and_then(|labels| labels[row].take());
        let about = self.about.take(row);
        Ok(Sample {
            about,
            ..Sample::new(row as u64, 0, series, label)
        })
    }
}

impl<R: Read> Source for ArraySource<R> {
    fn next(&mut self) -> Result<Option<Sample>, ReadError> {
        if self.row == self.n_samples {
            return Ok(None);
        }
        self.sample().map(Some)
    }

    fn facts(&mut self) -> &mut Facts {
        &mut self.facts
    }
}

/// Puts an array in order, if it is not, and makes samples of it.
pub(super) fn samples<'a, R: Read + Send + 'a>(
    array: Array<R>,
    options: &ReadOptions,
    facts: Facts,
) -> Result<ArraySource<Box<dyn Read + Send + 'a>>, ReadError> {
    ArraySource::new(array.ordered()?, options, facts)
}

/// Reads an `.npy` file, and the file of its labels.
pub(super) fn read<'a>(
    opened: Opened<'a>,
    options: &ReadOptions,
) -> Result<Box<dyn Source + 'a>, ReadError> {
    let file = opened.file.clone();
    let facts = Facts {
        name: set_name(&file),
        ..Facts::default()
    };
    let array = Array::open(opened.reader, Place::file(&file))?;
    let mut source = samples(array, options, facts)?;
    match &options.label_file {
        Some(path) if options.labels != Labels::Absent => {
            let required = options.labels == Labels::Required;
            let labels = labels_of(path, source.n_samples())?;
            let name = path.file_name().unwrap_or_default().display();
            let origin = format!("file \"{name}\"");
            source.set_labels(labels, &origin, required)?;
        }
        None if options.labels == Labels::Required => {
            let error = Place::file(&file).found("an array without labels", "a file of labels");
            return Err(error.hint("--label-file y.npy names it, --no-label reads without labels"));
        }
        _ => {}
    }
    Ok(Box::new(source))
}

/// The labels in an array beside that of the values.
fn labels_of(path: &Path, n_samples: usize) -> Result<Vec<String>, ReadError> {
    let file = File::open(path).map_err(ReadError::io(path))?;
    Array::open(BufReader::new(file), Place::file(path))?.texts(n_samples)
}
