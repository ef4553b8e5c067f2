//! What goes into a prediction, and what comes out.

use serde::Serialize;

use crate::data::{LabeledSeries, Series, SeriesDataset};

/// Series to predict for: one, several, or a set; made by `into()`.
///
/// Labels of a set are not looked at.
#[derive(Clone, Debug)]
pub struct Samples<'a>(pub(super) Vec<(u64, &'a Series)>);

impl Samples<'_> {
    /// Number of series.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> From<&'a Series> for Samples<'a> {
    fn from(series: &'a Series) -> Self {
        Self(vec![(0, series)])
    }
}

impl<'a> From<&'a [Series]> for Samples<'a> {
    fn from(series: &'a [Series]) -> Self {
        Self((0..).zip(series).collect())
    }
}

impl<'a> From<&'a Vec<Series>> for Samples<'a> {
    fn from(series: &'a Vec<Series>) -> Self {
        series.as_slice().into()
    }
}

impl<'a> From<&'a [LabeledSeries]> for Samples<'a> {
    fn from(samples: &'a [LabeledSeries]) -> Self {
        Self(
            samples
                .iter()
                .map(|sample| (sample.id, &sample.series))
                .collect(),
        )
    }
}

impl<'a> From<&'a SeriesDataset> for Samples<'a> {
    fn from(set: &'a SeriesDataset) -> Self {
        set.samples().into()
    }
}

/// The answer for one series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// Id of the sample; the position of a series that came without one.
    pub id: u64,
    /// Index of the class of highest probability.
    pub class: usize,
    /// Name of that class.
    pub label: String,
    /// Probability of that class.
    pub probability: f32,
    /// Calibrated probability of every class, in the order of
    /// [`class_names`](super::TimesClip::class_names); they sum to one.
    pub probabilities: Vec<f32>,
    /// How much each variate was attended to, shares of one; `None` if no network of the model
    /// selects among variates.
    pub variate_weights: Option<Vec<f32>>,
}

/// Index of the largest value, the first of equals.
pub(super) fn argmax(row: &[f32]) -> usize {
    let first_larger = |best: usize, i: usize| if row[i] > row[best] { i } else { best };
    (0..row.len()).fold(0, first_larger)
}
