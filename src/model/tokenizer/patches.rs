//! Cuts the values of each variate into patches and turns the patches into tokens.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use super::super::transformer::normal;
use super::{SeriesTokens, torch_linear};
use crate::model::fused::{self, NORM_EPSILON};
use crate::model::input::SeriesInput;

/// How the language branch reads a series.
#[derive(Config, Debug)]
pub struct SeriesTokenizerConfig {
    /// Number of steps in a patch.
    #[config(default = 4)]
    pub patch_len: usize,
    /// Steps from one patch to the next; at most `patch_len`, so that no step is skipped.
    #[config(default = 4)]
    pub patch_stride: usize,
    /// Whether the last patch is filled up with missing steps. Without it, steps that fill no
    /// whole patch are not read, and a series shorter than a patch is refused.
    #[config(default = true)]
    pub pad_end: bool,
    /// Number of learnable positions: class token, statistics token and patches.
    #[config(default = 1024)]
    pub max_tokens: usize,
    /// Dropout of the patch tokens.
    #[config(default = 0.1)]
    pub dropout: f64,
    /// Standard deviation of the initial positions and class token.
    #[config(default = 0.02)]
    pub init_std: f64,
    /// Whether each variate has a learnable vector, without which the branch cannot tell one
    /// variate from another.
    #[config(default = true)]
    pub variate_embedding: bool,
    /// Whether a token made of each variate's mean and standard deviation follows the class token.
    #[config(default = false)]
    pub statistics: bool,
}

impl SeriesTokenizerConfig {
    /// Number of patches of a series of `n_steps`, or `None` if it is too short to have any.
    pub fn n_patches(&self, n_steps: usize) -> Option<usize> {
        let Self {
            patch_len,
            patch_stride,
            ..
        } = *self;
        match (n_steps.checked_sub(patch_len), self.pad_end) {
            (Some(rest), true) => Some(rest.div_ceil(patch_stride) + 1),
            (Some(rest), false) => Some(rest / patch_stride + 1),
            (None, true) => Some(1),
            (None, false) => None,
        }
    }

    /// Number of tokens of a series of `n_steps`, or `None` if it is too short to have any patch.
    pub fn n_tokens(&self, n_steps: usize) -> Option<usize> {
        self.n_patches(n_steps)
            .map(|n| n + 1 + usize::from(self.statistics))
    }

    /// Says what is wrong with this configuration, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let Self {
            patch_len,
            patch_stride,
            ..
        } = *self;
        if patch_stride == 0 || patch_stride > patch_len {
            return Some(format!(
                "patches of {patch_len} steps every {patch_stride} steps"
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Some(format!("a dropout of {} is outside 0..1", self.dropout));
        }
        None
    }

    /// Creates the tokenizer.
    ///
    /// # Panics
    /// If `patch_stride` is zero or larger than `patch_len`.
    pub fn init<B: Backend>(
        &self,
        n_variates: usize,
        d_model: usize,
        device: &B::Device,
    ) -> SeriesTokenizer<B> {
        let Self {
            patch_len,
            patch_stride,
            init_std,
            ..
        } = *self;
        assert!(
            patch_stride > 0 && patch_stride <= patch_len,
            "patches of {patch_len} steps every {patch_stride} steps"
        );
        SeriesTokenizer {
            projection: LinearConfig::new(patch_len, d_model)
                .with_initializer(torch_linear())
                .init(device),
            patch_norm: LayerNormConfig::new(d_model).init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
            class_token: normal([d_model], init_std, device),
            positions: normal([self.max_tokens, d_model], init_std, device),
            variates: self
                .variate_embedding
                .then(|| normal([n_variates, d_model], init_std, device)),
            statistics: self.statistics.then(|| {
                LinearConfig::new(2, d_model)
                    .with_initializer(torch_linear())
                    .init(device)
            }),
            token_norm: LayerNormConfig::new(d_model).init(device),
            config: self.clone(),
        }
    }
}

/// Turns values into the tokens of one sequence a variate.
///
/// # Source
/// PatchTST-style patches, as TimesCLIP section 3 (arXiv:2506.24124v2) reads them.
#[derive(Module, Debug)]
pub struct SeriesTokenizer<B: Backend> {
    /// Linear map of a patch.
    pub projection: Linear<B>,
    /// Norm of the mapped patches.
    pub patch_norm: LayerNorm<B>,
    dropout: Dropout,
    /// First token of every sequence, `[d_model]`.
    pub class_token: Param<Tensor<B, 1>>,
    /// One vector a position, `[max_tokens, d_model]`.
    pub positions: Param<Tensor<B, 2>>,
    /// One vector a variate, `[n_variates, d_model]`.
    pub variates: Option<Param<Tensor<B, 2>>>,
    /// Linear map of a variate's mean and standard deviation.
    pub statistics: Option<Linear<B>>,
    /// Norm of the finished tokens.
    pub token_norm: LayerNorm<B>,
    #[module(skip)]
    config: SeriesTokenizerConfig,
}

