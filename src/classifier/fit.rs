//! Fitting a model: closed form, networks, pool.

#[cfg(feature = "train")]
mod networks;

use super::early::prefix;
use super::error::FitError;
use super::features::{Features, TrainingRows};
use super::network::Network;
use super::observer::{FitObserver, Phase, Watch};
use super::options::{ClassWeights, Effort, FitOptions};
use super::pretrained::Pretrained;
use super::recipe::Recipe;
use super::record::{HeldOutScore, Provenance, Record};
use super::report::FitReport;
use super::{CLOSED_FORM, TimesClip, score};
use crate::backend::ChosenDevice;
use crate::closed_form::pool::LogPool;
use crate::closed_form::{ClosedFormFit, RidgeViews, Targets, balanced_weights};
use crate::data::read::TableSchema;
use crate::data::{Series, SeriesDataset, TimeGrid};

/// A fit in progress.
struct Fit<'a, 'w> {
    /// The training set, on the grid of times if there is one.
    set: &'a SeriesDataset,
    /// Hash of the training set as it was given.
    fingerprint: u128,
    time_grid: Option<TimeGrid>,
    options: &'a FitOptions,
    labels: Vec<usize>,
    weights: Option<Vec<f64>>,
    /// Number of the group of each sample, if the set has groups.
    groups: Option<Vec<usize>>,
    watch: Watch<'w>,
    report: FitReport,
}

/// Fits a model; what it took is in the report.
pub(super) fn fit(
    set: &SeriesDataset,
    options: &FitOptions,
    observer: &mut dyn FitObserver,
) -> Result<(TimesClip, FitReport), FitError> {
    options.validate()?;
    set.check_trainable()?;
    let fingerprint = set.fingerprint();
    let series: Vec<&Series> = set.samples().iter().map(|sample| &sample.series).collect();
    let time_grid = TimeGrid::fit(&series, options.uneven_times);
    let placed = time_grid.map(|grid| set.on_grid(&grid));
    let set = placed.as_ref().unwrap_or(set);
    let labels: Vec<usize> = set.samples().iter().map(|sample| sample.label).collect();
    let weights = weights(set, &labels, options.class_weights);
    let mut fit = Fit {
        set,
        fingerprint,
        time_grid,
        options,
        labels,
        weights,
        groups: set.group_numbers(),
        watch: Watch::new(observer),
        report: FitReport::default(),
    };
    let model = fit.run()?;
    Ok((model, fit.report))
}

/// Shares of each training series that the closed form is fitted to beside the whole of it, if
/// beginnings are trained on.
const PREFIX_SHARES: [f64; 4] = [0.1, 0.25, 0.5, 0.75];

/// The rows that the closed form is fitted to: the training samples, then their beginnings.
struct ClosedFormRows {
    n_samples: usize,
    beginnings: Vec<Series>,
    labels: Vec<usize>,
    weights: Option<Vec<f64>>,
    groups: Option<Vec<usize>>,
}

impl ClosedFormRows {
    fn of(fit: &Fit<'_, '_>) -> Result<Self, FitError> {
        let (n_samples, shares) = match fit.options.prefixes {
            true => (fit.set.len(), &PREFIX_SHARES[..]),
            false => (fit.set.len(), &[][..]),
        };
        let samples = fit.set.samples();
        let beginnings = shares.iter().flat_map(|share| {
            samples.iter().map(|sample| {
                let n_steps = prefix(sample.series.n_steps(), *share);
                sample.series.truncated(n_steps)
            })
        });
        // A beginning is left out together with its sample, or it would give the answer away.
        let groups = fit.groups.clone();
        let groups = groups.or_else(|| (!shares.is_empty()).then(|| (0..n_samples).collect()));
        let times = 1 + shares.len();
        Ok(Self {
            n_samples,
            beginnings: beginnings.collect::<Result<_, _>>()?,
            labels: fit.labels.repeat(times),
            weights: fit.weights.as_ref().map(|weights| weights.repeat(times)),
            groups: groups.map(|groups| groups.repeat(times)),
        })
    }

    fn series<'a>(&'a self, set: &'a SeriesDataset) -> Vec<&'a Series> {
        let whole = set.samples().iter().map(|sample| &sample.series);
        whole.chain(&self.beginnings).collect()
    }

