//! What a classifier is fitted to: labels, weights of samples, groups that are left out together.

use std::collections::BTreeMap;

use super::{ClosedFormError, is_positive};

/// Labels of the training samples, and what else is known of them.
#[derive(Clone, Copy, Debug)]
pub struct Targets<'a> {
    /// Class of each sample.
    pub labels: &'a [usize],
    /// Number of classes, with or without samples.
    pub n_classes: usize,
    /// How much each sample counts, in the ridge and in the log loss; only ratios matter.
    pub weights: Option<&'a [f64]>,
    /// Group of each sample, a subject for instance; held-out answers leave out whole groups.
    pub groups: Option<&'a [usize]>,
}

impl<'a> Targets<'a> {
    /// Labels of samples that count alike and belong to no groups.
    pub fn new(labels: &'a [usize], n_classes: usize) -> Self {
        Self {
            labels,
            n_classes,
            weights: None,
            groups: None,
        }
    }
}

/// Weights by which every class with samples counts alike: `n / (n_classes * n_of_class)`.
///
/// # Panics
///
/// If a label is not below `n_classes`.
pub fn balanced_weights(labels: &[usize], n_classes: usize) -> Vec<f64> {
    let mut counts = vec![0usize; n_classes];
    for &label in labels {
        counts[label] += 1;
    }
    let n_present = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&label: &usize| labels.len() as f64 / (n_present * counts[label]) as f64;
    labels.iter().map(weight).collect()
}

/// Checked targets, as the ridge needs them.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) labels: Vec<usize>,
    pub(super) n_classes: usize,
    /// Of mean 1.
    pub(super) weights: Vec<f64>,
    /// Square roots of the weights.
    pub(super) roots: Vec<f64>,
    /// Weighted share of each class.
    pub(super) shares: Vec<f64>,
    /// Samples that are left out together; none if each is left out alone.
    pub(super) groups: Option<Vec<Vec<usize>>>,
}

impl Prepared {
    pub(super) fn new(targets: &Targets<'_>, n_rows: usize) -> Result<Self, ClosedFormError> {
        let count = |what, found| match found == n_rows {
            true => Ok(()),
            false => Err(ClosedFormError::Count {
                what,
                found,
                expected: n_rows,
            }),
        };
        count("labels", targets.labels.len())?;
        count("weights", targets.weights.map_or(n_rows, <[f64]>::len))?;
        count("groups", targets.groups.map_or(n_rows, <[usize]>::len))?;
        let n_classes = targets.n_classes;
        for (index, &label) in targets.labels.iter().enumerate() {
            if label >= n_classes {
                return Err(ClosedFormError::LabelOutOfRange {
                    index,
                    label,
                    n_classes,
                });
            }
        }
        let weights = weights(targets, n_rows)?;
        let mut shares = vec![0.0; n_classes];
        for (&label, weight) in targets.labels.iter().zip(&weights) {
            shares[label] += weight / n_rows as f64;
        }
        Ok(Self {
            labels: targets.labels.to_vec(),
            n_classes,
            roots: weights.iter().map(|weight| weight.sqrt()).collect(),
            weights,
            shares,
            groups: targets.groups.map(groups).transpose()?,
        })
    }

    pub(super) fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// The one-hot target of a sample and a class.
    pub(super) fn one_hot(&self, index: usize, class: usize) -> f64 {
        f64::from(u8::from(self.labels[index] == class))
    }

    /// It, less the class's share, times the root of the sample's weight.
    pub(super) fn centered(&self, index: usize, class: usize) -> f64 {
        self.roots[index] * (self.one_hot(index, class) - self.shares[class])
    }

    /// The unit vector that the weighted intercept takes up, at one sample.
    pub(super) fn intercept_axis(&self, index: usize) -> f64 {
        self.roots[index] / (self.n_rows() as f64).sqrt()
    }
}

fn weights(targets: &Targets<'_>, n_rows: usize) -> Result<Vec<f64>, ClosedFormError> {
    let Some(weights) = targets.weights else {
        return Ok(vec![1.0; n_rows]);
    };
    if let Some(index) = weights.iter().position(|&weight| !is_positive(weight)) {
        let weight = weights[index];
        return Err(ClosedFormError::Weight { index, weight });
    }
    let mean = weights.iter().sum::<f64>() / n_rows as f64;
    Ok(weights.iter().map(|weight| weight / mean).collect())
}

fn groups(of_samples: &[usize]) -> Result<Vec<Vec<usize>>, ClosedFormError> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, &group) in of_samples.iter().enumerate() {
        groups.entry(group).or_default().push(index);
    }
    match groups.len() {
        1 => Err(ClosedFormError::OneGroup),
        _ => Ok(groups.into_values().collect()),
    }
}
