//! Training spread over several devices: what one device would have learnt from the same batches.
//!
//! The devices are logical: copies of the model on one processor, as many as are asked for.

use burn::tensor::backend::Backend;
use burn_flex::FlexDevice;
use timesclip::Modalities;
use timesclip::batch::{BatchSource, HostBatch};
use timesclip::cache::UncachedImages;
use timesclip::cache::features::FeatureDtype;
use timesclip::cache::store::BuildOptions;
use timesclip::encode::FeatureEncoder;
use timesclip::model::loss::Alignment;
use timesclip::model::{Freeze, HeadNorm, TimesClipClassifierConfig, VisionInput};
use timesclip::train::{EpochRecord, Trainer, TrainingConfig, TrainingData};

use crate::support::{AutodiffCpu, Cpu, batcher, lock_generator, sines, tiny_model, tiny_style};
use crate::tokenizers::{patches, tiny_convolutions};

const TRAIN: [usize; 21] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20,
];
const VALID: [usize; 8] = [21, 22, 23, 24, 25, 26, 27, 28];

/// Rounding alone, over 15 steps: gradients are summed part by part. Leaving one negative out of
/// InfoNCE, or taking batch norm part by part, moves a loss by more than 1e-2.
const TOLERANCE: f64 = 1e-5;

/// The bias in front of a batch norm has no gradient but rounding, and AdamW makes whole steps of
/// that. Batches do not see such a bias; running means, which lag behind it, do.
const BATCH_NORM_TOLERANCE: f64 = 1e-2;

fn without_dropout(mode: Modalities, norm: HeadNorm) -> TimesClipClassifierConfig {
    let mut model = tiny_model(mode);
    model.vision.transformer.dropout = 0.0;
    model.language.transformer.dropout = 0.0;
    patches(&mut model).dropout = 0.0;
    model.selection.dropout = 0.0;
    model.head.dropout = 0.0;
    model.head.norm = norm;
    model.loss.contrastive.alignment = Alignment::PerVariate;
    model.loss.contrastive_weight = 1.0;
    model
}

/// Trains on so many devices; the batches are of 7 samples.
fn history(
    model: &TimesClipClassifierConfig,
    n_devices: usize,
    features: bool,
) -> Vec<EpochRecord> {
    let devices = vec![FlexDevice; n_devices];
    let (set, batcher) = (sines(29), batcher(&sines(29)));
    let images = UncachedImages::new(set, &tiny_style()).expect("a sound style");
    let config = TrainingConfig::new()
        .with_epochs(5)
        .with_batch_size(7)
        .with_learning_rate(3e-3)
        .with_max_grad_norm(Some(1.0));
    AutodiffCpu::seed(&devices[0], config.seed);
    let plain = model.init::<Cpu>(&devices[0]);
    let source = BatchSource::new(&images, &batcher);
    let kept = features.then(|| {
        let tower = plain.frozen_vision().expect("a frozen encoder");
        let encoder = FeatureEncoder::new(tower, &images, &batcher, FeatureDtype::F32, &devices[0]);
        let encoder = encoder.expect("samples that can be read");
        encoder.in_memory(BuildOptions::new()).expect("features")
    });
    let source = match &kept {
        Some(kept) => source.with_features(kept).expect("of these pictures"),
        None => source,
    };
    AutodiffCpu::seed(&devices[0], config.seed);
    let model = model.init::<AutodiffCpu>(&devices[0]);
    let data = TrainingData::new(source, &TRAIN, &VALID);
    let trainer = Trainer::<AutodiffCpu>::new(&config, data, &devices[0]).expect("sound settings");
    let trained = trainer.with_devices(&devices).fit(model, &mut ());
    trained.expect("training").history
}

fn assert_alike(one: &[EpochRecord], other: &[EpochRecord], valid_tolerance: f64, what: &str) {
    for (a, b) in one.iter().zip(other) {
        let apart = |a: Option<f64>, b: Option<f64>| (a.unwrap_or(0.0) - b.unwrap_or(0.0)).abs();
        let trained = apart(Some(a.train_loss), Some(b.train_loss));
        let contrastive = apart(a.train_contrastive, b.train_contrastive);
        let valid = apart(a.valid_loss, b.valid_loss);
        let alike = trained.max(contrastive) <= TOLERANCE && valid <= valid_tolerance;
        assert!(alike, "{what}: {a:?} and {b:?}");
    }
    let fell = one[0].train_loss - one[one.len() - 1].train_loss;
    assert!(fell > 0.1, "{what} learns nothing: {one:?}");
}

