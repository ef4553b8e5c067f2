//! Smoothed targets, and the log loss against them.

use super::targets::Prepared;

/// Targets that leave each sample a small chance of another class.
///
/// Among `n` samples, one is of another class with `0.5 / (n + 1)`, which the other classes share:
/// half a count is what log loss asks for where no error was seen in `n`. Source: Krichevsky and
/// Trofimov, *The performance of universal encoding* (1981); Platt, *Probabilistic outputs for
/// support vector machines* (1999), smooths by a whole count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Smoothing {
    /// Target of the sample's class.
    pub(super) own: f64,
    /// Target of each other class.
    pub(super) other: f64,
}

impl Smoothing {
    pub(super) fn new(n_samples: usize, n_classes: usize) -> Self {
        if n_classes < 2 {
            return Self {
                own: 1.0,
                other: 0.0,
            };
        }
        let chance = 0.5 / (n_samples + 1) as f64;
        Self {
            own: 1.0 - chance,
            other: chance / (n_classes - 1) as f64,
        }
    }

    /// Expected value of some scores of the classes.
    pub(super) fn expect(self, scores: &[f64], label: usize) -> f64 {
        let all: f64 = scores.iter().sum();
        self.other * all + (self.own - self.other) * scores[label]
    }
}

/// Writes the softmax of `sharpness * scores`; gives the logarithm of its denominator.
pub(super) fn softmax(scores: &[f64], sharpness: f64, out: &mut [f64]) -> f64 {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sum = 0.0;
    for (out, score) in out.iter_mut().zip(scores) {
        *out = (sharpness * (score - largest)).exp();
        sum += *out;
    }
    out.iter_mut().for_each(|value| *value /= sum);
    sharpness * largest + sum.ln()
}

/// The sharpness (inverse temperature) of least smoothed log loss, and that loss.
///
/// # Formula
///
/// ```text
/// loss(b) = mean over i of w_i (ln sum_c exp(b f_ic) - b sum_c t_ic f_ic)
/// ```
///
/// It is convex in `b`; Newton steps between bounds that close in on its minimum, or on [`BLUNTEST`].
pub(super) fn sharpen(answers: &[f64], indices: &[usize], targets: &Prepared) -> (f64, f64) {
    let smoothing = Smoothing::new(targets.n_rows(), targets.n_classes);
    let (mut low, mut high) = (BLUNTEST, SHARPEST);
    let mut sharpness = 4.0;
    let mut loss = f64::INFINITY;
    for _ in 0..MOST_STEPS {
        let [value, slope, curvature] =
            derivatives(answers, indices, targets, sharpness, smoothing);
        loss = value;
        if slope > 0.0 {
            high = sharpness;
        } else {
            low = sharpness;
        }
        let newton = sharpness - slope / curvature;
        let next = match newton > low && newton < high {
            true => newton,
            false => 0.5 * (low + high),
        };
        if (next - sharpness).abs() <= PRECISION * (1.0 + sharpness) {
            break;
        }
        sharpness = next;
    }
    (sharpness, loss)
}

/// Least sharpness: where held-out answers say nothing, probabilities are all but equal, and the most probable
/// class is still that of the highest score.
pub(super) const BLUNTEST: f64 = 0.01;
/// Largest sharpness: answers that differ by a hundredth of a target are then certain.
const SHARPEST: f64 = 1000.0;
const MOST_STEPS: usize = 50;
const PRECISION: f64 = 1e-7;

/// Loss, slope and curvature in the sharpness.
fn derivatives(
    answers: &[f64],
    indices: &[usize],
    targets: &Prepared,
    sharpness: f64,
    smoothing: Smoothing,
) -> [f64; 3] {
    let n_classes = targets.n_classes;
    let mut probabilities = vec![0.0; n_classes];
    let mut sums = [0.0; 3];
    let mut total = 0.0;
    for (scores, &index) in answers.chunks_exact(n_classes).zip(indices) {
        let weight = targets.weights[index];
        let log_sum = softmax(scores, sharpness, &mut probabilities);
        let expected = smoothing.expect(scores, targets.labels[index]);
        let moment = |power: i32| -> f64 {
            let terms = probabilities.iter().zip(scores);
            terms.map(|(p, score)| p * score.powi(power)).sum()
        };
        let mean = moment(1);
        sums[0] += weight * (log_sum - sharpness * expected);
        sums[1] += weight * (mean - expected);
        sums[2] += weight * (moment(2) - mean * mean);
        total += weight;
    }
    sums.map(|sum| sum / total)
}

#[cfg(test)]
mod tests {
    use super::super::Targets;
    use super::*;

    #[test]
    fn answers_that_are_always_wrong_are_all_but_equal() {
        let labels = [0, 1, 0, 1, 0, 1];
        let targets = Prepared::new(&Targets::new(&labels, 2), 6).expect("two classes");
        let wrong = labels.map(|label| [[0.2, 0.8], [0.7, 0.3]][label]);
        let (sharpness, loss) = sharpen(&wrong.concat(), &[0, 1, 2, 3, 4, 5], &targets);
        assert!((sharpness / BLUNTEST - 1.0).abs() < 1e-4, "{sharpness}");
        assert!((loss - 2f64.ln()).abs() < 0.01, "{loss}");
    }
}
