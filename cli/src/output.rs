//! Where results go: stdout, or a file that is complete or not there.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use timesclip::write_atomically;

/// Text as a cell of a table, in quotes where it needs them.
pub(crate) fn cell(text: &str, delimiter: char) -> Cow<'_, str> {
    match text.contains([delimiter, '"', '\n', '\r']) || text.trim() != text {
        false => Cow::Borrowed(text),
        true => Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))),
    }
}

/// Says a line on stderr. If nobody can read it any more, the work goes on without it.
pub(crate) fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Text with nothing that a terminal would act on.
pub(crate) fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() || ('\u{200b}'..='\u{202e}').contains(&letter) {
            true => visible.extend(letter.escape_default()),
            false => visible.push(letter),
        }
    }
    visible
}

/// The name of a set as that of a folder: one component of a path, that is not hidden.
pub(crate) fn folder_name(set: &str) -> String {
    if set.is_empty() {
        return "series".to_owned();
    }
    let rest = set.trim_start_matches('.');
    let dots = set.len() - rest.len();
    let plain = |letter: char| match letter.is_alphanumeric() || "-_. ".contains(letter) {
        true => letter,
        false => '_',
    };
    let start = std::iter::repeat_n('_', dots);
    start.chain(rest.chars().map(plain)).collect()
}

/// Has results written to stdout (`None` or `-`), or to a file in one step as others see it.
///
/// # Errors
/// If they cannot be written.
pub(crate) fn write_results(
    out: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let Some(path) = out.filter(|path| *path != Path::new("-")) else {
        let mut stdout = BufWriter::new(io::stdout().lock());
        write(&mut stdout)?;
        return Ok(stdout.flush()?);
    };
    Ok(write_atomically(path, |beside| {
        let mut file = BufWriter::new(File::create(beside)?);
        write(&mut file).map_err(io::Error::other)?;
        file.flush()
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_set_is_one_component_of_a_path() {
        assert_eq!(folder_name("Größe-1_b v2.0"), "Größe-1_b v2.0");
        assert_eq!(folder_name("../../etc/x"), "___.._etc_x");
        assert_eq!(folder_name(".."), "__");
        assert_eq!(folder_name("a\\b:\u{1b}c"), "a_b__c");
        assert_eq!(folder_name(""), "series");
    }

    #[test]
    fn what_a_terminal_would_act_on_is_spelled_out() {
        assert_eq!(
            visible("Größe\u{1b}[2J\u{202e}"),
            "Größe\\u{1b}[2J\\u{202e}"
        );
    }
}
