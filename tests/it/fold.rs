//! The color fold: masks times one kernel a variate are the painted pictures times the patch
//! embedding, in what comes out and in what the weights learn.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, FloatDType, Int, Tensor, TensorData};
use timesclip::Modalities;
use timesclip::batch::{BatchSource, TimesClipBatcher};
use timesclip::cache::UncachedImages;
use timesclip::cache::features::FeatureKey;
use timesclip::model::{VisionEncoder, VisionEncoderConfig, VisionInput, VisionTower};
use timesclip::raster::ColorJitter;
use timesclip::raster::{Palette, PixelBlend, PixelStatistics, color_table};

use crate::support::{AutodiffCpu, Cpu, batcher, lock_generator, sines, tiny_model, tiny_style};

/// Sums of some hundred products in another order, relative to the largest number of the tensor;
/// 8e-7 was found at most.
const FLOAT_ROUNDING: f32 = 1e-5;
/// Bfloat16 rounds at 2^-9, in every layer; 0.007 was found.
const BFLOAT16_ROUNDING: f32 = 0.05;
/// Half a level is 0.002 of the range of a pixel. A random encoder of two blocks makes 0.0037 of its
/// largest feature from it.
const HALF_A_LEVEL_IN_FEATURES: f32 = 0.01;

const BATCH: usize = 5;
const N_VARIATES: usize = 3;

fn config() -> VisionEncoderConfig {
    let mut config = tiny_model(Modalities::VISION_ONLY).vision;
    config.transformer.n_layers = 2;
    // What is dropped differs from one run to the next.
    config.transformer.dropout = 0.0;
    config
}

fn encoder<B: Backend>() -> VisionEncoder<B> {
    B::seed(&Default::default(), 1);
    config().init(&Default::default())
}

/// Random coverages of random patches: full, blank, and all between.
fn masks<B: Backend>(dtype: DType) -> Tensor<B, 4, Int> {
    let side = config().side_px;
    let coverage = |i: usize| match (i / 7) % 3 {
        0 => 0,
        1 => 255,
        _ => (i * 97).to_le_bytes()[0],
    };
    let data: Vec<u8> = (0..BATCH * N_VARIATES * side * side)
        .map(coverage)
        .collect();
    let data = TensorData::new(data, [BATCH, N_VARIATES, side, side]).convert_dtype(dtype);
    Tensor::from_data(data, (&Default::default(), dtype))
}

fn colors<B: Backend>(colors: &[f32]) -> Tensor<B, 3> {
    let shape = [N_VARIATES, colors.len() / (N_VARIATES * 3), 3];
    Tensor::from_data(TensorData::new(colors.to_vec(), shape), &Default::default())
}

/// Paper and full ink of three inks, and all 256 levels of the line between them.
fn linear() -> (Vec<f32>, Vec<f32>) {
    let (palette, clip) = (Palette::default(), PixelStatistics::CLIP);
    let ends = PixelBlend::Continuous.colors(&palette, N_VARIATES, &clip);
    let levels = ends.chunks(6).flat_map(|ends| {
        (0..256 * 3).map(|i| ends[i % 3] + (ends[3 + i % 3] - ends[i % 3]) * (i / 3) as f32 / 255.0)
    });
    let levels = levels.collect();
    (ends, levels)
}

/// The largest difference, relative to the largest number.
fn difference<const D: usize>(a: Tensor<Cpu, D>, b: Tensor<Cpu, D>) -> f32 {
    let largest = b.clone().abs().max().into_scalar();
    (a - b).abs().max().into_scalar() / largest
}

#[test]
fn folded_masks_are_painted_pictures_within_float_rounding() {
    let _turn = lock_generator();
    let encoder = encoder::<AutodiffCpu>();
    let (ends, levels) = linear();
    let run = |colors_of: &[f32], dtype| {
        let features = encoder.forward(masks(dtype), colors(colors_of));
        let gradients = features.clone().powi_scalar(3).sum().backward();
        let weight = encoder.embeddings.patch_embedding.as_ref();
        let weight = weight.expect("it maps patches").weight.val();
        let gradient = weight.grad(&gradients).expect("a gradient");
        (features.inner(), gradient)
    };
    let painted = run(&levels, DType::U8);
    for dtype in [DType::U8, DType::I32] {
        let folded = run(&ends, dtype);
        let found = difference(folded.0, painted.0.clone());
        assert!(found < FLOAT_ROUNDING, "features, {dtype:?}: {found}");
        let found = difference(folded.1, painted.1.clone());
        assert!(found < FLOAT_ROUNDING, "gradient, {dtype:?}: {found}");
    }
}

