//! Ink tokens against PyTorch, which drops the same tokens picture by picture: what is taken, and
//! every gradient; and what must hold of any picture.
//!
//! `tests/fixtures/ink` holds script, data and note. What a wrong implementation would trip over
//! there: positions that move up when tokens are dropped, padding that is attended to or averaged,
//! pictures returned in the order of their groups, cells without ink, a picture without any.

use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};
use burn_store::{ModuleStore, SafetensorsStore};
use timesclip::model::{
    PatchTokens, TokenPooling, VisionEncoder, VisionEncoderConfig, VisionTap, VisionTower,
};
use timesclip::weights::Checkpoint;

use crate::support::{AutodiffCpu, Cpu};
use crate::weights_parity::data;

/// Single precision through two blocks of tiny width, values up to about 5.
const TOLERANCE: f32 = 2e-5;
/// Of the largest number in a weight's gradient; those of PyTorch and ours sum in other orders.
const GRADIENT_TOLERANCE: f32 = 2e-5;
/// A gradient without a size of its own: softmax does not see a shift of all its keys.
const ZERO_GRADIENT: f32 = 1.0;
const GRID: TokenPooling = TokenPooling::Grid {
    rows: 2,
    columns: 4,
};
/// Blank paper and full ink, normalized, as the script has them.
const COLORS: [[f32; 3]; 2] = [[0.1, -0.2, 0.3], [-1.0, 0.5, 0.9]];

struct Expected(SafetensorsStore);

impl Expected {
    fn load() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let file = root.join("tests/fixtures/ink/expected.safetensors");
        Self(SafetensorsStore::from_file(file))
    }

    fn data(&mut self, name: &str) -> TensorData {
        let snapshot = self.0.get_snapshot(name).expect("the fixture can be read");
        let snapshot = snapshot.unwrap_or_else(|| panic!("no {name} in the fixture"));
        snapshot.to_data().expect("the fixture can be read")
    }

    fn masks<B: Backend>(&mut self) -> Tensor<B, 4, Int> {
        let masks = Tensor::<B, 3, Int>::from_data(self.data("masks"), &Default::default());
        masks.unsqueeze_dim(1)
    }

    fn largest(&mut self, name: &str) -> f32 {
        let values = self.data(name);
        values
            .iter::<f32>()
            .fold(0.0, |max, value| value.abs().max(max))
    }

    fn apart(&mut self, name: &str, found: &TensorData) -> f32 {
        let expected: Vec<f32> = self.data(name).iter::<f32>().collect();
        let found: Vec<f32> = found.iter::<f32>().collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        // Not `max`, which would pass over what is not a number.
        apart.fold(0.0, |max, error| if error <= max { max } else { error })
    }
}

fn config(layer: Option<usize>, pooling: TokenPooling, tokens: PatchTokens) -> VisionEncoderConfig {
    let checkpoint = Checkpoint::open(data("whole")).expect("a sound checkpoint");
    let config = checkpoint.vision_config().expect("a sound config.json");
    config
        .with_tap(VisionTap { layer, pooling })
        .with_tokens(tokens)
}

fn load<B: Backend>(config: &VisionEncoderConfig) -> VisionEncoder<B> {
    let checkpoint = Checkpoint::open(data("whole")).expect("a sound checkpoint");
    let encoder = checkpoint.load_vision(config, &Default::default());
    encoder.expect("every weight has its place")
}

fn colors<B: Backend>() -> Tensor<B, 3> {
    Tensor::from_data([COLORS], &Default::default())
}

const TAPS: [(&str, Option<usize>, TokenPooling); 4] = [
    ("class", None, TokenPooling::Class),
    ("mean", None, TokenPooling::Mean),
    ("both", None, TokenPooling::Both),
    ("grid", Some(1), GRID),
];

#[test]
fn what_is_taken_equals_pytorch() {
    let mut expected = Expected::load();
    for (name, layer, pooling) in TAPS {
        let encoder = load::<Cpu>(&config(layer, pooling, PatchTokens::Ink));
        let found = encoder.forward(expected.masks(), colors()).into_data();
        let apart = expected.apart(name, &found);
        assert!(apart <= TOLERANCE, "{name} is {apart:e} off");
        let dense = load::<Cpu>(&config(layer, pooling, PatchTokens::All));
        let found = dense.forward(expected.masks(), colors()).into_data();
        let apart = expected.apart(name, &found);
        assert!(apart > 100.0 * TOLERANCE, "{name}: all tokens look alike");
    }
}

#[test]
#[expect(
    clippy::cast_possible_truncation,
    reason = "to single precision, as the script does"
)]
fn gradients_equal_pytorch() {
    for (name, layer, pooling) in [("both", None, TokenPooling::Both), ("grid", Some(1), GRID)] {
        let mut expected = Expected::load();
        let encoder = load::<AutodiffCpu>(&config(layer, pooling, PatchTokens::Ink));
        let out = encoder.forward(expected.masks(), colors());
        let n = out.shape().num_elements();
        let sines: Vec<f32> = (0..n).map(|i| (i as f64).sin() as f32).collect();
        let cotangent = TensorData::new(sines, out.dims());
        let cotangent = Tensor::<AutodiffCpu, 3>::from_data(cotangent, &Default::default());
        let gradients = (out * cotangent).sum().backward();
        let mut compared = Compared {
            gradients: &gradients,
            expected: &mut expected,
            name,
            path: Vec::new(),
            n: 0,
        };
        encoder.visit(&mut compared);
        let n = if name == "both" { 39 } else { 21 };
        assert_eq!(compared.n, n, "weights with a gradient");
    }
}

