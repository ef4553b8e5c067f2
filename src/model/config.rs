//! Sizes and choices of a classifier, and its presets.

use burn::config::Config;
use thiserror::Error;

use super::branch::LanguageConfig;
use super::freeze::Freeze;
use super::head::{ClassifierHeadConfig, HeadNorm, VariatePooling};
use super::reading::ReadingEncoderConfig;
use super::selection::VariateSelectionConfig;
use super::tokenizer::{ConvolutionTokenizerConfig, SeriesTokenizerConfig, TokenizerConfig};
use super::transformer::TransformerConfig;
use super::vision::VisionEncoderConfig;
use crate::modalities::Modalities;
use crate::model::fused::Activation;
use crate::model::loss::TimesClipLoss;

/// Sizes and choices of a [`TimesClipClassifier`](super::TimesClipClassifier).
///
/// `new(n_variates, n_classes)` is the small preset: it trains from scratch on a CPU in minutes.
///
/// # Examples
/// ```
/// use timesclip::Modalities;
/// use timesclip::model::TimesClipClassifierConfig;
///
/// let config = TimesClipClassifierConfig::new(12, 9).with_modalities(Modalities::LANGUAGE_ONLY);
/// config.validate()?;
/// # Ok::<(), timesclip::model::ConfigError>(())
/// ```
#[derive(Config, Debug)]
pub struct TimesClipClassifierConfig {
    /// Number of variates of a series.
    pub n_variates: usize,
    /// Number of classes.
    pub n_classes: usize,
    /// Vision, language, or both; kernels are no part of a network.
    #[config(default = "Modalities::DUAL")]
    pub modalities: Modalities,
    /// Width of the space that both views share.
    #[config(default = 64)]
    pub d_model: usize,
    /// The vision encoder.
    #[config(default = "small_vision()")]
    pub vision: VisionEncoderConfig,
    /// The language encoder.
    #[config(default = "small_language()")]
    pub language: LanguageConfig,
    /// Which weights of the vision encoder are frozen.
    #[config(default = "Freeze::None")]
    pub freeze_vision: Freeze,
    /// Which weights of the text encoder are frozen; patches and convolutions in front of it still
    /// learn.
    #[config(default = "Freeze::None")]
    pub freeze_text: Freeze,
    /// Whether the features of a wholly frozen vision encoder are standardized by the training
    /// samples.
    #[config(default = false)]
    pub standardize_features: bool,
    /// Selection among the variates, in dual mode.
    #[config(default = "VariateSelectionConfig::new()")]
    pub selection: VariateSelectionConfig,
    /// How the variates become one vector in front of the head.
    #[config(default = "VariatePooling::Concat")]
    pub pooling: VariatePooling,
    /// The classifier head.
    #[config(default = "small_head()")]
    pub head: ClassifierHeadConfig,
    /// What is minimized.
    #[config(default = "TimesClipLoss::new()")]
    pub loss: TimesClipLoss,
}

fn small_vision() -> VisionEncoderConfig {
    VisionEncoderConfig::new(
        64,
        16,
        TransformerConfig::new(64, 256, 4, 2).with_dropout(0.1),
    )
}

fn small_language() -> LanguageConfig {
    let transformer = TransformerConfig::new(64, 256, 4, 2).with_dropout(0.1);
    LanguageConfig::new(SeriesTokenizerConfig::new().into(), transformer)
}

fn small_head() -> ClassifierHeadConfig {
    ClassifierHeadConfig::new(vec![128]).with_norm(HeadNorm::Layer)
}

impl TimesClipClassifierConfig {
    /// The reference's architecture around CLIP ViT-B/16 and CLIP-Text's 512-wide blocks.
    ///
    /// # Source
    /// The research code this crate replaces: no padding of the last patch, positions of
    /// standard deviation 1, variates told apart by color alone, means over the variates, batch norm.
    pub fn reference_vit_b_16(n_variates: usize, n_classes: usize) -> Self {
        let tokenizer = SeriesTokenizerConfig::new()
            .with_pad_end(false)
            .with_init_std(1.0)
            .with_variate_embedding(false);
        Self::new(n_variates, n_classes)
            .with_d_model(512)
            .with_vision(VisionEncoderConfig::clip_vit_b_16())
            .with_language(LanguageConfig::new(
                tokenizer.into(),
                TransformerConfig::new(512, 2048, 8, 12),
            ))
            .with_pooling(VariatePooling::Mean)
            .with_head(ClassifierHeadConfig::new(vec![512, 256]))
    }

