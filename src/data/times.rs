//! Times of the steps of a series, and values on an even grid.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Series, SeriesError};

/// Share of a step by which evenly spaced times may be off: clocks and decimals are rounded.
const EVEN_TOLERANCE: f64 = 1e-3;

/// How values between two steps are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// On the line between the values before and after.
    #[default]
    Linear,
    /// The value of the step before.
    Previous,
    /// The value of the step that is nearer in time; of two, the one before.
    Nearest,
}

/// What becomes of series whose steps are not evenly spaced in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnevenTimes {
    /// They are put on an even grid, with values between steps found this way.
    Grid(Interpolation),
    /// Steps follow one another as if they were evenly spaced.
    Ignore,
}

impl Default for UnevenTimes {
    fn default() -> Self {
        Self::Grid(Interpolation::Linear)
    }
}

impl UnevenTimes {
    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Grid(Interpolation::Linear) => "linear",
            Self::Grid(Interpolation::Previous) => "previous",
            Self::Grid(Interpolation::Nearest) => "nearest",
            Self::Ignore => "ignore",
        }
    }
}

impl fmt::Display for UnevenTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for UnevenTimes {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let grids = [
            Interpolation::Linear,
            Interpolation::Previous,
            Interpolation::Nearest,
        ];
        let all = grids.into_iter().map(Self::Grid).chain([Self::Ignore]);
        let known = all.into_iter().find(|uneven| uneven.name() == name);
        known.ok_or_else(|| {
            format!("unknown way `{name}`: expected linear, previous, nearest or ignore")
        })
    }
}

/// An even grid of times for the series of a set. On it, a line plot has its points where they are
/// in time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeGrid {
    /// Time from one step to the next.
    pub interval: f64,
    /// Steps of a series at most: a single time far away would ask for any number.
    pub most_steps: usize,
    /// How values between two steps are found.
    pub interpolation: Interpolation,
}

/// Steps on a grid at most, in those of the longest series it was fitted to.
const MOST_STEPS: usize = 4;

impl TimeGrid {
    /// The grid for training series: its interval is the median of those between their steps.
    /// `None` if all are evenly spaced, or that is to be ignored.
    pub fn fit(training: &[&Series], uneven: UnevenTimes) -> Option<Self> {
        let UnevenTimes::Grid(interpolation) = uneven else {
            return None;
        };
        let times = training.iter().filter_map(|series| series.times());
        let gaps = times.flat_map(|times| times.windows(2).map(|pair| pair[1] - pair[0]));
        let mut gaps: Vec<f64> = gaps.filter(|gap| *gap > 0.0).collect();
        gaps.sort_by(f64::total_cmp);
        let longest = training.iter().map(|series| series.n_steps()).max()?;
        Some(Self {
            interval: *gaps.get(gaps.len() / 2)?,
            most_steps: MOST_STEPS * longest,
            interpolation,
        })
    }

    /// A series on the grid; `None` if its steps are evenly spaced as they are.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to a number of steps"
    )]
    pub fn place(&self, series: &Series) -> Option<Series> {
        let times = series.times()?;
        let span = times.last()? - times.first()?;
        let steps = (span / self.interval).round().min(self.most_steps as f64);
        let n_steps = (steps as usize + 1).clamp(1, self.most_steps.max(1));
        series.resampled(n_steps, self.interpolation).ok()
    }
}

impl Series {
    /// The series with the times of its steps, in any unit.
    ///
    /// Evenly spaced times say no more than the order of the steps: they are dropped.
    ///
    /// # Errors
    ///
    /// [`SeriesError::TimeCount`], and [`SeriesError::Time`] for one that is not finite or lies
    /// before the one of the step before. Steps may share a time.
    pub fn with_times(mut self, times: Vec<f64>) -> Result<Self, SeriesError> {
        if times.len() != self.n_steps {
            return Err(SeriesError::TimeCount {
                found: times.len(),
                n_steps: self.n_steps,
            });
        }
        let wrong =
            |&step: &usize| !times[step].is_finite() || (step > 0 && times[step] < times[step - 1]);
        if let Some(step) = (0..times.len()).find(wrong) {
            let time = times[step];
            return Err(SeriesError::Time { step, time });
        }
        self.times = (!are_even(&times)).then_some(times);
        Ok(self)
    }

