//! Scoring a model on a labeled set.

use serde::Serialize;

use super::prediction::{Prediction, argmax};
use super::{BATCH, PredictError, TimesClip};
use crate::data::{Series, SeriesDataset};
use crate::metrics::{ClassificationMetrics, ConfusionMatrix, ProbabilityMetrics};

/// Scores of a model on a labeled set, and its predictions for it.
///
/// Scores that are not defined, of a set without samples say, are `None`.
#[derive(Clone, Debug, Serialize)]
pub struct Evaluation {
    /// Number of samples.
    pub n_samples: usize,
    /// Share of samples whose class was predicted, and the other scores of the predicted classes.
    #[serde(flatten)]
    pub classes: ClassificationMetrics,
    /// Scores of the probabilities: log loss, Brier score, calibration.
    #[serde(flatten)]
    pub probabilities: ProbabilityMetrics,
    /// Every predictor of the pool by itself.
    pub predictors: Vec<PredictorScore>,
    /// Classes of the set that the model does not know, by name.
    pub unknown_classes: Vec<String>,
    /// One a sample, in the order of the set.
    #[serde(skip)]
    pub predictions: Vec<Prediction>,
    /// Index of the class of every sample among the model's; `None` where the model does not know
    /// it.
    #[serde(skip)]
    pub targets: Vec<Option<usize>>,
}

/// How a predictor of the pool does by itself.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PredictorScore {
    /// `closed form` or `network`.
    pub predictor: String,
    /// Share of samples whose class was predicted.
    pub accuracy: Option<f64>,
    /// Mean negative logarithm of the probability of the right class.
    pub log_loss: Option<f64>,
}
