//! Image caches and feature stores: coding, random batches, gathering, epochs and building, for each
//! kind.
//!
//! `cargo bench --bench cache`; with `TIMESCLIP_BENCH_FULL=1` an epoch has the size of the
//! reference's training set, 4000 samples. `reference` in the arguments, or no name at all, also
//! builds a set of the size of the reference's, 5557 x 14 x 37, and prints what it takes.
//! `TIMESCLIP_BENCH_MASKS=FILE` writes masks to a file, for `benches/compare/lmdb_masks.py`, which
//! times other ways to keep the same masks.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use timesclip::Modalities;
use timesclip::batch::{BatchSource, TimesClipBatcher};
use timesclip::cache::features::{EncoderIdentity, FeatureDtype, FeatureSet, FeatureStore};
use timesclip::cache::{
    BuildCost, BuildOptions, CachedImageDataset, InMemoryImages, OnDiskImages, UncachedImages,
    codec,
};
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::raster::{PlotStyle, Rasterizer};

const N_STEPS: usize = 37;
const N_VARIATES: usize = 14;
const BATCH: usize = 64;
const SIDE_PX: usize = 224;
const MASK: usize = SIDE_PX * SIDE_PX;
const SAMPLE: usize = N_VARIATES * MASK;
/// Samples of the reference's table, and of its training split.
const REFERENCE_SAMPLES: usize = 5557;
const EPOCH_SAMPLES: usize = 4000;
/// Numbers of a feature of the reference's encoder.
const WIDTH: usize = 768;
const KINDS: [&str; 3] = ["memory", "disk", "none"];

/// The sum of twelve uniform numbers less its mean is close enough to a normal one.
fn normal(rng: &mut impl Rng) -> f32 {
    (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0
}

/// Seeded random walks in the shape of the reference's table.
fn walks(n_samples: usize) -> Arc<SeriesDataset> {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let samples = (0..n_samples).map(|id| {
        let mut level = [0.0; N_VARIATES];
        let mut values = Vec::with_capacity(N_STEPS * N_VARIATES);
        for _ in 0..N_STEPS {
            level
                .iter_mut()
                .for_each(|level| *level += normal(&mut rng));
            values.extend_from_slice(&level);
        }
        LabeledSeries {
            id: id as u64,
            series: Series::new(values, N_STEPS, N_VARIATES).expect("finite values"),
            label: 0,
        }
    });
    let set = SeriesDataset::new("walks", vec!["walk".to_owned()], samples.collect());
    Arc::new(set.expect("a sound set"))
}

fn images(kind: &str, set: &Arc<SeriesDataset>, folder: &Path) -> Box<dyn CachedImageDataset> {
    let (set, style, options) = (Arc::clone(set), PlotStyle::default(), BuildOptions::new());
    match kind {
        "memory" => {
            Box::new(InMemoryImages::build(set, &style, options).expect("pictures in memory"))
        }
        "disk" => Box::new(
            OnDiskImages::open_or_build(folder, set, &style, options).expect("pictures on disk"),
        ),
        _ => Box::new(UncachedImages::new(set, &style).expect("a sound style")),
    }
}

fn coding(criterion: &mut Criterion) {
    let set = walks(16);
    let rasterizer = Rasterizer::new(PlotStyle::default()).expect("a sound style");
    let mut masks = vec![0; set.len() * SAMPLE];
    let series: Vec<&Series> = set.samples().iter().map(|sample| &sample.series).collect();
    rasterizer.draw_all(&series, &mut masks);
    let mut coded = Vec::new();
    let mut ends = Vec::new();
    for mask in masks.chunks_exact(MASK) {
        codec::encode(mask, SIDE_PX, &mut coded);
        ends.push(coded.len());
    }
    println!(
        "codec: {:.0} bytes a picture",
        coded.len() as f64 / ends.len() as f64
    );

    let mut group = criterion.benchmark_group("codec");
    group.throughput(Throughput::Elements(ends.len() as u64));
    let id = |action| BenchmarkId::new(action, format!("side={SIDE_PX}/pictures={}", ends.len()));
    group.bench_function(id("encode"), |bencher| {
        let mut out = Vec::with_capacity(coded.len());
        bencher.iter(|| {
            out.clear();
            for mask in masks.chunks_exact(MASK) {
                codec::encode(black_box(mask), SIDE_PX, &mut out);
            }
        });
    });
    group.bench_function(id("decode"), |bencher| {
        let mut mask = vec![0; MASK];
        bencher.iter(|| {
            let mut at = 0;
            for _ in &ends {
                let code = black_box(&coded[at..]);
                at += codec::decode(code, SIDE_PX, &mut mask).expect("a sound code");
            }
        });
    });
}

/// Reads the samples at `indices` one behind the other into `masks`, on one thread.
fn read(images: &dyn CachedImageDataset, indices: &[usize], masks: &mut [u8]) {
    for (&index, masks) in indices.iter().zip(masks.chunks_exact_mut(SAMPLE)) {
        images.masks_into(index, masks).expect("pictures");
    }
}

/// The same on all threads.
fn read_on_all_threads(images: &dyn CachedImageDataset, indices: &[usize], masks: &mut [u8]) {
    let reads = indices.par_iter().zip(masks.par_chunks_exact_mut(SAMPLE));
    reads.for_each(|(&index, masks)| images.masks_into(index, masks).expect("pictures"));
}

fn random_batch(criterion: &mut Criterion) {
    let set = walks(16 * BATCH);
    let folder = tempfile::tempdir().expect("a folder");
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let mut masks = vec![0; BATCH * SAMPLE];
    let mut group = criterion.benchmark_group("batch");
    group.sample_size(20);
    group.throughput(Throughput::Elements((BATCH * N_VARIATES) as u64));
    for kind in KINDS {
        let images = images(kind, &set, folder.path());
        let id = BenchmarkId::new(format!("cache={kind}"), format!("{BATCH}x{N_VARIATES}"));
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                let indices: Vec<_> = (0..BATCH).map(|_| rng.random_range(0..set.len())).collect();
                read(&*images, &indices, &mut masks);
            });
        });
    }
}

