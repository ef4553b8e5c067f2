//! Normalisation of the values that the language branch reads, fitted on training samples only.
//!
//! Pictures need none: a plot's axes rescale by themselves. Every statistic sees valid steps
//! only, so that neither padding nor gaps shift a mean.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::series::Series;

/// Added to a deviation before dividing by it, as the reference does.
const EPSILON: f64 = 1e-8;

/// What the values of a series are measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// The mean and deviation of the same variate of the same series, as the reference does.
    /// Level and scale are lost.
    Instance,
    /// The mean and deviation of the variate over the training samples. Level and scale stay.
    Dataset,
    /// As `Instance`, with the mean and deviation kept beside the values, each standardised over
    /// the training samples.
    InstanceWithStatistics,
}

/// Mean and deviation of a variate, or of a statistic of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Moments {
    mean: f64,
    deviation: f64,
}

impl Moments {
    /// Moments of the values that are not `NaN`; the deviation is the unbiased one, and 0 of
    /// fewer than two values.
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.filter(|value| !value.is_nan()).collect();
        let n = values.len() as f64;
        if values.is_empty() {
            return Self::default();
        }
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = if n > 1.0 { (squares / (n - 1.0)).sqrt() } else { 0.0 };
        Self { mean, deviation }
    }

    #[expect(clippy::cast_possible_truncation, reason = "values leave in the width they came in")]
    fn standardise(self, value: f64) -> f32 {
        ((value - self.mean) / (self.deviation + EPSILON)) as f32
    }
}

/// A fitted normalisation; it travels with the model that was trained on its values.
///
/// # Examples
///
/// ```
/// use timesclip::normalize::{Normalization, Normalizer};
/// use timesclip::series::Series;
///
/// let series = Series::new(vec![1.0, 2.0, f32::NAN, 3.0], 4, 1)?;
/// let normalizer = Normalizer::fit(Normalization::Instance, [&series])?;
/// let normalized = normalizer.apply(&series);
/// assert_eq!(normalized.values, [-1.0, 0.0, 0.0, 1.0]);
/// assert_eq!(normalized.valid, [true, true, false, true]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalizer {
    kind: Normalization,
    n_variates: usize,
    /// Of each variate's values under `Dataset`; of its means under `InstanceWithStatistics`.
    level: Vec<Moments>,
    /// Of each variate's deviations under `InstanceWithStatistics`.
    scale: Vec<Moments>,
}

/// The values of a series, normalised, and what is known beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalizedSeries {
    /// Time-major `[n_steps, n_variates]`; missing steps are 0.
    pub values: Vec<f32>,
    /// `[n_steps, n_variates]`, false where a step is missing.
    pub valid: Vec<bool>,
    /// `[n_variates, 2]`, mean and deviation of each variate, where the normalisation keeps them.
    pub statistics: Option<Vec<f32>>,
}

impl Normalizer {
    /// Fits a normalisation to training samples.
    ///
    /// # Errors
    ///
    /// [`NormalizeError::NoSamples`], and [`NormalizeError::VariatesDiffer`] if the samples do
    /// not all have the same number of variates.
    pub fn fit<'a>(
        kind: Normalization,
        training: impl IntoIterator<Item = &'a Series>,
    ) -> Result<Self, NormalizeError> {
        let training: Vec<&Series> = training.into_iter().collect();
        let first = training.first().ok_or(NormalizeError::NoSamples)?;
        let n_variates = first.n_variates();
        if let Some(other) = training.iter().find(|series| series.n_variates() != n_variates) {
            let found = other.n_variates();
            return Err(NormalizeError::VariatesDiffer { found, expected: n_variates });
        }
        let mut fitted = Self { kind, n_variates, level: Vec::new(), scale: Vec::new() };
        for variate in 0..n_variates {
            match kind {
                Normalization::Instance => {}
                Normalization::Dataset => {
                    let values = training.iter().flat_map(|series| series.variate(variate));
                    fitted.level.push(Moments::of(values.map(f64::from)));
                }
                Normalization::InstanceWithStatistics => {
                    let seen: Vec<Moments> = training
                        .iter()
                        .filter(|series| series.variate(variate).any(|value| !value.is_nan()))
                        .map(|series| moments(series, variate))
                        .collect();
                    fitted.level.push(Moments::of(seen.iter().map(|moments| moments.mean)));
                    fitted.scale.push(Moments::of(seen.iter().map(|moments| moments.deviation)));
                }
            }
        }
        Ok(fitted)
    }

    /// Which normalisation it is.
    pub fn kind(&self) -> Normalization {
        self.kind
    }

    /// Normalises a series.
    ///
    /// A variate that does not change becomes zeros under the instance normalisations, and so do
    /// its statistics if it has no valid step at all.
    ///
    /// # Panics
    ///
    /// If the series has another number of variates than the training samples.
    pub fn apply(&self, series: &Series) -> NormalizedSeries {
        let (n_variates, expected) = (series.n_variates(), self.n_variates);
        assert_eq!(n_variates, expected, "{n_variates} variates, fitted to {expected}");
        let own: Vec<Moments> = (0..n_variates).map(|variate| moments(series, variate)).collect();
        let against = if self.kind == Normalization::Dataset { &self.level } else { &own };
        let valid: Vec<bool> = series.values().iter().map(|value| !value.is_nan()).collect();
        let normalize = |(i, value): (usize, &f32)| {
            let moments = against[i % n_variates];
            if value.is_nan() { 0.0 } else { moments.standardise(f64::from(*value)) }
        };
        NormalizedSeries {
            values: series.values().iter().enumerate().map(normalize).collect(),
            statistics: (self.kind == Normalization::InstanceWithStatistics)
                .then(|| self.statistics(series, &own)),
            valid,
        }
    }

    fn statistics(&self, series: &Series, own: &[Moments]) -> Vec<f32> {
        let of_variate = |(variate, moments): (usize, &Moments)| {
            if series.variate(variate).all(f32::is_nan) {
                return [0.0, 0.0];
            }
            let level = self.level[variate].standardise(moments.mean);
            [level, self.scale[variate].standardise(moments.deviation)]
        };
        own.iter().enumerate().flat_map(of_variate).collect()
    }
}

