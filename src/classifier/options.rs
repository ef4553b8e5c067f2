//! `FitOptions`: everything that decides a fit, with one set of defaults.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::FitError;
use crate::backend::BackendChoice;
use crate::cache::features::FeatureDtype;
use crate::closed_form::RidgeConfig;
use crate::data::augment::AugmentConfig;
use crate::data::normalize::Normalization;
use crate::kernels::KernelConfig;
use crate::modalities::Modalities;
use crate::model::{Freeze, VisionTap};
use crate::raster::ColorJitter;
use crate::weights::hub::WeightsSource;

/// How a [`TimesClip`](super::TimesClip) is fitted.
///
/// Two fits with equal options, on equal data and on the CPU, give equal models, bit for bit.
///
/// # Examples
/// ```
/// use timesclip::{Effort, FitOptions, Modalities};
///
/// let options = FitOptions {
///     modalities: Modalities::DUAL,
///     effort: Effort::Fast,
///     seed: 7,
///     ..FitOptions::default()
/// };
/// assert!(options.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FitOptions {
    /// Which modalities the model has. Default: [`Modalities::FULL`].
    pub modalities: Modalities,
    /// Whether a network is trained beside the closed form.
    pub effort: Effort,
    /// Number of folds; 1 trains one network on one split. Default: 4 up to 4,000 samples, else 1.
    pub folds: Option<usize>,
    /// Share of the samples that judges the network where there is one split, in `0..1`.
    pub valid_fraction: f64,
    /// Whether rare classes weigh more.
    pub class_weights: ClassWeights,
    /// Decides folds, kernels, initial weights, order, augmentation and dropout.
    pub seed: u64,
    /// Which statistics values are normalized by, for the language branch.
    pub normalization: Normalization,
    /// How series are drawn.
    pub pictures: PictureOptions,
    /// The network's architecture.
    pub network: NetworkOptions,
    /// Pretrained encoders, and what of them is trained.
    pub encoders: EncoderOptions,
    /// Hyperparameters of the network's training.
    pub training: TrainingOptions,
    /// Augmented views of the training samples.
    pub augmentation: Augmentation,
    /// The convolution kernels.
    pub kernels: KernelOptions,
    /// The closed-form head over kernel and encoder features.
    pub ridge: RidgeConfig,
    /// Where pictures and embeddings are kept, and on what is computed. Changes no result but by
    /// the rounding of a device.
    #[serde(skip)]
    pub compute: ComputeOptions,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            modalities: Modalities::FULL,
            effort: Effort::default(),
            folds: None,
            valid_fraction: 0.2,
            class_weights: ClassWeights::default(),
            seed: 42,
            normalization: Normalization::Dataset,
            pictures: PictureOptions::default(),
            network: NetworkOptions::default(),
            encoders: EncoderOptions::default(),
            training: TrainingOptions::default(),
            augmentation: Augmentation::default(),
            kernels: KernelOptions::default(),
            ridge: RidgeConfig::default(),
            compute: ComputeOptions::default(),
        }
    }
}

impl FitOptions {
    /// Checks what can be checked without data.
    ///
    /// # Errors
    /// [`FitError::Options`] names the first option that cannot be.
    pub fn validate(&self) -> Result<(), FitError> {
        let Self { modalities, .. } = *self;
        let problem = if self.folds == Some(0) {
            Some("0 folds".to_owned())
        } else if !(self.valid_fraction > 0.0 && self.valid_fraction < 1.0) {
            Some(format!(
                "a validation fraction of {} is outside 0..1",
                self.valid_fraction
            ))
        } else {
            self.encoders.problem(modalities)
        };
        problem.map_or(Ok(()), |problem| Err(FitError::Options { problem }))
    }
}

/// How much is computed for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effort {
    /// The closed form alone, over kernels and frozen encoders: seconds.
    Fast,
    /// The closed form and an ensemble of networks: minutes.
    #[default]
    Full,
}

impl FromStr for Effort {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "fast" => Ok(Self::Fast),
            "full" => Ok(Self::Full),
            _ => Err(format!("unknown effort `{name}`: expected fast or full")),
        }
    }
}

