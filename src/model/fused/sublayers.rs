//! The two sublayers of a pre-norm block, each added to its input.

use burn::nn;
use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::module;
use burn::tensor::{Bool, Tensor};

use super::{Activation, is_cpu, layer_norm, linear};
#[cfg(feature = "cpu")]
use super::{cpu, float, try_fused};

/// The attention half of a pre-norm block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttentionSublayer<'a, B: Backend> {
    /// Norm in front, and what it adds to the variance.
    pub(crate) norm: (&'a nn::LayerNorm<B>, f64),
    /// Queries, keys, values, output.
    pub(crate) projections: [&'a nn::Linear<B>; 4],
    pub(crate) n_heads: usize,
    /// Of what is added.
    pub(crate) dropout: &'a nn::Dropout,
}

impl<B: Backend> AttentionSublayer<'_, B> {
    /// `x + dropout(attention(layer_norm(x)))` of the first tokens, which attend to all.
    ///
    /// # Shapes
    /// - x: `[batch, seq, d_model]`
    /// - masked: `[batch or 1, 1, seq or 1, seq]`, true where a key must not be attended to
    /// - output: `[batch, queries, d_model]`
    pub(crate) fn forward(
        &self,
        x: Tensor<B, 3>,
        masked: Option<&Tensor<B, 4, Bool>>,
        queries: usize,
    ) -> Tensor<B, 3> {
        let (norm, epsilon) = self.norm;
        let [q, k, v, out] = self.projections;
        #[cfg(feature = "cpu")]
        if let (Some(beta), [Some(q_bias), Some(k_bias), Some(v_bias), Some(out_bias)]) = (
            &norm.beta,
            self.projections.map(|projection| projection.bias.as_ref()),
        ) {
            let operation = cpu::AddAttention {
                epsilon,
                n_heads: self.n_heads,
                queries,
                masked: masked.and_then(|masked| cpu::bools::<B>(masked.clone().into_primitive())),
                dropout: cpu::mask::<B>(self.dropout, &x.device()),
            };
            let [a, b, c, d, e, f, g, h, i, j] = [
                float(norm.gamma.val()),
                float(beta.val()),
                float(q.weight.val()),
                float(q_bias.val()),
                float(k.weight.val()),
                float(k_bias.val()),
                float(v.weight.val()),
                float(v_bias.val()),
                float(out.weight.val()),
                float(out_bias.val()),
            ];
            let inputs = [float(x.clone()), a, b, c, d, e, f, g, h, i, j];
            if let Some(y) = try_fused(&operation, &inputs) {
                return y;
            }
        }
        let normal = layer_norm(norm, epsilon, x.clone());
        let [k, v] = [k, v].map(|projection| linear(projection, normal.clone()));
        let q = linear(q, normal.narrow(1, 0, queries));
        let masked = masked.map(|masked| {
            let rows = masked.dims()[2].min(queries);
            masked.clone().narrow(2, 0, rows)
        });
        let attended = linear(out, attention([q, k, v], self.n_heads, masked.as_ref()));
        // The new term first: nothing else holds it, so that the sum can take its place.
        self.dropout.forward(attended) + x.narrow(1, 0, queries)
    }
}

/// The feed-forward half of a pre-norm block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedForwardSublayer<'a, B: Backend> {
    /// Norm in front, and what it adds to the variance.
    pub(crate) norm: (&'a nn::LayerNorm<B>, f64),
    pub(crate) layers: [&'a nn::Linear<B>; 2],
    pub(crate) activation: Activation,
    /// Of what is added.
    pub(crate) dropout: &'a nn::Dropout,
}

impl<B: Backend> FeedForwardSublayer<'_, B> {
    /// `x + dropout(feed_forward(layer_norm(x)))`
    ///
    /// # Shapes
    /// - x, output: `[batch, seq, d_model]`
    pub(crate) fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        let (norm, epsilon) = self.norm;
        let [first, second] = self.layers;
        #[cfg(feature = "cpu")]
        if let (Some(beta), Some(bias1), Some(bias2)) = (&norm.beta, &first.bias, &second.bias) {
            let operation = cpu::AddFeedForward {
                epsilon,
                activation: self.activation,
                dropout: cpu::mask::<B>(self.dropout, &x.device()),
            };
            let inputs = [
                float(x.clone()),
                float(norm.gamma.val()),
                float(beta.val()),
                float(first.weight.val()),
                float(bias1.val()),
                float(second.weight.val()),
                float(bias2.val()),
            ];
            if let Some(y) = try_fused(&operation, &inputs) {
                return y;
            }
        }
        let inner = linear(first, layer_norm(norm, epsilon, x.clone()));
        let fed = linear(second, self.activation.forward(inner));
        self.dropout.forward(fed) + x
    }
}

/// Multi-head attention, by the one operation that GPUs have for it where no gradient is wanted:
/// autotuning finds out when that is faster. Masks are left to the plain way, which broadcasts them.
fn attention<B: Backend>(
    [q, k, v]: [Tensor<B, 3>; 3],
    n_heads: usize,
    masked: Option<&Tensor<B, 4, Bool>>,
) -> Tensor<B, 3> {
    let plain = B::ad_enabled(&q.device()) || is_cpu::<B>();
    if plain || masked.is_some() {
        return attend(attention_weights(q, k, n_heads, masked), v);
    }
    let [q, k, v] = [q, k, v].map(|x| split_heads(x, n_heads));
    join_heads(module::attention(q, k, v, None, None, Default::default()))
}

/// Softmax of the scaled dot products of queries and keys.
///
/// # Shapes
/// - q: `[batch, queries, d_model]`
/// - k: `[batch, seq, d_model]`
/// - masked: `[batch or 1, 1, queries or 1, seq]`, true where a key must not be attended to
/// - output: `[batch, n_heads, queries, seq]`, every row sums to one
pub(crate) fn attention_weights<B: Backend>(
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
/// - weights: `[batch, n_heads, queries, seq]`
/// - v: `[batch, seq, d_model]`
/// - output: `[batch, queries, d_model]`
pub(crate) fn attend<B: Backend>(weights: Tensor<B, 4>, v: Tensor<B, 3>) -> Tensor<B, 3> {
    let n_heads = weights.dims()[1];
    join_heads(weights.matmul(split_heads(v, n_heads)))
}

/// `[batch, n_heads, seq, d_model / n_heads]` -> `[batch, seq, d_model]`
fn join_heads<B: Backend>(heads: Tensor<B, 4>) -> Tensor<B, 3> {
    let [batch, n_heads, seq, d_head] = heads.dims();
    heads
        .swap_dims(1, 2)
        .reshape([batch, seq, n_heads * d_head])
}

/// `[batch, seq, d_model]` -> `[batch, n_heads, seq, d_model / n_heads]`
fn split_heads<B: Backend>(x: Tensor<B, 3>, n_heads: usize) -> Tensor<B, 4> {
    let [batch, seq, d_model] = x.dims();
    x.reshape([batch, seq, n_heads, d_model / n_heads])
        .swap_dims(1, 2)
}
