//! The page of a run: from a model, its data and its scores to a [`ReportPage`].

use serde::Deserialize;
use thiserror::Error;

use super::examples::Examples;
use super::leaks::findings;
use super::{PredictorReport, Report, TimingReport};
use crate::classifier::{
    EarlyScore, Evaluation, ExplainOptions, PredictError, Prediction, TimesClip,
};
use crate::data::SeriesDataset;
use crate::page::{
    self, Baseline, CalibrationBin, DataSummary, EarlyPoint, EarlyRecognition, EpochScores, Fact,
    HeldOut, Importance, LearningCurve, Modality, Provenance, ReportPage, SplitSummary,
};
use crate::raster::RasterError;
use crate::run::RunConfig;
use crate::train::EpochRecord;

/// What is known of a model, of which a page can be made. Only the model must be there.
#[derive(Clone, Copy, Debug)]
pub struct PageSources<'a> {
    /// The model.
    pub model: &'a TimesClip,
    /// What it was fitted to.
    pub train: Option<&'a SeriesDataset>,
    /// What it was tested on, and how it did.
    pub test: Option<(&'a SeriesDataset, &'a Evaluation)>,
    /// How the fit went.
    pub fit: Option<&'a FitSummary>,
    /// What the run was asked to do. Without it the model's own options are shown.
    pub config: Option<&'a RunConfig>,
    /// Scores from the first steps only; empty if they were not asked for.
    pub early: &'a [EarlyScore],
    /// Figures of a rule when to stop, and such.
    pub early_facts: &'a [Fact],
    /// How the samples that are shown are explained; `None` to show plain plots.
    pub explain: Option<ExplainOptions>,
}

/// A page cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PageError {
    /// The samples that are shown cannot be explained.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// They cannot be drawn.
    #[error(transparent)]
    Raster(#[from] RasterError),
}

/// How a fit went, as far as a page shows it. It can be read from `report.json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct FitSummary {
    /// The epochs of each fold.
    pub folds: Vec<FoldSummary>,
    /// Each modality and predictor alone, and their pool, on held-out training samples.
    pub modalities: std::collections::BTreeMap<String, PredictorReport>,
    /// Wall time.
    pub timing: TimingReport,
}

/// How the training of a fold went.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct FoldSummary {
    /// All epochs.
    pub history: Vec<EpochRecord>,
    /// The epoch whose weights were kept.
    pub best_epoch: Option<usize>,
}

impl From<&Report> for FitSummary {
    fn from(report: &Report) -> Self {
        let folds = report.folds.iter().map(|fold| FoldSummary {
            history: fold.history.clone(),
            best_epoch: fold.best_epoch,
        });
        Self {
            folds: folds.collect(),
            modalities: report.modalities.clone(),
            timing: report.timing.clone(),
        }
    }
}

