//! `timesclip compare`: several models on the same samples and seeds, as a table of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use timesclip::compare::{CompareError, Comparison, Contestant, Line};
use timesclip::data::SeriesDataset;
use timesclip::data::read::Labels;
use timesclip::data::split::{Split, SplitFractions, SplitOrder};
use timesclip::options::ComputeOptions;
use timesclip::report::comparison_page;
use timesclip::{Effort, FitOptions};

use crate::memory::Peak;
use crate::output::{folder_name, write_results};
use crate::page::stamp;
use crate::predict::DeviceFlags;
use crate::progress::{LogFlags, Progress};
use crate::read::{ReadFlags, read, read_like, tell};
use crate::values;

/// Share of the samples that is the test set where none is given.
const TEST_FRACTION: f64 = 0.3;

/// The sets, the models, and how often each is fitted.
#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Labeled series to train on
    data: PathBuf,
    /// Labeled series to test on, once a line [default: --test-fraction of DATA]
    #[arg(long, value_name = "FILE")]
    test_data: Option<PathBuf>,
    /// Share of the samples to hold out as the test set, stratified, the same one for all lines; no
    /// group is on both sides [default: 0.3]
    #[arg(
        long,
        value_name = "X",
        conflicts_with = "test_data",
        value_parser = values::fraction
    )]
    test_fraction: Option<f64>,
    /// Models, several with commas: full, dual, language_only, vision_only, kernels_only,
    /// random_vision, raw_ink, dtw, majority [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    models: Vec<Contestant>,
    /// The model that the others are compared with [default: the first of --models]
    #[arg(long, value_name = "NAME")]
    against: Option<Contestant>,
    /// How many seeds every model is fitted with
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed; it decides the test set, too, where none is given
    #[arg(long, value_name = "N", default_value_t = FitOptions::default().seed)]
    seed: u64,
    /// fast: the closed form alone, seconds a line; full: with an ensemble of networks, minutes
    #[arg(long, value_name = "EFFORT", default_value = "fast")]
    effort: Effort,
    /// Optimizer steps of each network, with --effort full [default: as train]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Folds, with --effort full [default: as train]
    #[arg(long, value_name = "N", value_parser = values::count)]
    folds: Option<usize>,
    /// Where finished lines and the tables are kept; lines that are there are not done again
    /// [default: runs/NAME-compare]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    device: DeviceFlags,
    #[command(flatten)]
    log: LogFlags,
}

/// `comparison.json`: what all lines in a folder have in common.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Setting {
    version: String,
    train: String,
    test: String,
    effort: Effort,
    steps: Option<usize>,
    folds: Option<usize>,
}

/// Compares.
///
/// # Errors
/// If the series cannot be read, a model cannot be fitted, or the results cannot be written.
pub(crate) fn run(args: &CompareArgs) -> Result<()> {
    let started = Instant::now();
    let models = models(args)?;
    let first = args.models.first().copied();
    let against = args.against.or(first).unwrap_or(models[0]);
    let (train, test) = sets(args)?;
    let folder = args.out.clone().unwrap_or_else(|| {
        let name = format!("{}-compare", folder_name(train.name()));
        Path::new("runs").join(name)
    });
    open(&folder, &args.setting(&train, &test))?;
    let mut progress = Progress::new(args.log);
    let lines = lines(args, (&models, &folder), (&train, &test), &mut progress)?;
    progress.finish();
    ensure!(!lines.is_empty(), "no model could be compared");
    let comparison = Comparison { lines, against };
    write(&folder, &comparison, (&train, &test), started)?;
    progress.inform(&format!("{}", folder.display()));
    write_results(None, |out| {
        write!(out, "{}", comparison.to_markdown())?;
        Ok(writeln!(out, "\n{}", Comparison::METHOD)?)
    })
}

/// The models, each once, in the order of all.
fn models(args: &CompareArgs) -> Result<Vec<Contestant>> {
    let wanted = |of: &Contestant| args.models.is_empty() || args.models.contains(of);
    let models: Vec<Contestant> = Contestant::ALL.into_iter().filter(wanted).collect();
    match args.against {
        Some(against) if !models.contains(&against) => {
            bail!("--against {against} is not among the --models")
        }
        _ => Ok(models),
    }
}

