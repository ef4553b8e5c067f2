//! Models by name or path, loaded once in a process and shared by all queries.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use serde_json::Value;
use timesclip::{LoadOptions, PredictError, Series, TimesClip};

use crate::ModelError;

/// What separates a path from the checksum of the file that is meant.
const PIN: char = '#';
/// Digits of a checksum.
const DIGITS: usize = 32;
/// Longest header of a model file that is read.
const MAX_HEADER: u64 = 64 << 20;

/// The models that functions use, by name or by path.
///
/// A model is loaded when it is first needed, and then kept. One registry is meant to serve a whole
/// process.
#[derive(Debug, Default)]
pub struct Models {
    options: LoadOptions,
    names: RwLock<BTreeMap<String, PathBuf>>,
    loaded: Mutex<HashMap<PathBuf, Arc<Model>>>,
    n_answered: AtomicU64,
}

impl Models {
    /// No models yet; they will be loaded to the best device.
    pub fn new() -> Self {
        Self::default()
    }

    /// No models yet; they will be loaded as `options` say.
    pub fn with_options(options: LoadOptions) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// Gives a name to the model file at `path`, or to the one in the run directory there.
    pub fn name(&self, name: impl Into<String>, path: impl Into<PathBuf>) {
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.into(), path.into());
    }

    /// The model that a query calls `model`: a name, or a path. With `#` and the digits of a
    /// checksum behind it, that very file is meant.
    ///
    /// # Errors
    /// [`ModelError`] if there is none, if it cannot be loaded, or if its checksum is another.
    pub fn get(&self, model: &str) -> Result<Arc<Model>, ModelError> {
        let (place, expected) = split_pin(model);
        let path = self.path(place)?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |model: &Arc<Model>| expected.is_none_or(|pin| model.checksum == pin);
        if let Some(known) = loaded.get(&path).filter(|known| fits(known)) {
            return Ok(Arc::clone(known));
        }
        // Whoever asks meanwhile waits for this, and finds it loaded.
        let new = Arc::new(Model::load(place, &path, &self.options)?);
        if let Some(expected) = expected.filter(|_| !fits(&new)) {
            return Err(ModelError::Changed {
                path,
                found: new.checksum.clone(),
                expected: expected.to_owned(),
            });
        }
        loaded.insert(path, Arc::clone(&new));
        Ok(new)
    }

    /// Series that were answered for so far, by all models.
    pub fn n_answered(&self) -> u64 {
        self.n_answered.load(Ordering::Relaxed)
    }

    pub(crate) fn count_answers(&self, n: usize) {
        self.n_answered.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn path(&self, place: &str) -> Result<PathBuf, ModelError> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        let path = names.get(place).map_or(Path::new(place), PathBuf::as_path);
        let path = match path.is_dir() {
            true => path.join("model.safetensors"),
            false => path.to_owned(),
        };
        fs::canonicalize(&path).map_err(|source| ModelError::Unknown {
            model: place.to_owned(),
            names: names.keys().cloned().collect(),
            source,
        })
    }
}

/// Parts a path from the checksum behind it.
fn split_pin(model: &str) -> (&str, Option<&str>) {
    match model.rsplit_once(PIN) {
        Some((path, pin)) if pin.len() == DIGITS && pin.bytes().all(|b| b.is_ascii_hexdigit()) => {
            (path, Some(pin))
        }
        _ => (model, None),
    }
}

/// A loaded model.
#[derive(Debug)]
pub struct Model {
    name: String,
    path: PathBuf,
    checksum: String,
    model: TimesClip,
    embeds: OnceLock<bool>,
}

impl Model {
    fn load(name: &str, path: &Path, options: &LoadOptions) -> Result<Self, ModelError> {
        let model = TimesClip::load_with(path, options).map_err(|source| ModelError::Load {
            model: name.to_owned(),
            source,
        })?;
        let checksum = checksum(path).map_err(|source| ModelError::Checksum {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            name: name.to_owned(),
            path: path.to_owned(),
            checksum,
            model,
            embeds: OnceLock::new(),
        })
    }

    /// What the query that loaded it calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The checksum in its file, against which the file was checked.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// The classifier itself.
    pub fn classifier(&self) -> &TimesClip {
        &self.model
    }

    /// Path and checksum as one text that means this very file in any process that sees the path;
    /// `None` if the path is no text.
    pub(crate) fn pinned(&self) -> Option<String> {
        let path = self.path.to_str()?;
        Some(format!("{path}{PIN}{}", self.checksum))
    }

    /// Whether it has an encoder to embed with, found out by trying.
    pub(crate) fn embeds(&self) -> bool {
        const STEPS: usize = 32;
        *self.embeds.get_or_init(|| {
            let n_variates = self.model.n_variates();
            let Ok(flat) = Series::new(vec![0.0; STEPS * n_variates], STEPS, n_variates) else {
                return true;
            };
            let tried = self.model.embed(&flat);
            !matches!(tried, Err(PredictError::NoEmbedding { .. }))
        })
    }
}

/// The checksum that a model file states; loading has compared it to the bytes.
fn checksum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut len = [0; 8];
    file.read_exact(&mut len)?;
    let len = u64::from_le_bytes(len).min(MAX_HEADER);
    let mut header = Vec::new();
    file.take(len).read_to_end(&mut header)?;
    let header: Value = serde_json::from_slice(&header)?;
    let metadata = header["__metadata__"]["timesclip_model"].as_str();
    let metadata: Value = serde_json::from_str(metadata.unwrap_or_default())?;
    let digits = metadata["checksum"].as_str();
    Ok(digits.ok_or(io::ErrorKind::InvalidData)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_32_digits_behind_the_last_mark() {
        let digits = "0123456789abcdef0123456789abcdef";
        let pinned = format!("runs/#1/model.safetensors#{digits}");
        assert_eq!(
            split_pin(&pinned),
            ("runs/#1/model.safetensors", Some(digits))
        );
        assert_eq!(split_pin("runs/#1"), ("runs/#1", None));
    }

    #[test]
    fn an_unknown_model_is_named_with_the_known_ones() {
        let models = Models::new();
        models.name("gesture", "gesture.safetensors");
        let error = models.get("gestures").unwrap_err().to_string();
        assert!(error.contains("`gestures`"), "{error}");
        assert!(error.contains("the names are gesture"), "{error}");
    }
}
