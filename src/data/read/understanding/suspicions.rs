//! What looks wrong in data that could be read.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_128;

use super::{Understanding, VariateRange};
use crate::data::read::error::shortened;
use crate::data::read::text::excerpt;
use crate::data::{LabeledSeries, SeriesDataset};

/// The largest class has so many times the samples of the smallest one before it is said.
const IMBALANCE: usize = 10;
impl Understanding {
    pub(super) fn warn_of_classes(&mut self) {
        let names = |is: &dyn Fn(usize) -> bool| {
            let found = self.classes.iter().filter(|class| is(class.samples));
            found.map(|class| class.name.as_str()).collect::<Vec<_>>()
        };
        let (empty, single) = (names(&|n| n == 0), names(&|n| n == 1));
        let mut warnings = Vec::new();
        if !empty.is_empty() {
            warnings.push(format!("classes without a sample: {}", shortened(&empty)));
        }
        if !single.is_empty() {
            warnings.push(format!("classes with one sample: {}", shortened(&single)));
        }
        let filled = self.classes.iter().filter(|class| class.samples > 0);
        let smallest = filled.clone().min_by_key(|class| class.samples);
        if let (Some(small), Some(large)) = (smallest, filled.max_by_key(|class| class.samples))
            && large.samples > IMBALANCE * small.samples
        {
            warnings.push(format!(
                "classes are unequal: {} samples of `{}`, {} of `{}`; --class-weights balanced makes \
                 them count alike",
                large.samples,
                excerpt(&large.name),
                small.samples,
                excerpt(&small.name)
            ));
        }
        let odd = ["NA", "na", "N/A", "n/a", "None", "none"];
        let odd = self
            .classes
            .iter()
            .find(|class| odd.contains(&class.name.as_str()));
        if let Some(class) = odd {
            let name = &class.name;
            warnings.push(format!(
                "`{name}` is taken for a class: --missing {name} says else"
            ));
        }
        if self.n_unlabeled > 0 && self.label.is_some() {
            warnings.push(format!("{} samples have no label", self.n_unlabeled));
        }
        self.warnings.append(&mut warnings);
    }

    pub(super) fn warn_of_values(&mut self, samples: &[LabeledSeries]) {
        let name = |variate: usize| match self.variates.get(variate) {
            Some(name) => name.clone(),
            None => (variate + 1).to_string(),
        };
        let which = |is: &dyn Fn(&VariateRange) -> bool| {
            let found = self
                .ranges
                .iter()
                .enumerate()
                .filter(|(_, range)| is(range));
            found.map(|(variate, _)| name(variate)).collect::<Vec<_>>()
        };
        let missing = which(&|range| range.range.is_none());
        let constant = which(&|range| range.range.is_some_and(|(low, high)| low == high));
        let mut warn = |names: Vec<String>, what: &str| {
            if !names.is_empty() {
                self.warnings.push(format!("{what}: {}", shortened(&names)));
            }
        };
        warn(missing, "variates without a value");
        warn(constant, "variates with one value throughout");
        let mut seen = HashSet::new();
        let (mut empty, mut short, mut doubled) = (0, 0, 0);
        for sample in samples {
            let values = sample.series.values();
            let is_empty = values.iter().all(|value| value.is_nan());
            empty += usize::from(is_empty);
            short += usize::from(sample.series.n_steps() == 1);
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            doubled += usize::from(!is_empty && !seen.insert(xxh3_128(&bytes)));
        }
        let mut count = |n: usize, what: &str| {
            if n > 0 {
                self.warnings.push(format!("{n} {what}"));
            }
        };
        count(empty, "series without a value");
        count(
            if short == samples.len() { 0 } else { short },
            "series of one step",
        );
        count(doubled, "series with the values of an earlier one");
        if short == samples.len() {
            self.warnings
                .push("all series have one step: no line can be drawn of them".to_owned());
        }
    }

    pub(super) fn warn_of_ids(&mut self, dataset: &SeriesDataset) {
        if let [only] = dataset.metadata().ids.as_slice() {
            let distinct: HashSet<&String> = only.values.iter().collect();
            let doubled = only.values.len() - distinct.len();
            if doubled > 0 {
                let name = excerpt(&only.name);
                self.warnings.push(format!(
                    "{doubled} samples have the `{name}` of an earlier one; if rows are steps, \
                     --time-column names the column of their times"
                ));
            }
        }
    }
}
