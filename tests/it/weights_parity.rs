//! Pretrained encoders against transformers: every hidden state, and the mistakes that would show.
//!
//! `tests/fixtures/clip` holds script, data and note.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Bool, Tensor, TensorData};
use burn_store::{ModuleStore, SafetensorsStore};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use timesclip::model::{LanguageConfig, SeriesTokenizerConfig, TextEncoder, VisionEncoder};
use timesclip::weights::{Checkpoint, PixelNorm};

use crate::support::Cpu;

/// Single precision through three blocks of tiny width, values up to about 10.
const TOLERANCE: f32 = 1e-4;
/// An encoder with one mistake is further away than this.
const MISTAKE: f32 = 100.0 * TOLERANCE;
/// Twelve blocks of width 384, class tokens of values up to about 10.
const GOLDEN_TOLERANCE: f32 = 1e-4;
/// Single precision in 16 products of table values up to about 1.
const POSITIONS_TOLERANCE: f32 = 1e-6;
/// Sizes of the text fixtures.
const BATCH: usize = 2;
const SEQ: usize = 7;

pub(crate) fn data(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/clip/data").join(name)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "to single precision, as the script does"
)]
/// `height sin(step i)` at place `i`, as the script computes it.
fn sines(n: usize, step: f64, height: f64) -> Vec<f32> {
    let value = |i| (height * (i as f64 * step).sin()) as f32;
    (0..n).map(value).collect()
}

fn pictures(n: usize, side_px: usize) -> Tensor<Cpu, 4> {
    let shape = [n, 3, side_px, side_px];
    let pixels = sines(shape.iter().product(), 0.01, 1.0);
    Tensor::from_data(TensorData::new(pixels, shape), &Default::default())
}

/// What transformers computed, by name.
struct Expected(SafetensorsStore);

impl Expected {
    fn of(name: &str) -> Self {
        let file = data(name).join("expected.safetensors");
        Self(SafetensorsStore::from_file(file))
    }

    fn values(&mut self, name: &str) -> Vec<f32> {
        let snapshot = self.0.get_snapshot(name).expect("the fixture can be read");
        let snapshot = snapshot.unwrap_or_else(|| panic!("no {name} in the fixture"));
        let data = snapshot.to_data().expect("the fixture can be read");
        data.iter::<f32>().collect()
    }
}

fn error<const D: usize>(found: Tensor<Cpu, D>, expected: &[f32]) -> f32 {
    let found: Vec<f32> = found.into_data().iter::<f32>().collect();
    assert_eq!(found.len(), expected.len(), "numbers of values");
    let errors = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    // Not `max`, which would pass over what is not a number.
    errors.fold(0.0, |max, error| if error <= max { max } else { error })
}

