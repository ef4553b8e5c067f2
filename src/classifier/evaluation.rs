//! Scoring a model on a labeled set.

use std::iter;

use serde::Serialize;

use super::prediction::Prediction;
use super::record::HeldOutScore;
use super::{BATCH, PredictError, TimesClip, score};
use crate::data::{Series, SeriesDataset};
use crate::metrics::{
    CalibrationMetrics, ClassMetrics, ClassificationMetrics, ConfusionMatrix, ReliabilityBin,
};

/// Scores of a model on a labeled set, and its predictions for it.
///
/// A class that the model does not know is never predicted: its recall and F1 are 0 in the means,
/// and a prediction for one of its samples is wrong. Scores of probabilities leave such samples out.
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
    /// Mean negative logarithm of the probability of the right class; `NaN`, which is `null` in JSON,
    /// if the model knows the class of no sample.
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
    let known = set.classes_among(names);
    let targets: Vec<_> = set
        .samples()
        .iter()
        .map(|sample| known[sample.label])
        .collect();
    let (predictions, answers) = predict_all(model, set)?;
    let unknown_classes = unknown(set, &known);
    let pairs = targets.iter().zip(&predictions);
    let pairs = pairs.map(|(target, prediction)| (*target, prediction.class));
    let summary = class_scores(names, pairs, unknown_classes.len());
    let pooled: Vec<f32> = predictions
        .iter()
        .flat_map(|p| p.probabilities.clone())
        .collect();
    let scored = score_known(("pool", 1.0), &targets, &pooled, names.len());
    let (labels, rows) = labeled(&targets, &pooled, names.len());
    let calibration = CalibrationMetrics::new(&rows, &labels, names.len());
    let right = targets
        .iter()
        .zip(&predictions)
        .filter(|(t, p)| **t == Some(p.class));
    let named = model.predictor_names().into_iter().zip(&answers);
    Ok(Evaluation {
        class_names: names.to_vec(),
        n_samples: set.len(),
        accuracy: right.count() as f64 / set.len() as f64,
        balanced_accuracy: summary.macro_recall,
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
            .map(|(named, rows)| score_known(named, &targets, rows, names.len()))
            .collect(),
        unknown_classes,
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

/// Scores of the model's classes, and means over them and over unknown ones that have samples.
pub(super) fn class_scores(
    names: &[String],
    pairs: impl Iterator<Item = (Option<usize>, usize)>,
    n_unknown: usize,
) -> ClassificationMetrics {
    // All unknown classes are one here, behind the others; nothing is predicted as it.
    let n_classes = names.len();
    let pairs = pairs.map(|(target, predicted)| (target.unwrap_or(n_classes), predicted));
    let matrix = ConfusionMatrix::new(n_classes + 1, pairs);
    let names: Vec<String> = names.iter().cloned().chain([String::new()]).collect();
    let mut scores = matrix.summary(&names);
    scores.per_class.truncate(n_classes);
    scores.confusion_matrix.truncate(n_classes);
    for row in &mut scores.confusion_matrix {
        row.truncate(n_classes);
    }
    let mean = |of: fn(&ClassMetrics) -> Option<f64>| {
        let known = scores.per_class.iter().filter_map(of);
        let all: Vec<f64> = known.chain(iter::repeat_n(0.0, n_unknown)).collect();
        (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
    };
    let (recall, f1) = (mean(|class| class.recall), mean(|class| class.f1));
    scores.macro_recall = recall;
    scores.macro_f1 = f1;
    scores
}

/// Scores of a predictor on the samples of known classes.
fn score_known(
    (name, weight): (&str, f64),
    targets: &[Option<usize>],
    rows: &[f32],
    n_classes: usize,
) -> HeldOutScore {
    let (labels, rows) = labeled(targets, rows, n_classes);
    let mut scored = score(name, weight, &labels, &rows);
    if labels.is_empty() {
        scored.log_loss = f64::NAN;
    }
    scored
}

/// Labels and probabilities of the samples of known classes.
fn labeled(targets: &[Option<usize>], rows: &[f32], n_classes: usize) -> (Vec<usize>, Vec<f32>) {
    let known = targets.iter().zip(rows.chunks(n_classes));
    let known = known.filter_map(|(target, row)| Some(((*target)?, row)));
    let (labels, rows): (Vec<usize>, Vec<&[f32]>) = known.unzip();
    (labels, rows.concat())
}

/// Names of classes that samples of the set have and the model does not know.
pub(super) fn unknown(set: &SeriesDataset, known: &[Option<usize>]) -> Vec<String> {
    let counts = set.class_counts();
    let names = set.class_names().iter().zip(known).zip(counts);
    let unknown = names.filter(|((_, known), count)| known.is_none() && *count > 0);
    unknown.map(|((name, _), _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(pairs: &[(Option<usize>, usize)], n_unknown: usize) -> ClassificationMetrics {
        let names = ["a".to_owned(), "b".to_owned()];
        class_scores(&names, pairs.iter().copied(), n_unknown)
    }

    #[test]
    fn without_unknown_classes_scores_are_those_of_the_confusion_matrix() {
        let names = ["a".to_owned(), "b".to_owned()];
        let pairs = [(0, 0), (0, 1), (0, 0), (1, 1)];
        let expected = ConfusionMatrix::new(2, pairs).summary(&names);
        let pairs = pairs.map(|(target, predicted)| (Some(target), predicted));
        assert_eq!(scores(&pairs, 0), expected);
        assert_eq!(scores(&[], 0).macro_f1, None);
    }

    #[test]
    fn unknown_classes_have_a_recall_and_an_f1_of_zero() {
        // By scikit-learn's `recall_score` and `f1_score` with `average="macro", zero_division=nan`:
        // truth a a b c c d, predictions a a b a b b.
        let pairs = [
            (Some(0), 0),
            (Some(0), 0),
            (Some(1), 1),
            (None, 0),
            (None, 1),
            (None, 1),
        ];
        let found = scores(&pairs, 2);
        let close = |found: Option<f64>, expected: f64| {
            assert!(
                found.is_some_and(|found| (found - expected).abs() < 1e-12),
                "{found:?}"
            );
        };
        close(found.macro_recall, 0.5);
        close(found.macro_f1, (0.8 + 0.5) / 4.0);
        close(found.macro_precision, (2.0 / 3.0 + 1.0 / 3.0) / 2.0);
        assert_eq!(found.confusion_matrix, [[2, 0], [0, 1]]);
        assert_eq!(found.per_class.len(), 2);

        let none = scores(&[(None, 0), (None, 1)], 1);
        assert_eq!([none.macro_recall, none.macro_f1], [Some(0.0); 2]);
        assert!(none.macro_recall.is_some_and(f64::is_sign_positive));
    }
}
