//! Files that pandas, numpy, pyarrow and aeon wrote: `tests/fixtures/read/NOTE.md`.

#[cfg(feature = "parquet")]
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;

#[cfg(feature = "parquet")]
use super::super::parse;
use super::super::{ReadOptions, ReadSeries, SeriesReader, read_with};
use super::full;
use crate::data::Labels;

#[derive(Deserialize)]
struct Expected {
    /// `[n_samples][n_variates][n_steps]`
    x: Vec<Vec<Vec<f32>>>,
    y: Vec<String>,
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/read")
        .join(name)
}

fn expected() -> Expected {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn read_fixture(name: &str, options: &ReadOptions) -> ReadSeries {
    read_with(&fixture(name), options).unwrap_or_else(|error| panic!("{name}: {}", full(&error)))
}

fn labels(read: &ReadSeries) -> Vec<&str> {
    let names = read.dataset.class_names();
    read.dataset
        .samples()
        .iter()
        .map(|sample| names[sample.label].as_str())
        .collect()
}

/// Values as `[n_samples][n_variates][n_steps]`, variates in order of their names.
fn values(read: &ReadSeries) -> Vec<Vec<Vec<f32>>> {
    let names = read.dataset.variate_names();
    let mut order: Vec<usize> = (0..read.dataset.n_variates()).collect();
    order.sort_by_key(|&variate| names.get(variate));
    let samples = read.dataset.samples().iter();
    samples
        .map(|sample| {
            order
                .iter()
                .map(|&v| sample.series.variate(v).collect())
                .collect()
        })
        .collect()
}

/// The first variate of each sample.
fn first_variate(expected: &Expected) -> Vec<Vec<Vec<f32>>> {
    expected
        .x
        .iter()
        .map(|sample| vec![sample[0].clone()])
        .collect()
}

#[test]
fn tables_of_pandas_are_read() {
    let expected = expected();
    for name in [
        "wide.csv",
        "wide.csv.gz",
        "wide.tsv",
        "wide_index.csv",
        "wide_semicolon.csv",
        "wide_quoted.csv",
        "wide_shuffled.csv",
        "long.csv",
        "long_dates.csv",
        "values.csv",
    ] {
        let read = read_fixture(name, &ReadOptions::default());
        let ids = &read.dataset.metadata().ids[0];
        let mut order: Vec<usize> = (0..6).collect();
        order.sort_by_key(|&index| &ids.values[index]);
        let (found, classes) = (values(&read), labels(&read));
        for (row, &index) in order.iter().enumerate() {
            assert_eq!(found[index], expected.x[row], "{name}");
            assert_eq!(classes[index], expected.y[row], "{name}");
        }
        assert_eq!(ids.name, "id", "{name}");
        assert!(
            read.understanding
                .to_string()
                .starts_with("6 samples, 2 variates (acc_"),
            "{name}: {}",
            read.understanding
        );
    }
}

#[test]
fn a_frame_of_an_array_and_the_archives_tsv_are_read() {
    let expected = expected();
    let read = read_fixture("numbered.csv", &ReadOptions::default());
    assert_eq!(values(&read), first_variate(&expected));
    assert_eq!(labels(&read), expected.y);
    let read = read_fixture("ucr.tsv", &ReadOptions::default());
    assert_eq!(values(&read), first_variate(&expected));
    assert_eq!(labels(&read), ["3", "1", "3", "2", "1", "2"]);
}

#[test]
fn missing_values_of_pandas_are_read() {
    let expected = expected();
    for name in ["empty", "null", "none", "slash"] {
        let read = read_fixture(&format!("missing_{name}.csv"), &ReadOptions::default());
        let mut found = values(&read);
        for (sample, variate, step) in [(1, 0, 2), (3, 1, 0)] {
            assert!(found[sample][variate][step].is_nan(), "{name}");
            found[sample][variate][step] = expected.x[sample][variate][step];
        }
        assert_eq!(found, expected.x, "{name}");
    }
}

#[test]
fn arrays_of_numpy_are_read() {
    let expected = expected();
    for name in [
        "f2.npz",
        "f4.npz",
        "f8_big.npz",
        "packed.npz",
        "fortran.npz",
    ] {
        let read = read_fixture(name, &ReadOptions::default());
        assert_eq!(values(&read), expected.x, "{name}");
        assert_eq!(labels(&read), expected.y, "{name}");
    }
    let packed = read_fixture("packed.npz", &ReadOptions::default());
    assert_eq!(packed.dataset.metadata().ids[0].values[5], "s5");
    for name in ["integers.npz", "integers_big.npz"] {
        let read = read_fixture(name, &ReadOptions::default());
        let eighths: Vec<Vec<Vec<f32>>> = values(&read)
            .into_iter()
            .map(|sample| {
                sample
                    .into_iter()
                    .map(|v| v.into_iter().map(|x| x / 8.0).collect())
                    .collect()
            })
            .collect();
        assert_eq!(eighths, expected.x, "{name}");
        assert_eq!(labels(&read), ["3", "1", "3", "2", "1", "2"], "{name}");
    }
    let options = ReadOptions {
        label_file: Some(fixture("y.npy")),
        ..ReadOptions::default()
    };
    let read = read_fixture("x.npy", &options);
    assert_eq!(
        (values(&read), labels(&read)),
        (expected.x, expected.y.iter().map(String::as_str).collect())
    );
    let error = read_with(&fixture("x.npy"), &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with(
        "found an array without labels, expected a file of labels; --label-file y.npy names it, \
         --no-label reads without labels"
    ));
}

#[cfg(feature = "parquet")]
#[test]
fn files_of_pyarrow_are_read() {
    let expected = expected();
    for name in ["wide.parquet", "lists.parquet"] {
        let read = read_fixture(name, &ReadOptions::default());
        assert_eq!(values(&read), expected.x, "{name}");
        assert_eq!(labels(&read), expected.y, "{name}");
        assert_eq!(read.dataset.metadata().ids[0].values[5], "s5", "{name}");
        assert_eq!(read.dataset.variate_names(), ["acc_x", "acc_y"], "{name}");
    }
}

#[cfg(feature = "parquet")]
#[test]
fn a_damaged_parquet_file_is_an_error_or_a_sound_set_and_no_panic() {
    let sound = std::fs::read(fixture("lists.parquet")).expect("a file");
    let (mut n_refused, footer) = (0, sound.len().saturating_sub(2000));
    for at in (4..footer).step_by(7).chain(footer..sound.len()) {
        for change in [0x01, 0x80] {
            let mut bytes = sound.clone();
            bytes[at] ^= change;
            let read = parse(
                bytes.as_slice(),
                Path::new("t.parquet"),
                &ReadOptions::default(),
            );
            let Err(error) = read else { continue };
            n_refused += 1;
            let message = error.to_string();
            assert!(message.starts_with("`t.parquet`"), "byte {at}: {message}");
        }
    }
    assert!(n_refused > 200, "{n_refused} refused");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_parquet_file_is_named_by_a_build_that_cannot_read_it() {
    let error = read_with(&fixture("wide.parquet"), &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with(
        "is a Parquet file, expected a build with the feature `parquet`, or its table saved as CSV"
    ));
}

#[test]
fn files_of_the_archive_are_read() {
    let expected = expected();
    for name in [
        "aeon_multivariate.ts",
        "aeon_univariate.ts",
        "univariate.arff",
        "multivariate.arff",
    ] {
        let read = read_fixture(name, &ReadOptions::default());
        let uni = name.contains("univariate");
        let of_file = if uni {
            first_variate(&expected)
        } else {
            expected.x.clone()
        };
        assert_eq!(values(&read), of_file, "{name}");
        let first_word = |label: &String| label.split(' ').next().map(str::to_owned);
        let short: Vec<String> = expected.y.iter().filter_map(first_word).collect();
        let classes = if name == "multivariate.arff" {
            &short
        } else {
            &expected.y
        };
        assert_eq!(&labels(&read), classes, "{name}");
    }
    let read = read_fixture("aeon_unequal.ts", &ReadOptions::default());
    let lengths: Vec<usize> = values(&read).iter().map(|sample| sample[0].len()).collect();
    assert_eq!(lengths, [5, 4, 3, 5, 4, 3]);
}

#[test]
fn a_damaged_archive_of_arrays_is_refused() {
    let whole = std::fs::read(fixture("packed.npz")).unwrap();
    let options = ReadOptions {
        labels: Labels::Optional,
        ..ReadOptions::default()
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let read = SeriesReader::of_bytes(&bytes[..], "x.npz".as_ref(), &options);
        // Names of other arrays, dates and the like may change without harm to the values.
        if let Ok(read) = read.and_then(SeriesReader::read_all) {
            assert_eq!(values(&read), expected().x, "byte {at}");
        }
    }
    // The last two bytes are the length of a comment.
    for at in 0..whole.len() - 2 {
        let read = SeriesReader::of_bytes(&whole[..at], "x.npz".as_ref(), &options);
        assert!(
            read.and_then(SeriesReader::read_all).is_err(),
            "cut at {at}"
        );
    }
}
