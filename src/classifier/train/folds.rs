//! The folds of one fit: side by side where cores allow.

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use burn::tensor::backend::AutodiffBackend;
use rayon::ThreadPoolBuilder;

use super::settings::training_config;
use super::{FoldReport, begin};
use crate::batch::{self, BatchSource};
use crate::classifier::FitError;
use crate::classifier::observer::{FitEvent, Phase, Watch};
use crate::classifier::options::FitOptions;
use crate::classifier::pretrained::Pretrained;
use crate::classifier::recipe::Recipe;
use crate::classifier::start::StartingModel;
use crate::data::split::Split;
use crate::model::TimesClipClassifier;
use crate::train::{
    Checkpoints, EpochRecord, Prediction, StepEvent, Trainer, TrainingConfig, TrainingData,
    TrainingObserver, predict,
};

/// Optimizer steps between two checkpoints of a fold.
const CHECKPOINT_STEPS: usize = 100;
/// Stack of a thread that trains: modules are large values in builds that are not optimized.
const STACK_BYTES: usize = 16 << 20;

/// What every fold is trained with.
pub(super) struct FoldRun<'a, B: AutodiffBackend> {
    pub(super) options: &'a FitOptions,
    pub(super) recipe: &'a Recipe,
    pub(super) pretrained: &'a Pretrained,
    pub(super) start: Option<&'a StartingModel>,
    pub(super) sources: Vec<BatchSource<'a>>,
    pub(super) augmentation: Option<batch::Augmentation>,
    pub(super) devices: &'a [B::Device],
    /// Folds that are trained at the same time, each on its share of the rayon pool's threads.
    pub(super) n_at_once: usize,
}

/// The network of a fold, and what it says of the samples that it was not trained on.
pub(super) struct TrainedFold<B: AutodiffBackend> {
    number: usize,
    pub(super) model: TimesClipClassifier<B::InnerBackend>,
    /// Indices of samples, and what is said of each.
    pub(super) held_out: Vec<(usize, Prediction)>,
    pub(super) report: FoldReport,
}

/// A fold to train, counted from 0.
struct Fold<'a> {
    number: usize,
    split: &'a Split,
    config: TrainingConfig,
}

impl Fold<'_> {
    fn n_epochs(&self) -> usize {
        self.config.n_epochs(self.split.train.len())
    }

    fn n_steps(&self) -> usize {
        self.n_epochs() * self.split.train.len().div_ceil(self.config.batch_size)
    }
}

/// What happened in a fold, and where to answer whether it goes on.
struct Told {
    fold: usize,
    news: News,
    answer: Sender<ControlFlow<()>>,
}

enum News {
    /// Steps of the fold that are done.
    Step(usize),
    Epoch(EpochRecord),
}

/// What the threads of a run share.
struct Work<'a> {
    folds: &'a [Fold<'a>],
    /// The fold that is begun next.
    next: AtomicUsize,
    /// Set when a fold failed or someone cancelled: no other is begun.
    stopped: AtomicBool,
}

impl<'a> Work<'a> {
    fn take(&self) -> Option<&'a Fold<'a>> {
        match self.stopped.load(Ordering::Relaxed) {
            true => None,
            false => self.folds.get(self.next.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Passes on what the threads tell, until they are done.
    fn pass_on(&self, told: Receiver<Told>, watch: &mut Watch<'_>) {
        let total = self.folds.iter().map(Fold::n_steps).sum();
        let _ = watch.start(Phase::Training, total);
        let mut done = vec![0; self.folds.len()];
        for Told { fold, news, answer } in told {
            let flow = match news {
                News::Step(step) => {
                    done[fold] = step;
                    watch.progress(Phase::Training, done.iter().sum(), total)
                }
                News::Epoch(record) => watch.tell(&FitEvent::Epoch {
                    fold: fold + 1,
                    n_folds: self.folds.len(),
                    n_epochs: self.folds[fold].n_epochs(),
                    record,
                }),
            };
            if flow.is_break() {
                self.stop();
            }
            // A thread that is gone needs no answer.
            let _ = answer.send(flow);
        }
    }
}

impl<B: AutodiffBackend> FoldRun<'_, B> {
    /// Trains the networks of all folds; of a run that is cancelled, those that completed an epoch.
    pub(super) fn train(
        &self,
        splits: &[Split],
        watch: &mut Watch<'_>,
    ) -> Result<Vec<TrainedFold<B>>, FitError> {
        let fold = |(number, split)| self.fold(number, split);
        let folds: Vec<Fold<'_>> = splits.iter().enumerate().map(fold).collect();
        let work = Work {
            folds: &folds,
            next: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        };
        let n_threads = self.n_threads();
        let trained = thread::scope(|scope| {
            let (sender, told) = mpsc::channel();
            let start = |_| {
                let (work, sender) = (&work, sender.clone());
                let run = move || on_threads(n_threads, || self.train_some(work, &sender));
                let thread = thread::Builder::new().stack_size(STACK_BYTES);
                let started = thread.spawn_scoped(scope, run);
                started.expect("the system has a thread to spare")
            };
            let threads: Vec<_> = (0..self.n_at_once).map(start).collect();
            drop(sender);
            work.pass_on(told, watch);
            let trained = threads.into_iter().map(|thread| match thread.join() {
                Ok(trained) => trained,
                Err(panic) => resume_unwind(panic),
            });
            trained.collect::<Result<Vec<_>, _>>()
        })?;
        let mut trained: Vec<_> = trained.into_iter().flatten().collect();
        trained.sort_by_key(|fold| fold.number);
        Ok(trained)
    }

    fn fold<'s>(&self, number: usize, split: &'s Split) -> Fold<'s> {
        let (options, n_train) = (self.options, split.train.len());
        Fold {
            number,
            split,
            config: training_config(options, self.pretrained, n_train, number as u64),
        }
    }

