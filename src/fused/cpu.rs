//! The fused operations on Burn's CPU backend, plain or under autodiff.

mod paint;
mod tracked;

use std::any::Any;
use std::fmt::Debug;

use burn::tensor::backend::Backend;
use burn::tensor::ops::{BoolTensor, BoolTensorOps, FloatTensor, FloatTensorOps, IntTensor};
use burn::tensor::{DType, Shape, TensorData, TensorMetadata};
use burn_flex::{Flex, FlexTensor};

use super::Activation;
use super::kernels::{self, Gelu, Norm, Pointwise, QuickGelu};

pub(super) use paint::Paint;

/// An operation of N inputs with its own backward pass.
pub(super) trait Fused<const N: usize>: Clone + Debug + Send + 'static {
    /// The output; and, where `keep` is set, what the backward pass needs.
    fn forward(&self, inputs: [FlexTensor; N], keep: bool) -> (FlexTensor, Vec<FlexTensor>);

    /// Gradients of the wanted inputs from that of the output.
    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        wanted: [bool; N],
    ) -> [Option<FlexTensor>; N];
}

/// Runs an operation if `B` is the CPU backend, plain or under autodiff, and all inputs are f32.
pub(super) fn run<B: Backend, F: Fused<N>, const N: usize>(
    operation: &F,
    inputs: &[FloatTensor<B>; N],
) -> Option<FloatTensor<B>> {
    if inputs.iter().any(|input| input.dtype() != DType::F32) {
        return None;
    }
    let given: &dyn Any = inputs;
    if let Some(inputs) = given.downcast_ref::<[FlexTensor; N]>() {
        return same(operation.forward(inputs.clone(), false).0);
    }
    if let Some(inputs) = given.downcast_ref() {
        return same(tracked::run(operation, inputs));
    }
    None
}

/// Coverage masks of `B` as bytes of the CPU backend, if they are.
pub(super) fn bytes<B: Backend>(masks: IntTensor<B>) -> Option<FlexTensor> {
    same(masks).filter(|masks: &FlexTensor| masks.dtype() == DType::U8)
}

/// A mask of `B` as a tensor of the CPU backend, if it is one.
pub(super) fn bools<B: Backend>(mask: BoolTensor<B>) -> Option<FlexTensor> {
    same(mask)
}

/// A value whose type is known under two names.
fn same<A: 'static, B: 'static>(value: A) -> Option<B> {
    let mut value = Some(value);
    let value: &mut dyn Any = &mut value;
    value.downcast_mut::<Option<B>>()?.take()
}

/// The numbers of a contiguous tensor.
fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.storage()
}

fn tensor(numbers: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}

fn product(a: &FlexTensor, b: &FlexTensor) -> FlexTensor {
    Flex::float_matmul(a.clone(), b.clone())
}

/// All but the last dimension as one, contiguous.
fn rows(x: &FlexTensor) -> FlexTensor {
    let shape = x.shape();
    let width = shape[shape.num_dims() - 1];
    let n = shape.num_elements() / width;
    x.to_contiguous().reshape(Shape::new([n, width]))
}

/// The shape of `x`, with another last dimension.
fn with_width(x: &FlexTensor, width: usize) -> Shape {
    let mut shape = x.shape();
    let last = shape.num_dims() - 1;
    shape[last] = width;
    shape
}

fn sum_of_rows(x: &FlexTensor) -> FlexTensor {
    let width = x.shape()[1];
    tensor(kernels::sum_rows(numbers(x), width), Shape::new([width]))
}

/// `x * weight + bias` over the last dimension: inputs x, weight, bias.
#[derive(Clone, Debug)]
pub(super) struct Linear;

