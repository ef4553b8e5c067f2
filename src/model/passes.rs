//! Running an encoder over any number of pictures in passes of one size.

use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Int, Tensor};

use super::vision::VisionEncoder;

/// Tokens of one pass: enough to keep a device busy, few enough for a CPU's last cache. The sums
/// of a matrix product may be ordered by its size, so the size is always the same.
const PASS_TOKENS: usize = 4096;

/// Samples of one pass.
pub(super) fn samples_in_pass<B: Backend>(encoder: &VisionEncoder<B>, n_variates: usize) -> usize {
    (PASS_TOKENS / (n_variates * encoder.n_tokens())).max(1)
}

/// Encodes masks, some samples at a time; shapes as for [`VisionEncoder::forward`].
///
/// The last pass is filled up with empty pictures. Whatever the encoder computes in, single
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
        let some = match missing {
            0 => some,
            _ => {
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
