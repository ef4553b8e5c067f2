//! Loops over slices that Burn's CPU backend lacks: vectorized `exp`, activations, softmax, layer
//! norm and their gradients, on all threads.
//!
//! Work is cut by fixed numbers of elements, never by the number of threads, so that sums are the
//! same on any machine of the same instruction set. The compiler vectorizes the loops; `pulp`
//! picks the widest instructions that the processor has.

#![expect(
    clippy::needless_lifetimes,
    reason = "`with_simd` cannot do without their names"
)]

mod attention;
mod columns;
mod dropout;
mod functions;
mod multiply;
mod norm;
mod patches;
mod sequences;
mod windows;

use pulp::{Arch, Simd};
use rayon::prelude::*;

pub(super) use attention::{Masked, Scratch, Sizes, attend, attend_backward};
pub(super) use columns::{ColumnNorm, Counted};
pub(super) use dropout::Mask;
use functions::exp;
pub(super) use functions::{Gelu, Pointwise, QuickGelu};
pub(super) use norm::{Norm, layer_norm, layer_norm_backward};
pub(super) use patches::{Cut, cut, paint, paint_backward, uncut};
pub(super) use sequences::{sequences, without_first};
pub(super) use windows::{
    PlaneWindows, Windows, plane_windows, plane_windows_backward, windows, windows_backward,
};

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

/// As [`activate_backward`], and puts the activation of `x` into `out`.
pub(super) fn activate_again(
    function: impl Pointwise,
    gradient: &mut [f32],
    x: &[f32],
    out: &mut [f32],
) {
    let chunks = gradient.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK));
    let chunks = chunks.zip(out.par_chunks_mut(CHUNK));
    chunks.for_each(|((gradient, x), out)| value_and_slope(function, gradient, x, out));
}

#[pulp::with_simd(value_and_slope = Arch::new())]
#[inline(always)]
fn value_and_slope_with_simd<'a, S: Simd, P: Pointwise>(
    _: S,
    function: P,
    gradient: &'a mut [f32],
    x: &'a [f32],
    out: &'a mut [f32],
) {
    for ((gradient, x), out) in gradient.iter_mut().zip(x).zip(out) {
        let (value, slope) = (function.value(*x), function.slope(*x));
        *out = value;
        *gradient *= slope;
    }
}

/// `out = a + b`
pub(super) fn sum(out: &mut [f32], a: &[f32], b: &[f32]) {
    let terms = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK));
    let chunks = out.par_chunks_mut(CHUNK).zip(terms);
    chunks.for_each(|(out, (a, b))| {
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            *out = a + b;
        }
    });
}

/// Adds `x` to `sum`.
pub(super) fn add(sum: &mut [f32], x: &[f32]) {
    let chunks = sum.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK));
    chunks.for_each(|(sum, x)| sum.iter_mut().zip(x).for_each(|(sum, x)| *sum += x));
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
}
