//! `OnDiskImages`: every picture drawn once for all runs, in one file for each set and style.
//!
//! `docs/store-format.md` draws the file byte by byte.

mod header;

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub use header::StoreHeader;

pub use crate::cache::store::{Section, StoreDefect};

use super::build::PictureCoder;
use super::{BuildOptions, CacheError, CacheStats, CachedImageDataset, ImageKey, codec};
use crate::cache::store::{self, Builder, BuiltShard, Shard, ShardHeader};
use crate::data::{LabeledSeries, SampleError, SampleSource, SeriesDataset};
use crate::raster::PlotStyle;

/// A complete store of pictures, open for reading. Only its index is in memory.
pub type StoreFile = store::StoreFile<StoreHeader>;

/// A store of pictures in a folder, or a shard of one, complete or not, told by its name and its first
/// bytes.
pub type FoundStore = store::FoundStore<StoreHeader>;

/// All pictures of a data set in a file, built once and read at positions.
///
/// Memory holds the series and 16 bytes a sample, so that sets larger than memory work. The file
/// is named by the [`ImageKey`]: other series, another style or renderer have another file. It is
/// verified as a whole when it is opened and again, record by record, when it is read.
///
/// Building is safe against being killed and against other processes that build the same store:
/// one of them draws, the others wait and read. Until a store is complete it has another name.
#[derive(Debug)]
pub struct OnDiskImages {
    dataset: Arc<SeriesDataset>,
    store: StoreFile,
    replaced: Option<StoreDefect>,
    build_seconds: f64,
    drawn: usize,
    hits: AtomicU64,
}

impl OnDiskImages {
    /// Opens the store of `dataset` in `style` that is in `folder`; never builds one.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`] if there is no such store or it cannot be read, [`CacheError::Store`] if
    /// it is damaged, cut off, of another format version, or holds other pictures.
    pub fn open(
        folder: impl AsRef<Path>,
        dataset: impl Into<Arc<SeriesDataset>>,
        style: &PlotStyle,
    ) -> Result<Self, CacheError> {
        let (start, dataset) = (Instant::now(), dataset.into());
        let header = StoreHeader::of(&dataset, style);
        let store = StoreFile::open_wanted(&store_path(folder.as_ref(), header.key), &header)?;
        Ok(Self {
            dataset,
            store,
            replaced: None,
            build_seconds: start.elapsed().as_secs_f64(),
            drawn: 0,
            hits: AtomicU64::new(0),
        })
    }

    /// Opens the store of `dataset` in `style` that is in `folder`; builds it if there is none.
    ///
    /// A store with a defect is built anew: [`replaced`](Self::replaced) tells which. A build that
    /// did not end is resumed. What whole shards hold is not drawn again, and they are removed
    /// when the store is there. If another process builds this store, waits for it, with the
    /// progress in [`BuildPhase::Waiting`](super::BuildPhase::Waiting). Draws on all threads of the
    /// current rayon pool, and holds a few MB of coded pictures, or those of one sample for each
    /// thread if that is more.
    ///
    /// # Errors
    ///
    /// [`CacheError::Raster`], [`CacheError::OverBudget`] and [`CacheError::Cancelled`];
    /// [`CacheError::Io`] if the folder or a file in it cannot be written or read. Whatever
    /// happens, no incomplete store is left under the name of a store.
    pub fn open_or_build(
        folder: impl AsRef<Path>,
        dataset: impl Into<Arc<SeriesDataset>>,
        style: &PlotStyle,
        mut options: BuildOptions<'_>,
    ) -> Result<Self, CacheError> {
        let (start, dataset) = (Instant::now(), dataset.into());
        let header = StoreHeader::of(&dataset, style);
        let path = store_path(folder.as_ref(), header.key);
        let (store, replaced, n_made) = match store::open_if_whole(&path, &header)? {
            Ok(store) => (store, None, 0),
            Err(replaced) => {
                let coder = PictureCoder::new(&dataset, style)?;
                options.check_budget(coder.estimate(dataset.samples()).bytes)?;
                let draw = drawing(&coder, &dataset);
                let built = store::build(&path, &header, &ids(&dataset), &mut options, draw)?;
                (built.store, replaced.or(built.defect), built.n_made)
            }
        };
        Ok(Self {
            drawn: n_made * dataset.n_variates(),
            dataset,
            store,
            replaced,
            build_seconds: start.elapsed().as_secs_f64(),
            hits: AtomicU64::new(0),
        })
    }

