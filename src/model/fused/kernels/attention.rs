//! Attention of one sequence, head by head, and its gradients: all of a head stays in the nearest
//! cache.

use pulp::{Arch, Simd};

use super::multiply::{Left, multiply, padded};
use super::{dot, exp, reduce};

/// Sizes of a sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    /// Number of its tokens.
    pub(crate) seq: usize,
    /// Number of the first of them, which attend; the others are only attended to.
    pub(crate) queries: usize,
    /// Number of heads.
    pub(crate) n_heads: usize,
    /// Width of a head.
    pub(crate) d_head: usize,
}

impl Sizes {
    /// Width of a token.
    pub(crate) fn width(self) -> usize {
        self.n_heads * self.d_head
    }

    /// Length of a padded row of weights.
    fn across(self) -> usize {
        padded(self.seq)
    }

    /// Length of a padded row of a head.
    fn deep(self) -> usize {
        padded(self.d_head)
    }

    #[inline(always)]
    fn scale(self) -> f32 {
        (self.d_head as f32).sqrt().recip()
    }

    #[inline(always)]
    fn place(self, head: usize) -> Place {
        Place {
            first: head * self.d_head,
            sizes: self,
        }
    }
}

/// Which keys the queries of a sequence must not attend to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Masked<'a> {
    /// `[seq or 1, seq]`, not zero where a key is out of sight.
    pub(crate) keys: &'a [u8],
}

impl Masked<'_> {
    #[inline(always)]
    fn hide(self, query: usize, scores: &mut [f32]) {
        let first = query * scores.len() % self.keys.len();
        let hidden = &self.keys[first..][..scores.len()];
        for (score, hidden) in scores.iter_mut().zip(hidden) {
            if *hidden != 0 {
                *score = f32::NEG_INFINITY;
            }
        }
    }
}

/// Places for the matrices of a head.
#[derive(Debug)]
pub(crate) struct Scratch {
    sizes: Sizes,
    /// `[queries, seq]`
    weights: Vec<f32>,
    /// `[queries, seq]`, their gradient
    slopes: Vec<f32>,
    /// `[d_head, seq]`
    turned: Vec<f32>,
    /// `[seq, d_head]`, a right factor
    factor: Vec<f32>,
    /// `[seq, d_head]`, a product
    product: Vec<f32>,
}

impl Scratch {
    /// Room for a head of these sizes, its rows filled up.
    pub(crate) fn new(sizes: Sizes) -> Self {
        let (across, deep) = (sizes.across(), sizes.deep());
        Self {
            sizes,
            weights: vec![0.0; sizes.queries * across],
            slopes: vec![0.0; sizes.queries * across],
            turned: vec![0.0; sizes.d_head * across],
            factor: vec![0.0; sizes.seq * deep],
            product: vec![0.0; sizes.seq * deep],
        }
    }
}

/// One head in the rows of a larger matrix.
#[derive(Clone, Copy)]
struct Place {
    /// Its first column.
    first: usize,
    sizes: Sizes,
}

impl Place {
    /// Transposes the head into `[d_head, tokens]`.
    #[inline(always)]
    fn turn(self, rows: &[f32], out: &mut [f32]) {
        let Sizes { d_head, .. } = self.sizes;
        for (token, row) in rows.chunks_exact(self.sizes.width()).enumerate() {
            let out = out.chunks_exact_mut(self.sizes.across());
            for (x, out) in row[self.first..][..d_head].iter().zip(out) {
                out[token] = *x;
            }
        }
    }

    /// Copies the head into `[tokens, d_head]`.
    #[inline(always)]
    fn gather(self, rows: &[f32], out: &mut [f32]) {
        let Sizes { d_head, .. } = self.sizes;
        let out = out.chunks_exact_mut(self.sizes.deep());
        for (row, out) in rows.chunks_exact(self.sizes.width()).zip(out) {
            out[..d_head].copy_from_slice(&row[self.first..][..d_head]);
        }
    }

    /// Puts `[tokens, d_head]` back.
    #[inline(always)]
    fn scatter(self, from: &[f32], rows: &mut [f32]) {
        let Sizes { d_head, .. } = self.sizes;
        let from = from.chunks_exact(self.sizes.deep());
        for (row, from) in rows.chunks_exact_mut(self.sizes.width()).zip(from) {
            row[self.first..][..d_head].copy_from_slice(&from[..d_head]);
        }
    }

    #[inline(always)]
    fn left(self, rows: &[f32]) -> Left<'_> {
        Left {
            numbers: &rows[self.first..],
            row: self.sizes.width(),
            column: 1,
        }
    }
}

