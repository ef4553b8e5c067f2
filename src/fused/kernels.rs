//! Loops over slices that Burn's CPU backend lacks: vectorised `exp`, activations, softmax, layer
//! norm and their gradients, on all threads.
//!
//! Work is cut by fixed numbers of elements, never by the number of threads, so that sums are the
//! same on any machine of the same instruction set. The compiler vectorises the loops; `pulp`
//! picks the widest instructions that the processor has.

use pulp::{Arch, Simd};
use rayon::prelude::*;

/// Elements a thread takes at a time: enough to outweigh handing them over.
const CHUNK: usize = 1 << 14;
/// Rows whose contributions to a sum over rows are added up before they meet others.
const SUMMED_ROWS: usize = 256;

/// Rounds to an integer when added: 1.5 * 2^23.
const ROUND: f32 = 12_582_912.0;
/// Below, `exp` has left the normal numbers.
const EXP_LEAST: f32 = -87.336_54;
/// Above, `exp` stays at 2.4e38, which is as good as infinite in a quotient.
const EXP_MOST: f32 = 88.37;

/// `exp` within 2 units in the last place, between zero at the bottom and 2.4e38 at the top.
///
/// # Source
/// Cephes `expf`: `2^n * exp(r)` with `|r| <= ln(2) / 2`.
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Comparisons that NaN fails, so that it stays.
    let bounded = if x < EXP_LEAST { EXP_LEAST } else { x };
    let bounded = if bounded > EXP_MOST {
        EXP_MOST
    } else {
        bounded
    };
    let rounded = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = bounded - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_6e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    // 2^n: the low bits of `rounded` are n.
    let power = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    if x < EXP_LEAST { 0.0 } else { p * power }
}

/// The error function within 2e-7.
///
/// # Source
/// Abramowitz and Stegun, 7.1.26.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let p = 1.061_405_4 * t - 1.453_152;
    let p = p * t + 1.421_413_7;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    (1.0 - p * t * exp(-size * size)).copysign(x)
}

/// A function of one number with its derivative.
pub(super) trait Pointwise: Copy + Send + Sync {
    /// Its value.
    fn value(self, x: f32) -> f32;
    /// Its derivative.
    fn slope(self, x: f32) -> f32;
}

/// `x * sigmoid(1.702 x)`
#[derive(Clone, Copy, Debug)]
pub(super) struct QuickGelu;

impl Pointwise for QuickGelu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        x / (1.0 + exp(-1.702 * x))
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        let gate = 1.0 / (1.0 + exp(-1.702 * x));
        gate * (1.0 + 1.702 * x * (1.0 - gate))
    }
}

/// `x * P(X <= x)` of a standard normal X.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gelu;

impl Pointwise for Gelu {
    #[inline(always)]
    fn value(self, x: f32) -> f32 {
        0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
    }

    #[inline(always)]
    fn slope(self, x: f32) -> f32 {
        let below = 0.5 * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        below + x * 0.398_942_3 * exp(-0.5 * x * x)
    }
}

/// Whole rows that make up about a chunk.
fn chunk_of(row: usize) -> usize {
    (CHUNK / row).max(1) * row
}

/// Adds `bias` to every row.
pub(super) fn add_bias(x: &mut [f32], bias: &[f32]) {
    let chunk = chunk_of(bias.len());
    x.par_chunks_mut(chunk).for_each(|x| add_rows(x, bias));
}

#[pulp::with_simd(add_rows = Arch::new())]
#[inline(always)]
fn add_rows_with_simd<'a, S: Simd>(_: S, x: &'a mut [f32], bias: &'a [f32]) {
    for row in x.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(x, bias)| *x += bias);
    }
}

/// Adds `bias` to every row of `x`, and puts the activation of the sum into `out`.
pub(super) fn activate(function: impl Pointwise, x: &mut [f32], bias: &[f32], out: &mut [f32]) {
    let chunk = chunk_of(bias.len());
    let chunks = x.par_chunks_mut(chunk).zip(out.par_chunks_mut(chunk));
    chunks.for_each(|(x, out)| activate_rows(function, x, bias, out));
}

#[pulp::with_simd(activate_rows = Arch::new())]
#[inline(always)]
fn activate_rows_with_simd<'a, S: Simd, P: Pointwise>(
    _: S,
    function: P,
    x: &'a mut [f32],
    bias: &'a [f32],
    out: &'a mut [f32],
) {
    let width = bias.len();
    for (row, out) in x.chunks_exact_mut(width).zip(out.chunks_exact_mut(width)) {
        for ((x, bias), out) in row.iter_mut().zip(bias).zip(out) {
            *x += bias;
            *out = function.value(*x);
        }
    }
}

