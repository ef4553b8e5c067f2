//! Early recognition: what a model knows of series of which it has seen the first steps only.

mod stop;

use serde::Serialize;

pub use stop::{EarlyPrediction, StopRule, StopScore};

use super::evaluation::{class_scores, unknown};
use super::options::FitOptions;
use super::{FitError, FitObserver, PredictError, TimesClip};
use crate::data::SeriesDataset;
use crate::data::split::Folds;

/// Scores from the first steps of every series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EarlyScore {
    /// Steps that were seen; shorter series were seen whole.
    pub n_steps: usize,
    /// Share of the samples classified correctly.
    pub accuracy: f64,
    /// Mean of the F1 of the classes that have samples or were predicted, 0 for those that the model
    /// does not know.
    pub macro_f1: Option<f64>,
    /// Mean negative logarithm of the probability of the right class; `NaN`, which is `null` in JSON,
    /// if the model knows the class of no sample.
    pub log_loss: f64,
}

/// What a model says of growing prefixes of labeled series.
#[derive(Clone, Debug, PartialEq)]
pub struct PrefixAnswers {
    n_classes: usize,
    /// Number of classes that series have and the model does not know.
    n_unknown: usize,
    /// Steps of every series.
    lengths: Vec<usize>,
    /// Class of every series among the model's; `None` where the model does not know it.
    targets: Vec<Option<usize>>,
    /// Steps that were seen, growing, and an answer for each series.
    prefixes: Vec<(usize, Vec<PrefixAnswer>)>,
}

/// The answer to one prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct PrefixAnswer {
    class: usize,
    /// Probability of that class.
    confidence: f32,
    /// Probability of the right class, if the model knows it.
    right: f32,
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
        Ok(self.prefix_answers(set, shares)?.scores())
    }

    /// Answers to growing prefixes of all series, as [`early`](Self::early) scores them.
    ///
    /// # Errors
    /// As [`early`](Self::early).
    pub fn prefix_answers(
        &self,
        set: &SeriesDataset,
        shares: &[f64],
    ) -> Result<PrefixAnswers, PredictError> {
        self.prefix_answers_after(set, &prefixes(set.max_steps(), shares))
    }

    /// Answers after these numbers of steps, growing; those of other answers, for instance, by which
    /// a rule was chosen. Shorter series are seen whole.
    ///
    /// # Errors
    /// As [`early`](Self::early).
    pub fn prefix_answers_after(
        &self,
        set: &SeriesDataset,
        steps: &[usize],
    ) -> Result<PrefixAnswers, PredictError> {
        let names = self.class_names();
        let known = set.classes_among(names);
        let targets: Vec<Option<usize>> = set.labels().iter().map(|label| known[*label]).collect();
        let mut answered = Vec::new();
        for &n_steps in steps {
            let predictions = match self.predict(&set.truncated(n_steps)?) {
                Err(PredictError::Steps(_)) if n_steps < set.max_steps() => continue,
                predictions => predictions?,
            };
            let answers = predictions.iter().zip(&targets).map(|(answer, target)| {
                let right = target.map(|target| answer.probabilities[target]);
                PrefixAnswer {
                    class: answer.class,
                    confidence: answer.probability,
                    right: right.unwrap_or_default(),
                }
            });
            answered.push((n_steps, answers.collect()));
        }
        let lengths = set.samples().iter().map(|sample| sample.series.n_steps());
        Ok(PrefixAnswers {
            n_classes: names.len(),
            n_unknown: unknown(set, &known).len(),
            lengths: lengths.collect(),
            targets,
            prefixes: answered,
        })
    }
}

