//! Writes a classifier as safetensors, for other programs and other languages.
//!
//! On `safetensors` itself: `burn-store` sees no frozen encoder, and replaces a file in place.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use safetensors::{Dtype, SafeTensorError, View, serialize_to_file};

use super::classifier::{NOTE, Note};
use super::error::WeightsError;
use super::fields::Field;
use crate::files::write_atomically;
use crate::model::{Freeze, TimesClipClassifier, TimesClipClassifierConfig, VisionEncoder};

/// Where a trained vision encoder has its weights, and where a frozen one has them too.
const VISION: &str = "vision.vision_model.";

/// Saves all weights of a classifier as safetensors: trained and frozen ones, running statistics,
/// and what features are standardized by.
///
/// Names are those of the fields, layouts are PyTorch's (`docs/safetensors.md` has the table). All
/// is in single precision, which holds the halves of a frozen encoder exactly. The file says with
/// `config`, from which the classifier was made, what it holds, and the same weights are the same
/// bytes. Tensors are fetched from the device and written one by one.
///
/// The file is written beside `path`, as `path` with `.partial` behind it, and renamed into it:
/// whatever fails, no half of it is there.
///
/// # Errors
/// [`WeightsError::Io`] if the file cannot be written.
///
/// # Panics
/// If the classifier was not made from `config`, as far as the shapes of its weights tell.
///
/// # Examples
/// ```
/// # #[cfg(feature = "cpu")] {
/// use timesclip::model::TimesClipClassifierConfig;
/// use timesclip::weights::{Checkpoint, save_classifier};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("model.safetensors");
/// let config = TimesClipClassifierConfig::new(3, 2);
/// let model = config.init::<burn_flex::Flex>(&Default::default());
/// save_classifier(&model, &config, &path)?;
///
/// let checkpoint = Checkpoint::open(&path)?;
/// let config = checkpoint.classifier_config()?;
/// let again = checkpoint.load_classifier::<burn_flex::Flex>(&config, &Default::default())?;
/// assert_eq!(again.parameter_count(), model.parameter_count());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn save_classifier<B: Backend>(
    model: &TimesClipClassifier<B>,
    config: &TimesClipClassifierConfig,
    path: impl AsRef<Path>,
) -> Result<(), WeightsError> {
    let path = path.as_ref();
    let note = serde_json::to_string(&Note::new(config)).unwrap_or_default();
    let notes = HashMap::from([(NOTE.to_owned(), note)]);
    write_atomically(path, |beside| {
        write_tensors(classifier_tensors(model, config, ""), notes, beside)
    })?;
    Ok(())
}

/// Writes tensors and notes as safetensors; tensors are fetched one by one.
pub(crate) fn write_tensors(
    tensors: Vec<NamedTensor>,
    notes: HashMap<String, String>,
    path: &Path,
) -> io::Result<()> {
    let tensors = tensors
        .into_iter()
        .map(|tensor| (tensor.name.clone(), tensor));
    serialize_to_file(tensors, Some(notes), path).map_err(|error| match error {
        SafeTensorError::IoError(source) => source,
        other => io::Error::other(other),
    })
}

/// All weights of several classifiers, each with a prefix in front of their names; what is frozen in
/// them, and the same in the first, is there once.
///
/// # Panics
/// As [`classifier_tensors`].
pub(crate) fn ensemble_tensors<B: Backend>(
    models: &[TimesClipClassifier<B>],
    config: &TimesClipClassifierConfig,
    prefix: impl Fn(usize) -> String,
) -> Vec<NamedTensor> {
    let of = |number: usize| classifier_tensors(&models[number], config, &prefix(number));
    let mut tensors = of(0);
    for number in 1..models.len() {
        let (first, own) = (prefix(0), prefix(number));
        let others = without_known(&tensors, &first, of(number), &own, config);
        tensors.extend(others);
    }
    tensors
}

/// The tensors of a classifier, whose names start with `own`, without what is frozen in it and the same
/// among the known ones, whose names start with `prefix`.
pub(crate) fn without_known(
    known: &[NamedTensor],
    prefix: &str,
    tensors: Vec<NamedTensor>,
    own: &str,
    config: &TimesClipClassifierConfig,
) -> Vec<NamedTensor> {
    let parts = frozen_parts(config);
    let is_known = |tensor: &NamedTensor| {
        let name = tensor.name.strip_prefix(own)?;
        parts.iter().find(|part| name.starts_with(**part))?;
        let name = format!("{prefix}{name}");
        let alike = known.iter().find(|known| known.name == name)?;
        Some(alike.shape == tensor.shape && (alike.bytes)() == (tensor.bytes)())
    };
    let tensors = tensors.into_iter();
    tensors
        .filter(|tensor| is_known(tensor) != Some(true))
        .collect()
}

