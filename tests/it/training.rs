//! The training loop: it learns, it repeats itself, it resumes, and the cache changes nothing.

use std::ops::ControlFlow;

use burn::module::AutodiffModule;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use timesclip::Modalities;
use timesclip::batch::{Augmentation, BatchSource};
use timesclip::cache::{BuildOptions, CachedImageDataset, InMemoryImages, UncachedImages};
use timesclip::data::augment::{AugmentConfig, Augmenter};
use timesclip::model::{TimesClipClassifier, TimesClipClassifierConfig};
use timesclip::train::{
    Checkpoints, EpochRecord, Schedule, StopReason, TrainError, Trained, Trainer, TrainingConfig,
    TrainingData, TrainingObserver, evaluate,
};

use crate::support::{AutodiffCpu, Cpu, batcher, lock_generator, sines, tiny_model, tiny_style};
use crate::tokenizers::tiny_convolutions;

fn in_memory(n_samples: usize) -> InMemoryImages {
    InMemoryImages::build(sines(n_samples), &tiny_style(), BuildOptions::new()).expect("built")
}

fn training(epochs: usize) -> TrainingConfig {
    TrainingConfig::new()
        .with_epochs(epochs)
        .with_batch_size(8)
        .with_learning_rate(3e-3)
        .with_max_grad_norm(Some(1.0))
        .with_schedule(Schedule::Plateau {
            factor: 0.5,
            patience: 1,
        })
}

/// Trains on the first 18 of 24 sines and judges by the rest.
fn fit(
    images: &dyn CachedImageDataset,
    model: &TimesClipClassifierConfig,
    config: &TrainingConfig,
    checkpoints: Option<&Checkpoints>,
    observer: &mut dyn TrainingObserver,
) -> Result<Trained<AutodiffCpu>, TrainError> {
    let (device, batcher) = (Default::default(), batcher(&sines(24)));
    let (train, valid) = ((0..18).collect::<Vec<_>>(), (18..24).collect::<Vec<_>>());
    let source = BatchSource::new(images, &batcher);
    let data = TrainingData::new(source, &train, &valid);
    AutodiffCpu::seed(&device, config.seed);
    let model = model.init::<AutodiffCpu>(&device);
    let trainer = Trainer::<AutodiffCpu>::new(config, data, &device)?;
    match checkpoints {
        Some(checkpoints) => trainer.with_checkpoints(checkpoints).fit(model, observer),
        None => trainer.fit(model, observer),
    }
}

fn logits(trained: &Trained<AutodiffCpu>, images: &dyn CachedImageDataset) -> Vec<f32> {
    let batch = batcher(&sines(24))
        .gather(images, &[0, 5, 20])
        .expect("a batch");
    let batch = batch.into_tensors::<Cpu>(&Default::default());
    trained
        .model
        .forward(batch.input)
        .logits
        .into_data()
        .iter::<f32>()
        .collect()
}

#[test]
fn every_mode_overfits_a_small_set() {
    let _turn = lock_generator();
    for mode in [
        Modalities::DUAL,
        Modalities::LANGUAGE_ONLY,
        Modalities::VISION_ONLY,
    ] {
        let config = training(100).with_schedule(Schedule::Constant);
        let model = match mode {
            Modalities::LANGUAGE_ONLY => tiny_convolutions(mode),
            _ => tiny_model(mode),
        };
        let trained = fit(&in_memory(24), &model, &config, None, &mut ()).unwrap();
        let best = trained
            .history
            .iter()
            .map(|e| e.train_accuracy)
            .fold(0.0, f64::max);
        assert!(best >= 0.99, "{mode:?} only reaches {best}");
    }
}

#[test]
fn cached_and_uncached_training_have_the_same_history() {
    let _turn = lock_generator();
    let model = tiny_model(Modalities::DUAL);
    let cached = fit(&in_memory(24), &model, &training(3), None, &mut ()).unwrap();
    let drawn = UncachedImages::new(sines(24), &tiny_style()).unwrap();
    let uncached = fit(&drawn, &model, &training(3), None, &mut ()).unwrap();
    assert_eq!(cached.history, uncached.history);
    assert_eq!(logits(&cached, &drawn), logits(&uncached, &drawn));
}