/// The training and the test set.
fn sets(args: &CompareArgs) -> Result<(SeriesDataset, SeriesDataset)> {
    let options = args.read.options(Labels::Required);
    let quiet = args.log.quiet;
    let whole = read(&args.data, &options, quiet)?;
    if let Some(path) = &args.test_data {
        let test = read_like(path, &options, &whole.schema)?;
        if !quiet {
            tell(&test);
        }
        return Ok((whole.dataset, test.dataset));
    }
    let test = args.test_fraction.unwrap_or(TEST_FRACTION);
    let fractions = SplitFractions { valid: 0.0, test };
    let split = Split::of(&whole.dataset, fractions, SplitOrder::Stratified, args.seed)?;
    let part = |indices: &[usize]| whole.dataset.subset(indices);
    Ok((part(&split.train)?, part(&split.test)?))
}

impl CompareArgs {
    fn setting(&self, train: &SeriesDataset, test: &SeriesDataset) -> Setting {
        let hash = |set: &SeriesDataset| format!("{:032x}", set.fingerprint());
        Setting {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            train: hash(train),
            test: hash(test),
            effort: self.effort,
            steps: self.steps,
            folds: self.folds,
        }
    }

    fn options(&self, seed: u64) -> FitOptions {
        let device = self.device.options();
        let mut options = FitOptions {
            seed,
            effort: self.effort,
            folds: self.folds,
            compute: ComputeOptions {
                backend: device.backend,
                device: device.device,
                ..ComputeOptions::default()
            },
            ..FitOptions::default()
        };
        options.training.steps = self.steps;
        options
    }
}

/// Makes the folder, or checks that what is in it is the same comparison.
fn open(folder: &Path, setting: &Setting) -> Result<()> {
    let path = folder.join("comparison.json");
    if !path.exists() {
        fs::create_dir_all(folder.join("lines"))
            .with_context(|| format!("cannot make `{}`", folder.display()))?;
        return write_results(Some(&path), |out| {
            Ok(serde_json::to_writer_pretty(out, setting)?)
        });
    }
    let kept: Setting = read_json(&path)?;
    let differs = [
        ("another release", kept.version != setting.version),
        ("other training data", kept.train != setting.train),
        ("other test data", kept.test != setting.test),
        ("another --effort", kept.effort != setting.effort),
        ("other --steps", kept.steps != setting.steps),
        ("other --folds", kept.folds != setting.folds),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((what, _)) => bail!(
            "`{}` holds lines of {what}: choose another --out",
            folder.display()
        ),
    }
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("`{}` is damaged", path.display()))
}

/// All lines: those that are kept are read, the others are done and kept.
fn lines(
    args: &CompareArgs,
    (models, folder): (&[Contestant], &Path),
    (train, test): (&SeriesDataset, &SeriesDataset),
    progress: &mut Progress,
) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for &model in models {
        let n_seeds = if model.is_seeded() { args.seeds } else { 1 };
        for seed in args.seed..args.seed.saturating_add(n_seeds) {
            let path = folder.join("lines").join(Line::file_name(model, seed));
            if path.exists() {
                lines.push(read_json(&path)?);
                continue;
            }
            let peak = Peak::start();
            let line = Line::run(model, (train, test), &args.options(seed), progress);
            let mut line = match line {
                Err(error @ CompareError::LeftOut { .. }) => {
                    progress.say(&error.to_string());
                    break;
                }
                line => line.with_context(|| format!("{model}, seed {seed}"))?,
            };
            line.peak_memory_bytes = peak.bytes();
            write_results(Some(&path), |out| Ok(serde_json::to_writer(out, &line)?))?;
            progress.inform(&format!(
                "{model:13} seed {seed}  accuracy {:.4}  log loss {:.4}  {:.1} s",
                line.scores.accuracy,
                line.scores.log_loss,
                line.fit_seconds + line.test_seconds
            ));
            lines.push(line);
        }
    }
    Ok(lines)
}

/// The tables and the page.
fn write(
    folder: &Path,
    comparison: &Comparison,
    sets: (&SeriesDataset, &SeriesDataset),
    started: Instant,
) -> Result<()> {
    let mut page = comparison_page(comparison, sets);
    stamp(&mut page, &[("Comparing", started.elapsed().as_secs_f64())]);
    let lines = comparison.lines.iter();
    page.cost.peak_memory_bytes = lines.filter_map(|line| line.peak_memory_bytes).max();
    let files = [
        ("comparison.md", comparison.to_markdown()),
        ("comparison.csv", comparison.to_csv()),
        ("comparison.html", page.to_html()),
    ];
    for (name, text) in files {
        write_results(Some(&folder.join(name)), |out| {
            Ok(out.write_all(text.as_bytes())?)
        })?;
    }
    Ok(())
}
