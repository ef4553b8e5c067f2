//! Work on groups of sequences, each on one thread from end to end while the others are busy: what
//! is between input and output stays in that processor's cache, and threads meet once an operation.

use burn::tensor::{Shape, TensorMetadata};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::super::kernels;
use super::{numbers, tensor};

/// Rows of a group: enough for products at full speed, few enough for a cache of a megabyte.
const ROWS: usize = 256;

/// Sequences of a group, by sizes alone, so that sums are the same whatever the number of threads.
///
/// Groups are at least about as many rows as they are wide, or half of all there are: what a group
/// adds up to the gradient of a weight would cost as much as the product, otherwise.
pub(super) fn sequences_of_group(n: usize, seq: usize, width: usize) -> usize {
    let most = ROWS.max(width).div_ceil(seq).clamp(1, n.max(1));
    // As many groups on either of two threads, none much smaller than the others.
    let groups = match n.div_ceil(most) {
        0 | 1 if n * seq <= ROWS => 1,
        more => more.next_multiple_of(2),
    };
    n.div_ceil(groups).max(1)
}

/// Gradients of weights, where they are wanted.
pub(super) type Gradients<const N: usize> = [Option<FlexTensor>; N];

/// Runs `work` on every group of `size` numbers of `out`, and collects what it keeps.
pub(super) fn each(
    out: &mut [f32],
    size: usize,
    work: impl Fn(usize, &mut [f32]) -> Vec<FlexTensor> + Sync,
) -> Vec<FlexTensor> {
    let kept: Vec<_> = out
        .par_chunks_mut(size)
        .enumerate()
        .map(|(group, out)| work(group, out))
        .collect();
    kept.into_iter().flatten().collect()
}

/// Runs `work` on every group of `size` numbers of `out`, and adds up the gradients it gives: in
/// one order, and no more of them at a time than there are threads and levels of a tree.
pub(super) fn summed<const N: usize>(
    out: &mut [f32],
    size: usize,
    first: usize,
    work: &(impl Fn(usize, &mut [f32]) -> Gradients<N> + Sync),
) -> Gradients<N> {
    let groups = out.len().div_ceil(size);
    if groups <= 1 {
        return work(first, out);
    }
    let half = groups / 2;
    let (left, right) = out.split_at_mut(half * size);
    let (mut sums, others) = rayon::join(
        || summed(left, size, first, work),
        || summed(right, size, first + half, work),
    );
    for (sum, other) in sums.iter_mut().zip(&others) {
        if let (Some(sum), Some(other)) = (sum, other) {
            kernels::add(sum.storage_mut(), numbers(other));
        }
    }
    sums
}

/// Rows of `width` as a matrix.
pub(super) fn matrix(rows: Vec<f32>, width: usize) -> FlexTensor {
    let n = rows.len() / width;
    tensor(rows, Shape::new([n, width]))
}

/// Sum of the rows of a matrix.
pub(super) fn sum_of_rows(rows: &FlexTensor) -> FlexTensor {
    let width = rows.shape()[1];
    tensor(kernels::sum_rows(numbers(rows), width), Shape::new([width]))
}

#[cfg(test)]
mod tests {
    use super::sequences_of_group;

    #[test]
    fn groups_suit_two_threads_and_are_not_small() {
        // Sequences, their length, width.
        assert_eq!(sequences_of_group(192, 17, 128), 16, "twelve of 272 rows");
        assert_eq!(sequences_of_group(8, 197, 768), 4, "two of 788 rows");
        assert_eq!(sequences_of_group(8, 50, 768), 4, "two of 200 rows");
        assert_eq!(sequences_of_group(4, 50, 768), 4, "one of 200 rows");
        assert_eq!(sequences_of_group(1, 1000, 64), 1);
        assert_eq!(sequences_of_group(0, 17, 64), 1);
    }
}
