//! `timesclip train`: fits a model to a set, tests it, and leaves a run directory.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use timesclip::cache::store::Shard;
use timesclip::classifier::{FitError, prepare};
use timesclip::data::SeriesDataset;
use timesclip::data::read::{Labels, ReadSeries, TableSchema};
use timesclip::data::split::{Split, SplitFractions, SplitOrder};
use timesclip::report::{FitSummary, PageSources, Report};
#[cfg(feature = "tensorboard")]
use timesclip::run::tensorboard::TensorBoard;
use timesclip::run::{RunConfig, RunDirectory};
use timesclip::{ExplainOptions, FitOptions, FitReport, TimesClip};

use crate::closing::class_table;
use crate::extend::{Earlier, Opened};
use crate::flags::FitFlags;
use crate::output::{folder_name, visible, write_results};
use crate::page::{command_line, page};
use crate::progress::{LogFlags, Progress};
use crate::read::{ReadFlags, read, read_like, tell};
use crate::{shard, values};

/// The training set, and how it is fitted to.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Labeled series to train on
    #[arg(value_name = "DATA")]
    pub data: PathBuf,
    /// What else decides the run
    #[command(flatten)]
    pub flags: TrainFlags,
}

/// Everything about a run but its training set.
#[derive(Clone, Debug, Args)]
pub struct TrainFlags {
    /// Labeled series to test on, once, after training [default: see --test-fraction]
    #[arg(long, value_name = "FILE")]
    pub test_data: Option<PathBuf>,
    /// Share of the samples to hold out as the test set, stratified; no group is on both sides
    #[arg(
        long,
        value_name = "X",
        conflicts_with = "test_data",
        value_parser = values::fraction
    )]
    test_fraction: Option<f64>,
    /// How the test set is held out: stratified, or ordered (the last samples)
    #[arg(
        long,
        value_name = "HOW",
        default_value = "stratified",
        requires = "test_fraction"
    )]
    split: SplitOrder,
    /// Directory of the run [default: the first free runs/NAME-TYPE-N]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Resume the interrupted run in --out; the other flags must be those it was started with. With
    /// more --epochs or --steps, train the networks of a complete run on
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Draw or encode the pictures of all sets into the files of --cache disk, and stop: the run
    /// with the same flags finds them
    #[arg(long)]
    prepare_only: bool,
    /// With --prepare-only: only the I-th of N equal parts of every set, I from 1 to N, as one task
    /// of an array job; the run, or `timesclip cache merge`, joins them. `auto` takes both from Slurm,
    /// `auto/N` takes I from Slurm or Kubernetes
    #[arg(long, value_name = "I/N", requires = "prepare_only", value_parser = shard::parse)]
    shard: Option<Shard>,
    /// Also write the learning curves for TensorBoard, into the folder `tensorboard` of the run
    #[cfg(feature = "tensorboard")]
    #[arg(long)]
    tensorboard: bool,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    fit: FitFlags,
    #[command(flatten)]
    log: LogFlags,
}

impl TrainFlags {
    /// The options that the flags describe.
    pub fn options(&self) -> FitOptions {
        self.fit.options()
    }

    /// Fits, and writes for TensorBoard if that is wanted.
    #[cfg_attr(
        not(feature = "tensorboard"),
        expect(
            clippy::unused_self,
            reason = "the flag is there with the feature alone"
        )
    )]
    fn fit(
        &self,
        train: &SeriesDataset,
        options: &FitOptions,
        (run, progress): (&RunDirectory, &mut Progress),
    ) -> Result<(TimesClip, FitReport)> {
        #[cfg(feature = "tensorboard")]
        if self.tensorboard {
            let folder = run.path().join("tensorboard");
            let mut board = TensorBoard::new(folder, progress);
            let fitted = TimesClip::fit_observed(train, options, &mut board)?;
            if let Err(error) = board.finish() {
                progress.say(&format!(
                    "warning: {error}; the learning curves are incomplete"
                ));
            }
            return Ok(fitted);
        }
        #[cfg(not(feature = "tensorboard"))]
        let _ = run;
        Ok(TimesClip::fit_observed(train, options, progress)?)
    }
}

/// What a run is fitted to and tested on, and how such tables are read.
struct Sets {
    train: SeriesDataset,
    test: Option<SeriesDataset>,
    schema: TableSchema,
}

