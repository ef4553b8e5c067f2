//! Draws series as line plots: one variate, one coverage mask.

mod coverage;
mod layout;
pub mod palette;
mod resample;
mod style;

use std::fmt;

use rayon::prelude::*;
use tiny_skia::{LineCap, LineJoin, PathBuilder, PathStroker, Stroke};

use self::coverage::Coverage;
use self::layout::Layout;
pub use self::palette::{Palette, PixelStatistics, color_table, rgb8};
use self::resample::{Taps, taps};
pub use self::style::{PlotStyle, RasterError, XSpan, YScale};
use crate::series::Series;

/// Changes whenever any pixel of any style changes, so that stored pictures are drawn anew.
pub const RENDERER_VERSION: u32 = 1;

/// The reference draws on a canvas of this side and shrinks it.
const CANVAS_PX: usize = 400;

/// Draws the variates of series in one style.
#[derive(Clone, Debug)]
pub struct Rasterizer {
    style: PlotStyle,
    canvas_px: usize,
    layout: Layout,
    stroke: Stroke,
    taps: Vec<Taps>,
}

/// Buffers of one thread, reused from one picture to the next.
pub struct Scratch {
    path: PathBuilder,
    stroker: PathStroker,
    coverage: Coverage,
    canvas: Vec<f32>,
    rows: Vec<f32>,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Scratch").finish_non_exhaustive()
    }
}

impl Scratch {
    /// Buffers for the pictures of `rasterizer`.
    pub fn new(rasterizer: &Rasterizer) -> Self {
        let canvas_px = rasterizer.canvas_px;
        Self {
            path: PathBuilder::new(),
            stroker: PathStroker::new(),
            coverage: Coverage::new(canvas_px),
            canvas: vec![0.0; canvas_px * canvas_px],
            rows: vec![0.0; canvas_px * rasterizer.style.side_px],
        }
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
        reason = "tiny-skia's strokes are f32"
    )]
    pub fn new(style: PlotStyle) -> Result<Self, RasterError> {
        style.validate()?;
        let canvas_px = CANVAS_PX * style.side_px.div_ceil(CANVAS_PX);
        Ok(Self {
            canvas_px,
            layout: Layout::new(&style, canvas_px),
            stroke: Stroke {
                width: (canvas_px as f64 * style.stroke_width) as f32,
                line_cap: LineCap::Square,
                line_join: LineJoin::Round,
                ..Stroke::default()
            },
            taps: taps(canvas_px, style.side_px),
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

    /// Draws one variate. A variate without two neighbouring values is an empty picture.
    ///
    /// # Shapes
    ///
    /// - `mask`: `[side_px, side_px]`, row-major, top row first; 0 is paper, 255 is ink
    ///
    /// # Panics
    ///
    /// If `mask` has another length, if the series has no such variate, or if the style has fixed
    /// ranges but none for this variate.
    pub fn draw(&self, scratch: &mut Scratch, series: &Series, variate: usize, mask: &mut [u8]) {
        let side = self.style.side_px;
        assert_eq!(mask.len(), side * side, "length of a mask of side {side}");
        mask.fill(0);
        let mut path = std::mem::take(&mut scratch.path);
        self.layout.trace(series, variate, &mut path);
        let Some(path) = path.finish() else {
            return;
        };
        scratch.coverage.clear();
        if let Some(outline) = scratch.stroker.stroke(&path, &self.stroke, 1.0) {
            scratch.coverage.outline(&outline);
        }
        scratch.path = path.clear();
        scratch.coverage.resolve(&mut scratch.canvas);
        self.shrink(scratch, mask);
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a coverage is 0 to 1"
    )]
    fn shrink(&self, scratch: &mut Scratch, mask: &mut [u8]) {
        let (canvas, side) = (self.canvas_px, self.style.side_px);
        for (row, taps) in scratch.rows.chunks_exact_mut(canvas).zip(&self.taps) {
            row.fill(0.0);
            for (k, weight) in taps.weights.iter().enumerate() {
                let from = &scratch.canvas[(taps.first + k) * canvas..][..canvas];
                for (sum, value) in row.iter_mut().zip(from) {
                    *sum += weight * value;
                }
            }
        }
        for (out, row) in mask
            .chunks_exact_mut(side)
            .zip(scratch.rows.chunks_exact(canvas))
        {
            for (pixel, taps) in out.iter_mut().zip(&self.taps) {
                let from = &row[taps.first..];
                let sum: f32 = taps.weights.iter().zip(from).map(|(w, v)| w * v).sum();
                *pixel = (sum * 255.0 + 0.5) as u8;
            }
        }
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

    /// Draws every variate of many series on all threads of the current rayon pool. The pictures
    /// do not depend on the number of threads.
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
            assert!(masks.is_empty(), "masks for no series");
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
