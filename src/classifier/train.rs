//! Training the networks of a model: one a fold, each judged on the samples it did not see.

mod folds;
mod settings;

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;

use super::FitError;
use super::network::{Ensemble, Network};
use super::observer::Watch;
use super::options::FitOptions;
use super::pretrained::{Pretrained, TEXT_WEIGHTS, VISION_WEIGHTS};
use super::recipe::{Recipe, dtype};
use super::sets::{Builder, check_caches, n_views};
use super::start::StartingModel;
use crate::backend::TrainingJob;
use crate::cache::CacheStats;
use crate::cache::features::{FeatureDtype, FeatureStats};
use crate::data::SeriesDataset;
use crate::data::split::Split;
use crate::model::{ParameterCount, TimesClipClassifier, drawn_from, is_cpu};
use crate::train::EpochRecord;
use folds::FoldRun;
use settings::augmentation;

/// Weights that learn, of a network that is trained beside others.
const SMALL_NETWORK: usize = 10_000_000;

/// Trains the networks of a model.
pub(super) struct TrainNetworks<'a, 'w> {
    pub(super) set: &'a SeriesDataset,
    pub(super) options: &'a FitOptions,
    pub(super) recipe: &'a Recipe,
    pub(super) pretrained: &'a Pretrained,
    /// What the networks start from, in the place of random and pretrained weights.
    pub(super) start: Option<&'a StartingModel>,
    pub(super) folds: &'a [Split],
    pub(super) watch: &'a mut Watch<'w>,
}

/// Networks, and what they say of the samples they were not trained on.
pub(super) struct TrainedNetworks {
    pub(super) network: Box<dyn Network>,
    /// Probabilities of every sample by the network that did not see it; `None` of those that all
    /// networks were trained on.
    pub(super) held_out: Vec<Option<Vec<f32>>>,
    pub(super) report: NetworkReport,
}

/// What training the networks took and gave.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct NetworkReport {
    /// Weights of one network.
    pub parameters: ParameterCount,
    /// The folds, in their order.
    pub folds: Vec<FoldReport>,
    /// The image cache; `None` without vision.
    pub cache: Option<CacheStats>,
    /// The embedding cache; `None` if the vision encoder was run in every epoch.
    pub features: Option<FeatureStats>,
}

/// How one fold went.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FoldReport {
    /// Number of training samples.
    pub n_train: usize,
    /// Number of held-out samples.
    pub n_valid: usize,
    /// All epochs.
    pub history: Vec<EpochRecord>,
    /// The epoch whose weights were kept, counted from 1; `None` if none was completed.
    pub best_epoch: Option<usize>,
    /// Wall seconds of each epoch.
    pub epoch_seconds: Vec<f64>,
}

impl FoldReport {
    /// The report of a fold that went on from an earlier one: the epochs of both, one after the
    /// other.
    #[must_use]
    pub fn after(mut self, earlier: Self) -> Self {
        let n = earlier.history.len();
        for record in &mut self.history {
            record.epoch += n;
        }
        self.best_epoch = self.best_epoch.map(|epoch| epoch + n);
        self.history.splice(..0, earlier.history);
        self.epoch_seconds.splice(..0, earlier.epoch_seconds);
        self
    }
}

impl TrainingJob for TrainNetworks<'_, '_> {
    type Output = Result<TrainedNetworks, FitError>;

    fn run<B: AutodiffBackend>(self, devices: &[B::Device]) -> Self::Output {
        let Self {
            set,
            options,
            recipe,
            pretrained,
            start: from,
            folds,
            watch,
        } = self;
        check_caches::<B>(options, recipe, set.len(), devices)?;
        let batcher = recipe.batcher();
        let first = (options.seed, &devices[0]);
        let model = begin::<B>((from, 0), options, recipe, pretrained, first)?;
        let parameters = model.parameter_count();
        let plain = model.valid();
        let builder = Builder {
            options,
            recipe,
            batcher: &batcher,
            model: &plain,
            devices,
        };
        let mut sets = builder.build(set, n_views(options), watch)?;
        sets.keep_on_device::<B>(options, &batcher, devices)?;
        let run = FoldRun::<B> {
            options,
            recipe,
            pretrained,
            start: from,
            augmentation: augmentation((options, recipe), sets.feature_stats().is_some(), watch)?,
            sources: sets.sources(&batcher)?,
            devices,
            n_at_once: n_at_once::<B>(folds.len(), devices, parameters),
        };
        let (mut members, mut reports) = (Vec::new(), Vec::new());
        let mut held_out = vec![None; set.len()];
        for fold in run.train(folds, watch)? {
            for (index, prediction) in fold.held_out {
                held_out[index] = Some(prediction.probabilities);
            }
            members.push(fold.model);
            reports.push(fold.report);
        }
        if members.is_empty() {
            return Err(FitError::Cancelled);
        }
        let network = Ensemble::new(members, recipe.clone(), devices[0].clone());
        let report = NetworkReport {
            parameters,
            folds: reports,
            cache: sets.image_stats(),
            features: sets.feature_stats(),
        };
        Ok(TrainedNetworks {
            network: Box::new(network),
            held_out,
            report,
        })
    }
}

