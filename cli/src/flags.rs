//! The flags that decide a fit, grouped as `--help` shows them. One home: `timesclip train` and the
//! example `train_dual` both take theirs from here.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use bytesize::ByteSize;
use clap::Args;
use clap::builder::ArgPredicate;
use timesclip::backend::BackendChoice;
use timesclip::cache::features::FeatureDtype;
use timesclip::closed_form::RidgeConfig;
use timesclip::data::UnevenTimes;
use timesclip::data::augment::AugmentConfig;
use timesclip::data::normalize::Normalization;
use timesclip::metrics::Score;
use timesclip::model::{Freeze, PatchTokens, TokenPooling, VisionTap};
use timesclip::options::{
    AugmentWhen, Augmentation, Axis, ClassWeights, ComputeOptions, EncoderOptions, EncoderWeights,
    KernelOptions, NetworkOptions, PictureCache, PictureOptions, Preset, Switch, Tokenizer,
    TrainingOptions,
};
use timesclip::raster::ColorJitter;
use timesclip::{Effort, FitOptions, Modalities};

use crate::values;

/// Everything that decides a fit.
#[derive(Clone, Debug, Args)]
pub struct FitFlags {
    #[command(flatten)]
    model: ModelFlags,
    #[command(flatten)]
    training: TrainingFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    encoders: EncoderFlags,
    #[command(flatten)]
    augmentation: AugmentationFlags,
    #[command(flatten)]
    compute: ComputeFlags,
}

impl FitFlags {
    /// The options that the flags describe.
    pub fn options(&self) -> FitOptions {
        let Self {
            model,
            training,
            network,
            encoders,
            augmentation,
            compute,
        } = self;
        FitOptions {
            modalities: model.model_type,
            effort: model.effort,
            folds: model.folds,
            valid_fraction: model.valid_fraction,
            class_weights: model.class_weights,
            prefixes: model.prefixes,
            seed: model.seed,
            normalization: model.normalization,
            uneven_times: model.uneven_times,
            pictures: PictureOptions {
                y_axis: model.y_scale,
                x_axis: model.x_span,
                side: encoders.side,
            },
            network: network.options(),
            encoders: encoders.options(),
            training: training.options(),
            augmentation: augmentation.options(),
            kernels: KernelOptions {
                mini_features: model.kernel_features,
                hydra_groups: model.hydra_groups,
                difference_features: model.difference_features,
            },
            ridge: RidgeConfig {
                score: training.score,
                ..RidgeConfig::default()
            },
            compute: compute.options(encoders),
        }
    }
}

