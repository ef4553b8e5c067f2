//! The frozen features of series: what the small encoders see in their line plots, and read in
//! their values, on axes fitted to training samples.

use std::collections::HashMap;

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::data::Series;
use crate::model::{ReadingEncoder, ReadingEncoderConfig, VisionEncoder, VisionTower};
use crate::raster::{
    AxisReader, Palette, PixelStatistics, PlotStyle, RasterError, Rasterizer, XSpan, YScale,
    color_table,
};

/// Variates of one pass of the reading encoder.
const READ_AT_ONCE: usize = 256;

/// The axes that all series of a data set are drawn and read on. Fitted on training samples, and
/// all that is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlotAxes {
    /// Least and largest value of every variate; values outside leave the picture.
    pub y_ranges: Vec<[f32; 2]>,
    /// Steps from the left to the right end: those of the longest series, at least 2.
    pub x_steps: usize,
}

impl PlotAxes {
    /// Fits the axes; a variate without any value has the range `[0, 0]`.
    ///
    /// # Panics
    /// If there are no series, or they differ in their number of variates.
    pub fn fit(training: &[&Series]) -> Self {
        let n_variates = training.first().expect("at least one series").n_variates();
        let mut y_ranges = vec![[f32::INFINITY, f32::NEG_INFINITY]; n_variates];
        for series in training {
            assert_eq!(series.n_variates(), n_variates, "variates of all series");
            for step in series.values().chunks_exact(n_variates) {
                for ([low, high], value) in y_ranges.iter_mut().zip(step) {
                    // A missing value is neither smaller nor larger.
                    *low = low.min(*value);
                    *high = high.max(*value);
                }
            }
        }
        for range in &mut y_ranges {
            if range[0] > range[1] {
                *range = [0.0; 2];
            }
        }
        let longest = training.iter().map(|series| series.n_steps()).max();
        Self {
            y_ranges,
            x_steps: longest.unwrap_or_default().max(2),
        }
    }

    /// Number of variates.
    pub fn n_variates(&self) -> usize {
        self.y_ranges.len()
    }

    /// The pictures that the small vision encoder was pretrained on, on these axes.
    pub fn style(&self, side_px: usize) -> PlotStyle {
        PlotStyle {
            y_scale: YScale::Fixed(self.y_ranges.clone()),
            x_span: XSpan::Steps(self.x_steps),
            ..PlotStyle::for_ink(side_px)
        }
    }
}

/// Sees series: frozen features of their line plots.
///
/// # Examples
/// ```
/// # #[cfg(all(feature = "cpu", feature = "builtin"))] {
/// use timesclip::curves::CurveGenerator;
/// use timesclip::encode::{PlotAxes, PlotReader, PlotSeer};
/// use timesclip::weights::builtin;
///
/// let device = Default::default();
/// let seer = PlotSeer::new(builtin::vision::<burn_flex::Flex>(&device), &device);
/// let reader = PlotReader::new(builtin::reading::<burn_flex::Flex>(&device), &device);
///
/// let set = CurveGenerator::new(1).labeled_set(3, 2)?; // 3 samples of 2 variates
/// let series: Vec<_> = set.samples().iter().map(|sample| &sample.series).collect();
/// let axes = PlotAxes::fit(&series);
/// assert_eq!(seer.features(&axes, &series)?.len(), 3 * 2 * seer.width());
/// assert_eq!(reader.features(&axes, &series)?.len(), 3 * 2 * reader.width());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct PlotSeer<B: Backend> {
    tower: VisionTower<B>,
    side_px: usize,
    width: usize,
    d_place: usize,
    /// `[1, 256, 3]`, black ink on white paper
    colors: Tensor<B, 3>,
    device: B::Device,
}

impl<B: Backend> PlotSeer<B> {
    /// Sees with an encoder such as that of `weights::builtin`, whose stem takes ink, or with one
    /// that takes pixels as CLIP does.
    pub fn new(encoder: VisionEncoder<B>, device: &B::Device) -> Self {
        let config = encoder.config();
        Self {
            side_px: config.side_px,
            width: config.d_output(),
            d_place: config.transformer.d_model,
            colors: black_ink(&PixelStatistics::CLIP, device),
            tower: VisionTower::frozen(encoder),
            device: device.clone(),
        }
    }

    /// The same, with pixels shifted and scaled as its encoder takes them; ink has none.
    #[must_use]
    pub fn with_pixels(self, statistics: &PixelStatistics) -> Self {
        Self {
            colors: black_ink(statistics, &self.device),
            ..self
        }
    }

    /// Features of one variate.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Features of one place of a variate's plot, of those that the tap takes.
    pub fn d_place(&self) -> usize {
        self.d_place
    }

    /// The encoder.
    pub fn encoder(&self) -> VisionEncoder<B> {
        self.tower.encoder()
    }

    /// Identity of the encoder.
    pub fn fingerprint(&self) -> u128 {
        self.tower.fingerprint()
    }

