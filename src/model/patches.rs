//! From masks or pixels to the vectors of their patches.

use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};

use crate::model::fused;

/// Number of levels of a coverage mask, and of entries in a color table.
const N_LEVELS: usize = 256;

/// Weights of the patch embedding, in the layout of a convolution without bias.
#[derive(Module, Debug)]
pub struct PatchEmbedding<B: Backend> {
    /// `[d_model, channels, image_patch_size, image_patch_size]`
    pub weight: Param<Tensor<B, 4>>,
}

impl<B: Backend> PatchEmbedding<B> {
    /// Embeds the patches of masks: painted, or folded if blank paper and full ink say all about
    /// the colors.
    ///
    /// # Shapes
    /// - masks: `[batch, n_variates, side, side]`
    /// - colors: `[n_variates, 256, 3]` or `[n_variates, 2, 3]`
    /// - output: `[batch * n_variates * n_patches, d_model]`
    pub(super) fn forward_masks(
        &self,
        masks: Tensor<B, 4, Int>,
        colors: Tensor<B, 3>,
    ) -> Tensor<B, 2> {
        let n_variates = masks.dims()[1];
        let [n_colors, n_levels, _] = colors.dims();
        assert_eq!(
            n_variates, n_colors,
            "{n_variates} variates, but colors of {n_colors}"
        );
        match n_levels {
            2 => self.fold(masks, colors),
            // The table makes a painted picture exact by definition, whatever computed it.
            N_LEVELS => fused::embed_masks(masks, colors, self.weight.val()),
            _ => panic!("{n_levels} levels in the color table, not {N_LEVELS} or 2"),
        }
    }

    /// Embeds the patches of pixels.
    ///
    /// # Shapes
    /// - pixels: `[batch, 3, side, side]`
    /// - output: `[batch * n_patches, d_model]`
    pub(super) fn forward_pixels(&self, pixels: Tensor<B, 4>) -> Tensor<B, 2> {
        fused::embed_pixels(pixels, self.weight.val())
    }

    /// Multiplies masks by one single-channel kernel a variate; no pixel is painted.
    ///
    /// A linear blend commutes with the linear patch embedding:
    ///
    /// ```text
    /// sum_cp W_cp (paper_c + a_p / 255 (ink_c - paper_c))
    ///     = sum_c paper_c (sum_p W_cp) + sum_p a_p (sum_c (ink_c - paper_c) / 255 W_cp)
    /// ```
    fn fold(&self, masks: Tensor<B, 4, Int>, colors: Tensor<B, 3>) -> Tensor<B, 2> {
        let [batch, n_variates, height, width] = masks.dims();
        let [d_model, channels, patch, _] = self.weight.dims();
        let (rows, columns) = (height / patch, width / patch);
        let n_patches = rows * columns;
        let paper = colors.clone().narrow(1, 0, 1);
        let ink = (colors.narrow(1, 1, 1) - paper.clone()) / (N_LEVELS - 1) as f32;
        // [D, C, p, p] -> [C, p * p, D]
        let weight =
            self.weight
                .val()
                .permute([1, 2, 3, 0])
                .reshape([channels, patch * patch, d_model]);
        let paper = paper
            .squeeze_dim::<2>(1)
            .matmul(weight.clone().sum_dim(1).squeeze_dim(1));
        let kernels = ink
            .squeeze_dim::<2>(1)
            .matmul(weight.reshape([channels, patch * patch * d_model]))
            .reshape([n_variates, patch * patch, d_model]);
        // [B, V, H, W] -> [V, B * n_patches, p * p]: one matrix a kernel
        let dtype = kernels.dtype();
        let levels = masks
            .reshape([batch, n_variates, rows, patch, columns, patch])
            .permute([1, 0, 2, 4, 3, 5])
            .reshape([n_variates, batch * n_patches, patch * patch])
            .float()
            .cast(dtype);
        (levels.matmul(kernels) + paper.unsqueeze_dim(1))
            .reshape([n_variates, batch, n_patches, d_model])
            .swap_dims(0, 1)
            .reshape([batch * n_variates * n_patches, d_model])
    }
}
