//! Concatenation whose gradients no other thread can take away.

use burn::tensor::backend::Backend;
use burn::tensor::{BasicOps, Tensor};

/// Concatenates tensors along a dimension; under autodiff this takes the place of [`Tensor::cat`].
///
/// Burn 0.21 lets go of what it concatenates before its graph knows what became of it. If another thread
/// ends a backward pass in between, it takes those nodes for abandoned and removes them: the gradient
/// through them is lost without an error. Here they are held until the graph knows.
///
/// # Source
/// <https://github.com/tracel-ai/burn/issues/5573>
///
/// # Panics
/// As [`Tensor::cat`].
pub(crate) fn concat<B: Backend, const D: usize, K: BasicOps<B>>(
    tensors: Vec<Tensor<B, D, K>>,
    dim: usize,
) -> Tensor<B, D, K> {
    let joined = Tensor::cat(tensors.clone(), dim);
    drop(tensors);
    joined
}

#[cfg(all(test, feature = "cpu", feature = "train"))]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    use burn::backend::Autodiff;
    use burn_flex::Flex;

    use super::*;

    type Cpu = Autodiff<Flex>;

    /// Large enough that copying it takes longer than a backward pass of [`end_backward_passes`].
    const WIDTH: usize = 1 << 16;
    /// With [`Tensor::cat`] the test fails in the first few.
    const ROUNDS: usize = 100;
    const OTHERS: usize = 2;

    fn leaf() -> Tensor<Cpu, 1> {
        let ones = Tensor::<Flex, 1>::ones([WIDTH], &Default::default());
        Tensor::from_inner(ones).require_grad()
    }

    /// Ends one backward pass after the other until it is told to stop.
    fn end_backward_passes(stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let one = Tensor::<Cpu, 1>::ones([1], &Default::default());
            drop((one.require_grad() * 2.0).sum().backward());
        }
    }

    #[test]
    fn no_gradient_is_lost_while_other_threads_end_backward_passes() {
        let stop = AtomicBool::new(false);
        let lost = thread::scope(|scope| {
            for _ in 0..OTHERS {
                scope.spawn(|| end_backward_passes(&stop));
            }
            let lost = (0..ROUNDS).find(|_| {
                let x = leaf();
                // The graph forgets where a leaf is once a backward pass went through it.
                drop((x.clone() * 2.0).sum().backward());
                let sequence = x.clone().reshape([1, WIDTH]);
                let joined = concat(vec![sequence.clone() * 3.0, sequence], 1);
                let gradients = joined.sum().backward();
                let gradient = x.grad(&gradients).map(|it| it.into_data());
                gradient != Some(burn::tensor::TensorData::new(vec![4.0_f32; WIDTH], [WIDTH]))
            });
            stop.store(true, Ordering::Relaxed);
            lost
        });
        assert_eq!(lost, None, "a round in which a gradient was lost");
    }
}
