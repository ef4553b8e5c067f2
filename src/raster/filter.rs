//! The filter that shrinks the canvas to the picture, and what it makes of a single corner.
//!
//! Pillow's `Image.resize` with `BILINEAR` makes each picture pixel from the canvas pixels under
//! a triangle two picture pixels wide, separately along both axes ([`Triangle`]). The tables of
//! [`Filter`] let [`Coverage`](super::coverage::Coverage) accumulate ink straight into picture
//! pixels, without a canvas in between; its module says how.

/// Knots reach no further than this many picture pixels along either axis.
pub(super) const REACH: usize = 4;

/// Weights of the canvas pixels that each picture pixel is made of, along one axis.
#[derive(Clone, Debug)]
pub(super) struct Triangle {
    /// The first canvas pixel of each picture pixel.
    first: Vec<usize>,
    /// As many weights for each picture pixel; they sum to one.
    weights: Vec<f64>,
    n_weights: usize,
}

impl Triangle {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both ends are clamped to the canvas"
    )]
    pub(super) fn new(canvas_px: usize, side_px: usize) -> Self {
        let scale = canvas_px as f64 / side_px as f64;
        let n_weights = ((2.0 * scale).ceil() as usize + 1).min(canvas_px);
        let (mut first, mut weights) = (Vec::new(), Vec::new());
        for pixel in 0..side_px {
            let center = (pixel as f64 + 0.5) * scale;
            let start = ((center - scale + 0.5).max(0.0) as usize).min(canvas_px - n_weights);
            let weight = |canvas: usize| {
                let distance = (canvas as f64 + 0.5 - center).abs();
                (1.0 - distance / scale).max(0.0)
            };
            let total: f64 = (start..start + n_weights).map(weight).sum();
            first.push(start);
            weights.extend((start..start + n_weights).map(|canvas| weight(canvas) / total));
        }
        Self {
            first,
            weights,
            n_weights,
        }
    }

    /// The first canvas pixel of a picture pixel, and the weights from there on.
    fn of(&self, pixel: usize) -> (usize, &[f64]) {
        let weights = &self.weights[pixel * self.n_weights..][..self.n_weights];
        (self.first[pixel], weights)
    }

    /// The weight of a canvas pixel in a picture pixel.
    fn weight(&self, pixel: usize, canvas: usize) -> f64 {
        let (first, weights) = self.of(pixel);
        let index = canvas.checked_sub(first);
        index.and_then(|i| weights.get(i)).copied().unwrap_or(0.0)
    }

    /// The picture pixels that a canvas pixel has a weight in.
    fn pixels_of(&self, canvas: usize) -> std::ops::Range<usize> {
        let has_weight = |&pixel: &usize| self.weight(pixel, canvas) > 0.0;
        let near = self
            .first
            .partition_point(|&first| first + self.n_weights <= canvas);
        let start = (near..self.first.len()).find(has_weight).unwrap_or(near);
        let n = (start..self.first.len()).take_while(has_weight).count();
        start..start + n
    }

    /// Centre of gravity of a picture pixel, in canvas pixels from the edge.
    fn mean(&self, pixel: usize) -> f64 {
        let (first, weights) = self.of(pixel);
        let moment = |(i, weight): (usize, &f64)| weight * ((first + i) as f64 + 0.5);
        weights.iter().enumerate().map(moment).sum()
    }
}

/// What a knot in one canvas row adds to the picture rows, as second differences.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowTaps {
    /// The first picture row that changes.
    pub(super) first: usize,
    /// For each of the rows from there on: constant, linear and quadratic in the position of the
    /// knot within its canvas row.
    pub(super) constant: [f32; REACH],
    pub(super) linear: [f32; REACH],
    pub(super) quadratic: [f32; REACH],
}

/// What a knot in one canvas column, or between two, adds to the picture columns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// The first picture column that changes.
    pub(super) first: usize,
    /// How much each of the columns from there on takes.
    pub(super) weights: [f32; REACH],
}

/// Tables for accumulating through the filter, indexed by canvas pixels counted from a border of
/// `pad_px` pixels around the canvas.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub(super) side_px: usize,
    pub(super) pad_px: usize,
    pub(super) rows: Vec<RowTaps>,
    /// Distance of the centre of gravity of each picture row from that of the row above.
    pub(super) spacing: Vec<f32>,
    /// A canvas column's weights.
    pub(super) columns: Vec<Window>,
    /// A canvas column's weights less those of the column to its left.
    pub(super) boundaries: Vec<Window>,
}

