//! Where a run stands between two epochs, and which epoch was its best.

use serde::{Deserialize, Serialize};

use super::config::KeptEpoch;
use super::schedule::ScheduleState;

/// What one epoch did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean of the total loss over the training samples, as the epoch's steps saw it.
    pub train_loss: f64,
    /// Share of training samples classified rightly, as the epoch's steps saw it.
    pub train_accuracy: f64,
    /// Mean of InfoNCE over the training samples, before its weight, in dual mode.
    pub train_contrastive: Option<f64>,
    /// Mean of the total loss over the validation samples, if there are any.
    pub valid_loss: Option<f64>,
    /// Share of validation samples classified rightly, if there are any.
    pub valid_accuracy: Option<f64>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
}

impl EpochRecord {
    /// Whether this epoch is better than `other`: by validation accuracy, then by validation
    /// loss. Without validation samples a later epoch is better.
    fn beats(&self, other: &Self) -> bool {
        match (self.valid_accuracy, other.valid_accuracy) {
            (Some(new), Some(old)) if new != old => new > old,
            (Some(_), Some(_)) => self.valid_loss < other.valid_loss,
            _ => true,
        }
    }
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// All epochs were run.
    Finished,
    /// The validation accuracy did not rise any more.
    EarlyStopping,
    /// The observer asked for it.
    Interrupted,
}

/// Everything of a run but its weights and moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RunState {
    pub(super) history: Vec<EpochRecord>,
    pub(super) epoch_seconds: Vec<f64>,
    pub(super) schedule: ScheduleState,
    best: Option<usize>,
}

impl RunState {
    /// The epoch to run next, counted from 1.
    pub(super) fn next_epoch(&self) -> usize {
        self.history.len() + 1
    }

    /// The best epoch so far.
    pub(super) fn best(&self) -> Option<&EpochRecord> {
        self.best.map(|i| &self.history[i])
    }

    /// Adds an epoch; true if its weights are to be kept.
    pub(super) fn push(&mut self, record: EpochRecord, seconds: f64, keep: KeptEpoch) -> bool {
        let best = keep == KeptEpoch::Last || self.best().is_none_or(|best| record.beats(best));
        if best {
            self.best = Some(self.history.len());
        }
        self.history.push(record);
        self.epoch_seconds.push(seconds);
        best
    }

    /// Whether the validation accuracy has not risen for `patience` epochs.
    pub(super) fn is_stale(&self, patience: usize) -> bool {
        let accuracies = self.history.iter().map(|epoch| epoch.valid_accuracy);
        let mut best: Option<(usize, f64)> = None;
        for (i, accuracy) in accuracies.enumerate() {
            let Some(accuracy) = accuracy else {
                return false;
            };
            if best.is_none_or(|(_, highest)| accuracy > highest) {
                best = Some((i, accuracy));
            }
        }
        best.is_some_and(|(i, _)| self.history.len() - 1 - i >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: usize, valid: Option<(f64, f64)>) -> EpochRecord {
        EpochRecord {
            epoch,
            train_loss: 1.0,
            train_accuracy: 0.5,
            train_contrastive: None,
            valid_loss: valid.map(|(loss, _)| loss),
            valid_accuracy: valid.map(|(_, accuracy)| accuracy),
            learning_rate: 1e-3,
        }
    }

    #[test]
    fn best_epoch_is_the_most_accurate_then_the_one_of_least_loss() {
        let mut state = RunState::default();
        let valid = [(0.9, 0.5), (0.8, 0.7), (0.7, 0.7), (0.75, 0.7), (0.1, 0.6)];
        let best: Vec<bool> = valid
            .iter()
            .enumerate()
            .map(|(i, v)| state.push(epoch(i + 1, Some(*v)), 0.0, KeptEpoch::Best))
            .collect();
        assert_eq!(best, [true, true, true, false, false]);
        assert_eq!(state.best().map(|best| best.epoch), Some(3));
    }

    #[test]
    fn without_validation_the_last_epoch_is_best_and_nothing_goes_stale() {
        let mut state = RunState::default();
        for i in 1..=5 {
            assert!(
                state.push(epoch(i, None), 0.0, KeptEpoch::Best),
                "epoch {i}"
            );
        }
        assert!(!state.is_stale(1), "stale without validation");
    }

    #[test]
    fn accuracy_that_only_equals_the_highest_goes_stale() {
        let mut state = RunState::default();
        for i in 1..=4 {
            state.push(epoch(i, Some((1.0 / i as f64, 0.5))), 0.0, KeptEpoch::Best);
        }
        assert!(state.is_stale(3) && !state.is_stale(4), "{state:?}");
    }
}