    /// Threads of each fold: its share of those that the fit was started on.
    fn n_threads(&self) -> usize {
        (rayon::current_num_threads() / self.n_at_once).max(1)
    }
    /// Trains one fold after the other, as long as there are any.
    fn train_some(
        &self,
        work: &Work<'_>,
        sender: &Sender<Told>,
    ) -> Result<Vec<TrainedFold<B>>, FitError> {
        let mut trained = Vec::new();
        while let Some(fold) = work.take() {
            let mut progress = FoldProgress { fold, work, sender };
            match self.train_fold(fold, &mut progress) {
                Ok(fold) => trained.extend(fold),
                Err(error) => {
                    work.stop();
                    return Err(error);
                }
            }
        }
        Ok(trained)
    }

    /// Trains one fold; nothing if it was cancelled in its first epoch.
    fn train_fold(
        &self,
        fold: &Fold<'_>,
        progress: &mut FoldProgress<'_>,
    ) -> Result<Option<TrainedFold<B>>, FitError> {
        let Fold {
            number,
            split,
            config,
        } = fold;
        let device = &self.devices[0];
        let model = begin::<B>(
            (self.start, *number),
            self.options,
            self.recipe,
            self.pretrained,
            (config.seed, device),
        )?;
        let mut data = TrainingData::new(self.sources[0], &split.train, &split.valid)
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
        let trained = trainer.fit(model, progress)?;
        if trained.best_epoch.is_none() {
            return Ok(None);
        }
        let (source, batch_size) = (self.sources[0], config.batch_size);
        let held_out = predict(&trained.model, source, &split.valid, batch_size, device)?;
        Ok(Some(TrainedFold {
            number: *number,
            held_out: split.valid.iter().copied().zip(held_out).collect(),
            report: FoldReport {
                n_train: split.train.len(),
                n_valid: split.valid.len(),
                best_epoch: trained.best_epoch,
                history: trained.history,
                epoch_seconds: trained.epoch_seconds,
            },
            model: trained.model,
        }))
    }
}

/// Runs `work` on so many threads of its own.
fn on_threads<T: Send>(n_threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = ThreadPoolBuilder::new()
        .num_threads(n_threads)
        .stack_size(STACK_BYTES);
    match pool.build() {
        Ok(pool) => pool.install(work),
        // A system without more threads: all share those that are there.
        Err(_) => work(),
    }
}

/// Tells the thread of the fit what a fold's training says.
struct FoldProgress<'a> {
    fold: &'a Fold<'a>,
    work: &'a Work<'a>,
    sender: &'a Sender<Told>,
}

impl FoldProgress<'_> {
    /// Waits for the answer: a run that is cancelled at a step ends there.
    fn tell(&self, news: News) -> ControlFlow<()> {
        let (answer, answered) = mpsc::channel();
        let fold = self.fold.number;
        let told = self.sender.send(Told { fold, news, answer });
        let flow = match told {
            Ok(()) => answered.recv().unwrap_or(ControlFlow::Break(())),
            Err(_) => ControlFlow::Break(()),
        };
        match self.work.stopped.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => flow,
        }
    }
}

impl TrainingObserver for FoldProgress<'_> {
    fn on_step(&mut self, event: StepEvent) -> ControlFlow<()> {
        self.tell(News::Step((event.epoch - 1) * event.n_steps + event.step))
    }

    fn on_epoch(&mut self, record: &EpochRecord) -> ControlFlow<()> {
        self.tell(News::Epoch(record.clone()))
    }
}
