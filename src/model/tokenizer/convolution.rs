//! Reads all variates at once: convolutions of several widths along time, pooled to a few tokens.

use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Bool, Tensor};

use super::super::transformer::normal;
use super::{SeriesTokens, torch_linear};
use crate::model::fused::{self, Affine, NORM_EPSILON};
use crate::model::input::SeriesInput;

/// Numbers of a variate at a step: its value, the difference to the step before, its validity.
const PER_VARIATE: usize = 3;
/// Deeper than any activation: what it is added to is no maximum.
const BELOW_ALL: f32 = 1e4;

/// How the language branch reads all variates of a series in one sequence.
///
/// Two layers of convolutions of several widths, the second through a bottleneck and added to the
/// first, each with batch norm and GELU; then the mean and the maximum of equal stretches of time.
///
/// # Source
/// Inception blocks for series: InceptionTime (arXiv:1909.04939).
#[derive(Config, Debug)]
pub struct ConvolutionTokenizerConfig {
    /// Steps of the longest series that it is made for, which decide how finely it reads. Longer
    /// series are read as finely, but the tokens behind the last position share that position.
    pub n_steps: usize,
    /// Widths of the first layer's convolutions, odd numbers.
    #[config(default = "vec![5, 11, 23]")]
    pub first_kernels: Vec<usize>,
    /// Widths of the second layer's convolutions, odd numbers, as many as in the first.
    #[config(default = "vec![3, 9, 17]")]
    pub second_kernels: Vec<usize>,
    /// Filters of each convolution.
    #[config(default = 16)]
    pub n_filters: usize,
    /// Channels between the two layers.
    #[config(default = 16)]
    pub bottleneck: usize,
    /// Steps that the first layer leaves at most of `n_steps`: it strides over longer series.
    #[config(default = 128)]
    pub max_steps: usize,
    /// Tokens that are made of `n_steps` at most.
    #[config(default = 24)]
    pub n_tokens: usize,
    /// Standard deviation of the initial positions and class token.
    #[config(default = 0.02)]
    pub init_std: f64,
}

impl ConvolutionTokenizerConfig {
    /// Steps from one reading of the first layer to the next.
    pub fn stride(&self) -> usize {
        self.n_steps.div_ceil(self.max_steps).max(1)
    }

    /// Readings of the first layer that become one token.
    pub fn readings_per_token(&self) -> usize {
        let readings = self.n_steps.div_ceil(self.stride());
        readings.div_ceil(self.n_tokens).max(1)
    }

    /// Channels of both layers.
    fn width(&self) -> usize {
        self.n_filters * self.first_kernels.len()
    }

    /// Says what is wrong with this configuration, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        let Self {
            n_steps,
            first_kernels,
            second_kernels,
            n_filters,
            bottleneck,
            max_steps,
            n_tokens,
            ..
        } = self;
        let sizes = [*n_steps, *n_filters, *bottleneck, *max_steps, *n_tokens];
        if sizes.contains(&0) {
            return Some(format!(
                "convolutions over {n_steps} steps, {n_filters} filters each, {bottleneck} channels \
                 between the layers, at most {max_steps} readings and {n_tokens} tokens"
            ));
        }
        let even = |kernels: &[usize]| kernels.iter().any(|size| size.is_multiple_of(2));
        let alike = first_kernels.len() == second_kernels.len() && !first_kernels.is_empty();
        (!alike || even(first_kernels) || even(second_kernels)).then(|| {
            format!(
                "convolutions of {first_kernels:?} steps, then of {second_kernels:?}: as many odd \
                 numbers in both"
            )
        })
    }

    pub(crate) fn init<B: Backend>(
        &self,
        n_variates: usize,
        d_model: usize,
        device: &B::Device,
    ) -> ConvolutionTokenizer<B> {
        let width = self.width();
        let linear = |d_input, d_output| {
            LinearConfig::new(d_input, d_output)
                .with_initializer(torch_linear())
                .init(device)
        };
        let norm = || BatchNormConfig::new(width).init(device);
        let channels = PER_VARIATE * n_variates;
        let layer = |kernels: &[usize], channels| {
            TimeConvolutions::new(kernels, channels, self.n_filters, device)
        };
        ConvolutionTokenizer {
            first: layer(&self.first_kernels, channels),
            first_norm: norm(),
            bottleneck: linear(width, self.bottleneck),
            second: layer(&self.second_kernels, self.bottleneck),
            second_norm: norm(),
            projection: linear(2 * width, d_model),
            class_token: normal([d_model], self.init_std, device),
            positions: normal([self.n_tokens + 1, d_model], self.init_std, device),
            token_norm: LayerNormConfig::new(d_model).init(device),
            config: self.clone(),
        }
    }
}

