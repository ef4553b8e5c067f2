//! `TimesClip` from outside: fit, predict, save, load; damaged, foreign and newer files; cancelling.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::model::PatchTokens;
use timesclip::options::{EncoderWeights, TrainingOptions};
use timesclip::{
    Effort, FitError, FitEvent, FitOptions, LoadOptions, Modalities, ModelFileError, Prediction,
    TimesClip,
};

use crate::support::lock_generator;
use crate::weights_parity::data;

/// Slow and fast waves of two variates and unequal lengths, with noise; one has the wrong label, so that every
/// closed form errs and networks are trained.
pub(crate) fn waves(n: usize) -> SeriesDataset {
    waves_but(Some(3), n)
}

/// The same with the right labels, but for one.
pub(crate) fn waves_but(mislabeled: Option<usize>, n: usize) -> SeriesDataset {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut noise = move || (random.next_u32() as f32 / u32::MAX as f32 - 0.5) * 2.5;
    let sample = |id: usize| {
        let (wave, n_steps) = (id % 2, 20 + id % 5);
        let label = match mislabeled {
            Some(wrong) if wrong == id => 1 - wave,
            _ => wave,
        };
        let speed = [0.3, 0.5][wave];
        let values = (0..n_steps * 2).map(|i| ((i / 2) as f32 * speed + id as f32).sin() + noise());
        let series = Series::new(values.collect(), n_steps, 2).expect("finite values");
        LabeledSeries {
            id: 100 + id as u64,
            series,
            label,
        }
    };
    let classes = vec!["slow".to_owned(), "fast".to_owned()];
    SeriesDataset::new("waves", classes, (0..n).map(sample).collect()).expect("a sound set")
}

/// Few steps of a small network, so that a fit takes a second.
fn quick(modalities: Modalities) -> FitOptions {
    FitOptions {
        modalities,
        folds: Some(2),
        training: TrainingOptions {
            steps: Some(6),
            ..TrainingOptions::default()
        },
        ..FitOptions::default()
    }
}

/// The same without features for a closed form: there is nothing but networks.
fn networks_alone(modalities: Modalities) -> FitOptions {
    let mut options = quick(modalities);
    options.encoders.vision_weights = EncoderWeights::Random;
    options.encoders.text_weights = EncoderWeights::Random;
    options
}

fn rows(predictions: &[Prediction]) -> Vec<&[f32]> {
    predictions
        .iter()
        .map(|p| p.probabilities.as_slice())
        .collect()
}

#[test]
fn a_loaded_model_predicts_what_the_saved_one_did_in_every_bit() {
    let _turn = lock_generator();
    let (set, folder) = (waves(24), tempfile::tempdir().expect("a folder"));
    for modalities in Modalities::ALL {
        let model = TimesClip::fit(&set, &quick(modalities)).expect("a fit");
        let path = folder.path().join(format!("{modalities}.safetensors"));
        model.save(&path).expect("saved");
        let loaded = TimesClip::load(&path).expect("loaded");
        let (before, after) = (model.predict(&set).expect("answers"), loaded.predict(&set));
        assert_eq!(before, after.expect("answers"), "{modalities}");
        assert_eq!(loaded.class_names(), ["slow", "fast"]);
        let sums = rows(&before).into_iter().map(|row| row.iter().sum::<f32>());
        for sum in sums {
            assert!(
                (sum - 1.0).abs() < 1e-5,
                "{modalities}: probabilities sum to {sum}"
            );
        }
        assert_eq!(before[3].id, 103);
        let dual = modalities.has_vision() && modalities.has_language();
        assert_eq!(
            before[0].variate_weights.is_some(),
            dual && model.networks().is_some()
        );
    }
}

#[test]
fn one_series_a_slice_a_set_and_a_stream_get_the_same_answers() {
    let (set, options) = (waves(70), quick(Modalities::KERNELS_ONLY));
    let model = TimesClip::fit(&set, &options).expect("a fit");
    let all = model.predict(&set).expect("answers");
    let one = model.predict(&set.samples()[69].series).expect("an answer");
    assert_eq!(one[0].probabilities, all[69].probabilities);
    let series: Vec<Series> = set.samples().iter().map(|s| s.series.clone()).collect();
    assert_eq!(rows(&model.predict(&series).expect("answers")), rows(&all));
    let stream = model.predict_stream(set.samples().to_vec());
    let streamed: Vec<Prediction> = stream.map(|p| p.expect("an answer")).collect();
    assert_eq!(streamed, all);
}

