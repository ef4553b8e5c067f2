//! MiniRocket: shares of positive values of convolutions with 84 fixed, dilated kernels.

mod convolve;
mod draw;

use rayon::prelude::*;

use crate::data::Series;
use crate::data::random::{Purpose, Random};

use super::N_TAPS;
use super::padded::Padded;

/// Kernels: all choices of three taps of nine.
pub(super) const N_KERNELS: usize = 84;

/// Kernels of one dilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dilation {
    /// Steps from one tap to the next.
    step: usize,
    /// Thresholds of each kernel.
    n_biases: usize,
}

/// Kernels of weights -1, three of them 2, and the thresholds that their responses are held
/// against; features are shares of responses above a threshold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MiniRocket {
    n_steps: usize,
    dilations: Vec<Dilation>,
    /// Variates that each kernel of each dilation adds up, `[n_dilations, N_KERNELS]`.
    variates: Vec<Vec<usize>>,
    /// `[n_dilations, N_KERNELS, n_biases]`.
    biases: Vec<f32>,
}

impl MiniRocket {
    /// Dilations and variates; the thresholds are still zero.
    pub(super) fn draw([n_steps, n_variates]: [usize; 2], n_features: usize, seed: u64) -> Self {
        let dilations = draw::dilations(n_steps, n_features / N_KERNELS);
        let variates = draw::variates(n_variates, dilations.len() * N_KERNELS, seed);
        let n_biases: usize = dilations.iter().map(|dilation| dilation.n_biases).sum();
        Self {
            n_steps,
            dilations,
            variates,
            biases: vec![0.0; n_biases * N_KERNELS],
        }
    }

    /// Takes each kernel's thresholds from its responses to one training series: quantiles that
    /// follow the golden ratio. `read` gives what of a series the kernels see.
    pub(super) fn fit_biases(
        &mut self,
        series: &[&Series],
        seed: u64,
        read: impl Fn(&Series) -> Padded + Sync,
    ) {
        let mut random = Random::new([seed, 0, 0], Purpose::MiniRocketExamples);
        let n_combinations = self.variates.len();
        let examples: Vec<usize> = (0..n_combinations)
            .map(|_| random.below(series.len()))
            .collect();
        let starts: Vec<usize> = (0..=n_combinations).map(|i| self.first_bias(i)).collect();
        let this = &*self;
        let fitted: Vec<Vec<f32>> = (0..n_combinations)
            .into_par_iter()
            .map(|combination| {
                let values = read(series[examples[combination]]);
                let mut responses = this.responses(combination, &values);
                responses.sort_unstable_by(f32::total_cmp);
                let places = starts[combination]..starts[combination + 1];
                places
                    .map(|place| draw::quantile(&responses, place))
                    .collect()
            })
            .collect();
        self.biases = fitted.concat();
    }

    pub(super) fn n_features(&self) -> usize {
        self.biases.len()
    }

    pub(super) fn biases(&self) -> &[f32] {
        &self.biases
    }

    pub(super) fn set_biases(&mut self, biases: Vec<f32>) {
        assert_eq!(
            biases.len(),
            self.biases.len(),
            "thresholds of other kernels"
        );
        self.biases = biases;
    }

    pub(super) fn margin(&self) -> usize {
        let steps = self.dilations.iter().map(|dilation| dilation.step);
        N_TAPS / 2 * steps.max().unwrap_or_default()
    }

    /// Features of one series, `[n_dilations, N_KERNELS, n_biases]`.
    pub(super) fn transform(&self, values: &Padded, out: &mut [f32]) {
        convolve::transform(self, values, out);
    }

    /// Place of a combination's first threshold; that of all thresholds behind the last one.
    fn first_bias(&self, combination: usize) -> usize {
        let (whole, rest) = (combination / N_KERNELS, combination % N_KERNELS);
        let before: usize = self.dilations[..whole].iter().map(|d| d.n_biases).sum();
        let current = self.dilations.get(whole).map_or(0, |d| d.n_biases);
        before * N_KERNELS + rest * current
    }

    /// Responses of one kernel of one dilation at every step.
    fn responses(&self, combination: usize, values: &Padded) -> Vec<f32> {
        let step = self.dilations[combination / N_KERNELS].step;
        let mut out = vec![0.0; self.n_steps];
        for &variate in &self.variates[combination] {
            let view = values.row_from(variate, N_TAPS / 2 * step);
            let taps = draw::TAPS[combination % N_KERNELS];
            for (t, sum) in out.iter_mut().enumerate() {
                let all: f32 = (0..N_TAPS).map(|tap| view[t + tap * step]).sum();
                let chosen: f32 = taps.iter().map(|tap| view[t + tap * step]).sum();
                *sum += 3.0 * chosen - all;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Cases, MiniRocketCase, series};
    use super::*;

    fn given(case: &MiniRocketCase) -> MiniRocket {
        let dilations = case.dilations.iter().zip(&case.n_biases);
        let mut rest = case.variates.as_slice();
        let variates = case.variate_counts.iter().map(|&count| {
            let (here, there) = rest.split_at(count);
            rest = there;
            here.to_vec()
        });
        MiniRocket {
            n_steps: case.n_steps,
            dilations: dilations
                .map(|(&step, &n_biases)| Dilation { step, n_biases })
                .collect(),
            variates: variates.collect(),
            biases: case.biases.clone(),
        }
    }

    #[test]
    fn features_equal_those_of_aeon() {
        let cases = Cases::read().mini_rocket;
        assert_eq!(cases.len(), 6);
        for case in cases {
            let rocket = given(&case);
            for (values, expected) in case.series.iter().zip(&case.features) {
                let series = series(values, case.n_variates);
                let values = Padded::of(&series, case.n_steps, rocket.margin());
                let mut found = vec![0.0; rocket.n_features()];
                rocket.transform(&values, &mut found);
                assert_eq!(&found, expected, "{}", case.name);
            }
        }
    }

    #[test]
    fn thresholds_of_one_series_equal_those_of_aeon() {
        let cases = Cases::read().mini_rocket;
        let case = cases.iter().find(|case| case.name == "one series").unwrap();
        let mut rocket = MiniRocket::draw([case.n_steps, 1], case.biases.len(), 0);
        let (n_steps, margin) = (rocket.n_steps, rocket.margin());
        let values = |series: &Series| Padded::of(series, n_steps, margin);
        rocket.fit_biases(&[&series(&case.series[0], 1)], 0, values);
        assert_eq!(rocket.dilations, given(case).dilations);
        for (found, expected) in rocket.biases.iter().zip(&case.biases) {
            let close = (found - expected).abs() <= f32::EPSILON * expected.abs().max(1.0);
            assert!(close, "{found} for {expected}");
        }
    }

    #[test]
    fn combinations_know_their_thresholds() {
        let rocket = MiniRocket::draw([200, 1], 1000, 0);
        let mut place = 0;
        for combination in 0..rocket.variates.len() {
            assert_eq!(rocket.first_bias(combination), place);
            place += rocket.dilations[combination / N_KERNELS].n_biases;
        }
        assert_eq!(rocket.first_bias(rocket.variates.len()), place);
        assert_eq!(place, 924);
    }
}
