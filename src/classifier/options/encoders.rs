//! Pretrained encoders: where their weights come from, and what of them is trained.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::cache::features::FeatureDtype;
use crate::modalities::Modalities;
use crate::model::{Freeze, PatchTokens, VisionTap};
use crate::weights::hub::WeightsSource;

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
    /// Which weights of the text encoder are frozen. Default: all of a pretrained encoder that reads
    /// points, else none.
    pub freeze_text: Option<Freeze>,
    /// Which tokens of the vision encoder are taken. Default: the preset's; of pretrained weights
    /// outside of the reference's presets, if the side of the pictures is not told either, a grid of
    /// places of the block at two thirds of the depth.
    pub tap: Option<VisionTap>,
    /// Which patches of a picture become tokens of the vision encoder; the closed form's built-in one
    /// takes all.
    pub tokens: PatchTokens,
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
            tokens: PatchTokens::All,
            standardize: Switch::Auto,
            frozen_precision: FeatureDtype::F32,
        }
    }
}

impl EncoderOptions {
    /// Names an option about an encoder that a model of these modalities does not have.
    pub(super) fn problem(&self, modalities: Modalities) -> Option<String> {
        let given = |weights: &EncoderWeights| matches!(weights, EncoderWeights::Pretrained(_));
        let frozen = |freeze: Option<Freeze>| freeze.is_some_and(|freeze| freeze != Freeze::None);
        let vision = [
            ("vision weights", given(&self.vision_weights)),
            ("freezing the vision encoder", frozen(self.freeze_vision)),
            ("standardized features", self.standardize == Switch::On),
            ("a tap", self.tap.is_some()),
            ("ink tokens", self.tokens != PatchTokens::All),
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
    /// Those that come with this crate (feature `builtin`), frozen, for the closed form. The network
    /// starts from them with the preset `line-plots`, or where it reads points; else from random ones.
    #[default]
    Builtin,
    /// Random ones.
    Random,
    /// A checkpoint in Hugging Face's layout, or an encoder that this crate saved: a path, or
    /// `hf:OWNER/NAME`. For the network; a vision encoder, frozen, for the closed form too, but in the
    /// reference's presets.
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
