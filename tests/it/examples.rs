//! What the tests of the examples' commands share: where the programs are, a folder with two tables.
//!
//! Cargo builds the examples beside this binary for a whole `cargo test`; where they are not there
//! (`cargo test --test it` on a clean clone), the tests say so and pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

pub(crate) fn example() -> Option<PathBuf> {
    built("train_dual")
}

pub(crate) fn built(example: &str) -> Option<PathBuf> {
    let deps = std::env::current_exe().ok()?;
    let path = deps.parent()?.parent()?.join("examples").join(example);
    let path = path.with_extension(std::env::consts::EXE_EXTENSION);
    if !path.is_file() {
        println!(
            "skipped: {} is not built; a whole `cargo test` builds it",
            path.display()
        );
        return None;
    }
    Some(path)
}

/// Sixteen series of one variate in two classes: rising and falling.
pub(crate) fn table(rows: usize) -> String {
    let row = |i: usize| {
        let sign = if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let values = (0..9).map(|step| format!("{}", sign * f64::from(step) + i as f64 * 0.1));
        let label = if i.is_multiple_of(2) { "up" } else { "down" };
        values
            .chain([label.to_owned()])
            .collect::<Vec<_>>()
            .join(",")
    };
    let header = (0..9)
        .map(|step| format!("t{step}"))
        .collect::<Vec<_>>()
        .join(",");
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("{header},label\n{}\n", rows.join("\n"))
}

pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self {
            folder: tempfile::tempdir().expect("a folder for the test"),
        };
        bench.write("train.csv", &table(16));
        bench.write("test.csv", &table(8));
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file for the test");
    }

    pub(crate) fn run(&self, example: &Path, train: &str, test: &str, more: &[&str]) -> Output {
        let mut command = Command::new(example);
        command
            .arg("--data")
            .arg(self.path(train))
            .arg("--test-data")
            .arg(self.path(test));
        command.args(["--epochs", "3", "--variates", "1"]);
        command.arg("--out").arg(self.path("run")).args(more);
        command.output().expect("the example starts")
    }

    pub(crate) fn report(&self, run: &str) -> Value {
        let path = self.path(run).join("report.json");
        let text = fs::read_to_string(path).expect("a report");
        serde_json::from_str(&text).expect("a report in JSON")
    }
}
