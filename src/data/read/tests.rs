//! Readers from the outside: files as people have them, and what is said of them.

mod fixtures;
mod generated;
mod known;

use std::path::Path;

use super::*;
use crate::data::window::{LabelRule, Windows};

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

#[test]
fn names_tell_variates_whatever_the_order_of_the_columns() {
    let major = plain("a_0,a_1,b_0,b_1,label\n1,2,10,20,x\n3,4,30,40,y\n");
    let minor = plain("label,b_1,a_1,b_0,a_0\nx,20,2,10,1\ny,40,4,30,3\n");

    assert_eq!(major.dataset.variate_names(), ["a", "b"]);
    assert_eq!(values(&major, 0), some(&[1.0, 10.0, 2.0, 20.0]));
    assert_eq!(minor.dataset.variate_names(), ["b", "a"]);
    assert_eq!(values(&minor, 0), some(&[10.0, 1.0, 20.0, 2.0]));
    assert_eq!(
        major.understanding.to_string(),
        "2 samples, 2 variates (a, b), 2 steps, 2 classes from column \"label\""
    );
}

#[test]
fn a_header_that_contradicts_flags_is_refused() {
    let table = "a_0,a_1,b_0,b_1,label\n1,2,10,20,x\n";
    assert_eq!(
        refusal_with(table, &variates(3)),
        "`t.csv`, line 1: found 2 variates (a, b) in the header, expected the 3 of --variates; \
         without --variates, the names tell"
    );
    let layout = ReadOptions {
        layout: Some(Layout::TimeMajor),
        ..ReadOptions::default()
    };
    assert_eq!(
        refusal_with(table, &layout),
        "`t.csv`, line 1: found a header in variate-major order, expected the time-major of \
         --layout; without --layout, the names tell"
    );
    assert!(
        refusal("a_0,a_1,b_0,label\n1,2,10,x\n")
            .starts_with("`t.csv`, line 1: found no column of variate `b` for step 1, expected")
    );
}

#[test]
fn the_files_of_the_ucr_archive_begin_with_the_label() {
    let text = "1\t0.5\t0.6\t0.7\n2\t1.5\t1.6\t1.7\n1\t0.1\t0.2\t0.3\n2\t0.5\t1.0\t0.1\n";
    let told = ReadOptions {
        label_column: Some("1".to_owned()),
        ..ReadOptions::default()
    };

    let found = read("Set_TRAIN.tsv", text, &ReadOptions::default()).unwrap();

    assert_eq!(found.dataset.len(), 4);
    assert_eq!(classes(&found), ["1", "2", "1", "2"]);
    assert_eq!(values(&found, 0), some(&[0.5, 0.6, 0.7]));
    assert!(
        found
            .understanding
            .notes
            .iter()
            .any(|note| note.contains("labels from column 1"))
    );
    assert_eq!(
        read("t.tsv", text, &told).unwrap().dataset.samples(),
        found.dataset.samples()
    );
    // The older form: blanks and exponents.
    let text = "  1.0000000e+00  5.0e-01  6.0e-01\n  2.0000000e+00  1.5  1.6\n";
    let text = text.repeat(2);
    let found = read("Set_TRAIN.txt", text, &ReadOptions::default()).unwrap();
    assert_eq!(found.dataset.class_names(), ["1", "2"]);
    assert_eq!(values(&found, 1), some(&[1.5, 1.6]));
}

#[test]
fn column_numbers_as_pandas_writes_them_are_a_header() {
    let found = plain("0,1,2,3,label\n1.5,2.5,3.5,4.5,x\n2.5,3.5,4.5,5.5,y\n");
    assert_eq!(found.dataset.len(), 2);
    assert_eq!(values(&found, 0), some(&[1.5, 2.5, 3.5, 4.5]));
    // With the index that `to_csv` writes.
    let found = plain(",0,1,2,3,label\n0,1.5,2.5,3.5,4.5,x\n1,2.5,3.5,4.5,5.5,y\n");
    assert_eq!(found.dataset.len(), 2);
    assert_eq!(values(&found, 1), some(&[2.5, 3.5, 4.5, 5.5]));
    // The same row is a sample where it is said to be one.
    let absent = ReadOptions {
        header: HeaderRow::Absent,
        ..ReadOptions::default()
    };
    let found = read("t.csv", "0,1,2,3,x\n1.5,2.5,3.5,4.5,x\n", &absent).unwrap();
    assert_eq!(found.dataset.len(), 2);
    // A label that recurs is none of a name.
    assert_eq!(plain("0,1,2,3,x\n1,2,3,5,x\n5,3,2,1,y\n").dataset.len(), 3);
    assert_eq!(plain("1,2,a\n3,4,b\n").dataset.len(), 2);
}

#[test]
fn semicolons_and_decimal_commas_are_detected() {
    let found = plain("x_0;x_1;label\n1,5;2,25;a\n-0,5;3,0;b\n");
    assert_eq!(values(&found, 0), some(&[1.5, 2.25]));
    assert_eq!(values(&found, 1), some(&[-0.5, 3.0]));
    assert!(
        found
            .understanding
            .notes
            .contains(&"numbers with a decimal comma".to_owned())
    );
    let message = refusal("x_0,x_1,label\n\"1,5\",2,a\n3,4,b\n");
    assert!(
        message.starts_with("`t.csv`, line 2, column 1 (`x_0`): found `1,5`, expected a finite"),
        "{message}"
    );
    assert!(
        message.ends_with("--decimal-comma reads it as a number"),
        "{message}"
    );
}