/// How classes weigh in what is minimized.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassWeights {
    /// Every sample weighs the same.
    #[default]
    None,
    /// Every class weighs the same: samples weigh inversely to the size of their class.
    Balanced,
}

impl ClassWeights {
    #[cfg(feature = "train")]
    /// One weight a class, whose mean over the samples is 1; none where all are equal.
    pub(super) fn of(self, class_counts: &[usize]) -> Option<Vec<f64>> {
        if self == Self::None {
            return None;
        }
        let n: usize = class_counts.iter().sum();
        let present = class_counts.iter().filter(|count| **count > 0).count();
        let weight = |&count: &usize| match count {
            0 => 1.0,
            count => n as f64 / (present * count) as f64,
        };
        Some(class_counts.iter().map(weight).collect())
    }
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "none" => Ok(Self::None),
            "balanced" => Ok(Self::Balanced),
            _ => Err(format!(
                "unknown class weights `{name}`: expected none or balanced"
            )),
        }
    }
}

/// What an axis of the plots spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// Each series by itself, as the reference.
    Series,
    /// All training samples, so that level, amplitude and length stay visible.
    Training,
}

impl FromStr for Axis {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "series" => Ok(Self::Series),
            "training" => Ok(Self::Training),
            _ => Err(format!(
                "unknown axis `{name}`: expected series or training"
            )),
        }
    }
}

/// How series are drawn for the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PictureOptions {
    /// What the vertical axis spans.
    pub y_axis: Axis,
    /// What the horizontal axis spans.
    pub x_axis: Axis,
    /// Width and height in pixels. Default: the encoder's.
    pub side: Option<usize>,
}

impl Default for PictureOptions {
    fn default() -> Self {
        Self {
            y_axis: Axis::Training,
            x_axis: Axis::Training,
            side: None,
        }
    }
}

/// Sizes of the encoders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Trains from scratch on a CPU in minutes.
    #[default]
    Small,
    /// The reference's architecture around CLIP ViT-B/32.
    #[serde(rename = "clip-vit-b-32")]
    ClipVitB32,
    /// The reference's architecture around CLIP ViT-B/16.
    #[serde(rename = "clip-vit-b-16")]
    ClipVitB16,
    /// The small preset around DINOv2's ViT-S/14, which is meant to be loaded and frozen.
    #[serde(rename = "vit-s-14")]
    VitS14,
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "small" => Ok(Self::Small),
            "clip-vit-b-32" => Ok(Self::ClipVitB32),
            "clip-vit-b-16" => Ok(Self::ClipVitB16),
            "vit-s-14" => Ok(Self::VitS14),
            _ => Err(format!(
                "unknown preset `{name}`: expected small, clip-vit-b-32, clip-vit-b-16 or vit-s-14"
            )),
        }
    }
}

/// The network's architecture. What is `None` is the preset's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkOptions {
    /// What the rest starts from.
    pub preset: Preset,
    /// How the language branch makes tokens of values; `None` for the preset's way, or patches where
    /// their length or stride is given.
    pub tokenizer: Option<Tokenizer>,
    /// Steps of a patch that the language branch reads as one token.
    pub patch_len: Option<usize>,
    /// Steps between the starts of two patches.
    pub patch_stride: Option<usize>,
    /// Width of the space that both branches share.
    pub d_model: Option<usize>,
    /// Transformer blocks of each encoder that is trained from scratch.
    pub n_layers: Option<usize>,
    /// Attention heads of each encoder that is trained from scratch.
    pub n_heads: Option<usize>,
    /// Dropout of encoders, selection and head, in `0..1`.
    pub dropout: Option<f64>,
}

#[cfg(feature = "train")]
impl NetworkOptions {
    /// Whether the language branch of the small preset reads patches.
    pub(super) fn reads_patches(&self) -> bool {
        let patches = self.patch_len.is_some() || self.patch_stride.is_some();
        match self.tokenizer {
            Some(tokenizer) => tokenizer == Tokenizer::Patches,
            None => patches,
        }
    }
}

