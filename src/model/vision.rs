//! The CLIP vision encoder: a line plot as a coverage mask in, one vector out.

mod config;

use std::iter::repeat_n;

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, FloatDType, Int, Tensor};

pub use config::{VisionEncoderConfig, VisionStem};

use super::halving;
use super::ink::{InkPatches, PatchTokens, in_order};
use super::patches::PatchEmbedding;
use super::tap::{TokenPooling, VisionTap};
use super::transformer::{Transformer, normal};
use crate::model::fused;

impl VisionEncoderConfig {
    /// Creates the encoder with CLIP's initialization.
    ///
    /// # Panics
    /// If `image_patch_size` does not divide `side_px`, or `n_heads` does not divide `d_model`.
    pub fn init<B: Backend>(&self, device: &B::Device) -> VisionEncoder<B> {
        let (side, patch) = (self.side_px, self.image_patch_size);
        assert!(
            side > 0 && side.is_multiple_of(patch),
            "patches of {patch} px do not tile {side} px"
        );
        if let Some(size) = self.stem.patch_size() {
            assert_eq!(size, patch, "the convolutions make tokens of {size} px");
        }
        let d = self.transformer.d_model;
        let norm = || {
            LayerNormConfig::new(d)
                .with_epsilon(self.transformer.layer_norm_eps)
                .init(device)
        };
        VisionEncoder {
            embeddings: self.init_embeddings(device),
            pre_layrnorm: self.pre_norm.then(norm),
            encoder: self.transformer.init(device),
            post_layernorm: norm(),
            config: self.clone(),
        }
    }

