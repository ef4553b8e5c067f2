//! Sets and styles of the tests of pictures and their caches.

use timesclip::cache::CachedImageDataset;
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::raster::PlotStyle;

/// Seeded walks with everything a picture can meet: lengths that differ, gaps, single values,
/// constants, and variates that are missing throughout.
pub(crate) fn walks(n_samples: usize, n_variates: usize, seed: u64) -> SeriesDataset {
    let samples = (0..n_samples).map(|i| {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (i as u64 + 1));
        let n_steps = 2 + random.below(30);
        let mut level = vec![0.0; n_variates];
        let mut values = Vec::with_capacity(n_steps * n_variates);
        for _ in 0..n_steps {
            for (variate, level) in level.iter_mut().enumerate() {
                *level += random.below(2001) as f32 / 1000.0 - 1.0;
                values.push(match (i + variate) % 11 {
                    3 => 1.5,
                    5 => f32::NAN,
                    7 if random.below(3) == 0 => f32::NAN,
                    _ => *level,
                });
            }
        }
        let series = Series::new(values, n_steps, n_variates).expect("finite or missing values");
        LabeledSeries {
            id: 100 + 3 * i as u64,
            series,
            label: random.below(2),
        }
    });
    let names = ["one", "two"].map(str::to_owned).to_vec();
    SeriesDataset::new(format!("walks {seed}"), names, samples.collect()).expect("a sound set")
}

/// Small pictures: quick to draw even without optimization.
pub(crate) fn small_style() -> PlotStyle {
    PlotStyle {
        side_px: 40,
        ..PlotStyle::default()
    }
}

/// All masks of a set, sample after sample.
pub(crate) fn all_masks(images: &dyn CachedImageDataset) -> Vec<u8> {
    let len = images.n_variates() * images.side_px().pow(2);
    let mut masks = vec![0; images.n_samples() * len];
    for (index, masks) in masks.chunks_exact_mut(len).enumerate() {
        images
            .masks_into(index, masks)
            .expect("a sample of the set");
    }
    masks
}

/// Numbers that look random and are the same in every run (xorshift64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).expect("below a usize")
    }

    /// The numbers below `n` in another order.
    pub(crate) fn shuffled(&mut self, n: usize) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            numbers.swap(i, self.below(i + 1));
        }
        numbers
    }
}
