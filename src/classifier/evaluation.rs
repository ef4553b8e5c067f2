//! Scoring a model on a labeled set.

use serde::Serialize;

use super::prediction::Prediction;
use super::record::HeldOutScore;
use super::{BATCH, PredictError, TimesClip, score};
use crate::data::{Series, SeriesDataset};
use crate::metrics::{CalibrationMetrics, ClassMetrics, ConfusionMatrix, ReliabilityBin};

/// Scores of a model on a labeled set, and its predictions for it.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Names of the model's classes.
    pub class_names: Vec<String>,
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
    /// Mean squared distance of the probabilities from the truth, 0 to 2.
    pub brier: Option<f64>,
    /// Expected calibration error: how far confidence is from accuracy, in the mean.
    pub ece: Option<f64>,
    /// Confidence and accuracy of the predictions, binned by confidence.
    pub reliability: Vec<ReliabilityBin>,
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
    let (predictions, answers) = predict_all(model, set)?;
    let pairs = targets.iter().zip(&predictions);
    let pairs = pairs.filter_map(|(target, prediction)| Some(((*target)?, prediction.class)));
    let matrix = ConfusionMatrix::new(names.len(), pairs);
    let summary = matrix.summary(names);
    let pooled: Vec<f32> = predictions
        .iter()
        .flat_map(|p| p.probabilities.clone())
        .collect();
    let pool = labeled(&targets, &pooled, names.len());
    let scored = score("pool", 1.0, &pool.0, &pool.1);
    let calibration = CalibrationMetrics::new(&pool.1, &pool.0, names.len());
    let right = targets
        .iter()
        .zip(&predictions)
        .filter(|(t, p)| **t == Some(p.class));
    let named = model.predictor_names().into_iter().zip(&answers);
    Ok(Evaluation {
        class_names: names.to_vec(),
        n_samples: set.len(),
        accuracy: right.count() as f64 / set.len() as f64,
        balanced_accuracy: matrix.balanced_accuracy(),
        macro_precision: summary.macro_precision,
        macro_recall: summary.macro_recall,
        macro_f1: summary.macro_f1,
        log_loss: scored.log_loss,
        brier: calibration.brier,
        ece: calibration.ece,
        reliability: calibration.reliability,
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

/// Predictions for all samples, and the probabilities by each predictor, `[samples, n_classes]`.
fn predict_all(
    model: &TimesClip,
    set: &SeriesDataset,
) -> Result<(Vec<Prediction>, Vec<Vec<f32>>), PredictError> {
    let (mut predictions, mut answers) = (Vec::new(), Vec::<Vec<f32>>::new());
    for batch in set.samples().chunks(BATCH) {
        let samples: Vec<(u64, &Series)> = batch.iter().map(|s| (s.id, &s.series)).collect();
        let batch = model.answers(&samples, predictions.len())?;
        predictions.extend(model.pooled(&samples, &batch));
        answers.resize(batch.rows.len(), Vec::new());
        let rows = answers.iter_mut().zip(batch.rows);
        rows.for_each(|(all, rows)| all.extend(rows));
    }
    Ok((predictions, answers))
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
