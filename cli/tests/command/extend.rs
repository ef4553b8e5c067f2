//! Runs that are trained on, and runs that start from another's model.

use serde_json::Value;

use crate::bench::{Bench, stderr};

/// A run of small networks that read values.
const ARGS: [&str; 13] = [
    "train",
    "train.csv",
    "--test-data",
    "test.csv",
    "--model-type",
    "language_only",
    "--text-weights",
    "none",
    "--folds",
    "2",
    "--out",
    "run",
    "--epochs",
];

fn epochs(report: &Value) -> Vec<u64> {
    let history = report["folds"][0]["history"].as_array();
    let epochs = history.into_iter().flatten();
    epochs
        .filter_map(|record| record["epoch"].as_u64())
        .collect()
}

#[test]
fn a_complete_run_is_trained_on_and_says_so() {
    let bench = Bench::new();
    let run = |more: &[&str]| bench.run(&[&ARGS[..], more].concat());
    let first = run(&["2"]);
    assert!(first.status.success(), "{first:?}");
    assert!(stderr(&first).contains("precision  recall"), "{first:?}");
    assert_eq!(epochs(&bench.json("run/report.json")), [1, 2]);

    let other = run(&["5", "--resume", "--seed", "7"]);
    assert!(stderr(&other).contains("seed 42, not 7"), "{other:?}");
    let longer = run(&["5", "--resume"]);
    assert!(longer.status.success(), "{longer:?}");
    let report = bench.json("run/report.json");
    assert_eq!(epochs(&report), [1, 2, 3, 4, 5]);
    let seconds = report["folds"][1]["epoch_seconds"].as_array();
    assert_eq!(seconds.map(Vec::len), Some(5));
    let config = bench.json("run/config.json");
    assert_eq!(config["options"]["training"]["epochs"], 5);

    let less = run(&["4", "--resume"]);
    assert_eq!(less.status.code(), Some(1), "{less:?}");
    assert!(
        stderr(&less).contains("was trained for 5 epochs"),
        "{less:?}"
    );

    let next = ["--out", "next", "--init-from", "run"];
    let next = run(&[&["1"], &next[..]].concat());
    assert!(next.status.success(), "{next:?}");
    let folds = run(&["1", "--out", "third", "--init-from", "run", "--folds", "3"]);
    assert!(
        stderr(&folds).contains("judged by what it has seen"),
        "{folds:?}"
    );
}

#[cfg(feature = "tensorboard")]
#[test]
fn learning_curves_are_left_for_tensorboard() {
    let bench = Bench::new();
    let output = bench.run(&[&ARGS[..], &["2", "--tensorboard"]].concat());
    assert!(output.status.success(), "{output:?}");
    for fold in ["fold-1", "fold-2"] {
        let folder = bench.path("run/tensorboard").join(fold);
        let files = std::fs::read_dir(folder)
            .expect("a folder of events")
            .count();
        assert_eq!(files, 1, "{fold}");
    }
}
