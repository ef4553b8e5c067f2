//! Classifies series with a run of `train_dual`: `cargo run --release --example predict -- RUN FILE`.
//!
//! Prints one line a sample: its id, the predicted class, the probability of that class. With
//! `--dump-batch FILE`, what the model is given for the first samples and its logits are written as
//! safetensors: `examples/python/classify.py` gives the same logits for them.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::TensorData;
use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::Parser;
use safetensors::{Dtype, tensor::TensorView};
use timesclip::backend::{BackendChoice, TrainingJob, train_on};
use timesclip::batch::TimesClipBatch;
use timesclip::batch::{BatchSource, BatchViews, TimesClipBatcher};
use timesclip::cache::{CachedImageDataset, UncachedImages};
use timesclip::data::csv::{CsvFormat, Labels, Layout};
use timesclip::data::{ReadError, SeriesDataset, read_dataset};
use timesclip::model::{TimesClipClassifier, VisionInput};
use timesclip::report::{RunConfig, RunDirectory};
use timesclip::train::{Prediction, predict};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Classifies series with a trained model.
#[derive(Debug, Parser)]
struct Args {
    /// Directory of a run of `train_dual`
    run: PathBuf,
    /// Series to classify, in a format that `train_dual` reads; the labels of a table are not looked
    /// at, and may be empty or unknown to the model
    file: PathBuf,
    /// Order of the value columns of a table: time-major or variate-major [default: as in training]
    #[arg(long)]
    layout: Option<Layout>,
    /// Name of the label column of a table [default: as in training, or the last column]
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// The table has no label column: all its columns hold values
    #[arg(long, conflicts_with = "label_column")]
    no_label: bool,
    /// What to compute on: cpu, wgpu, cuda, or auto for the fastest that is compiled in and present
    #[arg(long, default_value = "auto")]
    backend: BackendChoice,
    /// Number of the device within its kind, from 0 [default: the first; with auto, any GPU]
    #[arg(long, value_name = "N")]
    device: Option<usize>,
    /// Write the first batch and its logits as safetensors
    #[arg(long, value_name = "FILE")]
    dump_batch: Option<PathBuf>,
}

impl Args {
    /// The format of a table: that of the training set, but for what flags say.
    fn csv_format(&self, config: &RunConfig) -> CsvFormat {
        let n_variates = config.model.n_variates;
        let table = config.data.as_ref().and_then(|data| data.table.clone());
        let mut format = table.unwrap_or_else(|| CsvFormat::new(n_variates));
        format.n_variates = n_variates;
        format.layout = self.layout.unwrap_or(format.layout);
        format.labels = Labels::Optional;
        if self.no_label {
            format.labels = Labels::Absent;
            format.label_column = None;
        } else if self.label_column.is_some() {
            format.label_column = self.label_column.clone();
        }
        format
    }

    /// The series to classify, which fit the model of the run.
    fn read(&self, config: &RunConfig) -> Result<SeriesDataset> {
        let dataset = read_dataset(&self.file, Some(&self.csv_format(config)));
        let dataset = dataset.map_err(|error| match error {
            ReadError::ValueColumns { .. } | ReadError::LabelColumn { .. } if !self.no_label => {
                anyhow!("{error}; --no-label reads a table without labels")
            }
            error => error.into(),
        })?;
        let (file, expected) = (self.file.display(), config.model.n_variates);
        let found = dataset.n_variates();
        ensure!(
            found == expected,
            "{file} has {found} variates, the model was trained on {expected}"
        );
        let known = |name: &String| name.is_empty() || config.class_names.contains(name);
        if !dataset.class_names().iter().any(known) {
            eprintln!(
                "warning: no label of {file} is a class of the run; if it is a table whose last \
                 column holds values, --no-label says so"
            );
        }
        let samples = dataset.samples().iter();
        let steps = samples.map(|sample| sample.series.n_steps());
        let (low, high) = steps.fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
        config.model.check_steps(low, high)?;
        Ok(dataset)
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let device = args.backend.choose(args.device)?;
    for error in &device.passed_over {
        eprintln!("warning: {error}");
    }
    eprintln!("on {device}");
    train_on(device.kind, &[device.index], Predict(&args))?
}

struct Predict<'a>(&'a Args);

