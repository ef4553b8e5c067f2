//! `timesclip report`: the page of a model and a test set, for people.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use timesclip::data::SeriesDataset;
use timesclip::data::read::Labels;
use timesclip::page::Fact;
use timesclip::report::{FitSummary, PageSources};
use timesclip::run::RunDirectory;
use timesclip::{ExplainOptions, StopRule, TimesClip};

use crate::early::{FOLDS, default_shares, out_of_folds, stop_facts as rule_facts};
use crate::output::write_results;
use crate::page::page;
use crate::predict::DeviceFlags;
use crate::read::{ReadFlags, read_like};

/// The model, and the series it is tested on.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Run directory, or model file
    model: PathBuf,
    /// Labeled series to test on
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// The page; `-` for stdout [default: report.html in the run directory, or beside the model]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The series it was trained on, for the sizes of the data and a search for leaks
    #[arg(long, value_name = "FILE")]
    train_data: Option<PathBuf>,
    /// Add scores from the first steps only
    #[arg(long)]
    early: bool,
    /// Add a rule when to stop, fitted to --train-data as `timesclip early` fits it; needs --early
    #[arg(long, requires_all = ["early", "train_data"])]
    stop_rule: bool,
    /// Time windows that the shown samples are explained by; 0 for plain plots
    #[arg(long, value_name = "N", default_value_t = ExplainOptions::default().n_windows)]
    windows: usize,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    device: DeviceFlags,
}

/// Tests, and writes the page.
///
/// # Errors
/// If model or series cannot be read or do not fit, or the page cannot be written.
pub(crate) fn run(args: &ReportArgs) -> Result<()> {
    let started = Instant::now();
    let model = TimesClip::load_with(&args.model, &args.device.options())?;
    let options = args.read.options(Labels::Required);
    let set = |path: &Path| read_like(path, &options, model.schema());
    let test = set(&args.data)?.dataset;
    let train = args.train_data.as_deref().map(set).transpose()?;
    let train = train.map(|read| read.dataset);
    let read = started.elapsed().as_secs_f64();
    let evaluation = model.evaluate(&test)?;
    let tested = started.elapsed().as_secs_f64();
    let early = match args.early {
        true => model.early(&test, &default_shares())?,
        false => Vec::new(),
    };
    let facts = match (&train, args.stop_rule) {
        (Some(train), true) => stop_facts(&model, train, &test, args.device)?,
        _ => Vec::new(),
    };
    let directory = args.model.is_dir().then_some(&args.model);
    let run = directory.and_then(|path| match RunDirectory::open(path) {
        Ok(run) => Some(run),
        Err(error) => {
            say!("note: {error}; the page is made without the run's configuration");
            None
        }
    });
    let fit = match directory {
        Some(directory) => summary(directory)?,
        None => None,
    };
    let sources = PageSources {
        model: &model,
        train: train.as_ref(),
        test: Some((&test, &evaluation)),
        fit: fit.as_ref(),
        config: run.as_ref().map(|(_, config)| config),
        early: &early,
        early_facts: &facts,
        explain: (args.windows > 0).then_some(ExplainOptions {
            n_windows: args.windows,
        }),
    };
    let stages = [("Reading", read), ("Testing", tested - read)];
    let html = page(&sources, &stages)?.to_html();
    let beside = || match directory {
        Some(directory) => directory.join("report.html"),
        None => args.model.with_extension("html"),
    };
    let out = args.out.clone().unwrap_or_else(beside);
    write_results(Some(&out), |to| Ok(to.write_all(html.as_bytes())?))?;
    say!("{}", out.display());
    Ok(())
}

/// The figures of a rule when to stop.
fn stop_facts(
    model: &TimesClip,
    train: &SeriesDataset,
    test: &SeriesDataset,
    device: DeviceFlags,
) -> Result<Vec<Fact>> {
    let shares = default_shares();
    let held_out = out_of_folds(model, train, (&shares, FOLDS), device)?;
    let Some(rule) = StopRule::fit(&held_out) else {
        return Ok(Vec::new());
    };
    let stopped = rule.score(&model.prefix_answers_after(test, &rule.steps)?);
    let facts = rule_facts(&rule, &stopped).into_iter();
    Ok(facts.map(|(name, value)| Fact::new(name, value)).collect())
}

/// How the fit of a run went, if that was kept.
fn summary(directory: &Path) -> Result<Option<FitSummary>> {
    let path = directory.join("report.json");
    if !path.exists() {
        say!(
            "note: there is no `{}`; the page is made without learning curves and without the time \
             of training",
            path.display()
        );
        return Ok(None);
    }
    let text = fs::read_to_string(&path);
    let text = text.with_context(|| format!("cannot read `{}`", path.display()))?;
    let summary = serde_json::from_str(&text).with_context(|| {
        format!(
            "`{}` is no report; without it, the page is made of the model and --data",
            path.display()
        )
    })?;
    Ok(Some(summary))
}
