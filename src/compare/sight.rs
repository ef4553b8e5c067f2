//! Line plots under the same closed form, without a pretrained encoder: the baselines of every claim
//! about pretrained sight.

use burn::module::Module;
use burn::tensor::backend::Backend;

use super::CompareError;
use crate::backend::BackendJob;
use crate::baselines::PlainAnswer;
use crate::classifier::options::FitOptions;
use crate::classifier::{EncoderBlocks, Looks};
use crate::closed_form::{Block, FeatureTable, RidgeViews, Targets};
use crate::data::{Series, SeriesDataset};
use crate::encode::PlotAxes;
use crate::metrics::most_probable;
use crate::model::drawn_from;
use crate::raster::{RasterError, Rasterizer};

/// Side of the pictures whose ink is averaged, and rows and columns of the averages.
const INK_SIDE_PX: usize = 64;
const INK_CELLS: usize = 16;

/// What looks at line plots.
#[derive(Clone, Copy, Debug)]
pub(super) enum Eyes {
    /// The built-in vision encoder with random weights.
    RandomWeights,
    /// The share of ink in each of 16 x 16 cells.
    RawInk,
}

/// Fits the closed form over what is seen, and answers; in words why it cannot, if it cannot.
pub(super) struct PlainSight<'a> {
    pub(super) eyes: Eyes,
    pub(super) train: &'a SeriesDataset,
    pub(super) test: &'a SeriesDataset,
    pub(super) options: &'a FitOptions,
}

impl BackendJob for PlainSight<'_> {
    type Output = Result<Result<Vec<PlainAnswer>, String>, CompareError>;

    fn run<B: Backend>(self, devices: &[B::Device]) -> Self::Output {
        match self.eyes {
            Eyes::RawInk => self.answer(INK_CELLS * INK_CELLS, ink).map(Ok),
            Eyes::RandomWeights => self.random::<B>(&devices[0]),
        }
    }
}

impl PlainSight<'_> {
    #[cfg(feature = "builtin")]
    fn random<B: Backend>(
        &self,
        device: &B::Device,
    ) -> Result<Result<Vec<PlainAnswer>, String>, CompareError> {
        let config = crate::weights::builtin::vision::<B>(device)
            .config()
            .clone();
        let encoder = drawn_from::<B, _>(self.options.seed, device, || {
            let encoder = config.init::<B>(device);
            // Counting weights draws them.
            let _ = encoder.num_params();
            encoder
        });
        let seer = crate::encode::PlotSeer::new(encoder, device);
        self.answer(seer.width(), |axes, series| seer.features(axes, series))
            .map(Ok)
    }

    #[cfg(not(feature = "builtin"))]
    fn random<B: Backend>(
        &self,
        _: &B::Device,
    ) -> Result<Result<Vec<PlainAnswer>, String>, CompareError> {
        let problem = "this build has no encoders: cargo feature `builtin` is off";
        Ok(Err(problem.to_owned()))
    }

    /// Answers by what is seen of every variate, `width` numbers each.
    fn answer(
        &self,
        width: usize,
        look: impl Fn(&PlotAxes, &[&Series]) -> Result<Vec<f32>, RasterError>,
    ) -> Result<Vec<PlainAnswer>, CompareError> {
        let train = self.train;
        let [trained, tested] = [train, self.test].map(|set| {
            let samples = set.samples().iter();
            samples.map(|sample| &sample.series).collect::<Vec<_>>()
        });
        // As `vision_only` does.
        let mut looks = Looks::fit(&trained, false);
        looks.thin_for(train.len(), self.options.ridge.most_axes, &[width]);
        let at_once = looks.series_to_train();
        let seen =
            |series: &[&Series]| looks.rows(series, |axes, series| Ok(vec![look(axes, series)?]));
        let mut rows = Vec::new();
        for part in trained.chunks(at_once) {
            rows.extend(seen(part)?);
        }
        let n_looks = looks.len();
        let widths = looks.widths(&[width]).into_iter();
        let blocks = widths.map(|width| Block { width, scale: 1.0 }).collect();
        let rows = FeatureTable::new(rows, blocks)?;
        let (labels, groups) = (train.labels(), train.group_numbers());
        let targets = Targets {
            groups: groups.as_deref(),
            ..Targets::new(&labels, train.n_classes())
        };
        let blocks = EncoderBlocks {
            first: 0,
            n_encoders: 1,
            n_looks,
        };
        let views = blocks.views(&[0]);
        let members: Vec<usize> = (0..views.len()).collect();
        let ridges = RidgeViews::fit(&rows, &views, &targets, &self.options.ridge)?;
        let head = ridges.pool(&members).model;
        let mut answers = Vec::with_capacity(tested.len());
        for part in tested.chunks(at_once) {
            let probabilities = head.probabilities(&seen(part)?);
            let rows = probabilities.chunks(train.n_classes());
            answers.extend(rows.map(|row| PlainAnswer {
                class: most_probable(row),
                probabilities: row.to_vec(),
            }));
        }
        Ok(answers)
    }
}

/// The mean ink of each cell of every variate's plot, `[series, n_variates * 256]`.
fn ink(axes: &PlotAxes, series: &[&Series]) -> Result<Vec<f32>, RasterError> {
    let rasterizer = Rasterizer::new(axes.style(INK_SIDE_PX))?;
    let area = INK_SIDE_PX * INK_SIDE_PX;
    let mut masks = vec![0; series.len() * axes.n_variates() * area];
    rasterizer.draw_all(series, &mut masks);
    let size = INK_SIDE_PX / INK_CELLS;
    let of_picture = |mask: &[u8]| {
        let mut cells = vec![0.0; INK_CELLS * INK_CELLS];
        for (y, row) in mask.chunks_exact(INK_SIDE_PX).enumerate() {
            for (x, &ink) in row.iter().enumerate() {
                cells[y / size * INK_CELLS + x / size] += f32::from(ink);
            }
        }
        cells
    };
    Ok(masks.chunks_exact(area).flat_map(of_picture).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_is_where_the_line_is() {
        let flat = Series::new(vec![0.0, 0.0, 1.0, 1.0], 4, 1).unwrap();
        let axes = PlotAxes::fit(&[&flat]);
        let cells = ink(&axes, &[&flat, &flat]).unwrap();
        assert_eq!(cells.len(), 2 * INK_CELLS * INK_CELLS);
        let rows: Vec<f32> = cells[..INK_CELLS * INK_CELLS]
            .chunks(INK_CELLS)
            .map(|row| row[..INK_CELLS / 4].iter().sum())
            .collect();
        // The first steps are low: all of their ink is at the bottom.
        let (above, below) = rows.split_at(INK_CELLS / 2);
        assert!(above.iter().all(|&ink| ink == 0.0) && below.iter().sum::<f32>() > 0.0);
    }
}
