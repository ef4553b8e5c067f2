//! Which checkpoints are taken: nothing guessed, nothing missing, nothing left over.

use std::fs;

use allocation_counter::measure;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};
use timesclip::Error;
use timesclip::model::{
    Activation, LanguageConfig, SeriesTokenizerConfig, TransformerConfig, VisionEncoderConfig,
};
use timesclip::weights::{Checkpoint, TensorProblem, WeightsError};

use crate::support::Cpu;
use crate::weights_parity::{data, with_settings};

fn vision(checkpoint: &Checkpoint) -> Result<(), WeightsError> {
    let config = checkpoint.vision_config()?;
    checkpoint.load_vision::<Cpu>(&config, &Default::default())?;
    Ok(())
}

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(data(name)).expect("a sound checkpoint")
}

#[test]
fn what_a_checkpoint_is_can_be_asked() {
    let whole = open("whole");
    assert!(whole.path().ends_with("model.safetensors.index.json"));
    assert_eq!((whole.n_tensors(), whole.dtypes()), (78, vec!["F32"]));
    assert_eq!(open("projection").dtypes(), ["F16"]);
    assert_eq!(open("text_bin").dtypes(), ["BF16"]);
    assert_eq!(open("vision_bin").dtypes(), ["F32", "I64"]);
    let config = whole.vision_config().expect("a sound config.json");
    assert_eq!((config.side_px, config.image_patch_size), (32, 8));
    let text = whole.text_config().expect("a sound config.json");
    assert_eq!((text.n_heads, text.layer_norm_eps), (3, 1e-6));
    let scale = whole.tensor("logit_scale").expect("a sound file");
    assert_eq!(scale.expect("a tensor").shape, [0_usize; 0]);
    assert_eq!(whole.tensor("no such").expect("a sound file"), None);
    assert_eq!(open("vision").pixel_norm().expect("no file is sound"), None);
}

#[test]
fn settings_that_are_not_there_are_those_of_transformers() {
    let folder = with_settings("whole", |config| {
        config["vision_config"] = json!({ "hidden_size": 768 });
        config["text_config"] = json!({ "hidden_act": "gelu" });
    });
    let checkpoint = Checkpoint::open(folder.path()).expect("a sound checkpoint");
    let found = checkpoint.vision_config().expect("a sound config.json");
    let expected = VisionEncoderConfig::clip_vit_b_32();
    assert_eq!(found.to_string(), expected.to_string());
    let found = checkpoint.text_config().expect("a sound config.json");
    let expected = TransformerConfig::new(512, 2048, 8, 12).with_activation(Activation::Gelu);
    assert_eq!(found.to_string(), expected.to_string());
}

#[test]
fn the_older_complete_settings_win_over_the_others() {
    let folder = with_settings("whole", |config| {
        config["vision_config_dict"] = config["vision_config"].clone();
        config["vision_config"] = json!({ "hidden_size": 1 });
        config["text_config_dict"] = Value::Null;
    });
    let checkpoint = Checkpoint::open(folder.path()).expect("a sound checkpoint");
    vision(&checkpoint).expect("the settings of the fixture");
    checkpoint.text_config().expect("the only settings there");
}

