//! Scores on labeled samples, which several sections show.

/// Scores on labeled samples.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// What the samples are: `test`, `out-of-fold`, ...
    pub split: String,
    /// Counts, a row for each true class, a column for each predicted one.
    pub confusion: Vec<Vec<u64>>,
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
        self.confusion.iter().flatten().sum()
    }

    /// Samples that were answered correctly.
    pub(super) fn correct(&self) -> u64 {
        let diagonal = self.confusion.iter().enumerate();
        diagonal.filter_map(|(class, row)| row.get(class)).sum()
    }
}
