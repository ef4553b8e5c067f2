//! `PlotStyle`: everything that changes a pixel, and what it may be.

use serde::{Deserialize, Serialize};

use super::palette::Palette;
use crate::data::SeriesDataset;

/// The largest side of a picture, in pixels.
const MAX_SIDE_PX: usize = 4096;

/// How a series is drawn. Two equal styles draw equal pictures of equal series, byte for byte, as
/// long as [`RENDERER_VERSION`](super::RENDERER_VERSION) is the same.
///
/// The default is the recipe of the Python reference: a 4 x 4 inch matplotlib figure at 100 dpi
/// without axes, `linewidth=2`, resized by Pillow to 224 x 224 pixels.
///
/// # Examples
///
/// ```
/// use timesclip::raster::PlotStyle;
///
/// let small = PlotStyle { side_px: 64, ..PlotStyle::default() };
/// assert!(small.validate().is_ok());
/// assert!(PlotStyle { side_px: 0, ..small }.validate().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlotStyle {
    /// Width and height of the picture in pixels, 1 to 4096. Default 224.
    pub side_px: usize,
    /// Width of the line as a fraction of the side, above 0 and at most 0.5. Default 1/144: two
    /// points of a figure four inches (288 points) wide, 1.56 of 224 pixels.
    pub stroke_width: f64,
    /// Empty border on each of the four sides as a fraction of the drawn span, 0 to 1. Default
    /// 0.05, of which 1/22 of the side remains empty on each side.
    pub margin: f64,
    /// What the lower and upper ends of the picture mean. Default: each series fills its picture.
    pub y_scale: YScale,
    /// What the left and right ends of the picture mean. Default: the series fills its picture.
    pub x_span: XSpan,
    /// The inks. They do not change a mask, only the picture made of it.
    pub palette: Palette,
}

/// What the lower and the upper end of the vertical axis are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum YScale {
    /// The smallest and the largest value of the variate in this very series, as the reference
    /// does: shape only, neither level nor amplitude can be seen. A constant is centered.
    #[default]
    Series,
    /// One `[low, high]` for each variate, so that level and amplitude stay visible. Values
    /// outside leave the picture. If `low == high`, the line is centered where the value equals it.
    Fixed(Vec<[f32; 2]>),
}

/// What the left and the right end of the horizontal axis are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum XSpan {
    /// The first and the last value of the variate that is not missing, as the reference does.
    #[default]
    Finite,
    /// Step 0 and the last of this many steps (at least 2), so that lengths and missing ends stay
    /// visible. Later steps leave the picture.
    Steps(usize),
}

impl Default for PlotStyle {
    fn default() -> Self {
        Self {
            side_px: 224,
            stroke_width: 1.0 / 144.0,
            margin: 0.05,
            y_scale: YScale::Series,
            x_span: XSpan::Finite,
            palette: Palette::default(),
        }
    }
}

impl YScale {
    /// The range of every variate over a whole data set, usually the training split.
    ///
    /// A variate without any value gets `[0, 0]`.
    pub fn fitted(dataset: &SeriesDataset) -> Self {
        let ranges = (0..dataset.n_variates()).map(|variate| {
            let values = dataset
                .samples()
                .iter()
                .flat_map(|sample| sample.series.variate(variate))
                .filter(|value| !value.is_nan());
            values
                .fold(None, |range: Option<[f32; 2]>, value| {
                    let [low, high] = range.unwrap_or([value; 2]);
                    Some([low.min(value), high.max(value)])
                })
                .unwrap_or_default()
        });
        Self::Fixed(ranges.collect())
    }
}

/// Width of the line as a fraction of the side, as the small encoders were pretrained: 2 of 112 px.
const INK_STROKE_WIDTH: f64 = 2.0 / 112.0;
/// Empty border, likewise.
const INK_MARGIN: f64 = 0.03;

impl PlotStyle {
    /// The pictures that the small encoders of ink were pretrained on, on axes of each series.
    pub fn for_ink(side_px: usize) -> Self {
        Self {
            side_px,
            stroke_width: INK_STROKE_WIDTH,
            margin: INK_MARGIN,
            palette: Palette::new(vec![[0; 3]]),
            ..Self::default()
        }
    }

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`RasterError::Side`], [`RasterError::Fraction`], [`RasterError::Range`],
    /// [`RasterError::Steps`] and [`RasterError::NoColors`].
    pub fn validate(&self) -> Result<(), RasterError> {
        let Self { side_px, .. } = *self;
        if !(1..=MAX_SIDE_PX).contains(&side_px) {
            return Err(RasterError::Side { side_px });
        }
        check_fraction("stroke_width", self.stroke_width, f64::MIN_POSITIVE, 0.5)?;
        check_fraction("margin", self.margin, 0.0, 1.0)?;
        if let YScale::Fixed(ranges) = &self.y_scale {
            for (variate, &[low, high]) in ranges.iter().enumerate() {
                if !(low.is_finite() && high.is_finite() && low <= high) {
                    return Err(RasterError::Range { variate, low, high });
                }
            }
        }
        match self.x_span {
            XSpan::Steps(steps) if steps < 2 => return Err(RasterError::Steps { steps }),
            XSpan::Steps(_) | XSpan::Finite => {}
        }
        if self.palette.colors().is_empty() {
            return Err(RasterError::NoColors);
        }
        Ok(())
    }

    /// Checks that series of this many variates can be drawn: a fixed scale needs as many ranges.
    ///
    /// # Errors
    ///
    /// [`RasterError::RangeCount`].
    pub fn validate_variates(&self, n_variates: usize) -> Result<(), RasterError> {
        match &self.y_scale {
            YScale::Fixed(ranges) if ranges.len() != n_variates => Err(RasterError::RangeCount {
                ranges: ranges.len(),
                n_variates,
            }),
            YScale::Fixed(_) | YScale::Series => Ok(()),
        }
    }
}