/// As [`activate`], but the activation takes the place of its argument.
pub(super) fn activate_in_place(function: impl Pointwise, x: &mut [f32], bias: &[f32]) {
    let chunk = chunk_of(bias.len());
    x.par_chunks_mut(chunk)
        .for_each(|x| activate_rows_in_place(function, x, bias));
}

#[pulp::with_simd(activate_rows_in_place = Arch::new())]
#[inline(always)]
fn activate_rows_in_place_with_simd<'a, S: Simd, P: Pointwise>(
    _: S,
    function: P,
    x: &'a mut [f32],
    bias: &'a [f32],
) {
    for row in x.chunks_exact_mut(bias.len()) {
        for (x, bias) in row.iter_mut().zip(bias) {
            *x = function.value(*x + bias);
        }
    }
}

/// Multiplies a gradient by the slope of the activation at its argument `x`.
pub(super) fn activate_backward(function: impl Pointwise, gradient: &mut [f32], x: &[f32]) {
    let chunks = gradient.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK));
    chunks.for_each(|(gradient, x)| multiply_by_slope(function, gradient, x));
}

#[pulp::with_simd(multiply_by_slope = Arch::new())]
#[inline(always)]
fn multiply_by_slope_with_simd<'a, S: Simd, P: Pointwise>(
    _: S,
    function: P,
    gradient: &'a mut [f32],
    x: &'a [f32],
) {
    for (gradient, x) in gradient.iter_mut().zip(x) {
        *gradient *= function.slope(*x);
    }
}

/// Sum of all rows.
pub(super) fn sum_rows(x: &[f32], width: usize) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = x
        .par_chunks(SUMMED_ROWS * width)
        .map(|rows| {
            let mut sum = vec![0.0; width];
            accumulate_rows(rows, &mut sum);
            sum
        })
        .collect();
    accumulated(&parts, width)
}

#[pulp::with_simd(accumulate_rows = Arch::new())]
#[inline(always)]
fn accumulate_rows_with_simd<'a, S: Simd>(_: S, rows: &'a [f32], sum: &'a mut [f32]) {
    for row in rows.chunks_exact(sum.len()) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}

/// Adds up the parts in their order.
fn accumulated(parts: &[Vec<f32>], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    for part in parts {
        accumulate_rows(part, &mut sum);
    }
    sum
}

/// Softmax of `scale` times every row, in place.
pub(super) fn softmax(x: &mut [f32], width: usize, scale: f32) {
    x.par_chunks_mut(chunk_of(width))
        .for_each(|x| softmax_rows(x, width, scale));
}

#[pulp::with_simd(softmax_rows = Arch::new())]
#[inline(always)]
fn softmax_rows_with_simd<S: Simd>(_: S, x: &mut [f32], width: usize, scale: f32) {
    for row in x.chunks_exact_mut(width) {
        let most = reduce(
            row,
            f32::NEG_INFINITY,
            |most, x| if x > most { x } else { most },
        );
        row.iter_mut().for_each(|x| *x = exp((*x - most) * scale));
        let inverse = 1.0 / reduce(row, 0.0, |sum, x| sum + x);
        row.iter_mut().for_each(|x| *x *= inverse);
    }
}

/// Turns the gradient of softmax's weights into that of its unscaled argument, in place.
pub(super) fn softmax_backward(gradient: &mut [f32], weights: &[f32], width: usize, scale: f32) {
    let chunk = chunk_of(width);
    let chunks = gradient
        .par_chunks_mut(chunk)
        .zip(weights.par_chunks(chunk));
    chunks.for_each(|(gradient, weights)| softmax_backward_rows(gradient, weights, width, scale));
}

#[pulp::with_simd(softmax_backward_rows = Arch::new())]
#[inline(always)]
fn softmax_backward_rows_with_simd<'a, S: Simd>(
    _: S,
    gradient: &'a mut [f32],
    weights: &'a [f32],
    width: usize,
    scale: f32,
) {
    let rows = gradient.chunks_exact_mut(width);
    for (gradient, weights) in rows.zip(weights.chunks_exact(width)) {
        let along = dot(gradient, weights);
        for (gradient, weight) in gradient.iter_mut().zip(weights) {
            *gradient = (*gradient - along) * weight * scale;
        }
    }
}

/// Numbers accumulated side by side, so that the compiler may use wide instructions.
const LANES: usize = 16;

