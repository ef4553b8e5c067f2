//! How far the features of a frozen vision encoder are from single precision, when it computes in 16
//! bits and when they are kept in 16 bits: prints a table.
//!
//! `cargo bench --bench precision`; `TIMESCLIP_BENCH_BACKEND=cuda` (or `wgpu`, or `auto`) with
//! `--features cuda` computes on a GPU. Pictures of shipped utterances, seen by the small encoder with
//! random weights, and by DINOv2's ViT-S/14 where `TIMESCLIP_SHARED`, or `../shared`, has `weights/dinov2-s14`.
//!
//! Differences are measured in standard deviations: the root of the mean variance of a number over the pictures,
//! which is what tells pictures apart and what a classifier that standardizes features sees.

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};

use burn::tensor::backend::{AutodiffBackend, Backend};
use timesclip::Modalities;
use timesclip::backend::{ChosenDevice, TrainingJob, train_on};
use timesclip::batch::TimesClipBatcher;
use timesclip::cache::features::{EncoderIdentity, FeatureDtype, FeatureSet, FeatureStore};
use timesclip::cache::{BuildOptions, CachedImageDataset, UncachedImages};
use timesclip::data::SeriesDataset;
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::encode::FeatureEncoder;
use timesclip::model::{TimesClipClassifierConfig, VisionEncoder, VisionTower};
use timesclip::raster::{Palette, PixelStatistics, PlotStyle};
use timesclip::weights::Checkpoint;

#[path = "shared/settings.rs"]
mod settings;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const N_SAMPLES: usize = 4;

/// What is computed in, and what is kept.
const CASES: [[FeatureDtype; 2]; 4] = {
    use FeatureDtype::{Bf16, F16, F32};
    [[F32, F16], [F32, Bf16], [F16, F32], [Bf16, F32]]
};

fn main() -> Result<(), Box<dyn Error>> {
    let device = settings::device()?;
    let (kind, index) = (device.kind, device.index);
    Ok(train_on(kind, &[index], Table(device))?)
}

struct Table(ChosenDevice);

impl TrainingJob for Table {
    type Output = ();

    fn run<B: AutodiffBackend>(self, devices: &[B::Device]) {
        let device = &devices[0];
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let set = SeriesDataset::read(root.join("examples/data/JapaneseVowels_TEST.ts"));
        let set = set.expect("a shipped data set");
        let spread: Vec<usize> = (0..N_SAMPLES).map(|i| i * set.len() / N_SAMPLES).collect();
        let set = set.subset(&spread).expect("samples of the set");
        println!(
            "{} pictures, on {}; differences in deviations of the features in f32",
            N_SAMPLES * set.n_variates(),
            self.0
        );
        println!(
            "| encoder | computed in | kept as | largest difference | mean | 1 - smallest cosine | \
             the same about the mean feature |\n|---|---|---|--:|--:|--:|--:|"
        );
        let config = TimesClipClassifierConfig::new(set.n_variates(), set.n_classes());
        B::InnerBackend::seed(device, 42);
        let small = config.vision.init::<B::InnerBackend>(device);
        let paper_is_zero = PixelStatistics {
            mean: [1.0; 3],
            ..PixelStatistics::CLIP
        };
        compare("small, random", small, (&set, paper_is_zero), device);
        let Some(folder) = dinov2(root) else { return };
        let checkpoint = Checkpoint::open(folder).expect("a sound checkpoint");
        let config = checkpoint.vision_config().expect("a sound config.json");
        let encoder: VisionEncoder<B::InnerBackend> =
            checkpoint.load_vision(&config, device).expect("an encoder");
        let norm = checkpoint
            .pixel_norm()
            .expect("sound")
            .expect("they are there");
        let pixels = PixelStatistics {
            mean: norm.mean,
            std: norm.std,
        };
        compare("DINOv2 ViT-S/14", encoder, (&set, pixels), device);
    }
}

/// Where a real checkpoint may be: it is too large for this repository.
fn dinov2(root: &Path) -> Option<PathBuf> {
    let shared = std::env::var_os("TIMESCLIP_SHARED");
    let shared = shared.map_or_else(|| root.join("../shared"), PathBuf::from);
    let folder = shared.join("weights/dinov2-s14");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not there", folder.display());
    None
}

