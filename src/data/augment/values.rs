//! Transforms of values: amplitude, level and noise, each measured by the variate's own spread.

use super::table::Table;
use crate::data::random::Random;

/// How values change: for each transform its strength and its numbers.
pub(super) struct Changes {
    pub(super) scale: (f64, Random),
    pub(super) shift: (f64, Random),
    pub(super) jitter: (f64, Random),
}

/// What one variate is and becomes.
struct Variate {
    mean: f64,
    std: f64,
    /// What is added to a value, for each unit that it is away from the mean.
    stretch: f64,
    offset: f64,
}

impl Changes {
    pub(super) fn apply(mut self, table: &mut Table) {
        if [self.scale.0, self.shift.0, self.jitter.0] == [0.0; 3] {
            // Even -0 stays as it is.
            return;
        }
        let variates: Vec<Variate> = (0..table.n_variates)
            .map(|variate| self.draw(table.variate(variate)))
            .collect();
        let (jitter, mut random) = self.jitter;
        for (value, variate) in table.values.iter_mut().zip(variates.iter().cycle()) {
            // Drawn for missing values too: what is missing moves the noise of no other step.
            let noise = random.normal() * jitter * variate.std;
            let exact = f64::from(*value);
            let distance = exact - variate.mean;
            *value = narrow(exact + distance * variate.stretch + variate.offset + noise);
        }
    }

    fn draw(&mut self, values: impl Iterator<Item = f32>) -> Variate {
        let (mean, std) = moments(values);
        let (scale, random) = &mut self.scale;
        let exponent = random.signed();
        let factor = 1.0 + *scale * exponent.abs();
        let (shift, random) = &mut self.shift;
        Variate {
            mean,
            std,
            stretch: if exponent < 0.0 { 1.0 / factor } else { factor } - 1.0,
            offset: random.signed() * *shift * std,
        }
    }
}

/// Mean and standard deviation of what is not missing; zeros of nothing.
fn moments(values: impl Iterator<Item = f32>) -> (f64, f64) {
    let seen: Vec<f64> = values.filter(|v| !v.is_nan()).map(f64::from).collect();
    let n = seen.len().max(1) as f64;
    let mean = seen.iter().sum::<f64>() / n;
    let squares = seen.iter().map(|value| (value - mean) * (value - mean));
    (mean, (squares.sum::<f64>() / n).sqrt())
}

/// A value in the width it came in; the largest there is where it would be infinite.
#[expect(clippy::cast_possible_truncation, reason = "clamped to the range")]
fn narrow(value: f64) -> f32 {
    value.clamp(f32::MIN.into(), f32::MAX.into()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::Purpose;

    /// Rounding of 32-bit values near 10.
    const TOLERANCE: f64 = 2e-6;

    fn changed(values: &[f32], [scale, shift, jitter]: [f64; 3], seed: u64) -> Vec<f32> {
        let random = |purpose| Random::new([seed, 0, 1], purpose);
        let mut table = Table {
            values: values.to_vec(),
            n_variates: 1,
        };
        let changes = Changes {
            scale: (scale, random(Purpose::Scale)),
            shift: (shift, random(Purpose::Shift)),
            jitter: (jitter, random(Purpose::Jitter)),
        };
        changes.apply(&mut table);
        table.values
    }

    const VALUES: [f32; 5] = [1.0, f32::NAN, 4.0, 10.0, 5.0];

    fn seen(values: &[f32]) -> Vec<f32> {
        values.iter().copied().filter(|v| !v.is_nan()).collect()
    }

    #[test]
    fn moments_are_of_what_is_not_missing() {
        assert_eq!(moments(VALUES.into_iter()), (5.0, 10.5f64.sqrt()));
        assert_eq!(moments([f32::NAN].into_iter()), (0.0, 0.0));
    }

    #[test]
    fn scale_keeps_the_mean_and_stays_within_its_factor() {
        let (_, std) = moments(VALUES.into_iter());
        let mut factors = Vec::new();
        for seed in 0..200 {
            let (mean, scaled) = moments(changed(&VALUES, [0.25, 0.0, 0.0], seed).into_iter());
            assert!((mean - 5.0).abs() < TOLERANCE, "{mean}");
            factors.push(scaled / std);
        }
        let most = factors.iter().copied().fold(0.0, f64::max);
        let least = factors.iter().copied().fold(f64::MAX, f64::min);
        assert!(most > 1.2 && most < 1.25 + TOLERANCE, "{most}");
        assert!(least < 0.83 && least > 0.8 - TOLERANCE, "{least}");
    }

    #[test]
    fn shift_moves_all_values_by_one_number_of_deviations_at_most() {
        let (_, std) = moments(VALUES.into_iter());
        let mut moves = Vec::new();
        for seed in 0..200 {
            let values = changed(&VALUES, [0.0, 0.5, 0.0], seed);
            let by: Vec<f64> = seen(&values)
                .iter()
                .zip(seen(&VALUES))
                .map(|(new, old)| f64::from(*new) - f64::from(old))
                .collect();
            assert!(by.iter().all(|b| (b - by[0]).abs() < TOLERANCE), "{by:?}");
            moves.push(by[0] / std);
        }
        assert!(moves.iter().all(|by| by.abs() <= 0.5 + TOLERANCE));
        assert!(moves.iter().any(|by| *by > 0.4) && moves.iter().any(|by| *by < -0.4));
    }

    #[test]
    fn jitter_has_the_deviation_that_is_asked_for_and_none_without_spread() {
        let wave: Vec<f32> = (0..4000u16).map(|i| f32::from(i % 2) * 200.0).collect();

        let noise: Vec<f32> = changed(&wave, [0.0, 0.0, 0.1], 1)
            .iter()
            .zip(&wave)
            .map(|(new, old)| new - old)
            .collect();

        // A tenth of 100, within four standard errors of a standard deviation of 4000 values.
        let (_, std) = moments(noise.into_iter());
        assert!((std - 10.0).abs() < 0.5, "{std}");
        assert_eq!(changed(&[3.0; 4], [0.5, 0.5, 0.5], 1), [3.0; 4]);
    }

    #[test]
    fn what_would_be_infinite_is_the_largest_value() {
        let values = [f32::MAX, f32::MIN, f32::MAX];
        for seed in 0..50 {
            let changed = changed(&values, [5.0, 5.0, 5.0], seed);
            assert!(changed.iter().all(|v| v.is_finite()), "{changed:?}");
        }
    }
}