impl PageSources<'_> {
    /// The page. Date, command and memory are for the caller to add.
    ///
    /// # Errors
    /// [`PageError`] if the samples that are shown can be neither explained nor drawn.
    pub fn page(&self) -> Result<ReportPage, PageError> {
        let model = self.model;
        let examples = match self.test {
            Some(test) => Examples::of(self, test)?,
            None => Examples::default(),
        };
        let name = self.train.map(SeriesDataset::name);
        Ok(ReportPage {
            name: name.unwrap_or(&model.provenance().dataset).to_owned(),
            model: model.modalities().to_string(),
            class_names: model.class_names().to_vec(),
            evaluation: self.test.map(|(_, evaluation)| scores(evaluation)),
            held_out: held_out(model),
            learning: self.fit.map_or_else(Vec::new, learning),
            modalities: self.modalities(),
            modality_split: "held-out training".to_owned(),
            importance: self.importance(&examples),
            mistakes: examples.mistakes,
            unsure_hits: examples.unsure_hits,
            data: Some(self.data()),
            early: early(self.early, self.early_facts),
            cost: self.cost(),
            provenance: self.provenance(),
            ..ReportPage::default()
        })
    }

    /// Modalities alone, predictors, and last their pool.
    fn modalities(&self) -> Vec<Modality> {
        let scores = &self.model.provenance().scores;
        let predictor = |name: &str| scores.iter().any(|score| score.predictor == name);
        let fit = self.fit.iter().flat_map(|fit| &fit.modalities);
        let alone = fit.filter(|(name, _)| !predictor(name));
        let alone = alone.map(|(name, report)| Modality {
            name: name.clone(),
            accuracy: Some(report.accuracy),
            log_loss: Some(report.log_loss),
            ..Modality::default()
        });
        let test = self.test.map(|(_, evaluation)| evaluation);
        let predictors = scores.iter().map(|score| {
            let pool = score.predictor == "pool";
            let tested = test.and_then(|test| match pool {
                true => Some(test.accuracy),
                false => {
                    let mut named = test.predictors.iter();
                    let named = named.find(|other| other.predictor == score.predictor);
                    named.map(|score| score.accuracy)
                }
            });
            Modality {
                name: score.predictor.clone(),
                // The pool is the sum of the others.
                weight: (!pool).then_some(score.weight),
                accuracy: Some(score.accuracy),
                log_loss: Some(score.log_loss),
                test_accuracy: tested,
            }
        });
        alone.chain(predictors).collect()
    }

    fn importance(&self, examples: &Examples) -> Option<Importance> {
        let (_, evaluation) = self.test?;
        let weights = mean_weights(&evaluation.predictions);
        if weights.is_empty() && examples.method.is_none() {
            return None;
        }
        Some(Importance {
            method: examples.method.clone().unwrap_or_default(),
            variate_weights: weights,
            ..Importance::default()
        })
    }

    fn data(&self) -> DataSummary {
        let classes = self.model.class_names();
        let test = self.test.map(|(set, _)| set);
        let any = self.train.or(test);
        let names = any.map_or_else(Vec::new, |set| variate_names(set, self.model));
        let splits = [("training", self.train), ("test", test)];
        DataSummary {
            splits: splits
                .into_iter()
                .filter_map(|(name, set)| Some(split(name, set?, classes)))
                .collect(),
            findings: findings(self.train, test, classes, &names),
            variate_names: names,
        }
    }

    fn cost(&self) -> page::Cost {
        let mut facts = Vec::new();
        if let Some((networks, count)) = self.model.networks() {
            facts.push(Fact::new("Networks", networks.to_string()));
            let weights = format!("{}, of which {} trained", count.total, count.trainable);
            facts.push(Fact::new("Weights of each network", weights));
        }
        if self.model.n_features() > 0 {
            let features = self.model.n_features().to_string();
            facts.push(Fact::new("Features of the closed form", features));
        }
        let timing = self.fit.map(|fit| &fit.timing);
        let epochs = timing.map_or(&[][..], |timing| &timing.epoch_seconds[..]);
        if !epochs.is_empty() {
            facts.push(Fact::new("Epochs", epochs.len().to_string()));
        }
        page::Cost {
            total_seconds: timing.map(|timing| timing.total_seconds),
            facts,
            ..page::Cost::default()
        }
    }

    fn provenance(&self) -> Provenance {
        let from = self.model.provenance();
        let configuration = match self.config {
            Some(config) => serde_json::to_string_pretty(config),
            None => serde_json::to_string_pretty(self.model.options()),
        };
        let [low, high] = from.n_steps;
        let facts = [
            ("Training set", from.dataset.clone()),
            ("Training samples", from.n_samples.to_string()),
            ("Training steps", format!("{low} to {high}")),
            ("Computed on", from.backend.clone()),
            ("Seed", self.model.options().seed.to_string()),
            ("timesclip", env!("CARGO_PKG_VERSION").to_owned()),
        ];
        Provenance {
            data_hash: Some(from.fingerprint.clone()),
            facts: facts.map(|(name, value)| Fact::new(name, value)).to_vec(),
            configuration: configuration.ok(),
            ..Provenance::default()
        }
    }
}

/// Names of the variates; of those without one, their numbers.
pub(super) fn variate_names(set: &SeriesDataset, model: &TimesClip) -> Vec<String> {
    let named = [set.variate_names(), &model.schema().variates[..]];
    let named = named.into_iter().find(|names| !names.is_empty());
    let numbered = || (1..=model.n_variates()).map(|number| format!("variate {number}"));
    named.map_or_else(|| numbered().collect(), <[String]>::to_vec)
}

