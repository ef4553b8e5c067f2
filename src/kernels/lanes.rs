//! Vectors of the processor at hand, and lanes that are the same on all of them.

use pulp::Simd;

/// Lanes of the widest vector. Sums run in this many lanes everywhere, whatever the processor's
/// vectors hold, so that they are rounded alike.
pub(super) const WIDEST: usize = 16;

/// The vector that starts at one place.
#[inline(always)]
pub(super) fn load<S: Simd>(values: &[f32], start: usize) -> S::f32s {
    S::as_simd_f32s(&values[start..start + S::F32_LANES]).0[0]
}

/// Writes a vector at one place.
#[inline(always)]
pub(super) fn store<S: Simd>(values: &mut [f32], start: usize, vector: S::f32s) {
    S::as_mut_simd_f32s(&mut values[start..start + S::F32_LANES]).0[0] = vector;
}
