//! Pictures and features that stay on the device: the same batches, the same training, less to
//! send.

use burn::module::AutodiffModule;
use burn::tensor::backend::Backend;
use burn::tensor::{DType, TensorData};
use timesclip::Modalities;
use timesclip::batch::{
    BatchError, BatchSource, DeviceCache, DeviceCacheError, HostBatch, TimesClipBatcher,
};
use timesclip::cache::features::{FeatureDtype, FeatureStore};
use timesclip::cache::{BuildOptions, CachedImageDataset, UncachedImages};
use timesclip::data::augment::{AugmentConfig, Augmenter};
use timesclip::encode::FeatureEncoder;
use timesclip::model::{Freeze, TimesClipClassifier, TimesClipClassifierConfig, VisionInput};
use timesclip::raster::ColorJitter;
use timesclip::raster::PlotStyle;
use timesclip::train::{EpochRecord, TrainError, Trainer, TrainingConfig, TrainingData, evaluate};

use crate::support::{AutodiffCpu, Cpu, batcher, lock_generator, sines, tiny_model, tiny_style};

const N: usize = 18;
const TRAIN: [usize; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const VALID: [usize; 6] = [12, 13, 14, 15, 16, 17];
const NO_LIMIT: u64 = u64::MAX;

fn images(side_px: usize) -> UncachedImages {
    let style = PlotStyle {
        side_px,
        ..tiny_style()
    };
    UncachedImages::new(sines(N), &style).expect("a sound style")
}

fn frozen() -> TimesClipClassifierConfig {
    tiny_model(Modalities::DUAL)
        .with_freeze_vision(Freeze::All)
        .with_standardize_features(true)
}

fn init(config: &TimesClipClassifierConfig) -> TimesClipClassifier<AutodiffCpu> {
    AutodiffCpu::seed(&Default::default(), 5);
    config.init(&Default::default())
}

fn encode(
    images: &UncachedImages,
    batcher: &TimesClipBatcher,
    dtype: FeatureDtype,
) -> FeatureStore {
    let plain = init(&frozen()).valid();
    let tower = plain.frozen_vision().expect("a frozen encoder");
    let device = Default::default();
    let encoder = FeatureEncoder::<Cpu>::new(tower, images, batcher, dtype, &device);
    let encoder = encoder.expect("samples that can be read");
    encoder.in_memory(BuildOptions::new()).expect("features")
}

fn keep(source: BatchSource<'_>) -> DeviceCache {
    let devices = [Default::default()];
    DeviceCache::build_for_training::<AutodiffCpu>(source, &devices, NO_LIMIT).expect("room")
}

/// All that the classifier gets of a batch.
fn tensors<B: Backend>(batch: HostBatch) -> Vec<TensorData> {
    let batch = batch.into_tensors::<B>(&Default::default());
    let mut all = vec![batch.targets.into_data()];
    let series = batch.input.series.expect("values");
    all.push(series.values.into_data());
    all.extend(series.valid.map(|valid| valid.into_data()));
    match batch.input.vision.expect("pictures or features") {
        VisionInput::Masks { masks, colors } => {
            all.extend([masks.into_data(), colors.into_data()]);
        }
        VisionInput::Features(features) => all.push(features.into_data()),
    }
    all
}

fn assert_same_batches(sent: BatchSource<'_>, kept: BatchSource<'_>, what: &str) {
    for indices in [&[0, 1, 2][..], &[17, 3, 3, 9, 0], &[5]] {
        let gather = |source: BatchSource<'_>| source.gather(indices).expect("a batch");
        let (sent, kept) = (gather(sent), gather(kept));
        assert_ne!(sent, kept, "{what} {indices:?}: the pictures travel");
        let parts = |batch: &HostBatch| batch.clone().split(2);
        for (sent, kept) in parts(&sent).into_iter().zip(parts(&kept)) {
            assert_eq!(tensors::<Cpu>(sent), tensors::<Cpu>(kept), "{what}: a part");
        }
        let (on, off) = (tensors::<AutodiffCpu>(kept.clone()), tensors::<Cpu>(kept));
        assert_eq!(on, off, "{what} {indices:?}: with autodiff");
        assert_eq!(off, tensors::<Cpu>(sent), "{what} {indices:?}");
    }
}

#[test]
fn batches_are_those_that_travel() {
    let batcher = batcher(&sines(N));
    // 2 x 15 x 15 bytes do not fill whole words.
    for side_px in [32, 15] {
        let images = images(side_px);
        let source = BatchSource::new(&images, &batcher);
        let cache = keep(source);
        assert_eq!(cache.bytes(), DeviceCache::picture_bytes(N, 2, side_px));
        let kept = source.with_device_cache(&cache).unwrap();
        assert_same_batches(source, kept, &format!("{side_px} px"));
        let masks = tensors::<Cpu>(kept.gather(&[0]).unwrap()).remove(2);
        assert_eq!(masks.dtype, DType::U8, "masks became wider");
    }
}

#[test]
fn features_are_kept_as_in_their_store_and_come_in_single_precision() {
    let _turn = lock_generator();
    let (batcher, images) = (batcher(&sines(N)), images(32));
    for dtype in FeatureDtype::ALL {
        let features = encode(&images, &batcher, dtype);
        let source = BatchSource::new(&images, &batcher);
        let source = source.with_features(&features).unwrap();
        let cache = keep(source);
        let numbers = N * features.n_variates() * features.width();
        assert_eq!(cache.bytes(), (numbers * dtype.n_bytes()) as u64);
        let kept = source.with_device_cache(&cache).unwrap();
        assert_same_batches(source, kept, dtype.name());
    }
}

fn history(
    config: &TimesClipClassifierConfig,
    sources: &[BatchSource<'_>],
    jitter: Option<ColorJitter>,
    n_devices: usize,
) -> Vec<EpochRecord> {
    let data = TrainingData::new(sources[0], &TRAIN, &VALID).with_views(&sources[1..]);
    let training = TrainingConfig::new()
        .with_epochs(3)
        .with_batch_size(5)
        .with_learning_rate(3e-3)
        .with_color_jitter(jitter);
    let devices = vec![Default::default(); n_devices];
    let trainer = Trainer::<AutodiffCpu>::new(&training, data, &devices[0]);
    let trainer = trainer.expect("sound data").with_devices(&devices);
    let trained = trainer.fit(init(config), &mut ());
    trained.expect("a training").history
}

fn with_caches<'a>(sources: &[BatchSource<'a>], caches: &'a [DeviceCache]) -> Vec<BatchSource<'a>> {
    let pairs = sources.iter().zip(caches);
    let kept = pairs.map(|(source, cache)| source.with_device_cache(cache));
    kept.map(|source| source.expect("its cache")).collect()
}

/// Training, validation and two views, in colors that vary from step to step.
#[test]
fn training_has_the_history_of_pictures_that_travel_and_reads_none() {
    let _turn = lock_generator();
    let (set, batcher) = (sines(N), batcher(&sines(N)));
    let augmenter = Augmenter::new(AugmentConfig::default(), 3).unwrap();
    let images: Vec<_> = (0..3)
        .map(|view| UncachedImages::new(augmenter.view_of(&set, view), &tiny_style()).unwrap())
        .collect();
    let sent: Vec<_> = images
        .iter()
        .map(|images| BatchSource::new(images, &batcher))
        .collect();
    let caches: Vec<_> = sent.iter().map(|source| keep(*source)).collect();
    let kept = with_caches(&sent, &caches);
    let drawn = || {
        images
            .iter()
            .map(|images| images.stats().drawn)
            .sum::<u64>()
    };
    let built = drawn();
    assert_eq!(built, 3 * 2 * N as u64, "every picture is read once");
    for jitter in [None, Some(ColorJitter::default())] {
        let config = tiny_model(Modalities::DUAL);
        let before = drawn();
        let of_kept = history(&config, &kept, jitter, 1);
        assert_eq!(drawn(), before, "pictures were read again");
        assert_eq!(of_kept, history(&config, &sent, jitter, 1), "{jitter:?}");
    }
}

#[test]
fn training_on_kept_features_has_the_same_history() {
    let _turn = lock_generator();
    let (batcher, images) = (batcher(&sines(N)), images(32));
    let features = encode(&images, &batcher, FeatureDtype::F16);
    let sent = [BatchSource::new(&images, &batcher)
        .with_features(&features)
        .unwrap()];
    let caches = [keep(sent[0])];
    let kept = with_caches(&sent, &caches);
    // On several devices, the parts of a batch.
    for n_devices in [1, 3] {
        let read = features.stats().hits;
        let of_kept = history(&frozen(), &kept, None, n_devices);
        assert_eq!(features.stats().hits, read, "features were read again");
        let of_sent = history(&frozen(), &sent, None, n_devices);
        assert_eq!(of_kept, of_sent, "{n_devices} devices");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_both_numbers_before_anything_is_read() {
    let (batcher, images) = (batcher(&sines(N)), images(32));
    let source = BatchSource::new(&images, &batcher);
    let needed = DeviceCache::picture_bytes(N, 2, 32);
    let build = |budget| DeviceCache::build::<Cpu>(source, &[Default::default()], budget);
    let error = build(needed - 1).unwrap_err();
    assert!(
        matches!(error, DeviceCacheError::OverBudget { .. }),
        "{error:?}"
    );
    let told = error.to_string();
    for number in [needed, needed - 1] {
        assert!(told.contains(&number.to_string()), "{told}");
    }
    assert_eq!(images.stats().drawn, 0);
    assert_eq!(build(needed).unwrap().bytes(), needed);
}

#[test]
fn a_cache_of_something_else_is_refused() {
    let _turn = lock_generator();
    let (batcher, here, other) = (batcher(&sines(N)), images(32), images(16));
    let source = BatchSource::new(&here, &batcher);
    let cache = keep(source);
    let foreign = BatchSource::new(&other, &batcher).with_device_cache(&cache);
    let told = foreign.unwrap_err().to_string();
    assert!(told.contains("other pictures"), "{told}");
    // Pictures where features are wanted, whichever is named first.
    let features = encode(&here, &batcher, FeatureDtype::F32);
    let with_features = source.with_features(&features).unwrap();
    let after = with_features.with_device_cache(&cache);
    let before = source
        .with_device_cache(&cache)
        .unwrap()
        .with_features(&features);
    for refused in [after, before] {
        let error = refused.unwrap_err();
        assert!(
            matches!(error, BatchError::ForeignDeviceCache { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("other features"), "{error}");
    }
    let values = batcher.clone().with_modalities(Modalities::LANGUAGE_ONLY);
    let source = BatchSource::new(&here, &values);
    let none = DeviceCache::build::<Cpu>(source, &[Default::default()], NO_LIMIT);
    assert!(
        matches!(none, Err(DeviceCacheError::NoPictures)),
        "{none:?}"
    );
}

#[test]
fn a_cache_for_another_backend_is_refused_before_the_first_batch() {
    let _turn = lock_generator();
    let (batcher, images) = (batcher(&sines(N)), images(32));
    let source = BatchSource::new(&images, &batcher);
    let (device, devices) = (Default::default(), [Default::default()]);
    let plain = DeviceCache::build::<Cpu>(source, &devices, NO_LIMIT).unwrap();
    let steps_alone = DeviceCache::build::<AutodiffCpu>(source, &devices, NO_LIMIT).unwrap();
    let refused = |error: TrainError| {
        let TrainError::Batch { source } = &error else {
            panic!("{error:?}");
        };
        assert!(
            matches!(source, BatchError::OtherBackend { .. }),
            "{source:?}"
        );
        assert!(source.to_string().contains("Autodiff"), "{source}");
    };
    let model = init(&tiny_model(Modalities::DUAL));
    for cache in [&plain, &steps_alone] {
        let kept = source.with_device_cache(cache).unwrap();
        let data = TrainingData::new(kept, &TRAIN, &VALID);
        let training = TrainingConfig::new();
        let trainer = Trainer::<AutodiffCpu>::new(&training, data, &device).unwrap();
        refused(trainer.fit(model.clone(), &mut ()).unwrap_err());
    }
    let kept = source.with_device_cache(&plain).unwrap();
    refused(evaluate(&model, kept, &VALID, 4, &device).unwrap_err());
    let evaluated = |source| evaluate(&model.valid(), source, &VALID, 4, &device).unwrap();
    assert_eq!(evaluated(kept), evaluated(source));
}

#[test]
fn a_sample_that_is_not_there_is_named() {
    let (batcher, images) = (batcher(&sines(N)), images(32));
    let source = BatchSource::new(&images, &batcher);
    let cache = keep(source);
    let error = source
        .with_device_cache(&cache)
        .unwrap()
        .gather(&[0, N])
        .unwrap_err();
    assert!(
        matches!(error, BatchError::Sample { index: N, .. }),
        "{error:?}"
    );
}
