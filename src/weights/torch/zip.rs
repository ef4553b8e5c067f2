//! The directory of a PyTorch archive: a zip file whose entries are stored, not compressed.
//!
//! This reads what `torch.save` writes and no other zip file. The `zip` crate reads every one: to
//! that end it searches damaged archives for signatures, in time quadratic in their length, and
//! reserves memory by the number of entries that a file claims to have.

use std::ops::Range;

use super::super::error::WeightsError;
use super::super::file::{MAX_DESCRIPTION, WeightFile};

const END: &[u8] = b"PK\x05\x06";
const END_LEN: u64 = 22;
const END_64: &[u8] = b"PK\x06\x06";
const END_64_LEN: u64 = 56;
const LOCATOR_64: &[u8] = b"PK\x06\x07";
const LOCATOR_64_LEN: u64 = 20;
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_LEN: usize = 46;
const LOCAL: &[u8] = b"PK\x03\x04";
const LOCAL_LEN: u64 = 30;
/// Says that a value stands in a wider field.
const ELSEWHERE: u32 = u32::MAX;

/// A stored entry.
#[derive(Debug)]
pub(super) struct ZipEntry {
    pub(super) name: String,
    /// Where its bytes are.
    pub(super) at: u64,
    pub(super) len: u64,
    pub(super) crc32: u32,
}

/// Reads the directory; no two entries share a byte.
pub(super) fn read_directory(file: &WeightFile) -> Result<Vec<ZipEntry>, WeightsError> {
    let malformed = |problem: &str| WeightsError::malformed(&file.path, problem);
    let directory = locate(file)?;
    if directory.end - directory.start > MAX_DESCRIPTION {
        return Err(malformed("the directory of the archive is too long"));
    }
    let bytes = file.read(directory.start, directory.end - directory.start)?;
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (entry, len) = parse_entry(rest).map_err(malformed)?;
        rest = &rest[len..];
        entries.push(find_bytes(file, entry)?);
    }
    entries.sort_by_key(|entry| entry.at);
    for pair in entries.windows(2) {
        if pair[0].at + pair[0].len > pair[1].at {
            let (one, other) = (&pair[0].name, &pair[1].name);
            let problem = format!("entries `{one}` and `{other}` of the archive overlap");
            return Err(malformed(&problem));
        }
    }
    Ok(entries)
}

/// Where the directory is. PyTorch writes no comment behind it.
fn locate(file: &WeightFile) -> Result<Range<u64>, WeightsError> {
    let malformed = |problem: &str| WeightsError::malformed(&file.path, problem);
    let end_at = file.len.checked_sub(END_LEN);
    let end_at = end_at.ok_or_else(|| malformed("it is too short for an archive"))?;
    let end = file.read(end_at, END_LEN)?;
    if !end.starts_with(END) {
        return Err(malformed(
            "it does not end as an archive of PyTorch does: it may be cut off",
        ));
    }
    let (mut len, mut start) = (u64::from(u32_at(&end, 12)), u64::from(u32_at(&end, 16)));
    let mut behind = end_at;
    if let Some(locator_at) = end_at.checked_sub(LOCATOR_64_LEN) {
        let locator = file.read(locator_at, LOCATOR_64_LEN)?;
        if locator.starts_with(LOCATOR_64) {
            behind = u64_at(&locator, 8);
            let end = file.read(behind, END_64_LEN)?;
            if !end.starts_with(END_64) {
                return Err(malformed("the archive has no 64-bit directory"));
            }
            (len, start) = (u64_at(&end, 40), u64_at(&end, 48));
        }
    }
    match start.checked_add(len) {
        Some(end) if end == behind => Ok(start..end),
        _ => Err(malformed(&format!(
            "the archive's directory of {len} bytes at {start} does not end at {behind}"
        ))),
    }
}

