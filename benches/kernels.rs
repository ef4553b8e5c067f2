//! Kernel features by length and number of variates, MiniRocket and Hydra apart, on one core.
//!
//! `cargo bench --bench kernels`; `benches/compare/kernels.py` times the compiled reference on
//! series of the same shapes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use timesclip::closed_form::{Block, ClosedForm, FeatureTable, RidgeConfig, Targets};
use timesclip::data::Series;
use timesclip::kernels::{KernelConfig, KernelTransform};

/// Series in a round.
const N_SERIES: usize = 64;
/// Steps and variates.
const SHAPES: [(usize, usize); 6] = [(100, 1), (361, 1), (1000, 1), (100, 3), (128, 6), (300, 12)];

fn walks(n: usize, n_steps: usize, n_variates: usize) -> Vec<Series> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    (0..n)
        .map(|_| {
            let mut levels = vec![0.0; n_variates];
            let values = (0..n_steps * n_variates).map(|i| {
                levels[i % n_variates] += rng.random::<f32>() - 0.5;
                levels[i % n_variates]
            });
            Series::new(values.collect(), n_steps, n_variates).expect("finite values")
        })
        .collect()
}

fn fitted(series: &[Series], config: &KernelConfig) -> KernelTransform {
    let series: Vec<&Series> = series.iter().collect();
    KernelTransform::fit(&series, config).expect("sound kernels")
}

fn transform(c: &mut Criterion) {
    let mut group = c.benchmark_group("kernels");
    let whole = KernelConfig::default();
    let kinds = [
        (
            "mini_rocket",
            KernelConfig {
                hydra_groups: 0,
                difference_features: 0,
                ..whole.clone()
            },
        ),
        (
            "hydra",
            KernelConfig {
                mini_features: 0,
                difference_features: 0,
                ..whole
            },
        ),
    ];
    for (n_steps, n_variates) in SHAPES {
        let series = walks(N_SERIES, n_steps, n_variates);
        for (kind, config) in &kinds {
            let transform = fitted(&series, config);
            let mut features = vec![0.0; transform.n_features()];
            let parameters = format!("steps={n_steps}/variates={n_variates}");
            group.throughput(Throughput::Elements(1));
            group.bench_function(BenchmarkId::new(*kind, parameters), |b| {
                let mut next = series.iter().cycle();
                b.iter(|| {
                    let series = next.next().expect("a cycle has no end");
                    let done = transform.transform_into(black_box(series), &mut features);
                    done.expect("the same variates");
                    features[0]
                });
            });
        }
    }
    group.finish();
}

fn ridge(c: &mut Criterion) {
    let mut group = c.benchmark_group("closed_form");
    group.sample_size(10);
    for n_rows in [100, 400, 1600] {
        let series = walks(n_rows, 100, 1);
        let transform = fitted(&series, &KernelConfig::default());
        let refs: Vec<&Series> = series.iter().collect();
        let features = transform.transform_all(&refs).expect("the same variates");
        let widths = transform.block_widths().into_iter();
        let blocks = widths.map(|width| Block { width, scale: 1.0 }).collect();
        let table = FeatureTable::new(features, blocks).expect("whole rows");
        let labels: Vec<usize> = (0..n_rows).map(|i| i % 5).collect();
        group.throughput(Throughput::Elements(n_rows as u64));
        group.bench_function(BenchmarkId::new("fit", format!("samples={n_rows}")), |b| {
            let targets = Targets::new(&labels, 5);
            b.iter(|| ClosedForm::fit(&table, &targets, &RidgeConfig::default()));
        });
    }
    group.finish();
}

criterion_group!(benches, transform, ridge);
criterion_main!(benches);
