//! The lock by which one process writes into the directory of a run.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::ReportError;
use super::files::io_error;

/// Held, by all copies, as long as the process may write into the directory of a run.
///
/// The lock is the system's and goes with the process, however that ends; its file stays.
#[derive(Clone, Debug)]
pub(super) struct RunLock {
    _file: Arc<File>,
}

impl RunLock {
    /// Takes the lock of a directory.
    ///
    /// # Errors
    /// [`ReportError::InUse`] if another process holds it, [`ReportError::Io`].
    pub(super) fn take(directory: &Path) -> Result<Self, ReportError> {
        let path = directory.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(io_error("create", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ReportError::InUse {
                    path: directory.to_owned(),
                });
            }
            // A file system without locks can hold a run all the same.
            Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(io_error("lock", &path)(source)),
        }
        let _file = Arc::new(file);
        Ok(Self { _file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_process_s_at_a_time() {
        let folder = tempfile::tempdir().unwrap();

        let held = RunLock::take(folder.path()).unwrap();
        let copy = held.clone();
        drop(held);
        let refused = RunLock::take(folder.path());
        assert!(
            matches!(refused, Err(ReportError::InUse { .. })),
            "{refused:?}"
        );
        drop(copy);

        RunLock::take(folder.path()).unwrap();
    }
}
