//! Where results go: stdout, or a file that is complete or not there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Has results written to stdout (`None` or `-`), or to a file in one step as others see it.
///
/// # Errors
/// If they cannot be written.
pub fn write_results(
    out: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    let Some(path) = out.filter(|path| *path != Path::new("-")) else {
        let mut stdout = BufWriter::new(io::stdout().lock());
        write(&mut stdout)?;
        return Ok(stdout.flush()?);
    };
    let beside = PathBuf::from(format!("{}.partial", path.display()));
    let written = (|| {
        let mut file = BufWriter::new(File::create(&beside)?);
        write(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        Ok(fs::rename(&beside, path)?)
    })();
    written.inspect_err(|_| {
        // The failure is what is reported.
        let _ = fs::remove_file(&beside);
    })
    .with_context(|| format!("cannot write {}", path.display()))
}
