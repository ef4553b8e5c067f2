//! The network's architecture.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Sizes of the encoders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Trains from scratch on a CPU in minutes.
    #[default]
    Small,
    /// The encoders that come with the crate (feature `builtin`), one for the line plot and one for
    /// the values of each variate, on the same axes.
    LinePlots,
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
            "line-plots" => Ok(Self::LinePlots),
            "clip-vit-b-32" => Ok(Self::ClipVitB32),
            "clip-vit-b-16" => Ok(Self::ClipVitB16),
            "vit-s-14" => Ok(Self::VitS14),
            _ => Err(format!(
                "unknown preset `{name}`: expected small, line-plots, clip-vit-b-32, \
                 clip-vit-b-16 or vit-s-14"
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

impl NetworkOptions {
    /// Says what cannot be, if anything.
    pub(in crate::classifier) fn problem(&self) -> Option<String> {
        let other = self.tokenizer.is_some_and(|it| it != Tokenizer::Patches);
        (self.is_reference() && other)
            .then(|| "another tokenizer: the reference reads patches".to_owned())
    }

    /// Whether the architecture is the reference's.
    pub(in crate::classifier) fn is_reference(&self) -> bool {
        matches!(self.preset, Preset::ClipVitB32 | Preset::ClipVitB16)
    }

    /// How the language branch makes tokens of values.
    pub(in crate::classifier) fn reading(&self) -> Tokenizer {
        let patches = self.patch_len.is_some() || self.patch_stride.is_some();
        match (self.tokenizer, self.preset) {
            (Some(tokenizer), _) => tokenizer,
            (None, _) if patches => Tokenizer::Patches,
            (None, Preset::LinePlots) => Tokenizer::Points,
            (None, Preset::ClipVitB32 | Preset::ClipVitB16) => Tokenizer::Patches,
            (None, _) => Tokenizer::Convolutions,
        }
    }
}

/// How the language branch makes tokens of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// Two layers of convolutions over all variates together.
    Convolutions,
    /// Linear patches, variate by variate, as the reference.
    Patches,
    /// Convolutions over points on the axes of the pictures, variate by variate, as the built-in
    /// reading encoder.
    Points,
}

impl FromStr for Tokenizer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "convolutions" => Ok(Self::Convolutions),
            "patches" => Ok(Self::Patches),
            "points" => Ok(Self::Points),
            _ => Err(format!(
                "unknown tokenizer `{name}`: expected convolutions, patches or points"
            )),
        }
    }
}
