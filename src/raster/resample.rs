//! Shrinks the canvas to the picture as Pillow does: a triangle as wide as two picture pixels.
//!
//! Pillow's `Image.resize` with `BILINEAR` weighs the canvas pixels under each picture pixel by a
//! triangle, normalised to one. From 400 to 224 pixels these are at most five weights.

/// Weights of the canvas pixels that one picture pixel is made of, along one axis.
#[derive(Clone, Debug)]
pub(super) struct Taps {
    /// The first canvas pixel.
    pub(super) first: usize,
    /// Weights of it and the following ones; they sum to one.
    pub(super) weights: Vec<f32>,
}

/// The weights of every picture pixel along one axis.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the canvas, and weights need no more than f32"
)]
pub(super) fn taps(canvas_px: usize, side_px: usize) -> Vec<Taps> {
    let scale = canvas_px as f64 / side_px as f64;
    let support = scale.max(1.0);
    (0..side_px)
        .map(|pixel| {
            let center = (pixel as f64 + 0.5) * scale;
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(canvas_px);
            let weight = |canvas: usize| {
                let distance = (canvas as f64 + 0.5 - center).abs() / support;
                (1.0 - distance).max(0.0)
            };
            let total: f64 = (first..end).map(weight).sum();
            let weights = (first..end).map(|canvas| (weight(canvas) / total) as f32);
            Taps {
                first,
                weights: weights.collect(),
            }
        })
        .collect()
}
