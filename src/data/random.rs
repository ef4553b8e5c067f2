//! The random numbers of one transform of one view: the same on every machine and in any order.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Standard deviation of a sum of four numbers that are each equally likely from 0 to 65535:
/// `sqrt(4 * (65536^2 - 1) / 12)`.
const SUM_DEVIATION: f64 = 37_837.227_312_063_82;
/// Its mean.
const SUM_MEAN: f64 = 4.0 * 32_767.5;

/// What numbers are drawn for. A new one goes to the end: the place decides the numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Crop,
    Warp,
    Scale,
    Shift,
    Jitter,
    VariateDrop,
    MissingBlock,
    Color,
    MiniRocketVariates,
    MiniRocketExamples,
    HydraWeights,
    HydraVariates,
    Prefix,
}

/// A generator for one purpose.
#[derive(Clone, Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// A generator that three numbers and the purpose decide; all four are its key as they are,
    /// so that no two of them share their numbers.
    pub(crate) fn new([first, second, third]: [u64; 3], purpose: Purpose) -> Self {
        Self::keyed([first, second, third, purpose as u64])
    }

    /// A generator that four numbers decide.
    pub(crate) fn keyed(numbers: [u64; 4]) -> Self {
        let mut key = [0; 32];
        for (bytes, number) in key.chunks_exact_mut(8).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number from 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A number from -1 to below 1.
    pub(crate) fn signed(&mut self) -> f64 {
        2.0 * self.unit() - 1.0
    }

    /// A number from `low` to below `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// A number that is nearly normal, of mean 0 and standard deviation 1, at most 3.5 in size: the sum of
    /// four. Exact methods need logarithms, which differ from machine to machine.
    pub(crate) fn normal(&mut self) -> f64 {
        let bits = self.0.next_u64();
        let sum: u64 = (0..4).map(|i| bits >> (16 * i) & 0xffff).sum();
        (sum as f64 - SUM_MEAN) / SUM_DEVIATION
    }

    /// An integer below `n`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the upper half of the product is below `n`"
    )]
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 100_000;
    /// Five standard errors of the mean of that many numbers of standard deviation 1, and a bit more for
    /// their variance.
    const TOLERANCE: f64 = 0.02;

    fn random() -> Random {
        Random::new([1, 2, 3], Purpose::Jitter)
    }

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let mut random = random();
        let drawn: Vec<f64> = (0..DRAWS).map(|_| random.normal()).collect();

        let mean = drawn.iter().sum::<f64>() / DRAWS as f64;
        let variance = drawn.iter().map(|x| x * x).sum::<f64>() / DRAWS as f64;
        assert!(mean.abs() < TOLERANCE, "{mean}");
        assert!((variance - 1.0).abs() < TOLERANCE, "{variance}");
        assert!(drawn.iter().all(|x| x.abs() < 3.5));
    }

    #[test]
    fn numbers_fill_their_ranges() {
        let mut random = random();
        let mut counts = [0; 3];
        for _ in 0..DRAWS {
            assert!((0.0..1.0).contains(&random.unit()));
            assert!((-1.0..1.0).contains(&random.signed()));
            counts[random.below(3)] += 1;
        }
        assert!(counts.iter().all(|&n| n > DRAWS * 32 / 100), "{counts:?}");
    }

    #[test]
    fn every_part_of_the_key_matters_and_the_numbers_stay_from_release_to_release() {
        let first = |key, purpose| Random::new(key, purpose).0.next_u64();
        let all = [
            first([1, 2, 3], Purpose::Jitter),
            first([9, 2, 3], Purpose::Jitter),
            first([1, 9, 3], Purpose::Jitter),
            first([1, 2, 9], Purpose::Jitter),
            first([2, 1, 3], Purpose::Jitter),
            first([1, 2, 3], Purpose::Crop),
        ];
        let distinct: std::collections::HashSet<u64> = all.into_iter().collect();
        assert_eq!(distinct.len(), all.len());
        // Recorded with rand_chacha 0.10.
        assert_eq!(all[0], 1_223_844_302_487_303_164);
    }
}