impl PrefixAnswers {
    /// Answers to the training samples by models that were not fitted to them: as many are fitted as
    /// there are folds, by the same options. What is chosen by these answers is chosen without a look
    /// at any test sample, and by no model on its own training samples.
    ///
    /// # Errors
    /// [`FitError`] if the set cannot be split, a model cannot be fitted, or it cannot answer; and
    /// [`FitError::Cancelled`] if the observer broke.
    pub fn out_of_folds(
        train: &SeriesDataset,
        options: &FitOptions,
        (shares, n_folds): (&[f64], usize),
        observer: &mut dyn FitObserver,
    ) -> Result<Self, FitError> {
        let mut options = options.clone();
        // Networks that have seen the held-out samples would answer too well.
        options.training.init_from = None;
        (options.compute.extends, options.compute.checkpoints) = (None, None);
        let steps = prefixes(train.max_steps(), shares);
        let lengths = train.samples().iter().map(|sample| sample.series.n_steps());
        let mut all = Self {
            n_classes: train.n_classes(),
            n_unknown: 0,
            lengths: lengths.collect(),
            targets: train.labels().into_iter().map(Some).collect(),
            prefixes: steps
                .iter()
                .map(|n_steps| (*n_steps, vec![PrefixAnswer::default(); train.len()]))
                .collect(),
        };
        for split in Folds::of(train, n_folds, options.seed)?.splits() {
            let (model, _) =
                TimesClip::fit_observed(&train.subset(&split.train)?, &options, observer)?;
            if model.provenance().cancelled {
                return Err(FitError::Cancelled);
            }
            let held_out = train.subset(&split.valid)?;
            let answers = model.prefix_answers_after(&held_out, &steps)?.prefixes;
            // A prefix that is too short for one of the models is none.
            all.prefixes
                .retain(|(n_steps, _)| answers.iter().any(|(answered, _)| answered == n_steps));
            for (n_steps, place) in &mut all.prefixes {
                let of = answers.iter().find(|(answered, _)| answered == n_steps);
                let found = of.map_or(&[][..], |(_, answers)| answers);
                for (index, answer) in split.valid.iter().zip(found) {
                    place[*index] = *answer;
                }
            }
        }
        Ok(all)
    }

    /// After how many steps there are answers, growing.
    pub fn steps(&self) -> Vec<usize> {
        self.prefixes.iter().map(|(n_steps, _)| *n_steps).collect()
    }

    /// Scores after each number of steps.
    pub fn scores(&self) -> Vec<EarlyScore> {
        let prefixes = self.prefixes.iter();
        let scores = prefixes.map(|(n_steps, answers)| self.score(*n_steps, answers));
        scores.collect()
    }

    fn score(&self, n_steps: usize, answers: &[PrefixAnswer]) -> EarlyScore {
        let known = || {
            let pairs = self.targets.iter().zip(answers);
            pairs.filter_map(|(target, answer)| Some(((*target)?, answer)))
        };
        let pairs = self.targets.iter().zip(answers);
        let pairs = pairs.map(|(target, answer)| (*target, answer.class));
        let names = vec![String::new(); self.n_classes];
        let right = known().filter(|(target, answer)| *target == answer.class);
        let loss = known().map(|(_, answer)| answer.right.max(f32::MIN_POSITIVE));
        let loss: f64 = loss.map(|right| -f64::from(right).ln()).sum();
        EarlyScore {
            n_steps,
            accuracy: right.count() as f64 / answers.len() as f64,
            macro_f1: class_scores(&names, pairs, self.n_unknown).macro_f1,
            log_loss: match known().count() {
                0 => f64::NAN,
                n => loss / n as f64,
            },
        }
    }
}

impl EarlyScore {
    /// The first of some scores whose accuracy is at least `accuracy`.
    ///
    /// # Examples
    /// ```
    /// use timesclip::EarlyScore;
    ///
    /// let score = |n_steps, accuracy| EarlyScore { n_steps, accuracy, macro_f1: None, log_loss: 0.0 };
    /// let scores = [score(5, 0.6), score(10, 0.9), score(15, 0.8)];
    /// assert_eq!(EarlyScore::reaching(0.75, &scores).map(|score| score.n_steps), Some(10));
    /// assert_eq!(EarlyScore::reaching(0.95, &scores), None);
    /// ```
    pub fn reaching(accuracy: f64, scores: &[Self]) -> Option<Self> {
        let mut scores = scores.iter().copied();
        scores.find(|score| score.accuracy >= accuracy)
    }
}

/// Steps of shares of the longest series, each once, growing.
fn prefixes(longest: usize, shares: &[f64]) -> Vec<usize> {
    let mut steps: Vec<usize> = shares.iter().map(|share| prefix(longest, *share)).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// Steps of a share of the longest series, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded up, and no more than the longest series"
)]
pub(super) fn prefix(longest: usize, share: f64) -> usize {
    let steps = (longest as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
    steps.clamp(1, longest)
}
