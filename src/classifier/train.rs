//! Training the networks of a model: one a fold, each judged on the samples it did not see.

mod settings;

use std::ops::ControlFlow;

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;

use super::FitError;
use super::network::{Ensemble, Network};
use super::observer::{FitEvent, Phase, Watch};
use super::options::FitOptions;
use super::pretrained::{Pretrained, TEXT_WEIGHTS, VISION_WEIGHTS};
use super::recipe::{Recipe, dtype};
use super::sets::{Builder, check_caches, n_views};
use super::start::StartingModel;
use crate::backend::TrainingJob;
use crate::batch::{self, BatchSource};
use crate::cache::CacheStats;
use crate::cache::features::{FeatureDtype, FeatureStats};
use crate::data::SeriesDataset;
use crate::data::split::Split;
use crate::model::{ParameterCount, TimesClipClassifier};
use crate::train::{
    Checkpoints, EpochRecord, StepEvent, Trained, Trainer, TrainingConfig, TrainingData,
    TrainingObserver, predict,
};
use settings::{augmentation, training_config};

/// Optimizer steps between two checkpoints of a fold.
const CHECKPOINT_STEPS: usize = 100;

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
        let mut run = FoldRun::<B> {
            set,
            options,
            recipe,
            pretrained,
            start: from,
            augmentation: augmentation(options, recipe, sets.feature_stats().is_some())?,
            sources: sets.sources(&batcher)?,
            devices,
            held_out: vec![None; set.len()],
            members: Vec::new(),
            reports: Vec::new(),
        };
        run.train(folds, watch)?;
        let FoldRun {
            members,
            held_out,
            reports,
            ..
        } = run;
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

/// The folds of one fit, one after the other.
struct FoldRun<'a, B: AutodiffBackend> {
    set: &'a SeriesDataset,
    options: &'a FitOptions,
    recipe: &'a Recipe,
    pretrained: &'a Pretrained,
    start: Option<&'a StartingModel>,
    sources: Vec<BatchSource<'a>>,
    augmentation: Option<batch::Augmentation>,
    devices: &'a [B::Device],
    held_out: Vec<Option<Vec<f32>>>,
    members: Vec<TimesClipClassifier<B::InnerBackend>>,
    reports: Vec<FoldReport>,
}

impl<B: AutodiffBackend> FoldRun<'_, B> {
    fn train(&mut self, folds: &[Split], watch: &mut Watch<'_>) -> Result<(), FitError> {
        let configs: Vec<_> = folds
            .iter()
            .zip(0..)
            .map(|(fold, number)| {
                training_config(self.options, self.pretrained, fold.train.len(), number)
            })
            .collect();
        let steps = |(fold, config): (&Split, &TrainingConfig)| {
            config.n_epochs(fold.train.len()) * fold.train.len().div_ceil(config.batch_size)
        };
        let total = folds.iter().zip(&configs).map(steps).sum();
        let _ = watch.start(Phase::Training, total);
        let mut done = 0;
        for (number, (fold, config)) in folds.iter().zip(&configs).enumerate() {
            let trained = {
                let mut progress = FoldProgress {
                    watch,
                    fold: number + 1,
                    n_folds: folds.len(),
                    n_epochs: config.n_epochs(fold.train.len()),
                    done,
                    total,
                };
                self.train_fold(number, (fold, config), &mut progress)?
            };
            done += steps((fold, config));
            if trained.best_epoch.is_none() {
                break;
            }
            self.keep(fold, config, trained)?;
            if watch.is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    fn train_fold(
        &self,
        number: usize,
        (fold, config): (&Split, &TrainingConfig),
        progress: &mut FoldProgress<'_, '_>,
    ) -> Result<Trained<B>, FitError> {
        let device = &self.devices[0];
        let model = begin::<B>(
            (self.start, number),
            self.options,
            self.recipe,
            self.pretrained,
            (config.seed, device),
        )?;
        let mut data = TrainingData::new(self.sources[0], &fold.train, &fold.valid)
            .with_views(&self.sources[1..]);
        if let Some(augmentation) = &self.augmentation {
            data = data.with_augmentation(augmentation);
        }
        let folder = self.options.compute.checkpoints.as_ref();
        let folder = folder.map(|folder| folder.join(format!("fold-{}", number + 1)));
        let checkpoints = folder.map(Checkpoints::open).transpose()?;
        let checkpoints = checkpoints.map(|kept| kept.with_interval(CHECKPOINT_STEPS));
        let mut trainer = Trainer::<B>::new(config, data, device)?.with_devices(self.devices);
        if let Some(checkpoints) = &checkpoints {
            trainer = trainer.with_checkpoints(checkpoints);
        }
        Ok(trainer.fit(model, progress)?)
    }

    /// Takes a fold's network, and its predictions for the samples that it was not trained on.
    fn keep(
        &mut self,
        fold: &Split,
        config: &TrainingConfig,
        trained: Trained<B>,
    ) -> Result<(), FitError> {
        let (device, batch_size) = (&self.devices[0], config.batch_size);
        let predictions = predict(
            &trained.model,
            self.sources[0],
            &fold.valid,
            batch_size,
            device,
        )?;
        for (&index, prediction) in fold.valid.iter().zip(predictions) {
            self.held_out[index] = Some(prediction.probabilities);
        }
        self.reports.push(FoldReport {
            n_train: fold.train.len(),
            n_valid: fold.valid.len(),
            best_epoch: trained.best_epoch,
            history: trained.history,
            epoch_seconds: trained.epoch_seconds,
        });
        self.members.push(trained.model);
        debug_assert_eq!(self.held_out.len(), self.set.len(), "a sample each");
        Ok(())
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
    B::seed(device, seed);
    let member = from.member::<B>(fold, &recipe.model, device)?;
    with_precision(member, options, device)
}

/// A classifier at its start: weights drawn from the seed, pretrained ones read.
pub(super) fn start<B: AutodiffBackend>(
    options: &FitOptions,
    recipe: &Recipe,
    pretrained: &Pretrained,
    (seed, device): (u64, &B::Device),
) -> Result<TimesClipClassifier<B>, FitError> {
    B::seed(device, seed);
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
    with_precision(model, options, device)
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

/// Passes what a fold's training says on to the observer of the fit.
struct FoldProgress<'a, 'w> {
    watch: &'a mut Watch<'w>,
    fold: usize,
    n_folds: usize,
    n_epochs: usize,
    /// Steps of the folds before.
    done: usize,
    /// Steps of all folds.
    total: usize,
}

impl TrainingObserver for FoldProgress<'_, '_> {
    fn on_step(&mut self, event: StepEvent) -> ControlFlow<()> {
        let done = self.done + (event.epoch - 1) * event.n_steps + event.step;
        self.watch.progress(Phase::Training, done, self.total)
    }

    fn on_epoch(&mut self, record: &EpochRecord) -> ControlFlow<()> {
        self.watch.tell(&FitEvent::Epoch {
            fold: self.fold,
            n_folds: self.n_folds,
            n_epochs: self.n_epochs,
            record: record.clone(),
        })
    }
}
