//! Reads `.npz` archives: `X`, `y` and what else there is for each sample.

use std::io::{Cursor, Read};
use std::path::Path;

use flate2::read::DeflateDecoder;

use super::error::shortened;
use super::npy::{Array, samples};
use super::options::{Labels, ReadOptions};
use super::sample::{About, Facts, Source};
use super::source::Opened;
use super::text::set_name;
use super::{Place, ReadError};

/// Usual names of the arrays; the first one that is there is taken.
const VALUES: &[&str] = &["X", "x", "data", "series", "arr_0"];
const LABELS: &[&str] = &["y", "Y", "labels", "label", "target", "arr_1"];
const IDS: &[&str] = &["id", "ids"];
const GROUPS: &[&str] = &["group", "groups"];
const WEIGHTS: &[&str] = &["weight", "weights"];
const VARIATES: &[&str] = &["variates", "variate_names", "channels", "feature_names"];

/// Deflate makes at most about a thousand times the bytes of what it packs.
const MOST_EXPANSION: u64 = 1100;

/// Texts for each sample, from arrays beside that of the values.
#[derive(Default)]
pub(super) struct Columns {
    ids: Vec<Vec<String>>,
    groups: Option<Vec<String>>,
    weights: Option<Vec<f32>>,
}

impl Columns {
    /// What is known of a sample, which is asked for once.
    pub(super) fn take(&mut self, row: usize) -> About {
        let take = |column: &mut Vec<String>| std::mem::take(&mut column[row]);
        About {
            ids: self.ids.iter_mut().map(take).collect(),
            group: self.groups.as_mut().map(take),
            weight: self.weights.as_ref().map(|weights| weights[row]),
        }
    }
}

/// Reads an `.npz` archive.
pub(super) fn read<'a>(
    opened: Opened<'a>,
    options: &ReadOptions,
) -> Result<Box<dyn Source + 'a>, ReadError> {
    let file = opened.file;
    let mut bytes = Vec::new();
    let mut reader = opened.reader;
    reader
        .read_to_end(&mut bytes)
        .map_err(ReadError::io(&file))?;
    let members = members(&bytes).map_err(|found| {
        Place::file(&file).found(found, "a zip archive as `numpy.savez` writes it")
    })?;
    let archive = Archive {
        file: &file,
        bytes: &bytes,
        members,
    };
    let facts = Facts {
        name: set_name(&file),
        ..Facts::default()
    };
    let values = archive.choose(VALUES, None, "the values")?;
    let values = values.ok_or_else(|| archive.lacks("`X`, the values of the samples"))?;
    let mut source = samples(archive.array(&values)?, options, facts)?;
    let n = source.n_samples();
    archive.labels(&mut source, options)?;
    let names = |option: &Option<String>| option.clone().into_iter().collect::<Vec<_>>();
    for (name, ids) in archive.columns(IDS, &options.id_columns, n)? {
        source.facts().ids.push(name);
        source.about.ids.push(ids);
    }
    if let Some((name, groups)) = archive
        .columns(GROUPS, &names(&options.group_column), n)?
        .pop()
    {
        source.facts().group = Some(name);
        source.about.groups = Some(groups);
    }
    if let Some((name, texts)) = archive
        .columns(WEIGHTS, &names(&options.weight_column), n)?
        .pop()
    {
        let weight = |text: &String| {
            text.parse()
                .ok()
                .filter(|w: &f32| w.is_finite() && *w >= 0.0)
        };
        let weights: Option<Vec<f32>> = texts.iter().map(weight).collect();
        let place = || Place::file(&file).field(format!("array `{name}`"));
        let wrong = || place().found("what is no weight", "numbers of at least 0");
        source.about.weights = Some(weights.ok_or_else(wrong)?);
        source.facts().weight = Some(name);
    }
    if let Some(name) = archive.choose(VARIATES, None, "the names of the variates")? {
        let array = archive.array(&name)?;
        let n_names = array.shape.first().copied().unwrap_or_default();
        source.facts().variates = array.texts(n_names)?;
    }
    Ok(Box::new(source))
}

/// The arrays of an archive.
struct Archive<'a> {
    file: &'a Path,
    bytes: &'a [u8],
    members: Vec<Member>,
}

impl Archive<'_> {
    fn names(&self) -> Vec<String> {
        let names = self.members.iter().map(|member| member.name.as_str());
        names
            .map(|name| name.strip_suffix(".npy").unwrap_or(name).to_owned())
            .collect()
    }

    fn lacks(&self, expected: &str) -> ReadError {
        let found = format!("the arrays {}", shortened(&self.names()));
        Place::file(self.file).found(found, expected)
    }

    /// The array that an option names, or else the first usual one.
    fn choose(
        &self,
        usual: &[&str],
        option: Option<&String>,
        what: &str,
    ) -> Result<Option<String>, ReadError> {
        let names = self.names();
        match option {
            Some(name) if names.contains(name) => Ok(Some(name.clone())),
            Some(name) => Err(self.lacks(&format!("`{name}`, {what}"))),
            None => Ok(usual
                .iter()
                .find(|name| names.iter().any(|n| n == *name))
                .map(|n| (*n).to_owned())),
        }
    }

    /// One text for each sample, from the arrays that options name, or else from a usual one.
    fn columns(
        &self,
        usual: &[&str],
        options: &[String],
        n: usize,
    ) -> Result<Vec<(String, Vec<String>)>, ReadError> {
        let usual = self.choose(usual, None, "")?.filter(|_| options.is_empty());
        let mut columns = Vec::new();
        for name in options.iter().cloned().chain(usual) {
            let name = self
                .choose(&[], Some(&name), "an array for each sample")?
                .unwrap_or(name);
            let texts = self.array(&name)?.texts(n)?;
            columns.push((name, texts));
        }
        Ok(columns)
    }

    fn labels<R: Read>(
        &self,
        source: &mut super::npy::ArraySource<R>,
        options: &ReadOptions,
    ) -> Result<(), ReadError> {
        if options.labels == Labels::Absent || options.label_column.as_deref() == Some("none") {
            return Ok(());
        }
        let required = options.labels == Labels::Required;
        match self.choose(LABELS, options.label_column.as_ref(), "the labels")? {
            Some(name) => {
                let labels = self.array(&name)?.texts(source.n_samples())?;
                source.set_labels(labels, &format!("array \"{name}\""), required)
            }
            None if required => {
                let error = self.lacks("`y`, the labels, too");
                Err(error.hint("--label-column names their array, --no-label reads without labels"))
            }
            None => Ok(()),
        }
    }

    fn array(&self, name: &str) -> Result<Array<Cursor<Vec<u8>>>, ReadError> {
        let place = Place::file(self.file).field(format!("array `{}`", super::text::excerpt(name)));
        let index = self.names().iter().position(|other| other == name);
        let member = index.and_then(|index| self.members.get(index));
        let bytes = member
            .ok_or("no such array")
            .and_then(|member| member.unpack(self.bytes));
        let bytes = bytes.map_err(|found| place.clone().found(found, "an undamaged archive"))?;
        Array::open(Cursor::new(bytes), place)
    }
}

