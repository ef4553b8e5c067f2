//! `Checkpoint`: the files of a pretrained encoder, and what can be loaded from them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use burn::tensor::backend::Backend;

use super::agreement::Stated;
use super::architecture::{ConfigFile, Tower};
use super::assign::{Part, Resize, Source};
use super::error::WeightsError;
use super::file::TensorEntry;
use super::pixels::PixelNorm;
use super::tensors::Tensors;
use super::{assign, pixels};
use crate::model::{
    LanguageConfig, TextEncoder, TransformerConfig, VisionEncoder, VisionEncoderConfig,
};

/// Files of weights that a directory may hold, the first one there is taken.
const FILES: &[&str] = &[
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
];

/// An opened checkpoint: which tensors there are, and where. Their values stay in the files.
#[derive(Debug)]
pub struct Checkpoint {
    path: PathBuf,
    directory: PathBuf,
    tensors: Tensors,
}

/// A tensor of a checkpoint in single precision, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

impl Checkpoint {
    /// Opens a directory, or one file of weights with `config.json` beside it: `.safetensors`,
    /// `.bin`, or the `.index.json` of shards. The tensors' descriptions are read and checked.
    ///
    /// # Errors
    /// [`WeightsError::NoWeights`] if a directory has none; [`WeightsError::Io`],
    /// [`WeightsError::Malformed`] and [`WeightsError::Unsupported`] of the file at fault.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let (directory, weights) = if path.is_dir() {
            let mut files = FILES.iter().map(|name| path.join(name));
            let weights = files.find(|file| file.exists());
            let weights = weights.ok_or_else(|| WeightsError::NoWeights {
                path: path.to_owned(),
                expected: FILES,
            })?;
            (path.to_owned(), weights)
        } else {
            let directory = path.parent().unwrap_or(Path::new(""));
            (directory.to_owned(), path.to_owned())
        };
        Ok(Self {
            tensors: Tensors::open(&weights)?,
            path: weights,
            directory,
        })
    }

    /// A safetensors file that is part of the program; errors call it `name`.
    #[cfg_attr(
        not(feature = "builtin"),
        expect(dead_code, reason = "only the built-in encoders are in memory")
    )]
    pub(super) fn of_bytes(name: &str, bytes: &'static [u8]) -> Result<Self, WeightsError> {
        let path = PathBuf::from(name);
        Ok(Self {
            tensors: Tensors::of_bytes(&path, bytes)?,
            directory: PathBuf::new(),
            path,
        })
    }

    pub(super) fn tensors(&self) -> &Tensors {
        &self.tensors
    }

    /// The file of weights, or the index of its shards.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of tensors.
    pub fn n_tensors(&self) -> usize {
        self.tensors.entries().len()
    }

    /// Types of the tensors' elements, each once: `["F16", "I64"]`, say.
    pub fn dtypes(&self) -> Vec<&str> {
        let dtypes = self.tensors.entries().map(|entry| entry.dtype.name());
        dtypes.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Names of the tensors, in alphabetical order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.names()
    }

    /// Reads one tensor; none if there is none of that name, or it does not hold weights.
    ///
    /// # Errors
    /// [`WeightsError::Io`] if the file cannot be read, [`WeightsError::Malformed`] if its checksum
    /// is wrong.
    pub fn tensor(&self, name: &str) -> Result<Option<HostTensor>, WeightsError> {
        let values = self.tensors.values(name)?;
        let entry = self.tensors.entry(name);
        let tensor = values.zip(entry).map(|(values, entry)| HostTensor {
            shape: entry.shape.clone(),
            values,
        });
        Ok(tensor)
    }

    /// Sizes and choices of the vision encoder, from `config.json`, or from the file itself if this
    /// crate saved it; without dropout.
    ///
    /// `pre_layernorm`, which CLIP's files do not have, says with `false` that no norm precedes the
    /// blocks, as in a plain ViT under CLIP's names.
    ///
    /// # Errors
    /// [`WeightsError::NoTower`] if the checkpoint is a text tower, [`WeightsError::Unsupported`]
    /// names a setting that this crate does not have.
    pub fn vision_config(&self) -> Result<VisionEncoderConfig, WeightsError> {
        match self.own_vision_config()? {
            Some(own) => Ok(own),
            None => self.config()?.vision(),
        }
    }

    /// Sizes and choices of the text encoder's blocks, from `config.json`; without dropout.
    ///
    /// # Errors
    /// As for [`vision_config`](Self::vision_config).
    pub fn text_config(&self) -> Result<TransformerConfig, WeightsError> {
        self.config()?.text()
    }

    /// What the vision encoder expects of its pixels: from `preprocessor_config.json`, or from the
    /// same keys in `config.json`; none if neither has them.
    ///
    /// # Errors
    /// [`WeightsError::Unsupported`] names a value that cannot be.
    pub fn pixel_norm(&self) -> Result<Option<PixelNorm>, WeightsError> {
        match self.own_vision_config()? {
            // Its convolutions take ink, whatever its color.
            Some(_) => Ok(None),
            None => pixels::read(&self.directory),
        }
    }

    /// Loads the vision encoder.
    ///
    /// The configuration may differ from [`vision_config`](Self::vision_config) in what changes no
    /// weight, and in `side_px`: then the positions are resized, bicubically.
    ///
    /// # Errors
    /// [`WeightsError::Differs`] if the configuration is of another encoder, and
    /// [`WeightsError::Tensors`] if the file's tensors are not the encoder's: all problems at once.
    pub fn load_vision<B: Backend>(
        &self,
        config: &VisionEncoderConfig,
        device: &B::Device,
    ) -> Result<VisionEncoder<B>, WeightsError> {
        let own = self.vision_config()?;
        if let Some(problem) = config.problem() {
            return Err(WeightsError::Invalid { problem });
        }
        Stated(&self.config_path()).same_vision(&own, config)?;
        let grid = |config: &VisionEncoderConfig| config.side_px / config.image_patch_size;
        let (old, new) = (grid(&own), grid(config));
        let resize = (old != new).then_some(Resize { old, new });
        if self.own_vision_config()?.is_some() {
            return assign::load(self.whole(resize), config.init(device));
        }
        assign::load(self.source(Tower::Vision, resize)?, config.init(device))
    }

    /// Loads the text encoder: its blocks and its last norm. CLIP's embeddings of words and their
    /// positions are left where they are, since series make tokens of their own.
    ///
    /// The configuration may differ from [`text_config`](Self::text_config) in what changes no
    /// weight, such as dropout and causality.
    ///
    /// # Errors
    /// As for [`load_vision`](Self::load_vision).
    pub fn load_text<B: Backend>(
        &self,
        config: &LanguageConfig,
        device: &B::Device,
    ) -> Result<TextEncoder<B>, WeightsError> {
        Stated(&self.config_path()).same_blocks(&self.text_config()?, &config.transformer)?;
        assign::load(self.source(Tower::Text, None)?, config.init_text(device))
    }

    pub(super) fn entry(&self, name: &str) -> Option<&TensorEntry> {
        self.tensors.entry(name)
    }

    fn config(&self) -> Result<ConfigFile, WeightsError> {
        ConfigFile::read(&self.config_path())
    }

    fn config_path(&self) -> PathBuf {
        self.directory.join("config.json")
    }

    fn source(&self, tower: Tower, resize: Option<Resize>) -> Result<Source<'_>, WeightsError> {
        let whole = self.config()?.is_whole();
        let prefix = format!("{}_model.", tower.name());
        // A tower alone has its prefix or not, by the class and the version that wrote it.
        let prefixed = whole || self.tensor_names().any(|name| name.starts_with(&prefix));
        Ok(Source {
            checkpoint: self,
            part: Part::Tower(tower, whole),
            prefix: if prefixed { prefix } else { String::new() },
            shared: None,
            resize,
        })
    }
}
