//! What a report page is made of: plain data, without a model or a tensor.

/// Everything that a report page shows. Whatever is empty or `None` is left out, with its section.
///
/// Classes and variates are indices into [`class_names`](Self::class_names) and
/// [`DataSummary::variate_names`].
#[derive(Clone, Debug, Default)]
pub struct ReportPage {
    /// Name of the data set.
    pub name: String,
    /// The kind of model: `full`, `dual`, ...
    pub model: String,
    /// When the page was made, in words.
    pub created: Option<String>,
    /// Names of the classes.
    pub class_names: Vec<String>,
    /// Scores on labeled samples; `None` if there were none.
    pub evaluation: Option<Evaluation>,
    /// Learning curves, one per fold.
    pub learning: Vec<LearningCurve>,
    /// Each modality alone, and its weight in the pool.
    pub modalities: Vec<Modality>,
    /// Where the model looked.
    pub importance: Option<Importance>,
    /// The mistakes of which the model was most confident, most confident first.
    pub mistakes: Vec<Example>,
    /// The correct answers of which it was least sure, least sure first.
    pub unsure_hits: Vec<Example>,
    /// Sizes of the data, and what was noticed about them.
    pub data: Option<DataSummary>,
    /// Scores from the first steps only.
    pub early: Option<EarlyRecognition>,
    /// Other models on the same splits.
    pub comparison: Vec<Contender>,
    /// Time and memory.
    pub cost: Cost,
    /// What is needed to repeat the run.
    pub provenance: Provenance,
}

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

/// How one training went.
#[derive(Clone, Debug, Default)]
pub struct LearningCurve {
    /// Its name: `fold 1`.
    pub name: String,
    /// Its epochs, in order.
    pub epochs: Vec<EpochScores>,
    /// The epoch whose weights were kept, as [`EpochScores::epoch`] counts.
    pub best_epoch: Option<usize>,
}

/// Scores after an epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct EpochScores {
    /// Which epoch, counted from 1.
    pub epoch: usize,
    /// Mean loss on training samples.
    pub train_loss: Option<f64>,
    /// Accuracy on training samples.
    pub train_accuracy: Option<f64>,
    /// Mean loss on validation samples.
    pub valid_loss: Option<f64>,
    /// Accuracy on validation samples.
    pub valid_accuracy: Option<f64>,
}

/// One modality, or one member of the pool.
#[derive(Clone, Debug, Default)]
pub struct Modality {
    /// Its name.
    pub name: String,
    /// Its weight in the pool.
    pub weight: Option<f64>,
    /// Accuracy of it alone.
    pub accuracy: Option<f64>,
    /// Log loss of it alone.
    pub log_loss: Option<f64>,
}

/// Where the model looked: importance of each variate and time window.
#[derive(Clone, Debug, Default)]
pub struct Importance {
    /// How it was measured, in a sentence.
    pub method: String,
    /// Weight of each variate in variate selection, in the order of the variates.
    pub variate_weights: Vec<f64>,
    /// Mean importance for each class that has one.
    pub classes: Vec<ClassImportance>,
    /// How faithful the explanations are, as named figures.
    pub faithfulness: Vec<Fact>,
}

/// Mean importance over the samples that were predicted as a class.
#[derive(Clone, Debug, Default)]
pub struct ClassImportance {
    /// The class.
    pub class: usize,
    /// `[n_variates][n_windows]`; negative values count as none.
    pub windows: Vec<Vec<f32>>,
}

/// A sample, and how it was answered.
#[derive(Clone, Debug, Default)]
pub struct Example {
    /// Name of the sample.
    pub id: String,
    /// Its class.
    pub target: usize,
    /// The class it was predicted as.
    pub predicted: usize,
    /// Probability of every class, or of those worth naming.
    pub probabilities: Vec<(usize, f32)>,
    /// Its line plots.
    pub plots: Vec<Plot>,
}

