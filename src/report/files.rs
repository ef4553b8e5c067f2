//! The directory of a run. Every file is written beside its place and renamed into it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Report, ReportError, draw_confusion};
use crate::augment::AugmentConfig;
use crate::backend::BackendKind;
use crate::features::FeatureDtype;
use crate::model::TimesClipClassifierConfig;
use crate::normalize::Normalizer;
use crate::raster::{PixelStatistics, PlotStyle};
use crate::train::{Checkpoints, TrainingConfig};

/// `config.json`: all that decides what a run does, and all that predicting with it needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunConfig {
    /// Version of this crate.
    pub version: String,
    /// Name of the training set.
    pub dataset: String,
    /// Names of the classes, in the order of the logits.
    pub class_names: Vec<String>,
    /// Share of the training set that was set aside for validation.
    pub valid_fraction: f64,
    /// Normalisation of the values, as fitted on the training split.
    pub normalizer: Normalizer,
    /// How pictures are drawn.
    pub style: PlotStyle,
    /// How they are shifted and scaled.
    pub pixels: PixelStatistics,
    /// Where pretrained weights came from, of the vision and of the text encoder.
    pub pretrained: [Option<String>; 2],
    /// What a frozen vision encoder computes in.
    pub frozen_precision: FeatureDtype,
    /// What it was computed on.
    pub backend: BackendKind,
    /// The augmented views that training epochs take in turn, if there are any.
    pub augmentation: Option<Augmentation>,
    /// The classifier.
    pub model: TimesClipClassifierConfig,
    /// The training.
    pub training: TrainingConfig,
}

impl RunConfig {
    /// What a frozen vision encoder computes in, as Burn names it.
    pub fn frozen_dtype(&self) -> FloatDType {
        match self.frozen_precision {
            FeatureDtype::F32 => FloatDType::F32,
            FeatureDtype::F16 => FloatDType::F16,
            FeatureDtype::Bf16 => FloatDType::BF16,
        }
    }
}

/// Augmented views of the training samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Views of every sample.
    pub views: usize,
    /// How strongly they differ from it.
    pub transforms: AugmentConfig,
}

/// The directory of a run.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Makes the directory of a new run and writes its configuration.
    ///
    /// # Errors
    /// [`ReportError::Occupied`] if a run is there already, [`ReportError::Io`] if the directory
    /// cannot be made or written.
    pub fn create(path: impl Into<PathBuf>, config: &RunConfig) -> Result<Self, ReportError> {
        let run = Self { path: path.into() };
        if run.config_path().exists() {
            return Err(ReportError::Occupied { path: run.path });
        }
        fs::create_dir_all(&run.path).map_err(io_error("make", &run.path))?;
        run.write_json("config.json", config)?;
        Ok(run)
    }

    /// Opens the directory of a run to go on with it. Only the number of epochs may differ, and
    /// what it is computed on.
    ///
    /// # Errors
    /// [`ReportError::OtherConfig`] if the run was made with another configuration,
    /// [`ReportError::Io`] if there is no run.
    pub fn resume(path: impl Into<PathBuf>, config: &RunConfig) -> Result<Self, ReportError> {
        let (run, found) = Self::open(path)?;
        let path = run.config_path();
        let to_value = |config: &RunConfig| {
            let mut config = config.clone();
            config.training.epochs = 1;
            config.backend = BackendKind::Cpu;
            serde_json::to_value(config).map_err(|source| ReportError::Json {
                path: path.clone(),
                source,
            })
        };
        if let Some(field) = first_difference("", &to_value(&found)?, &to_value(config)?) {
            return Err(ReportError::OtherConfig {
                path: path.clone(),
                field,
            });
        }
        run.write_json("config.json", config)?;
        Ok(run)
    }

    /// Opens the directory of a run and reads its configuration.
    ///
    /// # Errors
    /// [`ReportError::Io`] if there is none, [`ReportError::Json`] if it is damaged.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, RunConfig), ReportError> {
        let run = Self { path: path.into() };
        let path = run.config_path();
        let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        let config =
            serde_json::from_str(&text).map_err(|source| ReportError::Json { path, source })?;
        Ok((run, config))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its checkpoints.
    ///
    /// # Errors
    /// [`ReportError::Checkpoint`] if their folder cannot be made.
    pub fn checkpoints(&self) -> Result<Checkpoints, ReportError> {
        Checkpoints::open(self.path.join("checkpoints")).map_err(|source| ReportError::Checkpoint {
            path: self.path.clone(),
            source,
        })
    }

    /// Writes `report.json` and the confusion matrix as `confusion.png`.
    ///
    /// # Errors
    /// [`ReportError`] if a file cannot be written.
    pub fn write_report(&self, report: &Report, class_names: &[String]) -> Result<(), ReportError> {
        let path = self.path.join("confusion.png");
        let picture = draw_confusion(&report.test.confusion_matrix, class_names)
            .map_err(|source| ReportError::Png { path, source })?;
        self.write("confusion.png", &picture)?;
        self.write_json("report.json", report)
    }

    fn config_path(&self) -> PathBuf {
        self.path.join("config.json")
    }

    fn write_json(&self, name: &str, content: &impl Serialize) -> Result<(), ReportError> {
        let mut text =
            serde_json::to_string_pretty(content).map_err(|source| ReportError::Json {
                path: self.path.join(name),
                source,
            })?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        let (path, beside) = (
            self.path.join(name),
            self.path.join(format!("{name}.partial")),
        );
        let write = || {
            let mut file = fs::File::create(&beside)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        };
        write().map_err(io_error("write", &path))
    }
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> ReportError + 'a {
    move |source| ReportError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Name of the first field in which two configurations differ.
fn first_difference(name: &str, a: &Value, b: &Value) -> Option<String> {
    let join = |key: &str| {
        if name.is_empty() {
            key.to_owned()
        } else {
            format!("{name}.{key}")
        }
    };
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let value = |map: &serde_json::Map<_, _>| map.get(key).cloned().unwrap_or_default();
                first_difference(&join(key), &value(a), &value(b))
            })
        }
        (a, b) => (a != b).then(|| name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn first_difference_names_the_path_of_the_field() {
        let a = json!({"model": {"d": 64, "mode": "dual"}, "seed": 1});
        let b = json!({"model": {"d": 64, "mode": "vision_only"}, "seed": 2});
        assert_eq!(first_difference("", &a, &b), Some("model.mode".to_owned()));
        assert_eq!(first_difference("", &a, &a), None);
        assert_eq!(
            first_difference("", &a, &json!({"seed": 1})),
            Some("model".to_owned())
        );
    }
}
