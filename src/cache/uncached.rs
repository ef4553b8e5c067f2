//! `UncachedImages`: no cache, every read draws. For comparison, and when memory is short.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::build::rasterizer;
use super::{CacheError, CacheStats, CachedImageDataset, ImageKey};
use crate::cache::store::Pool;
use crate::data::{LabeledSeries, SampleError, SampleSource, SeriesDataset};
use crate::raster::{PlotStyle, Rasterizer, Scratch};

/// The pictures of a data set, drawn again on every read.
pub struct UncachedImages {
    dataset: Arc<SeriesDataset>,
    rasterizer: Rasterizer,
    key: ImageKey,
    scratch: Pool<Scratch>,
    drawn: AtomicU64,
}

impl UncachedImages {
    /// Takes the data set; draws nothing yet.
    ///
    /// # Errors
    ///
    /// [`CacheError::Raster`] if the style cannot be drawn.
    pub fn new(
        dataset: impl Into<Arc<SeriesDataset>>,
        style: &PlotStyle,
    ) -> Result<Self, CacheError> {
        let dataset = dataset.into();
        let key = ImageKey::of(&dataset, style);
        let rasterizer = rasterizer(style, dataset.n_variates())?;
        Ok(Self {
            dataset,
            rasterizer,
            key,
            scratch: Pool::new(),
            drawn: AtomicU64::new(0),
        })
    }
}

impl SampleSource for UncachedImages {
    fn n_samples(&self) -> usize {
        self.dataset.len()
    }

    fn n_variates(&self) -> usize {
        self.dataset.n_variates()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, SampleError> {
        self.dataset.sample(index)
    }
}

impl CachedImageDataset for UncachedImages {
    fn side_px(&self) -> usize {
        self.rasterizer.style().side_px
    }

    fn masks_into(&self, index: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        CacheError::check_index(index, self.n_samples())?;
        CacheError::check_masks(masks, self.n_variates(), self.side_px())?;
        let series = &self.dataset.samples()[index].series;
        self.scratch.with(
            || self.rasterizer.scratch(),
            |scratch| self.rasterizer.draw_series(scratch, series, masks),
        );
        self.drawn
            .fetch_add(self.n_variates() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn key(&self) -> ImageKey {
        self.key
    }

    fn stats(&self) -> CacheStats {
        CacheStats {
            kind: "none",
            images: self.n_samples() * self.n_variates(),
            drawn: self.drawn.load(Ordering::Relaxed),
            ..CacheStats::default()
        }
    }
}

impl fmt::Debug for UncachedImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UncachedImages")
            .field("dataset", &self.dataset.name())
            .field("key", &self.key)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
