//! Matrix scaling: the scores of all classes correct the score of each.
//!
//! A ridge on one-hot targets asks of every class apart whether a sample belongs to it. Which classes are
//! taken for which, and that one of several ordered classes hides behind its neighbors, stands in the
//! scores of all of them together.

use std::collections::BTreeSet;

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::linear::{matrix, product};
use super::smoothed::{Smoothing, softmax};
use super::targets::Prepared;

/// How strongly the scaling is drawn toward none at all: to the log loss, summed over the samples, is
/// added this and [`FEW_PENALTY`] over the number of samples, times the squares of all its numbers. Chosen,
/// with [`INTERCEPT`], by cross-validation on the training splits of 93 UCR and UEA sets and on small parts
/// of them (`docs/accuracy.md`).
const PENALTY: f64 = 3.0;
const FEW_PENALTY: f64 = 300.0;
/// The input that intercepts belong to: the larger, the less they are penalized.
const INTERCEPT: f64 = 5.0;
/// Share of samples that may be alone in their class.
const MOST_ALONE: f64 = 1.0 / 3.0;
/// Parts of the samples that are each answered by a scaling fitted to the others.
const FOLDS: usize = 5;
/// Samples times squared classes that a scaling is fitted to at most; of more samples, some are picked.
const MOST_PRODUCTS: usize = 1 << 25;
const MOST_STEPS: usize = 50;
const MOST_INNER_STEPS: usize = 100;
/// Share of the loss that a step has to be worth.
const PRECISION: f64 = 1e-10;

/// A linear function of the scores of all classes that is added to them.
///
/// # Formula
///
/// ```text
/// z = s + E' (s, c)          s: scores, centered; c: a constant
/// E = argmin  sum over i of w_i logloss(softmax(z_i), t_i) + penalty |E|^2
/// ```
///
/// Targets `t` are smoothed as in [`super`]. The problem is convex; it is solved by Newton's method with
/// conjugate gradients.
///
/// # Source
///
/// Guo et al., *On calibration of modern neural networks*, arXiv:1706.04599 (matrix scaling); Kull et al.,
/// *Beyond temperature scaling*, arXiv:1910.12656 (why it has to be penalized); Hastie, Tibshirani and
/// Buja, *Flexible discriminant analysis by optimal scoring* (1994), on regression on one-hot targets.
#[derive(Clone, Debug)]
pub(super) struct MatrixScaling {
    /// `[n_classes + 1, n_classes]`; the last row is that of the constant.
    change: Mat<f64>,
}

impl MatrixScaling {
    /// Fits the scaling to held-out scores of the training samples, `[n, n_classes]`; to none if many are
    /// alone in their class: what was fitted without such a sample does not know its class, and takes it
    /// for any other.
    pub(super) fn fit(scores: &[f64], targets: &Prepared) -> Self {
        let all: Vec<usize> = (0..targets.n_rows()).collect();
        Self::fit_to(scores, targets, &all)
    }

    fn fit_to(scores: &[f64], targets: &Prepared, indices: &[usize]) -> Self {
        let n_classes = targets.n_classes;
        if n_alone(targets) as f64 > MOST_ALONE * targets.n_rows() as f64 {
            return Self {
                change: Mat::zeros(n_classes + 1, n_classes),
            };
        }
        let most = (MOST_PRODUCTS / (n_classes * n_classes)).max(1);
        let every = indices.len().div_ceil(most).max(1);
        let indices: Vec<usize> = indices.iter().copied().step_by(every).collect();
        let inputs = Mat::from_fn(indices.len(), n_classes + 1, |i, class| {
            let row = &scores[indices[i] * n_classes..][..n_classes];
            row.get(class).map_or(INTERCEPT, |score| score - mean(row))
        });
        let problem = Problem {
            inputs,
            targets,
            smoothing: Smoothing::new(targets.n_rows(), n_classes),
            indices: &indices,
            penalty: PENALTY + FEW_PENALTY / targets.n_rows() as f64,
        };
        Self {
            change: problem.minimize(),
        }
    }

    /// What the scaling makes of scores, `[n, n_classes]`.
    pub(super) fn apply(&self, scores: &[f64]) -> Vec<f64> {
        let mut out = self.apply_to_weights(scores);
        for row in out.chunks_exact_mut(self.change.ncols()) {
            let last = self.change.row(row.len()).iter();
            row.iter_mut()
                .zip(last)
                .for_each(|(score, weight)| *score += INTERCEPT * weight);
        }
        out
    }

