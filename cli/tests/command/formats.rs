//! The table of formats in `docs/data.md`: every line is run, and prints what it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::bench::stdout;

/// The commands of the table, each with the line that it prints.
fn lines(text: &str) -> Vec<(Vec<String>, String)> {
    let table = text.split("## Formats and layouts").nth(1);
    let table = table.and_then(|text| text.split("\n## ").next());
    let rows = table.expect("the section of the table").lines();
    let rows = rows.filter(|line| line.starts_with("| ")).skip(1);
    let mut lines: Vec<(Vec<String>, String)> = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [_, command, printed] = cells[..] else {
            panic!("three cells in `{row}`");
        };
        let words = command.trim_matches('`').split(' ');
        let printed = match printed {
            "the same" => lines.last().expect("a line before").1.clone(),
            printed => printed.trim_matches('`').to_owned(),
        };
        lines.push((words.map(str::to_owned).collect(), printed));
    }
    lines
}

#[test]
fn every_line_of_the_table_of_formats_prints_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join("docs/data.md")).expect("the page");
    let files: PathBuf = root.join("tests/fixtures/read");
    let lines = lines(&text);
    assert!(lines.len() >= 14, "{} lines", lines.len());
    for (words, printed) in lines {
        let line = words.join(" ");
        assert_eq!(words[0], "timesclip", "{line}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_timesclip"));
        let output = command.args(&words[1..]).current_dir(&files).output();
        let output = output.expect("the command starts");
        if line.contains(".parquet") && cfg!(not(feature = "parquet")) {
            eprintln!("skipped, a build without the feature `parquet`: {line}");
            assert!(!output.status.success(), "{line}");
            continue;
        }
        assert!(output.status.success(), "{line}: {output:?}");
        let found = stdout(&output);
        assert_eq!(found.lines().nth(1), Some(printed.as_str()), "{line}");
    }
}