/// Folds a row in `LANES` strands.
#[inline(always)]
fn reduce(row: &[f32], start: f32, fold: impl Fn(f32, f32) -> f32) -> f32 {
    let mut strands = [start; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for part in whole {
        for (strand, x) in strands.iter_mut().zip(part) {
            *strand = fold(*strand, *x);
        }
    }
    for (strand, x) in strands.iter_mut().zip(rest) {
        *strand = fold(*strand, *x);
    }
    strands.into_iter().reduce(fold).unwrap_or(start)
}

/// Sum of products, in `LANES` strands.
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut strands = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for ((strand, a), b) in strands.iter_mut().zip(a).zip(b) {
            *strand += a * b;
        }
    }
    for ((strand, a), b) in strands.iter_mut().zip(a_rest).zip(b_rest) {
        *strand += a * b;
    }
    strands.into_iter().sum()
}

/// Layer norm of every row.
///
/// Burn's own takes the variance as the mean of the squares less the square of the mean, which
/// cancels in rows that lie close together far from zero; this one measures from the mean.
pub(super) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let chunk = chunk_of(gamma.len());
    let chunks = out.par_chunks_mut(chunk).zip(x.par_chunks(chunk));
    chunks.for_each(|(out, x)| layer_norm_rows(out, x, [gamma, beta], epsilon));
    out
}

#[pulp::with_simd(layer_norm_rows = Arch::new())]
#[inline(always)]
fn layer_norm_rows_with_simd<'a, S: Simd>(
    _: S,
    out: &'a mut [f32],
    x: &'a [f32],
    [gamma, beta]: [&'a [f32]; 2],
    epsilon: f32,
) {
    let width = gamma.len();
    for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let mean = reduce(x, 0.0, |sum, x| sum + x) / width as f32;
        out.iter_mut().zip(x).for_each(|(out, x)| *out = x - mean);
        let inverse = 1.0 / (dot(out, out) / width as f32 + epsilon).sqrt();
        for ((out, gamma), beta) in out.iter_mut().zip(gamma).zip(beta) {
            *out = *out * inverse * gamma + beta;
        }
    }
}

/// Gradients of a layer norm.
#[derive(Debug)]
pub(super) struct NormGradients {
    /// Of its scale.
    pub(super) gamma: Vec<f32>,
    /// Of its shift.
    pub(super) beta: Vec<f32>,
}