#[test]
fn pure_inks_fold_to_what_the_contract_paints() {
    let _turn = lock_generator();
    let encoder = encoder::<Cpu>();
    let palette = Palette::new(vec![[0, 0, 0], [255, 0, 0], [0, 255, 255]]);
    let clip = PixelStatistics::CLIP;
    let folded = PixelBlend::Rounded.colors(&palette, N_VARIATES, &clip);
    let painted = color_table(&palette, N_VARIATES, &clip);
    let [folded, painted] =
        [folded, painted].map(|table| encoder.forward(masks(DType::U8), colors(&table)));
    let found = difference(folded, painted);
    assert!(found < FLOAT_ROUNDING, "{found}");
}

#[test]
fn a_frozen_encoder_folds_in_its_passes_and_in_its_precision() {
    let _turn = lock_generator();
    let (ends, levels) = linear();
    let encoder = encoder::<Cpu>();
    for (dtype, tolerance) in [
        (FloatDType::F32, FLOAT_ROUNDING),
        (FloatDType::BF16, BFLOAT16_ROUNDING),
    ] {
        let tower = VisionTower::frozen(encoder.clone()).with_frozen_precision(dtype);
        let masks = || masks::<Cpu>(DType::U8);
        let folded = tower.forward(masks(), colors(&ends));
        let painted = tower.forward(masks(), colors(&levels));
        let found = difference(folded.clone(), painted);
        assert!(found < tolerance, "{dtype:?}: {found}");
        for i in 0..BATCH {
            let alone = tower.forward(masks().narrow(0, i, 1), colors(&ends));
            let together = folded.clone().narrow(0, i, 1);
            assert_eq!(alone.into_data(), together.into_data(), "sample {i}");
        }
    }
}

/// Features of a batch as `batcher` makes it, in other colors if any are given.
fn features(batcher: &TimesClipBatcher, recolored: Option<Vec<f32>>) -> Tensor<Cpu, 3> {
    let images = UncachedImages::new(sines(6), &tiny_style()).expect("a sound style");
    let source = BatchSource::new(&images, batcher);
    let mut batch = source.gather(&[0, 1, 2, 3, 4, 5]).expect("a batch");
    if let Some(colors) = recolored {
        batch = batch.with_colors(colors);
    }
    match batch.into_tensors::<Cpu>(&Default::default()).input.vision {
        Some(VisionInput::Masks { masks, colors }) => encoder::<Cpu>().forward(masks, colors),
        other => panic!("no pictures, but {other:?}"),
    }
}

#[test]
fn rounding_pixels_hardly_shows_in_features_but_always_in_their_key() {
    let _turn = lock_generator();
    let rounded = batcher(&sines(6));
    let continuous = rounded.clone().with_blend(PixelBlend::Continuous);
    let found = difference(features(&continuous, None), features(&rounded, None));
    assert!(found > 0.0 && found < HALF_A_LEVEL_IN_FEATURES, "{found}");
    let key = |batcher: &TimesClipBatcher| FeatureKey::hash_pixels(&batcher.colors(2));
    assert_ne!(key(&continuous), key(&rounded));
}

#[test]
fn jittered_colors_paint_whatever_the_blend() {
    let _turn = lock_generator();
    let rounded = batcher(&sines(6));
    let continuous = rounded.clone().with_blend(PixelBlend::Continuous);
    let jittered = |batcher: &TimesClipBatcher| {
        let colors = batcher.jittered_colors(2, &ColorJitter::default(), [1, 2, 3]);
        features(batcher, Some(colors)).into_data()
    };
    assert_eq!(jittered(&continuous), jittered(&rounded));
}
