//! How a fold is trained: hyperparameters, and augmentation in every step.

use crate::batch;
use crate::cache::CacheError;
use crate::classifier::FitError;
use crate::classifier::observer::Watch;
use crate::classifier::options::{AugmentWhen, FitOptions, Preset, TrainingLeft};
use crate::classifier::pretrained::Pretrained;
use crate::classifier::recipe::Recipe;
use crate::data::augment::Augmenter;
use crate::train::{KeptEpoch, Schedule, TrainingConfig};

/// Hyperparameters for a fold of `n_train` samples, counted from 0.
pub(super) fn training_config(
    options: &FitOptions,
    pretrained: &Pretrained,
    n_train: usize,
    fold: u64,
) -> TrainingConfig {
    let rate = |pretrained: &Option<_>| match pretrained {
        Some(_) => options.training.encoder_rate,
        None => 1.0,
    };
    let training = &options.training;
    let mut config = match options.network.preset {
        Preset::Small | Preset::LinePlots | Preset::VitS14 => TrainingConfig::for_samples(n_train),
        Preset::ClipVitB32 | Preset::ClipVitB16 => TrainingConfig::new()
            .with_max_grad_norm(Some(1.0))
            .with_schedule(Schedule::Cosine { warmup_epochs: 5 }),
    };
    config.batch_size = training.batch_size.unwrap_or(config.batch_size);
    config.learning_rate = training.learning_rate.unwrap_or(config.learning_rate);
    config.steps = training.steps.or(config.steps);
    if let Some(epochs) = training.epochs {
        (config.epochs, config.steps) = (epochs, None);
    }
    let extended = options.compute.extends.as_ref();
    match extended.map(|extension| extension.left) {
        Some(TrainingLeft::Epochs(epochs)) => (config.epochs, config.steps) = (epochs, None),
        Some(TrainingLeft::Steps(steps)) => config.steps = Some(steps),
        None => {}
    }
    if let Some(decay) = training.average_decay {
        config.average_decay = (decay > 0.0).then_some(decay);
    }
    config
        .with_vision_rate(rate(&pretrained.vision))
        .with_text_rate(rate(&pretrained.text))
        .with_weight_decay(training.weight_decay)
        .with_early_stopping(training.early_stopping)
        .with_score(training.score)
        .with_keep(match training.early_stopping {
            Some(_) => KeptEpoch::Best,
            None => KeptEpoch::Last,
        })
        .with_color_jitter(options.augmentation.color_jitter)
        .with_seed(options.seed.wrapping_add(fold))
}

/// Augmentation in every step, unless pictures are made beforehand; of values alone, if features
/// are.
pub(super) fn augmentation(
    (options, recipe): (&FitOptions, &Recipe),
    cached: bool,
    watch: &mut Watch<'_>,
) -> Result<Option<batch::Augmentation>, FitError> {
    let device = options.compute.device_cache.is_some();
    let possible = !device
        && !options.network.is_reference()
        && (!cached || recipe.model.modalities.has_language());
    let wanted = match options.augmentation.when {
        AugmentWhen::EveryStep => true,
        AugmentWhen::Never => options.prefixes,
        AugmentWhen::Views(_) => false,
    };
    // A picture of a whole series would give away what comes after its beginning.
    if options.prefixes && wanted && (cached || !possible) {
        let problem = "with embeddings or pictures that are made beforehand, and with the CLIP presets, \
                       beginnings of series are trained on as cached views: set a number of views";
        return Err(FitError::Options {
            problem: problem.to_owned(),
        });
    }
    if wanted && device && !options.network.is_reference() {
        watch.note(
            "the training samples stay on the device and are not augmented; views of them could be kept there, too",
        );
    }
    if !wanted || !possible {
        return Ok(None);
    }
    let augmenter = Augmenter::new(options.transforms(), options.seed)?;
    let augmentation = batch::Augmentation::new(augmenter);
    Ok(Some(
        match recipe.model.modalities.has_vision() && !cached {
            true => augmentation
                .with_pictures(&recipe.style)
                .map_err(|source| CacheError::Raster { source })?,
            false => augmentation,
        },
    ))
}
