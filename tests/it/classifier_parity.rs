//! The whole classifier against PyTorch and Hugging Face's CLIP blocks: forward, losses, gradients.
//!
//! `tests/fixtures/classifier` holds script, data and note. What a wrong implementation would
//! trip over there: quick GELU for GELU, a transposed linear layer, q, k and v in another order,
//! a missing norm, the class token not first, padded steps attended to, biased for unbiased batch
//! statistics, colors before rounding, a loss weight twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use burn_store::{ModuleStore, SafetensorsStore};
use timesclip::model::loss::TimesClipLoss;
use timesclip::model::{
    ClassifierHeadConfig, HeadNorm, LanguageConfig, SeriesInput, SeriesTokenizerConfig,
    TimesClipClassifier, TimesClipClassifierConfig, TimesClipInput, TransformerConfig,
    VariatePooling, VariateSelectionConfig, VisionEncoderConfig, VisionInput,
};
use timesclip::raster::{Palette, PixelStatistics, color_table};
use timesclip::weights::Checkpoint;

use crate::support::{AutodiffCpu, Cpu};

/// Single precision through two encoders, values up to about 3.
const FORWARD_TOLERANCE: f32 = 2e-5;
/// Gradients sum over more terms, values up to about 1.
const GRADIENT_TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/classifier")
        .join(name)
}

/// Tensors of a file by name.
struct Expected(SafetensorsStore);

impl Expected {
    fn load() -> Self {
        Self(SafetensorsStore::from_file(fixture("expected.safetensors")))
    }

    fn data(&mut self, name: &str) -> TensorData {
        let snapshot = self.0.get_snapshot(name).expect("the fixture can be read");
        let snapshot = snapshot.unwrap_or_else(|| panic!("no {name} in the fixture"));
        snapshot.to_data().expect("the fixture can be read")
    }

    fn values(&mut self, name: &str) -> Vec<f32> {
        self.data(name).iter::<f32>().collect()
    }
}

fn config() -> TimesClipClassifierConfig {
    let tokenizer = SeriesTokenizerConfig::new()
        .with_max_tokens(8)
        .with_dropout(0.0)
        .with_statistics(true);
    TimesClipClassifierConfig::new(2, 4)
        .with_d_model(8)
        .with_vision(VisionEncoderConfig::new(
            16,
            8,
            TransformerConfig::new(12, 20, 3, 2),
        ))
        .with_language(LanguageConfig::new(
            tokenizer.into(),
            TransformerConfig::new(16, 24, 4, 2),
        ))
        .with_selection(
            VariateSelectionConfig::new()
                .with_n_heads(2)
                .with_dropout(0.0),
        )
        .with_pooling(VariatePooling::Mean)
        .with_head(
            ClassifierHeadConfig::new(vec![10, 6])
                .with_norm(HeadNorm::Batch)
                .with_dropout(0.0),
        )
        .with_loss(TimesClipLoss::new().with_label_smoothing(0.1))
}

fn loaded<B: burn::tensor::backend::Backend>(
    config: &TimesClipClassifierConfig,
) -> TimesClipClassifier<B> {
    let checkpoint = Checkpoint::open(fixture("weights.safetensors")).expect("a sound file");
    let loaded = checkpoint.load_classifier(config, &Default::default());
    loaded.expect("every weight has its place")
}

fn input<B: burn::tensor::backend::Backend>(expected: &mut Expected) -> TimesClipInput<B> {
    let device = Default::default();
    let colors = color_table(&Palette::default(), 2, &PixelStatistics::CLIP);
    TimesClipInput {
        series: Some(SeriesInput {
            values: Tensor::from_data(expected.data("values"), &device),
            valid: Some(
                Tensor::<B, 3, burn::tensor::Int>::from_data(expected.data("valid"), &device)
                    .equal_elem(1),
            ),
            statistics: Some(Tensor::from_data(expected.data("statistics"), &device)),
            points: None,
        }),
        vision: Some(VisionInput::Masks {
            masks: Tensor::from_data(expected.data("masks"), &device),
            colors: Tensor::from_data(TensorData::new(colors, [2, 256, 3]), &device),
        }),
    }
}

