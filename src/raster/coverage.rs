//! Exact area coverage of an outline, in filtered picture pixels.
//!
//! A canvas pixel holds the area that ink covers of it, and a picture pixel is a weighted sum of
//! canvas pixels ([`Filter`]). Both steps are linear, so they are taken at once, and neither the
//! canvas nor the inside of a shape is ever visited: the work grows with the number of canvas
//! columns that the outline crosses.
//!
//! **One column.** An edge from `(x0, y0)` to `(x1, y1)` within one canvas column covers, seen
//! from below, `dx` of the column's width; going down from `y0` to `y1` the covered width grows
//! steadily, by `run = dx / dy` per pixel. So it is the difference of two ramps: `run` times a
//! ramp that starts at `y0`, less the same that starts at `y1`. A whole outline is a sum of ramps
//! that start at its *knots*: its corners, where `run` changes, and the points where it goes from
//! one column to the next, where a ramp ends in one column and starts in the other.
//!
//! **Filtered rows.** What picture row `Y` gets of a ramp that starts at `y` is 0 for rows above
//! `y`, a straight line in the row's center of gravity for rows below, and bent in the one or two
//! rows between. Its second differences down the rows are four numbers or fewer
//! ([`RowTaps`](super::filter::RowTaps)), quadratic in the position of `y` within its pixel. They
//! are all that is added for a knot; two running sums down each picture column at the end restore
//! what they stand for.
//!
//! **Filtered columns.** A canvas column belongs to one or two picture columns with known weights
//! ([`ColumnTaps`]), and on the boundary of two canvas columns the
//! ending and the starting ramp cancel but for the difference of the weights.
//!
//! The magnitude of the sum, at most one, is the coverage, as in Agg, which matplotlib draws with.
//! Where an outline overlaps itself, that rule must be applied to canvas pixels, before the
//! filter: then the filter used here is the trivial one, and
//! [`Painter`](super::paint::Painter) shrinks the canvas afterwards.
//!
//! Only additions, multiplications and divisions of IEEE numbers are used, in a fixed order and
//! never fused, so the result has the same bits on every machine.

use tiny_skia::{Path, PathSegment, Point};

use super::filter::{ColumnTaps, Filter, REACH, RowTaps};

/// Picture columns that are summed at once.
pub(super) const LANES: usize = 4;

/// Bits of a vertex coordinate below one canvas pixel.
const SUB_BITS: u32 = 16;
/// One canvas pixel in a vertex coordinate.
const ONE: i32 = 1 << SUB_BITS;
/// Edges that rise less than a pixel in this many columns are taken as level in each column,
/// because the ramps they consist of would be very steep.
const FLAT: u32 = 16;

/// The picture rows `first..end`.
#[derive(Clone, Copy, Debug)]
struct Rows {
    first: u32,
    end: u32,
}

/// Accumulates an outline, then gives its coverage column by column.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    /// Rows of a tile: those of the picture and some that take what lies below it.
    n_rows: usize,
    /// Second differences. A tile is as high as the picture and two groups of columns wide, its
    /// own and the next, so that a knot never needs two tiles. The first tile has no own group.
    tiles: Vec<[[f32; LANES]; 2]>,
    /// For each group of picture columns, the rows that have been added to.
    touched: Vec<Rows>,
    /// The coverage of one group.
    levels: Vec<[f32; LANES]>,
}

/// A point in units of 1/65536 canvas pixel, counted from the corner of the border.
#[derive(Clone, Copy, PartialEq)]
struct Vertex {
    x: i32,
    y: i32,
}

impl Coverage {
    pub(super) fn new(filter: &Filter) -> Self {
        let n_rows = filter.side_px + REACH;
        let n_groups = filter.side_px.div_ceil(LANES);
        Self {
            n_rows,
            tiles: vec![[[0.0; LANES]; 2]; (n_groups + 1) * n_rows],
            touched: vec![Rows::NONE; n_groups + 1],
            levels: vec![[0.0; LANES]; n_rows],
        }
    }