fn scores(evaluation: &Evaluation) -> page::Evaluation {
    let answers = evaluation.targets.iter().zip(&evaluation.predictions);
    let answers = answers.map(|(target, prediction)| {
        let confidence = f64::from(prediction.probability);
        (confidence, *target == Some(prediction.class))
    });
    let unknown = evaluation.targets.iter().filter(|target| target.is_none());
    // Of one predictor, alone is the same as pooled.
    let alone = match evaluation.predictors.len() {
        0 | 1 => &[][..],
        _ => &evaluation.predictors[..],
    };
    let alone = alone.iter().map(|score| Baseline {
        name: format!("{} alone", score.predictor),
        accuracy: score.accuracy,
    });
    page::Evaluation {
        split: "test".to_owned(),
        confusion: evaluation.confusion_matrix.clone(),
        unknown: unknown.count() as u64,
        balanced_accuracy: evaluation.balanced_accuracy,
        macro_f1: evaluation.macro_f1,
        log_loss: Some(evaluation.log_loss),
        brier: evaluation.brier,
        ece: evaluation.ece,
        calibration: CalibrationBin::of(answers),
        baselines: alone.collect(),
    }
}

fn held_out(model: &TimesClip) -> Option<HeldOut> {
    let mut scores = model.provenance().scores.iter();
    let pool = scores.find(|score| score.predictor == "pool" && score.n_samples > 0)?;
    Some(HeldOut {
        samples: pool.n_samples as u64,
        accuracy: pool.accuracy,
        log_loss: pool.log_loss,
    })
}

fn learning(fit: &FitSummary) -> Vec<LearningCurve> {
    let epoch = |record: &EpochRecord| EpochScores {
        epoch: record.epoch,
        train_loss: Some(record.train_loss),
        train_accuracy: Some(record.train_accuracy),
        valid_loss: record.valid_loss,
        valid_accuracy: record.valid_accuracy,
    };
    let folds = fit
        .folds
        .iter()
        .zip(1..)
        .map(|(fold, number)| LearningCurve {
            name: format!("fold {number}"),
            epochs: fold.history.iter().map(epoch).collect(),
            best_epoch: fold.best_epoch,
        });
    folds.collect()
}

fn early(scores: &[EarlyScore], facts: &[Fact]) -> Option<EarlyRecognition> {
    let points = scores.iter().map(|score| EarlyPoint {
        n_steps: score.n_steps,
        accuracy: score.accuracy,
        macro_f1: score.macro_f1,
        log_loss: Some(score.log_loss),
    });
    (!scores.is_empty()).then(|| EarlyRecognition {
        points: points.collect(),
        facts: facts.to_vec(),
    })
}

/// Mean over the samples of how much each variate was attended to; empty if no network selects.
pub(super) fn mean_weights<'a>(predictions: impl IntoIterator<Item = &'a Prediction>) -> Vec<f64> {
    let mut sum = Vec::new();
    let predictions = predictions.into_iter();
    for weights in predictions.filter_map(|prediction| prediction.variate_weights.as_ref()) {
        sum.resize(weights.len(), 0.0);
        let pairs = sum.iter_mut().zip(weights);
        pairs.for_each(|(sum, weight)| *sum += f64::from(*weight));
    }
    let total: f64 = sum.iter().sum();
    sum.into_iter().map(|sum| sum / total).collect()
}

/// Sizes of one part of the data, with counts of these classes.
pub(super) fn split(name: &str, set: &SeriesDataset, classes: &[String]) -> SplitSummary {
    let counts = set.class_counts();
    let count = |class: &String| {
        let at = set.class_names().iter().position(|name| name == class);
        at.map_or(0, |at| counts[at] as u64)
    };
    let mut steps: Vec<usize> = set.samples().iter().map(|s| s.series.n_steps()).collect();
    steps.sort_unstable();
    let values = || set.samples().iter().flat_map(|s| s.series.values());
    let missing = values().filter(|value| value.is_nan()).count();
    SplitSummary {
        name: name.to_owned(),
        class_counts: classes.iter().map(count).collect(),
        n_steps: Some([steps[0], steps[steps.len() / 2], steps[steps.len() - 1]]),
        missing: Some(missing as f64 / values().count() as f64),
    }
}
