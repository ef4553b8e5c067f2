//! `timesclip predict`: the classes of series, by a model, in memory that does not grow with the file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use timesclip::backend::BackendChoice;
use timesclip::data::SeriesDataset;
use timesclip::data::answers::{AnswerFormat, AnswerWriter};
use timesclip::data::read::{Labels, SeriesReader};
use timesclip::{LoadOptions, Prediction, TimesClip};

use crate::output::write_results;
use crate::read::ReadFlags;

/// Samples that are read and predicted for at a time.
const PART: usize = 1024;

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
    /// Model file, or the run directory that holds one
    model: PathBuf,
    /// Series to classify, or `-` for stdin; labels are not looked at
    data: PathBuf,
    /// Write the predictions to a file [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// csv, tsv or jsonl
    #[arg(long = "output-format", value_name = "FORMAT", default_value = "csv")]
    output: AnswerFormat,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    device: DeviceFlags,
}

/// Predicts.
///
/// # Errors
/// If model or series cannot be read, do not fit, or the predictions cannot be written.
pub(crate) fn run(args: &PredictArgs) -> Result<()> {
    let model = TimesClip::load_with(&args.model, &args.device.options())?;
    let options = args.read.options(Labels::Optional);
    let schema = model.schema();
    let mut reader = if args.data == Path::new("-") {
        let stdin = io::BufReader::new(io::stdin());
        SeriesReader::of_bytes_like(stdin, Path::new("stdin"), &options, schema)?
    } else {
        SeriesReader::open_like(&args.data, &options, schema)?
    };
    let mut failed = 0;
    write_results(args.out.as_deref(), |out| {
        failed = predict(&model, &mut reader, out, args.output)?;
        Ok(())
    })?;
    for note in reader.notes() {
        eprintln!("{note}");
    }
    for warning in reader.warnings() {
        eprintln!("warning: {warning}");
    }
    if failed > 0 {
        eprintln!("warning: {failed} malformed rows have empty answers");
    }
    Ok(())
}

/// Answers for all series of a reader, in their order; gives how many rows were malformed.
fn predict(
    model: &TimesClip,
    reader: &mut SeriesReader<'_>,
    out: &mut dyn Write,
    format: AnswerFormat,
) -> Result<usize> {
    let mut part = reader.next_part(PART)?;
    let names = reader.id_names().to_vec();
    let numbered = names.is_empty();
    let id_names = if numbered {
        vec!["row".to_owned()]
    } else {
        names
    };
    let mut writer = AnswerWriter::new(out, format, &id_names, model.class_names())?;
    let mut failed = 0;
    while let Some(samples) = part {
        let mut rejected = samples.rejected.iter().peekable();
        let mut empty = |before: u64, writer: &mut AnswerWriter<_>| -> Result<()> {
            while let Some(row) = rejected.next_if(|rejected| rejected.row < before) {
                eprintln!("warning: {}", row.error);
                let id = row.row.to_string();
                let ids: Vec<&str> = match numbered {
                    true => vec![&id],
                    false => vec![""; id_names.len()],
                };
                writer.write(&ids, None)?;
                failed += 1;
            }
            Ok(())
        };
        if let Some(set) = &samples.dataset {
            for (index, prediction) in model.predict(set)?.into_iter().enumerate() {
                empty(prediction.id, &mut writer)?;
                write(&mut writer, set, (index, &prediction), numbered)?;
            }
        }
        empty(u64::MAX, &mut writer)?;
        part = reader.next_part(PART)?;
    }
    if failed == 0 && reader.n_rejected() > 0 {
        bail!("{} malformed rows", reader.n_rejected());
    }
    writer.finish()?;
    Ok(failed)
}

fn write<W: Write>(
    writer: &mut AnswerWriter<W>,
    set: &SeriesDataset,
    (index, prediction): (usize, &Prediction),
    numbered: bool,
) -> Result<()> {
    let number = prediction.id.to_string();
    let ids: Vec<&str> = match numbered {
        true => vec![&number],
        false => set
            .metadata()
            .ids
            .iter()
            .map(|column| column.values[index].as_str())
            .collect(),
    };
    Ok(writer.write(&ids, Some(&prediction.probabilities))?)
}
