//! The series a classifier looks at and reads, and the labeled sets they come in.
//!
//! A [`Series`] is a table of `[n_steps, n_variates]` values. A [`SeriesDataset`] holds labeled
//! series of one shape family: the same variates everywhere, lengths that may differ. Both are
//! checked when they are made, so that code behind them need not check again.

pub mod answers;
pub mod augment;
mod classes;
mod dataset;
mod fingerprint;
mod metadata;
pub mod normalize;
pub(crate) mod random;
pub mod read;
mod source;
pub mod split;
mod times;
pub mod window;

pub use dataset::{ClassMatch, SeriesDataset};
pub use metadata::{Metadata, TextColumn};
pub use read::{
    Labels, Layout, ReadError, ReadOptions, ReadSeries, SeriesReader, TableSchema, Understanding,
};
pub use source::{SampleError, SampleSource};
pub use times::{Interpolation, TimeGrid, UnevenTimes};

/// One multivariate series: 32-bit values, time-major `[n_steps, n_variates]`.
///
/// `NaN` is a missing value. Infinities are refused, because no plot and no statistic can hold
/// them. There is at least one step and one variate; a series may still be missing throughout.
///
/// # Examples
///
/// ```
/// use timesclip::data::Series;
///
/// // Three steps of two variates; the second variate is missing at the last step.
/// let series = Series::new(vec![1.0, 10.0, 2.0, 20.0, 3.0, f32::NAN], 3, 2)?;
/// assert_eq!(series.value(1, 0), 2.0);
/// assert_eq!(series.variate(0).collect::<Vec<_>>(), [1.0, 2.0, 3.0]);
/// # Ok::<(), timesclip::data::SeriesError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    values: Vec<f32>,
    n_steps: usize,
    n_variates: usize,
    /// Times of steps that are not evenly spaced `[n_steps]`.
    times: Option<Vec<f64>>,
}

impl Series {
    /// Makes a series of `n_steps` steps from time-major values.
    ///
    /// # Shapes
    ///
    /// - `values`: `[n_steps, n_variates]`, one step after the other
    ///
    /// # Errors
    ///
    /// [`SeriesError::NoSteps`], [`SeriesError::NoVariates`], [`SeriesError::WrongLength`] if
    /// `values` does not hold `n_steps * n_variates` values, and [`SeriesError::Infinite`].
    pub fn new(values: Vec<f32>, n_steps: usize, n_variates: usize) -> Result<Self, SeriesError> {
        if n_steps == 0 {
            return Err(SeriesError::NoSteps);
        }
        if n_variates == 0 {
            return Err(SeriesError::NoVariates);
        }
        if n_steps.checked_mul(n_variates) != Some(values.len()) {
            return Err(SeriesError::WrongLength {
                found: values.len(),
                n_steps,
                n_variates,
            });
        }
        if let Some(index) = values.iter().position(|value| value.is_infinite()) {
            return Err(SeriesError::Infinite {
                step: index / n_variates,
                variate: index % n_variates,
                value: values[index],
            });
        }
        Ok(Self {
            values,
            n_steps,
            n_variates,
            times: None,
        })
    }

    /// Number of time steps, at least one.
    pub fn n_steps(&self) -> usize {
        self.n_steps
    }

    /// Number of variates, at least one.
    pub fn n_variates(&self) -> usize {
        self.n_variates
    }

    /// All values, time-major `[n_steps, n_variates]`; `NaN` where missing.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The value of one variate at one step; `NaN` if it is missing.
    ///
    /// # Panics
    ///
    /// If `step` or `variate` is out of range.
    pub fn value(&self, step: usize, variate: usize) -> f32 {
        self.assert_variate(variate);
        assert!(
            step < self.n_steps,
            "step {step} of a series of {} steps",
            self.n_steps
        );
        self.values[step * self.n_variates + variate]
    }

