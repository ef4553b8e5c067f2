//! The classifier: vision and language branches, variate selection, classification head.
//!
//! Tensor order throughout: batch, variate, token, width. Nothing here reads files or batches of
//! host data; it takes tensors.

mod branch;
mod config;
mod count;
mod embed;
mod fingerprint;
mod freeze;
mod frozen;
mod fused;
mod halving;
mod head;
mod ink;
mod input;
pub mod loss;
mod output;
mod parts;
mod passes;
mod patches;
mod reading;
#[cfg(feature = "train")]
mod seeded;
mod selection;
mod standardize;
mod tap;
mod tokenizer;
mod transformer;
mod vision;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Int, Tensor};

pub use branch::{LanguageBranch, LanguageConfig, Projection, TextEncoder, VisionBranch};
pub use config::{ConfigError, TimesClipClassifierConfig};
pub use count::ParameterCount;
#[cfg(feature = "train")]
pub(crate) use embed::Branches;
pub use embed::TimesClipEmbeddings;
pub use freeze::Freeze;
pub use frozen::VisionTower;
pub use head::{ClassifierHead, ClassifierHeadConfig, HeadNorm, HiddenLayer, VariatePooling};
pub use ink::PatchTokens;
pub use output::{TimesClipOutput, TimesClipStep};
pub use patches::PatchEmbedding;
pub use reading::{JointSpace, ReadingEncoder, ReadingEncoderConfig};
#[cfg(feature = "train")]
pub(crate) use seeded::{drawn_from, seed_training};
pub use selection::{VariateSelection, VariateSelectionConfig};
pub use standardize::Standardize;
pub use tap::{TokenPooling, VisionTap};
pub use tokenizer::{
    ConvolutionTokenizer, ConvolutionTokenizerConfig, PointTokenizer, PointTokenizerConfig,
    SeriesTokenizer, SeriesTokenizerConfig, SeriesTokens, TimeConvolutions, TokenizerConfig,
};
pub use transformer::{Block, Mlp, SelfAttention, Transformer, TransformerConfig};
pub use vision::{
    PositionEmbedding, VisionEmbeddings, VisionEncoder, VisionEncoderConfig, VisionStem,
};

use crate::modalities::Modalities;
use crate::model::loss::TimesClipLoss;
use embed::embed;
pub use fused::Activation;
pub(crate) use fused::concat;
#[cfg(feature = "train")]
pub(crate) use fused::is_cpu;
pub use input::{SeriesInput, TimesClipInput, VisionInput};

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
    n_variates: usize,
    #[module(skip)]
    pooling: VariatePooling,
    #[module(skip)]
    loss: TimesClipLoss,
    #[module(skip)]
    freeze_vision: Freeze,
    #[module(skip)]
    freeze_text: Freeze,
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
        let model = self.init_undrawn(device);
        // Parameters are drawn when first used, and a clone made before that would draw others.
        model.visit(&mut DrawWeights);
        model.freeze()
    }

    /// Creates a classifier whose weights are drawn when first used, and of which nothing is frozen
    /// yet: one to be loaded.
    pub(crate) fn init_undrawn<B: Backend>(&self, device: &B::Device) -> TimesClipClassifier<B> {
        let d = self.d_model;
        let vision = self.modalities.has_vision().then(|| {
            let d_output = self.vision.d_output();
            VisionBranch {
                vision_model: VisionTower::trained(self.vision.init(device)),
                standardize: self
                    .standardize_features
                    .then(|| Standardize::new(d_output, device)),
                projection: Projection::new(d_output, d, device),
            }
        });
        let language = self.modalities.has_language();
        let language = language.then(|| self.language.init(self.n_variates, d, device));
        let selection =
            (self.modalities == Modalities::DUAL).then(|| self.selection.init(d, device));
        let n_read = self.language.tokenizer.n_embeddings(self.n_variates);
        let [seen, read] = [self.n_variates, n_read].map(|n| self.pooling.width(n, d));
        let d_pooled = match self.modalities {
            Modalities::LANGUAGE_ONLY => read,
            Modalities::VISION_ONLY => seen,
            // The vision branch, the language branch, and what selection makes of both.
            _ => seen + read + seen,
        };
        TimesClipClassifier {
            vision,
            language,
            selection,
            head: self.head.init(d_pooled, self.n_classes, device),
            n_variates: self.n_variates,
            pooling: self.pooling,
            loss: self.loss.clone(),
            freeze_vision: self.freeze_vision,
            freeze_text: self.freeze_text,
        }
    }
}

