//! Folders of classes, with a table for each sample.

use super::*;

#[test]
fn a_folder_for_each_class_holds_a_table_for_each_sample() {
    let root = folder(&[
        ("walk", "001.csv", "time,x,y\n0,1,10\n1,2,20\n"),
        ("walk", "002.csv", "time,x,y\n0,3,30\n1,4,40\n2,5,50\n"),
        ("run", "003.csv", "time,x,y\n0,6,60\n1,7,70\n"),
    ]);
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

/// A folder of classes: the class, the name and the text of each file.
fn folder(files: &[(&str, &str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (class, file, text) in files {
        let folder = root.path().join(class);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), text).unwrap();
    }
    root
}

fn with_labels(labels: Labels) -> ReadOptions {
    ReadOptions {
        labels,
        ..ReadOptions::default()
    }
}

fn skipping() -> ReadOptions {
    ReadOptions {
        on_error: OnError::Skip,
        ..ReadOptions::default()
    }
}

const LABELED: [(&str, &str, &str); 2] = [
    ("run", "1.csv", "time,x,label,Class\n0,1,0,7\n1,2,0,7\n"),
    ("walk", "2.csv", "time,x,label,Class\n0,3,1,8\n1,4,1,8\n"),
];

#[test]
fn columns_called_as_those_of_labels_are_no_values_of_a_folder() {
    let root = folder(&LABELED);
    for (labels, why) in [
        (
            Labels::Required,
            "classes come from the names of the folders",
        ),
        (Labels::Absent, "no labels are read"),
    ] {
        let found = read_with(root.path(), &with_labels(labels)).unwrap();
        assert_eq!(found.dataset.variate_names(), ["x"]);
        assert_eq!(values(&found, 1), some(&[3.0, 4.0]));
        assert_eq!(found.understanding.ignored, ["label", "Class"]);
        let notes = &found.understanding.notes;
        for name in ["label", "Class"] {
            let note =
                format!("column \"{name}\" is passed over: {why} (--value-columns says else)");
            assert!(notes.contains(&note), "{notes:?}");
        }
    }
    // Nor are they where there are no folders and labels may be missing.
    let optional = with_labels(Labels::Optional);
    let flat = read_with(&root.path().join("run"), &optional).unwrap();
    assert_eq!(flat.dataset.variate_names(), ["x"]);
    let notes = &flat.understanding.notes;
    assert!(
        notes.iter().any(|note| note.contains("no labels are read")),
        "{notes:?}"
    );
}

#[test]
fn a_column_of_a_folder_that_is_told_to_hold_values_does_so_again() {
    let root = folder(&LABELED);
    let options = ReadOptions {
        value_columns: ["x", "label"].map(str::to_owned).to_vec(),
        ..ReadOptions::default()
    };
    let trained = read_with(root.path(), &options).unwrap();
    assert_eq!(trained.dataset.variate_names(), ["x", "label"]);
    assert_eq!(values(&trained, 1), some(&[3.0, 1.0, 4.0, 1.0]));

    let optional = with_labels(Labels::Optional);
    let again = read_like(root.path(), &optional, &trained.schema).unwrap();
    assert_eq!(again.dataset.samples(), trained.dataset.samples());
    let told = ReadOptions {
        time_column: Some("time".to_owned()),
        ..optional
    };
    let one = root.path().join("walk/2.csv");
    let one = read_like(&one, &told, &trained.schema).unwrap();
    assert_eq!(one.dataset.variate_names(), ["x", "label"]);
    assert_eq!(values(&one, 0), some(&[3.0, 1.0, 4.0, 1.0]));
}

#[test]
fn one_recording_is_read_as_those_of_the_folder_were() {
    let root = folder(&LABELED);
    let trained = read_with(root.path(), &ReadOptions::default()).unwrap();
    for labels in [Labels::Optional, Labels::Absent] {
        let told = ReadOptions {
            time_column: Some("time".to_owned()),
            ..with_labels(labels)
        };
        let text = "time,x,label\n0,5,0\n1,6,1\n";
        let path = Path::new("new.csv");
        let found = parse_like(text.as_bytes(), path, &told, &trained.schema).unwrap();
        assert_eq!(found.dataset.variate_names(), ["x"]);
        assert_eq!(values(&found, 0), some(&[5.0, 6.0]));
        assert_eq!(classes(&found), [""]);
    }
}

#[test]
fn a_folder_is_matched_to_a_model_by_name() {
    let trained = folder(&[
        ("a", "1.csv", "time,x,y\n0,1,10\n1,2,20\n"),
        ("b", "2.csv", "time,x,y\n0,3,30\n1,4,40\n"),
    ]);
    let trained = read_with(trained.path(), &ReadOptions::default()).unwrap();
    let new = folder(&[
        ("a", "1.csv", "time,y,w,x\n0,10,7,1\n1,20,7,2\n"),
        ("b", "2.csv", "time,y,w,x\n0,30,7,3\n1,40,7,4\n"),
    ]);
    let found = read_like(new.path(), &skipping(), &trained.schema).unwrap();
    assert_eq!(found.dataset.samples(), trained.dataset.samples());
    assert_eq!(found.understanding.ignored, ["w"]);
    assert_eq!(found.understanding.n_rejected, 0);
}

#[test]
fn malformed_files_of_a_folder_are_left_out_if_asked_for_and_counted() {
    let root = folder(&[
        ("a", "0.txt", "by hand\n"),
        ("a", "1.csv", "time,x,y\n0,1,10\n1,2,20\n"),
        ("a", "2.csv", "time,x,z\n0,1,10\n1,2,20\n"),
        ("b", "3.csv", ""),
        ("b", "4.pdf", "%PDF-1.4\n"),
        ("b", "5.csv", "time,x,y\n0,3,30\n1,4,40\n"),
        ("b", "6.csv", "time,x,y\n0,5,50\n1,6,60\n2,bad,70\n"),
    ]);

    let found = read_with(root.path(), &skipping()).unwrap();

    assert_eq!(found.dataset.variate_names(), ["x", "y"]);
    assert_eq!(classes(&found), ["a", "b", "b"]);
    assert_eq!(values(&found, 2), some(&[5.0, 50.0, 6.0, 60.0]));
    let samples = found.dataset.samples().iter();
    assert_eq!(
        samples.map(|sample| sample.id).collect::<Vec<_>>(),
        [1, 5, 6]
    );
    let understanding = &found.understanding;
    assert_eq!(understanding.n_rejected, 5);
    let rejected = &understanding.rejected;
    for (message, name) in rejected
        .iter()
        .zip(["0.txt", "2.csv", "3.csv", "4.pdf", "6.csv"])
    {
        assert!(message.contains(name), "{name}: {rejected:?}");
    }
    let mut reader = SeriesReader::open(root.path(), &skipping()).unwrap();
    while reader.next_part(2).unwrap().is_some() {}
    assert_eq!(reader.n_rejected(), 5);
}

#[test]
fn a_malformed_file_of_a_folder_is_refused_with_the_flag_that_leaves_it_out() {
    for (name, text, found) in [
        ("0.txt", "by hand\n", "found a header and no rows"),
        ("2.csv", "time,x,z\n0,1,10\n", "found the columns x, z"),
        (
            "2.csv",
            "1,2\n3,4\n",
            "found 2 columns of values without names",
        ),
        ("2.csv", "", "found an empty file"),
        ("2.csv", "time,x,y\n0,bad,10\n", "found `bad`"),
        ("2.pdf", "%PDF-1.4\n", "found a PDF document"),
    ] {
        let sound = ("a", "1.csv", "time,x,y\n0,1,10\n1,2,20\n");
        let root = folder(&[sound, ("a", name, text)]);
        let error = read_with(root.path(), &ReadOptions::default()).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(name) && message.contains(found),
            "{message}"
        );
        assert!(
            message.ends_with("--on-error skip leaves malformed rows and files out"),
            "{message}"
        );
    }
    // As with rows: where all are malformed, the first one tells why.
    let root = folder(&[("a", "0.txt", "by hand\n"), ("b", "1.csv", "")]);
    let error = read_with(root.path(), &skipping()).unwrap_err();
    assert!(error.to_string().contains("0.txt"), "{error}");
}