    /// The reference's architecture around CLIP ViT-B/32: a quarter of the tokens of B/16.
    pub fn reference_vit_b_32(n_variates: usize, n_classes: usize) -> Self {
        Self::reference_vit_b_16(n_variates, n_classes)
            .with_vision(VisionEncoderConfig::clip_vit_b_32())
    }

    /// A preset that learns from tens of samples: convolutions read all variates of series of up to
    /// `n_steps` at once, a small ViT looks at the pictures, and the head is linear. Nothing is dropped, so that nothing but the initial
    /// weights comes from the backend's generator.
    pub fn convolutional(n_variates: usize, n_classes: usize, n_steps: usize) -> Self {
        let transformer = TransformerConfig::new(64, 128, 4, 2).with_activation(Activation::Gelu);
        let tokenizer = ConvolutionTokenizerConfig::new(n_steps);
        let mut vision = small_vision();
        vision.transformer.dropout = 0.0;
        Self::new(n_variates, n_classes)
            .with_vision(vision)
            .with_language(LanguageConfig::new(tokenizer.into(), transformer))
            .with_selection(VariateSelectionConfig::new().with_dropout(0.0))
            .with_head(ClassifierHeadConfig::new(Vec::new()).with_dropout(0.0))
    }

    /// The preset around the encoders that come with the crate (`weights::builtin`): both know the axes
    /// of the pictures, look at one variate at a time, and are meant to be loaded and frozen.
    pub fn line_plots(n_variates: usize, n_classes: usize) -> Self {
        let reading = ReadingEncoderConfig::new();
        Self::convolutional(n_variates, n_classes, 1)
            .with_vision(VisionEncoderConfig::line_plots())
            .with_language(LanguageConfig::of_points(&reading))
    }

    /// The small preset around DINOv2's ViT-S/14, which is meant to be loaded and frozen.
    pub fn vit_s_14(n_variates: usize, n_classes: usize) -> Self {
        Self::new(n_variates, n_classes).with_vision(VisionEncoderConfig::vit_s_14())
    }

    /// Checks that the sizes fit together.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] says which do not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let problem = if self.n_variates == 0 || self.n_classes < 2 || self.d_model == 0 {
            let Self {
                n_variates,
                n_classes,
                d_model,
                ..
            } = self;
            Some(format!(
                "{n_variates} variates, {n_classes} classes, a width of {d_model}"
            ))
        } else if self.modalities != self.modalities.of_network() {
            let modalities = self.modalities;
            Some(format!(
                "the modalities {modalities}: a network has vision, language or both, no kernels"
            ))
        } else {
            self.head
                .problem()
                .or_else(|| self.loss.problem(self.n_classes))
        };
        let problem = problem
            .or_else(|| {
                self.vision_problem()
                    .filter(|_| self.modalities.has_vision())
            })
            .or_else(|| {
                self.language_problem()
                    .filter(|_| self.modalities.has_language())
            })
            .or_else(|| {
                let dual = self.modalities == Modalities::DUAL;
                self.selection.problem(self.d_model).filter(|_| dual)
            });
        problem.map_or(Ok(()), |problem| Err(ConfigError::Invalid { problem }))
    }

    fn vision_problem(&self) -> Option<String> {
        let loose = self.standardize_features && self.freeze_vision != Freeze::All;
        self.vision
            .problem()
            .or_else(|| self.freeze_vision.problem(self.vision.transformer.n_layers))
            .or_else(|| {
                loose.then(|| {
                    "features are standardized only if the whole vision encoder is frozen".into()
                })
            })
    }

    fn language_problem(&self) -> Option<String> {
        let n_layers = self.language.transformer.n_layers;
        self.language
            .problem()
            .or_else(|| self.freeze_text.problem(n_layers))
    }

    /// Checks that series of `shortest..=longest` steps can be read.
    ///
    /// # Errors
    /// [`ConfigError::TooShort`] where a series would not fill a patch, [`ConfigError::TooLong`]
    /// where one makes more tokens than there are positions.
    pub fn check_steps(&self, shortest: usize, longest: usize) -> Result<(), ConfigError> {
        if !self.modalities.has_language() {
            return Ok(());
        }
        let TokenizerConfig::Patches(tokenizer) = &self.language.tokenizer else {
            return Ok(());
        };
        let too_short = |n_steps| {
            let patch_len = tokenizer.patch_len;
            ConfigError::TooShort { n_steps, patch_len }
        };
        tokenizer
            .n_tokens(shortest)
            .ok_or_else(|| too_short(shortest))?;
        let n_tokens = tokenizer
            .n_tokens(longest)
            .ok_or_else(|| too_short(longest))?;
        if n_tokens > tokenizer.max_tokens {
            let max_tokens = tokenizer.max_tokens;
            return Err(ConfigError::TooLong {
                n_steps: longest,
                n_tokens,
                max_tokens,
            });
        }
        Ok(())
    }
}

