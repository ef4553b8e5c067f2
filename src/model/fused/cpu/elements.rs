//! Operations of single elements and rows.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;

use super::super::kernels::{self, Gelu, Mask};
use super::{Fused, contiguous, numbers, tensor};

fn width(x: &FlexTensor) -> usize {
    let shape = x.shape();
    shape[shape.num_dims() - 1]
}

/// Dropout of every element.
#[derive(Clone, Debug)]
pub(crate) struct Drop(pub(crate) Mask);

impl Fused<1> for Drop {
    fn forward(&self, [x]: [FlexTensor; 1], _: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let mut x = contiguous(x);
        let width = width(&x);
        self.0.apply(x.storage_mut(), width, 0);
        (x, Vec::new())
    }

    fn backward(
        &self,
        _: Vec<FlexTensor>,
        gradient: FlexTensor,
        _: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        [Some(self.forward([gradient], false).0)]
    }
}

/// The exact GELU, and dropout of what it gives.
#[derive(Clone, Debug)]
pub(crate) struct DropGelu(pub(crate) Option<Mask>);

impl Fused<1> for DropGelu {
    fn forward(&self, [x]: [FlexTensor; 1], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let x = contiguous(x);
        let kept = if keep { vec![x.clone()] } else { Vec::new() };
        let mut y = x;
        let width = width(&y);
        kernels::activate_in_place(Gelu, y.storage_mut(), &vec![0.0; width]);
        if let Some(mask) = self.0 {
            mask.apply(y.storage_mut(), width, 0);
        }
        (y, kept)
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        _: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let mut gradient = contiguous(gradient);
        let width = width(&gradient);
        if let Some(mask) = self.0 {
            mask.apply(gradient.storage_mut(), width, 0);
        }
        kernels::activate_backward(Gelu, gradient.storage_mut(), numbers(&kept[0]));
        [Some(gradient)]
    }
}

/// Tokens behind a class token, with positions and variates: inputs tokens, `[n, seq - 1, width]`;
/// class token, `[width]`; positions, `[seq, width]`; variates, `[n_variates, width]`.
#[derive(Clone, Debug)]
pub(crate) struct Sequences;

impl Fused<4> for Sequences {
    fn forward(&self, inputs: [FlexTensor; 4], _: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let [tokens, class, positions, variates] = inputs.map(contiguous);
        let [n, _, width] = tokens.shape().dims::<3>();
        let [seq, _] = positions.shape().dims::<2>();
        let mut out = vec![0.0; n * seq * width];
        let tables = [&class, &positions, &variates].map(numbers);
        kernels::sequences(&mut out, numbers(&tokens), tables);
        (tensor(out, Shape::new([n, seq, width])), vec![variates])
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        wanted: [bool; 4],
    ) -> [Option<FlexTensor>; 4] {
        let gradient = gradient.to_contiguous();
        let [n, seq, width] = gradient.shape().dims::<3>();
        let [n_variates, _] = kept[0].shape().dims::<2>();
        let tokens = wanted[0].then(|| {
            let tokens = kernels::without_first(numbers(&gradient), seq, width);
            tensor(tokens, Shape::new([n, seq - 1, width]))
        });
        // [n_variates, seq, width]
        let sums = kernels::sum_rows(numbers(&gradient), n_variates * seq * width);
        let positions = kernels::sum_rows(&sums, seq * width);
        let of_variates = sums.chunks_exact(seq * width);
        let variates = of_variates.flat_map(|sums| kernels::sum_rows(sums, width));
        let variates = tensor(variates.collect(), kept[0].shape());
        let class = tensor(positions[..width].to_vec(), Shape::new([width]));
        let positions = tensor(positions, Shape::new([seq, width]));
        [tokens, Some(class), Some(positions), Some(variates)]
    }
}
