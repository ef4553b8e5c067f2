//! `timesclip predict`: the classes of series, by a model.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use timesclip::backend::BackendChoice;
use timesclip::{LoadOptions, TimesClip};

use crate::output::write_results;
use crate::read::read;

/// The device that a model is loaded to.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DeviceFlags {
    /// cpu, wgpu, cuda, or auto: the fastest that is compiled in and present
    #[arg(long, default_value = "auto")]
    backend: BackendChoice,
    /// Number of the device within its kind, from 0 [default: the first; with auto, any GPU]
    #[arg(long, value_name = "N")]
    device: Option<usize>,
}

impl DeviceFlags {
    /// The options that the flags describe.
    pub(crate) fn options(self) -> LoadOptions {
        LoadOptions {
            backend: self.backend,
            device: self.device,
        }
    }
}

/// The model, and the series it predicts for.
#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Model file, or the run directory that holds one
    model: PathBuf,
    /// Series to classify; labels are not looked at
    data: PathBuf,
    /// Write the predictions to a file [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceFlags,
}

/// Predicts.
///
/// # Errors
/// If model or series cannot be read, do not fit, or the predictions cannot be written.
pub(crate) fn run(args: &PredictArgs) -> Result<()> {
    let model = TimesClip::load_with(&args.model, &args.device.options())?;
    let set = read(&args.data)?;
    let predictions = model.predict(&set)?;
    write_results(args.out.as_deref(), |out| {
        for prediction in &predictions {
            writeln!(
                out,
                "{}\t{}\t{:.4}",
                prediction.id, prediction.label, prediction.probability
            )?;
        }
        Ok(())
    })
}
