//! The folder of one model in the cache: what is there, what is missing, and adding to it.
//!
//! ```text
//! models--owner--name/blobs/TAG             the bytes of a file
//! models--owner--name/snapshots/COMMIT/FILE a link to them
//! models--owner--name/.no_exist/COMMIT/FILE the model has no such file
//! models--owner--name/refs/REVISION         a commit
//! ```

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{HubError, HubOptions, is_plain};
use crate::files::IoError;

/// The architecture.
pub(super) const CONFIG: &str = "config.json";
/// How pictures are made ready; not every model has it.
pub(super) const PREPROCESSOR: &str = "preprocessor_config.json";
/// The list of parts, where weights come in several files.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// Where weights may be, best first.
pub(super) const WEIGHTS: [&str; 3] = ["model.safetensors", INDEX, "pytorch_model.bin"];

/// Name of the folder of a model.
pub(super) fn folder_name(name: &str) -> String {
    format!("models--{}", name.replace('/', "--"))
}

/// The files of a model at one commit.
pub(super) struct Snapshot {
    model_dir: PathBuf,
    commit: String,
}

impl Snapshot {
    pub(super) fn new(options: &HubOptions, name: &str, commit: &str) -> Self {
        Self {
            model_dir: options.cache_dir.join(folder_name(name)),
            commit: commit.to_owned(),
        }
    }

    /// The snapshot that the cache has for a revision, whole or not.
    pub(super) fn find(options: &HubOptions, name: &str) -> Option<Self> {
        let reference = Self::new(options, name, "").reference(&options.revision);
        let commit = fs::read_to_string(reference).ok();
        let commit = commit.map_or(options.revision.clone(), |text| text.trim().to_owned());
        let snapshot = Self::new(options, name, &commit);
        (is_plain(&commit) && snapshot.dir().is_dir()).then_some(snapshot)
    }

    pub(super) fn commit(&self) -> &str {
        &self.commit
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.model_dir.join("snapshots").join(&self.commit)
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.dir().join(file).is_file()
    }

    /// Whether it is known that the model has no such file.
    pub(super) fn lacks(&self, file: &str) -> bool {
        self.absent(file).is_file()
    }

    /// The first file that is missing for using the model; `None` if it is whole.
    pub(super) fn missing(&self, options: &HubOptions) -> Result<Option<String>, HubError> {
        if !self.has(CONFIG) {
            return Ok(Some(CONFIG.to_owned()));
        }
        // Other tools fetch what they need and leave no word about the rest.
        let known = self.has(PREPROCESSOR) || self.lacks(PREPROCESSOR);
        if !known && !options.offline {
            return Ok(Some(PREPROCESSOR.to_owned()));
        }
        match WEIGHTS.into_iter().find(|file| self.has(file)) {
            Some(INDEX) => Ok(self.parts()?.into_iter().find(|file| !self.has(file))),
            Some(_) => Ok(None),
            None => Ok(Some(WEIGHTS[0].to_owned())),
        }
    }

    /// The files that the weights come in.
    pub(super) fn parts(&self) -> Result<BTreeSet<String>, HubError> {
        let path = self.dir().join(INDEX);
        let problem = |problem: String| HubError::Index {
            path: path.clone(),
            problem,
        };
        let text = fs::read_to_string(&path).map_err(IoError::at("read", &path))?;
        let index: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| problem(error.to_string()))?;
        let map = index
            .get("weight_map")
            .and_then(serde_json::Value::as_object);
        let map = map.ok_or_else(|| problem("it has no object `weight_map`".to_owned()))?;
        let part = |value: &serde_json::Value| match value.as_str() {
            Some(file) if is_plain(file) => Ok(file.to_owned()),
            _ => Err(problem(format!(
                "{value} is not the name of a file beside it"
            ))),
        };
        let parts = map.values().map(part).collect::<Result<BTreeSet<_>, _>>()?;
        if parts.is_empty() {
            return Err(problem("it names no file".to_owned()));
        }
        Ok(parts)
    }

    /// Takes a whole file in: all or nothing, on the same file system.
    pub(super) fn take(&self, whole: &Path, tag: &str, file: &str) -> Result<(), HubError> {
        let (blobs, dir) = (self.model_dir.join("blobs"), self.dir());
        for folder in [&blobs, &dir] {
            fs::create_dir_all(folder).map_err(IoError::at("create", folder))?;
        }
        let (blob, link) = (blobs.join(tag), dir.join(file));
        let opened = File::open(whole).map_err(IoError::at("read", whole))?;
        opened.sync_all().map_err(IoError::at("write", whole))?;
        fs::rename(whole, &blob).map_err(IoError::at("create", &blob))?;
        match link_or_move(&blob, tag, &link) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(IoError::at("create", &link)(error).into())
            }
            _ => Ok(()),
        }
    }

    /// Notes that the model has no such file.
    pub(super) fn note_absent(&self, file: &str) -> Result<(), HubError> {
        write(&self.absent(file), "")
    }

    /// Notes which commit a revision is: from then on the cache has it.
    pub(super) fn note_revision(&self, revision: &str) -> Result<(), HubError> {
        if revision == self.commit {
            return Ok(());
        }
        write(&self.reference(revision), &self.commit)
    }

    fn absent(&self, file: &str) -> PathBuf {
        self.model_dir
            .join(".no_exist")
            .join(&self.commit)
            .join(file)
    }

    fn reference(&self, revision: &str) -> PathBuf {
        self.model_dir.join("refs").join(revision)
    }
}

/// Writes a small file beside its place and renames it into it.
fn write(path: &Path, text: &str) -> Result<(), HubError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(IoError::at("create", folder))?;
    let beside = path.with_added_extension("timesclip-partial");
    fs::write(&beside, text).map_err(IoError::at("write", &beside))?;
    fs::rename(&beside, path).map_err(IoError::at("create", path))?;
    Ok(())
}

#[cfg(unix)]
fn link_or_move(_: &Path, tag: &str, link: &Path) -> io::Result<()> {
    // A link that leads nowhere is in the way and of no use.
    if link.is_symlink() && !link.exists() {
        fs::remove_file(link)?;
    }
    std::os::unix::fs::symlink(Path::new("../../blobs").join(tag), link)
}

/// Where links need rights of their own, the file itself takes the place, as in other tools.
#[cfg(not(unix))]
fn link_or_move(blob: &Path, _: &str, link: &Path) -> io::Result<()> {
    fs::rename(blob, link)
}
