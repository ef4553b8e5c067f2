//! The seam: the only place where host data becomes tensors.
//!
//! A [`TimesClipBatcher`] gathers samples on the host (their values normalized, their pictures
//! read from a cache, all in parallel) into a [`HostBatch`], which moves to a device in one step.
//! Values, pictures, target and id of a row all come from one read of one sample.

use std::borrow::Cow;

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};
use bytes::Bytes;
use rayon::prelude::*;

mod augmentation;
mod buffers;
mod chunks;
mod device;
mod error;
mod host;
mod masks;
mod source;

pub use augmentation::Augmentation;
pub use device::DeviceCache;
pub use error::{BatchError, DeviceCacheError};
pub use host::HostBatch;
pub use source::BatchSource;

use self::buffers::Buffers;
use self::host::{HostFeatures, HostPictures, HostSeries, HostVision, Rows};
use crate::cache::CachedImageDataset;
use crate::cache::features::FeatureStore;
use crate::data::LabeledSeries;
use crate::data::SampleSource;
use crate::data::normalize::Normalizer;
use crate::modalities::Modalities;
use crate::model::TimesClipInput;
use crate::raster::ColorJitter;
use crate::raster::{AxisReader, Palette, PixelBlend, PixelStatistics};

/// Gathers samples into batches.
#[derive(Clone, Debug)]
pub struct TimesClipBatcher {
    normalizer: Normalizer,
    modalities: Modalities,
    palette: Palette,
    statistics: PixelStatistics,
    blend: PixelBlend,
    axes: Option<AxisReader>,
    buffers: Buffers,
}

impl TimesClipBatcher {
    /// A batcher whose batches carry values normalized with `normalizer` where `modalities` has
    /// language, and pictures where it has vision: in the default palette, shifted and scaled by
    /// CLIP's pixel statistics. Kernels take nothing from a batch.
    pub fn new(normalizer: Normalizer, modalities: Modalities) -> Self {
        let (palette, statistics) = (Palette::default(), PixelStatistics::default());
        Self {
            normalizer,
            modalities,
            palette,
            statistics,
            blend: PixelBlend::default(),
            axes: None,
            buffers: Buffers::default(),
        }
    }

    /// The same batcher with other ink and other pixel statistics.
    #[must_use]
    pub fn with_colors(self, palette: Palette, statistics: PixelStatistics) -> Self {
        Self {
            palette,
            statistics,
            ..self
        }
    }

    /// The same batcher blending ink and paper in another way; [`PixelBlend::Rounded`] unless said
    /// otherwise.
    #[must_use]
    pub fn with_blend(self, blend: PixelBlend) -> Self {
        Self { blend, ..self }
    }

    /// The same batcher, whose batches also carry the values as points on the axes of the pictures,
    /// where they carry values.
    #[must_use]
    pub fn with_points(self, axes: AxisReader) -> Self {
        Self {
            axes: Some(axes),
            ..self
        }
    }

    /// The same batcher gathering other modalities.
    #[must_use]
    pub fn with_modalities(self, modalities: Modalities) -> Self {
        Self { modalities, ..self }
    }

    /// Which modalities its batches carry.
    pub fn modalities(&self) -> Modalities {
        self.modalities
    }

    /// Reads the samples at `indices`, in that order.
    ///
    /// # Errors
    /// [`BatchError`] if a sample cannot be read.
    ///
    /// # Panics
    /// If `indices` is empty.
    pub fn gather(
        &self,
        images: &dyn CachedImageDataset,
        indices: &[usize],
    ) -> Result<HostBatch, BatchError> {
        let mut batch = self.gather_samples(&read_samples(images, indices)?);
        if self.modalities.has_vision() {
            let rows = Rows::Here(read_masks(images, indices, &self.buffers)?);
            batch.vision = Some(self.pictures([images.n_variates(), images.side_px()], rows));
        }
        Ok(batch)
    }