    /// Draws the pictures of one shard of the store of `dataset` in `style` into a file of its own.
    ///
    /// Shards are drawn by as many processes as there are, on machines that share `folder` or in
    /// folders whose files are put together afterwards. [`store::join`], or
    /// [`open_or_build`](Self::open_or_build), makes of them the store, byte for byte that of a build
    /// in one go. A shard that is there is found, one with a defect is built anew, a build that did
    /// not end is resumed, and of two processes with the same shard one waits. If the whole
    /// store is there, nothing is drawn.
    ///
    /// # Errors
    ///
    /// Those of [`open_or_build`](Self::open_or_build); the budget is one for the shard.
    pub fn build_shard(
        folder: impl AsRef<Path>,
        dataset: &SeriesDataset,
        style: &PlotStyle,
        shard: Shard,
        mut options: BuildOptions<'_>,
    ) -> Result<BuiltShard, CacheError> {
        let whole = StoreHeader::of(dataset, style);
        let path = store_path(folder.as_ref(), whole.key);
        let header = ShardHeader { whole, shard };
        let replaced = match store::find_shard(&path, &header)? {
            Ok(found) => return Ok(found),
            Err(replaced) => replaced,
        };
        let coder = PictureCoder::new(dataset, style)?;
        let samples = &dataset.samples()[shard.range(dataset.len())];
        options.check_budget(coder.estimate(samples).bytes)?;
        let draw = drawing(&coder, dataset);
        let built = store::build_shard(&path, &header, &ids(dataset), &mut options, draw)?;
        Ok(BuiltShard { replaced, ..built })
    }

    /// The file of the pictures.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// What was wrong with the store, or with a shard of it, that was found first and is replaced by
    /// now.
    pub fn replaced(&self) -> Option<&StoreDefect> {
        self.replaced.as_ref()
    }
}

impl SampleSource for OnDiskImages {
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

impl CachedImageDataset for OnDiskImages {
    fn side_px(&self) -> usize {
        self.store.header().side_px
    }

    fn masks_into(&self, index: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        self.store.masks_into(index, masks)?;
        self.hits
            .fetch_add(self.n_variates() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn key(&self) -> ImageKey {
        self.store.header().key
    }

    fn stats(&self) -> CacheStats {
        CacheStats {
            kind: "disk",
            images: self.n_samples() * self.n_variates(),
            bytes: self.store.bytes(),
            build_seconds: self.build_seconds,
            hits: self.hits.load(Ordering::Relaxed),
            drawn: self.drawn as u64,
        }
    }
}

fn ids(dataset: &SeriesDataset) -> Vec<u64> {
    dataset.samples().iter().map(|sample| sample.id).collect()
}

/// Draws the samples at some positions, and appends them.
fn drawing<'a>(
    coder: &'a PictureCoder,
    dataset: &'a SeriesDataset,
) -> impl FnMut(&mut Builder<'_, '_>, Range<usize>) -> Result<(), CacheError> + 'a {
    |store, samples| {
        coder.encode_all(
            &dataset.samples()[samples],
            |codes| Ok(store.append(codes)?),
        )
    }
}

/// The file in `folder` that is, or would be, the store of the pictures with this key.
pub fn store_path(folder: &Path, key: ImageKey) -> PathBuf {
    store::path_of::<StoreHeader>(folder, key)
}

/// The stores of pictures in `folder` and their shards, complete or not, by name; other files are passed over.
///
/// # Errors
///
/// [`CacheError::Io`] if the folder or a file that is named like a store cannot be read.
pub fn find_stores(folder: impl AsRef<Path>) -> Result<Vec<FoundStore>, CacheError> {
    store::find_stores(folder)
}

impl StoreFile {
    /// Writes the masks of the sample at `position`.
    ///
    /// # Shapes
    ///
    /// - `masks`: `[n_variates, side_px, side_px]`
    ///
    /// # Errors
    ///
    /// [`CacheError::IndexOutOfRange`], [`CacheError::BufferLength`], and [`CacheError::Io`] or
    /// [`CacheError::Store`] if the record is not there any more as it was written;
    /// [`CacheError::Codec`] if it is, but holds no pictures: a store of a faulty writer.
    pub fn masks_into(&self, position: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        let StoreHeader {
            n_samples,
            n_variates,
            side_px,
            ..
        } = *self.header();
        CacheError::check_index(position, n_samples)?;
        CacheError::check_masks(masks, n_variates, side_px)?;
        let id = self.ids()[position];
        self.with_body(position, |codes| {
            codec::decode_all(codes, side_px, masks)
                .map_err(|source| CacheError::Codec { id, source })
        })
    }
}
