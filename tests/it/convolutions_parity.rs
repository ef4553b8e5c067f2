//! The convolutional language branch against PyTorch: forward, gradients, running statistics.
//!
//! `tests/fixtures/convolutions` holds script, data and note. What a wrong implementation would trip
//! over there: windows off by a step or beside the stride, differences over a gap, statistics that
//! count padded readings, a biased running variance, the bottleneck's bias in padded readings, the
//! mean over tokens that say nothing, positions of a series that is longer than expected.

use std::path::{Path, PathBuf};

use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};
use burn_store::{ModuleStore, SafetensorsStore};
use timesclip::Modalities;
use timesclip::model::loss::TimesClipLoss;
use timesclip::model::{
    Activation, ClassifierHeadConfig, ConvolutionTokenizerConfig, LanguageConfig, SeriesInput,
    TimesClipClassifier, TimesClipClassifierConfig, TimesClipInput, TransformerConfig,
};
use timesclip::weights::Checkpoint;

use crate::support::{AutodiffCpu, Cpu};

/// Single precision through convolutions and two blocks, values up to about 3.
const FORWARD_TOLERANCE: f32 = 2e-5;
/// Gradients sum over more terms, values up to about 1.
const GRADIENT_TOLERANCE: f32 = 1e-4;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/convolutions")
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

    fn assert_close(&mut self, name: &str, found: TensorData, tolerance: f32) {
        let expected: Vec<f32> = self.data(name).iter::<f32>().collect();
        let found: Vec<f32> = found.iter::<f32>().collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let error = apart.fold(0.0, f32::max);
        assert!(
            error <= tolerance,
            "{name} is {error:e} off, tolerance {tolerance:e}"
        );
    }

    fn input<B: Backend>(&mut self, masked: bool) -> TimesClipInput<B> {
        let device = Default::default();
        let valid = masked.then(|| {
            let valid = Tensor::<B, 3, Int>::from_data(self.data("valid"), &device);
            valid.equal_elem(1)
        });
        TimesClipInput {
            series: Some(SeriesInput {
                values: Tensor::from_data(self.data("values"), &device),
                valid,
                statistics: None,
                points: None,
            }),
            vision: None,
        }
    }
}

fn loaded<B: Backend>() -> TimesClipClassifier<B> {
    let tokenizer = ConvolutionTokenizerConfig::new(19)
        .with_first_kernels(vec![3, 5])
        .with_second_kernels(vec![1, 7])
        .with_n_filters(3)
        .with_bottleneck(4)
        .with_max_steps(10)
        .with_n_tokens(4);
    let transformer = TransformerConfig::new(8, 12, 2, 2).with_activation(Activation::Gelu);
    let config = TimesClipClassifierConfig::new(2, 3)
        .with_modalities(Modalities::LANGUAGE_ONLY)
        .with_d_model(10)
        .with_language(LanguageConfig::new(tokenizer.into(), transformer))
        .with_head(ClassifierHeadConfig::new(vec![]).with_dropout(0.0));
    let checkpoint = Checkpoint::open(fixture("weights.safetensors")).expect("a sound file");
    let loaded = checkpoint.load_classifier(&config, &Default::default());
    loaded.expect("every weight has its place")
}

#[test]
fn what_convolutions_read_equals_pytorch() {
    let mut expected = Expected::load();
    let output = loaded::<Cpu>().forward(expected.input(true));
    let read = output.language.expect("it reads");
    expected.assert_close("eval.language", read.into_data(), FORWARD_TOLERANCE);
    expected.assert_close("eval.logits", output.logits.into_data(), FORWARD_TOLERANCE);
}

#[test]
fn gradients_and_running_statistics_of_convolutions_equal_pytorch() {
    for (masked, prefix, name) in [(true, "", "train"), (false, "full.", "full")] {
        let mut expected = Expected::load();
        let model = loaded::<AutodiffCpu>();
        let targets = Tensor::from_data(expected.data("targets"), &Default::default());
        let output = model.forward(expected.input(masked));
        let logits = output.logits;
        let found = logits.clone().into_data();
        expected.assert_close(&format!("{name}.logits"), found, FORWARD_TOLERANCE);
        let loss = TimesClipLoss::new().forward(logits, targets, None).total;
        let gradients = loss.backward();
        let mut compared = Compared {
            gradients: &gradients,
            expected: &mut expected,
            prefix: format!("{prefix}gradient"),
            path: Vec::new(),
            n: 0,
        };
        model.visit(&mut compared);
        assert_eq!(compared.n, 56, "weights with a gradient");
        if masked {
            let norms = model.valid().language.expect("it reads").convolutions;
            let norms = norms.expect("it convolves");
            for (name, norm) in [("first", norms.first_norm), ("second", norms.second_norm)] {
                for (what, state) in [("mean", norm.running_mean), ("var", norm.running_var)] {
                    let name = format!("after.language.convolutions.{name}_norm.running_{what}");
                    expected.assert_close(&name, state.value().into_data(), FORWARD_TOLERANCE);
                }
            }
        }
    }
}

/// Compares the gradient of every weight that has one.
struct Compared<'a, B: AutodiffBackend> {
    gradients: &'a B::Gradients,
    expected: &'a mut Expected,
    prefix: String,
    path: Vec<(String, String)>,
    n: usize,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Compared<'_, B> {
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
        let name = names.join(".").replace("gamma", "weight");
        let name = name.replace("beta", "bias");
        let of = |container: &str| self.path.iter().any(|(_, found)| found == container);
        let gradient = match of("Struct:Linear") && D == 2 {
            true => gradient.transpose(),
            false => gradient,
        };
        let name = format!("{}.{name}", self.prefix);
        let found = gradient.into_data();
        self.expected.assert_close(&name, found, GRADIENT_TOLERANCE);
        self.n += 1;
    }
}
