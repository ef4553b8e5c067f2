//! `train_dual` as a user meets it: a whole run, and every kind of bad input.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use burn::tensor::{Tensor, TensorData};
use serde_json::Value;
use timesclip::backend::BackendKind;
use timesclip::model::{SeriesInput, TimesClipInput};
use timesclip::weights::Checkpoint;

use crate::examples::{Bench, built, example, table};
use crate::support::Cpu;

#[test]
fn several_devices_give_what_one_gives_but_for_dropout() {
    let Some(example) = example() else { return };
    let bench = Bench::new();
    let losses = |more: &[&str]| -> Vec<f64> {
        let out = bench.path("run");
        let _ = fs::remove_dir_all(&out);
        let more = [&["--backend", "cpu", "--dropout", "0"], more].concat();
        let output = bench.run(&example, "train.csv", "test.csv", &more);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        let history = &bench.report("run")["history"];
        let epochs = history.as_array().expect("a history").iter();
        let losses = epochs.map(|epoch| epoch["train_loss"].as_f64().expect("a loss"));
        losses.collect()
    };
    let (one, three) = (losses(&[]), losses(&["--devices", "3"]));
    for (one, three) in one.iter().zip(&three) {
        // Rounding: `tests/it/devices.rs` has the bounds of longer runs.
        assert!((one - three).abs() < 1e-5, "{one} on one, {three} on three");
    }
    assert_eq!(one.len(), 3);
}

