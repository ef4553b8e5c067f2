//! Scores of a classifier on a whole set: of its answers, from their confusion matrix, and of its
//! probabilities.
//!
//! A score that is not defined (the precision of a class that was never predicted, the recall of
//! a class without samples) is `None`, never 0. A macro average is the plain mean over the classes
//! for which the score is defined: what scikit-learn gives with `zero_division=np.nan`. Its default
//! counts undefined scores as 0, with a warning; both agree where every class has samples and is
//! predicted at least once. A class that has samples and is never predicted always has an F1 of 0,
//! so that macro F1 shows it even where macro precision does not.

mod calibration;
mod paired;
mod score;

use serde::{Deserialize, Serialize};

pub use calibration::{CalibrationMetrics, ReliabilityBin, most_probable, wilson_interval};
pub use paired::PairedDifference;
pub use score::Score;

/// How often each class was taken for each other; rows are true classes, columns predicted ones.
///
/// Scores of one class panic if it is not below the number of classes.
///
/// # Examples
///
/// ```
/// use timesclip::metrics::ConfusionMatrix;
///
/// let matrix = ConfusionMatrix::new(2, [(0, 0), (0, 1), (1, 1), (1, 1)]);
/// assert_eq!(matrix.accuracy(), Some(0.75));
/// assert_eq!(matrix.recall(0), Some(0.5));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: Vec<Vec<u64>>,
}

impl ConfusionMatrix {
    /// Counts pairs of a true and a predicted class, in this order.
    ///
    /// # Panics
    ///
    /// If a class is not below `n_classes`.
    pub fn new(n_classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut counts = vec![vec![0; n_classes]; n_classes];
        for (target, predicted) in pairs {
            assert!(
                target < n_classes && predicted < n_classes,
                "class {target} predicted as {predicted}, but there are {n_classes} classes"
            );
            counts[target][predicted] += 1;
        }
        Self { counts }
    }

    /// The counts, `[n_classes][n_classes]`, a row for each true class.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Number of pairs counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Samples of a class.
    pub fn support(&self, class: usize) -> u64 {
        self.counts[class].iter().sum()
    }

    /// Share of samples whose class was predicted; `None` of no samples.
    pub fn accuracy(&self) -> Option<f64> {
        let right = (0..self.counts.len())
            .map(|class| self.counts[class][class])
            .sum();
        share(right, self.total())
    }

    /// Share of the samples predicted as `class` that are of it; `None` if it was never predicted.
    pub fn precision(&self, class: usize) -> Option<f64> {
        share(self.counts[class][class], self.predicted(class))
    }

    /// Share of the samples of `class` that were predicted as it; `None` if it has no samples.
    pub fn recall(&self, class: usize) -> Option<f64> {
        share(self.counts[class][class], self.support(class))
    }

    /// Harmonic mean of precision and recall, `2 TP / (2 TP + FP + FN)`; `None` if the class has
    /// no samples and was never predicted.
    pub fn f1(&self, class: usize) -> Option<f64> {
        let right = self.counts[class][class];
        share(2 * right, self.support(class) + self.predicted(class))
    }

