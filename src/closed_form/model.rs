//! The fitted classifier: a linear function of raw features and a temperature.

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::ClosedFormError;
use super::axes::{Axes, Coefficients};
use super::scaling::MatrixScaling;
use super::smoothed::softmax;
use super::targets::Prepared;

const WEIGHTS: &str = "closed_form.weights";
const INTERCEPTS: &str = "closed_form.intercepts";

/// What is kept of a classifier beside its arrays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClosedFormState {
    /// Features of all blocks.
    pub n_features: usize,
    /// Number of classes.
    pub n_classes: usize,
    /// What decision values are divided by before the softmax.
    pub temperature: f64,
    /// The ridges it was joined from.
    pub views: Vec<ViewState>,
}

/// What is known of a ridge of a classifier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewState {
    /// The penalty that was chosen.
    pub alpha: f64,
    /// Its weight in the pool.
    pub weight: f64,
}

/// A classifier that is joined with others.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) model: &'a ClosedForm,
    /// Which of all features it sees.
    pub(super) features: Vec<Range<usize>>,
    pub(super) weight: f64,
}

/// A ridge classifier on raw features: standardization and scales are folded into its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedForm {
    state: ClosedFormState,
    /// `[n_features, n_classes]`.
    weights: Vec<f32>,
    /// `[n_classes]`.
    intercepts: Vec<f32>,
}

impl ClosedForm {
    pub(super) fn new(
        axes: &impl Axes,
        targets: &Prepared,
        alpha: f64,
        sharpness: f64,
    ) -> Result<Self, ClosedFormError> {
        let Coefficients {
            weights,
            intercepts,
        } = axes.coefficients(targets, alpha);
        let n_classes = targets.n_classes;
        Ok(Self {
            state: ClosedFormState {
                n_features: weights.len() / n_classes,
                n_classes,
                temperature: 1.0 / sharpness.max(f64::MIN_POSITIVE.sqrt()),
                views: vec![ViewState { alpha, weight: 1.0 }],
            },
            weights,
            intercepts,
        })
    }

    /// A weighted sum of classifiers of one ridge, each over some of the features, and a scaling of it.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the nearest 32-bit numbers are meant"
    )]
    pub(super) fn joined(
        members: &[Member<'_>],
        n_features: usize,
        scaling: &MatrixScaling,
    ) -> Self {
        let n_classes = members[0].model.state.n_classes;
        let mut weights = vec![0.0; n_features * n_classes];
        let mut intercepts = vec![0.0; n_classes];
        let mut views = Vec::with_capacity(members.len());
        for Member {
            model,
            features,
            weight,
        } in members
        {
            let sharpness = weight / model.state.temperature;
            let add = |sums: &mut [f64], values: &[f32]| {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += sharpness * f64::from(*value);
                }
            };
            let mut own = model.weights.as_slice();
            for features in features {
                let (part, rest) = own.split_at(features.len() * n_classes);
                add(&mut weights[features.start * n_classes..], part);
                own = rest;
            }
            add(&mut intercepts, &model.intercepts);
            views.extend(model.state.views.iter().map(|view| ViewState {
                weight: weight * view.weight,
                ..*view
            }));
        }
        let nearest = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
        Self {
            state: ClosedFormState {
                n_features,
                n_classes,
                temperature: 1.0,
                views,
            },
            weights: nearest(scaling.apply_to_weights(&weights)),
            intercepts: nearest(scaling.apply(&intercepts)),
        }
    }

    /// Values of the linear function; the largest is the answer.
    ///
    /// # Shapes
    ///
    /// - `features`: `[n, n_features]`
    /// - output: `[n, n_classes]`
    ///
    /// # Panics
    ///
    /// If the features are not whole rows.
    pub fn decisions(&self, features: &[f32]) -> Vec<f64> {
        let ClosedFormState {
            n_features,
            n_classes,
            ..
        } = self.state;
        let found = features.len();
        assert!(
            found.is_multiple_of(n_features),
            "{found} values are no whole rows of {n_features} features"
        );
        let mut out = vec![0.0; found / n_features * n_classes];
        let rows = out.par_chunks_mut(n_classes);
        rows.zip(features.par_chunks(n_features))
            .for_each(|(out, row)| {
                for (out, intercept) in out.iter_mut().zip(&self.intercepts) {
                    *out = f64::from(*intercept);
                }
                for (x, weights) in row.iter().zip(self.weights.chunks_exact(n_classes)) {
                    let x = f64::from(*x);
                    for (out, weight) in out.iter_mut().zip(weights) {
                        *out += x * f64::from(*weight);
                    }
                }
            });
        out
    }

    /// Calibrated probabilities of the classes.
    ///
    /// # Shapes
    ///
    /// - `features`: `[n, n_features]`
    /// - output: `[n, n_classes]`
    ///
    /// # Panics
    ///
    /// If the features are not whole rows.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the nearest 32-bit numbers are meant"
    )]
    pub fn probabilities(&self, features: &[f32]) -> Vec<f32> {
        let decisions = self.decisions(features);
        let mut row = vec![0.0; self.state.n_classes];
        let mut out = Vec::with_capacity(decisions.len());
        for scores in decisions.chunks_exact(self.state.n_classes) {
            softmax(scores, 1.0 / self.state.temperature, &mut row);
            out.extend(row.iter().map(|&p| p as f32));
        }
        out
    }

    /// What to keep beside [`Self::arrays`].
    pub fn state(&self) -> &ClosedFormState {
        &self.state
    }

    /// Weights and intercepts, by name.
    pub fn arrays(&self) -> Vec<(&'static str, &[f32])> {
        vec![(WEIGHTS, &self.weights), (INTERCEPTS, &self.intercepts)]
    }

    /// The classifier that [`Self::state`] and [`Self::arrays`] came from.
    ///
    /// # Errors
    ///
    /// [`ClosedFormError::MissingArray`] and [`ClosedFormError::ArrayLength`].
    pub fn from_arrays(
        state: ClosedFormState,
        arrays: &BTreeMap<String, Vec<f32>>,
    ) -> Result<Self, ClosedFormError> {
        let take = |name, expected| {
            let array = arrays
                .get(name)
                .ok_or(ClosedFormError::MissingArray { name })?;
            match array.len() {
                found if found == expected => Ok(array.clone()),
                found => Err(ClosedFormError::ArrayLength {
                    name,
                    found,
                    expected,
                }),
            }
        };
        Ok(Self {
            weights: take(WEIGHTS, state.n_features * state.n_classes)?,
            intercepts: take(INTERCEPTS, state.n_classes)?,
            state,
        })
    }
}
