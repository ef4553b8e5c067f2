//! Training on cached features and on augmented views: the same numbers, the right series.

use burn::module::AutodiffModule;
use burn::tensor::backend::Backend;
use timesclip::Modalities;
use timesclip::batch::{BatchSource, TimesClipBatcher};
use timesclip::cache::features::{FeatureDtype, FeatureStore};
use timesclip::cache::{BuildOptions, CachedImageDataset, UncachedImages};
use timesclip::data::SeriesDataset;
use timesclip::data::augment::{AugmentConfig, Augmenter};
use timesclip::encode::FeatureEncoder;
use timesclip::model::{
    Freeze, TimesClipClassifier, TimesClipClassifierConfig, TokenPooling, VisionTap,
};
use timesclip::raster::ColorJitter;
use timesclip::raster::PlotStyle;
use timesclip::train::{
    Checkpoints, EpochRecord, TrainError, Trained, Trainer, TrainingConfig, TrainingData,
};

use crate::support::{AutodiffCpu, Cpu, batcher, lock_generator, sines, tiny_model, tiny_style};

const TRAIN: [usize; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const VALID: [usize; 6] = [12, 13, 14, 15, 16, 17];

fn frozen(mode: Modalities) -> TimesClipClassifierConfig {
    tiny_model(mode)
        .with_freeze_vision(Freeze::All)
        .with_standardize_features(true)
}

fn images(dataset: SeriesDataset) -> UncachedImages {
    UncachedImages::new(dataset, &tiny_style()).expect("a sound style")
}

fn training() -> TrainingConfig {
    TrainingConfig::new()
        .with_epochs(3)
        .with_batch_size(5)
        .with_learning_rate(3e-3)
}

fn init(config: &TimesClipClassifierConfig) -> TimesClipClassifier<AutodiffCpu> {
    AutodiffCpu::seed(&Default::default(), 5);
    config.init(&Default::default())
}

fn encode(
    model: &TimesClipClassifier<AutodiffCpu>,
    images: &UncachedImages,
    batcher: &TimesClipBatcher,
) -> FeatureStore {
    let plain = model.valid();
    let tower = plain.frozen_vision().expect("a frozen encoder");
    let device = Default::default();
    let encoder = FeatureEncoder::<Cpu>::new(tower, images, batcher, FeatureDtype::F32, &device);
    let encoder = encoder.expect("samples that can be read");
    encoder.in_memory(BuildOptions::new()).expect("features")
}

fn fit(
    config: &TimesClipClassifierConfig,
    data: TrainingData<'_>,
    checkpoints: Option<&Checkpoints>,
    training: &TrainingConfig,
) -> Result<Trained<AutodiffCpu>, TrainError> {
    let device = Default::default();
    let trainer = Trainer::<AutodiffCpu>::new(training, data, &device)?;
    let model = init(config);
    match checkpoints {
        Some(checkpoints) => trainer.with_checkpoints(checkpoints).fit(model, &mut ()),
        None => trainer.fit(model, &mut ()),
    }
}

#[test]
fn training_on_features_has_the_history_of_training_on_pictures() {
    let _turn = lock_generator();
    let (images, batcher) = (images(sines(18)), batcher(&sines(18)));
    for mode in [Modalities::DUAL, Modalities::VISION_ONLY] {
        let config = frozen(mode);
        let features = encode(&init(&config), &images, &batcher);
        let pictures = BatchSource::new(&images, &batcher);
        let cached = pictures.with_features(&features).unwrap();
        let history = |source| {
            let data = TrainingData::new(source, &TRAIN, &VALID);
            fit(&config, data, None, &training()).unwrap().history
        };
        assert_eq!(history(cached), history(pictures), "{mode:?}");
        assert!(features.stats().hits > 0, "the features were not read");
    }
}

#[test]
fn a_frozen_run_resumes_and_predicts_from_its_checkpoints_alone() {
    let _turn = lock_generator();
    let (images, batcher) = (images(sines(18)), batcher(&sines(18)));
    let config = frozen(Modalities::DUAL);
    let source = BatchSource::new(&images, &batcher);
    let data = TrainingData::new(source, &TRAIN, &VALID);
    let straight = fit(&config, data, None, &training()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(folder.path()).unwrap();
    let half = training().with_epochs(1);
    fit(&config, data, Some(&checkpoints), &half).unwrap();
    let resumed = fit(&config, data, Some(&checkpoints), &training()).unwrap();
    assert_eq!(resumed.history, straight.history);
    // Other weights to begin with: all that matters comes from the checkpoints.
    Cpu::seed(&Default::default(), 99);
    let blank = config.init::<Cpu>(&Default::default());
    let loaded = checkpoints.load_best(blank, &Default::default()).unwrap();
    let logits = |model: &TimesClipClassifier<Cpu>| {
        let batch = source.gather(&[0, 7]).unwrap();
        let input = batch.into_tensors::<Cpu>(&Default::default()).input;
        model
            .forward(input)
            .logits
            .into_data()
            .to_vec::<f32>()
            .unwrap()
    };
    assert_eq!(logits(&loaded), logits(&straight.model));
    let size = |name: &str| folder.path().join(name).metadata().unwrap().len();
    let count = init(&config).parameter_count();
    assert!(size("frozen.mpk") >= 4 * count.frozen as u64, "{count:?}");
    let best = size("best.mpk");
    assert!(
        best < 4 * count.total as u64,
        "{best} bytes hold the frozen weights: {count:?}"
    );
}

/// Epochs of views take the views in turn, of the training samples alone.
#[test]
fn epochs_take_views_in_turn_and_validation_takes_none() {
    let _turn = lock_generator();
    let set = sines(18);
    let batcher = batcher(&set);
    let augmenter = Augmenter::new(AugmentConfig::default(), 3).unwrap();
    let views: Vec<UncachedImages> = (0..3)
        .map(|view| images(augmenter.view_of(&set, view)))
        .collect();
    let sources: Vec<BatchSource<'_>> = views
        .iter()
        .map(|images| BatchSource::new(images, &batcher))
        .collect();
    let drawn = |i: usize| views[i].stats().drawn;
    let config = tiny_model(Modalities::DUAL);
    let data = TrainingData::new(sources[0], &TRAIN, &VALID).with_views(&sources[1..]);
    fit(&config, data, None, &training()).unwrap();
    // Three epochs: views 1, 2, 1; 2 variates each.
    assert_eq!(drawn(0), 3 * 2 * VALID.len() as u64, "validation");
    assert_eq!(drawn(1), 2 * 2 * TRAIN.len() as u64, "view 1");
    assert_eq!(drawn(2), 2 * TRAIN.len() as u64, "view 2");
}

#[test]
fn views_and_their_features_train_alike() {
    let _turn = lock_generator();
    let (set, config) = (sines(18), frozen(Modalities::DUAL));
    let batcher = batcher(&set);
    let augmenter = Augmenter::new(AugmentConfig::default(), 3).unwrap();
    let images: Vec<_> = (0..3)
        .map(|view| images(augmenter.view_of(&set, view)))
        .collect();
    let model = init(&config);
    let stores: Vec<_> = images.iter().map(|i| encode(&model, i, &batcher)).collect();
    let pictures: Vec<_> = images
        .iter()
        .map(|i| BatchSource::new(i, &batcher))
        .collect();
    let cached: Vec<_> = pictures
        .iter()
        .zip(&stores)
        .map(|(source, store)| source.with_features(store).unwrap())
        .collect();
    let history = |sources: &[BatchSource<'_>]| -> Vec<EpochRecord> {
        let data = TrainingData::new(sources[0], &TRAIN, &VALID).with_views(&sources[1..]);
        fit(&config, data, None, &training()).unwrap().history
    };
    assert_eq!(history(&cached), history(&pictures));
    let data = TrainingData::new(cached[0], &TRAIN, &VALID);
    let plain = fit(&config, data, None, &training()).unwrap().history;
    assert_ne!(history(&cached), plain, "the views are the set itself");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let _turn = lock_generator();
    let (set, config) = (sines(18), frozen(Modalities::DUAL));
    let (batcher, images_of_set) = (batcher(&set), images(set.clone()));
    let features = encode(&init(&config), &images_of_set, &batcher);
    let pictures = BatchSource::new(&images_of_set, &batcher);
    let cached = pictures.with_features(&features).unwrap();
    let refused = |config: &TimesClipClassifierConfig, data, training: &TrainingConfig| {
        let error = fit(config, data, None, training).unwrap_err();
        assert!(matches!(error, TrainError::Data { .. }), "{error:?}");
        error.to_string()
    };
    let (data, steps) = (TrainingData::new(cached, &TRAIN, &VALID), training());
    let learning = tiny_model(Modalities::DUAL);
    assert!(refused(&learning, data, &steps).contains("the vision encoder learns"));
    let mut tapped = config.clone();
    tapped.vision.tap = VisionTap {
        layer: None,
        pooling: TokenPooling::Mean,
    };
    assert!(refused(&tapped, data, &steps).contains("were made by the encoder"));
    let mixed = data.with_views(std::slice::from_ref(&pictures));
    assert!(refused(&config, mixed, &steps).contains("view 1 as pictures"));
    let with = |alter: &dyn Fn(&mut TimesClipClassifierConfig)| {
        let mut other = tiny_model(Modalities::DUAL);
        alter(&mut other);
        other
    };
    let data = |source| TrainingData::new(source, &TRAIN, &VALID);
    let other = with(&|model| model.n_variates += 1);
    assert!(refused(&other, data(pictures), &steps).contains("variates for a classifier of"));
    let other = with(&|model| model.vision.side_px *= 2);
    assert!(refused(&other, data(pictures), &steps).contains("px for an encoder of"));
    let other = with(&|model| model.n_classes -= 1);
    assert!(refused(&other, data(pictures), &steps).contains("is of class 2"));
    let data = data(cached);
    let jitter = training().with_color_jitter(Some(ColorJitter::default()));
    assert!(refused(&config, data, &jitter).contains("colors are to vary"));
    // Other pictures, or the same in other colors.
    let style = PlotStyle {
        margin: 0.1,
        ..tiny_style()
    };
    let other = UncachedImages::new(set, &style).unwrap();
    let error = BatchSource::new(&other, &batcher).with_features(&features);
    assert!(error.unwrap_err().to_string().contains("other pictures"));
    let recolored = batcher
        .clone()
        .with_colors(Default::default(), Default::default());
    let error = BatchSource::new(&images_of_set, &recolored).with_features(&features);
    assert!(error.unwrap_err().to_string().contains("other colors"));
}

#[test]
fn color_jitter_changes_training_and_repeats_itself() {
    let _turn = lock_generator();
    let (images, batcher) = (images(sines(18)), batcher(&sines(18)));
    let history = |jitter| {
        let data = TrainingData::new(BatchSource::new(&images, &batcher), &TRAIN, &VALID);
        let training = training().with_color_jitter(jitter);
        let config = tiny_model(Modalities::VISION_ONLY);
        fit(&config, data, None, &training).unwrap().history
    };
    let jittered = history(Some(ColorJitter::default()));
    assert_eq!(history(Some(ColorJitter::default())), jittered);
    assert_ne!(history(None), jittered);
    assert_eq!(history(Some(ColorJitter::OFF)), history(None));
}
