//! The lock by which one process writes into the directory of a run.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::RunError;
use crate::files::IoError;

/// Kept by all copies as long as the process may write into the directory of a run.
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
    /// [`RunError::InUse`] if another process has it, [`RunError::Io`].
    pub(super) fn take(directory: &Path) -> Result<Self, RunError> {
        let path = directory.join("lock");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(IoError::at("create", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::InUse {
                    path: directory.to_owned(),
                });
            }
            // A file system without locks can hold a run all the same.
            Err(TryLockError::Error(source)) if source.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => {
                return Err(IoError::at("lock", &path)(source).into());
            }
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

        let first = RunLock::take(folder.path()).unwrap();
        let copy = first.clone();
        drop(first);
        let refused = RunLock::take(folder.path());
        assert!(
            matches!(refused, Err(RunError::InUse { .. })),
            "{refused:?}"
        );
        drop(copy);

        RunLock::take(folder.path()).unwrap();
    }
}
