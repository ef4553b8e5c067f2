//! The builtin encoders of line plots: what they compute against PyTorch, and what is shipped.
//!
//! `tests/fixtures/line_plots` holds script, data and note.

use burn::tensor::{Int, Tensor, TensorData};
use serde::Deserialize;
use timesclip::curves::CurveGenerator;
use timesclip::data::Series;
use timesclip::encode::{PlotAxes, PlotReader, PlotSeer};
use timesclip::model::{ReadingEncoderConfig, VisionEncoderConfig};
use timesclip::weights::{Checkpoint, WeightsError, builtin, save_reading, save_vision};
use xxhash_rust::xxh3::xxh3_128;

use crate::support::Cpu;

/// Single precision through six blocks, values up to about 5, against double precision.
const TOLERANCE: f32 = 5e-5;
/// An encoder with one mistake is further away than this.
const MISTAKE: f32 = 1000.0 * TOLERANCE;
/// What is shipped: the hashes that the model card has.
const HASHES: [u128; 2] = [
    0xf201_6523_bb7f_b2a0_2cef_d71d_e316_c66d,
    0xa256_1952_9bd2_531c_cdeb_4a87_5df3_7202,
];
/// Most bytes of both together.
const MOST_BYTES: usize = 4_000_000;

#[derive(Deserialize)]
struct Golden {
    vision: Vec<f32>,
    reading: Vec<f32>,
    joint_values: Vec<f32>,
    joint_pictures: Vec<f32>,
}

fn golden() -> Golden {
    let text = include_str!("../fixtures/line_plots/golden.json");
    serde_json::from_str(text).expect("golden features")
}

/// Two pictures of integers, as the script has them.
fn pictures() -> Tensor<Cpu, 4, Int> {
    let pixels = (0..64).flat_map(|y| (0..64).map(move |x| [x, y]));
    let first = pixels
        .clone()
        .map(|[x, y]| if x > y { (x * 5 + y * 3) % 256 } else { 0 });
    let second = pixels.map(|[x, y]| (x * y) % 256);
    let ink: Vec<i32> = first.chain(second).collect();
    Tensor::from_data(TensorData::new(ink, [2, 1, 64, 64]), &Default::default())
}

fn points() -> Tensor<Cpu, 3> {
    let points = (0..2 * 256 * 4).map(|i| (i * 37 % 101) as f32 / 101.0 - 0.5);
    let points: Vec<f32> = points.collect();
    Tensor::from_data(TensorData::new(points, [2, 256, 4]), &Default::default())
}

