//! `ColorJitter`: brightness, contrast and ink of pictures, as another color table.

use serde::{Deserialize, Serialize};

use crate::data::augment::AugmentError;
use crate::data::random::{Purpose, Random};
use crate::raster::{Palette, PixelStatistics, toned_color_table};

/// The level that contrast is measured from.
const MIDDLE_GREY: f32 = 0.5;

/// How much the colors of pictures vary from batch to batch; 0 turns a change off.
///
/// The masks stay: a change of colors is another color table, so it costs nothing a pixel. It
/// goes with masks only; features of a frozen encoder were made with one table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorJitter {
    /// Levels are multiplied by one number from `1 - brightness` to `1 + brightness`; paper turns
    /// gray with the ink. Below 1.
    pub brightness: f64,
    /// Distances from middle gray are multiplied by one number from `1 - contrast` to
    /// `1 + contrast`, after the brightness. Below 1.
    pub contrast: f64,
    /// Farthest that red, green and blue of the ink move, each by itself and for each variate, as
    /// a fraction of the whole range of levels. Below 1.
    pub ink: f64,
}

impl ColorJitter {
    /// No change: the table of [`color_table`](crate::raster::color_table).
    pub const OFF: Self = Self {
        brightness: 0.0,
        contrast: 0.0,
        ink: 0.0,
    };

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Fraction`] names the first that cannot be.
    pub fn validate(&self) -> Result<(), AugmentError> {
        let fields = [
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("ink", self.ink),
        ];
        match fields.iter().find(|field| !(0.0..1.0).contains(&field.1)) {
            Some(&(field, value)) => Err(AugmentError::Fraction { field, value }),
            None => Ok(()),
        }
    }

    /// A color table as [`color_table`](crate::raster::color_table) makes it, with changed
    /// colors. `draw` is what they are drawn from: seed, epoch and batch, in this order.
    ///
    /// # Shapes
    ///
    /// - returned: `[n_variates, 256, 3]`
    ///
    /// # Formula
    ///
    /// With `brightness` and `contrast` here the numbers that were drawn, around 1:
    ///
    /// ```text
    /// level = clamp(rgb8(ink, a) / 255 * brightness)
    /// (clamp(0.5 + (level - 0.5) * contrast) - mean) / std
    /// ```
    ///
    /// # Panics
    ///
    /// If the palette is empty.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "factors near 1 in the width of the levels"
    )]
    pub fn color_table(
        &self,
        palette: &Palette,
        n_variates: usize,
        statistics: &PixelStatistics,
        draw: [u64; 3],
    ) -> Vec<f32> {
        let mut random = Random::new(draw, Purpose::Color);
        let mut around_one = |most: f64| (1.0 + random.signed() * most) as f32;
        let [brightness, contrast] = [self.brightness, self.contrast].map(&mut around_one);
        let inks = (0..n_variates).map(|variate| {
            let ink = palette.color(variate);
            ink.map(|level| moved(level, random.signed() * self.ink))
        });
        let inks = Palette::new(inks.collect());
        toned_color_table(&inks, n_variates, statistics, |level| {
            let level = (level * brightness).clamp(0.0, 1.0);
            (level + (level - MIDDLE_GREY) * (contrast - 1.0)).clamp(0.0, 1.0)
        })
    }
}

impl Default for ColorJitter {
    /// Mild: the inks of neighboring variates can still be told apart.
    fn default() -> Self {
        Self {
            brightness: 0.1,
            contrast: 0.1,
            ink: 0.1,
        }
    }
}

/// A level moved by a fraction of the whole range.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range"
)]
fn moved(level: u8, by: f64) -> u8 {
    (f64::from(level) + 255.0 * by).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::color_table;

    const DRAW: [u64; 3] = [42, 1, 0];

    fn table(jitter: ColorJitter, draw: [u64; 3]) -> Vec<f32> {
        jitter.color_table(&Palette::default(), 3, &PixelStatistics::UNIT, draw)
    }

    #[test]
    fn without_changes_it_is_the_usual_table() {
        for statistics in [PixelStatistics::UNIT, PixelStatistics::CLIP] {
            let palette = Palette::default();
            let usual = color_table(&palette, 25, &statistics);
            let off = ColorJitter::OFF.color_table(&palette, 25, &statistics, DRAW);
            assert_eq!(off, usual);
        }
    }

    #[test]
    fn every_setting_changes_the_table_and_every_number_of_the_draw_does() {
        let off = ColorJitter::OFF;
        let each = [
            ColorJitter {
                brightness: 0.2,
                ..off
            },
            ColorJitter {
                contrast: 0.2,
                ..off
            },
            ColorJitter { ink: 0.2, ..off },
        ];
        for jitter in each {
            assert_ne!(table(jitter, DRAW), table(off, DRAW), "{jitter:?}");
            assert_eq!(table(jitter, DRAW), table(jitter, DRAW), "{jitter:?}");
            for other in [[43, 1, 0], [42, 2, 0], [42, 1, 1]] {
                assert_ne!(table(jitter, DRAW), table(jitter, other), "{jitter:?}");
            }
        }
    }

    #[test]
    fn levels_stay_levels_and_more_ink_stays_darker() {
        let strong = ColorJitter {
            brightness: 0.9,
            contrast: 0.9,
            ink: 0.9,
        };
        for batch in 0..50 {
            let table = table(strong, [7, 1, batch]);
            assert!(table.iter().all(|level| (0.0..=1.0).contains(level)));
            for channel in 0..3 {
                let levels = table.iter().skip(channel).step_by(3);
                let of_one_variate: Vec<&f32> = levels.take(256).collect();
                assert!(of_one_variate.is_sorted_by(|a, b| a >= b), "{batch}");
            }
        }
    }

    #[test]
    fn ink_moves_and_paper_stays() {
        let jitter = ColorJitter {
            ink: 0.3,
            ..ColorJitter::OFF
        };
        let table = table(jitter, DRAW);
        for (variate, of_variate) in table.chunks_exact(256 * 3).enumerate() {
            assert_eq!(of_variate[..3], [1.0; 3], "paper of variate {variate}");
            let ink = Palette::default().color(variate);
            for (level, c) in of_variate[255 * 3..].iter().zip(ink) {
                assert!((level - f32::from(c) / 255.0).abs() <= 0.3 + 1.0 / 255.0);
            }
        }
    }

    #[test]
    fn fractions_that_are_none_are_named() {
        for bad in [-0.1, 1.0, f64::NAN] {
            let jitter = ColorJitter {
                contrast: bad,
                ..ColorJitter::OFF
            };
            let error = jitter.validate().unwrap_err().to_string();
            assert!(error.contains("`contrast`"), "{error}");
        }
        assert_eq!(ColorJitter::default().validate(), Ok(()));
    }
}
