//! A frozen encoder in half precision stays near what it says in single precision.

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, FloatDType};
use timesclip::backend::BackendKind;
use timesclip::model::{VisionInput, VisionTower};

use crate::models::{apart, carried, host_batch, largest, numbers, steady_model};
use crate::support::{Cpu, lock_generator};

/// Of the largest feature. f16 has 11 bits; a block rounds some ten times, and norms in between
/// keep the errors from growing.
const F16: f32 = 1e-2;
/// Of the largest feature. bf16 has 8 bits.
const BF16: f32 = 8e-2;
/// Half precision that differs from single by less than this was not half precision: a rounding to
/// 11 bits is 2e-4.
const AT_LEAST: f32 = 1e-5;

pub(crate) fn features_in_half_precision_are_near<B: AutodiffBackend>(
    kind: BackendKind,
    device: &B::Device,
) {
    let precisions = [(FloatDType::BF16, BF16), (FloatDType::F16, F16)];
    let supported = |(dtype, _): &(FloatDType, f32)| {
        B::InnerBackend::supports_dtype(device, DType::from(*dtype))
    };
    let Some((dtype, tolerance)) = precisions.into_iter().find(supported) else {
        println!("skipped: this {kind} device has no half precision");
        return;
    };
    let tower = {
        let _turn = lock_generator();
        let config = steady_model().vision;
        let encoder = config.init::<Cpu>(&Default::default());
        let onto = config.init::<B::InnerBackend>(device);
        VisionTower::frozen(carried(encoder, onto, device))
    };
    let features = |tower: &VisionTower<B::InnerBackend>| {
        let batch = host_batch().into_tensors::<B::InnerBackend>(device);
        match batch.input.vision {
            Some(VisionInput::Masks { masks, colors }) => numbers(tower.forward(masks, colors)),
            other => panic!("no masks, but {other:?}"),
        }
    };
    let single = features(&tower);
    let half = features(&tower.with_frozen_precision(dtype));
    let apart = apart(&half, &single) / largest(&single);
    println!("features in {dtype:?} are {apart:e} of the largest apart");
    assert!(
        apart <= tolerance,
        "{dtype:?} is {apart} of the largest apart"
    );
    assert!(apart >= AT_LEAST, "{dtype:?} is single precision");
}
