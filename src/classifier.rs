//! `TimesClip`: settings in, a fitted classifier out, which predicts, explains itself, and is one
//! file.
//!
//! Built of what is public below: kernels and the closed form, caches, batches, the generic
//! classifier and its trainer.

mod early;
mod encoders;
mod error;
mod evaluation;
mod explain;
mod features;
mod file;
mod fit;
mod looks;
mod network;
mod observer;
pub mod options;
mod predict;
mod prediction;
#[cfg(feature = "train")]
mod prepare;
mod pretrained;
mod recipe;
mod record;
mod report;
#[cfg(feature = "train")]
mod sets;
#[cfg(feature = "train")]
mod start;
#[cfg(feature = "train")]
mod train;
mod views;

use std::fmt;
use std::path::Path;

pub use early::{EarlyPrediction, EarlyScore, PrefixAnswers, StopRule, StopScore};
pub use error::{FitError, ModelFileError, PredictError};
pub use evaluation::Evaluation;
pub use explain::{
    ClassExplanation, ExplainOptions, Explanation, Faithfulness, FaithfulnessCurve,
    FaithfulnessOptions,
};
#[cfg(feature = "report")]
pub(crate) use looks::Looks;
pub use observer::{FitEvent, FitObserver, Phase};
use options::FitOptions;
pub use prediction::{Prediction, Samples};
#[cfg(feature = "train")]
pub use prepare::prepare;
pub use record::{HeldOutScore, Provenance};
pub use report::{FitReport, ModalityScore};
#[cfg(feature = "train")]
pub use train::{FoldReport, NetworkReport};
#[cfg(feature = "report")]
pub(crate) use views::EncoderBlocks;

use crate::backend::BackendChoice;
use crate::closed_form::ClosedForm;
use crate::closed_form::pool::LogPool;
use crate::data::read::TableSchema;
use crate::data::{LabeledSeries, SeriesDataset};
use crate::modalities::Modalities;
use crate::model::ParameterCount;
use crate::raster::PlotStyle;
use features::Features;
use network::Network;
use prediction::argmax;
use record::Record;

/// Series that are predicted for at once.
const BATCH: usize = 64;
/// Name of the closed form among the predictors of a pool.
const CLOSED_FORM: &str = "closed form";
/// Name of the networks among them.
const NETWORK: &str = "network";

/// A fitted classifier of multivariate time series.
///
/// It holds all that a prediction needs, is one file on disk, and may be sent to and shared between
/// threads. Which backend it computes on is decided when it is fitted or loaded.
///
/// # Examples
/// ```
/// use timesclip::data::{LabeledSeries, Series, SeriesDataset};
/// use timesclip::{Effort, FitOptions, TimesClip};
///
/// // Twenty series of 30 steps and one variate: slow or fast waves.
/// let samples = (0..20u64).map(|id| {
///     let speed = if id % 2 == 0 { 0.3 } else { 0.9 };
///     let values = (0..30).map(|step| (step as f32 * speed + id as f32).sin()).collect();
///     LabeledSeries { id, series: Series::new(values, 30, 1).unwrap(), label: id as usize % 2 }
/// });
/// let classes = vec!["slow".to_owned(), "fast".to_owned()];
/// let train = SeriesDataset::new("waves", classes, samples.collect())?;
///
/// let options = FitOptions { effort: Effort::Fast, ..FitOptions::default() };
/// let model = TimesClip::fit(&train, &options)?;
/// assert_eq!(model.evaluate(&train)?.accuracy, 1.0);
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("waves.safetensors");
/// model.save(&path)?;
/// let model = TimesClip::load(&path)?;
/// for prediction in model.predict(&train.samples()[..2])? {
///     println!("{} {:.3}", prediction.label, prediction.probability);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TimesClip {
    record: Record,
    closed_form: Option<(Features, ClosedForm)>,
    network: Option<Box<dyn Network>>,
    pool: LogPool,
}

/// Where a model is loaded to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// The backend that networks and encoders compute on.
    pub backend: BackendChoice,
    /// Number of the device within its kind. Default: the first, or with `auto` any GPU.
    pub device: Option<usize>,
}

impl TimesClip {
    /// Fits a model to the labeled series of a set.
    ///
    /// # Errors
    /// [`FitError`] if the options contradict each other or the data, a device or a pretrained
    /// encoder cannot be used, or training fails.
    pub fn fit(set: &SeriesDataset, options: &FitOptions) -> Result<Self, FitError> {
        Ok(Self::fit_observed(set, options, &mut ())?.0)
    }

