//! The nearest neighbor under dynamic time warping.

use rayon::prelude::*;

use super::PlainAnswer;
use super::warping::{Filled, distance_below, work};
use crate::data::{LabeledSeries, Series, SeriesDataset};

/// Answers with the class of the training series that is nearest under dynamic time warping: see
/// [`warped_distance`](super::warped_distance).
///
/// Every variate is shifted and scaled by its mean and standard std over the training samples,
/// so that no unit decides; a variate that does not vary counts nothing. Missing values are filled
/// by straight lines between their neighbors, and at the ends with the nearest value; a variate that
/// a series lacks altogether is at the training mean. Times of steps are not looked at.
///
/// A nearest neighbor has no probabilities of its own. Its class gets the share of training samples
/// that it is right about when each is left out (with its group, if there are groups), smoothed as
/// Laplace's: `(right + 1) / (n + 2)`; the other classes share the rest.
#[derive(Clone, Debug)]
pub struct NearestNeighbor {
    scale: Vec<[f64; 2]>,
    series: Vec<Filled>,
    labels: Vec<usize>,
    n_classes: usize,
    left_out_accuracy: f64,
}

impl NearestNeighbor {
    /// Keeps the training series, and leaves out each once. The time is that of all pairs.
    pub fn fit(training: &SeriesDataset) -> Self {
        let scale = scale(training);
        let samples = training.samples().par_iter();
        let mut fitted = Self {
            series: samples
                .map(|sample| filled(&sample.series, &scale))
                .collect(),
            labels: training.labels(),
            n_classes: training.n_classes(),
            left_out_accuracy: 0.0,
            scale,
        };
        let groups = training.groups();
        let right = (0..training.len()).into_par_iter().filter(|&index| {
            let others = |other: usize| match groups {
                Some(groups) => groups[other] != groups[index],
                None => other != index,
            };
            let nearest = fitted.nearest(&fitted.series[index], others);
            nearest.is_some_and(|nearest| fitted.labels[nearest] == fitted.labels[index])
        });
        fitted.left_out_accuracy = (right.count() + 1) as f64 / (training.len() + 2) as f64;
        fitted
    }

    /// Squared differences of single values that fitting and answering take, about: a processor does
    /// some hundred million in a second.
    pub fn work(training: &SeriesDataset, n_answers: usize) -> u64 {
        let pairs = training.len() as u64 * (training.len() + n_answers) as u64;
        let longest = training.max_steps();
        pairs.saturating_mul(work(longest, longest, training.n_variates()))
    }

    /// The answers to series.
    ///
    /// # Panics
    /// If a series has other variates than the training series.
    pub fn answers(&self, samples: &[LabeledSeries]) -> Vec<PlainAnswer> {
        let samples = samples.par_iter();
        let answers = samples.map(|sample| {
            let found = sample.series.n_variates();
            let expected = self.scale.len();
            assert_eq!(found, expected, "{found} variates, not {expected}");
            let nearest = self.nearest(&filled(&sample.series, &self.scale), |_| true);
            self.answer(nearest.map_or(0, |nearest| self.labels[nearest]))
        });
        answers.collect()
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "probabilities are of single precision"
    )]
    fn answer(&self, class: usize) -> PlainAnswer {
        let own = self.left_out_accuracy.max(1.0 / self.n_classes as f64);
        let rest = (1.0 - own) / (self.n_classes - 1).max(1) as f64;
        let mut probabilities = vec![rest as f32; self.n_classes];
        probabilities[class] = own as f32;
        PlainAnswer {
            class,
            probabilities,
        }
    }

    /// The nearest of the allowed training series; the first of equals.
    fn nearest(&self, series: &Filled, allowed: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best = (None, f64::INFINITY);
        for (index, other) in self.series.iter().enumerate() {
            if !allowed(index) {
                continue;
            }
            let distance = distance_below(series, other, best.1);
            if best.0.is_none() || distance < best.1 {
                best = (Some(index), distance);
            }
        }
        best.0
    }
}

/// Mean of every variate over the training samples, and one over its standard std.
fn scale(training: &SeriesDataset) -> Vec<[f64; 2]> {
    let moments = |variate: usize| {
        let values = || {
            let series = training.samples().iter();
            let values = series.flat_map(|sample| sample.series.variate(variate));
            values.filter(|value| !value.is_nan()).map(f64::from)
        };
        let n = values().count().max(1) as f64;
        let mean = values().sum::<f64>() / n;
        let std = (values().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
        // Single precision has seven digits: less is rounding.
        match std > 1e-7 * mean.abs() {
            true => [mean, 1.0 / std],
            false => [mean, 0.0],
        }
    };
    (0..training.n_variates()).map(moments).collect()
}

/// The scaled values of a series, without gaps.
fn filled(series: &Series, scale: &[[f64; 2]]) -> Filled {
    let (n_steps, n_variates) = (series.n_steps(), series.n_variates());
    let mut values = vec![0.0; n_steps * n_variates];
    for (variate, [mean, factor]) in scale.iter().enumerate() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "values of single precision, scaled"
        )]
        let scaled = |value: f32| ((f64::from(value) - mean) * factor) as f32;
        let known: Vec<(usize, f32)> = (0..n_steps)
            .map(|step| (step, series.value(step, variate)))
            .filter(|(_, value)| !value.is_nan())
            .map(|(step, value)| (step, scaled(value)))
            .collect();
        for step in 0..n_steps {
            values[step * n_variates + variate] = between(&known, step);
        }
    }
    Filled { values, n_variates }
}