    /// As [`gather`](Self::gather), without pictures.
    ///
    /// # Errors
    /// [`BatchError::NoPictures`] if this batcher's batches carry them, and as
    /// [`gather`](Self::gather).
    ///
    /// # Panics
    /// If `indices` is empty.
    pub fn gather_series(
        &self,
        samples: &dyn SampleSource,
        indices: &[usize],
    ) -> Result<HostBatch, BatchError> {
        if self.modalities.has_vision() {
            return Err(BatchError::NoPictures);
        }
        Ok(self.gather_samples(&read_samples(samples, indices)?))
    }

    /// As [`gather`](Self::gather), with what a frozen encoder made of the pictures in their place.
    ///
    /// # Errors
    /// [`BatchError`] if a sample or its features cannot be read.
    ///
    /// # Panics
    /// If `indices` is empty.
    pub fn gather_features(
        &self,
        samples: &dyn SampleSource,
        features: &FeatureStore,
        indices: &[usize],
    ) -> Result<HostBatch, BatchError> {
        let mut batch = self.gather_samples(&read_samples(samples, indices)?);
        if self.modalities.has_vision() {
            let rows = Rows::Here(read_features(features, indices)?);
            batch.vision = Some(HostFeatures::of(features, rows));
        }
        Ok(batch)
    }

    /// As [`gather`](Self::gather), of one augmented view of every sample, with pictures drawn of it;
    /// or with features of the sample as it is, where there are any.
    ///
    /// # Errors
    /// [`BatchError`] if a sample or its features cannot be read.
    ///
    /// # Panics
    /// If `indices` is empty, or pictures are to be gathered and `augmentation` draws none.
    pub fn gather_view(
        &self,
        samples: &dyn SampleSource,
        (augmentation, view): (&Augmentation, usize),
        features: Option<&FeatureStore>,
        indices: &[usize],
    ) -> Result<HostBatch, BatchError> {
        let samples = augmentation.views(&read_samples(samples, indices)?, view);
        let mut batch = self.gather_samples(&samples);
        if !self.modalities.has_vision() {
            return Ok(batch);
        }
        if let Some(features) = features {
            let rows = Rows::Here(read_features(features, indices)?);
            batch.vision = Some(HostFeatures::of(features, rows));
        } else {
            let (side_px, masks) = augmentation.draw(&samples, &self.buffers);
            let n_variates = samples[0].series.n_variates();
            batch.vision = Some(self.pictures([n_variates, side_px], Rows::Here(masks)));
        }
        Ok(batch)
    }