#[test]
fn two_fits_are_equal_in_every_bit_and_seeds_differ() {
    let _turn = lock_generator();
    let (set, folder) = (waves(24), tempfile::tempdir().expect("a folder"));
    let bytes = |name: &str, options: &FitOptions| {
        let path = folder.path().join(name);
        let model = TimesClip::fit(&set, options).expect("a fit");
        model.save(&path).expect("saved");
        fs::read(path).expect("a file")
    };
    let options = quick(Modalities::FULL);
    assert!(
        bytes("a", &options) == bytes("b", &options),
        "two fits differ"
    );
    let other = FitOptions {
        seed: 7,
        ..options.clone()
    };
    assert!(
        bytes("a", &options) != bytes("c", &other),
        "the seed changes nothing"
    );
}

#[test]
fn models_may_be_sent_and_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<TimesClip>();
}

/// A saved model, its bytes, and a folder for damaged ones.
fn saved() -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = quick(Modalities::KERNELS_ONLY);
    let model = TimesClip::fit(&waves(12), &options).expect("a fit");
    let path = folder.path().join("model.safetensors");
    model.save(&path).expect("saved");
    let bytes = fs::read(path).expect("a file");
    (folder, bytes)
}

/// A number below `n`.
fn below(random: &mut ChaCha8Rng, n: usize) -> usize {
    usize::try_from(random.next_u64() % n as u64).expect("it is below a usize")
}

fn refusal(path: &Path, bytes: &[u8]) -> ModelFileError {
    fs::write(path, bytes).expect("a damaged file");
    TimesClip::load(path).expect_err("a damaged file is loaded")
}

#[test]
fn flipped_and_cut_files_are_refused_as_damaged() {
    let (folder, bytes) = saved();
    let path = folder.path().join("damaged");
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..200 {
        let mut flipped = bytes.clone();
        let at = below(&mut random, bytes.len());
        flipped[at] ^= 1 << (random.next_u32() % 8);
        let error = refusal(&path, &flipped);
        assert!(
            matches!(error, ModelFileError::Damaged { .. }),
            "byte {at}: {error}"
        );
    }
    // Every byte of what says what the file is.
    for at in 0..200 {
        let mut flipped = bytes.clone();
        flipped[at] ^= 4;
        let error = refusal(&path, &flipped);
        assert!(
            matches!(error, ModelFileError::Damaged { .. }),
            "byte {at}: {error}"
        );
    }
    for _ in 0..50 {
        let len = 200 + below(&mut random, bytes.len() - 200);
        let error = refusal(&path, &bytes[..len]);
        assert!(
            matches!(error, ModelFileError::Damaged { .. }),
            "{len} bytes: {error}"
        );
    }
    let longer = [&bytes[..], b"more"].concat();
    let error = refusal(&path, &longer);
    assert!(matches!(error, ModelFileError::Damaged { .. }), "{error}");
}