    /// The values of one variate, step by step.
    ///
    /// # Panics
    ///
    /// If `variate` is out of range.
    pub fn variate(&self, variate: usize) -> impl Iterator<Item = f32> + '_ {
        self.assert_variate(variate);
        self.values
            .iter()
            .skip(variate)
            .step_by(self.n_variates)
            .copied()
    }

    /// The first `n_steps` steps; a series that is not longer is returned whole.
    ///
    /// # Errors
    ///
    /// [`SeriesError::NoSteps`] if `n_steps` is zero.
    pub fn truncated(&self, n_steps: usize) -> Result<Self, SeriesError> {
        self.steps(0..n_steps.min(self.n_steps))
    }

    /// How values change from each step to the next: one step fewer, or a single step of zeros. What
    /// lies beside a missing value is missing.
    #[must_use]
    pub fn differences(&self) -> Self {
        let change = |i: usize, before: usize| {
            let change = self.values[i] - self.values[before];
            // Not beyond all numbers.
            change.clamp(f32::MIN, f32::MAX)
        };
        let width = self.n_variates;
        let values = match self.n_steps {
            1 => (0..width).map(|i| change(i, i)).collect(),
            _ => (width..self.values.len())
                .map(|i| change(i, i - width))
                .collect(),
        };
        Self {
            values,
            n_steps: (self.n_steps - 1).max(1),
            n_variates: width,
            times: None,
        }
    }

    /// A range of the steps, with their times.
    ///
    /// # Errors
    ///
    /// [`SeriesError::NoSteps`] if the range holds no step of the series.
    pub fn steps(&self, range: std::ops::Range<usize>) -> Result<Self, SeriesError> {
        let (start, end) = (range.start.min(self.n_steps), range.end.min(self.n_steps));
        let end = end.max(start);
        let n = self.n_variates;
        let part = Self::new(self.values[start * n..end * n].to_vec(), end - start, n)?;
        match &self.times {
            Some(times) => part.with_times(times[start..end].to_vec()),
            None => Ok(part),
        }
    }

    fn assert_variate(&self, variate: usize) {
        assert!(
            variate < self.n_variates,
            "variate {variate} of a series of {} variates",
            self.n_variates
        );
    }
}

/// A series, what it is, and which one it is.
#[derive(Clone, Debug, PartialEq)]
pub struct LabeledSeries {
    /// Stable identity: the row of the sample in its source, counted from 0. It stays with the
    /// sample through subsets, splits, shuffles and truncation.
    pub id: u64,
    /// The values.
    pub series: Series,
    /// Index of the class in [`SeriesDataset::class_names`].
    pub label: usize,
}

