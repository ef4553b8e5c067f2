//! `DeviceCache`: the pictures or features of a whole source, kept where the model computes.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, Float, FloatDType, Int, Tensor, TensorData};

use super::buffers::Buffers;
use super::chunks::OnDevices;
use super::{BatchError, BatchSource, DeviceCacheError, masks, read_features, read_masks};
use crate::cache::features::{FeatureDtype, FeatureKey, FeatureStore};
use crate::cache::{CachedImageDataset, ImageKey};

/// The pictures, or the features in their place, of all samples of a source on one or more devices.
///
/// Batches of a source [with](BatchSource::with_device_cache) it carry the positions of their
/// samples and not a pixel; the rows are selected on the device. They are the rows that a batch
/// without it would bring, so that nothing depends on it but time. Values, targets and colors,
/// small beside pictures, still travel with every batch.
///
/// Masks take one byte a pixel, features four a number, or two if their store keeps them so and
/// the device has that type. Clones share the memory. Once the last one and the batches that name it
/// are gone, GPUs keep it for another cache of that size until
/// [`memory_cleanup`](burn::tensor::backend::Backend::memory_cleanup), which training calls after
/// every epoch.
///
/// # Examples
/// ```
/// # #[cfg(feature = "cpu")] {
/// use timesclip::Modalities;
/// use timesclip::batch::{BatchSource, DeviceCache, TimesClipBatcher};
/// use timesclip::cache::UncachedImages;
/// # use timesclip::data::normalize::{Normalization, Normalizer};
/// # use timesclip::raster::PlotStyle;
/// # use timesclip::data::{LabeledSeries, Series, SeriesDataset};
/// # let series = Series::new(vec![1.0, 2.0, 1.5], 3, 1)?;
/// # let samples = vec![LabeledSeries { id: 7, series, label: 0 }];
/// # let set = SeriesDataset::new("one", vec!["a".into(), "b".into()], samples)?;
/// # let normalizer = Normalizer::fit(Normalization::Dataset, set.samples().iter().map(|s| &s.series))?;
/// # let batcher = TimesClipBatcher::new(normalizer, Modalities::DUAL);
/// type Backend = burn_flex::Flex;
///
/// let images = UncachedImages::new(set, &PlotStyle::default())?; // each picture is drawn once
/// let source = BatchSource::new(&images, &batcher);
/// let devices = [Default::default()];
/// let cache = DeviceCache::build::<Backend>(source, &devices, 1 << 30)?;
/// let source = source.with_device_cache(&cache)?;
/// let batch = source.gather(&[0])?.into_tensors::<Backend>(&devices[0]);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DeviceCache(Arc<Shared>);

struct Shared {
    images: Option<ImageKey>,
    features: Option<FeatureKey>,
    bytes: u64,
    /// A [`Kept`] of every backend that is served, and its name.
    kept: Vec<(&'static str, Box<dyn Any + Send + Sync>)>,
}

/// The rows as one backend sees them.
enum Kept<B: Backend> {
    Masks(OnDevices<B, Int>),
    Features(OnDevices<B, Float>),
}

impl DeviceCache {
    /// Brings everything to `devices`, for batches of the backend `B`.
    ///
    /// `budget` is what it may take of each device, in bytes. It counts the data alone: a driver
    /// rounds up, and the model needs room beside it.
    ///
    /// # Errors
    /// [`DeviceCacheError::OverBudget`] before anything is read,
    /// [`DeviceCacheError::NoPictures`] if there is nothing to keep,
    /// [`DeviceCacheError::Batch`] if a sample cannot be read.
    ///
    /// # Panics
    /// If there are no devices.
    pub fn build<B: Backend>(
        source: BatchSource<'_>,
        devices: &[B::Device],
        budget: u64,
    ) -> Result<Self, DeviceCacheError> {
        let (kept, bytes) = Kept::<B>::build(source, devices, budget)?;
        Ok(Self::new(source, bytes, vec![kept.erase()]))
    }

    /// As [`build`](Self::build), for a training on the backend `B`: for its steps and, on the
    /// backend without autodiff, its validation. Both read the same memory.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    ///
    /// # Panics
    /// If there are no devices.
    pub fn build_for_training<B: AutodiffBackend>(
        source: BatchSource<'_>,
        devices: &[B::Device],
        budget: u64,
    ) -> Result<Self, DeviceCacheError> {
        let (kept, bytes) = Kept::<B::InnerBackend>::build(source, devices, budget)?;
        let lifted = Kept::<B>::from_inner(&kept);
        Ok(Self::new(source, bytes, vec![lifted.erase(), kept.erase()]))
    }

