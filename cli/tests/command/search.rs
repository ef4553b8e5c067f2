//! `synth` and `search`: series without end, and finding them again.

use crate::bench::{Bench, stderr, stdout};

#[test]
fn synthetic_series_are_the_same_in_both_formats() {
    let bench = Bench::new();
    let synth = ["synth", "--samples", "30", "--variates", "2", "--seed", "5"];
    for format in ["ts", "long"] {
        let file = format!("curves.{format}");
        let args = [&synth[..], &["--output-format", format, "--out", &file]].concat();
        let output = bench.run(&args);
        assert!(output.status.success(), "{output:?}");
    }
    let again = bench.run(&synth);
    let text = std::fs::read_to_string(bench.path("curves.ts")).expect("the file");
    assert_eq!(stdout(&again), text, "stdout, and a second time");

    let output = bench.run(&["inspect", "curves.ts"]);
    assert!(output.status.success(), "{output:?}");
    let said = stdout(&output);
    assert!(said.contains("30 samples, 2 variates"), "{said}");
    let table = [
        "inspect",
        "curves.long",
        "--time-column",
        "step",
        "--id-column",
        "id",
    ];
    let output = bench.run(&table);
    assert!(output.status.success(), "{output:?}");
    let said = stdout(&output);
    assert!(said.contains("30 samples, 2 variates (v0, v1)"), "{said}");

    let args = [
        "synth",
        "--samples",
        "12",
        "--output-format",
        "wide",
        "--out",
        "wide.csv",
    ];
    let output = bench.run(&args);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains("--steps N"), "{output:?}");
    let output = bench.run(&[&args[..], &["--steps", "20", "--variates", "3"]].concat());
    assert!(output.status.success(), "{output:?}");
    let said = stdout(&bench.run(&["inspect", "wide.csv", "--id-column", "id"]));
    assert!(
        said.contains("12 samples, 3 variates (v0, v1, v2), 20 steps"),
        "{said}"
    );

    let none = bench.run(&["synth", "--variates", "0"]);
    assert_eq!(none.status.code(), Some(2), "{none:?}");
}

/// Sines of many frequencies and phases, a sample a row.
fn sines(n_samples: usize) -> String {
    let header: Vec<String> = (0..60).map(|step| format!("x_{step}")).collect();
    let row = |i: usize| {
        let value = |step: usize| (step as f64 * 0.03 * (i % 8 + 1) as f64 + i as f64).sin();
        let values: Vec<String> = (0..60).map(|step| format!("{:.3}", value(step))).collect();
        format!("{},{}", values.join(","), i % 8)
    };
    let rows: Vec<String> = (0..n_samples).map(row).collect();
    format!("{},label\n{}\n", header.join(","), rows.join("\n"))
}

#[test]
fn series_are_found_by_the_other_view() {
    let bench = Bench::new();
    bench.write("sines.csv", &sines(40));
    let cpu = ["--backend", "cpu"];
    let output = bench.run(&[&["search", "sines.csv"], &cpu[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    let shares: Vec<f64> = text.lines().nth(1).map_or_else(Vec::new, |line| {
        line.split(',')
            .map(|cell| cell.parse().expect("a number"))
            .collect()
    });
    assert_eq!(shares[0], 40.0, "{text}");
    // By chance a fortieth and a quarter.
    assert!(shares[1] > 0.8 && shares[2] == 1.0, "{text}");

    let args = [
        "search",
        "sines.csv",
        "sines.csv",
        "--by",
        "pictures",
        "--top",
        "2",
    ];
    let output = bench.run(&[&args[..], &cpu[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "query,rank,match,label,likeness");
    assert_eq!(lines.len(), 81);
    // What is the same is at the top.
    assert!(lines[1].starts_with("0,1,0,"), "{text}");
    assert!(lines[1].ends_with(",1.0000"), "{text}");

    let same = bench.run(&["search", "sines.csv", "--by", "pictures"]);
    assert_eq!(same.status.code(), Some(1), "{same:?}");
    assert!(stderr(&same).contains("found by itself"), "{same:?}");
}

#[test]
fn variates_are_found_by_name_and_samples_named_by_their_ids() {
    let bench = Bench::new();
    let cpu = ["--backend", "cpu"];
    bench.write(
        "index.csv",
        "name,a_0,a_1,a_2,b_0,b_1,b_2\n\"x,1\",0,1,2,9,5,3\ny,2,1,0,3,9,3\n",
    );
    bench.write("query.csv", "b_0,b_1,b_2,name,a_0,a_1,a_2\n9,5,3,q,0,1,2\n");
    let files = [
        "search",
        "index.csv",
        "query.csv",
        "--id-column",
        "name",
        "--no-label",
    ];
    let views = ["--in", "values", "--top", "1"];
    let output = bench.run(&[&files[..], &views[..], &cpu[..]].concat());
    assert!(output.status.success(), "{output:?}");
    let text = stdout(&output);
    assert_eq!(text.lines().nth(1), Some("q,1,\"x,1\",,1.0000"), "{text}");
    bench.write("other.csv", "name,a_0,a_1,a_2\nq,0,1,2\n");
    let files = [
        "search",
        "index.csv",
        "other.csv",
        "--id-column",
        "name",
        "--no-label",
    ];
    let output = bench.run(&[&files[..], &cpu[..]].concat());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(stderr(&output).contains('b'), "{output:?}");
}
