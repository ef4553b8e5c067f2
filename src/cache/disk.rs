//! `OnDiskImages`: every picture drawn once for all runs, in one file for each set and style.
//!
//! `docs/store-format.md` draws the file byte by byte.

mod build;
mod defect;
mod file;
mod format;
mod lock;
mod prune;

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub use defect::{Section, StoreDefect};
pub use file::StoreFile;
pub use format::StoreHeader;
pub use prune::{FoundStore, find_stores};

use self::lock::BuildLock;
use super::build::{BuildOptions, BuildPhase, PictureCoder};
use super::key::style_text;
use super::{CacheError, CacheStats, CachedImageDataset, ImageKey};
use crate::raster::PlotStyle;
use crate::series::{LabeledSeries, SeriesDataset};

/// Ending of the name of a store.
const EXTENSION: &str = "tsim";

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
        let header = header_of(&dataset, style);
        let store = open_store(&store_path(folder.as_ref(), header.key), &header)?;
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
    /// did not end is gone on with. If another process builds this store, waits for it, with the
    /// progress in [`BuildPhase::Waiting`]. Draws on all threads of the current rayon pool, and
    /// holds a few MB of coded pictures, or those of one sample for each thread if that is more.
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
        let (start, dataset, folder) = (Instant::now(), dataset.into(), folder.as_ref());
        let header = header_of(&dataset, style);
        let path = store_path(folder, header.key);
        let opened = |store, replaced, drawn| Self {
            dataset: Arc::clone(&dataset),
            store,
            replaced,
            build_seconds: start.elapsed().as_secs_f64(),
            drawn,
            hits: AtomicU64::new(0),
        };
        let replaced = match open_if_whole(&path, &header)? {
            Ok(store) => return Ok(opened(store, None, 0)),
            Err(replaced) => replaced,
        };
        let coder = PictureCoder::new(&dataset, style)?;
        let cost = coder.estimate(&dataset);
        options.check_budget(cost.bytes)?;
        fs::create_dir_all(folder).map_err(CacheError::io("create", folder))?;
        let _lock = BuildLock::wait(&lock_path(&path), || {
            options.report(BuildPhase::Waiting, 0, cost.images)
        })?;
        // The process that held the lock may have built the very store.
        let (store, drawn) = match open_if_whole(&path, &header)? {
            Ok(store) => (store, 0),
            Err(_) => {
                let drawn = build::build(&path, &header, &dataset, &coder, &mut options)?;
                (open_store(&path, &header)?, drawn)
            }
        };
        Ok(opened(store, replaced, drawn))
    }

    /// The file of the pictures.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// What was wrong with the store that was found first and is replaced by now.
    pub fn replaced(&self) -> Option<&StoreDefect> {
        self.replaced.as_ref()
    }
}

impl CachedImageDataset for OnDiskImages {
    fn n_samples(&self) -> usize {
        self.dataset.len()
    }

    fn n_variates(&self) -> usize {
        self.dataset.n_variates()
    }

    fn side_px(&self) -> usize {
        self.store.header().side_px
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, CacheError> {
        CacheError::check_index(index, self.n_samples())?;
        Ok(Cow::Borrowed(&self.dataset.samples()[index]))
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

/// The file in `folder` that is, or would be, the store of the pictures with this key.
pub fn store_path(folder: &Path, key: ImageKey) -> PathBuf {
    folder.join(format!("{key}.{EXTENSION}"))
}

fn lock_path(store: &Path) -> PathBuf {
    store.with_added_extension("lock")
}

fn header_of(dataset: &SeriesDataset, style: &PlotStyle) -> StoreHeader {
    StoreHeader {
        key: ImageKey::of(dataset, style),
        n_samples: dataset.len(),
        n_variates: dataset.n_variates(),
        side_px: style.side_px,
        style: style_text(style),
    }
}

/// Opens and verifies the store at `path` if it is the `wanted` one.
fn open_store(path: &Path, wanted: &StoreHeader) -> Result<StoreFile, CacheError> {
    let store = StoreFile::open_unverified(path.to_owned(), |found| {
        if found.key.series() != wanted.key.series() {
            let (found, expected) = (found.n_samples, wanted.n_samples);
            Err(StoreDefect::OtherSeries { found, expected })
        } else if found != wanted {
            let (found, expected) = (found.style.clone(), wanted.style.clone());
            Err(StoreDefect::OtherStyle { found, expected })
        } else {
            Ok(())
        }
    })?;
    store.verify()?;
    Ok(store)
}

/// Opens the store at `path`, or says what is wrong with it: nothing if there is none.
fn open_if_whole(
    path: &Path,
    wanted: &StoreHeader,
) -> Result<Result<StoreFile, Option<StoreDefect>>, CacheError> {
    match open_store(path, wanted) {
        Ok(store) => Ok(Ok(store)),
        Err(CacheError::Store { source, .. }) => Ok(Err(Some(source))),
        Err(CacheError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(Err(None))
        }
        Err(error) => Err(error),
    }
}
