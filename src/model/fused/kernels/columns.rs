//! Batch norm: every column of some rows by its own mean and variance. Rows that do not count are
//! left out of both, and come out as zeros.

use pulp::{Arch, Simd};
use rayon::prelude::*;

use super::norm::NormGradients;
use super::{SUMMED_ROWS, accumulated};

/// A matrix, and which of its rows count; all do without a mask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counted<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) valid: Option<&'a [u8]>,
    pub(crate) width: usize,
}

/// Mean and variance of every column, and what the norm makes of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnNorm<'a> {
    pub(crate) mean: &'a [f32],
    pub(crate) variance: &'a [f32],
    pub(crate) gamma: &'a [f32],
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

impl Counted<'_> {
    /// Number of rows that count, as a divisor.
    pub(crate) fn count(self) -> f32 {
        let all = self.rows.len() / self.width;
        let n = self.valid.map_or(all, |valid| {
            valid.iter().filter(|valid| **valid != 0).count()
        });
        n.max(1) as f32
    }

    /// Adds `term` of every row that counts to sums, in an order that threads do not change.
    fn sums(self, n_sums: usize, term: impl Fn(&[f32], &mut [f32]) + Sync) -> Vec<f32> {
        let chunks = self.rows.par_chunks(SUMMED_ROWS * self.width).enumerate();
        let parts: Vec<Vec<f32>> = chunks
            .map(|(i, rows)| {
                let mut sums = vec![0.0; n_sums];
                self.each(i * SUMMED_ROWS, rows, |row| term(row, &mut sums));
                sums
            })
            .collect();
        accumulated(&parts, n_sums)
    }

    /// Calls `work` with the rows that count, of some that start at the row `first`.
    fn each(self, first: usize, rows: &[f32], mut work: impl FnMut(&[f32])) {
        for (i, row) in rows.chunks_exact(self.width).enumerate() {
            if self.valid.is_none_or(|valid| valid[first + i] != 0) {
                work(row);
            }
        }
    }

    /// Mean and biased variance of every column, one after the other.
    pub(crate) fn moments(self) -> Vec<f32> {
        let count = self.count();
        #[expect(clippy::redundant_closure, reason = "the function is of one lifetime")]
        let mut moments = self.sums(self.width, |row, sums| add(row, sums));
        moments.iter_mut().for_each(|mean| *mean /= count);
        let mean = &moments;
        let squares = self.sums(self.width, |row, sums| add_squares(row, mean, sums));
        moments.extend(squares.iter().map(|square| square / count));
        moments
    }
}

#[pulp::with_simd(add = Arch::new())]
#[inline(always)]
fn add_with_simd<'a, S: Simd>(_: S, row: &'a [f32], sums: &'a mut [f32]) {
    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
}

#[pulp::with_simd(add_squares = Arch::new())]
#[inline(always)]
fn add_squares_with_simd<'a, S: Simd>(_: S, row: &'a [f32], mean: &'a [f32], sums: &'a mut [f32]) {
    for ((sum, x), mean) in sums.iter_mut().zip(row).zip(mean) {
        *sum += (x - mean) * (x - mean);
    }
}