fn check_fraction(
    field: &'static str,
    value: f64,
    least: f64,
    most: f64,
) -> Result<(), RasterError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(RasterError::Fraction { field, value, most })
    }
}

/// Why a plot style is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RasterError {
    /// A side that is no picture, or a very large one.
    #[error("the side of a picture is {side_px} px, expected 1 to {MAX_SIDE_PX}")]
    Side {
        /// The side in pixels.
        side_px: usize,
    },
    /// A fraction that is not a number, negative or too large.
    #[error("`{field}` of the plot style is {value}, expected a fraction up to {most}")]
    Fraction {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: f64,
        /// The largest value allowed.
        most: f64,
    },
    /// A fixed range that is not a range.
    #[error("the fixed range of variate {variate} is {low} to {high}, expected low <= high")]
    Range {
        /// The variate.
        variate: usize,
        /// Its lower end.
        low: f32,
        /// Its upper end.
        high: f32,
    },
    /// A fixed range is missing, or there are too many.
    #[error(
        "the plot style has {ranges} fixed ranges, expected one for each of {n_variates} variates"
    )]
    RangeCount {
        /// Number of ranges.
        ranges: usize,
        /// Number of variates.
        n_variates: usize,
    },
    /// A fixed span of steps on which no line can be drawn.
    #[error("the horizontal span is {steps} steps, expected at least 2")]
    Steps {
        /// Number of steps.
        steps: usize,
    },
    /// A palette without colors.
    #[error("the palette has no colors, expected at least one")]
    NoColors,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LabeledSeries, Series};

    fn refused(change: impl FnOnce(&mut PlotStyle)) -> String {
        let mut style = PlotStyle::default();
        change(&mut style);
        style.validate().unwrap_err().to_string()
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        assert!(refused(|s| s.side_px = 0).contains("0 px"));
        assert!(refused(|s| s.side_px = 5000).contains("5000 px"));
        for width in [0.0, -1.0, 0.6, f64::NAN, f64::INFINITY] {
            assert!(refused(|s| s.stroke_width = width).contains("stroke_width"));
        }
        for margin in [-0.1, 1.1, f64::NAN] {
            assert!(refused(|s| s.margin = margin).contains("margin"));
        }
        assert!(refused(|s| s.x_span = XSpan::Steps(1)).contains("1 steps"));
        assert!(refused(|s| s.palette = Palette::new(vec![])).contains("no colors"));
        for range in [[1.0, 0.0], [0.0, f32::NAN], [f32::NEG_INFINITY, 0.0]] {
            let scale = YScale::Fixed(vec![[0.0, 1.0], range]);
            assert!(refused(|s| s.y_scale = scale).contains("variate 1"));
        }
    }

    #[test]
    fn fixed_ranges_fit_their_variates_or_are_refused() {
        let style = PlotStyle {
            y_scale: YScale::Fixed(vec![[0.0, 1.0]; 2]),
            ..PlotStyle::default()
        };

        assert_eq!(style.validate_variates(2), Ok(()));
        let found = style.validate_variates(3);
        assert!(matches!(found, Err(RasterError::RangeCount { .. })));
        assert_eq!(PlotStyle::default().validate_variates(3), Ok(()));
    }

    #[test]
    fn ranges_are_fitted_to_what_is_there() {
        let sample = |id, label, values: [f32; 6]| LabeledSeries {
            id,
            series: Series::new(values.to_vec(), 2, 3).unwrap(),
            label,
        };
        let samples = vec![
            sample(0, 0, [1.0, 5.0, f32::NAN, -3.0, f32::NAN, f32::NAN]),
            sample(1, 1, [9.0, 7.0, f32::NAN, 2.0, 6.0, f32::NAN]),
        ];
        let names = vec!["a".to_owned(), "b".to_owned()];
        let dataset = SeriesDataset::new("set", names, samples).unwrap();

        let fitted = YScale::fitted(&dataset);

        let expected = vec![[-3.0, 9.0], [5.0, 7.0], [0.0, 0.0]];
        assert_eq!(fitted, YScale::Fixed(expected));
    }

    #[test]
    fn a_style_survives_json() {
        let style = PlotStyle {
            y_scale: YScale::Fixed(vec![[0.1, 0.3]]),
            x_span: XSpan::Steps(29),
            ..PlotStyle::default()
        };

        let text = serde_json::to_string(&style).unwrap();

        assert_eq!(serde_json::from_str::<PlotStyle>(&text).unwrap(), style);
        assert!(serde_json::from_str::<PlotStyle>(r#"{"side": 3}"#).is_err());
    }
}
