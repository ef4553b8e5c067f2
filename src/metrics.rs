//! Scores of a classifier on a whole set, from its confusion matrix.
//!
//! A score that is not defined (the precision of a class that was never predicted, the recall of
//! a class without samples) is `None`, never 0.

use serde::{Deserialize, Serialize};

/// How often each class was taken for each other; rows are true classes, columns predicted ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    counts: Vec<Vec<u64>>,
}

impl ConfusionMatrix {
    /// Counts pairs of a true and a predicted class.
    ///
    /// # Panics
    ///
    /// If a class is not below `n_classes`.
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
        let right = (0..self.counts.len()).map(|class| self.counts[class][class]).sum();
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

    /// All scores together.
    ///
    /// A macro average is the plain mean over the classes for which the score is defined: what
    /// scikit-learn gives with `zero_division=np.nan`.
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
    /// Mean of the classes' precision.
    pub macro_precision: Option<f64>,
    /// Mean of the classes' recall.
    pub macro_recall: Option<f64>,
    /// Mean of the classes' F1.
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
    /// Share of the samples predicted as it that are of it.
    pub precision: Option<f64>,
    /// Share of its samples that were predicted as it.
    pub recall: Option<f64>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
    /// Number of its samples.
    pub support: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores are quotients of small integers.
    const TOLERANCE: f64 = 1e-12;

    fn close(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < TOLERANCE)
    }

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|class| class.to_string()).collect()
    }

    /// Expected values: scikit-learn 1.9.1, `precision_recall_fscore_support(targets, predicted,
    /// labels=[0, 1, 2, 3], average="macro", zero_division=np.nan)` and `accuracy_score`.
    #[test]
    fn scores_equal_scikit_learn_where_a_class_is_never_predicted_and_one_never_occurs() {
        let targets = [0, 0, 0, 1, 1, 2, 2, 2, 2, 0];
        let predicted = [0, 0, 2, 2, 0, 2, 2, 0, 2, 0];
        let pairs = targets.into_iter().zip(predicted);
        let scores = ConfusionMatrix::new(4, pairs).summary(&names(4));
        assert!(close(scores.accuracy, 0.6), "{scores:?}");
        assert!(close(scores.macro_precision, 0.6), "{scores:?}");
        assert!(close(scores.macro_recall, 0.5), "{scores:?}");
        assert!(close(scores.macro_f1, 4.0 / 9.0), "{scores:?}");
        assert_eq!(scores.per_class[1].precision, None);
        assert_eq!(scores.per_class[1].f1, Some(0.0));
        assert_eq!(scores.per_class[3].recall, None);
        assert_eq!(scores.per_class[3].f1, None);
    }

    #[test]
    fn rows_are_truth_and_columns_predictions() {
        let matrix = ConfusionMatrix::new(3, [(0, 1), (0, 1), (2, 0)]);
        assert_eq!(matrix.counts(), [[0, 2, 0], [0, 0, 0], [1, 0, 0]]);
        assert_eq!([matrix.total(), matrix.support(0), matrix.support(1)], [3, 2, 0]);
    }

    #[test]
    fn nothing_counted_has_no_score() {
        let scores = ConfusionMatrix::new(2, []).summary(&names(2));
        assert_eq!([scores.accuracy, scores.macro_f1, scores.macro_recall], [None; 3]);
    }
}