#[test]
fn a_missing_file_is_said_to_be_missing_before_anything_else() {
    let error = SeriesDataset::read("none.csv").unwrap_err();
    assert!(full(&error).starts_with("cannot read none.csv: No such file"));
}

#[test]
fn every_usual_spelling_of_missing_is_read() {
    let found = plain("x_0,x_1,x_2,x_3,x_4,label\nNULL,N/A,None,null,1,a\n1,?,,NaN,2,b\n");
    assert_eq!(values(&found, 0), [None, None, None, None, Some(1.0)]);
    let gap = ReadOptions {
        missing: vec!["gap".to_owned()],
        ..ReadOptions::default()
    };
    let table = "x_0,x_1,label\ngap,1,a\n2,3,b\n";
    assert_eq!(
        values(&read("t.csv", table, &gap).unwrap(), 0),
        [None, Some(1.0)]
    );
    let message = refusal(table);
    assert!(
        message.contains("--missing \"gap\" reads it as missing"),
        "{message}"
    );
}

#[test]
fn one_and_one_point_zero_are_one_class() {
    let found = plain("x_0,x_1,label\n1,2,1.0\n3,4,1\n5,6,2.0\n");
    assert_eq!(found.dataset.class_names(), ["1", "2"]);
}

#[test]
fn comments_are_passed_over_and_counted() {
    let found = plain("% made by hand\n# twice\nx_0,x_1,label\n1,2,a\n# inside\n3,4,b\n");
    assert_eq!(found.dataset.len(), 2);
    assert!(
        found
            .understanding
            .notes
            .contains(&"3 comment lines passed over".to_owned())
    );
}

#[test]
fn labels_that_look_like_a_target_of_regression_are_refused() {
    let rows: String = (0..40)
        .map(|i| {
            format!(
                "{},{},{},{}\n",
                i as f32 * 0.5,
                i * 7 % 5,
                ["a", "b"][i % 2],
                i as f32 * 0.37
            )
        })
        .collect();
    let options = ReadOptions {
        label_column: Some("y".to_owned()),
        ..ReadOptions::default()
    };
    let message = refusal_with(format!("x_0,x_1,crop,y\n{rows}"), &options);
    assert_eq!(
        message,
        "`t.csv`: found 40 different numbers in 40 samples as labels, from column \"y\": it looks \
         like a regression target, expected the names of a few classes; --label-column names the \
         column of the classes; it could be column \"x_1\", column \"crop\""
    );
    // Where labels may be missing, it is no more than suspicious.
    let options = ReadOptions {
        labels: Labels::Optional,
        ..options
    };
    let found = read("t.csv", format!("x_0,x_1,crop,y\n{rows}"), &options).unwrap();
    assert_eq!(found.understanding.warnings[0], message);
}

#[test]
fn classes_that_a_file_lists_are_classes_however_many() {
    // The UCR set Fungi has one training sample of each of its 18 classes.
    let names: Vec<String> = (1..=18).map(|class| class.to_string()).collect();
    let rows: String = names
        .iter()
        .map(|class| format!("{class},2,3:{class}\n"))
        .collect();
    let header = |listed: &str| format!("@problemName f\n@classLabel true{listed}\n@data\n");
    let listed = header(&format!(" {}", names.join(" "))) + &rows;
    let found = read("f.ts", listed, &ReadOptions::default()).unwrap();
    assert_eq!(found.dataset.n_classes(), 18);
    let message = read("f.ts", header("") + &rows, &ReadOptions::default()).unwrap_err();
    assert!(
        message
            .to_string()
            .contains("looks like a regression target")
    );
}

#[test]
fn defects_of_tables_are_told_with_line_and_remedy() {
    for (text, start, end) in [
        (
            "x_0,x_1,label\n1,2,a\n3,b\n",
            "`t.csv`, line 3: found 2 columns, expected 3 as in line 1",
            "--on-error skip leaves such rows out",
        ),
        (
            "x_0,x_0,label\n1,2,a\n",
            "`t.csv`, line 1, column 2: found `x_0`, expected every name once",
            "--no-header reads the row as a sample",
        ),
        (
            "x_0,x_1,label\n",
            "`t.csv`, line 1: found a header and no rows, expected a row for each sample",
            "--no-header reads the only row as a sample",
        ),
        (
            "x_0,x_1,label\n1,2,\"a\n3,4,b\n",
            "`t.csv`, line 2: found a quote that is never closed",
            "expected a second quote at the end of its cell",
        ),
        (
            "x_0,x_1,label\n1,2,a\n3,4,\n",
            "`t.csv`, line 3, column 3 (`label`): found ``, expected the name of a class",
            "--on-error skip leaves rows without a label out",
        ),
        (
            "x_0,x_1,label\n1,abc,a\n3,4,b\n5,6,b\n",
            "`t.csv`, line 2, column 2 (`x_1`): found `abc`, expected a finite 32-bit number",
            "--ignore-columns passes the column over",
        ),
        (
            "x_0,x_1,label\n1,1e39,a\n3,4,b\n",
            "`t.csv`, line 2, column 2 (`x_1`): found `1e39`, expected a finite 32-bit number",
            "--missing 1e39 reads it as missing",
        ),
        (
            "",
            "`t.csv`: found an empty file",
            "expected a row for each sample",
        ),
        (
            "# only\n",
            "`t.csv`: found only comments",
            "expected a row for each sample",
        ),
    ] {
        let message = refusal(text);
        assert!(message.starts_with(start), "{text:?}: {message}");
        assert!(message.ends_with(end), "{text:?}: {message}");
    }
}

