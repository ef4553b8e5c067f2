//! One answer of several classifiers: a log-linear pool of their probabilities.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use super::smoothed::{BLUNTEST, Smoothing, softmax};

/// Probabilities below this are taken for it: no member can rule a class out for all.
const LEAST: f64 = 1e-7;
const MOST_STEPS: usize = 200;
const PRECISION: f64 = 1e-9;

/// Weights of the members of a pool.
///
/// # Formula
///
/// ```text
/// p(class) ~ product over members of p_member(class)^weight
/// ```
///
/// Weights are not negative and are those of the least log loss of held-out probabilities, with
/// targets smoothed as in [`super`]. The sum of the weights is an inverse temperature, so that a
/// fitted pool is calibrated, also one of a single member. It is not 0: the first member's most probable class
/// is that of a pool of members that know nothing.
///
/// # Examples
///
/// ```
/// use timesclip::closed_form::pool::LogPool;
///
/// // The first member knows, the second guesses.
/// let (knows, guesses) = ([0.8, 0.2, 0.3, 0.7], [0.5, 0.5, 0.5, 0.5]);
/// let pool = LogPool::fit(&[&knows, &guesses], &[0, 1], 2, None);
/// assert!(pool.weights[0] > 0.5); // the other's weight changes nothing
/// let pooled = pool.pool(&[&knows, &guesses]);
/// assert!(pooled[0] > 0.5 && pooled[3] > 0.5);
/// ```
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LogPool {
    /// One weight a member.
    pub weights: Vec<f64>,
    /// Number of classes.
    pub n_classes: usize,
}

impl LogPool {
    /// Fits the weights on held-out probabilities.
    ///
    /// # Shapes
    ///
    /// - `members`: each `[n_samples, n_classes]`
    /// - `labels` and `sample_weights`: `[n_samples]`
    ///
    /// # Panics
    ///
    /// If there are no members or no samples, or their shapes differ.
    pub fn fit(
        members: &[&[f32]],
        labels: &[usize],
        n_classes: usize,
        sample_weights: Option<&[f64]>,
    ) -> Self {
        let equal = vec![1.0 / members.len().max(1) as f64; members.len()];
        let start = Start {
            weights: equal,
            pull: 0.0,
        };
        Self::fit_from(&start, members, labels, n_classes, sample_weights)
    }

    /// The same, with weights drawn toward those of a start.
    pub(super) fn fit_from(
        start: &Start,
        members: &[&[f32]],
        labels: &[usize],
        n_classes: usize,
        sample_weights: Option<&[f64]>,
    ) -> Self {
        assert!(
            !members.is_empty() && !labels.is_empty(),
            "a pool of nothing"
        );
        for member in members {
            let (found, expected) = (member.len(), labels.len() * n_classes);
            assert_eq!(found, expected, "{found} probabilities for {expected}");
        }
        let problem = Problem {
            logs: members.iter().map(|member| logs(member)).collect(),
            labels,
            n_classes,
            weights: sample_weights.map_or_else(|| vec![1.0; labels.len()], <[f64]>::to_vec),
            smoothing: Smoothing::new(labels.len(), n_classes),
            start,
        };
        let mut weights = problem.minimize();
        let sum: f64 = weights.iter().sum();
        weights[0] += (BLUNTEST - sum).max(0.0);
        Self { weights, n_classes }
    }

    /// Pooled probabilities, `[n, n_classes]`, of members' probabilities of that shape.
    ///
    /// # Panics
    ///
    /// If there is not one member a weight, or their shapes differ.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the nearest 32-bit numbers are meant"
    )]
    pub fn pool(&self, members: &[&[f32]]) -> Vec<f32> {
        let (found, expected) = (members.len(), self.weights.len());
        assert_eq!(found, expected, "{found} members for {expected} weights");
        let mut scores = vec![0.0; members[0].len()];
        for (member, weight) in members.iter().zip(&self.weights) {
            let (found, expected) = (member.len(), scores.len());
            assert_eq!(found, expected, "{found} probabilities for {expected}");
            let logs = logs(member);
            scores
                .iter_mut()
                .zip(logs)
                .for_each(|(sum, log)| *sum += weight * log);
        }
        let mut row = vec![0.0; self.n_classes];
        let mut out = Vec::with_capacity(scores.len());
        for scores in scores.chunks_exact(self.n_classes) {
            softmax(scores, 1.0, &mut row);
            out.extend(row.iter().map(|&p| p as f32));
        }
        out
    }
}

/// Weights that a fit starts from.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) weights: Vec<f64>,
    /// Added to the log loss, summed over the samples: this times the squared distance from the start.
    pub(super) pull: f64,
}