impl TrainingJob for Predict<'_> {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, devices: &[B::Device]) -> Result<()> {
        let Self(args) = self;
        let device = &devices[0];
        let (directory, config) = RunDirectory::open(&args.run)?;
        let dataset = args.read(&config)?;
        check_learnt::<B>(&directory, &config, device)?;
        let model = config.model.init::<B::InnerBackend>(device);
        let model = model.with_frozen_precision(config.frozen_dtype());
        let model = directory.checkpoints()?.load_best(model, device)?;
        let images = UncachedImages::new(dataset, &config.style)?;
        let mode = config.model.mode;
        let views = BatchViews {
            series: mode.reads(),
            pictures: mode.sees(),
        };
        let batcher = TimesClipBatcher::new(config.normalizer, views)
            .with_colors(config.style.palette.clone(), config.pixels);
        let source = BatchSource::new(&images, &batcher);
        let indices: Vec<usize> = (0..images.n_samples()).collect();
        let size = config.training.batch_size;
        if let Some(path) = &args.dump_batch {
            let first = source.gather(&indices[..size.min(indices.len())])?;
            dump(&model, first.into_tensors(device), path)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        let predictions = predict(&model, source, &indices, size, device)?;
        match print(&predictions, &config.class_names) {
            // Who reads has seen enough: `head`, say.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            printed => printed.context("cannot write the predictions"),
        }
    }
}

/// Warns of a run that has not finished, and refuses one that has not learnt anything.
fn check_learnt<B: AutodiffBackend>(
    directory: &RunDirectory,
    config: &RunConfig,
    device: &B::Device,
) -> Result<()> {
    if directory.has_report() {
        return Ok(());
    }
    let (run, n_epochs) = (directory.path().display(), config.training.epochs);
    let done = directory.checkpoints()?.n_epochs::<B>(device)?;
    ensure!(
        done > 0,
        "the run in {run} has learnt nothing yet: not one of its {n_epochs} epochs is done"
    );
    eprintln!("warning: the run in {run} has not finished: {done} of {n_epochs} epochs are done");
    Ok(())
}

/// One line a sample.
fn print(predictions: &[Prediction], class_names: &[String]) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for prediction in predictions {
        let probability = prediction.probabilities[prediction.predicted];
        let name = &class_names[prediction.predicted];
        writeln!(out, "{}\t{name}\t{probability:.4}", prediction.id)?;
    }
    out.flush()
}

/// Writes what a model is given, and the logits that it gives.
fn dump<B: Backend>(
    model: &TimesClipClassifier<B>,
    batch: TimesClipBatch<B>,
    path: &Path,
) -> Result<()> {
    let mut tensors = Vec::new();
    if let Some(series) = &batch.input.series {
        tensors.push(floats("values", series.values.to_data()));
        let valid = series
            .valid
            .as_ref()
            .map(|valid| bytes("valid", valid.to_data()));
        let statistics = series
            .statistics
            .as_ref()
            .map(|x| floats("statistics", x.to_data()));
        tensors.extend(valid.into_iter().chain(statistics));
    }
    if let Some(VisionInput::Masks { masks, colors }) = &batch.input.vision {
        tensors.push(bytes("masks", masks.to_data()));
        tensors.push(floats("colors", colors.to_data()));
    }
    let logits = model.forward(batch.input).logits.into_data();
    tensors.push(floats("logits", logits));
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    Ok(safetensors::serialize_to_file(views, None, path)?)
}

/// Name, type, shape and bytes of a tensor.
type Dumped = (&'static str, Dtype, Vec<usize>, Vec<u8>);

fn floats(name: &'static str, data: TensorData) -> Dumped {
    let bytes = data.iter::<f32>().flat_map(f32::to_le_bytes).collect();
    (name, Dtype::F32, data.shape.to_vec(), bytes)
}

fn bytes(name: &'static str, data: TensorData) -> Dumped {
    (name, Dtype::U8, data.shape.to_vec(), data.iter().collect())
}
