//! What convolutions along time and on planes are made of: windows, batch norm, pooling.

use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, Tensor};

use super::concat;
#[cfg(feature = "cpu")]
use super::{cpu, float, try_fused};

/// Windows of `size` steps centered on every `stride`-th step; what lies outside is 0.
///
/// # Shapes
/// - x: `[n, steps, channels]`
/// - output: `[n, ceil(steps / stride), size * channels]`
///
/// # Panics
/// If `size` is even.
pub(crate) fn windows<B: Backend>(x: Tensor<B, 3>, size: usize, stride: usize) -> Tensor<B, 3> {
    assert!(
        !size.is_multiple_of(2),
        "windows of {size} steps have no center"
    );
    #[cfg(feature = "cpu")]
    if let Some(y) = try_fused(&cpu::CutWindows { size, stride }, &[float(x.clone())]) {
        return y;
    }
    plain_windows(x, size, stride)
}

/// As [`windows`], in Burn's terms.
pub(super) fn plain_windows<B: Backend>(
    x: Tensor<B, 3>,
    size: usize,
    stride: usize,
) -> Tensor<B, 3> {
    let ([n, steps, channels], device) = (x.dims(), x.device());
    let count = steps.div_ceil(stride);
    let outside = || Tensor::zeros([n, size / 2, channels], (&device, x.dtype()));
    let padded = concat(vec![outside(), x.clone(), outside()], 1);
    let first = Tensor::<B, 1, Int>::arange(0..count as i64, &device) * stride as i64;
    let place = Tensor::<B, 1, Int>::arange(0..size as i64, &device);
    let index = first.reshape([count, 1]) + place.reshape([1, size]);
    padded
        .select(1, index.reshape([count * size]))
        .reshape([n, count, size * channels])
}

/// Square windows of `size` cells a side, centered on every `stride`-th cell of every `stride`-th
/// row; what lies outside is 0.
///
/// # Shapes
/// - x: `[n, height, width, channels]`
/// - output: `[n, ceil(height / stride) * ceil(width / stride), size * size * channels]`, row-major
///
/// # Panics
/// If `size` is even.
pub(crate) fn plane_windows<B: Backend>(
    x: Tensor<B, 4>,
    size: usize,
    stride: usize,
) -> Tensor<B, 3> {
    assert!(
        !size.is_multiple_of(2),
        "windows of {size} cells have no center"
    );
    #[cfg(feature = "cpu")]
    if let Some(y) = try_fused(&cpu::CutPlanes { size, stride }, &[float(x.clone())]) {
        return y;
    }
    plain_plane_windows(x, size, stride)
}

/// As [`plane_windows`], in Burn's terms.
pub(super) fn plain_plane_windows<B: Backend>(
    x: Tensor<B, 4>,
    size: usize,
    stride: usize,
) -> Tensor<B, 3> {
    let [n, height, width, channels] = x.dims();
    let (rows, columns) = (height.div_ceil(stride), width.div_ceil(stride));
    let along = plain_windows(x.reshape([n * height, width, channels]), size, stride);
    let along = along.reshape([n, height, columns * size * channels]);
    plain_windows(along, size, stride)
        .reshape([n, rows, size, columns, size * channels])
        .swap_dims(2, 3)
        .reshape([n, rows * columns, size * size * channels])
}

/// Scale, shift and what is added to the variance of a batch norm.
#[derive(Clone, Debug)]
pub(crate) struct Affine<B: Backend> {
    pub(crate) gamma: Tensor<B, 1>,
    pub(crate) beta: Tensor<B, 1>,
    pub(crate) epsilon: f64,
}

impl<B: Backend> Affine<B> {
    /// Batch norm by the statistics of `x` itself, over its valid rows; others come out as zeros.
    ///
    /// # Shapes
    /// - x, output: `[n, width]`
    /// - valid: `[n]`
    /// - second output: mean and biased variance, `[2, width]`, without a gradient
    pub(crate) fn by_batch(
        self,
        x: Tensor<B, 2>,
        valid: Option<Tensor<B, 1, Bool>>,
    ) -> (Tensor<B, 2>, Tensor<B, 2>) {
        #[cfg(feature = "cpu")]
        if let Some(valid) = cpu_mask(valid.clone())
            && let operation = (cpu::Moments { valid })
            // A leaf that is detached still asks for a gradient.
            && let apart = x.clone().detach().set_require_grad(false)
            && let Some(moments) = try_fused(&operation, &[float(apart)])
        {
            let y = self.try_fused(x.clone(), operation.valid, (moments.clone(), true));
            if let Some(y) = y {
                return (y, moments);
            }
        }
        self.plain_by_batch(x, valid)
    }

