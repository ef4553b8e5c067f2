//! Running a frozen vision encoder once over all pictures of a set, into a feature store.
//!
//! With the store at hand, epochs run no vision encoder:
//! [`BatchSource::with_features`](crate::batch::BatchSource::with_features) reads a few hundred
//! numbers a picture in its place. The numbers are those that the classifier itself would have
//! computed: on the CPU in every bit, elsewhere within the rounding of the backend.

mod joint;
mod line_plots;
mod looks;

use std::fmt;
use std::ops::Range;
use std::panic::resume_unwind;
use std::path::Path;
use std::time::Instant;
use std::{iter, slice, thread};

use burn::module::Module;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use crate::batch::{BatchError, HostBatch, TimesClipBatcher};
use crate::cache::CachedImageDataset;
use crate::cache::features::{
    EncoderIdentity, FeatureDtype, FeatureError, FeatureKey, FeatureSet, FeatureStore,
};
use crate::cache::store::{BuildOptions, BuiltShard, Shard};
use crate::modalities::Modalities;
use crate::model::VisionInput;
use crate::model::VisionTower;

pub use joint::JointEncoder;
pub use line_plots::{PlotAxes, PlotReader, PlotSeer};
pub use looks::Look;

/// Bytes of masks that are encoded at a time, or what an encoder takes in one pass if that is more:
/// little to do again after a kill.
const BATCH_MASK_BYTES: usize = 8 << 20;

/// Encodes the pictures of one set.
///
/// # Examples
/// ```
/// # #[cfg(feature = "cpu")] {
/// use timesclip::Modalities;
/// use timesclip::batch::{BatchSource, TimesClipBatcher};
/// use timesclip::cache::{BuildOptions, UncachedImages};
/// use timesclip::encode::FeatureEncoder;
/// use timesclip::cache::features::FeatureDtype;
/// use timesclip::model::{Freeze, TimesClipClassifierConfig};
/// # use timesclip::data::normalize::{Normalization, Normalizer};
/// # use timesclip::raster::PlotStyle;
/// # use timesclip::data::{LabeledSeries, Series, SeriesDataset};
/// # let series = Series::new(vec![1.0, 2.0, 1.5], 3, 1)?;
/// # let samples = vec![LabeledSeries { id: 7, series, label: 0 }];
/// # let set = SeriesDataset::new("one", vec!["a".into(), "b".into()], samples)?;
/// # let normalizer = Normalizer::fit(Normalization::Dataset, set.samples().iter().map(|s| &s.series))?;
/// # let batcher = TimesClipBatcher::new(normalizer, Modalities::DUAL);
/// # let device = Default::default();
///
/// let config = TimesClipClassifierConfig::new(1, 2).with_freeze_vision(Freeze::All);
/// let style = PlotStyle { side_px: config.vision.side_px, ..PlotStyle::default() };
/// let images = UncachedImages::new(set, &style)?; // each picture is drawn once: no cache needed
/// let model = config.init::<burn_flex::Flex>(&device);
/// let tower = model.frozen_vision().ok_or("the vision encoder is frozen")?;
///
/// let encoder = FeatureEncoder::new(tower, &images, &batcher, FeatureDtype::F16, &device)?;
/// let features = encoder.in_memory(BuildOptions::new())?;
/// let source = BatchSource::new(&images, &batcher).with_features(&features)?;
/// let batch = source.gather(&[0])?.into_tensors(&device);
/// assert_eq!(model.forward(batch.input).logits.dims(), [1, 2]);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FeatureEncoder<'a, B: Backend> {
    tower: &'a VisionTower<B>,
    images: &'a dyn CachedImageDataset,
    batcher: TimesClipBatcher,
    set: FeatureSet,
    devices: &'a [B::Device],
    /// The encoder on each device but the first.
    copies: Vec<VisionTower<B>>,
}

/// What encoding all pictures of a set takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EncodeCost {
    /// Pictures: samples times variates. Exact.
    pub images: usize,
    /// Bytes of the features on disk. Exact.
    pub bytes: u64,
    /// Wall seconds. Estimated from one pass of the encoder, which is run for it.
    pub seconds: f64,
}

