//! Shapes at the edges: products of one column or one row, odd sizes, one variate, a batch of one.
//!
//! Fused and autotuned products had silently wrong results for some of them (burn issues 5122, 5257
//! and 5352), so that this is also what the features `fusion` and `autotune` are tried with.

use burn::module::AutodiffModule;
use burn::tensor::activation::relu;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use timesclip::backend::BackendKind;
use timesclip::batch::HostBatch;
use timesclip::cache::{BuildOptions, InMemoryImages};
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::model::{TimesClipClassifier, TimesClipClassifierConfig};

use crate::agreement::named_gradients;
use crate::models::{apart, carried, largest, numbers, rounding_of_products, steady_model};
use crate::support::{AutodiffCpu, Cpu, batcher, lock_generator, tiny_style};

/// Of the largest number of a result: sums of at most some hundred products in single precision.
const PRODUCTS: f32 = 1e-5;
/// Of logits and gradients around one, behind some ten layers: 1e-6 is usual.
const MODELS: f32 = 1e-3;
const SEED: u64 = 7;

/// Rows, inner size and columns of products.
const SIZES: [[usize; 3]; 10] = [
    [1, 1, 1],
    [1, 7, 1],
    [5, 1, 3],
    [1, 64, 10],
    [33, 17, 1],
    [64, 128, 1],
    [257, 31, 1],
    [3, 129, 65],
    [127, 63, 2],
    [128, 256, 64],
];

/// Numbers between -1 and 1 without a pattern.
fn noise<B: Backend, const D: usize>(shape: [usize; D], device: &B::Device) -> Tensor<B, D> {
    let n: usize = shape.iter().product();
    let value = |i: usize| ((i as f32 + 1.0) * 12.9898).sin() * 43758.547 % 1.0;
    Tensor::from_data(TensorData::new((0..n).map(value).collect(), shape), device)
}

/// Products with what networks put around them, which fusion puts into the same kernel.
fn products<B: Backend>([rows, inner, columns]: [usize; 3], device: &B::Device) -> Vec<Vec<f32>> {
    let x = noise::<B, 2>([rows, inner], device);
    let weight = noise::<B, 2>([inner, columns], device);
    let bias = noise::<B, 1>([columns], device);
    let plain = x.clone().matmul(weight.clone());
    let scaled = (x.clone() * 0.5).matmul(weight.clone()) * 2.0 + bias.clone().unsqueeze();
    let activated = relu(x.clone().matmul(weight.clone()) + bias.unsqueeze()).exp();
    let turned = weight.clone().transpose().matmul(x.clone().transpose()) - 1.0;
    let reduced = (x.matmul(weight.clone()) * 0.01).sum_dim(1).tanh();
    let batch = noise::<B, 3>([3, rows, inner], device);
    let many = batch.matmul(weight.unsqueeze()) + 0.25;
    vec![
        numbers(plain),
        numbers(scaled),
        numbers(activated),
        numbers(turned),
        numbers(reduced),
        numbers(many),
    ]
}

pub(crate) fn products_agree<B: AutodiffBackend>(kind: BackendKind, device: &B::Device) {
    let mut worst = 0.0_f32;
    for size in SIZES {
        let found = products::<B::InnerBackend>(size, device);
        let expected = products::<Cpu>(size, &Default::default());
        for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
            let apart = apart(found, expected) / largest(expected);
            let tolerance = PRODUCTS * rounding_of_products(kind);
            assert!(
                apart <= tolerance,
                "product {i} of size {size:?}: {apart} apart"
            );
            worst = worst.max(apart);
        }
    }
    println!("products are {worst:e} apart");
}

/// Series of one, two or three variates and odd lengths.
fn waves(n_samples: usize, n_variates: usize, n_classes: usize) -> SeriesDataset {
    let samples = (0..n_samples).map(|i| {
        let (label, n_steps) = (i % n_classes, 9 + 2 * (i % 5));
        let values = (0..n_steps * n_variates).map(|at| {
            let (step, variate) = (at / n_variates, at % n_variates);
            (step as f32 * (0.4 + 0.3 * label as f32) + variate as f32).sin()
        });
        LabeledSeries {
            id: i as u64,
            series: Series::new(values.collect(), n_steps, n_variates).expect("sound series"),
            label,
        }
    });
    let names = (0..n_classes).map(|class| class.to_string()).collect();
    SeriesDataset::new("waves", names, samples.collect()).expect("a sound set")
}

/// Models at the edges, each with its number of samples in a batch.
fn edges() -> Vec<(&'static str, TimesClipClassifierConfig, usize)> {
    let edge = |n_variates: usize, n_classes: usize, hidden: &[usize]| {
        let mut config = steady_model();
        config.n_variates = n_variates;
        config.n_classes = n_classes;
        config.head.hidden = hidden.to_vec();
        config
    };
    let mut odd = edge(3, 5, &[7]);
    odd.vision.transformer.d_ff = 33;
    odd.language.transformer.d_ff = 31;
    vec![
        ("one variate", edge(1, 2, &[]), 6),
        ("one variate and sample", edge(1, 2, &[]), 1),
        ("a hidden layer of one", edge(2, 3, &[1]), 6),
        ("a hidden layer of one, one sample", edge(1, 2, &[1]), 1),
        ("odd sizes", odd.clone(), 5),
        ("odd sizes, one sample", odd, 1),
    ]
}

/// Logits, and the gradients of all parameters.
fn answers<B: AutodiffBackend>(
    model: &TimesClipClassifier<B>,
    batch: HostBatch,
    device: &B::Device,
) -> [Vec<f32>; 2] {
    let tensors = batch.clone().into_tensors(device);
    let logits = numbers(model.valid().forward(tensors.input).logits);
    let tensors = batch.into_tensors(device);
    let step = model.forward_classification(tensors.input, tensors.targets);
    let gradients = named_gradients(model, &step.loss.total.backward());
    let gradients = gradients.into_iter().flat_map(|(_, gradient)| gradient);
    [logits, gradients.collect()]
}

pub(crate) fn models_at_the_edges_agree<B: AutodiffBackend>(kind: BackendKind, device: &B::Device) {
    for (name, config, n_samples) in edges() {
        let set = waves(6, config.n_variates, config.n_classes);
        let pictures = InMemoryImages::build(set.clone(), &tiny_style(), BuildOptions::new());
        let indices: Vec<usize> = (0..n_samples).collect();
        let batch = batcher(&set).gather(&pictures.expect("pictures"), &indices);
        let batch = batch.expect("a batch");
        let turn = lock_generator();
        let cpu = Default::default();
        AutodiffCpu::seed(&cpu, SEED);
        let ours = config.init::<AutodiffCpu>(&cpu);
        drop(turn);
        let theirs = carried(ours.clone(), config.init::<B>(device), device);
        let expected = answers(&ours, batch.clone(), &cpu);
        let found = answers(&theirs, batch, device);
        for (what, (found, expected)) in ["logits", "gradients"]
            .into_iter()
            .zip(found.iter().zip(&expected))
        {
            let apart = apart(found, expected);
            let tolerance = MODELS * rounding_of_products(kind) * largest(expected).max(1.0);
            println!("{name}: {what} are {apart:e} apart");
            assert!(apart <= tolerance, "{name}: {what} are {apart} apart");
        }
    }
}
