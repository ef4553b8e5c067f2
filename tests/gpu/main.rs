//! GPU backends against the CPU backend, with the same weights on the same batches.
//!
//! `cargo test --features wgpu --test gpu`, or `cuda`, or both; with `fusion` and `autotune` before
//! they are relied on (the first start of `autotune` takes minutes). Any device will do, a Vulkan driver that computes on the
//! processor too: on Debian `mesa-vulkan-drivers` is one. A test whose device is missing says so
//! and passes; `--nocapture` shows it.
#![cfg(any(feature = "wgpu", feature = "cuda"))]

mod agreement;
mod choosing;
mod files;
mod masks;
mod memory;
mod models;
mod precision;
mod shapes;
#[path = "../it/support.rs"]
mod support;

use std::sync::{Mutex, PoisonError};

use timesclip::backend::{BackendError, BackendKind, TrainingJob, train_on};

/// Runs a test on the first device of a kind; an absent one skips it, one in disorder fails it.
fn on_device(kind: BackendKind, test: impl TrainingJob<Output = ()>) {
    // Once, of a dozen runs, a training beside other tests on the device was 7e-3 off.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    match train_on(kind, &[0], test) {
        Ok(()) => {}
        Err(absent @ BackendError::NotPresent { .. }) => println!("skipped: {absent}"),
        Err(other) => panic!("{other}"),
    }
}

/// One test a kind, of a function `fn test<B: AutodiffBackend>(kind: BackendKind, device: &B::Device)`.
macro_rules! on_every_gpu {
    ($($room:ident::$test:ident),* $(,)?) => {
        #[cfg(feature = "wgpu")]
        mod wgpu { $($crate::on_every_gpu!(@ Wgpu $room $test);)* }
        #[cfg(feature = "cuda")]
        mod cuda { $($crate::on_every_gpu!(@ Cuda $room $test);)* }
    };
    (@ $kind:ident $room:ident $test:ident) => {
        #[test]
        fn $test() {
            struct Test;
            impl timesclip::backend::TrainingJob for Test {
                type Output = ();
                fn run<B: burn::tensor::backend::AutodiffBackend>(self, devices: &[B::Device]) {
                    crate::$room::$test::<B>(timesclip::backend::BackendKind::$kind, &devices[0]);
                }
            }
            crate::on_device(timesclip::backend::BackendKind::$kind, Test);
        }
    };
}
pub(crate) use on_every_gpu;

on_every_gpu!(
    agreement::logits_agree,
    agreement::logits_from_ink_tokens_agree,
    agreement::every_gradient_agrees,
    agreement::losses_of_a_training_agree,
    files::a_model_saved_on_the_cpu_answers_alike,
    masks::masks_of_all_levels_become_the_same_pixels,
    memory::memory_stays_flat_over_epochs,
    precision::features_in_half_precision_are_near,
    shapes::products_agree,
    shapes::models_at_the_edges_agree,
);
