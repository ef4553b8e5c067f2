//! Seeded random walks, the sets that benches work on.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use timesclip::data::{LabeledSeries, Series, SeriesDataset};

/// Classes of every set of walks.
pub(crate) const N_CLASSES: usize = 4;

/// The same walks for the same sizes.
pub(crate) fn walks(n_samples: usize, n_variates: usize, n_steps: usize) -> SeriesDataset {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let samples = (0..n_samples).map(|id| {
        let mut level = vec![0.0; n_variates];
        let mut values = Vec::with_capacity(n_steps * n_variates);
        for _ in 0..n_steps {
            level
                .iter_mut()
                .for_each(|level| *level += rng.random::<f32>() - 0.5);
            values.extend_from_slice(&level);
        }
        LabeledSeries {
            id: id as u64,
            series: Series::new(values, n_steps, n_variates).expect("finite values"),
            label: id % N_CLASSES,
        }
    });
    let names = (0..N_CLASSES).map(|class| class.to_string()).collect();
    SeriesDataset::new("walks", names, samples.collect()).expect("a sound set")
}
