//! Networks that start from the weights of a model instead of random ones.

use std::path::Path;

use burn::tensor::backend::Backend;

use super::error::FitError;
use super::file::{model_path, read};
use super::network::{prefix, shared_prefixes};
use super::options::FitOptions;
use super::recipe::Recipe;
use super::record::Record;
use crate::data::SeriesDataset;
use crate::data::split::Split;
use crate::model::loss::TimesClipLoss;
use crate::model::{TimesClipClassifier, TimesClipClassifierConfig};
use crate::weights::Checkpoint;

/// A model whose networks others start from.
pub(super) struct StartingModel {
    record: Record,
    recipe: Recipe,
    n_members: usize,
    checkpoint: Checkpoint,
}

impl StartingModel {
    /// Opens a model file, or that of a run directory.
    pub(super) fn open(path: &Path) -> Result<Self, FitError> {
        let unusable = |source| FitError::StartingModel { source };
        let path = model_path(path).map_err(unusable)?;
        let mut record = read(&path).map_err(unusable)?;
        let checkpoint = Checkpoint::open(&path).map_err(|source| FitError::Weights {
            option: "the model to start from",
            source,
        })?;
        let Some((recipe, n_members)) = record.network.take() else {
            let path = path.display();
            return Err(refused(format!("`{path}` holds no networks to start from")));
        };
        Ok(Self {
            record,
            recipe,
            n_members,
            checkpoint,
        })
    }

    /// What the new networks are built of: as the model's, whose weights belong to its normalization
    /// and its way of drawing; only the loss is that of the options. Refuses options of networks of
    /// another kind.
    pub(super) fn recipe(&self, set: &SeriesDataset, fresh: Recipe) -> Result<Recipe, FitError> {
        let (found, expected) = (&self.record.class_names, set.class_names());
        if found != expected {
            let n = found.len();
            return Err(refused(format!(
                "the model to start from has other classes: {n}, such as `{}`",
                found.first().map_or("", String::as_str)
            )));
        }
        let (found, expected) = (self.record.n_variates, set.n_variates());
        if found != expected {
            return Err(refused(format!(
                "the model to start from has {found} variates, not {expected}"
            )));
        }
        let plain = |config: &TimesClipClassifierConfig| {
            let config = config.clone().with_loss(TimesClipLoss::new());
            serde_json::to_value(config).unwrap_or_default()
        };
        if plain(&self.recipe.model) != plain(&fresh.model) {
            return Err(refused(
                "the networks of the model to start from are built otherwise: give the options about \
                 the network and its encoders that it was fitted by"
                    .to_owned(),
            ));
        }
        Ok(Recipe {
            model: fresh.model,
            ..self.recipe.clone()
        })
    }

    /// Refuses to start from networks that have seen, of these very samples, those that are to judge
    /// them: the same samples must be in the same folds.
    pub(super) fn check_folds(
        &self,
        set: &SeriesDataset,
        options: &FitOptions,
        folds: &[Split],
    ) -> Result<(), FitError> {
        let kept = &self.record.options;
        let same_folds = kept.seed == options.seed
            && kept.valid_fraction == options.valid_fraction
            && self.n_members == folds.len();
        let fingerprint = format!("{:032x}", set.fingerprint());
        if self.record.provenance.fingerprint != fingerprint || same_folds {
            return Ok(());
        }
        Err(refused(format!(
            "the model to start from was fitted to these samples in {} folds of seed {}, and would be \
             judged by what it has seen: keep its seed and its folds",
            self.n_members, kept.seed
        )))
    }

    /// The network that the one of a fold starts from.
    pub(super) fn member<B: Backend>(
        &self,
        fold: usize,
        config: &TimesClipClassifierConfig,
        device: &B::Device,
    ) -> Result<TimesClipClassifier<B>, FitError> {
        let prefix = prefix(fold % self.n_members);
        let shared = shared_prefixes(fold % self.n_members);
        let member = self
            .checkpoint
            .load_member::<B>(&prefix, shared, config, device);
        member.map_err(|source| FitError::Weights {
            option: "the model to start from",
            source,
        })
    }
}

fn refused(problem: String) -> FitError {
    FitError::Options { problem }
}
