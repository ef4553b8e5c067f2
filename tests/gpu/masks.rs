//! Masks arrive on a device as the bytes that they are, and become the pixels that they should.

use std::borrow::Cow;

use burn::module::Param;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use timesclip::backend::BackendKind;
use timesclip::cache::{CacheError, CacheStats, CachedImageDataset, ImageKey, UncachedImages};
use timesclip::data::{LabeledSeries, SampleError, SampleSource};
use timesclip::model::{
    PatchEmbedding, TokenPooling, TransformerConfig, VisionEncoder, VisionEncoderConfig,
    VisionInput, VisionTap,
};
use timesclip::raster::PlotStyle;

use crate::models::numbers;
use crate::support::{batcher, sines};

/// A picture of this side has as many pixels as there are levels of coverage.
const SIDE: usize = 16;
const N_LEVELS: usize = SIDE * SIDE;
const N_SAMPLES: usize = 3;
const N_VARIATES: usize = 2;

/// Pictures in which every level occurs once, in another order in each.
struct AllLevels(UncachedImages);

impl AllLevels {
    fn new() -> Self {
        let style = PlotStyle {
            side_px: SIDE,
            ..PlotStyle::default()
        };
        Self(UncachedImages::new(sines(N_SAMPLES), &style).expect("a sound style"))
    }

    fn level(sample: usize, variate: usize, pixel: usize) -> u8 {
        // An odd factor passes through all residues.
        let factor = 2 * (N_VARIATES * sample + variate) + 1;
        u8::try_from((factor * pixel + 91 * sample) % N_LEVELS).expect("a residue of 256")
    }

    /// Of all samples, in order.
    fn levels() -> Vec<u8> {
        let pictures =
            (0..N_SAMPLES).flat_map(|sample| (0..N_VARIATES).map(move |variate| (sample, variate)));
        let pixels =
            pictures.flat_map(|(s, v)| (0..N_LEVELS).map(move |pixel| Self::level(s, v, pixel)));
        pixels.collect()
    }
}

impl SampleSource for AllLevels {
    fn n_samples(&self) -> usize {
        self.0.n_samples()
    }

    fn n_variates(&self) -> usize {
        self.0.n_variates()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, SampleError> {
        self.0.sample(index)
    }
}

impl CachedImageDataset for AllLevels {
    fn side_px(&self) -> usize {
        self.0.side_px()
    }

    fn masks_into(&self, index: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        let pictures = Self::levels();
        masks.copy_from_slice(&pictures[index * masks.len()..][..masks.len()]);
        Ok(())
    }

    fn key(&self) -> ImageKey {
        self.0.key()
    }

    fn stats(&self) -> CacheStats {
        self.0.stats()
    }
}

/// What a channel of a variate makes of a level. Whole numbers below 256 are exact in every float
/// format, so that not even a device that rounds the factors of a product may change them.
fn color(variate: usize, level: u8, channel: usize) -> u8 {
    match channel {
        0 => level,
        1 => 255 - level,
        _ => level.rotate_left(3) ^ if variate == 0 { 0x55 } else { 0xaa },
    }
}

/// An encoder that gives the pixels of a picture, plane by plane: one patch, whose embedding is the
/// identity, taken in front of the first block.
fn pixels_encoder<B: Backend>(device: &B::Device) -> VisionEncoder<B> {
    let d = 3 * N_LEVELS;
    let mut config = VisionEncoderConfig::new(SIDE, SIDE, TransformerConfig::new(d, 4, 1, 1));
    config.pre_norm = false;
    config.tap = VisionTap {
        layer: Some(0),
        pooling: TokenPooling::Mean,
    };
    let mut encoder = config.init::<B>(device);
    let identity = Tensor::<B, 2>::eye(d, device).reshape([d, 3, SIDE, SIDE]);
    encoder.embeddings.patch_embedding = Some(PatchEmbedding {
        weight: Param::from_tensor(identity),
    });
    let positions = Tensor::zeros([2, d], device);
    encoder.embeddings.position_embedding.weight = Param::from_tensor(positions);
    encoder
}

pub(crate) fn masks_of_all_levels_become_the_same_pixels<B: AutodiffBackend>(
    _kind: BackendKind,
    device: &B::Device,
) {
    let (images, indices) = (AllLevels::new(), [0, 1, 2]);
    let variates = 0..N_VARIATES;
    let table = variates.flat_map(|v| (0..=255_u8).map(move |level| (v, level)));
    let table = table.flat_map(|(v, level)| (0..3).map(move |c| f32::from(color(v, level, c))));
    let batch = batcher(&sines(N_SAMPLES)).gather(&images, &indices);
    let batch = batch.expect("a batch").with_colors(table.collect());
    let input = batch.into_tensors::<B::InnerBackend>(device).input;
    let Some(VisionInput::Masks { masks, colors }) = input.vision else {
        panic!("the batch has no masks");
    };
    let levels = AllLevels::levels();
    let arrived: TensorData = masks.to_data();
    let arrived: Vec<i64> = arrived.iter::<i64>().collect();
    let sent: Vec<i64> = levels.iter().copied().map(i64::from).collect();
    assert_eq!(arrived, sent, "the masks on the device");

    let pixels = pixels_encoder::<B::InnerBackend>(device).forward(masks, colors);
    let mut expected = Vec::new();
    for (picture, levels) in levels.chunks(N_LEVELS).enumerate() {
        for channel in 0..3 {
            let planes = levels.iter();
            expected.extend(planes.map(|l| f32::from(color(picture % N_VARIATES, *l, channel))));
        }
    }
    assert_eq!(numbers(pixels), expected, "the pixels on the device");
}
