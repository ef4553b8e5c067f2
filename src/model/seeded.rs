//! Drawing from a backend's generator, of which a process has one: a seed decides what is drawn,
//! whatever other threads draw meanwhile.

use std::sync::{Mutex, PoisonError};

use burn::tensor::backend::Backend;

use super::fused::DropoutStream;

/// What `draw` draws after the generator was seeded.
///
/// Burn draws weights when they are first used: `draw` must use all of them.
pub(crate) fn drawn_from<B: Backend, T>(
    seed: u64,
    device: &B::Device,
    draw: impl FnOnce() -> T,
) -> T {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    B::seed(device, seed);
    draw()
}

/// Seeds what training draws on this thread, as long as the stream lives.
pub(crate) fn seed_training<B: Backend>(seed: u64, device: &B::Device) -> DropoutStream {
    drawn_from::<B, _>(seed, device, || DropoutStream::of_seed(seed))
}
