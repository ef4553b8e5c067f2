//! Colors: which ink each variate has, and what a coverage becomes in a picture.
//!
//! A picture is white paper and one ink. A mask says how much of each pixel the ink covers; with
//! the table made by [`color_table`] it is the exact picture, on every path and device.

use serde::{Deserialize, Serialize};

/// The twenty inks of the reference: matplotlib's `tab10`, then the light half of `tab20`.
const REFERENCE_COLORS: [[u8; 3]; 20] = [
    [0x1f, 0x77, 0xb4],
    [0xff, 0x7f, 0x0e],
    [0x2c, 0xa0, 0x2c],
    [0xd6, 0x27, 0x28],
    [0x94, 0x67, 0xbd],
    [0x8c, 0x56, 0x4b],
    [0xe3, 0x77, 0xc2],
    [0x7f, 0x7f, 0x7f],
    [0xbc, 0xbd, 0x22],
    [0x17, 0xbe, 0xcf],
    [0xae, 0xc7, 0xe8],
    [0xff, 0xbb, 0x78],
    [0x98, 0xdf, 0x8a],
    [0xff, 0x98, 0x96],
    [0xc5, 0xb0, 0xd5],
    [0xc4, 0x9c, 0x94],
    [0xf7, 0xb6, 0xd2],
    [0xc7, 0xc7, 0xc7],
    [0xdb, 0xdb, 0x8d],
    [0x9e, 0xda, 0xe5],
];

/// The inks of a plot, used in turn: variate `v` has color `v` modulo their number.
///
/// The default holds the twenty colors of the reference, so that the first twenty variates can
/// be told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Palette {
    colors: Vec<[u8; 3]>,
}

impl Palette {
    /// Makes a palette of RGB colors; an empty one is refused by
    /// [`PlotStyle::validate`](super::PlotStyle::validate).
    pub fn new(colors: Vec<[u8; 3]>) -> Self {
        Self { colors }
    }

    /// All inks, as red, green and blue.
    pub fn colors(&self) -> &[[u8; 3]] {
        &self.colors
    }

    /// The ink of one variate, as red, green and blue.
    ///
    /// # Panics
    ///
    /// If the palette is empty.
    pub fn color(&self, variate: usize) -> [u8; 3] {
        assert!(!self.colors.is_empty(), "the palette has no colors");
        self.colors[variate % self.colors.len()]
    }
}

impl Default for Palette {
    fn default() -> Self {
        Self::new(REFERENCE_COLORS.to_vec())
    }
}

/// One color channel of a pixel: ink of strength `c` on white paper, `a` / 255 of it covered.
///
/// Rounded to the nearest integer; no ink is exactly white, full ink is exactly the color.
///
/// # Formula
///
/// `255 - ((255 - c) * a + 127) / 255`, in integers
///
/// # Examples
///
/// ```
/// use timesclip::raster::palette::rgb8;
///
/// assert_eq!(rgb8(31, 0), 255);
/// assert_eq!(rgb8(31, 255), 31);
/// assert_eq!(rgb8(0, 128), 127);
/// ```
#[expect(
    clippy::cast_possible_truncation,
    reason = "the quotient is at most 255"
)]
pub const fn rgb8(c: u8, a: u8) -> u8 {
    255 - (((255 - c as u32) * a as u32 + 127) / 255) as u8
}

/// Mean and standard deviation per color channel that an image encoder was trained with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PixelStatistics {
    /// Mean of red, green and blue, in 0..1.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue.
    pub std: [f32; 3],
}

impl PixelStatistics {
    /// The statistics of CLIP's training images, which its weights expect.
    pub const CLIP: Self = Self {
        mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
        std: [0.268_629_55, 0.261_302_6, 0.275_777_1],
    };

    /// The statistics of ImageNet, which DINOv2 and most plain ViTs were trained with.
    pub const IMAGENET: Self = Self {
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };

