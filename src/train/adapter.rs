//! The classifier as burn-train's `SupervisedTraining` takes it: its dashboard, its strategies.
//!
//! Steps and losses are those of our own loop; metrics there are means over batches.

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_train::{ClassificationOutput, InferenceStep, TrainOutput, TrainStep};

use crate::batch::TimesClipBatch;
use crate::model::TimesClipClassifier;

fn classify<B: Backend>(
    model: &TimesClipClassifier<B>,
    batch: TimesClipBatch<B>,
) -> ClassificationOutput<B> {
    let targets = batch.targets.clone();
    let step = model.forward_classification(batch.input, batch.targets);
    ClassificationOutput::new(step.loss.total, step.output.logits, targets)
}

impl<B: AutodiffBackend> TrainStep for TimesClipClassifier<B> {
    type Input = TimesClipBatch<B>;
    type Output = ClassificationOutput<B>;

    fn step(&self, batch: TimesClipBatch<B>) -> TrainOutput<ClassificationOutput<B>> {
        let output = classify(self, batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl<B: Backend> InferenceStep for TimesClipClassifier<B> {
    type Input = TimesClipBatch<B>;
    type Output = ClassificationOutput<B>;

    fn step(&self, batch: TimesClipBatch<B>) -> ClassificationOutput<B> {
        classify(self, batch)
    }
}