    fn gather_samples(&self, samples: &[Cow<'_, LabeledSeries>]) -> HostBatch {
        HostBatch {
            ids: samples.iter().map(|sample| sample.id).collect(),
            targets: samples.iter().map(|sample| sample.label).collect(),
            series: self
                .modalities
                .has_language()
                .then(|| self.normalized(samples)),
            vision: None,
        }
    }

    fn normalized(&self, samples: &[Cow<'_, LabeledSeries>]) -> HostSeries {
        let normalized: Vec<_> = samples
            .par_iter()
            .map(|sample| self.normalizer.apply(&sample.series))
            .collect();
        let n_variates = samples[0].series.n_variates();
        let n_steps = samples
            .iter()
            .map(|sample| sample.series.n_steps())
            .max()
            .unwrap_or(0);
        let row = n_steps * n_variates;
        let mut values = vec![0.0; samples.len() * row];
        let mut valid = vec![false; samples.len() * row];
        for (i, series) in normalized.iter().enumerate() {
            let start = i * row;
            values[start..start + series.values.len()].copy_from_slice(&series.values);
            valid[start..start + series.valid.len()].copy_from_slice(&series.valid);
        }
        let statistics: Option<Vec<Vec<f32>>> = normalized
            .into_iter()
            .map(|series| series.statistics)
            .collect();
        HostSeries {
            n_steps,
            n_variates,
            values,
            valid: (!valid.iter().all(|valid| *valid)).then_some(valid),
            statistics: statistics.map(|rows| rows.concat()),
            points: self.axes.as_ref().map(|axes| points(axes, samples)),
        }
    }

    fn pictures(&self, [n_variates, side_px]: [usize; 2], rows: Rows<Bytes>) -> HostVision {
        HostVision::Pictures(HostPictures {
            n_variates,
            side_px,
            rows,
            colors: self.colors(n_variates),
        })
    }

    /// What coverage becomes in the pictures of each variate, as [`PixelBlend::colors`] says it.
    ///
    /// # Shapes
    /// - output: `[n_variates, 2 or 256, 3]`
    pub fn colors(&self, n_variates: usize) -> Vec<f32> {
        self.blend
            .colors(&self.palette, n_variates, &self.statistics)
    }

    /// As [`colors`](Self::colors), changed at random: `draw` is seed, epoch and step. The blend is
    /// always rounded.
    ///
    /// # Shapes
    /// - output: `[n_variates, 256, 3]`
    pub fn jittered_colors(
        &self,
        n_variates: usize,
        jitter: &ColorJitter,
        draw: [u64; 3],
    ) -> Vec<f32> {
        jitter.color_table(&self.palette, n_variates, &self.statistics, draw)
    }
}

/// The values of some samples as points on the axes of the pictures.
///
/// # Shapes
/// - output: `[samples, n_variates, n_points, 4]`
fn points(axes: &AxisReader, samples: &[Cow<'_, LabeledSeries>]) -> Vec<f32> {
    let n_variates = samples[0].series.n_variates();
    let mut points = vec![0.0; samples.len() * n_variates * axes.width()];
    points
        .par_chunks_exact_mut(axes.width())
        .enumerate()
        .for_each(|(i, points)| {
            let series = &samples[i / n_variates].series;
            axes.read(series, i % n_variates, points);
        });
    points
}

/// Reads some samples.
fn read_samples<'a>(
    samples: &'a dyn SampleSource,
    indices: &[usize],
) -> Result<Vec<Cow<'a, LabeledSeries>>, BatchError> {
    assert!(!indices.is_empty(), "a batch of 0 samples");
    let read = |&index: &usize| {
        samples
            .sample(index)
            .map_err(|source| BatchError::Sample { index, source })
    };
    indices.iter().map(read).collect()
}

/// Reads the masks of some samples, in parallel.
///
/// # Shapes
/// - output: `[indices, row_bytes]`, as they travel
fn read_masks(
    images: &dyn CachedImageDataset,
    indices: &[usize],
    buffers: &Buffers,
) -> Result<Bytes, BatchError> {
    let (n_variates, side_px) = (images.n_variates(), images.side_px());
    let (row, n) = (
        masks::row_bytes(n_variates, side_px),
        n_variates * side_px * side_px,
    );
    buffers.filled(indices.len() * row, |rows| {
        rows.par_chunks_mut(row)
            .zip(indices)
            .try_for_each(|(row, &index)| {
                let (masks, rest) = row.split_at_mut(n);
                rest.fill(0);
                images
                    .masks_into(index, masks)
                    .map_err(|source| BatchError::Pictures { index, source })
            })
    })
}

/// Reads the features of some samples, in parallel.
///
/// # Shapes
/// - output: `[indices, n_variates * width]`
fn read_features(features: &FeatureStore, indices: &[usize]) -> Result<Vec<f32>, BatchError> {
    let row = features.n_variates() * features.width();
    let mut values = vec![0.0; indices.len() * row];
    values
        .par_chunks_mut(row)
        .zip(indices)
        .try_for_each(|(values, &index)| {
            features
                .features_into(index, values)
                .map_err(|source| BatchError::Features { index, source })
        })?;
    Ok(values)
}

/// A batch on a device; row `i` of every field is one sample.
#[derive(Clone, Debug)]
pub struct TimesClipBatch<B: Backend> {
    /// Ids of the samples.
    pub ids: Vec<u64>,
    /// What the classifier takes.
    pub input: TimesClipInput<B>,
    /// Class indices, `[batch]`.
    pub targets: Tensor<B, 1, Int>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::UncachedImages;
    use crate::data::augment::{AugmentConfig, Augmenter};
    use crate::data::normalize::Normalization;
    use crate::data::{Series, SeriesDataset};
    use crate::raster::PlotStyle;

