//! Builds a store beside its place, going on where a build before it ended, and publishes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::mem;
use std::path::{Path, PathBuf};

use super::file::{StoreFile, read_exact_at};
use super::format::{self, Index, RECORD_HEAD};
use super::lock::BuildLock;
use super::options::{BuildOptions, BuildPhase};
use super::{StoreDefect, StoreError, StoreKind, lock_path, partial_path};

/// Bytes after which what was written is made to last: what a loss of power can cost.
const SYNC_BYTES: u64 = 64 << 20;

/// Opens the store at `path`, or says what is wrong with it: nothing if there is none.
pub(crate) fn open_if_whole<K: StoreKind>(
    path: &Path,
    wanted: &K,
) -> Result<Result<StoreFile<K>, Option<StoreDefect>>, StoreError> {
    match StoreFile::open_wanted(path, wanted) {
        Ok(store) => Ok(Ok(store)),
        Err(StoreError::Defect { source, .. }) => Ok(Err(Some(source))),
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(Err(None))
        }
        Err(error) => Err(error),
    }
}

/// Builds and opens the store at `path`, whose samples have these `ids`; also returns how many
/// samples this process had to fill in.
///
/// Makes the folder, and waits as long as another process builds the same store. Then `fill`
/// appends the records that are not there yet. On an error, what was written stays beside the
/// place of the store, for the next build to go on with; only a budget that is used up removes it.
pub(crate) fn build<K: StoreKind>(
    path: &Path,
    wanted: &K,
    ids: &[u64],
    options: &mut BuildOptions<'_>,
    fill: impl FnOnce(&mut Builder<'_, '_, K>) -> Result<(), K::Error>,
) -> Result<(StoreFile<K>, usize), K::Error> {
    let total = wanted.n_samples() * wanted.n_variates();
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
    let _lock = BuildLock::wait(&lock_path(path), || {
        options.report(BuildPhase::Waiting, 0, total)
    })?;
    // The process that held the lock may have built the very store.
    if let Ok(store) = open_if_whole(path, wanted)? {
        return Ok((store, 0));
    }
    let mut builder = Builder {
        partial: Partial::resume(path, wanted, ids)?,
        kind: wanted,
        ids,
        options,
    };
    let resumed = builder.n_done();
    builder.report()?;
    if let Err(error) = fill(&mut builder) {
        if builder.check_budget().is_err() {
            // The error at hand tells more than one of removing the file.
            let _ = fs::remove_file(&builder.partial.path);
        }
        return Err(error);
    }
    let filled = builder.n_done();
    assert_eq!(
        filled,
        ids.len(),
        "{filled} of {} samples were filled in",
        ids.len()
    );
    builder.partial.publish::<K>(path)?;
    Ok((StoreFile::open_wanted(path, wanted)?, filled - resumed))
}

/// Takes the records of a store that is being built, in order.
pub(crate) struct Builder<'a, 'o, K> {
    partial: Partial,
    kind: &'a K,
    ids: &'a [u64],
    options: &'a mut BuildOptions<'o>,
}

impl<K: StoreKind> Builder<'_, '_, K> {
    /// Samples whose records are there: the position of the next one.
    pub(crate) fn n_done(&self) -> usize {
        self.partial.index.ids.len()
    }

    /// Appends the record of the next sample; its body is all `pieces`, one behind the other.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::OverBudget`], [`StoreError::Cancelled`].
    pub(crate) fn append(&mut self, pieces: &[impl AsRef<[u8]>]) -> Result<(), StoreError> {
        self.partial.append(self.ids[self.n_done()], pieces)?;
        self.check_budget()?;
        self.report()
    }

    fn check_budget(&self) -> Result<(), StoreError> {
        self.options.check_budget(self.partial.index.end())
    }

    fn report(&mut self) -> Result<(), StoreError> {
        let n_variates = self.kind.n_variates();
        let (done, total) = (self.n_done() * n_variates, self.ids.len() * n_variates);
        self.options.report(K::PHASE, done, total)
    }
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
    fn resume<K: StoreKind>(store: &Path, kind: &K, ids: &[u64]) -> Result<Self, StoreError> {
        let path = partial_path(store);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options
            .open(&path)
            .map_err(StoreError::io("create", &path))?;
        let header = format::header_bytes(kind);
        let mut partial = Self {
            file,
            path,
            index: Index::new(header.len() as u64),
            synced: 0,
            record: Vec::new(),
        };
        let whole = partial.scan(kind, ids).map_err(partial.io("read"))?;
        if !whole {
            partial.file.set_len(0).map_err(partial.io("empty"))?;
            partial.write(&header)?;
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
    fn scan<K: StoreKind>(&mut self, kind: &K, ids: &[u64]) -> io::Result<bool> {
        let expected = format::header_bytes(kind);
        let mut bytes = vec![0; expected.len()];
        if !read_if_there(&self.file, &mut bytes, 0)? || bytes != expected {
            return Ok(false);
        }
        let lens = format::record_lens(kind);
        for (position, &expected) in ids.iter().enumerate() {
            let mut head = [0; RECORD_HEAD];
            if !read_if_there(&self.file, &mut head, self.index.end())? {
                break;
            }
            let (len, id) = format::record_head(&head);
            if id != expected || !lens.as_ref().is_some_and(|lens| lens.contains(&len)) {
                break;
            }
            bytes.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
            if !read_if_there(&self.file, &mut bytes, self.index.end())?
                || format::body_of(&bytes, position, id).is_none()
            {
                break;
            }
            self.index.push(id, len);
        }
        Ok(true)
    }

    fn append(&mut self, id: u64, pieces: &[impl AsRef<[u8]>]) -> Result<(), StoreError> {
        let mut record = mem::take(&mut self.record);
        format::write_record(self.index.ids.len(), id, pieces, &mut record);
        self.write(&record)?;
        self.index.push(id, record.len() as u64);
        self.record = record;
        if self.index.end() - self.synced >= SYNC_BYTES {
            self.file.sync_data().map_err(self.io("write"))?;
            self.synced = self.index.end();
        }
        Ok(())
    }

    /// Completes the file and gives it its name: from then on it is the store, all or nothing.
    fn publish<K: StoreKind>(mut self, store: &Path) -> Result<(), StoreError> {
        self.write(&self.index.to_bytes::<K>())?;
        self.file.sync_all().map_err(self.io("write"))?;
        fs::rename(&self.path, store).map_err(StoreError::io("replace", store))?;
        sync_folder(store).map_err(StoreError::io("write the folder of", store))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(self.io("write"))
    }

    fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> StoreError + use<> {
        StoreError::io(action, &self.path)
    }
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
