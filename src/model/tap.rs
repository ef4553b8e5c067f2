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
    /// The means of the patch tokens in the cells of a coarse grid, row-major: they keep the place.
    Grid {
        /// Cells from top to bottom; divides the rows of patches.
        rows: usize,
        /// Cells from left to right; divides the columns of patches.
        columns: usize,
    },
}

impl TokenPooling {
    /// Width of what is taken of tokens of width `d_model`.
    pub fn width(self, d_model: usize) -> usize {
        match self {
            Self::Class | Self::Mean => d_model,
            Self::Both => 2 * d_model,
            Self::Grid { rows, columns } => rows * columns * d_model,
        }
    }

    /// Says what is wrong with it for `grid` rows and columns of patches, if anything.
    fn problem(self, grid: usize, has_class: bool) -> Option<String> {
        match self {
            Self::Class | Self::Both if !has_class => {
                Some("the class token is taken of an encoder that has none".to_owned())
            }
            Self::Grid { rows, columns }
                if [rows, columns]
                    .iter()
                    .any(|n| *n == 0 || !grid.is_multiple_of(*n)) =>
            {
                Some(format!(
                    "{rows} x {columns} cells do not divide {grid} x {grid} patches"
                ))
            }
            _ => None,
        }
    }

    /// `[n, seq, d_model]` -> `[n, width]`, of pictures of `grid` rows and columns of patches, or of
    /// their class tokens alone; `norm` is that of single tokens.
    pub(super) fn forward<B: Backend>(
        self,
        x: Tensor<B, 3>,
        grid: usize,
        norm: impl Fn(Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Tensor<B, 2> {
        let [n, seq, d_model] = x.dims();
        let class = || norm(x.clone().narrow(1, 0, 1)).reshape([n, d_model]);
        let patches = || {
            let n_patches = grid * grid;
            norm(x.clone().narrow(1, seq - n_patches, n_patches))
        };
        let mean = || patches().mean_dim(1).reshape([n, d_model]);
        match self {
            Self::Class => class(),
            Self::Mean => mean(),
            Self::Both => Tensor::cat(vec![class(), mean()], 1),
            Self::Grid { rows, columns } => {
                let [height, width] = [grid / rows, grid / columns];
                patches()
                    .reshape([n * rows, height, columns, width, d_model])
                    .mean_dim(1)
                    .mean_dim(3)
                    .reshape([n, rows * columns * d_model])
            }
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
    /// Says what is wrong with this tap of an encoder of `n_layers` blocks over `grid` rows and
    /// columns of patches, if anything.
    pub(super) fn problem(self, n_layers: usize, grid: usize, has_class: bool) -> Option<String> {
        let outside = self.layer.filter(|layer| !(1..=n_layers).contains(layer));
        let outside = outside.map(|layer| {
            format!("block {layer} of an encoder of {n_layers} blocks cannot be tapped")
        });
        outside.or_else(|| self.pooling.problem(grid, has_class))
    }
}
