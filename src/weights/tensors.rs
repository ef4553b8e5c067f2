//! All tensors of a checkpoint by name, in one file or in shards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::error::WeightsError;
use super::file::{MAX_NAME, MAX_RANK, TensorEntry, WeightFile};
use super::settings::read_object;
use super::{safetensors, torch};

/// Where the tensors are. Their values stay in the files.
#[derive(Debug, Default)]
pub(super) struct Tensors {
    files: Vec<WeightFile>,
    /// By name: the file it is in, and where.
    entries: BTreeMap<String, (usize, TensorEntry)>,
}

impl Tensors {
    /// Opens a file, or all shards of an index; the extension says what it is.
    pub(super) fn open(path: &Path) -> Result<Self, WeightsError> {
        let mut tensors = Self::default();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            tensors.add_shards(path)?;
        } else {
            tensors.add(path)?;
        }
        Ok(tensors)
    }

    /// The tensors of a safetensors file in memory, which errors call `path`.
    pub(super) fn of_bytes(path: &Path, bytes: &'static [u8]) -> Result<Self, WeightsError> {
        let mut tensors = Self::default();
        let file = WeightFile::of_bytes(path, bytes);
        let entries = safetensors::tensors(&file)?;
        tensors.add_entries(file, entries)?;
        Ok(tensors)
    }

    /// What a safetensors file says of itself under `key`, if it is one and does.
    pub(super) fn note(&self, key: &str) -> Result<Option<String>, WeightsError> {
        let is_safetensors = |file: &&WeightFile| {
            let extension = file.path.extension();
            extension.is_some_and(|extension| extension == "safetensors")
        };
        match self.files.first().filter(is_safetensors) {
            Some(file) => safetensors::note(file, key),
            None => Ok(None),
        }
    }

    /// Names, in alphabetical order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// What is known of the tensors.
    pub(super) fn entries(&self) -> impl ExactSizeIterator<Item = &TensorEntry> {
        self.entries.values().map(|(_, entry)| entry)
    }

    pub(super) fn entry(&self, name: &str) -> Option<&TensorEntry> {
        self.entries.get(name).map(|(_, entry)| entry)
    }

    /// The values of a tensor; none if it is not there, or does not hold weights.
    pub(super) fn values(&self, name: &str) -> Result<Option<Vec<f32>>, WeightsError> {
        let entry = self.entries.get(name);
        let entry = entry.filter(|(_, entry)| entry.dtype.size().is_some());
        let values = entry.map(|(file, entry)| self.files[*file].values(entry));
        values.transpose()
    }

    /// Adds the tensors of a file; no name may be there before.
    fn add(&mut self, path: &Path) -> Result<(), WeightsError> {
        let file = WeightFile::open(path)?;
        let is_torch = path.extension().is_some_and(|extension| extension == "bin");
        let entries = if is_torch {
            torch::tensors(&file)?
        } else {
            safetensors::tensors(&file)?
        };
        self.add_entries(file, entries)
    }

    fn add_entries(
        &mut self,
        file: WeightFile,
        entries: Vec<(String, TensorEntry)>,
    ) -> Result<(), WeightsError> {
        for (name, entry) in entries {
            let problem = if name.len() > MAX_NAME {
                format!("a tensor's name is {} bytes long", name.len())
            } else if entry.shape.len() > MAX_RANK {
                format!("`{name}` has {} dimensions", entry.shape.len())
            } else if self.entries.contains_key(&name) {
                format!("`{name}` is there twice")
            } else {
                self.entries.insert(name, (self.files.len(), entry));
                continue;
            };
            return Err(WeightsError::malformed(&file.path, problem));
        }
        self.files.push(file);
        Ok(())
    }

    /// Adds the tensors of all shards that an index names, which are those it lists.
    fn add_shards(&mut self, index: &Path) -> Result<(), WeightsError> {
        let settings = read_object(index)?;
        let malformed = |problem: &str| WeightsError::malformed(index, problem);
        let listed = settings.get("weight_map").and_then(Value::as_object);
        let listed = listed.ok_or_else(|| malformed("it has no weight_map"))?;
        let mut shards = BTreeSet::new();
        for shard in listed.values() {
            let shard = shard.as_str().map(Path::new);
            // A plain name: an index cannot reach out of its directory.
            let shard = shard.filter(|&shard| shard.file_name() == Some(shard.as_os_str()));
            shards.insert(shard.ok_or_else(|| malformed("its weight_map has no names of files"))?);
        }
        for shard in shards {
            self.add(&index.with_file_name(shard))?;
        }
        let absent = listed.keys().find(|name| self.entry(name).is_none());
        let unlisted = || self.entries.keys().find(|name| !listed.contains_key(*name));
        absent.or_else(unlisted).map_or(Ok(()), |name| {
            let problem = format!("it and its shards do not agree on having `{name:.512}`");
            Err(malformed(&problem))
        })
    }
}
