//! What a classifier takes: values to read, pictures to see.

use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, Tensor};

/// The values of a batch of series, normalized.
#[derive(Clone, Debug)]
pub struct SeriesInput<B: Backend> {
    /// `[batch, n_steps, n_variates]`, missing and padded steps are 0
    pub values: Tensor<B, 3>,
    /// `[batch, n_steps, n_variates]`, false where a step is missing or past the end of its
    /// series; `None` if every step is valid
    pub valid: Option<Tensor<B, 3, Bool>>,
    /// `[batch, n_variates, 2]`, standardized mean and standard deviation of each variate, for models that
    /// read them
    pub statistics: Option<Tensor<B, 3>>,
    /// `[batch, n_variates, n_points, 4]`, points on the axes of the pictures, for models that read
    /// them; [`AxisReader`](crate::raster::AxisReader) makes them
    pub points: Option<Tensor<B, 4>>,
}

/// What the vision branch sees.
#[derive(Clone, Debug)]
pub enum VisionInput<B: Backend> {
    /// Line plots, one a variate.
    Masks {
        /// `[batch, n_variates, side, side]`, coverage `0..=255`, any integer type
        masks: Tensor<B, 4, Int>,
        /// `[n_variates, 256, 3]`, the normalized pixel of every level of coverage; or
        /// `[n_variates, 2, 3]`, blank paper and full ink with a linear blend between them
        colors: Tensor<B, 3>,
    },
    /// Outputs of the vision encoder, `[batch, n_variates, d_vision]`, computed before.
    Features(Tensor<B, 3>),
}

/// A batch as the classifier takes it. A branch that the model lacks ignores its part.
#[derive(Clone, Debug)]
pub struct TimesClipInput<B: Backend> {
    /// For the language branch.
    pub series: Option<SeriesInput<B>>,
    /// For the vision branch.
    pub vision: Option<VisionInput<B>>,
}