impl Filter {
    pub(super) fn new(canvas_px: usize, side_px: usize, pad_px: usize) -> Self {
        let triangle = Triangle::new(canvas_px, side_px);
        let scale = canvas_px as f64 / side_px as f64;
        let means: Vec<f64> = (0..side_px).map(|row| triangle.mean(row)).collect();
        let spacing: Vec<f64> = std::iter::once(scale)
            .chain(means.windows(2).map(|pair| pair[1] - pair[0]))
            .collect();
        let padded = 0..canvas_px + 2 * pad_px;
        let window = |padded: usize, difference: bool| {
            let here = padded.checked_sub(pad_px).filter(|&c| c < canvas_px);
            let left = (padded.checked_sub(pad_px + 1)).filter(|&c| difference && c < canvas_px);
            window(&triangle, here, left)
        };
        Self {
            side_px,
            pad_px,
            rows: padded
                .clone()
                .map(|row| row_taps(&triangle, &means, &spacing, row as f64 - pad_px as f64))
                .collect(),
            columns: padded.clone().map(|column| window(column, false)).collect(),
            boundaries: padded.map(|column| window(column, true)).collect(),
            spacing: spacing
                .iter()
                .map(|&spacing| narrow(spacing))
                .chain([0.0; REACH])
                .collect(),
        }
    }
}

/// The weights of the canvas column `here` less those of the column `left`.
fn window(triangle: &Triangle, here: Option<usize>, left: Option<usize>) -> Window {
    let pixels = |column: Option<usize>| column.map(|column| triangle.pixels_of(column));
    let (Some(first), Some(last)) = (pixels(left).or(pixels(here)), pixels(here).or(pixels(left)))
    else {
        return Window::default();
    };
    let mut weights = [0.0; REACH];
    for (weight, pixel) in weights.iter_mut().zip(first.start..last.end) {
        let of = |column: Option<usize>| column.map_or(0.0, |c| triangle.weight(pixel, c));
        *weight = narrow(of(here) - of(left));
    }
    Window {
        first: first.start,
        weights,
    }
}

/// The second differences of the response to a knot in canvas row `canvas`, which may lie in the
/// border above or below.
///
/// The response of picture row `Y` to a knot at height `y` is `R(Y, y)`, the integral from `y`
/// down of what the row gets when all below is ink. It is 0 in rows above the knot, and
/// `means[Y] - y` in rows that lie below it entirely.
fn row_taps(triangle: &Triangle, means: &[f64], spacing: &[f64], canvas: f64) -> RowTaps {
    let first = (0..means.len())
        .collect::<Vec<_>>()
        .partition_point(|&row| lowest(triangle, row) < canvas);
    let mut taps = RowTaps {
        first,
        ..RowTaps::default()
    };
    let (mut response_above, mut rise_above) = ([0.0; 3], [0.0; 3]);
    for tap in 0..REACH.min(means.len() - first) {
        let response = response(triangle, first + tap, canvas);
        let rise = [0, 1, 2].map(|i| (response[i] - response_above[i]) / spacing[first + tap]);
        let [constant, linear, quadratic] = [0, 1, 2].map(|i| narrow(rise[i] - rise_above[i]));
        taps.constant[tap] = constant;
        taps.linear[tap] = linear;
        taps.quadratic[tap] = quadratic;
        (response_above, rise_above) = (response, rise);
    }
    taps
}

/// The lowest canvas row with a weight in a picture row.
fn lowest(triangle: &Triangle, row: usize) -> f64 {
    let (first, weights) = triangle.of(row);
    let last = weights.iter().rposition(|&weight| weight > 0.0);
    (first + last.unwrap_or(0)) as f64
}

/// `R(Y, y)` of a picture row for `y = canvas + f`: its constant, linear and quadratic in `f`.
fn response(triangle: &Triangle, row: usize, canvas: f64) -> [f64; 3] {
    let (first, weights) = triangle.of(row);
    let mut sum = [0.0; 3];
    for (i, &weight) in weights.iter().enumerate() {
        let below = (first + i) as f64 - canvas;
        if below == 0.0 {
            // The pixel that holds the knot: half the square of what is left of it.
            sum[0] += 0.5 * weight;
            sum[1] -= weight;
            sum[2] += 0.5 * weight;
        } else if below > 0.0 {
            sum[0] += weight * (below + 0.5);
            sum[1] -= weight;
        }
    }
    sum
}

#[expect(clippy::cast_possible_truncation, reason = "tables are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}