/// How the language branch of the small preset makes tokens of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// Two layers of convolutions over all variates together.
    Convolutions,
    /// Linear patches, variate by variate, as the reference.
    Patches,
}

impl FromStr for Tokenizer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "convolutions" => Ok(Self::Convolutions),
            "patches" => Ok(Self::Patches),
            _ => Err(format!(
                "unknown tokenizer `{name}`: expected convolutions or patches"
            )),
        }
    }
}

/// Pretrained encoders, and what of them is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncoderOptions {
    /// Weights of the vision encoder.
    pub vision_weights: EncoderWeights,
    /// Weights of the text encoder.
    pub text_weights: EncoderWeights,
    /// Which weights of the vision encoder are frozen. Default: all, if they are pretrained.
    pub freeze_vision: Option<Freeze>,
    /// Which weights of the text encoder are frozen. Default: none.
    pub freeze_text: Option<Freeze>,
    /// Which tokens of the vision encoder are taken. Default: the preset's.
    pub tap: Option<VisionTap>,
    /// Whether features of a frozen vision encoder are standardized by the training samples.
    pub standardize: Switch,
    /// What a frozen vision encoder computes in; half precisions are for GPUs.
    pub frozen_precision: FeatureDtype,
}

impl Default for EncoderOptions {
    fn default() -> Self {
        Self {
            vision_weights: EncoderWeights::default(),
            text_weights: EncoderWeights::default(),
            freeze_vision: None,
            freeze_text: None,
            tap: None,
            standardize: Switch::Auto,
            frozen_precision: FeatureDtype::F32,
        }
    }
}

impl EncoderOptions {
    /// Names an option about an encoder that a model of these modalities does not have.
    fn problem(&self, modalities: Modalities) -> Option<String> {
        let given = |weights: &EncoderWeights| matches!(weights, EncoderWeights::Pretrained(_));
        let frozen = |freeze: Option<Freeze>| freeze.is_some_and(|freeze| freeze != Freeze::None);
        let vision = [
            ("vision weights", given(&self.vision_weights)),
            ("freezing the vision encoder", frozen(self.freeze_vision)),
            ("standardized features", self.standardize == Switch::On),
            ("a tap", self.tap.is_some()),
        ];
        let text = [
            ("text weights", given(&self.text_weights)),
            ("freezing the text encoder", frozen(self.freeze_text)),
        ];
        let first = |options: &[(&'static str, bool)]| {
            let found = options.iter().find(|(_, given)| *given);
            found.map(|(option, _)| *option)
        };
        let without = |option, encoder| {
            format!("{option}: a model of type {modalities} has no {encoder} encoder")
        };
        match (first(&vision), first(&text)) {
            (Some(option), _) if !modalities.has_vision() => Some(without(option, "vision")),
            (_, Some(option)) if !modalities.has_language() => Some(without(option, "text")),
            _ => None,
        }
    }
}

/// Where the weights of an encoder come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum EncoderWeights {
    /// Those that come with this crate (feature `builtin`), frozen, for the closed form; the network
    /// starts from random ones.
    #[default]
    Builtin,
    /// Random ones.
    Random,
    /// A checkpoint in Hugging Face's layout: a path, or `hf:OWNER/NAME`.
    Pretrained(WeightsSource),
}

impl FromStr for EncoderWeights {
    type Err = <WeightsSource as FromStr>::Err;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "builtin" => Ok(Self::Builtin),
            "none" => Ok(Self::Random),
            name => name.parse().map(Self::Pretrained),
        }
    }
}

impl TryFrom<String> for EncoderWeights {
    type Error = <WeightsSource as FromStr>::Err;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<EncoderWeights> for String {
    fn from(weights: EncoderWeights) -> Self {
        match weights {
            EncoderWeights::Builtin => "builtin".to_owned(),
            EncoderWeights::Random => "none".to_owned(),
            EncoderWeights::Pretrained(source) => source.to_string(),
        }
    }
}

/// A choice that can be left to the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Where it makes sense.
    #[default]
    Auto,
    /// Always, or an error.
    On,
    /// Never.
    Off,
}

