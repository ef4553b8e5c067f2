//! The two branches: an encoder each, and the map into the space both share.

use burn::config::Config;
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor};

use super::frozen::VisionTower;
use super::reading::ReadingEncoderConfig;
use super::standardize::Standardize;
use super::tokenizer::{
    ConvolutionTokenizer, PointTokenizer, SeriesTokenizer, TokenizerConfig, torch_linear,
};
use super::transformer::{Transformer, TransformerConfig};
use crate::model::fused::{self, NORM_EPSILON};
use crate::model::input::{SeriesInput, VisionInput};

/// Linear map and layer norm from an encoder's width to the shared width.
#[derive(Module, Debug)]
pub struct Projection<B: Backend> {
    /// The map.
    pub linear: Linear<B>,
    /// The norm of what it gives.
    pub norm: LayerNorm<B>,
}

impl<B: Backend> Projection<B> {
    pub(super) fn new(d_input: usize, d_output: usize, device: &B::Device) -> Self {
        let linear = LinearConfig::new(d_input, d_output).with_initializer(torch_linear());
        Self {
            linear: linear.init(device),
            norm: LayerNormConfig::new(d_output).init(device),
        }
    }

    fn forward(&self, x: Tensor<B, 3>) -> Tensor<B, 3> {
        fused::layer_norm(&self.norm, NORM_EPSILON, fused::linear(&self.linear, x))
    }
}

/// Sees: pictures of the variates to one embedding a variate.
#[derive(Module, Debug)]
pub struct VisionBranch<B: Backend> {
    /// CLIP's vision transformer.
    pub vision_model: VisionTower<B>,
    /// Standardizes what a frozen encoder gives.
    pub standardize: Option<Standardize<B>>,
    /// Into the shared space.
    pub projection: Projection<B>,
}

impl<B: Backend> VisionBranch<B> {
    /// Embeds pictures, or features that the encoder gave before.
    ///
    /// # Shapes
    /// - input: as the variants of [`VisionInput`] say
    /// - output: `[batch, n_variates, d_model]`
    ///
    /// # Panics
    /// As [`features`](Self::features).
    pub fn forward(&self, input: VisionInput<B>) -> Tensor<B, 3> {
        let features = self.features(input);
        let features = match &self.standardize {
            Some(standardize) => standardize.forward(features),
            None => features,
        };
        self.projection.forward(features)
    }

    /// What the encoder gives, or gave before.
    ///
    /// # Shapes
    /// - input: as the variants of [`VisionInput`] say
    /// - output: `[batch, n_variates, d_output]`
    ///
    /// # Panics
    /// If features are given to an encoder that is not frozen, or the sizes are not the model's.
    pub fn features(&self, input: VisionInput<B>) -> Tensor<B, 3> {
        match input {
            VisionInput::Masks { masks, colors } => self.vision_model.forward(masks, colors),
            VisionInput::Features(features) => {
                assert!(
                    self.vision_model.is_frozen(),
                    "the batch brings features, but the vision encoder learns: it needs pictures"
                );
                let (found, expected) =
                    (features.dims()[2], self.projection.linear.weight.dims()[0]);
                assert_eq!(
                    found, expected,
                    "features of width {found}, but the encoder gives {expected}"
                );
                features
            }
        }
    }
}

/// Sizes of a [`LanguageBranch`].
#[derive(Config, Debug)]
pub struct LanguageConfig {
    /// How series become tokens.
    pub tokenizer: TokenizerConfig,
    /// The CLIP-Text blocks.
    pub transformer: TransformerConfig,
    /// Whether a token attends only to itself and those before it, as CLIP-Text was trained. The
    /// class token comes first here, so it would see nothing but itself: off by default.
    #[config(default = false)]
    pub causal: bool,
}

impl LanguageConfig {
    /// A language branch of the sizes of a reading encoder.
    pub fn of_points(reading: &ReadingEncoderConfig) -> Self {
        Self::new(reading.tokenizer().into(), reading.transformer.clone())
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.tokenizer
            .problem()
            .or_else(|| self.transformer.problem())
    }