    /// As [`by_batch`](Self::by_batch), in Burn's terms.
    pub(super) fn plain_by_batch(
        self,
        x: Tensor<B, 2>,
        valid: Option<Tensor<B, 1, Bool>>,
    ) -> (Tensor<B, 2>, Tensor<B, 2>) {
        let (n, counted) = match &valid {
            Some(valid) => {
                let counted = valid.clone().float().unsqueeze_dim::<2>(1);
                (
                    counted.clone().sum().clamp_min(1.0).unsqueeze(),
                    x.clone() * counted,
                )
            }
            None => {
                let n = Tensor::full([1, 1], x.dims()[0] as f32, &x.device());
                (n, x.clone())
            }
        };
        let mean = counted.sum_dim(0) / n.clone();
        let apart = keep_valid(x.clone() - mean.clone(), valid.clone());
        let variance = apart.powi_scalar(2).sum_dim(0) / n;
        let moments = concat(vec![mean, variance], 0);
        (self.plain(x, valid, moments.clone()), moments.detach())
    }

    /// Batch norm by given statistics; rows that are not valid come out as zeros.
    ///
    /// # Shapes
    /// - x, output: `[n, width]`
    /// - valid: `[n]`
    /// - moments: mean and variance, `[2, width]`
    pub(crate) fn by_moments(
        self,
        x: Tensor<B, 2>,
        valid: Option<Tensor<B, 1, Bool>>,
        moments: Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        #[cfg(feature = "cpu")]
        if let Some(mask) = cpu_mask(valid.clone())
            && let Some(y) = self.try_fused(x.clone(), mask, (moments.clone(), false))
        {
            return y;
        }
        self.plain(x, valid, moments)
    }

    #[cfg(feature = "cpu")]
    fn try_fused(
        &self,
        x: Tensor<B, 2>,
        valid: Option<burn_flex::FlexTensor>,
        (moments, learned): (Tensor<B, 2>, bool),
    ) -> Option<Tensor<B, 2>> {
        let operation = cpu::BatchNorm {
            valid,
            epsilon: self.epsilon,
            learned,
        };
        let inputs = [
            float(x),
            float(self.gamma.clone()),
            float(self.beta.clone()),
            float(moments),
        ];
        try_fused(&operation, &inputs)
    }

    /// As [`by_moments`](Self::by_moments), in Burn's terms.
    pub(super) fn plain(
        self,
        x: Tensor<B, 2>,
        valid: Option<Tensor<B, 1, Bool>>,
        moments: Tensor<B, 2>,
    ) -> Tensor<B, 2> {
        let (mean, variance) = (moments.clone().narrow(0, 0, 1), moments.narrow(0, 1, 1));
        let y = (x - mean) / (variance + self.epsilon).sqrt();
        keep_valid(y * self.gamma.unsqueeze() + self.beta.unsqueeze(), valid)
    }
}

/// `x`, and zeros in its rows that are not valid.
fn keep_valid<B: Backend>(x: Tensor<B, 2>, valid: Option<Tensor<B, 1, Bool>>) -> Tensor<B, 2> {
    match valid {
        Some(valid) => x * valid.float().unsqueeze_dim(1),
        None => x,
    }
}

/// The mask as the CPU backend has it, if this is it: none, or one.
#[cfg(feature = "cpu")]
#[expect(
    clippy::option_option,
    reason = "whether it is the CPU, and whether there is a mask"
)]
fn cpu_mask<B: Backend>(
    valid: Option<Tensor<B, 1, Bool>>,
) -> Option<Option<burn_flex::FlexTensor>> {
    match valid {
        None => super::is_cpu::<B>().then_some(None),
        Some(valid) => cpu::bools::<B>(valid.into_primitive()).map(Some),
    }
}
