//! Variate selection: attention across the variates of a sample, and a gate on what it adds.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use burn::tensor::backend::Backend;

use super::tokenizer::torch_linear;
use crate::model::fused::{self, NORM_EPSILON, attend, attention_weights};

/// Sizes of [`VariateSelection`].
#[derive(Config, Debug)]
pub struct VariateSelectionConfig {
    /// Number of attention heads; divides the model's width.
    #[config(default = 8)]
    pub n_heads: usize,
    /// Width of the feed-forward part, as a multiple of the model's width.
    #[config(default = 4)]
    pub widening: usize,
    /// Dropout of the attention weights and of the feed-forward part.
    #[config(default = 0.1)]
    pub dropout: f64,
}

impl VariateSelectionConfig {
    pub(super) fn problem(&self, d_model: usize) -> Option<String> {
        let n_heads = self.n_heads;
        if !d_model.is_multiple_of(n_heads) {
            return Some(format!(
                "{n_heads} selection heads do not divide a width of {d_model}"
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) || self.widening == 0 {
            return Some(format!(
                "selection with a dropout of {} and a widening of {}",
                self.dropout, self.widening
            ));
        }
        None
    }

    pub(super) fn init<B: Backend>(
        &self,
        d_model: usize,
        device: &B::Device,
    ) -> VariateSelection<B> {
        let linear = |d_input, d_output| {
            LinearConfig::new(d_input, d_output)
                .with_initializer(torch_linear())
                .init(device)
        };
        let norm = || LayerNormConfig::new(d_model).init(device);
        VariateSelection {
            q_proj: linear(d_model, d_model),
            k_proj: linear(d_model, d_model),
            v_proj: linear(d_model, d_model),
            out_proj: linear(d_model, d_model),
            norm1: norm(),
            fc1: linear(d_model, self.widening * d_model),
            fc2: linear(self.widening * d_model, d_model),
            norm2: norm(),
            gate: linear(2 * d_model, d_model),
            dropout: DropoutConfig::new(self.dropout).init(),
            n_heads: self.n_heads,
        }
    }
}

/// Attention over the variates of a sample, blended with its input by a learnt gate.
///
/// # Formula
/// ```text
/// a        = MultiHeadAttention(f, f, f)
/// f1       = LayerNorm(f + a)
/// f2       = LayerNorm(f1 + FFN(f1))
/// g        = sigmoid(Linear([f ; f2]))
/// selected = g * f2 + (1 - g) * f
/// ```
#[derive(Module, Debug)]
pub struct VariateSelection<B: Backend> {
    /// Queries.
    pub q_proj: Linear<B>,
    /// Keys.
    pub k_proj: Linear<B>,
    /// Values.
    pub v_proj: Linear<B>,
    /// Output projection of the attention.
    pub out_proj: Linear<B>,
    /// Norm after the attention.
    pub norm1: LayerNorm<B>,
    /// First feed-forward layer.
    pub fc1: Linear<B>,
    /// Second feed-forward layer.
    pub fc2: Linear<B>,
    /// Norm after the feed-forward part.
    pub norm2: LayerNorm<B>,
    /// What decides, from old and new, how much of the new to take.
    pub gate: Linear<B>,
    dropout: Dropout,
    n_heads: usize,
}

impl<B: Backend> VariateSelection<B> {
    /// Selects among the variates; also gives the attention weights, averaged over the heads.
    ///
    /// # Shapes
    /// - f: `[batch, n_variates, d_model]`
    /// - output: `[batch, n_variates, d_model]` and `[batch, n_variates, n_variates]`, whose rows
    ///   say how much a variate looked at every other and sum to one
    pub fn forward(&self, f: Tensor<B, 3>) -> (Tensor<B, 3>, Tensor<B, 3>) {
        let norm = |norm, x| fused::layer_norm(norm, NORM_EPSILON, x);
        let q = fused::linear(&self.q_proj, f.clone());
        let k = fused::linear(&self.k_proj, f.clone());
        let v = fused::linear(&self.v_proj, f.clone());
        let weights = attention_weights(q, k, self.n_heads, None);
        let attended = attend(fused::dropout(&self.dropout, weights.clone()), v);
        let attended = fused::linear(&self.out_proj, attended);
        let f1 = norm(&self.norm1, f.clone() + attended);
        let hidden = fused::linear(&self.fc1, f1.clone());
        let hidden = fused::drop_gelu(&self.dropout, hidden);
        let fed = fused::dropout(&self.dropout, fused::linear(&self.fc2, hidden));
        let f2 = norm(&self.norm2, f1 + fed);
        let both = fused::concat(vec![f.clone(), f2.clone()], 2);
        let gate = sigmoid(fused::linear(&self.gate, both));
        // g * f2 + (1 - g) * f
        let selected = f.clone() + gate * (f2 - f);
        (selected, weights.mean_dim(1).squeeze_dim(1))
    }
}
