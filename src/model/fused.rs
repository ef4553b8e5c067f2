//! Fused transformer operations, with a fallback composed of Burn operations.
//!
//! Burn's CPU backend runs element-wise operations one by one, most of them on one thread, with
//! scalar transcendental functions. There these operations, and their gradients, are single
//! passes over vectorized loops; on every other backend they are what they say, in Burn's terms.

mod concat;
mod convolutions;
mod pictures;
#[cfg(feature = "train")]
mod seeds;
mod sublayers;
#[cfg(test)]
#[cfg(all(feature = "cpu", feature = "train"))]
mod tests;

#[cfg(feature = "cpu")]
#[cfg_attr(
    not(feature = "train"),
    expect(dead_code, reason = "gradients are for the trainer")
)]
mod cpu;
#[cfg(feature = "cpu")]
mod kernels;

use std::f64::consts::FRAC_1_SQRT_2;

use burn::nn;
use burn::tensor::Tensor;
use burn::tensor::activation::{self, sigmoid};
use burn::tensor::backend::Backend;
#[cfg(feature = "cpu")]
use burn::tensor::{TensorPrimitive, ops::FloatTensor};
use serde::{Deserialize, Serialize};

pub(crate) use concat::concat;
pub(crate) use convolutions::{Affine, plane_windows, windows};
pub(crate) use pictures::{embed_masks, embed_pixels};
#[cfg(feature = "train")]
pub(crate) use seeds::DropoutStream;
pub(crate) use sublayers::{AttentionSublayer, FeedForwardSublayer, attend, attention_weights};

/// What Burn's layer norms add to the variance, unless said otherwise.
pub(crate) const NORM_EPSILON: f64 = 1e-5;

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
    /// Burn's gradient of the exact GELU is that of another function; this one's is its own.
    pub fn forward<B: Backend, const D: usize>(self, x: Tensor<B, D>) -> Tensor<B, D> {
        match self {
            Self::QuickGelu => quick_gelu(x),
            Self::Gelu => exact_gelu(x),
        }
    }
}

/// Where no gradient is wanted `x / (1 + exp(-1.702 x))`: the same function, and faster than a sigmoid
/// on Burn's CPU backend. It overflows benignly, `-100 / inf = -0`, but its gradient does not.
fn quick_gelu<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    match B::ad_enabled(&x.device()) {
        true => x.clone() * sigmoid(x * 1.702),
        false => x.clone() / ((x * -1.702).exp() + 1.0),
    }
}

/// GELU through the error function, and a gradient through it as well: Burn's own derives the tanh
/// approximation, 9e-4 off.
fn exact_gelu<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    match B::ad_enabled(&x.device()) {
        true => x.clone() * ((x * FRAC_1_SQRT_2).erf() + 1.0) * 0.5,
        false => activation::gelu(x),
    }
}

/// Whether this is the CPU backend.
#[cfg_attr(
    not(feature = "cpu"),
    expect(
        clippy::extra_unused_type_parameters,
        reason = "without the CPU backend, none is it"
    )
)]
pub(crate) fn is_cpu<B: Backend>() -> bool {
    #[cfg(feature = "cpu")]
    return cpu::is::<B>();
    #[cfg(not(feature = "cpu"))]
    false
}

/// What a parameter or a tensor holds, for [`try_fused`].
#[cfg(feature = "cpu")]
fn float<B: Backend, const D: usize>(x: Tensor<B, D>) -> FloatTensor<B> {
    x.into_primitive().tensor()
}

/// Runs an operation if the backend is the CPU's and computes in single precision.
#[cfg(feature = "cpu")]
fn try_fused<B: Backend, F: cpu::Fused<N>, const N: usize, const D: usize>(
    operation: &F,
    inputs: &[FloatTensor<B>; N],
) -> Option<Tensor<B, D>> {
    let output = cpu::run::<B, F, N>(operation, inputs)?;
    Some(Tensor::from_primitive(TensorPrimitive::Float(output)))
}

