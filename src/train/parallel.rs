//! One step over several devices, as one device would take it.
//!
//! Every device embeds its part of the batch: nearly all of the work. What looks across samples
//! (batch norm, and so a language branch of convolutions; InfoNCE, the loss) is small, and the first
//! device does it for the whole batch; the gradients of the embeddings then go back to where each
//! was made. Nothing here waits for a
//! device: the work of one is queued before that of the next, and they run at the same time.

use std::iter;

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::container::TensorContainer;
use burn::tensor::{ElementConversion, Int, Tensor, TensorData};

use crate::batch::HostBatch;
use crate::model::{Branches, TimesClipClassifier, TimesClipEmbeddings, TimesClipStep, concat};

/// Embeddings as the devices made them: by parts of the batch, and of the whole batch what cannot be
/// made by parts.
pub(super) struct Embedded<B: Backend> {
    parts: Vec<TimesClipEmbeddings<B>>,
    language: Option<Tensor<B, 3>>,
}

/// Devices, and on each but the first a copy of the branches of the model, which is on the first.
pub(super) struct Replicas<'a, B: Backend> {
    devices: &'a [B::Device],
    copies: Vec<Branches<B>>,
}

impl<'a, B: Backend> Replicas<'a, B> {
    /// One device, no copies.
    pub(super) fn alone(device: &'a [B::Device]) -> Self {
        let copies = Vec::new();
        Self {
            devices: &device[..1],
            copies,
        }
    }

    /// Copies `model` to all devices but the first.
    pub(super) fn of(model: &TimesClipClassifier<B>, devices: &'a [B::Device]) -> Self {
        let copy = |device| model.separable_branches().fork(device);
        let copies = devices[1..].iter().map(copy).collect();
        Self { devices, copies }
    }

    /// Embeds the parts of a batch, each on its device.
    pub(super) fn embed(
        &self,
        model: &TimesClipClassifier<B>,
        mut batch: HostBatch,
    ) -> Embedded<B> {
        let language = model.inseparable_language().map(|branch| {
            let input = batch.take_series().into_tensors(&self.devices[0]).input;
            let Some(series) = input.series else {
                panic!("the model reads values, but the batch brings none");
            };
            branch.forward(&series)
        });
        let parts = batch
            .split(self.devices.len())
            .into_iter()
            .zip(self.devices);
        let mut inputs = parts.map(|(part, device)| part.into_tensors(device).input);
        let branches = model.separable_branches();
        let first = inputs.next().map(|input| branches.embed(input));
        let others = self.copies.iter().zip(inputs);
        let others = others.map(|(copy, input)| copy.embed(input));
        Embedded {
            parts: first.into_iter().chain(others).collect(),
            language,
        }
    }

    /// The parts one after the other, on the first device.
    pub(super) fn join(&self, embedded: &Embedded<B>) -> TimesClipEmbeddings<B> {
        let parts = &embedded.parts;
        let join = |view: fn(&TimesClipEmbeddings<B>) -> &Option<Tensor<B, 3>>| {
            let parts = parts.iter().map(|part| view(part).clone());
            let there = parts.map(|part| Some(part?.to_device(&self.devices[0])));
            let parts: Option<Vec<_>> = there.collect();
            parts.map(|parts| concat(parts, 0))
        };
        TimesClipEmbeddings {
            vision: join(|part| &part.vision),
            language: embedded.language.clone().or(join(|part| &part.language)),
        }
    }

    /// Class indices on the first device.
    pub(super) fn targets(&self, targets: &[usize]) -> Tensor<B, 1, Int> {
        let targets: Vec<i64> = targets.iter().map(|target| *target as i64).collect();
        let n = targets.len();
        Tensor::from_data(TensorData::new(targets, [n]), &self.devices[0])
    }
}

impl<'a, B: AutodiffBackend> Replicas<'a, B> {
    /// Brings the copies to what `model` has learnt. What is frozen is not sent again.
    pub(super) fn sync_from(&mut self, model: &TimesClipClassifier<B>) {
        if self.copies.is_empty() {
            return;
        }
        let mut learnt = TrainableParams(TensorContainer::new());
        model.separable_branches().visit(&mut learnt);
        let copies = std::mem::take(&mut self.copies).into_iter();
        self.copies = copies.map(|copy| copy.map(&mut learnt)).collect();
    }

