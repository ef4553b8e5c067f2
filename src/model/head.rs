//! The classifier head: pooled embeddings to logits.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, LayerNorm, LayerNormConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::tokenizer::torch_linear;
use crate::model::fused;

/// Norm of the head's hidden layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeadNorm {
    /// Over the batch, as the reference does: what a sample gives in training depends on its
    /// neighbors.
    Batch,
    /// Over the width.
    Layer,
}

/// How the embeddings of the variates become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariatePooling {
    /// Their mean, as the reference does: which variate said what is lost.
    Mean,
    /// One after the other.
    Concat,
}

impl VariatePooling {
    /// `[batch, n_variates, d_model]` -> `[batch, d_model or n_variates * d_model]`
    pub(super) fn forward<B: Backend>(self, x: Tensor<B, 3>) -> Tensor<B, 2> {
        match self {
            Self::Mean => x.mean_dim(1).squeeze_dim(1),
            Self::Concat => x.flatten(1, 2),
        }
    }

    pub(super) fn width(self, n_variates: usize, d_model: usize) -> usize {
        match self {
            Self::Mean => d_model,
            Self::Concat => n_variates * d_model,
        }
    }
}

/// Sizes of a [`ClassifierHead`].
#[derive(Config, Debug)]
pub struct ClassifierHeadConfig {
    /// Widths of the hidden layers; none makes the head linear.
    pub hidden: Vec<usize>,
    /// Norm of the hidden layers.
    #[config(default = "HeadNorm::Batch")]
    pub norm: HeadNorm,
    /// Dropout after every hidden layer, and before the last layer if there is none.
    #[config(default = 0.1)]
    pub dropout: f64,
}

impl ClassifierHeadConfig {
    pub(super) fn problem(&self) -> Option<String> {
        if !(0.0..1.0).contains(&self.dropout) {
            return Some(format!(
                "a head dropout of {} is outside 0..1",
                self.dropout
            ));
        }
        self.hidden
            .contains(&0)
            .then(|| "a hidden layer of the head has no width".to_owned())
    }

    pub(super) fn init<B: Backend>(
        &self,
        d_input: usize,
        n_classes: usize,
        device: &B::Device,
    ) -> ClassifierHead<B> {
        let linear = |d_input, d_output| {
            LinearConfig::new(d_input, d_output)
                .with_initializer(torch_linear())
                .init(device)
        };
        let mut width = d_input;
        let hidden = self.hidden.iter().map(|&d_hidden| {
            let layer = HiddenLayer {
                linear: linear(width, d_hidden),
                batch_norm: (self.norm == HeadNorm::Batch)
                    .then(|| BatchNormConfig::new(d_hidden).init(device)),
                layer_norm: (self.norm == HeadNorm::Layer)
                    .then(|| LayerNormConfig::new(d_hidden).init(device)),
            };
            width = d_hidden;
            layer
        });
        ClassifierHead {
            hidden: hidden.collect(),
            output: linear(width, n_classes),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

/// Linear layers with norm, ReLU and dropout between them.
#[derive(Module, Debug)]
pub struct ClassifierHead<B: Backend> {
    /// Hidden layers, first applied first.
    pub hidden: Vec<HiddenLayer<B>>,
    /// To the logits.
    pub output: Linear<B>,
    dropout: Dropout,
}

/// A linear layer and its norm.
#[derive(Module, Debug)]
pub struct HiddenLayer<B: Backend> {
    /// The map.
    pub linear: Linear<B>,
    /// Norm over the batch.
    pub batch_norm: Option<BatchNorm<B>>,
    /// Norm over the width.
    pub layer_norm: Option<LayerNorm<B>>,
}

impl<B: Backend> HiddenLayer<B> {
    fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        let x = self.linear.forward(x);
        let x = match &self.batch_norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let x = match &self.layer_norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        relu(x)
    }
}

impl<B: Backend> ClassifierHead<B> {
    /// Classifies pooled embeddings.
    ///
    /// # Shapes
    /// - x: `[batch, d_input]`
    /// - output: `[batch, n_classes]`
    pub fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        if self.hidden.is_empty() {
            return self.output.forward(fused::dropout(&self.dropout, x));
        }
        let x = self.hidden.iter().fold(x, |x, layer| {
            fused::dropout(&self.dropout, layer.forward(x))
        });
        self.output.forward(x)
    }
}
