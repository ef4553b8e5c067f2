//! The classifier: a branch that sees, a branch that reads, selection among the variates, a head.
//!
//! Tensor order throughout: batch, variate, token, width. Nothing here reads files or batches of
//! host data; it takes tensors.

mod branch;
mod config;
mod head;
mod selection;
mod tokenizer;
mod transformer;
mod vision;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, Tensor};

pub use branch::{LanguageBranch, LanguageConfig, Projection, TextEncoder, VisionBranch};
pub use config::{ConfigError, ModelMode, TimesClipClassifierConfig};
pub use head::{ClassifierHead, ClassifierHeadConfig, HeadNorm, HiddenLayer, VariatePooling};
pub use selection::{VariateSelection, VariateSelectionConfig};
pub use tokenizer::{SeriesTokenizer, SeriesTokenizerConfig, SeriesTokens};
pub use transformer::{Activation, Block, Mlp, SelfAttention, Transformer, TransformerConfig};
pub use vision::{
    PatchEmbedding, PositionEmbedding, VisionEmbeddings, VisionEncoder, VisionEncoderConfig,
};

pub use crate::input::{SeriesInput, TimesClipInput, VisionInput};
use crate::loss::{LossParts, TimesClipLoss};

/// Classifies multivariate time series by their pictures, their values, or both.
///
/// # Source
/// TimesCLIP (arXiv:2506.24124), as the research code for classification built it.
#[derive(Module, Debug)]
pub struct TimesClipClassifier<B: Backend> {
    /// Sees the line plots.
    pub vision: Option<VisionBranch<B>>,
    /// Reads the values.
    pub language: Option<LanguageBranch<B>>,
    /// Selects among the variates of both views together.
    pub selection: Option<VariateSelection<B>>,
    /// Classifies.
    pub head: ClassifierHead<B>,
    #[module(skip)]
    pooling: VariatePooling,
    #[module(skip)]
    loss: TimesClipLoss,
}

impl TimesClipClassifierConfig {
    /// Creates a classifier with random weights, drawn from the backend's generator.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) refuses the configuration.
    pub fn init<B: Backend>(&self, device: &B::Device) -> TimesClipClassifier<B> {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let d = self.d_model;
        let vision = self.mode.sees().then(|| VisionBranch {
            vision_model: self.vision.init(device),
            projection: Projection::new(self.vision.transformer.d_model, d, device),
        });
        let language = self
            .mode
            .reads()
            .then(|| self.language.init(self.n_variates, d, device));
        let selection = (self.mode == ModelMode::Dual).then(|| self.selection.init(d, device));
        let n_views = if self.mode == ModelMode::Dual { 3 } else { 1 };
        let d_pooled = n_views * self.pooling.width(self.n_variates, d);
        let model = TimesClipClassifier {
            vision,
            language,
            selection,
            head: self.head.init(d_pooled, self.n_classes, device),
            pooling: self.pooling,
            loss: self.loss.clone(),
        };
        // Parameters are drawn when first used, and a clone made before that would draw others.
        model.visit(&mut DrawWeights);
        model
    }
}

/// Everything a forward pass gives.
#[derive(Clone, Debug)]
pub struct TimesClipOutput<B: Backend> {
    /// Raw scores, `[batch, n_classes]`
    pub logits: Tensor<B, 2>,
    /// Embeddings of the pictures, `[batch, n_variates, d_model]`, if the model sees
    pub vision: Option<Tensor<B, 3>>,
    /// Embeddings of the values, `[batch, n_variates, d_model]`, if the model reads
    pub language: Option<Tensor<B, 3>>,
    /// How much each variate (row) looked at every other, `[batch, n_variates, n_variates]`, in
    /// dual mode; rows sum to one
    pub attention: Option<Tensor<B, 3>>,
}

/// Loss and output of one forward pass.
#[derive(Clone, Debug)]
pub struct TimesClipStep<B: Backend> {
    /// What is minimised, and its parts.
    pub loss: LossParts<B>,
    /// What the metrics need; computing them costs no second pass.
    pub output: TimesClipOutput<B>,
}

impl<B: Backend> TimesClipClassifier<B> {
    /// Classifies a batch.
    ///
    /// # Shapes
    /// - input: as the fields of [`TimesClipInput`] say
    /// - output: as the fields of [`TimesClipOutput`] say
    ///
    /// # Panics
    /// If the input lacks what a branch of this model needs, or its sizes are not the model's.
    pub fn forward(&self, input: TimesClipInput<B>) -> TimesClipOutput<B> {
        let seen = self.vision.as_ref().map(|branch| {
            let Some(vision) = input.vision else {
                panic!("the model sees pictures, but the batch brings none");
            };
            branch.forward(vision)
        });
        let read = self.language.as_ref().map(|branch| {
            let Some(series) = &input.series else {
                panic!("the model reads values, but the batch brings none");
            };
            branch.forward(series)
        });
        let (pooled, attention) = self.fuse(seen.clone(), read.clone());
        let logits = self.head.forward(pooled);
        TimesClipOutput {
            logits,
            vision: seen,
            language: read,
            attention,
        }
    }

    /// Classifies a batch and computes the loss from the very same logits.
    ///
    /// # Shapes
    /// - input: as for [`forward`](Self::forward)
    /// - targets: `[batch]`, class indices
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_classification(
        &self,
        input: TimesClipInput<B>,
        targets: Tensor<B, 1, Int>,
    ) -> TimesClipStep<B> {
        let output = self.forward(input);
        let views = output.vision.clone().zip(output.language.clone());
        let loss = self.loss.forward(output.logits.clone(), targets, views);
        TimesClipStep { loss, output }
    }

    /// Counts the weights.
    pub fn parameter_count(&self) -> ParameterCount {
        let mut count = ParameterCount::default();
        self.visit(&mut count);
        count
    }

    /// The vector in front of the head, and the attention of variate selection.
    fn fuse(
        &self,
        seen: Option<Tensor<B, 3>>,
        read: Option<Tensor<B, 3>>,
    ) -> (Tensor<B, 2>, Option<Tensor<B, 3>>) {
        let pool = |x| self.pooling.forward(x);
        match (seen, read, &self.selection) {
            (Some(seen), Some(read), Some(selection)) => {
                let (selected, attention) = selection.forward(seen.clone() + read.clone());
                let pooled = Tensor::cat(vec![pool(seen), pool(read), pool(selected)], 1);
                (pooled, Some(attention))
            }
            (Some(view), None, _) | (None, Some(view), _) => (pool(view), None),
            _ => unreachable!("a classifier has one branch, or two and a selection"),
        }
    }
}

/// Number of weights of a module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParameterCount {
    /// All weights; running statistics of batch norm are state, not weights, and count too.
    pub total: usize,
    /// Those that take a gradient; zero on a backend without autodiff.
    pub trainable: usize,
}

impl<B: Backend> ModuleVisitor<B> for ParameterCount {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let n = param.lazy_shape().num_elements();
        self.total += n;
        if param.is_require_grad() {
            self.trainable += n;
        }
    }
}

/// Makes every lazily initialised parameter draw its weights.
struct DrawWeights;

impl<B: Backend> ModuleVisitor<B> for DrawWeights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let _ = param.val();
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<B, D, Int>>) {
        let _ = param.val();
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<B, D, Bool>>) {
        let _ = param.val();
    }
}
