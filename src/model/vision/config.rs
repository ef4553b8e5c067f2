//! What a vision encoder is made of: its stem, its sizes, presets.

use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::super::halving;
use super::super::ink::PatchTokens;
use super::super::tap::{TokenPooling, VisionTap};
use super::super::transformer::TransformerConfig;
use crate::model::fused::Activation;

/// What turns the pixels of a picture into tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VisionStem {
    /// A linear map of each patch's painted pixels, as CLIP has it.
    Patches,
    /// Convolutions of 3 x 3 pixels that halve the picture each, with exact GELU in between, on
    /// the ink alone: colors do not matter to it. The last gives the tokens, one for each
    /// `image_patch_size`, a power of two.
    Convolutions {
        /// Channels that leave each convolution but the last.
        channels: Vec<usize>,
    },
}

impl VisionStem {
    /// Width and height in pixels of what a token stands for, if the stem decides that.
    pub(super) fn patch_size(&self) -> Option<usize> {
        match self {
            Self::Patches => None,
            Self::Convolutions { channels } => Some(halving::STRIDE << channels.len().min(16)),
        }
    }
}

/// Sizes of a [`VisionEncoder`](super::VisionEncoder).
#[derive(Config, Debug)]
pub struct VisionEncoderConfig {
    /// Width and height of a picture in pixels.
    pub side_px: usize,
    /// Width and height of the square patches a picture is cut into, or of what a token of a
    /// convolutional stem stands for; divides `side_px`.
    pub image_patch_size: usize,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// Whether a layer norm precedes the blocks, as in CLIP; plain ViTs have none.
    #[config(default = true)]
    pub pre_norm: bool,
    /// What turns pixels into tokens.
    #[config(default = "VisionStem::Patches")]
    pub stem: VisionStem,
    /// Whether a class token precedes the tokens of the picture.
    #[config(default = true)]
    pub class_token: bool,
    /// Which patches become tokens.
    #[config(default = "PatchTokens::All")]
    pub tokens: PatchTokens,
    /// What is taken out of the encoder: its last class token, as CLIP does, unless said otherwise.
    #[config(default = "VisionTap::default()")]
    pub tap: VisionTap,
}

impl VisionEncoderConfig {
    /// CLIP ViT-B/16, 224 px: 85,799,424 parameters.
    pub fn clip_vit_b_16() -> Self {
        Self::new(224, 16, TransformerConfig::new(768, 3072, 12, 12))
    }

    /// CLIP ViT-B/32, 224 px: 87,456,000 parameters.
    pub fn clip_vit_b_32() -> Self {
        Self::new(224, 32, TransformerConfig::new(768, 3072, 12, 12))
    }

    /// ViT-S/14, 224 px, as DINOv2 has it: no norm in front of the blocks, exact GELU.
    pub fn vit_s_14() -> Self {
        let transformer = TransformerConfig::new(384, 1536, 6, 12)
            .with_activation(Activation::Gelu)
            .with_layer_norm_eps(1e-6);
        Self::new(224, 14, transformer).with_pre_norm(false)
    }

    /// An encoder of line plots with 1.3 million weights: 64 px of ink, tokens of 8 x 8 px, six
    /// blocks, and of the last a grid of four rows and eight columns.
    pub fn line_plots() -> Self {
        let transformer = TransformerConfig::new(128, 512, 4, 6).with_activation(Activation::Gelu);
        let pooling = TokenPooling::Grid {
            rows: 4,
            columns: 8,
        };
        Self::new(64, 8, transformer)
            .with_stem(VisionStem::Convolutions {
                channels: vec![24, 48],
            })
            .with_pre_norm(false)
            .with_class_token(false)
            .with_tap(VisionTap {
                layer: None,
                pooling,
            })
    }

    /// The same encoder reading small pictures where things are: eight rows and columns of patches,
    /// and of the block at two thirds of its depth a grid of four rows and eight columns.
    ///
    /// # Source
    /// Measured with DINOv2 on line plots: `docs/accuracy.md`.
    #[must_use]
    pub fn keeping_places(self) -> Self {
        let tap = VisionTap {
            layer: Some((2 * self.transformer.n_layers).div_ceil(3)),
            pooling: TokenPooling::Grid {
                rows: 4,
                columns: 8,
            },
        };
        Self {
            side_px: 8 * self.image_patch_size,
            tap,
            ..self
        }
    }

    /// Width of the vector that is taken out of the encoder.
    pub fn d_output(&self) -> usize {
        self.tap.pooling.width(self.transformer.d_model)
    }

    /// The encoder and its tap in a line of words.
    pub fn description(&self) -> String {
        let TransformerConfig {
            d_model, n_layers, ..
        } = self.transformer;
        let (side, patch) = (self.side_px, self.image_patch_size);
        let VisionTap { layer, pooling } = self.tap;
        let layer = layer.unwrap_or(n_layers);
        format!(
            "ViT of {n_layers} blocks of {d_model}, patches of {patch} px of {side}; \
             {pooling:?} tokens of block {layer}, of {} patches",
            self.tokens
        )
    }

    /// Number of patches of a picture.
    pub fn n_patches(&self) -> usize {
        (self.side_px / self.image_patch_size).pow(2)
    }

    /// Says what is wrong with these sizes, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let (side, patch) = (self.side_px, self.image_patch_size);
        if side == 0 || !side.is_multiple_of(patch) {
            return Some(format!(
                "image patches of {patch} px do not tile a side of {side} px"
            ));
        }
        if let Some(size) = self.stem.patch_size().filter(|size| *size != patch) {
            return Some(format!(
                "tokens of {patch} px, but the convolutions make some of {size} px"
            ));
        }
        self.transformer.problem().or_else(|| {
            let grid = side / patch;
            let class = self.class_token;
            self.tap.problem(self.transformer.n_layers, grid, class)
        })
    }
}
