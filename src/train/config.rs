//! The numbers of a training.

use burn::config::Config;

use super::{Schedule, TrainError};
use crate::raster::ColorJitter;

/// How a classifier is trained.
#[derive(Config, Debug, PartialEq)]
pub struct TrainingConfig {
    /// Passes over the training samples.
    #[config(default = 100)]
    pub epochs: usize,
    /// Samples of a step at most; the batches of an epoch are made as equal as can be.
    #[config(default = 64)]
    pub batch_size: usize,
    /// Learning rate that the schedule starts from or rises to.
    #[config(default = 1e-4)]
    pub learning_rate: f64,
    /// Decoupled weight decay of matrices; biases, norms and class tokens have none.
    #[config(default = 1e-4)]
    pub weight_decay: f32,
    /// The gradient is scaled down to this global norm where it is larger.
    pub max_grad_norm: Option<f64>,
    /// How the learning rate changes.
    #[config(default = "Schedule::Plateau { factor: 0.5, patience: 5 }")]
    pub schedule: Schedule,
    /// Training ends when the validation accuracy has not risen for this many epochs.
    pub early_stopping: Option<usize>,
    /// How the colours of pictures vary from step to step, in training only; not at all by default.
    pub color_jitter: Option<ColorJitter>,
    /// Decides the order of the samples and every random number of the backend.
    #[config(default = 42)]
    pub seed: u64,
}

impl TrainingConfig {
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
        let problem = if epochs == 0 || batch_size == 0 {
            Some(format!("{epochs} epochs with a batch size of {batch_size}"))
        } else if !(learning_rate > 0.0 && learning_rate.is_finite()) {
            Some(format!(
                "a learning rate of {learning_rate} is not a positive number"
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
