//! Drawing: one picture by kind and length of series, and many on all cores.
//!
//! `cargo bench --bench raster`; `benches/compare/matplotlib_png.py` times the recipe that the
//! default style reproduces.

use std::f32::consts::TAU;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use timesclip::data::Series;
use timesclip::raster::{PlotStyle, Rasterizer};

/// Distinct series in a round, so that no branch is learnt by heart.
const N_SERIES: usize = 64;
const KINDS: [&str; 5] = ["walk", "season", "noise", "steps", "gaps"];

/// The sum of twelve uniform numbers less its mean is close enough to a normal one.
fn normal(rng: &mut impl Rng) -> f32 {
    (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0
}

fn values(kind: &str, n_steps: usize, rng: &mut impl Rng) -> Vec<f32> {
    let (phase, mut level) = (rng.random::<f32>(), 0.0);
    (0..n_steps)
        .map(|step| {
            let t = step as f32 / n_steps as f32;
            let noise = normal(rng);
            if kind != "steps" || step % 5 == 0 {
                level += noise;
            }
            match kind {
                "season" => (TAU * (t + phase)).sin() + 0.05 * noise,
                "noise" => noise,
                "gaps" if rng.random::<f32>() < 0.15 => f32::NAN,
                _ => level,
            }
        })
        .collect()
}

fn seeded(kind: &str, n_steps: usize, n_variates: usize) -> Vec<Series> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    (0..N_SERIES)
        .map(|_| {
            let values = values(kind, n_steps * n_variates, &mut rng);
            Series::new(values, n_steps, n_variates).expect("finite values")
        })
        .collect()
}

fn rasterizer(side_px: usize) -> Rasterizer {
    let style = PlotStyle {
        side_px,
        ..PlotStyle::default()
    };
    Rasterizer::new(style).expect("a sound style")
}

/// One picture at a time, on one core.
fn draw_one(c: &mut Criterion) {
    let mut group = c.benchmark_group("raster");
    group.throughput(Throughput::Elements(1));
    let by_kind = KINDS.map(|kind| (kind, 37, 224));
    let others = [12, 100, 1000].map(|n_steps| ("walk", n_steps, 224));
    let sides = [32, 96, 448].map(|side| ("walk", 37, side));
    for (kind, n_steps, side) in by_kind.into_iter().chain(others).chain(sides) {
        let (series, rasterizer) = (seeded(kind, n_steps, 1), rasterizer(side));
        let mut scratch = rasterizer.scratch();
        let mut mask = vec![0; side * side];
        let mut next = series.iter().cycle();
        let name = format!("kind={kind}/steps={n_steps}/side={side}");
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let series = next.next().expect("a cycle has no end");
                rasterizer.draw(&mut scratch, black_box(series), 0, &mut mask);
                black_box(&mask);
            });
        });
    }
    group.finish();
}

/// A batch of 64 samples of 14 variates, on one thread and on all.
fn draw_batch(c: &mut Criterion) {
    let (n_variates, side) = (14, 224);
    let series = seeded("walk", 37, n_variates);
    let series: Vec<&Series> = series.iter().collect();
    let rasterizer = rasterizer(side);
    let mut masks = vec![0; series.len() * n_variates * side * side];
    let mut group = c.benchmark_group("raster_batch");
    group.throughput(Throughput::Elements((series.len() * n_variates) as u64));
    for n_threads in [1, rayon::current_num_threads()] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
        let pool = pool.build().expect("threads");
        let id = BenchmarkId::from_parameter(format!("variates=14/steps=37/threads={n_threads}"));
        group.bench_function(id, |bencher| {
            pool.install(|| bencher.iter(|| rasterizer.draw_all(black_box(&series), &mut masks)));
        });
    }
    group.finish();
}

criterion_group!(benches, draw_one, draw_batch);
criterion_main!(benches);