/// A classifier cannot be built as configured, or cannot read the series at hand.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// Sizes do not fit together.
    #[error("the model cannot be built: {problem}")]
    Invalid {
        /// Which, with their values.
        problem: String,
    },
    /// A series is shorter than a patch, and patches are not padded.
    #[error(
        "a series of {n_steps} steps is shorter than a patch of {patch_len}, and patches are not \
         padded"
    )]
    TooShort {
        /// Steps of the shortest series.
        n_steps: usize,
        /// Steps of a patch.
        patch_len: usize,
    },
    /// A series makes more tokens than the tokenizer has positions.
    #[error(
        "a series of {n_steps} steps makes {n_tokens} tokens, but there are {max_tokens} positions"
    )]
    TooLong {
        /// Steps of the longest series.
        n_steps: usize,
        /// Tokens it makes.
        n_tokens: usize,
        /// Positions there are.
        max_tokens: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ParameterCount, VisionEncoder};

    type Cpu = burn_flex::Flex;

    /// Counts without drawing the weights, which are made when first used.
    fn count(config: &VisionEncoderConfig) -> usize {
        let encoder: VisionEncoder<Cpu> = config.init(&Default::default());
        ParameterCount::visited(&encoder).total
    }

    #[test]
    fn clip_vision_encoders_have_clips_number_of_weights() {
        assert_eq!(count(&VisionEncoderConfig::clip_vit_b_16()), 85_799_424);
        assert_eq!(count(&VisionEncoderConfig::clip_vit_b_32()), 87_456_000);
    }

    #[test]
    fn presets_are_sound_and_the_reference_drops_the_last_step_of_37() {
        let small = TimesClipClassifierConfig::new(14, 4);
        let reference = TimesClipClassifierConfig::reference_vit_b_16(14, 4);
        assert_eq!(small.validate(), Ok(()));
        assert_eq!(reference.validate(), Ok(()));
        assert_eq!(
            TimesClipClassifierConfig::reference_vit_b_32(14, 4).validate(),
            Ok(())
        );
        let n_patches = |config: &TimesClipClassifierConfig| {
            let tokenizer = config.language.tokenizer.patches();
            tokenizer.and_then(|tokenizer| tokenizer.n_patches(37))
        };
        assert_eq!(n_patches(&small), Some(10));
        assert_eq!(n_patches(&reference), Some(9));
    }

    #[test]
    fn series_that_cannot_be_read_are_named_with_both_numbers() {
        let reference = TimesClipClassifierConfig::reference_vit_b_16(14, 4);
        let too_short = ConfigError::TooShort {
            n_steps: 3,
            patch_len: 4,
        };
        assert_eq!(reference.check_steps(3, 37), Err(too_short));
        let unread = reference.clone().with_modalities(Modalities::VISION_ONLY);
        assert_eq!(unread.check_steps(3, 37), Ok(()));
        let too_long = ConfigError::TooLong {
            n_steps: 5000,
            n_tokens: 1251,
            max_tokens: 1024,
        };
        assert_eq!(reference.check_steps(4, 5000), Err(too_long));
        assert_eq!(
            TimesClipClassifierConfig::new(1, 2).check_steps(1, 37),
            Ok(())
        );
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let good = TimesClipClassifierConfig::new(3, 4);
        let mut heads = good.clone();
        heads.vision.transformer.n_heads = 5;
        let mut tiles = good.clone();
        tiles.vision.image_patch_size = 7;
        let mut stride = good.clone();
        let patches = stride.language.tokenizer.patches_mut();
        patches.expect("patches").patch_stride = 9;
        let mut selection = good.clone();
        selection.selection.n_heads = 7;
        for bad in [
            TimesClipClassifierConfig::new(0, 4),
            TimesClipClassifierConfig::new(3, 1),
            heads.clone(),
            tiles,
            stride,
            selection,
        ] {
            assert!(
                matches!(bad.validate(), Err(ConfigError::Invalid { .. })),
                "{bad}"
            );
        }
        // A branch that is not there may be configured anyhow.
        assert_eq!(
            heads.with_modalities(Modalities::LANGUAGE_ONLY).validate(),
            Ok(())
        );
    }

    #[test]
    fn survives_a_round_trip_through_json() {
        let config = TimesClipClassifierConfig::reference_vit_b_32(14, 4);
        let text = serde_json::to_string(&config).unwrap();
        let back: TimesClipClassifierConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&back).unwrap(), text);
    }
}
