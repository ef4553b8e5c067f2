//! `timesclip compare`: tables, and going on with what is there.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::bench::{Bench, stderr, stdout, table};

const ARGS: [&str; 10] = [
    "compare",
    "train.csv",
    "--test-data",
    "test.csv",
    "--models",
    "kernels_only,random_vision,raw_ink,dtw,majority",
    "--seeds",
    "2",
    "--out",
    "compared",
];

fn lines(bench: &Bench) -> Vec<PathBuf> {
    let folder = fs::read_dir(bench.path("compared/lines")).expect("a folder");
    let mut lines: Vec<PathBuf> = folder
        .map(|entry| entry.expect("an entry").path())
        .collect();
    lines.sort();
    lines
}

#[test]
fn compare_tests_every_line_once_and_goes_on_with_what_is_there() {
    let bench = Bench::new();
    let first = bench.run(&ARGS);
    assert!(first.status.success(), "{first:?}");
    let markdown = stdout(&first);
    let rows: Vec<&str> = markdown
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    let models: Vec<&str> = rows[1..]
        .iter()
        .filter_map(|row| row.split(" | ").next())
        .collect();
    assert_eq!(
        models,
        [
            "| kernels_only",
            "| random_vision",
            "| raw_ink",
            "| dtw",
            "| majority"
        ]
    );
    assert!(
        rows[1].contains("| 2 | 1.0000 ± 0.0000 | – |"),
        "{markdown}"
    );
    assert!(
        rows[3].contains("| 1 | ") && rows[4].contains("| 1 | "),
        "no seed changes raw ink or dtw: {markdown}"
    );
    assert!(rows[5].contains("| 1 | 0.5000 | -0.5000 ("), "{markdown}");
    assert!(markdown.contains("paired bootstrap"), "{markdown}");

    // Two seeds of two models, one line of each of the others.
    let kept = lines(&bench);
    assert_eq!(kept.len(), 7, "{kept:?}");
    let csv = fs::read_to_string(bench.path("compared/comparison.csv")).expect("a table");
    assert_eq!(csv.lines().count(), 8, "{csv}");
    let html = fs::read_to_string(bench.path("compared/comparison.html")).expect("a page");
    assert!(html.contains("<section id=\"comparison\">"), "{html}");

    // A line that is there is not done again: what it says is believed. One that is missing is.
    let text = fs::read_to_string(&kept[0]).expect("a line");
    let mut line: Value = serde_json::from_str(&text).expect("JSON");
    line["fit_seconds"] = 1000.into();
    fs::write(&kept[0], line.to_string()).expect("a changed line");
    fs::remove_file(&kept[1]).expect("a line less");
    let second = bench.run(&ARGS);
    assert!(second.status.success(), "{second:?}");
    let told = stderr(&second);
    assert_eq!(
        told.matches("accuracy ").count(),
        1,
        "one line is done: {told}"
    );
    let csv = fs::read_to_string(bench.path("compared/comparison.csv")).expect("a table");
    assert!(csv.contains(",1000.000,"), "{csv}");
    assert_eq!(lines(&bench).len(), 7);
}

#[test]
fn lines_of_other_data_or_options_are_not_mixed() {
    let bench = Bench::new();
    let majority = |more: &[&str]| {
        let args = [
            "compare",
            "train.csv",
            "--models",
            "majority",
            "--out",
            "kept",
        ];
        bench.run(&[&args[..], more].concat())
    };
    let output = majority(&[]);
    assert!(output.status.success(), "{output:?}");
    let full = majority(&["--effort", "full"]);
    assert_eq!(full.status.code(), Some(1), "{full:?}");
    assert!(
        stderr(&full).contains("lines of another --effort"),
        "{full:?}"
    );
    bench.write("train.csv", &table(14));
    let data = majority(&[]);
    assert!(
        stderr(&data).contains("lines of other training data"),
        "{data:?}"
    );
    let against = majority(&["--against", "dtw"]);
    assert!(
        stderr(&against).contains("not among the --models"),
        "{against:?}"
    );
    let unknown = bench.run(&["compare", "train.csv", "--models", "both"]);
    assert_eq!(unknown.status.code(), Some(2), "{unknown:?}");
}