fn moments(series: &Series, variate: usize) -> Moments {
    Moments::of(series.variate(variate).map(f64::from))
}

/// A normalisation cannot be fitted.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormalizeError {
    /// There are no training samples.
    #[error("there are no training samples to fit a normalisation to")]
    NoSamples,
    /// The samples do not have the same variates.
    #[error("a training sample has {found} variates, the first has {expected}")]
    VariatesDiffer {
        /// Variates of that sample.
        found: usize,
        /// Variates of the first sample.
        expected: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAN: f32 = f32::NAN;

    fn series(values: &[f32], n_variates: usize) -> Series {
        Series::new(values.to_vec(), values.len() / n_variates, n_variates).unwrap()
    }

    #[test]
    fn instance_uses_the_unbiased_deviation_of_valid_steps() {
        let one = series(&[2.0, 4.0, NAN, 6.0], 1);
        let fitted = Normalizer::fit(Normalization::Instance, [&one]).unwrap();
        let normalized = fitted.apply(&one);
        assert_eq!(normalized.values, [-1.0, 0.0, 0.0, 1.0]);
        assert_eq!(normalized.valid, [true, true, false, true]);
        assert_eq!(normalized.statistics, None);
    }

    #[test]
    fn dataset_keeps_level_and_scale_between_series() {
        let (low, high) = (series(&[0.0, 2.0], 1), series(&[4.0, 6.0], 1));
        let fitted = Normalizer::fit(Normalization::Dataset, [&low, &high]).unwrap();
        // mean 3, unbiased deviation sqrt(20 / 3)
        let deviation = (20.0f32 / 3.0).sqrt();
        let expected = [(0.0 - 3.0) / deviation, (2.0 - 3.0) / deviation];
        for (found, expected) in fitted.apply(&low).values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} is not {expected}");
        }
    }

    #[test]
    fn statistics_are_standardised_over_the_training_samples() {
        let (low, high) = (series(&[0.0, 2.0], 1), series(&[10.0, 18.0], 1));
        let kind = Normalization::InstanceWithStatistics;
        let fitted = Normalizer::fit(kind, [&low, &high]).unwrap();
        let half = std::f32::consts::FRAC_1_SQRT_2;
        for (series, sign) in [(&low, -1.0), (&high, 1.0)] {
            let statistics = fitted.apply(series).statistics.unwrap();
            for value in statistics {
                assert!((value - sign * half).abs() < 1e-6, "{value} is not {sign} * {half}");
            }
        }
    }

    #[test]
    fn constant_single_and_absent_variates_become_zeros() {
        let odd = series(&[5.0, 1.0, NAN, 5.0, NAN, NAN], 3);
        for kind in [Normalization::Instance, Normalization::InstanceWithStatistics] {
            let fitted = Normalizer::fit(kind, [&odd]).unwrap();
            let normalized = fitted.apply(&odd);
            assert_eq!(normalized.values, [0.0; 6], "{kind:?}");
            assert_eq!(normalized.valid, [true, true, false, true, false, false], "{kind:?}");
        }
    }

    #[test]
    fn nothing_and_unlike_samples_are_refused() {
        let none: [&Series; 0] = [];
        let fitted = Normalizer::fit(Normalization::Dataset, none);
        assert_eq!(fitted, Err(NormalizeError::NoSamples));
        let (one, two) = (series(&[1.0, 2.0], 1), series(&[1.0, 2.0], 2));
        let fitted = Normalizer::fit(Normalization::Dataset, [&one, &two]);
        assert_eq!(fitted, Err(NormalizeError::VariatesDiffer { found: 2, expected: 1 }));
    }

    #[test]
    fn survives_a_round_trip_through_json_exactly() {
        let one = series(&[0.1, 0.7, 0.3, 1.9], 2);
        let fitted = Normalizer::fit(Normalization::Dataset, [&one]).unwrap();
        let text = serde_json::to_string(&fitted).unwrap();
        assert_eq!(serde_json::from_str::<Normalizer>(&text).unwrap(), fitted);
    }

    proptest! {
        #[test]
        fn instance_does_not_see_level_and_scale(
            values in prop::collection::vec(-100.0f32..100.0, 3..40),
            factor in 0.25f32..4.0,
            offset in -50.0f32..50.0,
        ) {
            let spread = values.iter().fold(0.0f32, |s, v| s.max((v - values[0]).abs()));
            prop_assume!(spread > 1.0);
            let one = series(&values, 1);
            let moved: Vec<f32> = values.iter().map(|v| v * factor + offset).collect();
            let fitted = Normalizer::fit(Normalization::Instance, [&one]).unwrap();
            let (a, b) = (fitted.apply(&one), fitted.apply(&series(&moved, 1)));
            for (a, b) in a.values.iter().zip(&b.values) {
                prop_assert!((a - b).abs() < 1e-3, "{} and {}", a, b);
            }
        }
    }
}