#[test]
fn headers_that_tell_no_values_are_refused() {
    for (text, start, end) in [
        (
            "mean,std,label\n1,2,a\n3,4,b\n",
            "`t.csv`, line 1: found the value columns mean, std, expected names that tell variate \
             and step",
            "--time-column reads a table with a row for each step",
        ),
        (
            "subject,x_0,x_1,label\n1,2,3,a\n2,3,4,b\n",
            "`t.csv`, line 1, column 1: found `subject`, a column of numbers, expected a name that \
             tells variate and step",
            "--id-column, --group-column, --ignore-columns or --value-columns say what it is",
        ),
    ] {
        let message = refusal(text);
        assert!(message.starts_with(start), "{text:?}: {message}");
        assert!(message.ends_with(end), "{text:?}: {message}");
    }
}

#[test]
fn columns_that_are_asked_for_and_absent_are_named() {
    let table = "x_0,x_1,crop\n1,2,a\n3,4,b\n";
    let with = |set: fn(&mut ReadOptions, String)| {
        let mut options = ReadOptions::default();
        set(&mut options, "kind".to_owned());
        refusal_with(table, &options)
    };
    let start = "`t.csv`, line 1: found no column `kind`, expected one of: x_0, x_1, crop; ";
    for (message, flag) in [
        (
            with(|o, name| o.label_column = Some(name)),
            "--label-column",
        ),
        (with(|o, name| o.id_columns = vec![name]), "--id-column"),
        (
            with(|o, name| o.group_column = Some(name)),
            "--group-column",
        ),
        (
            with(|o, name| o.weight_column = Some(name)),
            "--weight-column",
        ),
        (
            with(|o, name| o.ignore_columns = vec![name]),
            "--ignore-columns",
        ),
        (
            with(|o, name| o.value_columns = vec![name]),
            "--value-columns",
        ),
        (with(|o, name| o.time_column = Some(name)), "--time-column"),
    ] {
        assert_eq!(
            message,
            format!("{start}{flag} names it, or gives its number")
        );
    }
    assert_eq!(
        refusal_with("1,2,3\n4,5,6\n", &variates(4)),
        "`t.csv`, line 1: found 2 value columns, expected a multiple of the 4 variates; \
         --variates, --delimiter, --label-column, --id-column or --no-label may be wrong or missing"
    );
}

#[test]
fn columns_have_their_roles() {
    let table = "id,subject,w,note,x_0,x_1,activity\n\
                 a1,s1,1,fine,1,2,walk\na2,s1,0.5,fine,3,4,run\na3,s2,2,odd,5,6,walk\n";
    let options = ReadOptions {
        group_column: Some("subject".to_owned()),
        weight_column: Some("w".to_owned()),
        label_column: Some("activity".to_owned()),
        ..ReadOptions::default()
    };

    let found = read("t.csv", table, &options).unwrap();

    let metadata = found.dataset.metadata();
    assert_eq!(metadata.ids[0].values, ["a1", "a2", "a3"]);
    assert_eq!(found.dataset.groups().unwrap(), ["s1", "s1", "s2"]);
    assert_eq!(metadata.weights.as_deref(), Some(&[1.0, 0.5, 2.0][..]));
    assert_eq!(
        found.understanding.to_string(),
        "3 samples, 1 variate (x), 2 steps, 2 classes from column \"activity\", column \"id\" \
         carried through, 2 groups from column \"subject\", weights from column \"w\", column \
         \"note\" passed over"
    );
    let bad = table.replace(",0.5,", ",-1,");
    let message = refusal_with(bad, &options);
    assert_eq!(
        message,
        "`t.csv`, line 3, column 3 (`w`): found `-1`, expected a weight, at least 0"
    );
}

#[test]
fn tables_without_names_are_read_by_place() {
    let time_major = read("t.csv", "1,10,2,20,b\n3,30,4,40,a\n", &variates(2)).unwrap();
    let options = ReadOptions {
        layout: Some(Layout::VariateMajor),
        ..variates(2)
    };
    let variate_major = read("t.csv", "1,2,10,20,b\n3,4,30,40,a\n", &options).unwrap();

    assert_eq!(time_major.dataset, variate_major.dataset);
    assert_eq!(values(&time_major, 0), some(&[1.0, 10.0, 2.0, 20.0]));
    assert_eq!(classes(&time_major), ["b", "a"]);
    // Missing to the end: a shorter series.
    let short = read("t.csv", "1,10,2,20,b\n3,30,,,a\n,,,,a\n", &variates(2)).unwrap();
    let steps = short
        .dataset
        .samples()
        .iter()
        .map(|sample| sample.series.n_steps());
    assert_eq!(steps.collect::<Vec<_>>(), [2, 1, 1]);
}

