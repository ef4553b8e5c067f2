//! `explain`, `early` and `report`: what they print and leave.

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, stderr, stdout};

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn explain_prints_windows_and_leaves_pages_and_json() {
    let bench = Bench::trained();
    let output = bench.run(&["explain", "run", "test.csv", "--sample", "3"]);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    assert!(text.starts_with("sample 3: down "), "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");

    let args = [
        "explain",
        "run",
        "test.csv",
        "--windows",
        "3",
        "--samples",
        "4",
    ];
    let more = ["--faithfulness", "--json", "--out", "why"];
    let output = bench.run(&[&args[..], &more[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let found = json(&stdout(&output));
    let samples = found["samples"].as_array().expect("samples");
    assert_eq!(samples.len(), 4);
    assert_eq!(samples[1]["windows"], json("[[0,3],[3,6],[6,9]]"));
    assert_eq!(
        samples[1]["importance"][0].as_array().map(Vec::len),
        Some(3)
    );
    assert_eq!(samples[1]["prediction"]["label"], "down");
    assert_eq!(found["class_means"].as_array().map(Vec::len), Some(2));
    assert_eq!(found["class_means"][0]["n_samples"], 2);
    let faithfulness = &found["faithfulness"];
    assert_eq!(faithfulness["n_samples"], 4);
    for curve in ["deletion", "insertion"] {
        let points = faithfulness[curve]["by_importance"].as_array();
        assert_eq!(points.map(Vec::len), Some(11), "{faithfulness}");
        assert!(
            faithfulness[curve]["random_area"].is_number(),
            "{faithfulness}"
        );
    }
    assert_eq!(bench.json("why/explanations.json"), found);
    let page = fs::read_to_string(bench.path("why/all.html")).expect("a page");
    assert!(page.contains("Deletion area"), "{page}");
    assert!(
        bench.path("why/sample00002.html").exists(),
        "a page of a sample"
    );
    let absent = bench.run(&["explain", "run", "test.csv", "--sample", "99"]);
    assert_eq!(absent.status.code(), Some(1), "{absent:?}");
    assert!(stderr(&absent).contains("has no sample 99"), "{absent:?}");
}

#[test]
fn early_prints_a_curve_the_step_that_reaches_a_score_and_a_rule() {
    let bench = Bench::trained();
    let args = ["early", "run", "test.csv", "--shares", "0.5,1"];
    let output = bench.run(&args);
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "steps,accuracy,macro_f1,log_loss");
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[2].starts_with("9,1,1,"), "{text}");

    let rule = [
        "--train-data",
        "train.csv",
        "--reach",
        "0.9",
        "--rule-folds",
        "2",
    ];
    let output = bench.run(&[&args[..], &rule[..]].concat());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(stdout(&output), text, "the curve is the same");
    let told = stderr(&output);
    for part in [
        "is reached after",
        "(held out)",
        "Stop rule: as soon as",
        "harmonic mean",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let output = bench.run(&[&args[..], &rule[..], &["--json"]].concat());
    let found = json(&stdout(&output));
    assert_eq!(found["scores"].as_array().map(Vec::len), Some(2));
    assert_eq!(found["reach"]["chosen_on"], "held out");
    assert_eq!(found["stop_rule"]["fitted"]["n_samples"], 16);
    assert_eq!(found["stopped"]["n_samples"], 8);
    let earliness = found["stopped"]["earliness"].as_f64().expect("a number");
    assert!((0.5..=1.0).contains(&earliness), "{found}");

    let valid = bench.run(&[&args[..], &["--valid-data", "train.csv", "--json"]].concat());
    let found = json(&stdout(&valid));
    assert_eq!(found["stop_rule"]["fitted"]["n_samples"], 16, "{found}");
    let never = bench.run(&[&args[..], &["--reach", "1.5"]].concat());
    assert_eq!(never.status.code(), Some(2), "{never:?}");
}

#[test]
fn report_makes_a_page_of_whatever_is_left_of_a_run() {
    let bench = Bench::trained();
    let page = |model: &str, more: &[&str]| {
        let args = ["report", model, "--data", "test.csv", "--out", "page.html"];
        let output = bench.run(&[&args[..], more].concat());
        assert!(output.status.success(), "{output:?}");
        let html = fs::read_to_string(bench.path("page.html")).expect("a page");
        (html, stderr(&output))
    };
    let early = ["--early", "--stop-rule", "--train-data", "train.csv"];
    let (html, _) = page("run", &early);
    for section in ["verdict", "confusion", "early", "cost", "provenance"] {
        assert!(
            html.contains(&format!("<section id=\"{section}\">")),
            "{section}"
        );
    }
    assert!(html.contains("Stop rule"), "the rule is in the page");
    assert!(
        html.contains("Whole run"),
        "the time of training is in the page"
    );

    fs::remove_file(bench.path("run/report.json")).expect("one file less");
    let (html, told) = page("run", &[]);
    assert!(told.contains("there is no `run/report.json`"), "{told}");
    assert!(
        !html.contains("Whole run") && html.contains("8 of 8 test samples"),
        "{told}"
    );

    fs::remove_file(bench.path("run/config.json")).expect("one file less");
    let (html, told) = page("run", &[]);
    assert!(told.contains("without the run's configuration"), "{told}");
    assert!(
        html.contains("kernels_only"),
        "the model's own options are shown"
    );
    page("run/model.safetensors", &[]);

    bench.write("run/report.json", "half a repo");
    let args = ["report", "run", "--data", "test.csv"];
    let damaged = bench.run(&args);
    assert_eq!(damaged.status.code(), Some(1), "{damaged:?}");
    assert!(stderr(&damaged).contains("is no report"), "{damaged:?}");
    let without = bench.run(&["report", "run"]);
    assert_eq!(without.status.code(), Some(2), "{without:?}");
    assert!(stderr(&without).contains("--data <FILE>"), "{without:?}");
}

#[test]
fn hostile_names_reach_the_page_as_text_and_no_other_way() {
    let bench = Bench::new();
    let names = [
        "<script>alert('1')</script>".to_owned(),
        format!("\u{202e}שלום \"{}", "x".repeat(10_000)),
    ];
    for file in ["train.csv", "test.csv"] {
        let text = fs::read_to_string(bench.path(file)).expect("a table");
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let text = text.replace(",up\n", &format!(",{}\n", quoted(&names[0])));
        let text = text.replace(",down\n", &format!(",{}\n", quoted(&names[1])));
        let hostile = file.replace(".csv", " <b onload='x'>&.csv");
        bench.write(&hostile, &text);
    }
    let output = bench.run(&[
        "train",
        "train <b onload='x'>&.csv",
        "--test-data",
        "test <b onload='x'>&.csv",
        "--model-type",
        "kernels_only",
        "--out",
        "run",
    ]);
    assert!(output.status.success(), "{output:?}");
    let html = fs::read_to_string(bench.path("run/report.html")).expect("a page");
    for markup in ["<script", "<b ", "onload='"] {
        assert!(!html.contains(markup), "{markup} became markup");
    }
    // A mark that turns the text after it is in the full name alone, which stands by itself.
    let turned: Vec<&str> = html.split('\u{202e}').collect();
    assert_eq!(turned.len(), 2);
    assert!(turned[0].ends_with("<li><bdi>"), "it is not set apart");
    assert!(
        html.contains("&lt;script&gt;alert(&#39;1&#39;)"),
        "it is text"
    );
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
}
