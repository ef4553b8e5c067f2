//! The tutorial: its commands, run one after the other as a reader would.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::bench::{stderr, stdout};

/// The commands of the tutorial, in order.
fn commands(text: &str) -> Vec<String> {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        if line.starts_with("```") {
            inside = !inside;
        }
        inside && line.starts_with("timesclip ")
    });
    lines.map(str::to_owned).collect()
}

#[test]
fn the_commands_of_the_tutorial_do_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(root.join("docs/tutorial.md")).expect("the tutorial");
    let folder = tempfile::tempdir().expect("a folder");
    for part in ["TRAIN", "TEST"] {
        let name = format!("JapaneseVowels_{part}.ts");
        let text = fs::read_to_string(root.join("examples/data").join(&name)).expect("a set");
        // Every ninth series, so that the commands take seconds in a build that is not optimized.
        let mut row = 0;
        let some = text.lines().filter(|line| {
            let is_data = !line.starts_with(['@', '#']) && !line.is_empty();
            row += usize::from(is_data);
            !is_data || row % 9 == 1
        });
        let some: Vec<&str> = some.collect();
        fs::write(folder.path().join(name), some.join("\n") + "\n").expect("a smaller set");
    }
    let commands = commands(&text);
    assert!(commands.len() >= 8, "{commands:?}");
    for command in &commands {
        let command = command.split("  #").next().unwrap_or(command);
        let (command, into) = match command.split_once(" > ") {
            Some((command, into)) => (command, Some(into.trim())),
            None => (command, None),
        };
        let words = command.split_whitespace().skip(1);
        let output = Command::new(env!("CARGO_BIN_EXE_timesclip"))
            .args(words)
            .current_dir(folder.path())
            .output()
            .expect("the command starts");
        assert!(output.status.success(), "{command}: {}", stderr(&output));
        if let Some(into) = into {
            fs::write(folder.path().join(into), stdout(&output)).expect("a file");
        }
    }
    for file in [
        "run/report.html",
        "run/model.safetensors",
        "predictions.csv",
        "why/all.html",
        "compared/comparison.html",
    ] {
        let size = fs::metadata(folder.path().join(file)).map(|file| file.len());
        assert!(size.is_ok_and(|size| size > 0), "{file} is not there");
    }
}