fn logs(probabilities: &[f32]) -> Vec<f64> {
    let log = |&p: &f32| f64::from(p).max(LEAST).ln();
    probabilities.iter().map(log).collect()
}

/// A convex function of the weights.
#[derive(Debug)]
struct Problem<'a> {
    /// Of every member, `[n_samples, n_classes]`.
    logs: Vec<Vec<f64>>,
    labels: &'a [usize],
    n_classes: usize,
    weights: Vec<f64>,
    smoothing: Smoothing,
    start: &'a Start,
}

impl Problem<'_> {
    /// Projected Newton steps with a line search.
    fn minimize(&self) -> Vec<f64> {
        let n = self.logs.len();
        let mut weights = self.start.weights.clone();
        let (mut loss, mut slopes, mut curvature) = self.derivatives(&weights);
        for _ in 0..MOST_STEPS {
            let free: Vec<usize> = (0..n)
                .filter(|&member| weights[member] > 0.0 || slopes[member] < 0.0)
                .collect();
            let step = newton(&free, &slopes, &curvature);
            let mut length = 1.0;
            let next = loop {
                let moved = weights.iter().zip(&step);
                let moved: Vec<f64> = moved.map(|(w, s)| (w - length * s).max(0.0)).collect();
                let gain: f64 = (0..n).map(|i| slopes[i] * (weights[i] - moved[i])).sum();
                let found = self.derivatives(&moved);
                if found.0 <= loss - 1e-4 * gain {
                    break Some((moved, found));
                }
                length *= 0.5;
                if length < 1e-10 {
                    break None;
                }
            };
            let Some((moved, found)) = next else { break };
            let change = weights.iter().zip(&moved).map(|(a, b)| (a - b).abs());
            let change = change.fold(0.0, f64::max);
            weights = moved;
            (loss, slopes, curvature) = found;
            if change < PRECISION {
                break;
            }
        }
        weights
    }

    /// Loss, its slopes and its second derivatives.
    fn derivatives(&self, weights: &[f64]) -> (f64, Vec<f64>, Vec<Vec<f64>>) {
        let n = weights.len();
        let (mut loss, mut slopes, mut curvature) = (0.0, vec![0.0; n], vec![vec![0.0; n]; n]);
        let mut scores = vec![0.0; self.n_classes];
        let mut p = vec![0.0; self.n_classes];
        let total: f64 = self.weights.iter().sum();
        for (sample, &label) in self.labels.iter().enumerate() {
            let own = self.weights[sample] / total;
            let rows: Vec<&[f64]> = self
                .logs
                .iter()
                .map(|logs| self.row(logs, sample))
                .collect();
            for (class, score) in scores.iter_mut().enumerate() {
                *score = rows
                    .iter()
                    .zip(weights)
                    .map(|(row, weight)| weight * row[class])
                    .sum();
            }
            let log_sum = softmax(&scores, 1.0, &mut p);
            loss += own * (log_sum - self.smoothing.expect(&scores, label));
            let mean = |row: &[f64]| -> f64 { row.iter().zip(&p).map(|(x, p)| x * p).sum() };
            let means: Vec<f64> = rows.iter().map(|row| mean(row)).collect();
            for (i, row) in rows.iter().enumerate() {
                slopes[i] += own * (means[i] - self.smoothing.expect(row, label));
                for (j, other) in rows[..=i].iter().enumerate() {
                    let both = row.iter().zip(*other).zip(&p);
                    let both: f64 = both.map(|((a, b), p)| a * b * p).sum();
                    curvature[i][j] += own * (both - means[i] * means[j]);
                }
            }
        }
        let pull = self.start.pull / self.labels.len() as f64;
        for (i, (weight, start)) in weights.iter().zip(&self.start.weights).enumerate() {
            loss += pull * (weight - start).powi(2);
            slopes[i] += 2.0 * pull * (weight - start);
            curvature[i][i] += 2.0 * pull;
        }
        (loss, slopes, curvature)
    }

    fn row<'a>(&self, logs: &'a [f64], sample: usize) -> &'a [f64] {
        &logs[sample * self.n_classes..][..self.n_classes]
    }
}

