//! `StoreFile`: a store on disk that was found whole, read at positions and checked on every read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::defect::{Section, StoreDefect};
use super::format::{self, FOOTER, Footer, HEADER_START, Index};
use super::{Pool, StoreError, StoreKind};
use crate::files::IoError;

/// Bytes that are read at once when all of a store is verified, unless one record is longer: few
/// calls of the system, and still warm in the cache of the core when they are checked.
const VERIFY_BYTES: u64 = 256 << 10;

/// A complete store, open for reading. Only its index is in memory.
///
/// Opening verifies every byte of the file, and every read verifies the record it reads, so that
/// a file that is damaged later, or cut off under the reader, is an error and never served.
#[derive(Debug)]
pub struct StoreFile<K> {
    path: PathBuf,
    file: File,
    len: u64,
    header: K,
    index: Index,
    buffers: Pool<Vec<u8>>,
}

impl<K: StoreKind> StoreFile<K> {
    /// Opens the store at `path` and verifies all of it, on all threads of the rayon pool.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] if the file is not there or cannot be read; [`StoreError::Defect`] if it
    /// is not a complete, undamaged store of this kind and format; both as the kind's own error.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, K::Error> {
        let store = Self::open_unverified(path.into(), |_| Ok(()))?;
        store.check_records()?;
        Ok(store)
    }

    /// Opens and verifies the store at `path` if it is the `wanted` one.
    pub(crate) fn open_wanted(path: &Path, wanted: &K) -> Result<Self, StoreError> {
        let store = Self::open_unverified(path.to_owned(), |found| wanted.check(found))?;
        store.check_records()?;
        Ok(store)
    }

    /// Opens a store whose header passes `check`; verifies all of it but its records.
    pub(super) fn open_unverified(
        path: PathBuf,
        check: impl FnOnce(&K) -> Result<(), StoreDefect>,
    ) -> Result<Self, StoreError> {
        let (file, len) = open_file(&path)?;
        let at = |range: Range<u64>, section| read(&path, &file, range, section);
        let header: K = read_header(&path, &file, len)?;
        let header_len = format::header_bytes(&header).len() as u64;
        let footer_at = check(&header).and_then(|()| {
            let footer_at = len
                .checked_sub(FOOTER as u64)
                .filter(|&at| at >= header_len);
            footer_at.ok_or(StoreDefect::Truncated {
                section: Section::Records,
                len,
            })
        });
        let footer_at = footer_at.map_err(StoreError::defect(&path))?;
        let bytes = at(footer_at..len, Section::Footer)?;
        let bytes = bytes
            .first_chunk::<FOOTER>()
            .expect("as many bytes were read");
        let footer = Footer::from_bytes::<K>(bytes, len, header.n_samples());
        let footer = footer.map_err(StoreError::defect(&path))?;
        let bytes = at(footer.index_at..footer_at, Section::Index)?;
        let index = Index::from_bytes(&bytes, &footer, &header, header_len);
        let index = index.map_err(StoreError::defect(&path))?;
        Ok(Self {
            path,
            file,
            len,
            header,
            index,
            buffers: Pool::new(),
        })
    }

    /// What the store holds.
    pub fn header(&self) -> &K {
        &self.header
    }

    /// Bytes of the file.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Ids of the samples, in the order of their positions.
    pub fn ids(&self) -> &[u64] {
        &self.index.ids
    }

    /// Reads and checks every record, on all threads of the rayon pool.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] and [`StoreError::Defect`] as the kind's own error, of the first defect
    /// that is met.
    pub fn verify(&self) -> Result<(), K::Error> {
        Ok(self.check_records()?)
    }

    fn check_records(&self) -> Result<(), StoreError> {
        self.runs().into_par_iter().try_for_each(|run| {
            let start = self.index.bounds[run.start];
            self.with_bytes(start..self.index.bounds[run.end], |bytes| {
                run.into_iter().try_for_each(|position| {
                    let at = |bound: u64| usize::try_from(bound - start);
                    let bounds = &self.index.bounds[position..=position + 1];
                    let record = at(bounds[0]).ok().zip(at(bounds[1]).ok());
                    let record = record.and_then(|(start, end)| bytes.get(start..end));
                    self.body_at(position, record.unwrap_or_default()).map(drop)
                })
            })
        })
    }

    /// Positions of records that are read at once.
    fn runs(&self) -> Vec<Range<usize>> {
        let bounds = &self.index.bounds;
        let mut runs: Vec<Range<usize>> = Vec::new();
        for position in 0..self.index.ids.len() {
            match runs.last_mut() {
                Some(run) if bounds[position + 1] - bounds[run.start] <= VERIFY_BYTES => {
                    run.end = position + 1;
                }
                _ => runs.push(position..position + 1),
            }
        }
        runs
    }

    /// Hands the body of the record at `position`, checked, to `work`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] or [`StoreError::Defect`] if the record is not there any more as it was
    /// written; what `work` returns.
    ///
    /// # Panics
    ///
    /// If there is no such position.
    pub(crate) fn with_body<R>(
        &self,
        position: usize,
        work: impl FnOnce(&[u8]) -> Result<R, K::Error>,
    ) -> Result<R, K::Error> {
        self.with_record(position, work)
    }

    /// As [`with_body`](Self::with_body), for work that fails in another way.
    pub(super) fn with_record<R, E: From<StoreError>>(
        &self,
        position: usize,
        work: impl FnOnce(&[u8]) -> Result<R, E>,
    ) -> Result<R, E> {
        let range = self.index.bounds[position]..self.index.bounds[position + 1];
        self.with_bytes(range, |record| work(self.body_at(position, record)?))
    }

    fn body_at<'a>(&self, position: usize, record: &'a [u8]) -> Result<&'a [u8], StoreError> {
        let id = self.index.ids[position];
        format::body_of(record, position, id)
            .ok_or(StoreDefect::Record { position, id })
            .map_err(StoreError::defect(&self.path))
    }

    fn with_bytes<R, E: From<StoreError>>(
        &self,
        range: Range<u64>,
        work: impl FnOnce(&[u8]) -> Result<R, E>,
    ) -> Result<R, E> {
        self.buffers.with(Vec::new, |bytes| {
            read_into(&self.path, &self.file, range, Section::Records, bytes)?;
            work(bytes)
        })
    }
}

