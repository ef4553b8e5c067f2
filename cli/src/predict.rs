//! `timesclip predict`: the classes of series, by a model.

use anyhow::Result;
use clap::Args;
use timesclip::LoadOptions;
use timesclip::backend::BackendChoice;
use timesclip::data::answers::{AnswerFormat, AnswerWriter};

use crate::rows::RowArgs;

/// The device that a model is loaded to.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Device")]
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
    /// csv, tsv, jsonl, or parquet (in a build with that feature)
    #[arg(long = "output-format", value_name = "FORMAT", default_value = "csv")]
    output: AnswerFormat,
    #[command(flatten)]
    rows: RowArgs,
}

/// Predicts.
///
/// # Errors
/// If model or series cannot be read, do not fit, or the predictions cannot be written.
pub(crate) fn run(args: &PredictArgs) -> Result<()> {
    args.rows.run(|model, rows, out| {
        let (writer, failed) = rows.answer(
            |set| Ok(model.predict(set)?),
            |names| {
                Ok(AnswerWriter::new(
                    out,
                    args.output,
                    names,
                    model.class_names(),
                )?)
            },
            |writer, ids, prediction| {
                let probabilities = prediction.map(|p| p.probabilities.as_slice());
                Ok(writer.write(ids, probabilities)?)
            },
        )?;
        writer.finish()?;
        Ok(failed)
    })
}