    /// The answers to the whole samples.
    fn whole<'a>(&self, probabilities: &'a [f32], n_classes: usize) -> &'a [f32] {
        &probabilities[..self.n_samples * n_classes]
    }
}

/// Networks, and what they are built of.
type FittedNetwork = (Recipe, Box<dyn Network>);

/// Held-out answers of one predictor: probabilities of each sample that has them.
struct Predictor {
    name: &'static str,
    held_out: Vec<Option<Vec<f32>>>,
}

impl Fit<'_, '_> {
    fn run(&mut self) -> Result<TimesClip, FitError> {
        let device = choose(self.options)?;
        let pretrained = Pretrained::open(self.options)?;
        let mut predictors = Vec::new();
        let closed_form = self.closed_form(&device, &pretrained, &mut predictors)?;
        if closed_form.is_none() && self.options.effort == Effort::Fast {
            let problem = "the effort `fast` needs kernels or pretrained encoders";
            return Err(FitError::Options {
                problem: problem.to_owned(),
            });
        }
        let network = match self.needs_network(closed_form.as_ref().map(|(_, fit)| fit)) {
            true => self.network(&device, &pretrained, &mut predictors)?,
            false => None,
        };
        if predictors.is_empty() {
            return Err(FitError::Cancelled);
        }
        let pool = self.pool(&predictors);
        let scores = self.scores(&predictors, &pool);
        let (recipe, network) = network.unzip();
        let (features, head) = closed_form.unzip();
        let record = Record {
            class_names: self.set.class_names().to_vec(),
            n_variates: self.set.n_variates(),
            schema: TableSchema {
                variates: self.set.variate_names().to_vec(),
                n_variates: self.set.n_variates(),
                class_names: self.set.class_names().to_vec(),
                ..TableSchema::default()
            },
            options: self.options.clone(),
            provenance: self.provenance(&device, scores),
            time_grid: self.time_grid,
            kernels: None,
            encoders: None,
            closed_form: None,
            network: recipe.zip(network.as_ref().map(|network| network.len())),
            pool,
        };
        let head = head.map(|fit: ClosedFormFit| fit.model);
        Ok(TimesClip::assemble(record, features.zip(head), network))
    }

    /// The closed form over all feature blocks, if there are any.
    fn closed_form(
        &mut self,
        device: &ChosenDevice,
        pretrained: &Pretrained,
        predictors: &mut Vec<Predictor>,
    ) -> Result<Option<(Features, ClosedFormFit)>, FitError> {
        let rows = ClosedFormRows::of(self)?;
        let series = rows.series(self.set);
        let n_classes = self.set.n_classes();
        let _ = self.watch.start(Phase::Features, series.len());
        let note = |text| self.watch.note(text);
        let features = Features::fit(&series, self.options, pretrained, device, note)?;
        let Some(features) = features else {
            return Ok(None);
        };
        let fitted = {
            let go_on = |done| self.watch.progress(Phase::Features, done, series.len());
            let table = TrainingRows::new(&features, &series, go_on)?;
            let table = table.ok_or(FitError::Cancelled)?;
            let _ = self.watch.start(Phase::ClosedForm, 1);
            let targets = Targets {
                weights: rows.weights.as_deref(),
                groups: rows.groups.as_deref(),
                ..Targets::new(&rows.labels, n_classes)
            };
            let views = features.views(&table);
            let ridges = RidgeViews::fit(&table, &views.ridges, &targets, &self.options.ridge)?;
            for (name, members) in &views.modalities {
                let alone = ridges.pool(members);
                let whole = rows.whole(&alone.held_out.probabilities, n_classes);
                self.report
                    .alone(name, &score(name, 1.0, &self.labels, whole));
            }
            ridges.pool(&views.all)
        };
        let held_out = rows.whole(&fitted.held_out.probabilities, n_classes);
        let rows = held_out.chunks(n_classes);
        predictors.push(Predictor {
            name: CLOSED_FORM,
            held_out: rows.map(|row| Some(row.to_vec())).collect(),
        });
        let _ = self.watch.progress(Phase::ClosedForm, 1, 1);
        Ok(Some((features, fitted)))
    }

