//! Scores of a model that has seen the first steps only.

use serde::Serialize;

use super::{PredictError, TimesClip};
use crate::data::SeriesDataset;

/// Scores from the first steps of every series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EarlyScore {
    /// Steps that were seen; shorter series were seen whole.
    pub n_steps: usize,
    /// Share of the samples classified correctly.
    pub accuracy: f64,
    /// Mean of the F1 of the classes that have samples or were predicted.
    pub macro_f1: Option<f64>,
    /// Mean negative logarithm of the probability of the right class.
    pub log_loss: f64,
}

impl TimesClip {
    /// Scores from growing prefixes of all series: the shares are of the longest.
    ///
    /// Plots, axes, normalization and patches are made of the steps that are seen; the later ones
    /// are cut off before anything looks at them. Prefixes too short for the model are left out.
    ///
    /// # Errors
    /// As [`predict`](Self::predict), unless a series is too short.
    pub fn early(
        &self,
        set: &SeriesDataset,
        shares: &[f64],
    ) -> Result<Vec<EarlyScore>, PredictError> {
        let longest = set.max_steps();
        let mut steps: Vec<usize> = shares.iter().map(|share| prefix(longest, *share)).collect();
        steps.sort_unstable();
        steps.dedup();
        let mut scores = Vec::new();
        for n_steps in steps {
            let evaluation = match self.evaluate(&set.truncated(n_steps)?) {
                Err(PredictError::Steps(_)) if n_steps < longest => continue,
                evaluation => evaluation?,
            };
            scores.push(EarlyScore {
                n_steps,
                accuracy: evaluation.accuracy,
                macro_f1: evaluation.macro_f1,
                log_loss: evaluation.log_loss,
            });
        }
        Ok(scores)
    }
}

/// Steps of a share of the longest series, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded up, and no more than the longest series"
)]
fn prefix(longest: usize, share: f64) -> usize {
    let steps = (longest as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
    steps.clamp(1, longest)
}
