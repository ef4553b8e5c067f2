//! The CLIP transformer: pre-norm blocks shared by the vision and the language encoder.
//!
//! Field names equal the tensor names of Hugging Face CLIP checkpoints, so that weights load
//! without a renaming table.

use burn::config::Config;
use burn::module::{Initializer, Module, Param};
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear};
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor};

use crate::model::fused::{Activation, AttentionSublayer, FeedForwardSublayer};

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

    /// Creates the blocks with CLIP's initialization.
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
            layer_norm_eps: self.layer_norm_eps,
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

    /// Runs the first `n_layers` blocks, the last of them for the first token alone.
    ///
    /// # Shapes
    /// - x, masked: as for [`forward`](Self::forward)
    /// - output: `[batch, 1, d_model]`
    pub(super) fn forward_class_token(
        &self,
        n_layers: usize,
        x: Tensor<B, 3>,
        masked: Option<&Tensor<B, 4, Bool>>,
    ) -> Tensor<B, 3> {
        match n_layers.checked_sub(1) {
            Some(last) => {
                let x = self.forward_first(last, x, masked);
                self.layers[last].forward_queries(x, masked, 1)
            }
            None => x.narrow(1, 0, 1),
        }
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
    layer_norm_eps: f64,
}

impl<B: Backend> Block<B> {
    /// Runs one block; shapes as for [`Transformer::forward`].
    pub fn forward(&self, x: Tensor<B, 3>, masked: Option<&Tensor<B, 4, Bool>>) -> Tensor<B, 3> {
        let seq = x.dims()[1];
        self.forward_queries(x, masked, seq)
    }

    /// Runs one block for the first tokens alone; the others are attended to.
    fn forward_queries(
        &self,
        x: Tensor<B, 3>,
        masked: Option<&Tensor<B, 4, Bool>>,
        queries: usize,
    ) -> Tensor<B, 3> {
        let attention = &self.self_attn;
        let x = AttentionSublayer {
            norm: (&self.layer_norm1, self.layer_norm_eps),
            projections: [
                &attention.q_proj,
                &attention.k_proj,
                &attention.v_proj,
                &attention.out_proj,
            ],
            n_heads: attention.n_heads,
            dropout: &self.dropout,
        }
        .forward(x, masked, queries);
        FeedForwardSublayer {
            norm: (&self.layer_norm2, self.layer_norm_eps),
            layers: [&self.mlp.fc1, &self.mlp.fc2],
            activation: self.mlp.activation,
            dropout: &self.dropout,
        }
        .forward(x)
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
