//! Networks that start from the encoders that come with the crate: frozen or fine-tuned, in one file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use timesclip::batch::TimesClipBatcher;
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::encode::{PlotAxes, PlotReader, PlotSeer};
use timesclip::model::{Freeze, TimesClipClassifierConfig, VisionInput, VisionTap};
use timesclip::options::{
    EncoderOptions, EncoderWeights, NetworkOptions, Preset, Tokenizer, TrainingOptions,
};
use timesclip::raster::{AxisReader, Rasterizer};
use timesclip::weights::{Checkpoint, builtin};
use timesclip::{Effort, FitError, FitOptions, Modalities, TimesClip};

use crate::support::{Cpu, lock_generator};
use crate::timesclip::waves;

/// Two implementations of one norm, of values up to about 5.
const ROUNDING: f32 = 5e-6;

/// A few steps of networks around the built-in encoders.
fn around_builtin(modalities: Modalities, encoders: EncoderOptions) -> FitOptions {
    FitOptions {
        modalities,
        folds: Some(3),
        encoders,
        network: NetworkOptions {
            preset: Preset::LinePlots,
            ..NetworkOptions::default()
        },
        training: TrainingOptions {
            steps: Some(2),
            batch_size: Some(4),
            ..TrainingOptions::default()
        },
        ..FitOptions::default()
    }
}

/// Names of the tensors in a model file.
fn names(model: &TimesClip) -> BTreeSet<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    model.save(&path).expect("saved");
    let checkpoint = Checkpoint::open(&path).expect("a checkpoint");
    checkpoint.tensor_names().map(str::to_owned).collect()
}

#[test]
fn branches_compute_the_features_of_the_closed_form() {
    let (set, device) = (waves(5), Default::default());
    let series: Vec<_> = set.samples().iter().map(|sample| &sample.series).collect();
    let axes = PlotAxes::fit(&series);
    let style = axes.style(64);
    let normalizer = Normalizer::fit(Normalization::Dataset, series.iter().copied());
    let batcher = TimesClipBatcher::new(normalizer.expect("fitted"), Modalities::LANGUAGE_ONLY)
        .with_points(AxisReader::new(&style, 256).expect("a sound style"));
    let indices: Vec<usize> = (0..5).collect();
    let batch = batcher.gather_series(&set, &indices).expect("a batch");
    let input = batch.into_tensors::<Cpu>(&device).input;
    let model = TimesClipClassifierConfig::line_plots(2, 2)
        .init::<Cpu>(&device)
        .with_vision_encoder(builtin::vision(&device))
        .with_reading_encoder(builtin::reading(&device));

    let mut language = model.language.expect("it reads");
    language.projection = None;
    let read: Vec<f32> = language
        .forward(&input.series.expect("values"))
        .into_data()
        .iter()
        .collect();
    let reader = PlotReader::<Cpu>::new(builtin::reading(&device), &device);
    let expected = reader.features(&axes, &series).expect("features");
    assert_eq!(read.len(), expected.len());
    let pairs = read.iter().zip(&expected);
    let furthest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest < ROUNDING, "{furthest}");

    let rasterizer = Rasterizer::new(style).expect("a sound style");
    let mut masks = vec![0; 5 * 2 * 64 * 64];
    for (masks, series) in masks.chunks_exact_mut(2 * 64 * 64).zip(&series) {
        rasterizer.draw_series(&mut rasterizer.scratch(), series, masks);
    }
    let masks: Vec<i32> = masks.into_iter().map(i32::from).collect();
    let masks = Tensor::<Cpu, 1, burn::tensor::Int>::from_ints(masks.as_slice(), &device);
    let seen = model.vision.expect("it sees").features(VisionInput::Masks {
        masks: masks.reshape([5, 2, 64, 64]),
        colors: Tensor::zeros([2, 2, 3], &device),
    });
    let seer = PlotSeer::<Cpu>::new(builtin::vision(&device), &device);
    let seen: Vec<f32> = seen.into_data().iter().collect();
    assert_eq!(seen, seer.features(&axes, &series).expect("features"));
}