/// One variate of a sample as the model saw it.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// Name of the variate.
    pub variate: String,
    /// Its ink, as red, green and blue.
    pub ink: [u8; 3],
    /// Width and height of the mask in pixels.
    pub side_px: usize,
    /// How much of each pixel the line covers, `[side_px, side_px]`.
    pub mask: Vec<u8>,
    /// Importance along the picture, from left to right; empty if it was not measured.
    pub importance: Vec<HeatWindow>,
}

/// Importance of a part of a plot.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeatWindow {
    /// Where it begins, as a share of the picture's width.
    pub start: f32,
    /// Where it ends.
    pub end: f32,
    /// How much it mattered, on the same scale in all plots of a sample; negative counts as none.
    pub value: f32,
}

/// Sizes of the data, and what was noticed about them.
#[derive(Clone, Debug, Default)]
pub struct DataSummary {
    /// Names of the variates.
    pub variate_names: Vec<String>,
    /// The splits: training, validation, test.
    pub splits: Vec<SplitSummary>,
    /// What the checks for leaks and faults found.
    pub findings: Vec<Finding>,
}

/// Sizes of a split.
#[derive(Clone, Debug, Default)]
pub struct SplitSummary {
    /// Its name.
    pub name: String,
    /// Samples of each class.
    pub class_counts: Vec<u64>,
    /// Shortest, median and longest series, in time steps.
    pub n_steps: Option<[usize; 3]>,
    /// Share of values that are missing.
    pub missing: Option<f64>,
}

/// What a check of the data found.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Whether it puts the scores in doubt.
    pub warning: bool,
    /// The finding, as a sentence.
    pub text: String,
}

/// Scores from the first steps only.
#[derive(Clone, Debug, Default)]
pub struct EarlyRecognition {
    /// Scores after a growing number of steps.
    pub points: Vec<EarlyPoint>,
    /// Figures of the stop rule and such, as named figures.
    pub facts: Vec<Fact>,
}

/// Scores after some steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct EarlyPoint {
    /// Steps seen.
    pub n_steps: usize,
    /// Accuracy.
    pub accuracy: f64,
    /// Macro F1.
    pub macro_f1: Option<f64>,
    /// Log loss.
    pub log_loss: Option<f64>,
}

/// A model on the same splits and seeds.
#[derive(Clone, Debug, Default)]
pub struct Contender {
    /// Its name.
    pub name: String,
    /// Whether it is the model that this page is about.
    pub is_this: bool,
    /// Mean accuracy.
    pub accuracy: f64,
    /// Standard deviation of the accuracy over the seeds.
    pub accuracy_std: Option<f64>,
    /// Mean log loss.
    pub log_loss: Option<f64>,
    /// Its accuracy less that of the model of this page: mean and 95% interval, paired by seed.
    pub difference: Option<[f64; 3]>,
    /// Seconds of training and testing.
    pub seconds: Option<f64>,
    /// Peak of memory in bytes.
    pub memory_bytes: Option<u64>,
}

/// Time and memory.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// Wall time of each stage in seconds.
    pub stages: Vec<(String, f64)>,
    /// Wall time of the whole run in seconds.
    pub total_seconds: Option<f64>,
    /// Peak of memory in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Other figures: parameters, pictures in the cache, threads.
    pub facts: Vec<Fact>,
}

/// What is needed to repeat the run.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// The command that repeats it.
    pub command: Option<String>,
    /// Hash of the data.
    pub data_hash: Option<String>,
    /// Versions, seeds and such.
    pub facts: Vec<Fact>,
    /// The full configuration as text.
    pub configuration: Option<String>,
}

/// A named figure.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Fact {
    /// A named figure.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

impl ReportPage {
    /// Name of a class; of one without a name, its index.
    pub(super) fn class_name(&self, class: usize) -> String {
        let given = self.class_names.get(class);
        given.map_or_else(|| format!("class {class}"), Clone::clone)
    }
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

impl SplitSummary {
    /// Number of samples.
    pub(super) fn total(&self) -> u64 {
        self.class_counts.iter().sum()
    }
}
