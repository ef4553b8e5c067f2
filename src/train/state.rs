//! Where a run stands between two epochs, and which epoch was its best.

use serde::{Deserialize, Serialize};

use super::config::KeptEpoch;
use super::schedule::ScheduleState;
use crate::metrics::Score;

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
    /// Mean recall of the classes among the validation samples, if there are any.
    pub valid_balanced_accuracy: Option<f64>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
}

impl EpochRecord {
    /// Its validation score; higher is better.
    fn score(&self, score: Score) -> Option<f64> {
        match score {
            Score::LogLoss => self.valid_loss.map(|loss| -loss),
            Score::Accuracy => self.valid_accuracy,
            Score::BalancedAccuracy => self.valid_balanced_accuracy,
        }
    }

    /// Whether this epoch is better than `other`: by its score, then by validation loss. Without
    /// validation samples a later epoch is better.
    fn beats(&self, other: &Self, score: Score) -> bool {
        match (self.score(score), other.score(score)) {
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
    /// The validation score stopped improving.
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
    pub(super) fn push(
        &mut self,
        record: EpochRecord,
        seconds: f64,
        (keep, score): (KeptEpoch, Score),
    ) -> bool {
        let beats = |best| record.beats(best, score);
        let best = keep == KeptEpoch::Last || self.best().is_none_or(beats);
        if best {
            self.best = Some(self.history.len());
        }
        self.history.push(record);
        self.epoch_seconds.push(seconds);
        best
    }

    /// Whether the validation score has not been better for `patience` epochs.
    pub(super) fn is_stale(&self, patience: usize, score: Score) -> bool {
        let scores = self.history.iter().map(|epoch| epoch.score(score));
        let mut best: Option<(usize, f64)> = None;
        for (i, score) in scores.enumerate() {
            let Some(score) = score else {
                return false;
            };
            if best.is_none_or(|(_, highest)| score > highest) {
                best = Some((i, score));
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
            valid_balanced_accuracy: valid.map(|(_, accuracy)| 1.0 - accuracy),
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
            .map(|(i, v)| {
                state.push(
                    epoch(i + 1, Some(*v)),
                    0.0,
                    (KeptEpoch::Best, Score::Accuracy),
                )
            })
            .collect();
        assert_eq!(best, [true, true, true, false, false]);
        assert_eq!(state.best().map(|best| best.epoch), Some(3));
    }

    #[test]
    fn without_validation_the_last_epoch_is_best_and_nothing_goes_stale() {
        let mut state = RunState::default();
        for i in 1..=5 {
            assert!(
                state.push(epoch(i, None), 0.0, (KeptEpoch::Best, Score::Accuracy)),
                "epoch {i}"
            );
        }
        assert!(
            !state.is_stale(1, Score::Accuracy),
            "stale without validation"
        );
    }

    #[test]
    fn the_score_decides_which_epoch_is_best() {
        let best = |score| {
            let mut state = RunState::default();
            for (i, valid) in [(0.9, 0.5), (0.8, 0.7), (0.2, 0.6)].into_iter().enumerate() {
                let record = epoch(i + 1, Some(valid));
                state.push(record, 0.0, (KeptEpoch::Best, score));
            }
            state.best().map(|best| best.epoch)
        };
        assert_eq!(best(Score::Accuracy), Some(2));
        assert_eq!(best(Score::LogLoss), Some(3));
        // The opposite of accuracy in these records.
        assert_eq!(best(Score::BalancedAccuracy), Some(1));
    }

    #[test]
    fn accuracy_that_only_equals_the_highest_goes_stale() {
        let mut state = RunState::default();
        for i in 1..=4 {
            state.push(
                epoch(i, Some((1.0 / i as f64, 0.5))),
                0.0,
                (KeptEpoch::Best, Score::Accuracy),
            );
        }
        assert!(
            state.is_stale(3, Score::Accuracy) && !state.is_stale(4, Score::Accuracy),
            "{state:?}"
        );
    }
}
