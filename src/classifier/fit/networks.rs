//! The networks of a fit: which folds they are trained on.

use super::{Fit, FittedNetwork, Predictor};
use crate::backend::{ChosenDevice, train_on};
use crate::classifier::pretrained::Pretrained;
use crate::classifier::recipe::Recipe;
use crate::classifier::start::StartingModel;
use crate::classifier::train::{TrainNetworks, TrainedNetworks};
use crate::classifier::{FitError, NETWORK};
use crate::data::split::{Folds, Split, SplitFractions, SplitOrder};

/// Up to so many samples are split into folds; more train one network.
const FOLDED_SAMPLES: usize = 4000;
/// Folds, where they are left open.
const N_FOLDS: usize = 4;

impl Fit<'_, '_> {
    /// The networks of all folds.
    pub(super) fn network(
        &mut self,
        device: &ChosenDevice,
        pretrained: &Pretrained,
        predictors: &mut Vec<Predictor>,
    ) -> Result<Option<FittedNetwork>, FitError> {
        let recipe = Recipe::fit(self.set, self.options, pretrained)?;
        let start = self.options.starting_model();
        let start = start.map(StartingModel::open).transpose()?;
        let recipe = match &start {
            Some(start) => start.recipe(self.set, recipe)?,
            None => recipe,
        };
        recipe.check_steps(self.set)?;
        let n_folds = self.options.folds.unwrap_or(match self.set.len() {
            ..=FOLDED_SAMPLES => N_FOLDS,
            _ => 1,
        });
        let folds = match n_folds {
            1 => {
                let fractions = SplitFractions {
                    valid: self.options.valid_fraction,
                    test: 0.0,
                };
                vec![Split::of(
                    self.set,
                    fractions,
                    SplitOrder::Stratified,
                    self.options.seed,
                )?]
            }
            n => Folds::of(self.set, n, self.options.seed)?
                .splits()
                .collect(),
        };
        if let Some(start) = &start {
            start.check_folds(self.set, self.options, &folds)?;
        }
        let devices = device.and_next(self.options.compute.n_devices)?;
        let job = TrainNetworks {
            set: self.set,
            options: self.options,
            recipe: &recipe,
            pretrained,
            start: start.as_ref(),
            folds: &folds,
            watch: &mut self.watch,
        };
        let trained = match train_on(device.kind, &devices, job)? {
            Err(FitError::Cancelled) if !predictors.is_empty() => return Ok(None),
            trained => trained?,
        };
        let TrainedNetworks {
            network,
            held_out,
            report,
        } = trained;
        self.report.network = Some(report);
        predictors.push(Predictor {
            name: NETWORK,
            held_out,
        });
        Ok(Some((recipe, network)))
    }
}
