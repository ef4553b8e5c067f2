//! Classifies multivariate time series by seeing and reading them.
//!
//! Each variate is drawn as a line plot and seen by a CLIP-Vision transformer; the same values,
//! cut into patches, are read by a CLIP-Text transformer. InfoNCE aligns the two views, attention
//! across the variates selects, a head classifies.
//!
//! ```text
//! series -> normalise -> rasterise -> cache -> batch -> vision encoder --+-> align, select, fuse
//!    \___________ patches ______________________-> language encoder ____/    -> loss -> report
//! ```
//!
//! # Examples
//!
//! Draw a set once, gather a batch, classify it (with random weights):
//!
//! ```
//! # #[cfg(feature = "cpu")] {
//! use timesclip::batch::{BatchViews, TimesClipBatcher};
//! use timesclip::cache::{BuildOptions, InMemoryImages};
//! use timesclip::model::TimesClipClassifierConfig;
//! use timesclip::data::normalize::{Normalization, Normalizer};
//! use timesclip::raster::PlotStyle;
//! use timesclip::data::{LabeledSeries, Series, SeriesDataset};
//!
//! type Backend = burn_flex::Flex;
//!
//! let series = Series::new(vec![0.0, 1.0, 0.5, 2.0, 1.0, 0.0], 3, 2)?; // 3 steps, 2 variates
//! let sample = LabeledSeries { id: 0, series, label: 1 };
//! let classes = vec!["calm".to_owned(), "storm".to_owned()];
//! let set = SeriesDataset::new("weather", classes, vec![sample])?;
//!
//! let config = TimesClipClassifierConfig::new(set.n_variates(), set.n_classes());
//! let normalizer = Normalizer::fit(Normalization::Dataset, set.samples().iter().map(|s| &s.series))?;
//! let style = PlotStyle { side_px: config.vision.side_px, ..PlotStyle::default() };
//! let images = InMemoryImages::build(set, &style, BuildOptions::new())?;
//!
//! let batcher = TimesClipBatcher::new(normalizer, BatchViews::ALL);
//! let device = Default::default();
//! let batch = batcher.gather(&images, &[0])?.into_tensors::<Backend>(&device);
//! let output = config.init::<Backend>(&device).forward(batch.input);
//! assert_eq!(output.logits.dims(), [1, 2]);
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `examples/train_dual` is the whole job: reading, splitting, caching, training, testing.
//!
//! # Rooms
//!
//! - Host, no tensors: [`data`], [`raster`], [`cache`], [`kernels`], [`closed_form`], [`metrics`].
//! - Tensors, no files or threads: [`model`]; and [`weights`], which has files.
//! - The seam: [`batch`], the only place where host data becomes tensors.
//! - On top: [`encode`], [`train`], [`report`]; and [`backend`], the only place that names a
//!   device.
//!
//! # Dimensions
//!
//! Shapes in these docs use the names `batch`, `n_variates`, `n_steps`, `n_patches`, `seq` (tokens
//! of a sequence), `d_model` (width of a token), `n_classes`, `channels`, `side` (pixels).
//!
//! # Features
//!
//! - `cpu` (default): Burn's pure-Rust CPU backend, and fused operations on it.
//! - `wgpu`: GPUs through Vulkan or Metal. `cuda`: NVIDIA GPUs.
//! - `fusion`, `autotune`: slow first start, faster steady state on a GPU.
//! - `train` (default): the training loop. `report` (default): run directories and pictures.
//! - `hub`: pretrained weights by name, from Hugging Face's hub.
//! - `burn-train`: `TrainStep` and `InferenceStep` of burn-train for the classifier.
//!
//! Without default features there is no backend, no trainer and no picture file in the build.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod backend;
pub mod batch;
pub mod cache;
pub mod classifier;
pub mod closed_form;
pub mod data;
pub mod encode;
mod error;
mod files;
pub mod kernels;
pub mod metrics;
mod modalities;
pub mod model;
#[cfg(feature = "report")]
pub mod page;
pub mod raster;
#[cfg(feature = "report")]
pub mod report;
#[cfg(feature = "train")]
pub mod run;
#[cfg(feature = "train")]
pub mod train;
pub mod weights;

pub use classifier::options;
pub use classifier::options::{Effort, FitOptions};
pub use classifier::{
    EarlyScore, Evaluation, ExplainOptions, Explanation, FitError, FitEvent, FitObserver,
    FitReport, LoadOptions, ModelFileError, Phase, PredictError, Prediction, Samples, TimesClip,
};
pub use error::Error;
pub use files::{IoError, write_atomically};
pub use modalities::{Modalities, UnknownModalities};

#[cfg(all(doctest, feature = "cpu", feature = "train"))]
#[doc = include_str!("../README.md")]
struct Readme;
