//! Products of small matrices that lie in the nearest cache: those of attention, which are too
//! small to be worth packing.

use pulp::Simd;

/// Columns of the right factor and of the product are filled up to a multiple of these, a whole
/// number of vectors on any processor.
const ROUND: usize = 16;

/// `width`, filled up.
pub(super) fn padded(width: usize) -> usize {
    width.next_multiple_of(ROUND)
}

/// A left factor: numbers in any regular order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left<'a> {
    /// Of a larger matrix.
    pub(super) numbers: &'a [f32],
    /// From one row to the next.
    pub(super) row: usize,
    /// From one column to the next.
    pub(super) column: usize,
}

impl<'a> Left<'a> {
    /// Rows of this length.
    pub(super) fn rows(numbers: &'a [f32], length: usize) -> Self {
        Self {
            numbers,
            row: length,
            column: 1,
        }
    }

    /// The transpose of rows of this length.
    pub(super) fn columns(numbers: &'a [f32], length: usize) -> Self {
        Self {
            numbers,
            row: 1,
            column: length,
        }
    }
}

/// `out = left * right` of `[m, k] * [k, n]`, where `n` is filled up.
#[inline(always)]
pub(super) fn multiply<S: Simd>(
    simd: S,
    out: &mut [f32],
    left: Left<'_>,
    right: &[f32],
    [m, k, n]: [usize; 3],
) {
    let (out, right) = (&mut out[..m * n], &right[..k * n]);
    let mut column = 0;
    while column < n {
        let vectors = match (n - column) / S::F32_LANES {
            // Four vectors of six rows fit the registers of AVX-512 only.
            4.. if S::F32_LANES == ROUND => 4,
            2.. => 2,
            _ => 1,
        };
        match vectors {
            4 => columns::<S, 4>(simd, out, left, right, [m, n, column]),
            2 => columns::<S, 2>(simd, out, left, right, [m, n, column]),
            _ => columns::<S, 1>(simd, out, left, right, [m, n, column]),
        }
        column += vectors * S::F32_LANES;
    }
}

/// `V` vectors of columns of the product.
#[inline(always)]
fn columns<S: Simd, const V: usize>(
    simd: S,
    out: &mut [f32],
    left: Left<'_>,
    right: &[f32],
    [m, n, column]: [usize; 3],
) {
    let mut row = 0;
    while row < m {
        let place = [row, n, column];
        let rows = (m - row).min(6);
        match rows {
            6 => block::<S, 6, V>(simd, out, left, right, place),
            5 => block::<S, 5, V>(simd, out, left, right, place),
            4 => block::<S, 4, V>(simd, out, left, right, place),
            3 => block::<S, 3, V>(simd, out, left, right, place),
            2 => block::<S, 2, V>(simd, out, left, right, place),
            _ => block::<S, 1, V>(simd, out, left, right, place),
        }
        row += rows;
    }
}

/// `R` rows of `V` vectors, summed up in registers.
#[inline(always)]
fn block<S: Simd, const R: usize, const V: usize>(
    simd: S,
    out: &mut [f32],
    left: Left<'_>,
    right: &[f32],
    [row, n, column]: [usize; 3],
) {
    let width = V * S::F32_LANES;
    let mut sums = [[simd.splat_f32s(0.0); V]; R];
    for (i, right) in right.chunks_exact(n).enumerate() {
        let (right, _) = S::as_simd_f32s(&right[column..][..width]);
        let start = row * left.row + i * left.column;
        for (r, sums) in sums.iter_mut().enumerate() {
            let factor = simd.splat_f32s(left.numbers[start + r * left.row]);
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum = simd.mul_add_e_f32s(factor, *right, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let (place, _) = S::as_mut_simd_f32s(&mut out[(row + r) * n + column..][..width]);
        place.copy_from_slice(sums);
    }
}
