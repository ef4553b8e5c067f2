//! `timesclip-sql` as a process of its own.

use std::fs;

use crate::support::{folder_with_model, parquet, sorted, sql, stderr, stdout};

const QUERY: &str = "SELECT id, timesclip_predict('waves', acc_x, acc_y) AS label \
                     FROM 'data/*.parquet'";
const MODEL: &str = "waves=waves.safetensors";

/// A folder with a model, and 400 rows in two Parquet files in `data`.
fn bench() -> tempfile::TempDir {
    let (folder, _) = folder_with_model();
    fs::create_dir(folder.path().join("data")).expect("a folder");
    parquet(&folder.path().join("data/a.parquet"), 0..250);
    parquet(&folder.path().join("data/b.parquet"), 250..400);
    folder
}

#[test]
fn every_format_goes_in_and_out_with_the_same_rows() {
    let bench = bench();
    let folder = bench.path();
    let output = sql(folder, &[QUERY, "--model", MODEL]);
    assert!(output.status.success(), "{output:?}");
    let expected = sorted(&stdout(&output));
    assert_eq!(expected.len(), 401);
    assert_eq!(expected[400], "id,label");
    assert!(expected.contains(&"9,".to_owned()), "null is an empty cell");
    assert!(stderr(&output).contains("400 rows in "), "{output:?}");

    for out in ["parquet/", "lines.json", "table.csv"] {
        let output = sql(folder, &[QUERY, "--model", MODEL, "--out", out, "--quiet"]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(stdout(&output), "");
        assert_eq!(stderr(&output), "");
        let output = sql(folder, &[&format!("SELECT id, label FROM '{out}'")]);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(sorted(&stdout(&output)), expected, "{out}");
    }

    // Lists in JSON lines are series as well.
    let copy = "SELECT * FROM 'data/a.parquet'";
    let output = sql(folder, &[copy, "--out", "series.json"]);
    assert!(output.status.success(), "{output:?}");
    let query = QUERY.replace("data/*.parquet", "series.json");
    let output = sql(folder, &[&query, "--model", MODEL]);
    assert!(output.status.success(), "{output:?}");
    let rows = sorted(&stdout(&output));
    assert_eq!(rows.len(), 251);
    assert!(rows.iter().all(|row| expected.contains(row)));
}

#[test]
fn statements_follow_each_other_and_a_limit_of_memory_spills() {
    let bench = bench();
    let statements = "CREATE VIEW steps AS \
                      SELECT id, unnest(acc_x) AS x, unnest(acc_y) AS y FROM 'data/*.parquet'; \
                      SELECT count(*) AS n FROM (SELECT * FROM steps, range(50) ORDER BY x, value, id)";
    let args = [statements, "--memory-limit", "24M", "--partitions", "2"];
    let output = sql(bench.path(), &args);
    assert!(output.status.success(), "{output:?}");
    let n: u64 = stdout(&output)
        .lines()
        .nth(1)
        .expect("a row")
        .parse()
        .expect("a number");
    assert!(n > 300_000, "{n}");
}

#[test]
fn what_fails_leaves_nothing_behind_and_says_what() {
    let bench = bench();
    let folder = bench.path();
    let fails = |args: &[&str], what: &str| {
        let output = sql(folder, args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains(what), "{what}: {output:?}");
        assert_eq!(stdout(&output), "");
    };
    fails(&[QUERY], "there is no model `waves`");
    fails(
        &[QUERY, "--model", MODEL, "--out", "data/"],
        "data/ is not empty",
    );
    fails(
        &[QUERY, "--model", MODEL, "--out", "answers.xlsx"],
        "unknown format `xlsx`",
    );
    let nested = "SELECT acc_x FROM 'data/a.parquet'";
    fails(
        &[nested, "--out", "lists.csv"],
        "CSV has no place for column `acc_x`",
    );
    fails(&["SELECT * FROM 'nothing.parquet'"], "nothing.parquet");
    let late = "SELECT id, timesclip_predict('waves', CASE WHEN id = 399 \
                THEN array_append(acc_x, CAST('inf' AS FLOAT)) ELSE acc_x END, acc_y) \
                FROM 'data/*.parquet'";
    // The last row has no value; one before it that has.
    let late = late.replace("399", "398");
    for out in ["late.csv", "late/"] {
        fails(
            &[&late, "--model", MODEL, "--out", out],
            "is inf, expected a finite number",
        );
        let left = match out.ends_with('/') {
            true => fs::read_dir(folder.join(out)).expect("a folder").count(),
            false => {
                usize::from(folder.join(out).exists() || folder.join("late.csv.partial").exists())
            }
        };
        assert_eq!(left, 0, "{out}");
    }
    let usage = sql(folder, &[QUERY, "--model", "waves"]);
    assert_eq!(usage.status.code(), Some(2), "{usage:?}");
}