impl<'a, B: Backend> FeatureEncoder<'a, B> {
    /// Prepares to encode pictures in the colors of `batcher`; encodes nothing yet.
    ///
    /// # Errors
    /// [`FeatureError::Samples`] if a sample cannot be read.
    ///
    /// # Panics
    /// If the encoder is not frozen: its outputs would change while it learns.
    pub fn new(
        tower: &'a VisionTower<B>,
        images: &'a dyn CachedImageDataset,
        batcher: &TimesClipBatcher,
        dtype: FeatureDtype,
        device: &'a B::Device,
    ) -> Result<Self, FeatureError> {
        assert!(
            tower.is_frozen(),
            "the features of a vision encoder that learns were to be kept"
        );
        let batcher = batcher.clone().with_modalities(Modalities::VISION_ONLY);
        let encoder = tower.encoder();
        let identity = EncoderIdentity {
            encoder: tower.fingerprint(),
            pixels: FeatureKey::hash_pixels(&batcher.colors(images.n_variates())),
            dtype,
            width: encoder.config().d_output(),
            description: encoder.config().description(),
        };
        Ok(Self {
            tower,
            images,
            batcher,
            set: FeatureSet::of(images, identity)?,
            devices: slice::from_ref(device),
            copies: Vec::new(),
        })
    }

    /// Spreads the pictures over `devices`; the first takes the place of the device given before.
    ///
    /// # Panics
    /// If there are no devices.
    #[must_use]
    pub fn with_devices(self, devices: &'a [B::Device]) -> Self {
        assert!(!devices.is_empty(), "encoding on 0 devices");
        let copy = |device| self.tower.clone().fork(device);
        let copies = devices[1..].iter().map(copy).collect();
        Self {
            devices,
            copies,
            ..self
        }
    }

    /// Identity of the features.
    pub fn key(&self) -> FeatureKey {
        self.set.key()
    }

    /// Runs one pass of the encoder and tells from it what all pictures will take.
    ///
    /// # Errors
    /// [`BatchError`] if a sample cannot be read.
    pub fn estimate(&self) -> Result<EncodeCost, BatchError> {
        let n_samples = self.images.n_samples();
        let in_pass = self.tower.samples_in_pass(self.images.n_variates()) * self.devices.len();
        let n_passes = n_samples.div_ceil(in_pass);
        let samples = 0..in_pass.min(n_samples);
        // The first use of a device compiles its kernels.
        self.forward(self.gather(samples.clone())?);
        let start = Instant::now();
        self.forward(self.gather(samples)?);
        Ok(EncodeCost {
            images: self.set.n_features(),
            bytes: self.set.bytes(),
            seconds: start.elapsed().as_secs_f64() * n_passes as f64,
        })
    }

    /// Encodes all pictures and keeps the features in memory.
    ///
    /// # Errors
    /// [`FeatureError`] if a picture cannot be read, a feature is not finite as it is kept, or
    /// `options` say no.
    pub fn in_memory(&self, options: BuildOptions<'_>) -> Result<FeatureStore, FeatureError> {
        let compute = self.compute(self.images.n_samples());
        FeatureStore::in_memory(&self.set, self.batch_samples(), options, compute)
    }

    /// The file of the features in `folder`, if it is there and whole.
    ///
    /// # Errors
    /// [`FeatureError::Store`] if it is not.
    pub fn open(&self, folder: &Path) -> Result<FeatureStore, FeatureError> {
        FeatureStore::open(folder, &self.set)
    }

    /// Opens the features in `folder`, after encoding what is not there.
    ///
    /// # Errors
    /// As [`in_memory`](Self::in_memory), and [`FeatureError::Store`] if the folder cannot be
    /// written or read.
    pub fn open_or_build(
        &self,
        folder: &Path,
        options: BuildOptions<'_>,
    ) -> Result<FeatureStore, FeatureError> {
        let compute = self.compute(self.images.n_samples());
        let batch = self.batch_samples();
        FeatureStore::open_or_build(folder, &self.set, batch, options, compute)
    }