/// Applies a linear layer to every token as one matrix product.
///
/// Burn 0.21 computes the weight gradient of a 3-D input as a batch of small products which it
/// then sums; flattened it is one product, and a training step takes half the time.
///
/// # Shapes
/// - x: `[batch, seq, d_input]`
/// - output: `[batch, seq, d_output]`
pub(crate) fn linear<B: Backend>(layer: &nn::Linear<B>, x: Tensor<B, 3>) -> Tensor<B, 3> {
    #[cfg(feature = "cpu")]
    if let Some(bias) = &layer.bias {
        let weights = [float(layer.weight.val()), float(bias.val())];
        let [weight, bias] = weights;
        if let Some(y) = try_fused(&cpu::Linear, &[float(x.clone()), weight, bias]) {
            return y;
        }
    }
    let [batch, seq, d_input] = x.dims();
    let y = layer.forward(x.reshape([batch * seq, d_input]));
    let d_output = y.dims()[1];
    y.reshape([batch, seq, d_output])
}

/// Applies a layer norm, whose `epsilon` Burn keeps to itself.
#[cfg_attr(
    not(feature = "cpu"),
    expect(unused_variables, reason = "Burn's own layer norm knows its epsilon")
)]
pub(crate) fn layer_norm<B: Backend, const D: usize>(
    norm: &nn::LayerNorm<B>,
    epsilon: f64,
    x: Tensor<B, D>,
) -> Tensor<B, D> {
    #[cfg(feature = "cpu")]
    if let Some(beta) = &norm.beta {
        let inputs = [float(x.clone()), float(norm.gamma.val()), float(beta.val())];
        if let Some(y) = try_fused(&cpu::LayerNorm { epsilon }, &inputs) {
            return y;
        }
    }
    norm.forward(x)
}

/// Drops elements in training.
pub(crate) fn dropout<B: Backend, const D: usize>(
    dropout: &nn::Dropout,
    x: Tensor<B, D>,
) -> Tensor<B, D> {
    #[cfg(feature = "cpu")]
    if let Some(mask) = cpu::mask::<B>(dropout, &x.device())
        && let Some(y) = try_fused(&cpu::Drop(mask), &[float(x.clone())])
    {
        return y;
    }
    dropout.forward(x)
}

/// The exact GELU, and dropout of what it gives.
pub(crate) fn drop_gelu<B: Backend, const D: usize>(
    dropout: &nn::Dropout,
    x: Tensor<B, D>,
) -> Tensor<B, D> {
    #[cfg(feature = "cpu")]
    {
        let operation = cpu::DropGelu(cpu::mask::<B>(dropout, &x.device()));
        if let Some(y) = try_fused(&operation, &[float(x.clone())]) {
            return y;
        }
    }
    dropout.forward(exact_gelu(x))
}

/// The exact GELU.
pub(crate) fn gelu<B: Backend, const D: usize>(x: Tensor<B, D>) -> Tensor<B, D> {
    #[cfg(feature = "cpu")]
    if let Some(y) = try_fused(&cpu::DropGelu(None), &[float(x.clone())]) {
        return y;
    }
    exact_gelu(x)
}

/// Puts a class token in front of every sequence, and adds to each token its position and, where
/// variates take turns, the variate of its sequence.
///
/// # Shapes
/// - tokens: `[n, seq - 1, d_model]`
/// - class: `[d_model]`
/// - positions: `[seq, d_model]`
/// - variates: `[n_variates, d_model]`, where `n_variates` divides `n`
/// - output: `[n, seq, d_model]`
pub(crate) fn sequences<B: Backend>(
    tokens: Tensor<B, 3>,
    class: Tensor<B, 1>,
    positions: Tensor<B, 2>,
    variates: Option<Tensor<B, 2>>,
) -> Tensor<B, 3> {
    let [n, _, d_model] = tokens.dims();
    #[cfg(feature = "cpu")]
    {
        let none = || Tensor::zeros([1, d_model], (&tokens.device(), tokens.dtype()));
        let inputs = [
            float(tokens.clone()),
            float(class.clone()),
            float(positions.clone()),
            float(variates.clone().unwrap_or_else(none)),
        ];
        if let Some(y) = try_fused(&cpu::Sequences, &inputs) {
            return y;
        }
    }
    let class = class.reshape([1, 1, d_model]).expand([n, 1, d_model]);
    let tokens = concat(vec![class, tokens], 1) + positions.unsqueeze();
    let Some(variates) = variates else {
        return tokens;
    };
    let ([_, seq, _], [n_variates, _]) = (tokens.dims(), variates.dims());
    let variates = variates.reshape([1, n_variates, 1, d_model]);
    let tokens = tokens.reshape([n / n_variates, n_variates, seq, d_model]) + variates;
    tokens.reshape([n, seq, d_model])
}
