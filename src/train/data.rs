//! What a run learns from, and what it is judged by.

use crate::batch::{Augmentation, BatchSource, HostBatch};
use crate::cache::CachedImageDataset;
use crate::data::augment::view_of_epoch;
use crate::model::TimesClipClassifier;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::TrainError;

/// Samples to learn from and samples to judge by.
#[derive(Clone, Copy, Debug)]
pub struct TrainingData<'a> {
    /// Where both come from.
    pub source: BatchSource<'a>,
    /// Positions of the training samples.
    pub train: &'a [usize],
    /// Positions of the validation samples; may be none.
    pub valid: &'a [usize],
    /// Augmented views of the same samples at the same positions, from which training epochs
    /// take their batches in turn; if there are none, from `source`. Validation never looks at them.
    pub views: &'a [BatchSource<'a>],
    /// What makes a new view of every sample in every epoch, in the place of `views`.
    pub augmentation: Option<&'a Augmentation>,
}

impl<'a> TrainingData<'a> {
    /// Learns from the samples of `source` at `train`, and is judged by those at `valid`.
    pub fn new(source: BatchSource<'a>, train: &'a [usize], valid: &'a [usize]) -> Self {
        Self {
            source,
            train,
            valid,
            views: &[],
            augmentation: None,
        }
    }

    /// The same samples, learnt from by way of these views.
    #[must_use]
    pub fn with_views(self, views: &'a [BatchSource<'a>]) -> Self {
        Self { views, ..self }
    }

    /// The same samples, learned from by way of a new view of each in every epoch. Validation never
    /// looks at one.
    #[must_use]
    pub fn with_augmentation(self, augmentation: &'a Augmentation) -> Self {
        Self {
            augmentation: Some(augmentation),
            ..self
        }
    }

    /// Where the training batches of an epoch, counted from 1, come from.
    pub(super) fn source_of_epoch(&self, epoch: usize) -> BatchSource<'a> {
        if let Some(augmentation) = self.augmentation {
            return self.source.augmented(augmentation, epoch);
        }
        match view_of_epoch(epoch, self.views.len()) {
            0 => self.source,
            view => self.views[view - 1],
        }
    }

    /// Refuses views of other samples, features beside pictures, and features where colors are to
    /// vary.
    pub(super) fn check(&self, color_jitter: bool) -> Result<(), TrainError> {
        let size = |source: &BatchSource<'_>| {
            let samples = source.samples();
            (samples.n_samples(), samples.n_variates())
        };
        let expected = size(&self.source);
        let cached = self.source.features().is_some();
        if cached && color_jitter {
            let problem = "colors are to vary, but the data come as features, which have one";
            return Err(TrainError::Data {
                problem: problem.to_owned(),
            });
        }
        self.check_augmentation()?;
        for (i, view) in self.views.iter().enumerate() {
            let (found, number) = (size(view), i + 1);
            if found != expected {
                let problem = format!(
                    "view {number} has {} samples of {} variates, the set {} of {}",
                    found.0, found.1, expected.0, expected.1
                );
                return Err(TrainError::Data { problem });
            }
            if view.features().is_some() != cached {
                let (with, without) = match cached {
                    true => ("the set", format!("view {number}")),
                    false => ("a view", "the set".to_owned()),
                };
                let problem = format!("{with} comes as features, {without} as pictures");
                return Err(TrainError::Data { problem });
            }
        }
        Ok(())
    }

    /// Refuses a new view in every epoch where there are cached ones, or where its pictures cannot be
    /// those of the set.
    fn check_augmentation(&self) -> Result<(), TrainError> {
        let Some(augmentation) = self.augmentation else {
            return Ok(());
        };
        let problem = if !self.views.is_empty() {
            "views are cached, and yet every epoch is to have new ones".to_owned()
        } else {
            let drawn = augmentation.side_px();
            let cached = self.source.images().map(CachedImageDataset::side_px);
            match (drawn, cached) {
                _ if !self.source.batcher().modalities().has_vision() => return Ok(()),
                _ if self.source.features().is_some() => return Ok(()),
                (Some(drawn), Some(cached)) if drawn != cached => {
                    format!("views are drawn at {drawn} px, the set at {cached} px")
                }
                (Some(_), _) => return Ok(()),
                (None, _) => "batches bring pictures, but new views are not drawn".to_owned(),
            }
        };
        Err(TrainError::Data { problem })
    }

    /// Refuses samples and features that are not for this model, and device caches for other
    /// backends than those of a training.
    pub(super) fn check_model<B: AutodiffBackend>(
        &self,
        model: &TimesClipClassifier<B>,
    ) -> Result<(), TrainError> {
        let sources = || self.views.iter().chain([&self.source]);
        for source in sources() {
            check_sizes(source, model)?;
            source.check_backend::<B>()?;
            source.check_backend::<B::InnerBackend>()?;
        }
        if let (Some(drawn), Some(branch)) = (
            self.augmentation.and_then(Augmentation::side_px),
            &model.vision,
        ) {
            check_side(drawn, branch.vision_model.encoder().config().side_px)?;
        }
        let mut stores = sources().filter_map(BatchSource::features).peekable();
        if stores.peek().is_none() || model.vision.is_none() {
            return Ok(());
        }
        let Some(tower) = model.frozen_vision() else {
            let problem = "the data come as features, but the vision encoder learns".to_owned();
            return Err(TrainError::Data { problem });
        };
        let expected = tower.fingerprint();
        match stores.find(|store| store.key().encoder != expected) {
            Some(store) => Err(TrainError::Data {
                problem: format!(
                    "the features were made by the encoder {:032x}, the model has {expected:032x}",
                    store.key().encoder
                ),
            }),
            None => Ok(()),
        }
    }
}

/// Refuses samples of other sizes than the model's.
pub(super) fn check_sizes<B: Backend>(
    source: &BatchSource<'_>,
    model: &TimesClipClassifier<B>,
) -> Result<(), TrainError> {
    let (found, expected) = (source.samples().n_variates(), model.n_variates());
    if found != expected {
        let problem = format!("samples of {found} variates for a classifier of {expected}");
        return Err(TrainError::Data { problem });
    }
    let (None, Some(branch)) = (source.features(), &model.vision) else {
        return Ok(());
    };
    let expected = branch.vision_model.encoder().config().side_px;
    match source.images().map(CachedImageDataset::side_px) {
        Some(found) => check_side(found, expected),
        None => Ok(()),
    }
}

/// Refuses pictures of another side than the encoder's.
fn check_side(found: usize, expected: usize) -> Result<(), TrainError> {
    match found == expected {
        true => Ok(()),
        false => Err(TrainError::Data {
            problem: format!("pictures of {found} px for an encoder of {expected} px"),
        }),
    }
}

/// Refuses classes that the model does not know.
pub(super) fn check_targets<B: Backend>(
    batch: &HostBatch,
    model: &TimesClipClassifier<B>,
) -> Result<(), TrainError> {
    let n_classes = model.n_classes();
    let mut samples = batch.ids().iter().zip(batch.targets());
    match samples.find(|&(_, &target)| target >= n_classes) {
        None => Ok(()),
        Some((id, target)) => Err(TrainError::Data {
            problem: format!("sample {id} is of class {target}, the classifier has {n_classes}"),
        }),
    }
}
