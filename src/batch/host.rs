//! A batch in host memory, and its move to a device.

use std::ops::Range;

use burn::tensor::backend::Backend;
use burn::tensor::{Bool, DType, Int, Tensor, TensorData};

use super::TimesClipBatch;
use crate::input::{SeriesInput, TimesClipInput, VisionInput};

/// A batch in host memory; row `i` of every field is one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct HostBatch {
    pub(super) ids: Vec<u64>,
    pub(super) targets: Vec<usize>,
    pub(super) series: Option<HostSeries>,
    pub(super) vision: Option<HostVision>,
}

/// Values in host memory; layouts as in [`SeriesInput`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostSeries {
    pub(super) n_steps: usize,
    pub(super) n_variates: usize,
    pub(super) values: Vec<f32>,
    pub(super) valid: Option<Vec<bool>>,
    pub(super) statistics: Option<Vec<f32>>,
}

/// Masks and colours in host memory; layouts as in [`VisionInput::Masks`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostPictures {
    pub(super) n_variates: usize,
    pub(super) side_px: usize,
    pub(super) masks: Vec<u8>,
    pub(super) colors: Vec<f32>,
}

/// Outputs of a frozen vision encoder in host memory; layout as in [`VisionInput::Features`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostFeatures {
    pub(super) n_variates: usize,
    pub(super) width: usize,
    pub(super) values: Vec<f32>,
}

/// What the vision branch gets.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum HostVision {
    Pictures(HostPictures),
    Features(HostFeatures),
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

    /// The same batch with its pictures in other colours; one without pictures stays as it is.
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

    /// Cuts the batch into at most `n_parts` batches of neighbouring samples, as equal as can be.
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
                ..*series
            }),
            vision: self.vision.as_ref().map(|vision| match vision {
                HostVision::Pictures(pictures) => HostVision::Pictures(HostPictures {
                    masks: cut(&pictures.masks, batch, &rows),
                    colors: pictures.colors.clone(),
                    ..*pictures
                }),
                HostVision::Features(features) => HostVision::Features(HostFeatures {
                    values: cut(&features.values, batch, &rows),
                    ..*features
                }),
            }),
        }
    }

    /// Moves the batch to a device.
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
        }
    }
}

impl HostPictures {
    fn into_tensors<B: Backend>(self, batch: usize, device: &B::Device) -> VisionInput<B> {
        let Self {
            n_variates,
            side_px,
            ..
        } = self;
        let masks = TensorData::new(self.masks, [batch, n_variates, side_px, side_px]);
        let n_colors = self.colors.len() / (n_variates * 3);
        let colors = TensorData::new(self.colors, [n_variates, n_colors, 3]);
        // Plain WGPU takes u8 without an error and computes with garbage.
        let masks = match B::supports_dtype(device, DType::U8) {
            true => Tensor::<B, 4, Int>::from_data(masks, (device, DType::U8)),
            false => Tensor::<B, 4, Int>::from_data(masks.convert::<i32>(), (device, DType::I32)),
        };
        VisionInput::Masks {
            masks,
            colors: Tensor::from_data(colors, device),
        }
    }
}

impl HostFeatures {
    fn into_tensors<B: Backend>(self, batch: usize, device: &B::Device) -> VisionInput<B> {
        let shape = [batch, self.n_variates, self.width];
        VisionInput::Features(Tensor::from_data(
            TensorData::new(self.values, shape),
            device,
        ))
    }
}