impl Fused<3> for Linear {
    fn forward(
        &self,
        [x, weight, bias]: [FlexTensor; 3],
        keep: bool,
    ) -> (FlexTensor, Vec<FlexTensor>) {
        let flat = rows(&x);
        let mut y = product(&flat, &weight);
        kernels::add_bias(y.storage_mut(), numbers(&bias));
        let y = y.reshape(with_width(&x, weight.shape()[1]));
        (
            y,
            if keep {
                vec![flat, weight, x]
            } else {
                Vec::new()
            },
        )
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        [x_wanted, weight_wanted, bias_wanted]: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [flat, weight, x] = kept.try_into().expect("what forward kept");
        let gradient = rows(&gradient);
        [
            x_wanted.then(|| product(&gradient, &weight.transpose(0, 1)).reshape(x.shape())),
            weight_wanted.then(|| product(&flat.transpose(0, 1), &gradient)),
            bias_wanted.then(|| sum_of_rows(&gradient)),
        ]
    }
}

/// Two linear maps with an activation between: inputs x, weight, bias, weight, bias.
#[derive(Clone, Debug)]
pub(super) struct FeedForward(pub(super) Activation);

impl FeedForward {
    fn activate(
        function: impl Pointwise,
        mut inner: FlexTensor,
        bias: &FlexTensor,
        keep: bool,
    ) -> [FlexTensor; 2] {
        if !keep {
            kernels::activate_in_place(function, inner.storage_mut(), numbers(bias));
            return [inner.clone(), inner];
        }
        let mut outer = vec![0.0; inner.shape().num_elements()];
        kernels::activate(function, inner.storage_mut(), numbers(bias), &mut outer);
        let outer = tensor(outer, inner.shape());
        [inner, outer]
    }
}

impl Fused<5> for FeedForward {
    fn forward(
        &self,
        [x, weight1, bias1, weight2, bias2]: [FlexTensor; 5],
        keep: bool,
    ) -> (FlexTensor, Vec<FlexTensor>) {
        let flat = rows(&x);
        let inner = product(&flat, &weight1);
        let [inner, outer] = match self.0 {
            Activation::QuickGelu => Self::activate(QuickGelu, inner, &bias1, keep),
            Activation::Gelu => Self::activate(Gelu, inner, &bias1, keep),
        };
        let mut y = product(&outer, &weight2);
        kernels::add_bias(y.storage_mut(), numbers(&bias2));
        let y = y.reshape(with_width(&x, weight2.shape()[1]));
        let kept = if keep {
            vec![flat, weight1, inner, outer, weight2, x]
        } else {
            Vec::new()
        };
        (y, kept)
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        wanted: [bool; 5],
    ) -> [Option<FlexTensor>; 5] {
        let [flat, weight1, inner, outer, weight2, x] = kept.try_into().expect("what forward kept");
        let gradient = rows(&gradient);
        let mut d_inner = product(&gradient, &weight2.transpose(0, 1));
        match self.0 {
            Activation::QuickGelu => {
                kernels::activate_backward(QuickGelu, d_inner.storage_mut(), numbers(&inner));
            }
            Activation::Gelu => {
                kernels::activate_backward(Gelu, d_inner.storage_mut(), numbers(&inner));
            }
        }
        [
            wanted[0].then(|| product(&d_inner, &weight1.transpose(0, 1)).reshape(x.shape())),
            wanted[1].then(|| product(&flat.transpose(0, 1), &d_inner)),
            wanted[2].then(|| sum_of_rows(&d_inner)),
            wanted[3].then(|| product(&outer.transpose(0, 1), &gradient)),
            wanted[4].then(|| sum_of_rows(&gradient)),
        ]
    }
}

/// Multi-head attention: inputs queries, keys, values, each `[batch, seq, d_model]`.
#[derive(Clone, Debug)]
pub(super) struct Attention {
    /// Number of heads.
    pub(super) n_heads: usize,
    /// True where a key must not be attended to; broadcasts to `[batch, n_heads, seq, seq]`.
    pub(super) masked: Option<FlexTensor>,
}

