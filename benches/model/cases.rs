//! What is timed: each case is a closure that does the work once, and waits for the device.

use burn::module::{AutodiffModule, Module};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, Distribution, FloatDType, Int, Tensor, TensorData};
use timesclip::Modalities;
use timesclip::batch::{HostBatch, TimesClipBatcher};
use timesclip::cache::UncachedImages;
use timesclip::data::Series;
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::encode::{PlotAxes, PlotSeer};
use timesclip::model::{
    PatchTokens, TimesClipClassifierConfig, TransformerConfig, VisionEncoder, VisionEncoderConfig,
    VisionTower,
};
use timesclip::raster::{PlotStyle, Rasterizer};

use crate::walks::{N_CLASSES, walks};

/// Samples of a batch of the small preset.
pub(crate) const BATCH: usize = 64;
/// Pictures of a batch of the small ViT.
pub(crate) const SMALL_PICTURES: usize = 192;
const N_STEPS: usize = 37;
const N_VARIATES: usize = 14;

/// One call does the work once.
pub(crate) type Case = Box<dyn FnMut()>;

/// The cases on one device.
pub(crate) struct Cases<B: AutodiffBackend> {
    device: B::Device,
    /// Pictures of a batch of a CLIP encoder.
    pub(crate) pictures: usize,
    /// What a frozen encoder computes in.
    dtype: FloatDType,
}

impl<B: AutodiffBackend> Cases<B> {
    /// # Panics
    /// If the device does not compute in `dtype`.
    pub(crate) fn new(device: B::Device, pictures: usize, dtype: FloatDType) -> Self {
        let known = B::supports_dtype(&device, DType::from(dtype));
        assert!(known, "{device:?} does not compute in {dtype:?}");
        Self {
            device,
            pictures,
            dtype,
        }
    }

    /// The cases that `benches/compare/pytorch.py` builds as well, by name.
    ///
    /// # Panics
    /// If there is no case of that name.
    pub(crate) fn named(&self, name: &str) -> Case {
        match name {
            "forward/vit-b-32" => self.forward_pixels(&VisionEncoderConfig::clip_vit_b_32()),
            "forward/vit-b-16" => self.forward_pixels(&VisionEncoderConfig::clip_vit_b_16()),
            "ink/vit-b-32" => self.forward_ink(&VisionEncoderConfig::clip_vit_b_32()),
            "ink/vit-b-16" => self.forward_ink(&VisionEncoderConfig::clip_vit_b_16()),
            "lines/builtin" => self.line_plots(),
            "products/vit-b-32" => self.products(&VisionEncoderConfig::clip_vit_b_32()),
            "products/vit-b-16" => self.products(&VisionEncoderConfig::clip_vit_b_16()),
            "step/vit-64px-16" => self.vit_step(16),
            "step/vit-64px-8" => self.vit_step(8),
            "step/small-dual" => self.step(Modalities::DUAL),
            other => panic!("no case is called {other}"),
        }
    }

    fn frozen(&self, config: &VisionEncoderConfig) -> VisionTower<B::InnerBackend> {
        VisionTower::frozen(config.init(&self.device)).with_frozen_precision(self.dtype)
    }

    /// A frozen encoder over pixels.
    pub(crate) fn forward_pixels(&self, config: &VisionEncoderConfig) -> Case {
        let encoder = self.frozen(config).encoder();
        let shape = [self.pictures, 3, config.side_px, config.side_px];
        let normal = Distribution::Normal(0.0, 1.0);
        let pixels = Tensor::<B::InnerBackend, 4>::random(shape, normal, &self.device);
        let pixels = pixels.cast(self.dtype);
        Box::new(move || drop(encoder.forward_pixels(pixels.clone()).into_data()))
    }

    /// A frozen encoder over coverage masks, one variate a picture.
    pub(crate) fn forward_masks(&self, config: &VisionEncoderConfig) -> Case {
        type Masks<B> = Tensor<B, 4, Int>;
        let (tower, device) = (self.frozen(config), &self.device);
        let shape = [1, self.pictures, config.side_px, config.side_px];
        let levels = Distribution::Uniform(0.0, 255.0);
        let masks = Masks::<B::InnerBackend>::random(shape, levels, device);
        let normal = Distribution::Normal(0.0, 1.0);
        let colors = Tensor::random([self.pictures, 256, 3], normal, device);
        Box::new(move || drop(tower.forward(masks.clone(), colors.clone()).into_data()))
    }

    /// A frozen encoder over the ink tokens of line plots, one variate a picture.
    pub(crate) fn forward_ink(&self, config: &VisionEncoderConfig) -> Case {
        let config = config.clone().with_tokens(PatchTokens::Ink);
        let (tower, device) = (self.frozen(&config), &self.device);
        let style = PlotStyle {
            side_px: config.side_px,
            ..PlotStyle::default()
        };
        let set = walks(self.pictures, 1, N_STEPS);
        let area = config.side_px * config.side_px;
        let mut masks = vec![0_u8; self.pictures * area];
        let series: Vec<&Series> = set.samples().iter().map(|sample| &sample.series).collect();
        let rasterizer = Rasterizer::new(style).expect("a sound style");
        rasterizer.draw_all(&series, &mut masks);
        let shape = [self.pictures, 1, config.side_px, config.side_px];
        let masks = TensorData::new(masks, shape);
        // As batches bring them.
        let dtype = match B::supports_dtype(device, DType::U8) {
            true => DType::U8,
            false => DType::I32,
        };
        let masks = masks.convert_dtype(dtype);
        let masks = Tensor::<B::InnerBackend, 4, Int>::from_data(masks, (device, dtype));
        let normal = Distribution::Normal(0.0, 1.0);
        let colors = Tensor::random([1, 2, 3], normal, device);
        Box::new(move || drop(tower.forward(masks.clone(), colors.clone()).into_data()))
    }

