//! `timesclip evaluate`: the scores of a model on labeled series.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use timesclip::{Evaluation, TimesClip};

use crate::output::write_results;
use crate::predict::DeviceFlags;
use crate::read::read;

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
    #[command(flatten)]
    device: DeviceFlags,
}

/// Evaluates.
///
/// # Errors
/// If model or series cannot be read or do not fit.
pub(crate) fn run(args: &EvaluateArgs) -> Result<()> {
    let model = TimesClip::load_with(&args.model, &args.device.options())?;
    let set = read(&args.data)?;
    let evaluation = model.evaluate(&set)?;
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
        "test accuracy {:.4}  balanced accuracy {}  macro F1 {}  log loss {:.4}",
        evaluation.accuracy,
        score(evaluation.balanced_accuracy),
        score(evaluation.macro_f1),
        evaluation.log_loss,
    )
}
