//! What learns: a model, its optimizer, the average of its weights.
//!
//! Models are large values, and passed about by value they would fill the stack of a small thread in
//! builds that are not optimized: here they are boxed.

use burn::module::{AutodiffModule, Module, list_param_ids};
use burn::optim::GradientsParams;
use burn::tensor::backend::AutodiffBackend;

use super::TrainingConfig;
use super::average::Average;
use super::optimizer::{GroupRecord, GroupedAdamW, Slower};
use crate::model::TimesClipClassifier;

type Model<B> = TimesClipClassifier<B>;
type Moments<B> = GroupRecord<B, Model<B>>;
type Weights<B> = <Model<B> as Module<B>>::Record;

/// All of a learner that a checkpoint keeps: weights, the optimizer's two groups, average.
pub(super) type LearnerRecord<B> = (Weights<B>, Moments<B>, Moments<B>, Option<Weights<B>>);

/// What learns.
pub(super) struct Learner<B: AutodiffBackend> {
    /// Absent only while a step is being taken.
    model: Option<Box<Model<B>>>,
    optimizer: GroupedAdamW<B, Model<B>>,
    average: Option<Average<B>>,
}

impl<B: AutodiffBackend> Learner<B> {
    pub(super) fn new(model: Box<Model<B>>, config: &TrainingConfig) -> Self {
        let decay = config.average_decay;
        Self {
            average: decay.map(|decay| Average::of(&model, decay)),
            optimizer: GroupedAdamW::new(
                config.weight_decay,
                config.max_grad_norm,
                slower(&model, config),
            ),
            model: Some(model),
        }
    }

    pub(super) fn model(&self) -> &Model<B> {
        self.model
            .as_deref()
            .expect("every step puts the model back")
    }

    /// Takes the step of number `n` of the run.
    pub(super) fn step(&mut self, rate: f64, gradients: GradientsParams, n: usize) {
        // Not a clone: a tensor that nothing shares is changed in its place.
        let model = self.model.take().expect("every step puts the model back");
        let model = Box::new(self.optimizer.step(rate, *model, gradients));
        if let Some(average) = &mut self.average {
            average.update(&model, n);
        }
        self.model = Some(model);
    }

    /// Whether what is validated is not the model itself.
    pub(super) fn is_averaged(&self) -> bool {
        self.average.is_some()
    }

    /// Takes over what does not learn of `fixed`.
    pub(super) fn share_fixed(&mut self, fixed: &Model<B::InnerBackend>) {
        let model = Box::new(self.model().clone().with_fixed_of(fixed));
        if let Some(average) = &mut self.average {
            *average = Average::of(&model, average.decay);
        }
        self.model = Some(model);
    }

    pub(super) fn to_record(&self) -> LearnerRecord<B> {
        let [matrices, vectors] = self.optimizer.to_records();
        let average = self.average.as_ref().map(|average| {
            // A record of the same backend as the others.
            Model::<B>::from_inner((*average.model).clone()).into_record()
        });
        (
            self.model().clone().into_record(),
            matrices,
            vectors,
            average,
        )
    }

    pub(super) fn load_record(&mut self, (weights, matrices, vectors, average): LearnerRecord<B>) {
        self.model = Some(Box::new(self.model().clone().load_record(weights)));
        self.optimizer.load_records([matrices, vectors]);
        if let Some((trailing, record)) = self.average.as_mut().zip(average) {
            let model = Model::<B>::from_inner((*trailing.model).clone());
            *trailing.model = model.load_record(record).valid();
        }
    }

    /// What is validated and returned: the average, or the model itself.
    pub(super) fn snapshot(&self) -> Box<Model<B::InnerBackend>> {
        match &self.average {
            Some(average) => Box::new(average.snapshot()),
            None => Box::new(self.model().valid()),
        }
    }
}

/// The weights of the encoders, where they learn at a rate of their own.
fn slower<B: AutodiffBackend>(model: &Model<B>, config: &TrainingConfig) -> Vec<Slower> {
    let seeing = model.vision.as_ref().map(|branch| {
        let weights = list_param_ids(&branch.vision_model);
        (config.vision_rate, weights)
    });
    let reading = model.language.as_ref().map(|branch| {
        let mut weights = list_param_ids(&branch.text_model);
        weights.extend(
            branch
                .points
                .iter()
                .flat_map(|points| list_param_ids(points)),
        );
        (config.text_rate, weights)
    });
    let encoders = seeing.into_iter().chain(reading);
    let encoders = encoders.filter(|(factor, _)| *factor != 1.0);
    encoders
        .map(|(factor, weights)| Slower {
            weights: weights.into_iter().collect(),
            factor,
        })
        .collect()
}
