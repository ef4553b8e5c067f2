//! Counting the weights of a classifier.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::TimesClipClassifier;

/// Fields that hold statistics of the training samples: state, neither trained nor frozen.
const STATISTICS: [&str; 4] = ["running_mean", "running_var", "mean", "std"];

/// Number of weights of a classifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ParameterCount {
    /// All weights, and statistics of norms.
    pub total: usize,
    /// Those that take a gradient; zero on a backend without autodiff.
    pub trainable: usize,
    /// Those that are frozen; on a backend without autodiff, all.
    pub frozen: usize,
}

impl ParameterCount {
    pub(super) fn of<B: Backend>(model: &TimesClipClassifier<B>) -> Self {
        let mut count = Self::visited(model);
        // A frozen encoder is not visited by way of its classifier.
        if let Some(tower) = model.frozen_vision() {
            let weights = tower.encoder().num_params();
            count.total += weights;
            count.frozen += weights;
        }
        count
    }

    /// Counts what a visitor gets to see, without drawing weights that are made when first used.
    pub(super) fn visited<B: Backend>(module: &impl Module<B>) -> Self {
        let mut counter = Counter::default();
        module.visit(&mut counter);
        counter.count
    }
}

#[derive(Default)]
struct Counter {
    count: ParameterCount,
    path: Vec<String>,
}

impl<B: Backend> ModuleVisitor<B> for Counter {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let n = param.lazy_shape().num_elements();
        let field = self.path.last().map_or("", String::as_str);
        self.count.total += n;
        if param.is_require_grad() {
            self.count.trainable += n;
        } else if !STATISTICS.contains(&field) {
            self.count.frozen += n;
        }
    }
}
