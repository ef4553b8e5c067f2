//! Tables with a row for each step or for each value: rows of one sample are put together.

use std::collections::HashMap;

use super::Reading;
use super::head::Head;
use super::roles::Roles;
use super::rows::Rows;
use super::wide::{check_count, field, label, value_error};
use crate::data::Series;
use crate::data::read::options::{Labels, OnError};
use crate::data::read::sample::{About, Facts, Loaded, Sample};
use crate::data::read::text::{Missing, parse_time};
use crate::data::read::{Place, ReadError};

/// Stands between the ids of a sample that has several.
const KEY_SEPARATOR: &str = "\u{1f}";
/// A gap is longer than the usual time between two steps by this factor.
const GAP: f64 = 1.5;

/// The samples of a table whose rows have all been read.
pub(super) struct Long;

/// The rows of one sample, in the order of the file.
#[derive(Default)]
struct Recording {
    /// From its first row.
    about: About,
    line: u64,
    times: Vec<f64>,
    /// A value for each value column and row.
    values: Vec<f32>,
    /// The variate of each row, where rows hold one value.
    variates: Vec<usize>,
    /// Index of the label of each row among all labels.
    labels: Vec<Option<usize>>,
}

/// Names, each with its number of first appearance.
#[derive(Default)]
struct Interned {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Interned {
    fn number(&mut self, name: &str) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }
}

/// Things that are counted while recordings are put together.
#[derive(Default)]
struct Counts {
    /// Times that a sample has twice.
    doubled: usize,
    /// Values that stand twice, of which the last one is kept.
    replaced: usize,
    gaps: usize,
    unsorted: usize,
    /// Samples whose steps have several labels, where none is needed.
    mixed: usize,
}

/// All that rows are put together with.
struct Builder<'a> {
    head: &'a Head,
    roles: &'a Roles,
    columns: Vec<usize>,
    missing: &'a Missing,
    labels: Labels,
    windowed: bool,
    recordings: Vec<Recording>,
    keys: Interned,
    classes: Interned,
    variates: Interned,
}

impl Long {
    /// Reads all rows.
    pub(super) fn read(
        mut rows: impl Rows,
        head: Head,
        roles: Roles,
        reading: Reading,
    ) -> Result<Loaded, ReadError> {
        let Reading {
            mut facts,
            missing,
            labels,
            on_error,
            windowed,
        } = reading;
        let columns = roles.rest(head.n_columns);
        let columns: Vec<usize> = columns
            .into_iter()
            .filter(|&c| Some(c) != roles.label)
            .collect();
        check_columns(&rows, &head, &roles, &columns)?;
        let mut builder = Builder {
            head: &head,
            roles: &roles,
            columns,
            missing: &missing,
            labels,
            windowed,
            recordings: Vec::new(),
            keys: Interned::default(),
            classes: Interned::default(),
            variates: Interned::default(),
        };
        if head.first_row_is_header {
            rows.advance()?;
        }
        loop {
            let added = match rows.advance() {
                Ok(false) => break,
                Ok(true) => builder.add(&rows),
                Err(error) => Err(error),
            };
            match added {
                Err(error) if on_error == OnError::Skip && error.line().is_some() => {
                    facts.rejected.push(error);
                }
                added => added?,
            }
        }
        let n_comments = rows.n_comments();
        if n_comments > 0 {
            facts
                .notes
                .push(format!("{n_comments} comment lines passed over"));
        }
        let samples = builder.finish(&rows, &mut facts)?;
        Ok(Loaded::new(samples, facts))
    }
}

fn check_columns(
    rows: &impl Rows,
    head: &Head,
    roles: &Roles,
    columns: &[usize],
) -> Result<(), ReadError> {
    let place = || Place::line(rows.file(), head.line);
    if columns.is_empty() {
        let error = place().found("no columns of values", "at least one");
        return Err(error.hint("--value-columns names them"));
    }
    if roles.variate.is_some() && columns.len() != 1 {
        let found = format!(
            "{} value columns beside that of the variates",
            columns.len()
        );
        let error = place().found(found, "one, as each row holds one value");
        return Err(error.hint("--value-columns names it, --ignore-columns the others"));
    }
    Ok(())
}

