//! The models and batches of the tests, and moving weights from the CPU to a device.

use burn::module::Module;
use burn::record::{FullPrecisionSettings, NamedMpkBytesRecorder, Recorder};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use timesclip::Modalities;
use timesclip::backend::BackendKind;
use timesclip::batch::HostBatch;
use timesclip::cache::{BuildOptions, InMemoryImages};
use timesclip::model::TimesClipClassifierConfig;

use crate::support::{batcher, sines, tiny_model, tiny_style};

/// The tiny dual classifier without dropout: the backends draw other random numbers.
pub(crate) fn steady_model() -> TimesClipClassifierConfig {
    let mut config = tiny_model(Modalities::DUAL);
    config.vision.transformer.dropout = 0.0;
    config.language.transformer.dropout = 0.0;
    let patches = config.language.tokenizer.patches_mut();
    patches.expect("patches").dropout = 0.0;
    config.selection.dropout = 0.0;
    config.head.dropout = 0.0;
    config
}

/// The pictures of some sines.
pub(crate) fn pictures(n_samples: usize) -> InMemoryImages {
    InMemoryImages::build(sines(n_samples), &tiny_style(), BuildOptions::new()).expect("pictures")
}

/// Eight sines of several lengths: padding is among what is compared.
pub(crate) fn host_batch() -> HostBatch {
    let indices: Vec<usize> = (0..8).collect();
    let batch = batcher(&sines(8)).gather(&pictures(8), &indices);
    batch.expect("a batch")
}

/// `onto` with the weights of `from`, bit by bit, across backends.
pub(crate) fn carried<A: Backend, B: Backend, M: Module<B>>(
    from: impl Module<A>,
    onto: M,
    device: &B::Device,
) -> M {
    let recorder = NamedMpkBytesRecorder::<FullPrecisionSettings>::new();
    let bytes = Recorder::<A>::record(&recorder, from.into_record(), ()).expect("a record");
    let record = Recorder::<B>::load(&recorder, bytes, device).expect("the same record");
    onto.load_record(record)
}

/// What a tolerance in single precision grows to where a backend rounds the factors of its matrix
/// products: CUDA's tensor cores take TF32, of 10 instead of 23 bits.
pub(crate) fn rounding_of_products(kind: BackendKind) -> f32 {
    match kind {
        BackendKind::Cuda => 10.0,
        BackendKind::Cpu | BackendKind::Wgpu => 1.0,
    }
}

/// The numbers of a tensor.
pub(crate) fn numbers<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    let data: TensorData = tensor.into_data();
    data.iter::<f32>().collect()
}

/// The largest absolute value.
pub(crate) fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// How far two lists of numbers are apart at most.
///
/// # Panics
/// If one is longer, or anything is not finite.
pub(crate) fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len(), "{} numbers and {}", a.len(), b.len());
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    let all: Vec<f32> = apart.collect();
    assert!(all.iter().all(|x| x.is_finite()), "not finite: {a:?} {b:?}");
    largest(&all)
}
