//! Differences of two classifiers on the same samples and seeds, and how sure they are.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// How often samples and seeds are drawn anew.
const RESAMPLES: usize = 2000;

/// The mean of a score's differences, and its 95 % interval.
///
/// The interval is a paired bootstrap, by percentiles: seeds and samples are drawn anew, with
/// replacement and independently of each other, 2,000 times from a fixed generator, and both
/// classifiers are scored on what was drawn. So it covers what other samples and what other seeds
/// would have changed. Of one seed it covers other samples alone.
///
/// # Examples
/// ```
/// use timesclip::metrics::PairedDifference;
///
/// // Two seeds, four samples: one classifier is right (1) where the other is wrong (0).
/// let differences = [vec![1.0, 0.0, 0.0, 1.0], vec![1.0, 0.0, 1.0, 0.0]];
/// let found = PairedDifference::of(&differences).unwrap();
/// assert_eq!(found.mean, 0.5);
/// assert!(found.low <= 0.5 && 0.5 <= found.high);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// The mean difference.
    pub mean: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl PairedDifference {
    /// Of the differences of each sample under each seed; `None` if there are none.
    ///
    /// # Shapes
    /// - `differences`: `[n_seeds][n_samples]`
    ///
    /// # Panics
    /// If the seeds have different numbers of samples.
    pub fn of(differences: &[Vec<f64>]) -> Option<Self> {
        let n_samples = differences.first()?.len();
        if n_samples == 0 {
            return None;
        }
        for row in differences {
            let found = row.len();
            assert_eq!(found, n_samples, "{found} samples, not {n_samples}");
        }
        let n = (differences.len() * n_samples) as f64;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut means: Vec<f64> = (0..RESAMPLES)
            .map(|_| resampled(differences, &mut rng))
            .collect();
        means.sort_by(f64::total_cmp);
        let tail = RESAMPLES / 40;
        Some(Self {
            mean: differences.iter().flatten().sum::<f64>() / n,
            low: means[tail],
            high: means[RESAMPLES - 1 - tail],
        })
    }
}

/// The mean of samples and seeds drawn with replacement.
fn resampled(differences: &[Vec<f64>], rng: &mut ChaCha8Rng) -> f64 {
    let n_samples = differences[0].len();
    let mut sums = vec![0.0; n_samples];
    for _ in differences {
        let drawn = &differences[below(differences.len(), rng)];
        sums.iter_mut().zip(drawn).for_each(|(sum, d)| *sum += d);
    }
    let total: f64 = (0..n_samples).map(|_| sums[below(n_samples, rng)]).sum();
    total / (differences.len() * n_samples) as f64
}

/// A number below `n`, each about equally likely: off by less than `n` in 2^64.
fn below(n: usize, rng: &mut ChaCha8Rng) -> usize {
    let drawn = u128::from(rng.next_u64()) * n as u128;
    usize::try_from(drawn >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_classifiers_differ_by_nothing_for_sure() {
        let found = PairedDifference::of(&[vec![0.0; 30], vec![0.0; 30]]).unwrap();
        assert_eq!([found.mean, found.low, found.high], [0.0; 3]);
        assert_eq!(PairedDifference::of(&[]), None);
        assert_eq!(PairedDifference::of(&[Vec::new()]), None);
    }

    #[test]
    fn seeds_that_disagree_widen_the_interval() {
        let same: Vec<f64> = (0..100).map(|i| f64::from(i % 2)).collect();
        let width = |rows: &[Vec<f64>]| {
            let found = PairedDifference::of(rows).unwrap();
            found.high - found.low
        };
        let agree = width(&vec![same; 5]);
        let disagree: Vec<Vec<f64>> = (0..5).map(|i| vec![f64::from(i) / 4.0; 100]).collect();
        assert!(width(&disagree) > 1.5 * agree, "{agree}");
    }

    #[test]
    fn the_interval_holds_the_true_difference_95_times_in_100() {
        // Two classifiers, right with probabilities 0.8 and 0.7 on the same 100 samples; the seeds
        // change each answer a little.
        const TRUTH: f64 = 0.1;
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut unit = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let trials = 150;
        let held = (0..trials).filter(|_| {
            let ease: Vec<f64> = (0..100).map(|_| unit()).collect();
            let seed = |unit: &mut dyn FnMut() -> f64| -> Vec<f64> {
                let right = |ease: f64, least: f64, noise: f64| {
                    f64::from(u8::from((ease + noise).rem_euclid(1.0) < least))
                };
                let mut draw = || 0.1 * (unit() - 0.5);
                let differences = ease.iter().map(|&ease| {
                    let [a, b] = [draw(), draw()];
                    right(ease, 0.8, a) - right(ease, 0.7, b)
                });
                differences.collect()
            };
            let rows: Vec<Vec<f64>> = (0..2).map(|_| seed(&mut unit)).collect();
            let found = PairedDifference::of(&rows).unwrap();
            found.low <= TRUTH && TRUTH <= found.high
        });
        let share = held.count() as f64 / f64::from(trials);
        assert!((0.9..=0.995).contains(&share), "held in {share}");
    }
}