impl FromStr for Switch {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "auto" => Ok(Self::Auto),
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(format!("unknown choice `{name}`: expected auto, on or off")),
        }
    }
}

/// Hyperparameters of the network's training. What is `None` is the preset's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingOptions {
    /// Optimizer steps of each network. Default: 600, or three passes if that is more.
    pub steps: Option<usize>,
    /// Passes over the training samples, in the place of steps.
    pub epochs: Option<usize>,
    /// Samples of a step. Default: 8 below 100 samples, else 16; the reference's 64 for its presets.
    pub batch_size: Option<usize>,
    /// Peak learning rate.
    pub learning_rate: Option<f64>,
    /// Weight of InfoNCE in the loss.
    pub contrastive_weight: f64,
    /// Share of the target probability that is spread over all classes.
    pub label_smoothing: f32,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f32,
    /// Decay of the moving average of the weights, which is what predicts; 0 for none. Default: 0.99
    /// for the small preset.
    pub average_decay: Option<f64>,
    /// Epochs without a higher validation accuracy before training ends. Default: never.
    pub early_stopping: Option<usize>,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self {
            steps: None,
            epochs: None,
            batch_size: None,
            learning_rate: None,
            contrastive_weight: 0.1,
            label_smoothing: 0.1,
            weight_decay: 0.05,
            average_decay: None,
            early_stopping: None,
        }
    }
}

/// How training samples are varied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// When samples are varied.
    pub when: AugmentWhen,
    /// How strongly they are varied.
    pub transforms: AugmentConfig,
    /// How much the colors of pictures vary from step to step.
    pub color_jitter: Option<ColorJitter>,
}

/// When training samples are varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AugmentWhen {
    /// Anew in every step, wherever the vision encoder is trained or absent; never otherwise.
    #[default]
    EveryStep,
    /// So many augmented views of every sample, made once and cached, which epochs take in turn.
    Views(usize),
    /// Never.
    Never,
}

/// How many convolution kernels there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelOptions {
    /// Features of MiniRocket; 0 leaves it out.
    pub mini_features: usize,
    /// Groups of competing Hydra kernels per dilation, an even number; 0 leaves Hydra out.
    pub hydra_groups: usize,
}

impl Default for KernelOptions {
    fn default() -> Self {
        let config = KernelConfig::default();
        Self {
            mini_features: config.mini_features,
            hydra_groups: config.hydra_groups,
        }
    }
}

/// Where pictures and embeddings are kept, and on what is computed.
#[derive(Clone, Debug, PartialEq)]
pub struct ComputeOptions {
    /// The backend.
    pub backend: BackendChoice,
    /// Number of the device within its kind. Default: the first, or with `auto` any GPU.
    pub device: Option<usize>,
    /// Devices that every batch is spread over.
    pub n_devices: usize,
    /// Where pictures are kept.
    pub pictures: PictureCache,
    /// Whether outputs of a frozen vision encoder are cached, so that epochs skip it.
    pub feature_cache: Switch,
    /// How they are kept.
    pub feature_dtype: FeatureDtype,
    /// Keep all pictures, or their features, on the device, in at most so many bytes.
    pub device_cache: Option<u64>,
    /// A folder for checkpoints, from which an interrupted fit is resumed. Default: none are kept.
    pub checkpoints: Option<PathBuf>,
}

impl Default for ComputeOptions {
    fn default() -> Self {
        Self {
            backend: BackendChoice::Auto,
            device: None,
            n_devices: 1,
            pictures: PictureCache::Memory,
            feature_cache: Switch::Auto,
            feature_dtype: FeatureDtype::F32,
            device_cache: None,
            checkpoints: None,
        }
    }
}

/// Where pictures are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureCache {
    /// In memory.
    Memory,
    /// In files of this folder, drawn by the first fit that needs them.
    Disk(PathBuf),
    /// Nowhere: drawn whenever they are needed.
    None,
}
