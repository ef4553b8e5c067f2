//! A model file written on the CPU gives the same answers on a device, univariate sets, series of odd
//! lengths and single samples among them.
//!
//! Burn has open reports of wrong products with one output column (issues 5122, 5257, 5352) where
//! kernels are fused or autotuned; this test meets such shapes.

use burn::tensor::backend::AutodiffBackend;
use timesclip::backend::{BackendChoice, BackendKind};
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::options::{EncoderWeights, TrainingOptions};
use timesclip::{FitOptions, LoadOptions, Modalities, Prediction, TimesClip};

use crate::models::rounding_of_products;
use crate::support::lock_generator;

/// Of probabilities: some twenty layers in single precision. 1e-6 is usual.
const PROBABILITIES: f32 = 1e-4;

/// Waves of two speeds, `n_variates` of them, of odd and unequal lengths.
fn waves(n_variates: usize) -> SeriesDataset {
    let sample = |id: usize| {
        let (label, n_steps) = (id % 2, 15 + id % 7);
        let wave = |i: usize| {
            let (step, variate) = (i / n_variates, i % n_variates);
            let speed = [0.3, 0.5][label] + 0.05 * variate as f32;
            // Enough of a wobble for the networks to be needed.
            (step as f32 * speed + id as f32).sin() + ((i * id) as f32 * 12.9).sin() * 1.5
        };
        let values = (0..n_steps * n_variates).map(wave).collect();
        LabeledSeries {
            id: id as u64,
            series: Series::new(values, n_steps, n_variates).expect("finite values"),
            label,
        }
    };
    let classes = vec!["slow".to_owned(), "fast".to_owned()];
    SeriesDataset::new("waves", classes, (0..23).map(sample).collect()).expect("a sound set")
}

fn fitted(set: &SeriesDataset, modalities: Modalities) -> TimesClip {
    let mut options = FitOptions {
        modalities,
        folds: Some(2),
        training: TrainingOptions {
            steps: Some(5),
            ..TrainingOptions::default()
        },
        ..FitOptions::default()
    };
    options.compute.backend = BackendChoice::Only(BackendKind::Cpu);
    // Networks alone: with a closed form beside them their differences would be diluted.
    options.encoders.vision_weights = EncoderWeights::Random;
    options.encoders.text_weights = EncoderWeights::Random;
    TimesClip::fit(set, &options).expect("a fit")
}

fn apart(a: &[Prediction], b: &[Prediction]) -> f32 {
    let values = |rows: &[Prediction]| -> Vec<f32> {
        let rows = rows.iter().flat_map(|row| row.probabilities.clone());
        rows.collect()
    };
    let (a, b) = (values(a), values(b));
    assert_eq!(a.len(), b.len(), "as many predictions");
    a.iter()
        .zip(&b)
        .fold(0.0, |most, (a, b)| (a - b).abs().max(most))
}

pub(crate) fn a_model_saved_on_the_cpu_answers_alike<B: AutodiffBackend>(
    kind: BackendKind,
    _device: &B::Device,
) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let tolerance = PROBABILITIES * rounding_of_products(kind);
    for modalities in [
        Modalities::DUAL,
        Modalities::LANGUAGE_ONLY,
        Modalities::VISION_ONLY,
    ] {
        for n_variates in [1, 3] {
            let _turn = lock_generator();
            let set = waves(n_variates);
            let model = fitted(&set, modalities);
            model.save(&path).expect("a file");
            let options = LoadOptions {
                backend: BackendChoice::Only(kind),
                ..LoadOptions::default()
            };
            let there = TimesClip::load_with(&path, &options).expect("a model");
            let series: Vec<&Series> = set.samples().iter().map(|sample| &sample.series).collect();
            let expected = model.predict(&set).expect("answers");
            let whole = apart(&there.predict(&set).expect("answers"), &expected);
            let alone = series.iter().zip(&expected).map(|(series, expected)| {
                let answer = there.predict(*series).expect("an answer");
                apart(&answer, std::slice::from_ref(expected))
            });
            let alone = alone.fold(0.0, f32::max);
            println!("{modalities}, {n_variates} variates: {whole:e} apart, one by one {alone:e}");
            assert!(
                whole.max(alone) <= tolerance,
                "{modalities}, {n_variates}: {whole}, {alone}"
            );
        }
    }
}
