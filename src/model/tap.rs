//! Where a frozen or trained vision encoder is tapped: which block, and which of its tokens.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

/// Which tokens stand for a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenPooling {
    /// The class token, as CLIP does.
    #[default]
    Class,
    /// The mean of the patch tokens.
    Mean,
    /// The class token, then the mean of the patch tokens: twice as wide.
    Both,
}

impl TokenPooling {
    /// Width of what is taken of tokens of width `d_model`.
    pub fn width(self, d_model: usize) -> usize {
        match self {
            Self::Class | Self::Mean => d_model,
            Self::Both => 2 * d_model,
        }
    }

    /// `[n, seq, d_model]` -> `[n, width]`; `norm` is that of single tokens.
    pub(super) fn forward<B: Backend>(
        self,
        x: Tensor<B, 3>,
        norm: impl Fn(Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Tensor<B, 2> {
        let [n, seq, d_model] = x.dims();
        let class = |x: &Tensor<B, 3>| norm(x.clone().narrow(1, 0, 1)).reshape([n, d_model]);
        let mean = |x: &Tensor<B, 3>| {
            let patches = norm(x.clone().narrow(1, 1, seq - 1));
            patches.mean_dim(1).reshape([n, d_model])
        };
        match self {
            Self::Class => class(&x),
            Self::Mean => mean(&x),
            Self::Both => Tensor::cat(vec![class(&x), mean(&x)], 1),
        }
    }
}

/// What is taken out of a vision encoder.
///
/// Blocks behind the tap are not run. Tokens of the last block pass the encoder's last norm, which
/// was trained on them; those of earlier blocks are taken as they are.
///
/// # Source
/// Middle blocks and means of tokens serve series better than the last class token: TiViT
/// (arXiv:2506.08641).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisionTap {
    /// The block whose tokens are taken, counted from 1; `None` for the last.
    pub layer: Option<usize>,
    /// Which of its tokens.
    pub pooling: TokenPooling,
}

impl VisionTap {
    /// Says what is wrong with this tap of an encoder of `n_layers` blocks, if anything.
    pub(super) fn problem(self, n_layers: usize) -> Option<String> {
        let layer = self.layer.filter(|layer| !(1..=n_layers).contains(layer))?;
        Some(format!(
            "block {layer} of an encoder of {n_layers} blocks cannot be tapped"
        ))
    }
}
