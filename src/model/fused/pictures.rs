//! Patch embedding of masks in color, and of pixels.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, IntDType, Tensor};

#[cfg(feature = "cpu")]
use super::{cpu, float, try_fused};

/// Panics unless patches tile pictures of this size.
fn tile([height, width]: [usize; 2], patch: usize) {
    assert!(
        height.is_multiple_of(patch) && width.is_multiple_of(patch),
        "patches of {patch} px do not tile pictures of {height} x {width} px"
    );
}

/// Cuts masks into patches, looks every pixel up in the color table of its variate, and
/// multiplies every patch by the weights.
///
/// # Shapes
/// - masks: `[batch, n_variates, height, width]`
/// - colors: `[n_variates, n_levels, 3]`
/// - weight: `[d_model, 3, patch, patch]`
/// - output: `[batch * n_variates * n_patches, d_model]`
pub(crate) fn embed_masks<B: Backend>(
    masks: Tensor<B, 4, Int>,
    colors: Tensor<B, 3>,
    weight: Tensor<B, 4>,
) -> Tensor<B, 2> {
    let [_, _, height, width] = masks.dims();
    let patch = weight.dims()[3];
    tile([height, width], patch);
    #[cfg(feature = "cpu")]
    if let Some(masks) = cpu::bytes::<B>(masks.clone().into_primitive()) {
        let masks = Some(masks.to_contiguous());
        let inputs = [float(colors.clone()), float(weight.clone())];
        if let Some(embedded) = try_fused(&cpu::EmbedPatches { masks }, &inputs) {
            return embedded;
        }
    }
    paint(masks, colors, patch).matmul(by_pixels(weight))
}

/// Cuts pictures into patches and multiplies every patch by the weights.
///
/// # Shapes
/// - pixels: `[batch, 3, height, width]`
/// - weight: `[d_model, 3, patch, patch]`
/// - output: `[batch * n_patches, d_model]`
pub(crate) fn embed_pixels<B: Backend>(pixels: Tensor<B, 4>, weight: Tensor<B, 4>) -> Tensor<B, 2> {
    let [batch, channels, height, width] = pixels.dims();
    let [d_model, known, _, patch] = weight.dims();
    assert_eq!(
        channels, known,
        "pictures of {channels} channels for an encoder of {known}"
    );
    tile([height, width], patch);
    #[cfg(feature = "cpu")]
    {
        let inputs = [float(pixels.clone()), float(weight.clone())];
        if let Some(embedded) = try_fused(&cpu::EmbedPatches { masks: None }, &inputs) {
            return embedded;
        }
    }
    let (rows, columns) = (height / patch, width / patch);
    // [B, C, H, W] -> [B, rows, columns, C, p, p]
    let patches = pixels
        .reshape([batch, channels, rows, patch, columns, patch])
        .permute([0, 2, 4, 1, 3, 5])
        .reshape([batch * rows * columns, channels * patch * patch]);
    let weight = weight.reshape([d_model, channels * patch * patch]);
    patches.matmul(weight.transpose())
}

/// `[p * p * channels, d_model]`: for patches of one pixel after the other.
fn by_pixels<B: Backend>(weight: Tensor<B, 4>) -> Tensor<B, 2> {
    let [d_model, channels, patch, _] = weight.dims();
    let n_pixels = patch * patch;
    let weight = weight.reshape([d_model, channels, n_pixels]);
    // Each row is turned within the cache; the rows of the product come as a view.
    let weight = weight.swap_dims(1, 2);
    weight.reshape([d_model, n_pixels * channels]).transpose()
}

/// Patches in color, one pixel after the other: `[batch * n_variates * n_patches, p * p * 3]`.
fn paint<B: Backend>(masks: Tensor<B, 4, Int>, colors: Tensor<B, 3>, patch: usize) -> Tensor<B, 2> {
    let [batch, n_variates, height, width] = masks.dims();
    let [_, n_levels, channels] = colors.dims();
    let (rows, columns) = (height / patch, width / patch);
    // [B, V, H, W] -> [B * V, rows, columns, p, p]
    let levels = masks
        .reshape([batch * n_variates, rows, patch, columns, patch])
        .swap_dims(2, 3)
        .reshape([batch, n_variates, height * width])
        .cast(IntDType::I32);
    let table_size = (n_variates * n_levels) as i64;
    let first = Tensor::<B, 1, Int>::arange_step(0..table_size, n_levels, &levels.device())
        .cast(IntDType::I32);
    let index = levels + first.reshape([1, n_variates, 1]);
    let table = colors.reshape([n_variates * n_levels, channels]);
    // Rows of three channels keep the look-up contiguous.
    table
        .select(0, index.reshape([batch * n_variates * height * width]))
        .reshape([
            batch * n_variates * rows * columns,
            patch * patch * channels,
        ])
}
