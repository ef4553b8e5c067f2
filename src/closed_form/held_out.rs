//! Exact answers to samples that were left out, and what is chosen by them.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use rayon::prelude::*;

use super::ClosedFormError;
use super::axes::Axes;
use super::linear::product;
use super::smoothed::{sharpen, softmax};
use super::targets::Prepared;

/// Samples that the penalty is chosen by, at most about; their answers are still exact.
const CHOSEN_BY: usize = 4096;
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

/// The penalty of least log loss.
pub(super) fn choose_alpha(
    axes: &impl Axes,
    targets: &Prepared,
    alphas: &[f64],
) -> Result<f64, ClosedFormError> {
    let units = units(targets, CHOSEN_BY);
    let indices = units.concat();
    let on_axes = axes.rows(&indices)?;
    let losses = alphas.par_iter().map(|&alpha| {
        let answers = answers_of(axes, targets, alpha, (&units, &on_axes))?;
        Ok(calibrate(&answers, targets, Some(&indices)).loss)
    });
    let losses = losses.collect::<Result<Vec<f64>, ClosedFormError>>()?;
    let best = losses.iter().zip(alphas).min_by(|a, b| a.0.total_cmp(b.0));
    Ok(best.map_or(1.0, |(_, &alpha)| alpha))
}

/// Held-out answers to all samples, `[n_rows, n_classes]`.
pub(super) fn answers(
    axes: &impl Axes,
    targets: &Prepared,
    alpha: f64,
) -> Result<Vec<f64>, ClosedFormError> {
    let n_classes = targets.n_classes;
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
        let on_axes = axes.rows(&indices)?;
        let answers = answers_of(axes, targets, alpha, (chunk, &on_axes))?;
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

/// Held-out answers to the samples of some units, whose places on the axes are given.
fn answers_of(
    axes: &impl Axes,
    targets: &Prepared,
    alpha: f64,
    (units, on_axes): (&[Vec<usize>], &Mat<f64>),
) -> Result<Vec<f64>, ClosedFormError> {
    let spectrum = axes.spectrum();
    let fitted = product(on_axes.as_ref(), spectrum.shrunk(alpha).as_ref());
    let mut answers = Vec::with_capacity(fitted.nrows() * fitted.ncols());
    let mut first = 0;
    for unit in units {
        let place = fitted.subrows(first, unit.len());
        let mut residuals = Mat::from_fn(unit.len(), targets.n_classes, |i, class| {
            targets.centered(unit[i], class) - place[(i, class)]
        });
        let here = on_axes.subrows(first, unit.len());
        let freedom = freedom(here, &spectrum.values, alpha, (unit, targets));
        if unit.len() == 1 {
            let one = freedom[(0, 0)].max(LEAST_FREEDOM);
            residuals
                .row_mut(0)
                .iter_mut()
                .for_each(|residual| *residual /= one);
        } else {
            let size = unit.len();
            let factor = freedom
                .llt(Side::Lower)
                .map_err(|_| ClosedFormError::Decomposition { size })?;
            factor.solve_in_place(&mut residuals);
        }
        for (i, &index) in unit.iter().enumerate() {
            answers.extend((0..targets.n_classes).map(|class| {
                targets.one_hot(index, class) - residuals[(i, class)] / targets.roots[index]
            }));
        }
        first += unit.len();
    }
    Ok(answers)
}

/// The block `I - H` of some samples; a lower half.
fn freedom(
    on_axes: faer::MatRef<'_, f64>,
    values: &[f64],
    alpha: f64,
    (unit, targets): (&[usize], &Prepared),
) -> Mat<f64> {
    let shrunk = Mat::from_fn(on_axes.ncols(), on_axes.nrows(), |axis, i| {
        on_axes[(i, axis)] / (values[axis] + alpha)
    });
    let explained = product(on_axes, shrunk.as_ref());
    Mat::from_fn(unit.len(), unit.len(), |i, j| {
        let intercept = targets.intercept_axis(unit[i]) * targets.intercept_axis(unit[j]);
        f64::from(u8::from(i == j)) - intercept - explained[(i, j)]
    })
}
