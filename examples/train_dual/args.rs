//! The flags, and the run they describe.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Result, bail};
use bytesize::ByteSize;
use clap::builder::ArgPredicate;
use clap::{Parser, ValueEnum};
use timesclip::backend::{BackendChoice, BackendKind};
use timesclip::batch::BatchViews;
use timesclip::cache::store::Shard;
use timesclip::data::csv::{CsvFormat, Layout};
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::model::loss::TimesClipLoss;
use timesclip::model::{ModelMode, TimesClipClassifierConfig};
use timesclip::raster::{PlotStyle, XSpan, YScale};
use timesclip::report::{DataSource, RunConfig};
use timesclip::train::{Schedule, TrainingConfig};

use crate::data::Data;
use crate::encoders::{EncoderArgs, Pretrained};
use crate::views::ViewArgs;

/// Learns to classify multivariate time series by seeing and reading them.
#[derive(Debug, Parser)]
#[command(args_override_self = true, allow_negative_numbers = true)]
pub(crate) struct Args {
    /// Training series: a UEA/UCR `.ts` file or a table (`.csv`, `.tsv`). Default: JapaneseVowels
    #[arg(long, value_name = "FILE", requires = "test_data")]
    pub(crate) data: Option<PathBuf>,
    /// Test series, in the same format; looked at once, after training
    #[arg(long, value_name = "FILE", requires = "data")]
    pub(crate) test_data: Option<PathBuf>,
    /// Variates of a series in a table
    #[arg(long, value_name = "N")]
    pub(crate) variates: Option<usize>,
    /// Order of the value columns of a table: `time-major`, all variates of the first step, then of
    /// the second; or `variate-major`, all steps of the first variate, then of the second
    #[arg(long, default_value = "time-major", requires = "variates")]
    pub(crate) layout: Layout,
    /// Name of the label column of a table [default: the last column]
    #[arg(long, value_name = "NAME", requires = "variates")]
    pub(crate) label_column: Option<String>,

    /// Views of a series
    #[arg(long, value_enum, default_value = "dual")]
    pub(crate) model_type: ModelType,
    /// What values are measured against
    #[arg(long, value_enum, default_value = "dataset")]
    pub(crate) normalization: NormalizationFlag,
    /// Vertical axis of the plots: of each series, or of the training samples
    #[arg(long, value_enum, default_value = "training")]
    pub(crate) y_scale: YScaleFlag,
    /// Horizontal axis of the plots: of each series, or of the longest training series
    #[arg(long, value_enum, default_value = "training")]
    pub(crate) x_span: XSpanFlag,

