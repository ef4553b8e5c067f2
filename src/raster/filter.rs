//! The filter that shrinks the canvas to the picture.
//!
//! Pillow's `Image.resize` with `BILINEAR` makes each picture pixel from the canvas pixels under
//! a triangle two picture pixels wide, separately along both axes: that is [`Triangle`]. (Facts
//! were measured, the code is our own.) [`Filter`] holds tables that are made of it, with which
//! [`Coverage`](super::coverage::Coverage) accumulates ink in picture pixels without a canvas in
//! between; its module tells how.

use std::ops::Range;

/// A knot changes no more than this many picture pixels along each axis.
pub(super) const REACH: usize = 4;

/// The number of weights of a picture pixel is a multiple of this.
pub(super) const TAPS: usize = 4;

/// Weights of the canvas pixels that each picture pixel is made of, along one axis.
#[derive(Clone, Debug)]
pub(super) struct Triangle {
    side_px: usize,
    scale: f64,
    /// Number of weights of each picture pixel; some may be zero.
    n_weights: usize,
    /// The first canvas pixel of each picture pixel.
    first: Vec<usize>,
    /// The weights of the canvas pixels from there on; those of a picture pixel sum to one.
    weights: Vec<f32>,
}

impl Triangle {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both are clamped to the canvas"
    )]
    pub(super) fn new(canvas_px: usize, side_px: usize) -> Self {
        let scale = canvas_px as f64 / side_px as f64;
        let n_weights = (2.0 * scale).ceil() as usize;
        let n_weights = n_weights.next_multiple_of(TAPS).min(canvas_px);
        let mut triangle = Self {
            side_px,
            scale,
            n_weights,
            first: Vec::with_capacity(side_px),
            weights: Vec::with_capacity(side_px * n_weights),
        };
        for pixel in 0..side_px {
            let center = (pixel as f64 + 0.5) * scale;
            let first = (center - scale + 0.5).max(0.0) as usize;
            let first = first.min(canvas_px - n_weights);
            let weight = |canvas: usize| {
                let distance = (canvas as f64 + 0.5 - center).abs();
                (1.0 - distance / scale).max(0.0)
            };
            let total: f64 = (first..first + n_weights).map(weight).sum();
            triangle.first.push(first);
            let weights = (first..first + n_weights).map(|canvas| narrow(weight(canvas) / total));
            triangle.weights.extend(weights);
        }
        triangle
    }

    /// Side of the picture.
    pub(super) fn side_px(&self) -> usize {
        self.side_px
    }

    /// The first canvas pixel of a picture pixel, and the weights from there on.
    pub(super) fn of(&self, pixel: usize) -> (usize, &[f32]) {
        let weights = &self.weights[pixel * self.n_weights..][..self.n_weights];
        (self.first[pixel], weights)
    }

    /// The picture pixels that have a weight, zero or not, for any canvas pixel of a range.
    pub(super) fn pixels_near(&self, canvas: Range<usize>) -> Range<usize> {
        let start = (self.first).partition_point(|first| first + self.n_weights <= canvas.start);
        let end = self.first.partition_point(|&first| first < canvas.end);
        start..end.max(start)
    }

    /// The weight of a canvas pixel in a picture pixel.
    fn weight(&self, pixel: usize, canvas: usize) -> f32 {
        let (first, weights) = self.of(pixel);
        let index = canvas.checked_sub(first);
        index.and_then(|i| weights.get(i)).copied().unwrap_or(0.0)
    }

    /// The picture pixels that a canvas pixel is a part of.
    fn pixels_of(&self, canvas: usize) -> Range<usize> {
        let Range { mut start, mut end } = self.pixels_near(canvas..canvas + 1);
        while start < end && self.weight(start, canvas) == 0.0 {
            start += 1;
        }
        while start < end && self.weight(end - 1, canvas) == 0.0 {
            end -= 1;
        }
        start..end
    }

    /// Center of gravity of a picture pixel in canvas pixels.
    fn mean(&self, pixel: usize) -> f64 {
        let (first, weights) = self.of(pixel);
        let moment = |(i, &weight): (usize, &f32)| f64::from(weight) * ((first + i) as f64 + 0.5);
        weights.iter().enumerate().map(moment).sum()
    }

    /// The last canvas pixel that a picture pixel is made of.
    fn last(&self, pixel: usize) -> usize {
        let (first, weights) = self.of(pixel);
        let last = weights.iter().rposition(|&weight| weight > 0.0);
        first + last.unwrap_or(0)
    }
}

/// What a knot in one canvas row changes: second differences down the picture rows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowTaps {
    /// Constant, linear and quadratic coefficients in the position within the canvas row.
    pub(super) powers: [[f32; REACH]; 3],
    /// The picture row that the first of each belongs to.
    pub(super) first: u32,
}

