//! A file of weights, read at positions, and what is known of each tensor in it.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use half::{bf16, f16};

use super::error::WeightsError;
use crate::files::IoError;

/// Longest description of tensors that is read: CLIP's take tens of kilobytes.
pub(super) const MAX_DESCRIPTION: u64 = 16 << 20;
/// Longest name of a tensor, in bytes: CLIP's have 60.
pub(super) const MAX_NAME: usize = 512;
/// Most dimensions of a tensor: CLIP's have 4.
pub(super) const MAX_RANK: usize = 8;
/// Bytes that are converted at a time.
const CHUNK: usize = 1 << 16;
/// What git leaves in the place of a large file that was not downloaded.
const LFS_POINTER: &[u8] = b"version https://git-lfs";

/// An open file of weights.
#[derive(Debug)]
pub(super) struct WeightFile {
    pub(super) path: PathBuf,
    pub(super) len: u64,
    place: Place,
}

/// Where the bytes are.
#[derive(Debug)]
enum Place {
    /// One reader at a time: a seek and what is read there belong together.
    Disk(Mutex<File>),
    /// In the program.
    Memory(&'static [u8]),
}

impl WeightFile {
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        // Asked before opening: opening a pipe would wait for its other end.
        let metadata = std::fs::metadata(path).map_err(IoError::at("find", path))?;
        if !metadata.is_file() {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
            return Err(IoError::at("open", path)(source).into());
        }
        let file = File::open(path).map_err(IoError::at("open", path))?;
        let file = Self {
            path: path.to_owned(),
            len: metadata.len(),
            place: Place::Disk(Mutex::new(file)),
        };
        let start = file.read(0, file.len.min(LFS_POINTER.len() as u64))?;
        if start == LFS_POINTER {
            return Err(WeightsError::Unsupported {
                path: path.to_owned(),
                what: "the file".to_owned(),
                found: "a git LFS pointer".to_owned(),
                supported: "what it points to, which `git lfs pull` fetches".to_owned(),
            });
        }
        Ok(file)
    }

    /// A file that is part of the program; errors call it `path`.
    pub(super) fn of_bytes(path: &Path, bytes: &'static [u8]) -> Self {
        Self {
            path: path.to_owned(),
            len: bytes.len() as u64,
            place: Place::Memory(bytes),
        }
    }

    /// Reads `len` bytes at `at`.
    pub(super) fn read(&self, at: u64, len: u64) -> Result<Vec<u8>, WeightsError> {
        let end = at.checked_add(len).filter(|&end| end <= self.len);
        let (Some(_), Ok(n)) = (end, usize::try_from(len)) else {
            let problem = format!("{len} bytes at {at} are asked for, of {}", self.len);
            return Err(WeightsError::malformed(&self.path, problem));
        };
        let mut bytes = vec![0; n];
        self.read_into(at, &mut bytes)?;
        Ok(bytes)
    }

    fn read_into(&self, at: u64, bytes: &mut [u8]) -> Result<(), WeightsError> {
        let read = match &self.place {
            Place::Disk(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                file.seek(SeekFrom::Start(at))
                    .and_then(|_| file.read_exact(bytes))
            }
            Place::Memory(all) => {
                let mut all = Cursor::new(all);
                all.set_position(at);
                all.read_exact(bytes)
            }
        };
        Ok(read.map_err(IoError::at("read", &self.path))?)
    }

