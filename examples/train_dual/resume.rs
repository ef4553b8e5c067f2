//! The command that goes on with an interrupted run.

use std::ffi::OsString;
use std::path::Path;

/// The command line that began the run in `out`, and that it is to go on: a run goes on only with
/// the flags it was begun with.
pub(crate) fn command(begun: impl Iterator<Item = OsString>, out: &Path) -> String {
    let mut words: Vec<String> = begun
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let has = |words: &[String], flag: &str| {
        let with_value = format!("{flag}=");
        let mut given = words.iter();
        given.any(|word| word == flag || word.starts_with(&with_value))
    };
    if !has(&words, "--out") {
        words.extend(["--out".to_owned(), out.display().to_string()]);
    }
    if !has(&words, "--resume") {
        words.push("--resume".to_owned());
    }
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    words.join(" ")
}

/// A word as a shell takes it for one.
fn quoted(word: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