/// What a knot in one canvas column, or between two, changes: weights of picture columns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ColumnTaps {
    pub(super) weights: [f32; REACH],
    /// The picture column that the first belongs to.
    pub(super) first: u32,
}

/// The filter as tables, indexed by canvas pixels with a border of `pad_px` around them.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) side_px: usize,
    pub(super) pad_px: usize,
    /// For a knot in each canvas row.
    pub(super) rows: Vec<RowTaps>,
    /// For a knot in each canvas column.
    pub(super) columns: Vec<ColumnTaps>,
    /// For a knot on the left boundary of each canvas column.
    pub(super) boundaries: Vec<ColumnTaps>,
    /// How far the center of gravity of each picture row lies below that of the row above.
    pub(super) spacing: Vec<f32>,
}

impl Filter {
    pub(super) fn new(canvas_px: usize, triangle: &Triangle, pad_px: usize) -> Self {
        let side_px = triangle.side_px;
        let padded = canvas_px + 2 * pad_px;
        let means: Vec<f64> = (0..side_px).map(|row| triangle.mean(row)).collect();
        let mut spacing = vec![triangle.scale; side_px + REACH];
        for row in 1..side_px {
            spacing[row] = means[row] - means[row - 1];
        }
        let canvas_column = |column: usize| {
            let canvas = column.checked_sub(pad_px);
            canvas.filter(|&canvas| canvas < canvas_px)
        };
        let column = |index| column_taps(triangle, canvas_column(index), None);
        let boundary = |index: usize| {
            let left = index.checked_sub(1).and_then(canvas_column);
            column_taps(triangle, canvas_column(index), left)
        };
        Self {
            side_px,
            pad_px,
            rows: row_taps(triangle, &spacing, padded, pad_px),
            columns: (0..padded).map(column).collect(),
            boundaries: (0..padded).map(boundary).collect(),
            spacing: spacing.into_iter().map(narrow).collect(),
        }
    }
}

/// The weights of the canvas column `here` less those of the column `left`.
fn column_taps(triangle: &Triangle, here: Option<usize>, left: Option<usize>) -> ColumnTaps {
    let pixels = |column: Option<usize>| column.map(|column| triangle.pixels_of(column));
    let (Some(first), Some(last)) = (pixels(left.or(here)), pixels(here.or(left))) else {
        return ColumnTaps::default();
    };
    let weight =
        |pixel, column: Option<usize>| column.map_or(0.0, |column| triangle.weight(pixel, column));
    let mut weights = [0.0; REACH];
    for (sum, pixel) in weights.iter_mut().zip(first.start..last.end) {
        *sum = weight(pixel, here) - weight(pixel, left);
    }
    ColumnTaps {
        weights,
        first: index(first.start),
    }
}

/// The taps of every canvas row, border included.
fn row_taps(triangle: &Triangle, spacing: &[f64], padded_px: usize, pad_px: usize) -> Vec<RowTaps> {
    let mut first = 0;
    let taps = |padded: usize| {
        while first < triangle.side_px && triangle.last(first) + pad_px < padded {
            first += 1;
        }
        let canvas = padded as f64 - pad_px as f64;
        let mut taps = RowTaps {
            first: index(first),
            ..RowTaps::default()
        };
        let (mut response_above, mut rise_above) = ([0.0; 3], [0.0; 3]);
        for tap in 0..REACH.min(triangle.side_px - first) {
            let response = response(triangle, first + tap, canvas);
            for power in 0..3 {
                let rise = (response[power] - response_above[power]) / spacing[first + tap];
                taps.powers[power][tap] = narrow(rise - rise_above[power]);
                rise_above[power] = rise;
            }
            response_above = response;
        }
        taps
    };
    (0..padded_px).map(taps).collect()
}

/// What a picture row gets from one column wide ink that starts at `y` and gets denser by one for
/// each pixel down: the weighted sum over the row's canvas pixels. For `y = canvas + f`, as the
/// coefficients of 1, `f` and `f * f`.
fn response(triangle: &Triangle, row: usize, canvas: f64) -> [f64; 3] {
    let (first, weights) = triangle.of(row);
    let mut sum = [0.0; 3];
    for (i, &weight) in weights.iter().enumerate() {
        let below = (first + i) as f64 - canvas;
        // In the pixel that holds the start, half the square of what is left; then one more for
        // each pixel.
        let powers = if below == 0.0 {
            [0.5, -1.0, 0.5]
        } else if below > 0.0 {
            [below + 0.5, -1.0, 0.0]
        } else {
            [0.0; 3]
        };
        for (sum, power) in sum.iter_mut().zip(powers) {
            *sum += f64::from(weight) * power;
        }
    }
    sum
}

#[expect(clippy::cast_possible_truncation, reason = "f32 is enough for tables")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, reason = "a side is at most 4096")]
fn index(value: usize) -> u32 {
    value as u32
}
