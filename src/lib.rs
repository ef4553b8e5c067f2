//! Classifies multivariate time series by their line plots, their values and convolution kernels.
//!
//! The one type to know is [`TimesClip`]: a classifier that is fitted, predicts, and is saved as one file.
//! [`FitOptions`] holds everything that decides a fit; [`SeriesDataset`] is what it is fitted to.
//!
//! ```no_run
//! use timesclip::{FitOptions, SeriesDataset, TimesClip};
//!
//! let train = SeriesDataset::read("train.ts")?;
//! let model = TimesClip::fit(&train, &FitOptions::default())?;
//! println!("{:.3}", model.evaluate(&SeriesDataset::read("test.ts")?)?.accuracy);
//! model.save("gesture.safetensors")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A series is looked at in three ways ([`Modalities`]). Each variate is drawn as a line plot and
//! seen by a CLIP-Vision transformer; the values are read by a CLIP-Text transformer; InfoNCE
//! aligns the two, attention across the variates selects what matters, a head classifies. Beside
//! this network, convolution kernels and two small frozen encoders feed a ridge in closed form. A log-linear pool, fitted on
//! held-out probabilities, makes one calibrated answer of both.
//!
//! ```text
//! series -> normalize -> rasterize -> cache -> batch -> vision encoder --+-> align, select, head --+
//!    \____________ values ______________________-> language encoder ____/                          +-> pool
//!    \____________ kernels ____________________________________________-> ridge in closed form ___/
//! ```
//!
//! # Tasks
//!
//! ## Predict on a file
//!
//! A model remembers how its tables were read, and finds variates and columns by name.
//!
//! ```no_run
//! use timesclip::{ReadOptions, TimesClip, read_like};
//!
//! let model = TimesClip::load("gesture.safetensors")?;
//! let new = read_like("new.csv".as_ref(), &ReadOptions::default(), model.schema())?;
//! for prediction in model.predict(&new.dataset)? {
//!     println!("{} {} {:.3}", prediction.id, prediction.label, prediction.probability);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`TimesClip::predict_stream`] and [`data::SeriesReader`] do the same for files larger than the
//! memory. A model remembers columns only if the schema of its training table was handed to
//! [`TimesClip::with_schema`], as the command `timesclip` does.
//!
//! ## Fit a model in seconds, and watch
//!
//! ```
//! use std::ops::ControlFlow;
//! use timesclip::{Effort, FitEvent, FitOptions, LabeledSeries, Series, SeriesDataset, TimesClip};
//!
//! let wave = |id: u64, speed: f32| {
//!     let values = (0..40).map(|step| (step as f32 * speed + id as f32).sin()).collect();
//!     Series::new(values, 40, 1)
//! };
//! let mut samples = Vec::new();
//! for id in 0..20 {
//!     let label = id as usize % 2;
//!     let series = wave(id, [0.3, 0.9][label])?;
//!     samples.push(LabeledSeries { id, series, label });
//! }
//! let classes = vec!["slow".to_owned(), "fast".to_owned()];
//! let train = SeriesDataset::new("waves", classes, samples)?;
//!
//! let options = FitOptions { effort: Effort::Fast, ..FitOptions::default() };
//! let mut watch = |event: &FitEvent| {
//!     println!("{event:?}");
//!     ControlFlow::Continue(()) // breaking cancels the fit
//! };
//! let (model, _report) = TimesClip::fit_observed(&train, &options, &mut watch)?;
//! assert_eq!(model.predict(&wave(99, 0.9)?)?[0].label, "fast");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Use my own loop
//!
//! [`TimesClipClassifier`](model::TimesClipClassifier) is generic over Burn's backends. Draw a set
//! once, gather a batch, take the loss, and do with its gradients what you like; or hand it to
//! [`train::Trainer`]. `examples/own_loop.rs` does both.
//!
//! ```
//! # #[cfg(all(feature = "cpu", feature = "train"))] {
//! use burn::backend::Autodiff;
//! use burn_flex::Flex;
//! use timesclip::Modalities;
//! use timesclip::batch::TimesClipBatcher;
//! use timesclip::cache::{BuildOptions, InMemoryImages};
//! use timesclip::data::normalize::{Normalization, Normalizer};
//! use timesclip::model::TimesClipClassifierConfig;
//! use timesclip::raster::PlotStyle;
//! use timesclip::{LabeledSeries, Series, SeriesDataset};
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
//! let device = Default::default();
//! let model = config.init::<Autodiff<Flex>>(&device);
//! let batcher = TimesClipBatcher::new(normalizer, Modalities::DUAL);
//! let batch = batcher.gather(&images, &[0])?.into_tensors(&device);
//! let step = model.forward_classification(batch.input, batch.targets);
//! let gradients = step.loss.total.backward();
//! # let _ = gradients;
//! # }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Freeze a pretrained CLIP
//!
//! A pretrained vision encoder is frozen unless told otherwise: it runs once over every picture, and
//! epochs read its cached outputs.
//!
//! ```
//! use timesclip::options::{EncoderOptions, EncoderWeights, PictureOptions};
//! use timesclip::{FitOptions, Modalities};
//!
//! let options = FitOptions {
//!     modalities: Modalities::DUAL,
//!     encoders: EncoderOptions {
//!         // A path, or `hf:OWNER/NAME` with the feature `hub`.
//!         vision_weights: "models/clip-vit-base-patch32".parse::<EncoderWeights>()?,
//!         ..EncoderOptions::default()
//!     },
//!     pictures: PictureOptions { side: Some(96), ..PictureOptions::default() },
//!     ..FitOptions::default()
//! };
//! options.validate()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Train on CUDA
//!
//! Build with the feature `cuda` (or `wgpu`); then [`FitOptions::default`] takes the GPU, and a
//! backend that is named must be there.
//!
//! ```
//! use timesclip::backend::BackendChoice;
//! use timesclip::options::ComputeOptions;
//! use timesclip::{FitOptions, LoadOptions};
//!
//! let backend: BackendChoice = "cuda".parse()?;
//! let options = FitOptions {
//!     compute: ComputeOptions { backend, ..ComputeOptions::default() },
//!     ..FitOptions::default()
//! };
//! // A model that was fitted on one backend is loaded on any other.
//! let load = LoadOptions { backend: "cpu".parse()?, ..LoadOptions::default() };
//! # let _ = (options, load);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ## Bring my own data set
//!
//! Series from a table: [`SeriesDataset::read`]. From memory: [`SeriesDataset::new`]. Pictures drawn
//! or kept by other means: implement [`CachedImageDataset`](cache::CachedImageDataset), as
//! `examples/own_dataset.rs` does.
//!
//! # Rooms
//!
//! - Host, no tensors: [`data`], [`raster`], [`cache`], [`kernels`], [`closed_form`], [`metrics`],
//!   [`baselines`], [`curves`], [`page`].
//! - Tensors, no files or threads: [`model`]; and [`weights`], which has files.
//! - The seam: [`batch`], the only place where host data becomes tensors.
//! - On top: [`encode`], `train`, `run`, `report`, `compare`; [`classifier`], which is built of all of these; and
//!   [`backend`], the only place that names a device.
//!
//! # Dimensions
//!
//! Shapes in these docs use the names `batch`, `n_variates`, `n_steps`, `n_patches`, `seq` (tokens
//! of a sequence), `d_model` (width of a token), `n_classes`, `channels`, `side` (pixels).
//!
//! # Features
//!
//! - `cpu` (default): Burn's pure-Rust CPU backend, and fused operations on it.
//! - `train` (default): training networks. Without it, models are loaded and predict, and the closed
//!   form can be fitted.
//! - `report` (default): `report.json`, and a page to read.
//! - `builtin` (default): two small encoders of line plots, pretrained on synthetic curves, 4 MB. A
//!   model that was fitted with them needs them to predict.
//! - `parquet`: Parquet files.
//! - `wgpu`: GPUs through Vulkan or Metal. `cuda`: NVIDIA GPUs.
//! - `fusion`, `autotune`: Burn's kernel fusion and autotuning on GPUs. Not recommended: they were
//!   checked on a software driver alone, and Burn 0.21 has open reports of wrong results with them.
//! - `hub`: pretrained weights by name, from Hugging Face's hub.
//! - `tensorboard`: learning curves as event files of TensorBoard.
//! - `burn-train`: `TrainStep` and `InferenceStep` of burn-train for the classifier.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod backend;
pub mod baselines;
pub mod batch;
pub mod cache;
pub mod classifier;
pub mod closed_form;
#[cfg(feature = "report")]
pub mod compare;
pub mod curves;
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
    EarlyPrediction, EarlyScore, Evaluation, ExplainOptions, Explanation, Faithfulness,
    FaithfulnessOptions, FitError, FitEvent, FitObserver, FitReport, LoadOptions, ModelFileError,
    Phase, PredictError, Prediction, PrefixAnswers, Samples, StopRule, StopScore, TimesClip,
};
pub use data::read::read_like;
pub use data::{LabeledSeries, ReadOptions, Series, SeriesDataset};
pub use error::Error;
pub use files::{IoError, write_atomically};
pub use modalities::{Modalities, UnknownModalities};

#[cfg(all(doctest, feature = "cpu", feature = "train"))]
#[doc = include_str!("../README.md")]
struct Readme;
