//! `Table`: the values of a series while transforms work on them.

use crate::data::Series;

/// The values of a series on their way to a view, time-major `[n_steps, n_variates]`.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) values: Vec<f32>,
    pub(super) n_variates: usize,
}

impl Table {
    pub(super) fn of(series: &Series) -> Self {
        Self {
            values: series.values().to_vec(),
            n_variates: series.n_variates(),
        }
    }

    pub(super) fn into_series(self) -> Series {
        let n_steps = self.n_steps();
        Series::new(self.values, n_steps, self.n_variates)
            .expect("transforms leave whole steps, at least one, of finite or missing values")
    }

    pub(super) fn n_steps(&self) -> usize {
        self.values.len() / self.n_variates
    }

    /// The values of one variate.
    pub(super) fn variate(&self, variate: usize) -> impl DoubleEndedIterator<Item = f32> + '_ {
        self.values
            .iter()
            .skip(variate)
            .step_by(self.n_variates)
            .copied()
    }

    /// Whether there is a value that is not missing.
    pub(super) fn is_seen(&self) -> bool {
        self.values.iter().any(|value| !value.is_nan())
    }

    /// Takes other values, unless all are missing: a view must show something of its sample.
    pub(super) fn replace_if_seen(&mut self, values: Vec<f32>) {
        let n_variates = self.n_variates;
        let other = Self { values, n_variates };
        if other.is_seen() {
            *self = other;
        }
    }
}
