//! Axes from the Gram matrix of the samples: fewer samples than features.

use super::ClosedFormError;
use super::axes::{Axes, Coefficients, Spectrum, decompose};
use super::linear::{Standard, gram, matrix, product, transposed_product};
use super::rows::{self, FeatureRows};
use super::targets::Prepared;
use faer::Mat;

/// Samples on their own principal axes.
#[derive(Debug)]
pub(super) struct Dual {
    /// Standardized, scaled features, `[n_rows, width]`.
    features: Vec<f32>,
    standard: Standard,
    /// `[n_rows, n_axes]`.
    on_axes: Mat<f64>,
    spectrum: Spectrum,
}

impl Dual {
    pub(super) fn new(
        rows: &impl FeatureRows,
        targets: &Prepared,
        floor: f64,
    ) -> Result<Self, ClosedFormError> {
        let (n_rows, width) = (rows.n_rows(), rows::width(rows));
        let mut features = vec![0.0; n_rows * width];
        let indices: Vec<usize> = (0..n_rows).collect();
        rows::read(rows, &indices, &mut features)?;
        let (means, variances) = moments(&features, width);
        let standard = Standard::new(means, &variances, rows.blocks(), floor);
        standard.apply(&mut features);
        let mut kernel = gram(matrix(&features, width));
        center(&mut kernel, targets);
        let (values, mut on_axes) = decompose(&kernel)?;
        drop(kernel);
        for (axis, value) in values.iter().enumerate() {
            let root = value.sqrt();
            on_axes
                .col_mut(axis)
                .iter_mut()
                .for_each(|place| *place *= root);
        }
        let y = Mat::from_fn(n_rows, targets.n_classes, |i, c| targets.centered(i, c));
        let loadings = product(on_axes.transpose(), y.as_ref());
        Ok(Self {
            features,
            standard,
            on_axes,
            spectrum: Spectrum { values, loadings },
        })
    }
}

impl Axes for Dual {
    fn spectrum(&self) -> &Spectrum {
        &self.spectrum
    }

    fn rows(&self, indices: &[usize]) -> Result<Mat<f64>, ClosedFormError> {
        Ok(Mat::from_fn(
            indices.len(),
            self.on_axes.ncols(),
            |i, axis| self.on_axes[(indices[i], axis)],
        ))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the nearest 32-bit numbers are meant"
    )]
    fn coefficients(&self, targets: &Prepared, alpha: f64) -> Coefficients {
        // With P = Q root(values), the samples' coefficients are root(w) Q (values + alpha)^-1 Q'Y.
        let mut shrunk = self.spectrum.shrunk(alpha);
        for (axis, value) in self.spectrum.values.iter().enumerate() {
            shrunk
                .row_mut(axis)
                .iter_mut()
                .for_each(|place| *place /= value);
        }
        let mut of_samples = product(self.on_axes.as_ref(), shrunk.as_ref());
        for (i, root) in targets.roots.iter().enumerate() {
            of_samples
                .row_mut(i)
                .iter_mut()
                .for_each(|place| *place *= root);
        }
        let (width, n_classes) = (self.standard.means.len(), targets.n_classes);
        let mut weights = transposed_product(&self.features, width, of_samples.as_ref());
        let shares = Mat::from_fn(targets.n_rows(), 1, |i, _| {
            targets.weights[i] / targets.n_rows() as f64
        });
        let centers = transposed_product(&self.features, width, shares.as_ref());
        let mut intercepts = targets.shares.clone();
        for (feature, weights) in weights.chunks_exact_mut(n_classes).enumerate() {
            let factor = self.standard.factors[feature];
            for (weight, intercept) in weights.iter_mut().zip(&mut intercepts) {
                *intercept -= *weight * (centers[feature] + self.standard.means[feature] * factor);
                *weight *= factor;
            }
        }
        Coefficients {
            weights: weights.into_iter().map(|weight| weight as f32).collect(),
            intercepts: intercepts.into_iter().map(|value| value as f32).collect(),
        }
    }
}

/// Means and variances of every feature.
fn moments(features: &[f32], width: usize) -> (Vec<f64>, Vec<f64>) {
    let n_rows = (features.len() / width) as f64;
    let mut means = vec![0.0; width];
    for row in features.chunks_exact(width) {
        means
            .iter_mut()
            .zip(row)
            .for_each(|(sum, x)| *sum += f64::from(*x));
    }
    means.iter_mut().for_each(|mean| *mean /= n_rows);
    let mut variances = vec![0.0; width];
    for row in features.chunks_exact(width) {
        let places = variances.iter_mut().zip(row.iter().zip(&means));
        places.for_each(|(sum, (x, mean))| *sum += (f64::from(*x) - mean).powi(2));
    }
    variances
        .iter_mut()
        .for_each(|variance| *variance /= n_rows);
    (means, variances)
}

/// Takes weighted means out of the rows and columns of a symmetric matrix of which the lower half
/// is given, and multiplies both by the roots of the weights.
fn center(kernel: &mut Mat<f64>, targets: &Prepared) {
    let n = kernel.nrows();
    let shares: Vec<f64> = targets.weights.iter().map(|w| w / n as f64).collect();
    let mut means = vec![0.0; n];
    for (column, &share) in shares.iter().enumerate() {
        means[column] += kernel[(column, column)] * share;
        for row in column + 1..n {
            means[row] += kernel[(row, column)] * share;
            means[column] += kernel[(row, column)] * shares[row];
        }
    }
    let overall: f64 = means
        .iter()
        .zip(&shares)
        .map(|(mean, share)| mean * share)
        .sum();
    for column in 0..n {
        for row in column..n {
            let centered = kernel[(row, column)] - means[row] - means[column] + overall;
            kernel[(row, column)] = centered * targets.roots[row] * targets.roots[column];
        }
    }
}
