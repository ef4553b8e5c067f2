//! Hiding parts of a series: straight lines in the place of values.

use std::ops::Range;

use crate::data::{Series, SeriesError};

/// A variate, and the steps of it that are hidden.
pub(super) type Cell = (usize, Range<usize>);

/// The series with straight lines in the place of some cells, between the values beside them. At an
/// end of the series the line is level; a variate that is hidden altogether is constant, at its
/// mean.
pub(super) fn occluded(series: &Series, cells: &[Cell]) -> Result<Series, SeriesError> {
    let (n_steps, n_variates) = (series.n_steps(), series.n_variates());
    let mut hidden = vec![false; n_steps * n_variates];
    for (variate, steps) in cells {
        for step in steps.clone() {
            hidden[step * n_variates + variate] = true;
        }
    }
    let mut values = series.values().to_vec();
    for variate in 0..n_variates {
        let is_hidden = |step: &usize| hidden[step * n_variates + variate];
        if (0..n_steps).any(|step| is_hidden(&step)) {
            let steps = (0..n_steps).filter(is_hidden).collect();
            draw_lines(&mut values, series, variate, steps);
        }
    }
    let changed = Series::new(values, n_steps, n_variates)?;
    match series.times() {
        Some(times) => changed.with_times(times.to_vec()),
        None => Ok(changed),
    }
}

/// Puts lines into the hidden steps of a variate, which are in order.
fn draw_lines(values: &mut [f32], series: &Series, variate: usize, hidden: Vec<usize>) {
    let n_variates = series.n_variates();
    let known =
        |step: usize| Some((step, series.value(step, variate))).filter(|(_, v)| !v.is_nan());
    let mut left = hidden.iter().peekable();
    let shown = (0..series.n_steps()).filter(|step| left.next_if_eq(&step).is_none());
    let shown: Vec<(usize, f32)> = shown.filter_map(known).collect();
    let time = |step: usize| series.times().map_or(step as f64, |times| times[step]);
    let whole = mean(series.variate(variate).filter(|value| !value.is_nan()));
    for step in hidden {
        let after = shown.partition_point(|(at, _)| *at < step);
        let before = after.checked_sub(1).map(|i| shown[i]);
        let value = match (before, shown.get(after)) {
            (Some((a, low)), Some(&(b, high))) => {
                let span = time(b) - time(a);
                let along = match span > 0.0 {
                    true => (time(step) - time(a)) / span,
                    false => 0.5,
                };
                f64::from(low) + along * (f64::from(high) - f64::from(low))
            }
            (Some((_, value)), None) | (None, Some(&(_, value))) => f64::from(value),
            (None, None) => whole,
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "between two values of single precision"
        )]
        let value = value as f32;
        values[step * n_variates + variate] = value;
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
    fn a_window_becomes_a_straight_line_between_its_neighbors() {
        let values = vec![0.0, 9.0, f32::NAN, 3.0, 8.0];
        let series = Series::new(values, 5, 1).unwrap();
        let line = |window| occluded(&series, &[(0, window)]).unwrap().values().to_vec();
        assert_eq!(line(1..3), [0.0, 1.0, 2.0, 3.0, 8.0]);
        assert_eq!(line(0..1)[0], 9.0);
        assert_eq!(line(3..5)[3..], [9.0, 9.0]);
        assert_eq!(line(0..5), [5.0; 5]);
    }

    #[test]
    fn windows_side_by_side_become_one_line() {
        let values = vec![0.0, 9.0, 9.0, 9.0, 8.0];
        let series = Series::new(values, 5, 1).unwrap();
        let line = |cells: &[Cell]| occluded(&series, cells).unwrap().values().to_vec();
        let straight = [0.0, 2.0, 4.0, 6.0, 8.0];
        assert_eq!(line(&[(0, 2..4), (0, 1..2)]), straight);
        assert_eq!(line(&[(0, 1..4)]), straight);
        assert_eq!(line(&[(0, 0..3), (0, 3..5)]), [7.0; 5]);
        assert_eq!(line(&[]), [0.0, 9.0, 9.0, 9.0, 8.0]);
    }

    #[test]
    fn a_line_follows_the_times_and_leaves_other_variates_alone() {
        let values = vec![0.0, 1.0, 5.0, 2.0, 10.0, 3.0];
        let series = Series::new(values, 3, 2).unwrap();
        let series = series.with_times(vec![0.0, 1.0, 10.0]).unwrap();
        let changed = occluded(&series, &[(0, 1..2)]).unwrap();
        assert_eq!(changed.values(), [0.0, 1.0, 1.0, 2.0, 10.0, 3.0]);
        assert_eq!(changed.times(), series.times());
    }

    #[test]
    fn a_variate_without_values_stays_without() {
        let series = Series::new(vec![f32::NAN; 4], 4, 1).unwrap();
        let changed = occluded(&series, &[(0, 1..2)]).unwrap();
        assert!(
            changed.values().iter().all(|value| value.is_nan()),
            "{changed:?}"
        );
    }
}