/// A batch as the trainer gets it, and its bytes: what must keep ahead of a device.
fn gather(criterion: &mut Criterion) {
    let set = walks(16 * BATCH);
    let folder = tempfile::tempdir().expect("a folder");
    let mut rng = ChaCha8Rng::seed_from_u64(19);
    let series = set.samples().iter().map(|sample| &sample.series);
    let normalizer = Normalizer::fit(Normalization::Dataset, series).expect("a sound set");
    let batcher = TimesClipBatcher::new(normalizer, Modalities::DUAL);
    let mut group = criterion.benchmark_group("gather");
    group.sample_size(20);
    group.throughput(Throughput::Bytes((BATCH * SAMPLE) as u64));
    for kind in KINDS {
        let images = images(kind, &set, folder.path());
        let source = BatchSource::new(&*images, &batcher);
        let id = BenchmarkId::new(
            format!("cache={kind}/threads={}", rayon::current_num_threads()),
            format!("{BATCH}x{N_VARIATES}"),
        );
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                let indices: Vec<_> = (0..BATCH).map(|_| rng.random_range(0..set.len())).collect();
                source.gather(&indices).expect("a batch")
            });
        });
    }
}

fn epoch(criterion: &mut Criterion) {
    let full = std::env::var_os("TIMESCLIP_BENCH_FULL").is_some();
    let n_samples = if full {
        EPOCH_SAMPLES
    } else {
        EPOCH_SAMPLES / 10
    };
    let set = walks(n_samples);
    let folder = tempfile::tempdir().expect("a folder");
    let mut order: Vec<usize> = (0..n_samples).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(13));
    let mut masks = vec![0; BATCH * SAMPLE];
    let mut group = criterion.benchmark_group("epoch");
    group.sample_size(10);
    group.throughput(Throughput::Elements((n_samples * N_VARIATES) as u64));
    for kind in KINDS {
        let images = images(kind, &set, folder.path());
        type Read = fn(&dyn CachedImageDataset, &[usize], &mut [u8]);
        for (threads, read) in [("1", read as Read), ("all", read_on_all_threads)] {
            let size = format!("{n_samples}x{N_VARIATES}x{N_STEPS}");
            let id = BenchmarkId::new(format!("cache={kind}/threads={threads}"), size);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    for batch in order.chunks(BATCH) {
                        read(&*images, batch, &mut masks);
                    }
                });
            });
        }
    }
}

/// A store of seeded numbers, in a folder or in memory.
fn features(set: &Arc<SeriesDataset>, dtype: FeatureDtype, folder: Option<&Path>) -> FeatureStore {
    let images = images("none", set, Path::new(""));
    let identity = EncoderIdentity {
        encoder: 0,
        pixels: 0,
        dtype,
        width: WIDTH,
        description: "numbers that are drawn".to_owned(),
    };
    let set = FeatureSet::of(&*images, identity).expect("samples in memory");
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let compute = |_, numbers: &mut [f32]| {
        numbers.fill_with(|| rng.random());
        Ok::<_, std::io::Error>(())
    };
    let options = BuildOptions::new();
    let store = match folder {
        Some(folder) => FeatureStore::open_or_build(folder, &set, BATCH, options, compute),
        None => FeatureStore::in_memory(&set, BATCH, options, compute),
    };
    store.expect("features")
}

