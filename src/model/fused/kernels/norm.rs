//! Layer norm over rows, and its gradients.

use pulp::{Arch, Simd};
use rayon::prelude::*;

use super::{SUMMED_ROWS, accumulated, chunk_of, dot, reduce};

/// What a layer norm does to a row but for its shift.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm<'a> {
    /// Its scale.
    pub(crate) gamma: &'a [f32],
    /// Added to the variance.
    pub(crate) epsilon: f32,
}

/// Layer norm of every row, in place.
///
/// Burn's own takes the variance as the mean of the squares less the square of the mean, which
/// cancels in rows that lie close together far from zero; this one measures from the mean.
pub(crate) fn layer_norm(x: &mut [f32], norm: Norm<'_>, beta: &[f32]) {
    let chunks = x.par_chunks_mut(chunk_of(beta.len()));
    chunks.for_each(|x| normalize_rows(x, norm, beta));
}

#[pulp::with_simd(normalize_rows = Arch::new())]
#[inline(always)]
fn normalize_rows_with_simd<'a, S: Simd>(
    _: S,
    x: &'a mut [f32],
    Norm { gamma, epsilon }: Norm<'a>,
    beta: &'a [f32],
) {
    let width = gamma.len();
    for row in x.chunks_exact_mut(width) {
        let mean = reduce(row, 0.0, |sum, x| sum + x) / width as f32;
        row.iter_mut().for_each(|x| *x -= mean);
        let inverse = 1.0 / (dot(row, row) / width as f32 + epsilon).sqrt();
        for ((x, gamma), beta) in row.iter_mut().zip(gamma).zip(beta) {
            *x = *x * inverse * gamma + beta;
        }
    }
}

/// Gradients of a layer norm.
#[derive(Debug)]
pub(crate) struct NormGradients {
    /// Of its scale.
    pub(crate) gamma: Vec<f32>,
    /// Of its shift.
    pub(crate) beta: Vec<f32>,
}

impl NormGradients {
    fn zeros(width: usize) -> Self {
        let (gamma, beta) = (vec![0.0; width], vec![0.0; width]);
        Self { gamma, beta }
    }
}

/// Turns the gradient of a layer norm's output into that of its input `x`, in place.
pub(crate) fn layer_norm_backward(
    gradient: &mut [f32],
    x: &[f32],
    norm: Norm<'_>,
) -> NormGradients {
    let width = norm.gamma.len();
    let chunk = SUMMED_ROWS * width;
    let chunks = gradient.par_chunks_mut(chunk).zip(x.par_chunks(chunk));
    let parts = chunks.map(|(gradient, x)| {
        let mut sums = NormGradients::zeros(width);
        layer_norm_backward_rows(gradient, x, norm, &mut sums);
        (sums.gamma, sums.beta)
    });
    let (gammas, betas): (Vec<_>, Vec<_>) = parts.unzip();
    NormGradients {
        gamma: accumulated(&gammas, width),
        beta: accumulated(&betas, width),
    }
}

#[pulp::with_simd(layer_norm_backward_rows = Arch::new())]
#[inline(always)]
fn layer_norm_backward_rows_with_simd<'a, S: Simd>(
    _: S,
    gradient: &'a mut [f32],
    x: &'a [f32],
    Norm { gamma, epsilon }: Norm<'a>,
    sums: &'a mut NormGradients,
) {
    let width = gamma.len();
    let count = width as f32;
    let mut normal = vec![0.0; width];
    for (gradient, x) in gradient.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let mean = reduce(x, 0.0, |sum, x| sum + x) / count;
        normal.iter_mut().zip(x).for_each(|(n, x)| *n = x - mean);
        let inverse = 1.0 / (dot(&normal, &normal) / count + epsilon).sqrt();
        normal.iter_mut().for_each(|n| *n *= inverse);
        for (((g, n), d_gamma), d_beta) in gradient
            .iter()
            .zip(&normal)
            .zip(sums.gamma.iter_mut())
            .zip(sums.beta.iter_mut())
        {
            *d_gamma += g * n;
            *d_beta += g;
        }
        gradient
            .iter_mut()
            .zip(gamma)
            .for_each(|(g, gamma)| *g *= gamma);
        let level = reduce(gradient, 0.0, |sum, g| sum + g) / count;
        let tilt = dot(gradient, &normal) / count;
        for (g, n) in gradient.iter_mut().zip(&normal) {
            *g = (*g - level - n * tilt) * inverse;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_norm_holds_where_rows_lie_close_together_far_from_zero() {
        let width = 48;
        let mut x: Vec<f32> = (0..width).map(|i| 30.0 + (i as f32).sin() * 1e-2).collect();
        let exact: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let mean = exact.iter().sum::<f64>() / width as f64;
        let variance = exact.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        let norm = Norm {
            gamma: &vec![1.0; width],
            epsilon: 1e-5,
        };
        layer_norm(&mut x, norm, &vec![0.0; width]);
        for (ours, x) in x.iter().zip(&exact) {
            let exact = (x - mean) / (variance + 1e-5).sqrt();
            assert!(
                (f64::from(*ours) - exact).abs() < 1e-3,
                "{ours}, not {exact}"
            );
        }
    }
}
