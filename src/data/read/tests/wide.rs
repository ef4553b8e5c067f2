//! Tables with a row for each sample: headers, roles of columns, values by name and by place.

use super::*;

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
