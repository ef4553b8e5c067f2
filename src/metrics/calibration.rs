//! Scores of probabilities: log loss, Brier score, calibration; and how sure a share is.

use serde::{Deserialize, Serialize};

/// Bins of the reliability table, of equal width from 0 to 1.
const N_BINS: usize = 15;
/// 97.5 % of a normal distribution lie below this many standard deviations.
const Z_95: f64 = 1.959_963_984_540_054;

/// How good probabilities are, beyond which class is the most probable.
///
/// # Formula
///
/// For sample `i` of class `y_i` with probabilities `p_ic`:
///
/// ```text
/// log loss = mean of -ln p_i,y_i              p is raised to 2.2e-16 (f64::EPSILON) where below
/// Brier    = mean of sum_c (p_ic - [c = y_i])^2                           between 0 and 2
/// ECE      = sum over bins of (count / n) |accuracy - confidence|
/// ```
///
/// A bin holds the samples whose largest probability (confidence) is in it; a confidence on the
/// border of two bins belongs to the lower one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationMetrics {
    /// Mean negative logarithm of the probability of a sample's class; `None` of no samples.
    pub log_loss: Option<f64>,
    /// Mean squared distance from certainty of the right class, summed over the classes; `None` of
    /// no samples.
    pub brier: Option<f64>,
    /// Expected calibration error; `None` of no samples.
    pub ece: Option<f64>,
    /// The reliability table that it is made of.
    pub reliability: Vec<ReliabilityBin>,
}

/// Samples that were predicted about equally surely.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Confidences of the bin are above this (or equal to it, if it is 0).
    pub low: f64,
    /// They are at most this.
    pub high: f64,
    /// Number of samples.
    pub count: u64,
    /// Mean of their confidences; `None` of no samples.
    pub confidence: Option<f64>,
    /// Share of them whose most probable class is theirs; `None` of no samples.
    pub accuracy: Option<f64>,
}

impl CalibrationMetrics {
    /// Scores of probabilities.
    ///
    /// # Shapes
    ///
    /// - `probabilities`: `[n_samples, n_classes]`
    /// - `labels`: `[n_samples]`
    ///
    /// # Panics
    ///
    /// If there are no classes, the shapes differ, or a label is not below `n_classes`.
    pub fn new(probabilities: &[f32], labels: &[usize], n_classes: usize) -> Self {
        let (found, expected) = (probabilities.len(), labels.len() * n_classes);
        assert!(n_classes > 0, "probabilities of no classes");
        assert_eq!(found, expected, "{found} probabilities for {expected}");
        let mut bins = [Bin::default(); N_BINS];
        let (mut log_loss, mut brier) = (0.0, 0.0);
        for (row, &label) in probabilities.chunks_exact(n_classes).zip(labels) {
            assert!(
                label < n_classes,
                "label {label}, but there are {n_classes} classes"
            );
            log_loss -= f64::from(row[label]).max(f64::EPSILON).ln();
            brier += squared_distance(row, label);
            let best = most_probable(row);
            let confidence = f64::from(row[best]);
            bins[bin_of(confidence)].add(confidence, best == label);
        }
        let mean = |sum: f64| (!labels.is_empty()).then(|| sum / labels.len() as f64);
        let gaps: f64 = bins.iter().map(Bin::gap).sum();
        Self {
            log_loss: mean(log_loss),
            brier: mean(brier),
            ece: mean(gaps),
            reliability: (0..N_BINS).map(|i| bins[i].row(i)).collect(),
        }
    }
}

/// Place of the largest probability, the first of equal ones.
pub fn most_probable(probabilities: &[f32]) -> usize {
    let mut best = 0;
    for (class, p) in probabilities.iter().enumerate() {
        if *p > probabilities[best] {
            best = class;
        }
    }
    best
}

/// Wilson's 95 % interval of a share: where the true share is likely to be when `part` of `whole`
/// samples were right; `None` of no samples.
///
/// # Source
///
/// Wilson, *Probable inference, the law of succession, and statistical inference* (1927).
///
/// # Panics
///
/// If `part` is larger than `whole`.
pub fn wilson_interval(part: u64, whole: u64) -> Option<(f64, f64)> {
    assert!(part <= whole, "{part} of {whole} samples");
    if whole == 0 {
        return None;
    }
    let (n, share) = (whole as f64, part as f64 / whole as f64);
    let z2 = Z_95 * Z_95;
    let center = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let spread = (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    let half = Z_95 * spread / (1.0 + z2 / n);
    let low = if part == 0 { 0.0 } else { center - half };
    let high = if part == whole { 1.0 } else { center + half };
    Some((low, high))
}

fn squared_distance(row: &[f32], label: usize) -> f64 {
    let target = |class| f64::from(u8::from(class == label));
    let terms = row.iter().enumerate();
    terms
        .map(|(class, p)| (f64::from(*p) - target(class)).powi(2))
        .sum()
}

/// The bin of a confidence.
fn bin_of(confidence: f64) -> usize {
    let border = |bin: usize| bin as f64 / N_BINS as f64;
    let is_above = |&bin: &usize| confidence > border(bin);
    (1..N_BINS).take_while(is_above).count()
}

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    count: u64,
    confidence: f64,
    right: u64,
}