impl Attention {
    /// `[batch, seq, d_model]` -> `[batch, n_heads, seq, d_head]`, without a copy.
    fn heads(&self, x: &FlexTensor) -> FlexTensor {
        let [batch, seq, d_model] = x.shape().dims();
        x.to_contiguous()
            .reshape(Shape::new([
                batch,
                seq,
                self.n_heads,
                d_model / self.n_heads,
            ]))
            .transpose(1, 2)
    }

    fn joined(heads: &FlexTensor) -> FlexTensor {
        let [batch, n_heads, seq, d_head] = heads.shape().dims();
        let joined = kernels::join_heads(numbers(heads), [n_heads, seq, d_head]);
        tensor(joined, Shape::new([batch, seq, n_heads * d_head]))
    }

    fn scale(q: &FlexTensor) -> f32 {
        let [.., d_head] = q.shape().dims::<4>();
        (d_head as f32).sqrt().recip()
    }
}

impl Fused<3> for Attention {
    fn forward(&self, inputs: [FlexTensor; 3], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let [q, k, v] = inputs.each_ref().map(|x| self.heads(x));
        let mut weights = product(&q, &k.transpose(2, 3));
        if let Some(masked) = &self.masked {
            let masked = Flex::bool_expand(masked.clone(), weights.shape());
            weights = Flex::float_mask_fill(weights, masked, f32::NEG_INFINITY.into());
        }
        let seq = weights.shape()[3];
        kernels::softmax(weights.storage_mut(), seq, Self::scale(&q));
        let output = Self::joined(&product(&weights, &v));
        (
            output,
            if keep {
                vec![q, k, v, weights]
            } else {
                Vec::new()
            },
        )
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        [q_wanted, k_wanted, v_wanted]: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [q, k, v, weights] = kept.try_into().expect("what forward kept");
        let gradient = self.heads(&gradient);
        let mut d_scores = product(&gradient, &v.transpose(2, 3));
        let seq = weights.shape()[3];
        kernels::softmax_backward(
            d_scores.storage_mut(),
            numbers(&weights),
            seq,
            Self::scale(&q),
        );
        [
            q_wanted.then(|| Self::joined(&product(&d_scores, &k))),
            k_wanted.then(|| Self::joined(&product(&d_scores.transpose(2, 3), &q))),
            v_wanted.then(|| Self::joined(&product(&weights.transpose(2, 3), &gradient))),
        ]
    }
}

/// Layer norm over the last dimension: inputs x, scale, shift.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerNorm {
    /// Added to the variance.
    pub(super) epsilon: f64,
}

impl LayerNorm {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a positive f32 as near as need be"
    )]
    fn with(self, gamma: &FlexTensor) -> Norm<'_> {
        let gamma = numbers(gamma);
        let epsilon = self.epsilon as f32;
        Norm { gamma, epsilon }
    }
}

impl Fused<3> for LayerNorm {
    fn forward(
        &self,
        [x, gamma, beta]: [FlexTensor; 3],
        keep: bool,
    ) -> (FlexTensor, Vec<FlexTensor>) {
        let (x, gamma, beta) = (
            x.to_contiguous(),
            gamma.to_contiguous(),
            beta.to_contiguous(),
        );
        let y = kernels::layer_norm(numbers(&x), self.with(&gamma), numbers(&beta));
        let y = tensor(y, x.shape());
        let kept = if keep { vec![x, gamma] } else { Vec::new() };
        (y, kept)
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        [x_wanted, gamma_wanted, beta_wanted]: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [x, gamma] = kept.try_into().expect("what forward kept");
        let mut gradient = gradient.to_contiguous();
        let of_weights =
            kernels::layer_norm_backward(gradient.storage_mut(), numbers(&x), self.with(&gamma));
        let shape = gamma.shape();
        [
            x_wanted.then_some(gradient),
            gamma_wanted.then(|| tensor(of_weights.gamma, shape.clone())),
            beta_wanted.then(|| tensor(of_weights.beta, shape)),
        ]
    }
}