/// The value at a step on the lines between the known ones; 0 if none is known.
fn between(known: &[(usize, f32)], step: usize) -> f32 {
    let after = known.partition_point(|(at, _)| *at < step);
    match (after.checked_sub(1).map(|i| known[i]), known.get(after)) {
        (_, Some(&(at, value))) if at == step => value,
        (Some((a, low)), Some(&(b, high))) => {
            let along = (step - a) as f32 / (b - a) as f32;
            low + along * (high - low)
        }
        (Some((_, value)), None) | (None, Some(&(_, value))) => value,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Metadata, TextColumn};

    fn set(rows: &[(&[f32], usize)]) -> SeriesDataset {
        let samples = rows.iter().zip(0..).map(|((values, label), id)| {
            let series = Series::new(values.to_vec(), values.len() / 2, 2).unwrap();
            LabeledSeries {
                id,
                series,
                label: *label,
            }
        });
        let names = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
        SeriesDataset::new("two variates", names, samples.collect()).unwrap()
    }

    #[test]
    fn gaps_become_lines_and_absent_variates_the_mean() {
        let nan = f32::NAN;
        let known = [(1, 2.0), (3, 6.0)];
        let line: Vec<f32> = (0..5).map(|step| between(&known, step)).collect();
        assert_eq!(line, [2.0, 2.0, 4.0, 6.0, 6.0]);
        let series = Series::new(vec![1.0, nan, nan, nan, 3.0, nan], 3, 2).unwrap();
        let found = filled(&series, &[[1.0, 0.5], [7.0, 1.0]]);
        assert_eq!(found.values, [0.0, 0.0, 0.5, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn the_unit_of_a_variate_does_not_decide_and_lengths_may_differ() {
        // The second variate is noise in a large unit; the first tells the classes apart.
        let train = set(&[
            (&[0.0, 900.0, 1.0, 100.0, 2.0, 500.0], 0),
            (&[2.0, 500.0, 1.0, 100.0, 0.0, 900.0], 1),
            (&[0.0, 100.0, 1.0, 900.0, 2.0, 500.0], 0),
            (&[2.0, 500.0, 1.0, 900.0, 0.0, 100.0], 1),
        ]);
        let model = NearestNeighbor::fit(&train);
        let new = set(&[
            (&[0.0, 800.0, 2.0, 500.0], 0),
            (&[2.0, 510.0, 1.5, 300.0, 1.0, 120.0, 0.0, 890.0], 1),
        ]);
        let answers = model.answers(new.samples());
        assert_eq!(answers[0].class, 0);
        assert_eq!(answers[1].class, 1);
        let sum: f32 = answers[0].probabilities.iter().sum();
        assert!((sum - 1.0).abs() < 1e-6, "{answers:?}");
    }

    #[test]
    fn samples_are_left_out_with_their_group() {
        let rows: [(&[f32], usize); 4] = [
            (&[0.0, 0.0, 1.0, 0.0], 0),
            (&[0.0, 0.0, 1.0, 0.0], 0),
            (&[5.0, 0.0, 1.0, 0.0], 1),
            (&[5.0, 0.0, 1.0, 0.0], 1),
        ];
        let alone = set(&rows);
        assert_eq!(NearestNeighbor::fit(&alone).left_out_accuracy, 5.0 / 6.0);
        let groups = ["x", "x", "y", "y"].map(str::to_owned).to_vec();
        let metadata = Metadata {
            groups: Some(TextColumn {
                name: "subject".to_owned(),
                values: groups,
            }),
            ..Metadata::default()
        };
        let grouped = alone.with_metadata(metadata).unwrap();
        assert_eq!(NearestNeighbor::fit(&grouped).left_out_accuracy, 1.0 / 6.0);
        // Of three classes, an answer stays the most probable one.
        let answers = NearestNeighbor::fit(&grouped).answers(grouped.samples());
        assert_eq!(answers[0].class, 0);
        assert!(answers[0].probabilities[0] >= answers[0].probabilities[1]);
    }
}
