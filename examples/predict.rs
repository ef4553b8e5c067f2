//! Classifies series with a run of `train_dual`: `cargo run --release --example predict -- RUN FILE`.
//!
//! Prints one line a sample: its id, the predicted class, the probability of that class. With
//! `--dump-batch FILE`, what the model is given for the first samples and its logits are written as
//! safetensors: `examples/python/classify.py` gives the same logits for them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use burn::tensor::TensorData;
use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::Parser;
use safetensors::{Dtype, tensor::TensorView};
use timesclip::backend::{BackendChoice, BackendJob, run_on};
use timesclip::batch::TimesClipBatch;
use timesclip::batch::{BatchSource, BatchViews, TimesClipBatcher};
use timesclip::cache::{CachedImageDataset, UncachedImages};
use timesclip::model::{TimesClipClassifier, VisionInput};
use timesclip::report::RunDirectory;
use timesclip::series::csv::{CsvFormat, Layout};
use timesclip::series::read_dataset;
use timesclip::train::predict;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Classifies series with a trained model.
#[derive(Debug, Parser)]
struct Args {
    /// Directory of a finished run
    run: PathBuf,
    /// Series to classify, in a format that `train_dual` reads; their labels are not looked at
    file: PathBuf,
    /// The value columns of a table hold all steps of one variate, then of the next
    #[arg(long)]
    variate_major: bool,
    /// Name of the label column of a table [default: the last column]
    #[arg(long, value_name = "NAME")]
    label_column: Option<String>,
    /// What to compute on: cpu, wgpu, cuda, or auto for the fastest that is compiled in and present
    #[arg(long, default_value = "auto")]
    backend: BackendChoice,
    /// Number of the device within its kind, from 0
    #[arg(long, default_value_t = 0)]
    device: usize,
    /// Write the first batch and its logits as safetensors
    #[arg(long, value_name = "FILE")]
    dump_batch: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let device = args.backend.choose(args.device)?;
    for error in &device.passed_over {
        eprintln!("warning: {error}");
    }
    eprintln!("on {device}");
    run_on(device.kind, &[device.index], Predict(&args))?
}

struct Predict<'a>(&'a Args);

impl BackendJob for Predict<'_> {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, devices: &[B::Device]) -> Result<()> {
        let device = &devices[0];
        let (directory, config) = RunDirectory::open(&self.0.run)?;
        let model = config.model.init::<B::InnerBackend>(device);
        let model = model.with_frozen_precision(config.frozen_dtype());
        let model = directory.checkpoints()?.load_best(model, device)?;
        let mut format = CsvFormat::new(config.model.n_variates);
        if self.0.variate_major {
            format.layout = Layout::VariateMajor;
        }
        format.label_column = self.0.label_column.clone();
        let dataset = read_dataset(&self.0.file, Some(&format))?;
        let (found, expected) = (dataset.n_variates(), config.model.n_variates);
        ensure!(
            found == expected,
            "{} has {found} variates, the model was trained on {expected}",
            self.0.file.display()
        );
        let steps = || {
            dataset
                .samples()
                .iter()
                .map(|sample| sample.series.n_steps())
        };
        config
            .model
            .check_steps(steps().min().unwrap_or(0), steps().max().unwrap_or(0))?;
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
        if let Some(path) = &self.0.dump_batch {
            let first = source.gather(&indices[..size.min(indices.len())])?;
            dump(&model, first.into_tensors(device), path)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        for prediction in predict(&model, source, &indices, size, device)? {
            let probability = prediction.probabilities[prediction.predicted];
            let name = &config.class_names[prediction.predicted];
            println!("{}\t{name}\t{probability:.4}", prediction.id);
        }
        Ok(())
    }
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
