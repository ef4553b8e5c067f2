//! How text is written, what is left out or refused of it, and what is said of it.

use super::*;

#[test]
fn a_missing_file_is_said_to_be_missing_before_anything_else() {
    let error = SeriesDataset::read("none.csv").unwrap_err();
    assert!(full(&error).starts_with("cannot read none.csv: No such file"));
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