#[test]
fn settings_that_are_not_supported_are_named() {
    for (key, value) in [
        ("model_type", json!("siglip_vision_model")),
        ("model_type", Value::Null),
        ("architectures", json!(["CLIPForImageClassification"])),
        ("hidden_act", json!("gelu_new")),
        ("hidden_act", json!(3)),
        ("num_channels", json!(1)),
        ("hidden_size", json!(0)),
        ("hidden_size", json!(-10)),
        ("hidden_size", json!(10.5)),
        ("hidden_size", json!("10")),
        ("hidden_size", json!(u64::MAX)),
        ("intermediate_size", Value::Null),
        ("num_attention_heads", json!(3)),
        ("num_hidden_layers", json!(60_000)),
        ("image_size", json!([32, 16])),
        ("patch_size", json!(15)),
        ("layer_norm_eps", json!(0)),
        ("layer_norm_eps", json!("small")),
        ("pre_layernorm", json!("no")),
        ("qkv_bias", json!(false)),
    ] {
        let folder = with_settings("vision", |config| config[key] = value.clone());
        let checkpoint = Checkpoint::open(folder.path()).expect("sound tensors");
        let error = vision(&checkpoint).expect_err("a setting that is not supported");
        let WeightsError::Unsupported { what, path, .. } = &error else {
            panic!("{key} {value}: {error}");
        };
        assert!(path.ends_with("config.json"), "{error}");
        assert_eq!(what, key, "{error}");
    }
}

#[test]
fn a_config_that_is_none_is_an_error() {
    let folder = with_settings("vision", |config| config["note"] = json!("to be replaced"));
    let file = folder.path().join("config.json");
    let checkpoint = Checkpoint::open(folder.path()).expect("sound tensors");
    for text in ["", "[]", "{\"model_type\":", &"[".repeat(100_000)] {
        fs::write(&file, text).expect("a file");
        let error = vision(&checkpoint).expect_err("no settings");
        assert!(matches!(error, WeightsError::Malformed { .. }), "{error}");
    }
    let large = fs::File::create(&file).and_then(|file| file.set_len(1 << 30));
    large.expect("a file");
    let error = vision(&checkpoint).expect_err("too many settings");
    assert!(error.to_string().contains("too many"), "{error}");
    fs::remove_file(&file).expect("it is there");
    let error = vision(&checkpoint).expect_err("no settings");
    assert!(matches!(error, WeightsError::Io(_)), "{error}");
}

#[test]
fn a_tower_that_is_not_there_is_named() {
    let error = open("text_bin").vision_config().expect_err("a text tower");
    let message = error.to_string();
    assert!(message.contains("no vision tower"), "{message}");
    assert!(message.contains("clip_text_model"), "{message}");
    assert!(open("vision").text_config().is_err(), "a vision tower");
    let folder = with_settings("whole", |config| config["vision_config"] = Value::Null);
    let checkpoint = Checkpoint::open(folder.path()).expect("sound tensors");
    let error = checkpoint.vision_config().expect_err("no settings");
    assert!(error.to_string().contains("vision_config"), "{error}");
}

/// Changes a setting.
type Edit = fn(&mut VisionEncoderConfig);

#[test]
fn an_encoder_of_other_sizes_is_refused_with_both() {
    let checkpoint = open("whole");
    let own = checkpoint.vision_config().expect("a sound config.json");
    let edits: [(&str, Edit); 8] = [
        ("patch size", |config| config.image_patch_size = 16),
        ("norm in front", |config| config.pre_norm = false),
        ("the width", |config| config.transformer.d_model = 48),
        ("feed-forward", |config| config.transformer.d_ff = 48),
        ("heads", |config| config.transformer.n_heads = 4),
        ("layers", |config| config.transformer.n_layers = 1),
        ("epsilon", |config| config.transformer.layer_norm_eps = 1e-6),
        ("activation", |config| {
            config.transformer.activation = Activation::Gelu
        }),
    ];
    for (setting, edit) in edits {
        let mut config = own.clone();
        edit(&mut config);
        let error = checkpoint.load_vision::<Cpu>(&config, &Default::default());
        let error = error.expect_err("another encoder");
        let differs = matches!(error, WeightsError::Differs { .. });
        assert!(differs && error.to_string().contains(setting), "{error}");
    }
    let mut config = own;
    config.transformer.dropout = 0.1;
    let loaded = checkpoint.load_vision::<Cpu>(&config, &Default::default());
    loaded.expect("dropout changes no weight");
    config.side_px = 30;
    let error = checkpoint.load_vision::<Cpu>(&config, &Default::default());
    let error = error.expect_err("patches of 8 px do not tile 30 px");
    assert!(matches!(error, WeightsError::Invalid { .. }), "{error}");
    let text = checkpoint.text_config().expect("a sound config.json");
    let text = TransformerConfig { n_heads: 2, ..text };
    let text = LanguageConfig::new(SeriesTokenizerConfig::new().into(), text);
    let error = checkpoint.load_text::<Cpu>(&text, &Default::default());
    assert!(error.is_err(), "another text encoder");
}