impl Builder<'_> {
    /// Adds the row at hand to its recording.
    fn add(&mut self, rows: &impl Rows) -> Result<(), ReadError> {
        check_count(rows, self.head)?;
        let label = label(
            rows,
            self.head,
            self.roles.label,
            (self.missing, self.labels),
        )?;
        let time = match self.roles.time {
            Some(column) => Some(parse_time(rows.cell(column)).ok_or_else(|| {
                let place = field(rows, self.head, column);
                place.found_text(
                    rows.cell(column),
                    "a number or a date such as 2024-05-31 12:00",
                )
            })?),
            None => None,
        };
        let value = |&column: &usize| {
            let value = self.missing.value(rows.cell(column));
            value.ok_or_else(|| value_error(rows, self.head, column, self.missing))
        };
        let values = self
            .columns
            .iter()
            .map(value)
            .collect::<Result<Vec<f32>, _>>()?;
        let about = self.roles.about(rows, self.head)?;
        let number = self.keys.number(&about.ids.join(KEY_SEPARATOR));
        if number == self.recordings.len() {
            let line = rows.line();
            self.recordings.push(Recording {
                about,
                line,
                ..Recording::default()
            });
        }
        let recording = &mut self.recordings[number];
        let time = time.unwrap_or(recording.times.len() as f64);
        recording.times.push(time);
        recording.values.extend(values);
        recording
            .labels
            .push(label.map(|label| self.classes.number(&label)));
        if let Some(column) = self.roles.variate {
            recording
                .variates
                .push(self.variates.number(rows.cell(column)));
        }
        Ok(())
    }

    fn finish(self, rows: &impl Rows, facts: &mut Facts) -> Result<Vec<Sample>, ReadError> {
        // Windows need the label of each step, and so does the reader to refuse a sample that needs one label; else
        // a label that changes is none.
        let keeps_step_labels = self.windowed || self.labels == Labels::Required;
        let Self {
            head,
            roles,
            columns,
            recordings,
            classes,
            variates,
            ..
        } = self;
        let order = ordered(&variates.names);
        facts.variates = match roles.variate {
            Some(_) => order
                .iter()
                .map(|&number| variates.names[number].clone())
                .collect(),
            None if head.names.is_some() => columns.iter().map(|&c| head.name(c)).collect(),
            None => Vec::new(),
        };
        let mut place = vec![0; order.len()];
        for (sorted, &number) in order.iter().enumerate() {
            place[number] = sorted;
        }
        let mut counts = Counts::default();
        let n_columns = if roles.variate.is_some() {
            order.len()
        } else {
            columns.len()
        };
        let mut samples = Vec::with_capacity(recordings.len());
        for (row, recording) in (0..).zip(recordings) {
            let at = Place::line(rows.file(), recording.line);
            let steps = match roles.variate {
                Some(_) => recording.by_value(&place, &mut counts),
                None => recording.by_step(n_columns, &mut counts),
            };
            counts.gaps += gaps(&steps.times);
            let series = Series::new(steps.values, steps.times.len(), n_columns);
            let series = series.and_then(|series| series.with_times(steps.times));
            let series = series.map_err(ReadError::series(at))?;
            let (label, step_labels) = labels_of(&steps.labels, &classes.names);
            let mut sample = Sample::new(row, recording.line, series, None);
            match step_labels.is_empty() || keeps_step_labels {
                true => (sample.label, sample.step_labels) = (label, step_labels),
                false => counts.mixed += 1,
            }
            sample.about = recording.about;
            samples.push(sample);
        }
        counts.say(facts);
        Ok(samples)
    }
}

