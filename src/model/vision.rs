//! The CLIP vision encoder: a line plot as a coverage mask in, one vector out.

use burn::config::Config;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Int, Tensor};

use super::patches::PatchEmbedding;
use super::tap::{TokenPooling, VisionTap};
use super::transformer::{Transformer, TransformerConfig, normal};
use crate::model::fused::{self, Activation};

/// Sizes of a [`VisionEncoder`].
#[derive(Config, Debug)]
pub struct VisionEncoderConfig {
    /// Width and height of a picture in pixels.
    pub side_px: usize,
    /// Width and height of the square patches a picture is cut into; divides `side_px`.
    pub image_patch_size: usize,
    /// The blocks.
    pub transformer: TransformerConfig,
    /// Whether a layer norm precedes the blocks, as in CLIP; plain ViTs have none.
    #[config(default = true)]
    pub pre_norm: bool,
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
             {pooling:?} tokens of block {layer}"
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
        self.transformer
            .problem()
            .or_else(|| self.tap.problem(self.transformer.n_layers))
    }

    /// Creates the encoder with CLIP's initialisation.
    ///
    /// # Panics
    /// If `image_patch_size` does not divide `side_px`, or `n_heads` does not divide `d_model`.
    pub fn init<B: Backend>(&self, device: &B::Device) -> VisionEncoder<B> {
        let (side, patch) = (self.side_px, self.image_patch_size);
        assert!(
            side > 0 && side.is_multiple_of(patch),
            "patches of {patch} px do not tile {side} px"
        );
        let d = self.transformer.d_model;
        let norm = || {
            LayerNormConfig::new(d)
                .with_epsilon(self.transformer.layer_norm_eps)
                .init(device)
        };
        VisionEncoder {
            embeddings: VisionEmbeddings {
                class_embedding: normal([d], (d as f64).powf(-0.5), device),
                patch_embedding: PatchEmbedding {
                    weight: normal([d, 3, patch, patch], 0.02, device),
                },
                position_embedding: PositionEmbedding {
                    weight: normal([self.n_patches() + 1, d], 0.02, device),
                },
            },
            pre_layrnorm: self.pre_norm.then(norm),
            encoder: self.transformer.init(device),
            post_layernorm: norm(),
            config: self.clone(),
        }
    }
}

/// CLIP's vision transformer.
#[derive(Module, Debug)]
pub struct VisionEncoder<B: Backend> {
    /// Patches, class token and positions.
    pub embeddings: VisionEmbeddings<B>,
    /// Norm in front of the blocks (Hugging Face's spelling); plain ViTs have none.
    pub pre_layrnorm: Option<LayerNorm<B>>,
    /// The blocks.
    pub encoder: Transformer<B>,
    /// Norm of the tokens that leave the last block.
    pub post_layernorm: LayerNorm<B>,
    #[module(skip)]
    config: VisionEncoderConfig,
}

/// What turns pixels into tokens.
#[derive(Module, Debug)]
pub struct VisionEmbeddings<B: Backend> {
    /// The class token, `[d_model]`.
    pub class_embedding: Param<Tensor<B, 1>>,
    /// Linear map of a patch's pixels.
    pub patch_embedding: PatchEmbedding<B>,
    /// One learnable vector a token.
    pub position_embedding: PositionEmbedding<B>,
}

/// Learnable positions of the class token (first) and the patches in row-major order.
#[derive(Module, Debug)]
pub struct PositionEmbedding<B: Backend> {
    /// `[n_patches + 1, d_model]`
    pub weight: Param<Tensor<B, 2>>,
}

