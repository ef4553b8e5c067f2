//! Running an encoder over any number of pictures in passes of bounded size.

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Int, Tensor};

use super::ink::PatchTokens;
use super::vision::VisionEncoder;
use crate::model::fused::{self, is_cpu};

/// Tokens of one pass on the processor: few enough for its last cache.
const PASS_TOKENS: usize = 4096;
/// Tokens of one pass elsewhere: enough that every kernel is worth its launch; of ViT-B, in single
/// precision, at most 400 MB at a time.
const GPU_PASS_TOKENS: usize = 32_768;

/// Samples of one pass.
pub(super) fn samples_in_pass<B: Backend>(encoder: &VisionEncoder<B>, n_variates: usize) -> usize {
    let tokens = match is_cpu::<B>() {
        true => PASS_TOKENS,
        false => GPU_PASS_TOKENS,
    };
    // A guess, for memory alone: about a quarter of the patches of a line plot have ink.
    let n_tokens = match encoder.config().tokens {
        PatchTokens::All => encoder.n_tokens(),
        PatchTokens::Ink => encoder.n_tokens().div_ceil(4),
    };
    (tokens / (n_variates * n_tokens)).max(1)
}

/// Encodes masks, some samples at a time; shapes as for [`VisionEncoder::forward`].
///
/// Whatever the encoder computes in, single precision comes out.
pub(super) fn forward_in_passes<B: Backend>(
    encoder: &VisionEncoder<B>,
    masks: Tensor<B, 4, Int>,
    colors: Tensor<B, 3>,
) -> Tensor<B, 3> {
    let [batch, n_variates, ..] = masks.dims();
    let n_samples = samples_in_pass(encoder, n_variates);
    let colors = colors.cast(encoder.dtype());
    let passes = (0..batch).step_by(n_samples).map(|start| {
        let end = (start + n_samples).min(batch);
        let some = masks.clone().narrow(0, start, end - start);
        encoder.forward(some, colors.clone()).cast(FloatDType::F32)
    });
    fused::concat(passes.collect(), 0)
}
