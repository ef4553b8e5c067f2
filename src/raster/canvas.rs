//! Exact area coverage of an outline on the canvas, shrunk to the picture afterwards.
//!
//! Every edge adds, to each canvas row it crosses, how much of the pixels to its right it covers;
//! the running sum over a row is the winding-weighted covered area, and its magnitude, at most
//! one, is the coverage. This is the rule of Agg, which matplotlib draws with. Where strokes of
//! neighbouring steps lie upon each other, only this rule, pixel by pixel, gives matplotlib's
//! picture; where they do not, [`Coverage`](super::coverage::Coverage) draws the same much faster.

use tiny_skia::{Path, PathSegment, Point};

use super::resample::{Taps, taps};

/// Accumulates an outline on a square canvas.
#[derive(Clone, Debug)]
pub(super) struct Canvas {
    side: usize,
    deltas: Vec<f32>,
    pixels: Vec<f32>,
    /// The canvas once its columns, which lie here as rows, are those of the picture.
    rows: Vec<f32>,
    taps: Vec<Taps>,
}

impl Canvas {
    pub(super) fn new(side: usize, picture_side: usize) -> Self {
        Self {
            side,
            deltas: vec![0.0; side * (side + 2)],
            pixels: vec![0.0; side * side],
            rows: vec![0.0; picture_side * side],
            taps: taps(side, picture_side),
        }
    }

    /// Draws an outline into an empty mask.
    pub(super) fn draw(&mut self, outline: &Path, mask: &mut [u8]) {
        self.deltas.fill(0.0);
        self.outline(outline);
        self.resolve();
        self.shrink(mask);
    }

    /// Adds an outline, on its side: a series has few edges that run far along x, but many that
    /// run far along y, and crossing a row costs more than running along it.
    fn outline(&mut self, outline: &Path) {
        let on_its_side = |point: Point| Point::from_xy(point.y, point.x);
        let (mut start, mut at) = (Point::zero(), Point::zero());
        for segment in outline.segments() {
            match segment {
                PathSegment::MoveTo(to) => {
                    start = on_its_side(to);
                    at = start;
                }
                PathSegment::LineTo(to) => {
                    let to = on_its_side(to);
                    self.line(at, to);
                    at = to;
                }
                PathSegment::Close => {
                    self.line(at, start);
                    at = start;
                }
                // Outlines are closed and have straight edges only.
                PathSegment::QuadTo(..) | PathSegment::CubicTo(..) => {}
            }
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
        for (column, delta) in line.iter_mut().enumerate().take(last + 2).skip(first) {
            let reach = (column as f32 + 1.0).min(right) - left;
            let beyond = (column as f32 + 1.0 - right).max(0.0);
            let total = 0.5 * reach * reach * per_px + beyond * height;
            let covered = total - before;
            *delta += covered - covered_before;
            before = total;
            covered_before = covered;
        }
    }

    /// Sums up the coverage of every canvas pixel, 0 to 1.
    fn resolve(&mut self) {
        for (row, out) in self.pixels.chunks_exact_mut(self.side).enumerate() {
            let mut sum = 0.0_f32;
            let deltas = &self.deltas[row * (self.side + 2)..];
            for (pixel, delta) in out.iter_mut().zip(deltas) {
                sum += delta;
                *pixel = sum.abs().min(1.0);
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a coverage is 0 to 1"
    )]
    fn shrink(&mut self, mask: &mut [u8]) {
        for (row, taps) in self.rows.chunks_exact_mut(self.side).zip(&self.taps) {
            row.fill(0.0);
            for (k, weight) in taps.weights.iter().enumerate() {
                let from = &self.pixels[(taps.first + k) * self.side..][..self.side];
                for (sum, value) in row.iter_mut().zip(from) {
                    *sum += weight * value;
                }
            }
        }
        let side = self.taps.len();
        for (x, column) in self.rows.chunks_exact(self.side).enumerate() {
            for (pixel, taps) in mask[x..].iter_mut().step_by(side).zip(&self.taps) {
                let from = &column[taps.first..];
                let sum: f32 = taps.weights.iter().zip(from).map(|(w, v)| w * v).sum();
                *pixel = (sum * 255.0 + 0.5) as u8;
            }
        }
    }
}
