//! Where the values of a series lie on the canvas, and the line through them.
//!
//! Follows what matplotlib does for `ax.plot(values)` with its default margins and the axes off;
//! the behavior was measured, the code is our own.

use tiny_skia::PathBuilder;

use super::style::{PlotStyle, XSpan, YScale};
use crate::data::Series;

/// Longer series are never moved to pixel centers.
const MAX_SNAPPED_STEPS: usize = 1024;
/// Neighbors closer than this (canvas pixels, vertically) are level when that is decided.
const LEVEL_PX: f64 = 1e-4;
/// Canvas pixels per unit where the lower and the upper end of the scale are one value: far
/// enough to take every other value out of the picture.
const OFF_THE_SCALE: f64 = 1e30;

/// Maps steps and values to canvas pixels, right and down from the top left corner.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    side: f64,
    margin: f64,
    stroke_width: f64,
    y_scale: YScale,
    x_span: XSpan,
}

/// The place of one variate of one series on the canvas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Where step 0 would be.
    left: f64,
    /// Canvas pixels from one step to the next.
    pub(super) per_step: f64,
    /// The value at `bottom`.
    low: f64,
    bottom: f64,
    per_unit: f64,
    /// Moves every point to this position within its pixel.
    snap: Option<f64>,
}

/// First and last step that have a value, smallest and largest value.
struct Extent {
    steps: [usize; 2],
    values: [f32; 2],
}

impl Layout {
    pub(super) fn new(style: &PlotStyle, canvas_px: usize) -> Self {
        let side = canvas_px as f64;
        Self {
            side,
            margin: side * style.margin / (1.0 + 2.0 * style.margin),
            stroke_width: side * style.stroke_width,
            y_scale: style.y_scale.clone(),
            x_span: style.x_span,
        }
    }

    /// Width of the line in canvas pixels.
    pub(super) fn stroke_width(&self) -> f64 {
        self.stroke_width
    }

    /// The place of a variate; `None` if it has fewer than two values.
    ///
    /// Panics if the scale is fixed and has no range for the variate.
    pub(super) fn frame(&self, series: &Series, variate: usize) -> Option<Frame> {
        let Extent {
            steps: [first, last],
            values,
        } = extent(series, variate).filter(|extent| extent.steps[0] < extent.steps[1])?;
        let [low, high] = match &self.y_scale {
            YScale::Series => values,
            YScale::Fixed(ranges) => *ranges.get(variate).unwrap_or_else(|| {
                let n_ranges = ranges.len();
                panic!("variate {variate} has no fixed range, the style has {n_ranges}")
            }),
        };
        let [start, end] = match self.x_span {
            XSpan::Finite => [first, last],
            XSpan::Steps(n_steps) => [0, n_steps - 1],
        };
        let span = self.side - 2.0 * self.margin;
        let per_step = span / (end - start) as f64;
        // In f64: the range of f32 values can be larger than any f32.
        let (low, high) = (f64::from(low), f64::from(high));
        let (bottom, per_unit) = if low < high {
            (self.side - self.margin, span / (high - low))
        } else {
            (0.5 * self.side, OFF_THE_SCALE)
        };
        Some(Frame {
            left: self.margin - start as f64 * per_step,
            per_step,
            low,
            bottom,
            per_unit,
            snap: self.snap(series, variate, per_unit),
        })
    }

    /// Agg moves all points to pixel centers (for strokes of an even width: to corners) if every
    /// segment is level, so that such lines are crisp.
    fn snap(&self, series: &Series, variate: usize, per_unit: f64) -> Option<f64> {
        if series.n_steps() > MAX_SNAPPED_STEPS {
            return None;
        }
        let mut before = f32::NAN;
        for value in series.variate(variate) {
            let rise = (f64::from(value) - f64::from(before)) * per_unit;
            if rise.abs() >= LEVEL_PX {
                return None;
            }
            before = value;
        }
        let odd = self.stroke_width.round() % 2.0 == 1.0;
        Some(if odd { 0.5 } else { 0.0 })
    }

    /// Appends the line to `path`: one subpath for each run of two or more values without a gap,
    /// and for each part of it that is in the picture.
    pub(super) fn trace(
        &self,
        frame: &Frame,
        series: &Series,
        variate: usize,
        path: &mut PathBuilder,
    ) {
        let mut tracer = Tracer {
            path,
            // Ends of a line that is cut off this far outside cannot be seen.
            bounds: [
                -self.stroke_width - 2.0,
                self.side + self.stroke_width + 2.0,
            ],
            at: None,
            down: false,
        };
        for (step, value) in series.variate(variate).enumerate() {
            if value.is_nan() {
                tracer.lift();
            } else {
                tracer.draw_to(frame.point(step, value));
            }
        }
    }
}

