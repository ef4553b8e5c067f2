//! Training hyperparameters.

use burn::config::Config;
use serde::{Deserialize, Serialize};

use super::loader::n_batches;
use super::{Schedule, TrainError};
use crate::metrics::Score;
use crate::raster::ColorJitter;

/// How a classifier is trained.
#[derive(Config, Debug, PartialEq)]
pub struct TrainingConfig {
    /// Passes over the training samples.
    #[config(default = 100)]
    pub epochs: usize,
    /// Optimizer steps; takes the place of `epochs`: as many whole epochs as make at least so many.
    /// A small set needs many epochs where a large one needs few.
    pub steps: Option<usize>,
    /// Samples of a step at most; the batches of an epoch are made as equal as can be.
    #[config(default = 64)]
    pub batch_size: usize,
    /// Learning rate that the schedule starts from or rises to.
    #[config(default = 1e-4)]
    pub learning_rate: f64,
    /// Learning rate of the vision encoder as a multiple of that of the rest; pretrained weights are
    /// fine-tuned more slowly than new ones are learned.
    #[config(default = 1.0)]
    pub vision_rate: f64,
    /// Likewise of the text encoder, and of what makes tokens of points in front of it.
    #[config(default = 1.0)]
    pub text_rate: f64,
    /// Decoupled weight decay of matrices; biases, norms and class tokens have none.
    #[config(default = 1e-4)]
    pub weight_decay: f32,
    /// The gradient is scaled down to this global norm where it is larger.
    pub max_grad_norm: Option<f64>,
    /// How the learning rate changes.
    #[config(default = "Schedule::Plateau { factor: 0.5, patience: 5 }")]
    pub schedule: Schedule,
    /// Training ends when the score of the validation samples has not been better for this many
    /// epochs.
    pub early_stopping: Option<usize>,
    /// Which score that is, and the best epoch is best at; log loss is the validation loss.
    #[config(default = "Score::Accuracy")]
    pub score: Score,
    /// How the colors of pictures vary from step to step, in training only; not at all by default.
    pub color_jitter: Option<ColorJitter>,
    /// Decay of an exponential moving average of the weights. It is the average that is validated
    /// and returned, not the weights of a step.
    pub average_decay: Option<f64>,
    /// Which epoch's weights are returned.
    #[config(default = "KeptEpoch::Best")]
    pub keep: KeptEpoch,
    /// Decides the order of the samples and every random number of the backend.
    #[config(default = 42)]
    pub seed: u64,
}

/// Which epoch's weights a training returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptEpoch {
    /// That of the best score of the validation samples, then of the lowest validation loss; the
    /// last where there are no validation samples.
    Best,
    /// The last: validation samples are watched and decide nothing, so that predictions for them
    /// are those for any samples the model has not seen.
    Last,
}

/// Samples from which on batches are of 16.
const MANY_SAMPLES: usize = 100;

impl TrainingConfig {
    /// What trains the convolutional preset from scratch on `n_samples`: 600 steps of AdamW along a
    /// cosine, in batches of 8 below 100 samples and of 16 from there on, and the weights' moving
    /// average. Sets of more than some thousand samples are seen three times.
    pub fn for_samples(n_samples: usize) -> Self {
        let batch_size = if n_samples < MANY_SAMPLES { 8 } else { 16 };
        Self::new()
            .with_steps(Some((3 * n_samples / batch_size).max(600)))
            .with_batch_size(batch_size)
            .with_learning_rate(2e-3)
            .with_weight_decay(0.05)
            .with_max_grad_norm(Some(1.0))
            .with_schedule(Schedule::Cosine { warmup_epochs: 0 })
            .with_average_decay(Some(0.99))
    }

    /// Passes over `n_samples`.
    pub fn n_epochs(&self, n_samples: usize) -> usize {
        let per_epoch = n_batches(n_samples, self.batch_size).max(1);
        self.steps
            .map_or(self.epochs, |steps| steps.div_ceil(per_epoch))
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// [`TrainError::Config`] says which cannot be.
    pub fn validate(&self) -> Result<(), TrainError> {
        let Self {
            epochs,
            batch_size,
            learning_rate,
            weight_decay,
            ..
        } = *self;
        let problem = if epochs == 0 || batch_size == 0 || self.steps == Some(0) {
            let budget = match self.steps {
                Some(steps) => format!("{steps} steps"),
                None => format!("{epochs} epochs"),
            };
            Some(format!("{budget} with a batch size of {batch_size}"))
        } else if let Some(decay) = self.average_decay.filter(|d| !(0.0..1.0).contains(d)) {
            Some(format!("a decay of the average of {decay} is outside 0..1"))
        } else if !(learning_rate > 0.0 && learning_rate.is_finite()) {
            Some(format!(
                "a learning rate of {learning_rate} is not a positive number"
            ))
        } else if let Some(rate) = [self.vision_rate, self.text_rate]
            .into_iter()
            .find(|rate| !(*rate > 0.0 && rate.is_finite()))
        {
            Some(format!(
                "an encoder's learning rate of {rate} times that of the rest is not a positive number"
            ))
        } else if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            Some(format!(
                "a weight decay of {weight_decay} is not a number from zero up"
            ))
        } else if self
            .max_grad_norm
            .is_some_and(|norm| !(norm > 0.0 && norm.is_finite()))
        {
            Some(format!(
                "a gradient norm of {:?} is not a positive number",
                self.max_grad_norm
            ))
        } else {
            let jitter = self.color_jitter.map(|jitter| jitter.validate());
            let problem = jitter.and_then(Result::err).map(|error| error.to_string());
            problem.or_else(|| self.schedule.problem())
        };
        problem.map_or(Ok(()), |problem| Err(TrainError::Config { problem }))
    }
}
