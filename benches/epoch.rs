//! An epoch of the dual model on a frozen vision encoder: pictures drawn each time, pictures
//! cached, features cached; for the small preset's encoder and for CLIP ViT-B/32.
//!
//! `cargo bench --bench epoch`. Samples have the reference's shape, 14 variates and 37 steps. An
//! epoch here has few samples, since ViT-B/32 takes a CPU half a second a sample; the table that is
//! printed last says what the reference's 4000 take, in proportion, and the one-off cost of either
//! cache.

use std::time::Duration;

use burn::module::AutodiffModule;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use timesclip::Modalities;
use timesclip::batch::{BatchSource, TimesClipBatcher};
use timesclip::cache::features::FeatureDtype;
use timesclip::cache::{BuildOptions, CachedImageDataset, InMemoryImages, UncachedImages};
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::encode::FeatureEncoder;
use timesclip::model::{
    Freeze, TimesClipClassifier, TimesClipClassifierConfig, VisionEncoderConfig,
};
use timesclip::raster::PlotStyle;
use timesclip::train::{Trainer, TrainingConfig, TrainingData};

#[path = "shared/walks.rs"]
mod walks;

use walks::{N_CLASSES, walks};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Cpu = burn_flex::Flex;
type AutodiffCpu = burn::backend::Autodiff<Cpu>;

const N_STEPS: usize = 37;
const N_VARIATES: usize = 14;
/// Training samples of the reference's split.
const EPOCH_SAMPLES: usize = 4000;

/// What one encoder's epochs are timed on.
struct Case {
    name: &'static str,
    encoder: VisionEncoderConfig,
    /// Samples of an epoch that runs the encoder, and of one that does not: whole passes of the
    /// encoder, or this few would pay for filling up one.
    n_samples: [usize; 2],
}

/// Seconds of one epoch on the first `n_samples`.
fn epoch(model: &TimesClipClassifier<AutodiffCpu>, source: BatchSource<'_>, n: usize) -> f64 {
    let device = Default::default();
    let train: Vec<usize> = (0..n).collect();
    let training = TrainingConfig::new().with_epochs(1).with_batch_size(64);
    let data = TrainingData::new(source, &train, &[]);
    let trainer = Trainer::<AutodiffCpu>::new(&training, data, &device).expect("sound numbers");
    let trained = trainer.fit(model.clone(), &mut ()).expect("an epoch");
    trained.epoch_seconds[0]
}

fn bench_case(criterion: &mut Criterion, case: &Case) {
    let device = Default::default();
    let set = walks(case.n_samples[1], N_VARIATES, N_STEPS);
    let config = TimesClipClassifierConfig::new(N_VARIATES, N_CLASSES)
        .with_vision(case.encoder.clone())
        .with_freeze_vision(Freeze::All);
    let series = set.samples().iter().map(|sample| &sample.series);
    let normalizer = Normalizer::fit(Normalization::Dataset, series).expect("a sound set");
    let batcher = TimesClipBatcher::new(normalizer, Modalities::DUAL);
    let style = PlotStyle {
        side_px: case.encoder.side_px,
        ..PlotStyle::default()
    };
    let drawn = UncachedImages::new(set.clone(), &style).expect("a sound style");
    let cached = InMemoryImages::build(set, &style, BuildOptions::new()).expect("pictures");

    let model = config.init::<AutodiffCpu>(&device);
    let plain = model.valid();
    let tower = plain.frozen_vision().expect("a frozen encoder");
    let pictures = BatchSource::new(&cached, &batcher);
    let encoder = FeatureEncoder::<Cpu>::new(tower, &cached, &batcher, FeatureDtype::F16, &device);
    let encoder = encoder.expect("samples that can be read");
    let features = encoder.in_memory(BuildOptions::new()).expect("features");

    let [few, all] = case.n_samples;
    let kinds = [
        ("none", BatchSource::new(&drawn, &batcher), few),
        ("pictures", pictures, few),
        (
            "features",
            pictures.with_features(&features).expect("its own"),
            all,
        ),
    ];
    let seconds = kinds.map(|kind| bench_epoch(criterion, case.name, &model, kind));
    let once = [cached.stats().build_seconds, features.stats().build_seconds];
    let [draw, encode] = once.map(|seconds| seconds * EPOCH_SAMPLES as f64 / all as f64);
    let [none, pictures, features] = seconds;
    println!(
        "{}: an epoch of {EPOCH_SAMPLES} x {N_VARIATES} takes {none:.1} s drawing, {pictures:.1} s \
         from cached pictures, {features:.2} s from cached features: {:.0} times shorter; once: \
         drawing {draw:.1} s, encoding {encode:.1} s\n",
        case.name,
        pictures / features
    );
}

/// Times epochs of one kind; gives the shortest, in proportion for [`EPOCH_SAMPLES`].
fn bench_epoch(
    criterion: &mut Criterion,
    name: &str,
    model: &TimesClipClassifier<AutodiffCpu>,
    (kind, source, n_samples): (&str, BatchSource<'_>, usize),
) -> f64 {
    let mut best = f64::INFINITY;
    let mut group = criterion.benchmark_group("epoch");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(n_samples as u64));
    group.bench_function(BenchmarkId::new(name, kind), |b| {
        b.iter_custom(|n| {
            let seconds = (0..n).map(|_| epoch(model, source, n_samples));
            let seconds: Vec<f64> = seconds.collect();
            best = seconds.iter().copied().fold(best, f64::min);
            Duration::from_secs_f64(seconds.iter().sum())
        });
    });
    group.finish();
    best * EPOCH_SAMPLES as f64 / n_samples as f64
}

fn bench(criterion: &mut Criterion) {
    let small = TimesClipClassifierConfig::new(N_VARIATES, N_CLASSES).vision;
    for case in [
        Case {
            name: "small",
            encoder: small,
            n_samples: [256, 256],
        },
        Case {
            name: "vit-b-32",
            encoder: VisionEncoderConfig::clip_vit_b_32(),
            n_samples: [20, 80],
        },
    ] {
        bench_case(criterion, &case);
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
