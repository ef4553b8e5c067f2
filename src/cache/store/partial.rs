//! `Partial`: the file in which a store is built, resumed after a kill, and published.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::mem;
use std::path::{Path, PathBuf};

use super::file::read_exact_at;
use super::format::{self, Index, RECORD_HEAD};
use super::{StoreError, StoreKind, partial_path};
use crate::files::IoError;

/// Bytes after which what was written is made to last: what a loss of power can cost.
const SYNC_BYTES: u64 = 64 << 20;

/// The file in which a store is built: a header and the records up to some sample.
pub(super) struct Partial {
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
    pub(super) fn resume<K: StoreKind>(
        store: &Path,
        kind: &K,
        ids: &[u64],
    ) -> Result<Self, StoreError> {
        let path = partial_path(store);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(IoError::at("create", &path))?;
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

    /// Samples whose records are there.
    pub(super) fn n_records(&self) -> usize {
        self.index.ids.len()
    }

    /// Bytes of the header and the records that are there.
    pub(super) fn bytes(&self) -> u64 {
        self.index.end()
    }

    pub(super) fn append(
        &mut self,
        id: u64,
        pieces: &[impl AsRef<[u8]>],
    ) -> Result<(), StoreError> {
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
    pub(super) fn publish<K: StoreKind>(mut self, store: &Path) -> Result<(), StoreError> {
        self.write(&self.index.to_bytes::<K>())?;
        self.file.sync_all().map_err(self.io("write"))?;
        fs::rename(&self.path, store).map_err(IoError::at("replace", store))?;
        sync_folder(store).map_err(IoError::at("write the folder of", store))?;
        Ok(())
    }

    /// Removes the file.
    pub(super) fn discard(&self) {
        // What is at hand tells more than an error of removing the file.
        let _ = fs::remove_file(&self.path);
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        Ok(self.file.write_all(bytes).map_err(self.io("write"))?)
    }

    fn io(&self, action: &'static str) -> impl FnOnce(io::Error) -> IoError + use<> {
        IoError::at(action, &self.path)
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
