//! What documents say is so: tests that they name are there, commands are taken by the program, the
//! translation has the same code.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// README and guides.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![root.join("README.md"), root.join("README.zh-CN.md")];
    let docs = fs::read_dir(root.join("docs")).expect("a folder of documents");
    let docs = docs.map(|entry| entry.expect("an entry").path());
    paths.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    let named = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a document");
        (path.display().to_string(), text)
    };
    paths.into_iter().map(named).collect()
}

/// The blocks of code of a document: what it says they are, and their lines.
fn blocks(text: &str) -> Vec<(String, Vec<String>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(kind), None) => open = Some((kind.to_owned(), Vec::new())),
            (None, Some((_, lines))) => lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block of code is never closed");
    blocks
}

/// The words of a command as a shell takes them, without a remark and without redirections.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for character in command.chars().chain([' ']) {
        match (character, quote) {
            (_, Some(end)) if character == end => quote = None,
            ('\'' | '"', None) => quote = Some(character),
            (' ', None) if word.is_empty() => {}
            (' ', None) => words.push(std::mem::take(&mut word)),
            _ => word.push(character),
        }
    }
    let end = ["#", ">", "|", "2>", "&&"];
    let end = words.iter().position(|word| end.contains(&word.as_str()));
    words.truncate(end.unwrap_or(words.len()));
    words
}

/// Commands of this program in a document, each on one line.
fn commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for (_, lines) in blocks(text)
        .into_iter()
        .filter(|(kind, _)| !kind.starts_with("rust"))
    {
        let joined = lines.join("\n").replace("\\\n", " ");
        for line in joined.lines() {
            let line = line.trim_start().trim_start_matches("$ ");
            if line.starts_with("timesclip ") {
                commands.push(words(line));
            }
        }
    }
    commands
}

#[test]
fn every_documented_command_is_one_that_the_program_takes() {
    let mut n = 0;
    for (path, text) in documents() {
        for command in commands(&text) {
            n += 1;
            if let Err(error) = timesclip_cli::Cli::try_parse_from(&command) {
                panic!("{path}: `{}`: {error}", command.join(" "));
            }
        }
    }
    assert!(n >= 15, "only {n} commands were found");
}

#[test]
fn the_tests_that_the_table_of_faults_names_are_there() {
    let text = read("docs/reference-faults.md");
    let rows: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| # |"))
        .collect();
    assert_eq!(rows.len(), 14, "a row for each fault");
    for row in rows {
        let cell = row.trim_end_matches(" |").rsplit(" | ").next();
        let (mut source, mut n) = (String::new(), 0);
        for name in cell.unwrap_or_default().split('`').skip(1).step_by(2) {
            if Path::new(name).extension().is_some() {
                source = read(name);
            } else if name.contains('/') {
                read(name);
            } else {
                assert!(
                    source.contains(&format!("fn {name}(")),
                    "no test `{name}`: {row}"
                );
                n += 1;
            }
        }
        assert!(n > 0, "no test is named: {row}");
    }
}

#[test]
fn the_translation_has_the_same_code_and_links() {
    let [english, chinese] = ["README.md", "README.zh-CN.md"].map(read);
    let [ours, theirs] = [&english, &chinese].map(|text| blocks(text));
    assert_eq!(ours.len(), theirs.len(), "blocks of code");
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.0, theirs.0, "the kind of a block");
        // Remarks behind commands are translated; code and output are not.
        let code = |lines: &[String]| -> Vec<String> {
            let lines = lines.iter();
            let plain = lines.map(|line| match ours.0.starts_with("rust") {
                true => line.clone(),
                false => line
                    .split("  #")
                    .next()
                    .unwrap_or(line)
                    .trim_end()
                    .to_owned(),
            });
            plain.collect()
        };
        assert_eq!(code(&ours.1), code(&theirs.1));
    }
    let links = |text: &str| -> Vec<String> {
        let links = text.split("](").skip(1);
        let mut links: Vec<String> = links
            .filter_map(|rest| rest.split(')').next())
            .filter(|link| !link.starts_with("README"))
            .map(str::to_owned)
            .collect();
        links.sort();
        links
    };
    assert_eq!(links(&english), links(&chinese));
    let rows = |text: &str| text.lines().filter(|line| line.starts_with('|')).count();
    assert_eq!(rows(&english), rows(&chinese), "rows of tables");
    let titles = |text: &str| text.lines().filter(|line| line.starts_with('#')).count();
    assert_eq!(titles(&english), titles(&chinese), "titles");
}