/// Opens a file for reading; returns its length too.
pub(super) fn open_file(path: &Path) -> Result<(File, u64), StoreError> {
    let file = File::open(path).map_err(IoError::at("open", path))?;
    let metadata = file.metadata().map_err(IoError::at("examine", path))?;
    if metadata.is_file() {
        Ok((file, metadata.len()))
    } else {
        Err(StoreError::defect(path)(StoreDefect::NotAStore))
    }
}

/// Reads the header of a store, complete or not, from an open file.
pub(super) fn read_header<K: StoreKind>(
    path: &Path,
    file: &File,
    len: u64,
) -> Result<K, StoreError> {
    let start = read(path, file, 0..len.min(HEADER_START as u64), Section::Header)?;
    let header_len = format::header_len::<K>(&start, len).map_err(StoreError::defect(path))?;
    let bytes = read(path, file, 0..header_len as u64, Section::Header)?;
    format::read_header(&bytes).map_err(StoreError::defect(path))
}

fn read(
    path: &Path,
    file: &File,
    range: Range<u64>,
    section: Section,
) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    read_into(path, file, range, section, &mut bytes)?;
    Ok(bytes)
}

fn read_into(
    path: &Path,
    file: &File,
    range: Range<u64>,
    section: Section,
    bytes: &mut Vec<u8>,
) -> Result<(), StoreError> {
    let len = usize::try_from(range.end - range.start);
    let len = len.map_err(|_| StoreError::defect(path)(StoreDefect::Checksum(section)))?;
    bytes.resize(len, 0);
    read_exact_at(file, bytes, range.start).map_err(|error| match error.kind() {
        // The file was longer when it was opened.
        io::ErrorKind::UnexpectedEof => {
            let len = file.metadata().map_or(0, |metadata| metadata.len());
            StoreError::defect(path)(StoreDefect::Truncated { section, len })
        }
        _ => IoError::at("read", path)(error).into(),
    })
}

#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => {
                bytes = &mut bytes[n..];
                offset += n as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
pub(super) fn read_exact_at(_: &File, _: &mut [u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
