//! New tables for a model: read as the model's own were, or refused.

use super::*;

/// What a model remembers of a table.
fn trained(text: &str, options: &ReadOptions) -> TableSchema {
    let found = read("t.csv", text, options).unwrap_or_else(|error| panic!("{}", full(&error)));
    serde_json::from_str(&serde_json::to_string(&found.schema).unwrap()).unwrap()
}

fn like(text: &str, labels: Labels, schema: &TableSchema) -> Result<ReadSeries, String> {
    let options = ReadOptions {
        labels,
        ..ReadOptions::default()
    };
    let found = parse_like(text.as_bytes(), Path::new("new.csv"), &options, schema);
    found.map_err(|error| full(&error))
}

fn without_header(text: &str) -> &str {
    text.split_once('\n').map_or(text, |(_, rest)| rest)
}

#[test]
fn a_table_without_its_header_has_the_columns_of_the_model() {
    let text = "id,x_0,x_1,y_0,y_1,label\n7,1,2,10,20,a\n8,3,4,30,40,b\n";
    let schema = trained(text, &ReadOptions::default());
    let headless = without_header(text);
    for labels in [Labels::Required, Labels::Optional] {
        let found = like(headless, labels, &schema).unwrap();
        assert_eq!(values(&found, 1), some(&[3.0, 30.0, 4.0, 40.0]));
        assert_eq!(found.dataset.metadata().ids[0].values, ["7", "8"]);
        assert_eq!(classes(&found), ["a", "b"]);
    }
    let unlabeled = "7,1,2,10,20\n8,3,4,30,40\n";
    let found = like(unlabeled, Labels::Optional, &schema).unwrap();
    assert_eq!(values(&found, 0), some(&[1.0, 10.0, 2.0, 20.0]));
    let error = like(
        "5,2,3,4,5,6,7,a\n1,2,3,4,5,6,8,b\n",
        Labels::Required,
        &schema,
    )
    .unwrap_err();
    assert!(
        error.contains("found 8 columns without a header, expected a header, or the 6 columns"),
        "{error}"
    );
    // A header is known by the model's names, whatever stands below it.
    let empty = "id,x_0,x_1,y_0,y_1,label\n7,,,,,a\n8,,,,,b\n";
    assert_eq!(
        like(empty, Labels::Required, &schema)
            .unwrap()
            .dataset
            .len(),
        2
    );
}

#[test]
fn a_header_of_numbers_is_known_again() {
    let options = ReadOptions {
        header: HeaderRow::Present,
        label_column: Some("430".to_owned()),
        ..ReadOptions::default()
    };
    let text = "410,420,430\n1,2,0\n3,4,1\n";
    let schema = trained(text, &options);
    assert_eq!(
        like(text, Labels::Required, &schema).unwrap().dataset.len(),
        2
    );
}

#[test]
fn columns_that_were_passed_over_or_hold_values_do_so_again() {
    let text = "alpha,beta,gamma,age,label\n1,2,3,70,a\n4,5,6,80,b\n";
    let one = variates(1);
    for options in [
        ReadOptions {
            ignore_columns: vec!["age".to_owned()],
            ..one.clone()
        },
        ReadOptions {
            value_columns: ["alpha", "beta", "gamma"].map(str::to_owned).to_vec(),
            label_column: Some("label".to_owned()),
            ..one
        },
    ] {
        let schema = trained(text, &options);
        let found = like(text, Labels::Required, &schema).unwrap();
        assert_eq!(values(&found, 1), some(&[4.0, 5.0, 6.0]));
        if !options.value_columns.is_empty() {
            let fewer = "alpha,beta,age,label\n1,2,70,a\n4,5,80,b\n";
            let error = like(fewer, Labels::Required, &schema).unwrap_err();
            assert!(error.contains("found no column `gamma`"), "{error}");
        }
    }
}

#[test]
fn a_table_of_steps_needs_the_time_column_of_the_model() {
    let text = "id,time,x,y,label\n1,0,1,2,a\n1,1,3,4,a\n2,0,5,6,b\n2,1,7,8,b\n";
    let schema = trained(text, &ReadOptions::default());
    let found = like(text, Labels::Required, &schema).unwrap();
    assert_eq!(found.dataset.len(), 2);
    for other in [
        text.replace("time", "sec"),
        "id,x,y\n1,1,2\n1,3,4\n2,5,6\n".to_owned(),
    ] {
        let error = like(&other, Labels::Optional, &schema).unwrap_err();
        assert!(error.contains("expected the time column `time`"), "{error}");
    }
    // A row for each sample, whose names tell the same variates, will do.
    let wide = "id,x_0,x_1,y_0,y_1\n1,1,3,2,4\n";
    let found = like(wide, Labels::Optional, &schema).unwrap();
    assert_eq!(values(&found, 0), some(&[1.0, 2.0, 3.0, 4.0]));
}

