//! Finding the stores in a folder, and removing those that are no longer wanted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file::{open_file, read_header};
use super::lock::BuildLock;
use super::{StoreDefect, StoreError, StoreKind, lock_path};

/// A store in a folder, complete or not, told by its name and its first bytes.
#[derive(Clone, Debug)]
pub struct FoundStore<K> {
    /// Where the file is.
    pub path: PathBuf,
    /// What it holds, or what is wrong with its header.
    pub header: Result<K, StoreDefect>,
    /// True for a store whose building did not end, or has not ended yet.
    pub partial: bool,
    /// Bytes of the file.
    pub bytes: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

impl<K: StoreKind> FoundStore<K> {
    /// Removes the file.
    ///
    /// # Errors
    ///
    /// As the kind's own error: [`StoreError::Busy`] if a process is building this store;
    /// [`StoreError::Defect`] if the file is no longer a store of this kind; [`StoreError::Io`] if
    /// it cannot be removed.
    pub fn remove(&self) -> Result<(), K::Error> {
        Ok(self.try_remove()?)
    }

    fn try_remove(&self) -> Result<(), StoreError> {
        let path = &self.path;
        let store = if self.partial {
            path.with_extension("")
        } else {
            path.clone()
        };
        let lock = BuildLock::try_take(&lock_path(&store))?;
        let _lock = lock.ok_or_else(|| StoreError::Busy { path: path.clone() })?;
        // It may have been replaced since it was found.
        match look_at::<K>(path) {
            Ok(Some(_)) => fs::remove_file(path).map_err(StoreError::io("remove", path)),
            Ok(None) => Err(StoreError::defect(path)(StoreDefect::NotAStore)),
            Err(error) => Err(error),
        }
    }
}

/// The stores of one kind in `folder`, complete or not, by name; other files are passed over.
///
/// # Errors
///
/// [`StoreError::Io`], as the kind's own error, if the folder or a file that is named like a store
/// cannot be read.
pub fn find_stores<K: StoreKind>(folder: impl AsRef<Path>) -> Result<Vec<FoundStore<K>>, K::Error> {
    let folder = folder.as_ref();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(StoreError::io("list", folder))? {
        let path = entry.map_err(StoreError::io("list", folder))?.path();
        if is_named_like_a_store(&path, K::EXTENSION) {
            found.extend(look_at(&path)?);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Examines one file; `None` if it is gone or does not begin as a store of this kind does.
fn look_at<K: StoreKind>(path: &Path) -> Result<Option<FoundStore<K>>, StoreError> {
    let opened = open_file(path).and_then(|(file, len)| {
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        let modified = modified.map_err(StoreError::io("examine", path))?;
        Ok((read_header(path, &file, len), len, modified))
    });
    let (header, bytes, modified) = match opened {
        Ok((Ok(header), bytes, modified)) => (Ok(header), bytes, modified),
        Ok((Err(StoreError::Defect { source, .. }), bytes, modified)) => {
            (Err(source), bytes, modified)
        }
        Err(StoreError::Defect { .. }) => return Ok(None),
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Ok((Err(error), ..)) | Err(error) => return Err(error),
    };
    if header == Err(StoreDefect::NotAStore) {
        return Ok(None);
    }
    let partial = path
        .extension()
        .is_some_and(|extension| extension == "partial");
    Ok(Some(FoundStore {
        path: path.to_owned(),
        header,
        partial,
        bytes,
        modified,
    }))
}

/// Whether a file is called `<32 hexadecimal digits>.<extension>`, or so with `.partial` behind it.
fn is_named_like_a_store(path: &Path, extension: &str) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let name = name.strip_suffix(".partial").unwrap_or(name);
    let key = name
        .strip_suffix(extension)
        .and_then(|name| name.strip_suffix('.'));
    key.is_some_and(|key| key.len() == 32 && key.bytes().all(|digit| digit.is_ascii_hexdigit()))
}
