//! Where batches come from: samples, their pictures or features, and what gathers them.

use super::{BatchError, HostBatch, TimesClipBatcher};
use crate::cache::CachedImageDataset;
use crate::features::{FeatureKey, FeatureStore};

/// Samples of one set and what makes batches of them.
#[derive(Clone, Copy)]
pub struct BatchSource<'a> {
    images: &'a dyn CachedImageDataset,
    batcher: &'a TimesClipBatcher,
    features: Option<&'a FeatureStore>,
}

impl<'a> BatchSource<'a> {
    /// Batches of values and pictures.
    pub fn new(images: &'a dyn CachedImageDataset, batcher: &'a TimesClipBatcher) -> Self {
        Self {
            images,
            batcher,
            features: None,
        }
    }

    /// Batches of values and, in the place of the pictures, of what a frozen encoder made of them.
    ///
    /// # Errors
    /// [`BatchError::ForeignFeatures`] if the store was made of other pictures, or of these in
    /// other colours.
    pub fn with_features(self, features: &'a FeatureStore) -> Result<Self, BatchError> {
        let key = features.key();
        let pixels = FeatureKey::hash_pixels(&self.batcher.colors(self.images.n_variates()));
        let differs = |what, found: String, expected: String| BatchError::ForeignFeatures {
            what,
            found,
            expected,
        };
        if key.images != self.images.key() {
            let (found, expected) = (key.images.to_string(), self.images.key().to_string());
            return Err(differs("pictures", found, expected));
        }
        if key.pixels != pixels {
            let hex = |hash: u128| format!("{hash:032x}");
            return Err(differs("colours", hex(key.pixels), hex(pixels)));
        }
        Ok(Self {
            features: Some(features),
            ..self
        })
    }

    /// The samples and their pictures.
    pub fn images(&self) -> &'a dyn CachedImageDataset {
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
        match self.features {
            Some(features) => self.batcher.gather_features(self.images, features, indices),
            None => self.batcher.gather(self.images, indices),
        }
    }
}

impl std::fmt::Debug for BatchSource<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchSource")
            .field("batcher", self.batcher)
            .field("features", &self.features)
            .finish_non_exhaustive()
    }
}
