//! Patch embedding alone, painted pixel by pixel and folded, on the CPU backend.
//!
//! The encoders have no blocks: what is left are the embedding, two norms and the mean of the tokens.

use std::hint::black_box;

use burn::tensor::backend::Backend;
use burn::tensor::{DType, Int, Tensor, TensorData};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use timesclip::model::{TimesClipClassifierConfig, TokenPooling, VisionEncoderConfig, VisionTap};
use timesclip::raster::{Palette, PixelBlend, PixelStatistics};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Cpu = burn_flex::Flex;
type AutodiffCpu = burn::backend::Autodiff<Cpu>;

const BLENDS: [(&str, PixelBlend); 2] = [
    ("paint", PixelBlend::Rounded),
    ("fold", PixelBlend::Continuous),
];

/// An encoder without blocks, the number of samples, and of variates.
fn cases() -> [(&'static str, VisionEncoderConfig, [usize; 2]); 3] {
    let small = TimesClipClassifierConfig::new(14, 4).vision;
    [
        ("small", small, [64, 14]),
        ("vit_b_32", VisionEncoderConfig::clip_vit_b_32(), [1, 8]),
        ("vit_b_16", VisionEncoderConfig::clip_vit_b_16(), [1, 8]),
    ]
    .map(|(name, mut config, shape)| {
        config.transformer.n_layers = 0;
        config.tap = VisionTap {
            layer: None,
            pooling: TokenPooling::Mean,
        };
        (name, config, shape)
    })
}

/// The time depends on no coverage: one pixel in twenty has some.
fn masks<B: Backend>([batch, n_variates]: [usize; 2], side: usize) -> Tensor<B, 4, Int> {
    let coverage = |i: usize| {
        if i.is_multiple_of(20) {
            (i / 20).to_le_bytes()[0]
        } else {
            0
        }
    };
    let data: Vec<u8> = (0..batch * n_variates * side * side)
        .map(coverage)
        .collect();
    let data = TensorData::new(data, [batch, n_variates, side, side]);
    Tensor::from_data(data, (&B::Device::default(), DType::U8))
}

fn colors<B: Backend>(blend: PixelBlend, n_variates: usize) -> Tensor<B, 3> {
    let colors = blend.colors(&Palette::default(), n_variates, &PixelStatistics::CLIP);
    let shape = [n_variates, colors.len() / (n_variates * 3), 3];
    Tensor::from_data(TensorData::new(colors, shape), &B::Device::default())
}

fn bench(criterion: &mut Criterion) {
    let device = Default::default();
    let mut group = criterion.benchmark_group("patch_embedding");
    group.sample_size(20);
    for (name, config, [batch, n_variates]) in cases() {
        group.throughput(Throughput::Elements((batch * n_variates) as u64));
        for (path, blend) in BLENDS {
            let encoder = config.init::<Cpu>(&device);
            let masks_of_batch = masks::<Cpu>([batch, n_variates], config.side_px);
            let colors_of_batch = colors::<Cpu>(blend, n_variates);
            group.bench_function(BenchmarkId::new(format!("{name}/forward"), path), |b| {
                b.iter(|| {
                    let (masks, colors) = (masks_of_batch.clone(), colors_of_batch.clone());
                    black_box(encoder.forward(masks, colors).into_data())
                });
            });
            let encoder = config.init::<AutodiffCpu>(&device);
            let masks_of_batch = masks::<AutodiffCpu>([batch, n_variates], config.side_px);
            let colors_of_batch = colors::<AutodiffCpu>(blend, n_variates);
            group.bench_function(BenchmarkId::new(format!("{name}/step"), path), |b| {
                b.iter(|| {
                    let (masks, colors) = (masks_of_batch.clone(), colors_of_batch.clone());
                    let features = encoder.forward(masks, colors);
                    black_box(features.powi_scalar(3).sum().backward())
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
