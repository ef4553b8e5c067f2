//! `Understanding`: what a reader made of a file, and what looks suspicious, in words.

mod suspicions;

use std::collections::HashSet;
use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::error::shortened;
use super::options::Format;
use super::sample::Facts;
use super::text::{excerpt, visible};
use crate::data::{LabeledSeries, SeriesDataset};

/// Malformed rows that are kept with their messages.
pub(crate) const KEPT_MESSAGES: usize = 20;

/// What was understood of data that were read. Its `Display` is one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Understanding {
    /// The file, as it was given.
    pub file: String,
    /// What kind of file it is.
    pub format: Format,
    /// Whether it is compressed.
    pub gzipped: bool,
    /// Number of samples.
    pub n_samples: usize,
    /// Number of variates.
    pub n_variates: usize,
    /// Names of the variates; empty where they have none.
    pub variates: Vec<String>,
    /// Steps of the shortest and of the longest series.
    pub n_steps: (usize, usize),
    /// Classes that have a name, and their samples.
    pub classes: Vec<ClassCount>,
    /// Samples without a label.
    pub n_unlabeled: usize,
    /// Where the classes come from; `None` if nowhere.
    pub label: Option<String>,
    /// Columns that are carried through.
    pub ids: Vec<String>,
    /// The group column, and the number of groups.
    pub groups: Option<(String, usize)>,
    /// The weight column.
    pub weight: Option<String>,
    /// Columns that were passed over.
    pub ignored: Vec<String>,
    /// Values of each variate.
    pub ranges: Vec<VariateRange>,
    /// Share of all values that are missing.
    pub missing_share: f64,
    /// Series with times, because their steps are not evenly spaced.
    pub n_timed: usize,
    /// What was decided.
    pub notes: Vec<String>,
    /// What looks wrong, but could be read.
    pub warnings: Vec<String>,
    /// Malformed rows that were left out.
    pub n_rejected: usize,
    /// Messages of the first of them.
    pub rejected: Vec<String>,
}

/// A class and its samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// Name of the class.
    pub name: String,
    /// Number of its samples.
    pub samples: usize,
}

/// Values of one variate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariateRange {
    /// The smallest and the largest value; `None` if all are missing.
    pub range: Option<(f32, f32)>,
    /// Share of its values that are missing.
    pub missing_share: f64,
}

/// Where samples come from.
pub(crate) struct Origin {
    pub(crate) file: String,
    pub(crate) format: Format,
    pub(crate) gzipped: bool,
}

impl Understanding {
    pub(crate) fn new(origin: &Origin, facts: &Facts, dataset: &SeriesDataset) -> Self {
        let samples = dataset.samples();
        let steps = samples.iter().map(|sample| sample.series.n_steps());
        let low = steps.clone().min().unwrap_or(0);
        let counts = dataset.class_names().iter().zip(dataset.class_counts());
        let (named, unnamed): (Vec<_>, Vec<_>) = counts.partition(|(name, _)| !name.is_empty());
        let classes = named.into_iter().map(|(name, samples)| ClassCount {
            name: name.clone(),
            samples,
        });
        let ranges = ranges(samples, dataset.n_variates());
        let n_variates = ranges.len().max(1) as f64;
        let groups = facts.group.clone().zip(dataset.groups());
        let mut understanding = Self {
            file: origin.file.clone(),
            format: origin.format,
            gzipped: origin.gzipped,
            n_samples: dataset.len(),
            n_variates: dataset.n_variates(),
            variates: dataset.variate_names().to_vec(),
            n_steps: (low, dataset.max_steps()),
            classes: classes.collect(),
            n_unlabeled: unnamed.into_iter().map(|(_, samples)| samples).sum(),
            label: facts.label.as_ref().map(|label| label.text.clone()),
            ids: dataset
                .metadata()
                .ids
                .iter()
                .map(|column| column.name.clone())
                .collect(),
            groups: groups.map(|(name, all)| (name, all.iter().collect::<HashSet<_>>().len())),
            weight: facts.weight.clone(),
            ignored: facts.ignored.clone(),
            missing_share: ranges.iter().map(|range| range.missing_share).sum::<f64>() / n_variates,
            ranges,
            n_timed: samples
                .iter()
                .filter(|sample| sample.series.times().is_some())
                .count(),
            notes: facts.notes.clone(),
            warnings: facts.warnings.clone(),
            n_rejected: facts.rejected.len(),
            rejected: Vec::new(),
        };
        let kept = facts.rejected.iter().take(KEPT_MESSAGES);
        understanding.rejected = kept.map(ToString::to_string).collect();
        understanding.warn_of_classes();
        understanding.warn_of_values(samples);
        understanding.warn_of_ids(dataset);
        understanding
    }