    /// The features of series, `[series, n_variates * width]`.
    ///
    /// # Errors
    /// [`RasterError`] if the axes are none.
    ///
    /// # Panics
    /// If the series and the axes differ in their number of variates.
    pub fn features(&self, axes: &PlotAxes, series: &[&Series]) -> Result<Vec<f32>, RasterError> {
        let rasterizer = Rasterizer::new(axes.style(self.side_px))?;
        let variates = Variates::of(axes, series);
        let mut features = vec![0.0; variates.different.len() * self.width];
        // Pictures are too small for threads to share one: each takes a pass of its own.
        let pass = self.tower.samples_in_pass(1);
        let rows = pass * self.width;
        let see = |(variates, features): (&[(&Series, usize)], &mut [f32])| {
            self.see(&rasterizer, variates, features);
        };
        let different = &variates.different;
        match self.tower.is_on_cpu() {
            true => {
                let rows = features.par_chunks_mut(rows);
                different.par_chunks(pass).zip(rows).for_each(see);
            }
            false => different
                .chunks(pass)
                .zip(features.chunks_mut(rows))
                .for_each(see),
        }
        Ok(variates.expand(features, self.width))
    }

    /// Writes the features of some variates, `[variates, width]`.
    fn see(&self, rasterizer: &Rasterizer, variates: &[(&Series, usize)], features: &mut [f32]) {
        let area = self.side_px * self.side_px;
        let mut masks = vec![0; variates.len() * area];
        masks
            .par_chunks_exact_mut(area)
            .zip(variates)
            .for_each_init(
                || rasterizer.scratch(),
                |scratch, (mask, (series, variate))| {
                    rasterizer.draw(scratch, series, *variate, mask);
                },
            );
        let masks: Vec<i32> = masks.into_iter().map(i32::from).collect();
        let masks = TensorData::new(masks, [variates.len(), 1, self.side_px, self.side_px]);
        let masks = Tensor::<B, 4, Int>::from_data(masks, &self.device);
        let seen = self.tower.forward(masks, self.colors.clone()).into_data();
        for (place, feature) in features.iter_mut().zip(seen.iter::<f32>()) {
            *place = feature;
        }
    }
}

/// The pixels of black ink on white paper.
fn black_ink<B: Backend>(statistics: &PixelStatistics, device: &B::Device) -> Tensor<B, 3> {
    let colors = color_table(&Palette::new(vec![[0; 3]]), 1, statistics);
    Tensor::from_data(TensorData::new(colors, [1, 256, 3]), device)
}

/// The variates of some series, each different one once: to explain an answer, one variate of a
/// series is changed again and again, and the others stay what they are.
struct Variates<'a> {
    different: Vec<(&'a Series, usize)>,
    /// For each variate of each series, which of the different ones it is.
    places: Vec<usize>,
}

impl<'a> Variates<'a> {
    /// # Panics
    /// If the series and the axes differ in their number of variates.
    fn of(axes: &PlotAxes, series: &[&'a Series]) -> Self {
        let n_variates = axes.n_variates();
        for series in series {
            let found = series.n_variates();
            assert_eq!(
                found, n_variates,
                "{found} variates, on the axes of {n_variates}"
            );
        }
        let all = series
            .iter()
            .flat_map(|series| (0..n_variates).map(move |variate| (*series, variate)));
        let mut different = Vec::new();
        let mut known = HashMap::new();
        let mut bytes = Vec::new();
        let places = all.map(|(series, variate)| {
            bytes.clear();
            bytes.extend((variate as u64).to_le_bytes());
            bytes.extend(series.variate(variate).flat_map(f32::to_le_bytes));
            let times = series.times().unwrap_or_default();
            bytes.extend(times.iter().copied().flat_map(f64::to_le_bytes));
            *known.entry(xxh3_128(&bytes)).or_insert_with(|| {
                different.push((series, variate));
                different.len() - 1
            })
        });
        let places = places.collect();
        Self { different, places }
    }

    /// Rows of the different variates, as rows of all.
    fn expand(&self, rows: Vec<f32>, width: usize) -> Vec<f32> {
        if self.different.len() == self.places.len() {
            return rows;
        }
        let rows = self
            .places
            .iter()
            .map(|place| &rows[place * width..][..width]);
        rows.flatten().copied().collect()
    }
}

/// Reads series: frozen features of their values, on the axes of their line plots.
#[derive(Debug)]
pub struct PlotReader<B: Backend> {
    encoder: ReadingEncoder<B>,
    device: B::Device,
}

impl<B: Backend> PlotReader<B> {
    /// Reads with an encoder such as that of `weights::builtin`.
    pub fn new(encoder: ReadingEncoder<B>, device: &B::Device) -> Self {
        Self {
            encoder,
            device: device.clone(),
        }
    }

    /// Features of one variate.
    pub fn width(&self) -> usize {
        self.config().d_output()
    }

    /// Features of one stretch of time of a variate.
    pub fn d_place(&self) -> usize {
        self.config().transformer.d_model
    }

