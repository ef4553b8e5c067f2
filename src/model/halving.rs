//! Convolutions that halve a line or a plane: a gather, and a linear layer over what is gathered.
//!
//! Burn's own convolutions are slow on the CPU where they learn; a linear layer is not. Channels
//! come last, so that what leaves the last convolution are tokens.

use burn::nn::{Linear, LinearConfig};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::tokenizer::torch_linear;
use crate::model::fused;

/// Points and rows and columns from one window to the next.
pub(super) const STRIDE: usize = 2;
/// Width and height of the window on a plane.
const SQUARE: usize = 3;

/// Layers for windows of `window` cells, through `channels`.
pub(super) fn stack<B: Backend>(
    windows: impl IntoIterator<Item = usize>,
    channels: &[usize],
    device: &B::Device,
) -> Vec<Linear<B>> {
    let pairs = channels.windows(2).zip(windows);
    let layer = |(pair, window): (&[usize], usize)| {
        LinearConfig::new(window * pair[0], pair[1])
            .with_initializer(torch_linear())
            .init(device)
    };
    pairs.map(layer).collect()
}

/// Number of cells of the windows on a plane.
pub(super) fn square() -> usize {
    SQUARE * SQUARE
}

/// Halves planes once for every layer, with GELU in between.
///
/// # Shapes
/// - x: `[n, height, width, channels]`
/// - output: `[n, height / 2^layers * width / 2^layers, d_output]`, row-major
pub(super) fn halve_planes<B: Backend>(layers: &[Linear<B>], x: Tensor<B, 4>) -> Tensor<B, 3> {
    let [n, mut height, mut width, channels] = x.dims();
    let mut cells = x.reshape([n, height * width, channels]);
    for (i, layer) in layers.iter().enumerate() {
        let channels = cells.dims()[2];
        let plane = activated(cells, i > 0).reshape([n, height, width, channels]);
        (height, width) = (height / STRIDE, width / STRIDE);
        cells = fused::linear(layer, fused::plane_windows(plane, SQUARE, STRIDE));
    }
    cells
}

/// Halves lines once for every layer, with GELU in between.
///
/// # Shapes
/// - x: `[n, points, channels]`
/// - output: `[n, points / 2^layers, d_output]`
pub(super) fn halve_lines<B: Backend>(layers: &[Linear<B>], x: Tensor<B, 3>) -> Tensor<B, 3> {
    layers.iter().enumerate().fold(x, |x, (i, layer)| {
        let x = activated(x, i > 0);
        let window = layer.weight.dims()[0] / x.dims()[2];
        fused::linear(layer, fused::windows(x, window, STRIDE))
    })
}

/// The exact GELU where `active`.
fn activated<B: Backend>(x: Tensor<B, 3>, active: bool) -> Tensor<B, 3> {
    match active {
        true => fused::gelu(x),
        false => x,
    }
}
