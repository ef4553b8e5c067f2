//! Checkpoints: everything a run needs to go on as if it had never stopped.
//!
//! A folder holds `last.mpk` (weights, their average, optimizer moments, state of the run) and `best.mpk` (the
//! weights of the best epoch so far); `frozen.mpk`, written once, holds a frozen vision encoder,
//! so that a run needs no other file to predict. Each is written beside its place and then renamed into it,
//! so that a crash leaves the old one or the new one. The best is published first: if the run
//! dies between the two, the epoch is run again and gives the same weights.

use std::fs::{self, File};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use burn::module::Module;
use burn::record::{FullPrecisionSettings, NamedMpkFileRecorder, Record, Recorder, RecorderError};
use burn::tensor::backend::{AutodiffBackend, Backend};
use thiserror::Error;

use super::learner::{Learner, LearnerRecord};
use super::state::RunState;
use crate::files::IoError;
use crate::model::TimesClipClassifier;

/// Full precision: half-precision records would not resume bit for bit.
type FileRecorder = NamedMpkFileRecorder<FullPrecisionSettings>;

/// Bytes of stack for reading or writing a record: some times what the largest takes.
const LARGE_STACK: usize = 64 << 20;

/// The folder of a run's checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    interval: usize,
}

impl Checkpoints {
    /// Uses `folder`, and makes it if it is not there.
    ///
    /// # Errors
    /// [`CheckpointError::Io`] if it cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, CheckpointError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(IoError::at("make", &folder))?;
        Ok(Self {
            folder,
            interval: 1,
        })
    }

    /// The same folder, written to after the first epoch that ends at least so many steps after the
    /// last that was, and after the last epoch: where epochs are of a few steps, writing would take
    /// longer than training. A run that dies repeats at most that many steps and one epoch.
    #[must_use]
    pub fn with_interval(self, steps: usize) -> Self {
        Self {
            interval: steps,
            ..self
        }
    }

    /// Steps between two checkpoints at least.
    pub(super) fn interval(&self) -> usize {
        self.interval
    }

    /// Whether there is a checkpoint to go on from.
    pub fn has_last(&self) -> bool {
        self.last().is_file()
    }

    /// Number of epochs that the run has behind it. Reads the whole checkpoint.
    ///
    /// # Errors
    /// [`CheckpointError`] if there is a checkpoint and it is damaged.
    pub fn n_epochs<B: AutodiffBackend>(
        &self,
        device: &B::Device,
    ) -> Result<usize, CheckpointError> {
        if !self.has_last() {
            return Ok(0);
        }
        let record = self.read_last::<B>(device)?;
        Ok(record.0.history.len())
    }

    /// The weights of the best epoch so far.
    pub fn best(&self) -> PathBuf {
        self.folder.join("best.mpk")
    }

    fn frozen(&self) -> PathBuf {
        self.folder.join("frozen.mpk")
    }

    fn last(&self) -> PathBuf {
        self.folder.join("last.mpk")
    }

    /// Publishes the weights of the best epoch.
    pub(super) fn save_best<B: Backend>(
        &self,
        model: &TimesClipClassifier<B>,
    ) -> Result<(), CheckpointError> {
        write::<B, _>(&self.best(), model.clone().into_record())
    }

    /// Loads the weights of the best epoch into a model of the same configuration.
    ///
    /// # Errors
    /// [`CheckpointError::Record`] if there are none, or they are damaged.
    pub fn load_best<B: Backend>(
        &self,
        model: TimesClipClassifier<B>,
        device: &B::Device,
    ) -> Result<TimesClipClassifier<B>, CheckpointError> {
        let model = model.load_record(*read(&self.best(), device)?);
        let Some(tower) = model.frozen_vision() else {
            return Ok(model);
        };
        let encoder = tower.encoder().load_record(*read(&self.frozen(), device)?);
        Ok(model.with_vision_encoder(encoder))
    }

    /// Publishes the frozen vision encoder of a model that has one.
    pub(super) fn save_frozen<B: Backend>(
        &self,
        model: &TimesClipClassifier<B>,
    ) -> Result<(), CheckpointError> {
        match model.frozen_vision() {
            Some(tower) => write::<B, _>(&self.frozen(), tower.encoder().into_record()),
            None => Ok(()),
        }
    }

    /// Publishes where the run stands.
    pub(super) fn save_last<B: AutodiffBackend>(
        &self,
        learner: &Learner<B>,
        state: &RunState,
    ) -> Result<(), CheckpointError> {
        let state = serde_json::to_string(state).map_err(|source| CheckpointError::State {
            path: self.last(),
            source,
        })?;
        write::<B, _>(&self.last(), (state, learner.to_record()))
    }

    /// Restores where the run stood.
    pub(super) fn load_last<B: AutodiffBackend>(
        &self,
        learner: &mut Learner<B>,
        device: &B::Device,
    ) -> Result<RunState, CheckpointError> {
        let (state, record) = *self.read_last(device)?;
        learner.load_record(record);
        Ok(state)
    }

    fn read_last<B: AutodiffBackend>(
        &self,
        device: &B::Device,
    ) -> Result<Box<(RunState, LearnerRecord<B>)>, CheckpointError> {
        let record: Box<(String, LearnerRecord<B>)> = read::<B, _>(&self.last(), device)?;
        let (state, learner) = *record;
        let state = serde_json::from_str(&state).map_err(|source| CheckpointError::State {
            path: self.last(),
            source,
        })?;
        Ok(Box::new((state, learner)))
    }
}

/// Writes a record beside `path` and renames it into place.
fn write<B: Backend, R: Record<B>>(path: &Path, record: R) -> Result<(), CheckpointError> {
    // The recorder sets the extension itself.
    let beside = path.with_extension("partial.mpk");
    let record = Box::new(record);
    on_large_stack(path, || FileRecorder::new().record(*record, beside.clone()))?.map_err(
        |source| {
            // On a full disk, say: what is there is of no use, and takes room.
            let _ = fs::remove_file(&beside);
            CheckpointError::Record {
                path: beside.clone(),
                source,
            }
        },
    )?;
    File::open(&beside)
        .and_then(|file| file.sync_all())
        .map_err(IoError::at("write", &beside))?;
    fs::rename(&beside, path).map_err(IoError::at("write", path))?;
    Ok(())
}

fn read<B: Backend, R: Record<B>>(
    path: &Path,
    device: &B::Device,
) -> Result<Box<R>, CheckpointError> {
    let loaded = on_large_stack(path, || {
        let loaded = FileRecorder::new().load(path.to_owned(), device);
        loaded.map(Box::new)
    });
    loaded?.map_err(|source| CheckpointError::Record {
        path: path.to_owned(),
        source,
    })
}

/// Runs `work` on a thread of its own: whole models pass over its stack, several times in builds that
/// are not optimized, and the caller's may be small.
fn on_large_stack<T: Send>(
    path: &Path,
    work: impl FnOnce() -> T + Send,
) -> Result<T, CheckpointError> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(LARGE_STACK);
        let thread = thread.spawn_scoped(scope, work)?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
    .map_err(|source| IoError::at("start a thread for", path)(source).into())
}

/// A checkpoint cannot be written or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The system refused a file operation.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A record cannot be written, or is missing, damaged or of another model.
    #[error("cannot use the checkpoint {path}", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What the recorder says.
        source: RecorderError,
    },
    /// The state of the run inside a checkpoint cannot be written or understood.
    #[error("cannot use the state in the checkpoint {path}", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        source: serde_json::Error,
    },
}
