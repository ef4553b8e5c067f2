//! A folder with tables, and the command run in it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// A run of the closed form alone, tested, into `run`.
pub(crate) const TRAIN: [&str; 8] = [
    "train",
    "train.csv",
    "--test-data",
    "test.csv",
    "--model-type",
    "kernels_only",
    "--out",
    "run",
];

/// Sixteen or so series of one variate in two classes: rising and falling.
pub(crate) fn table(rows: usize) -> String {
    let row = |i: usize| {
        let sign = if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let values = (0..9).map(|step| format!("{:.2}", sign * f64::from(step) + i as f64 * 0.1));
        let label = if i.is_multiple_of(2) { "up" } else { "down" };
        let id = format!("s{i}");
        let cells = [id].into_iter().chain(values).chain([label.to_owned()]);
        cells.collect::<Vec<_>>().join(",")
    };
    let header: Vec<String> = (0..9).map(|step| format!("x_{step}")).collect();
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!("id,{},label\n{}\n", header.join(","), rows.join("\n"))
}

/// A folder with tables and what the command leaves in it.
pub(crate) struct Bench(tempfile::TempDir);

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self(tempfile::tempdir().expect("a folder"));
        bench.write("train.csv", &table(16));
        bench.write("test.csv", &table(8));
        bench
    }

    /// With a run of the closed form alone in `run`.
    pub(crate) fn trained() -> Self {
        let bench = Self::new();
        let output = bench.run(&TRAIN);
        assert!(output.status.success(), "{output:?}");
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file for the test");
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_timesclip"));
        command.args(args).current_dir(self.0.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the command starts")
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.path(name)).expect("a file");
        serde_json::from_str(&text).expect("JSON")
    }
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}
