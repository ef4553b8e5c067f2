//! The fitted networks of a model, on whatever backend they are.

use std::fmt;

use burn::tensor::activation::softmax;
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};

use super::error::PredictError;
use super::recipe::Recipe;
use crate::batch::TimesClipBatcher;
use crate::cache::UncachedImages;
use crate::data::SeriesDataset;
use crate::model::{
    ParameterCount, TimesClipClassifier, TimesClipOutput, VisionInput, VisionTower,
};
use crate::weights::{NamedTensor, ensemble_tensors, without_known};

/// What the networks say of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NetworkOutput {
    /// Mean over the networks of the probability of every class.
    pub(super) probabilities: Vec<f32>,
    /// How much every variate was attended to, a share of 1; in dual networks.
    pub(super) variate_weights: Option<Vec<f32>>,
    /// The embeddings of all networks, one after the other, each of length 1.
    pub(super) embedding: Vec<f32>,
}

/// Fitted networks, whose backend is known only inside.
pub(super) trait Network: fmt::Debug + Send + Sync {
    /// Runs the networks over a batch of series, whose labels are not looked at.
    fn forward(&self, batch: SeriesDataset) -> Result<Vec<NetworkOutput>, PredictError>;

    /// All weights, with `network.N.` in front of their names, but for frozen ones that the closed form
    /// has among the known.
    fn tensors(&self, known: &[NamedTensor]) -> Vec<NamedTensor>;

    /// Weights of one network.
    fn parameter_count(&self) -> ParameterCount;

    /// Number of networks.
    fn len(&self) -> usize;
}

/// Where the weights of a network are in a model file.
pub(super) fn prefix(number: usize) -> String {
    format!("network.{number}.")
}

/// Where the frozen weights of a network are, if they are not its own: with the first network, or with
/// the closed form.
pub(super) fn shared_prefixes(number: usize) -> Vec<String> {
    let first = (number > 0).then(|| prefix(0));
    first
        .into_iter()
        .chain([ENCODER_PREFIX.to_owned()])
        .collect()
}

/// What stands in front of the branches that the closed form has.
pub(super) const ENCODER_PREFIX: &str = "encoder.";

/// Networks of one recipe on one device; their probabilities are averaged.
#[derive(Debug)]
pub(super) struct Ensemble<B: Backend> {
    members: Vec<TimesClipClassifier<B>>,
    recipe: Recipe,
    batcher: TimesClipBatcher,
    device: B::Device,
}

impl<B: Backend> Ensemble<B> {
    pub(super) fn new(
        members: Vec<TimesClipClassifier<B>>,
        recipe: Recipe,
        device: B::Device,
    ) -> Self {
        let batcher = recipe.batcher();
        Self {
            members: share_frozen_vision(members),
            recipe,
            batcher,
            device,
        }
    }

    /// Whether one pass of a frozen vision encoder is enough for all.
    fn shares_vision(&self) -> bool {
        let towers = self.members.iter().map(TimesClipClassifier::frozen_vision);
        let mut others = towers.skip(1);
        let first = self.members[0].frozen_vision();
        first.is_some_and(|first| {
            others.all(|other| other.is_some_and(|other| other.is_shared_with(first)))
        })
    }

    /// The same networks, whose frozen vision encoders compute in another precision.
    pub(super) fn with_frozen_precision(self, dtype: FloatDType) -> Self {
        let members = self.members.into_iter();
        let members = members.map(|member| member.with_frozen_precision(dtype));
        Self {
            members: share_frozen_vision(members.collect()),
            ..self
        }
    }
}

/// The same networks with one frozen vision encoder, if those of all are alike.
fn share_frozen_vision<B: Backend>(
    mut members: Vec<TimesClipClassifier<B>>,
) -> Vec<TimesClipClassifier<B>> {
    let Some((first, others)) = members.split_first_mut() else {
        return members;
    };
    let Some(tower) = first.frozen_vision().filter(|_| !others.is_empty()) else {
        return members;
    };
    let fingerprint = tower.fingerprint();
    for other in others {
        let alike = |tower: &VisionTower<B>| tower.fingerprint() == fingerprint;
        if other.frozen_vision().is_some_and(alike)
            && let Some(branch) = &mut other.vision
        {
            branch.vision_model = tower.clone();
        }
    }
    members
}

