//! `InMemoryImages`: every picture drawn once, coded, and kept in memory.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::build::PictureCoder;
use super::{
    BuildOptions, BuildPhase, CacheError, CacheStats, CachedImageDataset, ImageKey, codec,
};
use crate::data::{LabeledSeries, SampleError, SampleSource, SeriesDataset};
use crate::raster::PlotStyle;

/// All pictures of a data set, coded and in memory: the fastest to read.
///
/// A picture of a line takes a few KB; [`BuildCost`](super::BuildCost) tells beforehand how much
/// that is. Reading decodes into the caller's buffer and takes no lock.
pub struct InMemoryImages {
    dataset: Arc<SeriesDataset>,
    side_px: usize,
    key: ImageKey,
    /// The codes of all pictures, sample after sample.
    codes: Vec<u8>,
    /// Where the codes of each sample end.
    ends: Vec<usize>,
    build_seconds: f64,
    hits: AtomicU64,
}

impl InMemoryImages {
    /// Draws and codes every picture, on all threads of the current rayon pool.
    ///
    /// Never holds more than a few MB of uncoded masks.
    ///
    /// # Errors
    ///
    /// [`CacheError::Raster`], [`CacheError::OverBudget`] and [`CacheError::Cancelled`].
    pub fn build(
        dataset: impl Into<Arc<SeriesDataset>>,
        style: &PlotStyle,
        mut options: BuildOptions<'_>,
    ) -> Result<Self, CacheError> {
        let dataset = dataset.into();
        let start = Instant::now();
        let coder = PictureCoder::new(&dataset, style)?;
        let cost = coder.estimate(dataset.samples());
        options.check_budget(cost.bytes)?;
        let mut images = Self {
            side_px: style.side_px,
            key: ImageKey::of(&dataset, style),
            // Reserving costs address space only; growing by doubling would cost a copy.
            codes: Vec::with_capacity(usize::try_from(cost.bytes).unwrap_or_default()),
            ends: Vec::with_capacity(dataset.len()),
            build_seconds: 0.0,
            hits: AtomicU64::new(0),
            dataset: Arc::clone(&dataset),
        };
        let total = cost.images;
        options.report(BuildPhase::Drawing, 0, total)?;
        coder.encode_all(dataset.samples(), |codes| {
            for code in codes {
                images.codes.extend_from_slice(code);
            }
            images.ends.push(images.codes.len());
            options.check_budget(images.codes.len() as u64)?;
            let done = images.ends.len() * dataset.n_variates();
            Ok(options.report(BuildPhase::Drawing, done, total)?)
        })?;
        images.codes.shrink_to_fit();
        images.build_seconds = start.elapsed().as_secs_f64();
        Ok(images)
    }
}

impl SampleSource for InMemoryImages {
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

impl CachedImageDataset for InMemoryImages {
    fn side_px(&self) -> usize {
        self.side_px
    }

    fn masks_into(&self, index: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        CacheError::check_index(index, self.n_samples())?;
        CacheError::check_masks(masks, self.n_variates(), self.side_px)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        let code = &self.codes[start..self.ends[index]];
        codec::decode_all(code, self.side_px, masks).map_err(|source| CacheError::Codec {
            id: self.dataset.samples()[index].id,
            source,
        })?;
        self.hits
            .fetch_add(self.n_variates() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn key(&self) -> ImageKey {
        self.key
    }

    fn stats(&self) -> CacheStats {
        let images = self.n_samples() * self.n_variates();
        CacheStats {
            kind: "memory",
            images,
            bytes: (self.codes.len() + size_of_val(self.ends.as_slice())) as u64,
            build_seconds: self.build_seconds,
            hits: self.hits.load(Ordering::Relaxed),
            drawn: images as u64,
        }
    }
}

impl fmt::Debug for InMemoryImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InMemoryImages")
            .field("dataset", &self.dataset.name())
            .field("key", &self.key)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