    /// What it makes of the weights of a linear function that scores come from, `[n, n_classes]`.
    pub(super) fn apply_to_weights(&self, weights: &[f64]) -> Vec<f64> {
        let n_classes = self.change.ncols();
        let mut out = weights.to_vec();
        for row in out.chunks_exact_mut(n_classes) {
            let mean = mean(row);
            row.iter_mut().for_each(|weight| *weight -= mean);
        }
        let change = self.change.subrows(0, n_classes);
        let added = product(matrix(&out, n_classes), change);
        for (i, row) in out.chunks_exact_mut(n_classes).enumerate() {
            row.iter_mut()
                .zip(added.row(i).iter())
                .for_each(|(weight, added)| *weight += added);
        }
        out
    }
}

/// Scores of every sample after a scaling that was fitted to other samples, or other groups.
pub(super) fn held_out(scores: &[f64], targets: &Prepared) -> Vec<f64> {
    let n_classes = targets.n_classes;
    let folds = folds(targets);
    let answered = folds.par_iter().enumerate().map(|(own, fold)| {
        let others = folds.iter().enumerate().filter(|(fold, _)| *fold != own);
        let others: Vec<usize> = others.flat_map(|(_, fold)| fold.clone()).collect();
        let rows = fold
            .iter()
            .flat_map(|i| &scores[i * n_classes..][..n_classes]);
        let rows: Vec<f64> = rows.copied().collect();
        MatrixScaling::fit_to(scores, targets, &others).apply(&rows)
    });
    let answered: Vec<Vec<f64>> = answered.collect();
    let mut out = vec![0.0; scores.len()];
    for (fold, answers) in folds.iter().zip(&answered) {
        for (index, answer) in fold.iter().zip(answers.chunks_exact(n_classes)) {
            out[index * n_classes..][..n_classes].copy_from_slice(answer);
        }
    }
    out
}

/// How many samples are the only one of their class, or of the only group with it.
fn n_alone(targets: &Prepared) -> usize {
    let mut n_units = vec![0usize; targets.n_classes];
    match &targets.groups {
        None => targets.labels.iter().for_each(|label| n_units[*label] += 1),
        Some(groups) => {
            for group in groups {
                let labels = group.iter().map(|index| targets.labels[*index]);
                let labels: BTreeSet<usize> = labels.collect();
                labels.into_iter().for_each(|label| n_units[label] += 1);
            }
        }
    }
    let alone = targets.labels.iter().filter(|label| n_units[**label] == 1);
    alone.count()
}

/// The samples in parts of about the same classes; groups stay together.
fn folds(targets: &Prepared) -> Vec<Vec<usize>> {
    let single = || {
        let mut indices: Vec<usize> = (0..targets.n_rows()).collect();
        indices.sort_by_key(|index| targets.labels[*index]);
        indices.into_iter().map(|index| vec![index]).collect()
    };
    let units: Vec<Vec<usize>> = targets.groups.clone().unwrap_or_else(single);
    let n_folds = FOLDS.min(units.len());
    let mut folds = vec![Vec::new(); n_folds];
    for (place, unit) in units.into_iter().enumerate() {
        folds[place % n_folds].extend(unit);
    }
    folds
}

fn mean(row: &[f64]) -> f64 {
    row.iter().sum::<f64>() / row.len() as f64
}

/// The convex function that a scaling is the least of.
#[derive(Debug)]
struct Problem<'a> {
    /// Centered scores and the constant, `[n, n_classes + 1]`.
    inputs: Mat<f64>,
    targets: &'a Prepared,
    smoothing: Smoothing,
    indices: &'a [usize],
    penalty: f64,
}

/// The function at one place.
#[derive(Debug)]
struct Place {
    loss: f64,
    /// `[n, n_classes]`.
    probabilities: Mat<f64>,
    /// Slopes of the function, `[n_classes + 1, n_classes]`.
    slopes: Mat<f64>,
}

