//! Draws series as line plots: one variate, one coverage mask.
//!
//! ```
//! use timesclip::raster::{PlotStyle, Rasterizer};
//! use timesclip::data::Series;
//!
//! let rasterizer = Rasterizer::new(PlotStyle::default())?;
//! let series = Series::new(vec![0.0, 3.0, 1.0, 2.0], 4, 1)?;
//!
//! let mut mask = vec![0; 224 * 224];
//! rasterizer.draw(&mut rasterizer.scratch(), &series, 0, &mut mask);
//! assert!(mask.iter().any(|coverage| *coverage > 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The default style is the recipe of the Python reference: matplotlib plots on a canvas of
//! 400 x 400 pixels, and Pillow shrinks it to 224 x 224. What is known about that recipe was
//! measured from the outside (matplotlib with its renderer Agg, and Pillow's `resize`); all code
//! is our own, on the paths of tiny-skia. On the way to a mask,
//!
//! - `layout` puts the values on the canvas, as a tiny-skia path,
//! - `outline` strokes that line, giving another path,
//! - `coverage` finds how much of each pixel lies inside, at the size of the picture already,
//!   with the tables of `filter`,
//! - `paint` turns that into bytes.
//!
//! Masks are the same bytes on every machine and any number of threads: the arithmetic is that of
//! integers and of IEEE numbers (`+ - * /` and square roots, which are exactly rounded), never
//! fused or reordered, and no picture depends on another.

mod axes;
mod coverage;
mod filter;
mod jitter;
mod layout;
mod outline;
mod paint;
pub mod palette;
mod style;

use std::fmt;

use rayon::prelude::*;
use tiny_skia::PathBuilder;

pub use self::axes::AxisReader;
pub use self::jitter::ColorJitter;
use self::layout::Layout;
use self::outline::{Pen, Piece};
use self::paint::{Paint, Painter};
pub use self::palette::{
    Palette, PixelBlend, PixelStatistics, color_table, rgb8, toned_color_table,
};
pub use self::style::{PlotStyle, RasterError, XSpan, YScale};
use crate::data::Series;

/// Changes whenever any pixel of any style changes, so that stored pictures are drawn anew.
pub const RENDERER_VERSION: u32 = 3;

/// Side of the canvas that the reference plots on, in pixels. Larger pictures have a canvas that
/// is as many times larger as they need.
const CANVAS_PX: usize = 400;

/// Draws the variates of series in one style.
///
/// It is made once and shared between threads; each thread has a [`Scratch`].
#[derive(Clone, Debug)]
pub struct Rasterizer {
    style: PlotStyle,
    layout: Layout,
    pen: Pen,
    painter: Painter,
}

/// Buffers of one thread that draws, reused from one picture to the next.
///
/// Once it has drawn a few pictures like those to come, drawing allocates nothing.
pub struct Scratch {
    side_px: usize,
    line: PathBuilder,
    pieces: Vec<Piece>,
    outline: PathBuilder,
    paint: Paint,
}

impl Scratch {
    /// Buffers for the pictures of `rasterizer`.
    pub fn new(rasterizer: &Rasterizer) -> Self {
        Self {
            side_px: rasterizer.style.side_px,
            line: PathBuilder::new(),
            pieces: Vec::new(),
            outline: PathBuilder::new(),
            paint: rasterizer.painter.buffers(),
        }
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl Rasterizer {
    /// Prepares to draw in `style`.
    ///
    /// # Errors
    ///
    /// Whatever [`PlotStyle::validate`] finds wrong.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "strokes are a few pixels wide, thousands at most"
    )]
    pub fn new(style: PlotStyle) -> Result<Self, RasterError> {
        style.validate()?;
        let canvas_px = CANVAS_PX * style.side_px.div_ceil(CANVAS_PX);
        let layout = Layout::new(&style, canvas_px);
        let stroke_width = layout.stroke_width();
        // Lines are followed one width and a bit beyond the canvas; their caps and joins reach
        // one width further.
        let pad_px = 8 + (2.0 * stroke_width).ceil() as usize;
        Ok(Self {
            pen: Pen::new(stroke_width as f32),
            painter: Painter::new(canvas_px, style.side_px, pad_px),
            layout,
            style,
        })
    }

