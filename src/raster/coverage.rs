//! Exact area coverage of an outline, accumulated straight into filtered picture pixels.
//!
//! Area and filter are both linear, so no canvas is needed in between. Within one canvas column an
//! edge is a height `y(x)`, and what it adds to a picture row is the integral over `x` of what the
//! row gets when all below `y(x)` is ink. With `R` the integral of that along `y`, an edge from
//! `y0` to `y1` adds `run * (R(y0) - R(y1))`, where `run` is dx/dy. So all there is to accumulate
//! are knots: the corners of the outline, where the run changes, and the places where an edge goes
//! from one canvas column to the next. A knot touches [`REACH`] picture columns and, as second
//! differences, [`REACH`] picture rows; two running sums down each picture column, over the rows
//! that were touched, make the picture. [`Filter`] holds `R`.
//!
//! Ink that lies twice on a canvas pixel counts twice until the whole picture pixel is cut at one.
//! Hence only for lines whose steps lie at least a stroke apart; otherwise see
//! [`Canvas`](super::canvas::Canvas).

use tiny_skia::{Path, PathSegment, Point};

use super::filter::{Filter, REACH, RowTaps, Window};

/// Picture columns that are summed up at once.
const LANES: usize = 4;

/// Vertices are kept in 1/65536 of a canvas pixel.
const SUB_BITS: u32 = 16;
const SUB_PX: f64 = 65536.0;

/// An edge that rises less than one canvas pixel in this many columns is drawn as a level one in
/// each column: its run would be large, and the difference of large numbers is inexact.
const FLAT: u32 = 16;

/// Added before levels are rounded to the nearest: Agg, matplotlib's blending and Pillow each cut
/// or round what they hand on, and so come out a quarter of a level above what rounding once gives.
const ROUNDING: f32 = 0.25;

/// From here on neighbouring floats are one apart.
const INTEGERS: f32 = 8_388_608.0;

/// A run of rows; empty if `first >= end`.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: usize,
    end: usize,
}

/// Accumulates an outline; all zero between two pictures.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    n_rows: usize,
    /// Second differences down each column. A tile has four picture columns and the four to their
    /// right, so that no window is cut; half of its columns are those of the next tile again.
    tiles: Vec<[[f32; LANES]; 2]>,
    /// The rows touched of each group of [`LANES`] picture columns.
    groups: Vec<Span>,
    levels: Vec<[f32; LANES]>,
    bytes: Vec<[u8; LANES]>,
}

/// A corner of the outline, counted from the border of the filter's tables.
#[derive(Clone, Copy)]
struct Vertex {
    x: i32,
    y: i32,
}

impl Span {
    const EMPTY: Self = Self {
        first: usize::MAX,
        end: 0,
    };

    fn cover(&mut self, first: usize, end: usize) {
        self.first = self.first.min(first);
        self.end = self.end.max(end);
    }
}

impl Coverage {
    pub(super) fn new(filter: &Filter) -> Self {
        let n_rows = filter.side_px + REACH;
        let n_groups = filter.side_px.div_ceil(LANES);
        Self {
            n_rows,
            tiles: vec![[[0.0; LANES]; 2]; (n_groups + 1) * n_rows],
            groups: vec![Span::EMPTY; n_groups + 1],
            bytes: vec![[0; LANES]; n_rows],
            levels: vec![[0.0; LANES]; n_rows],
        }
    }

    /// Draws an outline into an empty mask.
    pub(super) fn draw(&mut self, filter: &Filter, outline: &Path, mask: &mut [u8]) {
        self.outline(filter, outline);
        self.resolve(filter, mask);
    }

    fn outline(&mut self, filter: &Filter, outline: &Path) {
        let mut start = Vertex { x: 0, y: 0 };
        let mut at = start;
        let mut run = 0.0;
        for segment in outline.segments() {
            match segment {
                PathSegment::MoveTo(to) => {
                    start = vertex(filter, to);
                    at = start;
                    run = 0.0;
                }
                PathSegment::LineTo(to) => {
                    let to = vertex(filter, to);
                    run = self.edge(filter, at, to, run);
                    at = to;
                }
                PathSegment::Close => {
                    run = self.edge(filter, at, start, run);
                    self.corner(filter, start, -run);
                    at = start;
                    run = 0.0;
                }
                PathSegment::QuadTo(..) | PathSegment::CubicTo(..) => {}
            }
        }
    }

