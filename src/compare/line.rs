//! One model with one seed: fitted, and tested once.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::sight::{Eyes, PlainSight};
use super::{CompareError, Contestant};
use crate::backend::run_on;
use crate::baselines::{MajorityClass, NearestNeighbor, PlainAnswer};
use crate::classifier::options::FitOptions;
use crate::classifier::{FitObserver, TimesClip};
use crate::data::SeriesDataset;

/// Squared differences that dynamic time warping may take: some minutes on two cores.
const MOST_WARPING: u64 = 50_000_000_000;

/// One model with one seed, fitted and tested once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The model.
    pub contestant: Contestant,
    /// The seed that it was fitted with; the first one where no seed changes anything.
    pub seed: u64,
    /// How it did on the test samples.
    pub scores: LineScores,
    /// Seconds of fitting.
    pub fit_seconds: f64,
    /// Seconds of answering for all test samples.
    pub test_seconds: f64,
    /// Most memory that the process took meanwhile, in bytes, where that is known.
    pub peak_memory_bytes: Option<u64>,
}

/// Scores on the test samples: the means, and those of every sample, in the order of the set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineScores {
    /// Share of samples whose class was given; those of unknown classes count as errors.
    pub accuracy: f64,
    /// Mean negative logarithm of the probability of the right class, over known classes.
    pub log_loss: f64,
    /// Whether the class was given, for every sample.
    pub correct: Vec<bool>,
    /// The log loss of every sample of a known class.
    pub losses: Vec<f64>,
}

impl Line {
    /// Fits a model to the training samples with the options' seed, and tests it.
    ///
    /// Modalities of the options are the contestant's; all else is as given. What is chosen is chosen
    /// by the training samples; the test samples are answered once.
    ///
    /// # Errors
    /// [`CompareError`]; [`CompareError::LeftOut`] if the model is no match for a set of this size.
    pub fn run(
        contestant: Contestant,
        (train, test): (&SeriesDataset, &SeriesDataset),
        options: &FitOptions,
        observer: &mut dyn FitObserver,
    ) -> Result<Self, CompareError> {
        let (found, expected) = (test.n_variates(), train.n_variates());
        if found != expected {
            return Err(CompareError::Variates { found, expected });
        }
        let started = Instant::now();
        let fitted = fit(contestant, (train, test), options, observer)?;
        let fit_seconds = started.elapsed().as_secs_f64();
        let answers = fitted.answers(test)?;
        Ok(Self {
            contestant,
            seed: options.seed,
            scores: LineScores::of(&answers, &targets(train, test)?),
            fit_seconds,
            test_seconds: started.elapsed().as_secs_f64() - fit_seconds,
            peak_memory_bytes: None,
        })
    }

    /// The name of a line's file.
    pub fn file_name(contestant: Contestant, seed: u64) -> String {
        format!("{contestant}-{seed}.json")
    }
}

impl LineScores {
    fn of(answers: &[PlainAnswer], targets: &[Option<usize>]) -> Self {
        let pairs = || answers.iter().zip(targets);
        let correct: Vec<bool> = pairs()
            .map(|(answer, target)| Some(answer.class) == *target)
            .collect();
        let loss = |probability: f32| -f64::from(probability.max(f32::MIN_POSITIVE)).ln();
        let losses: Vec<f64> = pairs()
            .filter_map(|(answer, target)| Some(loss(answer.probabilities[(*target)?])))
            .collect();
        let right = correct.iter().filter(|correct| **correct).count();
        Self {
            accuracy: right as f64 / answers.len().max(1) as f64,
            log_loss: losses.iter().sum::<f64>() / losses.len().max(1) as f64,
            correct,
            losses,
        }
    }
}

/// A fitted model.
enum Fitted {
    Model(Box<TimesClip>),
    Neighbor(NearestNeighbor),
    Majority(MajorityClass),
    /// Its answers, which were computed beside the fit.
    Sight(Vec<PlainAnswer>),
}

impl Fitted {
    fn answers(self, test: &SeriesDataset) -> Result<Vec<PlainAnswer>, CompareError> {
        Ok(match self {
            Self::Model(model) => {
                let predictions = model.predict(test)?.into_iter();
                let answers = predictions.map(|prediction| PlainAnswer {
                    class: prediction.class,
                    probabilities: prediction.probabilities,
                });
                answers.collect()
            }
            Self::Neighbor(neighbor) => neighbor.answers(test.samples()),
            Self::Majority(majority) => vec![majority.answer().clone(); test.len()],
            Self::Sight(answers) => answers,
        })
    }
}

fn fit(
    contestant: Contestant,
    (train, test): (&SeriesDataset, &SeriesDataset),
    options: &FitOptions,
    observer: &mut dyn FitObserver,
) -> Result<Fitted, CompareError> {
    if let Some(modalities) = contestant.modalities() {
        let options = FitOptions {
            modalities,
            ..options.clone()
        };
        let (model, _) = TimesClip::fit_observed(train, &options, observer)?;
        return Ok(Fitted::Model(Box::new(model)));
    }
    let left_out = |reason: String| CompareError::LeftOut { contestant, reason };
    match contestant {
        Contestant::Majority => Ok(Fitted::Majority(MajorityClass::fit(train))),
        Contestant::Dtw => {
            let work = NearestNeighbor::work(train, test.len());
            if work > MOST_WARPING {
                let minutes = work / 6_000_000_000;
                return Err(left_out(format!(
                    "all pairs of {} training and {} test series would take about {minutes} minutes",
                    train.len(),
                    test.len()
                )));
            }
            Ok(Fitted::Neighbor(NearestNeighbor::fit(train)))
        }
        _ => {
            let device = options.compute.backend.choose(options.compute.device)?;
            let eyes = match contestant {
                Contestant::RawInk => Eyes::RawInk,
                _ => Eyes::RandomWeights,
            };
            let job = PlainSight {
                eyes,
                train,
                test,
                options,
            };
            let answers = run_on(device.kind, &[device.index], job)??;
            answers.map(Fitted::Sight).map_err(left_out)
        }
    }
}

/// The class of each test sample among those of the training set, by name.
fn targets(
    train: &SeriesDataset,
    test: &SeriesDataset,
) -> Result<Vec<Option<usize>>, CompareError> {
    let matched = test.match_classes(train.class_names())?.dataset;
    let known = |label: usize| (label < train.n_classes()).then_some(label);
    Ok(matched.labels().into_iter().map(known).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_unknown_classes_are_errors_without_a_loss() {
        let answer = |class: usize| PlainAnswer {
            class,
            probabilities: vec![0.5, 0.25, 0.25],
        };
        let scores = LineScores::of(
            &[answer(0), answer(0), answer(1)],
            &[Some(0), None, Some(2)],
        );
        assert_eq!(scores.correct, [true, false, false]);
        assert_eq!(scores.losses.len(), 2);
        assert!((scores.accuracy - 1.0 / 3.0).abs() < 1e-12, "{scores:?}");
        let expected = (0.5f64.ln() + 0.25f64.ln()) / -2.0;
        assert!((scores.log_loss - expected).abs() < 1e-12, "{scores:?}");
    }
}
