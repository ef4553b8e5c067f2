//! How the values of a series become tokens.

mod convolution;
mod patches;
mod points;

use burn::module::Initializer;
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

pub use convolution::{ConvolutionTokenizer, ConvolutionTokenizerConfig, TimeConvolutions};
pub use patches::{SeriesTokenizer, SeriesTokenizerConfig};
pub(in crate::model) use points::point_tokens;
pub use points::{PointTokenizer, PointTokenizerConfig};

/// How the language branch reads a series.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerConfig {
    /// Patches of a few steps, and one sequence a variate, as the reference does: one embedding a
    /// variate.
    Patches(SeriesTokenizerConfig),
    /// Convolutions over all variates, and one sequence a sample: one embedding of the whole.
    Convolutions(ConvolutionTokenizerConfig),
    /// Points on the axes of the pictures, and one sequence a variate, as the built-in reading
    /// encoder has it: one embedding a variate.
    Points(PointTokenizerConfig),
}

impl TokenizerConfig {
    /// The settings of patches, if it cuts patches.
    pub fn patches(&self) -> Option<&SeriesTokenizerConfig> {
        match self {
            Self::Patches(config) => Some(config),
            Self::Convolutions(_) | Self::Points(_) => None,
        }
    }

    /// As [`patches`](Self::patches), to be changed.
    pub fn patches_mut(&mut self) -> Option<&mut SeriesTokenizerConfig> {
        match self {
            Self::Patches(config) => Some(config),
            Self::Convolutions(_) | Self::Points(_) => None,
        }
    }

    /// Points of a variate, if it reads them.
    pub fn n_points(&self) -> Option<usize> {
        match self {
            Self::Points(config) => Some(config.n_points),
            Self::Patches(_) | Self::Convolutions(_) => None,
        }
    }

    /// Embeddings of a sample of `n_variates`.
    pub(super) fn n_embeddings(&self, n_variates: usize) -> usize {
        match self {
            Self::Patches(_) | Self::Points(_) => n_variates,
            Self::Convolutions(_) => 1,
        }
    }

    /// Says what is wrong with this configuration, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Patches(config) => config.problem(),
            Self::Convolutions(config) => config.problem(),
            Self::Points(config) => config.problem(),
        }
    }
}

impl From<SeriesTokenizerConfig> for TokenizerConfig {
    fn from(config: SeriesTokenizerConfig) -> Self {
        Self::Patches(config)
    }
}

impl From<ConvolutionTokenizerConfig> for TokenizerConfig {
    fn from(config: ConvolutionTokenizerConfig) -> Self {
        Self::Convolutions(config)
    }
}

impl From<PointTokenizerConfig> for TokenizerConfig {
    fn from(config: PointTokenizerConfig) -> Self {
        Self::Points(config)
    }
}

/// Token sequences, and which of their tokens say nothing.
#[derive(Debug)]
pub struct SeriesTokens<B: Backend> {
    /// `[n, n_tokens, d_model]`, class token first, which points have none of; `n` is
    /// `batch * n_variates` of patches and points, `batch` of convolutions
    pub tokens: Tensor<B, 3>,
    /// `[n, n_tokens]`, true where a token covers no valid step; `None` if every step of the batch
    /// is valid
    pub masked: Option<Tensor<B, 2, Bool>>,
}

/// PyTorch's default for linear layers: uniform in `+-1 / sqrt(d_input)`.
pub(super) fn torch_linear() -> Initializer {
    Initializer::KaimingUniform {
        gain: 1.0 / 3f64.sqrt(),
        fan_out_only: false,
    }
}