impl TrainFlags {
    fn sets(&self, data: &Path) -> Result<Sets> {
        let options = self.read.options(Labels::Required);
        let quiet = self.log.quiet;
        let ReadSeries {
            dataset, schema, ..
        } = read(data, &options, quiet)?;
        if let Some(path) = &self.test_data {
            let test = read_like(path, &options, &schema)?;
            if !quiet {
                tell(&test);
            }
            return Ok(Sets {
                train: dataset,
                test: Some(test.dataset),
                schema,
            });
        }
        let Some(test) = self.test_fraction else {
            return Ok(Sets {
                train: dataset,
                test: None,
                schema,
            });
        };
        let fractions = SplitFractions { valid: 0.0, test };
        let split = Split::of(&dataset, fractions, self.split, self.fit.options().seed)?;
        Ok(Sets {
            train: dataset.subset(&split.train)?,
            test: Some(dataset.subset(&split.test)?),
            schema,
        })
    }
}

/// Fits, tests and keeps a model.
///
/// # Errors
/// If anything of it fails; what was fitted until then can be resumed.
pub fn run(args: &TrainArgs) -> Result<()> {
    train(&args.data, &args.flags)
}

/// Fits a model to the set in `data` by these flags.
///
/// # Errors
/// As [`run`].
pub fn train(data: &Path, flags: &TrainFlags) -> Result<()> {
    let started = Instant::now();
    let mut progress = Progress::new(flags.log).cancel_on_interrupt()?;
    let mut options = flags.options();
    options.validate()?;
    let Sets {
        train,
        test,
        schema,
    } = flags.sets(data)?;
    if flags.prepare_only {
        let others: Vec<&SeriesDataset> = test.iter().collect();
        prepare(&train, &others, &options, flags.shard, &mut progress)?;
        progress.finish();
        return Ok(());
    }
    let device = options.compute.backend.choose(options.compute.device)?;
    for error in &device.passed_over {
        progress.say(&format!("warning: {error}"));
    }
    let config = RunConfig::new(&train, &options, device.kind);
    let Opened {
        directory,
        earlier,
        is_new,
    } = open(flags, &config)?;
    progress.inform(&format!(
        "{}: {} training, {} test samples; on {device}",
        visible(train.name()),
        train.len(),
        test.as_ref().map_or(0, SeriesDataset::len),
    ));
    match &earlier {
        None => options.compute.checkpoints = Some(directory.checkpoints()),
        Some(earlier) => options.compute.extends = Some(earlier.extension(&directory)),
    }
    let fitted = flags.fit(&train, &options, (&directory, &mut progress));
    if let Err(error) = &fitted
        && !flags.resume
    {
        take_back(&directory, is_new, error);
    }
    let (model, mut fit) = fitted?;
    let model = model.with_schema(schema);
    progress.finish();
    keep(&directory, &model, earlier.is_some())?;
    if let Some(earlier) = earlier {
        earlier.precede(&mut fit);
        directory.write_json("config.json", &config)?;
    }
    let run = FittedRun {
        directory: &directory,
        config: &config,
        train: &train,
        test: test.as_ref(),
        model: &model,
    };
    run.conclude(fit, started, &mut progress)
}

/// Frees the folder of a run that was refused before anything was fitted, for the same command.
fn take_back(directory: &RunDirectory, is_new: bool, error: &anyhow::Error) {
    let cancelled = matches!(error.downcast_ref::<FitError>(), Some(FitError::Cancelled));
    let Ok(mut entries) = fs::read_dir(directory.path()) else {
        return;
    };
    let began = entries.any(|entry| {
        let name = entry.map(|entry| entry.file_name());
        !name.is_ok_and(|name| name == "config.json" || name == "lock")
    });
    if cancelled || began {
        return;
    }
    // What cannot be removed stays; why the fit was refused is what has to be told.
    for name in ["config.json", "lock"] {
        let _ = fs::remove_file(directory.path().join(name));
    }
    if is_new {
        let _ = fs::remove_dir(directory.path());
    }
}

/// Saves the model; of an interrupted fit only what can be resumed from it.
fn keep(directory: &RunDirectory, model: &TimesClip, extends: bool) -> Result<()> {
    let cancelled = model.provenance().cancelled;
    if cancelled && extends {
        bail!(
            "interrupted; {} is as it was before",
            directory.path().display()
        );
    }
    model.save(directory.model())?;
    if cancelled {
        bail!(
            "interrupted; {} holds what was fitted until then; to resume:\n{}",
            directory.model().display(),
            resume_command(std::env::args_os(), directory.path())
        );
    }
    Ok(())
}