    pub(super) fn init<B: Backend>(
        &self,
        n_variates: usize,
        d_model: usize,
        device: &B::Device,
    ) -> LanguageBranch<B> {
        let width = self.transformer.d_model;
        let mut branch = LanguageBranch {
            tokenizer: None,
            convolutions: None,
            points: None,
            text_model: self.init_text(device),
            projection: None,
        };
        // Of convolutions class token and mean are read out, of points all tokens.
        let d_read = match &self.tokenizer {
            TokenizerConfig::Patches(config) => {
                branch.tokenizer = Some(config.init(n_variates, width, device));
                width
            }
            TokenizerConfig::Convolutions(config) => {
                branch.convolutions = Some(config.init(n_variates, width, device));
                2 * width
            }
            TokenizerConfig::Points(config) => {
                branch.points = Some(config.init(width, device));
                config.n_tokens() * width
            }
        };
        branch.projection = (d_read != d_model).then(|| Projection::new(d_read, d_model, device));
        branch
    }

    /// Creates the text encoder alone, with CLIP's initialization.
    pub(crate) fn init_text<B: Backend>(&self, device: &B::Device) -> TextEncoder<B> {
        let norm = LayerNormConfig::new(self.transformer.d_model);
        let norm = norm.with_epsilon(self.transformer.layer_norm_eps);
        TextEncoder {
            encoder: self.transformer.init(device),
            final_layer_norm: norm.init(device),
            causal: self.causal,
        }
    }
}

/// CLIP's text transformer over given token embeddings.
#[derive(Module, Debug)]
pub struct TextEncoder<B: Backend> {
    /// The blocks.
    pub encoder: Transformer<B>,
    /// Norm of what leaves the blocks.
    pub final_layer_norm: LayerNorm<B>,
    pub(super) causal: bool,
}

impl<B: Backend> TextEncoder<B> {
    /// Width of a token.
    pub(super) fn d_model(&self) -> usize {
        self.final_layer_norm.gamma.dims()[0]
    }

    /// Runs the blocks and the last norm.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq, d_model]`, positions already added
    /// - masked: `[batch, seq]`, true where a token must not be attended to
    /// - output: `[batch, seq, d_model]`
    pub fn forward(
        &self,
        tokens: Tensor<B, 3>,
        masked: Option<Tensor<B, 2, Bool>>,
    ) -> Tensor<B, 3> {
        let masked = self.mask(&tokens, masked);
        let x = self.encoder.forward(tokens, masked.as_ref());
        self.final_layer_norm.forward(x)
    }

    /// Runs the blocks and the last norm for the first token of every sequence.
    ///
    /// # Shapes
    /// - tokens, masked: as for [`forward`](Self::forward)
    /// - output: `[batch, 1, d_model]`
    pub(super) fn forward_class_token(
        &self,
        tokens: Tensor<B, 3>,
        masked: Option<Tensor<B, 2, Bool>>,
    ) -> Tensor<B, 3> {
        let masked = self.mask(&tokens, masked);
        let n_layers = self.encoder.layers.len();
        self.final_layer_norm
            .forward(
                self.encoder
                    .forward_class_token(n_layers, tokens, masked.as_ref()),
            )
    }

    /// The tokens in front of the first block and behind every block, before the last norm.
    ///
    /// # Shapes
    /// - tokens, masked: as for [`forward`](Self::forward)
    /// - output: `n_layers + 1` times `[batch, seq, d_model]`
    pub fn hidden_states(
        &self,
        tokens: Tensor<B, 3>,
        masked: Option<Tensor<B, 2, Bool>>,
    ) -> Vec<Tensor<B, 3>> {
        let masked = self.mask(&tokens, masked);
        self.encoder.hidden_states(tokens, masked.as_ref())
    }

    /// Which keys each query must not attend to: `[batch or 1, 1, seq or 1, seq]`.
    fn mask(
        &self,
        tokens: &Tensor<B, 3>,
        masked: Option<Tensor<B, 2, Bool>>,
    ) -> Option<Tensor<B, 4, Bool>> {
        let [batch, seq, _] = tokens.dims();
        let padded = masked.map(|masked| masked.reshape([batch, 1, 1, seq]));
        if !self.causal {
            return padded;
        }
        // `tril_mask` is true above the diagonal: the tokens that come later
        let later = Tensor::<B, 2, Bool>::tril_mask([seq, seq], 0, &tokens.device());
        let later = later.reshape([1, 1, seq, seq]);
        Some(match padded {
            Some(padded) => {
                let shape = [batch, 1, seq, seq];
                padded.expand(shape).bool_or(later.expand(shape))
            }
            None => later,
        })
    }
}

