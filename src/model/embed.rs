//! The half of a classifier that looks at one sample at a time, and what it gives.

#[cfg(feature = "train")]
use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::branch::{LanguageBranch, VisionBranch};
use crate::model::input::TimesClipInput;

/// What the branches make of a batch, sample by sample. Nothing here depends on another sample, but
/// for the batch norms of a convolutional tokenizer while it learns.
#[derive(Clone, Debug)]
pub struct TimesClipEmbeddings<B: Backend> {
    /// Of the pictures, `[batch, n_variates, d_model]`, if the model sees
    pub vision: Option<Tensor<B, 3>>,
    /// Of the values, `[batch, n_variates, d_model]`, or `[batch, 1, d_model]` of all variates
    /// together, if the model reads
    pub language: Option<Tensor<B, 3>>,
}

/// The branches of a classifier alone: what another device needs to embed its part of a batch.
///
/// Not the head: moving a copy of a batch norm to a device moves the running statistics of the
/// original along (Burn 0.21, `RunningState::to_device`).
#[cfg(feature = "train")]
#[derive(Module, Debug)]
pub(crate) struct Branches<B: Backend> {
    pub(super) vision: Option<VisionBranch<B>>,
    pub(super) language: Option<LanguageBranch<B>>,
}

#[cfg(feature = "train")]
impl<B: Backend> Branches<B> {
    /// As [`TimesClipClassifier::embed`](super::TimesClipClassifier::embed), by the branches there
    /// are.
    pub(crate) fn embed(&self, input: TimesClipInput<B>) -> TimesClipEmbeddings<B> {
        embed(self.vision.as_ref(), self.language.as_ref(), input)
    }
}

pub(super) fn embed<B: Backend>(
    vision: Option<&VisionBranch<B>>,
    language: Option<&LanguageBranch<B>>,
    input: TimesClipInput<B>,
) -> TimesClipEmbeddings<B> {
    let vision = vision.map(|branch| {
        let Some(vision) = input.vision else {
            panic!("the model sees pictures, but the batch brings none");
        };
        branch.forward(vision)
    });
    let language = language.map(|branch| {
        let Some(series) = &input.series else {
            panic!("the model reads values, but the batch brings none");
        };
        branch.forward(series)
    });
    TimesClipEmbeddings { vision, language }
}
