//! A training step and a prediction of the small preset, on the CPU backend.

use std::hint::black_box;

use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use timesclip::batch::{BatchViews, HostBatch, TimesClipBatcher};
use timesclip::cache::UncachedImages;
use timesclip::model::{ModelMode, TimesClipClassifierConfig};
use timesclip::normalize::{Normalization, Normalizer};
use timesclip::raster::PlotStyle;
use timesclip::series::{LabeledSeries, Series, SeriesDataset};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Cpu = burn_flex::Flex;
type AutodiffCpu = burn::backend::Autodiff<Cpu>;

const BATCH: usize = 64;
const N_STEPS: usize = 37;
const N_VARIATES: usize = 14;
const N_CLASSES: usize = 4;

/// A batch of random walks in the shape of the reference's set.
fn batch(side_px: usize) -> HostBatch {
    let mut state = 42_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    };
    let samples = (0..BATCH).map(|i| {
        let mut level = vec![0.0; N_VARIATES];
        let mut values = Vec::with_capacity(N_STEPS * N_VARIATES);
        for _ in 0..N_STEPS {
            level.iter_mut().for_each(|level| *level += random());
            values.extend_from_slice(&level);
        }
        let series = Series::new(values, N_STEPS, N_VARIATES).expect("finite values");
        LabeledSeries {
            id: i as u64,
            series,
            label: i % N_CLASSES,
        }
    });
    let names = (0..N_CLASSES).map(|class| class.to_string()).collect();
    let set =
        SeriesDataset::new("walks".to_owned(), names, samples.collect()).expect("a sound set");
    let series = set.samples().iter().map(|sample| &sample.series);
    let normalizer = Normalizer::fit(Normalization::Dataset, series).expect("a sound set");
    let style = PlotStyle {
        side_px,
        ..PlotStyle::default()
    };
    let images = UncachedImages::new(set, &style).expect("a sound style");
    let indices: Vec<usize> = (0..BATCH).collect();
    TimesClipBatcher::new(normalizer, BatchViews::ALL)
        .gather(&images, &indices)
        .expect("a batch")
}

fn bench(criterion: &mut Criterion) {
    let device = Default::default();
    let mut group = criterion.benchmark_group("small");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(BATCH as u64));
    for mode in [
        ModelMode::Dual,
        ModelMode::LanguageOnly,
        ModelMode::VisionOnly,
    ] {
        let config = TimesClipClassifierConfig::new(N_VARIATES, N_CLASSES).with_mode(mode);
        let host = batch(config.vision.side_px);
        let mut model = Some(config.init::<AutodiffCpu>(&device));
        let plain = model.as_ref().map(AutodiffModule::valid).expect("a model");
        let mut adamw = AdamWConfig::new().init();
        group.bench_function(
            BenchmarkId::new("step", format!("{mode:?}/batch={BATCH}")),
            |b| {
                b.iter(|| {
                    let batch = host.clone().into_tensors::<AutodiffCpu>(&device);
                    let taken = model.take().expect("put back after every step");
                    let step = taken.forward_classification(batch.input, batch.targets);
                    let gradients = GradientsParams::from_grads(step.loss.total.backward(), &taken);
                    model = Some(adamw.step(1e-3, taken, gradients));
                });
            },
        );
        group.bench_function(
            BenchmarkId::new("predict", format!("{mode:?}/batch={BATCH}")),
            |b| {
                b.iter(|| {
                    let batch = host.clone().into_tensors::<Cpu>(&device);
                    black_box(plain.forward(batch.input).logits.into_data())
                });
            },
        );
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
