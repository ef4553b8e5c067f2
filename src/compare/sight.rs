//! Line plots seen by random weights: the baseline of every claim about pretrained sight.

use burn::tensor::backend::Backend;

use super::CompareError;
use crate::backend::BackendJob;
use crate::baselines::PlainAnswer;
use crate::classifier::options::FitOptions;
use crate::data::SeriesDataset;

/// Fits the closed form over the features of an encoder with random weights, and answers; in words
/// why it cannot, if it cannot.
pub(super) struct RandomSight<'a> {
    pub(super) train: &'a SeriesDataset,
    pub(super) test: &'a SeriesDataset,
    pub(super) options: &'a FitOptions,
}

impl BackendJob for RandomSight<'_> {
    type Output = Result<Result<Vec<PlainAnswer>, String>, CompareError>;

    #[cfg(feature = "builtin")]
    fn run<B: Backend>(self, devices: &[B::Device]) -> Self::Output {
        use crate::closed_form::{Block, ClosedForm, FeatureTable, Targets};
        use crate::data::Series;
        use crate::encode::{PlotAxes, PlotSeer};
        use crate::metrics::most_probable;
        use crate::weights::builtin;

        let Self {
            train,
            test,
            options,
        } = self;
        let most = options.ridge.most_axes;
        if train.len() > most {
            let n = train.len();
            return Ok(Err(format!(
                "{n} training samples are more than the {most} of frozen encoders"
            )));
        }
        let device = &devices[0];
        let config = builtin::vision::<B>(device).config().clone();
        B::seed(device, options.seed);
        let seer = PlotSeer::new(config.init::<B>(device), device);
        let samples = [train.samples(), test.samples()];
        let [train_series, test_series] =
            samples.map(|samples| samples.iter().map(|s| &s.series).collect::<Vec<&Series>>());
        let axes = PlotAxes::fit(&train_series);
        let block = Block {
            width: seer.width() * train.n_variates(),
            scale: 1.0,
        };
        let rows = FeatureTable::new(seer.features(&axes, &train_series)?, vec![block])?;
        let (labels, groups) = (train.labels(), train.group_numbers());
        let targets = Targets {
            groups: groups.as_deref(),
            ..Targets::new(&labels, train.n_classes())
        };
        let head = ClosedForm::fit(&rows, &targets, &options.ridge)?.model;
        let probabilities = head.probabilities(&seer.features(&axes, &test_series)?);
        let answers = probabilities.chunks(train.n_classes());
        let answers = answers.map(|row| PlainAnswer {
            class: most_probable(row),
            probabilities: row.to_vec(),
        });
        Ok(Ok(answers.collect()))
    }

    #[cfg(not(feature = "builtin"))]
    fn run<B: Backend>(self, _: &[B::Device]) -> Self::Output {
        let Self {
            train,
            test,
            options,
        } = self;
        let _ = (train, test, options);
        Ok(Err(
            "this build has no encoders: cargo feature `builtin` is off".to_owned(),
        ))
    }
}