/// The label of the last step that has one and, if others differ from it, those of all steps.
fn labels_of(steps: &[Option<usize>], classes: &[String]) -> (Option<String>, Vec<String>) {
    let named = |label: Option<usize>| label.map(|label| classes[label].clone());
    let last = steps.iter().flatten().next_back().copied();
    let differ = steps.iter().any(|label| label.is_some() && *label != last);
    let all = steps.iter().map(|&label| named(label).unwrap_or_default());
    match differ {
        true => (named(last), all.collect()),
        false => (named(last), Vec::new()),
    }
}

/// The steps of a recording, in order of time.
struct Steps {
    times: Vec<f64>,
    values: Vec<f32>,
    labels: Vec<Option<usize>>,
}

impl Recording {
    /// Rows in order of time; those of one time stay in that of the file.
    fn order(&self, counts: &mut Counts) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        counts.unsorted += usize::from(!self.times.is_sorted());
        order.sort_by(|&a, &b| self.times[a].total_cmp(&self.times[b]));
        order
    }

    fn by_step(&self, n_columns: usize, counts: &mut Counts) -> Steps {
        let order = self.order(counts);
        let times: Vec<f64> = order.iter().map(|&row| self.times[row]).collect();
        counts.doubled += times.windows(2).filter(|pair| pair[0] == pair[1]).count();
        let row_values = |&row: &usize| &self.values[row * n_columns..(row + 1) * n_columns];
        Steps {
            values: order.iter().flat_map(row_values).copied().collect(),
            labels: order.iter().map(|&row| self.labels[row]).collect(),
            times,
        }
    }

    fn by_value(&self, place: &[usize], counts: &mut Counts) -> Steps {
        let order = self.order(counts);
        let n_variates = place.len();
        let mut steps = Steps {
            times: Vec::new(),
            values: Vec::new(),
            labels: Vec::new(),
        };
        let mut seen = vec![false; n_variates];
        for row in order {
            let time = self.times[row];
            if steps.times.last() != Some(&time) {
                steps.times.push(time);
                steps.labels.push(None);
                steps
                    .values
                    .resize(steps.values.len() + n_variates, f32::NAN);
                seen.fill(false);
            }
            let variate = place[self.variates[row]];
            let start = steps.values.len() - n_variates;
            counts.replaced += usize::from(std::mem::replace(&mut seen[variate], true));
            steps.values[start + variate] = self.values[row];
            if let (Some(last), Some(label)) = (steps.labels.last_mut(), self.labels[row]) {
                *last = Some(label);
            }
        }
        steps
    }
}

impl Counts {
    fn say(&self, facts: &mut Facts) {
        if self.unsorted > 0 {
            let note = format!("rows of {} samples put in order of time", self.unsorted);
            facts.notes.push(note);
        }
        if self.doubled > 0 {
            let warning = format!("{} steps have the time of the step before", self.doubled);
            facts.warnings.push(warning);
        }
        if self.replaced > 0 {
            let warning = format!(
                "{} values stand twice for one time: the last one is kept",
                self.replaced
            );
            facts.warnings.push(warning);
        }
        if self.gaps > 0 {
            facts
                .warnings
                .push(format!("{} gaps between times", self.gaps));
        }
        if self.mixed > 0 {
            let warning = format!(
                "samples whose labels change are read without a label: {} (to train on them, --window \
                 and --stride cut recordings into samples, or --id-column tells samples apart)",
                self.mixed
            );
            facts.warnings.push(warning);
        }
    }
}

/// Steps that are further apart than usual.
fn gaps(times: &[f64]) -> usize {
    let mut between: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    between.sort_by(f64::total_cmp);
    let usual = between.get(between.len() / 2).copied().unwrap_or(0.0);
    between
        .iter()
        .filter(|&&gap| usual > 0.0 && gap > usual * GAP)
        .count()
}

/// Numbers of names, as numbers are ordered if all are numbers, else as they came.
fn ordered(names: &[String]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    let numbers: Option<Vec<f64>> = names.iter().map(|name| name.parse().ok()).collect();
    if let Some(numbers) = numbers {
        order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
    }
    order
}
