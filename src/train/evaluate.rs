//! A classifier's predictions and loss on a set.

use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{ElementConversion, Tensor};
use serde::Serialize;

use super::TrainError;
use super::data::{check_sizes, check_targets};
use super::loader::for_each_batch;
use super::parallel::Replicas;
use crate::batch::BatchSource;
use crate::metrics::ConfusionMatrix;
use crate::model::TimesClipClassifier;

/// What a classifier says of one sample.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// Id of the sample.
    pub id: u64,
    /// Its class, as its set says.
    pub target: usize,
    /// The class of highest probability.
    pub predicted: usize,
    /// Probability of every class; they sum to one.
    pub probabilities: Vec<f32>,
}

/// Loss and predictions on a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Mean of the total loss over the samples.
    pub loss: f64,
    /// One a sample, in the order asked for.
    pub predictions: Vec<Prediction>,
}

impl Evaluation {
    /// Share of samples whose class is predicted; `None` of no samples.
    pub fn accuracy(&self) -> Option<f64> {
        let n = self.predictions.len();
        let right = self
            .predictions
            .iter()
            .filter(|p| p.predicted == p.target)
            .count();
        (n > 0).then(|| right as f64 / n as f64)
    }

    /// Mean recall of the classes that have samples; `None` of no samples.
    pub fn balanced_accuracy(&self) -> Option<f64> {
        let pairs = self.predictions.iter().map(|p| (p.target, p.predicted));
        let highest = pairs
            .clone()
            .map(|(target, predicted)| target.max(predicted));
        let n_classes = highest.max()? + 1;
        ConfusionMatrix::new(n_classes, pairs).balanced_accuracy()
    }
}

/// Runs a classifier over the samples at `indices`.
///
/// `B` must be a backend without autodiff: with it, dropout would be active and batch norm would
/// learn from what it evaluates. Get such a model by `valid()`.
///
/// # Errors
/// [`TrainError::Data`] if the samples are not of the model's sizes and classes,
/// [`TrainError::Batch`] if one cannot be read, or lies in a device cache that was built for
/// another backend.
pub fn evaluate<B: Backend>(
    model: &TimesClipClassifier<B>,
    source: BatchSource<'_>,
    indices: &[usize],
    batch_size: usize,
    device: &B::Device,
) -> Result<Evaluation, TrainError> {
    source.check_backend::<B>()?;
    check_sizes(&source, model)?;
    let devices = std::slice::from_ref(device);
    evaluate_on(
        &Replicas::alone(devices),
        model,
        source,
        indices,
        batch_size,
    )
}

/// Runs a classifier over the samples at `indices`, whose labels are not looked at: they may be of
/// classes that the classifier does not know.
///
/// `B` must be a backend without autodiff, as for [`evaluate`].
///
/// # Errors
/// As [`evaluate`], but for the classes.
pub fn predict<B: Backend>(
    model: &TimesClipClassifier<B>,
    source: BatchSource<'_>,
    indices: &[usize],
    batch_size: usize,
    device: &B::Device,
) -> Result<Vec<Prediction>, TrainError> {
    source.check_backend::<B>()?;
    check_sizes(&source, model)?;
    let mut predictions = Vec::with_capacity(indices.len());
    for_each_batch(source, indices, batch_size, |batch| {
        let (ids, targets) = (batch.ids().to_vec(), batch.targets().to_vec());
        let output = model.forward(batch.into_tensors(device).input);
        predictions.extend(read_out(output.logits, ids, targets));
        Ok::<(), TrainError>(())
    })?;
    Ok(predictions)
}

/// As [`evaluate`], over several devices.
pub(super) fn evaluate_on<B: Backend>(
    replicas: &Replicas<'_, B>,
    model: &TimesClipClassifier<B>,
    source: BatchSource<'_>,
    indices: &[usize],
    batch_size: usize,
) -> Result<Evaluation, TrainError> {
    let mut loss = 0.0;
    let mut predictions = Vec::with_capacity(indices.len());
    for_each_batch(source, indices, batch_size, |batch| {
        check_targets(&batch, model)?;
        let (ids, targets) = (batch.ids().to_vec(), batch.targets().to_vec());
        let embedded = replicas.embed(model, batch);
        let targets_there = replicas.targets(&targets);
        let step = model.classify_with_loss(replicas.join(&embedded), targets_there);
        loss += step.loss.total.into_scalar().elem::<f64>() * targets.len() as f64;
        predictions.extend(read_out(step.output.logits, ids, targets));
        Ok::<(), TrainError>(())
    })?;
    Ok(Evaluation {
        loss: loss / indices.len().max(1) as f64,
        predictions,
    })
}

/// What the logits of a batch say of its samples.
fn read_out<B: Backend>(
    logits: Tensor<B, 2>,
    ids: Vec<u64>,
    targets: Vec<usize>,
) -> impl Iterator<Item = Prediction> {
    let samples = ids.into_iter().zip(targets);
    let samples = samples.zip(rows(softmax(logits, 1)));
    samples.map(|((id, target), probabilities)| Prediction {
        id,
        target,
        predicted: argmax(&probabilities),
        probabilities,
    })
}

/// The rows of a matrix, on the host.
pub(super) fn rows<B: Backend>(matrix: Tensor<B, 2>) -> Vec<Vec<f32>> {
    let [_, width] = matrix.dims();
    let values: Vec<f32> = matrix.into_data().iter::<f32>().collect();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}

/// Index of the largest value, the first of equals.
pub(super) fn argmax(row: &[f32]) -> usize {
    let first_larger = |best: usize, i: usize| if row[i] > row[best] { i } else { best };
    (0..row.len()).fold(0, first_larger)
}