    /// Times of the steps, ascending; `None` if the steps are evenly spaced.
    pub fn times(&self) -> Option<&[f64]> {
        self.times.as_deref()
    }

    /// The series at `n_steps` evenly spaced times from its first to its last one.
    ///
    /// Missing values are passed over: a variate has a value wherever `interpolation` finds one,
    /// and is missing before its first and after its last value.
    ///
    /// # Errors
    ///
    /// [`SeriesError::NoSteps`] if `n_steps` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// use timesclip::data::{Interpolation, Series};
    ///
    /// let series = Series::new(vec![0.0, 1.0, 4.0], 3, 1)?.with_times(vec![0.0, 1.0, 4.0])?;
    /// let even = series.resampled(5, Interpolation::Linear)?;
    /// assert_eq!(even.values(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(even.times(), None);
    /// # Ok::<(), timesclip::data::SeriesError>(())
    /// ```
    pub fn resampled(
        &self,
        n_steps: usize,
        interpolation: Interpolation,
    ) -> Result<Self, SeriesError> {
        let time = |step: usize| self.times.as_ref().map_or(step as f64, |times| times[step]);
        let (first, last) = (time(0), time(self.n_steps - 1));
        let grid = (0..n_steps).map(|step| match n_steps {
            1 => first,
            _ if step == n_steps - 1 => last,
            _ => first + (last - first) * step as f64 / (n_steps - 1) as f64,
        });
        let grid: Vec<f64> = grid.collect();
        let mut values = vec![f32::NAN; n_steps * self.n_variates];
        for variate in 0..self.n_variates {
            let known = self.variate(variate).enumerate();
            let known = known.filter(|(_, value)| !value.is_nan());
            let points: Vec<(f64, f32)> = known.map(|(step, value)| (time(step), value)).collect();
            for (step, &at) in grid.iter().enumerate() {
                let value = interpolation.between(&points, at);
                values[step * self.n_variates + variate] = value.unwrap_or(f32::NAN);
            }
        }
        Self::new(values, n_steps, self.n_variates)
    }
}

impl Interpolation {
    /// The value at a time among points in order of time; `None` outside of them.
    fn between(self, points: &[(f64, f32)], at: f64) -> Option<f32> {
        let after = points.partition_point(|&(time, _)| time <= at);
        let &(before_time, before) = points.get(after.checked_sub(1)?)?;
        if before_time == at {
            return Some(before);
        }
        let &(after_time, after) = points.get(after)?;
        let share = (at - before_time) / (after_time - before_time);
        #[expect(clippy::cast_possible_truncation, reason = "between two 32-bit values")]
        let line = || (f64::from(before) + (f64::from(after) - f64::from(before)) * share) as f32;
        Some(match self {
            Self::Linear => line(),
            Self::Previous => before,
            Self::Nearest if share <= 0.5 => before,
            Self::Nearest => after,
        })
    }
}

