//! What a pass through the classifier gives.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::model::loss::LossParts;

/// Everything a forward pass gives.
#[derive(Clone, Debug)]
pub struct TimesClipOutput<B: Backend> {
    /// Raw scores, `[batch, n_classes]`
    pub logits: Tensor<B, 2>,
    /// Embeddings of the pictures, `[batch, n_variates, d_model]`, if the model sees
    pub vision: Option<Tensor<B, 3>>,
    /// Embeddings of the values, `[batch, n_variates, d_model]`, or `[batch, 1, d_model]` of all
    /// variates together, if the model reads
    pub language: Option<Tensor<B, 3>>,
    /// How much each variate (row) looked at every other, `[batch, n_variates, n_variates]`, in
    /// dual mode; rows sum to one
    pub attention: Option<Tensor<B, 3>>,
}

/// Loss and output of one forward pass.
#[derive(Clone, Debug)]
pub struct TimesClipStep<B: Backend> {
    /// What is minimized, and its parts.
    pub loss: LossParts<B>,
    /// What the metrics need; computing them costs no second pass.
    pub output: TimesClipOutput<B>,
}
