//! Scores on labeled samples, which several sections show.

/// Scores on labeled samples.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// What the samples are: `test`, `out-of-fold`, ...
    pub split: String,
    /// Counts, a row for each true class, a column for each predicted one.
    pub confusion: Vec<Vec<u64>>,
    /// Samples whose class the model does not know. They are not in the confusion matrix, and count
    /// as mistakes.
    pub unknown: u64,
    /// Mean recall over the classes that have samples.
    pub balanced_accuracy: Option<f64>,
    /// Mean F1 over the classes.
    pub macro_f1: Option<f64>,
    /// Mean negative log probability of the true class.
    pub log_loss: Option<f64>,
    /// Mean squared error of the probabilities.
    pub brier: Option<f64>,
    /// Expected calibration error.
    pub ece: Option<f64>,
    /// The reliability diagram, a bin for each range of confidence that has samples.
    pub calibration: Vec<CalibrationBin>,
    /// Simpler models on the same samples. The majority class need not be among them.
    pub baselines: Vec<Baseline>,
}

/// Scores on training samples that were held out from what judged them.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeldOut {
    /// How many samples.
    pub samples: u64,
    /// Share of them that was answered correctly.
    pub accuracy: f64,
    /// Mean negative log probability of the true class.
    pub log_loss: f64,
}

/// Samples that were answered with about the same confidence.
#[derive(Clone, Copy, Debug, Default)]
pub struct CalibrationBin {
    /// Their mean confidence.
    pub confidence: f64,
    /// How many of them were answered correctly.
    pub correct: u64,
    /// How many there are.
    pub samples: u64,
}

/// A simpler model.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// Its name, as it reads after "the": `kernel baseline`.
    pub name: String,
    /// Share of samples that it answers correctly.
    pub accuracy: f64,
}

impl Evaluation {
    /// Number of samples.
    pub(super) fn total(&self) -> u64 {
        self.confusion.iter().flatten().sum::<u64>() + self.unknown
    }

    /// Samples that were answered correctly.
    pub(super) fn correct(&self) -> u64 {
        let diagonal = self.confusion.iter().enumerate();
        diagonal.filter_map(|(class, row)| row.get(class)).sum()
    }
}

/// Bins of a reliability diagram.
const BINS: usize = 10;

impl CalibrationBin {
    /// Sorts answers into ten equal ranges of confidence; those without answers are left out.
    pub fn of(answers: impl IntoIterator<Item = (f64, bool)>) -> Vec<Self> {
        let mut bins = [Self::default(); BINS];
        for (confidence, is_correct) in answers {
            let bin = (1..BINS).filter(|edge| confidence * BINS as f64 >= *edge as f64);
            let bin = &mut bins[bin.count()];
            bin.samples += 1;
            bin.correct += u64::from(is_correct);
            bin.confidence += (confidence - bin.confidence) / bin.samples as f64;
        }
        bins.into_iter().filter(|bin| bin.samples > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_like_confidence_share_a_bin() {
        let bins = CalibrationBin::of([(0.62, true), (0.68, false), (1.0, true), (0.9, true)]);
        let found: Vec<(u64, u64)> = bins.iter().map(|bin| (bin.correct, bin.samples)).collect();
        assert_eq!(found, [(1, 2), (2, 2)]);
        let means = [bins[0].confidence, bins[1].confidence];
        assert!(
            (means[0] - 0.65).abs() < 1e-12 && (means[1] - 0.95).abs() < 1e-12,
            "{means:?}"
        );
    }
}
