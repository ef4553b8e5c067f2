//! Exact answers to samples that were left out, and what is chosen by them.

use faer::linalg::solvers::Solve;
use faer::{Mat, MatMut, MatRef, Side};
use rayon::prelude::*;

use super::axes::Axes;
use super::linear::product;
use super::smoothed::{sharpen, softmax};
use super::targets::Prepared;
use super::{ClosedFormError, RidgeConfig};
use crate::metrics::{ConfusionMatrix, Score};

/// Samples that the penalty is chosen by, at most about; their answers are still exact.
const CHOSEN_BY: usize = 4096;
/// Answers that are compared of each penalty, at most.
const MOST_ANSWERS: usize = 1 << 21;
/// Samples whose places on the axes are held at once.
const CHUNK: usize = 1024;
/// Smallest share of a sample's answer that is not its own doing.
const LEAST_FREEDOM: f64 = 1e-10;

/// Answers to the training samples, each made without the sample, or without its group.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut {
    /// Calibrated probabilities, `[n_samples, n_classes]`.
    pub probabilities: Vec<f32>,
    /// Share of samples whose class is the most probable one; weights do not count.
    pub accuracy: f64,
    /// Mean log loss of the samples' own classes, not smoothed; weights do not count.
    pub log_loss: f64,
}

impl HeldOut {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the nearest 32-bit numbers are meant"
    )]
    pub(super) fn new(answers: &[f64], targets: &Prepared, sharpness: f64) -> Self {
        let n_classes = targets.n_classes;
        let mut probabilities = Vec::with_capacity(answers.len());
        let (mut right, mut loss) = (0usize, 0.0);
        let mut row = vec![0.0; n_classes];
        for (scores, &label) in answers.chunks_exact(n_classes).zip(&targets.labels) {
            let log_sum = softmax(scores, sharpness, &mut row);
            loss += log_sum - sharpness * scores[label];
            right += usize::from(most_probable(scores) == label);
            probabilities.extend(row.iter().map(|&p| p as f32));
        }
        let n = targets.n_rows() as f64;
        Self {
            probabilities,
            accuracy: right as f64 / n,
            log_loss: loss / n,
        }
    }
}

fn most_probable(scores: &[f64]) -> usize {
    let better = |best: usize, (class, score): (usize, &f64)| match *score > scores[best] {
        true => class,
        false => best,
    };
    scores.iter().enumerate().fold(0, better)
}

/// A penalty, and how its held-out answers are best calibrated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) sharpness: f64,
    pub(super) loss: f64,
}

/// Calibrates answers to all samples, or to some.
pub(super) fn calibrate(
    answers: &[f64],
    targets: &Prepared,
    indices: Option<&[usize]>,
) -> Candidate {
    let all: Vec<usize>;
    let indices = match indices {
        Some(indices) => indices,
        None => {
            all = (0..targets.n_rows()).collect();
            &all
        }
    };
    let (sharpness, loss) = sharpen(answers, indices, targets);
    Candidate { sharpness, loss }
}

/// The penalty of the best score; among equals, that of the lowest log loss.
pub(super) fn choose_alpha(
    axes: &impl Axes,
    targets: &Prepared,
    config: &RidgeConfig,
) -> Result<f64, ClosedFormError> {
    let units = units(targets, CHOSEN_BY.min(MOST_ANSWERS / targets.n_classes));
    let indices = units.concat();
    let on_axes = axes.rows(&indices)?;
    let errors = config.alphas.par_iter().map(|&alpha| {
        let answers = Ridge::new(axes, targets, alpha).answers(&units, &on_axes)?;
        let loss = calibrate(&answers, targets, Some(&indices)).loss;
        Ok((share_wrong(&answers, &indices, targets, config.score), loss))
    });
    let errors = errors.collect::<Result<Vec<(f64, f64)>, ClosedFormError>>()?;
    let order = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
    let best = errors.iter().zip(&config.alphas);
    let best = best.min_by(|(a, _), (b, _)| order(a, b));
    Ok(best.map_or(1.0, |(_, &alpha)| alpha))
}

