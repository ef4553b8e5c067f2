//! The learning rate of every step.

use serde::{Deserialize, Serialize};

/// An epoch improves on the best loss if it is lower by this share, as in PyTorch's
/// `ReduceLROnPlateau`.
const PLATEAU_THRESHOLD: f64 = 1e-4;

/// How the learning rate changes while training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It is multiplied by `factor` after more than `patience` epochs without a better
    /// validation loss, as the reference does.
    Plateau {
        /// Multiplies the rate, in `0..1`.
        factor: f64,
        /// Epochs without a better loss that are let pass.
        patience: usize,
    },
    /// It rises linearly for `warmup_epochs`, then falls along half a cosine to zero at the end of
    /// the last epoch. A step has the rate of its middle, so that none is without effect.
    Cosine {
        /// Epochs of the rise.
        warmup_epochs: usize,
    },
}

impl Schedule {
    /// Whether another number of epochs changes the learning rates of those before the end.
    pub fn depends_on_epochs(self) -> bool {
        matches!(self, Self::Cosine { .. })
    }

    /// Says what is wrong with this schedule, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        match *self {
            Self::Plateau { factor, .. } if !(factor > 0.0 && factor < 1.0) => {
                Some(format!("a plateau factor of {factor} is outside 0..1"))
            }
            _ => None,
        }
    }
}

/// Where a schedule stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ScheduleState {
    factor: f64,
    best_loss: Option<f64>,
    bad_epochs: usize,
}

impl Default for ScheduleState {
    fn default() -> Self {
        Self {
            factor: 1.0,
            best_loss: None,
            bad_epochs: 0,
        }
    }
}

impl ScheduleState {
    /// The share of the configured learning rate to use after `progress` of `epochs` epochs.
    pub(super) fn factor(&self, schedule: Schedule, progress: f64, epochs: usize) -> f64 {
        match schedule {
            Schedule::Constant => 1.0,
            Schedule::Plateau { .. } => self.factor,
            Schedule::Cosine { warmup_epochs } => {
                let warmup = warmup_epochs as f64;
                if progress < warmup {
                    return progress / warmup;
                }
                let rest = (epochs as f64 - warmup).max(1.0);
                let done = ((progress - warmup) / rest).min(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }

    /// Takes note of the validation loss of an epoch.
    pub(super) fn epoch_done(&mut self, schedule: Schedule, loss: f64) {
        let Schedule::Plateau { factor, patience } = schedule else {
            return;
        };
        if self
            .best_loss
            .is_none_or(|best| loss < best * (1.0 - PLATEAU_THRESHOLD))
        {
            self.best_loss = Some(loss);
            self.bad_epochs = 0;
            return;
        }
        self.bad_epochs += 1;
        if self.bad_epochs > patience {
            self.factor *= factor;
            self.bad_epochs = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plateau_halves_after_more_bad_epochs_than_patience() {
        let schedule = Schedule::Plateau {
            factor: 0.5,
            patience: 2,
        };
        let mut state = ScheduleState::default();
        let mut factors = Vec::new();
        for loss in [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.9] {
            state.epoch_done(schedule, loss);
            factors.push(state.factor(schedule, 0.0, 8));
        }
        assert_eq!(factors, [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]);
    }

    #[test]
    fn cosine_rises_then_falls_to_zero() {
        let schedule = Schedule::Cosine { warmup_epochs: 2 };
        let state = ScheduleState::default();
        let at = |progress| state.factor(schedule, progress, 10);
        assert_eq!(at(1.0), 0.5);
        assert_eq!(at(2.0), 1.0);
        assert!((at(6.0) - 0.5).abs() < 1e-12, "{}", at(6.0));
        assert!(at(10.0).abs() < 1e-12, "{}", at(10.0));
    }
}
