//! Tensors of a `pytorch_model.bin`, as `torch.save` writes it since PyTorch 1.6.
//!
//! Such a file is a zip archive: a pickle that describes the tensors, and their storages as raw
//! bytes. Nothing in it is run, see [`pickle`]; nothing is decompressed, see [`zip`].
//!
//! Burn's own reader was weighed and not taken: where a storage is too short it puts zeros in the
//! place of the missing weights, it takes every tensor for contiguous, whatever its strides say,
//! and it copies whole values where a pickle refers to them, so that a small file takes all memory.

mod pickle;
mod value;
mod zip;

use std::collections::HashMap;

use self::value::TorchTensor;
use self::zip::ZipEntry;
use super::error::WeightsError;
use super::file::{Dtype, TensorEntry, WeightFile};

/// Longest pickle that is read; that of the largest CLIPs takes 300 kilobytes.
const MAX_PICKLE: u64 = 1 << 20;
/// How a zip file starts.
const ZIP: &[u8] = b"PK";
/// How a pickle starts, and with it a file of PyTorch before 1.6.
const PICKLE: &[u8] = b"\x80";

/// Names and places of the tensors in a file.
pub(super) fn tensors(file: &WeightFile) -> Result<Vec<(String, TensorEntry)>, WeightsError> {
    let malformed = |problem: String| WeightsError::malformed(&file.path, problem);
    let start = file.read(0, file.len.min(2))?;
    if start.starts_with(PICKLE) {
        return Err(WeightsError::Unsupported {
            path: file.path.clone(),
            what: "its format".to_owned(),
            found: "that of PyTorch before 1.6".to_owned(),
            supported: "the later one: load the file with torch.load and save it with torch.save, \
                        or convert it to safetensors"
                .to_owned(),
        });
    }
    if start != ZIP {
        return Err(malformed("it is no archive of PyTorch".to_owned()));
    }
    let entries = zip::read_directory(file)?;
    let pickle = entries
        .iter()
        .find(|entry| entry.name.ends_with("/data.pkl"));
    let pickle = pickle.ok_or_else(|| malformed("there is no data.pkl in it".to_owned()))?;
    let root = pickle.name.trim_end_matches("data.pkl");
    let entries: HashMap<&str, &ZipEntry> = entries
        .iter()
        .filter_map(|entry| Some((entry.name.strip_prefix(root)?, entry)))
        .collect();
    if let Some(order) = entries.get("byteorder")
        && file.read(order.at, order.len.min(16))? != b"little"
    {
        return Err(malformed("its numbers are not little-endian".to_owned()));
    }
    let state = pickle::read_state_dict(&read_pickle(file, pickle)?).map_err(malformed)?;
    let places = state.into_iter().map(|(name, tensor)| {
        let storage = entries.get(format!("data/{}", tensor.storage.key).as_str());
        match place(&tensor, storage.copied()) {
            Ok(entry) => Ok((name, entry)),
            Err(problem) => Err(malformed(format!("`{name}` {problem}"))),
        }
    });
    places.collect()
}

fn read_pickle(file: &WeightFile, entry: &ZipEntry) -> Result<Vec<u8>, WeightsError> {
    let malformed = |problem: &str| WeightsError::malformed(&file.path, problem);
    if entry.len > MAX_PICKLE {
        return Err(malformed("its pickle is longer than any list of tensors"));
    }
    let pickle = file.read(entry.at, entry.len)?;
    match checksum(entry) {
        Some(expected) if expected != crc32fast::hash(&pickle) => {
            Err(malformed("the checksum of its pickle is wrong"))
        }
        _ => Ok(pickle),
    }
}

/// PyTorch can be told to compute none, and then writes zero.
fn checksum(entry: &ZipEntry) -> Option<u32> {
    (entry.crc32 != 0).then_some(entry.crc32)
}

/// Finds a tensor in its storage.
fn place(tensor: &TorchTensor, storage: Option<&ZipEntry>) -> Result<TensorEntry, String> {
    let TorchTensor {
        storage: described,
        offset,
        shape,
        strides,
    } = tensor;
    let dtype = Dtype::new(described.dtype);
    let key = &described.key;
    let storage = storage.ok_or_else(|| format!("is in storage {key}, which is not there"))?;
    // Other types are never read.
    let size = dtype.size().unwrap_or(1);
    let expected = described.len.checked_mul(size).map(|len| len as u64);
    if dtype.size().is_some() && expected != Some(storage.len) {
        let (len, dtype) = (described.len, described.dtype);
        return Err(format!(
            "is in storage {key} of {} bytes, which should hold {len} elements {dtype}",
            storage.len
        ));
    }
    let n = shape.iter().try_fold(1_usize, |n, &len| n.checked_mul(len));
    let n_stored = n_stored(shape, strides).ok_or("has strides that do not fit its shape")?;
    let fits = n.is_some_and(|n| n <= described.len)
        && offset
            .checked_add(n_stored)
            .is_some_and(|end| end <= described.len);
    if !fits {
        return Err(format!(
            "{shape:?} with strides {strides:?} from {offset} is larger than its storage of {}",
            described.len
        ));
    }
    let whole = n_stored == described.len;
    Ok(TensorEntry {
        at: storage.at + (offset * size) as u64,
        n_stored,
        strides: (row_major(shape) != *strides).then(|| strides.clone()),
        crc32: checksum(storage).filter(|_| whole),
        shape: shape.clone(),
        dtype,
    })
}

/// Elements from the first to the last one of a tensor; none if that cannot be.
fn n_stored(shape: &[usize], strides: &[usize]) -> Option<usize> {
    if shape.len() != strides.len() {
        return None;
    }
    if shape.contains(&0) {
        return Some(0);
    }
    shape
        .iter()
        .zip(strides)
        .try_fold(1_usize, |last, (len, stride)| {
            last.checked_add((len - 1).checked_mul(*stride)?)
        })
}

/// Strides of elements without gaps, last dimension first; those of a dimension of one are free,
/// and PyTorch writes them as if they were not.
fn row_major(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1_usize; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i]);
    }
    strides
}
