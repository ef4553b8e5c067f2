//! The feed-forward sublayer of a pre-norm block.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;

use super::super::Activation;
use super::super::kernels::{self, Gelu, Mask, Norm, Pointwise, QuickGelu};
use super::groups::{Gradients, each, matrix, sequences_of_group, sum_of_rows, summed};
use super::{Fused, contiguous, norm, numbers, product, tensor};

/// `x + dropout(feed_forward(layer_norm(x)))`: inputs x; scale and shift of the norm; weight and
/// bias of either layer.
#[derive(Clone, Debug)]
pub(crate) struct AddFeedForward {
    /// Added to the variance.
    pub(crate) epsilon: f64,
    pub(crate) activation: Activation,
    pub(crate) dropout: Option<Mask>,
}

/// What all groups share.
struct Sublayer<'a, P> {
    norm: Norm<'a>,
    beta: &'a [f32],
    weight1: &'a FlexTensor,
    bias1: &'a [f32],
    function: P,
    weight2: &'a FlexTensor,
    bias2: &'a [f32],
    dropout: Option<Mask>,
}

/// Numbers of a group: whole sequences.
fn group_size(x: &FlexTensor) -> usize {
    let [n, seq, width] = x.shape().dims();
    sequences_of_group(n, seq, width) * seq * width
}

impl<P: Pointwise> Sublayer<'_, P> {
    fn forward(&self, first_row: usize, x: &[f32], out: &mut [f32], keep: bool) -> Vec<FlexTensor> {
        let width = self.beta.len();
        let mut normal = x.to_vec();
        kernels::layer_norm(&mut normal, self.norm, self.beta);
        let mut inner = product(&matrix(normal, width), self.weight1);
        let outer = if keep {
            let mut outer = vec![0.0; inner.shape().num_elements()];
            kernels::activate(self.function, inner.storage_mut(), self.bias1, &mut outer);
            matrix(outer, self.bias1.len())
        } else {
            kernels::activate_in_place(self.function, inner.storage_mut(), self.bias1);
            inner.clone()
        };
        let mut y = product(&outer, self.weight2);
        kernels::add_bias(y.storage_mut(), self.bias2);
        if let Some(mask) = self.dropout {
            mask.apply(y.storage_mut(), width, first_row);
        }
        kernels::sum(out, x, numbers(&y));
        if keep { vec![inner] } else { Vec::new() }
    }

    fn backward(
        &self,
        first_row: usize,
        [x, inner]: [&[f32]; 2],
        gradient: &mut [f32],
        wanted: [bool; 7],
    ) -> Gradients<6> {
        let width = self.beta.len();
        let mut d_y = gradient.to_vec();
        if let Some(mask) = self.dropout {
            mask.apply(&mut d_y, width, first_row);
        }
        let d_y = matrix(d_y, width);
        let d_ff = self.bias1.len();
        let mut d_inner = product(&d_y, &self.weight2.transpose(0, 1));
        let mut outer = vec![0.0; inner.len()];
        kernels::activate_again(self.function, d_inner.storage_mut(), inner, &mut outer);
        let mut d_normal = product(&d_inner, &self.weight1.transpose(0, 1));
        let sums = kernels::layer_norm_backward(d_normal.storage_mut(), x, self.norm);
        kernels::add(gradient, numbers(&d_normal));
        let mut normal = x.to_vec();
        kernels::layer_norm(&mut normal, self.norm, self.beta);
        let normal = matrix(normal, width).transpose(0, 1);
        let outer = matrix(outer, d_ff).transpose(0, 1);
        [
            Some(tensor(sums.gamma, Shape::new([width]))),
            Some(tensor(sums.beta, Shape::new([width]))),
            wanted[3].then(|| product(&normal, &d_inner)),
            wanted[4].then(|| sum_of_rows(&d_inner)),
            wanted[5].then(|| product(&outer, &d_y)),
            wanted[6].then(|| sum_of_rows(&d_y)),
        ]
    }
}

impl AddFeedForward {
    fn sublayer<'a, P: Pointwise>(
        &self,
        params: &'a [FlexTensor; 6],
        function: P,
    ) -> Sublayer<'a, P> {
        let [gamma, beta, weight1, bias1, weight2, bias2] = params;
        Sublayer {
            norm: norm(gamma, self.epsilon),
            beta: numbers(beta),
            weight1,
            bias1: numbers(bias1),
            function,
            weight2,
            bias2: numbers(bias2),
            dropout: self.dropout,
        }
    }

    fn forward_with(
        &self,
        function: impl Pointwise,
        [x, params @ ..]: [FlexTensor; 7],
        keep: bool,
    ) -> (FlexTensor, Vec<FlexTensor>) {
        let sublayer = self.sublayer(&params, function);
        let size = group_size(&x);
        let rows = size / sublayer.beta.len();
        let mut y = vec![0.0; x.shape().num_elements()];
        let of_groups = each(&mut y, size, |i, out| {
            let x = &numbers(&x)[i * size..][..out.len()];
            sublayer.forward(i * rows, x, out, keep)
        });
        let y = tensor(y, x.shape());
        let mut kept = Vec::new();
        if keep {
            kept.push(x);
            kept.extend(params);
            kept.extend(of_groups);
        }
        (y, kept)
    }

    fn backward_with(
        &self,
        function: impl Pointwise,
        kept: &[FlexTensor],
        gradient: FlexTensor,
        wanted: [bool; 7],
    ) -> [Option<FlexTensor>; 7] {
        let (inputs, inner) = kept.split_at(7);
        let params = inputs[1..].try_into().expect("seven inputs but one");
        let sublayer = self.sublayer(params, function);
        let x = &inputs[0];
        let size = group_size(x);
        let rows = size / sublayer.beta.len();
        let mut gradient = contiguous(gradient);
        let group = |i: usize, gradient: &mut [f32]| {
            let x = &numbers(x)[i * size..][..gradient.len()];
            sublayer.backward(i * rows, [x, numbers(&inner[i])], gradient, wanted)
        };
        let [a, b, c, d, e, f] = summed(gradient.storage_mut(), size, 0, &group);
        [Some(gradient), a, b, c, d, e, f]
    }
}

impl Fused<7> for AddFeedForward {
    fn forward(&self, inputs: [FlexTensor; 7], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let inputs = inputs.map(contiguous);
        match self.activation {
            Activation::QuickGelu => self.forward_with(QuickGelu, inputs, keep),
            Activation::Gelu => self.forward_with(Gelu, inputs, keep),
        }
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        wanted: [bool; 7],
    ) -> [Option<FlexTensor>; 7] {
        match self.activation {
            Activation::QuickGelu => self.backward_with(QuickGelu, &kept, gradient, wanted),
            Activation::Gelu => self.backward_with(Gelu, &kept, gradient, wanted),
        }
    }
}
