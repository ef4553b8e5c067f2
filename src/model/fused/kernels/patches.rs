//! Pictures cut into patches, one plane of a patch after the other, and the way back.

use rayon::prelude::*;

/// Channels of a picture.
const CHANNELS: usize = 3;

/// How a picture of `[channels, height, width]` is cut into square patches.
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
    /// Pixels of a plane.
    pub(crate) fn plane(self) -> usize {
        self.height * self.width
    }

    /// Patches of a picture.
    pub(crate) fn n_patches(self) -> usize {
        (self.height / self.patch) * (self.width / self.patch)
    }

    /// Numbers of a patch.
    pub(crate) fn depth(self) -> usize {
        CHANNELS * self.patch * self.patch
    }

    /// Where each line of each patch begins: in a plane, and in a channel of the patches.
    fn lines(self, channel: usize) -> impl Iterator<Item = [usize; 2]> {
        let Self { width, patch, .. } = self;
        let columns = width / patch;
        (0..self.n_patches()).flat_map(move |i| {
            let corner = i / columns * patch * width + i % columns * patch;
            let place = i * self.depth() + channel * patch * patch;
            (0..patch).map(move |y| [corner + y * width, place + y * patch])
        })
    }
}

/// `[n_levels, 3]` a variate -> `[3, n_levels]` a variate.
fn planes(table: &[f32], n_levels: usize) -> Vec<f32> {
    let tables = table.chunks_exact(n_levels * CHANNELS);
    let planes = tables.flat_map(|table| {
        (0..CHANNELS).flat_map(|channel| table.iter().skip(channel).step_by(CHANNELS).copied())
    });
    planes.collect()
}

/// Patches of pictures, whose first is the `first` of all; every level of coverage is looked up in
/// the table of the picture's variate, `[n_variates, n_levels, 3]`.
pub(crate) fn paint(
    masks: &[u8],
    first: usize,
    table: &[f32],
    n_levels: usize,
    cut: Cut,
) -> Vec<f32> {
    let mut painted = vec![0.0; masks.len() * CHANNELS];
    let planes = planes(table, n_levels);
    let tables: Vec<_> = planes.chunks_exact(CHANNELS * n_levels).collect();
    let pictures = painted
        .par_chunks_mut(cut.plane() * CHANNELS)
        .zip(masks.par_chunks(cut.plane()));
    pictures.enumerate().for_each(|(i, (painted, mask))| {
        let planes = tables[(first + i) % tables.len()].chunks_exact(n_levels);
        for (channel, colors) in planes.enumerate() {
            for [from, to] in cut.lines(channel) {
                let levels = &mask[from..][..cut.patch];
                for (pixel, level) in painted[to..][..cut.patch].iter_mut().zip(levels) {
                    *pixel = colors[usize::from(*level)];
                }
            }
        }
    });
    painted
}

/// Gradient of [`paint`]'s table from that of what it painted.
pub(crate) fn paint_backward(
    gradient: &[f32],
    masks: &[u8],
    first: usize,
    [n_variates, n_levels]: [usize; 2],
    cut: Cut,
) -> Vec<f32> {
    let mut table = vec![0.0; n_variates * n_levels * CHANNELS];
    let pictures = gradient
        .chunks_exact(cut.plane() * CHANNELS)
        .zip(masks.chunks_exact(cut.plane()));
    for (i, (gradient, mask)) in pictures.enumerate() {
        let colors = &mut table[(first + i) % n_variates * n_levels * CHANNELS..];
        for channel in 0..CHANNELS {
            for [from, to] in cut.lines(channel) {
                let levels = &mask[from..][..cut.patch];
                for (pixel, level) in gradient[to..][..cut.patch].iter().zip(levels) {
                    colors[usize::from(*level) * CHANNELS + channel] += pixel;
                }
            }
        }
    }
    table
}

/// Patches of pictures of `[3, height, width]`.
pub(crate) fn cut(pixels: &[f32], cut: Cut) -> Vec<f32> {
    let mut patches = vec![0.0; pixels.len()];
    let size = cut.plane() * CHANNELS;
    let pictures = patches.par_chunks_mut(size).zip(pixels.par_chunks(size));
    pictures.for_each(|(patches, pixels)| {
        for (channel, plane) in pixels.chunks_exact(cut.plane()).enumerate() {
            for [from, to] in cut.lines(channel) {
                patches[to..][..cut.patch].copy_from_slice(&plane[from..][..cut.patch]);
            }
        }
    });
    patches
}

/// The way back from [`cut`].
pub(crate) fn uncut(patches: &[f32], cut: Cut, pixels: &mut [f32]) {
    let size = cut.plane() * CHANNELS;
    let pictures = pixels.par_chunks_mut(size).zip(patches.par_chunks(size));
    pictures.for_each(|(pixels, patches)| {
        for (channel, plane) in pixels.chunks_exact_mut(cut.plane()).enumerate() {
            for [from, to] in cut.lines(channel) {
                plane[from..][..cut.patch].copy_from_slice(&patches[to..][..cut.patch]);
            }
        }
    });
}
