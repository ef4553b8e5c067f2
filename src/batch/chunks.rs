//! A long matrix on devices, in pieces that their buffers can hold, and the reading of some rows.

use std::iter::repeat_n;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{BasicAutodiffOps, BasicOps, Int, Tensor, TensorData};

/// Bytes of a chunk at most, where a single row is not more: what WebGPU lets a kernel see of one
/// buffer unless an adapter offers more. Larger ones would save little: selecting from a chunk is
/// one kernel, and a batch meets at most as many chunks as it has rows.
const CHUNK_BYTES: usize = 128 << 20;

/// The same rows on each of some devices.
pub(super) struct OnDevices<B: Backend, K: BasicOps<B>>(Vec<(B::Device, Chunks<B, K>)>);

/// Rows in chunks of equal size, the last one less.
struct Chunks<B: Backend, K: BasicOps<B>> {
    in_chunk: usize,
    chunks: Vec<Tensor<B, 2, K>>,
}

impl<B: Backend, K: BasicOps<B>> OnDevices<B, K> {
    /// Reads `n_rows` rows of at most `row_bytes` on a device, in order and once, and brings them
    /// to all devices; once to one that is named more than once.
    ///
    /// # Errors
    /// What `read` returns.
    pub(super) fn fill<D: Clone + Send, E>(
        devices: &[B::Device],
        (n_rows, row_bytes): (usize, usize),
        read: impl Fn(&[usize]) -> Result<D, E>,
        upload: impl Fn(D, usize, &B::Device) -> Tensor<B, 2, K> + Send + Sync,
    ) -> Result<Self, E> {
        let in_chunk = rows_in_chunk(row_bytes);
        let mut copies: Vec<(B::Device, Chunks<B, K>)> = Vec::new();
        for device in devices {
            if copies.iter().all(|(other, _)| other != device) {
                copies.push((device.clone(), Chunks::new(in_chunk)));
            }
        }
        for start in (0..n_rows).step_by(in_chunk) {
            let indices: Vec<usize> = (start..n_rows.min(start + in_chunk)).collect();
            let rows = read(&indices)?;
            for (rows, (device, copy)) in repeat_n(rows, copies.len()).zip(&mut copies) {
                // What stays needs no room to grow, and none of the pools of what comes and goes.
                let chunk = B::memory_persistent_allocations(device, rows, |rows| {
                    upload(rows, indices.len(), device)
                });
                copy.chunks.push(chunk);
            }
        }
        Ok(Self(copies))
    }

    /// The rows at `indices`, in that order; from another device if `device` has none.
    ///
    /// # Panics
    /// As [`Chunks::select`].
    pub(super) fn select(&self, indices: &[usize], device: &B::Device) -> Tensor<B, 2, K> {
        let here = self.0.iter().find(|(place, _)| place == device);
        let (_, chunks) = here.unwrap_or(&self.0[0]);
        chunks.select(indices).to_device(device)
    }
}

impl<B: AutodiffBackend, K: BasicAutodiffOps<B>> OnDevices<B, K> {
    /// The same memory, as the backend with autodiff sees it.
    pub(super) fn from_inner(inner: &OnDevices<B::InnerBackend, K::InnerKind>) -> Self {
        let lift = |chunks: &Chunks<B::InnerBackend, K::InnerKind>| Chunks {
            in_chunk: chunks.in_chunk,
            chunks: chunks
                .chunks
                .iter()
                .cloned()
                .map(Tensor::from_inner)
                .collect(),
        };
        let copies = inner.0.iter();
        Self(
            copies
                .map(|(device, chunks)| (device.clone(), lift(chunks)))
                .collect(),
        )
    }
}

impl<B: Backend, K: BasicOps<B>> Chunks<B, K> {
    fn new(in_chunk: usize) -> Self {
        let chunks = Vec::new();
        Self { in_chunk, chunks }
    }

    /// The rows at `indices`, in that order.
    ///
    /// Rows of one chunk are selected at once, so in the order of the chunks, and then put into
    /// the order that is wanted.
    ///
    /// # Panics
    /// If `indices` is empty or names a chunk that is not there. Rows behind the end of the last
    /// chunk go unnoticed on a GPU: callers know how many there are.
    fn select(&self, indices: &[usize]) -> Tensor<B, 2, K> {
        let chunk_of = |&i: &usize| indices[i] / self.in_chunk;
        let mut order: Vec<usize> = (0..indices.len()).collect();
        order.sort_by_key(chunk_of);
        let groups = order.chunk_by(|a, b| chunk_of(a) == chunk_of(b));
        let mut parts: Vec<_> = groups
            .map(|group| {
                let chunk = self.chunks[chunk_of(&group[0])].clone();
                let rows = group.iter().map(|&i| indices[i] % self.in_chunk);
                pick(chunk, rows)
            })
            .collect();
        let sorted = match parts.len() {
            1 => parts.remove(0),
            _ => Tensor::cat(parts, 0),
        };
        if order.is_sorted() {
            return sorted;
        }
        let mut places = vec![0; order.len()];
        for (place, &i) in order.iter().enumerate() {
            places[i] = place;
        }
        pick(sorted, places.into_iter())
    }
}

/// Rows of a chunk that has rows of `row_bytes`.
fn rows_in_chunk(row_bytes: usize) -> usize {
    (CHUNK_BYTES / row_bytes.max(1)).max(1)
}

fn pick<B: Backend, K: BasicOps<B>>(
    rows: Tensor<B, 2, K>,
    indices: impl Iterator<Item = usize>,
) -> Tensor<B, 2, K> {
    let indices: Vec<i64> = indices.map(|index| index as i64).collect();
    let n = indices.len();
    let indices = Tensor::<B, 1, Int>::from_data(TensorData::new(indices, [n]), &rows.device());
    rows.select(0, indices)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use std::cell::Cell;

    use super::*;

    type Cpu = burn_flex::Flex;

    #[test]
    fn rows_come_from_their_chunks_in_the_order_asked_for() {
        let (device, reads) = (Default::default(), Cell::new(0));
        // Three rows in a chunk, to go by what they are said to take.
        let size = (8, CHUNK_BYTES / 3);
        let read = |indices: &[usize]| {
            reads.set(reads.get() + indices.len());
            let row = |&index: &usize| [10 * index as i64, 10 * index as i64 + 1];
            Ok::<_, ()>(indices.iter().flat_map(row).collect::<Vec<_>>())
        };
        let upload = |rows: Vec<i64>, n, device: &_| {
            Tensor::<Cpu, 2, Int>::from_data(TensorData::new(rows, [n, 2]), device)
        };
        let kept = OnDevices::fill(&[device, device], size, read, upload).unwrap();
        assert_eq!(reads.get(), 8, "rows are read once");
        let [(_, chunks)] = &kept.0[..] else {
            panic!("{} copies on one device", kept.0.len());
        };
        assert_eq!(chunks.chunks.len(), 3);
        for indices in [&[7, 0, 5, 1, 7, 3][..], &[4, 3], &[2], &[0, 4, 6]] {
            let found: Vec<i64> = kept.select(indices, &device).into_data().iter().collect();
            assert_eq!(found, read(indices).unwrap(), "{indices:?}");
        }
    }

    #[test]
    fn a_chunk_holds_one_row_however_long() {
        assert_eq!(rows_in_chunk(14 * 224 * 224), 191);
        assert_eq!(rows_in_chunk(CHUNK_BYTES + 1), 1);
    }
}
