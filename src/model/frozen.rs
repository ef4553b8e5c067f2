//! The vision encoder of a classifier: trained like the rest of it, or frozen.
//!
//! A frozen encoder runs on the backend without autodiff, whatever backend its classifier is on:
//! no graph, no gradients, no optimizer state, and the same kernels, so the same numbers, as when
//! its outputs are computed beforehand.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use burn::module::{
    AutodiffModule, Content, HasAutodiffModule, Module, ModuleDisplay, ModuleDisplayDefault,
    ModuleMapper, ModuleVisitor,
};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{FloatDType, Int, Tensor};

use super::fingerprint::fingerprint;
use super::passes::{forward_in_passes, samples_in_pass};
use super::vision::VisionEncoder;
use crate::model::fused::is_cpu;

/// A vision encoder, trained or frozen.
///
/// Frozen weights are not visited, so they count neither as parameters of the module nor in its
/// records; [`encoder`](Self::encoder) gives them.
#[derive(Clone, Debug)]
pub struct VisionTower<B: Backend>(Tower<B>);

#[derive(Clone, Debug)]
enum Tower<B: Backend> {
    Trained(Box<VisionEncoder<B>>),
    Frozen(Arc<dyn Frozen<B>>),
}

/// A frozen encoder as backend `B` sees it, wherever it computes.
trait Frozen<B: Backend>: Any + Send + Sync + Debug {
    fn forward(&self, masks: Tensor<B, 4, Int>, colors: Tensor<B, 3>) -> Tensor<B, 3>;
    fn encoder(&self) -> VisionEncoder<B>;
    fn to_device(&self, device: &B::Device) -> Arc<dyn Frozen<B>>;
    fn as_any(&self) -> &dyn Any;
}

/// Computes on `B` itself.
#[derive(Debug)]
struct Direct<B: Backend>(VisionEncoder<B>);

/// Computes on the backend that `B` wraps.
#[derive(Debug)]
struct Lifted<B: AutodiffBackend>(Arc<dyn Frozen<B::InnerBackend>>);

impl<B: Backend> VisionTower<B> {
    /// An encoder that learns.
    pub fn trained(encoder: VisionEncoder<B>) -> Self {
        Self(Tower::Trained(Box::new(encoder)))
    }

    /// An encoder that stays as it is.
    pub fn frozen(encoder: VisionEncoder<B>) -> Self {
        Self(Tower::Frozen(Arc::new(Direct(encoder.no_grad()))))
    }

    /// Whether it stays as it is.
    pub fn is_frozen(&self) -> bool {
        matches!(self.0, Tower::Frozen(_))
    }

    /// Whether both are one frozen encoder, in memory too.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Tower::Frozen(own), Tower::Frozen(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }

    /// The encoder itself; a frozen one takes no gradients.
    pub fn encoder(&self) -> VisionEncoder<B> {
        match &self.0 {
            Tower::Trained(encoder) => (**encoder).clone(),
            Tower::Frozen(frozen) => frozen.encoder(),
        }
    }

    /// Another encoder, trained or frozen as the one before and in the same precision.
    #[must_use]
    pub(super) fn with_encoder(self, encoder: VisionEncoder<B>) -> Self {
        match self.0 {
            Tower::Trained(_) => Self::trained(encoder),
            Tower::Frozen(frozen) => Self::frozen(encoder.cast(frozen.encoder().dtype())),
        }
    }

    /// The same encoder computing in another precision; a trained one stays in single precision,
    /// in which optimizers work.
    #[must_use]
    pub fn with_frozen_precision(self, dtype: FloatDType) -> Self {
        match &self.0 {
            Tower::Trained(_) => self,
            Tower::Frozen(frozen) => Self::frozen(frozen.encoder().cast(dtype)),
        }
    }

    /// Encodes coverage masks; shapes as for [`VisionEncoder::forward`].
    ///
    /// A frozen encoder works in passes: memory does not grow with the batch. On the CPU the numbers
    /// of a picture do not depend, not even in the last bit, on the batch it came in: the sums of a
    /// matrix product are ordered by its inner dimension alone.
    ///
    /// # Panics
    /// As [`VisionEncoder::forward`].
    pub fn forward(&self, masks: Tensor<B, 4, Int>, colors: Tensor<B, 3>) -> Tensor<B, 3> {
        match &self.0 {
            Tower::Trained(encoder) => encoder.forward(masks, colors),
            Tower::Frozen(frozen) => frozen.forward(masks, colors),
        }
    }

    /// Samples that a frozen encoder takes at a time, whatever the batch.
    pub fn samples_in_pass(&self, n_variates: usize) -> usize {
        samples_in_pass(&self.encoder(), n_variates)
    }