#[test]
fn malformed_rows_are_left_out_if_asked_for_and_counted() {
    let table = "x_0,x_1,label\n1,2,a\nbad,2,a\n3,4,b\n5,6\n7,8,\"c\n9,9,b\n";
    let options = ReadOptions {
        on_error: OnError::Skip,
        ..ReadOptions::default()
    };

    let found = read("t.csv", table, &options).unwrap();

    let ids: Vec<u64> = found
        .dataset
        .samples()
        .iter()
        .map(|sample| sample.id)
        .collect();
    assert_eq!(ids, [0, 2, 5]);
    assert_eq!(found.understanding.n_rejected, 3);
    assert!(
        found
            .understanding
            .to_string()
            .ends_with(", 3 malformed rows left out")
    );
    assert!(found.understanding.rejected[0].starts_with("`t.csv`, line 3, column 1 (`x_0`)"));
    assert!(found.understanding.inspect().contains("left out"));
}

#[test]
fn uneven_steps_in_names_are_times() {
    let found = plain("a_0,a_1,a_5,label\n1,2,3,x\n4,5,6,y\n");
    assert_eq!(
        found.dataset.samples()[0].series.times(),
        Some(&[0.0, 1.0, 5.0][..])
    );
    assert!(
        found
            .understanding
            .to_string()
            .contains("2 with uneven times")
    );
}

#[test]
fn a_row_for_each_step_makes_samples_by_id_in_order_of_time() {
    let table = "id,time,x,y,activity\nb,2,3,30,run\na,1,1,10,walk\nb,1,2,20,run\na,2,4,40,walk\n";

    let found = plain(table);

    assert_eq!(
        found.understanding.to_string(),
        "2 samples, 2 variates (x, y), 2 steps, 2 classes from column \"activity\", column \"id\" \
         carried through"
    );
    assert_eq!(found.dataset.metadata().ids[0].values, ["b", "a"]);
    assert_eq!(values(&found, 0), some(&[2.0, 20.0, 3.0, 30.0]));
    assert_eq!(classes(&found), ["run", "walk"]);
    assert!(
        found
            .understanding
            .notes
            .iter()
            .any(|note| note.contains("put in order of time"))
    );
}

#[test]
fn dates_gaps_and_doubled_times_are_kept_and_counted() {
    let table = "id;date;x;label\na;2024-01-01;1;u\na;2024-01-02;2;u\na;2024-01-03;3;u\n\
                 a;2024-01-08;4;u\nb;2024-01-01;1;v\nb;2024-01-01;2;v\n";
    let found = plain(table);

    let times = found.dataset.samples()[0].series.times().unwrap();
    assert_eq!(times[3] - times[2], 5.0 * 86_400.0);
    let warnings = &found.understanding.warnings;
    assert!(
        warnings.contains(&"1 gaps between times".to_owned()),
        "{warnings:?}"
    );
    assert!(warnings.contains(&"1 steps have the time of the step before".to_owned()));
    let message = refusal(table.replace("2024-01-02", "soon"));
    assert_eq!(
        message,
        "`t.csv`, line 3, column 2 (`date`): found `soon`, expected a number or a date such as \
         2024-05-31 12:00"
    );
}

#[test]
fn a_row_for_each_value_is_put_together() {
    let table = "case_id,dim_id,reading_id,value,label\n0,1,0,10,u\n0,0,0,1,u\n0,0,1,2,u\n\
                 1,0,0,5,v\n1,1,0,50,v\n1,1,1,60,v\n1,1,1,61,v\n";
    let found = plain(table);

    assert_eq!(found.dataset.variate_names(), ["0", "1"]);
    assert_eq!(values(&found, 0), [Some(1.0), Some(10.0), Some(2.0), None]);
    assert_eq!(values(&found, 1), [Some(5.0), Some(50.0), None, Some(61.0)]);
    let warnings = &found.understanding.warnings;
    assert!(
        warnings[0].contains("1 values stand twice for one time"),
        "{warnings:?}"
    );
}

#[test]
fn labels_that_change_within_a_sample_need_windows() {
    let rows: String = (0..10)
        .map(|t| format!("{t},{},{}\n", t * t, if t < 6 { "a" } else { "b" }))
        .collect();
    let table = format!("time,x,label\n{rows}");
    let windows = |rule| {
        let windows = Windows {
            length: 4,
            stride: 2,
            label: rule,
        };
        let options = ReadOptions {
            windows: Some(windows),
            ..ReadOptions::default()
        };
        read("run.csv", &table, &options).unwrap()
    };
    let time = ReadOptions {
        time_column: Some("time".to_owned()),
        ..ReadOptions::default()
    };
    let message = refusal_with(&table, &time);
    assert!(message.starts_with("`t.csv`, line 2: found the labels a, b within one sample"));

    let last = windows(LabelRule::Last);
    assert_eq!(classes(&last), ["a", "a", "b", "b"]);
    assert_eq!(last.dataset.metadata().ids[1].values, ["0", "2", "4", "6"]);
    assert_eq!(last.dataset.metadata().ids[2].values, ["4", "6", "8", "10"]);
    assert_eq!(last.dataset.groups().unwrap(), ["0"; 4]);
    assert_eq!(values(&last, 1), some(&[4.0, 9.0, 16.0, 25.0]));
    let uniform = windows(LabelRule::Uniform);
    assert_eq!(classes(&uniform), ["a", "a", "b"]);
    assert!(
        uniform
            .understanding
            .warnings
            .iter()
            .any(|w| w.contains("1 windows have several"))
    );
}