impl Bin {
    fn add(&mut self, confidence: f64, right: bool) {
        self.count += 1;
        self.confidence += confidence;
        self.right += u64::from(right);
    }

    /// Difference of right answers and of those its confidences promise.
    fn gap(&self) -> f64 {
        (self.right as f64 - self.confidence).abs()
    }

    fn row(&self, index: usize) -> ReliabilityBin {
        let mean = |sum: f64| (self.count > 0).then(|| sum / self.count as f64);
        ReliabilityBin {
            low: index as f64 / N_BINS as f64,
            high: (index + 1) as f64 / N_BINS as f64,
            count: self.count,
            confidence: mean(self.confidence),
            accuracy: mean(self.right as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ConfusionMatrix;

    /// Means of at most a hundred numbers of about 1.
    const TOLERANCE: f64 = 1e-12;

    #[derive(Deserialize)]
    struct Cases {
        probabilities: Vec<Case>,
        intervals: Vec<Interval>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        n_classes: usize,
        probabilities: Vec<f32>,
        labels: Vec<usize>,
        log_loss: f64,
        brier: f64,
        ece: f64,
        counts: Vec<u64>,
        accuracies: Vec<f64>,
        confidences: Vec<f64>,
        balanced_accuracy: f64,
    }

    #[derive(Deserialize)]
    struct Interval {
        right: u64,
        total: u64,
        low: f64,
        high: f64,
    }

    fn cases() -> Cases {
        let text = include_str!("../../tests/fixtures/calibration/cases.json");
        serde_json::from_str(text).unwrap()
    }

    fn close(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < TOLERANCE)
    }

    #[test]
    fn scores_equal_those_of_scikit_learn() {
        let cases = cases().probabilities;
        assert_eq!(cases.len(), 4);
        for case in cases {
            let found = CalibrationMetrics::new(&case.probabilities, &case.labels, case.n_classes);
            let name = &case.name;
            assert!(close(found.log_loss, case.log_loss), "{name}: {found:?}");
            assert!(close(found.brier, case.brier), "{name}: {found:?}");
            assert!(close(found.ece, case.ece), "{name}: {found:?}");
            let counts: Vec<u64> = found.reliability.iter().map(|bin| bin.count).collect();
            assert_eq!(counts, case.counts, "{name}");
            let filled = found.reliability.iter().filter(|bin| bin.count > 0);
            let expected = case.accuracies.iter().zip(&case.confidences);
            for (bin, (accuracy, confidence)) in filled.zip(expected) {
                assert!(close(bin.accuracy, *accuracy), "{name}: {bin:?}");
                assert!(close(bin.confidence, *confidence), "{name}: {bin:?}");
            }
            let rows = case.probabilities.chunks(case.n_classes);
            let pairs = case.labels.iter().copied().zip(rows.map(most_probable));
            let matrix = ConfusionMatrix::new(case.n_classes, pairs);
            let balanced = matrix.balanced_accuracy();
            assert!(
                close(balanced, case.balanced_accuracy),
                "{name}: {balanced:?}"
            );
        }
    }

    #[test]
    fn intervals_equal_those_of_scipy() {
        for case in cases().intervals {
            let (low, high) = wilson_interval(case.right, case.total).unwrap();
            let name = format!("{} of {}", case.right, case.total);
            assert!(close(Some(low), case.low), "{name}: {low} for {}", case.low);
            assert!(
                close(Some(high), case.high),
                "{name}: {high} for {}",
                case.high
            );
        }
        assert_eq!(wilson_interval(0, 0), None);
    }

    #[test]
    fn nothing_has_no_score() {
        let found = CalibrationMetrics::new(&[], &[], 3);

        assert_eq!([found.log_loss, found.brier, found.ece], [None; 3]);
        assert_eq!(found.reliability.len(), N_BINS);
        assert_eq!(found.reliability[0].accuracy, None);
    }

    #[test]
    #[should_panic(expected = "label 2, but there are 2 classes")]
    fn a_label_out_of_range_panics() {
        CalibrationMetrics::new(&[0.5, 0.5], &[2], 2);
    }
}
