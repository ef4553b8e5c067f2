//! The bytes of a store: header, records, index, footer. `docs/store-format.md` draws them.
//!
//! Nothing here touches a file. Every reader takes any bytes and returns a [`StoreDefect`] for
//! those that no writer of this version makes.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::defect::{Section, StoreDefect};
use crate::cache::ImageKey;
use crate::cache::codec::MAX_SIDE_PX;

/// First bytes of a store. A byte above 127, both line endings and an end-of-file mark show a
/// transfer that took the file for text.
pub(super) const MAGIC: [u8; 8] = *b"\x89TSIM\r\n\x1a";
/// Last bytes of a store that is complete.
const END_MAGIC: [u8; 8] = *b"TSIM-END";
/// The only version that is written and read.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Bytes in front of the style text: magic, version, header length, keys, sizes.
const FIXED_HEADER: usize = 64;
const CHECKSUM: usize = 8;
/// Bytes of the header that say how long it is.
pub(super) const HEADER_START: usize = 16;
/// Longest header that is read: a style text of a fixed range for each of a million variates.
const MAX_HEADER: usize = 64 << 20;
/// Bytes of a record besides the codes: id, length, checksum.
pub(super) const RECORD_HEAD: usize = 16;
pub(super) const RECORD_EXTRA: usize = RECORD_HEAD + CHECKSUM;
/// Bytes of an index entry: id, offset.
pub(super) const INDEX_ENTRY: usize = 16;
pub(super) const FOOTER: usize = 40;

/// Which pictures a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHeader {
    /// Identity of the pictures.
    pub key: ImageKey,
    /// Number of samples.
    pub n_samples: usize,
    /// Number of variates of every sample.
    pub n_variates: usize,
    /// Width and height of a picture in pixels.
    pub side_px: usize,
    /// The style, for people: every setting that changes a pixel, and the renderer's version.
    pub style: String,
}

impl StoreHeader {
    /// The bytes at the start of a store.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let len = FIXED_HEADER + self.style.len() + CHECKSUM;
        let mut bytes = Vec::with_capacity(len);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&u32_bytes(len));
        bytes.extend_from_slice(&self.key.series().to_le_bytes());
        bytes.extend_from_slice(&self.key.style().to_le_bytes());
        bytes.extend_from_slice(&(self.n_samples as u64).to_le_bytes());
        bytes.extend_from_slice(&u32_bytes(self.n_variates));
        bytes.extend_from_slice(&u32_bytes(self.side_px));
        bytes.extend_from_slice(self.style.as_bytes());
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        bytes
    }

    /// Length of the header that begins with these bytes, of a file of `file_len` bytes.
    ///
    /// # Errors
    ///
    /// [`StoreDefect::NotAStore`], [`StoreDefect::Version`], [`StoreDefect::Truncated`].
    pub(super) fn len_from(start: &[u8], file_len: u64) -> Result<usize, StoreDefect> {
        let same = start.iter().zip(&MAGIC).take_while(|(a, b)| a == b).count();
        if same < MAGIC.len().min(start.len()) || start.is_empty() {
            return Err(StoreDefect::NotAStore);
        }
        let truncated = StoreDefect::Truncated {
            section: Section::Header,
            len: file_len,
        };
        let fixed = start
            .first_chunk::<HEADER_START>()
            .ok_or(truncated.clone())?;
        let found = u32_at(fixed, 8);
        if found != FORMAT_VERSION {
            return Err(StoreDefect::Version {
                found,
                supported: FORMAT_VERSION,
            });
        }
        let len = u32_at(fixed, 12) as usize;
        match len {
            0..=FIXED_HEADER | MAX_HEADER.. => Err(StoreDefect::Checksum(Section::Header)),
            _ if len as u64 > file_len => Err(truncated),
            _ => Ok(len),
        }
    }

    /// Reads a header from exactly its bytes.
    ///
    /// # Errors
    ///
    /// [`StoreDefect::Checksum`].
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, StoreDefect> {
        let defect = StoreDefect::Checksum(Section::Header);
        let (body, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(defect.clone())?;
        if xxh3_64(body) != u64::from_le_bytes(*checksum) || body.len() < FIXED_HEADER {
            return Err(defect);
        }
        let header = Self {
            key: ImageKey::from_halves(u128_at(body, 16), u128_at(body, 32)),
            n_samples: usize::try_from(u64_at(body, 48)).map_err(|_| defect.clone())?,
            n_variates: u32_at(body, 56) as usize,
            side_px: u32_at(body, 60) as usize,
            style: String::from_utf8(body[FIXED_HEADER..].to_vec()).map_err(|_| defect.clone())?,
        };
        let sane = header.side_px <= MAX_SIDE_PX && header.checked_max_record().is_some();
        if sane { Ok(header) } else { Err(defect) }
    }

    /// Bytes of the longest record there can be: every picture dense.
    pub(super) fn max_record(&self) -> u64 {
        self.checked_max_record().unwrap_or(u64::MAX)
    }

    fn checked_max_record(&self) -> Option<u64> {
        let picture = 1 + (self.side_px as u64).checked_mul(self.side_px as u64)?;
        let codes = picture.checked_mul(self.n_variates as u64)?;
        codes.checked_add(RECORD_EXTRA as u64)
    }
}

