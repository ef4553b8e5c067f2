//! Drawing and coding all pictures, and what it costs, told beforehand.

use std::fmt;
use std::ops::Range;
use std::time::Instant;

use rayon::prelude::*;

use super::{CacheError, codec};
use crate::cache::store::Pool;
use crate::data::{LabeledSeries, Series, SeriesDataset};
use crate::raster::{PlotStyle, Rasterizer, Scratch};

/// Samples, and variates of each, that an estimate draws.
const TRIAL_SAMPLES: usize = 32;
const TRIAL_VARIATES: usize = 8;
/// Pictures that are drawn between two visits to the calling thread, for each thread: at most
/// this many, and at most so many bytes if none of them could be coded. Bounds what is held
/// besides the cache itself.
const CHUNK_PICTURES: usize = 16;
const CHUNK_MASK_BYTES: usize = 2 << 20;

/// What all pictures of a data set take, estimated from a few of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BuildCost {
    /// Pictures: samples times variates. Exact.
    pub images: usize,
    /// Bytes of the coded pictures. An estimate; the same on every call.
    pub bytes: u64,
    /// Wall seconds to draw and code them on all threads of the current rayon pool. An estimate.
    pub seconds: f64,
}

impl BuildCost {
    /// Estimates the cost of `dataset` in `style`: draws and codes up to 256 pictures.
    ///
    /// The pictures are spread evenly over samples and variates.
    ///
    /// # Errors
    ///
    /// [`CacheError::Raster`] if the style cannot be drawn.
    pub fn estimate(dataset: &SeriesDataset, style: &PlotStyle) -> Result<Self, CacheError> {
        Self::of_samples(dataset, 0..dataset.len(), style)
    }

    /// Estimates the cost of the samples at some positions of `dataset`, as those of a shard.
    ///
    /// # Errors
    ///
    /// [`CacheError::Raster`] if the style cannot be drawn.
    ///
    /// # Panics
    ///
    /// If the range ends behind the last sample.
    pub fn of_samples(
        dataset: &SeriesDataset,
        samples: Range<usize>,
        style: &PlotStyle,
    ) -> Result<Self, CacheError> {
        Ok(PictureCoder::new(dataset, style)?.estimate(&dataset.samples()[samples]))
    }
}

impl fmt::Display for BuildCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, unit) = match self.bytes {
            0..1_000_000 => (self.bytes as f64 / 1e3, "KB"),
            1_000_000..1_000_000_000 => (self.bytes as f64 / 1e6, "MB"),
            _ => (self.bytes as f64 / 1e9, "GB"),
        };
        let (images, seconds) = (self.images, self.seconds);
        write!(
            f,
            "{images} pictures, about {bytes:.1} {unit}, about {seconds:.1} s"
        )
    }
}

/// A rasterizer that can draw every series of `n_variates` variates.
pub(super) fn rasterizer(style: &PlotStyle, n_variates: usize) -> Result<Rasterizer, CacheError> {
    let checked = style.validate_variates(n_variates);
    let made = checked.and_then(|()| Rasterizer::new(style.clone()));
    made.map_err(|source| CacheError::Raster { source })
}

/// Draws pictures and codes them, one at a time for each thread.
#[derive(Debug)]
pub(super) struct PictureCoder {
    rasterizer: Rasterizer,
    workers: Pool<Worker>,
}

/// What a thread needs to draw: never more than one mask.
#[derive(Debug)]
struct Worker {
    scratch: Scratch,
    mask: Vec<u8>,
}

impl PictureCoder {
    pub(super) fn new(dataset: &SeriesDataset, style: &PlotStyle) -> Result<Self, CacheError> {
        Ok(Self {
            rasterizer: rasterizer(style, dataset.n_variates())?,
            workers: Pool::new(),
        })
    }

    /// Draws every sample and hands the codes of its pictures to `store`, in order, on the
    /// calling thread.
    ///
    /// Holds the codes of a few MB of masks for each thread, or of one sample if that is more.
    pub(super) fn encode_all(
        &self,
        samples: &[LabeledSeries],
        mut store: impl FnMut(&[Vec<u8>]) -> Result<(), CacheError>,
    ) -> Result<(), CacheError> {
        let Some(first) = samples.first() else {
            return Ok(());
        };
        let n_variates = first.series.n_variates();
        let of_thread = CHUNK_MASK_BYTES / self.mask_bytes();
        let n_pictures = of_thread.clamp(1, CHUNK_PICTURES) * rayon::current_num_threads();
        for chunk in samples.chunks((n_pictures / n_variates).max(1)) {
            let pictures = (0..chunk.len() * n_variates).into_par_iter();
            let codes: Vec<_> = pictures
                .map(|i| self.encode(&chunk[i / n_variates].series, i % n_variates))
                .collect();
            codes.chunks_exact(n_variates).try_for_each(&mut store)?;
        }
        Ok(())
    }

    /// The code of one picture.
    fn encode(&self, series: &Series, variate: usize) -> Vec<u8> {
        let mut coded = Vec::new();
        self.with_worker(|worker| self.encode_picture(worker, series, variate, &mut coded));
        coded
    }

    fn mask_bytes(&self) -> usize {
        self.rasterizer.style().side_px.pow(2)
    }

    fn encode_picture(
        &self,
        worker: &mut Worker,
        series: &Series,
        variate: usize,
        coded: &mut Vec<u8>,
    ) -> usize {
        let Worker { scratch, mask } = worker;
        self.rasterizer.draw(scratch, series, variate, mask);
        codec::encode(mask, self.rasterizer.style().side_px, coded)
    }

    fn with_worker<R>(&self, work: impl FnOnce(&mut Worker) -> R) -> R {
        let make = || Worker {
            scratch: self.rasterizer.scratch(),
            mask: vec![0; self.mask_bytes()],
        };
        self.workers.with(make, work)
    }

    pub(super) fn estimate(&self, samples: &[LabeledSeries]) -> BuildCost {
        let Some(first) = samples.first() else {
            return BuildCost {
                images: 0,
                bytes: 0,
                seconds: 0.0,
            };
        };
        let n_variates = first.series.n_variates();
        let images = samples.len() * n_variates;
        let mut coded = Vec::new();
        let mut bytes = 0;
        let mut trials = 0;
        let start = self.with_worker(|worker| {
            // The first picture fills the buffers; only those after it are timed.
            self.encode_picture(worker, &first.series, 0, &mut coded);
            let start = Instant::now();
            for sample in spread(samples.len(), TRIAL_SAMPLES) {
                let series = &samples[sample].series;
                for variate in spread(n_variates, TRIAL_VARIATES) {
                    coded.clear();
                    bytes += self.encode_picture(worker, series, variate, &mut coded);
                    trials += 1;
                }
            }
            start
        });
        let seconds = start.elapsed().as_secs_f64();
        let scale = images as f64 / f64::from(trials);
        BuildCost {
            images,
            bytes: whole_bytes(bytes as f64 * scale),
            seconds: seconds * scale / rayon::current_num_threads() as f64,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the mean size of a picture times their number is far from the limits of a u64"
)]
fn whole_bytes(bytes: f64) -> u64 {
    bytes.ceil() as u64
}

/// At most `most` numbers below `len`, spread evenly.
fn spread(len: usize, most: usize) -> impl Iterator<Item = usize> {
    let n = len.min(most);
    (0..n).map(move |i| i * len / n)
}
