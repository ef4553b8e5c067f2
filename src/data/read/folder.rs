//! Reads a folder: a folder for each class, and in it a table for each sample, a row a step.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::shortened;
use super::options::{Format, Labels, ReadOptions};
use super::sample::{About, Facts, LabelOrigin, Sample, Source};
use super::{Place, ReadError, source, table};
use crate::data::Series;

/// The samples of a folder, read as they are asked for.
struct Folder {
    root: PathBuf,
    /// Files and their classes.
    files: std::vec::IntoIter<(PathBuf, Option<String>)>,
    options: ReadOptions,
    facts: Facts,
    row: u64,
}

/// Reads a folder.
pub(super) fn read(root: &Path, options: &ReadOptions) -> Result<Box<dyn Source>, ReadError> {
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
    let labeled = !folders.is_empty();
    if !labeled {
        if options.labels == Labels::Required {
            let error = Place::file(root).found("no folders in it", "a folder for each class");
            return Err(error.hint("--no-label reads files without classes"));
        }
        files.extend(entries(root, false)?.into_iter().map(|file| (file, None)));
    }
    if files.is_empty() {
        return Err(Place::file(root).found("no files in it", "a file for each sample"));
    }
    if options.labels == Labels::Absent {
        files.iter_mut().for_each(|(_, class)| *class = None);
    }
    let origin = LabelOrigin::of_file("the names of the folders");
    let mut folder = Folder {
        root: root.to_owned(),
        files: files.into_iter(),
        options: options.clone(),
        facts: Facts {
            name: root
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            label: (labeled && options.labels != Labels::Absent).then_some(origin),
            ids: vec!["file".to_owned()],
            ..Facts::default()
        },
        row: 0,
    };
    folder.read_names()?;
    Ok(Box::new(folder))
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
    /// Takes the names of the variates from the first file.
    fn read_names(&mut self) -> Result<(), ReadError> {
        if let Some((file, _)) = self.files.as_slice().first() {
            let (_, facts) = self.recording(&file.clone())?;
            self.facts.variates = facts.variates;
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
        let (sample, facts) = table::read_recording(opened, &self.options)?;
        Ok((sample.series, facts))
    }

    fn sample(&mut self, file: &Path, label: Option<String>) -> Result<Sample, ReadError> {
        let row = self.row;
        self.row += 1;
        let (series, facts) = self.recording(file)?;
        if facts.variates != self.facts.variates {
            let found = format!("the columns {}", shortened(&facts.variates));
            let expected = format!("{} as in the first file", shortened(&self.facts.variates));
            return Err(Place::file(file).found(found, expected));
        }
        for warning in facts.warnings {
            self.facts
                .warnings
                .push(format!("`{}`: {warning}", file.display()));
        }
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
}

impl Source for Folder {
    fn next(&mut self) -> Result<Option<Sample>, ReadError> {
        match self.files.next() {
            Some((file, label)) => self.sample(&file, label).map(Some),
            None => Ok(None),
        }
    }

    fn facts(&mut self) -> &mut Facts {
        &mut self.facts
    }
}
