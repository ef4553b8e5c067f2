//! Normalization of the values that the language branch reads, fitted on training samples only.
//!
//! Pictures need none: the axes of a plot have a scale of their own. Statistics are taken in
//! 64 bits and see valid steps only, so that neither padding nor gaps shift a mean.

mod moments;

use serde::{Deserialize, Serialize};

use self::moments::Moments;
use crate::data::Series;

/// Added to the standard deviation of a series before dividing by it, as the reference does.
const EPSILON: f64 = 1e-8;

/// Spread of a statistic over the training samples, relative to the standard deviation within them, up to
/// which it is rounding and no knowledge. Means of series that were z-scored before they were
/// written to a file differ by about 1e-8 of it; standardizing those would make noise large.
const STATISTIC_RESOLUTION: f64 = 1e-5;

/// What the values of a series are measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// The mean and standard deviation of the same variate of the same series, as the reference does.
    /// Level and scale are lost.
    Instance,
    /// The mean and standard deviation of the variate over the training samples. Level and scale stay.
    Dataset,
    /// As `Instance`, with the mean and standard deviation kept beside the values, each standardized over
    /// the training samples.
    InstanceWithStatistics,
}

impl std::str::FromStr for Normalization {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "instance" => Ok(Self::Instance),
            "dataset" => Ok(Self::Dataset),
            "instance-with-statistics" => Ok(Self::InstanceWithStatistics),
            _ => Err(format!(
                "unknown normalization `{name}`: expected instance, dataset or \
                 instance-with-statistics"
            )),
        }
    }
}

/// A fitted normalization; it travels with the model that was trained on its values.
///
/// # Formula
///
/// ```text
/// Instance                  (x - mean of the series) / (standard deviation of the series + 1e-8)
/// Dataset                   (x - mean of training) / standard deviation of training
/// InstanceWithStatistics    as Instance, and for s = mean of the series, s = its standard deviation:
///                           (s - mean of s over training) / standard deviation of s over training
/// ```
///
/// each for one variate. Deviations are unbiased (divided by `n - 1`), and 0 of a single value.
/// What does not vary, in the series or over training, becomes zeros.
///
/// # Examples
///
/// ```
/// use timesclip::data::normalize::{Normalization, Normalizer};
/// use timesclip::data::Series;
///
/// let series = Series::new(vec![1.0, 2.0, f32::NAN, 3.0], 4, 1)?;
/// let normalizer = Normalizer::fit(Normalization::Instance, [&series])?;
/// let normalized = normalizer.apply(&series);
/// assert_eq!(normalized.values, [-1.0, 0.0, 0.0, 1.0]);
/// assert_eq!(normalized.valid, [true, true, false, true]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Normalizer {
    fitted: Fitted,
}

/// What each normalization knows from training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "normalization", rename_all = "snake_case")]
enum Fitted {
    Instance { n_variates: usize },
    Dataset { variates: Vec<Moments> },
    InstanceWithStatistics { variates: Vec<StatisticsMoments> },
}

/// Moments of the two statistics of one variate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct StatisticsMoments {
    mean: Moments,
    std: Moments,
}

/// The values of a series, normalized, and what is known beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct NormalizedSeries {
    /// Time-major `[n_steps, n_variates]`; missing steps are 0.
    pub values: Vec<f32>,
    /// `[n_steps, n_variates]`, false where a step is missing.
    pub valid: Vec<bool>,
    /// `[n_variates, 2]`, mean and standard deviation of each variate, where the normalization keeps them;
    /// zeros for a variate without valid steps.
    pub statistics: Option<Vec<f32>>,
}

