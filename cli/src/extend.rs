//! A complete run whose networks are trained on: what was done, and what is left.

use std::fs;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use timesclip::FitReport;
use timesclip::classifier::FoldReport;
use timesclip::options::{Extension, TrainingLeft, TrainingOptions};
use timesclip::run::RunDirectory;

/// The directory of a run, and how far its networks were trained if they are to be trained on.
pub(crate) struct Opened {
    pub(crate) directory: RunDirectory,
    pub(crate) earlier: Option<Earlier>,
    /// Whether the folder was not there before.
    pub(crate) is_new: bool,
}

/// What was done of a complete run that is extended.
pub(crate) struct Earlier {
    folds: Vec<FoldReport>,
    left: TrainingLeft,
}

/// `report.json`, as far as an extension needs it.
#[derive(Deserialize)]
struct KeptReport {
    folds: Vec<FoldReport>,
}

impl Earlier {
    pub(crate) fn of(
        run: &RunDirectory,
        (before, now): (&TrainingOptions, &TrainingOptions),
    ) -> Result<Self> {
        let path = run.path().join("report.json");
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read `{}`", path.display()))?;
        let report = serde_json::from_str(&text);
        let KeptReport { folds } =
            report.with_context(|| format!("`{}` is damaged", path.display()))?;
        let epochs = folds.iter().map(|fold| fold.history.len()).max();
        let Some(epochs) = epochs else {
            bail!("the run has no networks that could be trained on");
        };
        let left = match (now.epochs, now.steps, before.steps) {
            (Some(wanted), ..) if wanted > epochs => TrainingLeft::Epochs(wanted - epochs),
            (Some(wanted), ..) => {
                bail!("the run was trained for {epochs} epochs, which is not less than {wanted}")
            }
            (None, Some(wanted), Some(done)) if wanted > done => TrainingLeft::Steps(wanted - done),
            (None, Some(wanted), Some(done)) => {
                bail!("the run was trained for {done} steps, which is not less than {wanted}")
            }
            _ => bail!(
                "the run was not started with --steps: it was trained for {epochs} epochs, and is \
                 extended by more --epochs"
            ),
        };
        Ok(Self { folds, left })
    }

    /// The run's own model, and what is left to do of its training.
    pub(crate) fn extension(&self, run: &RunDirectory) -> Extension {
        Extension {
            model: run.model(),
            left: self.left,
        }
    }

    /// Puts what was done before in front of what was done now.
    pub(crate) fn precede(self, fit: &mut FitReport) {
        let folds = fit
            .network
            .iter_mut()
            .flat_map(|network| &mut network.folds);
        for (fold, earlier) in folds.zip(self.folds) {
            *fold = fold.clone().after(earlier);
        }
    }
}
