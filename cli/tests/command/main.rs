//! The command as a process of its own: what it prints, what it leaves, how it ends.

mod bench;
mod compare;
mod insight;
mod tutorial;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use bench::{Bench, stderr, stdout, table};
use serde_json::Value;

#[test]
fn train_leaves_a_model_a_report_and_no_checkpoints() {
    let bench = Bench::new();
    let args = [
        "train",
        "train.csv",
        "--test-data",
        "test.csv",
        "--model-type",
        "dual",
        "--vision-weights",
        "none",
        "--text-weights",
        "none",
        "--steps",
        "4",
        "--folds",
        "2",
        "--out",
        "run",
    ];
    let output = bench.run(&args);
    assert!(output.status.success(), "{output:?}");
    assert!(stdout(&output).starts_with("test accuracy "), "{output:?}");
    let told = stderr(&output);
    for line in [
        "16 samples, 1 variate",
        "16 training, 8 test samples",
        "network",
        "pool",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let report = bench.json("run/report.json");
    assert_eq!(report["dataset"]["n_train"], 16);
    assert_eq!(report["dataset"]["n_test"], 8);
    assert_eq!(report["model"]["mode"], "dual");
    assert_eq!(report["folds"].as_array().map(Vec::len), Some(2));
    assert!(report["test"]["accuracy"].is_number(), "{report}");
    assert!(
        report["modalities"]["pool"]["log_loss"].is_number(),
        "{report}"
    );
    let mut left: Vec<String> = fs::read_dir(bench.path("run"))
        .expect("a folder")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name != "report.html")
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["config.json", "lock", "model.safetensors", "report.json"]
    );
}

#[test]
fn predict_carries_ids_through_and_matches_columns_by_name() {
    let bench = Bench::trained();
    let output = bench.run(&["predict", "run", "test.csv"]);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("id,label,probability,probability_down,probability_up")
    );
    assert!(
        lines.next().is_some_and(|line| line.starts_with("s0,up,")),
        "{text}"
    );
    assert_eq!(lines.count(), 7);

    // Columns in another order, without labels, and one more than the model knows.
    let shuffled: Vec<String> = table(8)
        .lines()
        .map(|line| {
            let mut cells: Vec<&str> = line.split(',').collect();
            cells.pop();
            cells.reverse();
            let extra = if line.starts_with("id") { "note" } else { "x" };
            format!("{extra},{}", cells.join(","))
        })
        .collect();
    bench.write("shuffled.csv", &shuffled.join("\n"));
    let again = bench.run(&["predict", "run/model.safetensors", "shuffled.csv"]);
    assert!(again.status.success(), "{again:?}");
    assert_eq!(stdout(&again), text);

    let mut piped = bench.command(&["predict", "run", "-"]);
    let mut child = piped
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let input = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(table(8).as_bytes()));
    assert!(
        input.is_some_and(|written| written.is_ok()),
        "stdin is read"
    );
    assert_eq!(stdout(&child.wait_with_output().expect("it ends")), text);
}

#[test]
fn a_missing_column_is_named_and_nothing_is_written() {
    let bench = Bench::trained();
    let fewer: Vec<String> = table(4)
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            cells[..5].join(",")
        })
        .collect();
    bench.write("fewer.csv", &fewer.join("\n").replace("x_", "y_"));
    let output = bench.run(&["predict", "run", "fewer.csv", "--out", "answers.csv"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).starts_with("error: "), "{output:?}");
    assert!(
        !bench.path("answers.csv").exists(),
        "half an answer is left"
    );
}

#[test]
fn evaluate_and_inspect_speak_to_people_and_machines() {
    let bench = Bench::trained();
    let text = stdout(&bench.run(&["evaluate", "run", "test.csv"]));
    assert!(text.starts_with("test accuracy "), "{text}");
    let json = stdout(&bench.run(&["evaluate", "run", "test.csv", "--json"]));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    for score in [
        "accuracy",
        "balanced_accuracy",
        "log_loss",
        "brier",
        "ece",
        "macro_f1",
    ] {
        assert!(json[score].is_number(), "{score}: {json}");
    }
    let model = stdout(&bench.run(&["inspect", "run"]));
    assert!(model.contains("classes     down, up"), "{model}");
    let model: Value =
        serde_json::from_str(&stdout(&bench.run(&["inspect", "run", "--json"]))).expect("JSON");
    assert_eq!(model["schema"]["label_column"], "label");
    let table = stdout(&bench.run(&["inspect", "train.csv"]));
    assert!(table.contains("16 samples, 1 variate"), "{table}");
}

