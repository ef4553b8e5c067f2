//! Explaining a prediction by occlusion: what changes if a part of the series is not seen?

use std::ops::Range;

use serde::Serialize;

use super::{BATCH, PredictError, Prediction, TimesClip};
use crate::data::{Series, SeriesError};

/// How finely a prediction is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Time windows of each variate; fewer if the series has fewer steps. Default: 20.
    pub n_windows: usize,
}

impl Default for ExplainOptions {
    fn default() -> Self {
        Self { n_windows: 20 }
    }
}

/// What a prediction rests on: variates and time windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The prediction that is explained; it has the weights of the variates, too.
    pub prediction: Prediction,
    /// The windows, as ranges of steps, one after the other.
    pub windows: Vec<Range<usize>>,
    /// By how much the logarithm of the probability of the predicted class falls without a
    /// variate in a window, `[n_variates][n_windows]`. Negative where the window speaks for
    /// another class.
    pub importance: Vec<Vec<f32>>,
}

impl Explanation {
    /// How importance is measured, for people.
    pub const METHOD: &'static str = "Importance is the drop of the log-probability of the \
        predicted class when one variate in one time window is replaced by a straight line between \
        the values beside the window; all modalities see the same changed series.";

    /// Variate and window of the highest importance.
    pub fn most_important(&self) -> (usize, usize) {
        let rows = self.importance.iter().enumerate();
        let cells = rows.flat_map(|(variate, row)| {
            let row = row.iter().enumerate();
            row.map(move |(window, value)| (variate, window, *value))
        });
        let most = cells.max_by(|a, b| a.2.total_cmp(&b.2));
        most.map_or((0, 0), |(variate, window, _)| (variate, window))
    }
}

impl TimesClip {
    /// What the prediction for a series rests on, by occlusion.
    ///
    /// One variate in one time window is replaced by a straight line between the values beside the
    /// window (at an end of the series, by the value beside it), and the model is asked again.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn explain(
        &self,
        series: &Series,
        options: &ExplainOptions,
    ) -> Result<Explanation, PredictError> {
        let prediction = self.predict(series)?.remove(0);
        let windows = windows(series.n_steps(), options.n_windows);
        let mut importance = vec![vec![0.0; windows.len()]; series.n_variates()];
        let cells: Vec<(usize, usize)> = (0..series.n_variates())
            .flat_map(|variate| (0..windows.len()).map(move |window| (variate, window)))
            .collect();
        let log = |probability: f32| probability.max(f32::MIN_POSITIVE).ln();
        for cells in cells.chunks(BATCH) {
            let changed = cells
                .iter()
                .map(|&(variate, window)| occluded(series, variate, windows[window].clone()));
            let changed: Vec<Series> = changed.collect::<Result<_, _>>()?;
            let answers = self.predict(&changed)?;
            for (&(variate, window), answer) in cells.iter().zip(answers) {
                let left = answer.probabilities[prediction.class];
                importance[variate][window] = log(prediction.probability) - log(left);
            }
        }
        Ok(Explanation {
            prediction,
            windows,
            importance,
        })
    }
}

/// Steps in windows of about equal length.
fn windows(n_steps: usize, n_windows: usize) -> Vec<Range<usize>> {
    let n = n_windows.clamp(1, n_steps);
    let edge = |i: usize| i * n_steps / n;
    (0..n).map(|i| edge(i)..edge(i + 1)).collect()
}

/// The series with a straight line in a window of a variate. A variate without values outside is
/// constant there, at the mean of the window.
fn occluded(series: &Series, variate: usize, window: Range<usize>) -> Result<Series, SeriesError> {
    let value = |step: usize| Some((step, series.value(step, variate)));
    let known = |step: usize| value(step).filter(|(_, value)| !value.is_nan());
    let before = (0..window.start).rev().find_map(known);
    let after = (window.end..series.n_steps()).find_map(known);
    let times = series.times();
    let time = |step: usize| times.map_or(step as f64, |times| times[step]);
    let line = |step: usize| match (before, after) {
        (Some((a, low)), Some((b, high))) => {
            let span = time(b) - time(a);
            let along = match span > 0.0 {
                true => (time(step) - time(a)) / span,
                false => 0.5,
            };
            f64::from(low) + along * (f64::from(high) - f64::from(low))
        }
        (Some((_, value)), None) | (None, Some((_, value))) => f64::from(value),
        (None, None) => mean(window.clone().filter_map(known).map(|(_, value)| value)),
    };
    let (n_steps, n_variates) = (series.n_steps(), series.n_variates());
    let mut values = series.values().to_vec();
    for step in window.clone() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "between two values of single precision"
        )]
        let value = line(step) as f32;
        values[step * n_variates + variate] = value;
    }
    let changed = Series::new(values, n_steps, n_variates)?;
    match times {
        Some(times) => changed.with_times(times.to_vec()),
        None => Ok(changed),
    }
}

/// The mean of values; NaN if there are none.
fn mean(values: impl Iterator<Item = f32>) -> f64 {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| {
        (sum + f64::from(value), n + 1.0)
    });
    sum / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_step_once() {
        assert_eq!(windows(10, 4), [0..2, 2..5, 5..7, 7..10]);
        assert_eq!(windows(3, 20), [0..1, 1..2, 2..3]);
        assert_eq!(windows(5, 0), vec![Range { start: 0, end: 5 }]);
    }

    #[test]
    fn a_window_becomes_a_straight_line_between_its_neighbors() {
        let values = vec![0.0, 9.0, f32::NAN, 3.0, 8.0];
        let series = Series::new(values, 5, 1).unwrap();
        let line = |window| occluded(&series, 0, window).unwrap().values().to_vec();
        assert_eq!(line(1..3), [0.0, 1.0, 2.0, 3.0, 8.0]);
        assert_eq!(line(0..1)[0], 9.0);
        assert_eq!(line(3..5)[3..], [9.0, 9.0]);
        assert_eq!(line(0..5), [5.0; 5]);
    }

    #[test]
    fn a_line_follows_the_times_and_leaves_other_variates_alone() {
        let values = vec![0.0, 1.0, 5.0, 2.0, 10.0, 3.0];
        let series = Series::new(values, 3, 2).unwrap();
        let series = series.with_times(vec![0.0, 1.0, 10.0]).unwrap();
        let changed = occluded(&series, 0, 1..2).unwrap();
        assert_eq!(changed.values(), [0.0, 1.0, 1.0, 2.0, 10.0, 3.0]);
        assert_eq!(changed.times(), series.times());
    }

    #[test]
    fn a_variate_without_values_stays_without() {
        let series = Series::new(vec![f32::NAN; 4], 4, 1).unwrap();
        let changed = occluded(&series, 0, 1..2).unwrap();
        assert!(
            changed.values().iter().all(|value| value.is_nan()),
            "{changed:?}"
        );
    }
}