/// Names, types and shapes, all zeros.
fn write_zeros(file: &std::path::Path, tensors: &[(String, Dtype, Vec<usize>)]) {
    let bytes = tensors.iter().map(|(_, dtype, shape)| {
        let n: usize = shape.iter().product();
        vec![0_u8; n * dtype.bitsize() / 8]
    });
    let bytes: Vec<Vec<u8>> = bytes.collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, dtype, shape), bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name, view.expect("as many bytes as the shape needs"))
        });
    safetensors::serialize_to_file(views, None, file).expect("a file");
}

/// The problems of a vision tower's tensors.
fn problems(outcome: Result<(), WeightsError>) -> Vec<TensorProblem> {
    match outcome {
        Err(WeightsError::Tensors { problems, .. }) => problems,
        other => panic!("found {other:?}, expected problems with tensors"),
    }
}

#[test]
fn all_tensors_at_fault_are_named_at_once() {
    let folder = with_settings("vision", |config| config["note"] = json!("other tensors"));
    let file = folder.path().join("model.safetensors");
    write_zeros(&file, &[]);
    let load = || Checkpoint::open(folder.path()).and_then(|checkpoint| vision(&checkpoint));
    let missing = problems(load()).into_iter().map(|problem| match problem {
        TensorProblem::Missing { name, expected } => (name, Dtype::F32, expected),
        other => panic!("{other}"),
    });
    let mut tensors: Vec<_> = missing.collect();
    assert_eq!(
        tensors.len(),
        7 + 3 * 16,
        "a class token, two maps, two norms, three blocks"
    );
    write_zeros(&file, &tensors);
    load().expect("nothing is missing");

    let position = |part: &str| tensors.iter().position(|(name, ..)| name.contains(part));
    let fc1 = position("layers.1.mlp.fc1.weight").expect("it was missing");
    let class = position("class_embedding").expect("it was missing");
    tensors[fc1].2.reverse();
    tensors[class].1 = Dtype::I32;
    let (missing, ..) = tensors.remove(0);
    let extra = ("classifier.weight".to_owned(), Dtype::F32, vec![2, 10]);
    tensors.push(extra);
    write_zeros(&file, &tensors);
    let error = Error::from(load().expect_err("four tensors at fault")).to_string();
    for part in [
        &format!("`{missing}` [10] is missing"),
        "mlp.fc1.weight` is [10, 22], not [22, 10]",
        "`classifier.weight` [2, 10] is used by nothing",
    ] {
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
    // Only those that a tower alone may have beside it are ignored.
    let other = (
        "text_model.final_layer_norm.weight".to_owned(),
        Dtype::F32,
        vec![10],
    );
    tensors.push(other);
    write_zeros(&file, &tensors);
    assert_eq!(problems(load()).len(), 4, "the other tower of a tower");
}

#[test]
fn no_file_is_held_twice() {
    let folder = with_settings("vision", |config| {
        config["hidden_size"] = json!(200);
        config["intermediate_size"] = json!(800);
        config["num_hidden_layers"] = json!(6);
    });
    let file = folder.path().join("model.safetensors");
    write_zeros(&file, &[]);
    let load = || Checkpoint::open(folder.path()).and_then(|checkpoint| vision(&checkpoint));
    let missing = problems(load()).into_iter().map(|problem| match problem {
        TensorProblem::Missing { name, expected } => (name, Dtype::F32, expected),
        other => panic!("{other}"),
    });
    write_zeros(&file, &missing.collect::<Vec<_>>());
    let len = fs::metadata(&file).expect("it was written").len();
    let taken = measure(|| load().expect("a sound checkpoint"));
    // The weights, one tensor of them once more, and a few hundred small things.
    let allowed = len + 4 * 200 * 800 + (1 << 20);
    assert!(len > 10 << 20, "{len} bytes are too few to tell");
    assert!(
        taken.bytes_max <= allowed,
        "{} bytes for {len}",
        taken.bytes_max
    );
}

#[test]
fn shards_and_their_index_agree() {
    let folder = with_settings("whole", |config| config["note"] = json!("other shards"));
    let file = folder.path().join("model.safetensors.index.json");
    let sound: Value = serde_json::from_slice(&fs::read(&file).expect("a fixture")).expect("JSON");
    let shard = "model-00001-of-00002.safetensors";
    fs::copy(
        folder.path().join(shard),
        folder.path().join("again.safetensors"),
    )
    .expect("a copy");
    for (name, value, expected) in [
        ("logit_scale", json!("../config.json"), "no names of files"),
        ("logit_scale", json!("/etc/hostname"), "no names of files"),
        ("logit_scale", json!(".."), "no names of files"),
        ("logit_scale", json!(""), "no names of files"),
        ("logit_scale", json!(1), "no names of files"),
        ("logit_scale", json!("absent.safetensors"), "cannot find"),
        ("logit_scale", json!("again.safetensors"), "is there twice"),
        ("another", json!(shard), "do not agree on having `another`"),
    ] {
        let mut index = sound.clone();
        index["weight_map"][name] = value;
        fs::write(&file, index.to_string()).expect("a file");
        let error = Checkpoint::open(folder.path()).expect_err("shards at fault");
        assert!(
            error.to_string().contains(expected),
            "{expected:?}: {error}"
        );
    }
    let mut index = sound;
    let map = index["weight_map"].as_object_mut().expect("a fixture");
    map.remove("logit_scale");
    fs::write(&file, index.to_string()).expect("a file");
    let error = Checkpoint::open(folder.path()).expect_err("a tensor that is not listed");
    assert!(error.to_string().contains("`logit_scale`"), "{error}");
    fs::write(&file, "{}").expect("a file");
    let error = Checkpoint::open(&file).expect_err("an index of nothing");
    assert!(error.to_string().contains("weight_map"), "{error}");
}

#[test]
fn what_is_no_checkpoint_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Checkpoint::open(folder.path()).expect_err("an empty folder");
    assert!(error.to_string().contains("pytorch_model.bin"), "{error}");
    let error = Checkpoint::open(folder.path().join("absent")).expect_err("no folder");
    assert!(error.to_string().contains("absent"), "{error}");
    fs::create_dir(folder.path().join("model.safetensors")).expect("a folder");
    let error = Checkpoint::open(folder.path()).expect_err("a folder for a file");
    assert!(matches!(error, WeightsError::Io(_)), "{error}");
}

#[test]
fn pixel_statistics_that_cannot_be_are_refused() {
    for (key, value) in [
        ("image_mean", json!([0.5, 0.5])),
        ("image_std", json!([0.5, 0.5, 0.0])),
        ("image_std", json!([0.5, 0.5, "a"])),
        ("image_mean", json!([127.5, 127.5, 127.5])),
        ("do_normalize", json!(false)),
        ("rescale_factor", json!(1.0)),
    ] {
        let folder = with_settings("vision", |config| {
            config["image_mean"] = json!([0.5, 0.5, 0.5]);
            config["image_std"] = json!([0.5, 0.5, 0.5]);
            config[key] = value.clone();
        });
        let checkpoint = Checkpoint::open(folder.path()).expect("sound tensors");
        let error = checkpoint.pixel_norm().expect_err("a value that cannot be");
        assert!(error.to_string().contains(key), "{error}");
    }
}
