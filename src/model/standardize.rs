//! Standardizing the features of a frozen encoder by what they are over the training samples.

use burn::module::{Module, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// Added to the standard deviation, so that a feature that never changes stays zero.
const EPSILON: f32 = 1e-6;

/// Shifts and scales every feature to mean 0 and standard deviation 1 over the training samples.
///
/// Does nothing until it is [fitted](Self::fitted). What it was fitted to is part of the record
/// but is not trained.
///
/// # Source
/// Linear heads on frozen features gain much from it: He et al., "Masked Autoencoders Are Scalable
/// Vision Learners" (arXiv:2111.06377, appendix A), who use a batch norm without affine part.
#[derive(Module, Debug)]
pub struct Standardize<B: Backend> {
    /// Mean of every feature, `[d_output]`.
    pub mean: Param<Tensor<B, 1>>,
    /// Deviation of every feature, `[d_output]`.
    pub std: Param<Tensor<B, 1>>,
}

impl<B: Backend> Standardize<B> {
    pub(super) fn new(d_output: usize, device: &B::Device) -> Self {
        let constant = |tensor| Param::initialized(ParamId::new(), tensor);
        Self {
            mean: constant(Tensor::zeros([d_output], device)),
            std: constant(Tensor::ones([d_output], device)),
        }
    }

    /// The same module with the mean and the standard deviation of the training samples' features.
    ///
    /// # Panics
    /// If there are not as many as there are features.
    #[must_use]
    pub fn fitted(self, mean: &[f32], std: &[f32]) -> Self {
        let device = self.mean.device();
        let [d_output] = self.mean.dims();
        let fitted = |param: Param<Tensor<B, 1>>, values: &[f32]| {
            let found = values.len();
            assert_eq!(found, d_output, "{found} numbers for {d_output} features");
            param.map(|_| Tensor::from_floats(values, &device))
        };
        Self {
            mean: fitted(self.mean, mean),
            std: fitted(self.std, std),
        }
    }

    /// # Shapes
    /// - x, output: `[batch, n_variates, d_output]`
    pub(super) fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        (x - self.mean.val().unsqueeze()) / (self.std.val() + EPSILON).unsqueeze()
    }
}
