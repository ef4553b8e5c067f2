//! Reads a folder: a folder for each class, and in it a table for each sample, a row a step.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::shortened;
use super::options::{Format, Labels, OnError, ReadOptions};
use super::sample::{About, Facts, LabelOrigin, Sample, Source};
use super::schema::TableSchema;
use super::{Place, ReadError, source, table};
use crate::data::Series;

/// What leaves out what is malformed.
const SKIP: &str = "--on-error skip leaves malformed rows and files out";

/// The samples of a folder, read as they are asked for.
struct Folder {
    root: PathBuf,
    /// Files and their classes.
    files: std::vec::IntoIter<(PathBuf, Option<String>)>,
    options: ReadOptions,
    /// The table that the files are to match.
    known: Option<TableSchema>,
    /// Names and number of the variates of the first file; of the first that is not malformed, where
    /// such files are left out.
    first: Option<(Vec<String>, usize)>,
    facts: Facts,
    row: u64,
}

/// Reads a folder; `known` is the table that its files are to match.
pub(super) fn read(
    root: &Path,
    options: &ReadOptions,
    known: Option<&TableSchema>,
) -> Result<Box<dyn Source>, ReadError> {
    let files = files(root, options.labels)?;
    let labeled = files.iter().any(|(_, class)| class.is_some());
    let origin = LabelOrigin::of_file("the names of the folders");
    let mut folder = Folder {
        root: root.to_owned(),
        files: files.into_iter(),
        options: options.clone(),
        known: known.cloned(),
        first: None,
        facts: Facts {
            name: root
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            label: labeled.then_some(origin),
            ids: vec!["file".to_owned()],
            ..Facts::default()
        },
        row: 0,
    };
    folder.read_names()?;
    Ok(Box::new(folder))
}

/// The files of a folder, at least one, and their classes.
fn files(root: &Path, labels: Labels) -> Result<Vec<(PathBuf, Option<String>)>, ReadError> {
    let mut files = Vec::new();
    let folders = entries(root, true)?;
    for class in &folders {
        let name = class
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.extend(
            entries(class, false)?
                .into_iter()
                .map(|file| (file, Some(name.clone()))),
        );
    }
    if folders.is_empty() {
        if labels == Labels::Required {
            let error = Place::file(root).found("no folders in it", "a folder for each class");
            return Err(error.hint("--no-label reads files without classes"));
        }
        files.extend(entries(root, false)?.into_iter().map(|file| (file, None)));
    }
    if files.is_empty() {
        return Err(Place::file(root).found("no files in it", "a file for each sample"));
    }
    if labels == Labels::Absent {
        files.iter_mut().for_each(|(_, class)| *class = None);
    }
    Ok(files)
}