#[test]
fn foreign_files_are_refused_by_what_they_are() {
    let (folder, bytes) = saved();
    let path = folder.path().join("foreign");
    let other = safetensors_without_metadata();
    let cases: [(&[u8], &str); 20] = [
        (b"", "an empty file"),
        (b"P", "text"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x80\x04\x95pickle", "a Python pickle"),
        (b"{\"model\": 1}", "JSON"),
        (b"[1, 2]", "JSON"),
        (b"1.0,2.0,up\n", "text"),
        (b"@problemName x\n@data\n", "text"),
        (b"\x00\x00\x00\x00\x00\x00\x00\x00", "text"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff", "another kind"),
        (b"\x93NUMPY\x01\x00", "another kind"),
        (b"\x1f\x8b\x08\x00\xff", "another kind"),
        (b"PAR1\xff\xff", "another kind"),
        (b"\x89PNG\r\n\x1a\n", "another kind"),
        (b"GIF89a\xff", "another kind"),
        (b"%PDF-1.7\xff", "another kind"),
        (b"\x7fELF\x02\xff", "another kind"),
        (b"# a script\necho\n", "text"),
        (&other, "a safetensors file without the metadata of a model"),
    ];
    for (content, expected) in cases {
        let error = refusal(&path, content).to_string();
        assert!(error.contains("not a timesclip model"), "{error}");
        assert!(error.contains(expected), "{expected}: {error}");
    }
    drop(bytes);
}

fn safetensors_without_metadata() -> Vec<u8> {
    let header = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let len = (header.len() as u64).to_le_bytes();
    [&len[..], header, &[0; 4]].concat()
}

#[test]
fn a_later_format_names_the_release_that_wrote_it() {
    let (folder, bytes) = saved();
    let path = folder.path().join("model.safetensors");
    // A file of a later release is whole: its checksum is right. The same length, so that only
    // digits change.
    let after = |what: &str| {
        let found = bytes
            .windows(what.len())
            .position(|window| window == what.as_bytes());
        found.expect("it is there") + what.len()
    };
    let of_format = |format: u8| {
        let mut other = bytes.clone();
        other[after(r#"\"format\":"#)] = format;
        let digits = after(r#"checksum\":\""#);
        other[digits..digits + 32].fill(b'0');
        let sum = xxhash_rust::xxh3::xxh3_128(&other);
        other[digits..digits + 32].copy_from_slice(format!("{sum:032x}").as_bytes());
        refusal(&path, &other)
    };
    let error = of_format(b'1');
    let is_older = matches!(error, ModelFileError::Older { found: 1, .. });
    assert!(is_older, "{error}");
    let error = of_format(b'9');
    assert!(
        matches!(
            error,
            ModelFileError::Newer {
                found: 9,
                supported: 3,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_run_of_the_early_format_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("checkpoints")).expect("a folder");
    fs::write(folder.path().join("checkpoints/best.mpk"), "old").expect("a file");
    let error = TimesClip::load(folder.path()).expect_err("an old run is loaded");
    assert!(matches!(error, ModelFileError::OldRun { .. }), "{error}");
    assert!(error.to_string().contains("train it again"), "{error}");
}

#[test]
fn a_failed_save_leaves_the_model_that_was_there() {
    let (folder, bytes) = saved();
    let path = folder.path().join("model.safetensors");
    // A folder in the place of the file that is written beside stops the writing.
    fs::create_dir(folder.path().join("model.safetensors.partial")).expect("a folder");
    let model = TimesClip::load(&path).expect("loaded");
    let error = model.save(&path).expect_err("saved over a folder");
    assert!(error.to_string().contains("model.safetensors"), "{error}");
    assert_eq!(fs::read(&path).expect("a file"), bytes);
}

#[test]
fn a_cancelled_fit_leaves_a_model_that_loads() {
    let _turn = lock_generator();
    let set = waves(24);
    let mut epochs = 0;
    let mut cancel = |event: &FitEvent| match event {
        FitEvent::Epoch { .. } => {
            epochs += 1;
            if epochs == 1 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
        _ => ControlFlow::Continue(()),
    };
    let fitted = TimesClip::fit_observed(&set, &networks_alone(Modalities::DUAL), &mut cancel);
    let (model, _) = fitted.expect("what was fitted until then");
    assert!(model.provenance().cancelled, "it was cancelled");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    model.save(&path).expect("saved");
    let loaded = TimesClip::load_with(&path, &LoadOptions::default()).expect("loaded");
    assert_eq!(loaded.predict(&set).expect("answers").len(), 24);

    let mut at_once = |_: &FitEvent| ControlFlow::Break(());
    let none = TimesClip::fit_observed(
        &set,
        &networks_alone(Modalities::LANGUAGE_ONLY),
        &mut at_once,
    );
    assert!(matches!(none, Err(FitError::Cancelled)), "{none:?}");
}

#[test]
fn a_fit_that_is_cancelled_while_series_are_encoded_leaves_nothing() {
    // So wide that each series is encoded by itself.
    let sample = |id: u64| LabeledSeries {
        id,
        series: Series::new(vec![id as f32; 2 * 260], 2, 260).expect("finite values"),
        label: usize::from(id % 2 == 1),
    };
    let classes = vec!["a".to_owned(), "b".to_owned()];
    let set = SeriesDataset::new("wide", classes, (0..4).map(sample).collect());
    let mut done = Vec::new();
    let mut cancel = |event: &FitEvent| match event {
        FitEvent::Progress { done: n, .. } if *n > 0 => {
            done.push(*n);
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    };
    let options = FitOptions {
        effort: Effort::Fast,
        ..quick(Modalities::LANGUAGE_ONLY)
    };
    let fitted = TimesClip::fit_observed(&set.expect("a sound set"), &options, &mut cancel);
    assert!(matches!(fitted, Err(FitError::Cancelled)), "{fitted:?}");
    assert_eq!(done, [1]);
}

#[test]
fn interrupted_at_any_epoch_and_resumed_equals_uninterrupted() {
    let _turn = lock_generator();
    let (set, folder) = (waves(24), tempfile::tempdir().expect("a folder"));
    let mut options = networks_alone(Modalities::DUAL);
    let save = |model: &TimesClip, name: &str| {
        let path = folder.path().join(name);
        model.save(&path).expect("saved");
        fs::read(path).expect("a file")
    };
    let whole = save(&TimesClip::fit(&set, &options).expect("a fit"), "whole");
    for stop_at in [1, 2, 4] {
        options.compute.checkpoints = Some(folder.path().join(format!("at-{stop_at}")));
        let mut epochs = 0;
        let mut stop = |event: &FitEvent| {
            epochs += usize::from(matches!(event, FitEvent::Epoch { .. }));
            if epochs == stop_at {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let interrupted = TimesClip::fit_observed(&set, &options, &mut stop);
        assert!(interrupted.is_ok(), "{interrupted:?}");
        let resumed = TimesClip::fit(&set, &options).expect("a resumed fit");
        assert!(
            save(&resumed, "resumed") == whole,
            "stopped at epoch {stop_at}"
        );
    }
}

#[test]
fn folds_trained_side_by_side_are_those_trained_one_after_the_other() {
    let _turn = lock_generator();
    let set = waves(24);
    let mut options = networks_alone(Modalities::DUAL);
    options.folds = Some(3);
    let mut order = Vec::new();
    let mut fit_on = |n_threads| {
        let mut epochs = Vec::new();
        let mut watch = |event: &FitEvent| {
            if let FitEvent::Epoch { fold, .. } = event {
                epochs.push(*fold);
            }
            ControlFlow::Continue(())
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
        let pool = pool.build().expect("threads");
        // What is told is told on the thread of the fit.
        let fitted = pool.install(|| TimesClip::fit_observed(&set, &options, &mut watch));
        let (model, report) = fitted.expect("a fit");
        order.push(epochs);
        let folds = report.network.expect("networks").folds;
        let histories: Vec<_> = folds.into_iter().map(|fold| fold.history).collect();
        let answers = model.predict(&set).expect("answers");
        let answers: Vec<_> = answers
            .iter()
            .map(|answer| answer.probabilities.clone())
            .collect();
        (histories, answers)
    };
    let alone = fit_on(1);
    let (two, three) = (fit_on(2), fit_on(3));
    assert!(
        alone == two && alone == three,
        "{alone:?}\n{two:?}\n{three:?}"
    );
    assert!(order[0].is_sorted(), "{:?}", order[0]);
    for order in &mut order {
        order.sort_unstable();
    }
    assert!(order[0] == order[1] && order[0] == order[2], "{order:?}");
}

#[test]
fn options_that_contradict_the_model_are_refused() {
    let refused = |options: FitOptions, expected: &str| {
        let error = TimesClip::fit(&waves(12), &options).expect_err("a fit");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let none = FitOptions {
        folds: Some(0),
        ..FitOptions::default()
    };
    refused(none, "0 folds");
    let mut patches = quick(Modalities::DUAL);
    patches.network.n_heads = Some(7);
    refused(patches, "heads");
    let mut frozen = quick(Modalities::LANGUAGE_ONLY);
    frozen.encoders.freeze_vision = Some(timesclip::model::Freeze::All);
    refused(frozen, "no vision encoder");
    let mut weights = quick(Modalities::KERNELS_ONLY);
    weights.encoders.tap = Some(timesclip::model::VisionTap::default());
    refused(weights, "no vision encoder");
    let unknown = r#"{"modalities": "full", "sed": 3}"#;
    let error = serde_json::from_str::<FitOptions>(unknown).expect_err("an unknown key");
    assert!(error.to_string().contains("sed"), "{error}");
}

#[test]
fn fast_effort_trains_no_network_and_series_of_one_step_are_taken() {
    let options = FitOptions {
        effort: Effort::Fast,
        ..FitOptions::default()
    };
    let sample = |id: u64| LabeledSeries {
        id,
        series: Series::new(vec![id as f32 % 2.0], 1, 1).expect("a value"),
        label: usize::from(id % 2 == 1),
    };
    let classes = vec!["a".to_owned(), "b".to_owned()];
    let set = SeriesDataset::new("points", classes, (0..8).map(sample).collect());
    let set = set.expect("a sound set");
    let model = TimesClip::fit(&set, &options).expect("a fit");
    assert!(model.networks().is_none(), "a network was trained");
    assert_eq!(model.evaluate(&set).expect("scores").accuracy, 1.0);
}

#[test]
fn encoders_look_at_more_than_values_unless_kernels_do() {
    let set = waves(16);
    let n_features = |modalities| {
        let options = FitOptions {
            effort: Effort::Fast,
            ..quick(modalities)
        };
        let model = TimesClip::fit(&set, &options).expect("a fit");
        model.n_features()
    };
    let [vision, language] = [Modalities::VISION_ONLY, Modalities::LANGUAGE_ONLY].map(&n_features);
    assert_eq!(n_features(Modalities::DUAL), vision + language);
    let kernels = n_features(Modalities::KERNELS_ONLY);
    let full = n_features(Modalities::FULL);
    // Values alone, of four looks.
    assert_eq!(full, kernels + (vision + language) / 4);
}

#[test]
fn encoders_answer_where_the_ridge_has_fewer_axes_than_there_are_samples() {
    let (set, folder) = (waves_but(None, 40), tempfile::tempdir().expect("a folder"));
    let mut options = quick(Modalities::DUAL);
    options.effort = Effort::Fast;
    options.ridge.most_axes = 32;
    let model = TimesClip::fit(&set, &options).expect("a fit");
    let answers = model.predict(&set).expect("answers");
    let labels = set.labels();
    let right = answers.iter().zip(&labels).filter(|(a, l)| a.class == **l);
    let n_right = right.count();
    assert!(n_right > 30, "{n_right}");

    let path = folder.path().join("model.safetensors");
    model.save(&path).expect("saved");
    let loaded = TimesClip::load(&path).expect("loaded");
    assert_eq!(answers, loaded.predict(&set).expect("answers"));
}

#[test]
fn ink_tokens_are_those_of_a_pretrained_encoder_in_the_closed_form_too() {
    let set = waves(16);
    let embeddings = |tokens| {
        let mut options = FitOptions {
            effort: Effort::Fast,
            ..quick(Modalities::VISION_ONLY)
        };
        let weights = data("whole").display().to_string();
        options.encoders.vision_weights = weights.parse().expect("a path");
        options.encoders.tokens = tokens;
        let model = TimesClip::fit(&set, &options).expect("a fit");
        assert!(model.networks().is_none(), "a network was trained");
        model.embed(&set).expect("embeddings")
    };
    assert_ne!(embeddings(PatchTokens::All), embeddings(PatchTokens::Ink));
}

/// Eight series of one step: 0 of the first class, 1 of the second.
fn points(classes: [&str; 2]) -> SeriesDataset {
    let sample = |id: u64| LabeledSeries {
        id,
        series: Series::new(vec![id as f32 % 2.0], 1, 1).expect("a value"),
        label: usize::from(id % 2 == 1),
    };
    let classes = classes.map(str::to_owned).to_vec();
    let set = SeriesDataset::new("points", classes, (0..8).map(sample).collect());
    set.expect("a sound set")
}

#[test]
fn samples_of_unknown_classes_count_against_every_score_of_classes() {
    let options = FitOptions {
        effort: Effort::Fast,
        ..FitOptions::default()
    };
    let model = TimesClip::fit(&points(["1.0", "2.0"]), &options).expect("a fit");
    let evaluate = |classes| model.evaluate(&points(classes)).expect("scores");

    let all = evaluate(["1", "2"]);
    assert_eq!((all.accuracy, all.balanced_accuracy), (1.0, Some(1.0)));
    assert_eq!(all.unknown_classes, [""; 0]);

    let half = evaluate(["1", "3"]);
    assert_eq!((half.accuracy, half.balanced_accuracy), (0.5, Some(0.5)));
    // The second class was predicted, the unknown one has samples.
    let means = (half.macro_recall, half.macro_f1);
    assert_eq!(means, (Some(0.5), Some(1.0 / 3.0)));
    assert!(half.log_loss.is_finite(), "{half:?}");
    assert_eq!(half.unknown_classes, ["3"]);

    let none = evaluate(["x", "y"]);
    assert_eq!((none.accuracy, none.balanced_accuracy), (0.0, Some(0.0)));
    assert_eq!((none.macro_f1, none.brier), (Some(0.0), None));
    assert!(none.log_loss.is_nan(), "{none:?}");
    let json = serde_json::to_value(&none).expect("JSON");
    assert!(json["log_loss"].is_null(), "{json}");

    let early = model.early(&points(["x", "y"]), &[1.0]).expect("scores");
    assert!(early[0].log_loss.is_nan(), "{early:?}");
    assert_eq!(early[0].macro_f1, Some(0.0));
    let early = model.early(&points(["1", "3"]), &[1.0]).expect("scores");
    assert_eq!(early[0].macro_f1, Some(1.0 / 3.0));
}
