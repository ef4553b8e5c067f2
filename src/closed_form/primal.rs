//! Axes from the Gram matrix of the features, added up over chunks of rows: more samples than
//! features.

use faer::Mat;
use faer::linalg::matmul::matmul;
use faer::{Accum, Par};
use rayon::prelude::*;

use super::ClosedFormError;
use super::axes::{Axes, Coefficients, Spectrum, decompose};
use super::linear::{Standard, matrix, product};
use super::rows::{self, FeatureRows};
use super::targets::Prepared;

/// Rows that are read and multiplied at once.
const CHUNK: usize = 1024;
/// Columns of the sum that one thread works on.
const PANEL: usize = 256;

/// Features on their own principal axes; rows are read again when they are asked for.
#[derive(Debug)]
pub(super) struct Primal<'a, R> {
    rows: &'a R,
    roots: Vec<f64>,
    standard: Standard,
    /// Weighted means of the standardized features.
    centers: Vec<f64>,
    /// Eigenvectors, `[width, n_axes]`.
    vectors: Mat<f64>,
    spectrum: Spectrum,
}

/// Sums over all rows, of features less a shift that is close to their means.
#[derive(Debug)]
struct Sums {
    shift: Vec<f32>,
    /// Sums of columns, by panels of them.
    columns: Vec<ColumnSums>,
    /// Weighted sums of products, lower half by panels of columns.
    products: Vec<Mat<f64>>,
}

/// Sums over all rows of some features.
#[derive(Clone, Debug)]
struct ColumnSums {
    /// Of values and of squares, where every sample counts alike.
    values: Vec<f64>,
    squares: Vec<f64>,
    /// Of weighted values of the samples of each class, `[n_classes, n_features]`.
    by_class: Vec<f64>,
}

impl<'a, R: FeatureRows> Primal<'a, R> {
    pub(super) fn new(
        rows: &'a R,
        targets: &Prepared,
        floor: f64,
    ) -> Result<Self, ClosedFormError> {
        let n_rows = rows.n_rows() as f64;
        let sums = Sums::over(rows, targets)?;
        let n_classes = targets.n_classes;
        let means = sums.gathered(|sums| sums.values.iter().map(|sum| sum / n_rows).collect());
        let squares = sums.gathered(|sums| sums.squares.iter().map(|sum| sum / n_rows).collect());
        let variances = squares.iter().zip(&means);
        let variances: Vec<f64> = variances
            .map(|(square, mean)| square - mean * mean)
            .collect();
        let shifted = means.iter().zip(&sums.shift);
        let raw_means = shifted
            .map(|(mean, shift)| mean + f64::from(*shift))
            .collect();
        let standard = Standard::new(raw_means, &variances, rows.blocks(), floor);
        let of_classes: Vec<Vec<f64>> = (0..n_classes)
            .map(|class| sums.gathered(|sums| sums.of_class(class).to_vec()))
            .collect();
        let weighted: Vec<f64> = (0..means.len())
            .map(|feature| of_classes.iter().map(|sums| sums[feature]).sum::<f64>() / n_rows)
            .collect();
        let factors = &standard.factors;
        let matrix = sums.matrix(&weighted, factors, n_rows);
        let (values, vectors) = decompose(&matrix)?;
        drop(matrix);
        let y = Mat::from_fn(factors.len(), n_classes, |feature, class| {
            (of_classes[class][feature] - n_rows * weighted[feature] * targets.shares[class])
                * factors[feature]
        });
        let loadings = product(vectors.transpose(), y.as_ref());
        let centers = weighted.iter().zip(&means).zip(factors);
        let centers = centers.map(|((weighted, mean), factor)| (weighted - mean) * factor);
        Ok(Self {
            rows,
            roots: targets.roots.clone(),
            centers: centers.collect(),
            standard,
            vectors,
            spectrum: Spectrum { values, loadings },
        })
    }
}

impl<R: FeatureRows> Axes for Primal<'_, R> {
    fn spectrum(&self) -> &Spectrum {
        &self.spectrum
    }

    fn rows(&self, indices: &[usize]) -> Result<Mat<f64>, ClosedFormError> {
        let width = self.standard.means.len();
        let mut features = vec![0.0; indices.len() * width];
        rows::read(self.rows, indices, &mut features)?;
        self.standard.apply(&mut features);
        let features = matrix(&features, width);
        let n_axes = self.vectors.ncols();
        let starts: Vec<usize> = (0..indices.len()).step_by(PANEL).collect();
        let panels = starts.par_iter().map(|&start| {
            let n = PANEL.min(indices.len() - start);
            let centered = Mat::from_fn(n, width, |i, feature| {
                let root = self.roots[indices[start + i]];
                root * (f64::from(features[(start + i, feature)]) - self.centers[feature])
            });
            product(centered.as_ref(), self.vectors.as_ref())
        });
        let panels: Vec<Mat<f64>> = panels.collect();
        let mut out = Mat::zeros(indices.len(), n_axes);
        for (start, panel) in starts.into_iter().zip(panels) {
            let n = panel.nrows();
            out.subrows_mut(start, n).copy_from(&panel);
        }
        Ok(out)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the nearest 32-bit numbers are meant"
    )]
    fn coefficients(&self, targets: &Prepared, alpha: f64) -> Coefficients {
        let solved = product(self.vectors.as_ref(), self.spectrum.shrunk(alpha).as_ref());
        let mut intercepts = targets.shares.clone();
        let mut weights = Vec::with_capacity(solved.nrows() * solved.ncols());
        for feature in 0..solved.nrows() {
            let factor = self.standard.factors[feature];
            let center = self.centers[feature] + self.standard.means[feature] * factor;
            for (class, intercept) in intercepts.iter_mut().enumerate() {
                let weight = solved[(feature, class)];
                *intercept -= weight * center;
                weights.push((weight * factor) as f32);
            }
        }
        Coefficients {
            weights,
            intercepts: intercepts.into_iter().map(|value| value as f32).collect(),
        }
    }
}

