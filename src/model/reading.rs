//! The reading encoder: a variate as points on the axes of its picture in, tokens of time out.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::halving;
use super::transformer::{Transformer, TransformerConfig, normal};
use crate::model::fused::{self, Activation};

/// Numbers of a point: value, validity, difference, and its size.
const POINT: usize = 4;

/// Sizes of a [`ReadingEncoder`].
#[derive(Config, Debug)]
pub struct ReadingEncoderConfig {
    /// Points of a variate; each convolution halves them.
    #[config(default = 128)]
    pub n_points: usize,
    /// Points that each convolution looks at, an odd number.
    #[config(default = "vec![7, 5, 3]")]
    pub windows: Vec<usize>,
    /// Channels between the convolutions, one less than there are windows.
    #[config(default = "vec![48, 96]")]
    pub channels: Vec<usize>,
    /// The blocks.
    #[config(default = "small_blocks()")]
    pub transformer: TransformerConfig,
}

fn small_blocks() -> TransformerConfig {
    TransformerConfig::new(128, 512, 4, 4).with_activation(Activation::Gelu)
}

impl ReadingEncoderConfig {
    /// Tokens of a variate.
    pub fn n_tokens(&self) -> usize {
        self.n_points >> self.windows.len()
    }

    /// Numbers of a variate that leave the encoder.
    pub fn d_output(&self) -> usize {
        self.n_tokens() * self.transformer.d_model
    }

    /// Says what is wrong with these sizes, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let Self {
            n_points,
            windows,
            channels,
            ..
        } = self;
        if channels.len() + 1 != windows.len() {
            let channels = channels.len();
            return Some(format!(
                "{channels} channel numbers between {} convolutions",
                windows.len()
            ));
        }
        if windows.iter().any(|window| window % 2 == 0) {
            return Some(format!("windows of {windows:?} points, not odd"));
        }
        let halvings = u32::try_from(windows.len()).unwrap_or(u32::MAX);
        let shrinks = 2_usize.checked_pow(halvings);
        if *n_points == 0 || shrinks.is_none_or(|shrinks| n_points % shrinks != 0) {
            return Some(format!(
                "{n_points} points cannot be halved {halvings} times"
            ));
        }
        self.transformer.problem()
    }

    /// Creates the encoder with random weights.
    ///
    /// # Panics
    /// If there is not one channel number between every two windows, a window is even, or the
    /// points cannot be halved as often as there are windows.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ReadingEncoder<B> {
        if let Some(problem) = self.problem() {
            panic!("{problem}");
        }
        let Self {
            windows,
            channels,
            transformer,
            ..
        } = self;
        let d_model = transformer.d_model;
        let through = [&[POINT], channels.as_slice(), &[d_model]].concat();
        let norm = LayerNormConfig::new(d_model).with_epsilon(transformer.layer_norm_eps);
        ReadingEncoder {
            stem: halving::stack(windows.iter().copied(), &through, device),
            positions: normal([self.n_tokens(), d_model], 0.02, device),
            encoder: transformer.init(device),
            final_layer_norm: norm.init(device),
            config: self.clone(),
        }
    }
}

/// Reads a variate on the axes that its picture is drawn on: level, scale and length can be told.
#[derive(Module, Debug)]
pub struct ReadingEncoder<B: Backend> {
    /// Convolutions, first applied first: linear layers over the points of their windows.
    pub stem: Vec<Linear<B>>,
    /// One learnable vector a token, `[n_tokens, d_model]`.
    pub positions: Param<Tensor<B, 2>>,
    /// The blocks.
    pub encoder: Transformer<B>,
    /// Norm of the tokens that leave the last block.
    pub final_layer_norm: LayerNorm<B>,
    #[module(skip)]
    config: ReadingEncoderConfig,
}

impl<B: Backend> ReadingEncoder<B> {
    /// Encodes variates.
    ///
    /// # Shapes
    /// - points: `[n, n_points, 4]`, as [`AxisReader`](crate::raster::AxisReader) makes them
    /// - output: `[n, n_tokens, d_model]`
    ///
    /// # Panics
    /// If there is another number of points.
    pub fn forward(&self, points: Tensor<B, 3>) -> Tensor<B, 3> {
        let found = points.dims()[1];
        let expected = self.config.n_points;
        assert_eq!(found, expected, "{found} points, encoder of {expected}");
        let tokens = halving::halve_lines(&self.stem, points);
        let x = tokens + self.positions.val().unsqueeze();
        let x = self.encoder.forward(x, None);
        let epsilon = self.config.transformer.layer_norm_eps;
        fused::layer_norm(&self.final_layer_norm, epsilon, x)
    }

    /// What it was made from.
    pub fn config(&self) -> &ReadingEncoderConfig {
        &self.config
    }
}