    fn set() -> SeriesDataset {
        let sample = |i: usize| {
            let values = (0..4 + i).map(|step| (step * (i + 1)) as f32).collect();
            let series = Series::new(values, 4 + i, 1).unwrap();
            LabeledSeries {
                id: 70 + i as u64,
                series,
                label: i % 2,
            }
        };
        let names = vec!["a".to_owned(), "b".to_owned()];
        SeriesDataset::new("ramps", names, (0..5).map(sample).collect()).unwrap()
    }

    fn batcher(set: &SeriesDataset) -> TimesClipBatcher {
        let series = set.samples().iter().map(|sample| &sample.series);
        let normalizer = Normalizer::fit(Normalization::Instance, series).unwrap();
        TimesClipBatcher::new(normalizer, Modalities::DUAL)
    }

    fn masks(batch: &HostBatch) -> &[u8] {
        match &batch.vision {
            Some(HostVision::Pictures(HostPictures {
                rows: Rows::Here(masks),
                ..
            })) => masks,
            other => panic!("no pictures, but {other:?}"),
        }
    }

    #[test]
    fn every_row_is_its_own_sample_in_any_order() {
        let style = PlotStyle {
            side_px: 16,
            ..PlotStyle::default()
        };
        let images = UncachedImages::new(set(), &style).unwrap();
        let batcher = batcher(&set());
        let together = batcher.gather(&images, &[3, 0, 4]).unwrap();
        assert_eq!(together.ids(), [73, 70, 74]);
        assert_eq!(together.targets(), [1, 0, 0]);
        for (row, index) in [3, 0, 4].into_iter().enumerate() {
            let alone = batcher.gather(&images, &[index]).unwrap();
            let (all, one) = (masks(&together), masks(&alone));
            assert_eq!(&all[row * 256..][..256], one, "pictures of {index}");
            let (all, one) = (together.series.as_ref().unwrap(), alone.series.unwrap());
            let n = one.values.len();
            assert_eq!(
                &all.values[row * all.n_steps..][..n],
                one.values,
                "values of {index}"
            );
        }
    }

    #[test]
    fn padded_steps_are_invalid_and_full_batches_need_no_mask() {
        let style = PlotStyle {
            side_px: 16,
            ..PlotStyle::default()
        };
        let images = UncachedImages::new(set(), &style).unwrap();
        let padded = batcher(&set())
            .gather(&images, &[0, 1])
            .unwrap()
            .series
            .unwrap();
        let valid = [[true, true, true, true, false], [true; 5]].concat();
        assert_eq!(padded.valid, Some(valid));
        assert_eq!(
            batcher(&set())
                .gather(&images, &[2])
                .unwrap()
                .series
                .unwrap()
                .valid,
            None
        );
    }

    #[test]
    fn values_and_pictures_are_of_the_same_view() {
        let style = PlotStyle {
            side_px: 16,
            ..PlotStyle::default()
        };
        let images = UncachedImages::new(set(), &style).unwrap();
        let augmenter = Augmenter::new(AugmentConfig::default(), 7).unwrap();
        let augmentation = Augmentation::new(augmenter.clone());
        let augmentation = augmentation.with_pictures(&style).unwrap();
        let batcher = batcher(&set());
        let source = BatchSource::new(&images, &batcher);
        for view in [1, 2] {
            let found = source
                .augmented(&augmentation, view)
                .gather(&[3, 0])
                .unwrap();
            let made = UncachedImages::new(augmenter.view_of(&set(), view), &style).unwrap();
            let expected = BatchSource::new(&made, &batcher).gather(&[3, 0]).unwrap();
            assert!(found == expected, "view {view}");
            assert!(found != source.gather(&[3, 0]).unwrap(), "view {view}");
        }
    }

    #[test]
    fn a_sample_that_is_not_there_is_named() {
        let images = UncachedImages::new(set(), &PlotStyle::default()).unwrap();
        let error = batcher(&set()).gather(&images, &[0, 9]).unwrap_err();
        assert!(
            matches!(error, BatchError::Sample { index: 9, .. }),
            "{error:?}"
        );
    }
}
