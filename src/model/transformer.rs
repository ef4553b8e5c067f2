//! The CLIP transformer: pre-norm blocks shared by the vision and the language encoder.
//!
//! Field names equal the tensor names of Hugging Face CLIP checkpoints, so that weights load
//! without a renaming table.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor};
use serde::{Deserialize, Serialize};

/// Non-linearity between the two layers of a block's feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`, what OpenAI's CLIP was trained with.
    QuickGelu,
    /// The exact GELU, through the error function.
    Gelu,
}

impl Activation {
    /// Applies the activation to every element.
    ///
    /// # Source
    /// Quick GELU is written `x / (1 + exp(-1.702 x))`: the same function, and faster than a
    /// sigmoid on Burn's CPU backend. It overflows benignly: `-100 / inf = -0`.
    pub fn forward<B: Backend, const D: usize>(self, x: Tensor<B, D>) -> Tensor<B, D> {
        match self {
            Self::QuickGelu => x.clone() / ((x * -1.702).exp() + 1.0),
            Self::Gelu => gelu(x),
        }
    }
}

/// Sizes of a stack of CLIP blocks.
#[derive(Config, Debug)]
pub struct TransformerConfig {
    /// Width of a token.
    pub d_model: usize,
    /// Width between the two feed-forward layers.
    pub d_ff: usize,
    /// Number of attention heads; divides `d_model`.
    pub n_heads: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Non-linearity of the feed-forward part.
    #[config(default = "Activation::QuickGelu")]
    pub activation: Activation,
    /// Added to the variance in every layer norm.
    #[config(default = 1e-5)]
    pub layer_norm_eps: f64,
    /// Probability of dropping an element of what a block adds to its input. CLIP has none.
    #[config(default = 0.0)]
    pub dropout: f64,
}