    fn new(
        source: BatchSource<'_>,
        bytes: u64,
        kept: Vec<(&'static str, Box<dyn Any + Send + Sync>)>,
    ) -> Self {
        Self(Arc::new(Shared {
            images: source.images().map(CachedImageDataset::key),
            features: source.features().map(FeatureStore::key),
            bytes,
            kept,
        }))
    }

    /// Bytes that the pictures of so many samples take of a device.
    pub fn picture_bytes(n_samples: usize, n_variates: usize, side_px: usize) -> u64 {
        n_samples as u64 * masks::row_bytes(n_variates, side_px) as u64
    }

    /// Bytes that a number of kept features takes of a device: more than in their store if the
    /// device does not have that type.
    pub fn number_bytes<B: Backend>(dtype: FeatureDtype, device: &B::Device) -> usize {
        feature_dtype::<B>(dtype, device).size()
    }

    /// Bytes that it takes of each device.
    pub fn bytes(&self) -> u64 {
        self.0.bytes
    }

    /// Whether it was built from this source.
    pub(super) fn check_source(&self, source: &BatchSource<'_>) -> Result<(), BatchError> {
        let differs = |what, found, expected| BatchError::ForeignDeviceCache {
            what,
            found,
            expected,
        };
        let Shared {
            images, features, ..
        } = &*self.0;
        let expected = source.images().map(CachedImageDataset::key);
        if *images != expected {
            let name = |key: &Option<ImageKey>| key.map_or("none".to_owned(), |k| k.to_string());
            return Err(differs("pictures", name(images), name(&expected)));
        }
        let expected = source.features().map(FeatureStore::key);
        if *features != expected {
            let name = |key: &Option<FeatureKey>| key.map_or("none".to_owned(), |k| k.to_string());
            return Err(differs("features", name(features), name(&expected)));
        }
        Ok(())
    }

    /// Whether it was built for this backend.
    pub(super) fn check_backend<B: Backend>(&self) -> Result<(), BatchError> {
        match self.kept::<B>() {
            Some(_) => Ok(()),
            None => Err(BatchError::OtherBackend {
                backend: type_name::<B>(),
                found: self.backends(),
            }),
        }
    }

    fn backends(&self) -> String {
        let names: Vec<&str> = self.0.kept.iter().map(|(name, _)| *name).collect();
        names.join(" and ")
    }

    fn kept<B: Backend>(&self) -> Option<&Kept<B>> {
        let mut kept = self.0.kept.iter();
        kept.find_map(|(_, kept)| kept.downcast_ref())
    }

    fn expect_kept<B: Backend>(&self) -> &Kept<B> {
        self.kept().unwrap_or_else(|| {
            let (asked, found) = (type_name::<B>(), self.backends());
            panic!("a batch for the backend {asked}, but a device cache for {found}")
        })
    }

    /// Rows of masks, for [`masks::open`].
    pub(super) fn masks<B: Backend>(
        &self,
        indices: &[usize],
        device: &B::Device,
    ) -> Tensor<B, 2, Int> {
        match self.expect_kept() {
            Kept::Masks(rows) => rows.select(indices, device),
            Kept::Features(_) => unreachable!("the cache of a source of pictures has pictures"),
        }
    }

    /// Rows of features in single precision.
    pub(super) fn features<B: Backend>(
        &self,
        indices: &[usize],
        device: &B::Device,
    ) -> Tensor<B, 2> {
        match self.expect_kept() {
            Kept::Features(rows) => rows.select(indices, device).cast(FloatDType::F32),
            Kept::Masks(_) => unreachable!("the cache of a source of features has features"),
        }
    }
}

impl PartialEq for DeviceCache {
    /// Whether both are the same memory.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for DeviceCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCache")
            .field("images", &self.0.images)
            .field("features", &self.0.features)
            .field("bytes", &self.0.bytes)
            .field("backends", &self.backends())
            .finish()
    }
}

impl<B: Backend> Kept<B> {
    /// Reads all rows once, and their bytes on each device.
    fn build(
        source: BatchSource<'_>,
        devices: &[B::Device],
        budget: u64,
    ) -> Result<(Self, u64), DeviceCacheError> {
        assert!(!devices.is_empty(), "a cache on 0 devices");
        let images = source.images();
        let images = images.filter(|_| source.batcher().modalities.has_vision());
        let images = images.ok_or(DeviceCacheError::NoPictures)?;
        let n_samples = images.n_samples();
        let rows = devices
            .iter()
            .map(|device| row_bytes::<B>(source.features(), images, device));
        let row = rows.max().unwrap_or(0);
        let needed = n_samples as u64 * row as u64;
        if needed > budget {
            return Err(DeviceCacheError::OverBudget { needed, budget });
        }
        let size = (n_samples, row);
        let kept = match source.features() {
            Some(store) => {
                let read = |indices: &[usize]| read_features(store, indices);
                let upload = |values, n, device: &B::Device| {
                    let dtype = feature_dtype::<B>(store.key().dtype, device);
                    let values = TensorData::new(values, [n, store.n_variates() * store.width()]);
                    Tensor::from_data(values, (device, dtype))
                };
                Self::Features(OnDevices::fill(devices, size, read, upload)?)
            }
            None => {
                // Chunks are larger than batches: no memory to be kept for these.
                let buffers = Buffers::default();
                let read = |indices: &[usize]| read_masks(images, indices, &buffers);
                Self::Masks(OnDevices::fill(devices, size, read, masks::upload)?)
            }
        };
        Ok((kept, needed))
    }

    fn erase(self) -> (&'static str, Box<dyn Any + Send + Sync>) {
        (type_name::<B>(), Box::new(self))
    }
}

impl<B: AutodiffBackend> Kept<B> {
    fn from_inner(inner: &Kept<B::InnerBackend>) -> Self {
        match inner {
            Kept::Masks(rows) => Self::Masks(OnDevices::from_inner(rows)),
            Kept::Features(rows) => Self::Features(OnDevices::from_inner(rows)),
        }
    }
}

/// How features are kept on a device: as in their store if the device has that type.
fn feature_dtype<B: Backend>(dtype: FeatureDtype, device: &B::Device) -> DType {
    let dtype = match dtype {
        FeatureDtype::F32 => DType::F32,
        FeatureDtype::F16 => DType::F16,
        FeatureDtype::Bf16 => DType::BF16,
    };
    match B::supports_dtype(device, dtype) {
        true => dtype,
        false => DType::F32,
    }
}

/// Bytes of a sample on a device.
fn row_bytes<B: Backend>(
    features: Option<&FeatureStore>,
    images: &dyn CachedImageDataset,
    device: &B::Device,
) -> usize {
    match features {
        Some(store) => {
            let number = DeviceCache::number_bytes::<B>(store.key().dtype, device);
            store.n_variates() * store.width() * number
        }
        None => masks::row_bytes(images.n_variates(), images.side_px()),
    }
}
