//! A classifier in closed form: one ridge over blocks of features, calibrated without held-out data.
//!
//! Every block (MiniRocket's features, Hydra's, those of a frozen encoder) counts by its scale, not
//! by its width. With `Z_b` the standardized features of block `b`, `d_b` the sum of their variances,
//! and `s_b` the block's scale:
//!
//! ```text
//! K = sum over b of (s_b / d_b) Z_b Z_b'           every block: mean diagonal s_b
//! f = ridge(K, one-hot targets, alpha)              an intercept is not penalized
//! p = softmax(f / temperature)
//! ```
//!
//! `alpha` and `temperature` are those of the least log loss of the *exact* leave-one-out answers,
//! which a ridge gives without fitting again: with hat matrix `H` and residuals `e`, the answer
//! to sample `i` without it is `y_i - e_i / (1 - H_ii)`; without a whole group `g` it is
//! `y_g - (I - H_gg)^-1 e_g`. Targets of the log loss are smoothed by half a count
//! (Krichevsky and Trofimov): a sample is of other classes with `0.5 / (n + 1)`; otherwise a
//! training set without errors would ask for certainty.
//!
//! [`RidgeViews`] fits several ridges, each to some of the blocks, and joins them by weights on their
//! held-out answers: what one penalty for all would have to weigh the same, a block with much noise
//! and one with little, then has its own. A matrix, fitted to the same answers, then lets the scores of
//! all classes correct the score of each.
//!
//! All of this happens on the principal axes of the features ([`RidgeConfig::most_axes`] at most),
//! where the ridge is diagonal. They come from the Gram matrix of the samples when there are fewer
//! samples than features, else from that of the features, added up over chunks of rows.
//!
//! # Examples
//!
//! ```
//! use timesclip::closed_form::{Block, ClosedForm, FeatureTable, RidgeConfig, Targets};
//!
//! // Six samples of one block of two features; the first feature tells the classes apart.
//! let values = vec![0.0, 1.0, 0.2, 5.0, 0.1, 3.0, 1.0, 2.0, 0.9, 4.0, 1.1, 1.0];
//! let table = FeatureTable::new(values, vec![Block { width: 2, scale: 1.0 }])?;
//! let targets = Targets::new(&[0, 0, 0, 1, 1, 1], 2);
//!
//! let fit = ClosedForm::fit(&table, &targets, &RidgeConfig::default())?;
//! assert_eq!(fit.held_out.accuracy, 1.0);
//! let probabilities = fit.model.probabilities(&[0.05, 2.0]);
//! assert!(probabilities[0] > 0.5);
//! # Ok::<(), timesclip::closed_form::ClosedFormError>(())
//! ```

mod axes;
mod dual;
#[cfg(test)]
mod fixture;
mod held_out;
mod linear;
mod model;
pub mod pool;
mod primal;
mod rows;
mod scaling;
mod smoothed;
mod targets;
mod views;

pub use held_out::HeldOut;
pub use model::{ClosedForm, ClosedFormState, ViewState};
pub use rows::{Block, FeatureRows, FeatureTable, RowsError};
pub use targets::{Targets, balanced_weights};
pub use views::RidgeViews;

use crate::metrics::Score;
use axes::Axes;
use dual::Dual;
use held_out::Candidate;
use primal::Primal;
use serde::{Deserialize, Serialize};
use targets::Prepared;

/// Settings of the ridge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RidgeConfig {
    /// Penalties to choose from. The kernel's mean diagonal is the sum of the blocks' scales.
    pub alphas: Vec<f64>,
    /// Most principal axes, and so the largest matrix that is decomposed. Either the samples or
    /// the features must not be more. Memory is about `50 * most_axes^2` bytes, and 4 bytes for
    /// each feature of each sample if the samples are the fewer.
    pub most_axes: usize,
    /// What every standard deviation is at least taken to be, in medians of the block's: this, squared,
    /// is added to the variances. A feature that hardly varies in training would otherwise decide
    /// wherever it does. 0 standardizes plainly.
    pub std_floor: f64,
    /// What the penalty is best at, in held-out answers; among equals it is that of the lowest log
    /// loss, by which the temperature is always chosen.
    pub score: Score,
}