/// Convolutions of several widths side by side, without biases.
#[derive(Module, Debug)]
pub struct TimeConvolutions<B: Backend> {
    /// Weights of each, `[n_filters, channels, width]`, as PyTorch has them.
    pub kernels: Vec<Param<Tensor<B, 3>>>,
}

impl<B: Backend> TimeConvolutions<B> {
    fn new(kernels: &[usize], channels: usize, n_filters: usize, device: &B::Device) -> Self {
        let kernel = |&size: &usize| {
            let inputs = channels * size;
            torch_linear().init_with(
                [n_filters, channels, size],
                Some(inputs),
                Some(n_filters * size),
                device,
            )
        };
        Self {
            kernels: kernels.iter().map(kernel).collect(),
        }
    }

    /// Convolves along time, with zeros around.
    ///
    /// All widths are one matrix product over the windows of the widest: Burn's own convolutions are
    /// slow on the CPU where they learn.
    ///
    /// # Shapes
    /// - x: `[batch, steps, channels]`
    /// - output: `[batch, ceil(steps / stride), kernels * n_filters]`
    fn forward(&self, x: Tensor<B, 3>, stride: usize) -> Tensor<B, 3> {
        let widest = self.kernels.iter().map(|kernel| kernel.dims()[2]).max();
        let widest = widest.unwrap_or(1);
        let weights = self.kernels.iter().map(|kernel| {
            let [n_filters, channels, size] = kernel.dims();
            // [size, channels, n_filters]
            let weight = kernel.val().permute([2, 1, 0]);
            let outside = [(widest - size) / 2, channels, n_filters];
            let weight = match outside[0] {
                0 => weight,
                _ => {
                    let zeros = Tensor::zeros(outside, (&weight.device(), weight.dtype()));
                    fused::concat(vec![zeros.clone(), weight, zeros], 0)
                }
            };
            weight.reshape([widest * channels, n_filters])
        });
        let weights = fused::concat(weights.collect(), 1);
        let windows = fused::windows(x, widest, stride);
        let ([batch, steps, row], [_, width]) = (windows.dims(), weights.dims());
        let y = windows.reshape([batch * steps, row]).matmul(weights);
        y.reshape([batch, steps, width])
    }
}

/// Turns the values of all variates into the tokens of one sequence.
#[derive(Module, Debug)]
pub struct ConvolutionTokenizer<B: Backend> {
    /// The first layer.
    pub first: TimeConvolutions<B>,
    /// Norm of what it gives.
    pub first_norm: BatchNorm<B>,
    /// From the first layer to the second.
    pub bottleneck: Linear<B>,
    /// The second layer.
    pub second: TimeConvolutions<B>,
    /// Norm of what it gives.
    pub second_norm: BatchNorm<B>,
    /// From the means and maxima of a stretch of time to its token.
    pub projection: Linear<B>,
    /// First token of every sequence, `[d_model]`.
    pub class_token: Param<Tensor<B, 1>>,
    /// One vector a position, the class token's first, `[n_tokens + 1, d_model]`.
    pub positions: Param<Tensor<B, 2>>,
    /// Norm of the finished tokens.
    pub token_norm: LayerNorm<B>,
    #[module(skip)]
    config: ConvolutionTokenizerConfig,
}

