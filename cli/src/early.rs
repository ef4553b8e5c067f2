//! `timesclip early`: how well a model does after the first steps of the series.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use timesclip::data::SeriesDataset;
use timesclip::data::read::Labels;
use timesclip::{EarlyScore, LoadOptions, PrefixAnswers, StopRule, StopScore, TimesClip};

use crate::output::write_results;
use crate::predict::DeviceFlags;
use crate::read::{ReadFlags, read_like};
use crate::values;

/// Prefixes that are scored where none are named, up to whole series.
const N_SHARES: u32 = 20;
/// Models that a rule when to stop is fitted by.
pub(crate) const FOLDS: usize = 4;

/// Twenty equal steps up to whole series.
pub(crate) fn default_shares() -> Vec<f64> {
    (1..=N_SHARES)
        .map(|i| f64::from(i) / f64::from(N_SHARES))
        .collect()
}

/// The model, and the series whose prefixes it is scored on.
#[derive(Debug, Args)]
pub(crate) struct EarlyArgs {
    /// Model file, or the run directory that holds one
    model: PathBuf,
    /// Labeled series
    data: PathBuf,
    /// Shares of the longest series (of --train-data or --valid-data, if given), above 0 and up to 1
    /// [default: 0.05,0.1,...,1]
    #[arg(long, value_name = "SHARES", value_delimiter = ',', value_parser = values::share)]
    shares: Vec<f64>,
    /// Tell the earliest step with this accuracy; chosen on --train-data or --valid-data, if given
    #[arg(long, value_name = "ACCURACY", value_parser = values::share)]
    reach: Option<f64>,
    /// Fit a rule when to stop, a threshold of confidence, to the series that the model was trained
    /// on: each is answered by a model of the same options that did not see it
    #[arg(long, value_name = "FILE", conflicts_with = "valid_data")]
    train_data: Option<PathBuf>,
    /// Fit the rule to the model's answers to other series, which it was not trained on
    #[arg(long, value_name = "FILE")]
    valid_data: Option<PathBuf>,
    /// Models that are fitted for --train-data, each without one part of the series
    #[arg(long, value_name = "N", default_value_t = FOLDS, requires = "train_data")]
    rule_folds: usize,
    /// Print JSON in place of CSV
    #[arg(long)]
    json: bool,
    /// Write the scores to a file [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    device: DeviceFlags,
}

/// Scores prefixes.
///
/// # Errors
/// If model or series cannot be read or do not fit, or the scores cannot be written.
pub(crate) fn run(args: &EarlyArgs) -> Result<()> {
    let model = TimesClip::load_with(&args.model, &args.device.options())?;
    let options = args.read.options(Labels::Required);
    let set = |path: &Path| read_like(path, &options, model.schema());
    let shares = match args.shares.is_empty() {
        true => default_shares(),
        false => args.shares.clone(),
    };
    let chosen_on = match (&args.train_data, &args.valid_data) {
        (Some(path), _) => {
            let train = set(path)?.dataset;
            let folds = (&shares[..], args.rule_folds);
            Some(out_of_folds(&model, &train, folds, args.device)?)
        }
        (None, Some(path)) => Some(model.prefix_answers(&set(path)?.dataset, &shares)?),
        (None, None) => None,
    };
    let test = set(&args.data)?.dataset;
    let answers = answers(&model, &test, (chosen_on.as_ref(), &shares))?;
    let found = Found::of(args.reach, chosen_on.as_ref(), &answers);
    write_results(args.out.as_deref(), |out| {
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string_pretty(&found)?)?,
            false => write!(out, "{}", csv(&found.scores))?,
        }
        Ok(())
    })?;
    if !args.json {
        found.tell();
    }
    Ok(())
}

/// Answers to the series: after the steps of the answers by which is chosen, if there are some, and
/// to whole series.
pub(crate) fn answers(
    model: &TimesClip,
    set: &SeriesDataset,
    (chosen_on, shares): (Option<&PrefixAnswers>, &[f64]),
) -> Result<PrefixAnswers> {
    let Some(chosen_on) = chosen_on else {
        return Ok(model.prefix_answers(set, shares)?);
    };
    let mut steps = chosen_on.steps();
    if steps.last().is_none_or(|last| *last < set.max_steps()) {
        steps.push(set.max_steps());
    }
    Ok(model.prefix_answers_after(set, &steps)?)
}

