//! From samples to a data set.

use std::path::Path;

use super::SeriesReader;
use crate::data::classes::Classes;
use crate::data::read::error::shortened;
use crate::data::read::sample::Sample;
use crate::data::read::text::is_number;
use crate::data::read::{Place, ReadError};
use crate::data::{LabeledSeries, Metadata, SeriesDataset, TextColumn};

/// A label column with more distinct numbers than this may be a target of regression.
const MANY_NUMBERS: usize = 10;

impl SeriesReader<'_> {
    /// Refuses labels that are numbers of a scale, unless the file lists them as classes.
    pub(super) fn refuse_targets(&mut self, samples: &[Sample]) -> Result<(), ReadError> {
        if self.source.facts().classes.is_some() {
            return Ok(());
        }
        let mut distinct: Vec<&str> = samples.iter().filter_map(|s| s.label.as_deref()).collect();
        let n = distinct.len();
        distinct.sort_unstable();
        distinct.dedup();
        let numbers = distinct.iter().all(|label| is_number(label));
        let whole = |label: &&str| label.parse().is_ok_and(|number: f64| number.fract() == 0.0);
        let scale = !distinct.iter().all(whole) && distinct.len() * 2 > n;
        let counted = distinct.len() == n;
        if distinct.len() <= MANY_NUMBERS || !numbers || !(scale || counted) {
            return Ok(());
        }
        let n_distinct = distinct.len();
        let facts = self.source.facts();
        let label = facts
            .label
            .as_ref()
            .map(|label| label.text.clone())
            .unwrap_or_default();
        let found = format!(
            "{n_distinct} different numbers in {n} samples as labels, from {label}: it looks like a \
             regression target"
        );
        let place = Place::file(Path::new(&self.origin.file));
        let mut could_be = facts.could_be_labels.clone();
        could_be.retain(|column| *column != label);
        let error = place.found(found, "the names of a few classes");
        Err(match could_be.is_empty() {
            true => error.hint("--label-column names the column of the classes"),
            false => error.hint(format!(
                "--label-column names the column of the classes; it could be {}",
                shortened(&could_be)
            )),
        })
    }

    pub(super) fn dataset(&mut self, samples: Vec<Sample>) -> Result<SeriesDataset, ReadError> {
        let file = self.origin.file.clone();
        let file = Path::new(&file);
        let facts = self.source.facts();
        let mut classes = match &facts.classes {
            Some(listed) => Classes::listed(listed.clone()),
            None => Classes::from_rows(),
        };
        let named = |name: &String| TextColumn {
            name: name.clone(),
            values: Vec::new(),
        };
        let mut metadata = Metadata {
            variates: facts.variates.clone(),
            ids: facts.ids.iter().map(named).collect(),
            groups: facts.group.as_ref().map(named),
            weights: facts.weight.is_some().then(Vec::new),
        };
        let mut labeled = Vec::with_capacity(samples.len());
        for Sample {
            row,
            series,
            label,
            about,
            ..
        } in samples
        {
            let label = match label {
                Some(label) => classes.index_of(&label).unwrap_or_default(),
                None => classes.unlabeled(),
            };
            for (column, id) in metadata.ids.iter_mut().zip(about.ids) {
                column.values.push(id);
            }
            if let Some(groups) = &mut metadata.groups {
                groups.values.push(about.group.unwrap_or_default());
            }
            if let Some(weights) = &mut metadata.weights {
                weights.push(about.weight.unwrap_or(1.0));
            }
            labeled.push(LabeledSeries {
                id: row,
                series,
                label,
            });
        }
        let names = classes.into_names(&mut labeled);
        let dataset = SeriesDataset::new(facts.name.clone(), names, labeled)
            .and_then(|dataset| dataset.with_metadata(metadata))
            .map_err(ReadError::dataset(file))?;
        match &self.known {
            None => Ok(dataset),
            Some(known) => {
                let matched = dataset.match_classes(&known.class_names);
                Ok(matched.map_err(ReadError::dataset(file))?.dataset)
            }
        }
    }
}