/// Why a series or a set of series is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// A series without time steps.
    #[error("the series has no time steps, expected at least one")]
    NoSteps,
    /// A series without variates.
    #[error("the series has no variates, expected at least one")]
    NoVariates,
    /// The number of values does not fit the shape.
    #[error("the series has {found} values, expected {n_steps} steps of {n_variates} variates")]
    WrongLength {
        /// Values that were given.
        found: usize,
        /// Steps that were announced.
        n_steps: usize,
        /// Variates that were announced.
        n_variates: usize,
    },
    /// A value that is neither a number nor missing.
    #[error(
        "the value at step {step} of variate {variate} is {value}, expected a finite number or NaN \
         for a missing one"
    )]
    Infinite {
        /// Time step, counted from 0.
        step: usize,
        /// Variate, counted from 0.
        variate: usize,
        /// The value: positive or negative infinity.
        value: f32,
    },
    /// Times that are not those of the steps.
    #[error("the series has {found} times, expected one for each of its {n_steps} steps")]
    TimeCount {
        /// Times that were given.
        found: usize,
        /// Number of steps.
        n_steps: usize,
    },
    /// A time that is no number, or lies before the one of the step before.
    #[error(
        "the time of step {step} is {time}, expected a finite one, not before that of the step before"
    )]
    Time {
        /// Time step, counted from 0.
        step: usize,
        /// Its time.
        time: f64,
    },
    /// Metadata that do not fit the samples.
    #[error("the {what} have {found} entries, expected {expected}")]
    Metadata {
        /// Which metadata.
        what: String,
        /// Number of entries.
        found: usize,
        /// Number of samples, or of variates.
        expected: usize,
    },
    /// A weight that is none.
    #[error("sample {id} has the weight {weight}, expected a finite number that is not negative")]
    Weight {
        /// Id of the sample.
        id: u64,
        /// Its weight.
        weight: f32,
    },
    /// A data set without samples.
    #[error("the data set `{dataset}` has no samples, expected at least one")]
    NoSamples {
        /// Name of the data set.
        dataset: String,
    },
    /// A sample with another number of variates than the first one.
    #[error("sample {id} has {found} variates, expected {expected} as in the first sample")]
    VariateCount {
        /// Id of the sample.
        id: u64,
        /// Its number of variates.
        found: usize,
        /// The number of variates of the first sample.
        expected: usize,
    },
    /// A label that no class name belongs to.
    #[error("sample {id} has label {label}, expected one below the {n_classes} classes")]
    LabelOutOfRange {
        /// Id of the sample.
        id: u64,
        /// Its label.
        label: usize,
        /// Number of class names.
        n_classes: usize,
    },
    /// Two samples with the same id.
    #[error("two samples have the id {id}, expected every id once")]
    DuplicateId {
        /// The id.
        id: u64,
    },
    /// Two classes with the same name.
    #[error("two classes have the name `{class}`, expected every name once")]
    DuplicateClass {
        /// The name.
        class: String,
    },
    /// A sample that the data set does not have was asked for.
    #[error("sample index {index} was asked for, expected one below the {len} samples")]
    IndexOutOfRange {
        /// The index.
        index: usize,
        /// Number of samples.
        len: usize,
    },
    /// A sample of a class that no training sample belongs to.
    #[error(
        "sample {id} of `{dataset}` has the class `{class}`, which training never saw, expected \
         one of: {}",
        known.join(", ")
    )]
    UnseenClass {
        /// Name of the data set that holds the sample.
        dataset: String,
        /// Id of the first such sample.
        id: u64,
        /// Name of its class.
        class: String,
        /// Names of the classes that have training samples.
        known: Vec<String>,
    },
    /// Every sample has the same class: there is nothing to tell apart.
    #[error("all samples of `{dataset}` have the class `{class}`, expected at least two classes")]
    OneClass {
        /// Name of the data set.
        dataset: String,
        /// The only class that has samples.
        class: String,
    },
    /// Too few samples to have one of each class.
    #[error(
        "`{dataset}` has {n_samples} samples for {n_classes} classes, expected at least one \
         sample a class"
    )]
    FewerSamplesThanClasses {
        /// Name of the data set.
        dataset: String,
        /// Number of samples.
        n_samples: usize,
        /// Number of class names.
        n_classes: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_time_major() {
        let series = Series::new(vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0], 3, 2).unwrap();

        assert_eq!((series.n_steps(), series.n_variates()), (3, 2));
        assert_eq!(series.value(2, 0), 3.0);
        assert_eq!(series.value(0, 1), 10.0);
        assert_eq!(series.variate(1).collect::<Vec<_>>(), [10.0, 20.0, 30.0]);
    }

    #[test]
    fn missing_values_are_kept() {
        let series = Series::new(vec![f32::NAN, 1.0], 2, 1).unwrap();

        assert!(series.value(0, 0).is_nan());
        assert_eq!(series.value(1, 0), 1.0);
    }

    #[test]
    fn differences_are_those_of_neighboring_steps() {
        let of = |values: &[f32], n_steps| {
            let series = Series::new(values.to_vec(), n_steps, 2).unwrap();
            let differences = series.differences();
            (differences.n_steps(), differences.values().to_vec())
        };
        let values = [1.0, 10.0, 3.0, 40.0, 0.0, 40.0];
        assert_eq!(of(&values, 3), (2, vec![2.0, 30.0, -3.0, 0.0]));
        assert_eq!(of(&values[..2], 1), (1, vec![0.0, 0.0]));
        let (_, huge) = of(&[f32::MIN, 0.0, f32::MAX, 0.0], 2);
        assert_eq!(huge, [f32::MAX, 0.0]);
        let (_, missing) = of(&[1.0, f32::NAN, 2.0, 5.0], 2);
        assert!(missing[0] == 1.0 && missing[1].is_nan());
    }

    #[test]
    fn infinity_is_refused_with_its_place() {
        let error = Series::new(vec![0.0, 1.0, 2.0, f32::NEG_INFINITY], 2, 2).unwrap_err();

        assert_eq!(
            error,
            SeriesError::Infinite {
                step: 1,
                variate: 1,
                value: f32::NEG_INFINITY
            }
        );
        assert_eq!(
            error.to_string(),
            "the value at step 1 of variate 1 is -inf, expected a finite number or NaN for a \
             missing one"
        );
    }

    #[test]
    fn shapes_that_hold_nothing_are_refused() {
        assert_eq!(Series::new(vec![], 0, 3), Err(SeriesError::NoSteps));
        assert_eq!(Series::new(vec![], 3, 0), Err(SeriesError::NoVariates));
    }

    #[test]
    fn values_that_do_not_fit_the_shape_are_refused() {
        let wrong = |found, n_steps, n_variates| {
            Err(SeriesError::WrongLength {
                found,
                n_steps,
                n_variates,
            })
        };

        assert_eq!(Series::new(vec![0.0; 5], 3, 2), wrong(5, 3, 2));
        // A shape whose product does not fit in a usize is wrong, not a panic.
        assert_eq!(
            Series::new(vec![0.0; 4], usize::MAX, 2),
            wrong(4, usize::MAX, 2)
        );
    }

    #[test]
    fn truncation_keeps_the_first_steps() {
        let series = Series::new(vec![1.0, 10.0, 2.0, 20.0, 3.0, 30.0], 3, 2).unwrap();

        let short = series.truncated(2).unwrap();

        assert_eq!(
            short,
            Series::new(vec![1.0, 10.0, 2.0, 20.0], 2, 2).unwrap()
        );
        assert_eq!(series.truncated(3).unwrap(), series);
        assert_eq!(series.truncated(100).unwrap(), series);
        assert_eq!(series.truncated(0), Err(SeriesError::NoSteps));
    }

    #[test]
    #[should_panic(expected = "variate 2 of a series of 2 variates")]
    fn a_variate_out_of_range_does_not_read_the_next_step() {
        Series::new(vec![1.0, 10.0, 2.0, 20.0], 2, 2)
            .unwrap()
            .value(0, 2);
    }
}