impl TransformerConfig {
    /// Says what is wrong with these sizes, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let Self {
            d_model,
            n_heads,
            n_layers,
            ..
        } = self;
        if !d_model.is_multiple_of(*n_heads) {
            return Some(format!(
                "{n_heads} heads do not divide a width of {d_model}"
            ));
        }
        if self.d_ff == 0 || *n_layers == 0 {
            return Some(format!(
                "{n_layers} layers of feed-forward width {}",
                self.d_ff
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Some(format!("a dropout of {} is outside 0..1", self.dropout));
        }
        None
    }

    /// Creates the blocks with CLIP's initialisation.
    ///
    /// # Panics
    /// If `n_heads` does not divide `d_model`.
    ///
    /// # Source
    /// `CLIPPreTrainedModel._init_weights` of Hugging Face transformers.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Transformer<B> {
        let layers = (0..self.n_layers)
            .map(|_| self.init_block(device))
            .collect();
        Transformer { layers }
    }

    fn init_block<B: Backend>(&self, device: &B::Device) -> Block<B> {
        let (d, ff) = (self.d_model, self.d_ff);
        assert!(
            d.is_multiple_of(self.n_heads),
            "{} heads do not divide d_model {d}",
            self.n_heads
        );
        let width = (d as f64).powf(-0.5);
        let depth = (2.0 * self.n_layers as f64).powf(-0.5);
        let norm = || {
            LayerNormConfig::new(d)
                .with_epsilon(self.layer_norm_eps)
                .init(device)
        };
        let qkv = || linear(d, d, width * depth, device);
        Block {
            self_attn: SelfAttention {
                q_proj: qkv(),
                k_proj: qkv(),
                v_proj: qkv(),
                out_proj: linear(d, d, width, device),
                n_heads: self.n_heads,
            },
            layer_norm1: norm(),
            mlp: Mlp {
                fc1: linear(d, ff, (2.0 * d as f64).powf(-0.5), device),
                fc2: linear(ff, d, width * depth, device),
                activation: self.activation,
            },
            layer_norm2: norm(),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

/// A stack of pre-norm CLIP blocks.
#[derive(Module, Debug)]
pub struct Transformer<B: Backend> {
    /// The blocks, first applied first.
    pub layers: Vec<Block<B>>,
}

impl<B: Backend> Transformer<B> {
    /// Runs all blocks.
    ///
    /// # Shapes
    /// - x: `[batch, seq, d_model]`
    /// - masked: `[batch or 1, 1, seq or 1, seq]`, true where a key must not be attended to
    /// - output: `[batch, seq, d_model]`
    pub fn forward(&self, x: Tensor<B, 3>, masked: Option<&Tensor<B, 4, Bool>>) -> Tensor<B, 3> {
        self.forward_first(self.layers.len(), x, masked)
    }

    /// Runs the first `n_layers` blocks; shapes as for [`forward`](Self::forward).
    pub(super) fn forward_first(
        &self,
        n_layers: usize,
        x: Tensor<B, 3>,
        masked: Option<&Tensor<B, 4, Bool>>,
    ) -> Tensor<B, 3> {
        self.layers[..n_layers]
            .iter()
            .fold(x, |x, layer| layer.forward(x, masked))
    }

    /// `x`, then what leaves every block; shapes as for [`forward`](Self::forward).
    pub(super) fn hidden_states(
        &self,
        x: Tensor<B, 3>,
        masked: Option<&Tensor<B, 4, Bool>>,
    ) -> Vec<Tensor<B, 3>> {
        let mut states = vec![x];
        for (i, layer) in self.layers.iter().enumerate() {
            states.push(layer.forward(states[i].clone(), masked));
        }
        states
    }
}

/// One pre-norm block: attention, then a feed-forward part, each added to its input.
#[derive(Module, Debug)]
pub struct Block<B: Backend> {
    /// Attention over the tokens of a sequence.
    pub self_attn: SelfAttention<B>,
    /// Norm in front of the attention.
    pub layer_norm1: LayerNorm<B>,
    /// Feed-forward part.
    pub mlp: Mlp<B>,
    /// Norm in front of the feed-forward part.
    pub layer_norm2: LayerNorm<B>,
    dropout: Dropout,
}

impl<B: Backend> Block<B> {
    /// Runs one block; shapes as for [`Transformer::forward`].
    pub fn forward(&self, x: Tensor<B, 3>, masked: Option<&Tensor<B, 4, Bool>>) -> Tensor<B, 3> {
        let attended = self
            .self_attn
            .forward(self.layer_norm1.forward(x.clone()), masked);
        let x = x + self.dropout.forward(attended);
        let fed = self.mlp.forward(self.layer_norm2.forward(x.clone()));
        x + self.dropout.forward(fed)
    }
}

/// Multi-head scaled dot-product self-attention.
#[derive(Module, Debug)]
pub struct SelfAttention<B: Backend> {
    /// Keys.
    pub k_proj: Linear<B>,
    /// Values.
    pub v_proj: Linear<B>,
    /// Queries.
    pub q_proj: Linear<B>,
    /// Output projection.
    pub out_proj: Linear<B>,
    n_heads: usize,
}

impl<B: Backend> SelfAttention<B> {
    fn forward(&self, x: Tensor<B, 3>, masked: Option<&Tensor<B, 4, Bool>>) -> Tensor<B, 3> {
        let q = flat_linear(&self.q_proj, x.clone());
        let k = flat_linear(&self.k_proj, x.clone());
        let v = flat_linear(&self.v_proj, x);
        let weights = attention_weights(q, k, self.n_heads, masked);
        flat_linear(&self.out_proj, attend(weights, v))
    }
}

/// Softmax of the scaled dot products of queries and keys.
///
/// # Shapes
/// - q, k: `[batch, seq, d_model]`
/// - masked: `[batch or 1, 1, seq or 1, seq]`, true where a key must not be attended to
/// - output: `[batch, n_heads, seq, seq]`, every row sums to one
pub(super) fn attention_weights<B: Backend>(
    q: Tensor<B, 3>,
    k: Tensor<B, 3>,
    n_heads: usize,
    masked: Option<&Tensor<B, 4, Bool>>,
) -> Tensor<B, 4> {
    let d_head = q.dims()[2] / n_heads;
    let q = split_heads(q * (d_head as f64).powf(-0.5), n_heads);
    let scores = q.matmul(split_heads(k, n_heads).swap_dims(2, 3));
    let scores = match masked {
        Some(masked) => {
            let shape = scores.shape();
            scores.mask_fill(masked.clone().expand(shape), f32::NEG_INFINITY)
        }
        None => scores,
    };
    softmax(scores, 3)
}

/// Averages the values by the attention weights and joins the heads.
///
/// # Shapes
/// - weights: `[batch, n_heads, seq, seq]`
/// - v: `[batch, seq, d_model]`
/// - output: `[batch, seq, d_model]`
pub(super) fn attend<B: Backend>(weights: Tensor<B, 4>, v: Tensor<B, 3>) -> Tensor<B, 3> {
    let [batch, n_heads, seq, _] = weights.dims();
    let d_model = v.dims()[2];
    let heads = weights.matmul(split_heads(v, n_heads));
    // [B, H, T, D / H] -> [B, T, D]
    heads.swap_dims(1, 2).reshape([batch, seq, d_model])
}

/// `[batch, seq, d_model]` -> `[batch, n_heads, seq, d_model / n_heads]`
fn split_heads<B: Backend>(x: Tensor<B, 3>, n_heads: usize) -> Tensor<B, 4> {
    let [batch, seq, d_model] = x.dims();
    x.reshape([batch, seq, n_heads, d_model / n_heads])
        .swap_dims(1, 2)
}

/// The feed-forward part of a block.
#[derive(Module, Debug)]
pub struct Mlp<B: Backend> {
    /// Widens to `d_ff`.
    pub fc1: Linear<B>,
    /// Narrows back to `d_model`.
    pub fc2: Linear<B>,
    #[module(skip)]
    activation: Activation,
}

impl<B: Backend> Mlp<B> {
    fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        flat_linear(
            &self.fc2,
            self.activation.forward(flat_linear(&self.fc1, x)),
        )
    }
}

/// A linear layer with normally distributed weights and a zero bias.
pub(super) fn linear<B: Backend>(
    d_input: usize,
    d_output: usize,
    std: f64,
    device: &B::Device,
) -> Linear<B> {
    let weights = Initializer::Normal { mean: 0.0, std };
    Linear {
        weight: weights.init_with([d_input, d_output], Some(d_input), Some(d_output), device),
        bias: Some(Initializer::Zeros.init([d_output], device)),
    }
}

/// A learnable tensor drawn from a normal distribution around zero.
pub(super) fn normal<B: Backend, const D: usize>(
    shape: [usize; D],
    std: f64,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    Initializer::Normal { mean: 0.0, std }.init(shape, device)
}

/// Applies a linear layer to every token as one matrix product.
///
/// Burn 0.21 computes the weight gradient of a 3-D input as a batch of small products which it
/// then sums; flattened it is one product, and a training step takes half the time.
///
/// # Shapes
/// - x: `[batch, seq, d_input]`
/// - output: `[batch, seq, d_output]`
pub(super) fn flat_linear<B: Backend>(layer: &Linear<B>, x: Tensor<B, 3>) -> Tensor<B, 3> {
    let [batch, seq, d_input] = x.dims();
    let y = layer.forward(x.reshape([batch * seq, d_input]));
    let d_output = y.dims()[1];
    y.reshape([batch, seq, d_output])
}