impl ColumnNorm<'_> {
    fn inverse(self) -> Vec<f32> {
        let inverse = |variance: &f32| 1.0 / (variance + self.epsilon).sqrt();
        self.variance.iter().map(inverse).collect()
    }

    /// Normalizes every row in place; those that do not count become zeros.
    pub(crate) fn apply(self, x: &mut [f32], valid: Option<&[u8]>, beta: &[f32]) {
        let inverse = self.inverse();
        let scale: Vec<f32> = inverse.iter().zip(self.gamma).map(|(i, g)| i * g).collect();
        let chunks = x.par_chunks_mut(SUMMED_ROWS * beta.len()).enumerate();
        chunks.for_each(|(chunk, x)| {
            for (i, row) in x.chunks_exact_mut(beta.len()).enumerate() {
                match valid.is_none_or(|valid| valid[chunk * SUMMED_ROWS + i] != 0) {
                    true => shift_and_scale(row, self.mean, &scale, beta),
                    false => row.fill(0.0),
                }
            }
        });
    }

    /// Turns the gradient of the norm's output into that of its input `x`, in place. With
    /// `learned` statistics, which are those of `x` itself, it goes through them too.
    pub(crate) fn backward(
        self,
        gradient: &mut [f32],
        x: Counted<'_>,
        learned: bool,
    ) -> NormGradients {
        let (width, inverse) = (x.width, self.inverse());
        let tied = Counted {
            rows: gradient,
            ..x
        };
        // The gradient of every row comes with its row of `x`.
        let parts: Vec<Vec<f32>> = tied
            .rows
            .par_chunks(SUMMED_ROWS * width)
            .zip(x.rows.par_chunks(SUMMED_ROWS * width))
            .enumerate()
            .map(|(chunk, (gradient, rows))| {
                let mut sums = vec![0.0; 2 * width];
                let rows = gradient.chunks_exact(width).zip(rows.chunks_exact(width));
                for (i, (gradient, row)) in rows.enumerate() {
                    if x.valid
                        .is_none_or(|valid| valid[chunk * SUMMED_ROWS + i] != 0)
                    {
                        add_products(gradient, row, self.mean, &mut sums);
                    }
                }
                sums
            })
            .collect();
        let mut sums = accumulated(&parts, 2 * width);
        let gamma = sums.split_off(width);
        let gamma: Vec<f32> = gamma.iter().zip(&inverse).map(|(sum, i)| sum * i).collect();
        let count = if learned { x.count() } else { f32::INFINITY };
        let line = Line::new(self, &inverse, (&sums, &gamma), count);
        let chunks = gradient.par_chunks_mut(SUMMED_ROWS * width);
        let chunks = chunks.zip(x.rows.par_chunks(SUMMED_ROWS * width));
        chunks.enumerate().for_each(|(chunk, (gradient, rows))| {
            let rows = gradient
                .chunks_exact_mut(width)
                .zip(rows.chunks_exact(width));
            for (i, (gradient, row)) in rows.enumerate() {
                match x
                    .valid
                    .is_none_or(|valid| valid[chunk * SUMMED_ROWS + i] != 0)
                {
                    true => along(gradient, row, [&line.slope, &line.tilt, &line.level]),
                    false => gradient.fill(0.0),
                }
            }
        });
        NormGradients { gamma, beta: sums }
    }
}

/// The gradient of an input as a line through that of the output and the input itself:
/// `slope * gradient + tilt * x + level`.
struct Line {
    slope: Vec<f32>,
    tilt: Vec<f32>,
    level: Vec<f32>,
}

impl Line {
    fn new(
        norm: ColumnNorm<'_>,
        inverse: &[f32],
        (beta, gamma): (&[f32], &[f32]),
        count: f32,
    ) -> Self {
        let slope: Vec<f32> = inverse.iter().zip(norm.gamma).map(|(i, g)| i * g).collect();
        let tilts = slope.iter().zip(inverse).zip(gamma);
        let tilt: Vec<f32> = tilts
            .map(|((slope, i), sum)| -slope * i * sum / count)
            .collect();
        let levels = slope.iter().zip(beta).zip(&tilt).zip(norm.mean);
        let level = levels.map(|(((slope, sum), tilt), mean)| -slope * sum / count - tilt * mean);
        Self {
            level: level.collect(),
            slope,
            tilt,
        }
    }
}

#[pulp::with_simd(shift_and_scale = Arch::new())]
#[inline(always)]
fn shift_and_scale_with_simd<'a, S: Simd>(
    _: S,
    row: &'a mut [f32],
    mean: &'a [f32],
    scale: &'a [f32],
    beta: &'a [f32],
) {
    for (((x, mean), scale), beta) in row.iter_mut().zip(mean).zip(scale).zip(beta) {
        *x = (*x - mean) * scale + beta;
    }
}

/// Adds a gradient to the first half of `sums`, and its product with what is left of the row
/// without the mean to the second.
#[pulp::with_simd(add_products = Arch::new())]
#[inline(always)]
fn add_products_with_simd<'a, S: Simd>(
    _: S,
    gradient: &'a [f32],
    row: &'a [f32],
    mean: &'a [f32],
    sums: &'a mut [f32],
) {
    let (level, product) = sums.split_at_mut(mean.len());
    for ((sum, product), (g, (x, mean))) in level
        .iter_mut()
        .zip(product)
        .zip(gradient.iter().zip(row.iter().zip(mean)))
    {
        *sum += g;
        *product += g * (x - mean);
    }
}

#[pulp::with_simd(along = Arch::new())]
#[inline(always)]
fn along_with_simd<'a, S: Simd>(
    _: S,
    gradient: &'a mut [f32],
    row: &'a [f32],
    [slope, tilt, level]: [&'a [f32]; 3],
) {
    let lines = slope.iter().zip(tilt).zip(level);
    for ((g, x), ((slope, tilt), level)) in gradient.iter_mut().zip(row).zip(lines) {
        *g = slope * *g + tilt * x + level;
    }
}
