//! The cases of `tests/fixtures/closed_form`: what scikit-learn makes of blocks of features, and SciPy of
//! scores.

use serde::Deserialize;

use super::rows::{Block, FeatureTable};
use super::targets::{Prepared, Targets};

#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    blocks: Vec<(usize, f64)>,
    pub(super) features: Vec<f32>,
    labels: Vec<usize>,
    n_classes: usize,
    weights: Option<Vec<f64>>,
    groups: Option<Vec<usize>>,
    pub(super) alphas: Vec<f64>,
    /// Of each penalty, `[n_rows, n_classes]`.
    pub(super) decisions: Vec<Vec<f64>>,
    pub(super) left_out: Vec<Vec<f64>>,
    /// Of leave-one-out answers to targets of -1 and 1; one column for two classes.
    pub(super) squared_errors: Option<Vec<Vec<f64>>>,
}

impl Case {
    pub(super) fn all() -> Vec<Self> {
        let text = include_str!("../../tests/fixtures/closed_form/cases.json");
        serde_json::from_str(text).unwrap()
    }

    pub(super) fn table(&self) -> FeatureTable {
        let blocks = self
            .blocks
            .iter()
            .map(|&(width, scale)| Block { width, scale });
        FeatureTable::new(self.features.clone(), blocks.collect()).unwrap()
    }

    pub(super) fn targets(&self) -> Targets<'_> {
        Targets {
            labels: &self.labels,
            n_classes: self.n_classes,
            weights: self.weights.as_deref(),
            groups: self.groups.as_deref(),
        }
    }

    pub(super) fn prepared(&self) -> Prepared {
        Prepared::new(&self.targets(), self.labels.len()).unwrap()
    }
}

#[derive(Deserialize)]
pub(super) struct ScalingCase {
    pub(super) name: String,
    n_classes: usize,
    labels: Vec<usize>,
    weights: Option<Vec<f64>>,
    /// Before and after the scaling, `[n, n_classes]`.
    pub(super) scores: Vec<f64>,
    pub(super) scaled: Vec<f64>,
}

impl ScalingCase {
    pub(super) fn all() -> Vec<Self> {
        let text = include_str!("../../tests/fixtures/closed_form/scaling.json");
        serde_json::from_str(text).unwrap()
    }

    pub(super) fn prepared(&self) -> Prepared {
        let targets = Targets {
            weights: self.weights.as_deref(),
            ..Targets::new(&self.labels, self.n_classes)
        };
        Prepared::new(&targets, self.labels.len()).unwrap()
    }
}
