//! Files of the archive: `.ts`, and `.arff` beside it.

use super::*;

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
