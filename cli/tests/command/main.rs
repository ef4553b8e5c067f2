//! The command as a process of its own: what it prints, what it leaves, how it ends.

mod bench;
mod compare;
mod edges;
mod extend;
mod formats;
mod insight;
mod search;
mod tutorial;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use bench::{Bench, TRAIN, stderr, stdout, table};
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
        // Drivers of GPUs may write to stderr themselves.
        "--backend",
        "cpu",
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
    let args = TRAIN;
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
#[cfg(unix)]
fn killed_twenty_times_and_resumed_a_run_ends_as_one_never_killed() {
    const KILLS: usize = 20;
    let bench = Bench::new();
    let args = |out| {
        let flags = "train train.csv --model-type language_only --text-weights none --folds 2";
        let mut args: Vec<&str> = flags.split(' ').collect();
        args.extend(["--steps", "400", "--backend", "cpu", "--out", out]);
        args
    };
    let started = Instant::now();
    let whole = bench.run(&args("whole"));
    assert!(whole.status.success(), "{whole:?}");
    let whole_run = started.elapsed();
    let mut kills = 0;
    // Times of no pattern, the same shares of the whole run in every run of the test.
    let mut share = 40_u32;
    let resumed = |args: Vec<&str>| {
        let began = bench.path("killed").join("config.json").exists();
        let resume: &[&str] = if began { &["--resume"] } else { &[] };
        bench.command(&[&args[..], resume].concat())
    };
    while kills < KILLS {
        let mut child = resumed(args("killed"))
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        share = (share * 7919 + 13) % 1000;
        std::thread::sleep(whole_run * share / 6000);
        if child.try_wait().expect("its state").is_some() {
            break;
        }
        child.kill().expect("a signal is sent");
        child.wait().expect("it ends");
        kills += 1;
    }
    if !bench.path("killed/report.json").exists() {
        let last = resumed(args("killed")).output().expect("it starts");
        assert!(last.status.success(), "{last:?}");
    }
    println!("killed {kills} times");
    let model = |run: &str| fs::read(bench.path(run).join("model.safetensors")).expect("a model");
    assert!(
        model("whole") == model("killed"),
        "other weights after {kills} kills"
    );
}

