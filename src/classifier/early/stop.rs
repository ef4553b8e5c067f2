//! When to stop waiting for more of a series: a threshold of confidence.

use serde::{Deserialize, Serialize};

use super::{PredictError, PrefixAnswers, TimesClip};
use crate::classifier::Prediction;
use crate::data::Series;

/// Thresholds that are tried: from 0 to 1 in so many steps.
const THRESHOLDS: u16 = 100;

/// When to stop: as soon as the probability of the predicted class reaches a threshold.
///
/// The model is asked after each of the `steps`; where it is never sure enough, the last answer
/// counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRule {
    /// After how many steps the model is asked, growing.
    pub steps: Vec<usize>,
    /// The probability from which on the answer stands.
    pub confidence: f32,
    /// How the rule does on the samples that it was fitted to.
    pub fitted: StopScore,
}

/// How a rule does: the three figures that the field reports.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopScore {
    /// Number of samples.
    pub n_samples: usize,
    /// Share of the samples classified correctly when the rule stopped.
    pub accuracy: f64,
    /// Mean share of a series that had been seen by then; lower is earlier.
    pub earliness: f64,
    /// Harmonic mean of accuracy and `1 - earliness`.
    pub harmonic_mean: f64,
}

/// A prediction from the first steps of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyPrediction {
    /// The prediction.
    pub prediction: Prediction,
    /// Steps that had been seen.
    pub n_steps: usize,
    /// Whether the threshold was reached.
    pub is_sure: bool,
}

impl StopRule {
    /// Fits the threshold: that of the highest harmonic mean, and the highest of equals.
    ///
    /// The answers must be to samples that the model was not fitted to, and not to those of a test:
    /// [`PrefixAnswers::out_of_folds`], or [`TimesClip::prefix_answers`] on samples for validation.
    ///
    /// `None` if there are no answers.
    pub fn fit(answers: &PrefixAnswers) -> Option<Self> {
        if answers.prefixes.is_empty() || answers.lengths.is_empty() {
            return None;
        }
        let steps = answers.steps();
        let thresholds = (0..=THRESHOLDS).map(|i| f32::from(i) / f32::from(THRESHOLDS));
        let scored = thresholds.map(|confidence| (confidence, answers.stopped(confidence, &steps)));
        let best = scored.max_by(|(_, a), (_, b)| a.harmonic_mean.total_cmp(&b.harmonic_mean));
        best.map(|(confidence, fitted)| Self {
            steps: steps.clone(),
            confidence,
            fitted,
        })
    }

    /// How the rule does on answers to other samples, of those after its own steps:
    /// [`TimesClip::prefix_answers_after`].
    pub fn score(&self, answers: &PrefixAnswers) -> StopScore {
        answers.stopped(self.confidence, &self.steps)
    }
}

impl PrefixAnswers {
    /// How a threshold does, where the model is asked after these steps.
    fn stopped(&self, confidence: f32, steps: &[usize]) -> StopScore {
        let asked = || self.prefixes.iter().filter(|(of, _)| steps.contains(of));
        let (mut right, mut seen) = (0usize, 0.0);
        for (index, (&length, target)) in self.lengths.iter().zip(&self.targets).enumerate() {
            let stop = asked().find(|(n_steps, answers)| {
                answers[index].confidence >= confidence || *n_steps >= length
            });
            let Some((n_steps, answers)) = stop.or(asked().next_back()) else {
                continue;
            };
            right += usize::from(*target == Some(answers[index].class));
            seen += (*n_steps).min(length) as f64 / length as f64;
        }
        let n = self.lengths.len().max(1) as f64;
        StopScore::new(self.lengths.len(), right as f64 / n, seen / n)
    }
}

impl StopScore {
    fn new(n_samples: usize, accuracy: f64, earliness: f64) -> Self {
        let left = 1.0 - earliness;
        let sum = accuracy + left;
        Self {
            n_samples,
            accuracy,
            earliness,
            harmonic_mean: if sum > 0.0 {
                2.0 * accuracy * left / sum
            } else {
                0.0
            },
        }
    }
}

