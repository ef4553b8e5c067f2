//! Running an encoder over any number of pictures in passes of one size.

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Int, Tensor};

use super::vision::VisionEncoder;
use crate::model::fused::on_processor;

/// Tokens of one pass on the processor: few enough for its last cache. The sums of a matrix product
/// may be ordered by its size, so the size is always the same.
const PASS_TOKENS: usize = 4096;
/// Tokens of one pass elsewhere: enough that every kernel is worth its launch; of ViT-B, in single
/// precision, at most 400 MB at a time.
const GPU_PASS_TOKENS: usize = 32_768;

/// Samples of one pass.
pub(super) fn samples_in_pass<B: Backend>(encoder: &VisionEncoder<B>, n_variates: usize) -> usize {
    let tokens = match on_processor::<B>() {
        true => PASS_TOKENS,
        false => GPU_PASS_TOKENS,
    };
    (tokens / (n_variates * encoder.n_tokens())).max(1)
}

/// Encodes masks, some samples at a time; shapes as for [`VisionEncoder::forward`].
///
/// On the processor, the last pass is filled up with empty pictures. Whatever the encoder computes in, single
/// precision comes out.
pub(super) fn forward_in_passes<B: Backend>(
    encoder: &VisionEncoder<B>,
    masks: Tensor<B, 4, Int>,
    colors: Tensor<B, 3>,
) -> Tensor<B, 3> {
    let [batch, n_variates, height, width] = masks.dims();
    let n_samples = samples_in_pass(encoder, n_variates);
    let colors = colors.cast(encoder.dtype());
    let passes = (0..batch).step_by(n_samples).map(|start| {
        let end = (start + n_samples).min(batch);
        let some = masks.clone().narrow(0, start, end - start);
        let missing = n_samples - (end - start);
        let some = match on_processor::<B>() && missing > 0 {
            false => some,
            true => {
                let options = (&masks.device(), masks.dtype());
                let empty = Tensor::zeros([missing, n_variates, height, width], options);
                Tensor::cat(vec![some, empty], 0)
            }
        };
        let features = encoder.forward(some, colors.clone());
        features.narrow(0, 0, end - start).cast(FloatDType::F32)
    });
    Tensor::cat(passes.collect(), 0)
}
