//! The order of the samples in an epoch, and the gathering of batches ahead of the model.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::batch::{BatchError, BatchSource, HostBatch};

/// Batches gathered ahead of the one the model works on. Two hide the gathering; more would only
/// hold memory.
const PREFETCH: usize = 2;

/// Calls `work` with the batches of `indices`, in order, while a thread gathers the next.
pub(super) fn for_each_batch<E: From<BatchError>>(
    source: BatchSource<'_>,
    indices: &[usize],
    batch_size: usize,
    mut work: impl FnMut(HostBatch) -> Result<(), E>,
) -> Result<(), E> {
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(PREFETCH);
        scope.spawn(move || {
            for indices in batches(indices, batch_size) {
                // The receiver is gone once the work has failed or was stopped.
                if sender.send(source.gather(indices)).is_err() {
                    break;
                }
            }
        });
        let receiver: Receiver<Result<HostBatch, BatchError>> = receiver;
        receiver.into_iter().try_for_each(|batch| work(batch?))
    })
}

/// Number of batches of at most `batch_size` that `n_samples` make.
pub(super) fn n_batches(n_samples: usize, batch_size: usize) -> usize {
    n_samples.div_ceil(batch_size)
}

/// Cuts `indices` into batches of at most `batch_size`, as equal as can be: no batch of one
/// sample is left over, on which batch norm and InfoNCE would say nothing.
fn batches(indices: &[usize], batch_size: usize) -> impl Iterator<Item = &[usize]> {
    let n = n_batches(indices.len(), batch_size);
    (0..n).map(move |i| &indices[i * indices.len() / n..(i + 1) * indices.len() / n])
}

/// The samples in the order of one epoch, which only the seed and the epoch decide.
pub(super) fn shuffled(indices: &[usize], seed: u64, epoch: usize) -> Vec<usize> {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(epoch as u64);
    let mut order = indices.to_vec();
    order.shuffle(&mut generator);
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_equal_and_lose_nothing() {
        let indices: Vec<usize> = (0..65).collect();
        let sizes: Vec<usize> = batches(&indices, 64).map(<[usize]>::len).collect();
        assert_eq!(sizes, [32, 33]);
        let joined: Vec<usize> = batches(&indices, 7).flatten().copied().collect();
        assert_eq!(joined, indices);
        assert_eq!(batches(&[], 7).count(), 0);
    }

    #[test]
    fn every_epoch_has_its_own_order_of_the_same_samples() {
        let indices: Vec<usize> = (100..150).collect();
        let first = shuffled(&indices, 1, 1);
        assert_eq!(first, shuffled(&indices, 1, 1));
        assert_ne!(first, shuffled(&indices, 1, 2));
        assert_ne!(first, shuffled(&indices, 2, 1));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, indices);
    }
}