impl Default for RidgeConfig {
    /// Penalties from 0.0001 to 10,000, four to a power of ten; 4,096 axes; a floor of three tenths
    /// (`docs/accuracy.md`).
    fn default() -> Self {
        Self {
            alphas: (-16..=16).map(|i| 10f64.powf(f64::from(i) / 4.0)).collect(),
            most_axes: 4096,
            std_floor: 0.3,
            score: Score::LogLoss,
        }
    }
}

/// A fitted classifier, and its answers to the training samples when each was left out.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedFormFit {
    /// The classifier, fitted on all samples.
    pub model: ClosedForm,
    /// Leave-one-out answers, or leave-one-group-out ones if groups were given.
    pub held_out: HeldOut,
}

impl ClosedForm {
    /// Fits the ridge, its penalty and its temperature.
    ///
    /// # Errors
    ///
    /// [`ClosedFormError`]: targets that do not fit the rows, rows that cannot be read or are not
    /// finite, settings that make no sense, more samples *and* features than axes are allowed.
    pub fn fit(
        rows: &impl FeatureRows,
        targets: &Targets<'_>,
        config: &RidgeConfig,
    ) -> Result<ClosedFormFit, ClosedFormError> {
        if config.alphas.is_empty() || !config.alphas.iter().copied().all(is_positive) {
            return Err(ClosedFormError::Alphas);
        }
        let floor = config.std_floor;
        if !(floor >= 0.0 && floor.is_finite()) {
            return Err(ClosedFormError::StdFloor { floor });
        }
        rows::check(rows)?;
        let prepared = Prepared::new(targets, rows.n_rows())?;
        let (n_rows, width, most) = (rows.n_rows(), rows::width(rows), config.most_axes);
        if n_rows.min(width) > most {
            return Err(ClosedFormError::TooLarge {
                n_rows,
                width,
                most,
            });
        }
        if n_rows <= width && n_rows <= most {
            fit_on(&Dual::new(rows, &prepared, floor)?, &prepared, config)
        } else {
            fit_on(&Primal::new(rows, &prepared, floor)?, &prepared, config)
        }
    }
}

fn is_positive(x: f64) -> bool {
    x > 0.0 && x.is_finite()
}

fn fit_on(
    axes: &impl Axes,
    targets: &Prepared,
    config: &RidgeConfig,
) -> Result<ClosedFormFit, ClosedFormError> {
    let alpha = held_out::choose_alpha(axes, targets, config)?;
    let answers = held_out::answers(axes, targets, alpha)?;
    let Candidate { sharpness, .. } = held_out::calibrate(&answers, targets, None);
    Ok(ClosedFormFit {
        model: ClosedForm::new(axes, targets, alpha, sharpness)?,
        held_out: HeldOut::new(&answers, targets, sharpness),
    })
}

