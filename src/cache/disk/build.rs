//! Builds a store beside its place, going on where a build before it ended, and publishes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::mem;
use std::path::{Path, PathBuf};

use super::file::read_exact_at;
use super::format::{self, Index, RECORD_HEAD, StoreHeader};
use crate::cache::CacheError;
use crate::cache::build::{BuildOptions, BuildPhase, PictureCoder};
use crate::series::{LabeledSeries, SeriesDataset};

/// Bytes after which what was written is made to last: what a loss of power can cost.
const SYNC_BYTES: u64 = 64 << 20;

/// Builds the store of `dataset` at `path`; returns how many pictures had to be drawn.
///
/// The caller holds the lock. On an error, what was written stays beside the place of the store,
/// for the next build to go on with; only a budget that is used up removes it.
pub(super) fn build(
    path: &Path,
    header: &StoreHeader,
    dataset: &SeriesDataset,
    coder: &PictureCoder,
    options: &mut BuildOptions<'_>,
) -> Result<usize, CacheError> {
    let mut partial = Partial::resume(path, header, dataset.samples())?;
    let resumed = partial.index.ids.len();
    let n_variates = dataset.n_variates();
    let total = dataset.len() * n_variates;
    options.report(BuildPhase::Drawing, resumed * n_variates, total)?;
    let written = coder.encode_all(&dataset.samples()[resumed..], |sample, codes| {
        partial.append(sample, codes)?;
        options.check_budget(partial.index.end())?;
        options.report(
            BuildPhase::Drawing,
            partial.index.ids.len() * n_variates,
            total,
        )
    });
    if let Err(error) = written {
        if matches!(error, CacheError::OverBudget { .. }) {
            // The error at hand tells more than one of removing the file.
            let _ = fs::remove_file(&partial.path);
        }
        return Err(error);
    }
    partial.publish(path)?;
    Ok(total - resumed * n_variates)
}

/// The file in which a store is built: a header and the records up to some sample.
struct Partial {
    file: File,
    path: PathBuf,
    index: Index,
    /// Bytes that surely last.
    synced: u64,
    /// The record that was written last, for its room.
    record: Vec<u8>,
}

impl Partial {
    /// Opens the file of a build that did not end, or makes it; cuts off what is not whole.
    fn resume(
        store: &Path,
        header: &StoreHeader,
        samples: &[LabeledSeries],
    ) -> Result<Self, CacheError> {
        let path = partial_path(store);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options
            .open(&path)
            .map_err(CacheError::io("create", &path))?;
        let index = Index::new(header.to_bytes().len() as u64);
        let mut partial = Self {
            file,
            path,
            index,
            synced: 0,
            record: Vec::new(),
        };
        let whole = partial.scan(header, samples).map_err(partial.io("read"))?;
        if !whole {
            partial.file.set_len(0).map_err(partial.io("empty"))?;
            partial.write(&header.to_bytes())?;
        }
        let end = partial.index.end();
        partial.file.set_len(end).map_err(partial.io("shorten"))?;
        partial
            .file
            .seek(SeekFrom::Start(end))
            .map_err(partial.io("read"))?;
        Ok(partial)
    }

    /// Finds the records that are whole; false if not even the header is.
    fn scan(&mut self, header: &StoreHeader, samples: &[LabeledSeries]) -> io::Result<bool> {
        let expected = header.to_bytes();
        let mut bytes = vec![0; expected.len()];
        if !read_if_there(&self.file, &mut bytes, 0)? || bytes != expected {
            return Ok(false);
        }
        for (position, sample) in samples.iter().enumerate() {
            let mut head = [0; RECORD_HEAD];
            if !read_if_there(&self.file, &mut head, self.index.end())? {
                break;
            }
            let (len, id) = format::record_head(&head);
            if len > header.max_record() || id != sample.id {
                break;
            }
            bytes.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
            if !read_if_there(&self.file, &mut bytes, self.index.end())?
                || format::codes_of(&bytes, position, id).is_none()
            {
                break;
            }
            self.index.push(id, len);
        }
        Ok(true)
    }

    fn append(&mut self, sample: &LabeledSeries, codes: &[Vec<u8>]) -> Result<(), CacheError> {
        let mut record = mem::take(&mut self.record);
        format::write_record(self.index.ids.len(), sample.id, codes, &mut record);
        self.write(&record)?;
        self.index.push(sample.id, record.len() as u64);
        self.record = record;
        if self.index.end() - self.synced >= SYNC_BYTES {
            self.file.sync_data().map_err(self.io("write"))?;
            self.synced = self.index.end();
        }
        Ok(())
    }

    /// Completes the file and gives it its name: from then on it is the store, all or nothing.
    fn publish(mut self, store: &Path) -> Result<(), CacheError> {
        self.write(&self.index.to_bytes())?;
        self.file.sync_all().map_err(self.io("write"))?;
        fs::rename(&self.path, store).map_err(CacheError::io("replace", store))?;
        sync_folder(store).map_err(CacheError::io("write the folder of", store))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), CacheError> {
        self.file.write_all(bytes).map_err(self.io("write"))
    }

    fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> CacheError + use<> {
        CacheError::io(action, &self.path)
    }
}

/// The file in which the store at `path` is built.
pub(super) fn partial_path(store: &Path) -> PathBuf {
    store.with_added_extension("partial")
}

/// Fills `bytes`, or returns false if the file ends before.
fn read_if_there(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<bool> {
    match read_exact_at(file, bytes, offset) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes a renaming in the folder of `path` last.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Elsewhere a folder cannot be opened; the system orders its own records.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
