//! AdamW in two groups, slower for some weights, and the clipping of the gradient's global norm.

use std::collections::HashSet;

use burn::module::{AutodiffModule, ModuleVisitor, Param, ParamId};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::{AdamW, AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};

use crate::model::concat;

/// PyTorch's default; Burn's own is 1e-5.
const EPSILON: f32 = 1e-8;
/// Added to the norm before dividing by it, as PyTorch does.
const NORM_EPSILON: f64 = 1e-6;

/// Record of one group's moments.
pub(super) type GroupRecord<B, M> = <OptimizerAdaptor<AdamW, M, B> as Optimizer<M, B>>::Record;

/// AdamW with decay on matrices only: biases, norms and class tokens are left alone.
pub(super) struct GroupedAdamW<B: AutodiffBackend, M: AutodiffModule<B>> {
    matrices: OptimizerAdaptor<AdamW, M, B>,
    vectors: OptimizerAdaptor<AdamW, M, B>,
    max_norm: Option<f64>,
    slower: Vec<Slower>,
}

/// Weights that learn at another rate than the rest, as a multiple of it.
pub(super) struct Slower {
    pub(super) weights: HashSet<ParamId>,
    pub(super) factor: f64,
}

impl<B: AutodiffBackend, M: AutodiffModule<B>> GroupedAdamW<B, M> {
    pub(super) fn new(weight_decay: f32, max_norm: Option<f64>, slower: Vec<Slower>) -> Self {
        let adamw = AdamWConfig::new().with_epsilon(EPSILON);
        Self {
            matrices: adamw.clone().with_weight_decay(weight_decay).init(),
            vectors: adamw.with_weight_decay(0.0).init(),
            max_norm,
            slower,
        }
    }

    /// Takes one step.
    pub(super) fn step(&mut self, rate: f64, module: M, mut gradients: GradientsParams) -> M {
        if let Some(max_norm) = self.max_norm {
            clip_global_norm::<B, M>(&module, &mut gradients, max_norm);
        }
        let mut module = module;
        for Slower { weights, factor } in std::mem::take(&mut self.slower) {
            let taken = take::<B, M>(&module, &mut gradients, |id, _| weights.contains(&id));
            module = self.apply(rate * factor, module, taken);
            self.slower.push(Slower { weights, factor });
        }
        self.apply(rate, module, gradients)
    }

    fn apply(&mut self, rate: f64, module: M, mut gradients: GradientsParams) -> M {
        let matrices = take::<B, M>(&module, &mut gradients, |_, n_dims| n_dims >= 2);
        let module = self.matrices.step(rate, module, matrices);
        self.vectors.step(rate, module, gradients)
    }

    pub(super) fn to_records(&self) -> [GroupRecord<B, M>; 2] {
        [self.matrices.to_record(), self.vectors.to_record()]
    }

    pub(super) fn load_records(&mut self, [matrices, vectors]: [GroupRecord<B, M>; 2]) {
        self.matrices = self.matrices.clone().load_record(matrices);
        self.vectors = self.vectors.clone().load_record(vectors);
    }
}

/// Scales all gradients so that their common norm is at most `max_norm`; gives the norm before.
pub(super) fn clip_global_norm<B: AutodiffBackend, M: AutodiffModule<B>>(
    module: &M,
    gradients: &mut GradientsParams,
    max_norm: f64,
) -> f64 {
    let mut squares = SquaredNorms::<B> {
        gradients,
        squares: Vec::new(),
    };
    module.visit(&mut squares);
    let squares = squares.squares;
    if squares.is_empty() {
        return 0.0;
    }
    // One transfer from the device for all tensors together.
    let norm = concat(squares, 0).sum().sqrt().into_scalar().elem::<f64>();
    if norm > max_norm {
        let factor = max_norm / (norm + NORM_EPSILON);
        module.visit(&mut Scale { gradients, factor });
    }
    norm
}

struct SquaredNorms<'a, B: AutodiffBackend> {
    gradients: &'a GradientsParams,
    squares: Vec<Tensor<B::InnerBackend, 1>>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for SquaredNorms<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.get::<B::InnerBackend, D>(param.id) {
            self.squares.push(gradient.powi_scalar(2).sum());
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if let Some(gradient) = self.gradients.remove::<B::InnerBackend, D>(param.id) {
            let scaled = gradient.mul_scalar(self.factor);
            self.gradients
                .register::<B::InnerBackend, D>(param.id, scaled);
        }
    }
}

/// Moves the gradients out of which `wanted` chooses, by weight and number of dimensions.
fn take<B: AutodiffBackend, M: AutodiffModule<B>>(
    module: &M,
    from: &mut GradientsParams,
    wanted: impl Fn(ParamId, usize) -> bool,
) -> GradientsParams {
    let taken = GradientsParams::new();
    let mut take = Take {
        from,
        taken,
        wanted,
    };
    module.visit(&mut take);
    take.taken
}

struct Take<'a, F> {
    from: &'a mut GradientsParams,
    taken: GradientsParams,
    wanted: F,
}

impl<B: AutodiffBackend, F: Fn(ParamId, usize) -> bool> ModuleVisitor<B> for Take<'_, F> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        if (self.wanted)(param.id, D)
            && let Some(gradient) = self.from.remove::<B::InnerBackend, D>(param.id)
        {
            self.taken
                .register::<B::InnerBackend, D>(param.id, gradient);
        }
    }
}