    /// Reads a tensor, in row-major order. Its values are held once, and no bytes beside them.
    ///
    /// # Panics
    /// If the tensor does not hold weights.
    pub(super) fn values(&self, tensor: &TensorEntry) -> Result<Vec<f32>, WeightsError> {
        let size = tensor.dtype.size().expect("asked before: it holds weights");
        let mut values = Vec::with_capacity(tensor.n_stored);
        let mut checksum = crc32fast::Hasher::new();
        let mut chunk = vec![0; CHUNK.min(tensor.n_stored * size)];
        let mut at = tensor.at;
        while values.len() < tensor.n_stored {
            let left = (tensor.n_stored - values.len()) * size;
            let bytes = &mut chunk[..CHUNK.min(left)];
            self.read_into(at, bytes)?;
            at += bytes.len() as u64;
            checksum.update(bytes);
            tensor.dtype.extend(&mut values, bytes);
        }
        let found = checksum.finalize();
        match tensor.crc32 {
            Some(expected) if expected != found => {
                let problem = format!(
                    "the checksum of the {} bytes at {} is {found:08x}, not {expected:08x}",
                    at - tensor.at,
                    tensor.at
                );
                Err(WeightsError::malformed(&self.path, problem))
            }
            _ => Ok(match &tensor.strides {
                Some(strides) => gather(&values, &tensor.shape, strides),
                None => values,
            }),
        }
    }
}

/// Puts elements that lie `strides` apart into row-major order.
fn gather(stored: &[f32], shape: &[usize], strides: &[usize]) -> Vec<f32> {
    let mut index = vec![0; shape.len()];
    let n = shape.iter().product();
    let mut values = Vec::with_capacity(n);
    while values.len() < n {
        let at: usize = index
            .iter()
            .zip(strides)
            .map(|(i, stride)| i * stride)
            .sum();
        values.push(stored[at]);
        for (i, &len) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < len {
                break;
            }
            *i = 0;
        }
    }
    values
}

/// Where a tensor is, and what it is.
#[derive(Clone, Debug)]
pub(super) struct TensorEntry {
    pub(super) shape: Vec<usize>,
    pub(super) dtype: Dtype,
    /// Byte of the file at which its first element is.
    pub(super) at: u64,
    /// Elements between its first and its last one in the file, both included.
    pub(super) n_stored: usize,
    /// How far apart its elements are, where they are not in row-major order.
    pub(super) strides: Option<Vec<usize>>,
    /// Checksum of the stored elements, where there is one.
    pub(super) crc32: Option<u32>,
}

/// Type of a tensor's elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Dtype {
    F32,
    F16,
    Bf16,
    /// A type that weights do not have, by name.
    Other(String),
}

impl Dtype {
    pub(super) fn new(name: &str) -> Self {
        match name {
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::Bf16,
            other => Self::Other(other.to_owned()),
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Other(name) => name,
        }
    }

    /// Bytes of an element, if it is a weight.
    pub(super) fn size(&self) -> Option<usize> {
        match self {
            Self::F32 => Some(4),
            Self::F16 | Self::Bf16 => Some(2),
            Self::Other(_) => None,
        }
    }

    /// Converts whole elements, exactly.
    fn extend(&self, values: &mut Vec<f32>, bytes: &[u8]) {
        let (pairs, _) = bytes.as_chunks::<2>();
        match self {
            Self::F32 => values.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
            Self::F16 => values.extend(pairs.iter().map(|b| f16::from_le_bytes(*b).to_f32())),
            Self::Bf16 => values.extend(pairs.iter().map(|b| bf16::from_le_bytes(*b).to_f32())),
            Self::Other(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_that_lie_apart_come_in_order() {
        let stored = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let transposed = gather(&stored, &[3, 2], &[1, 3]);
        assert_eq!(transposed, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(gather(&stored, &[], &[]), [0.0]);
        assert_eq!(gather(&stored, &[2, 0], &[1, 1]), [0.0; 0]);
    }

    #[test]
    fn halves_are_converted_exactly() {
        let mut values = Vec::new();
        Dtype::F16.extend(&mut values, &[0x00, 0x3c, 0x01, 0x00]);
        Dtype::Bf16.extend(&mut values, &[0x80, 0xbf, 0x80, 0x7f]);
        assert_eq!(values, [1.0, 5.960_464_5e-8, -1.0, f32::INFINITY]);
    }
}