const TS: &str = "@problemName toy\n@classLabel true a b\n@data\n";

#[test]
fn a_ts_file_is_read_with_its_classes() {
    let found = read(
        "toy.ts",
        format!("{TS}1,2,3:4,5,6:b\n7,8,9:0,?:A\n"),
        &ReadOptions::default(),
    );
    let found = found.unwrap();
    assert_eq!(found.dataset.name(), "toy");
    assert_eq!(values(&found, 0), some(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    assert_eq!(
        values(&found, 1),
        [Some(7.0), Some(0.0), Some(8.0), None, Some(9.0), None]
    );
    assert_eq!(classes(&found), ["b", "a"]);
    assert_eq!(found.understanding.format, Format::Ts);
}

#[test]
fn a_header_line_of_blanks_that_are_not_ascii_is_told() {
    let text = "@problemName x\n\u{a0}\n@classLabel true a b\n@data\n1,2:a\n3,4:b\n";
    let error = read("x.ts", text, &ReadOptions::default()).unwrap_err();
    let message = full(&error);
    assert!(
        message.contains("line 2") && message.contains("a header line that starts with `@`"),
        "{message}"
    );
    // Blanks in front of a keyword are none of its letters.
    let text = "@relation r\n\u{a0}@attribute x numeric\n@attribute c {a,b}\n@data\n1,a\n2,b\n";
    let found = read("x.arff", text, &ReadOptions::default()).unwrap();
    assert_eq!(classes(&found), ["a", "b"]);
}

#[test]
fn every_claim_of_a_ts_header_is_checked() {
    let claims =
        "@univariate true\n@dimensions 3\n@equalLength true\n@seriesLength 13\n@missing false\n";
    let found = plain(format!("{claims}{TS}1,2,3:1,2,?:a\n1,2:3,4:b\n"));
    assert_eq!(
        found.understanding.warnings,
        [
            "the header says `@dimensions 3`, the rows have 2",
            "the header says `@univariate true`, the rows have 2 variates",
            "the header says `@equalLength true`, series have 2 to 3 steps (another length in line 10)",
            "the header says `@seriesLength 13`, series have 2 to 3 steps",
            "the header says `@missing false`, line 9 has a missing value",
            "classes with one sample: a, b",
        ]
    );
    let empty = plain(format!("{TS}1,2::a\n3,4::a\n5,6::b\n7,7::b\n"));
    assert_eq!(
        empty.understanding.warnings,
        ["variates without a value: 2"]
    );
}

#[test]
fn class_names_of_ts_files_may_have_blanks() {
    for header in ["true \"class a\" \"class b\"", "true class a class b"] {
        let text = format!("@classLabel {header}\n@data\n1,2:class b\n3,4:class a\n");
        let found = plain(text);
        assert_eq!(
            found.dataset.class_names(),
            ["class a", "class b"],
            "{header}"
        );
        assert_eq!(classes(&found), ["class b", "class a"]);
    }
}

#[test]
fn ts_files_without_labels_are_read_where_none_are_needed() {
    let text = "@classLabel false\n@data\n1,2:3,4\n5,6:7,8\n";
    let found = read("t.ts", text, &unlabeled()).unwrap();
    assert_eq!(found.dataset.class_names(), [""]);
    assert_eq!(
        (
            found.dataset.n_variates(),
            found.understanding.label.clone()
        ),
        (2, None)
    );
    assert!(found.understanding.to_string().ends_with(", no labels"));
    assert_eq!(
        refusal(text),
        "`t.csv`: found no class labels, expected `@classLabel true`; --no-label reads a file \
         without labels"
    );
}

#[test]
fn time_stamps_of_ts_files_are_kept() {
    let text = "@timestamps true\n@classLabel true a\n@data\n(0,1),(1,2),(5,3):(0,4),(5,?):a\n";
    let found = plain(text);
    let series = &found.dataset.samples()[0].series;
    assert_eq!(series.times(), Some(&[0.0, 1.0, 5.0][..]));
    assert_eq!(
        values(&found, 0),
        [Some(1.0), Some(4.0), Some(2.0), None, Some(3.0), None]
    );
    let dates = "@timestamps true\n@classLabel true a\n@data\n\
                 (2024-01-01 10:00:00,1),(2024-01-01 10:00:09,2),(2024-01-01 10:00:10,2):a\n";
    assert_eq!(
        plain(dates).dataset.samples()[0]
            .series
            .times()
            .unwrap()
            .len(),
        3
    );
}

#[test]
fn flags_that_a_file_has_no_use_for_are_refused() {
    let text = format!("{TS}1,2:a\n3,4:b\n");
    assert_eq!(
        refusal_with(&text, &variates(1)),
        "`t.csv`: found a .ts file, expected a kind of file that --variates is for"
    );
    let options = ReadOptions {
        layout: Some(Layout::TimeMajor),
        ..ReadOptions::default()
    };
    assert!(refusal_with(&text, &options).contains("that --layout is for"));
    let options = ReadOptions {
        group_column: Some("g".to_owned()),
        ..ReadOptions::default()
    };
    assert!(refusal_with(&text, &options).contains("that --group-column is for"));
}

#[test]
fn defects_of_ts_files_are_told_with_their_place() {
    for (text, message) in [
        (
            format!("{TS}1,2:3,x:b\n"),
            "`t.csv`, line 4, variate 2, value 2: found `x`, expected a finite 32-bit number, or \
             nothing, `NaN`, `NA`, `NULL` or `?` for a missing one; --missing reads a word as \
             missing",
        ),
        (
            format!("{TS}1:a\n2:c\n"),
            "`t.csv`, line 5, label: found the class `c`, expected one of: a, b",
        ),
        (
            format!("{TS}1,2\n"),
            "`t.csv`, line 4, label: found `1,2`, expected a `:` and the class after the values",
        ),
        (
            format!("{TS}1,2:\n"),
            "`t.csv`, line 4, label: found ``, expected the name of a class",
        ),
        (
            format!("{TS}# first\n1:2:a\n3:b\n"),
            "`t.csv`, line 6: found 1 variates, expected 2 as in line 5",
        ),
        (
            format!("{TS}::a\n"),
            "`t.csv`, line 4: the sample makes no series: the series has no time steps, expected \
             at least one",
        ),
        (
            TS.to_owned(),
            "`t.csv`: found no rows, expected a row for each sample",
        ),
        (
            "@problemName x\n".to_owned(),
            "`t.csv`, line 1: found the end of the file, expected a line `@data` and rows below it",
        ),
        (
            "@targetlabel true\n@data\n1,2:0.5\n".to_owned(),
            "`t.csv`, line 1: found `@targetlabel true`, expected a set with class labels, not \
             regression targets",
        ),
        (
            "@classLabel true a b a\n@data\n1:a\n".to_owned(),
            "`t.csv` holds no usable data set: two classes have the name `a`, expected every name \
             once",
        ),
    ] {
        assert_eq!(refusal(text), message);
    }
}

#[test]
fn latin1_line_ends_and_a_byte_order_mark_do_not_matter() {
    let table = "x_0,x_1,label\n1,2,h\u{e4}\u{df}lich\n3,4,b\n";
    let found = plain(table);
    let latin1: Vec<u8> = table.chars().map(|letter| letter as u8).collect();
    assert_eq!(plain(latin1).dataset, found.dataset);
    assert_eq!(plain(table.replace('\n', "\r\n")).dataset, found.dataset);
    assert_eq!(plain(table.replace('\n', "\r")).dataset, found.dataset);
    assert_eq!(plain(format!("\u{feff}{table}")).dataset, found.dataset);
}

#[test]
fn arff_files_of_one_variate_are_tables() {
    let text = "% made by hand\n@RELATION 'toy set'\n\n@ATTRIBUTE att1 NUMERIC\n\
                @attribute att2 real\n@attribute target {'a b',c}\n@DATA\n1.5,?,'a b'\n3,4,c\n";
    let found = plain(text);
    assert_eq!(found.dataset.name(), "toy set");
    assert_eq!(found.dataset.class_names(), ["a b", "c"]);
    assert_eq!(values(&found, 0), [Some(1.5)]);
    assert_eq!(values(&found, 1), some(&[3.0, 4.0]));
    assert_eq!(
        refusal(text.replace("3,4,c", "3,x,c")),
        "`t.csv`, line 9, column 2 (`att2`): found `x`, expected a finite 32-bit number, or \
         nothing, `NaN`, `NA`, `NULL` or `?` for a missing one; --missing \"x\" reads it as \
         missing, --ignore-columns passes the column over"
    );
    assert!(
        refusal(text.replace("3,4,c", "3,4,d"))
            .contains("found the class `d`, expected one of: a b, c")
    );
}

#[test]
fn multivariate_arff_files_hold_series_in_quotes() {
    let text = "@relation toy\n@attribute rel relational\n@attribute t0 numeric\n\
                @attribute t1 numeric\n@end rel\n@attribute class {a,b}\n@data\n\
                '1,2\\n10,?',a\n\"3,4\\n30,40\",b\n";
    let found = plain(text);
    assert_eq!(values(&found, 0), [Some(1.0), Some(10.0), Some(2.0), None]);
    assert_eq!(values(&found, 1), some(&[3.0, 30.0, 4.0, 40.0]));
    assert_eq!(classes(&found), ["a", "b"]);
    assert_eq!(
        refusal(text.replace("30,40", "30,x")),
        "`t.csv`, line 9, variate 2, value 2: found `x`, expected a finite 32-bit number, or \
         nothing, `NaN`, `NA`, `NULL` or `?` for a missing one"
    );
    assert!(
        refusal(text.replace("40\"", "40")).contains("line 9: found a quote that is never closed")
    );
}

#[test]
fn a_folder_for_each_class_holds_a_table_for_each_sample() {
    let root = tempfile::tempdir().unwrap();
    for (class, file, text) in [
        ("walk", "001.csv", "time,x,y\n0,1,10\n1,2,20\n"),
        ("walk", "002.csv", "time,x,y\n0,3,30\n1,4,40\n2,5,50\n"),
        ("run", "003.csv", "time,x,y\n0,6,60\n1,7,70\n"),
    ] {
        let folder = root.path().join(class);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), text).unwrap();
    }
    let found = read_with(root.path(), &ReadOptions::default()).unwrap();

    assert_eq!(found.dataset.variate_names(), ["x", "y"]);
    assert_eq!(classes(&found), ["run", "walk", "walk"]);
    assert_eq!(values(&found, 1), some(&[1.0, 10.0, 2.0, 20.0]));
    let file = &found.dataset.metadata().ids[0];
    assert_eq!(
        (file.name.as_str(), file.values[0].as_str()),
        ("file", "run/003.csv")
    );
    assert_eq!(
        found.understanding.to_string(),
        "3 samples, 2 variates (x, y), 2 to 3 steps, 2 classes from the names of the folders, \
         column \"file\" carried through"
    );
    let flat = read_with(&root.path().join("walk"), &unlabeled()).unwrap();
    assert_eq!(flat.dataset.len(), 2);
    let error = read_with(&root.path().join("walk"), &ReadOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("--no-label reads files without classes")
    );
}