fn assert_close(name: &str, found: TensorData, expected: &[f32], tolerance: f32) {
    let found: Vec<f32> = found.iter::<f32>().collect();
    assert_eq!(found.len(), expected.len(), "{name}");
    let error = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(
        error <= tolerance,
        "{name} is {error:e} off, tolerance {tolerance:e}"
    );
}

#[test]
fn predictions_equal_pytorch() {
    let mut expected = Expected::load();
    let model = loaded::<Cpu>(&config());
    let targets = Tensor::from_data(expected.data("targets"), &Default::default());
    let output = model.forward(input(&mut expected));
    let parts = TimesClipLoss::new().forward(
        output.logits.clone(),
        targets,
        output.vision.clone().zip(output.language.clone()),
    );
    let contrastive = parts.contrastive.expect("two views");
    for (name, found) in [
        ("eval.logits", output.logits.into_data()),
        ("eval.vision", output.vision.expect("it sees").into_data()),
        (
            "eval.language",
            output.language.expect("it reads").into_data(),
        ),
        (
            "eval.attention",
            output.attention.expect("it selects").into_data(),
        ),
        ("eval.classification", parts.classification.into_data()),
        ("eval.contrastive", contrastive.into_data()),
    ] {
        assert_close(name, found, &expected.values(name), FORWARD_TOLERANCE);
    }
}

#[test]
fn losses_and_gradients_of_a_training_step_equal_pytorch() {
    let mut expected = Expected::load();
    let model = loaded::<AutodiffCpu>(&config());
    let targets = Tensor::from_data(expected.data("targets"), &Default::default());
    let step = model.forward_classification(input(&mut expected), targets);
    let contrastive = step.loss.contrastive.clone().expect("two views");
    for (name, found) in [
        ("train.logits", step.output.logits.into_data()),
        ("train.total", step.loss.total.clone().into_data()),
        ("train.classification", step.loss.classification.into_data()),
        ("train.contrastive", contrastive.into_data()),
    ] {
        assert_close(name, found, &expected.values(name), FORWARD_TOLERANCE);
    }
    let gradients = step.loss.total.backward();
    let mut found = Gradients::<AutodiffCpu> {
        gradients: &gradients,
        path: vec![],
        by_name: BTreeMap::new(),
    };
    model.visit(&mut found);
    assert!(
        found.by_name.len() > 90,
        "only {} gradients",
        found.by_name.len()
    );
    for (name, gradient) in found.by_name {
        let name = format!("gradient.{name}");
        assert_close(&name, gradient, &expected.values(&name), GRADIENT_TOLERANCE);
    }
}

#[test]
fn an_untrained_model_is_not_mistaken_for_the_fixture() {
    let mut expected = Expected::load();
    let model = config().init::<Cpu>(&Default::default());
    let logits: Vec<f32> = model
        .forward(input(&mut expected))
        .logits
        .into_data()
        .iter::<f32>()
        .collect();
    let right = expected.values("eval.logits");
    let error = logits
        .iter()
        .zip(&right)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(
        error > 100.0 * FORWARD_TOLERANCE,
        "random weights are only {error:e} off"
    );
}

/// Gradients by PyTorch's names, in PyTorch's layouts.
struct Gradients<'a, B: AutodiffBackend> {
    gradients: &'a B::Gradients,
    path: Vec<(String, String)>,
    by_name: BTreeMap<String, TensorData>,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Gradients<'_, B> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push((name.to_owned(), container_type.to_owned()));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let Some(gradient) = param.val().grad(self.gradients) else {
            return;
        };
        let names: Vec<&str> = self.path.iter().map(|(name, _)| name.as_str()).collect();
        let name = names
            .join(".")
            .replace("gamma", "weight")
            .replace("beta", "bias");
        let linear = self
            .path
            .iter()
            .any(|(_, container)| container == "Struct:Linear");
        let gradient = if linear && D == 2 {
            gradient.transpose()
        } else {
            gradient
        };
        self.by_name.insert(name, gradient.into_data());
    }
}