    /// The same devices without autodiff.
    pub(super) fn valid(&self) -> Replicas<'a, B::InnerBackend> {
        Replicas {
            devices: self.devices,
            copies: self.copies.iter().map(AutodiffModule::valid).collect(),
        }
    }

    /// Runs `model` forward over a batch.
    pub(super) fn forward(&self, model: &TimesClipClassifier<B>, batch: HostBatch) -> Pass<B> {
        let targets = self.targets(batch.targets());
        let embedded = self.embed(model, batch);
        let leaf = |x: Tensor<B, 3>| Tensor::from_inner(x.inner()).require_grad();
        let joined = self.join(&embedded);
        let joined = TimesClipEmbeddings {
            vision: joined.vision.map(leaf),
            // What was made of the whole batch stays tied to what made it.
            language: embedded.language.or(joined.language.map(leaf)),
        };
        let step = model.classify_with_loss(joined.clone(), targets);
        Pass {
            parts: embedded.parts,
            joined,
            step,
        }
    }
}

/// Parameters that learn, taken from one module and put into others like it, wherever these are.
struct TrainableParams(TensorContainer<ParamId>);

impl<B: AutodiffBackend> ModuleVisitor<B> for TrainableParams {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if param.is_require_grad() {
            let tensor = param.val().inner().into_primitive();
            self.0.register::<B::InnerBackend>(param.id, tensor);
        }
    }
}

impl<B: AutodiffBackend> ModuleMapper<B> for TrainableParams {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        match self.0.get::<B::InnerBackend>(&param.id) {
            None => param,
            Some(tensor) => param.map(|old| {
                let tensor = Tensor::from_inner(Tensor::from_primitive(tensor));
                tensor.to_device(&old.device()).require_grad()
            }),
        }
    }
}

/// A forward pass, of which the backward pass is still to come.
pub(super) struct Pass<B: AutodiffBackend> {
    /// Embeddings as the devices made them.
    parts: Vec<TimesClipEmbeddings<B>>,
    /// The same where the loss was computed, cut off from what made them.
    joined: TimesClipEmbeddings<B>,
    step: TimesClipStep<B>,
}

impl<B: AutodiffBackend> Pass<B> {
    /// The loss that is minimized.
    pub(super) fn loss(&self) -> f64 {
        self.step.loss.total.clone().into_scalar().elem()
    }

    /// InfoNCE before its weight, if it is part of the loss.
    pub(super) fn contrastive(&self) -> Option<f64> {
        let loss = self.step.loss.contrastive.clone();
        loss.map(|loss| loss.into_scalar().elem())
    }

    /// Scores, `[batch, n_classes]`.
    pub(super) fn logits(&self) -> Tensor<B, 2> {
        self.step.output.logits.clone()
    }

    /// The gradients of all parameters of `model`, on the first device.
    pub(super) fn backward(
        self,
        replicas: &Replicas<'_, B>,
        model: &TimesClipClassifier<B>,
    ) -> GradientsParams {
        let mut across = self.step.loss.total.backward();
        let mut of = |joined: Option<Tensor<B, 3>>| joined?.grad_remove(&mut across);
        let views = [of(self.joined.vision), of(self.joined.language)];
        let mut start = 0;
        let parts = self.parts.into_iter().map(|part| {
            let made = [part.vision, part.language];
            let n = made.iter().flatten().next().map_or(0, |x| x.dims()[0]);
            let sums = made.into_iter().zip(&views).filter_map(|(made, gradient)| {
                Some(surrogate_loss(made?, gradient.clone()?.narrow(0, start, n)))
            });
            let sum = sums.reduce(|a, b| a + b);
            start += n;
            sum.map(|sum| sum.backward())
        });
        // All devices are at work before the first result is asked for.
        let parts: Vec<_> = parts.collect();
        let mut sum = GradientsAccumulator::new();
        sum.accumulate(model, GradientsParams::from_grads(across, model));
        let copies = iter::once(None).chain(replicas.copies.iter().map(Some));
        for (gradients, copy) in parts.into_iter().zip(copies) {
            let Some(gradients) = gradients else { continue };
            let gradients = match copy {
                None => GradientsParams::from_grads(gradients, model),
                Some(copy) => GradientsParams::from_grads(gradients, copy)
                    .to_device(&replicas.devices[0], copy),
            };
            sum.accumulate(model, gradients);
        }
        sum.grads()
    }
}

/// A surrogate loss: a scalar whose gradient with respect to `x` is `gradient`.
fn surrogate_loss<B: AutodiffBackend>(
    x: Tensor<B, 3>,
    gradient: Tensor<B::InnerBackend, 3>,
) -> Tensor<B, 1> {
    let gradient = Tensor::from_inner(gradient).to_device(&x.device());
    (x * gradient).sum()
}