impl Problem<'_> {
    fn minimize(&self) -> Mat<f64> {
        let n_classes = self.targets.n_classes;
        let mut change = Mat::zeros(n_classes + 1, n_classes);
        let mut place = self.place(&change);
        for _ in 0..MOST_STEPS {
            let step = self.newton_step(&place);
            let gain = dot(&place.slopes, &step);
            if gain <= PRECISION * place.loss {
                break;
            }
            let Some((moved, found)) = self.search(&change, &place, &step, gain) else {
                break;
            };
            (change, place) = (moved, found);
        }
        change
    }

    /// A place that is better by its share of what the slopes promise, along the step.
    fn search(
        &self,
        change: &Mat<f64>,
        place: &Place,
        step: &Mat<f64>,
        gain: f64,
    ) -> Option<(Mat<f64>, Place)> {
        let mut length = 1.0;
        while length > 1e-8 {
            let moved = change - faer::Scale(length) * step;
            let found = self.place(&moved);
            if found.loss <= place.loss - 1e-4 * length * gain {
                return Some((moved, found));
            }
            length *= 0.5;
        }
        None
    }

    fn place(&self, change: &Mat<f64>) -> Place {
        let n_classes = self.targets.n_classes;
        let mut scores = product(self.inputs.as_ref(), change.as_ref());
        scores += self.inputs.subcols(0, n_classes);
        let mut probabilities = Mat::zeros(scores.nrows(), n_classes);
        let mut errors = Mat::zeros(scores.nrows(), n_classes);
        let (mut row, mut p) = (vec![0.0; n_classes], vec![0.0; n_classes]);
        let mut loss = self.penalty * dot(change, change);
        for (i, &index) in self.indices.iter().enumerate() {
            let (label, weight) = (self.targets.labels[index], self.targets.weights[index]);
            row.iter_mut()
                .enumerate()
                .for_each(|(class, score)| *score = scores[(i, class)]);
            let log_sum = softmax(&row, 1.0, &mut p);
            loss += weight * (log_sum - self.smoothing.expect(&row, label));
            for (class, p) in p.iter().enumerate() {
                let target = match class == label {
                    true => self.smoothing.own,
                    false => self.smoothing.other,
                };
                probabilities[(i, class)] = *p;
                errors[(i, class)] = weight * (p - target);
            }
        }
        Place {
            loss,
            probabilities,
            slopes: self.back(errors.as_ref(), change),
        }
    }

    /// `inputs' errors + 2 penalty change`.
    fn back(&self, errors: MatRef<'_, f64>, change: &Mat<f64>) -> Mat<f64> {
        product(self.inputs.transpose(), errors) + faer::Scale(2.0 * self.penalty) * change
    }

    /// The curvature at a place in one direction.
    fn curvature(&self, place: &Place, direction: &Mat<f64>) -> Mat<f64> {
        let mut moved = product(self.inputs.as_ref(), direction.as_ref());
        for (i, &index) in self.indices.iter().enumerate() {
            let p = place.probabilities.row(i);
            let mean: f64 = p.iter().zip(moved.row(i).iter()).map(|(p, x)| p * x).sum();
            let weight = self.targets.weights[index];
            for (x, p) in moved.row_mut(i).iter_mut().zip(p.iter()) {
                *x = weight * p * (*x - mean);
            }
        }
        self.back(moved.as_ref(), direction)
    }

    /// The slopes over the curvature, by conjugate gradients, the more exactly the nearer the end is.
    fn newton_step(&self, place: &Place) -> Mat<f64> {
        let (n_inputs, n_classes) = (place.slopes.nrows(), place.slopes.ncols());
        let mut step = Mat::zeros(n_inputs, n_classes);
        let mut residual = place.slopes.clone();
        let mut direction = residual.clone();
        let mut size = dot(&residual, &residual);
        let enough = size * size.sqrt().min(0.01);
        for _ in 0..MOST_INNER_STEPS {
            if size <= enough || size == 0.0 {
                break;
            }
            let curved = self.curvature(place, &direction);
            let length = size / dot(&direction, &curved);
            step += faer::Scale(length) * &direction;
            residual -= faer::Scale(length) * &curved;
            let next = dot(&residual, &residual);
            direction = &residual + faer::Scale(next / size) * &direction;
            size = next;
        }
        step
    }
}

