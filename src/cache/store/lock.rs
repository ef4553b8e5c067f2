//! The lock by which one process builds a store while others wait.
//!
//! The lock is the system's, on an empty file beside the store, and goes with the process that
//! holds it, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StoreError;
use crate::files::IoError;

/// Time between two attempts to get the lock.
const PATIENCE: Duration = Duration::from_millis(20);

/// Held by the one process that may write beside a store.
#[derive(Debug)]
pub(super) struct BuildLock {
    /// Holds the lock as long as it is open.
    _file: File,
    path: PathBuf,
}

impl BuildLock {
    /// Takes the lock; calls `on_wait` as long as another process holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], and what `on_wait` returns.
    pub(super) fn wait(
        path: &Path,
        mut on_wait: impl FnMut() -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        loop {
            if let Some(lock) = Self::try_take(path)? {
                return Ok(lock);
            }
            on_wait()?;
            std::thread::sleep(PATIENCE);
        }
    }

    /// Takes the lock, unless another process holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`].
    pub(super) fn try_take(path: &Path) -> Result<Option<Self>, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(path).map_err(IoError::at("create", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => {
                return Err(IoError::at("lock", path)(source).into());
            }
        }
        let current = is_current(&file, path).map_err(IoError::at("examine", path))?;
        let path = path.to_owned();
        // Made only if it is held: dropping it removes the file that the path names.
        Ok(current.then(|| Self { _file: file, path }))
    }
}

impl Drop for BuildLock {
    /// Removes the file of the lock; the lock itself goes when the file is closed after that.
    fn drop(&mut self) {
        if cfg!(unix) {
            // A file that stays is empty and does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether `path` still names the file that was locked: the holder before may have removed it,
/// and a third process may hold the lock on a new one.
#[cfg(unix)]
fn is_current(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let locked = file.metadata()?;
    match fs::metadata(path) {
        Ok(named) => Ok((locked.dev(), locked.ino()) == (named.dev(), named.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere the file of a lock is never removed.
#[cfg(not(unix))]
fn is_current(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_holds_the_lock_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");

        let held = BuildLock::try_take(&path).unwrap().unwrap();
        assert!(BuildLock::try_take(&path).unwrap().is_none());
        drop(held);

        assert!(BuildLock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn waiting_can_be_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let _held = BuildLock::try_take(&path).unwrap().unwrap();
        let mut waits = 0;

        let given_up = BuildLock::wait(&path, || {
            waits += 1;
            if waits < 3 {
                Ok(())
            } else {
                Err(StoreError::Cancelled { done: 0, total: 1 })
            }
        });

        assert!(
            matches!(given_up, Err(StoreError::Cancelled { .. })),
            "{given_up:?}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_on_a_removed_file_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let late = File::create(&path).unwrap();

        fs::remove_file(&path).unwrap();
        assert!(!is_current(&late, &path).unwrap());
        File::create(&path).unwrap();
        assert!(!is_current(&late, &path).unwrap());
    }

    #[test]
    fn threads_take_turns_while_the_file_is_removed_again_and_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let inside = std::sync::atomic::AtomicUsize::new(0);

        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let lock = BuildLock::wait(&path, || Ok(())).unwrap();
                        let before = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        assert_eq!(before, 0, "two hold the lock");
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
    }
}
