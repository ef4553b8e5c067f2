//! Trains a classifier on a set of series and scores it on a test set.
//!
//! `cargo run --release --example train_dual` needs nothing else; `-- --help` lists the flags.

mod args;
mod data;
mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::tensor::backend::AutodiffBackend;
use clap::Parser;
use timesclip::backend::{BackendJob, run_on};
use timesclip::batch::TimesClipBatcher;
use timesclip::cache::CachedImageDataset;
use timesclip::metrics::{ClassificationMetrics, ConfusionMatrix};
use timesclip::model::ParameterCount;
use timesclip::report::{
    DatasetReport, ModelReport, Report, RunConfig, RunDirectory, TimingReport,
};
use timesclip::train::{BatchSource, StopReason, Trained, Trainer, TrainingData, evaluate};

use args::Args;
use data::{Data, build_images};
use progress::Progress;

/// Every tensor operation allocates; this allocator makes a training step a third shorter.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let started = Instant::now();
    // Everything that can be wrong is found out before anything is written.
    args.backend.check_device(args.device)?;
    let data = data::load(args)?;
    let config = args.run_config(&data)?;
    let (shortest, longest) = data.steps();
    config.model.validate()?;
    config.model.check_steps(shortest, longest)?;
    config.training.validate()?;
    let path = args.out.clone().unwrap_or_else(|| free_directory(&config));
    let directory = match args.resume {
        true => RunDirectory::resume(path, &config)?,
        false => RunDirectory::create(path, &config)?,
    };
    let job = Job {
        args,
        data,
        config,
        directory,
        started,
    };
    run_on(args.backend, args.device, job)?
}

/// The first of `runs/NAME-MODE-1`, `-2`, … that is not there.
fn free_directory(config: &RunConfig) -> PathBuf {
    let mode = serde_json::to_value(config.model.mode).unwrap_or_default();
    let name = format!("{}-{}", config.dataset, mode.as_str().unwrap_or("run"));
    let free = (1..).map(|i| Path::new("runs").join(format!("{name}-{i}")));
    free.into_iter()
        .find(|path| !path.exists())
        .expect("one of all numbers is free")
}

/// The part of a run that needs a device.
struct Job<'a> {
    args: &'a Args,
    data: Data,
    config: RunConfig,
    directory: RunDirectory,
    started: Instant,
}

impl BackendJob for Job<'_> {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<()> {
        let Self {
            args,
            data,
            config,
            directory,
            ..
        } = &self;
        let sees = config.model.mode.sees();
        let train_images = build_images(args, &data.train, &config.style, sees, "training")?;
        let batcher = TimesClipBatcher::new(config.normalizer.clone(), args.views())
            .with_colors(config.style.palette.clone(), config.pixels);
        let source = BatchSource {
            images: &*train_images,
            batcher: &batcher,
        };

        B::seed(&device, config.training.seed);
        let model = config.model.init::<B>(&device);
        let count = model.parameter_count();
        println!(
            "model     {} weights, {} of them trained, on {}",
            count.total, count.trainable, args.backend
        );
        let checkpoints = directory.checkpoints().context("the run cannot be kept")?;
        let split = &data.split;
        let training = TrainingData {
            source,
            train: &split.train,
            valid: &split.valid,
        };
        let mut progress = Progress::new(&config.training, args.quiet)?;
        let trained = Trainer::<B>::new(&config.training, training, &device)?
            .with_checkpoints(&checkpoints)
            .fit(model, &mut progress)?;
        progress.finish();
        if trained.stopped == StopReason::Interrupted {
            bail!(
                "interrupted after {} epochs; --resume --out {} goes on",
                trained.history.len(),
                directory.path().display()
            );
        }
        let test = self.test(&trained, &batcher, &device)?;
        self.report(trained, test, count, &*train_images)
    }
}

impl Job<'_> {
    /// The one time that the test set is looked at.
    fn test<B: AutodiffBackend>(
        &self,
        trained: &Trained<B>,
        batcher: &TimesClipBatcher,
        device: &B::Device,
    ) -> Result<ClassificationMetrics> {
        let Self {
            args, data, config, ..
        } = self;
        let images = build_images(
            args,
            &data.test,
            &config.style,
            config.model.mode.sees(),
            "test",
        )?;
        let source = BatchSource {
            images: &*images,
            batcher,
        };
        let indices: Vec<usize> = (0..images.n_samples()).collect();
        let model = &trained.model;
        let evaluation = evaluate(model, source, &indices, config.training.batch_size, device)?;
        let pairs = evaluation
            .predictions
            .iter()
            .map(|p| (p.target, p.predicted));
        Ok(ConfusionMatrix::new(config.class_names.len(), pairs).summary(&config.class_names))
    }

    fn report<B: AutodiffBackend>(
        &self,
        trained: Trained<B>,
        test: ClassificationMetrics,
        count: ParameterCount,
        images: &dyn CachedImageDataset,
    ) -> Result<()> {
        let Self {
            data,
            config,
            directory,
            started,
            ..
        } = self;
        let percent = |score: Option<f64>| score.map_or("undefined".into(), |s| format!("{s:.4}"));
        println!(
            "test      accuracy {}, macro F1 {} (weights of epoch {})",
            percent(test.accuracy),
            percent(test.macro_f1),
            trained.best_epoch.unwrap_or(0)
        );
        let report = Report {
            dataset: DatasetReport {
                name: config.dataset.clone(),
                n_train: data.split.train.len(),
                n_valid: data.split.valid.len(),
                n_test: data.test.len(),
                n_variates: config.model.n_variates,
                n_classes: config.model.n_classes,
            },
            model: ModelReport::new(config.model.mode, count),
            cache: config.model.mode.sees().then(|| images.stats()),
            timing: TimingReport {
                epoch_seconds: trained.epoch_seconds,
                total_seconds: started.elapsed().as_secs_f64(),
            },
            history: trained.history,
            best_epoch: trained.best_epoch,
            test,
        };
        directory.write_report(&report, &config.class_names)?;
        println!(
            "run       {} in {:.0} s",
            directory.path().display(),
            report.timing.total_seconds
        );
        Ok(())
    }
}