/// Whether times have the same distance throughout.
fn are_even(times: &[f64]) -> bool {
    let [first, .., last] = times else {
        return true;
    };
    let step = (last - first) / (times.len() - 1) as f64;
    let off = |(index, time): (usize, &f64)| (time - first - step * index as f64).abs();
    step > 0.0
        && times
            .iter()
            .enumerate()
            .map(off)
            .all(|off| off <= step * EVEN_TOLERANCE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f32], times: &[f64]) -> Series {
        let series = Series::new(values.to_vec(), values.len(), 1).unwrap();
        series.with_times(times.to_vec()).unwrap()
    }

    #[test]
    fn evenly_spaced_times_are_dropped_and_others_kept() {
        assert_eq!(series(&[1.0, 2.0, 3.0], &[10.0, 10.1, 10.2]).times(), None);
        assert_eq!(series(&[1.0], &[7.0]).times(), None);
        let uneven = series(&[1.0, 2.0, 3.0], &[0.0, 1.0, 3.0]);
        assert_eq!(uneven.times(), Some(&[0.0, 1.0, 3.0][..]));
        let twice = series(&[1.0, 2.0], &[5.0, 5.0]);
        assert_eq!(twice.times(), Some(&[5.0, 5.0][..]));
    }

    #[test]
    fn wrong_times_are_refused_with_their_step() {
        let series = Series::new(vec![1.0, 2.0], 2, 1).unwrap();

        let error = series.clone().with_times(vec![1.0]).unwrap_err();
        assert_eq!(
            (error, 2),
            (
                SeriesError::TimeCount {
                    found: 1,
                    n_steps: 2
                },
                2
            )
        );
        let error = series.clone().with_times(vec![1.0, 0.5]).unwrap_err();
        assert_eq!(error, SeriesError::Time { step: 1, time: 0.5 });
        assert!(series.with_times(vec![f64::NAN, 0.5]).is_err());
    }

    #[test]
    fn a_grid_has_the_median_interval_of_training_series() {
        let even = series(&[1.0, 2.0], &[0.0, 1.0]);
        let uneven = series(&[0.0, 2.0, 3.0, 7.0], &[0.0, 2.0, 3.0, 7.0]);
        let fit = |uneven| {
            TimeGrid::fit(
                &[&even, &series(&[0.0, 1.0, 9.0], &[0.0, 1.0, 2.5])],
                uneven,
            )
        };
        assert_eq!(fit(UnevenTimes::Ignore), None);
        assert_eq!(TimeGrid::fit(&[&even], UnevenTimes::default()), None);
        let grid = TimeGrid::fit(&[&even, &uneven], UnevenTimes::default()).unwrap();
        assert_eq!((grid.interval, grid.most_steps), (2.0, 16));
        assert_eq!(grid.place(&even), None);
        // Seven units of time in intervals of two: five steps from the first to the last.
        let placed = grid.place(&uneven).unwrap();
        assert_eq!(placed.values(), [0.0, 1.75, 3.5, 5.25, 7.0]);
        assert_eq!(placed.times(), None);
        let far = series(&[0.0, 1.0, 2.0], &[0.0, 1.0, 1e12]);
        assert_eq!(grid.place(&far).unwrap().n_steps(), 16);
        let at_once = series(&[3.0, 4.0], &[5.0, 5.0]);
        assert_eq!(grid.place(&at_once).unwrap().n_steps(), 1);
    }

    #[test]
    fn ways_of_uneven_times_have_names() {
        for name in ["linear", "previous", "nearest", "ignore"] {
            assert_eq!(name.parse::<UnevenTimes>().unwrap().name(), name);
        }
        assert!("steps".parse::<UnevenTimes>().is_err());
    }

    #[test]
    fn parts_of_a_series_keep_their_times() {
        let whole = series(&[1.0, 2.0, 3.0, 4.0], &[0.0, 1.0, 3.0, 4.0]);

        let part = whole.steps(1..4).unwrap();

        assert_eq!(part, series(&[2.0, 3.0, 4.0], &[1.0, 3.0, 4.0]));
        assert_eq!(whole.truncated(2).unwrap().times(), None);
        assert_eq!(whole.steps(4..9), Err(SeriesError::NoSteps));
    }

    #[test]
    fn each_interpolation_finds_its_value() {
        let uneven = series(&[0.0, 10.0, f32::NAN, 30.0], &[0.0, 2.0, 3.0, 10.0]);
        let at = |interpolation| {
            uneven
                .resampled(6, interpolation)
                .unwrap()
                .values()
                .to_vec()
        };

        assert_eq!(
            at(Interpolation::Linear),
            [0.0, 10.0, 15.0, 20.0, 25.0, 30.0]
        );
        assert_eq!(
            at(Interpolation::Previous),
            [0.0, 10.0, 10.0, 10.0, 10.0, 30.0]
        );
        assert_eq!(
            at(Interpolation::Nearest),
            [0.0, 10.0, 10.0, 10.0, 30.0, 30.0]
        );
        assert_eq!(
            uneven.resampled(0, Interpolation::Linear),
            Err(SeriesError::NoSteps)
        );
    }

    #[test]
    fn a_variate_stays_missing_outside_of_its_values() {
        let series = Series::new(vec![f32::NAN, 1.0, f32::NAN], 3, 1).unwrap();
        let even = series.resampled(3, Interpolation::Linear).unwrap();
        assert!(even.value(0, 0).is_nan() && even.value(2, 0).is_nan());
        assert_eq!(even.value(1, 0), 1.0);
    }
}
