//! A classifier on a device computes, differentiates and learns what it does on the CPU.
//!
//! Found by these tests, if anything does it: an operation that a backend gets wrong for some shape
//! or layout, wrong masking of padded steps, operations fused on the CPU that are not what they are
//! elsewhere, integers or masks that arrive as something else.

use std::ops::ControlFlow;

use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use timesclip::backend::BackendKind;
use timesclip::batch::BatchSource;
use timesclip::model::{PatchTokens, TimesClipClassifier, TimesClipClassifierConfig};
use timesclip::train::{
    Schedule, StepEvent, Trainer, TrainingConfig, TrainingData, TrainingObserver,
};

use crate::models::{
    apart, carried, host_batch, largest, numbers, pictures, rounding_of_products, steady_model,
};
use crate::support::{AutodiffCpu, batcher, lock_generator, sines};

/// Of logits around one, behind some ten layers in single precision: 1e-6 is usual.
const LOGITS: f32 = 1e-3;
/// Of the largest number in a parameter's gradient: 1e-6 is usual. The gradient of GELU's tanh
/// approximation, which Burn's own takes (`docs/upstream.md`), is 6e-4 off.
const GRADIENTS: f32 = 1e-4;
/// Of the largest number in any gradient. Some are zero but for rounding (softmax does not see a
/// shift of all its keys), and so have no size of their own.
const ZERO_GRADIENTS: f32 = 1e-5;
/// Of losses around one: 20 steps of AdamW let single roundings grow.
const LOSSES: f64 = 1e-2;
const N_STEPS: usize = 20;
const SEED: u64 = 42;

/// The same classifier on the CPU and on a device.
fn pair<B: AutodiffBackend>(
    config: &TimesClipClassifierConfig,
    device: &B::Device,
) -> (TimesClipClassifier<AutodiffCpu>, TimesClipClassifier<B>) {
    let _turn = lock_generator();
    let cpu = Default::default();
    AutodiffCpu::seed(&cpu, SEED);
    let model = config.init::<AutodiffCpu>(&cpu);
    let same = carried(model.clone(), config.init::<B>(device), device);
    (model, same)
}

pub(crate) fn logits_agree<B: AutodiffBackend>(kind: BackendKind, device: &B::Device) {
    check_logits::<B>(&steady_model(), kind, device);
}

pub(crate) fn logits_from_ink_tokens_agree<B: AutodiffBackend>(
    kind: BackendKind,
    device: &B::Device,
) {
    let mut config = steady_model();
    config.vision.tokens = PatchTokens::Ink;
    check_logits::<B>(&config, kind, device);
}

fn check_logits<B: AutodiffBackend>(
    config: &TimesClipClassifierConfig,
    kind: BackendKind,
    device: &B::Device,
) {
    let (ours, theirs) = pair::<B>(config, device);
    let batch = host_batch().into_tensors(&Default::default());
    let expected = numbers(ours.valid().forward(batch.input).logits);
    let batch = host_batch().into_tensors(device);
    let found = numbers(theirs.valid().forward(batch.input).logits);
    let apart = apart(&found, &expected);
    println!("logits are {apart:e} apart");
    let tolerance = LOGITS * rounding_of_products(kind);
    assert!(apart <= tolerance, "{apart} apart: {found:?}, {expected:?}");
}

/// Collects gradients.
struct Gradients<'a, B: AutodiffBackend> {
    of: &'a B::Gradients,
    path: Vec<String>,
    all: Vec<(String, Vec<f32>)>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Gradients<'_, B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if param.is_require_grad() {
            let gradient = param.val().grad(self.of).map(numbers).unwrap_or_default();
            self.all.push((self.path.join("."), gradient));
        }
    }
}

fn gradients<B: AutodiffBackend>(
    model: &TimesClipClassifier<B>,
    device: &B::Device,
) -> Vec<(String, Vec<f32>)> {
    let batch = host_batch().into_tensors(device);
    let step = model.forward_classification(batch.input, batch.targets);
    named_gradients(model, &step.loss.total.backward())
}

/// The gradients of all parameters, with their names.
pub(crate) fn named_gradients<B: AutodiffBackend>(
    model: &TimesClipClassifier<B>,
    of: &B::Gradients,
) -> Vec<(String, Vec<f32>)> {
    let mut visitor = Gradients {
        of,
        path: Vec::new(),
        all: Vec::new(),
    };
    model.visit(&mut visitor);
    visitor.all
}

pub(crate) fn every_gradient_agrees<B: AutodiffBackend>(kind: BackendKind, device: &B::Device) {
    let (ours, theirs) = pair::<B>(&steady_model(), device);
    let expected = gradients(&ours, &Default::default());
    let found = gradients(&theirs, device);
    assert_eq!(found.len(), expected.len(), "parameters with gradients");
    let all = expected.iter().flat_map(|(_, gradient)| gradient);
    let floor = ZERO_GRADIENTS * largest(&all.copied().collect::<Vec<_>>());
    let mut worst = (0.0, "");
    for ((name, found), (same, expected)) in found.iter().zip(&expected) {
        assert_eq!(name, same, "parameters in another order");
        assert!(!found.is_empty(), "{name} has no gradient");
        let allowed = GRADIENTS * largest(expected) * rounding_of_products(kind) + floor;
        let apart = apart(found, expected);
        if apart / allowed > worst.0 {
            worst = (apart / allowed, name.as_str());
        }
        assert!(apart <= allowed, "{name} is {apart} apart, over {allowed}");
    }
    let (share, name) = worst;
    println!(
        "{} gradients, {name} {share:e} of what is allowed apart",
        found.len()
    );
}

/// Notes the losses of all steps.
#[derive(Default)]
struct Losses(Vec<f64>);

impl TrainingObserver for Losses {
    fn on_step(&mut self, event: StepEvent) -> ControlFlow<()> {
        self.0.push(event.loss);
        ControlFlow::Continue(())
    }
}

/// The losses of [`N_STEPS`] steps, two an epoch.
fn losses<B: AutodiffBackend>(model: TimesClipClassifier<B>, device: &B::Device) -> Vec<f64> {
    let (images, batcher) = (pictures(16), batcher(&sines(16)));
    let train: Vec<usize> = (0..16).collect();
    let data = TrainingData::new(BatchSource::new(&images, &batcher), &train, &[]);
    let config = TrainingConfig::new()
        .with_epochs(N_STEPS / 2)
        .with_batch_size(8)
        .with_learning_rate(3e-3)
        .with_max_grad_norm(Some(1.0))
        .with_schedule(Schedule::Constant);
    let mut losses = Losses::default();
    let trainer = Trainer::<B>::new(&config, data, device).expect("sound numbers");
    trainer.fit(model, &mut losses).expect("a training");
    losses.0
}

pub(crate) fn losses_of_a_training_agree<B: AutodiffBackend>(
    kind: BackendKind,
    device: &B::Device,
) {
    let (ours, theirs) = pair::<B>(&steady_model(), device);
    let expected = losses(ours, &Default::default());
    let found = losses(theirs, device);
    assert_eq!((found.len(), expected.len()), (N_STEPS, N_STEPS), "steps");
    assert!(
        expected[N_STEPS - 1] < expected[0],
        "{expected:?} learns nothing"
    );
    let tolerance = LOSSES * f64::from(rounding_of_products(kind));
    let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    let apart = differences.fold(0.0, f64::max);
    println!(
        "losses are {apart:e} apart, {} at the end",
        found[N_STEPS - 1]
    );
    assert!(apart <= tolerance, "{apart} apart: {found:?}, {expected:?}");
}
