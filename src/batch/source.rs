//! Where batches come from: samples, their pictures or features, and what gathers them.

use burn::tensor::backend::Backend;

use super::host::{HostFeatures, Rows};
use super::{Augmentation, BatchError, DeviceCache, HostBatch, TimesClipBatcher, read_samples};
use crate::cache::CachedImageDataset;
use crate::cache::features::{FeatureKey, FeatureStore};
use crate::data::SampleSource;

/// Samples of one set and what makes batches of them.
#[derive(Clone, Copy)]
pub struct BatchSource<'a> {
    samples: &'a dyn SampleSource,
    images: Option<&'a dyn CachedImageDataset>,
    batcher: &'a TimesClipBatcher,
    features: Option<&'a FeatureStore>,
    device_cache: Option<&'a DeviceCache>,
    view: Option<(&'a Augmentation, usize)>,
}

impl<'a> BatchSource<'a> {
    /// Batches of values and pictures.
    pub fn new(images: &'a dyn CachedImageDataset, batcher: &'a TimesClipBatcher) -> Self {
        Self {
            images: Some(images),
            ..Self::of_series(images, batcher)
        }
    }

    /// Batches of values alone. The pictures of an [augmented](Self::augmented) view are drawn as
    /// they are gathered, and need no cache either.
    pub fn of_series(samples: &'a dyn SampleSource, batcher: &'a TimesClipBatcher) -> Self {
        Self {
            samples,
            images: None,
            batcher,
            features: None,
            device_cache: None,
            view: None,
        }
    }

    /// Batches of values and, in the place of the pictures, of what a frozen encoder made of them.
    ///
    /// # Errors
    /// [`BatchError::ForeignFeatures`] if the store was made of other pictures, or of these in
    /// other colors; [`BatchError::NoPictures`] if this source has none.
    pub fn with_features(self, features: &'a FeatureStore) -> Result<Self, BatchError> {
        let key = features.key();
        let images = self.images.ok_or(BatchError::NoPictures)?;
        let pixels = FeatureKey::hash_pixels(&self.batcher.colors(images.n_variates()));
        let differs = |what, found: String, expected: String| BatchError::ForeignFeatures {
            what,
            found,
            expected,
        };
        if key.images != images.key() {
            let (found, expected) = (key.images.to_string(), images.key().to_string());
            return Err(differs("pictures", found, expected));
        }
        if key.pixels != pixels {
            let hex = |hash: u128| format!("{hash:032x}");
            return Err(differs("colors", hex(key.pixels), hex(pixels)));
        }
        let source = Self {
            features: Some(features),
            ..self
        };
        source.checked()
    }

    /// The same batches, with the pictures or features that `cache` has on devices in the place of
    /// those that travel.
    ///
    /// # Errors
    /// [`BatchError::ForeignDeviceCache`] if it was built from other pictures or features.
    pub fn with_device_cache(self, cache: &'a DeviceCache) -> Result<Self, BatchError> {
        let source = Self {
            device_cache: Some(cache),
            ..self
        };
        source.checked()
    }

    /// Batches of one augmented view of every sample, whose pictures are drawn as they are gathered:
    /// no cache of pictures is read. Features in their place stay those of the samples as they are:
    /// then values alone vary.
    #[must_use]
    pub fn augmented(self, augmentation: &'a Augmentation, view: usize) -> Self {
        Self {
            view: Some((augmentation, view)),
            ..self
        }
    }

    fn checked(self) -> Result<Self, BatchError> {
        match self.device_cache {
            Some(cache) => cache.check_source(&self).map(|()| self),
            None => Ok(self),
        }
    }

    /// Refuses a device cache that was built for other backends than this.
    ///
    /// # Errors
    /// [`BatchError::OtherBackend`].
    pub fn check_backend<B: Backend>(&self) -> Result<(), BatchError> {
        let check = DeviceCache::check_backend::<B>;
        self.device_cache.map_or(Ok(()), check)
    }

    /// The samples.
    pub fn samples(&self) -> &'a dyn SampleSource {
        self.samples
    }

    /// The pictures of the samples, unless batches are of values alone.
    pub fn images(&self) -> Option<&'a dyn CachedImageDataset> {
        self.images
    }

    /// What makes batches.
    pub fn batcher(&self) -> &'a TimesClipBatcher {
        self.batcher
    }

    /// The features, if they take the place of the pictures.
    pub fn features(&self) -> Option<&'a FeatureStore> {
        self.features
    }

    /// Reads the samples at `indices`, in that order.
    ///
    /// # Errors
    /// [`BatchError`] if a sample cannot be read.
    ///
    /// # Panics
    /// If `indices` is empty.
    pub fn gather(&self, indices: &[usize]) -> Result<HostBatch, BatchError> {
        let Self {
            samples, batcher, ..
        } = *self;
        if let Some(view) = self.view {
            return batcher.gather_view(samples, view, self.features, indices);
        }
        let Some(images) = self.images else {
            return batcher.gather_series(samples, indices);
        };
        match (self.device_cache, self.features) {
            (Some(cache), _) => self.gather_kept(cache, images, indices),
            (None, Some(features)) => batcher.gather_features(samples, features, indices),
            (None, None) => batcher.gather(images, indices),
        }
    }

    fn gather_kept(
        &self,
        cache: &DeviceCache,
        images: &dyn CachedImageDataset,
        indices: &[usize],
    ) -> Result<HostBatch, BatchError> {
        // Refuses positions that are not there: a GPU would read past the end unseen.
        let samples = read_samples(self.samples, indices)?;
        let mut batch = self.batcher.gather_samples(&samples);
        if self.batcher.modalities.has_vision() {
            let (cache, indices) = (cache.clone(), indices.to_vec());
            let size = [images.n_variates(), images.side_px()];
            batch.vision = Some(match self.features {
                Some(store) => HostFeatures::of(store, Rows::Kept(cache, indices)),
                None => self.batcher.pictures(size, Rows::Kept(cache, indices)),
            });
        }
        Ok(batch)
    }
}

impl std::fmt::Debug for BatchSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchSource")
            .field("batcher", self.batcher)
            .field("features", &self.features)
            .field("device_cache", &self.device_cache)
            .field("view", &self.view.map(|(_, view)| view))
            .finish_non_exhaustive()
    }
}