/// How many folds are trained at the same time: one a core, but large networks keep all cores busy by
/// themselves, and would take their memory several times.
fn n_at_once<B: AutodiffBackend>(
    n_folds: usize,
    devices: &[B::Device],
    parameters: ParameterCount,
) -> usize {
    match is_cpu::<B>() && devices.len() == 1 && parameters.trainable <= SMALL_NETWORK {
        true => n_folds.min(rayon::current_num_threads()),
        false => 1,
    }
}

/// The classifier of a fold at its start: that of a model to start from, or a new one.
fn begin<B: AutodiffBackend>(
    (from, fold): (Option<&StartingModel>, usize),
    options: &FitOptions,
    recipe: &Recipe,
    pretrained: &Pretrained,
    (seed, device): (u64, &B::Device),
) -> Result<TimesClipClassifier<B>, FitError> {
    let Some(from) = from else {
        return start::<B>(options, recipe, pretrained, (seed, device));
    };
    let member = || from.member::<B>(fold, &recipe.model, device);
    with_precision(drawn::<B>(seed, device, member)?, options, device)
}

/// A classifier as it is built after the generator was seeded. Reading weights may draw some first.
fn drawn<B: AutodiffBackend>(
    seed: u64,
    device: &B::Device,
    build: impl FnOnce() -> Result<TimesClipClassifier<B>, FitError>,
) -> Result<TimesClipClassifier<B>, FitError> {
    drawn_from::<B, _>(seed, device, || {
        let model = build()?;
        // Counting weights draws them.
        let _ = model.parameter_count();
        Ok(model)
    })
}

/// A classifier at its start: weights drawn from the seed, pretrained ones read.
pub(super) fn start<B: AutodiffBackend>(
    options: &FitOptions,
    recipe: &Recipe,
    pretrained: &Pretrained,
    (seed, device): (u64, &B::Device),
) -> Result<TimesClipClassifier<B>, FitError> {
    let model = || pretrained_model::<B>(recipe, pretrained, device);
    with_precision(drawn::<B>(seed, device, model)?, options, device)
}

/// A classifier with weights yet to be drawn, and pretrained ones.
fn pretrained_model<B: AutodiffBackend>(
    recipe: &Recipe,
    pretrained: &Pretrained,
    device: &B::Device,
) -> Result<TimesClipClassifier<B>, FitError> {
    let (config, weights) = (&recipe.model, |option| {
        move |source| FitError::Weights { option, source }
    });
    let mut model = config.init::<B>(device);
    if let Some(checkpoint) = pretrained
        .vision
        .as_ref()
        .filter(|_| config.modalities.has_vision())
    {
        let encoder = checkpoint.load_vision(&config.vision, device);
        model = model.with_vision_encoder(encoder.map_err(weights(VISION_WEIGHTS))?);
    }
    if let Some(checkpoint) = pretrained
        .text
        .as_ref()
        .filter(|_| config.modalities.has_language())
    {
        let weights = weights(TEXT_WEIGHTS);
        model = match config.language.tokenizer.n_points() {
            Some(_) => {
                let encoder = checkpoint.load_own_reading(device).map_err(weights)?;
                model.with_reading_encoder(encoder)
            }
            None => {
                let encoder = checkpoint.load_text(&config.language, device);
                model.with_text_encoder(encoder.map_err(weights)?)
            }
        };
    }
    Ok(model)
}

/// The classifier, whose frozen encoders compute in the precision of the options.
fn with_precision<B: AutodiffBackend>(
    model: TimesClipClassifier<B>,
    options: &FitOptions,
    device: &B::Device,
) -> Result<TimesClipClassifier<B>, FitError> {
    let precision = options.encoders.frozen_precision;
    if precision == FeatureDtype::F32 {
        return Ok(model);
    }
    let dtype = dtype(precision);
    if !B::supports_dtype(device, dtype.into()) {
        let problem = format!("this device does not compute in {precision}");
        return Err(FitError::Options { problem });
    }
    Ok(model.with_frozen_precision(dtype))
}