    /// Fits a model as [`fit`](Self::fit) does, and says what is going on while it does.
    ///
    /// An observer that breaks cancels the fit: the model is then what had been fitted until there.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and [`FitError::Cancelled`] if nothing had been fitted.
    pub fn fit_observed(
        set: &SeriesDataset,
        options: &FitOptions,
        observer: &mut dyn FitObserver,
    ) -> Result<(Self, FitReport), FitError> {
        fit::fit(set, options, observer)
    }

    /// Predicts the class of one series, of several, or of all series of a set.
    ///
    /// # Errors
    /// [`PredictError`] names the first series that the model cannot take.
    pub fn predict<'a>(
        &self,
        samples: impl Into<Samples<'a>>,
    ) -> Result<Vec<Prediction>, PredictError> {
        let Samples(samples) = samples.into();
        let mut predictions = Vec::with_capacity(samples.len());
        for batch in samples.chunks(BATCH) {
            predictions.extend(self.predict_batch(batch, predictions.len())?);
        }
        Ok(predictions)
    }

    /// Predicts for a stream of series, in order and in memory that does not grow with its length.
    ///
    /// A batch of series is taken from the stream at a time. After an error the stream ends.
    pub fn predict_stream<'a>(
        &'a self,
        series: impl IntoIterator<Item = LabeledSeries, IntoIter: 'a>,
    ) -> impl Iterator<Item = Result<Prediction, PredictError>> + 'a {
        let mut series = series.into_iter();
        let (mut start, mut failed) = (0, false);
        let batches = std::iter::from_fn(move || {
            let batch: Vec<LabeledSeries> = series.by_ref().take(BATCH).collect();
            if batch.is_empty() || failed {
                return None;
            }
            let samples: Vec<_> = batch.iter().map(|s| (s.id, &s.series)).collect();
            let predictions = self.predict_batch(&samples, start);
            start += batch.len();
            failed = predictions.is_err();
            Some(match predictions {
                Ok(predictions) => predictions.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        batches.flatten()
    }

    /// Predicts for a labeled set and scores the predictions.
    ///
    /// Classes are matched by name. Samples of classes that the model does not know count as errors, and
    /// their classes have a recall and an F1 of 0; log loss, Brier score and calibration are of the others.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn evaluate(&self, set: &SeriesDataset) -> Result<Evaluation, PredictError> {
        evaluation::evaluate(self, set)
    }

    /// The joint embedding of one series, of several, or of all series of a set: a vector for a
    /// head of one's own, or to search by.
    ///
    /// # Shapes
    /// - output: `[samples, d_embedding]`
    ///
    /// # Errors
    /// As [`predict`](Self::predict), and [`PredictError::NoEmbedding`] if the model has no
    /// encoders.
    pub fn embed<'a>(
        &self,
        samples: impl Into<Samples<'a>>,
    ) -> Result<Vec<Vec<f32>>, PredictError> {
        let Samples(samples) = samples.into();
        let mut embeddings = Vec::with_capacity(samples.len());
        for batch in samples.chunks(BATCH) {
            self.check(batch, embeddings.len())?;
            embeddings.extend(self.embed_batch(batch)?);
        }
        Ok(embeddings)
    }

    /// Writes the model as one file; one that was there before is replaced when the new one is
    /// complete.
    ///
    /// # Errors
    /// [`ModelFileError::Io`] if it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ModelFileError> {
        Ok(file::write(path.as_ref(), &self.record, self.tensors())?)
    }

    /// Loads a model onto the best device.
    ///
    /// # Errors
    /// [`ModelFileError`] if the file is damaged, is no model, or is of another format.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelFileError> {
        Self::load_with(path, &LoadOptions::default())
    }

    /// Loads a model onto the device that `options` name.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`ModelFileError::Backend`] if there is no such device.
    pub fn load_with(
        path: impl AsRef<Path>,
        options: &LoadOptions,
    ) -> Result<Self, ModelFileError> {
        file::load(path.as_ref(), options)
    }

    /// Names of the classes, in the order of the probabilities.
    pub fn class_names(&self) -> &[String] {
        &self.record.class_names
    }

    /// Variates of every series.
    pub fn n_variates(&self) -> usize {
        self.record.n_variates
    }

    /// Which modalities it was fitted with.
    pub fn modalities(&self) -> Modalities {
        self.record.options.modalities
    }

    /// How tables for it are read: names of the variates, roles of the columns.
    pub fn schema(&self) -> &TableSchema {
        &self.record.schema
    }

    /// The same model, for tables like those that it was fitted to.
    ///
    /// # Panics
    /// If the schema has other variates or classes than the model.
    #[must_use]
    pub fn with_schema(mut self, schema: TableSchema) -> Self {
        let (found, expected) = (schema.n_variates, self.n_variates());
        assert_eq!(
            found, expected,
            "{found} variates for a model of {expected}"
        );
        assert_eq!(
            schema.class_names, self.record.class_names,
            "the schema has other classes than the model"
        );
        self.record.schema = schema;
        self
    }

    /// The options it was fitted by.
    pub fn options(&self) -> &FitOptions {
        &self.record.options
    }

    /// What it was fitted to, and how it did on held-out training samples.
    pub fn provenance(&self) -> &Provenance {
        &self.record.provenance
    }

    /// Number of networks, and weights of each.
    pub fn networks(&self) -> Option<(usize, ParameterCount)> {
        let network = self.network.as_ref()?;
        Some((network.len(), network.parameter_count()))
    }

    /// How the networks draw what they look at; `None` if there are none, or they look at no pictures.
    pub fn plot_style(&self) -> Option<&PlotStyle> {
        let sees = self.modalities().has_vision();
        let recipe = self.record.network.as_ref().map(|(recipe, _)| recipe);
        recipe.filter(|_| sees).map(|recipe| &recipe.style)
    }

    /// Number of features of the closed form; 0 if it has none.
    pub fn n_features(&self) -> usize {
        let head = self.record.closed_form.as_ref();
        head.map_or(0, |head| head.n_features)
    }

    /// A model of its parts.
    fn assemble(
        mut record: Record,
        closed_form: Option<(Features, ClosedForm)>,
        network: Option<Box<dyn Network>>,
    ) -> Self {
        if let Some((features, head)) = &closed_form {
            record.kernels = features.kernels.as_ref().map(|k| k.state().clone());
            record.encoders = features.encoder_state().cloned();
            record.closed_form = Some(head.state().clone());
        }
        let pool = LogPool {
            weights: record.pool.clone(),
            n_classes: record.class_names.len(),
        };
        Self {
            record,
            closed_form,
            network,
            pool,
        }
    }

    fn tensors(&self) -> Vec<crate::weights::NamedTensor> {
        let mut tensors = Vec::new();
        if let Some((features, head)) = &self.closed_form {
            let kernels = features.kernels.iter().flat_map(|kernels| kernels.arrays());
            for (name, values) in kernels.chain(head.arrays()) {
                let (shape, values) = (vec![values.len()], values.to_vec());
                tensors.push(crate::weights::NamedTensor::new(name, shape, values));
            }
            tensors.extend(features.encoder_tensors());
        }
        if let Some(network) = &self.network {
            let tensors_of_networks = network.tensors(&tensors);
            tensors.extend(tensors_of_networks);
        }
        tensors
    }
}

impl fmt::Debug for TimesClip {
    // Not its weights.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimesClip")
            .field("modalities", &self.modalities())
            .field("class_names", &self.record.class_names)
            .field("n_variates", &self.record.n_variates)
            .field("pool", &self.pool)
            .finish_non_exhaustive()
    }
}

/// Accuracy and log loss of a predictor's probabilities, `[samples, n_classes]`.
fn score(predictor: &str, weight: f64, labels: &[usize], rows: &[f32]) -> HeldOutScore {
    let n_classes = rows.len().checked_div(labels.len()).unwrap_or(0);
    let rows = || rows.chunks(n_classes.max(1)).zip(labels);
    let n = labels.len().max(1) as f64;
    let right = rows().filter(|(row, label)| argmax(row) == **label).count();
    let loss = rows().map(|(row, label)| -f64::from(row[*label].max(f32::MIN_POSITIVE)).ln());
    HeldOutScore {
        predictor: predictor.to_owned(),
        weight,
        n_samples: labels.len(),
        accuracy: right as f64 / n,
        log_loss: loss.sum::<f64>() / n,
    }
}