/// Compares the gradient of every weight that has one.
struct Compared<'a, B: AutodiffBackend> {
    gradients: &'a B::Gradients,
    expected: &'a mut Expected,
    name: &'a str,
    path: Vec<String>,
    n: usize,
}

impl ModuleVisitor<AutodiffCpu> for Compared<'_, AutodiffCpu> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<AutodiffCpu, D>>) {
        let Some(gradient) = param.val().grad(self.gradients) else {
            return;
        };
        let path = self.path.join(".");
        // Burn's linear layers keep their weights transposed, and its norms have other names.
        let linear = path.contains("_proj.weight") || path.contains(".fc");
        let gradient = match linear && D == 2 {
            true => gradient.swap_dims(0, D - 1),
            false => gradient,
        };
        let path = path.replace(".gamma", ".weight").replace(".beta", ".bias");
        let name = format!("gradient.{}.{path}", self.name);
        let apart = self.expected.apart(&name, &gradient.into_data());
        let size = self.expected.largest(&name).max(ZERO_GRADIENT);
        assert!(
            apart <= GRADIENT_TOLERANCE * size,
            "{name} is {apart:e} off {size:e}"
        );
        self.n += 1;
    }
}

#[test]
fn a_picture_without_ink_has_zeros_for_means_and_a_class_token_of_its_own() {
    let blank = Tensor::<Cpu, 4, Int>::zeros([1, 1, 32, 32], &Default::default());
    for (name, layer, pooling) in TAPS {
        let encoder = load::<Cpu>(&config(layer, pooling, PatchTokens::Ink));
        let found: Vec<f32> = encoder
            .forward(blank.clone(), colors())
            .into_data()
            .iter::<f32>()
            .collect();
        assert!(found.iter().all(|value| value.is_finite()), "{name}");
        let zero = found.iter().all(|value| *value == 0.0);
        let class = matches!(pooling, TokenPooling::Class | TokenPooling::Both);
        assert_eq!(zero, !class, "{name}: {found:?}");
    }
    // Without a class token there is nothing at all to look at.
    let config = VisionEncoderConfig::line_plots().with_tokens(PatchTokens::Ink);
    let encoder = config.init::<Cpu>(&Default::default());
    let blank = Tensor::<Cpu, 4, Int>::zeros([2, 1, 64, 64], &Default::default());
    let found = encoder.forward(blank, colors()).into_data();
    assert!(found.iter::<f32>().all(|value| value == 0.0));
}

#[test]
fn with_ink_everywhere_both_kinds_of_tokens_are_the_same() {
    let full = Tensor::<Cpu, 4, Int>::ones([2, 1, 32, 32], &Default::default()) * 77;
    for (name, layer, pooling) in TAPS {
        let [all, ink] = [PatchTokens::All, PatchTokens::Ink].map(|tokens| {
            let encoder = load::<Cpu>(&config(layer, pooling, tokens));
            let found = encoder.forward(full.clone(), colors()).into_data();
            found.iter::<f32>().collect::<Vec<_>>()
        });
        let apart = all.iter().zip(&ink).map(|(a, b)| (a - b).abs());
        let apart = apart.fold(0.0, f32::max);
        assert!(apart <= TOLERANCE, "{name}: {apart:e}");
    }
}

#[test]
fn every_variate_has_its_own_colors_and_as_much_ink_as_it_has() {
    let device = Default::default();
    let masks = Expected::load().masks::<Cpu>();
    // Two samples of three variates, of which the second has no ink at all.
    let blank = Tensor::zeros([2, 1, 32, 32], &device);
    let parts = [
        masks.clone().narrow(0, 0, 2),
        blank,
        masks.clone().narrow(0, 4, 2),
    ];
    let samples = Tensor::cat(parts.to_vec(), 1);
    let ramp = |paper: f32| (0..256).map(move |level| [paper + level as f32 / 100.0; 3]);
    let [linear, table]: [Vec<Tensor<Cpu, 3>>; 2] = [
        vec![colors(), colors() * 0.5, colors() - 1.0],
        [0.0, 1.0, -2.0]
            .map(|paper| {
                let levels: Vec<f32> = ramp(paper).flatten().collect();
                Tensor::from_data(TensorData::new(levels, [1, 256, 3]), &device)
            })
            .to_vec(),
    ];
    for (name, layer, pooling) in TAPS {
        let encoder = load::<Cpu>(&config(layer, pooling, PatchTokens::Ink));
        for colors in [&linear, &table] {
            let all = encoder.forward(samples.clone(), Tensor::cat(colors.clone(), 0));
            for (variate, (part, colors)) in parts.iter().zip(colors).enumerate() {
                let alone = encoder.forward(part.clone(), colors.clone());
                let found = all.clone().narrow(1, variate, 1) - alone;
                let apart: f32 = found.abs().max().into_scalar();
                assert!(apart <= TOLERANCE, "{name}, {variate}: {apart:e}");
            }
        }
    }
}

#[test]
fn a_frozen_picture_has_the_same_bits_in_any_company() {
    let mut expected = Expected::load();
    let masks = expected.masks::<Cpu>();
    for tokens in [PatchTokens::All, PatchTokens::Ink] {
        for (name, layer, pooling) in TAPS {
            let tower = VisionTower::frozen(load::<Cpu>(&config(layer, pooling, tokens)));
            let numbers = |from: usize, n: usize| {
                let some = masks.clone().narrow(0, from, n);
                let found = tower.forward(some, colors()).into_data();
                found.iter::<f32>().collect::<Vec<_>>()
            };
            let apart = [numbers(0, 1), numbers(1, 2), numbers(3, 1), numbers(4, 2)].concat();
            assert!(apart == numbers(0, 6), "{name}, {tokens} tokens");
        }
    }
}
