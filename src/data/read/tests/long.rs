//! Tables with a row for each step or for each value.

use super::*;
use crate::data::window::{LabelRule, Windows};

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
fn samples_whose_labels_change_have_none_where_none_is_needed() {
    let sound = "id,time,x,label\na,0,1,u\na,1,2,u\nb,0,3,v\nb,1,4,v\n";
    let table = sound.replace("a,1,2,u", "a,1,2,v");
    let trained = plain(sound);
    let optional = ReadOptions {
        labels: Labels::Optional,
        ..ReadOptions::default()
    };
    let like = |options: &ReadOptions| {
        let path = Path::new("new.csv");
        parse_like(table.as_bytes(), path, options, &trained.schema)
    };

    let inspected = read("t.csv", &table, &optional).unwrap();
    for found in [&inspected, &like(&optional).unwrap()] {
        assert_eq!(classes(found), ["", "v"]);
        assert_eq!(values(found, 0), some(&[1.0, 2.0]));
        let warnings = &found.understanding.warnings;
        let said = |warning: &String| {
            warning.starts_with("samples whose labels change are read without a label: 1 ")
        };
        assert!(warnings.iter().any(said), "{warnings:?}");
    }
    let found = read("t.csv", sound, &optional).unwrap();
    assert_eq!(classes(&found), ["u", "v"]);
    let warnings = &found.understanding.warnings;
    assert!(
        !warnings.iter().any(|w| w.contains("labels change")),
        "{warnings:?}"
    );
    // Where labels are needed, it is an error.
    let error = like(&ReadOptions::default()).unwrap_err().to_string();
    for message in [refusal(&table), error] {
        let part = "found the labels u, v within one sample, expected one label throughout";
        assert!(message.contains(part), "{message}");
    }
}
