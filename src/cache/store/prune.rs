//! Finding the stores and shards in a folder, and removing those that are no longer wanted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file::{StoreFile, open_file, read_header};
use super::lock::BuildLock;
use super::shard::{Shard, ShardHeader};
use super::{Section, StoreDefect, StoreError, StoreKind, lock_path};
use crate::files::IoError;

/// A store in a folder, or a shard of one, complete or not, told by its name and its first bytes.
#[derive(Clone, Debug)]
pub struct FoundStore<K> {
    /// Where the file is.
    pub path: PathBuf,
    /// What the store holds, or what is wrong with the header.
    pub header: Result<K, StoreDefect>,
    /// Which shard of the store it is; nothing if it is the store.
    pub shard: Option<Shard>,
    /// True for a store or shard whose building did not end, or has not ended yet.
    pub partial: bool,
    /// Bytes of the file.
    pub bytes: u64,
    /// When it was last written.
    pub modified: SystemTime,
}

impl<K: StoreKind> FoundStore<K> {
    /// Where the store is, or would be, that this is, or is a shard of.
    pub fn store_path(&self) -> PathBuf {
        let name = Name::of::<K>(&self.path).map_or("", |name| name.store);
        self.path.with_file_name(name)
    }

    /// Reads and checks every byte of a complete store or shard, on all threads of the rayon pool.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`] and [`StoreError::Defect`] as the kind's own error, of the first defect
    /// that is met.
    pub fn verify(&self) -> Result<(), K::Error> {
        // The file of a shard is not one of a store.
        match self.shard {
            None => StoreFile::<K>::open(&self.path).map(drop),
            Some(_) => StoreFile::<ShardHeader<K>>::open(&self.path).map(drop),
        }
    }

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
            Ok(Some(found)) if found.header != Err(StoreDefect::NotAStore) => {
                Ok(fs::remove_file(path).map_err(IoError::at("remove", path))?)
            }
            Ok(_) => Err(StoreError::defect(path)(StoreDefect::NotAStore)),
            Err(error) => Err(error),
        }
    }
}

/// The stores of one kind in `folder` and their shards, complete or not, by name. A file that is named
/// like one and does not begin like one is among them, as [`StoreDefect::NotAStore`]; other files are
/// passed over.
///
/// # Errors
///
/// [`StoreError::Io`], as the kind's own error, if the folder or a file that is named like a store
/// cannot be read.
pub fn find_stores<K: StoreKind>(folder: impl AsRef<Path>) -> Result<Vec<FoundStore<K>>, K::Error> {
    Ok(find(folder.as_ref(), |_| true)?)
}

/// Examines one file; `None` if it is gone or not named as a store of this kind is. One that is named
/// like a store and does not begin like one is a damaged store.
fn look_at<K: StoreKind>(path: &Path) -> Result<Option<FoundStore<K>>, StoreError> {
    let Some(Name { shard, partial, .. }) = Name::of::<K>(path) else {
        return Ok(None);
    };
    let opened = open_file(path).and_then(|(file, len)| {
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        let modified = modified.map_err(IoError::at("examine", path))?;
        let header = match shard {
            // Its building was killed before the first byte.
            _ if partial && len == 0 => {
                let section = Section::Header;
                Err(StoreError::defect(path)(StoreDefect::Truncated {
                    section,
                    len,
                }))
            }
            None => read_header(path, &file, len),
            Some(shard) => read_header::<ShardHeader<K>>(path, &file, len)
                .and_then(|found| found.of_shard(shard).map_err(StoreError::defect(path))),
        };
        Ok((header, len, modified))
    });
    let (header, bytes, modified) = match opened {
        Ok((Ok(header), bytes, modified)) => (Ok(header), bytes, modified),
        Ok((Err(StoreError::Defect { source, .. }), bytes, modified)) => {
            (Err(source), bytes, modified)
        }
        Err(StoreError::Defect { .. }) => return Ok(None),
        Err(StoreError::Io(error)) if error.source.kind() == io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Ok((Err(error), ..)) | Err(error) => return Err(error),
    };
    Ok(Some(FoundStore {
        path: path.to_owned(),
        header,
        shard,
        partial,
        bytes,
        modified,
    }))
}

/// The shards of the store at `path`, complete or not, by name.
pub(super) fn find_shards<K: StoreKind>(path: &Path) -> Result<Vec<FoundStore<K>>, StoreError> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    let folder = folder.unwrap_or(Path::new("."));
    let store = path.file_name();
    let mut shards = find(folder, |name| {
        name.shard.is_some() && store.is_some_and(|store| store == name.store)
    })?;
    // What does not begin as a shard does is none: it is to be made.
    shards.retain(|shard| shard.header != Err(StoreDefect::NotAStore));
    Ok(shards)
}

/// The stores and shards in a folder whose names are `wanted`.
fn find<K: StoreKind>(
    folder: &Path,
    wanted: impl Fn(&Name<'_>) -> bool,
) -> Result<Vec<FoundStore<K>>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(IoError::at("list", folder))? {
        let path = entry.map_err(IoError::at("list", folder))?.path();
        if Name::of::<K>(&path).is_some_and(|name| wanted(&name)) {
            found.extend(look_at(&path)?);
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// What the name of a file says.
struct Name<'a> {
    /// Name of the store.
    store: &'a str,
    shard: Option<Shard>,
    partial: bool,
}

impl<'a> Name<'a> {
    /// Takes apart `<32 hexadecimal digits>.<extension>`, with the ending of a shard behind it,
    /// `.partial`, or both; nothing if a file is called otherwise.
    fn of<K: StoreKind>(path: &'a Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (name, partial) = match name.strip_suffix(".partial") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let (store, shard) = match Shard::split_name(name) {
            Some((store, shard)) => (store, Some(shard)),
            None => (name, None),
        };
        let key = store.strip_suffix(K::EXTENSION)?.strip_suffix('.')?;
        let named = key.len() == 32 && key.bytes().all(|digit| digit.is_ascii_hexdigit());
        named.then_some(Self {
            store,
            shard,
            partial,
        })
    }
}
