//! Batch norm over the rows that count.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;

use super::super::kernels::{ColumnNorm, Counted};
use super::{Fused, contiguous, numbers, tensor};

/// Mean and biased variance of every column of `[n, width]`, as `[2, width]`; without a gradient.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    /// Which rows count.
    pub(crate) valid: Option<FlexTensor>,
}

/// Batch norm of every column: inputs x, `[n, width]`; scale and shift; mean and variance,
/// `[2, width]`.
#[derive(Clone, Debug)]
pub(crate) struct BatchNorm {
    /// Which rows count.
    pub(crate) valid: Option<FlexTensor>,
    /// Added to the variance.
    pub(crate) epsilon: f64,
    /// Whether mean and variance are those of x.
    pub(crate) learned: bool,
}

fn mask(valid: &Option<FlexTensor>) -> Option<&[u8]> {
    valid.as_ref().map(FlexTensor::storage)
}

fn counted<'a>(x: &'a FlexTensor, valid: &'a Option<FlexTensor>) -> Counted<'a> {
    Counted {
        rows: numbers(x),
        valid: mask(valid),
        width: x.shape()[1],
    }
}

impl Fused<1> for Moments {
    fn forward(&self, [x]: [FlexTensor; 1], _: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let x = contiguous(x);
        let moments = counted(&x, &self.valid).moments();
        (tensor(moments, Shape::new([2, x.shape()[1]])), Vec::new())
    }

    fn backward(&self, _: Vec<FlexTensor>, _: FlexTensor, _: [bool; 1]) -> [Option<FlexTensor>; 1] {
        [None]
    }
}

impl BatchNorm {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a positive f32 as near as need be"
    )]
    fn norm<'a>(&self, gamma: &'a FlexTensor, moments: &'a FlexTensor) -> ColumnNorm<'a> {
        let gamma = numbers(gamma);
        let (mean, variance) = numbers(moments).split_at(gamma.len());
        ColumnNorm {
            mean,
            variance,
            gamma,
            epsilon: self.epsilon as f32,
        }
    }
}

impl Fused<4> for BatchNorm {
    fn forward(&self, inputs: [FlexTensor; 4], keep: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let [x, gamma, beta, moments] = inputs.map(contiguous);
        let kept = if keep {
            vec![x.clone(), gamma.clone(), moments.clone()]
        } else {
            Vec::new()
        };
        let mut y = x;
        let norm = self.norm(&gamma, &moments);
        norm.apply(y.storage_mut(), mask(&self.valid), numbers(&beta));
        (y, kept)
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        wanted: [bool; 4],
    ) -> [Option<FlexTensor>; 4] {
        let [x, gamma, moments] = kept.try_into().expect("what forward kept");
        let mut gradient = contiguous(gradient);
        let norm = self.norm(&gamma, &moments);
        let x = counted(&x, &self.valid);
        let of_weights = norm.backward(gradient.storage_mut(), x, self.learned);
        let shape = gamma.shape();
        [
            wanted[0].then_some(gradient),
            wanted[1].then(|| tensor(of_weights.gamma, shape.clone())),
            wanted[2].then(|| tensor(of_weights.beta, shape)),
            None,
        ]
    }
}