#[test]
fn new_tables_are_matched_to_a_model_by_name() {
    let trained = plain("id,a_0,a_1,b_0,b_1,label\n7,1,2,10,20,x\n8,3,4,30,40,y\n");
    let like = |text: &str, labels| {
        let options = ReadOptions {
            labels,
            ..ReadOptions::default()
        };
        parse_like(
            text.as_bytes(),
            Path::new("new.csv"),
            &options,
            &trained.schema,
        )
    };
    let schema: TableSchema =
        serde_json::from_str(&serde_json::to_string(&trained.schema).unwrap()).unwrap();
    assert_eq!(schema, trained.schema);

    let text = "note,b_1,b_0,c_0,c_1,a_1,a_0,id\nn,20,10,5,6,2,1,7\n";
    let found = like(text, Labels::Optional).unwrap();

    assert_eq!(found.dataset.variate_names(), ["a", "b"]);
    assert_eq!(values(&found, 0), some(&[1.0, 10.0, 2.0, 20.0]));
    assert_eq!(found.dataset.class_names(), ["x", "y", ""]);
    assert_eq!(found.dataset.metadata().ids[0].values, ["7"]);
    assert_eq!(found.understanding.ignored, ["note", "c"]);
    let extra = "sensor2,a_0,a_1,b_0,b_1\n9,1,2,10,20\n";
    assert_eq!(
        values(&like(extra, Labels::Optional).unwrap(), 0),
        some(&[1.0, 10.0, 2.0, 20.0])
    );
    let message = like("a_0,a_1\n1,2\n", Labels::Optional)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "`new.csv`: found the variates a, expected also those that the model was trained on: b"
    );
    let message = like("a_0,a_1,b_0,b_1\n1,2,3,4\n", Labels::Required)
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("`new.csv`, line 1: found no column `label`"),
        "{message}"
    );
    let found = like(
        "a_0,a_1,b_0,b_1,label\n1,2,3,4,z\n1,2,3,4,y\n",
        Labels::Required,
    )
    .unwrap();
    assert_eq!(found.dataset.class_names(), ["x", "y", "z"]);
    let warning = &found.understanding.warnings;
    assert!(
        warning
            .iter()
            .any(|w| w.ends_with("which count as wrong: z (1)")),
        "{warning:?}"
    );
}