fn largest_difference<const D: usize>(found: Tensor<Cpu, D>, every: usize, golden: &[f32]) -> f32 {
    let found: Vec<f32> = found.into_data().iter().collect();
    let found = found.into_iter().step_by(every);
    assert_eq!(found.len(), golden.len(), "numbers compared");
    found
        .zip(golden)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn the_vision_encoder_computes_what_pytorch_does() {
    let device = Default::default();
    let colors = Tensor::zeros([1, 2, 3], &device);
    let see = |encoder: timesclip::model::VisionEncoder<Cpu>| {
        let seen = encoder.forward(pictures(), colors.clone());
        largest_difference(seen, 61, &golden().vision)
    };
    let found = see(builtin::vision(&device));
    assert!(found < TOLERANCE, "{found}");
    let random = see(VisionEncoderConfig::line_plots().init(&device));
    assert!(random > MISTAKE, "weights did not arrive: {random}");
}

#[test]
fn the_reading_encoder_computes_what_pytorch_does() {
    let device = Default::default();
    let read = |encoder: timesclip::model::ReadingEncoder<Cpu>| {
        largest_difference(encoder.forward(points()), 31, &golden().reading)
    };
    let found = read(builtin::reading(&device));
    assert!(found < TOLERANCE, "{found}");
    let random = read(ReadingEncoderConfig::new().init(&device));
    assert!(random > MISTAKE, "weights did not arrive: {random}");
}

#[test]
fn values_and_pictures_are_where_pytorch_places_them() {
    let device = Default::default();
    let (vision, reading) = (
        builtin::vision::<Cpu>(&device),
        builtin::reading::<Cpu>(&device),
    );
    let joint = reading.joint.clone().expect("a space of both");
    let colors = Tensor::zeros([1, 2, 3], &device);
    let pictures = joint.of_pictures(vision.forward(pictures(), colors).flatten(1, 2));
    let found = largest_difference(pictures, 67, &golden().joint_pictures);
    assert!(found < TOLERANCE, "{found}");
    let values = joint.of_values(reading.forward(points()));
    let found = largest_difference(values, 67, &golden().joint_values);
    assert!(found < TOLERANCE, "{found}");
}

#[test]
fn what_is_shipped_is_what_the_card_describes() {
    let files = [builtin::VISION, builtin::READING];
    let hashes = files.map(xxh3_128);
    let shown = hashes.map(|hash| format!("{hash:032x}"));
    let card = include_str!("../../docs/encoders.md");
    assert_eq!(hashes, HASHES, "{shown:?}");
    assert!(shown.iter().all(|hash| card.contains(hash)), "{shown:?}");
    let bytes: usize = files.iter().map(|file| file.len()).sum();
    assert!(bytes <= MOST_BYTES, "{bytes} bytes");
}

#[test]
fn encoders_survive_their_files_and_are_not_taken_for_each_other() {
    let device = Default::default();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let vision = builtin::vision::<Cpu>(&device);
    let reading = builtin::reading::<Cpu>(&device);
    save_vision(&vision, path("vision.safetensors")).expect("it is written");
    save_reading(&reading, path("reading.safetensors")).expect("it is written");

    // What was loaded from halves is saved as the same halves.
    let bytes = |name: &str| std::fs::read(path(name)).expect("a file");
    assert!(bytes("vision.safetensors") == builtin::VISION, "vision");
    assert!(bytes("reading.safetensors") == builtin::READING, "reading");
    let open = |name: &str| Checkpoint::open(path(name)).expect("a checkpoint");
    let again = open("vision.safetensors").load_own_vision::<Cpu>(&device);
    let seen = again.expect("a vision encoder");
    let seen = seen.forward(pictures(), Tensor::zeros([1, 2, 3], &device));
    assert!(largest_difference(seen, 61, &golden().vision) < TOLERANCE);
    let other = open("reading.safetensors").load_own_vision::<Cpu>(&device);
    assert!(matches!(other, Err(WeightsError::Unsupported { .. })));
    let other = open("vision.safetensors").load_own_reading::<Cpu>(&device);
    assert!(matches!(other, Err(WeightsError::Unsupported { .. })));
}

#[test]
fn a_damaged_encoder_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vision.safetensors");
    std::fs::write(&path, &builtin::VISION[..builtin::VISION.len() - 1]).expect("it is written");
    assert!(matches!(
        Checkpoint::open(&path),
        Err(WeightsError::Malformed { .. })
    ));
}

/// Pearson's correlation.
fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let product = |x: &[f32], y: &[f32], means: [f32; 2]| -> f32 {
        x.iter()
            .zip(y)
            .map(|(x, y)| (x - means[0]) * (y - means[1]))
            .sum()
    };
    let spread = product(a, a, [mean_a; 2]) * product(b, b, [mean_b; 2]);
    product(a, b, [mean_a, mean_b]) / spread.sqrt()
}

#[test]
fn features_tell_an_echo_from_another_curve() {
    let device = Default::default();
    let seer = PlotSeer::<Cpu>::new(builtin::vision(&device), &device);
    let reader = PlotReader::<Cpu>::new(builtin::reading(&device), &device);
    let curves = CurveGenerator::new(5);
    // Every fifth curve repeats the one before it with small differences.
    let all: Vec<_> = (0..30).map(|index| curves.curve(index)).collect();
    let features = |see: bool, index: usize| {
        let curve = &all[index];
        let axes = PlotAxes {
            y_ranges: curve.y_ranges.clone(),
            x_steps: curve.x_steps,
        };
        let series: [&Series; 1] = [&curve.series];
        let features = match see {
            true => seer.features(&axes, &series),
            false => reader.features(&axes, &series),
        };
        features.expect("axes")
    };
    for see in [true, false] {
        let alike = (4..30).step_by(5).filter(|&echo| {
            let own = correlation(&features(see, echo), &features(see, echo - 1));
            let others = [1, 2, 3].map(|back| features(see, echo - 1 - back));
            let others = others.map(|other| correlation(&features(see, echo), &other));
            others.into_iter().all(|other| own > other)
        });
        assert!(alike.count() >= 5, "six echoes, seen: {see}");
    }
}