impl<B: Backend> ConvolutionTokenizer<B> {
    /// Makes the tokens of a batch: one sequence a sample.
    ///
    /// Steps at which no variate has a value count in no statistics of the batch and in no token,
    /// so that a sample's tokens do not depend on how far its neighbors pad it.
    ///
    /// # Shapes
    /// - input: as the fields of [`SeriesInput`] say
    /// - tokens: `[batch, n_tokens + 1, d_model]`, class token first
    /// - masked: `[batch, n_tokens + 1]`
    pub fn forward(&self, input: &SeriesInput<B>) -> SeriesTokens<B> {
        let stride = self.config.stride();
        // [B, readings]
        let valid = input.valid.clone().map(|valid| covered(valid, stride));
        let first = self.first.forward(channels(input), stride);
        let first = fused::gelu(norm(&self.first_norm, first, valid.clone()));
        let narrow = fused::linear(&self.bottleneck, first.clone());
        let narrow = match &valid {
            // The bias shows where nothing was read.
            Some(valid) => narrow * valid.clone().float().unsqueeze_dim(2),
            None => narrow,
        };
        let second = self.second.forward(narrow, 1);
        let second = norm(&self.second_norm, second, valid.clone());
        self.pooled(fused::gelu(second + first), valid)
    }

    /// `[batch, readings, width]` and which of them are valid -> tokens
    fn pooled(&self, x: Tensor<B, 3>, valid: Option<Tensor<B, 2, Bool>>) -> SeriesTokens<B> {
        let stretch = self.config.readings_per_token();
        let ([batch, readings, width], device) = (x.dims(), x.device());
        let n = readings.div_ceil(stretch);
        let missing = n * stretch - readings;
        let (x, valid) = match missing {
            0 => (x, valid),
            _ => {
                let valid = valid.unwrap_or_else(|| mask([batch, readings], true, &device));
                let none = mask([batch, missing], false, &device);
                let zeros = Tensor::zeros([batch, missing, width], (&device, x.dtype()));
                let x = fused::concat(vec![x, zeros], 1);
                (x, Some(fused::concat(vec![valid, none], 1)))
            }
        };
        let x = x.reshape([batch * n, stretch, width]);
        let (sums, x, counts) = match &valid {
            None => (x.clone().sum_dim(1), x, None),
            Some(valid) => {
                let counted = valid.clone().float().reshape([batch * n, stretch, 1]);
                let counts = counted.clone().sum_dim(1);
                let x = x * counted.clone();
                (
                    x.clone().sum_dim(1),
                    x + (counted - 1.0) * BELOW_ALL,
                    Some(counts),
                )
            }
        };
        let most = x.max_dim(1);
        let (means, most) = match &counts {
            None => (sums / stretch as f32, most),
            Some(counts) => (
                sums / counts.clone().clamp_min(1.0),
                most * counts.clone().clamp_max(1.0),
            ),
        };
        let pooled = fused::concat(vec![means, most], 2).reshape([batch, n, 2 * width]);
        let tokens = fused::linear(&self.projection, pooled);
        let class = self.class_token.val();
        let tokens = fused::sequences(tokens, class, self.positions(n + 1), None);
        let masked = counts.map(|counts| {
            let empty = counts.reshape([batch, n]).equal_elem(0);
            fused::concat(vec![mask([batch, 1], false, &device), empty], 1)
        });
        SeriesTokens {
            tokens: fused::layer_norm(&self.token_norm, NORM_EPSILON, tokens),
            masked,
        }
    }

    /// `[seq, d_model]`; those behind the last one are the last one.
    fn positions(&self, seq: usize) -> Tensor<B, 2> {
        let positions = self.positions.val();
        let known = positions.dims()[0];
        match seq.checked_sub(known) {
            None => positions.narrow(0, 0, seq),
            Some(0) => positions,
            Some(more) => {
                let last = positions.clone().narrow(0, known - 1, 1);
                fused::concat(vec![positions, last.repeat_dim(0, more)], 0)
            }
        }
    }
}

