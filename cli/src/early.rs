//! `timesclip early`: how well a model does after the first steps of the series.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use timesclip::data::read::{Labels, read_like};
use timesclip::{EarlyScore, TimesClip};

use crate::output::write_results;
use crate::predict::DeviceFlags;
use crate::read::ReadFlags;

/// Prefixes that are scored where none are named, up to whole series.
const N_SHARES: u32 = 20;

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
    /// Shares of the longest series, in 0..1 [default: 0.05,0.1,...,1]
    #[arg(long, value_name = "SHARES", value_delimiter = ',')]
    shares: Vec<f64>,
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
    let wrong = args
        .shares
        .iter()
        .find(|share| !(**share > 0.0 && **share <= 1.0));
    ensure!(
        wrong.is_none(),
        "a share of {} is not in 0..1",
        wrong.unwrap_or(&0.0)
    );
    let model = TimesClip::load_with(&args.model, &args.device.options())?;
    let options = args.read.options(Labels::Required);
    let set = read_like(&args.data, &options, model.schema())?.dataset;
    let shares = match args.shares.is_empty() {
        true => default_shares(),
        false => args.shares.clone(),
    };
    let scores = model.early(&set, &shares)?;
    write_results(args.out.as_deref(), |out| {
        match args.json {
            true => writeln!(out, "{}", serde_json::to_string_pretty(&scores)?)?,
            false => write!(out, "{}", csv(&scores))?,
        }
        Ok(())
    })
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
