//! Exact area coverage of an outline on the canvas.
//!
//! Every edge adds, to each canvas row it crosses, how much of the pixels to its right it covers;
//! the running sum over a row is the winding-weighted covered area, and its magnitude, at most
//! one, is the coverage. This is the rule of Agg, which matplotlib draws with.

use tiny_skia::{Path, PathSegment, Point};

/// Accumulates outlines on a square canvas.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    side: usize,
    deltas: Vec<f32>,
}

impl Coverage {
    pub(super) fn new(side: usize) -> Self {
        Self {
            side,
            deltas: vec![0.0; side * (side + 2)],
        }
    }

    pub(super) fn clear(&mut self) {
        self.deltas.fill(0.0);
    }

    pub(super) fn outline(&mut self, outline: &Path) {
        let (mut start, mut at) = (Point::zero(), Point::zero());
        for segment in outline.segments() {
            match segment {
                PathSegment::MoveTo(to) => {
                    self.line(at, start);
                    start = to;
                    at = to;
                }
                PathSegment::LineTo(to) => {
                    self.line(at, to);
                    at = to;
                }
                PathSegment::QuadTo(control, to) => {
                    self.quad(at, control, to);
                    at = to;
                }
                PathSegment::CubicTo(_, _, to) => {
                    self.line(at, to);
                    at = to;
                }
                PathSegment::Close => {
                    self.line(at, start);
                    at = start;
                }
            }
        }
        self.line(at, start);
    }

    fn quad(&mut self, from: Point, control: Point, to: Point) {
        let mut at = from;
        for step in 1..=4_u8 {
            let t = f32::from(step) / 4.0;
            let mix = |a: f32, b: f32, c: f32| {
                (1.0 - t) * (1.0 - t) * a + 2.0 * t * (1.0 - t) * b + t * t * c
            };
            let next = Point::from_xy(mix(from.x, control.x, to.x), mix(from.y, control.y, to.y));
            self.line(at, next);
            at = next;
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the canvas"
    )]
    fn line(&mut self, from: Point, to: Point) {
        if from.y == to.y {
            return;
        }
        let (sign, top, bottom) = if from.y < to.y {
            (1.0, from, to)
        } else {
            (-1.0, to, from)
        };
        let side = self.side as f32;
        let slope = (bottom.x - top.x) / (bottom.y - top.y);
        let (y0, y1) = (top.y.clamp(0.0, side), bottom.y.clamp(0.0, side));
        for row in y0 as usize..(y1.ceil() as usize).min(self.side) {
            let ya = y0.max(row as f32);
            let yb = y1.min(row as f32 + 1.0);
            let height = yb - ya;
            if height <= 0.0 {
                continue;
            }
            let xa = (top.x + (ya - top.y) * slope).clamp(0.0, side);
            let xb = (top.x + (yb - top.y) * slope).clamp(0.0, side);
            let (left, right) = if xa < xb { (xa, xb) } else { (xb, xa) };
            self.row_piece(row, left, right, sign * height);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both ends lie on the canvas"
    )]
    fn row_piece(&mut self, row: usize, left: f32, right: f32, height: f32) {
        let line = &mut self.deltas[row * (self.side + 2)..][..self.side + 2];
        let (first, last) = (left as usize, right as usize);
        if first == last {
            let mid = 0.5 * (left + right) - first as f32;
            line[first] += height * (1.0 - mid);
            line[first + 1] += height * mid;
            return;
        }
        // Area to the left of the edge within the first `x` pixels, differenced twice.
        let per_px = height / (right - left);
        let mut before = 0.0;
        let mut covered_before = 0.0;
        for column in first..=last + 1 {
            let reach = (column as f32 + 1.0).min(right) - left;
            let beyond = (column as f32 + 1.0 - right).max(0.0);
            let total = 0.5 * reach * reach * per_px + beyond * height;
            let covered = total - before;
            line[column] += covered - covered_before;
            before = total;
            covered_before = covered;
        }
    }

    /// Writes the coverage of every canvas pixel, 0 to 1, row by row.
    pub(super) fn resolve(&self, canvas: &mut [f32]) {
        for (row, out) in canvas.chunks_exact_mut(self.side).enumerate() {
            let mut sum = 0.0_f32;
            let deltas = &self.deltas[row * (self.side + 2)..];
            for (pixel, delta) in out.iter_mut().zip(deltas) {
                sum += delta;
                *pixel = sum.abs().min(1.0);
            }
        }
    }
}
