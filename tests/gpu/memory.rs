//! Training does not eat up a device's memory, epoch by epoch (burn issue 4792).
//!
//! The only test file that names GPU backends: only they can be asked what they hold.

use std::any::Any;
use std::ops::ControlFlow;

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use timesclip::backend::BackendKind;
use timesclip::batch::BatchSource;
use timesclip::train::{EpochRecord, Trainer, TrainingConfig, TrainingData, TrainingObserver};

use crate::models::{pictures, steady_model};
use crate::support::{batcher, sines};

const EPOCHS: usize = 50;
/// Pools have found their size by then.
const SETTLED: usize = 5;
/// Bytes that may be in use more: a scalar left behind in each of the 90 steps between is 2,880.
const SLACK: u64 = 1024;
/// The share that may be reserved more, since pools grow in pages.
const RESERVED_SLACK: f64 = 0.1;

/// Bytes on a device, of the calling thread's stream.
#[cfg_attr(feature = "fusion", expect(dead_code, reason = "fusion hides them"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bytes {
    in_use: u64,
    reserved: u64,
}

/// What a backend holds, if it can be asked. Fusion hides its backend's tensors.
fn held<B: Backend>(device: &B::Device) -> Option<Bytes> {
    let tensor = Tensor::<B, 1>::zeros([1], device).into_primitive().tensor();
    let tensor: &dyn Any = &tensor;
    #[cfg(not(feature = "fusion"))]
    macro_rules! ask {
        ($backend:ty) => {
            type Primitive =
                <$backend as burn::tensor::backend::BackendTypes>::FloatTensorPrimitive;
            if let Some(tensor) = tensor.downcast_ref::<Primitive>() {
                let usage = tensor.client.memory_usage().expect("a device that answers");
                return Some(Bytes {
                    in_use: usage.bytes_in_use,
                    reserved: usage.bytes_reserved,
                });
            }
        };
    }
    #[cfg(all(feature = "wgpu", not(feature = "fusion")))]
    {
        ask!(burn_wgpu::Wgpu);
    }
    #[cfg(all(feature = "cuda", not(feature = "fusion")))]
    {
        ask!(burn_cuda::Cuda);
    }
    let _ = tensor;
    None
}

/// Notes what is held at the end of every epoch.
struct Watch<'a, B: AutodiffBackend> {
    device: &'a B::Device,
    held: Vec<Option<Bytes>>,
}

impl<B: AutodiffBackend> TrainingObserver for Watch<'_, B> {
    fn on_epoch(&mut self, _record: &EpochRecord) -> ControlFlow<()> {
        self.held.push(held::<B::InnerBackend>(self.device));
        ControlFlow::Continue(())
    }
}

pub(crate) fn memory_stays_flat_over_epochs<B: AutodiffBackend>(
    kind: BackendKind,
    device: &B::Device,
) {
    let (images, batcher) = (pictures(24), batcher(&sines(24)));
    let (train, valid): (Vec<usize>, Vec<usize>) = ((0..16).collect(), (16..24).collect());
    let data = TrainingData::new(BatchSource::new(&images, &batcher), &train, &valid);
    // At this rate the first epoch stays the best, and the weights kept of it are held throughout.
    let config = TrainingConfig::new()
        .with_epochs(EPOCHS)
        .with_batch_size(8)
        .with_learning_rate(1e-12);
    let mut watch = Watch::<B> {
        device,
        held: Vec::new(),
    };
    let model = steady_model().init::<B>(device);
    let trainer = Trainer::<B>::new(&config, data, device).expect("sound numbers");
    trainer.fit(model, &mut watch).expect("a training");
    let held: Option<Vec<Bytes>> = watch.held.into_iter().collect();
    let Some(held) = held else {
        println!("skipped: this {kind} backend does not say what it holds");
        return;
    };
    assert_eq!(held.len(), EPOCHS, "epochs");
    let (early, late) = (held[SETTLED - 1], held[EPOCHS - 1]);
    println!("after {SETTLED} epochs {early:?}, after {EPOCHS} {late:?}");
    assert!(late.in_use <= early.in_use + SLACK, "in use: {held:?}");
    let most = early.reserved as f64 * (1.0 + RESERVED_SLACK);
    assert!(late.reserved as f64 <= most, "reserved: {held:?}");
}
