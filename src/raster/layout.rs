//! Where the values of a series lie on the canvas.
//!
//! Mirrors what matplotlib does with `ax.plot(values)`, axes off and default margins; the facts
//! were measured, the code is our own.

use tiny_skia::PathBuilder;

use super::style::{PlotStyle, XSpan, YScale};
use crate::series::Series;

/// Longer paths are never snapped to pixels.
const MAX_SNAPPED_STEPS: usize = 1024;
/// Neighbours closer than this in y (canvas pixels) count as level when snapping is decided.
const LEVEL_PX: f64 = 1e-4;

/// Maps values to canvas pixels: right and down from the top left corner.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    side: f64,
    margin: f64,
    stroke_px: f64,
    y_scale: YScale,
    x_span: XSpan,
}

/// One variate of a series and its place on the canvas.
struct Frame {
    first: usize,
    last: usize,
    left: f64,
    per_step: f64,
    low: f64,
    bottom: f64,
    per_unit: f64,
    snap: Option<f64>,
}

impl Layout {
    pub(super) fn new(style: &PlotStyle, canvas_px: usize) -> Self {
        let side = canvas_px as f64;
        Self {
            side,
            margin: side * style.margin / (1.0 + 2.0 * style.margin),
            stroke_px: side * style.stroke_width,
            y_scale: style.y_scale.clone(),
            x_span: style.x_span,
        }
    }

    /// Appends the line of one variate to an empty `path`: one subpath for each run of at least
    /// two values without a gap. Draws nothing for a series that has none. Returns the distance
    /// of two steps in canvas pixels.
    pub(super) fn trace(&self, series: &Series, variate: usize, path: &mut PathBuilder) -> f64 {
        let Some(frame) = self.frame(series, variate) else {
            return 0.0;
        };
        let mut pen = Pen::new(path, self.side, 2.0 * self.stroke_px + 2.0);
        for (step, value) in series.variate(variate).enumerate() {
            if step < frame.first {
                continue;
            }
            if step > frame.last {
                break;
            }
            if value.is_nan() {
                pen.lift();
            } else {
                pen.draw_to(frame.point(step, value));
            }
        }
        frame.per_step
    }

    fn frame(&self, series: &Series, variate: usize) -> Option<Frame> {
        let mut ends: Option<(usize, usize)> = None;
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for (step, value) in series.variate(variate).enumerate() {
            if !value.is_nan() {
                ends = Some((ends.map_or(step, |(first, _)| first), step));
                low = low.min(value);
                high = high.max(value);
            }
        }
        let (first, last) = ends.filter(|(first, last)| first < last)?;
        if let YScale::Fixed(ranges) = &self.y_scale {
            [low, high] = ranges[variate];
        }
        let (x0, x1) = match self.x_span {
            XSpan::Finite => (first, last),
            XSpan::Steps(steps) => (0, steps - 1),
        };
        let span = self.side - 2.0 * self.margin;
        let per_step = span / (x1 - x0) as f64;
        let mut frame = Frame {
            first,
            last,
            left: self.margin - x0 as f64 * per_step,
            per_step,
            low: f64::from(low),
            bottom: self.side - self.margin,
            per_unit: span / (f64::from(high) - f64::from(low)),
            snap: None,
        };
        if low == high {
            frame.bottom = 0.5 * self.side;
            frame.per_unit = 1.0;
        }
        frame.snap = self.snap(&frame, series, variate);
        Some(frame)
    }

    /// Agg moves points to pixel centres (or corners, for strokes of an even width) if every
    /// segment is level, so that axis-aligned lines are crisp.
    fn snap(&self, frame: &Frame, series: &Series, variate: usize) -> Option<f64> {
        if series.n_steps() > MAX_SNAPPED_STEPS {
            return None;
        }
        let mut before = f32::NAN;
        for value in series.variate(variate) {
            let rise = (f64::from(value) - f64::from(before)) * frame.per_unit;
            if rise.abs() >= LEVEL_PX {
                return None;
            }
            before = value;
        }
        let odd = self.stroke_px.round() % 2.0 == 1.0;
        Some(if odd { 0.5 } else { 0.0 })
    }
}

impl Frame {
    fn point(&self, step: usize, value: f32) -> [f64; 2] {
        let x = self.left + step as f64 * self.per_step;
        let y = self.bottom - (f64::from(value) - self.low) * self.per_unit;
        match self.snap {
            Some(offset) => [(x + 0.5).floor() + offset, (y + 0.5).floor() + offset],
            None => [x, y],
        }
    }
}

/// Draws a polyline into a path; cuts off what lies far outside of the canvas.
struct Pen<'a> {
    path: &'a mut PathBuilder,
    least: f64,
    most: f64,
    at: Option<[f64; 2]>,
    down: bool,
}

impl<'a> Pen<'a> {
    /// `pad` is how far outside of the canvas a line is still followed: far enough that the ends
    /// of a cut line cannot be seen.
    fn new(path: &'a mut PathBuilder, side: f64, pad: f64) -> Self {
        Self {
            path,
            least: -pad,
            most: side + pad,
            at: None,
            down: false,
        }
    }

    fn lift(&mut self) {
        self.at = None;
        self.down = false;
    }

    fn draw_to(&mut self, to: [f64; 2]) {
        if let Some(from) = self.at
            && from != to
        {
            match self.clipped(from, to) {
                Some((start, end)) => self.segment(start, end, end == to),
                None => self.down = false,
            }
        }
        self.at = Some(to);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "canvas coordinates are below 5000; f32 keeps 1/2000 of a pixel"
    )]
    fn segment(&mut self, start: [f64; 2], end: [f64; 2], whole: bool) {
        if !self.down {
            self.path.move_to(start[0] as f32, start[1] as f32);
        }
        self.path.line_to(end[0] as f32, end[1] as f32);
        self.down = whole;
    }

    /// The part of a segment within the padded canvas.
    ///
    /// Cut ends are put exactly on the border: a fraction of the way from one end to the other
    /// could not tell where a segment between two values near the largest float enters it.
    fn clipped(&self, mut from: [f64; 2], mut to: [f64; 2]) -> Option<([f64; 2], [f64; 2])> {
        for axis in [1, 0] {
            let (start, end) = (from, to);
            let cut = |point: [f64; 2]| {
                let border = point[axis].clamp(self.least, self.most);
                if border == point[axis] {
                    return point;
                }
                let run = (end[1 - axis] - start[1 - axis]) / (end[axis] - start[axis]);
                let mut on_border = [border; 2];
                on_border[1 - axis] = start[1 - axis] + (border - start[axis]) * run;
                on_border
            };
            let (nearest, farthest) = (start[axis].min(end[axis]), start[axis].max(end[axis]));
            if farthest < self.least || nearest > self.most {
                return None;
            }
            (from, to) = (cut(start), cut(end));
        }
        (from != to).then_some((from, to))
    }
}