    /// Encodes one shard of the features into a file of its own in `folder`: see
    /// [`FeatureStore::build_shard`].
    ///
    /// # Errors
    /// As [`open_or_build`](Self::open_or_build).
    pub fn build_shard(
        &self,
        folder: &Path,
        shard: Shard,
        options: BuildOptions<'_>,
    ) -> Result<BuiltShard, FeatureError> {
        let compute = self.compute(shard.range(self.images.n_samples()).end);
        let batch = self.batch_samples();
        FeatureStore::build_shard(folder, &self.set, shard, batch, options, compute)
    }

    fn batch_samples(&self) -> usize {
        let n_variates = self.images.n_variates();
        let mask_bytes = n_variates * self.images.side_px().pow(2);
        whole_passes(mask_bytes, self.tower.samples_in_pass(n_variates)) * self.devices.len()
    }

    /// Encodes the samples that are asked for, and meanwhile reads those that come next, up to `end`.
    fn compute(
        &self,
        end: usize,
    ) -> impl FnMut(Range<usize>, &mut [f32]) -> Result<(), BatchError> + '_ {
        let mut ahead: Option<(Range<usize>, HostBatch)> = None;
        move |samples, features| {
            let batch = match ahead.take() {
                Some((range, batch)) if range == samples => batch,
                _ => self.gather(samples.clone())?,
            };
            let next = samples.end..end.min(samples.end + samples.len());
            let (data, gathered) = thread::scope(|scope| {
                let gather = || (!next.is_empty()).then(|| self.gather(next.clone()));
                let gathered = scope.spawn(gather);
                let data = self.forward(batch);
                (
                    data,
                    gathered.join().unwrap_or_else(|panic| resume_unwind(panic)),
                )
            });
            // What cannot be read is met again, and told, when it is asked for.
            ahead = gathered.and_then(Result::ok).map(|batch| (next, batch));
            let values = data.iter().flat_map(|part| part.iter::<f32>());
            features
                .iter_mut()
                .zip(values)
                .for_each(|(to, from)| *to = from);
            Ok(())
        }
    }

    fn gather(&self, samples: Range<usize>) -> Result<HostBatch, BatchError> {
        let indices: Vec<usize> = samples.collect();
        self.batcher.gather(self.images, &indices)
    }

    /// Features of a batch, a part `[part, n_variates, width]` from each device.
    fn forward(&self, batch: HostBatch) -> Vec<TensorData> {
        let towers = iter::once(self.tower).chain(&self.copies);
        let parts = batch.split(self.devices.len()).into_iter();
        let parts = parts.zip(towers.zip(self.devices));
        let queued = parts.map(|(part, (tower, device))| {
            match part.into_tensors::<B>(device).input.vision {
                Some(VisionInput::Masks { masks, colors }) => tower.forward(masks, colors),
                _ => unreachable!("the batcher was told to gather pictures"),
            }
        });
        // All devices are at work before the first is waited for.
        let queued: Vec<_> = queued.collect();
        queued.into_iter().map(Tensor::into_data).collect()
    }
}

/// Samples of a batch on one device, a multiple of those of a pass: the processor fills up what is
/// less, and its work on that is lost.
fn whole_passes(mask_bytes: usize, in_pass: usize) -> usize {
    let samples = BATCH_MASK_BYTES / mask_bytes;
    samples.max(1).next_multiple_of(in_pass)
}

impl<B: Backend> fmt::Debug for FeatureEncoder<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureEncoder")
            .field("set", &self.set)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_whole_passes() {
        let mask_bytes = 14 * 224 * 224;
        assert_eq!(whole_passes(mask_bytes, 5), 15);
        assert_eq!(whole_passes(mask_bytes, 46), 46, "a pass of a GPU");
        assert_eq!(whole_passes(mask_bytes, 1), 11);
        assert_eq!(whole_passes(100 * mask_bytes, 1), 1, "a sample of 70 MB");
    }
}