/// Turns the gradient of a layer norm's output into that of its input `x`, in place.
pub(super) fn layer_norm_backward(
    gradient: &mut [f32],
    x: &[f32],
    gamma: &[f32],
    epsilon: f32,
) -> NormGradients {
    let width = gamma.len();
    let chunk = SUMMED_ROWS * width;
    let chunks = gradient.par_chunks_mut(chunk).zip(x.par_chunks(chunk));
    let parts = chunks.map(|(gradient, x)| {
        let (mut d_gamma, mut d_beta) = (vec![0.0; width], vec![0.0; width]);
        let sums = [&mut d_gamma[..], &mut d_beta[..]];
        layer_norm_backward_rows(gradient, x, (gamma, epsilon), sums);
        (d_gamma, d_beta)
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
    (gamma, epsilon): (&'a [f32], f32),
    [d_gamma, d_beta]: [&'a mut [f32]; 2],
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
            .zip(d_gamma.iter_mut())
            .zip(d_beta.iter_mut())
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

/// Pictures of masks and how they are cut: `[n, height, width]` into square patches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Pixels of a picture's side.
    pub(super) height: usize,
    /// Pixels of a picture's other side.
    pub(super) width: usize,
    /// Pixels of a patch's sides.
    pub(super) patch: usize,
}

impl Cut {
    /// The levels of a picture, patch by patch.
    fn levels(self, mask: &[u8]) -> impl Iterator<Item = &u8> {
        let Self { width, patch, .. } = self;
        mask.chunks_exact(patch * width).flat_map(move |band| {
            (0..width / patch).flat_map(move |column| {
                let lines = band.chunks_exact(width);
                lines.flat_map(move |line| &line[column * patch..][..patch])
            })
        })
    }
}

/// Looks every pixel up in the table of its variate, `[n_variates, n_levels, 3]`.
pub(super) fn paint(masks: &[u8], table: &[f32], n_levels: usize, cut: Cut) -> Vec<f32> {
    let size = cut.height * cut.width;
    let mut painted = vec![0.0; masks.len() * 3];
    let colors: Vec<_> = table.as_chunks::<3>().0.chunks_exact(n_levels).collect();
    let pictures = painted.par_chunks_mut(size * 3).zip(masks.par_chunks(size));
    pictures.enumerate().for_each(|(i, (painted, mask))| {
        let colors = colors[i % colors.len()];
        let pixels = painted.as_chunks_mut::<3>().0.iter_mut();
        for (pixel, level) in pixels.zip(cut.levels(mask)) {
            *pixel = colors[usize::from(*level)];
        }
    });
    painted
}

/// Gradient of [`paint`]'s table from that of what it painted.
pub(super) fn paint_backward(
    gradient: &[f32],
    masks: &[u8],
    [n_variates, n_levels]: [usize; 2],
    cut: Cut,
) -> Vec<f32> {
    let size = cut.height * cut.width;
    let mut table = vec![0.0; n_variates * n_levels * 3];
    let pictures = gradient
        .chunks_exact(size * 3)
        .zip(masks.chunks_exact(size));
    for (i, (gradient, mask)) in pictures.enumerate() {
        let first = i % n_variates * n_levels;
        for (pixel, level) in gradient.chunks_exact(3).zip(cut.levels(mask)) {
            let color = &mut table[(first + usize::from(*level)) * 3..][..3];
            color.iter_mut().zip(pixel).for_each(|(sum, g)| *sum += g);
        }
    }
    table
}

/// `[batch, n_heads, seq, d_head]` -> `[batch, seq, n_heads * d_head]`
pub(super) fn join_heads(heads: &[f32], [n_heads, seq, d_head]: [usize; 3]) -> Vec<f32> {
    let sample = n_heads * seq * d_head;
    let mut joined = vec![0.0; heads.len()];
    let samples = joined.par_chunks_mut(sample).zip(heads.par_chunks(sample));
    samples.for_each(|(joined, heads)| {
        for (head, rows) in heads.chunks_exact(seq * d_head).enumerate() {
            let places = joined.chunks_exact_mut(n_heads * d_head);
            for (place, row) in places.zip(rows.chunks_exact(d_head)) {
                place[head * d_head..][..d_head].copy_from_slice(row);
            }
        }
    });
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_units_in_the_last_place_and_keeps_what_is_not_a_number() {
        for i in -87_300..88_370 {
            let x = i as f32 * 1e-3;
            let (ours, exact) = (exp(x), f64::from(x).exp());
            let apart = (f64::from(ours) - exact).abs() / exact;
            assert!(apart < 2.5e-7, "exp({x}) is {ours}, not {exact}");
        }
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY)), (1.0, 0.0));
        assert!(exp(f32::NAN).is_nan() && exp(200.0) > 2e38);
    }

    #[test]
    fn erf_is_within_its_stated_error() {
        // Handbook of Mathematical Functions, table 7.1.
        let table = [
            (0.0, 0.0),
            (0.1, 0.112_462_92),
            (0.5, 0.520_499_9),
            (1.0, 0.842_700_8),
        ];
        for (x, exact) in table.into_iter().chain([(2.0, 0.995_322_3), (4.0, 1.0)]) {
            assert!((erf(x) - exact).abs() < 5e-7, "erf({x}) is {}", erf(x));
            assert!((erf(-x) + exact).abs() < 5e-7, "erf is not odd at {x}");
        }
    }

    #[test]
    fn layer_norm_holds_where_rows_lie_close_together_far_from_zero() {
        let width = 48;
        let x: Vec<f32> = (0..width).map(|i| 30.0 + (i as f32).sin() * 1e-2).collect();
        let exact: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
        let mean = exact.iter().sum::<f64>() / width as f64;
        let variance = exact.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
        let ours = layer_norm(&x, &vec![1.0; width], &vec![0.0; width], 1e-5);
        for (ours, x) in ours.iter().zip(&exact) {
            let exact = (x - mean) / (variance + 1e-5).sqrt();
            assert!(
                (f64::from(*ours) - exact).abs() < 1e-3,
                "{ours}, not {exact}"
            );
        }
    }

    #[test]
    fn sums_over_rows_do_not_depend_on_the_number_of_threads() {
        let x: Vec<f32> = (0..3000 * 7).map(|i| (i as f32).sin()).collect();
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool").install(|| sum_rows(&x, 7))
        };
        assert_eq!(on(1), on(5));
    }

    #[test]
    fn a_row_with_a_number_that_is_none_has_no_softmax() {
        let mut x = vec![0.5; 40];
        x[3] = f32::NAN;
        softmax(&mut x, 20, 1.0);
        assert!(x[..20].iter().all(|x| x.is_nan()) && x[20..].iter().all(|x| *x == 0.05));
    }
}
