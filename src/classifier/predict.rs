//! What the parts of a model say of a batch, and the one answer that is made of it.

use super::network::NetworkOutput;
use super::prediction::{Prediction, argmax};
use super::{CLOSED_FORM, NETWORK, PredictError, TimesClip};
use crate::data::{LabeledSeries, Series, SeriesDataset};

/// What the predictors of a model say of a batch.
pub(super) struct Answers {
    /// Probabilities by each predictor, `[samples, n_classes]`.
    pub(super) rows: Vec<Vec<f32>>,
    /// What else the networks say, if there are any.
    pub(super) outputs: Option<Vec<NetworkOutput>>,
}

/// Series that take the place of others.
struct OnGrid(Vec<Option<Series>>);

impl OnGrid {
    fn refs<'a>(&'a self, batch: &[(u64, &'a Series)]) -> Vec<(u64, &'a Series)> {
        let placed = self.0.iter().zip(batch);
        let placed = placed.map(|(placed, (id, series))| (*id, placed.as_ref().unwrap_or(series)));
        placed.collect()
    }
}

impl TimesClip {
    /// Embeddings by the networks; without them by the frozen encoders.
    pub(super) fn embed_batch(
        &self,
        batch: &[(u64, &Series)],
    ) -> Result<Vec<Vec<f32>>, PredictError> {
        let placed = self.on_grid(batch);
        let batch = &placed.refs(batch);
        if let Some(network) = &self.network {
            let outputs = network.forward(self.unlabeled(batch)?)?;
            return Ok(outputs.into_iter().map(|output| output.embedding).collect());
        }
        let series: Vec<&Series> = batch.iter().map(|(_, series)| *series).collect();
        let embeddings = match &self.closed_form {
            Some((features, _)) => features.embed(&series)?,
            None => None,
        };
        let modalities = self.modalities();
        embeddings.ok_or(PredictError::NoEmbedding { modalities })
    }

    /// Answers for at most [`BATCH`] series, of which the first is number `start`.
    pub(super) fn predict_batch(
        &self,
        batch: &[(u64, &Series)],
        start: usize,
    ) -> Result<Vec<Prediction>, PredictError> {
        Ok(self.pooled(batch, &self.answers(batch, start)?))
    }

    /// Predictions from the answers of all predictors to a batch.
    pub(super) fn pooled(&self, batch: &[(u64, &Series)], answers: &Answers) -> Vec<Prediction> {
        let members: Vec<&[f32]> = answers.rows.iter().map(Vec::as_slice).collect();
        let pooled = self.pool.pool(&members);
        let rows = batch
            .iter()
            .zip(pooled.chunks(self.pool.n_classes))
            .enumerate();
        let predictions = rows.map(|(i, ((id, _), row))| {
            let class = argmax(row);
            Prediction {
                id: *id,
                class,
                label: self.class_names()[class].clone(),
                probability: row[class],
                probabilities: row.to_vec(),
                variate_weights: answers
                    .outputs
                    .as_ref()
                    .and_then(|outputs| outputs[i].variate_weights.clone()),
            }
        });
        predictions.collect()
    }

    /// The predictors of the pool, and their weights.
    pub(super) fn predictor_names(&self) -> Vec<(&'static str, f64)> {
        let closed_form = self.closed_form.as_ref().map(|_| CLOSED_FORM);
        let network = self.network.as_ref().map(|_| NETWORK);
        let names = closed_form.into_iter().chain(network);
        names.zip(self.pool.weights.iter().copied()).collect()
    }

    /// The answers of every predictor, in the order of the pool.
    pub(super) fn answers(
        &self,
        batch: &[(u64, &Series)],
        start: usize,
    ) -> Result<Answers, PredictError> {
        self.check(batch, start)?;
        let placed = self.on_grid(batch);
        let batch = &placed.refs(batch);
        let mut rows = Vec::new();
        if let Some((features, head)) = &self.closed_form {
            let series: Vec<&Series> = batch.iter().map(|(_, series)| *series).collect();
            rows.push(head.probabilities(&features.rows(&series)?));
        }
        let outputs = match &self.network {
            Some(network) => Some(network.forward(self.unlabeled(batch)?)?),
            None => None,
        };
        if let Some(outputs) = &outputs {
            let row = outputs.iter().flat_map(|output| &output.probabilities);
            rows.push(row.copied().collect());
        }
        Ok(Answers { rows, outputs })
    }

    /// The unevenly spaced series of a batch, on the grid of the training series.
    fn on_grid(&self, batch: &[(u64, &Series)]) -> OnGrid {
        let place = |series| self.record.time_grid?.place(series);
        OnGrid(batch.iter().map(|(_, series)| place(series)).collect())
    }

    pub(super) fn check(&self, batch: &[(u64, &Series)], start: usize) -> Result<(), PredictError> {
        let expected = self.n_variates();
        let foreign = |(_, series): &&(u64, &Series)| series.n_variates() != expected;
        match (start..).zip(batch).find(|(_, sample)| foreign(sample)) {
            Some((index, (_, series))) => Err(PredictError::Variates {
                index,
                found: series.n_variates(),
                expected,
            }),
            None => Ok(()),
        }
    }

    /// A batch as a set, for the networks; ids and labels mean nothing.
    pub(super) fn unlabeled(
        &self,
        batch: &[(u64, &Series)],
    ) -> Result<SeriesDataset, PredictError> {
        let samples = (0..).zip(batch).map(|(id, (_, series))| LabeledSeries {
            id,
            series: (*series).clone(),
            label: 0,
        });
        let names = self.class_names().to_vec();
        Ok(SeriesDataset::new("batch", names, samples.collect())?)
    }
}
