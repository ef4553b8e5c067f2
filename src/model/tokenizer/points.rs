//! Reads a variate as points on the axes of its picture: convolutions that halve them to a few
//! tokens of time.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::super::halving;
use super::super::transformer::normal;
use super::SeriesTokens;

/// Numbers of a point: value, validity, difference, and its size.
const POINT: usize = 4;
/// Standard deviation of the initial positions.
const INIT_STD: f64 = 0.02;

/// How points on the axes of a picture become tokens.
#[derive(Config, Debug)]
pub struct PointTokenizerConfig {
    /// Points of a variate; each convolution halves them.
    #[config(default = 256)]
    pub n_points: usize,
    /// Points that each convolution looks at, an odd number.
    #[config(default = "vec![7, 5, 5, 3]")]
    pub windows: Vec<usize>,
    /// Channels between the convolutions, one less than there are windows.
    #[config(default = "vec![32, 64, 96]")]
    pub channels: Vec<usize>,
}

impl PointTokenizerConfig {
    /// Tokens of a variate.
    pub fn n_tokens(&self) -> usize {
        self.n_points >> self.windows.len()
    }

    /// Says what is wrong with these sizes, if anything.
    pub(in crate::model) fn problem(&self) -> Option<String> {
        let Self {
            n_points,
            windows,
            channels,
        } = self;
        if channels.len() + 1 != windows.len() {
            let channels = channels.len();
            return Some(format!(
                "{channels} channel numbers between {} convolutions",
                windows.len()
            ));
        }
        if windows.iter().any(|window| window % 2 == 0) {
            return Some(format!("windows of {windows:?} points, not odd"));
        }
        let halvings = u32::try_from(windows.len()).unwrap_or(u32::MAX);
        let shrinks = 2_usize.checked_pow(halvings);
        if *n_points < 2 || shrinks.is_none_or(|shrinks| n_points % shrinks != 0) {
            return Some(format!(
                "{n_points} points cannot be halved {halvings} times"
            ));
        }
        None
    }

    pub(in crate::model) fn init<B: Backend>(
        &self,
        d_model: usize,
        device: &B::Device,
    ) -> PointTokenizer<B> {
        let through = [&[POINT], self.channels.as_slice(), &[d_model]].concat();
        PointTokenizer {
            stem: halving::stack(self.windows.iter().copied(), &through, device),
            positions: normal([self.n_tokens(), d_model], INIT_STD, device),
            n_points: self.n_points,
        }
    }
}

/// Convolutions over the points of a variate, and where in time their tokens are.
#[derive(Module, Debug)]
pub struct PointTokenizer<B: Backend> {
    /// Convolutions, first applied first: linear layers over the points of their windows.
    pub stem: Vec<Linear<B>>,
    /// One learnable vector a token, `[n_tokens, d_model]`.
    pub positions: Param<Tensor<B, 2>>,
    pub(in crate::model) n_points: usize,
}

impl<B: Backend> PointTokenizer<B> {
    /// Makes tokens of points.
    ///
    /// # Shapes
    /// - points: `[n, n_points, 4]`, as [`AxisReader`](crate::raster::AxisReader) makes them
    /// - output: `[n, n_tokens, d_model]`
    ///
    /// # Panics
    /// If there is another number of points.
    pub fn forward(&self, points: Tensor<B, 3>) -> SeriesTokens<B> {
        SeriesTokens {
            tokens: point_tokens(&self.stem, &self.positions, self.n_points, points),
            masked: None,
        }
    }
}

/// As [`PointTokenizer::forward`], of parts.
pub(in crate::model) fn point_tokens<B: Backend>(
    stem: &[Linear<B>],
    positions: &Param<Tensor<B, 2>>,
    n_points: usize,
    points: Tensor<B, 3>,
) -> Tensor<B, 3> {
    let found = points.dims()[1];
    assert_eq!(found, n_points, "{found} points, encoder of {n_points}");
    halving::halve_lines(stem, points) + positions.val().unsqueeze()
}