impl Sums {
    fn over(rows: &impl FeatureRows, targets: &Prepared) -> Result<Self, ClosedFormError> {
        let width = rows::width(rows);
        let n_rows = rows.n_rows();
        let mut features = vec![0.0; CHUNK.min(n_rows) * width];
        let panels = (0..width).step_by(PANEL);
        let mut sums = Self {
            shift: vec![0.0; width],
            columns: panels
                .clone()
                .map(|first| ColumnSums::zeros(PANEL.min(width - first), targets.n_classes))
                .collect(),
            products: panels
                .map(|first| Mat::zeros(width - first, PANEL.min(width - first)))
                .collect(),
        };
        let indices: Vec<usize> = (0..n_rows).collect();
        for chunk in indices.chunks(CHUNK) {
            let features = &mut features[..chunk.len() * width];
            rows::read(rows, chunk, features)?;
            if chunk[0] == 0 {
                sums.shift = column_means(features, width);
            }
            sums.add(features, chunk, targets);
        }
        Ok(sums)
    }

    fn add(&mut self, features: &mut [f32], indices: &[usize], targets: &Prepared) {
        let width = self.shift.len();
        for row in features.chunks_exact_mut(width) {
            row.iter_mut()
                .zip(&self.shift)
                .for_each(|(x, shift)| *x -= shift);
        }
        let panels = self.columns.par_iter_mut().enumerate();
        panels
            .for_each(|(panel, sums)| sums.add(features, width, panel * PANEL, (indices, targets)));
        for (row, &index) in features.chunks_exact_mut(width).zip(indices) {
            let root = root32(targets.roots[index]);
            row.iter_mut().for_each(|x| *x *= root);
        }
        let all = matrix(features, width);
        self.products
            .par_iter_mut()
            .enumerate()
            .for_each(|(panel, sum)| {
                let first = panel * PANEL;
                let mut part = Mat::<f32>::zeros(sum.nrows(), sum.ncols());
                let left = all.subcols(first, sum.nrows()).transpose();
                let right = all.subcols(first, sum.ncols());
                matmul(part.as_mut(), Accum::Replace, left, right, 1.0, Par::Seq);
                for column in 0..sum.ncols() {
                    let part = part.col(column).iter();
                    for (sum, part) in sum.col_mut(column).iter_mut().zip(part) {
                        *sum += f64::from(*part);
                    }
                }
            });
    }

    /// Something of all columns.
    fn gathered(&self, of: impl Fn(&ColumnSums) -> Vec<f64>) -> Vec<f64> {
        self.columns.iter().flat_map(of).collect()
    }

    /// The lower half of the centered, scaled sum of products.
    fn matrix(&self, weighted: &[f64], factors: &[f64], n_rows: f64) -> Mat<f64> {
        let width = factors.len();
        let mut out = Mat::zeros(width, width);
        for (panel, products) in self.products.iter().enumerate() {
            for column in 0..products.ncols() {
                let j = panel * PANEL + column;
                for i in j..width {
                    let sum = products[(i - panel * PANEL, column)];
                    let centered = sum - n_rows * weighted[i] * weighted[j];
                    out[(i, j)] = centered * factors[i] * factors[j];
                }
            }
        }
        out
    }
}

impl ColumnSums {
    fn zeros(n_features: usize, n_classes: usize) -> Self {
        Self {
            values: vec![0.0; n_features],
            squares: vec![0.0; n_features],
            by_class: vec![0.0; n_features * n_classes],
        }
    }

    fn of_class(&self, class: usize) -> &[f64] {
        &self.by_class[class * self.values.len()..][..self.values.len()]
    }

    /// Adds rows of `width` features, of which these start at `first`.
    fn add(
        &mut self,
        rows: &[f32],
        width: usize,
        first: usize,
        (indices, targets): (&[usize], &Prepared),
    ) {
        let n_features = self.values.len();
        for (row, &index) in rows.chunks_exact(width).zip(indices) {
            let row = &row[first..][..n_features];
            let sums = self.values.iter_mut().zip(&mut self.squares);
            for (x, (sum, squares)) in row.iter().zip(sums) {
                let x = f64::from(*x);
                *sum += x;
                *squares += x * x;
            }
            let weight = targets.weights[index];
            let by_class = &mut self.by_class[targets.labels[index] * n_features..][..n_features];
            for (x, sum) in row.iter().zip(by_class) {
                *sum += weight * f64::from(*x);
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the nearest 32-bit number is meant"
)]
fn root32(root: f64) -> f32 {
    root as f32
}

#[expect(clippy::cast_possible_truncation, reason = "a shift need not be exact")]
fn column_means(features: &[f32], width: usize) -> Vec<f32> {
    let n_rows = (features.len() / width) as f64;
    let mut sums = vec![0.0; width];
    for row in features.chunks_exact(width) {
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, x)| *sum += f64::from(*x));
    }
    sums.into_iter().map(|sum| (sum / n_rows) as f32).collect()
}
