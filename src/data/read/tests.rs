//! Readers from the outside: files as people have them, and what is said of them.

mod fixtures;
mod folders;
mod generated;
mod known;
mod labels;
mod long;
mod text;
mod ts;
mod wide;

use std::path::Path;

use super::*;

fn read(
    name: &str,
    text: impl AsRef<[u8]>,
    options: &ReadOptions,
) -> Result<ReadSeries, ReadError> {
    parse(text.as_ref(), Path::new(name), options)
}

/// Reads a file that tells all by itself.
fn plain(text: impl AsRef<[u8]>) -> ReadSeries {
    read("t.csv", text, &ReadOptions::default()).unwrap_or_else(|error| panic!("{}", full(&error)))
}

fn full(error: &ReadError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn refusal_with(text: impl AsRef<[u8]>, options: &ReadOptions) -> String {
    full(
        &read("t.csv", text, options)
            .map(|read| read.understanding)
            .unwrap_err(),
    )
}

fn refusal(text: impl AsRef<[u8]>) -> String {
    refusal_with(text, &ReadOptions::default())
}

fn values(read: &ReadSeries, index: usize) -> Vec<Option<f32>> {
    let values = read.dataset.samples()[index].series.values();
    values
        .iter()
        .map(|&value| (!value.is_nan()).then_some(value))
        .collect()
}

fn some(values: &[f32]) -> Vec<Option<f32>> {
    values.iter().copied().map(Some).collect()
}

fn classes(read: &ReadSeries) -> Vec<&str> {
    let names = read.dataset.class_names();
    read.dataset
        .samples()
        .iter()
        .map(|sample| names[sample.label].as_str())
        .collect()
}

fn unlabeled() -> ReadOptions {
    ReadOptions {
        labels: Labels::Absent,
        ..ReadOptions::default()
    }
}

fn variates(n_variates: usize) -> ReadOptions {
    ReadOptions {
        n_variates: Some(n_variates),
        ..ReadOptions::default()
    }
}
