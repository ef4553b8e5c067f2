//! Where results go: stdout, or a file that is complete or not there.

use std::borrow::Cow;
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
