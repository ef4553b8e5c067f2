//! `timesclip inspect`: what a model file holds, for a person or as JSON.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use timesclip::TimesClip;

use crate::output::write_results;
use crate::predict::DeviceFlags;

/// The file that is looked at.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Model file, or the run directory that holds one
    file: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceFlags,
}

/// Inspects.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    let model = TimesClip::load_with(&args.file, &args.device.options())?;
    let (n_networks, count) = model.networks().unwrap_or_default();
    let origin = model.provenance();
    write_results(None, |out| {
        if args.json {
            let content = json!({
                "modalities": model.modalities(),
                "class_names": model.class_names(),
                "n_variates": model.n_variates(),
                "networks": n_networks,
                "parameters": count.total,
                "closed_form_features": model.n_features(),
                "provenance": origin,
                "options": model.options(),
            });
            return Ok(writeln!(
                out,
                "{}",
                serde_json::to_string_pretty(&content)?
            )?);
        }
        writeln!(
            out,
            "model       {}, {} classes, {} variates",
            model.modalities(),
            model.class_names().len(),
            model.n_variates()
        )?;
        writeln!(out, "classes     {}", model.class_names().join(", "))?;
        writeln!(out, "closed form {} features", model.n_features())?;
        writeln!(out, "networks    {n_networks} of {} weights", count.total)?;
        let [low, high] = origin.n_steps;
        writeln!(
            out,
            "fitted to   {}: {} samples of {low} to {high} steps, hash {}",
            origin.dataset, origin.n_samples, origin.fingerprint
        )?;
        for score in &origin.scores {
            writeln!(
                out,
                "held out    {}: weight {:.2}, accuracy {:.4}, log loss {:.4}",
                score.predictor, score.weight, score.accuracy, score.log_loss
            )?;
        }
        Ok(())
    })
}
