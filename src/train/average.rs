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
        *self.model = average.map(&mut follow);
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

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::backend::Autodiff;

    use super::*;
    use crate::modalities::Modalities;
    use crate::model::TimesClipClassifierConfig;

    type Cpu = Autodiff<burn_flex::Flex>;

    fn first_numbers<B: Backend>(model: &TimesClipClassifier<B>) -> [f32; 3] {
        let convolutions = model
            .language
            .as_ref()
            .and_then(|it| it.convolutions.as_ref());
        let convolutions = convolutions.expect("it convolves");
        let norm = &convolutions.first_norm;
        let first = |x: Tensor<B, 1>| x.into_data().iter::<f32>().next().expect("a number");
        let kernel = convolutions.first.kernels[0].val();
        [
            first(kernel.flatten(0, 2)),
            first(norm.running_mean.value()),
            first(norm.running_var.value()),
        ]
    }

    #[test]
    fn an_average_trails_by_its_decay_and_its_snapshots_stay() {
        let config = TimesClipClassifierConfig::convolutional(2, 3, 20);
        let config = config.with_modalities(Modalities::LANGUAGE_ONLY);
        let start = config.init::<Cpu>(&Default::default());
        let mut average = Average::of(&start, 0.9);
        let before = average.snapshot();
        struct Add;
        impl<B: Backend> ModuleMapper<B> for Add {
            fn map_float<const D: usize>(
                &mut self,
                param: Param<Tensor<B, D>>,
            ) -> Param<Tensor<B, D>> {
                param.map(|x| x + 1.0)
            }
        }
        let old = first_numbers(&start);
        // Not a clone: clones share running statistics.
        let moved = TimesClipClassifier::<Cpu>::from_inner(start.valid()).map(&mut Add);
        // (1 + 3) / (10 + 3) of the average is kept in step 3, and nine tenths in the long run.
        average.update(&moved, 3);
        let share = 1.0 - 4.0 / 13.0;
        for (found, old) in first_numbers(&average.model).iter().zip(old) {
            assert!((found - old - share).abs() < 1e-6, "{found} after {old}");
        }
        average.update(&moved, 1000);
        let share = share + (1.0 - share) * 0.1;
        for (found, old) in first_numbers(&average.model).iter().zip(old) {
            assert!((found - old - share).abs() < 1e-6, "{found} after {old}");
        }
        assert_eq!(first_numbers(&before), old);
    }
}
