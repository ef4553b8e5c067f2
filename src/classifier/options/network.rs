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
    pub(in crate::classifier) fn reads_patches(&self) -> bool {
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