impl<B: Backend> SeriesTokenizer<B> {
    /// Makes the tokens of a batch.
    ///
    /// # Shapes
    /// As the fields of [`SeriesInput`] and [`SeriesTokens`] say.
    ///
    /// # Panics
    /// If the series are shorter than a patch and are not to be padded, make more tokens than
    /// there are positions, or come without the statistics this tokenizer reads.
    pub fn forward(&self, input: &SeriesInput<B>) -> SeriesTokens<B> {
        let [batch, n_steps, n_variates] = input.values.dims();
        let rows = batch * n_variates;
        let patches = self.patches(input.values.clone()); // [B, V, P, patch_len]
        let n_patches = patches.dims()[2];
        let tokens = self.embed(patches, rows);
        let d_model = tokens.dims()[2];
        let tokens = match self.statistics_token(input, rows) {
            Some(statistics) => fused::concat(vec![statistics, tokens], 1),
            None => tokens,
        };
        let seq = tokens.dims()[1] + 1;
        let slots = self.positions.dims()[0];
        assert!(
            seq <= slots,
            "{n_steps} steps make {seq} tokens, but there are {slots} positions"
        );
        let tokens = fused::sequences(
            tokens,
            self.class_token.val(),
            self.positions.val().slice([0..seq, 0..d_model]),
            self.variates(n_variates),
        );
        let masked = input.valid.clone().map(|valid| {
            let covered = self
                .patches(valid.float())
                .sum_dim(3)
                .reshape([rows, n_patches]);
            let always = Tensor::zeros([rows, seq - n_patches], &covered.device());
            fused::concat(vec![always, covered.equal_elem(0).float()], 1).equal_elem(1)
        });
        SeriesTokens {
            tokens: fused::layer_norm(&self.token_norm, NORM_EPSILON, tokens),
            masked,
        }
    }

    /// `[batch, n_steps, n_variates]` -> `[batch, n_variates, n_patches, patch_len]`; steps after
    /// the end are 0.
    fn patches(&self, values: Tensor<B, 3>) -> Tensor<B, 4> {
        let [batch, n_steps, n_variates] = values.dims();
        let SeriesTokenizerConfig {
            patch_len,
            patch_stride,
            ..
        } = self.config;
        let n_patches = self.config.n_patches(n_steps);
        let n_patches = n_patches.unwrap_or_else(|| {
            panic!("a series of {n_steps} steps is shorter than a patch of {patch_len}")
        });
        let covered = (n_patches - 1) * patch_stride + patch_len;
        let device = values.device();
        // [B, T, V] -> [B, V, T]
        let mut rows = values.swap_dims(1, 2);
        if covered > n_steps {
            let padding = Tensor::zeros([batch, n_variates, covered - n_steps], &device);
            rows = fused::concat(vec![rows, padding], 2);
        }
        let rows = if patch_len == patch_stride {
            rows.slice([0..batch, 0..n_variates, 0..covered])
        } else {
            let starts = Tensor::<B, 1, Int>::arange(0..n_patches as i64, &device);
            let steps = Tensor::<B, 1, Int>::arange(0..patch_len as i64, &device);
            let index = starts
                .mul_scalar(patch_stride as i64)
                .reshape([n_patches, 1])
                + steps.reshape([1, patch_len]);
            rows.select(2, index.reshape([n_patches * patch_len]))
        };
        rows.reshape([batch, n_variates, n_patches, patch_len])
    }

    /// `[batch, n_variates, n_patches, patch_len]` -> `[rows, n_patches, d_model]`
    fn embed(&self, patches: Tensor<B, 4>, rows: usize) -> Tensor<B, 3> {
        let [_, _, n_patches, patch_len] = patches.dims();
        let patches = patches.reshape([rows, n_patches, patch_len]);
        let mapped = fused::linear(&self.projection, patches);
        let mapped = fused::layer_norm(&self.patch_norm, NORM_EPSILON, mapped);
        fused::drop_gelu(&self.dropout, mapped)
    }

    /// `[rows, 1, d_model]`, if this tokenizer reads statistics.
    fn statistics_token(&self, input: &SeriesInput<B>, rows: usize) -> Option<Tensor<B, 3>> {
        let layer = self.statistics.as_ref()?;
        let Some(statistics) = input.statistics.clone() else {
            panic!("the tokenizer reads statistics, but the batch brings none");
        };
        let token = layer.forward(statistics.reshape([rows, 2]));
        let d_model = token.dims()[1];
        Some(token.reshape([rows, 1, d_model]))
    }

    /// One vector a variate, if this tokenizer has them.
    fn variates(&self, n_variates: usize) -> Option<Tensor<B, 2>> {
        let variates = self.variates.as_ref()?;
        let known = variates.dims()[0];
        assert_eq!(
            n_variates, known,
            "{n_variates} variates, tokenizer made for {known}"
        );
        Some(variates.val())
    }
}