#[test]
#[cfg(unix)]
fn a_file_of_a_folder_that_cannot_be_opened_is_not_left_out() {
    let root = folder(&[("a", "1.csv", "time,x,y\n0,1,10\n1,2,20\n")]);
    std::os::unix::fs::symlink("absent", root.path().join("a/2.csv")).unwrap();
    let error = read_with(root.path(), &skipping()).unwrap_err();
    assert!(matches!(error, ReadError::Io(_)), "{error}");
}

#[test]
fn a_folder_is_read_again_with_the_columns_that_options_named() {
    let root = folder(&[
        ("a", "1.csv", "note,sec,x\np,1,20\nq,0,10\n"),
        ("b", "2.csv", "note,sec,x\nr,1,40\ns,0,30\n"),
    ]);
    let options = ReadOptions {
        time_column: Some("sec".to_owned()),
        ignore_columns: vec!["note".to_owned()],
        ..ReadOptions::default()
    };
    let trained = read_with(root.path(), &options).unwrap();
    assert_eq!(values(&trained, 0), some(&[10.0, 20.0]));

    let optional = with_labels(Labels::Optional);
    let again = read_like(root.path(), &optional, &trained.schema).unwrap();
    assert_eq!(again.dataset.variate_names(), ["x"]);
    assert_eq!(again.dataset.samples(), trained.dataset.samples());
}

#[test]
fn a_header_of_a_folder_counts_where_a_column_is_named_as_labels_are() {
    let root = folder(&[
        ("a", "1.csv", "0,1,label\n5,6,0\n7,8,0\n"),
        ("b", "2.csv", "0,1,label\n1,2,1\n3,4,1\n"),
    ]);
    let found = read_with(root.path(), &ReadOptions::default()).unwrap();
    assert_eq!(found.dataset.variate_names(), ["0", "1"]);
    assert_eq!(values(&found, 0), some(&[5.0, 6.0, 7.0, 8.0]));
}

#[test]
fn another_table_in_front_is_left_out_where_a_model_knows_the_variates() {
    let file = "time,x,y\n0,1,10\n1,2,20\n";
    let trained = folder(&[("a", "1.csv", file), ("b", "2.csv", file)]);
    let trained = read_with(trained.path(), &ReadOptions::default()).unwrap();
    let new = folder(&[("a", "0.csv", "q,r\n1,2\n3,4\n"), ("a", "1.csv", file)]);
    let found = read_like(new.path(), &skipping(), &trained.schema).unwrap();
    assert_eq!(found.understanding.n_rejected, 1);
    assert_eq!(values(&found, 0), some(&[1.0, 10.0, 2.0, 20.0]));
}