/// Answers to training series by models that did not see them.
///
/// # Errors
/// If the series are others than those that the model was fitted to, or cannot be fitted to.
pub(crate) fn out_of_folds(
    model: &TimesClip,
    train: &SeriesDataset,
    (shares, n_folds): (&[f64], usize),
    device: DeviceFlags,
) -> Result<PrefixAnswers> {
    let fingerprint = format!("{:032x}", train.fingerprint());
    if fingerprint != model.provenance().fingerprint {
        say!("warning: these are not the series that the model was trained on");
    }
    let mut options = model.options().clone();
    let LoadOptions { backend, device } = device.options();
    (options.compute.backend, options.compute.device) = (backend, device);
    say!("fitting {n_folds} models, each without one part of the training series");
    let answers = PrefixAnswers::out_of_folds(train, &options, (shares, n_folds), &mut ());
    Ok(answers?)
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Found {
    scores: Vec<EarlyScore>,
    /// The earliest step that passes the wanted accuracy.
    reach: Option<Reach>,
    /// The rule when to stop.
    stop_rule: Option<StopRule>,
    /// How the rule does on these series.
    stopped: Option<StopScore>,
}

#[derive(Debug, Serialize)]
struct Reach {
    accuracy: f64,
    /// Where the step was looked for: `held out`, or `these series`, of which it then tells no more
    /// than where their curve passes.
    chosen_on: &'static str,
    /// The step; `None` if the accuracy is never reached.
    n_steps: Option<usize>,
    /// The score of these series at that step.
    score: Option<EarlyScore>,
}

impl Found {
    fn of(reach: Option<f64>, chosen_on: Option<&PrefixAnswers>, answers: &PrefixAnswers) -> Self {
        let scores = answers.scores();
        let reach = reach.map(|accuracy| {
            let (held_out, on) = match chosen_on {
                Some(held_out) => (held_out.scores(), "held out"),
                None => (scores.clone(), "these series"),
            };
            let chosen = EarlyScore::reaching(accuracy, &held_out);
            let n_steps = chosen.map(|score| score.n_steps);
            let mut there = scores.iter().filter(|score| Some(score.n_steps) == n_steps);
            Reach {
                accuracy,
                chosen_on: on,
                n_steps,
                score: there.next().copied(),
            }
        });
        let rule = chosen_on.and_then(StopRule::fit);
        Self {
            scores,
            reach,
            stopped: rule.as_ref().map(|rule| rule.score(answers)),
            stop_rule: rule,
        }
    }

    /// What is not a curve, for people.
    fn tell(&self) {
        if let Some(reach) = &self.reach {
            let Reach {
                accuracy,
                chosen_on,
                n_steps,
                ..
            } = reach;
            match (n_steps, &reach.score) {
                (Some(n_steps), Some(score)) => say!(
                    "accuracy {accuracy} is reached after {n_steps} steps ({chosen_on}); there it is \
                     {:.4} on these series",
                    score.accuracy
                ),
                _ => say!("accuracy {accuracy} is not reached ({chosen_on})"),
            }
        }
        if let (Some(rule), Some(stopped)) = (&self.stop_rule, &self.stopped) {
            for (name, value) in stop_facts(rule, stopped) {
                say!("{name}: {value}");
            }
        }
    }
}

/// A rule and how it does, as named figures.
pub(crate) fn stop_facts(rule: &StopRule, stopped: &StopScore) -> [(&'static str, String); 3] {
    let figures = |score: &StopScore| {
        format!(
            "accuracy {:.4}, mean earliness {:.4}, harmonic mean {:.4} ({} samples)",
            score.accuracy, score.earliness, score.harmonic_mean, score.n_samples
        )
    };
    let confidence = format!("as soon as the confidence is {:.2}", rule.confidence);
    [
        ("Stop rule", confidence),
        (
            "On held-out samples, which it was fitted to",
            figures(&rule.fitted),
        ),
        ("On these samples", figures(stopped)),
    ]
}

fn csv(scores: &[EarlyScore]) -> String {
    let rows = scores.iter().map(|score| {
        let f1 = score.macro_f1.map_or_else(String::new, |f1| f1.to_string());
        let EarlyScore {
            n_steps,
            accuracy,
            log_loss,
            ..
        } = score;
        format!("{n_steps},{accuracy},{f1},{log_loss}\n")
    });
    let header = "steps,accuracy,macro_f1,log_loss\n".to_owned();
    std::iter::once(header).chain(rows).collect()
}