impl<B: Backend> TimesClipClassifier<B> {
    /// Classifies a batch.
    ///
    /// # Shapes
    /// - input: as the fields of [`TimesClipInput`] say
    /// - output: as the fields of [`TimesClipOutput`] say
    ///
    /// # Panics
    /// As [`embed`](Self::embed).
    pub fn forward(&self, input: TimesClipInput<B>) -> TimesClipOutput<B> {
        self.classify(self.embed(input))
    }

    /// The first half of [`forward`](Self::forward): embeds pictures and values.
    ///
    /// # Shapes
    /// - input: as the fields of [`TimesClipInput`] say
    /// - output: as the fields of [`TimesClipEmbeddings`] say
    ///
    /// # Panics
    /// If the input lacks what a branch of this model needs, or its sizes are not the model's.
    pub fn embed(&self, input: TimesClipInput<B>) -> TimesClipEmbeddings<B> {
        embed(self.vision.as_ref(), self.language.as_ref(), input)
    }

    /// The second half of [`forward`](Self::forward): selects among the variates and classifies.
    ///
    /// # Shapes
    /// - embeddings: as the fields of [`TimesClipEmbeddings`] say
    /// - output: as the fields of [`TimesClipOutput`] say
    ///
    /// # Panics
    /// If there are not as many views as the model has branches.
    pub fn classify(&self, embeddings: TimesClipEmbeddings<B>) -> TimesClipOutput<B> {
        let TimesClipEmbeddings { vision, language } = embeddings;
        let (pooled, attention) = self.fuse(vision.clone(), language.clone());
        let logits = self.head.forward(pooled);
        TimesClipOutput {
            logits,
            vision,
            language,
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
        self.classify_with_loss(self.embed(input), targets)
    }

    /// The second half of [`forward_classification`](Self::forward_classification).
    ///
    /// # Shapes
    /// - embeddings: as the fields of [`TimesClipEmbeddings`] say
    /// - targets: `[batch]`, class indices
    ///
    /// # Panics
    /// As [`classify`](Self::classify).
    pub fn classify_with_loss(
        &self,
        embeddings: TimesClipEmbeddings<B>,
        targets: Tensor<B, 1, Int>,
    ) -> TimesClipStep<B> {
        let output = self.classify(embeddings);
        let views = output.vision.clone().zip(output.language.clone());
        let loss = self.loss.forward(output.logits.clone(), targets, views);
        TimesClipStep { loss, output }
    }

    /// The vision encoder, if it is wholly frozen: what it gives can be computed beforehand.
    pub fn frozen_vision(&self) -> Option<&VisionTower<B>> {
        let tower = &self.vision.as_ref()?.vision_model;
        tower.is_frozen().then_some(tower)
    }

    /// The branches that look at one sample at a time, sharing their weights: those that may embed
    /// a batch in parts.
    #[cfg(feature = "train")]
    pub(crate) fn separable_branches(&self) -> Branches<B> {
        let separable = |branch: &&LanguageBranch<B>| !branch.looks_across_samples();
        Branches {
            vision: self.vision.clone(),
            language: self.language.as_ref().filter(separable).cloned(),
        }
    }

    /// The language branch, if it must embed whole batches: the norms of its convolutions are over
    /// all their samples.
    #[cfg(feature = "train")]
    pub(crate) fn inseparable_language(&self) -> Option<&LanguageBranch<B>> {
        let language = self.language.as_ref();
        language.filter(|branch| branch.looks_across_samples())
    }

    /// Variates of the samples it is for.
    pub fn n_variates(&self) -> usize {
        self.n_variates
    }

    /// Classes it tells apart.
    pub fn n_classes(&self) -> usize {
        self.head.output.weight.dims()[1]
    }

    /// Counts the weights.
    pub fn parameter_count(&self) -> ParameterCount {
        ParameterCount::of(self)
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
                // What was read of all variates together goes with each.
                let each = read.clone().expand(seen.dims());
                let (selected, attention) = selection.forward(seen.clone() + each);
                let pooled = concat(vec![pool(seen), pool(read), pool(selected)], 1);
                (pooled, Some(attention))
            }
            (Some(view), None, None) | (None, Some(view), None) => (pool(view), None),
            (seen, read, _) => {
                let given = [seen, read].iter().flatten().count();
                let branches = [self.vision.is_some(), self.language.is_some()];
                let expected = branches.iter().filter(|there| **there).count();
                panic!("embeddings of {given} views for a classifier of {expected} branches")
            }
        }
    }
}

/// Makes every lazily initialized parameter draw its weights.
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