impl Normalizer {
    /// Fits a normalization to training samples: all of a set, or those of a split.
    ///
    /// # Errors
    ///
    /// [`NormalizeError::NoSamples`], and [`NormalizeError::VariatesDiffer`] if the samples do
    /// not all have the same number of variates.
    ///
    /// # Examples
    ///
    /// ```
    /// use timesclip::data::normalize::{Normalization, Normalizer};
    /// use timesclip::data::Series;
    ///
    /// let all = [Series::new(vec![0.0, 2.0], 2, 1)?, Series::new(vec![9.0, 9.0], 2, 1)?];
    /// let train = [0];
    /// let samples = train.iter().map(|&index: &usize| &all[index]);
    /// let normalizer = Normalizer::fit(Normalization::Dataset, samples)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fit<'a>(
        kind: Normalization,
        training: impl IntoIterator<Item = &'a Series>,
    ) -> Result<Self, NormalizeError> {
        let training: Vec<&Series> = training.into_iter().collect();
        let first = training.first().ok_or(NormalizeError::NoSamples)?;
        let expected = first.n_variates();
        if let Some(found) = training
            .iter()
            .map(|series| series.n_variates())
            .find(|n| *n != expected)
        {
            return Err(NormalizeError::VariatesDiffer { found, expected });
        }
        let fitted = match kind {
            Normalization::Instance => Fitted::Instance {
                n_variates: expected,
            },
            Normalization::Dataset => Fitted::Dataset {
                variates: (0..expected)
                    .map(|variate| value_moments(&training, variate))
                    .collect(),
            },
            Normalization::InstanceWithStatistics => Fitted::InstanceWithStatistics {
                variates: (0..expected)
                    .map(|variate| statistics_moments(&training, variate))
                    .collect(),
            },
        };
        Ok(Self { fitted })
    }

    /// Which normalization it is.
    pub fn kind(&self) -> Normalization {
        match self.fitted {
            Fitted::Instance { .. } => Normalization::Instance,
            Fitted::Dataset { .. } => Normalization::Dataset,
            Fitted::InstanceWithStatistics { .. } => Normalization::InstanceWithStatistics,
        }
    }

    /// Number of variates of the training samples, and of every series it applies to.
    pub fn n_variates(&self) -> usize {
        match &self.fitted {
            Fitted::Instance { n_variates } => *n_variates,
            Fitted::Dataset { variates } => variates.len(),
            Fitted::InstanceWithStatistics { variates } => variates.len(),
        }
    }

    /// Normalizes a series.
    ///
    /// # Panics
    ///
    /// If the series has another number of variates than the training samples.
    pub fn apply(&self, series: &Series) -> NormalizedSeries {
        let (found, expected) = (series.n_variates(), self.n_variates());
        assert_eq!(
            found, expected,
            "{found} variates, but the normalization was fitted to {expected}"
        );
        let own = || (0..found).map(|variate| Moments::of(values(series, variate)));
        match &self.fitted {
            Fitted::Instance { .. } => standardized(series, own(), EPSILON),
            Fitted::Dataset { variates } => {
                standardized(series, variates.iter().copied().map(Some), 0.0)
            }
            Fitted::InstanceWithStatistics { variates } => {
                let statistics = own()
                    .zip(variates)
                    .flat_map(|(own, seen)| seen.standardize(own));
                NormalizedSeries {
                    statistics: Some(statistics.collect()),
                    ..standardized(series, own(), EPSILON)
                }
            }
        }
    }
}

impl StatisticsMoments {
    fn standardize(&self, own: Option<Moments>) -> [f32; 2] {
        own.map_or([0.0; 2], |own| {
            [
                self.mean.standardize(own.mean, 0.0),
                self.std.standardize(own.std, 0.0),
            ]
        })
    }
}

/// The valid values of one variate.
fn values(series: &Series, variate: usize) -> impl Iterator<Item = f64> + '_ {
    series
        .variate(variate)
        .filter(|value| !value.is_nan())
        .map(f64::from)
}

/// Moments of all values of a variate.
fn value_moments(training: &[&Series], variate: usize) -> Moments {
    let of_all = training.iter().flat_map(|series| values(series, variate));
    let moments = Moments::of(of_all).unwrap_or_default();
    moments.resolved(moments.mean.abs() * f64::from(f32::EPSILON))
}