    /// Line plots as the closed form sees them: drawn at 64 px, and through an encoder of the size of
    /// the built-in one.
    fn line_plots(&self) -> Case {
        let encoder = VisionEncoderConfig::line_plots().init(&self.device);
        let seer = PlotSeer::<B::InnerBackend>::new(encoder, &self.device);
        let set = walks(self.pictures, 1, N_STEPS);
        Box::new(move || {
            let series: Vec<&Series> = set.samples().iter().map(|sample| &sample.series).collect();
            let axes = PlotAxes::fit(&series);
            drop(seer.features(&axes, &series).expect("sound axes"));
        })
    }

    /// The products with weights of a frozen encoder's forward pass, and nothing else of it: what
    /// is left of the pass when all the rest costs nothing.
    pub(crate) fn products(&self, config: &VisionEncoderConfig) -> Case {
        let TransformerConfig {
            d_model,
            d_ff,
            n_layers,
            ..
        } = config.transformer;
        let patches = self.pictures * (config.side_px / config.image_patch_size).pow(2);
        let tokens = patches + self.pictures;
        let random = |shape: [usize; 2]| {
            let normal = Distribution::Normal(0.0, 1.0);
            Tensor::<B::InnerBackend, 2>::random(shape, normal, &self.device).cast(self.dtype)
        };
        let pixels = random([patches, 3 * config.image_patch_size.pow(2)]);
        let (narrow, wide) = (random([tokens, d_model]), random([tokens, d_ff]));
        let mut factors = vec![(pixels.clone(), random([pixels.dims()[1], d_model]))];
        for _ in 0..n_layers {
            factors.extend((0..4).map(|_| (narrow.clone(), random([d_model, d_model]))));
            factors.push((narrow.clone(), random([d_model, d_ff])));
            factors.push((wide.clone(), random([d_ff, d_model])));
        }
        let device = self.device.clone();
        Box::new(move || {
            for (rows, weight) in &factors {
                drop(rows.clone().matmul(weight.clone()));
            }
            wait::<B>(&device);
        })
    }

    /// A training step of a ViT of width 128 over pictures of 64 px.
    pub(crate) fn vit_step(&self, image_patch_size: usize) -> Case {
        let device = self.device.clone();
        let blocks = TransformerConfig::new(128, 512, 4, 4);
        let encoder = VisionEncoderConfig::new(64, image_patch_size, blocks).init(&device);
        let head = LinearConfig::new(128, 10).init(&device);
        let mut model = Some(Vit::<B> { encoder, head });
        let shape = [SMALL_PICTURES, 3, 64, 64];
        let pixels = Tensor::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let targets = Tensor::<B, 1, Int>::arange(0..SMALL_PICTURES as i64, &device) % 10;
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
            wait::<B>(&device);
        })
    }

    /// A training step of the small preset, from the host's batch on.
    pub(crate) fn step(&self, mode: Modalities) -> Case {
        let device = self.device.clone();
        let (config, host) = small(mode);
        let mut model = Some(config.init::<B>(&device));
        let mut adamw = AdamWConfig::new().init();
        Box::new(move || {
            let batch = host.clone().into_tensors::<B>(&device);
            let taken = model.take().expect("put back after every step");
            let step = taken.forward_classification(batch.input, batch.targets);
            let gradients = GradientsParams::from_grads(step.loss.total.backward(), &taken);
            model = Some(adamw.step(1e-3, taken, gradients));
            drop(step.loss.total.into_data());
            wait::<B>(&device);
        })
    }

    /// A prediction of the small preset, from the host's batch on.
    pub(crate) fn predict(&self, mode: Modalities) -> Case {
        let device = self.device.clone();
        let (config, host) = small(mode);
        let model = config.init::<B>(&device).valid();
        Box::new(move || {
            let batch = host.clone().into_tensors::<B::InnerBackend>(&device);
            drop(model.forward(batch.input).logits.into_data());
        })
    }
}

/// The loss of a step is there before its new weights are.
fn wait<B: Backend>(device: &B::Device) {
    B::sync(device).expect("a device that computes");
}

/// A ViT that is small enough to be trained on a CPU, with a linear head.
#[derive(Module, Debug)]
struct Vit<B: Backend> {
    encoder: VisionEncoder<B>,
    head: Linear<B>,
}

/// The small preset and a batch of random walks in the shape of the reference's set.
fn small(mode: Modalities) -> (TimesClipClassifierConfig, HostBatch) {
    let config = TimesClipClassifierConfig::new(N_VARIATES, N_CLASSES).with_modalities(mode);
    let side_px = config.vision.side_px;
    (config, batch(side_px))
}

fn batch(side_px: usize) -> HostBatch {
    let set = walks(BATCH, N_VARIATES, N_STEPS);
    let series = set.samples().iter().map(|sample| &sample.series);
    let normalizer = Normalizer::fit(Normalization::Dataset, series).expect("a sound set");
    let style = PlotStyle {
        side_px,
        ..PlotStyle::default()
    };
    let images = UncachedImages::new(set, &style).expect("a sound style");
    let indices: Vec<usize> = (0..BATCH).collect();
    TimesClipBatcher::new(normalizer, Modalities::DUAL)
        .gather(&images, &indices)
        .expect("a batch")
}
