//! The classifier under burn-train's own trainer, on one device and on two: what a downstream crate
//! writes that wants its dashboard or its strategies.

use std::sync::Arc;

use burn::backend::Autodiff;
use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::optim::AdamWConfig;
use burn::optim::lr_scheduler::constant::ConstantLr;
use burn::tensor::backend::Backend;
use burn_flex::{Flex, FlexDevice};
use burn_train::metric::{AccuracyMetric, LossMetric, MetricDefinition};
use burn_train::renderer::{
    EvaluationName, EvaluationProgress, MetricState, MetricsRenderer, MetricsRendererEvaluation,
    MetricsRendererTraining, ProgressType, TrainingProgress,
};
use burn_train::{ExecutionStrategy, Learner, MultiDeviceOptim, SupervisedTraining};
use timesclip::Modalities;
use timesclip::batch::{TimesClipBatch, TimesClipBatcher};
use timesclip::cache::{BuildOptions, InMemoryImages};
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::model::{TimesClipClassifier, TimesClipClassifierConfig};
use timesclip::raster::PlotStyle;

type AutodiffCpu = Autodiff<Flex>;

const SIDE_PX: usize = 32;
const N_SAMPLES: usize = 16;

/// Batches of the samples whose indices Burn's loader hands out.
#[derive(Clone)]
struct Loader {
    images: Arc<InMemoryImages>,
    batcher: TimesClipBatcher,
}

impl<B: Backend> Batcher<B, usize, TimesClipBatch<B>> for Loader {
    fn batch(&self, indices: Vec<usize>, device: &B::Device) -> TimesClipBatch<B> {
        let batch = self.batcher.gather(self.images.as_ref(), &indices);
        batch.expect("pictures in memory").into_tensors(device)
    }
}

/// Ramps up and ramps down.
fn ramps() -> SeriesDataset {
    let samples = (0..N_SAMPLES).map(|i| {
        let slope = if i % 2 == 0 { 1.0 } else { -1.0 };
        let value = |step: usize| slope * (step + i) as f32;
        LabeledSeries {
            id: i as u64,
            series: Series::new((0..12).map(value).collect(), 12, 1).expect("finite values"),
            label: i % 2,
        }
    });
    let names = ["up", "down"].map(str::to_owned).to_vec();
    SeriesDataset::new("ramps", names, samples.collect()).expect("a sound set")
}

fn loader() -> Loader {
    let set = ramps();
    let series = set.samples().iter().map(|sample| &sample.series);
    let normalizer = Normalizer::fit(Normalization::Instance, series).expect("a sound set");
    let style = PlotStyle {
        side_px: SIDE_PX,
        ..PlotStyle::default()
    };
    let images = InMemoryImages::build(set, &style, BuildOptions::new()).expect("pictures");
    Loader {
        images: Arc::new(images),
        batcher: TimesClipBatcher::new(normalizer, Modalities::DUAL),
    }
}

/// Prints nothing.
struct Quiet;

impl MetricsRendererTraining for Quiet {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}
    fn render_train(&mut self, _: TrainingProgress, _: Vec<ProgressType>) {}
    fn render_valid(&mut self, _: TrainingProgress, _: Vec<ProgressType>) {}
}

impl MetricsRendererEvaluation for Quiet {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
    fn render_test(&mut self, _: EvaluationProgress, _: Vec<ProgressType>) {}
}

impl MetricsRenderer for Quiet {
    fn manual_close(&mut self) {}
    fn register_metric(&mut self, _: MetricDefinition) {}
}

/// Share of the samples that a classifier is right about.
fn accuracy(model: &TimesClipClassifier<Flex>) -> f64 {
    let indices: Vec<usize> = (0..N_SAMPLES).collect();
    let batch = Batcher::<Flex, _, _>::batch(&loader(), indices, &FlexDevice);
    let predicted = model.forward(batch.input).logits.argmax(1).squeeze_dim(1);
    let right = predicted.equal(batch.targets).int().sum().into_scalar();
    f64::from(right) / N_SAMPLES as f64
}

#[test]
fn burns_trainer_learns_on_one_device_and_on_two() {
    let strategies = [
        ExecutionStrategy::SingleDevice(FlexDevice),
        ExecutionStrategy::MultiDevice(vec![FlexDevice; 2], MultiDeviceOptim::OptimMainDevice),
    ];
    for strategy in strategies {
        let mut config = TimesClipClassifierConfig::new(1, 2).with_d_model(16);
        config.vision.side_px = SIDE_PX;
        config.vision.image_patch_size = 8;
        config.selection.n_heads = 2;
        AutodiffCpu::seed(&FlexDevice, 3);
        let model = config.init::<AutodiffCpu>(&FlexDevice);
        let train = DataLoaderBuilder::<AutodiffCpu, _, _>::new(loader())
            .batch_size(4)
            .build(InMemDataset::new((0..N_SAMPLES).collect()));
        let valid = DataLoaderBuilder::<Flex, _, _>::new(loader())
            .batch_size(4)
            .build(InMemDataset::new((0..N_SAMPLES).collect()));
        let folder = tempfile::tempdir().expect("a folder");
        let trained = SupervisedTraining::new(folder.path(), train, valid)
            .metrics((AccuracyMetric::new(), LossMetric::new()))
            .renderer(Quiet)
            .with_application_logger(None)
            .with_training_strategy(strategy.into())
            .num_epochs(10)
            .launch(Learner::new(
                model,
                AdamWConfig::new().init(),
                ConstantLr::new(2e-3),
            ));
        let accuracy = accuracy(&trained.model);
        assert!(accuracy >= 0.99, "only {accuracy} of the ramps");
    }
}
