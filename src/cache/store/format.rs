//! The bytes of a store: header, records, index, footer. `docs/store-format.md` draws them.
//!
//! Nothing here touches a file. Every reader takes any bytes and returns a [`StoreDefect`] for
//! those that no writer of this version makes.

use std::ops::RangeInclusive;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::StoreKind;
use super::defect::{Section, StoreDefect};

/// Bytes of the header that say how long it is: magic, version, length.
pub(super) const HEADER_START: usize = 16;
const CHECKSUM: usize = 8;
/// Longest header that is read: a style text of a fixed range for each of a million variates.
const MAX_HEADER: usize = 64 << 20;
/// Bytes of a record besides its body: id, length, checksum.
pub(super) const RECORD_HEAD: usize = 16;
const RECORD_EXTRA: usize = RECORD_HEAD + CHECKSUM;
/// Bytes of an index entry: id, offset.
const INDEX_ENTRY: usize = 16;
pub(super) const FOOTER: usize = 40;

/// The bytes at the start of a store.
pub(super) fn header_bytes<K: StoreKind>(kind: &K) -> Vec<u8> {
    let len = HEADER_START + K::FIELDS_LEN + kind.text().len() + CHECKSUM;
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&K::MAGIC);
    bytes.extend_from_slice(&K::VERSION.to_le_bytes());
    bytes.extend_from_slice(&u32_bytes(len));
    bytes.extend_from_slice(&kind.fields());
    bytes.extend_from_slice(kind.text().as_bytes());
    bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
    bytes
}

/// Length of the header that begins with these bytes, of a file of `file_len` bytes.
///
/// # Errors
///
/// [`StoreDefect::NotAStore`], [`StoreDefect::Version`], [`StoreDefect::Truncated`].
pub(super) fn header_len<K: StoreKind>(start: &[u8], file_len: u64) -> Result<usize, StoreDefect> {
    let magic = K::MAGIC;
    let same = start.iter().zip(&magic).take_while(|(a, b)| a == b).count();
    if same < magic.len().min(start.len()) || start.is_empty() {
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
    if found != K::VERSION {
        return Err(StoreDefect::Version {
            found,
            supported: K::VERSION,
        });
    }
    let len = u32_at(fixed, 12) as usize;
    if !(HEADER_START + K::FIELDS_LEN + 1..MAX_HEADER).contains(&len) {
        Err(StoreDefect::Checksum(Section::Header))
    } else if len as u64 > file_len {
        Err(truncated)
    } else {
        Ok(len)
    }
}

/// Reads a header from exactly its bytes.
///
/// # Errors
///
/// [`StoreDefect::Checksum`].
pub(super) fn read_header<K: StoreKind>(bytes: &[u8]) -> Result<K, StoreDefect> {
    let whole = bytes
        .split_last_chunk::<CHECKSUM>()
        .filter(|(body, checksum)| xxh3_64(body) == u64::from_le_bytes(**checksum));
    let fields =
        whole.and_then(|(body, _)| body.get(HEADER_START..)?.split_at_checked(K::FIELDS_LEN));
    let kind = fields.and_then(|(fields, text)| {
        let kind = K::from_parts(fields, String::from_utf8(text.to_vec()).ok()?)?;
        record_lens(&kind).is_some().then_some(kind)
    });
    kind.ok_or(StoreDefect::Checksum(Section::Header))
}

/// How long a record can be, its head and checksum included; nothing if no such store can be.
pub(super) fn record_lens<K: StoreKind>(kind: &K) -> Option<RangeInclusive<u64>> {
    let bodies = kind.body_lens()?;
    let len = |body: u64| body.checked_add(RECORD_EXTRA as u64);
    Some(len(*bodies.start())?..=len(*bodies.end())?)
}

/// Bytes of a whole store whose records all have bodies of `body_len` bytes.
pub(crate) fn file_len<K: StoreKind>(kind: &K, body_len: u64) -> u64 {
    let sample = body_len + (RECORD_EXTRA + INDEX_ENTRY) as u64;
    header_bytes(kind).len() as u64 + kind.n_samples() as u64 * sample + FOOTER as u64
}

/// Writes the record of the sample at `position` into `record`, whose content is replaced.
pub(super) fn write_record(
    position: usize,
    id: u64,
    pieces: &[impl AsRef<[u8]>],
    record: &mut Vec<u8>,
) {
    let len: usize = pieces.iter().map(|piece| piece.as_ref().len()).sum();
    record.clear();
    record.extend_from_slice(&id.to_le_bytes());
    record.extend_from_slice(&(len as u64).to_le_bytes());
    for piece in pieces {
        record.extend_from_slice(piece.as_ref());
    }
    let checksum = xxh3_64_with_seed(record, position as u64);
    record.extend_from_slice(&checksum.to_le_bytes());
}

/// Bytes of the whole record that starts with these [`RECORD_HEAD`] bytes, and its id.
pub(super) fn record_head(head: &[u8; RECORD_HEAD]) -> (u64, u64) {
    let len = u64_at(head, 8).saturating_add(RECORD_EXTRA as u64);
    (len, u64_at(head, 0))
}

/// The body of the record of sample `id` at `position`, if it is whole and its own.
pub(super) fn body_of(record: &[u8], position: usize, id: u64) -> Option<&[u8]> {
    let (signed, checksum) = record.split_last_chunk::<CHECKSUM>()?;
    let (head, body) = signed.split_first_chunk::<RECORD_HEAD>()?;
    let whole = record_head(head) == (record.len() as u64, id)
        && xxh3_64_with_seed(signed, position as u64) == u64::from_le_bytes(*checksum);
    whole.then_some(body)
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
    pub(super) fn to_bytes<K: StoreKind>(&self) -> Vec<u8> {
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
        bytes.extend_from_slice(&K::END_MAGIC);
        bytes
    }

    /// Reads the index of a store from its bytes.
    ///
    /// # Errors
    ///
    /// [`StoreDefect::Checksum`] if the index is not that of the footer, or its records do not lie
    /// one behind the other between the header and the index.
    pub(super) fn from_bytes<K: StoreKind>(
        bytes: &[u8],
        footer: &Footer,
        kind: &K,
        header_len: u64,
    ) -> Result<Self, StoreDefect> {
        let mut index = Self::default();
        for entry in bytes.chunks_exact(INDEX_ENTRY) {
            index.ids.push(u64_at(entry, 0));
            index.bounds.push(u64_at(entry, 8));
        }
        index.bounds.push(footer.index_at);
        let in_order = record_lens(kind).is_some_and(|lens| {
            index.bounds.windows(2).all(|pair| {
                pair[1]
                    .checked_sub(pair[0])
                    .is_some_and(|len| lens.contains(&len))
            })
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
    pub(super) fn from_bytes<K: StoreKind>(
        bytes: &[u8; FOOTER],
        file_len: u64,
        n_samples: usize,
    ) -> Result<Self, StoreDefect> {
        let (fixed, end) = bytes.split_at(FOOTER - K::END_MAGIC.len());
        let whole = xxh3_64(&fixed[..24]) == u64_at(fixed, 24);
        match (whole, end == K::END_MAGIC) {
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

/// The bytes of a size in a header.
///
/// # Panics
///
/// If it does not fit in 32 bits.
pub(crate) fn u32_bytes(number: usize) -> [u8; 4] {
    let number = u32::try_from(number).expect("sizes and texts of a header fit in 32 bits");
    number.to_le_bytes()
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}
