//! Predicting with a fitted model: one sample (latency) and many (throughput), for each model type in
//! closed form, and for an ensemble of networks.
//!
//! `cargo bench --bench predict`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use timesclip::curves::CurveGenerator;
use timesclip::options::TrainingOptions;
use timesclip::{Effort, FitOptions, Modalities, SeriesDataset, TimesClip};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Variates of the generated series.
const N_VARIATES: usize = 3;
/// Samples that a model is fitted to.
const N_TRAIN: usize = 200;

fn curves(n: usize) -> SeriesDataset {
    let set = CurveGenerator::new(1).labeled_set(n, N_VARIATES);
    set.expect("generated curves are a sound set")
}

fn predict(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("predict");
    group.sample_size(10);
    let (train, many) = (curves(N_TRAIN), curves(1000));
    let networks = TrainingOptions {
        steps: Some(20),
        ..TrainingOptions::default()
    };
    let cases = [
        ("kernels", Modalities::KERNELS_ONLY, Effort::Fast),
        ("vision", Modalities::VISION_ONLY, Effort::Fast),
        ("language", Modalities::LANGUAGE_ONLY, Effort::Fast),
        ("full", Modalities::FULL, Effort::Fast),
        ("full,networks=4", Modalities::FULL, Effort::Full),
    ];
    for (name, modalities, effort) in cases {
        let options = FitOptions {
            modalities,
            effort,
            training: networks.clone(),
            ..FitOptions::default()
        };
        let model = TimesClip::fit(&train, &options).expect("a fit");
        for n in [1, many.len()] {
            let samples = &many.samples()[..n];
            group.throughput(Throughput::Elements(n as u64));
            group.bench_function(BenchmarkId::new(name, n), |bencher| {
                bencher.iter(|| model.predict(black_box(samples)).expect("answers"));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, predict);
criterion_main!(benches);
