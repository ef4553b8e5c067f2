//! Plain classifiers to compare with: the majority class, and the nearest neighbor under dynamic
//! time warping.
//!
//! Neither has anything to choose: the width of the band and the scale of the variates are fixed,
//! and all that is fitted is fitted to training samples.

mod neighbor;
mod warping;

pub use neighbor::NearestNeighbor;
pub use warping::warped_distance;

use crate::data::SeriesDataset;

/// An answer of a plain classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainAnswer {
    /// The class.
    pub class: usize,
    /// Probability of every class of the training set.
    pub probabilities: Vec<f32>,
}

/// Answers with the largest class of the training samples, whatever the series.
#[derive(Clone, Debug, PartialEq)]
pub struct MajorityClass {
    answer: PlainAnswer,
}

impl MajorityClass {
    /// Counts the classes. Probabilities are Laplace's: `(n_of_class + 1) / (n + n_classes)`, so that
    /// a class without samples is not impossible.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "probabilities are of single precision"
    )]
    pub fn fit(training: &SeriesDataset) -> Self {
        let counts = training.class_counts();
        let total = (training.len() + counts.len()) as f64;
        let first_larger = |best: usize, i: usize| if counts[i] > counts[best] { i } else { best };
        let share = |count: &usize| ((count + 1) as f64 / total) as f32;
        Self {
            answer: PlainAnswer {
                class: (0..counts.len()).fold(0, first_larger),
                probabilities: counts.iter().map(share).collect(),
            },
        }
    }

    /// The answer to every series.
    pub fn answer(&self) -> &PlainAnswer {
        &self.answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LabeledSeries, Series};

    #[test]
    fn the_majority_is_the_largest_class_with_its_share() {
        let samples = [0, 2, 2].into_iter().zip(0..).map(|(label, id)| {
            let series = Series::new(vec![0.0], 1, 1).unwrap();
            LabeledSeries { id, series, label }
        });
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let set = SeriesDataset::new("three", names, samples.collect()).unwrap();
        let majority = MajorityClass::fit(&set);
        assert_eq!(majority.answer().class, 2);
        let expected = [2.0 / 6.0, 1.0 / 6.0, 3.0 / 6.0];
        assert_eq!(majority.answer().probabilities, expected);
    }
}