    /// Whether networks can add to what the closed form knows.
    fn needs_network(&mut self, closed_form: Option<&ClosedFormFit>) -> bool {
        let FitOptions {
            modalities, effort, ..
        } = *self.options;
        if !modalities.has_network() || self.watch.is_cancelled() {
            return false;
        }
        let Some(fit) = closed_form else {
            return true;
        };
        if effort == Effort::Fast {
            return false;
        }
        if fit.held_out.accuracy == 1.0 && self.options.starting_model().is_none() {
            self.watch
                .note("no network is trained: the closed form makes no leave-one-out error");
            return false;
        }
        true
    }

    #[cfg(not(feature = "train"))]
    fn network(
        &mut self,
        _: &ChosenDevice,
        _: &Pretrained,
        _: &mut Vec<Predictor>,
    ) -> Result<Option<FittedNetwork>, FitError> {
        Err(FitError::NoTrainer)
    }

    /// Weights of the predictors, fitted to the samples of which all have held-out answers.
    fn pool(&self, predictors: &[Predictor]) -> Vec<f64> {
        let (labels, rows, weights) = self.shared(predictors);
        if labels.is_empty() {
            return vec![1.0 / predictors.len() as f64; predictors.len()];
        }
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        LogPool::fit(&rows, &labels, self.set.n_classes(), weights.as_deref()).weights
    }

    /// Labels, answers of every predictor and weights of the samples of which all have answers.
    fn shared(&self, predictors: &[Predictor]) -> (Vec<usize>, Vec<Vec<f32>>, Option<Vec<f64>>) {
        let all = |index: &usize| predictors.iter().all(|p| p.held_out[*index].is_some());
        let indices: Vec<usize> = (0..self.set.len()).filter(all).collect();
        let rows = predictors.iter().map(|predictor| {
            let rows = indices
                .iter()
                .filter_map(|i| predictor.held_out[*i].as_deref());
            rows.flatten().copied().collect()
        });
        let weights = self.weights.as_ref();
        (
            indices.iter().map(|i| self.labels[*i]).collect(),
            rows.collect(),
            weights.map(|weights| indices.iter().map(|i| weights[*i]).collect()),
        )
    }

    fn scores(&self, predictors: &[Predictor], pool: &[f64]) -> Vec<HeldOutScore> {
        let n_classes = self.set.n_classes();
        let (labels, rows, _) = self.shared(predictors);
        let members: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        let weights = pool.to_vec();
        let pooled = LogPool { weights, n_classes }.pool(&members);
        let named = predictors.iter().zip(&members).zip(pool);
        let mut scores: Vec<_> = named
            .map(|((predictor, rows), weight)| score(predictor.name, *weight, &labels, rows))
            .collect();
        scores.push(score("pool", 1.0, &labels, &pooled));
        scores
    }

    fn provenance(&self, device: &ChosenDevice, scores: Vec<HeldOutScore>) -> Provenance {
        let steps = self
            .set
            .samples()
            .iter()
            .map(|sample| sample.series.n_steps());
        let (low, high) = steps.fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
        Provenance {
            dataset: self.set.name().to_owned(),
            fingerprint: format!("{:032x}", self.fingerprint),
            n_samples: self.set.len(),
            n_steps: [low, high],
            backend: device.kind.name().to_owned(),
            scores,
            cancelled: self.watch.is_cancelled(),
        }
    }
}

/// Weights of the samples: their own times those of their classes; `None` if all are equal.
fn weights(set: &SeriesDataset, labels: &[usize], classes: ClassWeights) -> Option<Vec<f64>> {
    let own = set.metadata().weights.as_ref();
    let own: Option<Vec<f64>> =
        own.map(|weights| weights.iter().map(|weight| f64::from(*weight)).collect());
    if classes == ClassWeights::None {
        return own;
    }
    let mut weights = balanced_weights(labels, set.n_classes());
    if let Some(own) = own {
        weights
            .iter_mut()
            .zip(own)
            .for_each(|(weight, own)| *weight *= own);
    }
    Some(weights)
}

/// The device that the options name, or the best one.
pub(super) fn choose(options: &FitOptions) -> Result<ChosenDevice, FitError> {
    Ok(options.compute.backend.choose(options.compute.device)?)
}
