//! Pipes that are closed, input from pipes, runs that are refused, and flags at their bounds.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Output, Stdio};

use crate::bench::{Bench, TRAIN, stderr, stdout, table};

/// Runs the command with a text on a pipe as its stdin.
fn piped(bench: &Bench, args: &[&str], text: &str) -> Output {
    let mut command = bench.command(args);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("stdin is read");
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

#[test]
fn series_on_a_pipe_are_read_whole() {
    let bench = Bench::trained();
    let second = |output: &Output| stdout(output).lines().nth(1).map(str::to_owned);
    let told = bench.run(&["inspect", "train.csv"]);
    assert!(second(&told).is_some_and(|line| line.starts_with("16 samples")));
    let dash = piped(&bench, &["inspect", "-"], &table(16));
    assert_eq!(second(&dash), second(&told), "{dash:?}");
    if cfg!(unix) {
        let device = piped(&bench, &["inspect", "/dev/stdin"], &table(16));
        assert_eq!(second(&device), second(&told), "{device:?}");
    }

    let scores = stdout(&bench.run(&["evaluate", "run", "test.csv"]));
    let dash = piped(&bench, &["evaluate", "run", "-"], &table(8));
    assert_eq!(stdout(&dash), scores, "{dash:?}");
    let args = ["train", "-", "--model-type", "kernels_only"];
    let trained = piped(&bench, &args, &table(16));
    assert!(trained.status.success(), "{trained:?}");
    assert!(bench.path("runs/stdin-kernels_only-1/report.json").exists());
}

#[test]
fn a_run_is_complete_though_nobody_reads_what_it_says() {
    let bench = Bench::new();
    let mut command = bench.command(&TRAIN);
    let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop((child.stdout.take(), child.stderr.take()));
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{status:?}");
    for name in ["model.safetensors", "report.json", "report.html"] {
        assert!(bench.path("run").join(name).exists(), "no {name}");
    }

    let mut command = bench.command(&["completions", "bash"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{status:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn scores_that_cannot_be_printed_fail_a_run_that_is_complete() {
    let bench = Bench::new();
    let full = fs::File::options().write(true).open("/dev/full");
    let mut command = bench.command(&TRAIN);
    let output = command.stdout(full.expect("a device")).output();
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("cannot be printed"), "{output:?}");
    for name in ["model.safetensors", "report.json", "report.html"] {
        assert!(bench.path("run").join(name).exists(), "no {name}");
    }
}

#[test]
fn a_missing_value_may_be_a_negative_number() {
    let bench = Bench::new();
    bench.write("train.csv", &table(16).replacen(",1.00,", ",-999,", 1));
    let flags = ["--missing", "-999,-9999"];
    let output = bench.run(&[&["inspect", "train.csv"], &flags[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    assert!(!text.contains("-999 to "), "{text}");
    assert!(text.contains("missing values: 0.69 %"), "{text}");
}

/// Sixteen series, rising and falling, with a row for each step.
fn long_table() -> String {
    let mut long = "series,time,value,label\n".to_owned();
    for sample in 0..16_u8 {
        let (sign, label) = match sample % 2 {
            0 => (1.0, "up"),
            _ => (-1.0, "down"),
        };
        for step in 0..9_u8 {
            let value = sign * f64::from(step) + f64::from(sample) * 0.1;
            long.push_str(&format!("s{sample},{step},{value:.2},{label}\n"));
        }
    }
    long
}

/// The flags that say what the columns of [`long_table`] are.
const COLUMNS: [&str; 4] = ["--id-column", "series", "--time-column", "time"];

#[test]
fn malformed_rows_of_a_long_table_are_left_out_of_predictions() {
    let bench = Bench::new();
    let long = long_table();
    bench.write("long.csv", &long);
    bench.write("bad.csv", &long.replacen(",3.00,", ",x,", 1));
    let args = [
        "train",
        "long.csv",
        "--model-type",
        "kernels_only",
        "--out",
        "run",
    ];
    let output = bench.run(&[&args[..], &COLUMNS].concat());
    assert!(output.status.success(), "{output:?}");

    let args = [
        "predict",
        "run",
        "bad.csv",
        "--on-error",
        "skip",
        "--out",
        "answers.csv",
    ];
    let output = bench.run(&args);
    assert!(output.status.success(), "{output:?}");
    assert!(
        stderr(&output).contains("1 malformed rows are left out"),
        "{output:?}"
    );
    let answers = fs::read_to_string(bench.path("answers.csv")).expect("a file");
    assert_eq!(answers.lines().count(), 17, "{answers}");
}

#[test]
fn labels_that_change_within_a_sample_are_refused_only_where_labels_are_needed() {
    let bench = Bench::new();
    let long = long_table();
    bench.write("long.csv", &long);
    bench.write("mixed.csv", &long.replacen(",up\n", ",down\n", 1));
    let args = ["--model-type", "kernels_only", "--out", "run"];
    let output = bench.run(&[&["train", "long.csv"], &args[..], &COLUMNS].concat());
    assert!(output.status.success(), "{output:?}");

    let sound = bench.run(&["predict", "run", "long.csv"]);
    assert!(sound.status.success(), "{sound:?}");
    let mixed = bench.run(&["predict", "run", "mixed.csv"]);
    assert!(mixed.status.success(), "{mixed:?}");
    assert_eq!(stdout(&mixed), stdout(&sound));
    let warning = "samples whose labels change are read without a label: 1 ";
    assert!(stderr(&mixed).contains(warning), "{mixed:?}");
    assert!(!stderr(&sound).contains(warning), "{sound:?}");

    let told = bench.run(&[&["inspect", "mixed.csv"], &COLUMNS[..]].concat());
    assert!(told.status.success(), "{told:?}");
    assert!(stdout(&told).contains(warning), "{told:?}");
    for args in [
        [&["train", "mixed.csv"], &COLUMNS[..]].concat(),
        vec!["evaluate", "run", "mixed.csv"],
    ] {
        let refused = bench.run(&args);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(
            stderr(&refused).contains("within one sample"),
            "{refused:?}"
        );
    }
}

#[test]
fn evaluate_says_how_the_series_were_read() {
    let bench = Bench::trained();
    bench.write("odd.csv", &table(8).replacen(",up\n", ",sideways\n", 1));
    let output = bench.run(&["evaluate", "run", "odd.csv"]);
    assert!(output.status.success(), "{output:?}");
    let told = stderr(&output);
    for line in [
        "8 samples, 1 variate (x), 9 steps, ",
        "  the first row is a header\n",
        "  warning: classes that the model does not know, with their samples",
        "sideways (1)",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let printed = stdout(&output);
    assert!(printed.starts_with("test accuracy "), "{printed}");
    assert_eq!(printed.lines().count(), 1, "{printed}");
}

#[test]
fn a_run_that_is_refused_does_not_take_the_folder() {
    let bench = Bench::new();
    bench.write("train.csv", &table(16).replace("down", "up"));
    fs::create_dir(bench.path("kept")).expect("a folder");
    for (folder, stays) in [("run", false), ("kept", true)] {
        let args = [
            "train",
            "train.csv",
            "--model-type",
            "kernels_only",
            "--out",
            folder,
        ];
        let refused = bench.run(&args);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(stderr(&refused).contains("two classes"), "{refused:?}");
        assert_eq!(bench.path(folder).exists(), stays, "{folder}");
        assert!(!bench.path(folder).join("config.json").exists(), "{folder}");
    }
    bench.write("train.csv", &table(16));
    let mended = bench.run(&TRAIN);
    assert!(mended.status.success(), "{mended:?}");
}

#[test]
fn the_name_of_a_set_does_not_lead_out_of_the_folder_of_runs() {
    let bench = Bench::new();
    let mut text = "@problemName ../../out\n@classLabel true up down\n@data\n".to_owned();
    for i in 0..8 {
        text.push_str(&format!(
            "{i},1,2,3,4,5,6,7,8:up\n{i},-1,-2,-3,-4,-5,-6,-7,-8:down\n"
        ));
    }
    bench.write("set.ts", &text);
    let output = bench.run(&["train", "set.ts", "--model-type", "kernels_only"]);
    assert!(output.status.success(), "{output:?}");
    let runs = fs::read_dir(bench.path("runs")).expect("a folder");
    let names: Vec<_> = runs.map(|run| run.expect("an entry").file_name()).collect();
    assert_eq!(names, [Path::new("___.._out-kernels_only-1").as_os_str()]);
}

#[test]
fn values_that_no_file_could_have_are_wrong_usage() {
    let bench = Bench::new();
    for flags in [
        ["--variates", "0"],
        ["--window", "0"],
        ["--delimiter", "1"],
        ["--folds", "0"],
        ["--test-fraction", "0"],
        ["--test-fraction", "1"],
    ] {
        let output = bench.run(&[&["train", "train.csv"], &flags[..]].concat());
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {output:?}");
    }
    let output = bench.run(&["early", "run", "test.csv", "--shares", "0"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
