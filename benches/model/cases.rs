//! What is timed: each case is a closure that does the work once, on the CPU backend.

use burn::backend::Autodiff;
use burn::module::{AutodiffModule, Module};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::backend::Backend;
use burn::tensor::{Distribution, Int, Tensor};
use timesclip::batch::{BatchViews, HostBatch, TimesClipBatcher};
use timesclip::cache::UncachedImages;
use timesclip::model::{
    ModelMode, TimesClipClassifierConfig, TransformerConfig, VisionEncoder, VisionEncoderConfig,
};
use timesclip::normalize::{Normalization, Normalizer};
use timesclip::raster::PlotStyle;
use timesclip::series::{LabeledSeries, Series, SeriesDataset};

type Cpu = burn_flex::Flex;
type AutodiffCpu = Autodiff<Cpu>;

/// Samples of a batch of the small preset.
pub(crate) const BATCH: usize = 64;
/// Pictures of a batch of a CLIP encoder.
pub(crate) const PICTURES: usize = 8;
/// Pictures of a batch of the small ViT.
pub(crate) const SMALL_PICTURES: usize = 192;
const N_STEPS: usize = 37;
const N_VARIATES: usize = 14;
const N_CLASSES: usize = 4;

/// One call does the work once.
pub(crate) type Case = Box<dyn FnMut()>;

/// The cases that `benches/compare/pytorch.py` builds as well, by name.
///
/// # Panics
/// If there is no case of that name.
pub(crate) fn named(name: &str) -> Case {
    match name {
        "forward/vit-b-32" => forward_pixels(&VisionEncoderConfig::clip_vit_b_32()),
        "forward/vit-b-16" => forward_pixels(&VisionEncoderConfig::clip_vit_b_16()),
        "step/vit-64px-16" => vit_step(16),
        "step/vit-64px-8" => vit_step(8),
        "step/small-dual" => step(ModelMode::Dual),
        other => panic!("no case is called {other}"),
    }
}

/// A frozen encoder over pixels.
pub(crate) fn forward_pixels(config: &VisionEncoderConfig) -> Case {
    let device = Default::default();
    let encoder: VisionEncoder<Cpu> = config.init(&device);
    let shape = [PICTURES, 3, config.side_px, config.side_px];
    let pixels = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device);
    Box::new(move || drop(encoder.forward_pixels(pixels.clone()).into_data()))
}

/// A frozen encoder over coverage masks, one variate a picture.
pub(crate) fn forward_masks(config: &VisionEncoderConfig) -> Case {
    let device = Default::default();
    let encoder: VisionEncoder<Cpu> = config.init(&device);
    let shape = [1, PICTURES, config.side_px, config.side_px];
    let masks = Tensor::<Cpu, 4, Int>::random(shape, Distribution::Uniform(0.0, 255.0), &device);
    let colors = Tensor::random([PICTURES, 256, 3], Distribution::Normal(0.0, 1.0), &device);
    Box::new(move || drop(encoder.forward(masks.clone(), colors.clone()).into_data()))
}

/// A ViT that is small enough to be trained on a CPU, with a linear head.
#[derive(Module, Debug)]
struct Vit<B: Backend> {
    encoder: VisionEncoder<B>,
    head: Linear<B>,
}

/// A training step of a ViT of width 128 over pictures of 64 px.
pub(crate) fn vit_step(image_patch_size: usize) -> Case {
    let device = Default::default();
    let blocks = TransformerConfig::new(128, 512, 4, 4);
    let encoder = VisionEncoderConfig::new(64, image_patch_size, blocks).init(&device);
    let head = LinearConfig::new(128, 10).init(&device);
    let mut model = Some(Vit::<AutodiffCpu> { encoder, head });
    let shape = [SMALL_PICTURES, 3, 64, 64];
    let pixels = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let targets = Tensor::<AutodiffCpu, 1, Int>::arange(0..SMALL_PICTURES as i64, &device) % 10;
    let loss = CrossEntropyLossConfig::new().init(&device);
    let mut adamw = AdamWConfig::new().init();
    Box::new(move || {
        let taken = model.take().expect("put back after every step");
        let logits = taken
            .head
            .forward(taken.encoder.forward_pixels(pixels.clone()));
        let loss = loss.forward(logits, targets.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &taken);
        model = Some(adamw.step(1e-3, taken, gradients));
        drop(loss.into_data());
    })
}

/// A training step of the small preset, from the host's batch on.
pub(crate) fn step(mode: ModelMode) -> Case {
    let device = Default::default();
    let (config, host) = small(mode);
    let mut model = Some(config.init::<AutodiffCpu>(&device));
    let mut adamw = AdamWConfig::new().init();
    Box::new(move || {
        let batch = host.clone().into_tensors::<AutodiffCpu>(&device);
        let taken = model.take().expect("put back after every step");
        let step = taken.forward_classification(batch.input, batch.targets);
        let gradients = GradientsParams::from_grads(step.loss.total.backward(), &taken);
        model = Some(adamw.step(1e-3, taken, gradients));
        drop(step.loss.total.into_data());
    })
}

/// A prediction of the small preset, from the host's batch on.
pub(crate) fn predict(mode: ModelMode) -> Case {
    let device = Default::default();
    let (config, host) = small(mode);
    let model = config.init::<AutodiffCpu>(&device).valid();
    Box::new(move || {
        let batch = host.clone().into_tensors::<Cpu>(&device);
        drop(model.forward(batch.input).logits.into_data());
    })
}

/// The small preset and a batch of random walks in the shape of the reference's set.
fn small(mode: ModelMode) -> (TimesClipClassifierConfig, HostBatch) {
    let config = TimesClipClassifierConfig::new(N_VARIATES, N_CLASSES).with_mode(mode);
    let side_px = config.vision.side_px;
    (config, batch(side_px))
}

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