    /// Whether it computes on the processor, where several threads may share a frozen encoder.
    pub(crate) fn is_on_cpu(&self) -> bool {
        is_cpu::<B>()
    }

    /// Identity of what the encoder computes: a hash of its weights, sizes and tap.
    pub fn fingerprint(&self) -> u128 {
        fingerprint(&self.encoder())
    }
}

impl<B: Backend> Frozen<B> for Direct<B> {
    fn forward(&self, masks: Tensor<B, 4, Int>, colors: Tensor<B, 3>) -> Tensor<B, 3> {
        forward_in_passes(&self.0, masks, colors)
    }

    fn encoder(&self) -> VisionEncoder<B> {
        self.0.clone()
    }

    fn to_device(&self, device: &B::Device) -> Arc<dyn Frozen<B>> {
        Arc::new(Self(self.0.clone().fork(device).no_grad()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<B: AutodiffBackend> Frozen<B> for Lifted<B> {
    fn forward(&self, masks: Tensor<B, 4, Int>, colors: Tensor<B, 3>) -> Tensor<B, 3> {
        Tensor::from_inner(self.0.forward(masks.inner(), colors.inner()))
    }

    fn encoder(&self) -> VisionEncoder<B> {
        VisionEncoder::from_inner(self.0.encoder()).no_grad()
    }

    fn to_device(&self, device: &B::Device) -> Arc<dyn Frozen<B>> {
        Arc::new(Self(self.0.to_device(device)))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl<B: Backend> Module<B> for VisionTower<B> {
    type Record = Option<<VisionEncoder<B> as Module<B>>::Record>;

    fn collect_devices(&self, devices: Vec<B::Device>) -> Vec<B::Device> {
        self.encoder().collect_devices(devices)
    }

    fn fork(self, device: &B::Device) -> Self {
        match self.0 {
            Tower::Trained(encoder) => Self::trained(encoder.fork(device)),
            Tower::Frozen(frozen) => Self(Tower::Frozen(frozen.to_device(device))),
        }
    }

    fn to_device(self, device: &B::Device) -> Self {
        match self.0 {
            Tower::Trained(encoder) => Self::trained(encoder.to_device(device)),
            Tower::Frozen(frozen) => Self(Tower::Frozen(frozen.to_device(device))),
        }
    }

    fn visit<V: ModuleVisitor<B>>(&self, visitor: &mut V) {
        if let Tower::Trained(encoder) = &self.0 {
            encoder.visit(visitor);
        }
    }

    fn map<M: ModuleMapper<B>>(self, mapper: &mut M) -> Self {
        match self.0 {
            Tower::Trained(encoder) => Self::trained(encoder.map(mapper)),
            Tower::Frozen(_) => self,
        }
    }

    fn load_record(self, record: Self::Record) -> Self {
        match (self.0, record) {
            (Tower::Trained(encoder), Some(record)) => Self::trained(encoder.load_record(record)),
            (tower, _) => Self(tower),
        }
    }

    fn into_record(self) -> Self::Record {
        match self.0 {
            Tower::Trained(encoder) => Some(encoder.into_record()),
            Tower::Frozen(_) => None,
        }
    }
}

impl<B: AutodiffBackend> AutodiffModule<B> for VisionTower<B> {
    type InnerModule = VisionTower<B::InnerBackend>;

    fn valid(&self) -> Self::InnerModule {
        match &self.0 {
            Tower::Trained(encoder) => VisionTower::trained(encoder.valid()),
            Tower::Frozen(frozen) => match frozen.as_any().downcast_ref::<Lifted<B>>() {
                Some(lifted) => VisionTower(Tower::Frozen(Arc::clone(&lifted.0))),
                None => VisionTower::frozen(frozen.encoder().valid()),
            },
        }
    }

    fn from_inner(module: Self::InnerModule) -> Self {
        match module.0 {
            Tower::Trained(encoder) => Self::trained(VisionEncoder::from_inner(*encoder)),
            Tower::Frozen(frozen) => Self(Tower::Frozen(Arc::new(Lifted::<B>(frozen)))),
        }
    }
}

impl<B: AutodiffBackend> HasAutodiffModule<B> for VisionTower<B::InnerBackend> {
    type TrainModule = VisionTower<B>;
}

impl<B: Backend> ModuleDisplay for VisionTower<B> {}

impl<B: Backend> ModuleDisplayDefault for VisionTower<B> {
    fn content(&self, content: Content) -> Option<Content> {
        let state = if self.is_frozen() {
            "frozen"
        } else {
            "trained"
        };
        content
            .set_top_level_type("VisionTower")
            .add_formatted(&format!(
                "{state}, {} weights",
                Module::num_params(&self.encoder())
            ))
            .optional()
    }
}