/// What a score of answers lacks; nothing where log loss alone decides.
fn share_wrong(answers: &[f64], indices: &[usize], targets: &Prepared, score: Score) -> f64 {
    let n_classes = targets.n_classes;
    let pairs = answers.chunks_exact(n_classes).zip(indices);
    let pairs = pairs.map(|(scores, &index)| (targets.labels[index], most_probable(scores)));
    let counted = || ConfusionMatrix::new(n_classes, pairs);
    let share_right = match score {
        Score::LogLoss => None,
        Score::Accuracy => counted().accuracy(),
        Score::BalancedAccuracy => counted().balanced_accuracy(),
    };
    share_right.map_or(0.0, |share| 1.0 - share)
}

/// Held-out answers to all samples, `[n_rows, n_classes]`.
pub(super) fn answers(
    axes: &impl Axes,
    targets: &Prepared,
    alpha: f64,
) -> Result<Vec<f64>, ClosedFormError> {
    let n_classes = targets.n_classes;
    let ridge = Ridge::new(axes, targets, alpha);
    let mut all = vec![0.0; targets.n_rows() * n_classes];
    let units = units(targets, usize::MAX);
    let mut rest = units.as_slice();
    while !rest.is_empty() {
        let mut n_units = 0;
        let mut n_samples = 0;
        while n_units < rest.len() && (n_units == 0 || n_samples + rest[n_units].len() <= CHUNK) {
            n_samples += rest[n_units].len();
            n_units += 1;
        }
        let (chunk, others) = rest.split_at(n_units);
        rest = others;
        let indices = chunk.concat();
        let answers = ridge.answers(chunk, &axes.rows(&indices)?)?;
        for (answer, index) in answers.chunks_exact(n_classes).zip(indices) {
            all[index * n_classes..][..n_classes].copy_from_slice(answer);
        }
    }
    Ok(all)
}

/// What is left out together: samples or groups, evenly picked until there are `most` samples.
fn units(targets: &Prepared, most: usize) -> Vec<Vec<usize>> {
    let single = || (0..targets.n_rows()).map(|index| vec![index]).collect();
    let units = targets.groups.clone().unwrap_or_else(single);
    let every = targets.n_rows().div_ceil(most);
    units.into_iter().step_by(every).collect()
}

/// The ridge of one penalty.
#[derive(Debug)]
struct Ridge<'a> {
    targets: &'a Prepared,
    /// `1 / (values + alpha)` of each axis.
    shrinkage: Vec<f64>,
    /// Loadings times shrinkage, `[n_axes, n_classes]`.
    coefficients: Mat<f64>,
}

impl<'a> Ridge<'a> {
    fn new(axes: &impl Axes, targets: &'a Prepared, alpha: f64) -> Self {
        let spectrum = axes.spectrum();
        let shrinkage = spectrum.values.iter().map(|value| 1.0 / (value + alpha));
        Self {
            targets,
            shrinkage: shrinkage.collect(),
            coefficients: spectrum.shrunk(alpha),
        }
    }

    /// Held-out answers to the samples of some units, whose places on the axes are given one
    /// below the other, `[n_samples, n_axes]`.
    fn answers(
        &self,
        units: &[Vec<usize>],
        on_axes: &Mat<f64>,
    ) -> Result<Vec<f64>, ClosedFormError> {
        let indices = units.concat();
        let mut residuals = product(on_axes.as_ref(), self.coefficients.as_ref());
        for class in 0..self.targets.n_classes {
            let column = residuals.col_mut(class).iter_mut();
            for (place, &index) in column.zip(&indices) {
                *place = self.targets.centered(index, class) - *place;
            }
        }
        if indices.len() == units.len() {
            self.leave_out_samples(&indices, on_axes, &mut residuals);
        } else {
            self.leave_out_units(units, on_axes, &mut residuals)?;
        }
        let mut answers = Vec::with_capacity(indices.len() * self.targets.n_classes);
        for (i, &index) in indices.iter().enumerate() {
            for class in 0..self.targets.n_classes {
                let residual = residuals[(i, class)] / self.targets.roots[index];
                answers.push(self.targets.one_hot(index, class) - residual);
            }
        }
        Ok(answers)
    }