fn dot(left: &Mat<f64>, right: &Mat<f64>) -> f64 {
    let columns = (0..left.ncols()).map(|column| {
        let pairs = left.col(column).iter().zip(right.col(column).iter());
        pairs.map(|(a, b)| a * b).sum::<f64>()
    });
    columns.sum()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::ScalingCase;
    use super::super::held_out::HeldOut;
    use super::super::targets::Targets;
    use super::*;

    /// SciPy's minimizer stops at slopes of 1e-6, and without derivatives not much earlier.
    const TOLERANCE: f64 = 1e-4;

    #[test]
    fn scaled_scores_equal_those_of_scipy() {
        for case in ScalingCase::all() {
            let scaling = MatrixScaling::fit(&case.scores, &case.prepared());
            let found = scaling.apply(&case.scores);
            for (found, expected) in found.iter().zip(&case.scaled) {
                let close = (found - expected).abs() < TOLERANCE;
                assert!(close, "{}: {found} for {expected}", case.name);
            }
        }
    }

    #[test]
    fn scaled_weights_give_scaled_scores() {
        let case = &ScalingCase::all()[1];
        let scaling = MatrixScaling::fit(&case.scores, &case.prepared());
        // A linear function of two features: scores are 2 x - y and an intercept.
        let (x, y, intercept) = ([0.3, -0.2, 1.0], [0.5, 0.9, -0.7], [0.1, 0.4, -2.0]);
        let scores: Vec<f64> = (0..3).map(|c| 2.0 * x[c] - y[c] + intercept[c]).collect();
        let weights = scaling.apply_to_weights(&[x, y].concat());
        let constant = scaling.apply(&intercept);
        for (class, expected) in scaling.apply(&scores).into_iter().enumerate() {
            let found = 2.0 * weights[class] - weights[3 + class] + constant[class];
            assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
        }
    }

    /// Five ordered classes of which the second and the fourth hide behind their neighbors.
    fn ordered(n: usize) -> (Vec<f64>, Vec<usize>) {
        let labels: Vec<usize> = (0..n).map(|i| i % 5).collect();
        let scores = labels.iter().enumerate().flat_map(|(i, &label)| {
            let place = label as f64 + ((i * 7) % 11) as f64 / 11.0 - 0.5;
            (0..5).map(move |class| {
                let hidden = if class % 2 == 1 { 1.0 } else { 0.0 };
                -(place - f64::from(class)).powi(2) - hidden
            })
        });
        (scores.collect(), labels)
    }

    #[test]
    fn hidden_classes_are_found_in_samples_that_were_held_out() {
        let (scores, labels) = ordered(200);
        let groups: Vec<usize> = (0..200).map(|i| i / 10).collect();
        for groups in [None, Some(groups.as_slice())] {
            let targets = Targets {
                groups,
                ..Targets::new(&labels, 5)
            };
            let targets = Prepared::new(&targets, 200).unwrap();
            let [before, after] = [scores.clone(), held_out(&scores, &targets)]
                .map(|scores| HeldOut::new(&scores, &targets, 1.0));
            assert!(after.log_loss < 0.8 * before.log_loss, "{after:?}");
            assert!(after.accuracy > before.accuracy, "{after:?}");
        }
    }

    #[test]
    fn nothing_is_learned_from_samples_that_are_alone_in_their_class() {
        // Held out, each is taken for any class but its own.
        let scores = [-1.0, 1.0, 1.0, 1.0, -1.0, 1.0, 1.0, 1.0, -1.0].repeat(2);
        let (single, twice) = ([0, 1, 2, 3, 4, 5], [0, 1, 2, 0, 1, 2]);
        for (labels, groups, alone) in [
            (single, None, 6),
            (twice, None, 0),
            (twice, Some(twice.as_slice()), 6),
            (twice, Some([0, 0, 1, 1, 1, 2].as_slice()), 0),
            (twice, Some([0, 0, 1, 1, 1, 1].as_slice()), 2),
        ] {
            let n_classes = labels.iter().max().unwrap() + 1;
            let targets = Targets {
                groups,
                ..Targets::new(&labels, n_classes)
            };
            let targets = Prepared::new(&targets, 6).unwrap();
            assert_eq!(n_alone(&targets), alone, "{labels:?} {groups:?}");
            let scores: Vec<f64> = scores.iter().copied().cycle().take(6 * n_classes).collect();
            let change = MatrixScaling::fit(&scores, &targets).change;
            assert_eq!(change.norm_max() > 0.0, alone <= 2, "{labels:?} {groups:?}");
        }
    }

    #[test]
    fn nothing_is_corrected_by_chance() {
        // Scores that know nothing of 6 samples of 3 classes.
        let targets = Prepared::new(&Targets::new(&[0, 1, 2, 0, 1, 2], 3), 6).unwrap();
        let scaling = MatrixScaling::fit(&[0.0; 18], &targets);
        assert_eq!(scaling.apply(&[0.0; 3]), [0.0; 3]);
        // Two samples, each left out.
        let targets = Prepared::new(&Targets::new(&[0, 1], 2), 2).unwrap();
        let scores = held_out(&[1.0, -1.0, -1.0, 1.0], &targets);
        assert!(scores.iter().all(|score| score.is_finite()), "{scores:?}");
    }

    #[test]
    fn many_classes_and_samples_take_some_of_the_samples() {
        let n_classes = 400;
        let labels: Vec<usize> = (0..1000).map(|i| i % n_classes).collect();
        let targets = Prepared::new(&Targets::new(&labels, n_classes), 1000).unwrap();
        let score = |(i, &label): (usize, &usize)| {
            let row = move |class| if class == label { (i % 3) as f64 } else { 0.0 };
            (0..n_classes).map(row).collect::<Vec<f64>>()
        };
        let scores: Vec<f64> = labels.iter().enumerate().flat_map(score).collect();
        let scaling = MatrixScaling::fit(&scores, &targets);
        let every_fifth: Vec<usize> = (0..1000).step_by(5).collect();
        let expected = MatrixScaling::fit_to(&scores, &targets, &every_fifth);
        assert!(scaling.change == expected.change, "others were picked");
        assert!(scaling.apply(&scores).iter().all(|score| score.is_finite()));
    }
}