#[test]
fn tables_without_names_are_matched_by_position() {
    let trained = read("t.csv", "1,10,2,20,b\n3,30,4,40,a\n", &variates(2)).unwrap();
    let like = |text: &str, labels| {
        let options = ReadOptions {
            labels,
            ..ReadOptions::default()
        };
        parse_like(
            text.as_bytes(),
            Path::new("new.csv"),
            &options,
            &trained.schema,
        )
    };
    let found = like("1,10,2,20,a\n", Labels::Optional).unwrap();
    assert_eq!(
        (classes(&found), values(&found, 0)),
        (vec!["a"], some(&[1.0, 10.0, 2.0, 20.0]))
    );
    let found = like("1,10,2,20\n", Labels::Optional).unwrap();
    assert_eq!(
        (classes(&found), values(&found, 0)),
        (vec![""], some(&[1.0, 10.0, 2.0, 20.0]))
    );
    let found = like("1,10,2,20,3,30\n", Labels::Absent).unwrap();
    assert_eq!(found.dataset.samples()[0].series.n_steps(), 3);
    let error = like("@classLabel false\n@data\n1,2\n", Labels::Optional)
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("found 1 variates, expected the 2 that the model was trained on"),
        "{error}"
    );
}

#[test]
fn a_file_is_read_in_parts_with_the_ids_of_the_whole() {
    let rows: String = (0..10)
        .map(|i| format!("n{i},{i},{},{}\n", i * 2, ["a", "b"][i % 2]))
        .collect();
    let table = format!("id,x_0,x_1,label\n{rows}bad\nn11,1,2,a\n");
    let options = ReadOptions {
        on_error: OnError::Skip,
        ..ReadOptions::default()
    };
    let mut reader =
        SeriesReader::of_bytes(table.as_bytes(), Path::new("t.csv"), &options).unwrap();

    let (mut ids, mut sizes) = (Vec::new(), Vec::new());
    let mut rejected = Vec::new();
    while let Some(part) = reader.next_part(4).unwrap() {
        let set = part.dataset.unwrap();
        sizes.push(set.len());
        ids.extend(set.samples().iter().map(|sample| sample.id));
        rejected.extend(part.rejected.into_iter().map(|rejected| rejected.row));
        assert_eq!(set.class_names(), ["a", "b"]);
    }
    assert_eq!(sizes, [4, 4, 3]);
    assert_eq!(ids, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11]);
    assert_eq!((rejected, reader.n_rejected()), (vec![10], 1));
}