    /// Passes over the training samples
    #[arg(long, default_value_t = 40)]
    pub(crate) epochs: usize,
    /// Samples of a step at most
    #[arg(long, default_value_t = 64)]
    pub(crate) batch_size: usize,
    /// Learning rate [default: 1e-4 for the CLIP presets, 1e-3 for the others]
    #[arg(long)]
    pub(crate) lr: Option<f64>,
    /// Weight of InfoNCE in the loss
    #[arg(long, default_value_t = 0.1)]
    pub(crate) contrastive_weight: f64,
    /// Share of the target probability spread over all classes
    #[arg(long, default_value_t = 0.1)]
    pub(crate) label_smoothing: f32,
    /// Weight decay of matrices
    #[arg(long, default_value_t = 0.05)]
    pub(crate) weight_decay: f32,
    /// Dropout of encoders, selection and head [default: the preset's]
    #[arg(long)]
    pub(crate) dropout: Option<f64>,
    /// Share of the training samples set aside to choose the best epoch
    #[arg(long, default_value_t = 0.2)]
    pub(crate) valid_fraction: f64,
    /// Epochs without a higher validation accuracy before training ends [default: never]
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) early_stopping: Option<usize>,
    /// Decides split, weights, order and dropout
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,

    /// Where pictures are kept; with `--cache-dir` on disk, unless said otherwise
    #[arg(
        long,
        value_enum,
        default_value = "memory",
        default_value_if("cache_dir", ArgPredicate::IsPresent, "disk"),
        conflicts_with = "no_cache"
    )]
    pub(crate) cache: CacheFlag,
    /// Folder of the pictures kept on disk [default: runs/pictures]
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    pub(crate) cache_dir: Option<PathBuf>,
    /// Draw every picture anew in every epoch; the same as `--cache none`
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Draw or encode the pictures of all sets into the files of `--cache disk`, and stop: the run
    /// with the same flags finds them
    #[arg(long)]
    pub(crate) prepare_only: bool,
    /// With `--prepare-only`: only the I-th of N equal parts of every set, I from 1 to N, as one task
    /// of an array job; the run, or `image_cache merge`, joins them
    #[arg(long, value_name = "I/N", requires = "prepare_only")]
    pub(crate) shard: Option<Shard>,
    /// What to compute on: cpu, wgpu, cuda, or auto for the fastest that is compiled in and present
    #[arg(long, default_value = "auto")]
    pub(crate) backend: BackendChoice,
    /// Number of the device within its kind, from 0 [default: the first; with auto, any GPU]
    #[arg(long, value_name = "N")]
    pub(crate) device: Option<usize>,
    /// Spread every batch over so many devices, from `--device` on; they learn together what one
    /// would. The processor can only pretend to be several
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) devices: NonZeroUsize,
    /// Keep all pictures of the training set and its views on the device, or their features if
    /// these are kept, in at most so many bytes (`4GiB`): batches need not bring them then
    #[arg(long, value_name = "BYTES")]
    pub(crate) device_cache: Option<ByteSize>,
    /// Directory of the run [default: the first free runs/NAME-MODE-N]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run in `--out` from its last checkpoint; the other flags must be those it was
    /// begun with
    #[arg(long, requires = "out")]
    pub(crate) resume: bool,
    /// Print no epochs and no progress, only what is prepared and how it ends
    #[arg(long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) encoders: EncoderArgs,
    #[command(flatten)]
    pub(crate) views: ViewArgs,
}

/// Views of a series.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum ModelType {
    /// Sees and reads
    Dual,
    /// Only reads
    LanguageOnly,
    /// Only sees
    VisionOnly,
}

/// What values are measured against.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum NormalizationFlag {
    /// The same variate of the same series
    Instance,
    /// The variate over the training samples
    Dataset,
    /// As instance, with level and scale as a token
    InstanceWithStatistics,
}

/// Vertical axis of the plots.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum YScaleFlag {
    /// Of each series, as the reference
    Series,
    /// Of the variate over the training samples
    Training,
}

/// Horizontal axis of the plots.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum XSpanFlag {
    /// Of each series, as the reference
    Series,
    /// Of the longest training series
    Training,
}

/// Where pictures are kept.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum CacheFlag {
    /// In memory
    Memory,
    /// In a file, drawn by the first run that needs them
    Disk,
    /// Nowhere
    None,
}

impl Args {
    /// The format of a table.
    pub(crate) fn csv_format(&self) -> Result<Option<CsvFormat>> {
        let Some(n_variates) = self.variates else {
            return Ok(None);
        };
        let mut format = CsvFormat::new(n_variates);
        format.layout = self.layout;
        format.label_column = self.label_column.clone();
        Ok(Some(format))
    }

    /// Where pictures are kept, whichever flag says so.
    pub(crate) fn cache(&self) -> CacheFlag {
        if self.no_cache {
            CacheFlag::None
        } else {
            self.cache
        }
    }

    /// What batches carry.
    pub(crate) fn batch_views(&self) -> BatchViews {
        let mode = self.mode();
        BatchViews {
            series: mode.reads(),
            pictures: mode.sees(),
        }
    }