/// A run whose model is fitted and saved.
struct FittedRun<'a> {
    directory: &'a RunDirectory,
    config: &'a RunConfig,
    train: &'a SeriesDataset,
    test: Option<&'a SeriesDataset>,
    model: &'a TimesClip,
}

impl FittedRun<'_> {
    /// Tests the model, once, and writes the reports.
    fn conclude(&self, fit: FitReport, started: Instant, progress: &mut Progress) -> Result<()> {
        let Self {
            directory, model, ..
        } = self;
        let fitted = started.elapsed().as_secs_f64();
        for score in &model.provenance().scores {
            progress.inform(&format!(
                "{:12} weight {:.2}  held-out accuracy {:.4}  log loss {:.4}",
                score.predictor, score.weight, score.accuracy, score.log_loss
            ));
        }
        let evaluation = self.test.map(|test| model.evaluate(test)).transpose()?;
        let folds = fit
            .network
            .as_ref()
            .map_or(&[][..], |network| &network.folds);
        progress.draw_curves(folds);
        // A stdout that takes no more does not keep the reports from being written.
        let printed = evaluation.as_ref().map_or(Ok(()), |test| {
            progress.inform(&class_table(test));
            let scores = crate::evaluate::summary(test);
            write_results(None, |out| Ok(writeln!(out, "{scores}")?))
        });
        let seconds = started.elapsed().as_secs_f64();
        let report = Report::new(self.train, (model, fit), evaluation, seconds);
        directory.write_json("report.json", &report)?;
        directory.remove_checkpoints()?;
        let sources = PageSources {
            model,
            train: Some(self.train),
            test: self.test.zip(report.test.as_ref()),
            fit: Some(&FitSummary::from(&report)),
            config: Some(self.config),
            early: &[],
            early_facts: &[],
            explain: Some(ExplainOptions::default()),
        };
        let stages = [
            ("Reading and fitting", fitted),
            ("Testing", seconds - fitted),
        ];
        let html = page(&sources, &stages)?.to_html();
        directory.write("report.html", html.as_bytes())?;
        let seconds = started.elapsed().as_secs_f64();
        progress.inform(&format!("{} in {seconds:.0} s", directory.path().display()));
        printed.context("the scores cannot be printed")
    }
}

/// The directory of a new run, or of the one that is resumed or extended.
fn open(flags: &TrainFlags, config: &RunConfig) -> Result<Opened> {
    let path = flags.out.clone().unwrap_or_else(|| free_directory(config));
    let is_new = !path.exists();
    let alone = |directory| Opened {
        directory,
        earlier: None,
        is_new,
    };
    if !flags.resume {
        let directory = RunDirectory::create(path, config);
        return directory.map(alone).context("the run cannot be kept");
    }
    let (run, kept) = RunDirectory::open(&path).context("there is no run to resume")?;
    let [before, now] = [&kept.options.training, &config.options.training];
    let longer = (before.steps, before.epochs) != (now.steps, now.epochs);
    if !(longer && run.is_complete()) {
        let directory = RunDirectory::resume(path, config);
        return directory.map(alone).context("the run cannot be kept");
    }
    let directory = RunDirectory::extend(path, config).context("the run cannot be extended")?;
    let earlier = Earlier::of(&directory, (before, now))?;
    Ok(Opened {
        directory,
        earlier: Some(earlier),
        is_new,
    })
}

/// The first of `runs/NAME-TYPE-1`, `-2`, … that is not there.
fn free_directory(config: &RunConfig) -> PathBuf {
    let set = folder_name(&config.data.name);
    let name = format!("{set}-{}", config.options.modalities);
    let mut free = (1..).map(|i| Path::new("runs").join(format!("{name}-{i}")));
    free.find(|path| !path.exists())
        .expect("one of all numbers is free")
}

/// The command that resumes the run in `out`: the one that started it, with `--resume`.
fn resume_command(started: impl Iterator<Item = OsString>, out: &Path) -> String {
    let words = started.map(|word| word.to_string_lossy().into_owned());
    let mut words: Vec<String> = words.collect();
    let has = |words: &[String], flag: &str| {
        let with_value = format!("{flag}=");
        let mut given = words.iter();
        given.any(|word| word == flag || word.starts_with(&with_value))
    };
    if !has(&words, "--out") {
        words.extend(["--out".to_owned(), out.display().to_string()]);
    }
    if !has(&words, "--resume") {
        words.push("--resume".to_owned());
    }
    command_line(words)
}
