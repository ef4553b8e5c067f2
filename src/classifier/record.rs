//! What a model file says beside its tensors.

use serde::{Deserialize, Serialize};

use super::encoders::EncoderState;
use super::options::FitOptions;
use super::recipe::Recipe;
use crate::closed_form::ClosedFormState;
use crate::data::TimeGrid;
use crate::data::read::TableSchema;
use crate::kernels::KernelState;

/// Everything of a model but its arrays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// Names of the classes, in the order of the probabilities.
    pub(super) class_names: Vec<String>,
    /// Variates of every series.
    pub(super) n_variates: usize,
    /// How tables for the model are read: names of variates, roles of columns.
    pub(super) schema: TableSchema,
    /// What the model was fitted by.
    pub(super) options: FitOptions,
    /// What it was fitted to.
    pub(super) provenance: Provenance,
    /// The grid of times that unevenly spaced series are put on, if there were some in training.
    pub(super) time_grid: Option<TimeGrid>,
    /// The kernels, if it has them.
    pub(super) kernels: Option<KernelState>,
    /// The frozen encoders, if it has them.
    pub(super) encoders: Option<EncoderState>,
    /// The closed-form head, if it has one.
    pub(super) closed_form: Option<ClosedFormState>,
    /// The networks, if it has them, and how many.
    pub(super) network: Option<(Recipe, usize)>,
    /// Weight of every predictor in the pool, in the order of their scores.
    pub(super) pool: Vec<f64>,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the training set.
    pub dataset: String,
    /// Hash of its series and labels, as 32 hexadecimal digits.
    pub fingerprint: String,
    /// Number of training samples.
    pub n_samples: usize,
    /// Steps of the shortest and of the longest training series.
    pub n_steps: [usize; 2],
    /// Backend that it was fitted on.
    pub backend: String,
    /// Scores on held-out training samples, of every predictor and of their pool.
    pub scores: Vec<HeldOutScore>,
    /// Whether the fit was cancelled before it was complete.
    pub cancelled: bool,
}

/// How a predictor did on training samples that it was not fitted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOutScore {
    /// Which: `closed form`, `network`, `pool`.
    pub predictor: String,
    /// Its weight in the pool.
    pub weight: f64,
    /// Number of samples.
    pub n_samples: usize,
    /// Share of them classified correctly.
    pub accuracy: f64,
    /// Mean negative logarithm of the probability of the right class.
    pub log_loss: f64,
}
