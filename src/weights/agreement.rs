//! Whether a configuration is of what a checkpoint says it holds.

use std::fmt::Debug;
use std::path::Path;

use super::error::WeightsError;
use crate::model::{
    ConvolutionTokenizerConfig, TimesClipClassifierConfig, TokenizerConfig, TransformerConfig,
    VisionEncoderConfig,
};

/// What the file of this path says.
pub(super) struct Stated<'a>(pub(super) &'a Path);

impl Stated<'_> {
    /// Sizes and choices that decide what a vision encoder's weights compute, but for the side of
    /// its pictures and the tap.
    pub(super) fn same_vision(
        &self,
        own: &VisionEncoderConfig,
        asked: &VisionEncoderConfig,
    ) -> Result<(), WeightsError> {
        self.same(
            "the patch size",
            own.image_patch_size,
            asked.image_patch_size,
        )?;
        self.same_debug("the stem", &own.stem, &asked.stem)?;
        self.same("the class token", own.class_token, asked.class_token)?;
        self.same(
            "the norm in front of the blocks",
            own.pre_norm,
            asked.pre_norm,
        )?;
        self.same_blocks(&own.transformer, &asked.transformer)
    }

    /// What decides the numbers of a classifier and cannot be seen in its weights' shapes.
    pub(super) fn same_classifier(
        &self,
        own: &TimesClipClassifierConfig,
        asked: &TimesClipClassifierConfig,
    ) -> Result<(), WeightsError> {
        self.same_debug("the modalities", own.modalities, asked.modalities)?;
        self.same_debug("the pooling of the variates", own.pooling, asked.pooling)?;
        if own.modalities.has_vision() {
            self.same_vision(&own.vision, &asked.vision)?;
            self.same_debug("the tap", own.vision.tap, asked.vision.tap)?;
            self.same_debug("the tokens", own.vision.tokens, asked.vision.tokens)?;
        }
        if own.modalities.has_language() {
            let (own, asked) = (&own.language, &asked.language);
            self.same_blocks(&own.transformer, &asked.transformer)?;
            self.same("causality", own.causal, asked.causal)?;
            self.same_tokenizer(&own.tokenizer, &asked.tokenizer)?;
        }
        if own.modalities.has_vision() && own.modalities.has_language() {
            let (own, asked) = (own.selection.n_heads, asked.selection.n_heads);
            self.same("the number of selection heads", own, asked)?;
        }
        Ok(())
    }

    fn same_tokenizer(
        &self,
        own: &TokenizerConfig,
        asked: &TokenizerConfig,
    ) -> Result<(), WeightsError> {
        match (own, asked) {
            (TokenizerConfig::Patches(own), TokenizerConfig::Patches(asked)) => {
                self.same("the patches' stride", own.patch_stride, asked.patch_stride)?;
                self.same("the padding of patches", own.pad_end, asked.pad_end)
            }
            (TokenizerConfig::Convolutions(own), TokenizerConfig::Convolutions(asked)) => {
                let stretch = ConvolutionTokenizerConfig::readings_per_token;
                self.same("the convolutions' stride", own.stride(), asked.stride())?;
                self.same("the stretch of a token", stretch(own), stretch(asked))
            }
            (own, asked) => self.same_debug("the tokenizer", own, asked),
        }
    }

    /// The same of blocks.
    pub(super) fn same_blocks(
        &self,
        own: &TransformerConfig,
        asked: &TransformerConfig,
    ) -> Result<(), WeightsError> {
        self.same("the width", own.d_model, asked.d_model)?;
        self.same("the feed-forward width", own.d_ff, asked.d_ff)?;
        self.same("the number of heads", own.n_heads, asked.n_heads)?;
        self.same("the number of layers", own.n_layers, asked.n_layers)?;
        self.same(
            "the layer norms' epsilon",
            own.layer_norm_eps,
            asked.layer_norm_eps,
        )?;
        self.same_debug("the activation", own.activation, asked.activation)
    }

    fn same_debug<T: Debug>(
        &self,
        setting: &'static str,
        found: T,
        expected: T,
    ) -> Result<(), WeightsError> {
        self.same(setting, format!("{found:?}"), format!("{expected:?}"))
    }

    fn same<T: PartialEq + ToString>(
        &self,
        setting: &'static str,
        found: T,
        expected: T,
    ) -> Result<(), WeightsError> {
        if found == expected {
            return Ok(());
        }
        Err(WeightsError::Differs {
            path: self.0.to_owned(),
            setting,
            found: found.to_string(),
            expected: expected.to_string(),
        })
    }
}
