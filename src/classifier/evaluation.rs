//! Scoring a model on a labeled set.

use serde::Serialize;

use super::prediction::Prediction;
use super::record::HeldOutScore;
use super::{BATCH, PredictError, TimesClip, score};
use crate::data::{Series, SeriesDataset};
use crate::metrics::{ClassMetrics, ConfusionMatrix};

/// Scores of a model on a labeled set, and its predictions for it.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Number of samples.
    pub n_samples: usize,
    /// Share of samples whose class was predicted; those of unknown classes count as errors.
    pub accuracy: f64,
    /// Mean over the classes that have samples of the share predicted as them.
    pub balanced_accuracy: Option<f64>,
    /// Mean of the precision of the classes that were predicted.
    pub macro_precision: Option<f64>,
    /// Mean of the recall of the classes that have samples.
    pub macro_recall: Option<f64>,
    /// Mean of the F1 of the classes that have samples or were predicted.
    pub macro_f1: Option<f64>,
    /// Mean negative logarithm of the probability of the right class.
    pub log_loss: f64,
    /// Scores of every class, in the order of the model's.
    pub per_class: Vec<ClassMetrics>,
    /// Counts, a row for each true class, a column for each predicted one.
    pub confusion_matrix: Vec<Vec<u64>>,
    /// Every predictor of the pool by itself.
    pub predictors: Vec<HeldOutScore>,
    /// Classes of the set that the model does not know, by name.
    pub unknown_classes: Vec<String>,
    /// One a sample, in the order of the set.
    #[serde(skip)]
    pub predictions: Vec<Prediction>,
    /// Class of every sample among the model's; `None` where the model does not know it.
    #[serde(skip)]
    pub targets: Vec<Option<usize>>,
}

pub(super) fn evaluate(model: &TimesClip, set: &SeriesDataset) -> Result<Evaluation, PredictError> {
    let names = model.class_names();
    let known: Vec<Option<usize>> = set
        .class_names()
        .iter()
        .map(|name| names.iter().position(|known| known == name))
        .collect();
    let targets: Vec<_> = set
        .samples()
        .iter()
        .map(|sample| known[sample.label])
        .collect();
    let (mut predictions, mut answers) = (Vec::new(), Vec::<Vec<f32>>::new());
    for batch in set.samples().chunks(BATCH) {
        let samples: Vec<(u64, &Series)> = batch.iter().map(|s| (s.id, &s.series)).collect();
        let (rows, outputs) = model.answers(&samples, predictions.len())?;
        predictions.extend(model.pooled(&samples, &rows, outputs.as_deref()));
        answers.resize(rows.len(), Vec::new());
        answers
            .iter_mut()
            .zip(rows)
            .for_each(|(all, rows)| all.extend(rows));
    }
    let pairs = targets.iter().zip(&predictions);
    let pairs = pairs.filter_map(|(target, prediction)| Some(((*target)?, prediction.class)));
    let summary = ConfusionMatrix::new(names.len(), pairs).summary(names);
    let pooled: Vec<f32> = predictions
        .iter()
        .flat_map(|p| p.probabilities.clone())
        .collect();
    let pool = labeled(&targets, &pooled, names.len());
    let scored = score("pool", 1.0, &pool.0, &pool.1);
    let right = targets
        .iter()
        .zip(&predictions)
        .filter(|(t, p)| **t == Some(p.class));
    let named = model.predictor_names().into_iter().zip(&answers);
    Ok(Evaluation {
        n_samples: set.len(),
        accuracy: right.count() as f64 / set.len() as f64,
        balanced_accuracy: summary.macro_recall,
        macro_precision: summary.macro_precision,
        macro_recall: summary.macro_recall,
        macro_f1: summary.macro_f1,
        log_loss: scored.log_loss,
        per_class: summary.per_class,
        confusion_matrix: summary.confusion_matrix,
        predictors: named
            .map(|((name, weight), rows)| {
                let (labels, rows) = labeled(&targets, rows, names.len());
                score(name, weight, &labels, &rows)
            })
            .collect(),
        unknown_classes: unknown(set, &known),
        predictions,
        targets,
    })
}

/// Labels and probabilities of the samples of known classes.
fn labeled(targets: &[Option<usize>], rows: &[f32], n_classes: usize) -> (Vec<usize>, Vec<f32>) {
    let known = targets.iter().zip(rows.chunks(n_classes));
    let known = known.filter_map(|(target, row)| Some(((*target)?, row)));
    let (labels, rows): (Vec<usize>, Vec<&[f32]>) = known.unzip();
    (labels, rows.concat())
}

/// Names of classes that samples of the set have and the model does not know.
fn unknown(set: &SeriesDataset, known: &[Option<usize>]) -> Vec<String> {
    let counts = set.class_counts();
    let names = set.class_names().iter().zip(known).zip(counts);
    let unknown = names.filter(|((_, known), count)| known.is_none() && *count > 0);
    unknown.map(|((name, _), _)| name.clone()).collect()
}