/// What the model is made of.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Model")]
struct ModelFlags {
    /// Modalities: full (line plots, values and kernels), dual (line plots and values),
    /// language_only, vision_only or kernels_only
    #[arg(long, value_name = "TYPE", default_value = "full")]
    model_type: Modalities,
    /// fast: the closed form alone, in seconds; full: with an ensemble of networks, in minutes
    #[arg(long, value_name = "EFFORT", default_value = "full")]
    effort: Effort,
    /// Folds, each of which trains a network; 1 for a single split [default: 4 up to 4,000 samples]
    #[arg(long, value_name = "N", value_parser = values::count)]
    folds: Option<usize>,
    /// Share of the training samples held out to judge the network where there is a single split
    #[arg(long, value_name = "X", default_value_t = 0.2, value_parser = values::fraction)]
    valid_fraction: f64,
    /// none, or balanced: every class weighs the same, however many samples it has
    #[arg(long, value_name = "HOW", default_value = "none")]
    class_weights: ClassWeights,
    /// Also train on beginnings of the series: for models that recognize series early
    #[arg(long)]
    prefixes: bool,
    /// Seed of folds, kernels, initial weights, order, augmentation and dropout
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Statistics that values are normalized by: instance (of each series), dataset (of the training
    /// samples), or instance-with-statistics (of each series, with level and scale as a token)
    #[arg(long, value_name = "HOW", default_value = "dataset")]
    normalization: Normalization,
    /// Series whose steps are not evenly spaced in time: put on an even grid by interpolation (linear,
    /// previous, nearest), or ignore the times
    #[arg(long, value_name = "HOW", default_value = "linear")]
    uneven_times: UnevenTimes,
    /// Vertical axis of the plots: that of each series, or of all training samples
    #[arg(long, value_name = "WHOSE", default_value = "training")]
    y_scale: Axis,
    /// Horizontal axis of the plots: that of each series, or of the longest training series
    #[arg(long, value_name = "WHOSE", default_value = "training")]
    x_span: Axis,
    /// MiniRocket features
    #[arg(long, value_name = "N", default_value_t = KernelOptions::default().mini_features)]
    kernel_features: usize,
    /// Groups of Hydra kernels per dilation
    #[arg(long, value_name = "N", default_value_t = KernelOptions::default().hydra_groups)]
    hydra_groups: usize,
    /// MiniRocket features of the differences of neighboring steps
    #[arg(long, value_name = "N", default_value_t = KernelOptions::default().difference_features)]
    difference_features: usize,
}

/// Training hyperparameters.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Training")]
struct TrainingFlags {
    /// Optimizer steps of each network [default: 600, or three epochs if that is more; 100 epochs for the
    /// CLIP presets]
    #[arg(long, value_name = "N", conflicts_with = "epochs")]
    steps: Option<usize>,
    /// Passes over the training samples, in the place of --steps
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Samples of a step [default: 8 below 100 training samples of a fold, else 16; 64 for the CLIP
    /// presets]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Peak learning rate [default: the preset's]
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// Learning rate of pretrained encoders that are trained, as a multiple of that of the rest
    #[arg(long, value_name = "X", default_value_t = TrainingOptions::default().encoder_rate)]
    encoder_rate: f64,
    /// Weight of InfoNCE in the loss
    #[arg(long, value_name = "X", default_value_t = TrainingOptions::default().contrastive_weight)]
    contrastive_weight: f64,
    /// Share of the target probability spread over all classes
    #[arg(long, value_name = "X", default_value_t = TrainingOptions::default().label_smoothing)]
    label_smoothing: f32,
    /// Weight decay of matrices
    #[arg(long, value_name = "X", default_value_t = TrainingOptions::default().weight_decay)]
    weight_decay: f32,
    /// Decay of the moving average of the weights, which is what predicts; 0 for none [default: the
    /// preset's]
    #[arg(long, value_name = "X")]
    average_decay: Option<f64>,
    /// Epochs without a better score of the held-out samples before a fold ends [default: never]
    #[arg(long, value_name = "EPOCHS")]
    early_stopping: Option<usize>,
    /// Score by which the penalty of the closed form and, with --early-stopping, an epoch is chosen:
    /// log_loss, accuracy or balanced_accuracy
    #[arg(long, value_name = "SCORE", default_value = "log_loss")]
    score: Score,
    /// Start the networks from those of a model file or a run directory, with its normalization and
    /// its way of drawing
    #[arg(long, value_name = "MODEL")]
    init_from: Option<PathBuf>,
}

impl TrainingFlags {
    fn options(&self) -> TrainingOptions {
        TrainingOptions {
            steps: self.steps,
            epochs: self.epochs,
            batch_size: self.batch_size,
            learning_rate: self.lr,
            encoder_rate: self.encoder_rate,
            contrastive_weight: self.contrastive_weight,
            label_smoothing: self.label_smoothing,
            weight_decay: self.weight_decay,
            average_decay: self.average_decay,
            early_stopping: self.early_stopping,
            score: self.score,
            init_from: self.init_from.clone(),
        }
    }
}

/// The network's architecture.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Network architecture")]
struct NetworkFlags {
    /// small, line-plots (the built-in encoders), clip-vit-b-32 or clip-vit-b-16 (the reference's
    /// architecture), or vit-s-14
    #[arg(long, value_name = "NAME", default_value = "small")]
    preset: Preset,
    /// How values become tokens: convolutions over all variates, linear patches of each, or points
    /// on the axes of its picture [default: the preset's]
    #[arg(long, value_name = "HOW")]
    tokenizer: Option<Tokenizer>,
    /// Read patches of so many steps [default: the preset's]
    #[arg(long, value_name = "STEPS")]
    patch_len: Option<usize>,
    /// Steps between the starts of two patches [default: the patch length]
    #[arg(long, value_name = "STEPS")]
    patch_stride: Option<usize>,
    /// Width of the space that both branches share [default: the preset's]
    #[arg(long, value_name = "N")]
    d_model: Option<usize>,
    /// Transformer blocks of each encoder [default: the preset's]
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Attention heads of each encoder [default: the preset's]
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Dropout of encoders, selection and head [default: the preset's]
    #[arg(long, value_name = "X")]
    dropout: Option<f64>,
}

impl NetworkFlags {
    fn options(&self) -> NetworkOptions {
        NetworkOptions {
            preset: self.preset,
            tokenizer: self.tokenizer,
            patch_len: self.patch_len,
            patch_stride: self.patch_stride,
            d_model: self.d_model,
            n_layers: self.layers,
            n_heads: self.heads,
            dropout: self.dropout,
        }
    }
}

/// Pretrained encoders.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Pretrained encoders")]
struct EncoderFlags {
    /// builtin, none, or a CLIP or plain ViT in Hugging Face's layout, or an encoder of this crate: a
    /// path or hf:OWNER/NAME
    #[arg(long, value_name = "WEIGHTS", default_value = "builtin")]
    vision_weights: EncoderWeights,
    /// Weights of the text encoder, likewise
    #[arg(long, value_name = "WEIGHTS", default_value = "builtin")]
    text_weights: EncoderWeights,
    /// Encoder weights to freeze: `vision`, `text`, `vision:N` or `text:N` for the first N blocks,
    /// several with commas, or `none` [default: a pretrained vision
    /// or reading encoder]
    #[arg(long, value_name = "WHAT")]
    freeze: Option<FreezeFlag>,
    /// Block of the vision encoder whose tokens are taken, counted from 1 [default: the last; of
    /// pretrained weights at two thirds, unless --side, --tap-tokens or a CLIP preset is given]
    #[arg(long, value_name = "BLOCK")]
    tap_layer: Option<usize>,
    /// Tokens of it that are taken: class, mean, both, or grid:ROWSxCOLUMNS, the means of the cells
    /// of a grid [default: class; grid:4x8 where --tap-layer says two thirds]
    #[arg(long, value_name = "TOKENS", value_parser = tap_tokens)]
    tap_tokens: Option<TokenPooling>,
    /// Patches that become tokens of the vision encoder: all, or ink, without those of blank paper; the
    /// closed form's built-in encoder takes all
    #[arg(long, value_name = "WHICH", default_value = "all")]
    tokens: PatchTokens,
    /// Standardize the features of a frozen vision encoder by the training samples: auto, on, off
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    standardize: Switch,
    /// Width and height of pictures in pixels; pretrained positions are resized [default: the
    /// encoder's; eight patches where a grid of places is taken]
    #[arg(long, value_name = "PX")]
    side: Option<usize>,
    /// What a frozen vision encoder computes in: f32, f16 or bf16; half precisions are for GPUs
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    frozen_precision: FeatureDtype,
    /// Cache the outputs of a frozen vision encoder, so that epochs skip it: auto, on, off
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    feature_cache: Switch,
    /// Type of the cached outputs: f32, f16 or bf16
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    feature_dtype: FeatureDtype,
}

impl EncoderFlags {
    fn options(&self) -> EncoderOptions {
        let tap = VisionTap {
            layer: self.tap_layer,
            pooling: self.tap_tokens.unwrap_or_default(),
        };
        let tapped = self.tap_layer.is_some() || self.tap_tokens.is_some();
        EncoderOptions {
            vision_weights: self.vision_weights.clone(),
            text_weights: self.text_weights.clone(),
            freeze_vision: self.freeze.map(|freeze| freeze.vision),
            freeze_text: self.freeze.map(|freeze| freeze.text),
            tap: tapped.then_some(tap),
            tokens: self.tokens,
            standardize: self.standardize,
            frozen_precision: self.frozen_precision,
        }
    }
}

fn tap_tokens(name: &str) -> Result<TokenPooling, String> {
    let unknown = || format!("unknown tokens `{name}`: expected class, mean, both or grid:4x8");
    match name {
        "class" => Ok(TokenPooling::Class),
        "mean" => Ok(TokenPooling::Mean),
        "both" => Ok(TokenPooling::Both),
        _ => {
            let cells = name.strip_prefix("grid:").and_then(|n| n.split_once('x'));
            let (rows, columns) = cells.ok_or_else(unknown)?;
            Ok(TokenPooling::Grid {
                rows: rows.parse().map_err(|_| unknown())?,
                columns: columns.parse().map_err(|_| unknown())?,
            })
        }
    }
}

/// What is frozen of the vision and of the text encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct FreezeFlag {
    vision: Freeze,
    text: Freeze,
}

impl FromStr for FreezeFlag {
    type Err = String;