#[test]
fn another_seed_trains_differently() {
    let _turn = lock_generator();
    let (images, model) = (in_memory(24), tiny_model(Modalities::LANGUAGE_ONLY));
    let one = fit(&images, &model, &training(2), None, &mut ()).unwrap();
    let other = fit(&images, &model, &training(2).with_seed(7), None, &mut ()).unwrap();
    assert_ne!(one.history, other.history);
}

/// Stops in some step of some epoch.
struct StopAt {
    epoch: usize,
    step: usize,
}

impl TrainingObserver for StopAt {
    fn on_step(&mut self, event: timesclip::train::StepEvent) -> ControlFlow<()> {
        match event.epoch == self.epoch && event.step == self.step {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

#[test]
fn a_run_stopped_in_an_epoch_and_resumed_equals_one_never_stopped() {
    let _turn = lock_generator();
    let images = in_memory(24);
    for head_norm in [
        timesclip::model::HeadNorm::Layer,
        timesclip::model::HeadNorm::Batch,
    ] {
        let mut model = tiny_model(Modalities::DUAL);
        model.head.norm = head_norm;
        let straight = fit(&images, &model, &training(5), None, &mut ()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(folder.path().join("checkpoints")).unwrap();
        let mut stop = StopAt { epoch: 3, step: 2 };
        let stopped = fit(&images, &model, &training(5), Some(&checkpoints), &mut stop).unwrap();
        assert_eq!(stopped.stopped, StopReason::Interrupted);
        assert_eq!(stopped.history.len(), 2);
        let resumed = fit(&images, &model, &training(5), Some(&checkpoints), &mut ()).unwrap();
        assert_eq!(resumed.stopped, StopReason::Finished);
        assert_eq!(resumed.history, straight.history, "{head_norm:?}");
        assert_eq!(resumed.best_epoch, straight.best_epoch);
        assert_eq!(
            logits(&resumed, &images),
            logits(&straight, &images),
            "{head_norm:?}"
        );
    }
}

#[test]
fn the_model_returned_is_the_one_of_the_best_epoch() {
    let _turn = lock_generator();
    let images = in_memory(24);
    let model = tiny_model(Modalities::DUAL);
    // A rate this high makes the last epoch a bad one.
    let config = training(8)
        .with_learning_rate(5e-2)
        .with_schedule(Schedule::Constant);
    let trained = fit(&images, &model, &config, None, &mut ()).unwrap();
    let best: &EpochRecord = &trained.history[trained.best_epoch.unwrap() - 1];
    let (batcher, valid) = (batcher(&sines(24)), (18..24).collect::<Vec<_>>());
    let source = BatchSource::new(&images, &batcher);
    let again = evaluate(&trained.model, source, &valid, 8, &Default::default()).unwrap();
    assert_eq!(Some(again.loss), best.valid_loss);
    assert_eq!(again.accuracy(), best.valid_accuracy);
    let ids: Vec<u64> = again
        .predictions
        .iter()
        .map(|prediction| prediction.id)
        .collect();
    assert_eq!(ids, (1018..1024).collect::<Vec<_>>());
}

#[test]
fn early_stopping_ends_a_run_that_does_not_get_better() {
    let _turn = lock_generator();
    let config = training(30)
        .with_learning_rate(1e-12)
        .with_early_stopping(Some(3));
    let model = tiny_model(Modalities::LANGUAGE_ONLY);
    let trained = fit(&in_memory(24), &model, &config, None, &mut ()).unwrap();
    assert_eq!(trained.stopped, StopReason::EarlyStopping);
    assert_eq!(trained.history.len(), 4);
}

#[test]
fn no_step_of_a_cosine_is_without_effect() {
    let _turn = lock_generator();
    for epochs in [1, 3] {
        // Every epoch is a single step.
        let config = training(epochs)
            .with_batch_size(24)
            .with_schedule(Schedule::Cosine { warmup_epochs: 1 });
        let model = tiny_model(Modalities::LANGUAGE_ONLY);
        let trained = fit(&in_memory(24), &model, &config, None, &mut ()).unwrap();
        let idle = trained
            .history
            .iter()
            .find(|done| done.learning_rate <= 0.0);
        assert_eq!(idle, None);
    }
}

#[test]
fn a_loss_that_is_no_number_stops_with_its_place() {
    let _turn = lock_generator();
    let config = training(50)
        .with_learning_rate(1e30)
        .with_max_grad_norm(None);
    let model = tiny_model(Modalities::LANGUAGE_ONLY);
    let error = fit(&in_memory(24), &model, &config, None, &mut ()).unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::NonFiniteLoss {
                epoch: 1..,
                step: 1..,
                ..
            }
        ),
        "{error:?}"
    );
    // The only step of an epoch is taken from a sound loss.
    let error = fit(
        &in_memory(24),
        &model,
        &config.with_batch_size(24),
        None,
        &mut (),
    )
    .unwrap_err();
    let found = matches!(error, TrainError::NonFiniteValidation { epoch: 1.., .. });
    assert!(found, "{error:?}");
}

#[test]
fn padding_of_longer_neighbors_does_not_change_a_prediction() {
    let _turn = lock_generator();
    for config in [tiny_model, tiny_convolutions] {
        let model = config(Modalities::DUAL).init::<AutodiffCpu>(&Default::default());
        assert_padding_is_not_seen(&model.valid());
    }
}

fn assert_padding_is_not_seen(model: &TimesClipClassifier<Cpu>) {
    let images = in_memory(24);
    let predict = |indices: &[usize]| -> Vec<f32> {
        let batch = batcher(&sines(24))
            .gather(&images, indices)
            .expect("a batch");
        let batch = batch.into_tensors::<Cpu>(&Default::default());
        let logits: Tensor<Cpu, 2> = model.forward(batch.input).logits;
        logits
            .slice([0..1, 0..3])
            .into_data()
            .iter::<f32>()
            .collect()
    };
    // Sample 0 has 12 steps, sample 7 has 19.
    let (alone, beside) = (predict(&[0]), predict(&[0, 7]));
    for (a, b) in alone.iter().zip(&beside) {
        assert!(
            (a - b).abs() < 1e-5,
            "{alone:?} alone, {beside:?} beside a longer series"
        );
    }
}

/// Trains as the convolutional preset does: averaged, on views drawn anew, without validation.
fn fit_augmented(
    config: &TrainingConfig,
    checkpoints: Option<&Checkpoints>,
    observer: &mut dyn TrainingObserver,
) -> Result<Trained<AutodiffCpu>, TrainError> {
    let (device, batcher, images) = (Default::default(), batcher(&sines(24)), in_memory(24));
    let train = (0..18).collect::<Vec<_>>();
    let augmenter = Augmenter::new(AugmentConfig::default(), config.seed).expect("mild");
    let augmentation = Augmentation::new(augmenter).with_pictures(&tiny_style());
    let augmentation = augmentation.expect("a sound style");
    let source = BatchSource::new(&images, &batcher);
    let data = TrainingData::new(source, &train, &[]).with_augmentation(&augmentation);
    AutodiffCpu::seed(&device, config.seed);
    let model = tiny_convolutions(Modalities::DUAL).init::<AutodiffCpu>(&device);
    let trainer = Trainer::<AutodiffCpu>::new(config, data, &device)?;
    match checkpoints {
        Some(checkpoints) => trainer.with_checkpoints(checkpoints).fit(model, observer),
        None => trainer.fit(model, observer),
    }
}

#[test]
fn an_averaged_run_on_new_views_resumes_as_if_never_stopped() {
    let _turn = lock_generator();
    let config = TrainingConfig::for_samples(18).with_steps(Some(22));
    assert_eq!(config.n_epochs(18), 8, "of three steps each");
    let images = in_memory(24);
    let straight = fit_augmented(&config, None, &mut ()).unwrap();
    assert_eq!(straight.best_epoch, Some(8));
    for interval in [1, 7] {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(folder.path()).unwrap();
        let checkpoints = checkpoints.with_interval(interval);
        let mut stop = StopAt { epoch: 5, step: 2 };
        let stopped = fit_augmented(&config, Some(&checkpoints), &mut stop).unwrap();
        assert_eq!(stopped.stopped, StopReason::Interrupted);
        assert_eq!(stopped.best_epoch, Some(4), "what is returned is usable");
        // The checkpoint is of the fourth epoch, or of the third, the first to end 7 steps on.
        let done = checkpoints.n_epochs::<AutodiffCpu>(&Default::default());
        assert_eq!(done.unwrap(), if interval == 1 { 4 } else { 3 });
        let resumed = fit_augmented(&config, Some(&checkpoints), &mut ()).unwrap();
        assert_eq!(resumed.history, straight.history, "every {interval} steps");
        assert_eq!(logits(&resumed, &images), logits(&straight, &images));
    }
}

#[test]
fn an_average_is_not_the_last_step() {
    let _turn = lock_generator();
    let config = TrainingConfig::for_samples(18).with_steps(Some(9));
    let plain = config.clone().with_average_decay(None);
    let images = in_memory(24);
    let averaged = fit_augmented(&config, None, &mut ()).unwrap();
    let plain = fit_augmented(&plain, None, &mut ()).unwrap();
    // Learning is the same; only what is kept of it differs.
    assert_eq!(averaged.history, plain.history);
    assert_ne!(logits(&averaged, &images), logits(&plain, &images));
}

#[test]
fn new_views_that_do_not_fit_are_refused() {
    let (device, batcher, images) = (Default::default(), batcher(&sines(24)), in_memory(24));
    let source = BatchSource::new(&images, &batcher);
    let train = [0, 1, 2];
    let augmentation = || {
        let augmenter = Augmenter::new(AugmentConfig::default(), 1).expect("mild");
        Augmentation::new(augmenter)
    };
    let mut large = tiny_style();
    large.side_px *= 2;
    let undrawn = augmentation();
    let other_side = augmentation().with_pictures(&large).expect("a sound style");
    let drawn = augmentation()
        .with_pictures(&tiny_style())
        .expect("a sound style");
    let data = TrainingData::new(source, &train, &[]);
    let views = [source];
    let config = training(1);
    for (data, problem) in [
        (data.with_augmentation(&undrawn), "not drawn"),
        (data.with_augmentation(&other_side), "64 px"),
        (data.with_views(&views).with_augmentation(&drawn), "cached"),
    ] {
        let refused = Trainer::<AutodiffCpu>::new(&config, data, &device);
        let error = refused.expect_err(problem).to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn views_drawn_in_every_step_need_no_cache_of_pictures() {
    let _turn = lock_generator();
    let (device, set, batcher, images) = (
        Default::default(),
        sines(24),
        batcher(&sines(24)),
        in_memory(24),
    );
    let augmenter = Augmenter::new(AugmentConfig::default(), 1).expect("mild");
    let drawn = Augmentation::new(augmenter.clone())
        .with_pictures(&tiny_style())
        .expect("a sound style");
    let train: Vec<usize> = (0..18).collect();
    let config = training(2);
    let model = || {
        AutodiffCpu::seed(&device, config.seed);
        tiny_model(Modalities::VISION_ONLY).init::<AutodiffCpu>(&device)
    };
    let fit = |source, augmentation| {
        let data = TrainingData::new(source, &train, &[]).with_augmentation(augmentation);
        let trainer = Trainer::<AutodiffCpu>::new(&config, data, &device)?;
        trainer.fit(model(), &mut ())
    };
    let cached = fit(BatchSource::new(&images, &batcher), &drawn).expect("a training");
    let series = fit(BatchSource::of_series(&set, &batcher), &drawn).expect("a training");
    assert_eq!(cached.history, series.history);

    let mut large = tiny_style();
    large.side_px *= 2;
    let large = Augmentation::new(augmenter).with_pictures(&large);
    let refused = fit(
        BatchSource::of_series(&set, &batcher),
        &large.expect("a sound style"),
    );
    let error = refused.expect_err("another side").to_string();
    assert!(error.contains("pictures of 64 px"), "{error}");
}

#[test]
fn budgets_that_cannot_be_are_refused() {
    for config in [
        training(1).with_steps(Some(0)),
        training(1).with_average_decay(Some(1.0)),
        training(1).with_average_decay(Some(f64::NAN)),
    ] {
        assert!(matches!(config.validate(), Err(TrainError::Config { .. })));
    }
}

#[test]
fn a_classifier_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<TimesClipClassifier<Cpu>>();
}
