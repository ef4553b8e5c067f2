//! What a data set knows of its samples and variates besides values and classes.

use serde::{Deserialize, Serialize};

use super::{LabeledSeries, SeriesError};

/// One text for each sample, and what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextColumn {
    /// Name of the column.
    pub name: String,
    /// One text for each sample.
    pub values: Vec<String>,
}

/// Names of variates, and what is carried along with the samples through subsets and splits.
///
/// The default knows nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// Names of the variates `[n_variates]`; empty where they have none.
    pub variates: Vec<String>,
    /// Columns that name the samples, carried through to predictions.
    pub ids: Vec<TextColumn>,
    /// What samples belong to, a subject or a recording: no group is on both sides of a split.
    pub groups: Option<TextColumn>,
    /// How much a sample counts `[n_samples]`.
    pub weights: Option<Vec<f32>>,
}

impl Metadata {
    /// Checks that there is one entry for each sample, and one name for each variate or none.
    pub(super) fn check(&self, samples: &[LabeledSeries]) -> Result<(), SeriesError> {
        let count = |what: &str, found: usize, expected: usize| match found == expected {
            true => Ok(()),
            false => Err(SeriesError::Metadata {
                what: what.to_owned(),
                found,
                expected,
            }),
        };
        let n_variates = samples.first().map_or(0, |first| first.series.n_variates());
        if !self.variates.is_empty() {
            count("variate names", self.variates.len(), n_variates)?;
        }
        for column in self.ids.iter().chain(&self.groups) {
            count(
                &format!("values of `{}`", column.name),
                column.values.len(),
                samples.len(),
            )?;
        }
        let Some(weights) = &self.weights else {
            return Ok(());
        };
        count("weights", weights.len(), samples.len())?;
        let wrong = |(_, weight): &(_, &f32)| !(weight.is_finite() && **weight >= 0.0);
        match samples.iter().zip(weights).find(wrong) {
            Some((&LabeledSeries { id, .. }, &weight)) => Err(SeriesError::Weight { id, weight }),
            None => Ok(()),
        }
    }

    /// The entries of the samples at the given indices, all of which exist.
    pub(super) fn subset(&self, indices: &[usize]) -> Self {
        let pick = |column: &TextColumn| TextColumn {
            name: column.name.clone(),
            values: indices
                .iter()
                .map(|&index| column.values[index].clone())
                .collect(),
        };
        let weights = self.weights.as_ref();
        Self {
            variates: self.variates.clone(),
            ids: self.ids.iter().map(pick).collect(),
            groups: self.groups.as_ref().map(pick),
            weights: weights.map(|all| indices.iter().map(|&index| all[index]).collect()),
        }
    }
}
