//! The curves: their pictures for teacher and student, and their values on the pictures' axes.

use std::borrow::Cow;

use anyhow::Result;
use rayon::prelude::*;
use timesclip::cache::{CacheError, CacheStats, CachedImageDataset, ImageKey};
use timesclip::curves::{Curve, CurveGenerator};
use timesclip::data::{LabeledSeries, SampleError, SampleSource, Series};
use timesclip::raster::{AxisReader, Palette, PlotStyle, Rasterizer, XSpan, YScale};

/// Points at which a curve is read.
pub(crate) const N_POINTS: usize = 256;

/// Curves on their axes: values from 0 to 1, and missing steps up to the end of the axis.
pub(crate) struct Curves {
    samples: Vec<LabeledSeries>,
}

/// The style of one curve's picture.
fn style(side_px: usize, n_steps: usize) -> PlotStyle {
    PlotStyle {
        side_px,
        stroke_width: 2.0 / 112.0,
        margin: 0.03,
        y_scale: YScale::Fixed(vec![[0.0, 1.0]]),
        x_span: XSpan::Steps(n_steps),
        palette: Palette::new(vec![[0; 3]]),
    }
}

impl Curves {
    /// The first `n` curves of a seed.
    pub(crate) fn draw(seed: u64, n: usize) -> Result<Self> {
        let generator = CurveGenerator::new(seed);
        let samples = (0..n as u64)
            .into_par_iter()
            .map(|id| on_axes(id, &generator.curve(id)));
        Ok(Self {
            samples: samples.collect::<Result<_>>()?,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.samples.len()
    }

    /// One of them.
    pub(crate) fn first(&self) -> &Series {
        &self.samples[0].series
    }

    /// Their pictures.
    pub(crate) fn pictures(&self, side_px: usize) -> Result<Pictures<'_>> {
        let mut masks = vec![0; self.len() * side_px * side_px];
        masks
            .par_chunks_exact_mut(side_px * side_px)
            .zip(&self.samples)
            .try_for_each(|(mask, sample)| -> Result<()> {
                let rasterizer = Rasterizer::new(style(side_px, sample.series.n_steps()))?;
                rasterizer.draw(&mut rasterizer.scratch(), &sample.series, 0, mask);
                Ok(())
            })?;
        Ok(Pictures {
            samples: &self.samples,
            // Axes and lengths are part of the series here.
            key: ImageKey::of_samples(&self.samples, &style(side_px, 2)),
            side_px,
            masks,
        })
    }

    /// Their values, `[len, N_POINTS, 4]`.
    pub(crate) fn points(&self) -> Result<Vec<f32>> {
        let width = N_POINTS * 4;
        let mut points = vec![0.0; self.len() * width];
        points
            .par_chunks_exact_mut(width)
            .zip(&self.samples)
            .try_for_each(|(points, sample)| -> Result<()> {
                let reader = AxisReader::new(&style(64, sample.series.n_steps()), N_POINTS)?;
                reader.read(&sample.series, 0, points);
                Ok(())
            })?;
        Ok(points)
    }
}

/// A curve with its axes made part of its values.
fn on_axes(id: u64, curve: &Curve) -> Result<LabeledSeries> {
    let [low, high] = curve.y_ranges[0];
    let values = curve.series.values().iter();
    let mut values: Vec<f32> = values.map(|value| (value - low) / (high - low)).collect();
    values.resize(curve.x_steps, f32::NAN);
    Ok(LabeledSeries {
        id,
        series: Series::new(values, curve.x_steps, 1)?,
        label: curve.family as usize,
    })
}

/// Pictures of curves, each on its own axes.
pub(crate) struct Pictures<'a> {
    samples: &'a [LabeledSeries],
    key: ImageKey,
    side_px: usize,
    masks: Vec<u8>,
}

impl Pictures<'_> {
    /// The picture of a curve.
    pub(crate) fn mask(&self, index: usize) -> &[u8] {
        let area = self.side_px * self.side_px;
        &self.masks[index * area..][..area]
    }
}

impl SampleSource for Pictures<'_> {
    fn n_samples(&self) -> usize {
        self.samples.len()
    }

    fn n_variates(&self) -> usize {
        1
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, SampleError> {
        SampleError::check_index(index, self.n_samples())?;
        Ok(Cow::Borrowed(&self.samples[index]))
    }
}

impl CachedImageDataset for Pictures<'_> {
    fn side_px(&self) -> usize {
        self.side_px
    }

    fn masks_into(&self, index: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        CacheError::check_index(index, self.n_samples())?;
        CacheError::check_masks(masks, 1, self.side_px)?;
        masks.copy_from_slice(self.mask(index));
        Ok(())
    }

    fn key(&self) -> ImageKey {
        self.key
    }

    fn stats(&self) -> CacheStats {
        CacheStats {
            kind: "memory",
            images: self.n_samples(),
            bytes: self.masks.len() as u64,
            ..CacheStats::default()
        }
    }
}