    fn from_str(flag: &str) -> Result<Self, String> {
        let mut frozen = Self::default();
        if flag == "none" {
            return Ok(frozen);
        }
        for part in flag.split(',') {
            let (encoder, layers) = match part.split_once(':') {
                Some((encoder, layers)) => (encoder, Some(layers)),
                None => (part, None),
            };
            let freeze = match layers.map(str::parse) {
                None => Freeze::All,
                Some(Ok(n)) => Freeze::Layers(n),
                Some(Err(_)) => return Err(format!("`{part}` has no number of blocks")),
            };
            match encoder {
                "vision" => frozen.vision = freeze,
                "text" => frozen.text = freeze,
                _ => {
                    return Err(format!(
                        "unknown encoder `{encoder}`: expected vision or text"
                    ));
                }
            }
        }
        Ok(frozen)
    }
}

/// Augmentation of training samples.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Augmentation (training samples only)")]
struct AugmentationFlags {
    /// Make K augmented views of every sample once and cache them, instead of new ones in every
    /// step; 0 for none at all
    #[arg(long, value_name = "K")]
    views: Option<usize>,
    /// Noise, as a multiple of each variate's standard deviation
    #[arg(long, value_name = "X", default_value_t = AugmentConfig::default().jitter)]
    view_jitter: f64,
    /// Change of amplitude: factors up to 1 + X
    #[arg(long, value_name = "X", default_value_t = AugmentConfig::default().scale)]
    view_scale: f64,
    /// Change of level, as a multiple of each variate's standard deviation
    #[arg(long, value_name = "X", default_value_t = AugmentConfig::default().shift)]
    view_shift: f64,
    /// How unevenly time runs, 0 to 1
    #[arg(long, value_name = "X", default_value_t = AugmentConfig::default().warp)]
    view_warp: f64,
    /// Share of the steps that may be cut off at the ends
    #[arg(long, value_name = "X", default_value_t = AugmentConfig::default().crop)]
    view_crop: f64,
    /// Probability that a variate is missing
    #[arg(long, value_name = "X", default_value_t = AugmentConfig::default().variate_drop)]
    view_drop: f64,
    /// Longest block of missing steps in a variate, as a share of all
    #[arg(long, value_name = "X", default_value_t = AugmentConfig::default().missing_block)]
    view_gap: f64,
    /// How much brightness, contrast and ink of the pictures vary from step to step
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    color_jitter: f64,
}

impl AugmentationFlags {
    fn options(&self) -> Augmentation {
        let strength = self.color_jitter;
        Augmentation {
            when: match self.views {
                None => AugmentWhen::EveryStep,
                Some(0) => AugmentWhen::Never,
                Some(n) => AugmentWhen::Views(n),
            },
            transforms: AugmentConfig {
                jitter: self.view_jitter,
                scale: self.view_scale,
                shift: self.view_shift,
                warp: self.view_warp,
                crop: self.view_crop,
                variate_drop: self.view_drop,
                missing_block: self.view_gap,
                ..AugmentConfig::OFF
            },
            color_jitter: (strength != 0.0).then_some(ColorJitter {
                brightness: strength,
                contrast: strength,
                ink: strength,
            }),
        }
    }
}

/// Device and caches.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Device and caches")]
struct ComputeFlags {
    /// cpu, wgpu, cuda, or auto: the fastest that is compiled in and present
    #[arg(long, default_value = "auto")]
    backend: BackendChoice,
    /// Number of the device within its kind, from 0 [default: the first; with auto, any GPU]
    #[arg(long, value_name = "N")]
    device: Option<usize>,
    /// Train data-parallel on N devices, from `--device` on; results match one device. On the CPU
    /// this only simulates several
    #[arg(long, value_name = "N", default_value = "1")]
    devices: NonZeroUsize,
    /// Where pictures are kept: memory, disk (drawn by the first run that needs them; the default with
    /// --cache-dir), or none
    #[arg(
        long,
        value_name = "WHERE",
        default_value = "memory",
        default_value_if("cache_dir", ArgPredicate::IsPresent, "disk"),
        conflicts_with = "no_cache"
    )]
    cache: CacheFlag,
    /// Folder of the pictures kept on disk [default: runs/pictures]
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    cache_dir: Option<PathBuf>,
    /// Draw every picture anew in every epoch; the same as `--cache none`
    #[arg(long)]
    no_cache: bool,
    /// Keep all pictures of the training set, or their features, on the device, in at most so many
    /// bytes (`4GiB`); samples are then varied by --views alone
    #[arg(long, value_name = "BYTES")]
    device_cache: Option<ByteSize>,
}

impl ComputeFlags {
    fn options(&self, encoders: &EncoderFlags) -> ComputeOptions {
        let folder = || {
            self.cache_dir
                .clone()
                .unwrap_or_else(|| "runs/pictures".into())
        };
        ComputeOptions {
            backend: self.backend,
            device: self.device,
            n_devices: self.devices.get(),
            pictures: match self.cache {
                _ if self.no_cache => PictureCache::None,
                CacheFlag::Memory => PictureCache::Memory,
                CacheFlag::Disk => PictureCache::Disk(folder()),
                CacheFlag::None => PictureCache::None,
            },
            feature_cache: encoders.feature_cache,
            feature_dtype: encoders.feature_dtype,
            device_cache: self.device_cache.map(|bytes| bytes.as_u64()),
            ..ComputeOptions::default()
        }
    }
}

/// Where pictures are kept.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CacheFlag {
    Memory,
    Disk,
    None,
}

impl FromStr for CacheFlag {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "memory" => Ok(Self::Memory),
            "disk" => Ok(Self::Disk),
            "none" => Ok(Self::None),
            _ => Err(format!(
                "unknown cache `{name}`: expected memory, disk or none"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        flags: FitFlags,
    }

    #[test]
    fn without_flags_options_are_those_of_the_library() {
        let command = Command::parse_from(["train_dual"]);
        assert_eq!(command.flags.options(), FitOptions::default());
    }
}