/// Moments of the mean and of the standard deviation of a variate, over the samples that have values of it.
fn statistics_moments(training: &[&Series], variate: usize) -> StatisticsMoments {
    let own = training
        .iter()
        .filter_map(|series| Moments::of(values(series, variate)));
    let (means, stds): (Vec<f64>, Vec<f64>) =
        own.map(|moments| (moments.mean, moments.std)).unzip();
    let mean = Moments::of(means.into_iter()).unwrap_or_default();
    let std = Moments::of(stds.into_iter()).unwrap_or_default();
    let resolution = std.mean * STATISTIC_RESOLUTION;
    StatisticsMoments {
        mean: mean.resolved(resolution),
        std: std.resolved(resolution),
    }
}

/// The values measured against the moments of each variate `[n_variates]`.
fn standardized(
    series: &Series,
    moments: impl Iterator<Item = Option<Moments>>,
    epsilon: f64,
) -> NormalizedSeries {
    let moments: Vec<Moments> = moments.map(Option::unwrap_or_default).collect();
    let values = series.values();
    let normalize = |(value, moments): (&f32, &Moments)| {
        if value.is_nan() {
            0.0
        } else {
            moments.standardize(f64::from(*value), epsilon)
        }
    };
    NormalizedSeries {
        values: values
            .iter()
            .zip(moments.iter().cycle())
            .map(normalize)
            .collect(),
        valid: values.iter().map(|value| !value.is_nan()).collect(),
        statistics: None,
    }
}