    /// The style of the pictures.
    pub fn style(&self) -> &PlotStyle {
        &self.style
    }

    /// Buffers for one thread that draws.
    pub fn scratch(&self) -> Scratch {
        Scratch::new(self)
    }

    /// Draws one variate. A variate without two neighboring values is an empty picture.
    ///
    /// # Shapes
    ///
    /// - `mask`: `[side_px, side_px]`, row-major, top row first; 0 is paper, 255 is ink
    ///
    /// # Panics
    ///
    /// If `mask` has another length, if the series has no such variate, if the style has fixed
    /// ranges but none for this variate, or if `scratch` was made for pictures of another size.
    pub fn draw(&self, scratch: &mut Scratch, series: &Series, variate: usize, mask: &mut [u8]) {
        let side_px = self.style.side_px;
        assert_eq!(
            mask.len(),
            side_px * side_px,
            "length of a mask of side {side_px}"
        );
        assert_eq!(
            scratch.side_px, side_px,
            "side that the scratch was made for"
        );
        mask.fill(0);
        let Some(frame) = self.layout.frame(series, variate) else {
            return;
        };
        self.layout
            .trace(&frame, series, variate, &mut scratch.line);
        with_path(&mut scratch.line, |line| {
            let trimmed = self
                .pen
                .outline(line, &mut scratch.pieces, &mut scratch.outline);
            // Where steps are closer together than the stroke is wide, strokes that do not even
            // meet overlap.
            let overlaps = !trimmed || frame.per_step < self.layout.stroke_width();
            with_path(&mut scratch.outline, |outline| {
                if overlaps {
                    self.painter
                        .paint_overlapping(&mut scratch.paint, outline, mask);
                } else {
                    self.painter.paint(&mut scratch.paint, outline, mask);
                }
            });
        });
    }

    /// Draws every variate.
    ///
    /// # Shapes
    ///
    /// - `masks`: `[n_variates, side_px, side_px]`
    ///
    /// # Panics
    ///
    /// If `masks` has another length, or as [`Rasterizer::draw`].
    pub fn draw_series(&self, scratch: &mut Scratch, series: &Series, masks: &mut [u8]) {
        let area = self.style.side_px * self.style.side_px;
        let n_variates = series.n_variates();
        assert_eq!(
            masks.len(),
            n_variates * area,
            "length of the masks of {n_variates} variates"
        );
        for (variate, mask) in masks.chunks_exact_mut(area).enumerate() {
            self.draw(scratch, series, variate, mask);
        }
    }

    /// Draws every variate of many series, on all threads of the current rayon pool.
    ///
    /// The pictures do not depend on the number of threads.
    ///
    /// # Shapes
    ///
    /// - `masks`: `[series.len(), n_variates, side_px, side_px]`
    ///
    /// # Panics
    ///
    /// If the series differ in their number of variates, if `masks` has another length, or as
    /// [`Rasterizer::draw`].
    pub fn draw_all(&self, series: &[&Series], masks: &mut [u8]) {
        let Some(first) = series.first() else {
            assert!(
                masks.is_empty(),
                "{} bytes of masks for no series",
                masks.len()
            );
            return;
        };
        let n_variates = first.n_variates();
        let per_series = n_variates * self.style.side_px * self.style.side_px;
        assert_eq!(
            masks.len(),
            series.len() * per_series,
            "length of the masks of {} series of {n_variates} variates",
            series.len()
        );
        masks
            .par_chunks_exact_mut(per_series)
            .zip(series)
            .for_each_init(
                || self.scratch(),
                |scratch, (masks, series)| self.draw_series(scratch, series, masks),
            );
    }
}