/// Softmax of `scale` times a row, in place.
#[inline(always)]
fn softmax_row(row: &mut [f32], scale: f32) {
    let most = reduce(
        row,
        f32::NEG_INFINITY,
        |most, x| if x > most { x } else { most },
    );
    row.iter_mut().for_each(|x| *x = exp((*x - most) * scale));
    let inverse = 1.0 / reduce(row, 0.0, |sum, x| sum + x);
    row.iter_mut().for_each(|x| *x *= inverse);
}

/// Turns the gradient of a row of softmax's weights into that of its unscaled argument.
#[inline(always)]
fn softmax_backward_row(gradient: &mut [f32], weights: &[f32], scale: f32) {
    let along = dot(gradient, weights);
    for (gradient, weight) in gradient.iter_mut().zip(weights) {
        *gradient = (*gradient - along) * weight * scale;
    }
}

/// The weights of a head into `scratch.weights`.
#[inline(always)]
fn weigh<S: Simd>(
    simd: S,
    [q, k]: [&[f32]; 2],
    place: Place,
    masked: Option<Masked<'_>>,
    scratch: &mut Scratch,
) {
    let sizes = place.sizes;
    let across = sizes.across();
    let Scratch {
        weights, turned, ..
    } = scratch;
    place.turn(k, turned);
    let shape = [sizes.queries, sizes.d_head, across];
    multiply(simd, weights, place.left(q), turned, shape);
    for (query, row) in weights.chunks_exact_mut(across).enumerate() {
        let row = &mut row[..sizes.seq];
        if let Some(masked) = masked {
            masked.hide(query, row);
        }
        softmax_row(row, sizes.scale());
    }
}

/// Attention of a sequence: `q` of `[queries, width]`, `k` and `v` of `[seq, width]` into `out` of
/// `[queries, width]`.
#[pulp::with_simd(attend = Arch::new())]
#[inline(always)]
pub(crate) fn attend_with_simd<'a, S: Simd>(
    simd: S,
    [q, k, v]: [&'a [f32]; 3],
    masked: Option<Masked<'a>>,
    scratch: &'a mut Scratch,
    out: &'a mut [f32],
) {
    let Scratch { sizes, .. } = *scratch;
    for head in 0..sizes.n_heads {
        let place = sizes.place(head);
        weigh(simd, [q, k], place, masked, scratch);
        let Scratch {
            weights,
            factor,
            product,
            ..
        } = &mut *scratch;
        place.gather(v, factor);
        let shape = [sizes.queries, sizes.seq, sizes.deep()];
        let rows = Left::rows(weights, sizes.across());
        multiply(simd, product, rows, factor, shape);
        place.scatter(product, out);
    }
}

/// Gradients of `q`, `k` and `v` from that of what [`attend`] gave.
#[pulp::with_simd(attend_backward = Arch::new())]
#[inline(always)]
pub(crate) fn attend_backward_with_simd<'a, S: Simd>(
    simd: S,
    [q, k, v, gradient]: [&'a [f32]; 4],
    masked: Option<Masked<'a>>,
    scratch: &'a mut Scratch,
    [d_q, d_k, d_v]: [&'a mut [f32]; 3],
) {
    let Scratch { sizes, .. } = *scratch;
    let Sizes {
        seq,
        queries,
        d_head,
        ..
    } = sizes;
    let (across, deep) = (sizes.across(), sizes.deep());
    for head in 0..sizes.n_heads {
        let place = sizes.place(head);
        weigh(simd, [q, k], place, masked, scratch);
        let Scratch {
            weights,
            slopes,
            turned,
            factor,
            product,
            ..
        } = &mut *scratch;
        // Of the values: weights^T * gradient
        place.gather(gradient, factor);
        let flipped = Left::columns(weights, across);
        multiply(simd, product, flipped, factor, [seq, queries, deep]);
        place.scatter(product, d_v);
        // Of the weights: gradient * values^T
        place.turn(v, turned);
        let rows = place.left(gradient);
        multiply(simd, slopes, rows, turned, [queries, d_head, across]);
        let rows = slopes.chunks_exact_mut(across);
        for (slopes, weights) in rows.zip(weights.chunks_exact(across)) {
            softmax_backward_row(&mut slopes[..seq], &weights[..seq], sizes.scale());
        }
        // Of the queries: slopes * keys
        place.gather(k, factor);
        let straight = Left::rows(slopes, across);
        multiply(simd, product, straight, factor, [queries, seq, deep]);
        place.scatter(product, d_q);
        // Of the keys: slopes^T * queries
        place.gather(q, factor);
        let flipped = Left::columns(slopes, across);
        multiply(simd, product, flipped, factor, [seq, queries, deep]);
        place.scatter(product, d_k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_with_a_number_that_is_none_has_no_softmax() {
        let mut x = vec![0.5; 20];
        softmax_row(&mut x, 1.0);
        assert!(x.iter().all(|x| *x == 0.05));
        x[3] = f32::NAN;
        softmax_row(&mut x, 1.0);
        assert!(x.iter().all(|x| x.is_nan()));
    }
}