#[test]
fn a_whole_run_leaves_its_report_and_resumes() {
    let Some(example) = example() else { return };
    let bench = Bench::new();
    let output = bench.run(&example, "train.csv", "test.csv", &[]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(printed.contains("test      accuracy"), "{printed}");
    let report = bench.report("run");
    for key in ["dataset", "model", "cache", "timing", "history", "test"] {
        assert!(!report[key].is_null(), "no {key} in {report}");
    }
    assert_eq!(report["dataset"]["n_test"], 8);
    assert_eq!(report["cache"]["images"], 16);
    assert_eq!(report["history"].as_array().map(Vec::len), Some(3));
    let config = fs::read_to_string(bench.path("run").join("config.json")).expect("a config");
    let config: Value = serde_json::from_str(&config).expect("a config in JSON");
    let backend = config["backend"].as_str().expect("a backend");
    assert!(
        backend.parse::<BackendKind>().is_ok(),
        "{backend} is no backend"
    );
    assert!(
        printed.contains(&format!("device    {backend} 0: ")),
        "{printed}"
    );
    let picture = fs::read(bench.path("run").join("confusion.png")).expect("a picture");
    assert!(
        picture.starts_with(b"\x89PNG"),
        "no picture of the confusion matrix"
    );

    let again = bench.run(&example, "train.csv", "test.csv", &[]);
    let error = String::from_utf8_lossy(&again.stderr);
    assert!(error.contains("already holds a run"), "{error}");
    let other = bench.run(
        &example,
        "train.csv",
        "test.csv",
        &["--resume", "--seed", "1"],
    );
    let error = String::from_utf8_lossy(&other.stderr);
    assert!(
        !other.status.success() && error.contains("training.seed 42, not 1"),
        "{error}"
    );
    let resumed = bench.run(&example, "train.csv", "test.csv", &["--resume"]);
    assert!(
        resumed.status.success(),
        "{}",
        String::from_utf8_lossy(&resumed.stderr)
    );
    assert_eq!(bench.report("run")["history"], report["history"]);
}

/// A run that must be refused, in words.
fn refused(bench: &Bench, example: &Path, train: &str, more: &[&str], expected: &str) {
    let output = bench.run(example, train, "test.csv", more);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{train} {more:?} is accepted");
    assert!(error.contains(expected), "{train} {more:?}: {error}");
}

#[test]
fn a_run_goes_on_only_with_its_own_data_and_epochs_and_alone() {
    let Some(example) = example() else { return };
    let bench = Bench::new();
    let reads = ["--model-type", "language_only"];
    let output = bench.run(&example, "train.csv", "test.csv", &reads);
    assert!(output.status.success(), "{output:?}");
    let resumed = |more: &[&'static str]| [&reads[..], &["--resume"], more].concat();
    bench.write("swapped.csv", &table(16).replacen("down", "up", 1));
    refused(
        &bench,
        &example,
        "swapped.csv",
        &resumed(&[]),
        "other training data",
    );
    let more = resumed(&["--epochs", "4"]);
    refused(
        &bench,
        &example,
        "train.csv",
        &more,
        "training.epochs 3, not 4",
    );

    let lock = fs::File::open(bench.path("run").join("lock")).expect("a file to lock");
    lock.try_lock().expect("the run has ended");
    refused(
        &bench,
        &example,
        "train.csv",
        &resumed(&[]),
        "another process",
    );
    drop(lock);

    // A run of a time when the data were not kept goes on too, and keeps them from then on.
    let path = bench.path("run").join("config.json");
    let read = || -> Value {
        let text = fs::read_to_string(&path).expect("a config");
        serde_json::from_str(&text).expect("a config in JSON")
    };
    let kept = read();
    let mut without = kept.clone();
    without.as_object_mut().expect("an object").remove("data");
    fs::write(&path, without.to_string()).expect("a config for the test");
    let output = bench.run(&example, "train.csv", "test.csv", &resumed(&[]));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(read(), kept);
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_prints_the_command_that_goes_on() {
    use std::process::Stdio;
    use std::time::Duration;

    let Some(example) = example() else { return };
    let bench = Bench::new();
    let run = bench.path("a run");
    let mut command = Command::new(example);
    for (flag, file) in [("--data", "train.csv"), ("--test-data", "test.csv")] {
        command.arg(flag).arg(bench.path(file));
    }
    command.args(["--variates", "1", "--model-type", "language_only"]);
    command.args(["--epochs", "100000", "--quiet", "--out"]);
    let command = command.arg(&run).stderr(Stdio::piped());
    let child = command.stdout(Stdio::null()).spawn();
    let mut child = child.expect("the example starts");
    while !run.join("checkpoints/last.mpk").is_file() {
        let ended = child.try_wait().expect("its state is known");
        assert!(ended.is_none(), "{ended:?} without a checkpoint");
        std::thread::sleep(Duration::from_millis(20));
    }
    let id = child.id().to_string();
    let asked = Command::new("kill").args(["-INT", &id]).status();
    assert!(asked.expect("a signal is sent").success());
    let output = child.wait_with_output().expect("it ends");
    let error = String::from_utf8_lossy(&output.stderr);
    let hint = format!("--epochs 100000 --quiet --out '{}' --resume", run.display());
    assert!(error.trim_end().ends_with(&hint), "{error}");
    assert!(
        error.contains("--variates 1 --model-type language_only"),
        "{error}"
    );
}

/// The output of `predict` of the run of a bench, on the processor.
fn predict(bench: &Bench, file: &str, more: &[&str]) -> Output {
    let mut command = Command::new(built("predict").expect("it was there before"));
    command.arg(bench.path("run")).arg(bench.path(file));
    let output = command.args(["--backend", "cpu"]).args(more).output();
    output.expect("the example starts")
}

/// Two variates of three steps, one after the other: the first rises or falls, the second stays.
fn variate_major(rows: usize) -> String {
    let row = |i: usize| match i % 2 {
        0 => format!("{i},{},{},5,5,5,up\n", i + 2, i + 4),
        _ => format!("{},{},{i},5,5,5,down\n", i + 4, i + 2),
    };
    (0..rows).map(row).collect()
}

#[test]
fn predict_reads_tables_as_training_did_and_needs_no_labels() {
    let (Some(example), Some(_)) = (example(), built("predict")) else {
        return;
    };
    let bench = Bench::new();
    bench.write("train.csv", &variate_major(16));
    let labelled = variate_major(8);
    bench.write("test.csv", &labelled);
    let reads = ["--model-type", "language_only", "--variates", "2"];
    let flags = [&reads[..], &["--layout", "variate-major"]].concat();
    let output = bench.run(&example, "train.csv", "test.csv", &flags);
    assert!(output.status.success(), "{output:?}");

    let predictions = |file: &str, more: &[&str]| {
        let output = predict(&bench, file, more);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{file} {more:?}: {error}");
        String::from_utf8(output.stdout).expect("text")
    };
    let expected = predictions("test.csv", &["--layout", "variate-major"]);
    assert_eq!(expected.lines().count(), 8);
    assert_eq!(predictions("test.csv", &[]), expected);
    assert_ne!(
        predictions("test.csv", &["--layout", "time-major"]),
        expected
    );
    bench.write("unknown.csv", &labelled.replace("up", "sideways"));
    assert_eq!(predictions("unknown.csv", &[]), expected);
    bench.write("blank.csv", &labelled.replace("up", "").replace("down", ""));
    assert_eq!(predictions("blank.csv", &[]), expected);
    let bare = labelled.replace(",up", "").replace(",down", "");
    bench.write("bare.csv", &bare);
    assert_eq!(predictions("bare.csv", &["--no-label"]), expected);

    let output = predict(&bench, "bare.csv", &[]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && error.contains("--no-label"),
        "{error}"
    );
}

#[test]
fn predict_warns_of_a_run_that_has_not_finished() {
    let (Some(example), Some(_)) = (example(), built("predict")) else {
        return;
    };
    let bench = Bench::new();
    let reads = ["--model-type", "language_only"];
    let output = bench.run(&example, "train.csv", "test.csv", &reads);
    assert!(output.status.success(), "{output:?}");
    let error = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();

    fs::remove_file(bench.path("run").join("report.json")).expect("a report");
    let unfinished = predict(&bench, "test.csv", &[]);
    assert!(
        unfinished.status.success() && error(&unfinished).contains("3 of 3 epochs"),
        "{unfinished:?}"
    );
    fs::remove_file(bench.path("run").join("checkpoints/last.mpk")).expect("a checkpoint");
    let unlearnt = predict(&bench, "test.csv", &[]);
    assert!(
        !unlearnt.status.success() && error(&unlearnt).contains("learnt nothing yet"),
        "{unlearnt:?}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn predict_says_that_its_output_cannot_be_written() {
    let (Some(example), Some(predict)) = (example(), built("predict")) else {
        return;
    };
    let bench = Bench::new();
    let reads = ["--model-type", "language_only"];
    bench.run(&example, "train.csv", "test.csv", &reads);
    let full = fs::File::create("/dev/full").expect("a device that is always full");
    let mut command = Command::new(predict);
    command.arg(bench.path("run")).arg(bench.path("test.csv"));
    let output = command.stdout(full).output().expect("the example starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && error.contains("cannot write the predictions"),
        "{error}"
    );
    assert!(!error.contains("panicked"), "{error}");
}

#[test]
fn the_weights_of_a_run_give_the_logits_of_predict() {
    let (Some(train), Some(predict)) = (example(), built("predict")) else {
        return;
    };
    let bench = Bench::new();
    bench.run(
        &train,
        "train.csv",
        "test.csv",
        &["--model-type", "language_only"],
    );
    let (run, dump) = (bench.path("run"), bench.path("batch.safetensors"));
    let mut command = Command::new(predict);
    command
        .arg(&run)
        .arg(bench.path("test.csv"))
        .arg("--dump-batch")
        .arg(&dump);
    let output = command.output().expect("the example starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let checkpoint = Checkpoint::open(run.join("model.safetensors")).expect("a sound file");
    let config = checkpoint.classifier_config().expect("it says what it is");
    let device = Default::default();
    let model = checkpoint
        .load_classifier::<Cpu>(&config, &device)
        .expect("a classifier");
    let dump = Checkpoint::open(dump).expect("a sound file");
    let dumped = |name| {
        let tensor = dump.tensor(name).expect("a sound file");
        let tensor = tensor.unwrap_or_else(|| panic!("no {name} in the batch"));
        TensorData::new(tensor.values, tensor.shape)
    };
    let series = SeriesInput {
        values: Tensor::from_data(dumped("values"), &device),
        valid: None,
        statistics: None,
    };
    let input = TimesClipInput {
        series: Some(series),
        vision: None,
    };
    assert_eq!(model.forward(input).logits.into_data(), dumped("logits"));
}

#[test]
fn no_cache_and_one_on_the_device_give_the_same_history_number_for_number() {
    let Some(example) = example() else { return };
    let (cached, drawn, kept) = (Bench::new(), Bench::new(), Bench::new());
    cached.run(&example, "train.csv", "test.csv", &[]);
    drawn.run(&example, "train.csv", "test.csv", &["--no-cache"]);
    kept.run(
        &example,
        "train.csv",
        "test.csv",
        &["--device-cache", "64KiB"],
    );
    let (cached, drawn) = (cached.report("run"), drawn.report("run"));
    for (how, report) in [("drawn", &drawn), ("on the device", &kept.report("run"))] {
        assert_eq!(cached["history"], report["history"], "{how}");
        assert_eq!(cached["test"], report["test"], "{how}");
    }
    assert_eq!(
        [&cached["cache"]["kind"], &drawn["cache"]["kind"]],
        ["memory", "none"]
    );
}

/// A frozen encoder's outputs are kept, found again, and change no number.
#[test]
fn kept_features_give_the_same_history_and_are_found_by_the_next_run() {
    let Some(example) = example() else { return };
    let bench = Bench::new();
    let folder = bench.path("features");
    let folder = folder.to_str().expect("a path of the test's own");
    let frozen = ["--freeze", "vision", "--views", "1", "--cache", "disk"];
    let run = |name: &str, more: &[&str]| {
        let out = bench.path(name);
        let out = ["--out", out.to_str().expect("a path of the test's own")];
        let flags = [&frozen[..], &["--cache-dir", folder], &out[..], more].concat();
        let output = bench.run(&example, "train.csv", "test.csv", &flags);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        bench.report(name)
    };
    let first = run("first", &[]);
    let again = run("again", &[]);
    let fresh = run("fresh", &["--feature-cache", "off"]);
    assert_eq!(first["features"]["computed"], 16);
    assert_eq!(again["features"]["computed"], 0);
    assert!(fresh["features"].is_null(), "{fresh}");
    for other in [again, fresh] {
        assert_eq!(other["history"], first["history"]);
        assert_eq!(other["test"], first["test"]);
    }
    assert!(first["model"]["frozen"].as_u64() > Some(0), "{first}");
}

/// A pretrained tower of the fixtures, frozen and tapped, and the same with other weights.
#[test]
fn pretrained_encoders_are_read_and_matter() {
    let Some(example) = example() else { return };
    let bench = Bench::new();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/clip/data/whole");
    let weights = weights.to_str().expect("a path in UTF-8");
    let flags = ["--vision-weights", weights, "--text-weights", weights];
    let tap = ["--tap-layer", "1", "--tap-tokens", "both"];
    let output = bench.run(&example, "train.csv", "test.csv", &[flags, tap].concat());
    let printed = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(
        printed.contains("features  training: 16 encoded"),
        "{printed}"
    );
    let config = fs::read_to_string(bench.path("run").join("config.json")).expect("a config");
    let config: Value = serde_json::from_str(&config).expect("a config in JSON");
    assert_eq!(config["pretrained"][0], weights);
    assert_eq!(config["model"]["freeze_vision"], "all");
}

/// Training file, test file, further flags, and what the message must name.
const BAD_INPUT: &[(&str, &str, &[&str], &[&str])] = &[
    ("missing.csv", "test.csv", &[], &["missing.csv"]),
    ("empty.csv", "test.csv", &[], &["empty.csv"]),
    ("ragged.csv", "test.csv", &[], &["ragged.csv", "18"]),
    ("text.csv", "test.csv", &[], &["text.csv", "zero"]),
    (
        "infinite.csv",
        "test.csv",
        &[],
        &["infinite.csv", "18", "inf"],
    ),
    (
        "train.csv",
        "foreign.csv",
        &[],
        &["foreign.csv", "sideways"],
    ),
    ("one_class.csv", "one_class.csv", &[], &["class"]),
    ("few.csv", "test.csv", &[], &["class"]),
    (
        "train.csv",
        "test.csv",
        &["--preset", "clip-vit-b-32", "--variates", "3"],
        &["3", "4"],
    ),
    ("train.csv", "test.csv", &["--variates", "0"], &["variate"]),
    ("train.csv", "test.csv", &["--variates", "4"], &["9", "4"]),
    (
        "train.csv",
        "test.csv",
        &["--out", "/dev/null/run"],
        &["/dev/null/run"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--backend", "abacus"],
        &["abacus", "cpu, wgpu and cuda"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--backend", "cpu", "--device", "1"],
        &["cpu device 1"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--lr", "-1"],
        &["learning rate of -1"],
    ),
    ("train.csv", "test.csv", &["--epochs", "0"], &["0 epochs"]),
    (
        "train.csv",
        "test.csv",
        &["--contrastive-weight", "-2"],
        &["-2"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--valid-fraction", "1.5"],
        &["1.5"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--vision-weights", "no-such-folder"],
        &["--vision-weights", "no-such-folder"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--freeze", "ears"],
        &["ears", "vision or text"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--freeze", "vision:9"],
        &["first 9 blocks", "2 blocks"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--tap-layer", "7"],
        &["block 7", "2 blocks"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--standardize", "on"],
        &["whole vision encoder is frozen"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--feature-cache", "on"],
        &["--feature-cache on", "--freeze vision"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--side", "65"],
        &["16 px", "65 px"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--views", "2", "--view-warp", "3"],
        &["warp", "3"],
    ),
    ("train.csv", "test.csv", &["--color-jitter", "-1"], &["-1"]),
    (
        "train.csv",
        "test.csv",
        &["--device-cache", "100KB", "--views", "1"],
        // Twice sixteen pictures of 64 x 64 pixels.
        &["--device-cache", "100000 bytes", "131072 bytes"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--backend", "cpu", "--devices", "18446744073709551615"],
        &["18446744073709551615 cpu devices", "256 at most"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--standardize", "on", "--model-type", "language_only"],
        &["--standardize on", "no pictures"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--freeze", "text:1", "--model-type", "vision_only"],
        &["--freeze text", "no values"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--view-warp", "0.1"],
        &["--views"],
    ),
    (
        "train.csv",
        "test.csv",
        &["--device-cache", "1GiB", "--model-type", "language_only"],
        &["--device-cache", "no pictures"],
    ),
];

#[test]
fn bad_input_is_named_and_leaves_nothing_behind() {
    let Some(example) = example() else { return };
    let bench = Bench::new();
    let good = table(16);
    bench.write("empty.csv", "");
    bench.write("ragged.csv", &format!("{good}1,2,3,up\n"));
    bench.write("text.csv", &good.replacen("0.1,", "zero,", 1));
    bench.write("infinite.csv", &format!("{good}1,2,3,4,inf,6,7,8,9,up\n"));
    bench.write(
        "foreign.csv",
        &format!("{good}1,2,3,4,5,6,7,8,9,sideways\n"),
    );
    bench.write("one_class.csv", &good.replace("down", "up"));
    bench.write("few.csv", &table(1));
    for (train, test, more, expected) in BAD_INPUT {
        // The last of repeated flags counts.
        let output = bench.run(&example, train, test, more);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success(),
            "{train} {test} {more:?} is accepted"
        );
        for part in *expected {
            assert!(
                error.contains(part),
                "{train} {test} {more:?}: no {part:?} in {error}"
            );
        }
        assert!(
            !error.contains("panicked"),
            "{train} {test} {more:?}: {error}"
        );
        assert!(
            !bench.path("run").exists(),
            "{train} {test} {more:?} leaves a run behind"
        );
    }
}

/// Vulkan has no bf16 for now; a device that has it has nothing to refuse.
#[test]
fn what_only_a_gpu_refuses_leaves_no_run_either() {
    let Some(example) = example() else { return };
    if BackendKind::Wgpu.try_device(0).is_err() {
        println!("skipped: no device of WGPU");
        return;
    }
    let bench = Bench::new();
    let wgpu = ["--backend", "wgpu", "--freeze", "vision"];
    // Twice sixteen pictures, in two bytes a number and not in four.
    let budget = (2 * 16 * 2 * 64).to_string();
    let cases = [
        (["--frozen-precision", "bf16"].as_slice(), "compute in bf16"),
        (
            &[
                "--feature-dtype",
                "bf16",
                "--device-cache",
                &budget,
                "--views",
                "1",
            ],
            "--device-cache allows",
        ),
    ];
    for (more, expected) in cases {
        let output = bench.run(
            &example,
            "train.csv",
            "test.csv",
            &[&wgpu[..], more].concat(),
        );
        if output.status.success() {
            println!("skipped: the device has bf16");
            return;
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(expected), "{more:?}: {error}");
        assert!(!bench.path("run").exists(), "{more:?} leaves a run behind");
    }
}

#[test]
fn a_gpu_backend_that_is_not_there_is_named() {
    let Some(example) = example() else { return };
    let bench = Bench::new();
    for backend in ["wgpu", "cuda"] {
        let more = ["--backend", backend, "--device", "99"];
        let output = bench.run(&example, "train.csv", "test.csv", &more);
        assert!(!output.status.success(), "{backend} has a hundred devices");
        let error = String::from_utf8_lossy(&output.stderr);
        let not_compiled = error.contains(&format!("--features {backend}"));
        let not_present = error.contains(&format!("{backend} device 99"));
        assert!(not_compiled || not_present, "{backend}: {error}");
        assert!(!error.contains("panicked"), "{backend}: {error}");
    }
}
