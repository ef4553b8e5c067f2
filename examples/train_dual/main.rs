//! Trains a classifier on a set of series and scores it on a test set.
//!
//! `cargo run --release --example train_dual` needs nothing else; `-- --help` lists the flags.

mod args;
mod data;
mod encoders;
mod prepare;
mod progress;
mod resume;
mod sets;
mod views;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use clap::Parser;
use timesclip::backend::{TrainingJob, train_on};
use timesclip::batch::TimesClipBatcher;
use timesclip::metrics::{ClassificationMetrics, ConfusionMatrix};
use timesclip::model::{ParameterCount, TimesClipClassifier};
use timesclip::report::{
    DatasetReport, ModelReport, Report, RunConfig, RunDirectory, TimingReport,
};
use timesclip::train::{StopReason, Trained, Trainer, TrainingData, evaluate};
use timesclip::weights::save_classifier;

use args::Args;
use data::Data;
use encoders::Pretrained;
use prepare::Preparation;
use progress::Progress;
use sets::{Sets, check_device_cache, check_feature_cache};

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
    args.encoders.check(args.mode())?;
    let device = args.backend.choose(args.device)?;
    for error in &device.passed_over {
        eprintln!("warning: {error}");
    }
    let devices = device.and_next(args.devices.get())?;
    for index in &devices[1..] {
        device.kind.try_device(*index)?;
    }
    match devices.len() {
        1 => println!("device    {device}"),
        n => println!("device    {device}, the first of {n}"),
    }
    let data = data::load(args)?;
    let pretrained = args.encoders.open()?;
    let config = args.run_config(&data, &pretrained, device.kind)?;
    let (shortest, longest) = data.steps();
    config.model.validate()?;
    config.model.check_steps(shortest, longest)?;
    config.training.validate()?;
    if let Some(augmentation) = &config.augmentation {
        augmentation.transforms.validate()?;
    }
    check_feature_cache(args, &config)?;
    if args.prepare_only {
        let preparation = Preparation::new(args, data, pretrained, config)?;
        return train_on(device.kind, &devices, preparation)?;
    }
    let job = Job {
        args,
        data,
        pretrained,
        config,
        started,
    };
    train_on(device.kind, &devices, job)?
}

/// The directory of a new run, or of the one that is gone on with.
fn directory(args: &Args, config: &RunConfig) -> Result<RunDirectory> {
    let path = args.out.clone().unwrap_or_else(|| free_directory(config));
    Ok(match args.resume {
        true => RunDirectory::resume(path, config)?,
        false => RunDirectory::create(path, config)?,
    })
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
    pretrained: Pretrained,
    config: RunConfig,
    started: Instant,
}

impl TrainingJob for Job<'_> {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, devices: &[B::Device]) -> Result<()> {
        let Self {
            args, data, config, ..
        } = &self;
        check_device_cache::<B>(args, config, data.train.len(), devices)?;
        let batcher = batcher(args, config);
        let (model, count) = start::<B>(args, config, &self.pretrained, devices)?;
        // Some of what can be wrong only the device knows: it was asked before this is written.
        let directory = directory(args, config)?;
        let plain = model.valid();
        let what = (&data.train, "training", n_views(config));
        let mut sets = Sets::build(args, config, &batcher, what, (&plain, devices))?;
        sets.keep_on_device::<B>(args, &batcher, devices)?;
        let sources = sets.sources(&batcher)?;

        let checkpoints = directory.checkpoints().context("the run cannot be kept")?;
        let split = &data.split;
        let training =
            TrainingData::new(sources[0], &split.train, &split.valid).with_views(&sources[1..]);
        let mut progress = Progress::new(&config.training, args.quiet)?;
        let trained = Trainer::<B>::new(&config.training, training, &devices[0])?
            .with_devices(devices)
            .with_checkpoints(&checkpoints)
            .fit(model, &mut progress)?;
        progress.finish();
        if trained.stopped == StopReason::Interrupted {
            bail!(
                "interrupted after {} epochs; to go on:\n{}",
                trained.history.len(),
                resume::command(std::env::args_os(), directory.path())
            );
        }
        let weights = directory.path().join("model.safetensors");
        save_classifier(&trained.model, &config.model, weights)?;
        let test = self.test(&trained, &batcher, devices)?;
        self.report(trained, test, (count, &sets), &directory)
    }
}

/// What makes batches, as the flags say.
fn batcher(args: &Args, config: &RunConfig) -> TimesClipBatcher {
    TimesClipBatcher::new(config.normalizer.clone(), args.batch_views())
        .with_colors(config.style.palette.clone(), config.pixels)
}

/// Augmented views of every training sample.
fn n_views(config: &RunConfig) -> usize {
    config
        .augmentation
        .map_or(0, |augmentation| augmentation.views)
}

/// The classifier at its start: weights drawn from the seed, pretrained ones read.
fn start<B: AutodiffBackend>(
    args: &Args,
    config: &RunConfig,
    pretrained: &Pretrained,
    devices: &[B::Device],
) -> Result<(TimesClipClassifier<B>, ParameterCount)> {
    let device = &devices[0];
    B::seed(device, config.training.seed);
    let model = config.model.init::<B>(device);
    let model = args.encoders.load(model, config, pretrained, device)?;
    let count = model.parameter_count();
    println!(
        "model     {} weights, {} of them trained, {} frozen",
        count.total, count.trainable, count.frozen
    );
    Ok((model, count))
}

impl Job<'_> {
    /// The one time that the test set is looked at.
    fn test<B: AutodiffBackend>(
        &self,
        trained: &Trained<B>,
        batcher: &TimesClipBatcher,
        devices: &[B::Device],
    ) -> Result<ClassificationMetrics> {
        let Self {
            args, data, config, ..
        } = self;
        let what = (&data.test, "test", 0);
        let sets = Sets::build(args, config, batcher, what, (&trained.model, devices))?;
        let source = sets.sources(batcher)?[0];
        let indices: Vec<usize> = (0..data.test.len()).collect();
        let model = &trained.model;
        let evaluation = evaluate(
            model,
            source,
            &indices,
            config.training.batch_size,
            &devices[0],
        )?;
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
        (count, sets): (ParameterCount, &Sets),
        directory: &RunDirectory,
    ) -> Result<()> {
        let Self {
            data,
            config,
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
            cache: config.model.mode.sees().then(|| sets.images().stats()),
            features: sets.feature_stats(),
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