#[test]
fn any_number_of_devices_has_the_loss_curve_of_one() {
    let _turn = lock_generator();
    for (mode, norm) in [
        (Modalities::DUAL, HeadNorm::Batch),
        (Modalities::DUAL, HeadNorm::Layer),
        (Modalities::LANGUAGE_ONLY, HeadNorm::Layer),
        (Modalities::VISION_ONLY, HeadNorm::Layer),
    ] {
        let valid_tolerance = match norm {
            HeadNorm::Batch => BATCH_NORM_TOLERANCE,
            HeadNorm::Layer => TOLERANCE,
        };
        let model = without_dropout(mode, norm);
        let one = history(&model, 1, false);
        // 7 samples over 3 devices make parts of 2, 2 and 3; over 16, seven parts of one.
        for n_devices in [3, 16] {
            let several = history(&model, n_devices, false);
            let what = format!("{mode:?}, {norm:?} on {n_devices}");
            assert_alike(&one, &several, valid_tolerance, &what);
        }
    }
}

#[test]
fn batch_norms_of_convolutions_are_over_the_whole_batch_on_any_number_of_devices() {
    let _turn = lock_generator();
    for mode in [Modalities::DUAL, Modalities::LANGUAGE_ONLY] {
        let mut model = tiny_convolutions(mode);
        model.loss.contrastive.alignment = Alignment::PerVariate;
        let one = history(&model, 1, false);
        for n_devices in [3, 16] {
            let what = format!("{mode:?} on {n_devices}");
            let several = history(&model, n_devices, false);
            assert_alike(&one, &several, BATCH_NORM_TOLERANCE, &what);
        }
    }
}

#[test]
fn a_frozen_encoder_is_on_every_device_and_features_need_none() {
    let _turn = lock_generator();
    let model = without_dropout(Modalities::DUAL, HeadNorm::Layer)
        .with_freeze_vision(Freeze::All)
        .with_standardize_features(true);
    let one = history(&model, 1, false);
    let (pictures, features) = (history(&model, 3, false), history(&model, 3, true));
    assert_alike(&one, &pictures, TOLERANCE, "pictures on 3");
    assert_alike(&one, &features, TOLERANCE, "features on 3");
}

#[test]
fn what_is_frozen_of_an_encoder_stays_where_it_is_and_the_rest_learns() {
    let _turn = lock_generator();
    let model = without_dropout(Modalities::DUAL, HeadNorm::Layer)
        .with_freeze_vision(Freeze::Layers(1))
        .with_freeze_text(Freeze::All);
    let one = history(&model, 1, false);
    assert_alike(&one, &history(&model, 3, false), TOLERANCE, "on 3");
}

#[test]
fn features_are_the_same_from_any_number_of_devices() {
    let _turn = lock_generator();
    let model = without_dropout(Modalities::VISION_ONLY, HeadNorm::Layer);
    let model = model
        .with_freeze_vision(Freeze::All)
        .init::<Cpu>(&FlexDevice);
    let tower = model.frozen_vision().expect("a frozen encoder");
    let images = UncachedImages::new(sines(29), &tiny_style()).expect("a sound style");
    let batcher = batcher(&sines(29));
    let encode = |devices: &[FlexDevice]| {
        let encoder = FeatureEncoder::new(tower, &images, &batcher, FeatureDtype::F32, &FlexDevice);
        let encoder = encoder
            .expect("samples that can be read")
            .with_devices(devices);
        let store = encoder.in_memory(BuildOptions::new()).expect("features");
        let mut rows = vec![0.0; store.n_variates() * store.width()];
        let read = |index| {
            store.features_into(index, &mut rows).expect("a row");
            rows.clone()
        };
        (0..29).map(read).collect::<Vec<_>>()
    };
    assert_eq!(encode(&[FlexDevice; 3]), encode(&[FlexDevice]));
}

#[test]
fn parts_of_a_batch_are_its_samples_in_order() {
    let (set, images) = (sines(9), UncachedImages::new(sines(9), &tiny_style()));
    let images = images.expect("a sound style");
    let whole = batcher(&set).gather(&images, &[4, 8, 1, 3, 0]);
    let whole = whole.expect("a batch");
    let parts = whole.clone().split(2);
    let ids: Vec<&[u64]> = parts.iter().map(HostBatch::ids).collect();
    assert_eq!(ids, [&[1004, 1008][..], &[1001, 1003, 1000]]);
    let tensors = |batch: HostBatch| {
        let Some(VisionInput::Masks { masks, .. }) =
            batch.into_tensors::<Cpu>(&FlexDevice).input.vision
        else {
            panic!("no pictures")
        };
        masks.into_data().iter::<u8>().collect::<Vec<_>>()
    };
    let joined: Vec<u8> = parts.into_iter().flat_map(tensors).collect();
    assert_eq!(joined, tensors(whole.clone()));
    assert_eq!(whole.split(9).len(), 5, "no part is empty");
}

#[test]
fn a_run_on_several_devices_repeats_itself_in_every_bit_dropout_included() {
    let _turn = lock_generator();
    let model = tiny_model(Modalities::DUAL);
    assert_eq!(history(&model, 3, false), history(&model, 3, false));
}
