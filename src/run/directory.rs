//! `config.json` and the directory of a run.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::difference::first_difference;
use super::error::RunError;
use super::lock::RunLock;
use crate::backend::BackendKind;
use crate::classifier::options::FitOptions;
use crate::data::SeriesDataset;
use crate::files::{IoError, write_atomically};

/// `config.json`: what a run was asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Version of this crate.
    pub version: String,
    /// The training set.
    pub data: DataSource,
    /// What it is computed on.
    pub backend: BackendKind,
    /// Everything that decides the fit.
    pub options: FitOptions,
}

impl RunConfig {
    /// Fitting a model to `set` by `options` on a backend.
    pub fn new(set: &SeriesDataset, options: &FitOptions, backend: BackendKind) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data: DataSource::of(set),
            backend,
            options: options.clone(),
        }
    }
}

/// Which set a run is fitted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    /// Its name.
    pub name: String,
    /// Hash of its series and labels, as 32 hexadecimal digits.
    pub fingerprint: String,
}

impl DataSource {
    /// Of a training set.
    pub fn of(set: &SeriesDataset) -> Self {
        Self {
            name: set.name().to_owned(),
            fingerprint: format!("{:032x}", set.fingerprint()),
        }
    }
}

/// The directory of a run. While a value that was created or resumed exists, no other process can
/// write into the directory.
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
    /// [`RunError::Occupied`] if a run is there already, [`RunError::InUse`] if another process is
    /// making one, [`RunError::Io`] if the directory cannot be made or written.
    pub fn create(path: impl Into<PathBuf>, config: &RunConfig) -> Result<Self, RunError> {
        let mut run = Self::at(path);
        run.check_free()?;
        fs::create_dir_all(&run.path).map_err(IoError::at("make", &run.path))?;
        run._lock = Some(RunLock::take(&run.path)?);
        // Another process may have been faster, and may be done.
        run.check_free()?;
        run.write_json("config.json", config)?;
        Ok(run)
    }

    /// Opens the directory of a run to resume it. What it is computed on may differ.
    ///
    /// # Errors
    /// [`RunError::OtherConfig`] if the run was started with other options,
    /// [`RunError::OtherData`] if with other data, [`RunError::InUse`] if another process is at it,
    /// [`RunError::Io`] if there is no run.
    pub fn resume(path: impl Into<PathBuf>, config: &RunConfig) -> Result<Self, RunError> {
        let (mut run, kept) = Self::open(path)?;
        run._lock = Some(RunLock::take(&run.path)?);
        if kept.data.fingerprint != config.data.fingerprint {
            return Err(RunError::OtherData {
                path: run.config_path(),
            });
        }
        run.check_same(&kept.options, &config.options)?;
        Ok(run)
    }

    /// Opens the directory of a complete run to train its networks on, for more epochs or steps than
    /// it was started with; all else must be as it was. The configuration stays as it is until it is
    /// written anew.
    ///
    /// # Errors
    /// As [`resume`](Self::resume), and [`RunError::Incomplete`] if the run is not complete.
    pub fn extend(path: impl Into<PathBuf>, config: &RunConfig) -> Result<Self, RunError> {
        let (mut run, kept) = Self::open(path)?;
        run._lock = Some(RunLock::take(&run.path)?);
        if kept.data.fingerprint != config.data.fingerprint {
            return Err(RunError::OtherData {
                path: run.config_path(),
            });
        }
        let mut options = config.options.clone();
        options.training.steps = kept.options.training.steps;
        options.training.epochs = kept.options.training.epochs;
        run.check_same(&kept.options, &options)?;
        if !run.is_complete() {
            return Err(RunError::Incomplete { path: run.path });
        }
        Ok(run)
    }

    /// Whether all that a run was to do is done.
    pub fn is_complete(&self) -> bool {
        let is_there = |name: &str| self.path.join(name).is_file();
        is_there("report.json") && self.model().is_file() && !self.checkpoints().exists()
    }

    /// Opens the directory of a run and reads its configuration.
    ///
    /// # Errors
    /// [`RunError::Io`] if there is none, [`RunError::Json`] if it is damaged or of another release.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Self, RunConfig), RunError> {
        let run = Self::at(path);
        let path = run.config_path();
        let text = fs::read_to_string(&path).map_err(IoError::at("read", &path))?;
        let config =
            serde_json::from_str(&text).map_err(|source| RunError::Json { path, source })?;
        Ok((run, config))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The model file.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// Where checkpoints are until the run is complete.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Removes the checkpoints, which a complete run has no use for.
    ///
    /// # Errors
    /// [`RunError::Io`] if they cannot be removed.
    pub fn remove_checkpoints(&self) -> Result<(), RunError> {
        let folder = self.checkpoints();
        if !folder.exists() {
            return Ok(());
        }
        Ok(fs::remove_dir_all(&folder).map_err(IoError::at("remove", &folder))?)
    }

    /// Writes a file of the run, in one step as others see it.
    ///
    /// # Errors
    /// [`RunError::Io`] if it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        let path = self.path.join(name);
        Ok(write_atomically(&path, |beside| fs::write(beside, bytes))?)
    }

    /// Writes a file of the run as JSON.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_json(&self, name: &str, content: &impl Serialize) -> Result<(), RunError> {
        let mut text = serde_json::to_string_pretty(content).map_err(|source| RunError::Json {
            path: self.path.join(name),
            source,
        })?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            _lock: None,
        }
    }

    fn check_free(&self) -> Result<(), RunError> {
        if self.config_path().exists() {
            return Err(RunError::Occupied {
                path: self.path.clone(),
            });
        }
        Ok(())
    }

    /// Refuses options that are not those the run was started with.
    fn check_same(&self, kept: &FitOptions, given: &FitOptions) -> Result<(), RunError> {
        let path = self.config_path();
        let to_value = |options: &FitOptions| {
            serde_json::to_value(options).map_err(|source| RunError::Json {
                path: path.clone(),
                source,
            })
        };
        match first_difference("", &to_value(kept)?, &to_value(given)?) {
            None => Ok(()),
            Some(found) => Err(RunError::OtherConfig {
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
}