    fn config(&self) -> &ReadingEncoderConfig {
        self.encoder.config()
    }

    /// The features of series, `[series, n_variates * width]`.
    ///
    /// # Errors
    /// [`RasterError`] if the axes are none.
    ///
    /// # Panics
    /// If the series and the axes differ in their number of variates.
    pub fn features(&self, axes: &PlotAxes, series: &[&Series]) -> Result<Vec<f32>, RasterError> {
        let n_points = self.config().n_points;
        // The picture's side changes nothing about its axes.
        let reader = AxisReader::new(&axes.style(1), n_points)?;
        let all = Variates::of(axes, series);
        let mut features = Vec::with_capacity(all.different.len() * self.width());
        for variates in all.different.chunks(READ_AT_ONCE) {
            let mut points = vec![0.0; variates.len() * reader.width()];
            points
                .par_chunks_exact_mut(reader.width())
                .zip(variates)
                .for_each(|(points, (series, variate))| reader.read(series, *variate, points));
            let shape = [variates.len(), n_points, reader.width() / n_points];
            let points = Tensor::from_data(TensorData::new(points, shape), &self.device);
            let tokens = self.encoder.forward(points);
            features.extend(tokens.into_data().iter::<f32>());
        }
        Ok(all.expand(features, self.width()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[f32], n_variates: usize) -> Series {
        Series::new(values.to_vec(), values.len() / n_variates, n_variates).unwrap()
    }

    #[test]
    fn axes_span_the_values_and_the_longest_series() {
        let short = series(&[1.0, f32::NAN, -3.0, f32::NAN], 2);
        let long = series(&[0.5, f32::NAN, 2.0, f32::NAN, 1.0, f32::NAN], 2);
        let axes = PlotAxes::fit(&[&short, &long]);
        assert_eq!(axes.y_ranges, [[-3.0, 2.0], [0.0, 0.0]]);
        assert_eq!(axes.x_steps, 3);
        assert_eq!(PlotAxes::fit(&[&series(&[1.0], 1)]).x_steps, 2);
        assert!(axes.style(64).validate().is_ok());
    }

    #[test]
    fn equal_variates_are_taken_once() {
        let one = series(&[1.0, 5.0, 2.0, 6.0], 2);
        let other = series(&[1.0, 5.0, 2.0, 7.0], 2);
        let swapped = series(&[5.0, 1.0, 6.0, 2.0], 2);
        let axes = PlotAxes::fit(&[&one]);
        let variates = Variates::of(&axes, &[&one, &other, &one, &swapped]);
        // The same values have other axes as another variate.
        assert_eq!(variates.places, [0, 1, 0, 2, 0, 1, 3, 4]);
        let rows = (0..10).map(|number| number as f32).collect();
        let rows = variates.expand(rows, 2);
        assert_eq!(rows[..8], [0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 4.0, 5.0]);
    }

    #[test]
    #[should_panic(expected = "1 variates, on the axes of 2")]
    fn other_variates_than_those_of_the_axes_are_a_broken_contract() {
        let axes = PlotAxes::fit(&[&series(&[1.0, 2.0], 2)]);
        Variates::of(&axes, &[&series(&[1.0, 2.0], 1)]);
    }

    #[cfg(feature = "cpu")]
    mod on_the_processor {
        use super::*;
        use crate::curves::CurveGenerator;
        use crate::model::VisionEncoderConfig;

        type Cpu = burn_flex::Flex;

        /// Features of all samples at once, and of some at a time.
        fn together_and_apart(
            features: impl Fn(&PlotAxes, &[&Series]) -> Vec<f32>,
        ) -> [Vec<f32>; 2] {
            let set = CurveGenerator::new(3).labeled_set(23, 3).unwrap();
            let series: Vec<&Series> = set.samples().iter().map(|s| &s.series).collect();
            let axes = PlotAxes::fit(&series);
            // Alone, in pairs, ... and the rest together.
            let parts = [1, 1, 2, 3, 5, 11].into_iter().scan(0, |start, n| {
                *start += n;
                Some(&series[*start - n..*start])
            });
            let apart = parts.flat_map(|series| features(&axes, series));
            [features(&axes, &series), apart.collect()]
        }

        #[test]
        fn features_do_not_depend_on_the_series_beside() {
            let device = Default::default();
            let seer =
                PlotSeer::<Cpu>::new(VisionEncoderConfig::line_plots().init(&device), &device);
            let reader = PlotReader::<Cpu>::new(ReadingEncoderConfig::new().init(&device), &device);
            let [together, apart] = together_and_apart(|a, s| seer.features(a, s).unwrap());
            assert_eq!(together, apart);
            assert_eq!(together.len(), 23 * 3 * seer.width());
            let [together, apart] = together_and_apart(|a, s| reader.features(a, s).unwrap());
            assert_eq!(together, apart);
            assert_eq!(together.len(), 23 * 3 * reader.width());
        }
    }
}