    /// Divides residuals by the diagonal of `I - H`.
    fn leave_out_samples(&self, indices: &[usize], on_axes: &Mat<f64>, residuals: &mut Mat<f64>) {
        let intercept = indices
            .iter()
            .map(|&i| self.targets.intercept_axis(i).powi(2));
        let mut leverages: Vec<f64> = intercept.collect();
        for (axis, shrinkage) in self.shrinkage.iter().enumerate() {
            let places = on_axes.col(axis).iter();
            for (leverage, place) in leverages.iter_mut().zip(places) {
                *leverage += shrinkage * place * place;
            }
        }
        for class in 0..self.targets.n_classes {
            let column = residuals.col_mut(class).iter_mut();
            for (residual, leverage) in column.zip(&leverages) {
                *residual /= (1.0 - leverage).max(LEAST_FREEDOM);
            }
        }
    }

    /// Multiplies the residuals of each unit by the inverse of its block of `I - H`.
    fn leave_out_units(
        &self,
        units: &[Vec<usize>],
        on_axes: &Mat<f64>,
        residuals: &mut Mat<f64>,
    ) -> Result<(), ClosedFormError> {
        let mut first = 0;
        for unit in units {
            let here = on_axes.subrows(first, unit.len());
            let residuals = residuals.subrows_mut(first, unit.len());
            if unit.len() <= self.shrinkage.len() {
                self.solve_by_samples(unit, here, residuals)?;
            } else {
                self.solve_by_axes(unit, here, residuals)?;
            }
            first += unit.len();
        }
        Ok(())
    }

    /// `(I - H)^-1 e` by a matrix of the unit's size.
    fn solve_by_samples(
        &self,
        unit: &[usize],
        on_axes: MatRef<'_, f64>,
        residuals: MatMut<'_, f64>,
    ) -> Result<(), ClosedFormError> {
        let roots: Vec<f64> = self.shrinkage.iter().map(|value| value.sqrt()).collect();
        let scaled = Mat::from_fn(unit.len(), roots.len(), |i, axis| {
            on_axes[(i, axis)] * roots[axis]
        });
        let mut freedom = product(scaled.as_ref(), scaled.transpose());
        let intercept: Vec<f64> = unit
            .iter()
            .map(|&i| self.targets.intercept_axis(i))
            .collect();
        for j in 0..unit.len() {
            for i in 0..unit.len() {
                let identity = f64::from(u8::from(i == j));
                freedom[(i, j)] = identity - intercept[i] * intercept[j] - freedom[(i, j)];
            }
        }
        solve(&freedom, residuals)
    }

    /// `(I - G D G')^-1 e = e + G (D^-1 - G'G)^-1 G'e`, by a matrix of the axes' size: `G` holds
    /// the intercept's axis and the others, `D` their shrinkage.
    fn solve_by_axes(
        &self,
        unit: &[usize],
        on_axes: MatRef<'_, f64>,
        mut residuals: MatMut<'_, f64>,
    ) -> Result<(), ClosedFormError> {
        let with_intercept = Mat::from_fn(unit.len(), on_axes.ncols() + 1, |i, axis| match axis {
            0 => self.targets.intercept_axis(unit[i]),
            _ => on_axes[(i, axis - 1)],
        });
        let mut freedom = product(with_intercept.transpose(), with_intercept.as_ref());
        freedom.as_mut().col_iter_mut().for_each(|column| {
            column.iter_mut().for_each(|place| *place = -*place);
        });
        freedom[(0, 0)] += 1.0;
        for (axis, shrinkage) in self.shrinkage.iter().enumerate() {
            freedom[(axis + 1, axis + 1)] += 1.0 / shrinkage;
        }
        let mut inner = product(with_intercept.transpose(), residuals.as_ref());
        solve(&freedom, inner.as_mut())?;
        let correction = product(with_intercept.as_ref(), inner.as_ref());
        for class in 0..residuals.ncols() {
            let column = residuals.as_mut().col_mut(class);
            for (residual, part) in column.iter_mut().zip(correction.col(class).iter()) {
                *residual += part;
            }
        }
        Ok(())
    }
}

/// Solves with a symmetric, positive matrix, in place.
fn solve(matrix: &Mat<f64>, right: MatMut<'_, f64>) -> Result<(), ClosedFormError> {
    let size = matrix.nrows();
    let factor = matrix
        .llt(Side::Lower)
        .map_err(|_| ClosedFormError::Decomposition { size })?;
    factor.solve_in_place(right);
    Ok(())
}
