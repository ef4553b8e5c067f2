//! The training loop: seeded, resumable, and exact where convenience would not be.
//!
//! Metrics are of the whole set, not means over batches; clipping is of the gradient's global
//! norm; the best epoch's weights are what a run returns; a resumed run equals one that was never
//! stopped.

#[cfg(feature = "burn-train")]
mod adapter;
mod average;
mod checkpoint;
mod config;
mod data;
mod epoch;
mod error;
mod evaluate;
mod learner;
mod loader;
mod observer;
mod optimizer;
mod parallel;
mod schedule;
mod standardize;
mod state;

use std::ops::ControlFlow;
use std::time::Instant;

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;

pub use checkpoint::{CheckpointError, Checkpoints};
pub use config::{KeptEpoch, TrainingConfig};
pub use data::TrainingData;
pub use error::TrainError;
pub use evaluate::{Evaluation, Prediction, evaluate, predict};
pub use observer::{StepEvent, TrainingObserver};
pub use schedule::Schedule;
pub use state::{EpochRecord, StopReason};

use crate::batch::{BatchError, HostBatch};
use crate::model::{TimesClipClassifier, seed_training};
use data::check_targets;
use epoch::{EpochMeans, EpochSums, epoch_seed};
use evaluate::{evaluate_on, rows};
use learner::Learner;
use loader::for_each_batch;
use parallel::Replicas;
use state::RunState;

/// What training gives.
#[derive(Debug)]
pub struct Trained<B: AutodiffBackend> {
    /// The classifier of the best epoch, without autodiff: ready to predict. Without validation
    /// samples no epoch is chosen, and it is that of the last.
    pub model: TimesClipClassifier<B::InnerBackend>,
    /// The best epoch, counted from 1; `None` if not one was completed.
    pub best_epoch: Option<usize>,
    /// All epochs.
    pub history: Vec<EpochRecord>,
    /// Wall seconds of each epoch, validation included.
    pub epoch_seconds: Vec<f64>,
    /// Why it ended.
    pub stopped: StopReason,
}

/// Trains classifiers, on one device or on several.
#[derive(Debug)]
pub struct Trainer<'a, B: AutodiffBackend> {
    config: &'a TrainingConfig,
    data: TrainingData<'a>,
    devices: &'a [B::Device],
    checkpoints: Option<&'a Checkpoints>,
}

impl<'a, B: AutodiffBackend> Trainer<'a, B> {
    /// A trainer without checkpoints.
    ///
    /// # Errors
    /// [`TrainError::Config`] if a number of the configuration cannot be,
    /// [`TrainError::NoSamples`] if there is nothing to learn from.
    pub fn new(
        config: &'a TrainingConfig,
        data: TrainingData<'a>,
        device: &'a B::Device,
    ) -> Result<Self, TrainError> {
        config.validate()?;
        if data.train.is_empty() {
            return Err(TrainError::NoSamples);
        }
        data.check(config.color_jitter.is_some())?;
        Ok(Self {
            config,
            data,
            devices: std::slice::from_ref(device),
            checkpoints: None,
        })
    }

    /// Writes a checkpoint after every epoch, and goes on from the last one if there is one.
    #[must_use]
    pub fn with_checkpoints(self, checkpoints: &'a Checkpoints) -> Self {
        Self {
            checkpoints: Some(checkpoints),
            ..self
        }
    }

    /// Spreads every batch over `devices`, one neighboring part each; the first takes the place of
    /// the device given before, holds the optimizer, and does what looks across samples.
    ///
    /// InfoNCE has the whole batch for negatives and batch norm the whole batch for statistics, so
    /// that any number of devices computes what one would, but for rounding and the random numbers
    /// of dropout, of which every part draws its own. A device may be named more than once.
    ///
    /// # Panics
    /// If there are no devices.
    #[must_use]
    pub fn with_devices(self, devices: &'a [B::Device]) -> Self {
        assert!(!devices.is_empty(), "training on 0 devices");
        Self { devices, ..self }
    }

    fn n_epochs(&self) -> usize {
        self.config.n_epochs(self.data.train.len())
    }

    fn steps_per_epoch(&self) -> usize {
        loader::n_batches(self.data.train.len(), self.config.batch_size)
    }