    /// Mean recall of the classes that have samples; `None` of no samples. The macro recall by the
    /// name it has as a score that choices are made by.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        mean((0..self.counts.len()).map(|class| self.recall(class)))
    }

    /// All scores together; macro averages as the module says.
    ///
    /// # Panics
    ///
    /// If there is not one name a class.
    pub fn summary(&self, class_names: &[String]) -> ClassificationMetrics {
        let (names, classes) = (class_names.len(), self.counts.len());
        assert_eq!(names, classes, "{names} names for {classes} classes");
        let of_class = |(class, name): (usize, &String)| ClassMetrics {
            name: name.clone(),
            precision: self.precision(class),
            recall: self.recall(class),
            f1: self.f1(class),
            support: self.support(class),
        };
        let per_class: Vec<ClassMetrics> = class_names.iter().enumerate().map(of_class).collect();
        ClassificationMetrics {
            accuracy: self.accuracy(),
            macro_precision: mean(per_class.iter().map(|class| class.precision)),
            macro_recall: mean(per_class.iter().map(|class| class.recall)),
            macro_f1: mean(per_class.iter().map(|class| class.f1)),
            per_class,
            confusion_matrix: self.counts.clone(),
        }
    }

    fn predicted(&self, class: usize) -> u64 {
        self.counts.iter().map(|row| row[class]).sum()
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Mean of the values there are.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Scores on a set; every score is in `0..=1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassificationMetrics {
    /// Share of samples whose class was predicted.
    pub accuracy: Option<f64>,
    /// Mean of the precision of the classes that were predicted.
    pub macro_precision: Option<f64>,
    /// Mean of the recall of the classes that have samples.
    pub macro_recall: Option<f64>,
    /// Mean of the F1 of the classes that have samples or were predicted.
    pub macro_f1: Option<f64>,
    /// Scores of every class, in the order of the class indices.
    pub per_class: Vec<ClassMetrics>,
    /// Counts, a row for each true class, a column for each predicted one.
    pub confusion_matrix: Vec<Vec<u64>>,
}

/// Scores of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// Its name.
    pub name: String,
    /// Share of the samples predicted as it that are of it; `None` if it was never predicted.
    pub precision: Option<f64>,
    /// Share of its samples that were predicted as it; `None` if it has none.
    pub recall: Option<f64>,
    /// Harmonic mean of the two; `None` if it has no samples and was never predicted.
    pub f1: Option<f64>,
    /// Number of its samples.
    pub support: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Scores are quotients of small integers, and means of few of them.
    const TOLERANCE: f64 = 1e-12;

    /// One case of `tests/fixtures/metrics`.
    #[derive(Deserialize)]
    struct Case {
        name: String,
        targets: Vec<usize>,
        predictions: Vec<usize>,
        n_classes: usize,
        accuracy: Option<f64>,
        macro_precision: Option<f64>,
        macro_recall: Option<f64>,
        macro_f1: Option<f64>,
        precision: Vec<Option<f64>>,
        recall: Vec<Option<f64>>,
        f1: Vec<Option<f64>>,
        support: Vec<u64>,
        confusion_matrix: Vec<Vec<u64>>,
    }

    impl Case {
        fn matrix(&self) -> ConfusionMatrix {
            let targets = self.targets.iter().copied();
            ConfusionMatrix::new(
                self.n_classes,
                targets.zip(self.predictions.iter().copied()),
            )
        }
    }

    fn cases() -> Vec<Case> {
        serde_json::from_str(include_str!("../tests/fixtures/metrics/cases.json")).unwrap()
    }

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|class| format!("class {class}")).collect()
    }

    fn close(found: Option<f64>, expected: Option<f64>) -> bool {
        match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() < TOLERANCE,
            _ => found == expected,
        }
    }

    #[test]
    fn scores_equal_those_of_scikit_learn() {
        let cases = cases();
        assert_eq!(cases.len(), 9);
        for case in cases {
            let found = case.matrix().summary(&names(case.n_classes));
            let name = &case.name;
            assert!(close(found.accuracy, case.accuracy), "{name}: {found:?}");
            assert!(
                close(found.macro_precision, case.macro_precision),
                "{name}: {found:?}"
            );
            assert!(
                close(found.macro_recall, case.macro_recall),
                "{name}: {found:?}"
            );
            assert!(close(found.macro_f1, case.macro_f1), "{name}: {found:?}");
            assert_eq!(found.confusion_matrix, case.confusion_matrix, "{name}");
            assert_eq!(found.per_class.len(), case.n_classes, "{name}");
            for (class, scores) in found.per_class.iter().enumerate() {
                assert!(
                    close(scores.precision, case.precision[class]),
                    "{name}: {scores:?}"
                );
                assert!(
                    close(scores.recall, case.recall[class]),
                    "{name}: {scores:?}"
                );
                assert!(close(scores.f1, case.f1[class]), "{name}: {scores:?}");
                assert_eq!(scores.support, case.support[class], "{name}: {scores:?}");
                assert_eq!(scores.name, format!("class {class}"), "{name}");
            }
        }
    }

    #[test]
    fn rows_are_truth_and_columns_predictions() {
        let matrix = ConfusionMatrix::new(3, [(0, 1), (0, 1), (2, 0)]);

        assert_eq!(matrix.counts(), [[0, 2, 0], [0, 0, 0], [1, 0, 0]]);
        assert_eq!(
            [matrix.total(), matrix.support(0), matrix.support(1)],
            [3, 2, 0]
        );
    }

    #[test]
    fn undefined_scores_are_none_and_bad_ones_zero() {
        // Class 1 is never predicted, class 2 has no samples, class 3 neither.
        let matrix = ConfusionMatrix::new(4, [(0, 0), (1, 0), (1, 2)]);

        assert_eq!(
            [matrix.precision(1), matrix.recall(1), matrix.f1(1)],
            [None, Some(0.0), Some(0.0)]
        );
        assert_eq!(
            [matrix.precision(2), matrix.recall(2), matrix.f1(2)],
            [Some(0.0), None, Some(0.0)]
        );
        assert_eq!(
            [matrix.precision(3), matrix.recall(3), matrix.f1(3)],
            [None; 3]
        );
    }

    #[test]
    fn nothing_counted_has_no_score() {
        let scores = ConfusionMatrix::new(2, []).summary(&names(2));

        assert_eq!(scores.accuracy, None);
        assert_eq!(
            [scores.macro_precision, scores.macro_recall, scores.macro_f1],
            [None; 3]
        );
    }

    #[test]
    fn undefined_scores_are_written_as_null_and_read_back() {
        let scores = ConfusionMatrix::new(2, [(0, 0)]).summary(&names(2));

        let text = serde_json::to_string(&scores).unwrap();

        assert!(
            text.contains(r#""name":"class 1","precision":null"#),
            "{text}"
        );
        assert_eq!(
            serde_json::from_str::<ClassificationMetrics>(&text).unwrap(),
            scores
        );
    }

    #[test]
    #[should_panic(expected = "class 2 predicted as 0, but there are 2 classes")]
    fn a_class_out_of_range_panics() {
        ConfusionMatrix::new(2, [(2, 0)]);
    }

    #[test]
    #[should_panic(expected = "3 names for 2 classes")]
    fn names_of_other_classes_panic() {
        ConfusionMatrix::new(2, [(1, 0)]).summary(&names(3));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_pair_is_counted_once_and_scores_are_shares(
            pairs in prop::collection::vec((0usize..5, 0usize..5), 0..80),
        ) {
            let matrix = ConfusionMatrix::new(5, pairs.iter().copied());
            let scores = matrix.summary(&names(5));

            prop_assert_eq!(matrix.total(), pairs.len() as u64);
            let support: u64 = scores.per_class.iter().map(|class| class.support).sum();
            prop_assert_eq!(support, matrix.total());
            let right = pairs.iter().filter(|(target, predicted)| target == predicted).count();
            let accuracy = (!pairs.is_empty()).then(|| right as f64 / pairs.len() as f64);
            prop_assert_eq!(scores.accuracy, accuracy);
            let averages = [scores.macro_precision, scores.macro_recall, scores.macro_f1];
            prop_assert!(averages.iter().flatten().all(|score| (0.0..=1.0).contains(score)));
        }

        #[test]
        fn swapping_truth_and_prediction_swaps_precision_and_recall(
            pairs in prop::collection::vec((0usize..4, 0usize..4), 1..40),
        ) {
            let forth = ConfusionMatrix::new(4, pairs.iter().copied());
            let back = ConfusionMatrix::new(4, pairs.iter().map(|&(a, b)| (b, a)));
            for class in 0..4 {
                prop_assert_eq!(forth.precision(class), back.recall(class));
                prop_assert_eq!(forth.f1(class), back.f1(class));
            }
        }
    }
}