/// Reads: values of the variates to one embedding a variate, or to one of all together.
#[derive(Module, Debug)]
pub struct LanguageBranch<B: Backend> {
    /// Values to tokens, variate by variate, if it reads patches.
    pub tokenizer: Option<SeriesTokenizer<B>>,
    /// Values to tokens, all variates together, if it reads by convolutions.
    pub convolutions: Option<ConvolutionTokenizer<B>>,
    /// Points on the axes of the pictures to tokens, variate by variate, if it reads points.
    pub points: Option<PointTokenizer<B>>,
    /// CLIP's text transformer.
    pub text_model: TextEncoder<B>,
    /// Into the shared space, where the widths differ.
    pub projection: Option<Projection<B>>,
}

impl<B: Backend> LanguageBranch<B> {
    /// Embeds a batch of series.
    ///
    /// # Shapes
    /// - input: as the fields of [`SeriesInput`] say
    /// - output: `[batch, n_variates, d_model]` of patches and points, `[batch, 1, d_model]` of
    ///   convolutions
    ///
    /// # Panics
    /// If the branch was put together without a tokenizer, or reads points and there are none.
    pub fn forward(&self, input: &SeriesInput<B>) -> Tensor<B, 3> {
        let read = match (&self.tokenizer, &self.convolutions, &self.points) {
            (Some(tokenizer), ..) => self.read_variates(tokenizer, input),
            (None, Some(convolutions), _) => self.read_whole(convolutions, input),
            (None, None, Some(points)) => self.read_points(points, input),
            (None, None, None) => panic!("a language branch without a tokenizer"),
        };
        match &self.projection {
            Some(projection) => projection.forward(read),
            None => read,
        }
    }

    /// Whether a sample's embedding depends, in training, on the other samples of its batch.
    #[cfg(feature = "train")]
    pub(crate) fn looks_across_samples(&self) -> bool {
        self.convolutions.is_some()
    }

    /// The class token of every variate.
    fn read_variates(
        &self,
        tokenizer: &SeriesTokenizer<B>,
        input: &SeriesInput<B>,
    ) -> Tensor<B, 3> {
        let [batch, _, n_variates] = input.values.dims();
        let tokens = tokenizer.forward(input);
        let x = self
            .text_model
            .forward_class_token(tokens.tokens, tokens.masked);
        let width = x.dims()[2];
        x.reshape([batch, n_variates, width])
    }

    /// All tokens of every variate, one after the other.
    fn read_points(&self, tokenizer: &PointTokenizer<B>, input: &SeriesInput<B>) -> Tensor<B, 3> {
        let Some(points) = input.points.clone() else {
            panic!("the model reads points, but the batch brings none");
        };
        let [batch, n_variates, n_points, point] = points.dims();
        let tokens = tokenizer.forward(points.reshape([batch * n_variates, n_points, point]));
        let x = self.text_model.forward(tokens.tokens, tokens.masked);
        let [_, n_tokens, width] = x.dims();
        x.reshape([batch, n_variates, n_tokens * width])
    }

    /// The class token, then the mean of the tokens that say something.
    fn read_whole(
        &self,
        convolutions: &ConvolutionTokenizer<B>,
        input: &SeriesInput<B>,
    ) -> Tensor<B, 3> {
        let tokens = convolutions.forward(input);
        let x = self
            .text_model
            .forward(tokens.tokens, tokens.masked.clone());
        let rest = x.dims()[1] - 1;
        let (class, others) = (x.clone().narrow(1, 0, 1), x.narrow(1, 1, rest));
        let mean = match tokens.masked {
            None => others.mean_dim(1),
            Some(masked) => {
                let said = masked.narrow(1, 1, rest).bool_not().float();
                let said: Tensor<B, 3> = said.unsqueeze_dim(2);
                let count = said.clone().sum_dim(1).clamp_min(1.0);
                (others * said).sum_dim(1) / count
            }
        };
        fused::concat(vec![class, mean], 2)
    }
}
