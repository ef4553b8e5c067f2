//! A series as kernels read it: variate by variate, gaps closed, zeros on either side.

use crate::data::Series;

use super::lanes::WIDEST;

/// Largest size of a value: sums over kernels and steps stay far from infinity.
const LARGEST: f32 = 1e30;

/// Rows of `n_steps` values, each between `margin` zeros before and at least as many behind.
#[derive(Clone, Debug)]
pub(super) struct Padded {
    values: Vec<f32>,
    n_steps: usize,
    margin: usize,
}

impl Padded {
    /// The values of a series, cut or padded with zeros at its end.
    pub(super) fn of(series: &Series, n_steps: usize, margin: usize) -> Self {
        let n_variates = series.n_variates();
        let mut padded = Self::zeros(n_variates, n_steps, margin);
        let kept = series.n_steps().min(n_steps);
        for variate in 0..n_variates {
            let row = &mut padded.values_mut(variate)[..kept];
            for (value, found) in row.iter_mut().zip(series.variate(variate)) {
                *value = found.clamp(-LARGEST, LARGEST);
            }
            interpolate(row);
        }
        padded
    }

    /// Rows of zeros. A vector that starts inside a row may end behind it.
    pub(super) fn zeros(n_rows: usize, n_steps: usize, margin: usize) -> Self {
        let values = vec![0.0; n_rows * Self::stride(n_steps, margin)];
        Self {
            values,
            n_steps,
            margin,
        }
    }

    /// The differences of neighboring steps, one fewer than there are values; at least `least`, with
    /// zeros at the end.
    pub(super) fn differences(&self, least: usize) -> Self {
        let n_steps = (self.n_steps - 1).max(least);
        let mut differences = Self::zeros(self.n_rows(), n_steps, self.margin);
        for row in 0..self.n_rows() {
            let pairs = self.values(row).windows(2);
            for (out, pair) in differences.values_mut(row).iter_mut().zip(pairs) {
                *out = pair[1] - pair[0];
            }
        }
        differences
    }

    pub(super) fn n_steps(&self) -> usize {
        self.n_steps
    }

    pub(super) fn n_rows(&self) -> usize {
        self.values.len() / Self::stride(self.n_steps, self.margin)
    }

    /// The values of a row.
    pub(super) fn values(&self, row: usize) -> &[f32] {
        &self.row(row)[self.margin..][..self.n_steps]
    }

    pub(super) fn values_mut(&mut self, row: usize) -> &mut [f32] {
        let stride = Self::stride(self.n_steps, self.margin);
        &mut self.values[row * stride + self.margin..][..self.n_steps]
    }

    /// A row and its padding from `before` steps before its first value on.
    pub(super) fn row_from(&self, row: usize, before: usize) -> &[f32] {
        &self.row(row)[self.margin - before..]
    }

    fn row(&self, row: usize) -> &[f32] {
        let stride = Self::stride(self.n_steps, self.margin);
        &self.values[row * stride..][..stride]
    }

    fn stride(n_steps: usize, margin: usize) -> usize {
        n_steps.next_multiple_of(WIDEST) + 2 * margin
    }
}

/// Fills missing values on a line between their known neighbors, with the nearest known value
/// outside of these, with zeros where nothing is known.
fn interpolate(values: &mut [f32]) {
    let mut known: Option<usize> = None;
    for step in 0..values.len() {
        if values[step].is_nan() {
            continue;
        }
        let (from, to) = (known.map_or(values[step], |k| values[k]), values[step]);
        let first = known.map_or(0, |k| k + 1);
        let gap = (step + 1 - first) as f32;
        for (i, value) in values[first..step].iter_mut().enumerate() {
            *value = from + (to - from) * ((i + 1) as f32 / gap);
        }
        known = Some(step);
    }
    let (first, last) = known.map_or((0, 0.0), |k| (k + 1, values[k]));
    values[first..].fill(last);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: f32 = f32::NAN;

    fn filled(values: &[f32]) -> Vec<f32> {
        let mut values = values.to_vec();
        interpolate(&mut values);
        values
    }

    #[test]
    fn gaps_are_closed_on_a_line_and_ends_repeat() {
        assert_eq!(
            filled(&[GAP, 1.0, GAP, GAP, 4.0, GAP]),
            [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]
        );
        assert_eq!(filled(&[GAP, GAP]), [0.0, 0.0]);
        assert_eq!(filled(&[3.0, 1.0]), [3.0, 1.0]);
    }

    #[test]
    fn series_are_cut_or_padded_at_their_end() {
        let series = Series::new(vec![1.0, 10.0, 2.0, 20.0, 3.0, GAP], 3, 2).unwrap();

        let longer = Padded::of(&series, 5, 4);
        assert_eq!(longer.values(0), [1.0, 2.0, 3.0, 0.0, 0.0]);
        assert_eq!(longer.values(1), [10.0, 20.0, 20.0, 0.0, 0.0]);
        assert_eq!(longer.row_from(1, 2)[..4], [0.0, 0.0, 10.0, 20.0]);
        assert_eq!(longer.differences(0).values(0), [1.0, 1.0, -3.0, 0.0]);
        assert_eq!(longer.differences(6).values(0)[3..], [0.0; 3]);

        assert_eq!(Padded::of(&series, 2, 0).values(1), [10.0, 20.0]);
    }
}
