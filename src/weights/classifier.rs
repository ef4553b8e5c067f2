//! A whole classifier in a file: what the file says of it, and loading it.

use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agreement::Stated;
use super::assign::{self, Part, Shared, Source};
use super::checkpoint::Checkpoint;
use super::error::WeightsError;
use super::file::WeightFile;
use super::safetensors;
use super::save::frozen_parts;
use crate::model::{
    ConfigError, TimesClipClassifier, TimesClipClassifierConfig, VisionEncoder, VisionEncoderConfig,
};

/// Key of what a file of ours says of itself.
pub(super) const NOTE: &str = "timesclip";
/// Largest of all sizes that a file is believed: products of two stay far from overflow.
const MAX_SIZE: u64 = 1 << 20;

/// What a file of ours says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Note {
    /// Version of this crate.
    version: String,
    /// From which the classifier was made.
    model: TimesClipClassifierConfig,
}

impl Note {
    pub(super) fn new(config: &TimesClipClassifierConfig) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: config.clone(),
        }
    }
}

impl Checkpoint {
    /// The configuration of the classifier that [`save_classifier`](super::save_classifier) saved
    /// here.
    ///
    /// # Errors
    /// [`WeightsError::Unsupported`] if the file does not say: then it comes from elsewhere, and
    /// the configuration must too. [`WeightsError::Malformed`] if it cannot be what the file holds,
    /// [`WeightsError::Invalid`] if its sizes do not fit together.
    pub fn classifier_config(&self) -> Result<TimesClipClassifierConfig, WeightsError> {
        let note = self.note()?.ok_or_else(|| WeightsError::Unsupported {
            path: self.path().to_owned(),
            what: format!("`{NOTE}` in its metadata"),
            found: "missing".to_owned(),
            supported: "what `save_classifier` writes there".to_owned(),
        })?;
        valid(&note.model)?;
        Ok(note.model)
    }

    /// Loads a classifier: every weight, frozen or not, in single precision; frozen as `config` has
    /// it.
    ///
    /// Tensors are named and laid out as `docs/safetensors.md` says, whoever wrote them. Where the
    /// file says what it holds, the configuration must agree in all that decides what the weights
    /// compute. Pictures are not resized: a classifier is of one size.
    ///
    /// # Errors
    /// [`WeightsError::Invalid`] if the configuration's sizes do not fit together,
    /// [`WeightsError::Differs`] if it is of another classifier, and [`WeightsError::Tensors`] if
    /// the file's tensors are not the classifier's: all problems at once.
    pub fn load_classifier<B: Backend>(
        &self,
        config: &TimesClipClassifierConfig,
        device: &B::Device,
    ) -> Result<TimesClipClassifier<B>, WeightsError> {
        valid(config)?;
        if let Some(note) = self.note()? {
            Stated(self.path()).same_classifier(&note.model, config)?;
        }
        self.load_member("", Vec::new(), config, device)
    }

    /// Loads the classifier whose tensors have `prefix` in front of their names, among others; what is
    /// frozen in it may be there once, with one of the prefixes `shared`. The configuration is believed.
    ///
    /// # Errors
    /// As [`load_classifier`](Self::load_classifier).
    pub(crate) fn load_member<B: Backend>(
        &self,
        prefix: &str,
        shared: Vec<String>,
        config: &TimesClipClassifierConfig,
        device: &B::Device,
    ) -> Result<TimesClipClassifier<B>, WeightsError> {
        let source = Source {
            checkpoint: self,
            part: Part::Classifier,
            prefix: prefix.to_owned(),
            shared: Some(Shared {
                prefixes: shared,
                parts: frozen_parts(config),
            }),
            resize: None,
        };
        let model = config.init_undrawn::<B>(device);
        Ok(assign::load(source, model)?.freeze())
    }

    /// Loads the vision encoder whose tensors have `prefix` in front of their names, among others; the
    /// configuration is believed.
    ///
    /// # Errors
    /// [`WeightsError::Invalid`] if its sizes do not fit together, and [`WeightsError::Tensors`] if
    /// the file's tensors are not the encoder's.
    pub(crate) fn load_encoder<B: Backend>(
        &self,
        prefix: &str,
        config: &VisionEncoderConfig,
        device: &B::Device,
    ) -> Result<VisionEncoder<B>, WeightsError> {
        if let Some(problem) = config.problem() {
            return Err(WeightsError::Invalid { problem });
        }
        let source = Source {
            checkpoint: self,
            part: Part::Classifier,
            prefix: prefix.to_owned(),
            shared: None,
            resize: None,
        };
        assign::load(source, config.init(device))
    }

    /// What the file says of itself, if it does and can be believed.
    fn note(&self) -> Result<Option<Note>, WeightsError> {
        if self
            .path()
            .extension()
            .is_none_or(|extension| extension != "safetensors")
        {
            return Ok(None);
        }
        let Some(text) = safetensors::note(&WeightFile::open(self.path())?, NOTE)? else {
            return Ok(None);
        };
        let unparsable = |problem| WeightsError::unparsable(self.path(), problem);
        let note: Note = serde_json::from_str(&text)
            .map_err(unparsable("its metadata describe no classifier"))?;
        self.check_claims(&note.model)?;
        Ok(Some(note))
    }

    /// Refuses sizes that the tensors here cannot have, before anything of such sizes is made.
    fn check_claims(&self, config: &TimesClipClassifierConfig) -> Result<(), WeightsError> {
        let malformed = |problem: String| WeightsError::malformed(self.path(), problem);
        let settings = serde_json::to_value(config).unwrap_or_default();
        if let Some(size) = sizes(&settings).into_iter().find(|size| *size > MAX_SIZE) {
            return Err(malformed(format!("its metadata have a size of {size}")));
        }
        let TimesClipClassifierConfig {
            vision,
            language,
            head,
            modalities,
            ..
        } = config;
        let seeing = if modalities.has_vision() {
            [vision.transformer.n_layers, vision.d_output()]
        } else {
            [0; 2]
        };
        let reading = if modalities.has_language() {
            language.transformer.n_layers
        } else {
            0
        };
        let n_layers = head.hidden.len() + seeing[0] + reading;
        let width = head.hidden.iter().sum::<usize>() + seeing[1];
        let entries = || self.tensor_names().filter_map(|name| self.entry(name));
        let (n_tensors, n_values) = (
            self.n_tensors(),
            entries().map(|entry| entry.n_stored).sum(),
        );
        if n_layers > n_tensors || width > n_values {
            return Err(malformed(format!(
                "its metadata describe {n_layers} layers and widths of {width}, but it holds \
                 {n_tensors} tensors of {n_values} values"
            )));
        }
        Ok(())
    }
}

fn valid(config: &TimesClipClassifierConfig) -> Result<(), WeightsError> {
    config.validate().map_err(|error| WeightsError::Invalid {
        problem: match error {
            ConfigError::Invalid { problem } => problem,
            other => other.to_string(),
        },
    })
}

/// All whole numbers of some settings.
fn sizes(settings: &Value) -> Vec<u64> {
    match settings {
        Value::Array(values) => values.iter().flat_map(sizes).collect(),
        Value::Object(values) => values.values().flat_map(sizes).collect(),
        value => value.as_u64().into_iter().collect(),
    }
}
