//! Windows along lines and on planes.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;

use super::super::kernels::{self, PlaneWindows, Windows};
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

/// Square windows centered on every `stride`-th cell of every `stride`-th row:
/// `[n, height, width, channels]` to `[n, height / stride * width / stride, size * size * channels]`.
#[derive(Clone, Debug)]
pub(crate) struct CutPlanes {
    pub(crate) size: usize,
    pub(crate) stride: usize,
}

impl CutPlanes {
    fn of(&self, shape: &Shape) -> (usize, PlaneWindows) {
        let [n, height, width, channels] = shape.dims();
        let &Self { size, stride } = self;
        let along = |steps, channels| Windows {
            steps,
            channels,
            size,
            stride,
        };
        let windows = PlaneWindows {
            rows: along(height, 1),
            columns: along(width, channels),
        };
        (n, windows)
    }
}

impl Fused<1> for CutPlanes {
    fn forward(&self, [x]: [FlexTensor; 1], _: bool) -> (FlexTensor, Vec<FlexTensor>) {
        let x = contiguous(x);
        let (n, windows) = self.of(&x.shape());
        let shape = Shape::new([n, windows.count(), windows.row()]);
        let mut out = vec![0.0; shape.num_elements()];
        kernels::plane_windows(&mut out, numbers(&x), windows);
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
        kernels::plane_windows_backward(&mut out, numbers(&gradient), self.of(&shape).1);
        [Some(tensor(out, shape))]
    }
}
