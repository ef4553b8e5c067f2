//! Where a frozen or trained vision encoder is tapped: which block, and which of its tokens.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use crate::model::fused;

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
            Self::Both => fused::concat(vec![class(), mean()], 1),
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

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    type Cpu = burn_flex::Flex;

    /// Two pictures of 4 x 4 patches of width 1, with a class token in front: 100 and 200, and the
    /// patches count up.
    fn tokens() -> Tensor<Cpu, 3> {
        let picture =
            |first: u8| (0..17).map(move |i| f32::from(if i == 0 { first } else { i - 1 }));
        let values: Vec<f32> = picture(100).chain(picture(200)).collect();
        Tensor::from_data(TensorData::new(values, [2, 17, 1]), &Default::default())
    }

    fn taken(pooling: TokenPooling, tokens: Tensor<Cpu, 3>) -> Vec<f32> {
        let taken = pooling.forward(tokens, 4, |x| x);
        assert_eq!(taken.dims()[1], pooling.width(1), "{pooling:?}");
        taken.into_data().iter().collect()
    }

    #[test]
    fn a_grid_has_the_means_of_its_cells_row_by_row() {
        let grid = TokenPooling::Grid {
            rows: 2,
            columns: 4,
        };
        // The first cell is of patches 0 and 4, the last one of patches 11 and 15.
        let one = [2.0, 3.0, 4.0, 5.0, 10.0, 11.0, 12.0, 13.0];
        assert_eq!(taken(grid, tokens()), [one, one].concat());
        let without_class = tokens().narrow(1, 1, 16);
        assert_eq!(taken(grid, without_class), [one, one].concat());
    }

    #[test]
    fn a_grid_of_one_cell_is_the_mean() {
        let grid = TokenPooling::Grid {
            rows: 1,
            columns: 1,
        };
        assert_eq!(taken(grid, tokens()), taken(TokenPooling::Mean, tokens()));
    }

    #[test]
    fn grids_that_do_not_divide_and_missing_class_tokens_are_refused() {
        let grid = |rows, columns| TokenPooling::Grid { rows, columns };
        assert_eq!(grid(2, 4).problem(4, false), None);
        assert!(grid(3, 4).problem(4, true).unwrap().contains("3 x 4 cells"));
        assert!(grid(0, 1).problem(4, true).is_some());
        assert!(TokenPooling::Class.problem(4, false).is_some());
        assert_eq!(TokenPooling::Class.problem(4, true), None);
    }
}
