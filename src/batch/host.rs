//! A batch in host memory, and its move to a device.

use std::fmt;
use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor, TensorData};
use bytes::Bytes;

use super::{DeviceCache, TimesClipBatch, masks};
use crate::cache::features::FeatureStore;
use crate::model::{SeriesInput, TimesClipInput, VisionInput};
use crate::raster::AxisReader;

/// A batch in host memory; row `i` of every field is one sample.
///
/// Pictures are here as bytes; or, if a [`DeviceCache`] has them, as the positions of their
/// samples.
#[derive(Clone, PartialEq)]
pub struct HostBatch {
    pub(super) ids: Vec<u64>,
    pub(super) targets: Vec<usize>,
    pub(super) series: Option<HostSeries>,
    pub(super) vision: Option<HostVision>,
}

impl fmt::Debug for HostBatch {
    // Not its pictures: tens of megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostBatch")
            .field("ids", &self.ids)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

/// Values in host memory; layouts as in [`SeriesInput`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostSeries {
    pub(super) n_steps: usize,
    pub(super) n_variates: usize,
    pub(super) values: Vec<f32>,
    pub(super) valid: Option<Vec<bool>>,
    pub(super) statistics: Option<Vec<f32>>,
    pub(super) points: Option<Vec<f32>>,
}

/// What the vision branch gets.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum HostVision {
    Pictures(HostPictures),
    Features(HostFeatures),
}

/// Masks and colors; the colors as in [`VisionInput::Masks`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostPictures {
    pub(super) n_variates: usize,
    pub(super) side_px: usize,
    /// `[batch, row_bytes]`, as they [travel](masks)
    pub(super) rows: Rows<Bytes>,
    pub(super) colors: Vec<f32>,
}

/// Outputs of a frozen vision encoder.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostFeatures {
    n_variates: usize,
    width: usize,
    /// `[batch, n_variates * width]`
    rows: Rows<Vec<f32>>,
}

/// Where the rows of a batch are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rows<D> {
    /// In host memory.
    Here(D),
    /// On devices, at these positions of their set.
    Kept(DeviceCache, Vec<usize>),
}

impl HostFeatures {
    pub(super) fn of(store: &FeatureStore, rows: Rows<Vec<f32>>) -> HostVision {
        HostVision::Features(Self {
            n_variates: store.n_variates(),
            width: store.width(),
            rows,
        })
    }
}

impl HostBatch {
    /// Ids of the samples.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// Class indices of the samples.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// The same batch with its pictures in other colors; one without pictures stays as it is.
    ///
    /// # Shapes
    /// - colors: `[n_variates, 2 or 256, 3]`
    ///
    /// # Panics
    /// If there are not as many numbers.
    #[must_use]
    pub fn with_colors(mut self, colors: Vec<f32>) -> Self {
        if let Some(HostVision::Pictures(pictures)) = &mut self.vision {
            let (found, variate) = (colors.len(), pictures.n_variates * 3);
            assert!(
                [2 * variate, 256 * variate].contains(&found),
                "{found} numbers, expected {} or {}",
                2 * variate,
                256 * variate
            );
            pictures.colors = colors;
        }
        self
    }

    /// Takes out the values: a batch of them alone.
    #[cfg(feature = "train")]
    pub(crate) fn take_series(&mut self) -> Self {
        Self {
            ids: self.ids.clone(),
            targets: self.targets.clone(),
            series: self.series.take(),
            vision: None,
        }
    }

    /// Cuts the batch into at most `n_parts` batches of neighboring samples, as equal as can be.
    ///
    /// # Panics
    /// If `n_parts` is 0.
    pub fn split(self, n_parts: usize) -> Vec<Self> {
        let batch = self.ids.len();
        let n = n_parts.min(batch);
        assert!(n > 0, "{n_parts} parts of a batch of {batch}");
        if n == 1 {
            return vec![self];
        }
        (0..n)
            .map(|i| self.rows(i * batch / n..(i + 1) * batch / n))
            .collect()
    }