/// An entry of the directory, with its local header in the place of its bytes, and the length of
/// its description.
fn parse_entry(bytes: &[u8]) -> Result<(ZipEntry, usize), &'static str> {
    let fixed = bytes.get(..ENTRY_LEN).filter(|b| b.starts_with(ENTRY));
    let fixed = fixed.ok_or("the directory of the archive is cut off")?;
    let method = u16_at(fixed, 10);
    let flags = u16_at(fixed, 8);
    if method != 0 || flags & 1 != 0 {
        return Err("the archive has a compressed or encrypted entry, which PyTorch never writes");
    }
    let [name_len, extra_len, comment_len] = [28, 30, 32].map(|at| usize::from(u16_at(fixed, at)));
    let end = ENTRY_LEN + name_len + extra_len + comment_len;
    let variable = bytes.get(ENTRY_LEN..end);
    let variable = variable.ok_or("the directory of the archive is cut off")?;
    let name = String::from_utf8_lossy(&variable[..name_len]).into_owned();
    let mut wide = wide_fields(&variable[name_len..name_len + extra_len]);
    let mut value = |at: usize| match u32_at(fixed, at) {
        ELSEWHERE => wide.next().ok_or("an entry of the archive has no length"),
        value => Ok(u64::from(value)),
    };
    let (len, stored, at) = (value(24)?, value(20)?, value(42)?);
    if len != stored {
        return Err("a stored entry of the archive has two lengths");
    }
    let crc32 = u32_at(fixed, 16);
    let entry = ZipEntry {
        name,
        at,
        len,
        crc32,
    };
    Ok((entry, end))
}

/// The values of the 64-bit extra field.
fn wide_fields(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut fields: &[u8] = &[];
    while extra.len() >= 4 {
        let (id, len) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let end = (4 + len).min(extra.len());
        if id == 1 {
            fields = &extra[4..end];
            break;
        }
        extra = &extra[end..];
    }
    fields.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b))
}

/// Follows an entry to its bytes, behind its local header.
fn find_bytes(file: &WeightFile, mut entry: ZipEntry) -> Result<ZipEntry, WeightsError> {
    let malformed = |problem: String| WeightsError::malformed(&file.path, problem);
    let header = file.read(entry.at, LOCAL_LEN)?;
    if !header.starts_with(LOCAL) {
        let problem = format!("there is no entry `{}` at {}", entry.name, entry.at);
        return Err(malformed(problem));
    }
    let names = u64::from(u16_at(&header, 26)) + u64::from(u16_at(&header, 28));
    entry.at += LOCAL_LEN + names;
    match entry.at.checked_add(entry.len) {
        Some(end) if end <= file.len => Ok(entry),
        _ => Err(malformed(format!(
            "entry `{}` of {} bytes at {} is longer than the file of {}",
            entry.name, entry.len, entry.at, file.len
        ))),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The description of an entry whose lengths and place do not fit into 32 bits.
    fn wide_entry(extra: &[u8]) -> Vec<u8> {
        let len = u8::try_from(extra.len()).expect("a short field");
        let mut bytes = [ENTRY, &[0; 42]].concat();
        bytes[20..28].fill(0xff);
        bytes[42..46].fill(0xff);
        bytes[28] = 1;
        bytes[30] = len;
        [bytes.as_slice(), b"a", extra].concat()
    }

    #[test]
    fn lengths_and_places_beyond_32_bits_are_read() {
        let [len, at] = [5_u64 << 32, 7 << 32].map(u64::to_le_bytes);
        let other = [9, 0, 1, 0, 0xff];
        let extra = [other.as_slice(), &[1, 0, 24, 0], &len, &len, &at].concat();
        let bytes = wide_entry(&extra);
        let (entry, described) = parse_entry(&bytes).expect("a sound entry");
        assert_eq!((entry.len, entry.at), (5 << 32, 7 << 32));
        assert_eq!((entry.name.as_str(), described), ("a", bytes.len()));
        let cut = wide_entry(&extra[..extra.len() - 8]);
        assert!(parse_entry(&cut).is_err(), "a place that is not there");
    }
}
