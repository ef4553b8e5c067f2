//! A variate as points on the axes of its picture: what a reader of values sees of what is drawn.

use super::layout::{Frame, Layout};
use super::style::{PlotStyle, RasterError};
use crate::data::Series;

/// Differences are small where a line is smooth: this makes them of the size of the values.
const DIFFERENCE_SCALE: f32 = 8.0;
/// Values far outside of a picture are as far outside as this, in heights of the picture.
const FARTHEST: f64 = 2.0;

/// Reads variates at evenly spaced points of the horizontal axis of their pictures.
///
/// A point is four numbers: the value, from -0.5 at the lower end of the picture to 0.5 at its
/// upper end and 0 where there is none; 1 where there is a value, else 0; eight times the
/// difference to the point before; the size of that difference.
#[derive(Clone, Debug)]
pub struct AxisReader {
    layout: Layout,
    n_points: usize,
}

impl AxisReader {
    /// Numbers of a point.
    pub const POINT: usize = 4;

    /// Prepares to read `n_points` points, at least 2, on the axes of `style`.
    ///
    /// # Errors
    /// Whatever [`PlotStyle::validate`] finds wrong.
    ///
    /// # Panics
    /// If there are fewer than two points.
    pub fn new(style: &PlotStyle, n_points: usize) -> Result<Self, RasterError> {
        style.validate()?;
        assert!(n_points >= 2, "{n_points} points of an axis");
        let bare = PlotStyle {
            margin: 0.0,
            ..style.clone()
        };
        Ok(Self {
            layout: Layout::new(&bare, 1),
            n_points,
        })
    }

    /// Number of numbers of a variate.
    pub fn width(&self) -> usize {
        self.n_points * Self::POINT
    }

    /// Reads one variate between its steps; one without two values is missing throughout.
    ///
    /// # Shapes
    /// - `points`: `[n_points, 4]`
    ///
    /// # Panics
    /// If `points` has another length, if the series has no such variate, or if the style has
    /// fixed ranges but none for this variate.
    pub fn read(&self, series: &Series, variate: usize, points: &mut [f32]) {
        assert_eq!(points.len(), self.width(), "numbers of a variate");
        points.fill(0.0);
        let Some(frame) = self.layout.frame(series, variate) else {
            return;
        };
        let values: Vec<f32> = series.variate(variate).collect();
        let last = (self.n_points - 1) as f64;
        let mut before = None;
        for (i, point) in points.chunks_exact_mut(Self::POINT).enumerate() {
            let value = value_at(&values, frame.step_at(i as f64 / last));
            let height = value.map_or(0.0, |value| height(&frame, value));
            let difference = DIFFERENCE_SCALE * before.map_or(0.0, |before| height - before);
            let valid = f32::from(u8::from(value.is_some()));
            point.copy_from_slice(&[height, valid, difference, difference.abs()]);
            before = Some(height);
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a number of moderate size, which f32 has to 7 digits"
)]
fn height(frame: &Frame, value: f64) -> f32 {
    (frame.height(value) - 0.5).clamp(-FARTHEST, FARTHEST) as f32
}

/// The value at a place between two steps; none if one that it lies between is missing, or
/// outside of the series.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place within the series"
)]
fn value_at(values: &[f32], step: f64) -> Option<f64> {
    // Places of the last step, of which rounding may have lost the last bits.
    let step = if (step - step.round()).abs() < 1e-9 {
        step.round()
    } else {
        step
    };
    if step < 0.0 || step > (values.len() - 1) as f64 {
        return None;
    }
    let left = step as usize;
    let at = |i: usize| values.get(i).map(|value| f64::from(*value));
    let weight = step - left as f64;
    let value = if weight == 0.0 {
        at(left)?
    } else {
        at(left)? + (at(left + 1)? - at(left)?) * weight
    };
    (!value.is_nan()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::{XSpan, YScale};

    fn read(style: &PlotStyle, values: &[f32], n_points: usize) -> Vec<[f32; 4]> {
        let reader = AxisReader::new(style, n_points).unwrap();
        let series = Series::new(values.to_vec(), values.len(), 1).unwrap();
        let mut points = vec![f32::NAN; reader.width()];
        reader.read(&series, 0, &mut points);
        points.as_chunks().0.to_vec()
    }

    fn fixed(low: f32, high: f32, n_steps: usize) -> PlotStyle {
        PlotStyle {
            y_scale: YScale::Fixed(vec![[low, high]]),
            x_span: XSpan::Steps(n_steps),
            ..PlotStyle::default()
        }
    }

    #[test]
    fn values_lie_between_the_ends_of_the_axis() {
        let points = read(&fixed(0.0, 8.0, 5), &[0.0, 8.0, 4.0], 5);
        let expected = [
            [-0.5, 1.0, 0.0, 0.0],
            [0.5, 1.0, 8.0, 8.0],
            [0.0, 1.0, -4.0, 4.0],
            [0.0; 4],
            [0.0; 4],
        ];
        assert_eq!(points, expected);
    }

    #[test]
    fn points_between_steps_lie_on_the_line() {
        let points = read(&fixed(0.0, 1.0, 3), &[0.0, 1.0, 0.0], 9);
        let heights: Vec<f32> = points.iter().map(|point| point[0]).collect();
        assert_eq!(
            heights,
            [-0.5, -0.25, 0.0, 0.25, 0.5, 0.25, 0.0, -0.25, -0.5]
        );
        assert!(points.iter().all(|point| point[1] == 1.0));
    }

    #[test]
    fn a_gap_is_missing_and_its_edges_are_not() {
        let points = read(&fixed(-1.0, 1.0, 4), &[0.5, f32::NAN, 0.0, 1.0], 7);
        let valid: Vec<f32> = points.iter().map(|point| point[1]).collect();
        assert_eq!(valid, [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(points[2], [0.0; 4]);
    }

    #[test]
    fn a_series_alone_fills_its_axes() {
        let points = read(&PlotStyle::default(), &[f32::NAN, 3.0, 5.0, f32::NAN], 3);
        let heights: Vec<f32> = points.iter().map(|point| point[0]).collect();
        assert_eq!(heights, [-0.5, 0.0, 0.5]);
    }

    #[test]
    fn what_has_no_scale_is_finite() {
        let constant = read(&PlotStyle::default(), &[7.0; 3], 3);
        assert!(constant.iter().all(|point| point[..2] == [0.0, 1.0]));
        let outside = read(&fixed(0.0, 0.0, 3), &[1.0, 0.0, f32::MAX], 3);
        let heights: Vec<f32> = outside.iter().map(|point| point[0]).collect();
        assert_eq!(heights, [2.0, 0.0, 2.0]);
        assert!(
            read(&fixed(0.0, 1.0, 2), &[1.0], 2)
                .iter()
                .all(|point| *point == [0.0; 4])
        );
    }
}
