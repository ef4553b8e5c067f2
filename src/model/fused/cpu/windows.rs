//! Windows, and the pooling of the steps that some of them cover.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;

use super::super::kernels::{self, Windows};
use super::{Fused, contiguous, numbers, tensor};

/// Windows centered on every `stride`-th step: `[n, steps, channels]` to
/// `[n, steps / stride, size * channels]`.
#[derive(Clone, Debug)]
pub(crate) struct CutWindows {
    pub(crate) size: usize,
    pub(crate) stride: usize,
}

impl CutWindows {
    fn of(&self, shape: &Shape) -> (usize, Windows) {
        let [n, steps, channels] = shape.dims();
        let &Self { size, stride } = self;
        let windows = Windows {
            steps,
            channels,
            size,
            stride,
        };
        (n, windows)
    }
}

impl Fused<1> for CutWindows {
    fn forward(&self, [x]: [FlexTensor; 1], _: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let x = contiguous(x);
        let (n, windows) = self.of(&x.shape());
        let shape = Shape::new([n, windows.count(), windows.row()]);
        let mut out = vec![0.0; shape.num_elements()];
        kernels::windows(&mut out, numbers(&x), windows);
        (tensor(out, shape), vec![x])
    }

    fn backward(
        &self,
        kept: Vec<FlexTensor>,
        gradient: FlexTensor,
        _: [bool; 1],
    ) -> [Option<FlexTensor>; 1] {
        let gradient = contiguous(gradient);
        let shape = kept[0].shape();
        let mut out = vec![0.0; shape.num_elements()];
        kernels::windows_backward(&mut out, numbers(&gradient), self.of(&shape).1);
        [Some(tensor(out, shape))]
    }
}
