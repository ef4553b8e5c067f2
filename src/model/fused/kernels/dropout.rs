//! Which elements dropout spares: a function of a seed and of an element's place, so that the
//! backward pass asks again instead of remembering, and threads need not take turns.

use pulp::{Arch, Simd};
use rayon::prelude::*;

use super::chunk_of;

/// Dropout of a tensor, element by element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask {
    seed: u64,
    /// An element is dropped if its random word is below.
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// Drops with probability `prob`, below one, and makes up for it in what is left.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the words, and a positive f32 as near as need be"
    )]
    pub(crate) fn new(seed: u64, prob: f64) -> Self {
        Self {
            seed,
            threshold: (prob * 2_f64.powi(32)) as u32,
            scale: (1.0 / (1.0 - prob)) as f32,
        }
    }

    /// Drops elements of rows, of which the first is `first_row` of the tensor.
    pub(crate) fn apply(self, x: &mut [f32], width: usize, first_row: usize) {
        let chunk = chunk_of(width);
        x.par_chunks_mut(chunk).enumerate().for_each(|(i, x)| {
            drop_rows(self, x, width, first_row + i * (chunk / width));
        });
    }

    /// Two words that only a row of this mask has.
    ///
    /// # Source
    /// `SplitMix64`, Steele et al., Fast splittable pseudorandom number generators, 2014.
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    #[inline(always)]
    fn key(self, row: usize) -> [u32; 2] {
        let z = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = self.seed.wrapping_add(z);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let z = z ^ (z >> 31);
        [z as u32, (z >> 32) as u32]
    }
}

/// A random word for a column of the row that has this key.
///
/// # Source
/// `lowbias32` of Chris Wellons' hash-prospector, with the second half of the key in its middle.
#[inline(always)]
fn word(column: u32, [first, second]: [u32; 2]) -> u32 {
    let x = column ^ first;
    let x = (x ^ (x >> 16))
        .wrapping_mul(0x7feb_352d)
        .wrapping_add(second);
    let x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[pulp::with_simd(drop_rows = Arch::new())]
#[inline(always)]
fn drop_rows_with_simd<'a, S: Simd>(
    _: S,
    mask: Mask,
    x: &'a mut [f32],
    width: usize,
    first_row: usize,
) {
    for (row, x) in x.chunks_exact_mut(width).enumerate() {
        let key = mask.key(first_row + row);
        for (x, column) in x.iter_mut().zip(0..) {
            let kept = word(column, key) >= mask.threshold;
            *x = if kept { *x * mask.scale } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements that dropout is tried on: ones, in rows.
    const N: usize = 1 << 20;
    const WIDTH: usize = 1 << 10;

    fn drawn(seed: u64, prob: f64) -> Vec<f32> {
        let mut x = vec![1.0; N];
        Mask::new(seed, prob).apply(&mut x, WIDTH, 0);
        x
    }

    /// Asserts that a share of all elements is within five standard deviations of a binomial
    /// distribution.
    fn near(found: impl Iterator<Item = bool>, share: f64) {
        let (count, n) = (found.filter(|found| *found).count() as f64, N as f64);
        let std = (n * share * (1.0 - share)).sqrt();
        let apart = (count - n * share).abs() / std;
        assert!(
            apart < 5.0,
            "{count} of {n} are {apart} deviations from {share}"
        );
    }

    #[test]
    fn a_share_is_spared_independently_and_makes_up_for_the_rest() {
        for (seed, prob) in [(0, 0.1), (1, 0.1), (u64::MAX, 0.5), (7, 0.01)] {
            let (x, spared) = (drawn(seed, prob), 1.0 - prob);
            let made_up = |x: f32| (f64::from(x) * spared - 1.0).abs() < 1e-6;
            assert!(x.iter().all(|x| *x == 0.0 || made_up(*x)));
            near(x.iter().map(|x| *x != 0.0), spared);
            // Neighbors in a row, from row to row, and from one seed to the next.
            for apart in [1, WIDTH] {
                let pairs = x.iter().zip(x.iter().cycle().skip(apart));
                near(pairs.map(|(a, b)| *a != 0.0 && *b != 0.0), spared * spared);
            }
            let other = drawn(seed.wrapping_add(1), prob);
            let pairs = x.iter().zip(&other);
            near(pairs.map(|(a, b)| *a != 0.0 && *b != 0.0), spared * spared);
        }
    }

    #[test]
    fn a_mask_does_not_depend_on_how_rows_are_shared_out() {
        let whole = drawn(3, 0.1);
        assert_eq!(whole, drawn(3, 0.1));
        let mut last = vec![1.0; 100 * WIDTH];
        Mask::new(3, 0.1).apply(&mut last, WIDTH, N / WIDTH - 100);
        assert_eq!(last, whole[N - 100 * WIDTH..]);
    }
}