fn load_vision(folder: &Path) -> VisionEncoder<Cpu> {
    let checkpoint = Checkpoint::open(folder).expect("a sound checkpoint");
    let config = checkpoint.vision_config().expect("a sound config.json");
    let encoder = checkpoint.load_vision(&config, &Default::default());
    encoder.unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

fn load_text(folder: &Path, causal: bool) -> TextEncoder<Cpu> {
    let checkpoint = Checkpoint::open(folder).expect("a sound checkpoint");
    let config = checkpoint.text_config().expect("a sound config.json");
    let config =
        LanguageConfig::new(SeriesTokenizerConfig::new().into(), config).with_causal(causal);
    let encoder = checkpoint.load_text(&config, &Default::default());
    encoder.unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

/// The greatest error of the pooled output and of all hidden states.
fn vision_error(name: &str, encoder: &VisionEncoder<Cpu>) -> f32 {
    let mut expected = Expected::of(name);
    let config = Checkpoint::open(data(name)).and_then(|checkpoint| checkpoint.vision_config());
    let side_px = config.expect("a sound fixture").side_px;
    let pixels = pictures(BATCH, side_px);
    let pooled = encoder.forward_pixels(pixels.clone());
    let mut greatest = error(pooled, &expected.values("pooled"));
    for (i, state) in encoder.hidden_states(pixels).into_iter().enumerate() {
        let error = error(state, &expected.values(&format!("hidden.{i}")));
        greatest = if error <= greatest { greatest } else { error };
    }
    greatest
}

/// The greatest error of the last and all hidden states, with and without padding.
fn text_error(name: &str, encoder: &TextEncoder<Cpu>, causal: bool) -> f32 {
    let mut expected = Expected::of(name);
    let d_model = encoder.final_layer_norm.gamma.dims()[0];
    let tokens = sines(BATCH * SEQ * d_model, 1.0, 0.02);
    let tokens = TensorData::new(tokens, [BATCH, SEQ, d_model]);
    let tokens = Tensor::<Cpu, 3>::from_data(tokens, &Default::default());
    let padded: Vec<bool> = (0..BATCH * SEQ).map(|i| i >= SEQ + 4).collect();
    let padded = TensorData::new(padded, [BATCH, SEQ]);
    let padded = Tensor::<Cpu, 2, Bool>::from_data(padded, &Default::default());
    let mode = if causal { "causal" } else { "both" };
    let mut greatest: f32 = 0.0;
    for (case, masked) in [("", None), (".padded", Some(padded))] {
        let states = encoder.hidden_states(tokens.clone(), masked.clone());
        let last = encoder.forward(tokens.clone(), masked);
        let states = states.into_iter().enumerate();
        let states = states.map(|(i, state)| (format!("{mode}{case}.hidden.{i}"), state));
        for (name, state) in states.chain([(format!("{mode}{case}.last"), last)]) {
            let error = error(state, &expected.values(&name));
            greatest = if error <= greatest { greatest } else { error };
        }
    }
    greatest
}

#[test]
fn vision_towers_compute_what_transformers_computes() {
    for name in ["whole", "vision", "projection", "vision_bin"] {
        let error = vision_error(name, &load_vision(&data(name)));
        assert!(error <= TOLERANCE, "{name}: {error}");
    }
}

#[test]
fn text_towers_compute_what_transformers_computes_causal_or_not() {
    for name in ["whole", "text_bin"] {
        for causal in [false, true] {
            let encoder = load_text(&data(name), causal);
            let error = text_error(name, &encoder, causal);
            assert!(error <= TOLERANCE, "{name}, causal {causal}: {error}");
            let mistaken = text_error(name, &encoder, !causal);
            assert!(
                mistaken > MISTAKE,
                "{name}, not causal {causal}: {mistaken}"
            );
        }
    }
}

#[test]
fn positions_are_resized_as_transformers_does() {
    let checkpoint = Checkpoint::open(data("whole")).expect("a sound checkpoint");
    let own = checkpoint.vision_config().expect("a sound config.json");
    let mut expected = Expected::of("whole");
    for side_px in [16, 48] {
        let mut config = own.clone();
        config.side_px = side_px;
        let encoder = checkpoint.load_vision::<Cpu>(&config, &Default::default());
        let encoder = encoder.expect("resized positions");
        let table = encoder.embeddings.position_embedding.weight.val();
        let table = error(table, &expected.values(&format!("positions.{side_px}")));
        assert!(table <= POSITIONS_TOLERANCE, "{side_px} px: {table}");
        let pooled = encoder.forward_pixels(pictures(BATCH, side_px));
        let pooled = error(pooled, &expected.values(&format!("pooled.{side_px}")));
        assert!(pooled <= TOLERANCE, "{side_px} px: {pooled}");
    }
}

#[test]
fn weights_drawn_at_random_compute_something_else() {
    for name in ["whole", "vision", "projection", "vision_bin"] {
        let checkpoint = Checkpoint::open(data(name)).expect("a sound checkpoint");
        let config = checkpoint.vision_config().expect("a sound config.json");
        let error = vision_error(name, &config.init(&Default::default()));
        assert!(error > 1.0, "{name}: {error}");
    }
}

/// A copy of a checkpoint with other settings.
pub(crate) fn with_settings(name: &str, edit: impl Fn(&mut Value)) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(data(name)).expect("a fixture") {
        let path = entry.expect("an entry of a fixture").path();
        let copy = folder.path().join(path.file_name().expect("a name"));
        fs::copy(&path, copy).expect("a copy");
    }
    let file = folder.path().join("config.json");
    let text = fs::read(&file).expect("a fixture");
    let mut config: Value = serde_json::from_slice(&text).expect("a fixture");
    let before = config.clone();
    edit(&mut config);
    assert_ne!(config, before, "an edit that is none");
    fs::write(file, config.to_string()).expect("a new file");
    folder
}

/// A copy of a checkpoint whose tensors have exchanged names.
fn exchanged(name: &str, one: &str, other: &str) -> TempDir {
    let folder = with_settings(name, |config| config["note"] = json!("exchanged"));
    let file = folder.path().join("model.safetensors");
    let bytes = fs::read(&file).expect("a fixture");
    let tensors = SafeTensors::deserialize(&bytes).expect("a fixture");
    let renamed = tensors.tensors().into_iter().map(|(name, tensor)| {
        let from_one = name.contains(one);
        let (from, to) = if from_one { (one, other) } else { (other, one) };
        (name.replace(from, to), tensor)
    });
    safetensors::serialize_to_file(renamed, None, &file).expect("a new file");
    folder
}

#[test]
fn each_likely_mistake_shows() {
    for (name, key, value) in [
        ("vision", "hidden_act", json!("quick_gelu")),
        ("projection", "hidden_act", json!("gelu")),
        ("vision", "layer_norm_eps", json!(1e-5)),
        ("projection", "layer_norm_eps", json!(1e-5)),
        ("vision", "num_attention_heads", json!(2)),
    ] {
        let folder = with_settings(name, |config| config[key] = value.clone());
        let error = vision_error(name, &load_vision(folder.path()));
        assert!(error > MISTAKE, "{key} of {name}: {error}");
    }
    for (one, other) in [
        ("q_proj", "k_proj"),
        ("q_proj", "v_proj"),
        ("k_proj", "v_proj"),
        ("v_proj", "out_proj"),
        ("layer_norm1", "layer_norm2"),
        ("pre_layrnorm", "post_layernorm"),
    ] {
        let folder = exchanged("vision", one, other);
        let error = vision_error("vision", &load_vision(folder.path()));
        assert!(error > MISTAKE, "{one} for {other}: {error}");
    }
    let folder = exchanged("vision", "nothing", "no other");
    let error = vision_error("vision", &load_vision(folder.path()));
    assert!(error <= TOLERANCE, "a copy: {error}");
}

#[test]
fn each_likely_mistake_in_text_shows() {
    for (key, value) in [
        ("hidden_act", json!("gelu")),
        ("layer_norm_eps", json!(1e-5)),
        ("num_attention_heads", json!(2)),
    ] {
        let edit = |config: &mut Value| config["text_config"][key] = value.clone();
        let folder = with_settings("whole", edit);
        let error = text_error("whole", &load_text(folder.path(), true), true);
        assert!(error > MISTAKE, "{key}: {error}");
    }
}

#[test]
fn a_missing_norm_and_a_transposed_matrix_show() {
    let sound = load_vision(&data("vision"));
    let mut encoder = sound.clone();
    encoder.pre_layrnorm = None;
    let error = vision_error("vision", &encoder);
    assert!(error > MISTAKE, "no norm in front of the blocks: {error}");

    let mut encoder = sound;
    let out = &mut encoder.encoder.layers[1].self_attn.out_proj;
    out.weight = out.weight.clone().map(Tensor::transpose);
    let error = vision_error("vision", &encoder);
    assert!(error > MISTAKE, "a transposed matrix: {error}");
}

#[test]
fn pixels_of_another_mean_and_deviation_show() {
    let checkpoint = Checkpoint::open(data("whole")).expect("a sound checkpoint");
    let norm = checkpoint
        .pixel_norm()
        .expect("a sound preprocessor_config.json");
    let norm = norm.expect("the fixture has them");
    let encoder = load_vision(&data("whole"));
    let mut expected = Expected::of("whole");
    let channels = |values: [f32; 3]| Tensor::<Cpu, 1>::from(values).reshape([1, 3, 1, 1]);
    let PixelNorm { mean, std } = norm;
    let raw = pictures(BATCH, 32) * channels(std) + channels(mean);
    let image_net = PixelNorm {
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };
    let mut error = |PixelNorm { mean, std }: PixelNorm| {
        let pixels = (raw.clone() - channels(mean)) / channels(std);
        error(encoder.forward_pixels(pixels), &expected.values("pooled"))
    };
    assert!(error(norm) <= TOLERANCE, "the checkpoint's own");
    assert!(error(image_net) > MISTAKE, "those of ImageNet");
}

/// Where a real checkpoint may be: it is too large for this repository.
fn dinov2() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = std::env::var_os("TIMESCLIP_SHARED");
    let shared = shared.map_or_else(|| root.join("../shared"), PathBuf::from);
    let folder = shared.join("weights/dinov2-s14");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is not there", folder.display());
    None
}

#[test]
fn a_plain_vit_computes_its_golden_output() {
    let Some(folder) = dinov2() else { return };
    let checkpoint = Checkpoint::open(&folder).expect("a sound checkpoint");
    assert_eq!(checkpoint.dtypes(), ["F16"]);
    let config = checkpoint.vision_config().expect("a sound config.json");
    assert!(!config.pre_norm, "a plain ViT");
    let norm = checkpoint
        .pixel_norm()
        .expect("sound")
        .expect("they are there");
    assert!((norm.mean[0] - 0.485).abs() < 1e-6, "{norm:?}");
    let golden = fs::read(folder.join("golden_sin.json")).expect("the golden");
    let golden: Value = serde_json::from_slice(&golden).expect("the golden");
    let golden = Vec::<f32>::deserialize(&golden["pooler_output"]).expect("the golden");
    let pooled = load_vision(&folder).forward_pixels(pictures(1, 224));
    let error = error(pooled, &golden);
    assert!(error <= GOLDEN_TOLERANCE, "{error}");
}