    /// Adds the inside of an outline of closed polygons.
    pub(super) fn add(&mut self, filter: &Filter, outline: &Path) {
        let mut start = Vertex { x: 0, y: 0 };
        let mut at = start;
        let mut run = 0.0;
        for segment in outline.segments() {
            let to = match segment {
                PathSegment::MoveTo(to) => {
                    start = Vertex::new(filter, to);
                    at = start;
                    continue;
                }
                PathSegment::LineTo(to)
                | PathSegment::QuadTo(_, to)
                | PathSegment::CubicTo(_, _, to) => Vertex::new(filter, to),
                PathSegment::Close => start,
            };
            run = self.edge(filter, at, to, run);
            at = to;
            if segment == PathSegment::Close {
                self.corner(filter, at, -run);
                run = 0.0;
            }
        }
    }

    /// Adds an edge but for the knot at its end. `run` is that of the edge before, the returned
    /// one that of this edge.
    fn edge(&mut self, filter: &Filter, from: Vertex, to: Vertex, run_before: f32) -> f32 {
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        if dy.unsigned_abs() <= dx.unsigned_abs() / FLAT {
            self.corner(filter, from, -run_before);
            self.level_edge(filter, from, to);
            return 0.0;
        }
        let run = dx as f32 / dy as f32;
        self.corner(filter, from, run - run_before);
        if from.column() != to.column() {
            self.crossings(filter, from, to, run);
        }
        run
    }

    /// Adds the knots where an edge goes from one canvas column to the next.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "vertices lie within the border of the canvas, and so do the points between"
    )]
    fn crossings(&mut self, filter: &Filter, from: Vertex, to: Vertex, run: f32) {
        let slope = f64::from(to.y - from.y) / f64::from(to.x - from.x);
        let (first, step) = if from.x < to.x {
            (from.column() + 1, 1)
        } else {
            (from.column(), -1)
        };
        // Heights in 2^-32 of a pixel: exact to add up.
        let reach = f64::from((first << SUB_BITS) - from.x) * slope;
        let mut y = (i64::from(from.y) << 16) + (reach * f64::from(ONE)) as i64;
        let per_column = (slope * f64::from(ONE) * f64::from(ONE)) as i64 * i64::from(step);
        // Going left, the ramp ends in the right one of the two columns.
        let run = if step > 0 { run } else { -run };
        let mut column = first;
        for _ in 0..from.column().abs_diff(to.column()) {
            let row = &filter.rows[(y >> 32) as usize];
            let fraction = ((y as u32) >> 8) as f32 * (1.0 / 16_777_216.0);
            self.knot(
                &filter.boundaries[column as usize],
                run,
                row.first,
                ramp(row, fraction),
            );
            y += per_column;
            column += step;
        }
    }

    /// Adds a ramp that starts at a vertex.
    fn corner(&mut self, filter: &Filter, at: Vertex, run: f32) {
        if run != 0.0 {
            let (row, fraction) = at.row(filter);
            let column = &filter.columns[at.column_index()];
            self.knot(column, run, row.first, ramp(row, fraction));
        }
    }

    /// Adds an edge that is nearly level: a step down the middle of it in each canvas column.
    #[expect(clippy::cast_possible_truncation, reason = "between two vertices")]
    fn level_edge(&mut self, filter: &Filter, from: Vertex, to: Vertex) {
        let (left, right, sign) = if from.x <= to.x {
            (from, to, 1.0)
        } else {
            (to, from, -1.0)
        };
        let slope = f64::from(right.y - left.y) / f64::from((right.x - left.x).max(1));
        let mut x = left.x;
        while x < right.x {
            let end = ((x | (ONE - 1)) + 1).min(right.x);
            let middle = 0.5 * f64::from(x - left.x) + 0.5 * f64::from(end - left.x);
            let y = left.y + (middle * slope) as i32;
            let at = Vertex { x, y };
            let (row, fraction) = at.row(filter);
            let width = sign * (end - x) as f32 * (1.0 / 65536.0);
            let column = &filter.columns[at.column_index()];
            self.knot(column, width, row.first, step(row, fraction));
            x = end;
        }
    }

    /// Adds `factor` times the taps of a knot to the picture columns and rows it reaches.
    #[inline]
    fn knot(&mut self, column: &ColumnTaps, factor: f32, row: u32, taps: [f32; REACH]) {
        let first = column.first as usize;
        let (group, offset) = (first / LANES, first % LANES);
        for group in [group, (first + REACH - 2) / LANES] {
            self.touched[group].extend(row);
        }
        let weights = column.weights.map(|weight| weight * factor);
        let rows = &mut self.tiles[(group + 1) * self.n_rows + row as usize..];
        let rows = rows
            .first_chunk_mut::<REACH>()
            .expect("tiles have REACH rows to spare");
        for (cells, tap) in rows.iter_mut().zip(taps) {
            let cells = &mut cells.as_flattened_mut()[offset..offset + REACH];
            for (cell, weight) in cells.iter_mut().zip(weights) {
                *cell += tap * weight;
            }
        }
    }

    /// Gives the coverage of each group of columns that has any, as the index of the group, its
    /// first row and the levels from there on, and forgets it.
    ///
    /// Levels can be negative, or beyond one where the outline overlaps itself.
    pub(super) fn drain(
        &mut self,
        filter: &Filter,
        mut take: impl FnMut(usize, usize, &[[f32; LANES]]),
    ) {
        for group in 0..filter.side_px.div_ceil(LANES) {
            let rows = std::mem::replace(&mut self.touched[group], Rows::NONE);
            let (first, end) = (rows.first as usize, rows.end as usize);
            if first < end {
                self.sum(filter, group, first, end);
            }
            let end = end.min(filter.side_px);
            if first < end {
                take(group, first, &self.levels[first..end]);
            }
        }
    }

    /// Turns the second differences of a group into levels, and clears them.
    fn sum(&mut self, filter: &Filter, group: usize, first: usize, end: usize) {
        // The group is the second half of one tile and the first half of the next.
        let (before, own) = self.tiles.split_at_mut((group + 1) * self.n_rows);
        let before = &mut before[group * self.n_rows..][first..end];
        let cells = before.iter_mut().zip(&mut own[first..end]);
        let (mut rise, mut level) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for (((before, own), &spacing), out) in cells
            .zip(&filter.spacing[first..end])
            .zip(&mut self.levels[first..end])
        {
            for lane in 0..LANES {
                rise[lane] += before[1][lane] + own[0][lane];
                level[lane] += rise[lane] * spacing;
            }
            before[1] = [0.0; LANES];
            own[0] = [0.0; LANES];
            *out = level;
        }
    }
}

