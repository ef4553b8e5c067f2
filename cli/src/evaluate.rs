//! `timesclip evaluate`: the scores of a model on labeled series.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use timesclip::data::SeriesDataset;
use timesclip::data::answers::TsmlResult;
use timesclip::data::read::Labels;
use timesclip::{Evaluation, TimesClip};

use crate::output::write_results;
use crate::predict::DeviceFlags;
use crate::read::{ReadFlags, read_like, tell};

/// The model, and the series it is scored on.
#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// Model file, or the run directory that holds one
    model: PathBuf,
    /// Labeled series
    data: PathBuf,
    /// Print all scores as JSON
    #[arg(long)]
    json: bool,
    /// Also write the predictions as the result file that tsml-eval reads, into this folder
    #[arg(long, value_name = "DIR")]
    tsml: Option<PathBuf>,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    device: DeviceFlags,
}

/// Evaluates.
///
/// # Errors
/// If model or series cannot be read or do not fit.
pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    let model = TimesClip::load_with(&args.model, &args.device.options())?;
    let options = args.read.options(Labels::Required);
    let read = read_like(&args.data, &options, model.schema())?;
    // Classes that the model does not know are among the warnings.
    tell(&read);
    let set = read.dataset;
    let evaluation = model.evaluate(&set)?;
    if evaluation.unknown_classes.iter().any(String::is_empty) {
        say!("warning: samples without a label count as wrong");
    }
    if let Some(folder) = &args.tsml {
        write_tsml(folder, &set, &evaluation)?;
    }
    write_results(None, |out| {
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string_pretty(&evaluation)?)?,
            false => writeln!(out, "{}", summary(&evaluation))?,
        }
        Ok(())
    })
}

/// The scores, in one line.
pub(crate) fn summary(evaluation: &Evaluation) -> String {
    let score = |score: Option<f64>| score.map_or("undefined".to_owned(), |s| format!("{s:.4}"));
    format!(
        "test accuracy {:.4}  balanced accuracy {}  macro F1 {}  log loss {:.4}  ECE {}",
        evaluation.accuracy,
        score(evaluation.balanced_accuracy),
        score(evaluation.macro_f1),
        evaluation.log_loss,
        score(evaluation.ece),
    )
}

/// Writes the predictions as tsml-eval and aeon's benchmarking read them.
fn write_tsml(folder: &Path, set: &SeriesDataset, evaluation: &Evaluation) -> Result<()> {
    // Classes that the model does not know follow its own; their probability is 0.
    let (known, unknown) = (&evaluation.class_names, &evaluation.unknown_classes);
    let names = [&known[..], &unknown[..]].concat();
    let unknown_label = |label: usize| {
        let name = &set.class_names()[label];
        let place = unknown.iter().position(|class| class == name);
        place.map(|place| known.len() + place)
    };
    let targets = evaluation.targets.iter().zip(set.labels());
    let labels: Option<Vec<usize>> = targets
        .map(|(target, label)| target.or_else(|| unknown_label(label)))
        .collect();
    let labels = labels.context("a sample is of no class that a result file can name")?;
    let rows = evaluation.predictions.iter().map(|answer| {
        let mut row = answer.probabilities.clone();
        row.resize(names.len(), 0.0);
        row
    });
    let probabilities: Vec<Vec<f32>> = rows.collect();
    let path = TsmlResult {
        dataset: set.name(),
        classifier: "TimesClip",
        resample: 0,
        parameters: concat!("timesclip ", env!("CARGO_PKG_VERSION")),
        class_names: &names,
        labels: &labels,
        probabilities: &probabilities,
        fit_milliseconds: None,
        predict_milliseconds: None,
    }
    .write(folder)?;
    say!("{}", path.display());
    Ok(())
}
