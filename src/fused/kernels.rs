//! Loops over slices that Burn's CPU backend lacks: vectorised `exp`, activations, softmax, layer
//! norm and their gradients, on all threads.
//!
//! Work is cut by fixed numbers of elements, never by the number of threads, so that sums are the
//! same on any machine of the same instruction set. The compiler vectorises the loops; `pulp`
//! picks the widest instructions that the processor has.

#![expect(
    clippy::needless_lifetimes,
    reason = "`with_simd` cannot do without their names"
)]

mod functions;
mod norm;
mod paint;

use pulp::{Arch, Simd};
use rayon::prelude::*;

use functions::exp;
pub(super) use functions::{Gelu, Pointwise, QuickGelu};
pub(super) use norm::{Norm, layer_norm, layer_norm_backward};
pub(super) use paint::{Cut, paint, paint_backward};

/// Elements a thread takes at a time: enough to outweigh handing them over.
const CHUNK: usize = 1 << 14;
/// Rows whose contributions to a sum over rows are added up before they meet others.
const SUMMED_ROWS: usize = 256;

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
fn softmax_rows_with_simd<'a, S: Simd>(_: S, x: &'a mut [f32], width: usize, scale: f32) {
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