    /// Adds an edge whose predecessor had the run `before`; returns its own run, 0 if level.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "on the canvas"
    )]
    fn edge(&mut self, filter: &Filter, a: Vertex, b: Vertex, before: f32) -> f32 {
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        if dy.unsigned_abs() * FLAT <= dx.unsigned_abs() {
            self.corner(filter, a, -before);
            self.level(filter, a, b);
            return 0.0;
        }
        let run = dx as f32 / dy as f32;
        self.corner(filter, a, run - before);
        let (ca, cb) = (a.x >> SUB_BITS, b.x >> SUB_BITS);
        if ca != cb {
            // Heights where the edge crosses column boundaries, in 32.32 fixed point.
            let slope = f64::from(dy) / f64::from(dx);
            let (first, step, sign) = if dx > 0 {
                (ca + 1, 1, run)
            } else {
                (ca, -1, -run)
            };
            let reach = f64::from((first << SUB_BITS) - a.x) * slope;
            let mut y = (i64::from(a.y) << 16) + (reach * SUB_PX) as i64;
            let per = (slope * 4_294_967_296.0) as i64 * i64::from(step);
            let mut boundary = first;
            for _ in 0..ca.abs_diff(cb) {
                let row = &filter.rows[(y >> 32) as usize];
                let f = (y as u32 >> 8) as f32 * (1.0 / 16_777_216.0);
                let index = boundary as usize;
                self.add(&filter.boundaries[index], sign, row.first, bend(row, f));
                y += per;
                boundary += step;
            }
        }
        run
    }

    /// Adds the knot of a corner at which the run changes.
    #[expect(clippy::cast_sign_loss, reason = "on the canvas")]
    fn corner(&mut self, filter: &Filter, at: Vertex, change: f32) {
        if change == 0.0 {
            return;
        }
        let row = &filter.rows[(at.y >> SUB_BITS) as usize];
        let f = (at.y & 0xffff) as f32 * (1.0 / 65536.0);
        let index = (at.x >> SUB_BITS) as usize;
        self.add(&filter.columns[index], change, row.first, bend(row, f));
    }

    /// Adds an edge that is level, or nearly so: a step at its mean height in each column.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "on the canvas"
    )]
    fn level(&mut self, filter: &Filter, a: Vertex, b: Vertex) {
        let (left, right, sign) = if a.x < b.x { (a, b, 1.0) } else { (b, a, -1.0) };
        let slope = f64::from(right.y - left.y) / f64::from(right.x - left.x);
        let mut x = left.x;
        while x < right.x {
            let column = x >> SUB_BITS;
            let to = ((column + 1) << SUB_BITS).min(right.x);
            let y = left.y + ((f64::from(x - left.x) + 0.5 * f64::from(to - x)) * slope) as i32;
            let width = sign * (to - x) as f32 * (1.0 / 65536.0);
            let row = &filter.rows[(y >> SUB_BITS) as usize];
            let f = (y & 0xffff) as f32 * (1.0 / 65536.0);
            let index = column as usize;
            self.add(&filter.columns[index], width, row.first, step(row, f));
            x = to;
        }
    }

    /// Adds `factor` knots.
    #[inline]
    fn add(&mut self, window: &Window, factor: f32, row: usize, taps: [f32; REACH]) {
        // No window is wider than three columns.
        for column in [window.first, window.first + 2] {
            self.groups[column / LANES].cover(row, row + REACH);
        }
        let (tile, offset) = (window.first / LANES + 1, window.first % LANES);
        let weights = window.weights.map(|w| w * factor);
        let rows = self.tiles[tile * self.n_rows + row..]
            .first_chunk_mut::<REACH>()
            .expect("a tile has more rows than the picture");
        for (cells, tap) in rows.iter_mut().zip(taps) {
            for (cell, weight) in cells.as_flattened_mut()[offset..offset + REACH]
                .iter_mut()
                .zip(weights)
            {
                *cell += tap * weight;
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the lowest byte is the level"
    )]
    fn resolve(&mut self, filter: &Filter, mask: &mut [u8]) {
        let side = filter.side_px;
        for group in 0..self.groups.len() - 1 {
            let Span { first, end } = std::mem::replace(&mut self.groups[group], Span::EMPTY);
            if first >= end {
                continue;
            }
            self.scan(filter, group, first, end);
            let x = group * LANES;
            let end = end.min(side);
            let rows = first..end;
            let levels = self.levels[rows.clone()].as_flattened();
            let bytes = self.bytes[rows.clone()].as_flattened_mut();
            for (byte, level) in bytes.iter_mut().zip(levels) {
                // Adding 2^23 rounds to the nearest integer, which the lowest bits then hold.
                *byte = (level.abs().min(1.0) * 255.0 + ROUNDING + INTEGERS).to_bits() as u8;
            }
            let out = mask[first * side..].chunks_exact_mut(side);
            for (bytes, out) in self.bytes[rows].iter().zip(out) {
                match out[x..].first_chunk_mut() {
                    Some(out) => *out = *bytes,
                    None => out[x..].copy_from_slice(&bytes[..side - x]),
                }
            }
        }
    }

    /// Sums up one group of columns into `levels`, and clears what it has read.
    fn scan(&mut self, filter: &Filter, group: usize, first: usize, end: usize) {
        let (left, right) = self.tiles.split_at_mut((group + 1) * self.n_rows);
        let left = &mut left[group * self.n_rows..][first..end];
        let right = &mut right[first..end];
        let (mut rise, mut level) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for (((left, right), &spacing), out) in left
            .iter_mut()
            .zip(right)
            .zip(&filter.spacing[first..end])
            .zip(&mut self.levels[first..])
        {
            for lane in 0..LANES {
                rise[lane] += left[1][lane] + right[0][lane];
                level[lane] += rise[lane] * spacing;
            }
            left[1] = [0.0; LANES];
            right[0] = [0.0; LANES];
            *out = level;
        }
    }
}

/// What a bend at `f` of a canvas row adds to the picture rows.
#[inline]
fn bend(row: &RowTaps, f: f32) -> [f32; REACH] {
    let f2 = f * f;
    std::array::from_fn(|i| row.constant[i] + f * row.linear[i] + f2 * row.quadratic[i])
}

/// What a step at `f` of a canvas row adds: how a bend changes with its height.
#[inline]
fn step(row: &RowTaps, f: f32) -> [f32; REACH] {
    std::array::from_fn(|i| -(row.linear[i] + 2.0 * f * row.quadratic[i]))
}

#[expect(clippy::cast_possible_truncation, reason = "clamped")]
fn vertex(filter: &Filter, point: Point) -> Vertex {
    let end = (filter.columns.len() - 1) as f64 * SUB_PX;
    let fixed =
        |v: f32| ((f64::from(v) + filter.pad_px as f64) * SUB_PX + 0.5).clamp(0.0, end) as i32;
    Vertex {
        x: fixed(point.x),
        y: fixed(point.y),
    }
}
