//! `ImageSubset`: some samples of an image data set, so that one cache serves every split of it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::{CacheError, CacheStats, CachedImageDataset, ImageKey};
use crate::data::{LabeledSeries, SampleError, SampleSource};

/// Some samples of an image data set, in an order of their own.
///
/// It draws and keeps nothing: pictures, and the counts of [`stats`](CachedImageDataset::stats),
/// are those of the whole. Its key is the one of the same samples cached by themselves.
pub struct ImageSubset {
    whole: Arc<dyn CachedImageDataset>,
    indices: Vec<usize>,
    key: ImageKey,
}

impl ImageSubset {
    /// The samples of `whole` at `indices`, in that order.
    ///
    /// # Errors
    ///
    /// [`CacheError::IndexOutOfRange`], [`CacheError::DuplicateIndex`], and whatever `whole` meets
    /// while it reads its samples.
    pub fn new(
        whole: Arc<dyn CachedImageDataset>,
        indices: Vec<usize>,
    ) -> Result<Self, CacheError> {
        let mut seen = HashSet::with_capacity(indices.len());
        if let Some(&index) = indices.iter().find(|&&index| !seen.insert(index)) {
            return Err(CacheError::DuplicateIndex { index });
        }
        let mut key = Ok(());
        let samples = indices
            .iter()
            .map_while(|&index| match whole.sample(index) {
                Ok(sample) => Some(sample),
                Err(error) => {
                    key = Err(CacheError::from(error));
                    None
                }
            });
        let of_samples = whole.key().with_samples(samples);
        key?;
        Ok(Self {
            whole,
            indices,
            key: of_samples,
        })
    }

    fn index(&self, index: usize) -> Result<usize, SampleError> {
        SampleError::check_index(index, self.indices.len())?;
        Ok(self.indices[index])
    }
}

impl SampleSource for ImageSubset {
    fn n_samples(&self) -> usize {
        self.indices.len()
    }

    fn n_variates(&self) -> usize {
        self.whole.n_variates()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, SampleError> {
        self.whole.sample(self.index(index)?)
    }
}

impl CachedImageDataset for ImageSubset {
    fn side_px(&self) -> usize {
        self.whole.side_px()
    }

    fn masks_into(&self, index: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        self.whole.masks_into(self.index(index)?, masks)
    }

    fn key(&self) -> ImageKey {
        self.key
    }

    fn stats(&self) -> CacheStats {
        CacheStats {
            images: self.indices.len() * self.n_variates(),
            ..self.whole.stats()
        }
    }
}

impl fmt::Debug for ImageSubset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageSubset")
            .field("key", &self.key)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