/// Why a normalization cannot be fitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NormalizeError {
    /// There are no training samples.
    #[error("there are no training samples to fit a normalization to, expected at least one")]
    NoSamples,
    /// The samples do not have the same variates.
    #[error("a training sample has {found} variates, expected {expected} as in the first sample")]
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
    const KINDS: [Normalization; 3] = [
        Normalization::Instance,
        Normalization::Dataset,
        Normalization::InstanceWithStatistics,
    ];
    /// Values leave 64-bit arithmetic rounded to 32 bits once.
    const TOLERANCE: f32 = 1e-6;

    fn series(values: &[f32], n_variates: usize) -> Series {
        Series::new(values.to_vec(), values.len() / n_variates, n_variates).unwrap()
    }

    fn fit<'a>(kind: Normalization, training: impl IntoIterator<Item = &'a Series>) -> Normalizer {
        Normalizer::fit(kind, training).unwrap()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len(), "{found:?} is not {expected:?}");
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() <= TOLERANCE, "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn instance_uses_the_unbiased_deviation_of_valid_steps() {
        // Mean 4, standard deviation 2; the missing step neither counts nor shifts.
        let one = series(&[2.0, 4.0, NAN, 6.0], 1);

        let normalized = fit(Normalization::Instance, [&one]).apply(&one);

        assert_eq!(normalized.values, [-1.0, 0.0, 0.0, 1.0]);
        assert_eq!(normalized.valid, [true, true, false, true]);
        assert_eq!(normalized.statistics, None);
    }

    /// Expected values: PyTorch 2.15, `(x - x.mean()) / (x.std() + 1e-8)`.
    #[test]
    fn instance_equals_the_reference() {
        let one = series(&[0.5, -1.25, 3.0, 2.0], 1);

        let normalized = fit(Normalization::Instance, [&one]).apply(&one);

        let expected = [-0.303_620_04, -1.248_215_7, 1.045_802_4, 0.506_033_36];
        assert_close(&normalized.values, &expected);
    }

    #[test]
    fn instance_dampens_deviations_near_zero() {
        // Mean 0, standard deviation 1e-8: the reference's constant halves the values.
        let tiny = series(&[-1e-8, 0.0, 1e-8], 1);

        let normalized = fit(Normalization::Instance, [&tiny]).apply(&tiny);

        assert_close(&normalized.values, &[-0.5, 0.0, 0.5]);
    }

    #[test]
    fn variates_do_not_mix() {
        let one = series(&[1.0, 300.0, 2.0, 200.0, 3.0, 100.0], 2);

        let normalized = fit(Normalization::Instance, [&one]).apply(&one);

        assert_close(&normalized.values, &[-1.0, 1.0, 0.0, 0.0, 1.0, -1.0]);
    }

    #[test]
    fn dataset_keeps_level_and_scale_between_series() {
        let (low, high) = (series(&[0.0, 2.0], 1), series(&[4.0, 6.0, NAN], 1));

        let fitted = fit(Normalization::Dataset, [&low, &high]);

        // Mean 3, standard deviation sqrt(20 / 3) = 2.581989.
        assert_close(&fitted.apply(&low).values, &[-1.161_895, -0.387_298_33]);
        assert_close(&fitted.apply(&high).values, &[0.387_298_33, 1.161_895, 0.0]);
        assert_eq!(fitted.apply(&high).valid, [true, true, false]);
        let unseen = series(&[3.0, 3.0 + 2.0 * 2.581_989], 1);
        assert_close(&fitted.apply(&unseen).values, &[0.0, 2.0]);
    }

    #[test]
    fn statistics_are_standardized_over_the_training_samples() {
        // Means 1, 14 and 3; standard deviations sqrt(2), sqrt(32) and 0.
        let training = [
            series(&[0.0, 2.0], 1),
            series(&[10.0, 18.0], 1),
            series(&[3.0], 1),
        ];

        let fitted = fit(Normalization::InstanceWithStatistics, &training);

        // Over these: mean 6 and standard deviation 7; mean sqrt(2) * 5 / 3, standard deviation sqrt(2) * 2.081666.
        let expected = [
            [-5.0 / 7.0, -0.320_256_3],
            [8.0 / 7.0, 1.120_897],
            [-3.0 / 7.0, -0.800_640_8],
        ];
        for (series, expected) in training.iter().zip(expected) {
            assert_close(&fitted.apply(series).statistics.unwrap(), &expected);
        }
        let half = std::f32::consts::FRAC_1_SQRT_2;
        assert_close(&fitted.apply(&training[1]).values, &[-half, half]);
    }

    #[test]
    fn constant_single_and_missing_variates_become_zeros() {
        let odd = series(&[5.0, 0.1, NAN, 5.0, NAN, NAN], 3);

        for kind in KINDS {
            let normalized = fit(kind, [&odd]).apply(&odd);

            assert_eq!(normalized.values, [0.0; 6], "{kind:?}");
            assert_eq!(
                normalized.valid,
                [true, true, false, true, false, false],
                "{kind:?}"
            );
            let statistics = (kind == Normalization::InstanceWithStatistics).then(|| vec![0.0; 6]);
            assert_eq!(normalized.statistics, statistics, "{kind:?}");
        }
    }

    #[test]
    fn a_variate_that_training_never_saw_vary_is_zero_wherever_it_varies_later() {
        // Nothing tells whether 0.2 is far from 0.1; divided by nearly 0 it would be enormous.
        let training = [series(&[0.1, 0.1, 0.1], 1), series(&[0.1], 1)];
        let later = series(&[0.1, 0.2, -7.0], 1);

        let dataset = fit(Normalization::Dataset, &training).apply(&later);
        assert_eq!(dataset.values, [0.0; 3]);
        let statistics = fit(Normalization::InstanceWithStatistics, &training)
            .apply(&later)
            .statistics;
        assert_eq!(statistics, Some(vec![0.0; 2]));
    }

    #[test]
    fn a_variate_that_training_never_saw_at_all_is_zero() {
        let training = series(&[1.0, NAN, 2.0, NAN], 2);
        let later = series(&[1.0, 8.0, 2.0, 9.0], 2);

        let normalized = fit(Normalization::Dataset, [&training]).apply(&later);

        assert_eq!((normalized.values[1], normalized.values[3]), (0.0, 0.0));
        assert_eq!(normalized.valid, [true; 4]);
        let fitted = fit(Normalization::InstanceWithStatistics, [&training]);
        assert_eq!(fitted.apply(&later).statistics.unwrap()[2..], [0.0; 2]);
    }

    #[test]
    fn rounding_in_z_scored_data_is_not_made_a_statistic() {
        let training = [
            series(&[-1.0, 0.0, 1.0], 1),
            series(&[1.0, 1e-7, -1.000_000_1], 1),
        ];

        let fitted = fit(Normalization::InstanceWithStatistics, &training);

        for series in &training {
            assert_eq!(fitted.apply(series).statistics, Some(vec![0.0; 2]));
        }
    }

    #[test]
    fn the_unit_of_the_data_does_not_matter_to_training_statistics() {
        let nano = |values: &[f32]| values.iter().map(|v| v * 1e-9).collect::<Vec<_>>();
        let values: [&[f32]; 2] = [&[0.0, 2.0], &[4.0, 9.0]];
        for kind in [
            Normalization::Dataset,
            Normalization::InstanceWithStatistics,
        ] {
            let ones = values.map(|values| series(values, 1));
            let nanos = values.map(|values| series(&nano(values), 1));
            let (large, small) = (fit(kind, &ones), fit(kind, &nanos));
            for (one, nano) in ones.iter().zip(&nanos) {
                let (large, small) = (large.apply(one), small.apply(nano));
                match kind {
                    Normalization::Dataset => assert_close(&large.values, &small.values),
                    _ => assert_close(&large.statistics.unwrap(), &small.statistics.unwrap()),
                }
            }
        }
    }

    #[test]
    fn a_large_level_does_not_blur_the_deviation() {
        let high = series(&[1_000_000.0, 1_000_001.0, 1_000_002.0], 1);

        for kind in KINDS {
            assert_close(&fit(kind, [&high]).apply(&high).values, &[-1.0, 0.0, 1.0]);
        }
    }

    #[test]
    fn nothing_and_unlike_samples_are_refused() {
        let (one, two) = (series(&[1.0, 2.0], 1), series(&[1.0, 2.0], 2));
        for kind in KINDS {
            assert_eq!(Normalizer::fit(kind, []), Err(NormalizeError::NoSamples));
            let differ = NormalizeError::VariatesDiffer {
                found: 2,
                expected: 1,
            };
            assert_eq!(Normalizer::fit(kind, [&one, &two]), Err(differ));
        }
    }

    #[test]
    #[should_panic(expected = "2 variates, but the normalization was fitted to 1")]
    fn a_series_of_other_variates_panics() {
        fit(Normalization::Instance, [&series(&[1.0, 2.0], 1)]).apply(&series(&[1.0, 2.0], 2));
    }

    #[test]
    fn a_round_trip_through_json_is_exact() {
        let training = [series(&[0.1, 0.7, 0.3, 1.9], 2), series(&[0.9, NAN], 2)];
        for kind in KINDS {
            let fitted = fit(kind, &training);
            let text = serde_json::to_string(&fitted).unwrap();
            let read: Normalizer = serde_json::from_str(&text).unwrap();

            assert_eq!(read, fitted);
            assert_eq!((read.kind(), read.n_variates()), (kind, 2));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

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

            let fitted = fit(Normalization::Instance, [&one]);

            let (a, b) = (fitted.apply(&one), fitted.apply(&series(&moved, 1)));
            // The moved values are rounded to 32 bits before they are normalized.
            for (a, b) in a.values.iter().zip(&b.values) {
                prop_assert!((a - b).abs() < 1e-3, "{a} and {b}");
            }
        }

        #[test]
        fn every_series_becomes_finite_and_missing_steps_become_zeros(
            values in prop::collection::vec(
                prop_oneof![Just(NAN), -1.0f32..1.0, Just(7.5), -1e30f32..1e30],
                1..60,
            ),
            n_variates in 1usize..4,
        ) {
            prop_assume!(values.len() >= n_variates);
            let kept = values.len() / n_variates * n_variates;
            let one = series(&values[..kept], n_variates);
            for kind in KINDS {
                let normalized = fit(kind, [&one]).apply(&one);
                prop_assert_eq!(normalized.valid.len(), kept);
                for (i, value) in normalized.values.iter().enumerate() {
                    prop_assert!(value.is_finite());
                    prop_assert_eq!(normalized.valid[i], !values[i].is_nan());
                    prop_assert!(normalized.valid[i] || *value == 0.0);
                }
                let mut statistics = normalized.statistics.into_iter().flatten();
                prop_assert!(statistics.all(f32::is_finite));
            }
        }
    }
}