impl<B: Backend> Network for Ensemble<B> {
    fn forward(&self, batch: SeriesDataset) -> Result<Vec<NetworkOutput>, PredictError> {
        self.recipe.check_steps(&batch)?;
        let indices: Vec<usize> = (0..batch.len()).collect();
        let gathered = match self.batcher.modalities().has_vision() {
            true => {
                let images = UncachedImages::new(batch, &self.recipe.style)?;
                self.batcher.gather(&images, &indices)?
            }
            false => self.batcher.gather_series(&batch, &indices)?,
        };
        let mut input = gathered.into_tensors::<B>(&self.device).input;
        if self.shares_vision()
            && let Some(branch) = &self.members[0].vision
        {
            let features = input.vision.map(|pictures| branch.features(pictures));
            input.vision = features.map(VisionInput::Features);
        }
        let mut outputs: Vec<NetworkOutput> = Vec::new();
        for member in &self.members {
            let output = read_out(member.forward(input.clone()));
            match outputs.is_empty() {
                true => outputs = output,
                false => outputs
                    .iter_mut()
                    .zip(output)
                    .for_each(|(sum, o)| sum.add(o)),
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a handful of networks")]
        let share = 1.0 / self.members.len() as f32;
        outputs.iter_mut().for_each(|output| output.scale(share));
        Ok(outputs)
    }

    fn tensors(&self, known: &[NamedTensor]) -> Vec<NamedTensor> {
        let config = &self.recipe.model;
        let tensors = ensemble_tensors(&self.members, config, prefix);
        without_known(known, ENCODER_PREFIX, tensors, &prefix(0), config)
    }

    fn parameter_count(&self) -> ParameterCount {
        self.members[0].parameter_count()
    }

    fn len(&self) -> usize {
        self.members.len()
    }
}

impl NetworkOutput {
    fn add(&mut self, other: Self) {
        let add = |sums: &mut [f32], values: &[f32]| {
            sums.iter_mut()
                .zip(values)
                .for_each(|(sum, value)| *sum += value);
        };
        add(&mut self.probabilities, &other.probabilities);
        if let (Some(sums), Some(weights)) = (&mut self.variate_weights, &other.variate_weights) {
            add(sums, weights);
        }
        self.embedding.extend(other.embedding);
    }

    fn scale(&mut self, factor: f32) {
        let weights = self.variate_weights.iter_mut().flatten();
        let values = self.probabilities.iter_mut().chain(weights);
        values.for_each(|value| *value *= factor);
    }
}

/// One output a sample of what one network gives.
fn read_out<B: Backend>(output: TimesClipOutput<B>) -> Vec<NetworkOutput> {
    let probabilities = rows(softmax(output.logits, 1));
    // Rows of attention sum to one, and so does their mean: how much all variates together
    // attended to each.
    let weights = output.attention.map(|attention| {
        let [batch, n_variates, _] = attention.dims();
        rows(attention.mean_dim(1).reshape([batch, n_variates]))
    });
    let views = [output.vision, output.language];
    let pooled = views.into_iter().flatten().map(|view| {
        let [batch, _, d_model] = view.dims();
        view.mean_dim(1).reshape([batch, d_model])
    });
    let embeddings = rows(Tensor::cat(pooled.collect(), 1));
    let samples = probabilities.into_iter().zip(embeddings).enumerate();
    let outputs = samples.map(|(i, (probabilities, embedding))| NetworkOutput {
        probabilities,
        variate_weights: weights.as_ref().map(|weights| weights[i].clone()),
        embedding: unit(embedding),
    });
    outputs.collect()
}

/// The rows of a matrix, on the host.
fn rows<B: Backend>(matrix: Tensor<B, 2>) -> Vec<Vec<f32>> {
    let [_, width] = matrix.dims();
    let values: Vec<f32> = matrix.into_data().iter::<f32>().collect();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}

/// A vector scaled to length 1; one of length 0 as it is.
pub(super) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}
