//! The outline of a stroked line.
//!
//! Does the work of tiny-skia's `PathStroker` (on its paths, with the same caps and joins), and
//! differs from it in three ways. Where the line turns, the stroker lets the two strokes overlap
//! on the inner side, and the pixels along the overlap come out too dark, by up to 57 of 255
//! levels; here the outline ends where the strokes meet, as Agg's does, and the largest difference
//! from Agg is 5. Round joins have Agg's coarse steps. And the stroker allocates its result anew
//! for every path, where the buffers here are reused.

use tiny_skia::{Path, PathBuilder, PathSegment, Point};

/// A round join may stray this far from a circle, in pixels. The value is Agg's.
const FLATNESS: f32 = 0.125;
/// Strokes that meet at an acute angle are trimmed at least this far, in radii. From Agg.
const LEAST_TRIM: f32 = 1.01;

/// Strokes lines with projecting square caps and round joins.
#[derive(Clone, Debug)]
pub(super) struct Pen {
    radius: f32,
    /// Cosine of the largest turn that a round join takes in one step.
    step_cosine: f32,
}

/// One straight piece of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Unit vector along the piece.
    along: Point,
    length: f32,
}

impl Pen {
    pub(super) fn new(width: f32) -> Self {
        let radius = 0.5 * width;
        let half_step = radius / (radius + FLATNESS);
        Self {
            radius,
            // cos(2a) from cos(a)
            step_cosine: 2.0 * half_step * half_step - 1.0,
        }
    }

    /// Appends the outline of each subpath of `line`, which must be polylines without coincident
    /// neighbors. Returns whether all strokes could be trimmed where the line turns; if not, the
    /// outline overlaps itself.
    ///
    /// `pieces` is a buffer.
    pub(super) fn outline(
        &self,
        line: &Path,
        pieces: &mut Vec<Piece>,
        outline: &mut PathBuilder,
    ) -> bool {
        let points = line.points();
        let mut trimmed = true;
        let mut start = 0;
        // Polylines have one point for each segment.
        for (i, segment) in line.segments().enumerate() {
            if i > 0 && matches!(segment, PathSegment::MoveTo(_)) {
                trimmed &= self.subpath(&points[start..i], pieces, outline);
                start = i;
            }
        }
        trimmed & self.subpath(&points[start..], pieces, outline)
    }

    /// Goes along one side of the line and back along the other.
    fn subpath(
        &self,
        points: &[Point],
        pieces: &mut Vec<Piece>,
        outline: &mut PathBuilder,
    ) -> bool {
        pieces.clear();
        pieces.extend(
            points
                .windows(2)
                .map(|ends| Piece::between(ends[0], ends[1])),
        );
        let ([first, .., last] | [first @ last]) = pieces.as_slice() else {
            return true;
        };
        let mut trimmed = true;
        let [left, right] = self.cap(points[0], first.reversed());
        outline.move_to(left.x, left.y);
        outline.line_to(right.x, right.y);
        for (pair, &at) in pieces.windows(2).zip(&points[1..]) {
            trimmed &= self.join(at, pair[0], pair[1], outline);
        }
        for corner in self.cap(points[pieces.len()], *last) {
            outline.line_to(corner.x, corner.y);
        }
        for (pair, &at) in pieces.windows(2).zip(&points[1..]).rev() {
            trimmed &= self.join(at, pair[1].reversed(), pair[0].reversed(), outline);
        }
        outline.close();
        trimmed
    }

    /// The two corners of a cap at the end of a piece, left one first.
    fn cap(&self, end: Point, piece: Piece) -> [Point; 2] {
        let (along, left) = (piece.along, piece.left());
        let tip = end + scaled(along, self.radius);
        [1.0, -1.0].map(|side| tip + scaled(left, side * self.radius))
    }

    /// The left side of the corner at `at`. Returns false if it is an inner side that could not be
    /// trimmed.
    fn join(&self, at: Point, before: Piece, after: Piece, outline: &mut PathBuilder) -> bool {
        let (u, v) = (before.along, after.along);
        let from = scaled(before.left(), self.radius);
        let to = scaled(after.left(), self.radius);
        let cosine = u.dot(v);
        let turns_left = u.cross(v) > 0.0;
        if turns_left {
            // Where the two offset edges cross.
            let meet = scaled(from + to, 1.0 / (1.0 + cosine));
            let room = before
                .length
                .min(after.length)
                .max(LEAST_TRIM * self.radius);
            if meet.dot(meet) <= room * room {
                outline.line_to(at.x + meet.x, at.y + meet.y);
                return true;
            }
        }
        outline.line_to(at.x + from.x, at.y + from.y);
        if !turns_left && cosine < self.step_cosine {
            // Halfway between the two sides, well defined even in a turn by 180 degrees.
            let tip = of_length(u - v, self.radius);
            self.arc(at, from, tip, outline);
            outline.line_to(at.x + tip.x, at.y + tip.y);
            self.arc(at, tip, to, outline);
        }
        outline.line_to(at.x + to.x, at.y + to.y);
        !turns_left
    }

    /// The corners between two points on a circle less than 180 degrees apart: halved until the
    /// steps are small enough.
    fn arc(&self, center: Point, from: Point, to: Point, outline: &mut PathBuilder) {
        if from.dot(to) < self.step_cosine * self.radius * self.radius {
            let mid = of_length(from + to, self.radius);
            self.arc(center, from, mid, outline);
            outline.line_to(center.x + mid.x, center.y + mid.y);
            self.arc(center, mid, to, outline);
        }
    }
}

impl Piece {
    fn between(from: Point, to: Point) -> Self {
        let length = (to - from).dot(to - from).sqrt();
        Self {
            along: scaled(to - from, 1.0 / length),
            length,
        }
    }

    fn reversed(self) -> Self {
        Self {
            along: -self.along,
            ..self
        }
    }

    /// Unit vector to the left, seen along the piece with y pointing up.
    fn left(self) -> Point {
        Point::from_xy(-self.along.y, self.along.x)
    }
}

fn scaled(vector: Point, factor: f32) -> Point {
    Point::from_xy(vector.x * factor, vector.y * factor)
}

fn of_length(vector: Point, length: f32) -> Point {
    scaled(vector, length / vector.dot(vector).sqrt())
}
