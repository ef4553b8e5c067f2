//! Coverage masks to patches in colour.

use rayon::prelude::*;

/// Pictures of masks and how they are cut: `[n, height, width]` into square patches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    /// Pixels of a picture's side.
    pub(crate) height: usize,
    /// Pixels of a picture's other side.
    pub(crate) width: usize,
    /// Pixels of a patch's sides.
    pub(crate) patch: usize,
}

impl Cut {
    /// The levels of a picture, patch by patch.
    fn levels(self, mask: &[u8]) -> impl Iterator<Item = &u8> {
        let Self { width, patch, .. } = self;
        mask.chunks_exact(patch * width).flat_map(move |band| {
            (0..width / patch).flat_map(move |column| {
                let lines = band.chunks_exact(width);
                lines.flat_map(move |line| &line[column * patch..][..patch])
            })
        })
    }
}

/// Looks every pixel up in the table of its variate, `[n_variates, n_levels, 3]`.
pub(crate) fn paint(masks: &[u8], table: &[f32], n_levels: usize, cut: Cut) -> Vec<f32> {
    let size = cut.height * cut.width;
    let mut painted = vec![0.0; masks.len() * 3];
    let colors: Vec<_> = table.as_chunks::<3>().0.chunks_exact(n_levels).collect();
    let pictures = painted.par_chunks_mut(size * 3).zip(masks.par_chunks(size));
    pictures.enumerate().for_each(|(i, (painted, mask))| {
        let colors = colors[i % colors.len()];
        let pixels = painted.as_chunks_mut::<3>().0.iter_mut();
        for (pixel, level) in pixels.zip(cut.levels(mask)) {
            *pixel = colors[usize::from(*level)];
        }
    });
    painted
}

/// Gradient of [`paint`]'s table from that of what it painted.
pub(crate) fn paint_backward(
    gradient: &[f32],
    masks: &[u8],
    [n_variates, n_levels]: [usize; 2],
    cut: Cut,
) -> Vec<f32> {
    let size = cut.height * cut.width;
    let mut table = vec![0.0; n_variates * n_levels * 3];
    let pictures = gradient
        .chunks_exact(size * 3)
        .zip(masks.chunks_exact(size));
    for (i, (gradient, mask)) in pictures.enumerate() {
        let first = i % n_variates * n_levels;
        for (pixel, level) in gradient.chunks_exact(3).zip(cut.levels(mask)) {
            let color = &mut table[(first + usize::from(*level)) * 3..][..3];
            color.iter_mut().zip(pixel).for_each(|(sum, g)| *sum += g);
        }
    }
    table
}