#[test]
fn nothing_of_a_file_acts_on_a_terminal() {
    // Of enough rows that a few control characters do not make it binary.
    for (header, row) in [
        (
            "\u{1b}a_0,\u{1b}a_1,\u{1b}b_0,label\n",
            "1,2,3,u\n3,4,5,v\n",
        ),
        ("\u{1b}n,x_0,x_1,label\n", "1,2,3,u\n3,4,5,v\n"),
        ("\u{1b}m,\u{1b}s,label\n", "1,2,u\n3,4,v\n"),
    ] {
        let message = refusal(format!("{header}{}", row.repeat(50)));
        assert!(message.contains("\\u{1b}"), "{message:?}");
        assert!(!message.contains('\u{1b}'), "{message:?}");
    }
    let rows = "3,4,v\n".repeat(50);
    let found = plain(format!("x_0,x_1,\u{1b}class\n1,2,\u{1b}u\n{rows}")).understanding;
    assert!(!found.to_string().contains('\u{1b}') && !found.inspect().contains('\u{1b}'));

    let short = refusal("\u{1b}a_0,\u{1b}a_1,label\n1,2,u\n");
    assert!(
        short.contains("binary data") && !short.contains('\u{1b}'),
        "{short:?}"
    );
}

#[test]
fn suspicious_things_are_said() {
    let rows: String = (0..25)
        .map(|i| {
            format!(
                "{i},{},5,,{}\n",
                i + 1,
                if i == 0 { "rare" } else { "often" }
            )
        })
        .collect();
    let found = plain(format!("x_0,x_1,c_0,c_1,label\n{rows}0,1,5,,often\n"));
    assert_eq!(
        found.understanding.warnings,
        [
            "classes with one sample: rare",
            "classes are unequal: 25 samples of `often`, 1 of `rare`; --class-weights balanced makes \
             them count alike",
            "variates with one value throughout: c",
            "1 series with the values of an earlier one",
        ]
    );
    let text = found.understanding.inspect();
    assert!(
        text.contains("x                    0 to 25, 0.00 % missing"),
        "{text}"
    );
    assert!(text.contains("suspicious"), "{text}");
}

#[test]
fn steps_that_are_missing_to_the_end_are_no_steps_in_archive_files_either() {
    let lengths = |read: &ReadSeries| -> Vec<usize> {
        let samples = read.dataset.samples().iter();
        samples.map(|sample| sample.series.n_steps()).collect()
    };
    let ts = plain(format!(
        "{TS}1,2,?:4,?,?:a\n?,?:?,?:b\n1,?,3:4,5,?:b\n1,2:3,4:a\n"
    ));
    assert_eq!(lengths(&ts), [2, 1, 3, 2]);
    assert_eq!(values(&ts, 0), [Some(1.0), Some(4.0), Some(2.0), None]);
    let arff = plain(
        "@relation toy\n@attribute rel relational\n@attribute t0 numeric\n@end rel\n\
         @attribute class {a,b}\n@data\n'1,2,?\\n4,?,?',a\n'1,?,3\\n4,5,?',b\n",
    );
    assert_eq!(lengths(&arff), [2, 3]);
    assert_eq!(values(&arff, 0), values(&ts, 0));
}

#[test]
fn dates_that_begin_with_the_day_are_refused_not_guessed() {
    let table = "id,date,x,label\na,28/01/24,1,u\na,29/01/24,2,u\nb,28/01/24,1,v\n";
    let options = ReadOptions {
        time_column: Some("date".to_owned()),
        ..ReadOptions::default()
    };
    assert_eq!(
        refusal_with(table, &options),
        "`t.csv`, line 2, column 2 (`date`): found `28/01/24`, expected a number or a date such as \
         2024-05-31 12:00"
    );
}

#[test]
fn a_code_for_missing_is_a_number_however_it_is_spelled() {
    let options = ReadOptions {
        missing: vec!["-999".to_owned()],
        ..ReadOptions::default()
    };
    let table = "x_0,x_1,x_2,label\n-999,-999.0,1,u\n1,-9.99e2,2,v\n";
    let found = read("t.csv", table, &options).unwrap();
    assert_eq!(values(&found, 0), [None, None, Some(1.0)]);
    assert_eq!(values(&found, 1), [Some(1.0), None, Some(2.0)]);
}

#[test]
fn a_model_knows_its_classes_by_another_spelling_of_their_numbers() {
    let trained = plain("@classLabel true 1.0 2.0\n@data\n1,2:1.0\n3,4:2.0\n5,6:2\n");
    assert_eq!(trained.dataset.labels(), [0, 1, 1]);
    let options = ReadOptions {
        label_column: Some("label".to_owned()),
        ..ReadOptions::default()
    };
    let table = "x_0,x_1,label\n1,2,2\n3,4,1\n";
    let path = Path::new("new.csv");
    let found = parse_like(table.as_bytes(), path, &options, &trained.schema).unwrap();
    assert_eq!(found.dataset.class_names(), ["1.0", "2.0"]);
    assert_eq!(found.dataset.labels(), [1, 0]);
}
