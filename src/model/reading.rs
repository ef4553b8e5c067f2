//! The reading encoder: a variate as points on the axes of its picture in, tokens of time out.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::branch::TextEncoder;
use super::tokenizer::{PointTokenizer, PointTokenizerConfig, point_tokens};
use super::transformer::{Transformer, TransformerConfig};
use crate::model::fused::{self, Activation};

/// Added under a square root.
const TINY: f64 = 1e-12;

/// Sizes of a [`ReadingEncoder`].
#[derive(Config, Debug)]
pub struct ReadingEncoderConfig {
    /// Points of a variate; each convolution halves them.
    #[config(default = "PointTokenizerConfig::new().n_points")]
    pub n_points: usize,
    /// Points that each convolution looks at, an odd number.
    #[config(default = "PointTokenizerConfig::new().windows")]
    pub windows: Vec<usize>,
    /// Channels between the convolutions, one less than there are windows.
    #[config(default = "PointTokenizerConfig::new().channels")]
    pub channels: Vec<usize>,
    /// The blocks.
    #[config(default = "small_blocks()")]
    pub transformer: TransformerConfig,
    /// Columns of a picture that what is read is compared with, if it can be; divides the number of
    /// tokens.
    pub joint_columns: Option<usize>,
}

fn small_blocks() -> TransformerConfig {
    TransformerConfig::new(128, 512, 4, 3).with_activation(Activation::Gelu)
}

impl ReadingEncoderConfig {
    /// How points become tokens.
    pub fn tokenizer(&self) -> PointTokenizerConfig {
        PointTokenizerConfig {
            n_points: self.n_points,
            windows: self.windows.clone(),
            channels: self.channels.clone(),
        }
    }

    /// Tokens of a variate.
    pub fn n_tokens(&self) -> usize {
        self.tokenizer().n_tokens()
    }

    /// Numbers of a variate that leave the encoder.
    pub fn d_output(&self) -> usize {
        self.n_tokens() * self.transformer.d_model
    }

    /// Says what is wrong with these sizes, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(problem) = self.tokenizer().problem() {
            return Some(problem);
        }
        let n_tokens = self.n_tokens();
        if let Some(columns) = self.joint_columns
            && (columns == 0 || !n_tokens.is_multiple_of(columns))
        {
            return Some(format!("{n_tokens} tokens for {columns} columns"));
        }
        self.transformer.problem()
    }

    /// Creates the encoder with random weights.
    ///
    /// # Panics
    /// If there is not one channel number between every two windows, a window is even, the points
    /// cannot be halved as often as there are windows, or tokens and columns do not fit.
    pub fn init<B: Backend>(&self, device: &B::Device) -> ReadingEncoder<B> {
        if let Some(problem) = self.problem() {
            panic!("{problem}");
        }
        let transformer = &self.transformer;
        let d_model = transformer.d_model;
        let PointTokenizer {
            stem, positions, ..
        } = self.tokenizer().init(d_model, device);
        let norm = LayerNormConfig::new(d_model).with_epsilon(transformer.layer_norm_eps);
        ReadingEncoder {
            stem,
            positions,
            encoder: transformer.init(device),
            final_layer_norm: norm.init(device),
            joint: self.joint_columns.map(|columns| JointSpace {
                projection: LinearConfig::new(d_model, d_model).init(device),
                center: Initializer::Zeros.init([columns, d_model], device),
            }),
            config: self.clone(),
        }
    }
}

/// The space in which the values of a variate are near its picture.
#[derive(Module, Debug)]
pub struct JointSpace<B: Backend> {
    /// From what is read of a column to what the vision encoder sees of it.
    pub projection: Linear<B>,
    /// What is seen of each column on average, `[columns, d_model]`.
    pub center: Param<Tensor<B, 2>>,
}

impl<B: Backend> JointSpace<B> {
    /// Where values are, as rows of length 1.
    ///
    /// # Shapes
    /// - tokens: `[n, n_tokens, d_model]`, what leaves the reading encoder
    /// - output: `[n, columns * d_model]`
    pub fn of_values(&self, tokens: Tensor<B, 3>) -> Tensor<B, 2> {
        unit(self.project(tokens).flatten(1, 2))
    }

    /// As [`of_values`](Self::of_values), column by column and of any length,
    /// `[n, columns, d_model]`.
    pub fn project(&self, tokens: Tensor<B, 3>) -> Tensor<B, 3> {
        let ([n, n_tokens, d_model], columns) = (tokens.dims(), self.n_columns());
        let tokens = tokens.reshape([n * columns, n_tokens / columns, d_model]);
        let means = tokens.mean_dim(1).reshape([n, columns, d_model]);
        fused::linear(&self.projection, means)
    }

    /// Where pictures are, as rows of length 1.
    ///
    /// # Shapes
    /// - features: `[n, rows * columns * d_model]`, the grid that leaves the vision encoder
    /// - output: `[n, columns * d_model]`
    pub fn of_pictures(&self, features: Tensor<B, 2>) -> Tensor<B, 2> {
        let ([n, width], [columns, d_model]) = (features.dims(), self.center.dims());
        let rows = width / (columns * d_model);
        let means = features.reshape([n, rows, columns * d_model]).mean_dim(1);
        let center = self.center.val().reshape([1, columns * d_model]);
        unit(means.reshape([n, columns * d_model]) - center)
    }

    /// Number of columns.
    pub fn n_columns(&self) -> usize {
        self.center.dims()[0]
    }
}

/// Rows of length 1; zeros stay zeros.
fn unit<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let length = ((x.clone() * x.clone()).sum_dim(1) + TINY).sqrt();
    x / length
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
    /// Where values meet pictures, if they do.
    pub joint: Option<JointSpace<B>>,
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
        let n_points = self.config.n_points;
        let x = point_tokens(&self.stem, &self.positions, n_points, points);
        let x = self.encoder.forward(x, None);
        let epsilon = self.config.transformer.layer_norm_eps;
        fused::layer_norm(&self.final_layer_norm, epsilon, x)
    }

    /// What it was made from.
    pub fn config(&self) -> &ReadingEncoderConfig {
        &self.config
    }

    /// The same weights as the two parts of a [`LanguageBranch`](super::LanguageBranch).
    pub fn into_parts(self) -> (PointTokenizer<B>, TextEncoder<B>) {
        let tokenizer = PointTokenizer {
            stem: self.stem,
            positions: self.positions,
            n_points: self.config.n_points,
        };
        let text = TextEncoder {
            encoder: self.encoder,
            final_layer_norm: self.final_layer_norm,
            causal: false,
        };
        (tokenizer, text)
    }
}