/// An epoch of features, on one thread, in random order.
fn feature_epoch(criterion: &mut Criterion) {
    let full = std::env::var_os("TIMESCLIP_BENCH_FULL").is_some();
    let n_samples = if full {
        EPOCH_SAMPLES
    } else {
        EPOCH_SAMPLES / 10
    };
    let set = walks(n_samples);
    let folder = tempfile::tempdir().expect("a folder");
    let mut order: Vec<usize> = (0..n_samples).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(13));
    let mut batch = vec![0.0; BATCH * N_VARIATES * WIDTH];
    let mut group = criterion.benchmark_group("features");
    group.sample_size(10);
    group.throughput(Throughput::Elements((n_samples * N_VARIATES) as u64));
    for dtype in [FeatureDtype::F32, FeatureDtype::F16] {
        for (place, folder) in [("memory", None), ("disk", Some(folder.path()))] {
            let store = features(&set, dtype, folder);
            let size = format!("{n_samples}x{N_VARIATES}x{WIDTH}");
            let id = BenchmarkId::new(format!("store={place}/dtype={dtype}"), size);
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    for indices in order.chunks(BATCH) {
                        let numbers = batch.chunks_exact_mut(N_VARIATES * WIDTH);
                        for (&index, numbers) in indices.iter().zip(numbers) {
                            store.features_into(index, numbers).expect("features");
                        }
                    }
                });
            });
        }
    }
}

/// Writes the masks of four batches to a file, if one is named.
fn export(_: &mut Criterion) {
    let Some(path) = std::env::var_os("TIMESCLIP_BENCH_MASKS") else {
        return;
    };
    let set = walks(4 * BATCH);
    let images = images("none", &set, Path::new(""));
    let mut masks = vec![0; set.len() * SAMPLE];
    let indices: Vec<usize> = (0..set.len()).collect();
    read_on_all_threads(&*images, &indices, &mut masks);
    std::fs::write(&path, masks).expect("a file that can be written");
    println!("masks of {} samples are in {}", set.len(), path.display());
}

/// Builds and opens a set of the size of the reference's once, and prints what that takes.
fn reference(_: &mut Criterion) {
    let names: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let is_test = std::env::args().any(|arg| arg == "--test");
    if is_test
        || !(names.is_empty() || names.iter().any(|name| "reference".contains(name.as_str())))
    {
        return;
    }
    let set = walks(REFERENCE_SAMPLES);
    let style = PlotStyle::default();
    let cost = BuildCost::estimate(&set, &style).expect("a sound style");
    println!("reference: {REFERENCE_SAMPLES} x {N_VARIATES} x {N_STEPS}, estimated {cost}");
    let memory = InMemoryImages::build(Arc::clone(&set), &style, BuildOptions::new());
    print_stats(&memory.expect("pictures in memory"));

    let folder = tempfile::tempdir().expect("a folder");
    let open = || {
        OnDiskImages::open_or_build(folder.path(), Arc::clone(&set), &style, BuildOptions::new())
    };
    let disk = open().expect("a store");
    print_stats(&disk);
    let mut warm: Vec<f64> = (0..15).map(|_| seconds(|| drop(open()))).collect();
    warm.sort_by(f64::total_cmp);
    println!(
        "reference/open and verify, warm: {:.3} s at best, {:.3} s in the median of 15",
        warm[0], warm[7]
    );

    let indices: Vec<usize> = (0..BATCH).map(|i| i * 7919 % REFERENCE_SAMPLES).collect();
    let mut masks = vec![0; BATCH * SAMPLE];
    for state in ["warm", "cold"] {
        if state == "cold" && !forget(disk.path()) {
            println!(
                "reference/batch, cold: skipped, `dd` cannot drop the file from the page cache"
            );
            continue;
        }
        let took = seconds(|| read(&disk, &indices, &mut masks));
        println!(
            "reference/batch {BATCH} x {N_VARIATES} from disk, {state}: {:.1} ms",
            took * 1e3
        );
    }
}

fn print_stats(images: &dyn CachedImageDataset) {
    let stats = images.stats();
    println!(
        "reference/{}: {} pictures, {:.1} MB, {:.0} bytes a picture, built in {:.2} s on {} threads",
        stats.kind,
        stats.images,
        stats.bytes as f64 / 1e6,
        stats.bytes as f64 / stats.images as f64,
        stats.build_seconds,
        rayon::current_num_threads(),
    );
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Drops a file from the page cache: GNU `dd` does so when it is told to copy nothing to it.
fn forget(path: &Path) -> bool {
    let mut of = std::ffi::OsString::from("of=");
    of.push(path);
    let arguments = [
        "oflag=nocache",
        "conv=notrunc,fdatasync",
        "count=0",
        "if=/dev/null",
        "status=none",
    ];
    let status = Command::new("dd").arg(of).args(arguments).status();
    status.is_ok_and(|status| status.success())
}

criterion_group!(
    benches,
    export,
    coding,
    random_batch,
    gather,
    epoch,
    feature_epoch,
    reference
);
criterion_main!(benches);
