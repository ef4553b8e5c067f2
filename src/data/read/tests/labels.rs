//! Labels and classes: their spellings, lists of them, and targets of regression.

use super::*;

#[test]
fn one_and_one_point_zero_are_one_class() {
    let found = plain("x_0,x_1,label\n1,2,1.0\n3,4,1\n5,6,2.0\n");
    assert_eq!(found.dataset.class_names(), ["1", "2"]);
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