impl TimesClip {
    /// Predicts as soon as a rule allows: after as few of the series' steps as it takes.
    ///
    /// Nothing after those steps is looked at, so that the answer to a series that is still growing
    /// is the answer to all that it may become. A prefix too short for the model is passed over.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn predict_early(
        &self,
        series: &Series,
        rule: &StopRule,
    ) -> Result<EarlyPrediction, PredictError> {
        let whole = series.n_steps();
        let before = rule.steps.iter().copied().filter(|steps| *steps < whole);
        // The last steps of the rule, or of the series, are the last that are asked for.
        let last = rule.steps.last().copied().unwrap_or(whole).min(whole);
        for n_steps in before.chain([last]) {
            let answer = match self.predict(&series.truncated(n_steps)?) {
                Err(PredictError::Steps(_)) if n_steps < last => continue,
                answer => answer?.remove(0),
            };
            let is_sure = answer.probability >= rule.confidence;
            if is_sure || n_steps >= last {
                return Ok(EarlyPrediction {
                    prediction: answer,
                    n_steps,
                    is_sure,
                });
            }
        }
        let answer = self.predict(series)?.remove(0);
        Ok(EarlyPrediction {
            is_sure: answer.probability >= rule.confidence,
            prediction: answer,
            n_steps: whole,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::PrefixAnswer;
    use super::*;

    fn answer(class: usize, confidence: f32) -> PrefixAnswer {
        PrefixAnswer {
            class,
            confidence,
            right: 0.5,
        }
    }

    /// Three series of 10 steps, one of 4; all of class 0, asked after 2, 5 and 10 steps.
    fn answers() -> PrefixAnswers {
        PrefixAnswers {
            n_classes: 2,
            n_unknown: 0,
            lengths: vec![10, 10, 10, 4],
            targets: vec![Some(0), Some(0), Some(0), Some(0)],
            prefixes: vec![
                (
                    2,
                    vec![
                        answer(0, 0.9),
                        answer(1, 0.6),
                        answer(1, 0.6),
                        answer(1, 0.5),
                    ],
                ),
                (
                    5,
                    vec![
                        answer(0, 0.9),
                        answer(0, 0.8),
                        answer(1, 0.65),
                        answer(0, 0.6),
                    ],
                ),
                (
                    10,
                    vec![
                        answer(0, 0.9),
                        answer(0, 0.9),
                        answer(0, 0.7),
                        answer(0, 0.6),
                    ],
                ),
            ],
        }
    }

    #[test]
    fn a_threshold_stops_each_series_when_it_is_reached() {
        let close = |found: StopScore, accuracy: f64, earliness: f64| {
            assert!((found.accuracy - accuracy).abs() < 1e-12, "{found:?}");
            assert!((found.earliness - earliness).abs() < 1e-12, "{found:?}");
        };
        let answers = answers();
        // At once: one of four is right; the short series is half over.
        close(
            answers.stopped(0.0, &[2, 5, 10]),
            0.25,
            (0.2 + 0.2 + 0.2 + 0.5) / 4.0,
        );
        // A short series ends; nothing more of it can be seen.
        close(
            answers.stopped(0.7, &[2, 5, 10]),
            1.0,
            (0.2 + 0.5 + 1.0 + 1.0) / 4.0,
        );
        close(answers.stopped(1.0, &[2, 5, 10]), 1.0, 1.0);
        // The last that is asked for counts, sure or not.
        close(
            answers.stopped(1.0, &[2, 5]),
            0.75,
            (0.5 + 0.5 + 0.5 + 1.0) / 4.0,
        );
    }

    #[test]
    fn the_rule_is_the_threshold_of_the_best_trade() {
        let answers = answers();
        let rule = StopRule::fit(&answers).unwrap();
        assert_eq!(rule.steps, [2, 5, 10]);
        let best = rule.fitted.harmonic_mean;
        for i in 0..=100u8 {
            let other = answers
                .stopped(f32::from(i) / 100.0, &[2, 5, 10])
                .harmonic_mean;
            assert!(other <= best, "{i}: {other} above {best}");
        }
        assert!(rule.confidence > 0.6 && rule.confidence <= 0.65, "{rule:?}");
        assert_eq!(rule.score(&answers), rule.fitted);
        let none = PrefixAnswers {
            prefixes: Vec::new(),
            ..answers
        };
        assert_eq!(StopRule::fit(&none), None);
    }
}
