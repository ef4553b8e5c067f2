//! The ridge on its principal axes.

use faer::Mat;

use super::ClosedFormError;
use super::targets::Prepared;

/// Axes below this share of the largest eigenvalue are rounding errors.
const SMALLEST: f64 = 1e-12;

/// The principal axes of the centered, weighted features `X`, of which `X'X` is diagonal.
///
/// With `P` the rows of `X` on these axes, `P'P = diag(values)`; for any penalty the fitted values
/// are `P (values + alpha)^-1 loadings`, and leverages are row sums of `P^2 / (values + alpha)`.
pub(super) trait Axes: Sync {
    fn spectrum(&self) -> &Spectrum;

    /// Rows of `P`, `[indices.len(), n_axes]`.
    fn rows(&self, indices: &[usize]) -> Result<Mat<f64>, ClosedFormError>;

    /// Weights of raw features, `[n_features, n_classes]`, and intercepts.
    fn coefficients(&self, targets: &Prepared, alpha: f64) -> Coefficients;
}

/// A linear function of raw features.
#[derive(Clone, Debug)]
pub(super) struct Coefficients {
    pub(super) weights: Vec<f32>,
    pub(super) intercepts: Vec<f32>,
}

/// Eigenvalues, and the targets on the axes.
#[derive(Clone, Debug)]
pub(super) struct Spectrum {
    pub(super) values: Vec<f64>,
    /// `P' Y`, `[n_axes, n_classes]`.
    pub(super) loadings: Mat<f64>,
}

impl Spectrum {
    /// Loadings over penalized eigenvalues, `[n_axes, n_classes]`.
    pub(super) fn shrunk(&self, alpha: f64) -> Mat<f64> {
        let (n_axes, n_classes) = (self.loadings.nrows(), self.loadings.ncols());
        Mat::from_fn(n_axes, n_classes, |axis, class| {
            self.loadings[(axis, class)] / (self.values[axis] + alpha)
        })
    }
}

/// Eigenvalues and eigenvectors of a symmetric matrix of which the lower half is read, without
/// those that are zero up to rounding; the largest come last.
pub(super) fn decompose(matrix: &Mat<f64>) -> Result<(Vec<f64>, Mat<f64>), ClosedFormError> {
    let size = matrix.nrows();
    let decomposed = matrix
        .self_adjoint_eigen(faer::Side::Lower)
        .map_err(|_| ClosedFormError::Decomposition { size })?;
    let values: Vec<f64> = (0..size).map(|i| decomposed.S()[i]).collect();
    let least = values.last().copied().unwrap_or_default().max(0.0) * SMALLEST;
    let first = values.partition_point(|&value| value <= least);
    let vectors = decomposed.U().subcols(first, size - first).to_owned();
    Ok((values[first..].to_vec(), vectors))
}
