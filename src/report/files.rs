//! The directory of a run. Every file is written beside its place and renamed into it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

use super::difference::first_difference;
use super::lock::RunLock;
use super::{Report, ReportError, draw_confusion};
use crate::backend::BackendKind;
use crate::cache::features::FeatureDtype;
use crate::data::SeriesDataset;
use crate::data::augment::AugmentConfig;
use crate::data::csv::CsvFormat;
use crate::data::normalize::Normalizer;
use crate::model::TimesClipClassifierConfig;
use crate::raster::{PixelStatistics, PlotStyle};
use crate::train::{Checkpoints, TrainingConfig};

/// `config.json`: all that decides what a run does, and all that predicting with it needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunConfig {
    /// Version of this crate.
    pub version: String,
    /// Name of the training set.
    pub dataset: String,
    /// What was learnt from; `None` in a run of a time when that was not kept.
    #[serde(default)]
    pub data: Option<DataSource>,
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

/// The training set, as it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSource {
    /// Hash of its series and labels, as 32 hexadecimal digits.
    pub fingerprint: String,
    /// How the rows of a table were read; `None` if none was described.
    pub table: Option<CsvFormat>,
}

impl DataSource {
    /// Of the training set and the format it was read with.
    pub fn new(dataset: &SeriesDataset, table: Option<CsvFormat>) -> Self {
        Self {
            fingerprint: format!("{:032x}", dataset.fingerprint()),
            table,
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

/// The directory of a run. While one that was made or is gone on with exists, no other process can
/// write into it.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// `None` if it was opened to be read.
    _lock: Option<RunLock>,
}

impl RunDirectory {
    /// Makes the directory of a new run and writes its configuration.
    ///
    /// # Errors
    /// [`ReportError::Occupied`] if a run is there already, [`ReportError::InUse`] if another process
    /// is making one, [`ReportError::Io`] if the directory cannot be made or written.
    pub fn create(path: impl Into<PathBuf>, config: &RunConfig) -> Result<Self, ReportError> {
        let mut run = Self::at(path);
        run.check_free()?;
        fs::create_dir_all(&run.path).map_err(io_error("make", &run.path))?;
        run._lock = Some(RunLock::take(&run.path)?);
        // Another process may have been faster, and may be done.
        run.check_free()?;
        run.write_json("config.json", config)?;
        Ok(run)
    }

    /// Opens the directory of a run to go on with it. What it is computed on may differ, and the
    /// number of epochs if the learning rate does not depend on it.
    ///
    /// # Errors
    /// [`ReportError::OtherConfig`] if the run was made with another configuration,
    /// [`ReportError::OtherData`] if it learnt from other data, [`ReportError::InUse`] if another
    /// process is at it, [`ReportError::Io`] if there is no run.
    pub fn resume(path: impl Into<PathBuf>, config: &RunConfig) -> Result<Self, ReportError> {
        let (mut run, kept) = Self::open(path)?;
        run._lock = Some(RunLock::take(&run.path)?);
        run.check_data(&kept, config)?;
        run.check_config(&kept, config)?;
        let config = RunConfig {
            data: kept.data.or(config.data.clone()),
            ..config.clone()
        };
        run.write_json("config.json", &config)?;
        Ok(run)
    }

    /// Opens the directory of a run and reads its configuration.
    ///
    /// # Errors
    /// [`ReportError::Io`] if there is none, [`ReportError::Json`] if it is damaged.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, RunConfig), ReportError> {
        let run = Self::at(path);
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

    /// Whether its report was written: the last thing a run does.
    pub fn has_report(&self) -> bool {
        self.path.join("report.json").is_file()
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

    fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            _lock: None,
        }
    }

    fn check_free(&self) -> Result<(), ReportError> {
        if self.config_path().exists() {
            return Err(ReportError::Occupied {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    /// Refuses other training data. Before all else, since much of a configuration comes from them.
    fn check_data(&self, kept: &RunConfig, given: &RunConfig) -> Result<(), ReportError> {
        let (Some(kept), Some(given)) = (&kept.data, &given.data) else {
            return Ok(());
        };
        if kept.fingerprint == given.fingerprint {
            return Ok(());
        }
        self.check_same("data.table", &kept.table, &given.table)?;
        Err(ReportError::OtherData {
            path: self.config_path(),
        })
    }

    fn check_config(&self, kept: &RunConfig, given: &RunConfig) -> Result<(), ReportError> {
        let any_epochs = !given.training.schedule.depends_on_epochs();
        let comparable = |config: &RunConfig| {
            let mut config = config.clone();
            config.data = None;
            config.backend = BackendKind::Cpu;
            if any_epochs {
                config.training.epochs = 1;
            }
            config
        };
        let (kept, given) = (comparable(kept), comparable(given));
        // What flags say comes before what is fitted to it.
        self.check_same("training", &kept.training, &given.training)?;
        self.check_same(
            "valid_fraction",
            &kept.valid_fraction,
            &given.valid_fraction,
        )?;
        self.check_same("", &kept, &given)
    }

    /// Refuses a part of the configuration, which `name` leads to, that is not as it was.
    fn check_same<T: Serialize>(&self, name: &str, kept: &T, given: &T) -> Result<(), ReportError> {
        let path = self.config_path();
        let to_value = |config: &T| {
            serde_json::to_value(config).map_err(|source| ReportError::Json {
                path: path.clone(),
                source,
            })
        };
        match first_difference(name, &to_value(kept)?, &to_value(given)?) {
            None => Ok(()),
            Some(found) => Err(ReportError::OtherConfig {
                path,
                field: found.field,
                kept: found.a,
                given: found.b,
            }),
        }
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

pub(super) fn io_error<'a>(
    action: &'static str,
    path: &'a Path,
) -> impl Fn(io::Error) -> ReportError + 'a {
    move |source| ReportError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