impl<B: Backend> VisionEncoder<B> {
    /// Encodes coverage masks, painted by a colour table, or folded into the patch embedding if the
    /// blend of paper and ink is linear.
    ///
    /// # Shapes
    /// - masks: `[batch, n_variates, side, side]`, coverage `0..=255`, any integer type
    /// - colors: `[n_variates, 256, 3]`, the normalised pixel of every level of coverage; or
    ///   `[n_variates, 2, 3]`, blank paper and full ink with a linear blend between them
    /// - output: `[batch, n_variates, d_output]`, what the [tap](VisionEncoderConfig::tap) takes
    ///
    /// # Panics
    /// If the masks are not of the configured side, the variates of masks and colours differ, or
    /// the colours are of another shape.
    pub fn forward(&self, masks: Tensor<B, 4, Int>, colors: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, n_variates, ..] = masks.dims();
        let embedding = &self.embeddings.patch_embedding;
        let patches = embedding.forward_masks(masks, colors);
        let taken = self.tap(self.embed(patches, batch * n_variates));
        let d_output = taken.dims()[1];
        taken.reshape([batch, n_variates, d_output])
    }

    /// Encodes normalised RGB pictures, as CLIP's own interface takes them.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `[batch, d_output]`; with the default tap Hugging Face's `pooler_output`
    ///
    /// # Panics
    /// If the pictures are not of the configured side, or have not three channels.
    pub fn forward_pixels(&self, pixels: Tensor<B, 4>) -> Tensor<B, 2> {
        self.tap(self.embed_pixels(pixels))
    }

    /// The tokens of normalised RGB pictures in front of the first block and behind every block.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `n_layers + 1` times `[batch, seq, d_model]`, Hugging Face's `hidden_states`
    ///
    /// # Panics
    /// If the pictures are not of the configured side, or have not three channels.
    pub fn hidden_states(&self, pixels: Tensor<B, 4>) -> Vec<Tensor<B, 3>> {
        self.encoder.hidden_states(self.embed_pixels(pixels), None)
    }

    /// Tokens of a picture.
    pub(super) fn n_tokens(&self) -> usize {
        self.embeddings.position_embedding.weight.dims()[0]
    }

    /// What it computes in.
    pub(super) fn dtype(&self) -> FloatDType {
        self.embeddings.patch_embedding.weight.val().dtype().into()
    }

    /// The same encoder computing in another precision.
    pub(super) fn cast(self, dtype: FloatDType) -> Self {
        self.map(&mut Cast(dtype))
    }

    /// What it was made from.
    pub fn config(&self) -> &VisionEncoderConfig {
        &self.config
    }

    fn embed_pixels(&self, pixels: Tensor<B, 4>) -> Tensor<B, 3> {
        let batch = pixels.dims()[0];
        let patches = self.embeddings.patch_embedding.forward_pixels(pixels);
        self.embed(patches, batch)
    }

    /// `[n * n_patches, d_model]` -> `[n, seq, d_model]`: what enters the first block
    fn embed(&self, patches: Tensor<B, 2>, n: usize) -> Tensor<B, 3> {
        let [found, d_model] = patches.dims();
        let positions = self.embeddings.position_embedding.weight.val();
        let seq = positions.dims()[0];
        let found = found / n;
        assert_eq!(
            found + 1,
            seq,
            "pictures of {found} patches, encoder of {}",
            seq - 1
        );
        let tokens = patches.reshape([n, seq - 1, d_model]);
        let class = self.embeddings.class_embedding.val();
        let x = fused::sequences(tokens, class, positions, None);
        match &self.pre_layrnorm {
            Some(norm) => fused::layer_norm(norm, self.layer_norm_eps(), x),
            None => x,
        }
    }

    fn layer_norm_eps(&self) -> f64 {
        self.config.transformer.layer_norm_eps
    }

    /// `[n, seq, d_model]` -> `[n, d_output]`: runs the blocks up to the tap, and takes
    fn tap(&self, x: Tensor<B, 3>) -> Tensor<B, 2> {
        let n_layers = self.encoder.layers.len();
        let VisionTap { layer, pooling } = self.config.tap;
        let depth = layer.unwrap_or(n_layers);
        let x = match pooling {
            TokenPooling::Class => self.encoder.class_token(depth, x, None),
            _ => self.encoder.forward_first(depth, x, None),
        };
        // The norm was trained on what leaves the last block, and fits nothing else.
        let norm = |x| match depth == n_layers {
            true => fused::layer_norm(&self.post_layernorm, self.layer_norm_eps(), x),
            false => x,
        };
        pooling.forward(x, norm)
    }
}

/// Moves every weight to another precision.
struct Cast(FloatDType);

impl<B: Backend> ModuleMapper<B> for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}
