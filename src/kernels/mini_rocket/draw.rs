//! What MiniRocket's kernels look like: taps, dilations, variates, quantiles.

use crate::data::random::{Purpose, Random};

use super::{Dilation, N_KERNELS, N_TAPS};

/// Most different dilations of a kernel.
const MOST_DILATIONS: usize = 32;
/// Most variates that a kernel adds up.
const MOST_VARIATES: usize = 9;

/// Taps of weight 2 of each kernel, in lexicographic order.
pub(super) const TAPS: [[usize; 3]; N_KERNELS] = taps();

const fn taps() -> [[usize; 3]; N_KERNELS] {
    let mut all = [[0; 3]; N_KERNELS];
    let (mut a, mut kernel) = (0, 0);
    while a < N_TAPS {
        let mut b = a + 1;
        while b < N_TAPS {
            let mut c = b + 1;
            while c < N_TAPS {
                all[kernel] = [a, b, c];
                kernel += 1;
                c += 1;
            }
            b += 1;
        }
        a += 1;
    }
    all
}

/// Dilations from 1 up to the largest that fits the series, evenly spaced in their logarithm, and
/// how the thresholds of a kernel are shared out among them.
pub(super) fn dilations(n_steps: usize, n_biases: usize) -> Vec<Dilation> {
    let n_drawn = n_biases.min(MOST_DILATIONS);
    let largest = (n_steps - 1) as f64 / (N_TAPS - 1) as f64;
    let mut found: Vec<Dilation> = Vec::new();
    for i in 0..n_drawn {
        let exponent = if n_drawn == 1 {
            0.0
        } else {
            i as f64 / (n_drawn - 1) as f64
        };
        let step = floor(largest.powf(exponent));
        match found.last_mut() {
            Some(last) if last.step == step => last.n_biases += 1,
            _ => found.push(Dilation { step, n_biases: 1 }),
        }
    }
    for dilation in &mut found {
        dilation.n_biases = dilation.n_biases * n_biases / n_drawn;
    }
    let shared: usize = found.iter().map(|dilation| dilation.n_biases).sum();
    let n_found = found.len();
    for i in 0..n_biases - shared {
        found[i % n_found].n_biases += 1;
    }
    found
}

/// Rounds down, but for what is a whole number up to rounding: powers differ in their last bit
/// from one machine to another.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive number below the number of steps"
)]
fn floor(x: f64) -> usize {
    (x * (1.0 + 1e-12)) as usize
}

/// Variates of each combination of a kernel and a dilation: how many is evenly spread in its
/// logarithm, which ones is drawn without replacement.
pub(super) fn variates(n_variates: usize, n_combinations: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut random = Random::new([seed, 0, 0], Purpose::MiniRocketVariates);
    let largest = (n_variates.min(MOST_VARIATES) + 1) as f64;
    (0..n_combinations)
        .map(|_| {
            let count = floor(largest.powf(random.unit())).min(n_variates);
            let mut left: Vec<usize> = (0..n_variates).collect();
            let picked = (0..count).map(|_| left.swap_remove(random.below(left.len())));
            picked.collect()
        })
        .collect()
}

/// The quantile that belongs to the threshold at one place, of sorted values: multiples of the
/// golden ratio less their whole part, between two values in proportion.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position among the values, and the nearest 32-bit number"
)]
pub(super) fn quantile(sorted: &[f32], place: usize) -> f32 {
    let golden = (5f64.sqrt() + 1.0) / 2.0;
    // 32-bit, as in the reference.
    let share = f64::from(((place + 1) as f64 * golden).fract() as f32);
    let position = share * (sorted.len() - 1) as f64;
    let below = position as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let (from, to) = (f64::from(sorted[below]), f64::from(sorted[above]));
    (from + (to - from) * (position - below as f64)) as f32
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::Cases;
    use super::*;

    #[test]
    fn dilations_equal_those_of_aeon() {
        let cases = Cases::read().dilations;
        assert_eq!(cases.len(), 64);
        for case in cases {
            let found = dilations(case.n_steps, case.n_biases);
            let steps: Vec<usize> = found.iter().map(|dilation| dilation.step).collect();
            let counts: Vec<usize> = found.iter().map(|dilation| dilation.n_biases).collect();
            let name = format!("{} steps, {} thresholds", case.n_steps, case.n_biases);
            assert_eq!((steps, counts), (case.dilations, case.counts), "{name}");
        }
    }

    #[test]
    fn kernels_are_in_lexicographic_order() {
        assert_eq!(TAPS[0], [0, 1, 2]);
        assert_eq!(TAPS[1], [0, 1, 3]);
        assert_eq!(TAPS[N_KERNELS - 1], [6, 7, 8]);
        assert!(TAPS.is_sorted());
    }

    #[test]
    fn variates_are_drawn_without_replacement() {
        let drawn = variates(5, 500, 1);
        let mut sizes = [0; 6];
        for mut picked in drawn {
            sizes[picked.len()] += 1;
            picked.sort_unstable();
            picked.dedup();
            assert!(picked.iter().all(|&variate| variate < 5));
            sizes[picked.len()] += 1;
        }
        // Each size is met, twice as often before and after removing duplicates: none was removed.
        assert!(sizes[1..].iter().all(|&n| n > 0 && n % 2 == 0), "{sizes:?}");
        assert_eq!(variates(1, 10, 1), vec![vec![0]; 10]);
    }

    #[test]
    fn quantiles_lie_between_neighbors() {
        // The golden ratio less one, times four steps: 2.47.
        let found = quantile(&[0.0, 1.0, 2.0, 3.0, 4.0], 0);
        assert!((found - 2.472_136).abs() < 1e-6, "{found}");
        assert_eq!(quantile(&[7.0], 3), 7.0);
    }
}