#[test]
fn columns_without_names_keep_their_places() {
    let options = ReadOptions {
        label_column: Some("1".to_owned()),
        id_columns: vec!["2".to_owned()],
        ..ReadOptions::default()
    };
    let schema = trained("a,71,1,2\nb,72,3,4\n", &options);
    let found = like("71,1,2\n72,3,4\n", Labels::Optional, &schema).unwrap();
    assert_eq!(found.dataset.metadata().ids[0].values, ["71", "72"]);
    assert_eq!(values(&found, 1), some(&[3.0, 4.0]));
    // The label is the first column of longer rows, too.
    let schema = trained(
        "1,0.5,1.5\n2,2.5,3.5\n1,0.5,1.5\n2,2.5,3.5\n",
        &ReadOptions::default(),
    );
    let found = like("2,5,6,7\n1,5,6,8\n", Labels::Required, &schema).unwrap();
    assert_eq!(classes(&found), ["2", "1"]);
    assert_eq!(values(&found, 0), some(&[5.0, 6.0, 7.0]));
}

#[test]
fn numbers_that_ascend_beside_a_name_of_labels_are_a_header() {
    let found = plain("400,410,420,430,class\n1,2,3,4,a\n5,6,7,8,b\n");
    assert_eq!(found.dataset.len(), 2);
    assert_eq!(found.dataset.class_names(), ["a", "b"]);
    // Samples that ascend, with labels that recur, are not.
    let found = plain("1,2,3,4,class\n5,6,7,8,class\n1,2,2,2,b\n");
    assert_eq!(found.dataset.len(), 3);
}

#[test]
fn a_row_whose_id_begins_with_a_mark_is_a_row() {
    let found = plain("# by hand\nid,x_0,x_1,label\n#1,1,2,a\n# a note\n#2,3,4,b\n");
    assert_eq!(found.dataset.metadata().ids[0].values, ["#1", "#2"]);
    assert!(
        found
            .understanding
            .notes
            .contains(&"2 comment lines passed over".to_owned())
    );
}

#[test]
fn arff_files_have_their_class_also_where_none_is_needed() {
    let text = "@relation r\n@attribute att1 numeric\n@attribute att2 numeric\n\
                @attribute class {down,up}\n@data\n1,2,up\n2,3,down\n";
    let options = ReadOptions {
        labels: Labels::Optional,
        ..ReadOptions::default()
    };
    let found = read("t.arff", text, &options).unwrap();
    assert_eq!(found.dataset.class_names(), ["down", "up"]);
}

#[test]
fn steps_of_many_samples_in_order_of_time_are_not_taken_for_samples() {
    let rows = |n_ids: usize| {
        let rows = (0..3).flat_map(|time| (0..n_ids).map(move |id| format!("{id},{time},1,2,a\n")));
        format!("id,time,s1,s2,label\n{}", rows.collect::<String>())
    };
    let message = refusal(rows(120));
    assert!(
        message.contains("--time-column time reads steps, --ignore-columns time samples"),
        "{message}"
    );
    let options = ReadOptions {
        time_column: Some("time".to_owned()),
        ..ReadOptions::default()
    };
    let found = read("t.csv", rows(120), &options).unwrap();
    assert_eq!(
        (
            found.dataset.len(),
            found.dataset.samples()[0].series.n_steps()
        ),
        (120, 3)
    );
    assert_eq!(plain(rows(20)).dataset.len(), 20);
}

#[test]
fn new_tables_are_matched_to_a_model_by_name() {
    let trained = plain("id,a_0,a_1,b_0,b_1,label\n7,1,2,10,20,x\n8,3,4,30,40,y\n");
    let like = |text: &str, labels| like(text, labels, &trained.schema);
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
    let message = like("a_0,a_1\n1,2\n", Labels::Optional).unwrap_err();
    assert_eq!(
        message,
        "`new.csv`: found the variates a, expected also those that the model was trained on: b"
    );
    let message = like("a_0,a_1,b_0,b_1\n1,2,3,4\n", Labels::Required).unwrap_err();
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
    let like = |text: &str, labels| like(text, labels, &trained.schema);
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
    let error = like("@classLabel false\n@data\n1,2\n", Labels::Optional).unwrap_err();
    assert!(
        error.ends_with("found 1 variates, expected the 2 that the model was trained on"),
        "{error}"
    );
}