#[test]
fn the_library_and_the_command_without_flags_fit_the_same_bits() {
    let bench = Bench::new();
    let set = |name| timesclip::SeriesDataset::read(bench.path(name)).expect("a set");
    let noise = table(24)
        .replace("down\n", "up\n")
        .replacen("up\n", "down\n", 9);
    bench.write("noise.csv", &noise);
    let few = timesclip::options::TrainingOptions {
        steps: Some(3),
        ..Default::default()
    };
    let quick = timesclip::FitOptions {
        training: few,
        ..Default::default()
    };
    // The closed form is right on the first, so that no network is trained, and errs on the other.
    let cases: [(&str, &[&str], _); 2] = [
        ("train.csv", &[], timesclip::FitOptions::default()),
        ("noise.csv", &["--steps", "3"], quick),
    ];
    for (name, flags, options) in cases {
        let run = format!("run-{name}");
        let output = bench.run(&[&["train", name, "--out", &run], flags].concat());
        assert!(output.status.success(), "{output:?}");
        let model = timesclip::TimesClip::fit(&set(name), &options).expect("a fit");
        model
            .save(bench.path("library.safetensors"))
            .expect("a file");
        let tensors = |path: &str| {
            let bytes = fs::read(bench.path(path)).expect("a model");
            let header = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes"));
            bytes[8 + usize::try_from(header).expect("a small header")..].to_vec()
        };
        let command = tensors(&format!("{run}/model.safetensors"));
        assert!(
            !command.is_empty() && command == tensors("library.safetensors"),
            "{name}"
        );
    }
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

#[test]
fn shards_together_are_what_one_process_writes_and_are_not_made_twice() {
    let bench = Bench::trained();
    let whole = bench.run(&["predict", "run", "test.csv"]);
    assert!(whole.status.success(), "{whole:?}");
    let whole = stdout(&whole);
    let header = whole.lines().next().expect("a header").to_owned();

    let mut joined = header.clone() + "\n";
    for shard in ["1/3", "2/3", "3/3"] {
        let args = [
            "predict", "run", "test.csv", "--out", "out.csv", "--shard", shard,
        ];
        let output = bench.run(&args);
        assert!(output.status.success(), "{output:?}");
        let file = format!("out-0000{}-of-00003.csv", &shard[..1]);
        let text = fs::read_to_string(bench.path(&file)).expect("the file of a shard");
        let rows = text.strip_prefix(&header).expect("the same header");
        joined.push_str(rows.trim_start());

        let again = bench.run(&args);
        assert!(again.status.success(), "{again:?}");
        assert!(stderr(&again).contains("finished before"), "{again:?}");
    }
    assert_eq!(joined, whole);

    // Newer data make the old answers worthless.
    bench.write("test.csv", &table(6));
    let output = bench.run(&[
        "predict", "run", "test.csv", "--out", "out.csv", "--shard", "1/3",
    ]);
    assert!(!stderr(&output).contains("finished before"), "{output:?}");
    let text = fs::read_to_string(bench.path("out-00001-of-00003.csv")).expect("the file");
    assert_eq!(
        text.lines().count(),
        3,
        "a header and two of six rows: {text}"
    );
}

#[test]
fn a_shard_is_the_one_that_slurm_or_kubernetes_says() {
    let bench = Bench::trained();
    let args = [
        "predict", "run", "test.csv", "--out", "out.csv", "--shard", "auto",
    ];
    let output = bench
        .command(&args)
        .env("SLURM_ARRAY_TASK_ID", "2")
        .env("SLURM_ARRAY_TASK_COUNT", "4")
        .output()
        .expect("the command starts");
    assert!(output.status.success(), "{output:?}");
    assert!(bench.path("out-00002-of-00004.csv").is_file());

    let args = [&args[..6], &["auto/5"]].concat();
    let mut command = bench.command(&args);
    let output = command.env("JOB_COMPLETION_INDEX", "4").output();
    let output = output.expect("the command starts");
    assert!(output.status.success(), "{output:?}");
    assert!(bench.path("out-00005-of-00005.csv").is_file());

    let output = bench.run(&args);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("neither is set"), "{output:?}");
}

#[test]
fn embed_writes_a_vector_for_each_row_and_says_if_there_is_none() {
    let bench = Bench::new();
    let args = ["train", "train.csv", "--effort", "fast", "--out", "run"];
    let output = bench.run(&args);
    assert!(output.status.success(), "{output:?}");
    let output = bench.run(&["embed", "run", "test.csv"]);
    assert!(output.status.success(), "{output:?}");
    let rows = stdout(&output);
    let mut lines = rows.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    assert_eq!(header[..2], ["id", "embedding_0"]);
    let first = lines.next().expect("a row");
    assert_eq!((first[0], first.len()), ("s0", header.len()));
    let numbers = first[1..].iter().map(|cell| cell.parse::<f32>());
    let length: f32 = numbers.map(|n| n.expect("a number").powi(2)).sum();
    assert!(
        (length - 1.0).abs() < 1e-3,
        "a vector of length one: {length}"
    );
    assert_eq!(lines.count(), 7);

    let objects = bench.run(&["embed", "run", "test.csv", "--output-format", "jsonl"]);
    let objects = stdout(&objects);
    let object: Value =
        serde_json::from_str(objects.lines().next().expect("a line")).expect("JSON");
    assert_eq!(object["id"], "s0");
    assert_eq!(
        object["embedding"].as_array().map(Vec::len),
        Some(header.len() - 1)
    );

    let bench = Bench::trained();
    let output = bench.run(&["embed", "run", "test.csv"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("embeds nothing"), "{output:?}");
}