#[test]
fn exit_codes_tell_failed_work_from_wrong_usage() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["train", "absent.csv"]).status.code(), Some(1));
    assert_eq!(
        bench
            .run(&["train", "train.csv", "--epocs", "3"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(
        bench
            .run(&["train", "train.csv", "--model-type", "both"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(bench.run(&["--version"]).status.code(), Some(0));
    let foreign = bench.run(&["predict", "train.csv", "test.csv"]);
    assert_eq!(foreign.status.code(), Some(1));
    assert!(
        stderr(&foreign).contains("not a timesclip model: text"),
        "{foreign:?}"
    );
}

#[test]
fn quiet_prints_results_alone_and_json_logs_are_lines_of_json() {
    let bench = Bench::new();
    let common = [
        "train",
        "train.csv",
        "--test-data",
        "test.csv",
        "--model-type",
        "language_only",
        "--text-weights",
        "none",
        "--steps",
        "4",
        "--folds",
        "2",
    ];
    let quiet = bench.run(&[&common[..], &["--quiet", "--out", "a"]].concat());
    assert!(quiet.status.success(), "{quiet:?}");
    assert_eq!(stdout(&quiet).lines().count(), 1, "{quiet:?}");
    assert_eq!(stderr(&quiet), "", "{quiet:?}");
    let json = bench.run(&[&common[..], &["--log-format", "json", "--out", "b"]].concat());
    let told = stderr(&json);
    let epochs = told
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let epochs = epochs
        .filter(|line| line["record"]["epoch"].is_number())
        .count();
    assert!(epochs >= 2, "{told}");
    let same = |run: &str| fs::read(bench.path(run).join("model.safetensors")).expect("a model");
    assert!(
        same("a") == same("b"),
        "how progress is shown changes the model"
    );
}

#[test]
fn a_run_is_resumed_only_as_it_was_started() {
    let bench = Bench::trained();
    let args = [
        "train",
        "train.csv",
        "--test-data",
        "test.csv",
        "--model-type",
        "kernels_only",
        "--out",
        "run",
    ];
    let occupied = bench.run(&args);
    assert!(
        stderr(&occupied).contains("already holds a run"),
        "{occupied:?}"
    );
    let other = bench.run(&[&args[..], &["--resume", "--seed", "7"]].concat());
    assert!(stderr(&other).contains("seed 42, not 7"), "{other:?}");
    bench.write("train.csv", &table(14));
    let data = bench.run(&[&args[..], &["--resume"]].concat());
    assert!(stderr(&data).contains("other training data"), "{data:?}");
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_leaves_a_model_and_prints_the_command_that_resumes_it() {
    let bench = Bench::new();
    let mut command = bench.command(&[
        "train",
        "train.csv",
        "--model-type",
        "language_only",
        "--text-weights",
        "none",
        "--epochs",
        "100000",
        "--out",
        "a run",
    ]);
    let mut child = command
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let last = bench.path("a run/checkpoints/fold-1/last.mpk");
    let started = |path: &Path| fs::metadata(path).is_ok();
    while !started(&last) {
        assert!(
            child.try_wait().expect("its state").is_none(),
            "it ended without a checkpoint"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let id = child.id().to_string();
    let asked = Command::new("kill").args(["-INT", &id]).status();
    assert!(asked.expect("a signal is sent").success(), "the signal");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = stderr(&output);
    assert!(
        told.trim_end()
            .ends_with("--epochs 100000 --out 'a run' --resume"),
        "{told}"
    );
    let answers = bench.run(&["predict", "a run", "test.csv"]);
    assert!(answers.status.success(), "{answers:?}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let bench = Bench::trained();
    let mut child = bench
        .command(&["predict", "run", "train.csv"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    assert!(
        child.wait().expect("it ends").success(),
        "a closed pipe fails"
    );
}

#[test]
fn damaged_stores_are_counted_whatever_is_damaged() {
    let bench = Bench::new();
    assert!(
        bench
            .run(&[
                "cache",
                "build",
                "train.csv",
                "--dir",
                "pictures",
                "--side",
                "32"
            ])
            .status
            .success()
    );
    let whole = bench.run(&["cache", "verify", "pictures"]);
    assert!(whole.status.success(), "{whole:?}");
    let store = fs::read_dir(bench.path("pictures"))
        .expect("a folder")
        .map(|e| e.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|e| e != "lock"))
        .expect("a store");
    let bytes = fs::read(&store).expect("a store");
    let mut flipped = bytes.clone();
    flipped[0] ^= 1;
    for damaged in [Vec::new(), flipped, bytes[..bytes.len() / 2].to_vec()] {
        fs::write(&store, damaged).expect("a damaged store");
        let output = bench.run(&["cache", "verify", "pictures"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            stderr(&output).contains("1 files are damaged"),
            "{output:?}"
        );
    }
}
