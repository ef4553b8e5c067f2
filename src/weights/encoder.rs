//! The small encoders of this crate as safetensors in half precision, out and back.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use half::f16;
use safetensors::{Dtype, View, serialize};
use serde::{Deserialize, Serialize};

use super::assign::{self, Part, Resize, Source};
use super::checkpoint::Checkpoint;
use super::error::WeightsError;
use super::fields::Field;
use crate::files::{IoError, write_atomically};
use crate::model::{ReadingEncoder, ReadingEncoderConfig, VisionEncoder, VisionEncoderConfig};

/// Key of what a file says of the encoder in it.
const NOTE: &str = "timesclip-encoder";

/// What a file says of the encoder in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Note {
    Vision(VisionEncoderConfig),
    Reading(ReadingEncoderConfig),
}

/// Saves a vision encoder as safetensors in half precision, with its configuration.
///
/// # Errors
/// [`WeightsError::Io`] if the file cannot be written.
pub fn save_vision<B: Backend>(
    encoder: &VisionEncoder<B>,
    path: impl AsRef<Path>,
) -> Result<(), WeightsError> {
    let note = Note::Vision(encoder.config().clone());
    save(encoder, &note, path.as_ref())
}

/// Saves a reading encoder as safetensors in half precision, with its configuration.
///
/// # Errors
/// [`WeightsError::Io`] if the file cannot be written.
pub fn save_reading<B: Backend>(
    encoder: &ReadingEncoder<B>,
    path: impl AsRef<Path>,
) -> Result<(), WeightsError> {
    let note = Note::Reading(encoder.config().clone());
    save(encoder, &note, path.as_ref())
}

impl Checkpoint {
    /// Loads a vision encoder that [`save_vision`] saved.
    ///
    /// # Errors
    /// [`WeightsError::Unsupported`] if the file does not say that it holds one,
    /// [`WeightsError::Malformed`] and [`WeightsError::Invalid`] if what it says cannot be, and
    /// [`WeightsError::Tensors`] if its tensors are not the encoder's.
    pub fn load_own_vision<B: Backend>(
        &self,
        device: &B::Device,
    ) -> Result<VisionEncoder<B>, WeightsError> {
        let Note::Vision(config) = self.encoder_note()? else {
            return Err(self.other("a vision encoder", "a reading encoder"));
        };
        config.problem().map_or(Ok(()), invalid)?;
        assign::load(self.whole(None), config.init(device))
    }

    /// Loads a reading encoder that [`save_reading`] saved.
    ///
    /// # Errors
    /// As for [`load_own_vision`](Self::load_own_vision).
    pub fn load_own_reading<B: Backend>(
        &self,
        device: &B::Device,
    ) -> Result<ReadingEncoder<B>, WeightsError> {
        let Note::Reading(config) = self.encoder_note()? else {
            return Err(self.other("a reading encoder", "a vision encoder"));
        };
        config.problem().map_or(Ok(()), invalid)?;
        assign::load(self.whole(None), config.init(device))
    }

    /// Sizes of the reading encoder that [`save_reading`] saved; none if the file holds something
    /// else.
    ///
    /// # Errors
    /// [`WeightsError::Malformed`] if what it says of its encoder cannot be read.
    pub fn reading_config(&self) -> Result<Option<ReadingEncoderConfig>, WeightsError> {
        Ok(match self.own_note()? {
            Some(Note::Reading(config)) => Some(config),
            _ => None,
        })
    }

    /// Sizes of the vision encoder that [`save_vision`] saved, likewise.
    pub(super) fn own_vision_config(&self) -> Result<Option<VisionEncoderConfig>, WeightsError> {
        match self.own_note()? {
            Some(Note::Vision(config)) => Ok(Some(config)),
            Some(Note::Reading(_)) => Err(self.other("a vision encoder", "a reading encoder")),
            None => Ok(None),
        }
    }

    fn encoder_note(&self) -> Result<Note, WeightsError> {
        let missing = || self.other("an encoder of this crate", "missing");
        self.own_note()?.ok_or_else(missing)
    }

    fn own_note(&self) -> Result<Option<Note>, WeightsError> {
        let Some(text) = self.tensors().note(NOTE)? else {
            return Ok(None);
        };
        let unparsable = WeightsError::unparsable(self.path(), "its metadata describe no encoder");
        serde_json::from_str(&text).map(Some).map_err(unparsable)
    }

    fn other(&self, supported: &str, found: &str) -> WeightsError {
        WeightsError::Unsupported {
            path: self.path().to_owned(),
            what: format!("`{NOTE}` in its metadata"),
            found: found.to_owned(),
            supported: supported.to_owned(),
        }
    }

    pub(super) fn whole(&self, resize: Option<Resize>) -> Source<'_> {
        Source {
            checkpoint: self,
            part: Part::Classifier,
            prefix: String::new(),
            shared: None,
            resize,
        }
    }
}

fn invalid(problem: String) -> Result<(), WeightsError> {
    Err(WeightsError::Invalid { problem })
}

fn save<B: Backend>(module: &impl Module<B>, note: &Note, path: &Path) -> Result<(), WeightsError> {
    let fields = Field::all("", module).into_iter();
    let mut halves = Halves {
        fields: fields.map(|field| (field.id, field)).collect(),
        found: Vec::new(),
    };
    module.visit(&mut halves);
    let note = serde_json::to_string(note).unwrap_or_default();
    let notes = HashMap::from([(NOTE.to_owned(), note)]);
    let bytes = serialize(halves.found, Some(notes))
        .map_err(|error| IoError::at("write", path)(std::io::Error::other(error)))?;
    Ok(write_atomically(path, |beside| fs::write(beside, &bytes))?)
}

/// Collects every weight in half precision.
struct Halves {
    fields: HashMap<ParamId, Field>,
    found: Vec<(String, HalfTensor)>,
}

impl<B: Backend> ModuleVisitor<B> for Halves {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let Some(field) = self.fields.remove(&param.id) else {
            return;
        };
        let tensor = param.val();
        let rows = if field.transposed {
            tensor.transpose()
        } else {
            tensor
        };
        let values = rows.into_data();
        let halves = values.iter::<f32>().map(f16::from_f32);
        let tensor = HalfTensor {
            shape: field.file_shape(),
            bytes: halves.flat_map(f16::to_le_bytes).collect(),
        };
        self.found.push((field.name, tensor));
    }
}

struct HalfTensor {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl View for HalfTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F16
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}