/// A file in an archive.
struct Member {
    name: String,
    deflated: bool,
    checksum: u32,
    packed_size: usize,
    size: u64,
    /// Place of its own header.
    at: usize,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Result<u64, &'static str> {
    let part = bytes
        .get(at..at.saturating_add(N))
        .ok_or("the end of the archive in a header")?;
    Ok(part
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a size beyond the memory is past the end, too"
)]
fn size(number: u64) -> usize {
    number.min(usize::MAX as u64) as usize
}

/// The members that the directory at the end of an archive lists.
fn members(bytes: &[u8]) -> Result<Vec<Member>, &'static str> {
    let end = memchr::memmem::rfind(bytes, b"PK\x05\x06").ok_or("no directory at its end")?;
    let n_members = number::<2>(bytes, end + 10)?;
    let mut at = size(number::<4>(bytes, end + 16)?);
    let mut members = Vec::new();
    for _ in 0..n_members {
        if bytes.get(at..at.saturating_add(4)) != Some(b"PK\x01\x02") {
            return Err("a damaged directory");
        }
        let [name_size, extra_size, comment_size] =
            [28, 30, 32].map(|o| number::<2>(bytes, at + o));
        let (name_size, extra_size) = (size(name_size?), size(extra_size?));
        let name = bytes
            .get(at + 46..at + 46 + name_size)
            .ok_or("a damaged directory")?;
        let method = number::<2>(bytes, at + 10)?;
        if method != 0 && method != 8 {
            return Err("a way of packing other than `numpy.savez` and `savez_compressed` use");
        }
        let mut member = Member {
            name: String::from_utf8_lossy(name).into_owned(),
            deflated: method == 8,
            checksum: u32::try_from(number::<4>(bytes, at + 16)?).unwrap_or_default(),
            packed_size: size(number::<4>(bytes, at + 20)?),
            size: number::<4>(bytes, at + 24)?,
            at: size(number::<4>(bytes, at + 42)?),
        };
        let extra = at + 46 + name_size;
        member.widen(
            bytes
                .get(extra..extra + extra_size)
                .ok_or("a damaged directory")?,
        )?;
        members.push(member);
        at = extra + extra_size + size(comment_size?);
    }
    Ok(members)
}

impl Member {
    /// Takes 64-bit sizes, where 32 bits are too few, from the extra field of a header.
    fn widen(&mut self, extra: &[u8]) -> Result<(), &'static str> {
        const FULL: u64 = u32::MAX as u64;
        let mut at = 0;
        while at + 4 <= extra.len() {
            let (id, length) = (number::<2>(extra, at)?, size(number::<2>(extra, at + 2)?));
            if id == 1 {
                let mut next = at + 4;
                let mut take = |is: bool| match is {
                    true => {
                        next += 8;
                        number::<8>(extra, next - 8).map(Some)
                    }
                    false => Ok(None),
                };
                self.size = take(self.size == FULL)?.unwrap_or(self.size);
                let packed = take(self.packed_size as u64 == FULL)?;
                self.packed_size = packed.map_or(self.packed_size, size);
                let place = take(self.at as u64 == FULL)?;
                self.at = place.map_or(self.at, size);
            }
            at += 4 + length;
        }
        Ok(())
    }

    /// The contents, checked against their checksum.
    fn unpack(&self, archive: &[u8]) -> Result<Vec<u8>, &'static str> {
        let name_size = size(number::<2>(archive, self.at.saturating_add(26))?);
        let extra_size = size(number::<2>(archive, self.at + 28)?);
        let start = self.at + 30 + name_size + extra_size;
        let end = start
            .checked_add(self.packed_size)
            .ok_or("a damaged header")?;
        let packed = archive
            .get(start..end)
            .ok_or("the end of the archive within an array")?;
        let bytes = if self.deflated {
            let most = self.size.min((packed.len() as u64 + 1) * MOST_EXPANSION);
            let mut bytes = Vec::new();
            let unpacked = DeflateDecoder::new(packed)
                .take(most + 1)
                .read_to_end(&mut bytes);
            unpacked.map_err(|_| "damaged data")?;
            bytes
        } else {
            packed.to_vec()
        };
        let intact = bytes.len() as u64 == self.size && crc32fast::hash(&bytes) == self.checksum;
        if intact {
            Ok(bytes)
        } else {
            Err("data that do not fit their checksum")
        }
    }
}
