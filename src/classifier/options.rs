//! `FitOptions`: everything that decides a fit, with one set of defaults.

mod compute;
mod encoders;
mod network;
mod training;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use compute::{ComputeOptions, Extension, PictureCache, TrainingLeft};
pub use encoders::{EncoderOptions, EncoderWeights, Switch};
pub use network::{NetworkOptions, Preset, Tokenizer};
pub use training::{AugmentWhen, Augmentation, TrainingOptions};

use super::FitError;
use crate::closed_form::RidgeConfig;
use crate::data::UnevenTimes;
#[cfg(feature = "train")]
use crate::data::augment::AugmentConfig;
use crate::data::normalize::Normalization;
use crate::kernels::KernelConfig;
use crate::modalities::Modalities;
use crate::model::Freeze;

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
    /// Whether beginnings of the training series are trained on as well, for early recognition: four
    /// of each in the closed form, left out together with it; in the network, half of the augmented
    /// views begin with the series and end anywhere.
    pub prefixes: bool,
    /// Decides folds, kernels, initial weights, order, augmentation and dropout.
    pub seed: u64,
    /// Which statistics values are normalized by, for the language branch.
    pub normalization: Normalization,
    /// What becomes of series whose steps are not evenly spaced in time.
    pub uneven_times: UnevenTimes,
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
    /// Where pictures and embeddings are kept, and on what is computed. A model differs by the rounding of
    /// devices and stored features, by the dropout of several devices, and by what can still be varied in every
    /// step ([`AugmentWhen::EveryStep`]); nothing else here changes it.
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
            prefixes: false,
            seed: 42,
            normalization: Normalization::Dataset,
            uneven_times: UnevenTimes::default(),
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

/// Share of the views that are of a beginning, with [`FitOptions::prefixes`].
#[cfg(feature = "train")]
const PREFIX_VIEWS: f64 = 0.5;

impl FitOptions {
    /// How augmented views are made: as the options say, and of beginnings if those are wanted.
    #[cfg(feature = "train")]
    pub(super) fn transforms(&self) -> AugmentConfig {
        let mut transforms = match self.augmentation.when {
            AugmentWhen::Never => AugmentConfig::OFF,
            _ => self.augmentation.transforms,
        };
        if self.prefixes {
            transforms.prefix = PREFIX_VIEWS;
        }
        transforms
    }

    /// The model whose networks the networks start from, if there is one.
    pub(super) fn starting_model(&self) -> Option<&Path> {
        let extended = self.compute.extends.as_ref();
        let extended = extended.map(|extension| &extension.model);
        extended
            .or(self.training.init_from.as_ref())
            .map(PathBuf::as_path)
    }

    /// Names a rate for pretrained encoders that learn, if none of them does.
    fn idle_encoder_rate(&self) -> Option<String> {
        let Self {
            modalities,
            encoders,
            network,
            training,
            ..
        } = self;
        let starts = |weights: &EncoderWeights, builtin: bool| match weights {
            EncoderWeights::Pretrained(_) => true,
            EncoderWeights::Builtin => builtin,
            EncoderWeights::Random => false,
        };
        let sees = modalities.has_vision()
            && starts(
                &encoders.vision_weights,
                network.preset == Preset::LinePlots,
            )
            && encoders.freeze_vision.is_some_and(|it| it != Freeze::All);
        let points = network.reading() == Tokenizer::Points;
        let frozen = match points {
            true => Freeze::All,
            false => Freeze::None,
        };
        let reads = modalities.has_language()
            && starts(&encoders.text_weights, points)
            && encoders.freeze_text.unwrap_or(frozen) != Freeze::All;
        let told = training.encoder_rate != TrainingOptions::default().encoder_rate;
        let problem = "a learning rate of pretrained encoders: none of them is trained";
        (told && !sees && !reads).then(|| problem.to_owned())
    }

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
        } else if self.starting_model().is_some() && !modalities.has_network() {
            Some(format!(
                "a model to start from: a model of type {modalities} has no network"
            ))
        } else if self.starting_model().is_some() && self.effort == Effort::Fast {
            Some("a model to start from: the effort `fast` trains no network".to_owned())
        } else if modalities.has_language()
            && matches!(self.encoders.text_weights, EncoderWeights::Pretrained(_))
            && self.effort == Effort::Fast
        {
            let problem = "text weights of a file: the effort `fast` trains no network, and the closed form reads \
                           with the built-in encoder alone";
            Some(problem.to_owned())
        } else {
            self.idle_encoder_rate()
                .or_else(|| self.network.problem())
                .or_else(|| self.encoders.problem(modalities))
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
    /// Width and height in pixels. Default: the encoder's; eight patches where a pretrained encoder is
    /// read in a grid of places.
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

/// How many convolution kernels there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelOptions {
    /// Features of MiniRocket; 0 leaves it out.
    pub mini_features: usize,
    /// Groups of competing Hydra kernels per dilation, an even number; 0 leaves Hydra out.
    pub hydra_groups: usize,
    /// Features of MiniRocket on the differences of neighboring steps; 0 leaves them out.
    pub difference_features: usize,
}

impl Default for KernelOptions {
    fn default() -> Self {
        let config = KernelConfig::default();
        Self {
            mini_features: config.mini_features,
            hydra_groups: config.hydra_groups,
            difference_features: config.difference_features,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_weights_of_a_file_are_refused_where_no_network_is_trained() {
        let mut options = FitOptions::default();
        let file = crate::weights::hub::WeightsSource::Path("reading.safetensors".into());
        options.encoders.text_weights = EncoderWeights::Pretrained(file);
        assert!(options.validate().is_ok());
        options.effort = Effort::Fast;
        let error = options.validate().unwrap_err().to_string();
        assert!(error.contains("text weights of a file"), "{error}");
        options.encoders.text_weights = EncoderWeights::Builtin;
        assert!(options.validate().is_ok());
    }
}