fn extent(series: &Series, variate: usize) -> Option<Extent> {
    let mut steps: Option<[usize; 2]> = None;
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for (step, value) in series.variate(variate).enumerate() {
        if !value.is_nan() {
            steps = Some([steps.map_or(step, |[first, _]| first), step]);
            low = low.min(value);
            high = high.max(value);
        }
    }
    steps.map(|steps| Extent {
        steps,
        values: [low, high],
    })
}

impl Frame {
    /// The step at a place on the canvas, or between which two it is.
    pub(super) fn step_at(&self, x: f64) -> f64 {
        (x - self.left) / self.per_step
    }

    /// How far above the lower end of the scale a value is, in canvas pixels.
    pub(super) fn height(&self, value: f64) -> f64 {
        match self.per_unit {
            OFF_THE_SCALE => 0.5 + (value - self.low) * OFF_THE_SCALE,
            per_unit => (value - self.low) * per_unit,
        }
    }

    fn point(&self, step: usize, value: f32) -> [f64; 2] {
        let x = self.left + step as f64 * self.per_step;
        let y = self.bottom - (f64::from(value) - self.low) * self.per_unit;
        match self.snap {
            Some(offset) => [(x + 0.5).floor() + offset, (y + 0.5).floor() + offset],
            None => [x, y],
        }
    }
}

/// Draws a polyline into a path and cuts off what lies outside of the bounds.
struct Tracer<'a> {
    path: &'a mut PathBuilder,
    /// The least and the largest coordinate, along both axes.
    bounds: [f64; 2],
    /// The last point, in the picture or not.
    at: Option<[f64; 2]>,
    /// Whether the path ends at that point.
    down: bool,
}

impl Tracer<'_> {
    fn lift(&mut self) {
        self.at = None;
        self.down = false;
    }

    fn draw_to(&mut self, to: [f64; 2]) {
        // Points that fall together, as snapped ones may, have no direction between them.
        if let Some(from) = self.at.filter(|&from| from != to) {
            match clipped(from, to, self.bounds) {
                Some((start, end)) => self.segment(start, end, end == to),
                None => self.down = false,
            }
        }
        self.at = Some(to);
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "canvas coordinates are below 10,000, of which f32 keeps 1/1000 of a pixel"
    )]
    fn segment(&mut self, start: [f64; 2], end: [f64; 2], whole: bool) {
        if !self.down {
            self.path.move_to(start[0] as f32, start[1] as f32);
        }
        self.path.line_to(end[0] as f32, end[1] as f32);
        self.down = whole;
    }
}

/// The part of a segment that lies in the square of the bounds, after Liang and Barsky.
///
/// Where a segment enters or leaves, that coordinate is set to the bound itself: points may be so
/// far away that interpolation could not find it.
fn clipped(from: [f64; 2], to: [f64; 2], bounds: [f64; 2]) -> Option<([f64; 2], [f64; 2])> {
    let inside = |point: [f64; 2]| point.iter().all(|&c| bounds[0] <= c && c <= bounds[1]);
    if inside(from) && inside(to) {
        return Some((from, to));
    }
    let (mut enter, mut leave) = ((0.0, None), (1.0, None));
    for axis in 0..2 {
        let delta = to[axis] - from[axis];
        if delta == 0.0 {
            if from[axis] < bounds[0] || from[axis] > bounds[1] {
                return None;
            }
            continue;
        }
        let [near, far] = if delta > 0.0 {
            bounds
        } else {
            [bounds[1], bounds[0]]
        };
        let (t_near, t_far) = ((near - from[axis]) / delta, (far - from[axis]) / delta);
        if t_near > enter.0 {
            enter = (t_near, Some((axis, near)));
        }
        if t_far < leave.0 {
            leave = (t_far, Some((axis, far)));
        }
    }
    let at = |(t, edge): (f64, Option<(usize, f64)>)| {
        let mut point = [0, 1].map(|axis| from[axis] + t * (to[axis] - from[axis]));
        if let Some((axis, bound)) = edge {
            point[axis] = bound;
        }
        point
    };
    let start = if enter.1.is_some() { at(enter) } else { from };
    let end = if leave.1.is_some() { at(leave) } else { to };
    (enter.0 <= leave.0 && start != end).then_some((start, end))
}
