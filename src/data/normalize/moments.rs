//! Mean and standard deviation, and values measured by them.

use serde::{Deserialize, Serialize};

/// Mean and unbiased standard deviation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Moments {
    pub(super) mean: f64,
    pub(super) std: f64,
}

impl Moments {
    /// Moments of the values; `None` without any.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.collect();
        let n = values.len();
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        // The square of a single value is 0.
        let std = (squares / n.saturating_sub(1).max(1) as f64).sqrt();
        (n > 0).then_some(Self { mean, std })
    }

    /// The same, without standard deviation if that is not above the `resolution` of the values.
    pub(super) fn resolved(self, resolution: f64) -> Self {
        let std = if self.std > resolution { self.std } else { 0.0 };
        Self { std, ..self }
    }

    /// The distance of a value from the mean, in standard deviations; 0 where there is no standard deviation.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "values leave in the width they came in"
    )]
    pub(super) fn standardize(self, value: f64, epsilon: f64) -> f32 {
        if self.std == 0.0 {
            return 0.0;
        }
        ((value - self.mean) / (self.std + epsilon)) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_the_unbiased_one() {
        let moments = Moments::of([1.0, 3.0, 8.0].into_iter()).unwrap();

        assert_eq!(moments.mean, 4.0);
        assert_eq!(moments.std, 13.0f64.sqrt());
    }

    #[test]
    fn one_value_and_equal_values_have_no_deviation() {
        let tenth = f64::from(0.1f32);
        for n in [1, 3, 1000] {
            let moments = Moments::of(std::iter::repeat_n(tenth, n)).unwrap();

            assert_eq!((moments.mean, moments.std), (tenth, 0.0), "{n} values");
            assert_eq!(moments.standardize(7.0, 1e-8), 0.0, "{n} values");
        }
        assert_eq!(Moments::of(std::iter::empty()), None);
    }

    #[test]
    fn a_deviation_within_the_resolution_is_none() {
        let moments = Moments {
            mean: 5.0,
            std: 0.25,
        };

        assert_eq!(moments.resolved(0.1), moments);
        assert_eq!(
            moments.resolved(0.25),
            Moments {
                mean: 5.0,
                std: 0.0
            }
        );
    }
}
