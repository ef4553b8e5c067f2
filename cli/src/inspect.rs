//! `timesclip inspect`: what a model file or a file of series holds, for a person or as JSON.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use timesclip::TimesClip;
use timesclip::data::read::Labels;

use crate::output::{visible, write_results};
use crate::predict::DeviceFlags;
use crate::read::{ReadFlags, is_stdin, read_file};

/// The file that is looked at.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Model file, run directory, or file of series
    file: PathBuf,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    device: DeviceFlags,
}

/// Inspects.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn run(args: &InspectArgs) -> Result<()> {
    if is_model(&args.file) {
        let model = TimesClip::load_with(&args.file, &args.device.options())?;
        return write_results(None, |out| match args.json {
            true => describe_json(&model, out),
            false => describe(&model, out),
        });
    }
    let read = read_file(&args.file, &args.read.options(Labels::Optional))?;
    write_results(None, |out| {
        match args.json {
            true => serde_json::to_writer_pretty(&mut *out, &read.understanding)?,
            false => write!(out, "{}", read.understanding.inspect())?,
        }
        Ok(writeln!(out)?)
    })
}

/// Whether a path is that of a model: a run directory, or a file that begins as safetensors do.
fn is_model(path: &Path) -> bool {
    if is_stdin(path) {
        return false;
    }
    if path.is_dir() {
        return path.join("config.json").is_file();
    }
    // What is read of a pipe is gone.
    if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return false;
    }
    let mut start = [0; 10];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start[8..] == *b"{\""
}

fn describe_json(model: &TimesClip, out: &mut dyn Write) -> Result<()> {
    let (networks, count) = model.networks().unwrap_or_default();
    let content = json!({
        "modalities": model.modalities(),
        "class_names": model.class_names(),
        "n_variates": model.n_variates(),
        "schema": model.schema(),
        "networks": networks,
        "parameters": count.total,
        "closed_form_features": model.n_features(),
        "provenance": model.provenance(),
        "options": model.options(),
    });
    Ok(writeln!(
        out,
        "{}",
        serde_json::to_string_pretty(&content)?
    )?)
}

fn describe(model: &TimesClip, out: &mut dyn Write) -> Result<()> {
    let (networks, count) = model.networks().unwrap_or_default();
    let origin = model.provenance();
    let [low, high] = origin.n_steps;
    let variates = match model.schema().variates.as_slice() {
        [] => format!("{}", model.n_variates()),
        names => format!("{} ({})", names.len(), visible(&names.join(", "))),
    };
    writeln!(out, "model       {}", model.modalities())?;
    let classes = visible(&model.class_names().join(", "));
    writeln!(out, "classes     {classes}")?;
    writeln!(out, "variates    {variates}")?;
    writeln!(out, "closed form {} features", model.n_features())?;
    writeln!(out, "networks    {networks} of {} weights", count.total)?;
    writeln!(
        out,
        "fitted to   {}: {} samples of {low} to {high} steps, hash {}",
        visible(&origin.dataset),
        origin.n_samples,
        visible(&origin.fingerprint)
    )?;
    for score in &origin.scores {
        writeln!(
            out,
            "held out    {}: weight {:.2}, accuracy {:.4}, log loss {:.4}",
            visible(&score.predictor),
            score.weight,
            score.accuracy,
            score.log_loss
        )?;
    }
    Ok(())
}
