//! Settings in a JSON file, read by name; one that cannot be is an error that names it.

use std::path::Path;

use serde_json::{Map, Value};

use super::error::WeightsError;
use super::file::WeightFile;

/// Longest JSON file that is read.
const MAX_JSON: u64 = 16 << 20;
/// Largest of all sizes that are believed: the largest CLIPs have widths of thousands.
const MAX_SIZE: usize = 1 << 16;

/// Settings that belong together.
pub(super) struct Section<'a> {
    pub(super) path: &'a Path,
    pub(super) settings: &'a Map<String, Value>,
}

impl<'a> Section<'a> {
    /// A size that is believed.
    pub(super) fn size(&self, key: &str, default: usize) -> Result<usize, WeightsError> {
        let Some(value) = self.settings.get(key) else {
            return Ok(default);
        };
        self.believed(key, value)
    }

    /// The side of a square, given once or twice.
    pub(super) fn side(&self, key: &str, default: usize) -> Result<usize, WeightsError> {
        match self
            .settings
            .get(key)
            .and_then(Value::as_array)
            .map(Vec::as_slice)
        {
            Some([height, width]) if height == width => self.believed(key, height),
            _ => self.size(key, default),
        }
    }

    fn believed(&self, key: &str, value: &Value) -> Result<usize, WeightsError> {
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        let size = size.filter(|size| (1..=MAX_SIZE).contains(size));
        let supported = format!("an integer of 1 to {MAX_SIZE}");
        size.ok_or_else(|| self.unsupported(key, value.to_string(), &supported))
    }

    pub(super) fn switch(&self, key: &str, default: bool) -> Result<bool, WeightsError> {
        match self.settings.get(key) {
            None => Ok(default),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(self.unsupported(key, other.to_string(), "true or false")),
        }
    }

    pub(super) fn text<'b>(&self, key: &str, default: &'b str) -> Result<&'b str, WeightsError>
    where
        'a: 'b,
    {
        match self.settings.get(key) {
            None => Ok(default),
            Some(Value::String(text)) => Ok(text),
            Some(other) => Err(self.unsupported(key, other.to_string(), "text")),
        }
    }

    pub(super) fn one_of(
        &self,
        key: &str,
        found: &str,
        supported: &[&str],
    ) -> Result<(), WeightsError> {
        if supported.contains(&found) {
            return Ok(());
        }
        Err(self.unsupported(key, found.to_owned(), &supported.join(", ")))
    }

    pub(super) fn unsupported(&self, what: &str, found: String, supported: &str) -> WeightsError {
        WeightsError::Unsupported {
            path: self.path.to_owned(),
            what: what.to_owned(),
            found,
            supported: supported.to_owned(),
        }
    }
}

/// Reads a JSON file that holds an object.
pub(super) fn read_object(path: &Path) -> Result<Map<String, Value>, WeightsError> {
    let file = WeightFile::open(path)?;
    if file.len > MAX_JSON {
        let problem = format!("{} bytes are too many for a description", file.len);
        return Err(WeightsError::malformed(path, problem));
    }
    let bytes = file.read(0, file.len)?;
    serde_json::from_slice(&bytes).map_err(WeightsError::unparsable(path, "it is no JSON object"))
}
