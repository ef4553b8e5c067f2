//! Explaining a prediction by occlusion: what changes if a part of the series is not seen?

mod faithfulness;
mod occlusion;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

pub use faithfulness::{Faithfulness, FaithfulnessCurve, FaithfulnessOptions};

use super::{BATCH, PredictError, Prediction, TimesClip};
use crate::data::Series;
use occlusion::occluded;

/// How finely a prediction is explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainOptions {
    /// Time windows of each variate; fewer if the series has fewer steps. Default: 20.
    pub n_windows: usize,
}

impl Default for ExplainOptions {
    fn default() -> Self {
        Self { n_windows: 20 }
    }
}

/// What predictions of one class rest on, in the mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassExplanation {
    /// The class that was predicted.
    pub class: usize,
    /// Number of predictions.
    pub n_samples: usize,
    /// Their mean importance, `[n_variates][n_windows]`; windows are matched by their place in the
    /// series.
    pub importance: Vec<Vec<f32>>,
}

/// What a prediction rests on: variates and time windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The prediction that is explained; it has the weights of the variates, too.
    pub prediction: Prediction,
    /// The windows, as ranges of steps, one after the other.
    pub windows: Vec<Range<usize>>,
    /// By how much the logarithm of the probability of the predicted class falls without a
    /// variate in a window, `[n_variates][n_windows]`. Negative where the window speaks for
    /// another class.
    pub importance: Vec<Vec<f32>>,
}

impl Explanation {
    /// How importance is measured, for people.
    pub const METHOD: &'static str = "Importance is the drop of the log-probability of the \
        predicted class when one variate in one time window is replaced by a straight line between \
        the values beside the window; all modalities see the same changed series.";

    /// The mean importance for each class that was predicted. Explanations with fewer windows than
    /// the most are left out: their series have fewer steps than there are windows.
    pub fn class_means<'a>(
        explanations: impl IntoIterator<Item = &'a Self> + Clone,
    ) -> Vec<ClassExplanation> {
        let n_windows = explanations.clone().into_iter().map(|e| e.windows.len());
        let n_windows = n_windows.max();
        let mut means: BTreeMap<usize, ClassExplanation> = BTreeMap::new();
        let same = |e: &&Self| Some(e.windows.len()) == n_windows;
        for explanation in explanations.into_iter().filter(same) {
            let (class, found) = (explanation.prediction.class, &explanation.importance);
            let mean = means.entry(class).or_insert_with(|| ClassExplanation {
                class,
                n_samples: 0,
                importance: found.iter().map(|row| vec![0.0; row.len()]).collect(),
            });
            mean.n_samples += 1;
            let share = 1.0 / mean.n_samples as f32;
            let cells = mean.importance.iter_mut().flatten();
            let cells = cells.zip(found.iter().flatten());
            cells.for_each(|(mean, value)| *mean += share * (value - *mean));
        }
        means.into_values().collect()
    }

    /// Variate and window of the highest importance.
    pub fn most_important(&self) -> (usize, usize) {
        let rows = self.importance.iter().enumerate();
        let cells = rows.flat_map(|(variate, row)| {
            let row = row.iter().enumerate();
            row.map(move |(window, value)| (variate, window, *value))
        });
        let most = cells.max_by(|a, b| a.2.total_cmp(&b.2));
        most.map_or((0, 0), |(variate, window, _)| (variate, window))
    }
}

impl TimesClip {
    /// What the prediction for a series rests on, by occlusion.
    ///
    /// One variate in one time window is replaced by a straight line between the values beside the
    /// window (at an end of the series, by the value beside it), and the model is asked again.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn explain(
        &self,
        series: &Series,
        options: &ExplainOptions,
    ) -> Result<Explanation, PredictError> {
        let prediction = self.predict(series)?.remove(0);
        let windows = windows(series.n_steps(), options.n_windows);
        let mut importance = vec![vec![0.0; windows.len()]; series.n_variates()];
        let cells: Vec<(usize, usize)> = (0..series.n_variates())
            .flat_map(|variate| (0..windows.len()).map(move |window| (variate, window)))
            .collect();
        let log = |probability: f32| probability.max(f32::MIN_POSITIVE).ln();
        for cells in cells.chunks(BATCH) {
            let changed = cells
                .iter()
                .map(|&(variate, window)| occluded(series, &[(variate, windows[window].clone())]));
            let changed: Vec<Series> = changed.collect::<Result<_, _>>()?;
            let answers = self.predict(&changed)?;
            for (&(variate, window), answer) in cells.iter().zip(answers) {
                let left = answer.probabilities[prediction.class];
                importance[variate][window] = log(prediction.probability) - log(left);
            }
        }
        Ok(Explanation {
            prediction,
            windows,
            importance,
        })
    }
}

/// Steps in windows of about equal length.
fn windows(n_steps: usize, n_windows: usize) -> Vec<Range<usize>> {
    let n = n_windows.clamp(1, n_steps);
    let edge = |i: usize| i * n_steps / n;
    (0..n).map(|i| edge(i)..edge(i + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_step_once() {
        assert_eq!(windows(10, 4), [0..2, 2..5, 5..7, 7..10]);
        assert_eq!(windows(3, 20), [0..1, 1..2, 2..3]);
        assert_eq!(windows(5, 0), vec![Range { start: 0, end: 5 }]);
    }

    #[test]
    fn means_are_of_the_explanations_of_a_class_with_all_windows() {
        let explanation = |class: usize, row: &[f32]| Explanation {
            prediction: Prediction {
                id: 0,
                class,
                label: String::new(),
                probability: 1.0,
                probabilities: Vec::new(),
                variate_weights: None,
            },
            windows: windows(10, row.len()),
            importance: vec![row.to_vec()],
        };
        let all = [
            explanation(1, &[1.0, 2.0]),
            explanation(0, &[5.0, 6.0]),
            explanation(1, &[3.0, 0.0]),
            explanation(1, &[9.0]),
        ];
        let means = Explanation::class_means(&all);
        assert_eq!(means.len(), 2);
        assert_eq!((means[0].class, means[0].n_samples), (0, 1));
        assert_eq!(means[1].importance, [[2.0, 1.0]]);
        assert_eq!(means[1].n_samples, 2);
    }
}