    /// Where the optimizer is.
    fn device(&self) -> &'a B::Device {
        &self.devices[0]
    }

    /// Trains `model` to the end.
    ///
    /// # Errors
    /// [`TrainError`] if the samples are not of the model's sizes and classes, one cannot be read, the
    /// loss stops being a number, or a checkpoint cannot be written or read.
    pub fn fit(
        &self,
        model: TimesClipClassifier<B>,
        observer: &mut dyn TrainingObserver,
    ) -> Result<Trained<B>, TrainError> {
        let mut run = self.start(model)?;
        let mut stopped = StopReason::Finished;
        let n_epochs = self.n_epochs();
        while run.state.next_epoch() <= n_epochs {
            if self
                .config
                .early_stopping
                .is_some_and(|patience| run.state.is_stale(patience, self.config.score))
            {
                stopped = StopReason::EarlyStopping;
                break;
            }
            let flow = self.run_epoch(&mut run, observer)?;
            let asked = flow.is_break()
                || run
                    .state
                    .history
                    .last()
                    .is_some_and(|last| observer.on_epoch(last).is_break());
            if asked && run.state.next_epoch() <= n_epochs {
                stopped = StopReason::Interrupted;
                break;
            }
        }
        Ok(Trained {
            model: *run.best,
            best_epoch: run.state.best().map(|best| best.epoch),
            history: run.state.history,
            epoch_seconds: run.state.epoch_seconds,
            stopped,
        })
    }

    /// A run at its beginning, or where its last checkpoint left it.
    fn start(&self, model: TimesClipClassifier<B>) -> Result<Run<'a, B>, TrainError> {
        self.data.check_model(&model)?;
        let mut learner = Learner::new(Box::new(model), self.config);
        let mut best = Box::new(learner.model().valid());
        let mut state = RunState::default();
        if self
            .checkpoints
            .is_none_or(|checkpoints| !checkpoints.has_last())
        {
            best = self.standardized(best)?;
            learner.share_fixed(&best);
            if let Some(checkpoints) = self.checkpoints {
                checkpoints.save_frozen(&best)?;
                checkpoints.save_best(&best)?;
                checkpoints.save_last(&learner, &state)?;
            }
        }
        // Loading also what was just written makes the first start and a resumed one alike.
        if let Some(checkpoints) = self.checkpoints {
            best = Box::new(checkpoints.load_best(*best, self.device())?);
            learner.share_fixed(&best);
            state = checkpoints.load_last(&mut learner, self.device())?;
        }
        Ok(Run {
            replicas: Replicas::of(learner.model(), self.devices),
            learner,
            unsaved: Unsaved::default(),
            state,
            best,
        })
    }

    /// One pass over the training samples and the validation that follows it. A pass that is
    /// stopped half-way leaves the run as the epoch before had left it, but for the weights.
    fn run_epoch(
        &self,
        run: &mut Run<'_, B>,
        observer: &mut dyn TrainingObserver,
    ) -> Result<ControlFlow<()>, TrainError> {
        let started = Instant::now();
        let epoch = run.state.next_epoch();
        // The backend's generator has no state one could save, so every epoch starts it anew.
        let seed = epoch_seed(self.config.seed, epoch);
        let _dropout = seed_training::<B>(seed, self.device());
        let Some(sums) = self.train_epoch(run, epoch, observer)? else {
            return Ok(ControlFlow::Break(()));
        };
        let model = run.learner.snapshot();
        let replicas = match run.learner.is_averaged() {
            true => Replicas::of(&model, self.devices),
            false => run.replicas.valid(),
        };
        let valid = self.validate(epoch, &replicas, &model)?;
        let valid_loss = valid.as_ref().map(|valid| valid.loss);
        let schedule = self.config.schedule;
        run.state
            .schedule
            .epoch_done(schedule, valid_loss.unwrap_or(sums.loss));
        let record = EpochRecord {
            epoch,
            train_loss: sums.loss,
            train_accuracy: sums.accuracy,
            train_contrastive: sums.contrastive,
            valid_loss,
            valid_accuracy: valid.as_ref().and_then(Evaluation::accuracy),
            valid_balanced_accuracy: valid.as_ref().and_then(Evaluation::balanced_accuracy),
            learning_rate: sums.learning_rate,
        };
        let (seconds, keep) = (started.elapsed().as_secs_f64(), self.config.keep);
        let is_best = run.state.push(record, seconds, (keep, self.config.score));
        if is_best {
            run.best = model;
        }
        run.unsaved.add(self.steps_per_epoch(), is_best);
        self.save(run)?;
        self.devices.iter().for_each(B::memory_cleanup);
        Ok(ControlFlow::Continue(()))
    }

    /// Writes a checkpoint, if it is time for one.
    fn save(&self, run: &mut Run<'_, B>) -> Result<(), TrainError> {
        let Some(checkpoints) = self.checkpoints else {
            return Ok(());
        };
        let is_last = run.state.next_epoch() > self.n_epochs();
        if !is_last && run.unsaved.steps < checkpoints.interval() {
            return Ok(());
        }
        if run.unsaved.best {
            checkpoints.save_best(&run.best)?;
        }
        checkpoints.save_last(&run.learner, &run.state)?;
        run.unsaved = Unsaved::default();
        Ok(())
    }

    /// The steps of one epoch; `None` if the observer stopped them.
    fn train_epoch(
        &self,
        run: &mut Run<'_, B>,
        epoch: usize,
        observer: &mut dyn TrainingObserver,
    ) -> Result<Option<EpochMeans>, TrainError> {
        let TrainingConfig {
            batch_size, seed, ..
        } = *self.config;
        let order = loader::shuffled(self.data.train, seed, epoch);
        let (n_steps, n_epochs) = (self.steps_per_epoch(), self.n_epochs());
        let (mut sums, mut step) = (EpochSums::default(), 0);
        let source = self.data.source_of_epoch(epoch);
        let result = for_each_batch(source, &order, batch_size, |batch| {
            // In its middle, where the rate is zero at neither end of a schedule.
            let progress = (epoch - 1) as f64 + (step as f64 + 0.5) / n_steps as f64;
            step += 1;
            let schedule = &run.state.schedule;
            let factor = schedule.factor(self.config.schedule, progress, n_epochs);
            sums.learning_rate = self.config.learning_rate * factor;
            check_targets(&batch, run.learner.model()).map_err(Stop::Failed)?;
            let targets = batch.targets().to_vec();
            let batch = self.recolored(batch, epoch, step);
            let model = run.learner.model();
            let pass = run.replicas.forward(model, batch);
            let loss = pass.loss();
            if !loss.is_finite() {
                return Err(Stop::Failed(TrainError::NonFiniteLoss {
                    epoch,
                    step,
                    loss,
                }));
            }
            let (contrastive, logits) = (pass.contrastive(), rows(pass.logits()));
            sums.add(loss, contrastive, &targets, &logits);
            let gradients = pass.backward(&run.replicas, model);
            let n = (epoch - 1) * n_steps + step;
            run.learner.step(sums.learning_rate, gradients, n);
            run.replicas.sync_from(run.learner.model());
            match observer.on_step(StepEvent {
                epoch,
                step,
                n_steps,
                loss,
            }) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(Stop::Asked),
            }
        });
        match result {
            Ok(()) => Ok(Some(sums.means())),
            Err(Stop::Asked) => Ok(None),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// The batch in the colors of its step, if they are to vary.
    fn recolored(&self, batch: HostBatch, epoch: usize, step: usize) -> HostBatch {
        let Some(jitter) = &self.config.color_jitter else {
            return batch;
        };
        let source = self.data.source;
        let draw = [self.config.seed, epoch as u64, step as u64];
        let n_variates = source.samples().n_variates();
        batch.with_colors(source.batcher().jittered_colors(n_variates, jitter, draw))
    }

    /// Loss and answers on the validation samples, if there are any.
    fn validate(
        &self,
        epoch: usize,
        replicas: &Replicas<'_, B::InnerBackend>,
        model: &TimesClipClassifier<B::InnerBackend>,
    ) -> Result<Option<Evaluation>, TrainError> {
        if self.data.valid.is_empty() {
            return Ok(None);
        }
        let TrainingData { source, valid, .. } = self.data;
        let batch_size = self.config.batch_size;
        let evaluation = evaluate_on(replicas, model, source, valid, batch_size)?;
        if !evaluation.loss.is_finite() {
            let loss = evaluation.loss;
            return Err(TrainError::NonFiniteValidation { epoch, loss });
        }
        Ok(Some(evaluation))
    }
}

/// A run in progress.
struct Run<'a, B: AutodiffBackend> {
    replicas: Replicas<'a, B>,
    learner: Learner<B>,
    unsaved: Unsaved,
    state: RunState,
    best: Box<TimesClipClassifier<B::InnerBackend>>,
}

/// What was done since the last checkpoint.
#[derive(Default)]
struct Unsaved {
    steps: usize,
    /// Whether an epoch was better than all before.
    best: bool,
}

impl Unsaved {
    fn add(&mut self, steps: usize, best: bool) {
        self.steps += steps;
        self.best |= best;
    }
}

/// Why the steps of an epoch ended early.
enum Stop {
    Asked,
    Failed(TrainError),
}

impl From<BatchError> for Stop {
    fn from(source: BatchError) -> Self {
        Self::Failed(source.into())
    }
}
