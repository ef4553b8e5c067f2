//! Writing files so that a crash leaves the old one or the new one, and the error that names one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The system refused a file operation.
#[derive(Debug, Error)]
#[error("cannot {action} {}", path.display())]
pub struct IoError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl IoError {
    /// Names what was tried, and on which path, for `map_err`.
    pub(crate) fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self {
            action,
            path,
            source,
        }
    }
}

/// Has a file written beside `path`, as `path` with `.partial` behind it, syncs it and renames it
/// into place. Whatever fails, a file that was at `path` before is still there, whole.
///
/// # Errors
/// [`IoError`] of whichever step the system refused; what was written beside is removed.
pub fn write_atomically(
    path: &Path,
    write: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), IoError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    let beside = PathBuf::from(beside);
    let attempt = || {
        write(&beside)?;
        File::options().write(true).open(&beside)?.sync_all()?;
        fs::rename(&beside, path)?;
        sync_folder(path)
    };
    attempt().map_err(|source| {
        // The failure is what is reported, not that its remains could not be removed.
        let _ = fs::remove_file(&beside);
        IoError::at("write", path)(source)
    })
}

/// Makes a rename survive a power cut, where folders can be synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_remains() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("note");
        write_atomically(&path, |beside| fs::write(beside, "old")).unwrap();

        let full = |beside: &Path| {
            fs::write(beside, "ne")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = write_atomically(&path, full).unwrap_err();

        assert!(error.to_string().contains("note"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