/// Prints the lines of one encoder.
fn compare<B: Backend>(
    name: &str,
    encoder: VisionEncoder<B>,
    (set, pixels): (&SeriesDataset, PixelStatistics),
    device: &B::Device,
) {
    let style = PlotStyle {
        side_px: encoder.config().side_px,
        ..PlotStyle::default()
    };
    let series = set.samples().iter().map(|sample| &sample.series);
    let normalizer = Normalizer::fit(Normalization::Dataset, series).expect("a sound set");
    let batcher =
        TimesClipBatcher::new(normalizer, Modalities::DUAL).with_colors(Palette::default(), pixels);
    let images = UncachedImages::new(set.clone(), &style).expect("a sound style");
    // Once: weights are drawn when they are first needed, by every copy for itself.
    let frozen = VisionTower::frozen(encoder);
    let compute = |dtype: FeatureDtype| {
        let float = settings::float(dtype);
        B::supports_dtype(device, float.into()).then(|| {
            let tower = frozen.clone().with_frozen_precision(float);
            let encoder = FeatureEncoder::new(&tower, &images, &batcher, FeatureDtype::F32, device);
            let store = encoder.expect("samples").in_memory(BuildOptions::new());
            numbers(&store.expect("finite features"))
        })
    };
    let computed = FeatureDtype::ALL.map(compute);
    let of = |dtype| {
        let mut all = FeatureDtype::ALL.iter().zip(&computed);
        all.find_map(|(of, computed)| computed.as_ref().filter(|_| *of == dtype))
    };
    let width = frozen.encoder().config().d_output();
    let exact = of(FeatureDtype::F32).expect("every device has single precision");
    let exact = Features::new(exact, width);
    for [dtype, kept_as] in CASES {
        let Some(computed) = of(dtype) else {
            println!("| {name} | {dtype} | {kept_as} | not supported | | | |");
            continue;
        };
        let found = kept(&images, width, computed, kept_as);
        let [largest, mean, cosine, centered] = exact.differences(&Features::new(&found, width));
        println!(
            "| {name} | {dtype} | {kept_as} | {largest:.1e} | {mean:.1e} | {cosine:.1e} | {centered:.1e} |"
        );
    }
}

/// What a store of these features gives back.
fn kept(
    images: &dyn CachedImageDataset,
    width: usize,
    features: &[f32],
    dtype: FeatureDtype,
) -> Vec<f32> {
    let identity = EncoderIdentity {
        encoder: 0,
        pixels: 0,
        dtype,
        width,
        description: String::new(),
    };
    let set = FeatureSet::of(images, identity).expect("samples");
    let all = images.n_samples();
    let store = FeatureStore::in_memory(&set, all, BuildOptions::new(), |_, numbers| {
        numbers.copy_from_slice(features);
        Ok::<_, Infallible>(())
    });
    numbers(&store.expect("finite features"))
}

/// All features of a store.
fn numbers(store: &FeatureStore) -> Vec<f32> {
    let len = store.n_variates() * store.width();
    let mut numbers = vec![0.0; store.n_samples() * len];
    for (index, numbers) in numbers.chunks_exact_mut(len).enumerate() {
        store.features_into(index, numbers).expect("a sample");
    }
    numbers
}

/// Features of pictures, one behind the other.
struct Features {
    numbers: Vec<f64>,
    mean: Vec<f64>,
}

impl Features {
    fn new(numbers: &[f32], width: usize) -> Self {
        let numbers: Vec<f64> = numbers.iter().copied().map(f64::from).collect();
        let n = (numbers.len() / width) as f64;
        let mean = (0..width).map(|i| numbers.iter().skip(i).step_by(width).sum::<f64>() / n);
        Self {
            mean: mean.collect(),
            numbers,
        }
    }

    /// With `center` subtracted, a feature at a time.
    fn about(&self, center: &[f64]) -> Vec<Vec<f64>> {
        let features = self.numbers.chunks_exact(center.len());
        let minus = |feature: &[f64]| {
            feature
                .iter()
                .zip(center)
                .map(|(x, mean)| x - mean)
                .collect()
        };
        features.map(minus).collect()
    }

    /// Largest and mean difference in standard deviations; 1 - cosine, and so about the mean, at their largest.
    fn differences(&self, other: &Self) -> [f64; 4] {
        let n = self.numbers.len() as f64;
        let centered = self.about(&self.mean);
        let std = (centered.iter().flatten().map(|x| x * x).sum::<f64>() / n).sqrt();
        let pairs = self.numbers.iter().zip(&other.numbers);
        let apart: Vec<f64> = pairs.map(|(a, b)| (a - b).abs() / std).collect();
        let origin = vec![0.0; self.mean.len()];
        let cosine = |a: &[Vec<f64>], b: &[Vec<f64>]| {
            let pairs = a.iter().zip(b);
            pairs.map(|(a, b)| 1.0 - cosine(a, b)).fold(0.0, f64::max)
        };
        [
            apart.iter().copied().fold(0.0, f64::max),
            apart.iter().sum::<f64>() / n,
            cosine(&self.about(&origin), &other.about(&origin)),
            cosine(&centered, &other.about(&self.mean)),
        ]
    }
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