/// Finishes the path of a builder, uses it unless it is empty, and gives its memory back to the
/// builder.
fn with_path(builder: &mut PathBuilder, mut use_path: impl FnMut(&tiny_skia::Path)) {
    if builder.is_empty() {
        return;
    }
    if let Some(path) = std::mem::take(builder).finish() {
        use_path(&path);
        *builder = path.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GAP: f32 = f32::NAN;

    fn series(values: &[f32]) -> Series {
        Series::new(values.to_vec(), values.len(), 1).unwrap()
    }

    fn draw(style: &PlotStyle, values: &[f32]) -> Vec<u8> {
        let rasterizer = Rasterizer::new(style.clone()).unwrap();
        let mut mask = vec![0xaa; style.side_px * style.side_px];
        rasterizer.draw(&mut rasterizer.scratch(), &series(values), 0, &mut mask);
        mask
    }

    fn style(side_px: usize) -> PlotStyle {
        PlotStyle {
            side_px,
            ..PlotStyle::default()
        }
    }

    /// First and last row and first and last column with ink.
    fn ink_box(mask: &[u8], side: usize) -> [usize; 4] {
        let inked = |i: &usize| mask[*i] > 0;
        let rows = || (0..side * side).filter(inked).map(|i| i / side);
        let columns = || (0..side * side).filter(inked).map(|i| i % side);
        [rows().min(), rows().max(), columns().min(), columns().max()].map(|end| end.expect("ink"))
    }

    #[test]
    fn a_rising_series_runs_from_the_lower_left_to_the_upper_right() {
        let mask = draw(&style(224), &[-1.0, 7.0]);

        assert!(mask[213 * 224 + 10] > 128, "lower left");
        assert!(mask[10 * 224 + 213] > 128, "upper right");
        assert!(mask[10 * 224 + 10] == 0 && mask[213 * 224 + 213] == 0);
    }

    #[test]
    fn a_constant_series_is_a_level_line_in_the_middle() {
        let mask = draw(&style(224), &[3.5; 5]);

        let [top, bottom, left, right] = ink_box(&mask, 224);
        assert_eq!([top, bottom], [111, 113]);
        assert_eq!([left, right], [9, 215]);
        assert_eq!(mask[112 * 224 + 20..][..180], [mask[112 * 224 + 20]; 180]);
    }

    #[test]
    fn a_gap_stays_white() {
        let side = 224;
        let mask = draw(&style(side), &[0.0, 1.0, GAP, GAP, GAP, 0.0, 1.0]);

        let inked = |column: usize| (0..side).any(|row| mask[row * side + column] > 0);
        assert!(inked(20) && inked(204));
        assert!((55..170).all(|column| !inked(column)), "ink in the gap");
    }

    #[test]
    fn series_without_neighboring_values_are_empty_pictures() {
        for values in [&[1.0][..], &[GAP; 4], &[1.0, GAP, 2.0, GAP], &[GAP, 5.0]] {
            assert!(
                draw(&style(64), values).iter().all(|&a| a == 0),
                "{values:?}"
            );
        }
    }

    #[test]
    fn missing_ends_do_not_shrink_the_drawing() {
        let whole = draw(&style(64), &[0.0, 2.0, 1.0]);

        assert_eq!(draw(&style(64), &[GAP, GAP, 0.0, 2.0, 1.0, GAP]), whole);
    }

    #[test]
    fn a_span_of_steps_keeps_lengths_visible() {
        let half = PlotStyle {
            x_span: XSpan::Steps(21),
            ..style(224)
        };

        let [.., left, right] = ink_box(&draw(&half, &[0.0; 11]), 224);
        assert_eq!((left, right), (9, 113));
        let [.., right] = ink_box(&draw(&half, &[0.0; 40]), 224);
        assert_eq!(right, 223, "steps beyond the span leave the picture");
    }

    #[test]
    fn a_fixed_range_keeps_the_level_visible() {
        let fixed = PlotStyle {
            y_scale: YScale::Fixed(vec![[0.0, 100.0]]),
            ..style(224)
        };

        let [low, ..] = ink_box(&draw(&fixed, &[0.0, 1.0]), 224);
        let [high, ..] = ink_box(&draw(&fixed, &[99.0, 100.0]), 224);
        assert!(low > 200 && high < 12, "rows {low} and {high}");
    }

    #[test]
    fn values_far_outside_a_fixed_range_leave_the_picture() {
        let fixed = PlotStyle {
            y_scale: YScale::Fixed(vec![[0.0, 1.0]]),
            ..style(64)
        };

        assert!(draw(&fixed, &[1e30, 1e30, 2e30]).iter().all(|&a| a == 0));
        let crossing = draw(&fixed, &[-f32::MAX, f32::MAX]);
        let inked = (0..64).filter(|row| crossing[row * 64..][..64].iter().any(|&a| a > 0));
        assert_eq!(
            inked.count(),
            64,
            "a line through the picture is seen on all rows"
        );
    }

    #[test]
    fn both_ways_of_painting_agree() {
        let values: Vec<f32> = (0..40_u32).map(|i| (i * i * 37 % 101) as f32).collect();
        let rasterizer = Rasterizer::new(style(96)).unwrap();
        let line = series(&values);
        let frame = rasterizer.layout.frame(&line, 0).unwrap();
        let (mut path, mut outline) = (PathBuilder::new(), PathBuilder::new());
        rasterizer.layout.trace(&frame, &line, 0, &mut path);
        let trimmed = (rasterizer.pen).outline(&path.finish().unwrap(), &mut vec![], &mut outline);
        let outline = outline.finish().unwrap();
        let mut paint = rasterizer.painter.buffers();
        let [mut filtered, mut shrunk] = [(); 2].map(|()| vec![0; 96 * 96]);

        rasterizer
            .painter
            .paint(&mut paint, &outline, &mut filtered);
        (rasterizer.painter).paint_overlapping(&mut paint, &outline, &mut shrunk);

        assert!(trimmed, "the line is to be one that both can paint");
        let differs = filtered.iter().zip(&shrunk).map(|(a, b)| a.abs_diff(*b));
        assert!(differs.max() <= Some(1), "the same but for rounding");
    }

    #[test]
    fn a_line_through_the_picture_is_where_its_ends_put_it() {
        // A third of the way from -f32::MAX to twice that above it, and so far out that the
        // picture is less than one step of a 64-bit float.
        let fixed = PlotStyle {
            y_scale: YScale::Fixed(vec![[-1e-3, 1e-3]]),
            ..style(224)
        };

        let mask = draw(&fixed, &[-f32::MAX / 2.0, f32::MAX]);

        let [top, bottom, left, right] = ink_box(&mask, 224);
        assert_eq!([top, bottom], [0, 223]);
        let third = 10.2 + 203.6 / 3.0;
        assert!(
            left as f64 >= third - 2.5 && right as f64 <= third + 2.5,
            "{left} to {right}"
        );
    }

    #[test]
    #[should_panic(expected = "side that the scratch was made for")]
    fn a_scratch_of_another_size_is_a_broken_contract() {
        let rasterizer = Rasterizer::new(style(32)).unwrap();
        let mut scratch = Rasterizer::new(style(64)).unwrap().scratch();
        rasterizer.draw(&mut scratch, &series(&[0.0, 1.0]), 0, &mut [0; 32 * 32]);
    }

    #[test]
    fn every_variate_has_its_own_mask() {
        let rasterizer = Rasterizer::new(style(32)).unwrap();
        let both = Series::new(vec![0.0, 5.0, 1.0, 5.0, 0.5, 5.0], 3, 2).unwrap();
        let mut masks = vec![0; 2 * 32 * 32];

        rasterizer.draw_series(&mut rasterizer.scratch(), &both, &mut masks);

        assert_eq!(masks[..32 * 32], draw(&style(32), &[0.0, 1.0, 0.5]));
        assert_eq!(masks[32 * 32..], draw(&style(32), &[5.0, 5.0, 5.0]));
    }

    #[test]
    fn many_series_are_drawn_as_each_alone() {
        let rasterizer = Rasterizer::new(style(32)).unwrap();
        let all = [series(&[0.0, 1.0]), series(&[3.0, 1.0, 2.0])];
        let mut masks = vec![0; 2 * 32 * 32];

        rasterizer.draw_all(&[&all[0], &all[1]], &mut masks);

        assert_eq!(masks[..32 * 32], draw(&style(32), &[0.0, 1.0]));
        assert_eq!(masks[32 * 32..], draw(&style(32), &[3.0, 1.0, 2.0]));
        rasterizer.draw_all(&[], &mut []);
    }

    #[test]
    #[should_panic(expected = "length of a mask of side 32")]
    fn a_mask_of_another_size_is_a_broken_contract() {
        let rasterizer = Rasterizer::new(style(32)).unwrap();
        rasterizer.draw(
            &mut rasterizer.scratch(),
            &series(&[0.0, 1.0]),
            0,
            &mut [0; 31],
        );
    }

    /// Values of every magnitude, gaps among them.
    fn any_value() -> impl Strategy<Value = f32> {
        prop_oneof![
            6 => -10.0_f32..10.0,
            2 => -3.4e38_f32..3.4e38,
            1 => prop::sample::select(vec![0.0, 1e30, -1e30, 1e38, f32::MAX, f32::MIN, 1e-40]),
            1 => Just(GAP),
        ]
    }

    fn any_style() -> impl Strategy<Value = PlotStyle> {
        let y_scale = prop_oneof![
            Just(YScale::Series),
            Just(YScale::Fixed(vec![[-1.0, 1.0]])),
            Just(YScale::Fixed(vec![[2.0, 2.0]])),
            Just(YScale::Fixed(vec![[f32::MIN, f32::MAX]])),
        ];
        let x_span = prop_oneof![Just(XSpan::Finite), (2..30_usize).prop_map(XSpan::Steps)];
        (1..70_usize, 1e-6..=0.5, 0.0..=1.0, y_scale, x_span).prop_map(
            |(side_px, stroke_width, margin, y_scale, x_span)| PlotStyle {
                side_px,
                stroke_width,
                margin,
                y_scale,
                x_span,
                ..PlotStyle::default()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_series_in_any_style_can_be_drawn(
            style in any_style(),
            values in prop::collection::vec(any_value(), 1..60),
        ) {
            let rasterizer = Rasterizer::new(style.clone()).unwrap();
            let mut scratch = rasterizer.scratch();
            let mut mask = vec![0xaa; style.side_px * style.side_px];
            rasterizer.draw(&mut scratch, &series(&values), 0, &mut mask);

            let mut again = vec![0x55; mask.len()];
            rasterizer.draw(&mut scratch, &series(&values), 0, &mut again);
            prop_assert_eq!(mask, again, "what was drawn before must not show");
        }

        #[test]
        fn a_series_of_two_or_more_finite_values_leaves_ink(
            mut values in prop::collection::vec(any_value(), 2..60),
            side in prop::sample::select(vec![16, 32, 64, 96, 224, 448]),
        ) {
            values.iter_mut().filter(|value| value.is_nan()).for_each(|value| *value = 1e38);

            let mask = draw(&style(side), &values);

            prop_assert!(mask.iter().any(|&a| a > 0));
            let [_, _, left, right] = ink_box(&mask, side);
            prop_assert!((right - left) * 20 >= side * 17, "columns {left} to {right}");
        }

        #[test]
        fn level_and_scale_do_not_change_a_picture(
            whole in prop::collection::vec(-1000_i16..1000, 2..60),
            exponent in -20..20,
            shift in -1000_i16..1000,
        ) {
            let values: Vec<f32> = whole.iter().map(|&v| f32::from(v)).collect();
            let moved: Vec<f32> = values
                .iter()
                .map(|v| (v + f32::from(shift)) * 2.0_f32.powi(exponent))
                .collect();

            prop_assert_eq!(draw(&style(96), &values), draw(&style(96), &moved));
        }

        #[test]
        fn a_picture_upside_down_is_that_of_the_negated_series(
            values in prop::collection::vec(-10.0_f32..10.0, 2..60),
        ) {
            let side = 64;
            let negated: Vec<f32> = values.iter().map(|v| -v).collect();
            let (upright, turned) = (draw(&style(side), &values), draw(&style(side), &negated));

            for (row, other) in upright.chunks(side).zip(turned.chunks(side).rev()) {
                let differs = row.iter().zip(other).map(|(a, b)| a.abs_diff(*b)).max();
                prop_assert!(differs <= Some(2), "by {differs:?}");
            }
        }
    }
}