/// Writes the record of the sample at `position` into `record`, whose content is replaced.
pub(super) fn write_record(position: usize, id: u64, codes: &[Vec<u8>], record: &mut Vec<u8>) {
    let len: usize = codes.iter().map(Vec::len).sum();
    record.clear();
    record.extend_from_slice(&id.to_le_bytes());
    record.extend_from_slice(&(len as u64).to_le_bytes());
    for code in codes {
        record.extend_from_slice(code);
    }
    let checksum = xxh3_64_with_seed(record, position as u64);
    record.extend_from_slice(&checksum.to_le_bytes());
}

/// Bytes of the whole record that starts with these [`RECORD_HEAD`] bytes, and its id.
pub(super) fn record_head(head: &[u8; RECORD_HEAD]) -> (u64, u64) {
    let len = u64_at(head, 8).saturating_add(RECORD_EXTRA as u64);
    (len, u64_at(head, 0))
}

/// The codes in the record of the sample at `position`; `None` unless it is whole and its own.
pub(super) fn codes_of(record: &[u8], position: usize, id: u64) -> Option<&[u8]> {
    let (body, checksum) = record.split_last_chunk::<CHECKSUM>()?;
    let (head, codes) = body.split_first_chunk::<RECORD_HEAD>()?;
    let whole = record_head(head) == (record.len() as u64, id)
        && xxh3_64_with_seed(body, position as u64) == u64::from_le_bytes(*checksum);
    whole.then_some(codes)
}

/// Where each sample's record is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// Ids of the samples, in order.
    pub(super) ids: Vec<u64>,
    /// Where each record starts, and where the last one ends.
    pub(super) bounds: Vec<u64>,
}

impl Index {
    /// No records yet, behind a header of `header_len` bytes.
    pub(super) fn new(header_len: u64) -> Self {
        Self {
            ids: Vec::new(),
            bounds: vec![header_len],
        }
    }

    /// Where the last record ends: the start of the index in the file.
    pub(super) fn end(&self) -> u64 {
        self.bounds.last().copied().unwrap_or_default()
    }

    pub(super) fn push(&mut self, id: u64, record_len: u64) {
        self.ids.push(id);
        self.bounds.push(self.end() + record_len);
    }

    /// The index and the footer: all that follows the records.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.ids.len() * INDEX_ENTRY + FOOTER);
        for (id, start) in self.ids.iter().zip(&self.bounds) {
            bytes.extend_from_slice(&id.to_le_bytes());
            bytes.extend_from_slice(&start.to_le_bytes());
        }
        let index_len = bytes.len();
        let file_len = self.end() + (index_len + FOOTER) as u64;
        let checksum = xxh3_64(&bytes);
        for number in [self.end(), file_len, checksum] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = xxh3_64(&bytes[index_len..]);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes.extend_from_slice(&END_MAGIC);
        bytes
    }

    /// Reads the index of a store from its bytes.
    ///
    /// # Errors
    ///
    /// [`StoreDefect::Checksum`] if the index is not that of the footer, or its records do not lie
    /// one behind the other between the header and the index.
    pub(super) fn from_bytes(
        bytes: &[u8],
        footer: &Footer,
        header: &StoreHeader,
        header_len: u64,
    ) -> Result<Self, StoreDefect> {
        let mut index = Self::default();
        for entry in bytes.chunks_exact(INDEX_ENTRY) {
            index.ids.push(u64_at(entry, 0));
            index.bounds.push(u64_at(entry, 8));
        }
        index.bounds.push(footer.index_at);
        let record_lens = RECORD_EXTRA as u64..=header.max_record();
        let mut pairs = index.bounds.windows(2);
        let in_order = pairs.all(|pair| {
            pair[1]
                .checked_sub(pair[0])
                .is_some_and(|len| record_lens.contains(&len))
        });
        if xxh3_64(bytes) == footer.index_checksum && in_order && index.bounds[0] == header_len {
            Ok(index)
        } else {
            Err(StoreDefect::Checksum(Section::Index))
        }
    }
}

/// The end of a complete store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    /// Where the index starts.
    pub(super) index_at: u64,
    index_checksum: u64,
}

impl Footer {
    /// Reads the last [`FOOTER`] bytes of a file of `file_len` bytes.
    ///
    /// # Errors
    ///
    /// [`StoreDefect::Truncated`] if these are not a footer, [`StoreDefect::Checksum`] if they
    /// are damaged, or are the footer of a file of another length or number of samples.
    pub(super) fn from_bytes(
        bytes: &[u8; FOOTER],
        file_len: u64,
        n_samples: usize,
    ) -> Result<Self, StoreDefect> {
        let (fixed, end) = bytes.split_at(FOOTER - END_MAGIC.len());
        let whole = xxh3_64(&fixed[..24]) == u64_at(fixed, 24);
        match (whole, end == END_MAGIC) {
            (false, false) => {
                let section = Section::Records;
                return Err(StoreDefect::Truncated {
                    section,
                    len: file_len,
                });
            }
            (true, true) if u64_at(fixed, 8) == file_len => {}
            _ => return Err(StoreDefect::Checksum(Section::Footer)),
        }
        let footer = Self {
            index_at: u64_at(fixed, 0),
            index_checksum: u64_at(fixed, 16),
        };
        let index_len = (n_samples as u64).checked_mul(INDEX_ENTRY as u64);
        let end = index_len.and_then(|len| len.checked_add(footer.index_at));
        if end.and_then(|end| end.checked_add(FOOTER as u64)) == Some(file_len) {
            Ok(footer)
        } else {
            Err(StoreDefect::Checksum(Section::Footer))
        }
    }
}

fn u32_bytes(number: usize) -> [u8; 4] {
    let number = u32::try_from(number).expect("sizes of pictures and styles fit in 32 bits");
    number.to_le_bytes()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}
