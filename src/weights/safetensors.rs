//! Tensors of a safetensors file.
//!
//! The `safetensors` crate checks the header: names, types and shapes against offsets, no gap, no
//! overlap, no overflow. It wants the whole file in memory or mapped, and mapping needs `unsafe`;
//! so the length of the header, and that of the file against it, are checked here, and tensors are
//! read one by one.

use safetensors::tensor::Metadata;

use super::error::WeightsError;
use super::file::{Dtype, MAX_DESCRIPTION, TensorEntry, WeightFile};

/// Bytes in front of the header, which say how long it is.
const LEN: u64 = 8;

/// Names and places of the tensors in a file.
pub(super) fn tensors(file: &WeightFile) -> Result<Vec<(String, TensorEntry)>, WeightsError> {
    let (header, data_at) = header(file)?;
    let entries = header.tensors().into_iter().map(|(name, info)| {
        let entry = TensorEntry {
            shape: info.shape.clone(),
            dtype: Dtype::new(&info.dtype.to_string()),
            at: data_at + info.data_offsets.0 as u64,
            n_stored: info.shape.iter().product(),
            strides: None,
            crc32: None,
        };
        (name, entry)
    });
    Ok(entries.collect())
}

/// What a file says of itself under `key`, if it does.
pub(super) fn note(file: &WeightFile, key: &str) -> Result<Option<String>, WeightsError> {
    let (header, _) = header(file)?;
    let notes = header.metadata().as_ref();
    Ok(notes.and_then(|notes| notes.get(key)).cloned())
}

/// The header, and at which byte the tensors start.
fn header(file: &WeightFile) -> Result<(Metadata, u64), WeightsError> {
    let malformed = |problem: String| WeightsError::malformed(&file.path, problem);
    let len = file.read(0, LEN.min(file.len))?;
    let Some(&len) = len.first_chunk() else {
        return Err(malformed(format!(
            "{} bytes are no safetensors file",
            file.len
        )));
    };
    let header_len = u64::from_le_bytes(len);
    if header_len > MAX_DESCRIPTION {
        return Err(malformed(format!(
            "its header is {header_len} bytes long, more than {MAX_DESCRIPTION}"
        )));
    }
    let data_at = LEN + header_len;
    if data_at > file.len {
        return Err(malformed(format!(
            "its header is {header_len} bytes long, in a file of {}",
            file.len
        )));
    }
    let header = file.read(LEN, header_len)?;
    let header: Metadata = serde_json::from_slice(&header).map_err(WeightsError::unparsable(
        &file.path,
        "its header is not that of a safetensors file",
    ))?;
    let expected = (header.data_len() as u64).checked_add(data_at);
    if expected != Some(file.len) {
        let data_len = header.data_len();
        return Err(malformed(format!(
            "its header describes {data_len} bytes behind itself, and there are {}",
            file.len - data_at
        )));
    }
    Ok((header, data_at))
}