/// Parts of a classifier that do not learn, if any.
pub(super) fn frozen_parts(config: &TimesClipClassifierConfig) -> Vec<&'static str> {
    let mut parts = Vec::new();
    if config.modalities.has_vision() && config.freeze_vision == Freeze::All {
        parts.push(VISION);
    }
    if config.modalities.has_language() && config.freeze_text == Freeze::All {
        parts.extend(["language.text_model.", "language.points."]);
    }
    parts
}

/// All weights of a classifier, with `prefix` in front of their names.
///
/// # Panics
/// If the classifier was not made from `config`, as far as the shapes of its weights tell.
pub(crate) fn classifier_tensors<B: Backend>(
    model: &TimesClipClassifier<B>,
    config: &TimesClipClassifierConfig,
    prefix: &str,
) -> Vec<NamedTensor> {
    // Burn takes what the last training step added to the statistics of norms when it is asked.
    let of_head = model.head.hidden.iter();
    let of_head = of_head.filter_map(|layer| layer.batch_norm.as_ref());
    let reading = model.language.as_ref();
    let reading = reading.and_then(|branch| branch.convolutions.as_ref());
    let reading = reading.into_iter();
    let of_reading = reading.flat_map(|read| [&read.first_norm, &read.second_norm]);
    for norm in of_head.chain(of_reading) {
        let _ = (
            norm.running_mean.value_sync(),
            norm.running_var.value_sync(),
        );
    }
    let encoder = model.frozen_vision().map(|tower| tower.encoder());
    let mut fields = Field::all("", model);
    // A frozen encoder is not visited by way of its classifier.
    fields.extend(
        encoder
            .iter()
            .flat_map(|encoder| Field::all(VISION, encoder)),
    );
    check(
        &fields,
        &config.init_undrawn::<B>(&model.head.output.weight.device()),
    );
    let mut fetch = Fetch {
        fields: fields.into_iter().map(|field| (field.id, field)).collect(),
        prefix: prefix.to_owned(),
        found: Vec::new(),
    };
    model.visit(&mut fetch);
    if let Some(encoder) = &encoder {
        encoder.visit(&mut fetch);
    }
    fetch.found
}

/// All weights of a vision encoder, with `prefix` in front of their names.
pub(crate) fn vision_tensors<B: Backend>(
    encoder: &VisionEncoder<B>,
    prefix: &str,
) -> Vec<NamedTensor> {
    let fields = Field::all("", encoder);
    let mut fetch = Fetch {
        fields: fields.into_iter().map(|field| (field.id, field)).collect(),
        prefix: prefix.to_owned(),
        found: Vec::new(),
    };
    encoder.visit(&mut fetch);
    fetch.found
}

/// Refuses weights that are not those of a classifier of the configuration, `described`.
fn check<B: Backend>(fields: &[Field], described: &TimesClipClassifier<B>) {
    let shapes = |fields: &[Field]| -> BTreeSet<String> {
        let shape = |field: &Field| format!("{} {:?}", field.name, field.file_shape());
        fields.iter().map(shape).collect()
    };
    let (found, expected) = (shapes(fields), shapes(&Field::all("", described)));
    let others: Vec<_> = found.symmetric_difference(&expected).collect();
    assert!(
        others.is_empty(),
        "the configuration is of another classifier: {others:?}"
    );
}

/// Collects how to fetch every weight.
struct Fetch {
    fields: HashMap<ParamId, Field>,
    prefix: String,
    found: Vec<NamedTensor>,
}

impl<B: Backend> ModuleVisitor<B> for Fetch {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let Some(field) = self.fields.remove(&param.id) else {
            return;
        };
        let (tensor, transposed) = (param.val(), field.transposed);
        self.found.push(NamedTensor {
            name: format!("{}{}", self.prefix, field.name),
            shape: field.file_shape(),
            bytes: Box::new(move || {
                let tensor = tensor.clone();
                let rows = if transposed {
                    tensor.transpose()
                } else {
                    tensor
                };
                let values = rows.into_data();
                values.iter::<f32>().flat_map(f32::to_le_bytes).collect()
            }),
        });
    }
}

/// A tensor in single precision, which leaves its device when it is written.
pub(crate) struct NamedTensor {
    name: String,
    shape: Vec<usize>,
    bytes: Box<dyn Fn() -> Vec<u8>>,
}

impl NamedTensor {
    /// A tensor of these values, row-major.
    ///
    /// # Panics
    /// If there are not as many values as the shape has.
    pub(crate) fn new(name: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) -> Self {
        let (found, expected) = (values.len(), shape.iter().product::<usize>());
        assert_eq!(found, expected, "{found} values for a tensor of {expected}");
        Self {
            name: name.into(),
            shape,
            bytes: Box::new(move || values.iter().flat_map(|v| v.to_le_bytes()).collect()),
        }
    }
}

impl View for NamedTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        (self.bytes)().into()
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * size_of::<f32>()
    }
}
