//! Small classifiers by how they make tokens of values.

use timesclip::Modalities;
use timesclip::model::{
    ConvolutionTokenizerConfig, SeriesTokenizerConfig, TimesClipClassifierConfig,
};

use crate::support::tiny_model;

/// As [`tiny_model`], reading by convolutions; series of more than 16 steps are longer than expected.
pub(crate) fn tiny_convolutions(mode: Modalities) -> TimesClipClassifierConfig {
    let mut config = tiny_model(mode);
    let tokenizer = ConvolutionTokenizerConfig::new(16)
        .with_n_filters(4)
        .with_bottleneck(4)
        .with_max_steps(8)
        .with_n_tokens(4);
    config.language.tokenizer = tokenizer.into();
    config.language.transformer.dropout = 0.0;
    config.vision.transformer.dropout = 0.0;
    config.selection.dropout = 0.0;
    config.head.dropout = 0.0;
    config
}

/// How a classifier that reads patches cuts them.
pub(crate) fn patches(config: &mut TimesClipClassifierConfig) -> &mut SeriesTokenizerConfig {
    let patches = config.language.tokenizer.patches_mut();
    patches.expect("a classifier that reads patches")
}
