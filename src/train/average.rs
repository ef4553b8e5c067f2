//! The exponential moving average of a model's weights, which is steadier than its last step.

use burn::module::{AutodiffModule, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::container::TensorContainer;

use crate::model::TimesClipClassifier;

/// A model whose weights, running statistics included, trail behind those of the one that learns.
#[derive(Debug)]
pub(super) struct Average<B: AutodiffBackend> {
    pub(super) decay: f64,
    pub(super) model: Box<TimesClipClassifier<B::InnerBackend>>,
}

impl<B: AutodiffBackend> Average<B> {
    /// Starts from a model as it is.
    pub(super) fn of(model: &TimesClipClassifier<B>, decay: f64) -> Self {
        let model = Box::new(model.valid());
        Self { decay, model }
    }

    /// Comes closer to `model` after so many steps of the run.
    ///
    /// The first steps count for more than they would, so that the weights a run began with are
    /// soon forgotten: `min(decay, (1 + n) / (10 + n))` of the average is kept in step `n`.
    pub(super) fn update(&mut self, model: &TimesClipClassifier<B>, n_steps: usize) {
        let n = n_steps as f64;
        let mut follow = Follow {
            share: 1.0 - self.decay.min((1.0 + n) / (10.0 + n)),
            tensors: TensorContainer::new(),
        };
        Module::<B::InnerBackend>::visit(&model.valid(), &mut follow);
        let average = (*self.model).clone();
        self.model = Box::new(average.map(&mut follow));
    }

    /// The averaged model, sharing nothing that later updates change: running statistics are shared
    /// by clones (Burn 0.21).
    pub(super) fn snapshot(&self) -> TimesClipClassifier<B::InnerBackend> {
        TimesClipClassifier::<B>::from_inner((*self.model).clone()).valid()
    }
}

/// Takes the tensors of one model, and moves those of another by a share towards them.
struct Follow {
    share: f64,
    tensors: TensorContainer<ParamId>,
}

impl<B: Backend> ModuleVisitor<B> for Follow {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let tensor = param.val().into_primitive();
        self.tensors.register::<B>(param.id, tensor);
    }
}

impl<B: Backend> ModuleMapper<B> for Follow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        match self.tensors.remove::<B>(&param.id) {
            None => param,
            Some(tensor) => param.map(|old| {
                let new = Tensor::from_primitive(tensor);
                old.clone() + (new - old) * self.share
            }),
        }
    }
}