    fn init_embeddings<B: Backend>(&self, device: &B::Device) -> VisionEmbeddings<B> {
        let (d, patch) = (self.transformer.d_model, self.image_patch_size);
        let class = || normal([d], (d as f64).powf(-0.5), device);
        let (patches, stem) = match &self.stem {
            VisionStem::Patches => (
                Some(PatchEmbedding {
                    weight: normal([d, 3, patch, patch], 0.02, device),
                }),
                Vec::new(),
            ),
            VisionStem::Convolutions { channels } => {
                let through = [&[1], channels.as_slice(), &[d]].concat();
                let windows = repeat_n(halving::square(), through.len());
                (None, halving::stack(windows, &through, device))
            }
        };
        let n_tokens = self.n_patches() + usize::from(self.class_token);
        VisionEmbeddings {
            class_embedding: self.class_token.then(class),
            patch_embedding: patches,
            stem,
            position_embedding: PositionEmbedding {
                weight: normal([n_tokens, d], 0.02, device),
            },
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
    /// The class token, `[d_model]`, if there is one.
    pub class_embedding: Option<Param<Tensor<B, 1>>>,
    /// Linear map of a patch's pixels, unless convolutions take its place.
    pub patch_embedding: Option<PatchEmbedding<B>>,
    /// Convolutions, first applied first: linear layers over windows of 3 x 3 cells, row-major,
    /// channels last. None where patches are mapped.
    pub stem: Vec<Linear<B>>,
    /// One learnable vector a token.
    pub position_embedding: PositionEmbedding<B>,
}

/// Learnable positions of the class token (first, if there is one) and the patches in row-major
/// order.
#[derive(Module, Debug)]
pub struct PositionEmbedding<B: Backend> {
    /// `[n_tokens, d_model]`
    pub weight: Param<Tensor<B, 2>>,
}

impl<B: Backend> VisionEncoder<B> {
    /// Encodes coverage masks, painted by a color table, or folded into the patch embedding if the
    /// blend of paper and ink is linear. Convolutions look at the ink itself, whatever its color.
    ///
    /// # Shapes
    /// - masks: `[batch, n_variates, side, side]`, coverage `0..=255`, any integer type
    /// - colors: `[n_variates, 256, 3]`, the normalized pixel of every level of coverage; or
    ///   `[n_variates, 2, 3]`, blank paper and full ink with a linear blend between them
    /// - output: `[batch, n_variates, d_output]`, what the [tap](VisionEncoderConfig::tap) takes
    ///
    /// # Panics
    /// If the masks are not of the configured side, the variates of masks and colors differ, or
    /// the colors are of another shape.
    pub fn forward(&self, masks: Tensor<B, 4, Int>, colors: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, n_variates, ..] = masks.dims();
        let taken = match self.config.tokens {
            PatchTokens::Ink => self.take_of_ink(masks, colors),
            PatchTokens::All => {
                let patches = match &self.embeddings.patch_embedding {
                    Some(embedding) => embedding.forward_masks(masks, colors),
                    None => self.convolve(masks),
                };
                self.tap(self.embed(patches, batch * n_variates))
            }
        };
        let d_output = taken.dims()[1];
        taken.reshape([batch, n_variates, d_output])
    }

    /// Encodes normalized RGB pictures, as CLIP's own interface takes them.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `[batch, d_output]`; with the default tap Hugging Face's `pooler_output`
    ///
    /// # Panics
    /// If the pictures are not of the configured side or have not three channels, or if the encoder
    /// has a convolutional stem, which takes ink and no pixels.
    pub fn forward_pixels(&self, pixels: Tensor<B, 4>) -> Tensor<B, 2> {
        self.tap(self.embed_pixels(pixels))
    }

    /// The tokens of normalized RGB pictures in front of the first block and behind every block.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `n_layers + 1` times `[batch, seq, d_model]`, Hugging Face's `hidden_states`
    ///
    /// # Panics
    /// If the pictures are not of the configured side or have not three channels, or if the encoder
    /// has a convolutional stem, which takes ink and no pixels.
    pub fn hidden_states(&self, pixels: Tensor<B, 4>) -> Vec<Tensor<B, 3>> {
        self.encoder.hidden_states(self.embed_pixels(pixels), None)
    }

    /// Tokens of a picture.
    pub(super) fn n_tokens(&self) -> usize {
        self.embeddings.position_embedding.weight.dims()[0]
    }

    /// What it computes in.
    pub(super) fn dtype(&self) -> FloatDType {
        let positions = &self.embeddings.position_embedding.weight;
        positions.val().dtype().into()
    }

    /// The same encoder computing in another precision.
    pub(super) fn cast(self, dtype: FloatDType) -> Self {
        self.map(&mut Cast(dtype))
    }

    /// What it was made from.
    pub fn config(&self) -> &VisionEncoderConfig {
        &self.config
    }

    /// The same weights, with something else taken out of them.
    ///
    /// # Panics
    /// If there is no such block, or no such grid of tokens.
    #[must_use]
    pub fn with_tap(mut self, tap: VisionTap) -> Self {
        self.config.tap = tap;
        if let Some(problem) = self.config.problem() {
            panic!("{problem}");
        }
        self
    }

    fn embed_pixels(&self, pixels: Tensor<B, 4>) -> Tensor<B, 3> {
        let batch = pixels.dims()[0];
        let Some(embedding) = &self.embeddings.patch_embedding else {
            panic!("pixels were given to an encoder whose convolutions take ink");
        };
        self.embed(embedding.forward_pixels(pixels), batch)
    }

    /// The side of the masks, which must be the encoder's.
    fn check_side(&self, masks: &Tensor<B, 4, Int>) -> usize {
        let ([_, _, height, width], side) = (masks.dims(), self.config.side_px);
        assert_eq!(
            [height, width],
            [side; 2],
            "pictures of {width} x {height} px, encoder of {side} px"
        );
        side
    }

    /// `[batch, n_variates, side, side]` -> `[batch * n_variates * n_patches, d_model]`
    fn convolve(&self, masks: Tensor<B, 4, Int>) -> Tensor<B, 2> {
        let [batch, n_variates, ..] = masks.dims();
        let side = self.check_side(&masks);
        let ink = masks.float().cast(self.dtype()) / 255.0;
        let ink = ink.reshape([batch * n_variates, side, side, 1]);
        let cells = halving::halve_planes(&self.embeddings.stem, ink);
        cells.flatten(0, 1)
    }

    /// `[n * n_patches, d_model]` -> `[n, seq, d_model]`: what enters the first block
    fn embed(&self, patches: Tensor<B, 2>, n: usize) -> Tensor<B, 3> {
        let [found, d_model] = patches.dims();
        let positions = self.embeddings.position_embedding.weight.val();
        let class = &self.embeddings.class_embedding;
        let expected = positions.dims()[0] - usize::from(class.is_some());
        let found = found / n;
        assert_eq!(
            found, expected,
            "pictures of {found} patches, encoder of {expected}"
        );
        let tokens = patches.reshape([n, found, d_model]);
        let x = match class {
            Some(class) => fused::sequences(tokens, class.val(), positions, None),
            None => tokens + positions.unsqueeze(),
        };
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
        let grid = self.config.side_px / self.config.image_patch_size;
        let x = self.run_blocks(x, None);
        self.config.tap.pooling.forward(x, grid, |x| self.norm(x))
    }

    /// What is taken of the patches with ink alone, `[batch * n_variates, d_output]`.
    fn take_of_ink(&self, masks: Tensor<B, 4, Int>, colors: Tensor<B, 3>) -> Tensor<B, 2> {
        let n_variates = masks.dims()[1];
        let (side, patch_size) = (self.check_side(&masks), self.config.image_patch_size);
        let coverage = masks.clone().into_data().convert::<u8>().into_vec::<u8>();
        let coverage = coverage.expect("masks of levels of coverage");
        let ink = InkPatches::find(&coverage, [n_variates, side], patch_size);
        let patches = match &self.embeddings.patch_embedding {
            Some(embedding) => ink.embed(&coverage, &masks, embedding, &colors),
            None => ink.select(self.convolve(masks)),
        };
        let x = self.embed_ink(&ink, patches);
        let mut pictures = Vec::with_capacity(ink.n_pictures());
        let mut taken = Vec::new();
        for group in ink.groups(self.config.class_token) {
            let (tokens, masked) = group.take(&x);
            let tokens = self.run_blocks(tokens, masked.as_ref());
            let pooling = self.config.tap.pooling;
            taken.push(group.pool(pooling, tokens, |x| self.norm(x)));
            pictures.extend(group.pictures);
        }
        in_order(fused::concat(taken, 0), &pictures)
    }

    /// `[n_patches, d_model]` -> `[1 + n_patches, d_model]`: what enters the first block, a class
    /// token (zeros if the encoder has none) and the patches with ink, at their places
    fn embed_ink(&self, ink: &InkPatches, patches: Option<Tensor<B, 2>>) -> Tensor<B, 2> {
        let positions = self.embeddings.position_embedding.weight.val();
        let [n_positions, d_model] = positions.dims();
        let (first, positions) = match &self.embeddings.class_embedding {
            Some(class) => (
                class.val().unsqueeze() + positions.clone().narrow(0, 0, 1),
                positions.narrow(0, 1, n_positions - 1),
            ),
            None => (
                Tensor::zeros([1, d_model], (&positions.device(), positions.dtype())),
                positions,
            ),
        };
        let patches = patches.zip(ink.places(positions));
        let x = match patches {
            Some((patches, positions)) => fused::concat(vec![first, patches + positions], 0),
            None => first,
        };
        match &self.pre_layrnorm {
            Some(norm) => fused::layer_norm(norm, self.layer_norm_eps(), x),
            None => x,
        }
    }

    /// Runs the blocks up to the tap, the last of them for no more tokens than are taken.
    fn run_blocks(&self, x: Tensor<B, 3>, masked: Option<&Tensor<B, 4, Bool>>) -> Tensor<B, 3> {
        let depth = self.depth();
        match self.config.tap.pooling {
            TokenPooling::Class => self.encoder.forward_class_token(depth, x, masked),
            _ => self.encoder.forward_first(depth, x, masked),
        }
    }

    /// Number of blocks up to the tap.
    fn depth(&self) -> usize {
        let n_layers = self.encoder.layers.len();
        self.config.tap.layer.unwrap_or(n_layers)
    }

    /// The last norm, of tokens that leave the last block: it was trained on them, and fits nothing
    /// else.
    fn norm(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        match self.depth() == self.encoder.layers.len() {
            true => fused::layer_norm(&self.post_layernorm, self.layer_norm_eps(), x),
            false => x,
        }
    }
}

/// Moves every weight to another precision.
struct Cast(FloatDType);

impl<B: Backend> ModuleMapper<B> for Cast {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        param.map(|tensor| tensor.cast(self.0))
    }
}
