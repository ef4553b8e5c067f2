//! The table of formats in `docs/data.md`: what it says is printed is what is understood.

use std::path::{Path, PathBuf};

use super::super::{Layout, ReadOptions, read_with};
use super::full;
use crate::data::window::Windows;

/// The options of the flags of a command.
fn options(flags: &[&str], folder: &Path) -> ReadOptions {
    let mut options = ReadOptions::default();
    let mut windows = Windows {
        length: 1,
        stride: 1,
        label: Default::default(),
    };
    for pair in flags.chunks(2) {
        let value = pair[1];
        match pair[0] {
            "--variates" => options.n_variates = value.parse().ok(),
            "--layout" => options.layout = Some(value.parse::<Layout>().unwrap()),
            "--label-file" => options.label_file = Some(folder.join(value)),
            "--window" => windows.length = value.parse().unwrap(),
            "--stride" => windows.stride = value.parse().unwrap(),
            "--window-label" => windows.label = value.parse().unwrap(),
            flag => panic!("{flag} is in the table and not in its test"),
        }
    }
    options.windows = flags.contains(&"--window").then_some(windows);
    options
}

/// What stands between the first and the last backtick of a cell.
fn code(cell: &str) -> Option<&str> {
    let (start, end) = (cell.find('`')?, cell.rfind('`')?);
    cell.get(start + 1..end)
}

#[test]
fn the_table_of_formats_is_true() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/data.md")).unwrap();
    let mut printed = String::new();
    let mut n_rows = 0;
    for line in text
        .lines()
        .filter(|line| line.contains("| `timesclip inspect "))
    {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [_, command, result] = cells[..] else {
            panic!("{line}")
        };
        printed = code(result).map_or(printed, str::to_owned);
        let command = code(command).unwrap();
        let words: Vec<&str> = command.split(' ').skip(2).collect();
        if words[0].ends_with(".parquet") && !cfg!(feature = "parquet") {
            continue;
        }
        let mut folder = root.join("tests/fixtures/read");
        if words[0].starts_with("JapaneseVowels") {
            folder = root.join("examples/data");
        }
        let read = read_with(&folder.join(words[0]), &options(&words[1..], &folder));
        let read = read.unwrap_or_else(|error| panic!("{command}: {}", full(&error)));
        assert_eq!(read.understanding.to_string(), printed, "{command}");
        n_rows += 1;
    }
    assert!(
        n_rows > 10,
        "{n_rows} rows are too few: has the table another form?"
    );
}