    pub(crate) fn mode(&self) -> ModelMode {
        match self.model_type {
            ModelType::Dual => ModelMode::Dual,
            ModelType::LanguageOnly => ModelMode::LanguageOnly,
            ModelType::VisionOnly => ModelMode::VisionOnly,
        }
    }

    /// Everything that decides what the run does.
    pub(crate) fn run_config(
        &self,
        data: &Data,
        pretrained: &Pretrained,
        backend: BackendKind,
    ) -> Result<RunConfig> {
        let normalization = match self.normalization {
            NormalizationFlag::Instance => Normalization::Instance,
            NormalizationFlag::Dataset => Normalization::Dataset,
            NormalizationFlag::InstanceWithStatistics => Normalization::InstanceWithStatistics,
        };
        let fitted_on = || {
            data.split
                .train
                .iter()
                .map(|i| &data.train.samples()[*i].series)
        };
        let training = data.train.subset(&data.split.train)?;
        let model = self.model_config(data, pretrained)?;
        let style = PlotStyle {
            side_px: model.vision.side_px,
            y_scale: match self.y_scale {
                YScaleFlag::Series => YScale::Series,
                YScaleFlag::Training => YScale::fitted(&training),
            },
            x_span: match self.x_span {
                XSpanFlag::Series => XSpan::Finite,
                XSpanFlag::Training => XSpan::Steps(training.max_steps()),
            },
            ..PlotStyle::default()
        };
        if !(0.0..1.0).contains(&self.valid_fraction) {
            bail!("--valid-fraction {} is outside 0..1", self.valid_fraction);
        }
        Ok(RunConfig {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            dataset: data.train.name().to_owned(),
            data: Some(DataSource::new(&data.train, self.csv_format()?)),
            class_names: data.train.class_names().to_vec(),
            valid_fraction: self.valid_fraction,
            normalizer: Normalizer::fit(normalization, fitted_on())?,
            style,
            pixels: self.encoders.pixels(pretrained)?,
            pretrained: self.encoders.sources(),
            frozen_precision: self.encoders.frozen_precision,
            backend,
            augmentation: self.views.augmentation(),
            model,
            training: self.training_config(),
        })
    }

    fn model_config(
        &self,
        data: &Data,
        pretrained: &Pretrained,
    ) -> Result<TimesClipClassifierConfig> {
        let (n_variates, n_classes) = (data.train.n_variates(), data.train.n_classes());
        let mut config = self.encoders.model(n_variates, n_classes, pretrained)?;
        if let Some(patches) = config.language.tokenizer.patches_mut() {
            patches.statistics = matches!(
                self.normalization,
                NormalizationFlag::InstanceWithStatistics
            );
            patches.dropout = self.dropout.unwrap_or(patches.dropout);
        }
        if let Some(dropout) = self.dropout {
            config.vision.transformer.dropout = dropout;
            config.language.transformer.dropout = dropout;
            config.selection.dropout = dropout;
            config.head.dropout = dropout;
        }
        let loss = TimesClipLoss::new()
            .with_contrastive_weight(self.contrastive_weight)
            .with_label_smoothing(self.label_smoothing);
        let mut config = config.with_mode(self.mode()).with_loss(loss);
        // A classifier that does not see has no features to standardise.
        config.standardize_features &= config.mode.sees();
        Ok(config)
    }

    fn training_config(&self) -> TrainingConfig {
        let small = self.encoders.is_small();
        TrainingConfig::new()
            .with_epochs(self.epochs)
            .with_batch_size(self.batch_size)
            .with_learning_rate(self.lr.unwrap_or(if small { 1e-3 } else { 1e-4 }))
            .with_weight_decay(self.weight_decay)
            .with_max_grad_norm(Some(1.0))
            .with_schedule(Schedule::Cosine {
                warmup_epochs: (self.epochs / 10).min(5),
            })
            .with_early_stopping(self.early_stopping)
            .with_color_jitter(self.views.color_jitter())
            .with_seed(self.seed)
    }
}
