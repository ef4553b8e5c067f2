//! Products of matrices, and the statistics that features are standardized by.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rayon::prelude::*;

use super::rows::Block;

/// Rows of a product that one thread works on: the result does not depend on the threads.
const PANEL: usize = 128;
/// Terms that are summed in 32 bits before they go into a 64-bit sum.
const TERMS: usize = 1024;
/// A feature whose standard deviation is below this share of its size is constant up to rounding.
const CONSTANT: f64 = 1e-6;

/// Row-major values as a matrix.
pub(super) fn matrix<T>(values: &[T], width: usize) -> MatRef<'_, T> {
    MatRef::from_row_major_slice(values, values.len() / width, width)
}

/// `left * right`.
pub(super) fn product(left: MatRef<'_, f64>, right: MatRef<'_, f64>) -> Mat<f64> {
    let mut out = Mat::zeros(left.nrows(), right.ncols());
    matmul(out.as_mut(), Accum::Replace, left, right, 1.0, Par::Seq);
    out
}

/// The lower half of `left * left'`, in 64 bits from short 32-bit sums.
pub(super) fn gram(left: MatRef<'_, f32>) -> Mat<f64> {
    let n = left.nrows();
    let starts: Vec<usize> = (0..n).step_by(PANEL).collect();
    let panel = |&start: &usize| {
        let end = (start + PANEL).min(n);
        let mut part = Mat::<f32>::zeros(end - start, end);
        let mut sum = Mat::<f64>::zeros(end - start, end);
        for first in (0..left.ncols()).step_by(TERMS) {
            let terms = left.subcols(first, TERMS.min(left.ncols() - first));
            let (rows, others) = (terms.subrows(start, end - start), terms.subrows(0, end));
            let others = others.transpose();
            matmul(part.as_mut(), Accum::Replace, rows, others, 1.0, Par::Seq);
            add(&mut sum, &part);
        }
        sum
    };
    let panels: Vec<Mat<f64>> = starts.par_iter().map(panel).collect();
    let mut out = Mat::zeros(n, n);
    for (start, panel) in starts.into_iter().zip(panels) {
        let (height, width) = (panel.nrows(), panel.ncols());
        out.submatrix_mut(start, 0, height, width).copy_from(&panel);
    }
    out
}

/// `rows' * right`, row-major `[width, right.ncols()]`.
pub(super) fn transposed_product(rows: &[f32], width: usize, right: MatRef<'_, f64>) -> Vec<f64> {
    let n_columns = right.ncols();
    let mut out = vec![0.0; width * n_columns];
    let panels = out.par_chunks_mut(PANEL * n_columns).enumerate();
    panels.for_each(|(panel, out)| {
        let first = panel * PANEL;
        for (i, row) in rows.chunks_exact(width).enumerate() {
            let features = row[first..].iter().zip(out.chunks_exact_mut(n_columns));
            for (x, sums) in features {
                let x = f64::from(*x);
                for (column, sum) in sums.iter_mut().enumerate() {
                    *sum += x * right[(i, column)];
                }
            }
        }
    });
    out
}

fn add(sum: &mut Mat<f64>, part: &Mat<f32>) {
    for column in 0..sum.ncols() {
        let part = part.col(column).iter();
        for (sum, part) in sum.col_mut(column).iter_mut().zip(part) {
            *sum += f64::from(*part);
        }
    }
}

/// How features are standardized and scaled: `(x - mean) * factor`.
#[derive(Clone, Debug)]
pub(super) struct Standard {
    pub(super) means: Vec<f64>,
    /// The block's share per varying feature, over the feature's standard deviation; 0 for constants.
    pub(super) factors: Vec<f64>,
}

impl Standard {
    /// From the means and variances of the features of some blocks.
    pub(super) fn new(means: Vec<f64>, variances: &[f64], blocks: &[Block]) -> Self {
        let varies = |feature: usize| {
            let std = variances[feature].max(0.0).sqrt();
            std > CONSTANT * means[feature].abs() && std > 0.0
        };
        let mut factors = vec![0.0; means.len()];
        let mut first = 0;
        for block in blocks {
            let features = first..first + block.width;
            let n_varying = features.clone().filter(|&feature| varies(feature)).count();
            for feature in features.filter(|&feature| varies(feature)) {
                factors[feature] = (block.scale / n_varying as f64 / variances[feature]).sqrt();
            }
            first += block.width;
        }
        Self { means, factors }
    }

    /// Standardizes rows, in place.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the nearest 32-bit number is meant"
    )]
    pub(super) fn apply(&self, rows: &mut [f32]) {
        let width = self.means.len();
        rows.par_chunks_mut(width).for_each(|row| {
            let scales = self.means.iter().zip(&self.factors);
            for (value, (mean, factor)) in row.iter_mut().zip(scales) {
                *value = ((f64::from(*value) - mean) * factor) as f32;
            }
        });
    }
}