    /// Leaves pixels in 0..1.
    pub const UNIT: Self = Self {
        mean: [0.0; 3],
        std: [1.0; 3],
    };
}

impl Default for PixelStatistics {
    fn default() -> Self {
        Self::CLIP
    }
}

/// What a pixel becomes that ink covers in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelBlend {
    /// One of 256 levels, by [`rgb8`]: the pixel that a picture file would hold.
    #[default]
    Rounded,
    /// The blend before it is rounded, at most half a level (0.5 / 255) away. Such pictures are not
    /// painted but folded into the patch embedding, which is somewhat faster.
    Continuous,
}

impl PixelBlend {
    /// The colors of every variate's picture, as the vision encoder takes them.
    ///
    /// A blend is linear in the coverage if it is [continuous](Self::Continuous), and also if it is
    /// rounded and every channel of every ink is 0 or 255: then nothing is left to round. Blank
    /// paper and full ink say all about it.
    ///
    /// # Shapes
    ///
    /// - returned: `[n_variates, 2, 3]`, blank paper and full ink, if the blend is linear;
    ///   `[n_variates, 256, 3]`, the [`color_table`], if not
    ///
    /// # Panics
    ///
    /// If the palette is empty.
    pub fn colors(
        self,
        palette: &Palette,
        n_variates: usize,
        statistics: &PixelStatistics,
    ) -> Vec<f32> {
        let unrounded = |variate| {
            let ink = palette.color(variate);
            ink.iter().all(|&level| level == 0 || level == u8::MAX)
        };
        match self == Self::Continuous || (0..n_variates).all(unrounded) {
            true => table(palette, n_variates, statistics, &[0, u8::MAX], |level| {
                level
            }),
            false => color_table(palette, n_variates, statistics),
        }
    }
}

/// What every coverage becomes in each channel of each variate's picture.
///
/// # Shapes
///
/// - returned: `[n_variates, 256, 3]`
///
/// # Formula
///
/// `(rgb8(c, a) / 255 - mean) / std`
///
/// # Panics
///
/// If the palette is empty.
pub fn color_table(palette: &Palette, n_variates: usize, statistics: &PixelStatistics) -> Vec<f32> {
    toned_color_table(palette, n_variates, statistics, |level| level)
}

/// A [`color_table`] whose levels, in 0..1, `tone` maps to others.
///
/// # Shapes
///
/// - returned: `[n_variates, 256, 3]`
///
/// # Formula
///
/// `(tone(rgb8(c, a) / 255) - mean) / std`
///
/// # Panics
///
/// If the palette is empty.
pub fn toned_color_table(
    palette: &Palette,
    n_variates: usize,
    statistics: &PixelStatistics,
    tone: impl Fn(f32) -> f32,
) -> Vec<f32> {
    let coverages: Vec<u8> = (0..=u8::MAX).collect();
    table(palette, n_variates, statistics, &coverages, tone)
}

