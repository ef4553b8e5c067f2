//! Samples that are windows over the recordings of a file.

use std::collections::VecDeque;

use super::sample::{About, Facts, Sample, Source};
use super::{Place, ReadError};
use crate::data::window::Windows;

/// Names of the columns that say which part of a recording a window is.
const BOUNDS: [&str; 2] = ["window_start", "window_end"];

/// Windows over the samples of a source.
pub(super) struct Windowed<'a> {
    source: Box<dyn Source + 'a>,
    windows: Windows,
    ready: VecDeque<Sample>,
    n_windows: u64,
    n_recordings: usize,
    /// Recordings that are shorter than a window.
    n_short: usize,
    /// Windows without the one label that the rule asks for.
    n_mixed: usize,
}

impl<'a> Windowed<'a> {
    pub(super) fn new(mut source: Box<dyn Source + 'a>, windows: Windows) -> Self {
        let facts = source.facts();
        if facts.ids.is_empty() {
            facts.ids.push("recording".to_owned());
        }
        facts.group.get_or_insert_with(|| "recording".to_owned());
        facts.ids.extend(BOUNDS.map(str::to_owned));
        Self {
            source,
            windows,
            ready: VecDeque::new(),
            n_windows: 0,
            n_recordings: 0,
            n_short: 0,
            n_mixed: 0,
        }
    }

    /// Cuts a recording.
    fn cut(&mut self, recording: &Sample) -> Result<(), ReadError> {
        let Sample {
            line,
            series,
            label,
            step_labels,
            about,
            row,
        } = recording;
        self.n_recordings += 1;
        let name = match about.ids.is_empty() {
            true => row.to_string(),
            false => about.ids.join(" "),
        };
        let before = self.n_windows;
        for start in self.windows.starts(series.n_steps()) {
            let range = start..start + self.windows.length;
            self.n_windows += 1;
            let label = match step_labels.get(range.clone()) {
                Some(labels) => match self.windows.label_of(labels) {
                    Some(label) => (!label.is_empty()).then(|| label.to_owned()),
                    None => {
                        self.n_mixed += 1;
                        continue;
                    }
                },
                None => label.clone(),
            };
            let mut ids = about.ids.clone();
            if ids.is_empty() {
                ids.push(name.clone());
            }
            ids.extend([start.to_string(), range.end.to_string()]);
            let part = series
                .steps(range)
                .map_err(ReadError::series(Place::default()))?;
            let about = About {
                ids,
                group: Some(about.group.clone().unwrap_or_else(|| name.clone())),
                weight: about.weight,
            };
            let number = self.n_windows - 1;
            self.ready.push_back(Sample {
                about,
                ..Sample::new(number, *line, part, label)
            });
        }
        self.n_short += usize::from(before == self.n_windows);
        Ok(())
    }

    fn say(&mut self) {
        let Windows { length, stride, .. } = self.windows;
        let note = format!(
            "windows of {length} steps every {stride} over {} recordings",
            self.n_recordings
        );
        let (short, mixed) = (self.n_short, self.n_mixed);
        let facts = self.source.facts();
        facts.notes.push(note);
        if short > 0 {
            facts.warnings.push(format!(
                "{short} recordings are shorter than a window: left out"
            ));
        }
        if mixed > 0 {
            facts
                .warnings
                .push(format!("{mixed} windows have several labels: left out"));
        }
    }
}

impl Source for Windowed<'_> {
    fn next(&mut self) -> Result<Option<Sample>, ReadError> {
        while self.ready.is_empty() {
            match self.source.next()? {
                Some(recording) => self.cut(&recording)?,
                None => {
                    self.say();
                    return Ok(None);
                }
            }
        }
        Ok(self.ready.pop_front())
    }

    fn facts(&mut self) -> &mut Facts {
        self.source.facts()
    }
}