#[test]
fn frozen_encoders_are_in_the_file_once_and_the_loaded_model_answers_alike() {
    let _turn = lock_generator();
    let (set, folder) = (waves(12), tempfile::tempdir().expect("a folder"));
    let options = around_builtin(Modalities::DUAL, EncoderOptions::default());
    let model = TimesClip::fit(&set, &options).expect("a fit");
    let names = names(&model);
    let of = |start: &str| names.iter().filter(|name| name.starts_with(start)).count();
    for part in [
        "vision.vision_model.",
        "language.text_model.",
        "language.points.",
    ] {
        assert!(of(&format!("network.0.{part}")) > 0, "{part}");
        assert_eq!(of(&format!("network.1.{part}")), 0, "{part}");
        assert_eq!(of(&format!("network.2.{part}")), 0, "{part}");
    }
    assert_eq!(of("network.1."), of("network.2."));
    assert!(of("network.1.") > 0, "what learned is its own");

    let path = folder.path().join("model.safetensors");
    model.save(&path).expect("saved");
    let loaded = TimesClip::load(&path).expect("loaded");
    let answers = model.predict(&set).expect("answers");
    assert_eq!(answers, loaded.predict(&set).expect("answers"));
    // Saved again it is the same file.
    let again = folder.path().join("again.safetensors");
    loaded.save(&again).expect("saved");
    assert!(fs::read(&path).expect("a file") == fs::read(&again).expect("a file"));
    // Other runs start from its networks.
    let mut options = options;
    options.training.init_from = Some(path);
    TimesClip::fit(&set, &options).expect("a fit from a model");
}

fn fine_tuned() -> EncoderOptions {
    EncoderOptions {
        freeze_vision: Some(Freeze::None),
        freeze_text: Some(Freeze::None),
        ..EncoderOptions::default()
    }
}

#[test]
fn reading_weights_side_by_side_changes_no_bit_of_what_is_drawn() {
    let _turn = lock_generator();
    let set = waves(12);
    let options = around_builtin(Modalities::DUAL, fine_tuned());
    let fit_on = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
        let pool = pool.build().expect("threads");
        let model = pool.install(|| TimesClip::fit(&set, &options));
        let answers = model.and_then(|model| Ok(model.predict(&set)?));
        let answers = answers.expect("answers").into_iter();
        answers
            .map(|answer| answer.probabilities)
            .collect::<Vec<_>>()
    };
    let alone = fit_on(1);
    assert!(alone == fit_on(3), "fits differ");
}

#[test]
fn fine_tuned_encoders_are_each_networks_own_and_move_more_at_a_higher_rate() {
    let _turn = lock_generator();
    let (set, folder) = (waves(12), tempfile::tempdir().expect("a folder"));
    let moved = |rate: f64| {
        let mut options = around_builtin(Modalities::DUAL, fine_tuned());
        options.training.encoder_rate = rate;
        options.folds = Some(2);
        let model = TimesClip::fit(&set, &options).expect("a fit");
        let path = folder.path().join("model.safetensors");
        model.save(&path).expect("saved");
        let checkpoint = Checkpoint::open(&path).expect("a checkpoint");
        let name = "vision.vision_model.embeddings.position_embedding.weight";
        let values = |name: String| {
            checkpoint
                .tensor(&name)
                .expect("read")
                .expect("there")
                .values
        };
        let start = builtin::vision::<Cpu>(&Default::default());
        let start = start.embeddings.position_embedding.weight.val().into_data();
        let start: Vec<f32> = start.iter().collect();
        let networks = [0, 1].map(|number| values(format!("network.{number}.{name}")));
        assert_ne!(networks[0], networks[1]);
        let pairs = networks[0].iter().zip(&start);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let [slow, fast] = [0.01, 1.0].map(moved);
    assert!(slow > 0.0, "weights that are fine-tuned move");
    assert!(fast > 50.0 * slow, "{fast} against {slow}");
}

#[test]
fn encoders_may_be_mixed_with_others() {
    let _turn = lock_generator();
    let set = waves(12);
    let fit = |change: &dyn Fn(&mut FitOptions)| {
        let mut options = around_builtin(Modalities::DUAL, EncoderOptions::default());
        options.folds = Some(2);
        change(&mut options);
        TimesClip::fit(&set, &options)
    };
    let convolutions = fit(&|options| options.network.tokenizer = Some(Tokenizer::Convolutions));
    let found = names(&convolutions.expect("a fit"));
    assert!(
        found
            .iter()
            .any(|name| name.starts_with("network.0.language.convolutions."))
    );
    assert!(!found.iter().any(|name| name.contains("language.points.")));
    let reading = fit(&|options| {
        options.network.preset = Preset::Small;
        options.network.tokenizer = Some(Tokenizer::Points);
    });
    assert!(names(&reading.expect("a fit")).contains("network.0.language.points.positions"));
    // Random weights of the same architecture learn.
    let random = fit(&|options| {
        options.encoders.vision_weights = EncoderWeights::Random;
        options.encoders.text_weights = EncoderWeights::Random;
    });
    assert!(names(&random.expect("a fit")).contains("network.1.language.points.positions"));

    let refused = fit(&|options| {
        options.network.preset = Preset::ClipVitB32;
        options.network.tokenizer = Some(Tokenizer::Points);
    });
    let error = refused.expect_err("the reference reads patches");
    assert!(matches!(error, FitError::Options { .. }), "{error}");
    let idle = fit(&|options| options.training.encoder_rate = 0.5);
    let error = idle.expect_err("both encoders are frozen");
    assert!(
        error.to_string().contains("none of them is trained"),
        "{error}"
    );
}

#[test]
fn an_encoder_of_this_crate_may_come_from_a_file() {
    let _turn = lock_generator();
    let (set, folder) = (waves(12), tempfile::tempdir().expect("a folder"));
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("written");
        path.to_str().expect("a path of text").to_owned()
    };
    let weights = |path: String| path.parse::<EncoderWeights>().expect("a path");
    let [vision, reading] = [
        write("vision.safetensors", builtin::VISION),
        write("reading.safetensors", builtin::READING),
    ];
    let mut options = around_builtin(Modalities::DUAL, EncoderOptions::default());
    // The closed form has no features of encoders from files: only networks are compared.
    options.encoders.vision_weights = weights(vision);
    options.encoders.text_weights = weights(reading.clone());
    let from_files = TimesClip::fit(&set, &options).expect("a fit");
    let builtin = around_builtin(Modalities::DUAL, EncoderOptions::default());
    let builtin = TimesClip::fit(&set, &builtin).expect("a fit");
    assert_eq!(from_files.networks(), builtin.networks());
    assert!(builtin.networks().is_some());
    // A reading encoder reads points.
    let mut other = options.clone();
    other.network.tokenizer = Some(Tokenizer::Convolutions);
    let error = TimesClip::fit(&set, &other).expect_err("another tokenizer");
    assert!(error.to_string().contains("reads points"), "{error}");
    // A reading encoder does not see.
    options.encoders.vision_weights = weights(reading);
    let error = TimesClip::fit(&set, &options).expect_err("not a vision encoder");
    assert!(error.to_string().contains("vision weights"), "{error}");
    Cpu::seed(&Default::default(), 0);
}