    /// Says how the classes differ from those of a model.
    pub(crate) fn compare(&mut self, class_names: &[String]) {
        let unseen = self
            .classes
            .iter()
            .filter(|class| !class_names.contains(&class.name));
        let unseen: Vec<String> = unseen
            .map(|class| format!("{} ({})", class.name, class.samples))
            .collect();
        if !unseen.is_empty() {
            self.warnings.push(format!(
                "classes that the model does not know, with their samples, which count as wrong: {}",
                shortened(&unseen)
            ));
        }
    }

    /// All that was understood, in lines: classes, lengths, values, decisions, suspicions.
    pub fn inspect(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = self.write_inspection(&mut text);
        text
    }

    fn write_inspection(&self, text: &mut String) -> fmt::Result {
        let packed = if self.gzipped { ", gzipped" } else { "" };
        writeln!(text, "{}: {}{packed}", excerpt(&self.file), self.format)?;
        writeln!(text, "{self}")?;
        if !self.classes.is_empty() {
            writeln!(text, "classes")?;
            let all = self.n_samples as f64 / 100.0;
            for class in &self.classes {
                let share = class.samples as f64 / all;
                let name = excerpt(&class.name);
                writeln!(text, "  {name:<20} {:>8} {share:>6.1} %", class.samples)?;
            }
        }
        writeln!(text, "missing values: {:.2} %", self.missing_share * 100.0)?;
        writeln!(text, "variates")?;
        for (variate, values) in self.ranges.iter().enumerate() {
            let name = self.variates.get(variate).map(|name| excerpt(name));
            let name = name.unwrap_or_else(|| (variate + 1).to_string());
            let missing = values.missing_share * 100.0;
            match values.range {
                Some((low, high)) => {
                    writeln!(text, "  {name:<20} {low} to {high}, {missing:.2} % missing")?;
                }
                None => writeln!(text, "  {name:<20} no value")?,
            }
        }
        for (title, lines) in [
            ("understood", &self.notes),
            ("suspicious", &self.warnings),
            ("left out", &self.rejected),
        ] {
            if !lines.is_empty() {
                writeln!(text, "{title}")?;
                lines
                    .iter()
                    .try_for_each(|line| writeln!(text, "  {}", visible(line)))?;
            }
        }
        if self.n_rejected > self.rejected.len() {
            writeln!(text, "  and {} more", self.n_rejected - self.rejected.len())?;
        }
        Ok(())
    }
}

impl fmt::Display for Understanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}",
            count(self.n_samples, "sample"),
            count(self.n_variates, "variate")
        )?;
        if !self.variates.is_empty() {
            write!(f, " ({})", shortened(&self.variates))?;
        }
        match self.n_steps {
            (low, high) if low == high => write!(f, ", {}", count(high, "step"))?,
            (low, high) => write!(f, ", {low} to {high} steps")?,
        }
        match &self.label {
            None => f.write_str(", no labels")?,
            Some(label) => {
                let n = self.classes.len();
                let classes = if n == 1 {
                    "1 class".to_owned()
                } else {
                    format!("{n} classes")
                };
                write!(f, ", {classes} from {label}")?;
            }
        }
        let quoted = |names: &[String]| {
            let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
            let plural = if names.len() == 1 {
                "column"
            } else {
                "columns"
            };
            format!("{plural} {}", shortened(&names))
        };
        if !self.ids.is_empty() {
            write!(f, ", {} carried through", quoted(&self.ids))?;
        }
        if let Some((name, n)) = &self.groups {
            write!(
                f,
                ", {} from column \"{}\"",
                count(*n, "group"),
                excerpt(name)
            )?;
        }
        if let Some(name) = &self.weight {
            write!(f, ", weights from column \"{}\"", excerpt(name))?;
        }
        if !self.ignored.is_empty() {
            write!(f, ", {} passed over", quoted(&self.ignored))?;
        }
        if self.n_timed > 0 {
            write!(f, ", {} with uneven times", self.n_timed)?;
        }
        if self.n_rejected > 0 {
            write!(f, ", {} left out", count(self.n_rejected, "malformed row"))?;
        }
        Ok(())
    }
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn ranges(samples: &[LabeledSeries], n_variates: usize) -> Vec<VariateRange> {
    let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY, 0_usize); n_variates];
    let mut n_steps = 0;
    for sample in samples {
        n_steps += sample.series.n_steps();
        for step in sample.series.values().chunks_exact(n_variates) {
            for (range, &value) in ranges.iter_mut().zip(step) {
                range.0 = range.0.min(value);
                range.1 = range.1.max(value);
                range.2 += usize::from(value.is_nan());
            }
        }
    }
    let range = |(low, high, missing): (f32, f32, usize)| VariateRange {
        range: (low <= high).then_some((low, high)),
        missing_share: missing as f64 / n_steps.max(1) as f64,
    };
    ranges.into_iter().map(range).collect()
}