/// `[n_variates, n_coverages, 3]`
fn table(
    palette: &Palette,
    n_variates: usize,
    statistics: &PixelStatistics,
    coverages: &[u8],
    tone: impl Fn(f32) -> f32,
) -> Vec<f32> {
    let mut table = Vec::with_capacity(n_variates * coverages.len() * 3);
    for variate in 0..n_variates {
        let color = palette.color(variate);
        for &coverage in coverages {
            table.extend([0, 1, 2].map(|channel| {
                let level = tone(f32::from(rgb8(color[channel], coverage)) / 255.0);
                (level - statistics.mean[channel]) / statistics.std[channel]
            }));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colors_repeat_after_twenty_variates() {
        let palette = Palette::default();

        assert_eq!(palette.color(0), [0x1f, 0x77, 0xb4]);
        assert_eq!(palette.color(19), [0x9e, 0xda, 0xe5]);
        assert_eq!(palette.color(21), palette.color(1));
    }

    #[test]
    fn blending_rounds_to_the_nearest_level() {
        for c in 0..=u8::MAX {
            for a in 0..=u8::MAX {
                let exact = 255.0 - (255.0 - f64::from(c)) * f64::from(a) / 255.0;
                assert!((f64::from(rgb8(c, a)) - exact).abs() <= 0.5, "c {c}, a {a}");
            }
        }
    }

    #[test]
    fn the_table_is_laid_out_by_variate_coverage_and_channel() {
        let palette = Palette::new(vec![[10, 20, 30], [40, 50, 60]]);

        let table = color_table(&palette, 3, &PixelStatistics::UNIT);

        assert_eq!(table.len(), 3 * 256 * 3);
        assert_eq!(table[..3], [1.0; 3]);
        let full_ink_of_variate_one = &table[(256 + 255) * 3..][..3];
        assert_eq!(
            full_ink_of_variate_one,
            [40.0, 50.0, 60.0].map(|c| c / 255.0)
        );
        assert_eq!(table[..256 * 3], table[2 * 256 * 3..]);
    }

    /// Rounding of a blend and of a difference in single precision, on values up to 3.
    const ROUNDING: f32 = 1e-6;

    /// The largest distance from a table to the line between its ends, by channel.
    fn distance_from_line(table: &[f32], ends: &[f32]) -> f32 {
        let distances = table
            .chunks(256 * 3)
            .zip(ends.chunks(6))
            .flat_map(|(table, ends)| {
                table.iter().enumerate().map(|(i, found)| {
                    let (paper, ink) = (ends[i % 3], ends[3 + i % 3]);
                    (found - (paper + (ink - paper) * (i / 3) as f32 / 255.0)).abs()
                })
            });
        distances.fold(0.0, f32::max)
    }

    #[test]
    fn a_continuous_blend_is_within_half_a_level_of_the_rounded_one() {
        let (palette, clip) = (Palette::default(), PixelStatistics::CLIP);
        let rounded = PixelBlend::Rounded.colors(&palette, 20, &clip);
        let continuous = PixelBlend::Continuous.colors(&palette, 20, &clip);

        assert_eq!(rounded, color_table(&palette, 20, &clip));
        assert_eq!(continuous.len(), 20 * 2 * 3);
        let half_a_level = 0.5 / 255.0 / clip.std.into_iter().fold(f32::MAX, f32::min);
        let distance = distance_from_line(&rounded, &continuous);
        assert!(distance <= half_a_level + ROUNDING, "{distance}");
        assert!(distance >= 0.9 * half_a_level, "{distance}");
    }

    #[test]
    fn pure_inks_blend_linearly_though_rounded_and_others_do_not() {
        let (rounded, clip) = (PixelBlend::Rounded, PixelStatistics::CLIP);
        let pure = Palette::new(vec![[0, 0, 0], [255, 0, 0], [0, 255, 255]]);
        let ends = rounded.colors(&pure, 3, &clip);

        assert_eq!(ends.len(), 3 * 2 * 3);
        let distance = distance_from_line(&color_table(&pure, 3, &clip), &ends);
        assert!(distance <= ROUNDING, "{distance}");
        let nearly = Palette::new(vec![[0, 0, 0], [254, 0, 0]]);
        assert_eq!(rounded.colors(&nearly, 2, &clip).len(), 2 * 256 * 3);
        assert_eq!(
            rounded.colors(&nearly, 1, &clip).len(),
            2 * 3,
            "of inks in use"
        );
    }

    #[test]
    fn white_paper_is_what_clip_sees_for_white() {
        let table = color_table(&Palette::default(), 1, &PixelStatistics::CLIP);

        assert!((table[0] - 1.930_336_6).abs() < 1e-5, "{}", table[0]);
    }

    #[test]
    #[should_panic(expected = "no colors")]
    fn an_empty_palette_has_no_ink_to_give() {
        Palette::new(vec![]).color(0);
    }
}