#[test]
fn the_closed_form_takes_a_pretrained_encoder_which_the_model_file_keeps() {
    let _turn = lock_generator();
    let (set, folder) = (waves(12), tempfile::tempdir().expect("a folder"));
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip/data/vision");
    let clip = clip.to_str().expect("a path of text");
    let mut options = around_builtin(Modalities::VISION_ONLY, EncoderOptions::default());
    options.effort = Effort::Fast;
    options.network = NetworkOptions::default();
    options.encoders.vision_weights = clip.parse().expect("a path");
    let model = TimesClip::fit(&set, &options).expect("a fit");
    assert!(
        names(&model)
            .iter()
            .any(|name| name.starts_with("encoder.vision."))
    );
    let path = folder.path().join("model.safetensors");
    model.save(&path).expect("saved");
    let loaded = TimesClip::load(&path).expect("loaded without the encoder's files");
    let answers = model.predict(&set).expect("answers");
    assert_eq!(answers, loaded.predict(&set).expect("answers"));
    let embedded = model.embed(&set).expect("embeddings");
    assert_eq!(embedded, loaded.embed(&set).expect("embeddings"));

    // Beside a network the encoder is still there once.
    let mut both = options.clone();
    (both.effort, both.folds) = (Effort::Full, Some(2));
    let both = TimesClip::fit(&set, &both).expect("a fit");
    let names = names(&both);
    let of = |start: &str| names.iter().filter(|name| name.starts_with(start)).count();
    assert!(of("encoder.vision.") > 0 && of("network.1.") > 0);
    assert_eq!(of("network.0.vision.vision_model."), 0);
    both.save(&path).expect("saved");
    let loaded = TimesClip::load(&path).expect("loaded");
    let again = both.predict(&set).expect("answers");
    assert_eq!(again, loaded.predict(&set).expect("answers"));

    // The same weights, tapped elsewhere, say something else.
    options.encoders.tap = Some(VisionTap::default());
    let tapped = TimesClip::fit(&set, &options).expect("a fit");
    assert_ne!(answers, tapped.predict(&set).expect("answers"));
}
