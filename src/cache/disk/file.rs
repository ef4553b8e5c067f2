//! `StoreFile`: a store on disk that was found whole, read at positions and checked on every read.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::defect::{Section, StoreDefect};
use super::format::{self, FOOTER, Footer, HEADER_START, Index, StoreHeader};
use crate::cache::pool::Pool;
use crate::cache::{CacheError, codec};

/// A complete store, open for reading. Only its index is in memory.
///
/// Opening verifies every byte of the file, and every read verifies the record it reads, so that
/// a file that is damaged later, or cut off under the reader, is an error and never a picture.
#[derive(Debug)]
pub struct StoreFile {
    path: PathBuf,
    file: File,
    len: u64,
    header: StoreHeader,
    index: Index,
    records: Pool<Vec<u8>>,
}

impl StoreFile {
    /// Opens the store at `path` and verifies all of it, on all threads of the rayon pool.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`] if the file is not there or cannot be read; [`CacheError::Store`] if it
    /// is not a complete, undamaged store of this format.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, CacheError> {
        let store = Self::open_unverified(path.into(), |_| Ok(()))?;
        store.verify()?;
        Ok(store)
    }

    /// Opens a store whose header passes `check`; verifies all of it but its records.
    pub(super) fn open_unverified(
        path: PathBuf,
        check: impl FnOnce(&StoreHeader) -> Result<(), StoreDefect>,
    ) -> Result<Self, CacheError> {
        let (file, len) = open_file(&path)?;
        let at = |range: Range<u64>, section| read(&path, &file, range, section);
        let header = read_header(&path, &file, len)?;
        let header_len = header.to_bytes().len() as u64;
        let index = check(&header).and_then(|()| {
            let footer_at = len
                .checked_sub(FOOTER as u64)
                .filter(|&at| at >= header_len);
            footer_at.ok_or(StoreDefect::Truncated {
                section: Section::Records,
                len,
            })
        });
        let footer_at = index.map_err(CacheError::defect(&path))?;
        let bytes = at(footer_at..len, Section::Footer)?;
        let bytes = bytes
            .first_chunk::<FOOTER>()
            .expect("as many bytes were read");
        let footer = Footer::from_bytes(bytes, len, header.n_samples);
        let footer = footer.map_err(CacheError::defect(&path))?;
        let bytes = at(footer.index_at..footer_at, Section::Index)?;
        let index = Index::from_bytes(&bytes, &footer, &header, header_len);
        let index = index.map_err(CacheError::defect(&path))?;
        let records = Pool::new();
        Ok(Self {
            path,
            file,
            len,
            header,
            index,
            records,
        })
    }

    /// What the store holds.
    pub fn header(&self) -> &StoreHeader {
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

    /// Reads and checks every record.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`] and [`CacheError::Store`], of the first defect in the file that is met.
    pub fn verify(&self) -> Result<(), CacheError> {
        (0..self.header.n_samples)
            .into_par_iter()
            .try_for_each(|position| self.with_codes(position, |_| Ok(())))
    }

    /// Writes the masks of the sample at `position`.
    ///
    /// # Shapes
    ///
    /// - `masks`: `[n_variates, side_px, side_px]`
    ///
    /// # Errors
    ///
    /// [`CacheError::IndexOutOfRange`], [`CacheError::BufferLength`], and [`CacheError::Io`] or
    /// [`CacheError::Store`] if the record is not there any more as it was written.
    pub fn masks_into(&self, position: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        let StoreHeader {
            n_samples,
            n_variates,
            side_px,
            ..
        } = self.header;
        CacheError::check_index(position, n_samples)?;
        CacheError::check_masks(masks, n_variates, side_px)?;
        let id = self.index.ids[position];
        self.with_codes(position, |codes| {
            codec::decode_all(codes, side_px, masks)
                .map_err(|source| StoreDefect::Codes { id, source })
        })
    }

    /// Hands the codes of one sample, checked, to `work`.
    fn with_codes(
        &self,
        position: usize,
        work: impl FnOnce(&[u8]) -> Result<(), StoreDefect>,
    ) -> Result<(), CacheError> {
        let id = self.index.ids[position];
        let (start, end) = (self.index.bounds[position], self.index.bounds[position + 1]);
        self.records.with(Vec::new, |record| {
            read_into(&self.path, &self.file, start..end, Section::Records, record)?;
            format::codes_of(record, position, id)
                .ok_or(StoreDefect::Record { position, id })
                .and_then(work)
                .map_err(CacheError::defect(&self.path))
        })
    }
}

/// Opens a file for reading; returns its length too.
pub(super) fn open_file(path: &Path) -> Result<(File, u64), CacheError> {
    let file = File::open(path).map_err(CacheError::io("open", path))?;
    let metadata = file.metadata().map_err(CacheError::io("examine", path))?;
    if metadata.is_file() {
        Ok((file, metadata.len()))
    } else {
        Err(CacheError::defect(path)(StoreDefect::NotAStore))
    }
}

/// Reads the header of a store, complete or not, from an open file.
pub(super) fn read_header(path: &Path, file: &File, len: u64) -> Result<StoreHeader, CacheError> {
    let start = read(path, file, 0..len.min(HEADER_START as u64), Section::Header)?;
    let header_len = StoreHeader::len_from(&start, len).map_err(CacheError::defect(path))?;
    let bytes = read(path, file, 0..header_len as u64, Section::Header)?;
    StoreHeader::from_bytes(&bytes).map_err(CacheError::defect(path))
}

fn read(
    path: &Path,
    file: &File,
    range: Range<u64>,
    section: Section,
) -> Result<Vec<u8>, CacheError> {
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
) -> Result<(), CacheError> {
    let len = usize::try_from(range.end - range.start);
    let len = len.map_err(|_| CacheError::defect(path)(StoreDefect::Checksum(section)))?;
    bytes.resize(len, 0);
    read_exact_at(file, bytes, range.start).map_err(|error| match error.kind() {
        // The file was longer when it was opened.
        io::ErrorKind::UnexpectedEof => {
            let len = file.metadata().map_or(0, |metadata| metadata.len());
            CacheError::defect(path)(StoreDefect::Truncated { section, len })
        }
        _ => CacheError::io("read", path)(error),
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
