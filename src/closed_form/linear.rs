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
    /// The root of the block's share over the feature's variance and the floor; 0 for constants.
    pub(super) factors: Vec<f64>,
}

impl Standard {
    /// From the means and variances of the features of some blocks, whose variances are all taken to be
    /// larger by the square of `floor` medians of the block's standard deviations.
    pub(super) fn new(means: Vec<f64>, variances: &[f64], blocks: &[Block], floor: f64) -> Self {
        let varies = |feature: &usize| {
            let std = variances[*feature].max(0.0).sqrt();
            std > CONSTANT * means[*feature].abs() && std > 0.0
        };
        let mut factors = vec![0.0; means.len()];
        let mut first = 0;
        for block in blocks {
            let varying: Vec<usize> = (first..first + block.width).filter(varies).collect();
            first += block.width;
            let mut sorted: Vec<f64> = varying.iter().map(|&f| variances[f]).collect();
            sorted.sort_unstable_by(f64::total_cmp);
            let Some(median) = sorted.get(sorted.len() / 2) else {
                continue;
            };
            let added = floor * floor * median;
            let total: f64 = sorted.iter().map(|v| v / (v + added)).sum();
            for feature in varying {
                factors[feature] = (block.scale / total / (variances[feature] + added)).sqrt();
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hardly_varies_is_not_blown_up() {
        let blocks = [3, 2].map(|width| Block { width, scale: 2.0 });
        let (means, variances) = (vec![1.0; 5], [4.0, 4.0, 4e-4, 0.0, 9.0]);
        let standard = |floor| Standard::new(means.clone(), &variances, &blocks, floor).factors;

        let plain = standard(0.0);
        let expected = [2.0, 2.0, 0.02].map(|std: f64| (2.0_f64 / 3.0).sqrt() / std);
        for (found, expected) in plain.iter().zip(expected) {
            assert!((found / expected - 1.0).abs() < 1e-12, "{plain:?}");
        }
        assert_eq!(plain[3], 0.0, "a constant");

        let raised = standard(0.5);
        assert!(raised[2] < plain[2] / 30.0, "{raised:?}");
        assert!(
            (raised[2] / raised[0] - 5f64.sqrt() / 1.0002_f64.sqrt()).abs() < 0.01,
            "{raised:?}"
        );
        for factors in [plain, raised] {
            for (features, scale) in [(0..3, 2.0), (3..5, 2.0)] {
                let size: f64 = features.map(|f| factors[f].powi(2) * variances[f]).sum();
                assert!((size - scale).abs() < 1e-12, "a block of size {size}");
            }
        }
    }
}
