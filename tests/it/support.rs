//! What several tests share: small sets, small models, one lock on the generator.

use std::f32::consts::PI;
use std::sync::{Mutex, MutexGuard, PoisonError};

use timesclip::Modalities;
use timesclip::batch::TimesClipBatcher;
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::model::TimesClipClassifierConfig;
use timesclip::raster::{Palette, PixelStatistics, PlotStyle};

/// The backend of the tests.
pub(crate) type Cpu = burn_flex::Flex;
/// The backend of the tests that train.
pub(crate) type AutodiffCpu = burn::backend::Autodiff<Cpu>;

/// The CPU backend has one random generator a process: tests that draw from it take turns.
pub(crate) fn lock_generator() -> MutexGuard<'static, ()> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    GENERATOR.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sines of one, two or three periods a class, two variates, lengths of 12 to 19 steps.
pub(crate) fn sines(n_samples: usize) -> SeriesDataset {
    let samples = (0..n_samples).map(|i| {
        let (label, n_steps) = (i % 3, 12 + i % 8);
        let value = |step: usize, variate: usize| {
            let phase = i as f32 * 0.3 + variate as f32;
            (2.0 * PI * (label + 1) as f32 * step as f32 / n_steps as f32 + phase).sin()
        };
        let values = (0..n_steps)
            .flat_map(|step| [value(step, 0), value(step, 1)])
            .collect();
        let series = Series::new(values, n_steps, 2).expect("finite values of the right number");
        LabeledSeries {
            id: 1000 + i as u64,
            series,
            label,
        }
    });
    let names = ["one", "two", "three"].map(str::to_owned).to_vec();
    SeriesDataset::new("sines".to_owned(), names, samples.collect()).expect("a sound set")
}

/// A classifier of [`sines`] that takes a step in milliseconds.
pub(crate) fn tiny_model(mode: Modalities) -> TimesClipClassifierConfig {
    let mut config = TimesClipClassifierConfig::new(2, 3)
        .with_modalities(mode)
        .with_d_model(16);
    for transformer in [
        &mut config.vision.transformer,
        &mut config.language.transformer,
    ] {
        transformer.d_model = 16;
        transformer.d_ff = 32;
        transformer.n_heads = 2;
        transformer.n_layers = 1;
    }
    config.vision.side_px = 32;
    config.vision.image_patch_size = 8;
    config.selection.n_heads = 2;
    config.head.hidden = vec![16];
    config
}

/// The style of the pictures that [`tiny_model`] sees.
pub(crate) fn tiny_style() -> PlotStyle {
    PlotStyle {
        side_px: 32,
        ..PlotStyle::default()
    }
}

/// A batcher fitted to a whole set.
pub(crate) fn batcher(dataset: &SeriesDataset) -> TimesClipBatcher {
    let series = dataset.samples().iter().map(|sample| &sample.series);
    let normalizer = Normalizer::fit(Normalization::Dataset, series).expect("a sound set");
    let pixels = PixelStatistics {
        mean: [1.0; 3],
        ..PixelStatistics::CLIP
    };
    TimesClipBatcher::new(normalizer, Modalities::DUAL).with_colors(Palette::default(), pixels)
}
