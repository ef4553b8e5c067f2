//! The outline of a stroked line as Agg draws it: projecting caps, round joins, trimmed inner ones.
//!
//! tiny-skia's `PathStroker` leaves loops at the inner side of every join, which count twice where
//! the coverage is a sum of areas, and curves that have to be flattened; against matplotlib that
//! made the largest error of a picture 57 levels instead of 5. Lines and outlines are tiny-skia's
//! paths.

use tiny_skia::{Path, PathBuilder, PathSegment, Point};

/// Strokes polylines: projecting caps, round joins, trimmed inner joins.
#[derive(Clone, Debug)]
pub(super) struct Pen {
    radius: f32,
    /// Cosine of the largest turn that needs no further vertex on a round join.
    least_cosine: f32,
}

/// One straight piece of a line.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Unit vector along the piece.
    along: Point,
    length: f32,
}

impl Pen {
    pub(super) fn new(width: f32) -> Self {
        let radius = 0.5 * width;
        let half_step = radius / (radius + 0.125);
        Self {
            radius,
            least_cosine: 2.0 * half_step * half_step - 1.0,
        }
    }

    /// Appends the closed outline of each subpath of `line`.
    pub(super) fn outline(&self, line: &Path, pieces: &mut Pieces, outline: &mut PathBuilder) {
        let points = line.points();
        let mut start = 0;
        let mut end = 0;
        for segment in line.segments() {
            if matches!(segment, PathSegment::MoveTo(_)) && end > start {
                self.contour(&points[start..end], pieces, outline);
                start = end;
            }
            end += 1;
        }
        self.contour(&points[start..end], pieces, outline);
    }

    /// Goes around one line: its left side, its end, its right side.
    fn contour(&self, points: &[Point], pieces: &mut Pieces, outline: &mut PathBuilder) {
        pieces.measure(points);
        let n = pieces.0.len();
        let (first, last) = (pieces.0[0].along, pieces.0[n - 1].along);
        let cap = |p: Point, along: Point| {
            let (d, r) = (along, self.radius);
            (
                Point::from_xy(p.x + r * (d.x - d.y), p.y + r * (d.y + d.x)),
                Point::from_xy(p.x + r * (d.x + d.y), p.y + r * (d.y - d.x)),
            )
        };
        let (a, b) = cap(points[0], Point::from_xy(-first.x, -first.y));
        outline.move_to(a.x, a.y);
        outline.line_to(b.x, b.y);
        for (pair, &at) in pieces.0.windows(2).zip(&points[1..]) {
            self.join(at, pair[0], pair[1], outline);
        }
        let (a, b) = cap(points[n], last);
        outline.line_to(a.x, a.y);
        outline.line_to(b.x, b.y);
        for i in (1..n).rev() {
            self.join(
                points[i],
                pieces.0[i].reversed(),
                pieces.0[i - 1].reversed(),
                outline,
            );
        }
        outline.close();
    }

    /// Appends the left side of a join.
    fn join(&self, at: Point, before: Piece, after: Piece, outline: &mut PathBuilder) {
        let (u, v, r) = (before.along, after.along, self.radius);
        let cross = u.x * v.y - u.y * v.x;
        let dot = u.x * v.x + u.y * v.y;
        let n = Point::from_xy(-u.y * r, u.x * r);
        let m = Point::from_xy(-v.y * r, v.x * r);
        if cross > 0.0 {
            // The inner side: where the two edges cross, unless that lies beyond their ends.
            let k = 1.0 / (1.0 + dot);
            let miter = Point::from_xy((n.x + m.x) * k, (n.y + m.y) * k);
            let limit = before.length.min(after.length).max(1.01 * r);
            if miter.x * miter.x + miter.y * miter.y <= limit * limit {
                outline.line_to(at.x + miter.x, at.y + miter.y);
                return;
            }
            outline.line_to(at.x + n.x, at.y + n.y);
            outline.line_to(at.x + m.x, at.y + m.y);
        } else {
            outline.line_to(at.x + n.x, at.y + n.y);
            if dot < self.least_cosine {
                let d = Point::from_xy(u.x - v.x, u.y - v.y);
                let k = r / (d.x * d.x + d.y * d.y).sqrt();
                let mid = Point::from_xy(d.x * k, d.y * k);
                self.arc(at, n, mid, outline);
                outline.line_to(at.x + mid.x, at.y + mid.y);
                self.arc(at, mid, m, outline);
            }
            outline.line_to(at.x + m.x, at.y + m.y);
        }
    }

    /// Appends the points of an arc between two of its points, by halving.
    fn arc(&self, at: Point, n: Point, m: Point, outline: &mut PathBuilder) {
        let r = self.radius;
        let dot = n.x * m.x + n.y * m.y;
        if dot >= self.least_cosine * r * r {
            return;
        }
        let s = Point::from_xy(n.x + m.x, n.y + m.y);
        let k = r / (s.x * s.x + s.y * s.y).sqrt();
        let mid = Point::from_xy(s.x * k, s.y * k);
        self.arc(at, n, mid, outline);
        outline.line_to(at.x + mid.x, at.y + mid.y);
        self.arc(at, mid, m, outline);
    }
}

/// Buffer of the pieces of one line.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces(Vec<Piece>);

impl Pieces {
    fn measure(&mut self, points: &[Point]) {
        self.0.clear();
        self.0.extend(points.windows(2).map(|w| {
            let (dx, dy) = (w[1].x - w[0].x, w[1].y - w[0].y);
            let length = (dx * dx + dy * dy).sqrt();
            Piece {
                along: Point::from_xy(dx / length, dy / length),
                length,
            }
        }));
    }
}

impl Piece {
    fn reversed(self) -> Self {
        Self {
            along: Point::from_xy(-self.along.x, -self.along.y),
            ..self
        }
    }
}