/// The folders or the files in a folder, by name, but for hidden ones.
fn entries(folder: &Path, folders: bool) -> Result<Vec<PathBuf>, ReadError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(ReadError::io(folder))? {
        let entry = entry.map_err(ReadError::io(folder))?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        let path = entry.path();
        if !hidden && path.is_dir() == folders {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl Folder {
    /// Takes the names of the variates from the first file. If all are malformed and left out, there
    /// are none.
    fn read_names(&mut self) -> Result<(), ReadError> {
        let mut first = None;
        for (file, _) in self.files.as_slice() {
            match self.recording(file) {
                // One that lacks a variate of the model is malformed.
                Ok((_, facts)) if self.leaves_out_files() && self.lacks_variates(&facts) => {}
                Ok(found) => {
                    first = Some(found);
                    break;
                }
                Err(error) if self.leaves_out(&error) => {}
                Err(error) => return Err(with_remedy(error)),
            }
        }
        if let Some((series, facts)) = first {
            self.first = Some((facts.variates.clone(), series.n_variates()));
            self.facts.variates = facts.variates;
            self.facts.time = facts.time;
            self.facts.ignored = facts.ignored;
            self.facts.notes = facts.notes;
        }
        Ok(())
    }

    fn recording(&self, file: &Path) -> Result<(Series, Facts), ReadError> {
        let opened = source::open(file, &self.options)?;
        if opened.format != Format::Table {
            let found = format!("a {}", opened.format);
            return Err(Place::file(file).found(found, "a table with a row for each step"));
        }
        let why = match self.facts.label.is_some() {
            true => "classes come from the names of the folders",
            false => "no labels are read",
        };
        let recordings = table::Recordings {
            known: self.known.as_ref(),
            why_no_labels: why,
        };
        let (sample, facts) = table::read_recording(opened, &self.options, &recordings)?;
        Ok((sample.series, facts))
    }

    /// Refuses a file with other columns than the first one.
    fn check(&self, file: &Path, found: (&[String], usize)) -> Result<(), ReadError> {
        let Some((names, n_variates)) = &self.first else {
            return Ok(());
        };
        let first = (&names[..], *n_variates);
        if found == first {
            return Ok(());
        }
        let expected = format!("{} as in the first file", described(first));
        Err(Place::file(file).found(described(found), expected))
    }

    fn sample(&mut self, file: &Path, label: Option<String>) -> Result<Sample, ReadError> {
        let row = self.row;
        // A file that is left out has a number, too.
        self.row += 1;
        let (series, facts) = self.recording(file)?;
        self.check(file, (&facts.variates[..], series.n_variates()))?;
        for warning in facts.warnings {
            self.facts
                .warnings
                .push(format!("`{}`: {warning}", file.display()));
        }
        self.facts.rejected.extend(facts.rejected);
        let name = file
            .strip_prefix(&self.root)
            .unwrap_or(file)
            .display()
            .to_string();
        let about = About {
            ids: vec![name],
            ..About::default()
        };
        Ok(Sample {
            about,
            ..Sample::new(row, 0, series, label)
        })
    }

    /// Whether a file with this error is left out: it is malformed, not out of reach.
    fn leaves_out(&self, error: &ReadError) -> bool {
        self.leaves_out_files() && !matches!(error, ReadError::Io(_))
    }

    fn leaves_out_files(&self) -> bool {
        self.options.on_error == OnError::Skip
    }

    /// Whether a file has no column for a variate that the model knows by its name.
    fn lacks_variates(&self, facts: &Facts) -> bool {
        let known = self.known.iter().flat_map(|known| &known.variates);
        let mut missing = known.filter(|name| !facts.variates.contains(name));
        !facts.variates.is_empty() && missing.next().is_some()
    }
}

/// Columns of values in words, by their names, or by their number where they have none.
fn described((names, n_variates): (&[String], usize)) -> String {
    match names {
        [] => format!("{n_variates} columns of values without names"),
        names => format!("the columns {}", shortened(names)),
    }
}

/// The error of a file, with what would leave it out.
fn with_remedy(error: ReadError) -> ReadError {
    let error = match error {
        ReadError::Foreign {
            file,
            found,
            expected,
        } => Place::file(&file).found(found, expected),
        other => other,
    };
    let hint = match &error {
        ReadError::Content { hint, .. } => hint.clone(),
        _ => None,
    };
    match hint {
        Some(hint) if hint.contains("--on-error skip") => error,
        Some(hint) => error.hint(format!("{hint}, {SKIP}")),
        None => error.hint(SKIP),
    }
}

impl Source for Folder {
    fn next(&mut self) -> Result<Option<Sample>, ReadError> {
        loop {
            let Some((file, label)) = self.files.next() else {
                return Ok(None);
            };
            match self.sample(&file, label) {
                Ok(sample) => return Ok(Some(sample)),
                Err(error) if self.leaves_out(&error) => self.facts.rejected.push(error),
                Err(error) => return Err(with_remedy(error)),
            }
        }
    }

    fn facts(&mut self) -> &mut Facts {
        &mut self.facts
    }
}