/// The taps of a ramp that starts in a canvas row.
#[inline]
fn ramp(row: &RowTaps, fraction: f32) -> [f32; REACH] {
    let [constant, linear, quadratic] = &row.powers;
    let square = fraction * fraction;
    std::array::from_fn(|tap| constant[tap] + fraction * linear[tap] + square * quadratic[tap])
}

/// The taps of a step: of a ramp that is infinitely steep, but one high.
#[inline]
fn step(row: &RowTaps, fraction: f32) -> [f32; REACH] {
    let [_, linear, quadratic] = &row.powers;
    std::array::from_fn(|tap| -(linear[tap] + 2.0 * fraction * quadratic[tap]))
}

impl Rows {
    const NONE: Self = Self {
        first: u32::MAX,
        end: 0,
    };

    /// Includes the rows that a knot reaches.
    #[expect(clippy::cast_possible_truncation, reason = "REACH is a small number")]
    fn extend(&mut self, first: u32) {
        self.first = self.first.min(first);
        self.end = self.end.max(first + REACH as u32);
    }
}

impl Vertex {
    /// Moves points outside of the border to its edge. There are none.
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the border")]
    fn new(filter: &Filter, point: Point) -> Self {
        let end = (filter.rows.len() - 2) as f64;
        let fixed = |coordinate: f32| {
            let padded = f64::from(coordinate) + filter.pad_px as f64;
            (padded.clamp(1.0, end) * f64::from(ONE) + 0.5) as i32
        };
        Self {
            x: fixed(point.x),
            y: fixed(point.y),
        }
    }

    fn column(self) -> i32 {
        self.x >> SUB_BITS
    }

    #[expect(clippy::cast_sign_loss, reason = "vertices lie within the border")]
    fn column_index(self) -> usize {
        self.column() as usize
    }

    /// The taps of the canvas row, and the position within it from 0 to 1.
    #[expect(clippy::cast_sign_loss, reason = "vertices lie within the border")]
    fn row(self, filter: &Filter) -> (&RowTaps, f32) {
        let fraction = (self.y & (ONE - 1)) as f32 * (1.0 / 65536.0);
        (&filter.rows[(self.y >> SUB_BITS) as usize], fraction)
    }
}