fn mask<B: Backend>(shape: [usize; 2], value: bool, device: &B::Device) -> Tensor<B, 2, Bool> {
    let zeros = Tensor::<B, 2>::zeros(shape, device);
    zeros.equal_elem(if value { 0 } else { 1 })
}

/// Values, differences and validity: `[batch, steps, 3 * n_variates]`.
fn channels<B: Backend>(input: &SeriesInput<B>) -> Tensor<B, 3> {
    let values = input.values.clone();
    let ([batch, steps, n_variates], device) = (values.dims(), values.device());
    let valid = match &input.valid {
        Some(valid) => valid.clone().float(),
        None => Tensor::ones([batch, steps, n_variates], (&device, values.dtype())),
    };
    let values = values * valid.clone();
    let none = Tensor::zeros([batch, 1, n_variates], (&device, values.dtype()));
    let differences = match steps.checked_sub(1) {
        None | Some(0) => none,
        Some(rest) => {
            let later = |x: &Tensor<B, 3>| x.clone().narrow(1, 1, rest);
            let earlier = |x: &Tensor<B, 3>| x.clone().narrow(1, 0, rest);
            let both = later(&valid) * earlier(&valid);
            let differences = (later(&values) - earlier(&values)) * both;
            fused::concat(vec![none, differences], 1)
        }
    };
    fused::concat(vec![values, differences, valid], 2)
}

/// Which stretches of `stride` steps have a value of any variate: `[batch, steps / stride]`.
fn covered<B: Backend>(valid: Tensor<B, 3, Bool>, stride: usize) -> Tensor<B, 2, Bool> {
    let any = valid.float().max_dim(2);
    let [batch, steps, _] = any.dims();
    let readings = steps.div_ceil(stride);
    let missing = readings * stride - steps;
    let any = match missing {
        0 => any,
        _ => {
            let none = Tensor::zeros([batch, missing, 1], (&any.device(), any.dtype()));
            fused::concat(vec![any, none], 1)
        }
    };
    let most = any.reshape([batch, readings, stride]).max_dim(2);
    most.reshape([batch, readings]).greater_elem(0.5)
}

/// Batch norm over the valid readings; the others become zeros.
///
/// By the batch where the model learns, by the running statistics where it does not. As in PyTorch,
/// the running variance is that of a sample: unbiased.
fn norm<B: Backend>(
    norm: &BatchNorm<B>,
    x: Tensor<B, 3>,
    valid: Option<Tensor<B, 2, Bool>>,
) -> Tensor<B, 3> {
    let ([batch, readings, width], device) = (x.dims(), x.device());
    let rows = batch * readings;
    let x = x.reshape([rows, width]);
    let valid = valid.map(|valid| valid.reshape([rows]));
    let affine = Affine {
        gamma: norm.gamma.val(),
        beta: norm.beta.val(),
        epsilon: norm.epsilon,
    };
    if !B::ad_enabled(&device) {
        let moments = [norm.running_mean.value(), norm.running_var.value()];
        let moments = moments.map(Tensor::unsqueeze).to_vec();
        let moments = fused::concat(moments, 0);
        return affine
            .by_moments(x, valid, moments)
            .reshape([batch, readings, width]);
    }
    let (y, moments) = affine.by_batch(x, valid.clone());
    let count = match valid {
        Some(valid) => valid.float().sum(),
        None => Tensor::full([1], rows as f32, &device),
    };
    // An unbiased variance of one row does not exist: it counts as it is.
    let unbiased = count.clone() / (count - 1.0).clamp_min(1.0);
    let mean = moments.clone().narrow(0, 0, 1).reshape([width]);
    let variance = moments.narrow(0, 1, 1).reshape([width]) * unbiased;
    for (state, new) in [(&norm.running_mean, mean), (&norm.running_var, variance)] {
        let old = state.value_sync().to_device(&device);
        let mixed = old * (1.0 - norm.momentum) + new * norm.momentum;
        state.update(mixed.detach());
    }
    y.reshape([batch, readings, width])
}
