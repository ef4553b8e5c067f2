//! What a run found: `report.json` for machines, and the page for people.

mod comparison;
mod examples;
mod leaks;
mod page;

use std::collections::BTreeMap;

pub use comparison::comparison_page;
pub use examples::explanation_page;
pub use page::{FitSummary, FoldSummary, PageError, PageSources};

use serde::{Deserialize, Serialize};

use crate::cache::CacheStats;
use crate::cache::features::FeatureStats;
use crate::classifier::{Evaluation, FitReport, FoldReport, TimesClip};
use crate::data::SeriesDataset;
use crate::modalities::Modalities;

/// `report.json` of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Sizes of the data.
    pub dataset: DatasetReport,
    /// Sizes of the model.
    pub model: ModelReport,
    /// The image cache; `None` where no network looks at pictures.
    pub cache: Option<CacheStats>,
    /// The embedding cache; `None` if the vision encoder was run in every epoch, or there is none.
    pub features: Option<FeatureStats>,
    /// Wall time.
    pub timing: TimingReport,
    /// The epochs of each fold; empty if no network was trained.
    pub folds: Vec<FoldReport>,
    /// Each modality and predictor alone, and their pool, on held-out training samples.
    pub modalities: BTreeMap<String, PredictorReport>,
    /// Scores on the test set, looked at once, after training; `None` without one.
    pub test: Option<Evaluation>,
}

/// Sizes of the data.
#[derive(Clone, Debug, Serialize)]
pub struct DatasetReport {
    /// Name of the training set.
    pub name: String,
    /// Number of samples the model was fitted to.
    pub n_train: usize,
    /// Number of those that judged a network which was not trained on them.
    pub n_valid: usize,
    /// Number of test samples.
    pub n_test: usize,
    /// Number of variates.
    pub n_variates: usize,
    /// Number of classes.
    pub n_classes: usize,
}

/// Sizes of the model.
#[derive(Clone, Debug, Serialize)]
pub struct ModelReport {
    /// Its modalities.
    pub mode: Modalities,
    /// Number of networks.
    pub networks: usize,
    /// Weights of each network.
    pub parameters: usize,
    /// Those that training changes.
    pub trainable: usize,
    /// Those that are frozen.
    pub frozen: usize,
    /// Features of the closed form.
    pub closed_form_features: usize,
}

/// Wall time of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TimingReport {
    /// Seconds of each epoch, fold after fold.
    pub epoch_seconds: Vec<f64>,
    /// Seconds from reading the data to the test score.
    pub total_seconds: f64,
}

/// How a modality or predictor alone does on held-out training samples.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PredictorReport {
    /// Its weight in the pool; `None` of a modality inside the closed form.
    pub weight: Option<f64>,
    /// Share of the samples classified correctly.
    pub accuracy: f64,
    /// Mean negative logarithm of the probability of the right class.
    pub log_loss: f64,
}

impl Report {
    /// The report of a fit and its test.
    pub fn new(
        set: &SeriesDataset,
        (model, fit): (&TimesClip, FitReport),
        test: Option<Evaluation>,
        total_seconds: f64,
    ) -> Self {
        let (networks, count) = model.networks().unwrap_or_default();
        let network = fit.network.unwrap_or_default();
        let seconds = network
            .folds
            .iter()
            .flat_map(|fold| fold.epoch_seconds.clone());
        Self {
            dataset: DatasetReport {
                name: set.name().to_owned(),
                n_train: set.len(),
                n_valid: network.folds.iter().map(|fold| fold.n_valid).sum(),
                n_test: test.as_ref().map_or(0, |test| test.n_samples),
                n_variates: set.n_variates(),
                n_classes: set.n_classes(),
            },
            model: ModelReport {
                mode: model.modalities(),
                networks,
                parameters: count.total,
                trainable: count.trainable,
                frozen: count.frozen,
                closed_form_features: model.n_features(),
            },
            timing: TimingReport {
                epoch_seconds: seconds.collect(),
                total_seconds,
            },
            modalities: predictors(model, &fit.modalities),
            cache: network.cache,
            features: network.features,
            folds: network.folds,
            test,
        }
    }
}

fn predictors(
    model: &TimesClip,
    modalities: &[crate::classifier::ModalityScore],
) -> BTreeMap<String, PredictorReport> {
    let alone = modalities.iter().map(|score| {
        let report = PredictorReport {
            weight: None,
            accuracy: score.accuracy,
            log_loss: score.log_loss,
        };
        (score.modality.clone(), report)
    });
    let predictors = model.provenance().scores.iter().map(|score| {
        let report = PredictorReport {
            weight: Some(score.weight),
            accuracy: score.accuracy,
            log_loss: score.log_loss,
        };
        (score.predictor.clone(), report)
    });
    alone.chain(predictors).collect()
}
