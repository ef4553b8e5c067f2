//! How networks are trained: hyperparameters, augmentation.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::data::augment::AugmentConfig;
use crate::metrics::Score;
use crate::raster::ColorJitter;

/// Hyperparameters of the network's training. What is `None` is the preset's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingOptions {
    /// Optimizer steps of each network. Default: 600, or three passes if that is more; 100 passes for the
    /// reference's presets.
    pub steps: Option<usize>,
    /// Passes over the training samples, in the place of steps.
    pub epochs: Option<usize>,
    /// Samples of a step. Default: 8 below 100 training samples of a fold, else 16; 64 for the reference's
    /// presets.
    pub batch_size: Option<usize>,
    /// Peak learning rate.
    pub learning_rate: Option<f64>,
    /// Learning rate of pretrained encoders that are trained, as a multiple of that of the rest.
    pub encoder_rate: f64,
    /// Weight of InfoNCE in the loss.
    pub contrastive_weight: f64,
    /// Share of the target probability that is spread over all classes.
    pub label_smoothing: f32,
    /// Decoupled weight decay of matrices.
    pub weight_decay: f32,
    /// Decay of the moving average of the weights, which is what predicts; 0 for none. Default: 0.99,
    /// and none for the reference's presets.
    pub average_decay: Option<f64>,
    /// Epochs without a better score of the validation samples before training ends. Default: never.
    pub early_stopping: Option<usize>,
    /// Which score that is.
    pub score: Score,
    /// A model file, or the run directory that holds one, whose networks the networks start from,
    /// fold by fold, with its normalization and its way of drawing. Default: random weights.
    pub init_from: Option<PathBuf>,
}

impl Default for TrainingOptions {
    fn default() -> Self {
        Self {
            steps: None,
            epochs: None,
            batch_size: None,
            learning_rate: None,
            encoder_rate: 0.1,
            contrastive_weight: 0.1,
            label_smoothing: 0.1,
            weight_decay: 0.05,
            average_decay: None,
            early_stopping: None,
            score: Score::LogLoss,
            init_from: None,
        }
    }
}

/// How training samples are varied.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// When samples are varied.
    pub when: AugmentWhen,
    /// How strongly they are varied.
    pub transforms: AugmentConfig,
    /// How much the colors of pictures vary from step to step.
    pub color_jitter: Option<ColorJitter>,
}

/// When training samples are varied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AugmentWhen {
    /// Anew in every step: values and pictures; values alone where the vision encoder is frozen, since
    /// its features are computed once; neither in the reference's presets, nor with a cache on the device.
    #[default]
    EveryStep,
    /// So many augmented views of every sample, made once and cached, which epochs take in turn.
    Views(usize),
    /// Never.
    Never,
}
