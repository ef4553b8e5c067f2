//! Files of classifiers that do not fit, lie, or are cut off; and files that cannot be written.

use std::fs;

use allocation_counter::measure;
use safetensors::Dtype;
use serde_json::{Value, json};
use timesclip::IoError;
use timesclip::Modalities;
use timesclip::model::{Freeze, TimesClipClassifierConfig, TokenPooling};
use timesclip::weights::{Checkpoint, TensorProblem, WeightsError, save_classifier};

use crate::classifier_file::{Saved, frozen};
use crate::pictures::Random;
use crate::support::{Cpu, lock_generator, tiny_model};
use crate::tokenizers::patches;

/// Memory for a refused file: its header, buffers and messages.
const MEMORY: u64 = 4 << 20;

#[test]
fn all_tensors_that_do_not_fit_are_named_and_nothing_is_loaded() {
    let _turn = lock_generator();
    let saved = Saved::random(&frozen());
    let (held, norm) = (
        "vision.vision_model.encoder.layers.0.mlp.fc1.weight",
        "selection.norm1.weight",
    );
    saved.edit(|tensors, _| {
        tensors.remove(norm);
        let (_, shape, _) = tensors.get_mut(held).expect("the frozen encoder's");
        shape.reverse();
        let extra = (Dtype::F32, vec![1], vec![0; 4]);
        tensors.insert("head.hidden.9.linear.bias".into(), extra);
        let (dtype, shape, _) = tensors.get_mut("head.output.bias").expect("the head's");
        (*dtype, *shape) = (Dtype::I32, vec![3]);
    });
    let Err(WeightsError::Tensors { problems, .. }) = saved.load::<Cpu>() else {
        panic!("a file of other tensors is loaded");
    };
    let expected = [
        TensorProblem::Missing {
            name: norm.into(),
            expected: vec![16],
        },
        TensorProblem::Shape {
            name: held.into(),
            found: vec![16, 32],
            expected: vec![32, 16],
        },
        TensorProblem::Type {
            name: "head.output.bias".into(),
            found: "I32".into(),
        },
        TensorProblem::Unused {
            name: "head.hidden.9.linear.bias".into(),
            found: vec![1],
        },
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for problem in expected {
        assert!(
            problems.contains(&problem),
            "{problem} is not in {problems:?}"
        );
    }
}

#[test]
fn a_configuration_of_other_numbers_with_the_same_shapes_is_named() {
    let _turn = lock_generator();
    let saved = Saved::random(&tiny_model(Modalities::DUAL));
    let edits: [fn(&mut TimesClipClassifierConfig); 8] = [
        |config| config.vision.transformer.n_heads = 4,
        |config| config.vision.transformer.layer_norm_eps = 1e-6,
        |config| config.vision.tap.pooling = TokenPooling::Mean,
        |config| config.language.transformer.n_heads = 4,
        |config| config.language.causal = true,
        |config| patches(config).patch_stride = 2,
        |config| patches(config).pad_end = false,
        |config| config.selection.n_heads = 4,
    ];
    for edit in edits {
        let mut config = saved.config.clone();
        edit(&mut config);
        let loaded = saved
            .open()
            .load_classifier::<Cpu>(&config, &Default::default());
        let Err(WeightsError::Differs { path, .. }) = loaded else {
            panic!("loaded as {config}");
        };
        assert_eq!(path, saved.path());
    }
    let mut config = saved.config.clone();
    config.head.dropout = 0.5;
    config.freeze_vision = Freeze::All;
    let loaded = saved
        .open()
        .load_classifier::<Cpu>(&config, &Default::default());
    assert!(
        loaded.expect("the same numbers").frozen_vision().is_some(),
        "it learns"
    );
    config.n_classes = 1;
    let loaded = saved
        .open()
        .load_classifier::<Cpu>(&config, &Default::default());
    assert!(
        matches!(loaded, Err(WeightsError::Invalid { .. })),
        "{loaded:?}"
    );
}

#[test]
fn metadata_that_lie_are_refused_within_a_little_memory() {
    let _turn = lock_generator();
    let lies: [(&str, Value); 8] = [
        ("/d_model", json!(u64::MAX)),
        ("/d_model", json!(-1)),
        ("/vision/side_px", json!(1_u64 << 40)),
        ("/vision/transformer/n_layers", json!(1 << 20)),
        ("/language/transformer/n_layers", json!(1000)),
        ("/head/hidden", json!(vec![1; 5000])),
        ("/head/hidden", json!([1 << 20])),
        ("/modalities", json!("sideways")),
    ];
    for (place, lie) in lies {
        let saved = Saved::random(&tiny_model(Modalities::DUAL));
        saved.edit(|_, notes| {
            let note = notes.get_mut("timesclip").expect("what the file says");
            let mut said: Value = serde_json::from_str(note).expect("JSON");
            *said["model"].pointer_mut(place).expect("a setting") = lie.clone();
            *note = said.to_string();
        });
        let mut outcome = None;
        let taken = measure(|| outcome = Some(saved.open().classifier_config()));
        assert!(
            matches!(outcome, Some(Err(WeightsError::Malformed { .. }))),
            "{place} {lie}: {outcome:?}"
        );
        assert!(
            taken.bytes_max < MEMORY,
            "{} bytes for {place}",
            taken.bytes_max
        );
        let loaded = saved.load::<Cpu>();
        assert!(
            matches!(loaded, Err(WeightsError::Malformed { .. })),
            "{place} {lie}"
        );
    }
}

#[test]
fn metadata_with_any_byte_changed_do_no_harm() {
    let _turn = lock_generator();
    let sound = Saved::random(&tiny_model(Modalities::DUAL));
    let mut random = Random(11);
    for _ in 0..200 {
        let mut saved = Saved::random(&tiny_model(Modalities::LANGUAGE_ONLY));
        fs::copy(sound.path(), saved.path()).expect("a copy");
        saved.edit(|_, notes| {
            let note = notes.get_mut("timesclip").expect("what the file says");
            let at = random.below(note.len());
            let digit = char::from(b'0' + u8::try_from(random.below(10)).expect("a digit"));
            note.replace_range(at..=at, &digit.to_string());
        });
        if let Ok(config) = saved.open().classifier_config() {
            saved.config = config;
            let _ = saved.load::<Cpu>().map_err(|error| error.to_string());
        }
    }
}

#[test]
#[should_panic(expected = "head.output.bias [4]")]
fn a_configuration_of_another_classifier_cannot_be_saved_with_it() {
    let config = tiny_model(Modalities::LANGUAGE_ONLY);
    let model = {
        let _turn = lock_generator();
        config.init::<Cpu>(&Default::default())
    };
    let mut other = config;
    other.n_classes = 4;
    Saved::of(&model, &other);
}

#[test]
fn a_frozen_encoder_that_is_not_there_is_refused_within_a_little_memory() {
    let _turn = lock_generator();
    let mut saved = Saved::random(&frozen());
    saved.config.vision.transformer.d_ff = 1 << 20;
    saved.edit(|_, notes| {
        notes.clear();
    });
    let mut outcome = None;
    let taken = measure(|| outcome = Some(saved.load::<Cpu>()));
    assert!(
        matches!(outcome, Some(Err(WeightsError::Tensors { .. }))),
        "it is loaded"
    );
    assert!(taken.bytes_max < MEMORY, "{} bytes", taken.bytes_max);
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let _turn = lock_generator();
    let saved = Saved::random(&tiny_model(Modalities::LANGUAGE_ONLY));
    let bytes = fs::read(saved.path()).expect("the file");
    for len in (0..bytes.len()).step_by(997) {
        fs::write(saved.path(), &bytes[..len]).expect("a file");
        let opened = Checkpoint::open(saved.path());
        assert!(
            matches!(opened, Err(WeightsError::Malformed { .. })),
            "{len} bytes"
        );
    }
}

#[test]
fn what_cannot_be_written_is_named_and_leaves_no_half_file() {
    let _turn = lock_generator();
    let config = tiny_model(Modalities::LANGUAGE_ONLY);
    let model = config.init::<Cpu>(&Default::default());
    let folder = tempfile::tempdir().expect("a folder");
    let absent = folder.path().join("absent/model.safetensors");
    let error = save_classifier(&model, &config, &absent).expect_err("no such folder");
    assert!(
        matches!(&error, WeightsError::Io(IoError { path, action: "write", .. }) if *path == absent),
        "{error}"
    );
    #[cfg(target_os = "linux")]
    {
        let saved = Saved::of(&model, &config);
        let before = fs::read(saved.path()).expect("the file");
        // A disk that is full from the first byte on.
        let beside = saved.folder.path().join("model.safetensors.partial");
        std::os::unix::fs::symlink("/dev/full", &beside).expect("a link");
        let error = save_classifier(&model, &config, saved.path()).expect_err("a full disk");
        assert!(matches!(error, WeightsError::Io(_)), "{error}");
        assert!(
            fs::read(saved.path()).expect("the file") == before,
            "it was changed"
        );
        assert!(beside.symlink_metadata().is_err(), "remains are left");
    }
}
