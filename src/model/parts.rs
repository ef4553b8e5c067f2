//! A classifier with other parts in it: pretrained encoders, another precision, what is frozen.

use burn::module::AutodiffModule;
use burn::tensor::FloatDType;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::{
    Freeze, LanguageBranch, PointTokenizer, ReadingEncoder, Standardize, TextEncoder,
    TimesClipClassifier, VisionBranch, VisionEncoder, VisionTower,
};

impl<B: Backend> TimesClipClassifier<B> {
    /// The same classifier with other weights in its vision encoder, pretrained ones say; frozen as
    /// the configuration has it.
    ///
    /// # Panics
    /// If the classifier sees nothing, or the encoder's sizes are not those of the configuration.
    #[must_use]
    pub fn with_vision_encoder(mut self, encoder: VisionEncoder<B>) -> Self {
        let Some(branch) = self.vision.take() else {
            panic!("a vision encoder was given to a classifier that sees nothing");
        };
        let (found, expected) = (encoder.config(), branch.vision_model.encoder());
        let expected = expected.config();
        assert_eq!(
            format!("{found:?}"),
            format!("{expected:?}"),
            "the vision encoder is not the one of the configuration"
        );
        let vision_model = match self.freeze_vision {
            Freeze::All => branch.vision_model.with_encoder(encoder),
            freeze => freeze.freeze_vision(encoder),
        };
        self.vision = Some(VisionBranch {
            vision_model,
            ..branch
        });
        self
    }

    /// The same classifier, whose frozen vision encoder computes in another precision. A vision
    /// encoder that is trained stays in single precision, in which optimizers work.
    #[must_use]
    pub fn with_frozen_precision(mut self, dtype: FloatDType) -> Self {
        self.vision = self.vision.map(|branch| VisionBranch {
            vision_model: branch.vision_model.with_frozen_precision(dtype),
            ..branch
        });
        self
    }

    /// The same classifier, which standardizes the features of its frozen vision encoder by these
    /// means and standard deviations of the training samples.
    ///
    /// # Panics
    /// If the configuration does not have features standardized, or has another number of them.
    #[must_use]
    pub fn with_standardized(mut self, mean: &[f32], std: &[f32]) -> Self {
        let Some(branch) = self.vision.as_mut() else {
            panic!("features to standardize by, for a classifier that sees nothing");
        };
        let Some(standardize) = branch.standardize.take() else {
            panic!("features to standardize by, for a classifier that does not standardize them");
        };
        branch.standardize = Some(standardize.fitted(mean, std));
        self
    }

    /// The same classifier with other weights in its text encoder; frozen as the configuration has
    /// it.
    ///
    /// # Panics
    /// If the classifier reads nothing, or the encoder has another number of blocks or width.
    #[must_use]
    pub fn with_text_encoder(self, text: TextEncoder<B>) -> Self {
        self.with_language(|branch| {
            let size = |text: &TextEncoder<B>| (text.encoder.layers.len(), text.d_model());
            let (found, expected) = (size(&text), size(&branch.text_model));
            assert_eq!(
                found, expected,
                "blocks and width of the text encoder are {found:?}, not {expected:?}"
            );
            LanguageBranch {
                text_model: text,
                ..branch
            }
        })
    }

    /// The same classifier with the weights of a reading encoder, its tokenizer and its blocks;
    /// frozen as the configuration has it.
    ///
    /// # Panics
    /// If the classifier does not read points, or the encoder is of other sizes.
    #[must_use]
    pub fn with_reading_encoder(self, encoder: ReadingEncoder<B>) -> Self {
        let (points, text) = encoder.into_parts();
        let model = self.with_text_encoder(text);
        model.with_language(|branch| {
            let shapes = |points: &PointTokenizer<B>| {
                let stem = points.stem.iter().map(|layer| layer.weight.dims());
                (stem.collect::<Vec<_>>(), points.positions.dims())
            };
            let (found, expected) = (shapes(&points), branch.points.as_ref().map(shapes));
            assert_eq!(Some(found), expected, "convolutions and positions");
            LanguageBranch {
                points: Some(points),
                ..branch
            }
        })
    }

    /// The same classifier with another language branch, frozen as the configuration has it.
    fn with_language(
        mut self,
        change: impl FnOnce(LanguageBranch<B>) -> LanguageBranch<B>,
    ) -> Self {
        let Some(branch) = self.language.take() else {
            panic!("a text encoder was given to a classifier that reads nothing");
        };
        self.language = Some(self.freeze_text.freeze_language(change(branch)));
        self
    }

    /// Freezes the weights that the configuration names.
    pub(crate) fn freeze(mut self) -> Self {
        let (vision, text) = (self.freeze_vision, self.freeze_text);
        self.vision = self.vision.map(|branch| VisionBranch {
            vision_model: vision.freeze_vision(branch.vision_model.encoder()),
            ..branch
        });
        self.language = self.language.map(|branch| text.freeze_language(branch));
        self
    }
}

impl<B: AutodiffBackend> TimesClipClassifier<B> {
    /// The same classifier with what does not learn of `plain`: a frozen vision encoder, which then
    /// computes without autodiff and is shared, not copied, and what features are standardized by.
    #[must_use]
    pub fn with_fixed_of(mut self, plain: &TimesClipClassifier<B::InnerBackend>) -> Self {
        if let (Some(branch), Some(fixed)) = (&mut self.vision, &plain.vision)
            && fixed.vision_model.is_frozen()
        {
            branch.vision_model = VisionTower::from_inner(fixed.vision_model.clone());
            branch.standardize = fixed.standardize.clone().map(Standardize::from_inner);
        }
        self
    }
}
