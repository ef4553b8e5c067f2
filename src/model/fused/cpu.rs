//! The fused operations on Burn's CPU backend, plain or under autodiff.

mod attention;
mod columns;
mod elements;
mod feed_forward;
mod groups;
mod patches;
#[cfg(feature = "train")]
mod tracked;
mod windows;

use std::any::{Any, TypeId};
use std::fmt::Debug;

#[cfg(feature = "train")]
use burn::backend::Autodiff;
use burn::nn::Dropout;
use burn::tensor::backend::Backend;
use burn::tensor::ops::{BoolTensor, FloatTensor, FloatTensorOps, IntTensor, IntTensorOps};
use burn::tensor::{DType, Distribution, IntDType, Shape, TensorData, TensorMetadata};
use burn_flex::{Flex, FlexTensor};

use super::kernels::{self, Mask, Norm};
use groups::sum_of_rows;

pub(super) use attention::AddAttention;
pub(super) use columns::{BatchNorm, Moments};
pub(super) use elements::{Drop, DropGelu, Sequences};
pub(super) use feed_forward::AddFeedForward;
pub(super) use patches::EmbedPatches;
pub(super) use windows::{CutPlanes, CutWindows};

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
    #[cfg(feature = "train")]
    if let Some(inputs) = given.downcast_ref() {
        return same(tracked::run(operation, inputs));
    }
    None
}

/// Whether `B` is the CPU backend, plain or under autodiff.
pub(super) fn is<B: Backend>() -> bool {
    let tensor = TypeId::of::<FloatTensor<B>>();
    tensor == TypeId::of::<FlexTensor>() || learns::<B>()
}

/// Whether `B` is the CPU backend under autodiff.
#[cfg(feature = "train")]
fn learns<B: Backend>() -> bool {
    TypeId::of::<FloatTensor<B>>() == TypeId::of::<FloatTensor<Autodiff<Flex>>>()
}

/// Without the trainer no backend of this build has autodiff.
#[cfg(not(feature = "train"))]
#[expect(
    clippy::extra_unused_type_parameters,
    reason = "it stands for the function above"
)]
fn learns<B: Backend>() -> bool {
    false
}

/// Dropout of `B`, if it is the CPU backend and learns.
pub(super) fn mask<B: Backend>(dropout: &Dropout, device: &B::Device) -> Option<Mask> {
    if !learns::<B>() || dropout.prob == 0.0 || !B::ad_enabled(device) {
        return None;
    }
    Some(Mask::new(mask_seed(), dropout.prob))
}

/// From this thread's stream, or else one draw of the backend's generator.
fn mask_seed() -> u64 {
    #[cfg(feature = "train")]
    if let Some(seed) = super::seeds::next() {
        return seed;
    }
    let shape = Shape::new([1]);
    let (any, device) = (Distribution::Default, Default::default());
    Flex::int_random(shape, any, &device, IntDType::U64).storage::<u64>()[0]
}

/// Coverage masks of `B` as bytes of the CPU backend, if they are.
pub(super) fn bytes<B: Backend>(masks: IntTensor<B>) -> Option<FlexTensor> {
    same(masks).filter(|masks: &FlexTensor| masks.dtype() == DType::U8)
}

/// A mask of `B` as a tensor of the CPU backend, if it is one.
pub(super) fn bools<B: Backend>(mask: BoolTensor<B>) -> Option<FlexTensor> {
    same(mask).map(|mask: FlexTensor| mask.to_contiguous())
}

/// A value whose type is known under two names.
fn same<A: 'static, B: 'static>(value: A) -> Option<B> {
    let mut value = Some(value);
    let value: &mut dyn Any = &mut value;
    value.downcast_mut::<Option<B>>()?.take()
}

/// The tensor as one run of numbers; itself, and not a second handle on it, if it is one.
fn contiguous(x: FlexTensor) -> FlexTensor {
    let contiguous = x.to_contiguous();
    drop(x);
    contiguous
}

/// The numbers of a contiguous tensor.
fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.storage()
}

fn tensor(numbers: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}

/// `a * b` of matrices. Every row of it is the same, to the last bit, whatever the other rows of `a`.
fn product(a: &FlexTensor, b: &FlexTensor) -> FlexTensor {
    let shape = a.shape();
    if shape[0] > 1 {
        return Flex::float_matmul(a.clone(), b.clone());
    }
    // A single row would be multiplied by another algorithm, which sums in another order.
    let twice = Flex::float_cat(vec![a.clone(), a.clone()], 0);
    let twice = Flex::float_matmul(twice, b.clone());
    let width = twice.shape()[1];
    tensor(numbers(&twice)[..width].to_vec(), Shape::new([1, width]))
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

/// Layer norm over the last dimension: inputs x, scale, shift.
#[derive(Clone, Copy, Debug)]
pub(super) struct LayerNorm {
    /// Added to the variance.
    pub(super) epsilon: f64,
}

/// A norm of this scale.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a positive f32 as near as need be"
)]
fn norm(gamma: &FlexTensor, epsilon: f64) -> Norm<'_> {
    Norm {
        gamma: numbers(gamma),
        epsilon: epsilon as f32,
    }
}

impl Fused<3> for LayerNorm {
    fn forward(
        &self,
        [x, gamma, beta]: [FlexTensor; 3],
        keep: bool,
    ) -> (FlexTensor, Vec<FlexTensor>) {
        let (gamma, beta) = (gamma.to_contiguous(), beta.to_contiguous());
        let x = contiguous(x);
        let kept = if keep {
            vec![x.clone(), gamma.clone()]
        } else {
            Vec::new()
        };
        let mut y = x;
        kernels::layer_norm(y.storage_mut(), norm(&gamma, self.epsilon), numbers(&beta));
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
        let of_weights = kernels::layer_norm_backward(
            gradient.storage_mut(),
            numbers(&x),
            norm(&gamma, self.epsilon),
        );
        let shape = gamma.shape();
        [
            x_wanted.then_some(gradient),
            gamma_wanted.then(|| tensor(of_weights.gamma, shape.clone())),
            beta_wanted.then(|| tensor(of_weights.beta, shape)),
        ]
    }
}