    fn rows(&self, rows: Range<usize>) -> Self {
        let batch = self.ids.len();
        Self {
            ids: self.ids[rows.clone()].to_vec(),
            targets: self.targets[rows.clone()].to_vec(),
            series: self.series.as_ref().map(|series| HostSeries {
                values: cut(&series.values, batch, &rows),
                valid: series.valid.as_ref().map(|x| cut(x, batch, &rows)),
                statistics: series.statistics.as_ref().map(|x| cut(x, batch, &rows)),
                points: series.points.as_ref().map(|x| cut(x, batch, &rows)),
                ..*series
            }),
            vision: self.vision.as_ref().map(|vision| match vision {
                HostVision::Pictures(pictures) => HostVision::Pictures(HostPictures {
                    rows: pictures.rows.cut(batch, &rows, |bytes| {
                        let row = bytes.len() / batch;
                        bytes.slice(rows.start * row..rows.end * row)
                    }),
                    colors: pictures.colors.clone(),
                    ..*pictures
                }),
                HostVision::Features(features) => HostVision::Features(HostFeatures {
                    rows: features
                        .rows
                        .cut(batch, &rows, |values| cut(values, batch, &rows)),
                    ..*features
                }),
            }),
        }
    }

    /// Moves the batch to a device.
    ///
    /// # Panics
    /// If its pictures are in a [`DeviceCache`] that was not built for this backend.
    pub fn into_tensors<B: Backend>(self, device: &B::Device) -> TimesClipBatch<B> {
        let batch = self.ids.len();
        let targets: Vec<i64> = self.targets.iter().map(|target| *target as i64).collect();
        let series = self.series.map(|series| series.into_tensors(batch, device));
        let vision = self.vision.map(|vision| match vision {
            HostVision::Pictures(pictures) => pictures.into_tensors(batch, device),
            HostVision::Features(features) => features.into_tensors(batch, device),
        });
        TimesClipBatch {
            ids: self.ids,
            input: TimesClipInput { series, vision },
            targets: Tensor::from_data(TensorData::new(targets, [batch]), device),
        }
    }
}

/// Some rows of `batch` rows of one length.
fn cut<T: Clone>(all: &[T], batch: usize, rows: &Range<usize>) -> Vec<T> {
    let row = all.len() / batch;
    all[rows.start * row..rows.end * row].to_vec()
}

impl<D> Rows<D> {
    fn cut(&self, batch: usize, rows: &Range<usize>, here: impl Fn(&D) -> D) -> Self {
        match self {
            Self::Here(all) => Self::Here(here(all)),
            Self::Kept(cache, indices) => Self::Kept(cache.clone(), cut(indices, batch, rows)),
        }
    }
}

impl HostSeries {
    fn into_tensors<B: Backend>(self, batch: usize, device: &B::Device) -> SeriesInput<B> {
        let Self {
            n_steps,
            n_variates,
            ..
        } = self;
        let shape = [batch, n_steps, n_variates];
        SeriesInput {
            values: Tensor::from_data(TensorData::new(self.values, shape), device),
            valid: self.valid.map(|valid| {
                Tensor::<B, 3, Bool>::from_data(TensorData::new(valid, shape), device)
            }),
            statistics: self.statistics.map(|statistics| {
                Tensor::from_data(TensorData::new(statistics, [batch, n_variates, 2]), device)
            }),
            points: self.points.map(|points| {
                let n_points = points.len() / (batch * n_variates * AxisReader::POINT);
                let shape = [batch, n_variates, n_points, AxisReader::POINT];
                Tensor::from_data(TensorData::new(points, shape), device)
            }),
        }
    }
}

impl HostPictures {
    fn into_tensors<B: Backend>(self, batch: usize, device: &B::Device) -> VisionInput<B> {
        let n_colors = self.colors.len() / (self.n_variates * 3);
        let colors = TensorData::new(self.colors, [self.n_variates, n_colors, 3]);
        let rows = match self.rows {
            Rows::Here(bytes) => masks::upload(bytes, batch, device),
            Rows::Kept(cache, indices) => cache.masks(&indices, device),
        };
        VisionInput::Masks {
            masks: masks::open(rows, self.n_variates, self.side_px),
            colors: Tensor::from_data(colors, device),
        }
    }
}

impl HostFeatures {
    fn into_tensors<B: Backend>(self, batch: usize, device: &B::Device) -> VisionInput<B> {
        let rows = match self.rows {
            Rows::Here(values) => {
                let shape = [batch, self.n_variates * self.width];
                Tensor::from_data(TensorData::new(values, shape), device)
            }
            Rows::Kept(cache, indices) => cache.features(&indices, device),
        };
        VisionInput::Features(rows.reshape([batch, self.n_variates, self.width]))
    }
}