/// The Newton step of the free weights; others stay.
fn newton(free: &[usize], slopes: &[f64], curvature: &[Vec<f64>]) -> Vec<f64> {
    let largest = free.iter().map(|&i| curvature[i][i]).fold(0.0, f64::max);
    // Members that say the same make a singular matrix: a little is added.
    let added = 1e-9 * largest + 1e-12;
    let matrix = Mat::from_fn(free.len(), free.len(), |i, j| {
        let (row, column) = (free[i].max(free[j]), free[i].min(free[j]));
        let both = curvature[row][column];
        if i == j { both + added } else { both }
    });
    let mut solved = Mat::from_fn(free.len(), 1, |i, _| slopes[free[i]]);
    // Without factors, the step follows the slopes.
    if let Ok(factor) = matrix.llt(Side::Lower) {
        factor.solve_in_place(&mut solved);
    }
    let mut step = vec![0.0; slopes.len()];
    for (i, &member) in free.iter().enumerate() {
        step[member] = solved[(i, 0)];
    }
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities of two classes that are right to a degree, with some errors.
    fn member(n: usize, certainty: f32, errors: usize) -> Vec<f32> {
        let first = |i: usize| {
            let toward = if i.is_multiple_of(2) != i.is_multiple_of(errors) {
                certainty
            } else {
                -certainty
            };
            0.5 + toward * (0.6 + 0.4 * ((i * 37 % 11) as f32 / 11.0))
        };
        (0..n).flat_map(|i| [first(i), 1.0 - first(i)]).collect()
    }

    fn labels(n: usize) -> Vec<usize> {
        (0..n).map(|i| i % 2).collect()
    }

    fn loss(pool: &LogPool, members: &[&[f32]], labels: &[usize]) -> f64 {
        let smoothing = Smoothing::new(labels.len(), 2);
        let pooled = pool.pool(members);
        let of = |(p, &label): (&[f32], &usize)| -smoothing.expect(&logs(p), label);
        pooled.chunks(2).zip(labels).map(of).sum::<f64>() / labels.len() as f64
    }

    #[test]
    fn weights_are_where_the_loss_is_least() {
        let labels = labels(60);
        let (a, b, c) = (member(60, 0.4, 5), member(60, 0.3, 7), member(60, 0.2, 2));
        let members: [&[f32]; 3] = [&a, &b, &c];
        let pool = LogPool::fit(&members, &labels, 2, None);
        let best = loss(&pool, &members, &labels);
        assert!(pool.weights.iter().all(|&weight| weight >= 0.0), "{pool:?}");
        for member in 0..3 {
            for change in [-0.02, 0.02] {
                let mut other = pool.clone();
                other.weights[member] = (other.weights[member] + change).max(0.0);
                assert!(
                    loss(&other, &members, &labels) >= best - 1e-6,
                    "{pool:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn a_pool_of_one_is_calibrated() {
        let labels = labels(100);
        // Right in nine of ten cases, and far too certain.
        let p: Vec<f32> = (0..100)
            .flat_map(|i| {
                let first = if (i % 2 == 0) == (i % 10 != 3) {
                    0.999
                } else {
                    0.001
                };
                [first, 1.0 - first]
            })
            .collect();
        let pool = LogPool::fit(&[&p], &labels, 2, None);
        let pooled = pool.pool(&[&p]);
        assert!((pooled[0] - 0.9).abs() < 0.02, "{pool:?} {}", pooled[0]);
    }

    #[test]
    fn a_member_that_is_always_wrong_still_says_which_class() {
        let labels = labels(20);
        let wrong: Vec<f32> = labels
            .iter()
            .flat_map(|label| [[0.1, 0.9], [0.9, 0.1]][*label])
            .collect();
        let pool = LogPool::fit(&[&wrong, &wrong], &labels, 2, None);
        assert_eq!(pool.weights, [BLUNTEST, 0.0]);
        let pooled = pool.pool(&[&wrong, &wrong]);
        assert!(pooled[0] < 0.5 && pooled[0] > 0.49, "{}", pooled[0]);
    }

    #[test]
    fn copies_share_the_weight_of_one() {
        let labels = labels(60);
        let a = member(60, 0.4, 5);
        let one = LogPool::fit(&[&a], &labels, 2, None);
        let two = LogPool::fit(&[&a, &a], &labels, 2, None);
        let sum: f64 = two.weights.iter().sum();
        assert!((sum - one.weights[0]).abs() < 1e-4, "{one:?} {two:?}");
    }

    #[test]
    fn zeros_and_sample_weights_are_taken() {
        let p = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
        let pool = LogPool::fit(&[&p], &[0, 1, 1], 2, None);
        assert!(pool.weights[0].is_finite() && pool.weights[0] > 0.0);
        let trusting = LogPool::fit(&[&p], &[0, 1, 1], 2, Some(&[1.0, 1.0, 0.1]));
        assert!(trusting.weights[0] > pool.weights[0]);
        let pooled = pool.pool(&[&p]);
        assert!(pooled.iter().all(|p| p.is_finite()));
    }
}