/// Why a classifier cannot be fitted or restored in closed form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClosedFormError {
    /// Too few samples to leave one out.
    #[error("{found} samples were given, expected at least two")]
    TooFewSamples {
        /// Samples that were given.
        found: usize,
    },
    /// Another number of labels, weights or groups than rows.
    #[error("there are {found} {what} for {expected} rows of features")]
    Count {
        /// Labels, weights or groups.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// Rows of features.
        expected: usize,
    },
    /// A label that no class belongs to.
    #[error("sample {index} has label {label}, expected one below the {n_classes} classes")]
    LabelOutOfRange {
        /// Place of the sample.
        index: usize,
        /// Its label.
        label: usize,
        /// Number of classes.
        n_classes: usize,
    },
    /// A weight that is not a positive number.
    #[error("sample {index} has weight {weight}, expected a positive number")]
    Weight {
        /// Place of the sample.
        index: usize,
        /// Its weight.
        weight: f64,
    },
    /// Nothing is left when a group is left out.
    #[error("all samples are of one group, expected at least two groups")]
    OneGroup,
    /// Penalties that are not positive, or none.
    #[error("the penalties are empty or not all positive")]
    Alphas,
    /// A floor below zero.
    #[error("the floor of standard deviations is {floor}, expected 0 or more")]
    StdFloor {
        /// [`RidgeConfig::std_floor`].
        floor: f64,
    },
    /// A block without features, or with a scale that is not positive.
    #[error("block {index} has {width} features at scale {scale}, expected some, above zero")]
    Block {
        /// Place of the block.
        index: usize,
        /// Its features.
        width: usize,
        /// Its scale.
        scale: f64,
    },
    /// Values that are not whole rows of the blocks.
    #[error("{found} values are no whole number of rows of {width} features")]
    Ragged {
        /// Values that were given.
        found: usize,
        /// Features of all blocks.
        width: usize,
    },
    /// A matrix larger than is allowed.
    #[error(
        "there are {n_rows} samples of {width} features, expected at most {most} of one of them: \
         use fewer features"
    )]
    TooLarge {
        /// Samples.
        n_rows: usize,
        /// Features.
        width: usize,
        /// [`RidgeConfig::most_axes`].
        most: usize,
    },
    /// Rows that cannot be read.
    #[error("features cannot be read")]
    Rows(#[source] RowsError),
    /// A feature that is not a finite number.
    #[error("feature {feature} of sample {row} is {value}, expected a finite number")]
    NotFinite {
        /// Place of the sample.
        row: usize,
        /// Place of the feature.
        feature: usize,
        /// What it is.
        value: f32,
    },
    /// A decomposition that did not converge.
    #[error("a matrix of size {size} could not be decomposed")]
    Decomposition {
        /// Its size.
        size: usize,
    },
    /// A saved array that is not there.
    #[error("a saved classifier lacks the array `{name}`")]
    MissingArray {
        /// Its name.
        name: &'static str,
    },
    /// A saved array of another length.
    #[error("the array `{name}` has {found} values, expected {expected}")]
    ArrayLength {
        /// Its name.
        name: &'static str,
        /// Its length.
        found: usize,
        /// The length that the state implies.
        expected: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::fixture::Case;
    use super::*;

    /// Standardized features are rounded to 32 bits, and the smallest penalty magnifies that by the
    /// largest eigenvalue over it, some thousand times; decisions are about 1.
    const TOLERANCE: f64 = 1e-4;

    /// Classes in turns, on features of which the first ones tell them apart.
    fn turns(n_rows: usize, n_classes: usize, width: usize) -> (FeatureTable, Vec<usize>) {
        let labels: Vec<usize> = (0..n_rows).map(|i| i % n_classes).collect();
        let values = (0..n_rows * width).map(|i| {
            let (row, feature) = (i / width, i % width);
            let noise = ((i * 7919 + 13) % 1009) as f32 / 1009.0;
            noise + f32::from(u8::from(labels[row] % width == feature))
        });
        let block = Block { width, scale: 1.0 };
        (
            FeatureTable::new(values.collect(), vec![block]).unwrap(),
            labels,
        )
    }

    fn close(name: &str, found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len(), "{name}");
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            let close = (found - expected).abs() < TOLERANCE * expected.abs().max(1.0);
            assert!(close, "{name} {i}: {found} for {expected}");
        }
    }

    fn check_against_scikit_learn(case: &Case, axes: &impl Axes, name: &str) {
        let targets = case.prepared();
        for (i, &alpha) in case.alphas.iter().enumerate() {
            let name = format!("{}, {name}, penalty {alpha}", case.name);
            let model = ClosedForm::new(axes, &targets, alpha, 1.0).unwrap();
            close(&name, &model.decisions(&case.features), &case.decisions[i]);
            let answers = held_out::answers(axes, &targets, alpha).unwrap();
            close(&name, &answers, &case.left_out[i]);
            let Some(expected) = &case.squared_errors else {
                continue;
            };
            let columns = if targets.n_classes == 2 {
                1..2
            } else {
                0..targets.n_classes
            };
            let squared: Vec<f64> = (0..targets.n_rows())
                .flat_map(|row| columns.clone().map(move |column| (row, column)))
                .map(|(row, column)| {
                    let answer = answers[row * targets.n_classes + column];
                    (2.0 * (answer - targets.one_hot(row, column))).powi(2)
                })
                .collect();
            close(&name, &squared, &expected[i]);
        }
    }

    #[test]
    fn the_penalty_is_best_at_the_score_that_is_asked_for() {
        let mut differs = false;
        for case in &Case::all() {
            let (table, targets) = (case.table(), case.targets());
            let held_out = |alphas: &[f64], score| {
                let config = RidgeConfig {
                    alphas: alphas.to_vec(),
                    score,
                    ..RidgeConfig::default()
                };
                ClosedForm::fit(&table, &targets, &config).unwrap().held_out
            };
            let each = case.alphas.iter();
            let each: Vec<f64> = each
                .map(|&alpha| held_out(&[alpha], Score::Accuracy).accuracy)
                .collect();
            let best = each.iter().copied().fold(0.0, f64::max);
            let chosen = held_out(&case.alphas, Score::Accuracy);
            assert_eq!(chosen.accuracy, best, "{}", case.name);
            differs |= held_out(&case.alphas, Score::LogLoss).accuracy < best;
        }
        assert!(differs, "no case in which the scores disagree");
    }

    #[test]
    fn answers_equal_those_of_scikit_learn_and_of_refitting() {
        let cases = Case::all();
        assert_eq!(cases.len(), 8);
        for case in &cases {
            let (table, targets) = (case.table(), case.prepared());
            let dual = Dual::new(&table, &targets, 0.0).unwrap();
            check_against_scikit_learn(case, &dual, "dual");
            let primal = Primal::new(&table, &targets, 0.0).unwrap();
            check_against_scikit_learn(case, &primal, "primal");
        }
    }

    #[test]
    fn both_ways_choose_alike() {
        let (table, labels) = turns(60, 3, 40);
        let targets = Prepared::new(&Targets::new(&labels, 3), 60).unwrap();
        let config = RidgeConfig::default();
        let dual = Dual::new(&table, &targets, config.std_floor).unwrap();
        let primal = Primal::new(&table, &targets, config.std_floor).unwrap();
        let dual = fit_on(&dual, &targets, &config).unwrap();
        let primal = fit_on(&primal, &targets, &config).unwrap();

        assert_eq!(dual.model.state().views, primal.model.state().views);
        let temperatures = [&dual, &primal].map(|fit| fit.model.state().temperature);
        assert!(
            (temperatures[0] / temperatures[1] - 1.0).abs() < 1e-3,
            "{temperatures:?}"
        );
        let losses = [dual.held_out.log_loss, primal.held_out.log_loss];
        assert!((losses[0] / losses[1] - 1.0).abs() < 1e-3, "{losses:?}");
    }

    #[test]
    fn probabilities_add_up_to_1_and_a_saved_model_gives_the_same() {
        let (table, labels) = turns(30, 3, 12);
        let targets = Targets::new(&labels, 3);
        let fit = ClosedForm::fit(&table, &targets, &RidgeConfig::default()).unwrap();
        let mut row = vec![0.0; 12];
        table.read(&[4], &mut row).unwrap();
        let probabilities = fit.model.probabilities(&row);
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-6);

        let arrays = fit.model.arrays().into_iter();
        let arrays = arrays
            .map(|(name, array)| (name.to_owned(), array.to_vec()))
            .collect();
        let restored = ClosedForm::from_arrays(fit.model.state().clone(), &arrays).unwrap();
        assert_eq!(restored, fit.model);
    }

    #[test]
    fn odd_sets_can_be_fitted() {
        let fit = |table: &FeatureTable, labels: &[usize], n_classes| {
            let targets = Targets::new(labels, n_classes);
            let fit = ClosedForm::fit(table, &targets, &RidgeConfig::default()).unwrap();
            let sane = fit
                .held_out
                .probabilities
                .iter()
                .all(|p| (0.0..=1.0).contains(p));
            assert!(sane && fit.held_out.log_loss.is_finite(), "{fit:?}");
            fit
        };
        let block = |width| vec![Block { width, scale: 1.0 }];
        let two = FeatureTable::new(vec![0.0, 1.0, 2.0, 5.0], block(2)).unwrap();
        fit(&two, &[0, 1], 2);
        let same = FeatureTable::new([1.0, 2.0, 3.0].repeat(6), block(3)).unwrap();
        let blind = fit(&same, &[0, 1, 0, 1, 0, 0], 2);
        assert!(blind.held_out.log_loss < 0.75, "{blind:?}");
        fit(&same, &[1; 6], 3);
        // A class of one sample, and one without any.
        let (table, mut labels) = turns(20, 3, 8);
        labels.iter_mut().for_each(|label| *label = (*label).min(1));
        labels[7] = 2;
        fit(&table, &labels, 4);
        let twice = FeatureTable::new([0.0, 1.0, 1.0, 0.5, 0.2, 0.1].repeat(2), block(2)).unwrap();
        fit(&twice, &[0, 1, 0, 0, 1, 0], 2);
        let (table, labels) = turns(240, 200, 20);
        fit(&table, &labels, 200);
    }

    #[test]
    fn a_set_without_errors_is_answered_with_caution() {
        let (table, labels) = turns(20, 2, 2);
        let fit =
            ClosedForm::fit(&table, &Targets::new(&labels, 2), &RidgeConfig::default()).unwrap();
        assert_eq!(fit.held_out.accuracy, 1.0);
        assert!(
            (0.001..0.2).contains(&fit.held_out.log_loss),
            "{}",
            fit.held_out.log_loss
        );
    }

    #[test]
    fn balanced_weights_raise_a_rare_class() {
        let (table, labels) = turns(60, 6, 20);
        let rare: Vec<usize> = labels
            .iter()
            .map(|&label| usize::from(label == 0))
            .collect();
        let weights = balanced_weights(&rare, 2);
        assert!((weights[0] - 3.0).abs() < 1e-12 && (weights[1] - 0.6).abs() < 1e-12);
        let mean_of_rare = |weights| {
            let targets = Targets {
                weights,
                ..Targets::new(&rare, 2)
            };
            let fit = ClosedForm::fit(&table, &targets, &RidgeConfig::default()).unwrap();
            fit.held_out
                .probabilities
                .chunks(2)
                .map(|p| p[1])
                .sum::<f32>()
        };
        assert!(mean_of_rare(Some(&weights)) > mean_of_rare(None));
    }

    #[test]
    fn a_floor_below_zero_is_refused() {
        let (table, labels) = turns(30, 3, 12);
        let config = RidgeConfig {
            std_floor: -0.5,
            ..RidgeConfig::default()
        };
        let error = ClosedForm::fit(&table, &Targets::new(&labels, 3), &config).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the floor of standard deviations is -0.5, expected 0 or more"
        );
    }

    #[test]
    fn each_misfit_is_named() {
        let (table, labels) = turns(6, 2, 4);
        let error = |targets: Targets<'_>, config| {
            ClosedForm::fit(&table, &targets, &config)
                .unwrap_err()
                .to_string()
        };
        let targets = Targets::new(&labels, 2);
        let config = RidgeConfig::default();
        assert_eq!(
            error(Targets::new(&labels[1..], 2), config.clone()),
            "there are 5 labels for 6 rows of features"
        );
        assert_eq!(
            error(Targets::new(&labels, 1), config.clone()),
            "sample 1 has label 1, expected one below the 1 classes"
        );
        let groups = Some([4; 6].as_slice());
        assert_eq!(
            error(Targets { groups, ..targets }, config.clone()),
            "all samples are of one group, expected at least two groups"
        );
        let weights = Some([1.0, 0.0, 1.0, 1.0, 1.0, 1.0].as_slice());
        assert_eq!(
            error(Targets { weights, ..targets }, config.clone()),
            "sample 1 has weight 0, expected a positive number"
        );
        assert_eq!(
            error(
                targets,
                RidgeConfig {
                    most_axes: 3,
                    ..config.clone()
                }
            ),
            "there are 6 samples of 4 features, expected at most 3 of one of them: use fewer \
             features"
        );
        let alphas = vec![1.0, f64::NAN];
        assert_eq!(
            error(targets, RidgeConfig { alphas, ..config }),
            "the penalties are empty or not all positive"
        );
        let block = vec![Block {
            width: 2,
            scale: 1.0,
        }];
        let holes = FeatureTable::new(vec![0.0, 1.0, f32::NAN, 1.0], block).unwrap();
        let targets = Targets::new(&[0, 1], 2);
        let error = ClosedForm::fit(&holes, &targets, &RidgeConfig::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "feature 0 of sample 1 is NaN, expected a finite number"
        );
    }
}
