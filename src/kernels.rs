//! Random convolutional kernels: MiniRocket, of values and of differences, and Hydra as fixed, seeded
//! features of a series.
//!
//! Nothing here is trained. Fitting draws kernels from a seed and, for MiniRocket, thresholds from
//! the training series; a ridge on the features ([`crate::closed_form`]) does the learning.
//!
//! Both transforms read raw values, because level and scale tell classes apart. A series is
//! brought to the length of the longest training series: a shorter one is padded with zeros at its
//! end, a longer one is cut there. Missing values are interpolated linearly within their variate,
//! before the first and after the last known value they repeat it, and a variate without any
//! known value is zero. Fewer steps than a kernel has taps are padded to nine.
//!
//! Features depend on the seed and the values alone: they have the same bits with any number of
//! threads and on any processor.

#[cfg(test)]
mod fixture;
mod hydra;
mod lanes;
mod mini_rocket;
mod padded;

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::data::Series;
use hydra::Hydra;
use mini_rocket::MiniRocket;
use padded::Padded;

/// Taps of every kernel.
const N_TAPS: usize = 9;
/// Name of MiniRocket's thresholds among [`KernelTransform::arrays`].
const BIASES: &str = "kernels.mini_rocket.biases";
/// Those of MiniRocket on differences.
const DIFFERENCE_BIASES: &str = "kernels.differences.biases";

/// How many kernels there are, and the seed they come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelConfig {
    /// Features of MiniRocket, rounded down to a multiple of its 84 kernels; 0 leaves it out.
    pub mini_features: usize,
    /// Groups of eight competing Hydra kernels per dilation, half of them on the values and half
    /// on their differences: an even number; 0 leaves Hydra out.
    pub hydra_groups: usize,
    /// Features of MiniRocket on the differences of neighboring steps, as `mini_features`.
    pub difference_features: usize,
    /// Seed of all that is drawn.
    pub seed: u64,
}

impl Default for KernelConfig {
    /// 9,996 MiniRocket features and 64 Hydra groups, as in both papers, and as many MiniRocket
    /// features of differences.
    fn default() -> Self {
        Self {
            mini_features: 10_000,
            hydra_groups: 64,
            difference_features: 10_000,
            seed: 0,
        }
    }
}

impl KernelConfig {
    /// The same kernels, or fewer if they have more than `most_features` for series of `n_steps`:
    /// then there are none of differences where there are others, and at most two fifths are Hydra's
    /// where there is also MiniRocket, which has at least its 84 kernels.
    ///
    /// For sets of many samples, whose ridge is solved by a matrix of the features' size.
    #[must_use]
    pub fn within(mut self, most_features: usize, n_steps: usize) -> Self {
        let of_pair = Hydra::features_of_pair(n_steps.max(N_TAPS));
        let wanted = self.hydra_groups / 2 * of_pair;
        if self.mini_features + wanted + self.difference_features <= most_features {
            return self;
        }
        if self.mini_features + wanted > 0 {
            self.difference_features = 0;
        }
        let (share, kept) = match self.mini_features {
            0 => (most_features, 0),
            _ => (most_features * 2 / 5, mini_rocket::N_KERNELS),
        };
        let n_pairs = share.min(most_features.saturating_sub(kept)) / of_pair;
        let n_pairs = n_pairs.min(self.hydra_groups / 2);
        self.hydra_groups = 2 * n_pairs;
        let left = most_features.saturating_sub(n_pairs * of_pair);
        let rounded = left / mini_rocket::N_KERNELS * mini_rocket::N_KERNELS;
        for features in [&mut self.mini_features, &mut self.difference_features] {
            *features = (*features).min(rounded.max(mini_rocket::N_KERNELS));
        }
        self
    }

    fn check(&self) -> Result<(), KernelError> {
        for found in [self.mini_features, self.difference_features] {
            let least = mini_rocket::N_KERNELS;
            if (1..least).contains(&found) {
                return Err(KernelError::TooFewFeatures { found, least });
            }
        }
        if !self.hydra_groups.is_multiple_of(2) {
            let found = self.hydra_groups;
            return Err(KernelError::OddGroups { found });
        }
        if self.mini_features + self.hydra_groups + self.difference_features == 0 {
            return Err(KernelError::NoKernels);
        }
        Ok(())
    }
}

/// What, with the seed, the fitted kernels are regenerated from; [`KernelTransform::arrays`] holds
/// the rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelState {
    /// The configuration that was fitted.
    pub config: KernelConfig,
    /// Steps that every series is brought to.
    pub n_steps: usize,
    /// Variates of every series.
    pub n_variates: usize,
}

/// Fitted kernels: a series in, a row of features out.
///
/// A row is one block of features after the other, MiniRocket's, the square roots of Hydra's and those of
/// MiniRocket on differences; a head that scales blocks apart finds their widths in [`Self::block_widths`].
///
/// # Source
///
/// Dempster, Schmidt, Webb: *MiniRocket*, arXiv:2012.08791; *Hydra*, arXiv:2203.13652.
///
/// # Examples
///
/// ```
/// use timesclip::data::Series;
/// use timesclip::kernels::{KernelConfig, KernelTransform};
///
/// let rising = Series::new((0..50).map(|t| t as f32).collect(), 50, 1)?;
/// let wave = Series::new((0..40).map(|t| (t as f32).sin()).collect(), 40, 1)?;
/// let transform = KernelTransform::fit(&[&rising, &wave], &KernelConfig::default())?;
///
/// let features = transform.transform_all(&[&rising, &wave])?;
/// assert_eq!(features.len(), 2 * transform.n_features());
/// assert_eq!(transform.block_widths()[0], 9996);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTransform {
    state: KernelState,
    mini: Option<MiniRocket>,
    hydra: Option<Hydra>,
    differences: Option<MiniRocket>,
}

impl KernelTransform {
    /// Draws the kernels, and the thresholds of MiniRocket from the training series.
    ///
    /// # Errors
    ///
    /// [`KernelError::NoSeries`], [`KernelError::VariateCount`] if the series do not all have the
    /// variates of the first one, and [`KernelError::NoKernels`], [`KernelError::TooFewFeatures`]
    /// or [`KernelError::OddGroups`] if the configuration makes no sense.
    pub fn fit(series: &[&Series], config: &KernelConfig) -> Result<Self, KernelError> {
        config.check()?;
        let first = series.first().ok_or(KernelError::NoSeries)?;
        let longest = series.iter().map(|series| series.n_steps()).max();
        let state = KernelState {
            config: config.clone(),
            n_steps: longest.unwrap_or_default().max(N_TAPS),
            n_variates: first.n_variates(),
        };
        for (index, series) in series.iter().enumerate() {
            state.check_variates(index, series)?;
        }
        let mut transform = Self::draw(state);
        let (n_steps, margin, seed) = (transform.state.n_steps, transform.margin(), config.seed);
        let values = |series: &Series| Padded::of(series, n_steps, margin);
        if let Some(mini) = &mut transform.mini {
            mini.fit_biases(series, seed, values);
        }
        if let Some(differences) = &mut transform.differences {
            differences.fit_biases(series, seed, |series| values(series).differences(N_TAPS));
        }
        Ok(transform)
    }

    /// Kernels whose thresholds are still zero.
    fn draw(state: KernelState) -> Self {
        let (mini, hydra, differences) = (
            state.draw_mini(),
            state.draw_hydra(),
            state.draw_differences(),
        );
        Self {
            state,
            mini,
            hydra,
            differences,
        }
    }

    /// Features of one series.
    ///
    /// # Shapes
    ///
    /// - `out`: `[n_features]`
    ///
    /// # Errors
    ///
    /// [`KernelError::VariateCount`].
    ///
    /// # Panics
    ///
    /// If `out` does not hold [`Self::n_features`] values.
    pub fn transform_into(&self, series: &Series, out: &mut [f32]) -> Result<(), KernelError> {
        self.state.check_variates(0, series)?;
        let (found, expected) = (out.len(), self.n_features());
        assert_eq!(found, expected, "a row of {found} for {expected} features");
        let margin = self.margin();
        let values = Padded::of(series, self.state.n_steps, margin);
        let mut rest = out;
        let mut next = |width| rest.split_off_mut(..width).unwrap_or_default();
        if let Some(mini) = &self.mini {
            mini.transform(&values, next(mini.n_features()));
        }
        if let Some(hydra) = &self.hydra {
            let features = next(hydra.n_features());
            hydra.transform(&values, features);
            // As its authors' classifier does: sums and counts are skewed.
            features.iter_mut().for_each(|x| *x = x.max(0.0).sqrt());
        }
        if let Some(mini) = &self.differences {
            mini.transform(&values.differences(N_TAPS), next(mini.n_features()));
        }
        Ok(())
    }

    /// Features of many series, on all cores of the current rayon pool: `[n_series, n_features]`.
    ///
    /// # Errors
    ///
    /// [`KernelError::VariateCount`].
    pub fn transform_all(&self, series: &[&Series]) -> Result<Vec<f32>, KernelError> {
        for (index, series) in series.iter().enumerate() {
            self.state.check_variates(index, series)?;
        }
        let width = self.n_features();
        let mut out = vec![0.0; series.len() * width];
        out.par_chunks_mut(width)
            .zip(series)
            .try_for_each(|(row, series)| self.transform_into(series, row))?;
        Ok(out)
    }

    /// Number of features of a series.
    pub fn n_features(&self) -> usize {
        self.block_widths().iter().sum()
    }

    /// Features of each block, in their order in a row: MiniRocket's, Hydra's, those of differences;
    /// no zeros.
    pub fn block_widths(&self) -> Vec<usize> {
        let mini = self.mini.as_ref().map(MiniRocket::n_features);
        let hydra = self.hydra.as_ref().map(Hydra::n_features);
        let differences = self.differences.as_ref().map(MiniRocket::n_features);
        mini.into_iter().chain(hydra).chain(differences).collect()
    }

    /// What to keep beside [`Self::arrays`].
    pub fn state(&self) -> &KernelState {
        &self.state
    }

    /// Numbers that came from the training series, by name.
    pub fn arrays(&self) -> Vec<(&'static str, &[f32])> {
        let rockets = [(BIASES, &self.mini), (DIFFERENCE_BIASES, &self.differences)];
        let rockets = rockets.into_iter();
        rockets
            .filter_map(|(name, rocket)| Some((name, rocket.as_ref()?.biases())))
            .collect()
    }

    /// The transform that [`Self::state`] and [`Self::arrays`] came from.
    ///
    /// # Errors
    ///
    /// [`KernelError::MissingArray`] and [`KernelError::ArrayLength`], and those of the
    /// configuration as in [`Self::fit`]; [`KernelError::Shape`] of a shape no series has.
    pub fn from_arrays(
        state: KernelState,
        arrays: &BTreeMap<String, Vec<f32>>,
    ) -> Result<Self, KernelError> {
        state.config.check()?;
        let KernelState {
            n_steps,
            n_variates,
            ..
        } = state;
        if n_steps < N_TAPS || n_variates == 0 {
            return Err(KernelError::Shape {
                n_steps,
                n_variates,
            });
        }
        let mut transform = Self::draw(state);
        for (name, rocket) in [
            (BIASES, &mut transform.mini),
            (DIFFERENCE_BIASES, &mut transform.differences),
        ] {
            let Some(rocket) = rocket else { continue };
            let biases = arrays.get(name);
            let biases = biases.ok_or(KernelError::MissingArray { name })?;
            let (found, expected) = (biases.len(), rocket.n_features());
            if found != expected {
                return Err(KernelError::ArrayLength {
                    name,
                    found,
                    expected,
                });
            }
            rocket.set_biases(biases.clone());
        }
        Ok(transform)
    }

    /// Zeros that the widest kernel may read on either side of a series.
    fn margin(&self) -> usize {
        let mini = self.mini.as_ref().map(MiniRocket::margin);
        let hydra = self.hydra.as_ref().map(Hydra::margin);
        let differences = self.differences.as_ref().map(MiniRocket::margin);
        let margins = mini.into_iter().chain(hydra).chain(differences);
        margins.max().unwrap_or_default()
    }
}

impl KernelState {
    fn draw_mini(&self) -> Option<MiniRocket> {
        let KernelConfig {
            mini_features,
            seed,
            ..
        } = self.config;
        let shape = [self.n_steps, self.n_variates];
        (mini_features > 0).then(|| MiniRocket::draw(shape, mini_features, seed))
    }

    /// On one step less, but for series as short as a kernel.
    fn draw_differences(&self) -> Option<MiniRocket> {
        let KernelConfig {
            difference_features,
            seed,
            ..
        } = self.config;
        let shape = [(self.n_steps - 1).max(N_TAPS), self.n_variates];
        (difference_features > 0).then(|| MiniRocket::draw(shape, difference_features, seed))
    }

    fn draw_hydra(&self) -> Option<Hydra> {
        let KernelConfig {
            hydra_groups, seed, ..
        } = self.config;
        let shape = [self.n_steps, self.n_variates];
        (hydra_groups > 0).then(|| Hydra::draw(shape, hydra_groups, seed))
    }

    fn check_variates(&self, index: usize, series: &Series) -> Result<(), KernelError> {
        let (found, expected) = (series.n_variates(), self.n_variates);
        if found == expected {
            return Ok(());
        }
        Err(KernelError::VariateCount {
            index,
            found,
            expected,
        })
    }
}

/// Why kernels cannot be fitted, restored or applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// No training series.
    #[error("kernels were given no series, expected at least one")]
    NoSeries,
    /// A series with other variates than the training series.
    #[error("series {index} has {found} variates, the kernels expect {expected}")]
    VariateCount {
        /// Place of the series among those given, counted from 0.
        index: usize,
        /// Its number of variates.
        found: usize,
        /// That of the training series.
        expected: usize,
    },
    /// Neither MiniRocket nor Hydra.
    #[error("neither MiniRocket features nor Hydra groups are asked for, expected one of them")]
    NoKernels,
    /// Fewer MiniRocket features than it has kernels.
    #[error("{found} MiniRocket features are asked for, expected 0 or at least {least}")]
    TooFewFeatures {
        /// Features asked for.
        found: usize,
        /// Kernels that MiniRocket always has.
        least: usize,
    },
    /// Hydra groups that cannot be halved.
    #[error("{found} Hydra groups are asked for, expected an even number")]
    OddGroups {
        /// Groups asked for.
        found: usize,
    },
    /// A saved shape that no fitted kernels have.
    #[error(
        "saved kernels are for {n_steps} steps of {n_variates} variates, expected at least 9 \
         steps of 1 variate"
    )]
    Shape {
        /// Steps that were saved.
        n_steps: usize,
        /// Variates that were saved.
        n_variates: usize,
    },
    /// A saved array that is not there.
    #[error("saved kernels lack the array `{name}`")]
    MissingArray {
        /// Its name.
        name: &'static str,
    },
    /// A saved array of another length.
    #[error("the array `{name}` has {found} values, expected {expected}")]
    ArrayLength {
        /// Its name.
        name: &'static str,
        /// Its length.
        found: usize,
        /// The length that the state implies.
        expected: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A walk of two variates, made of small integers.
    fn walk(n_steps: usize, seed: usize) -> Series {
        let mut level = [0i32; 2];
        let values = (0..n_steps * 2).map(|i| {
            let drawn = (i * 7919 + seed * 104_729) % 1013;
            level[i % 2] += i32::try_from(drawn % 7).unwrap() - 3;
            level[i % 2] as f32
        });
        Series::new(values.collect(), n_steps, 2).unwrap()
    }

    fn small() -> KernelConfig {
        KernelConfig {
            mini_features: 252,
            hydra_groups: 4,
            difference_features: 168,
            seed: 3,
        }
    }

    fn fit(series: &[Series], config: &KernelConfig) -> KernelTransform {
        KernelTransform::fit(&series.iter().collect::<Vec<_>>(), config).unwrap()
    }

    #[test]
    fn blocks_lie_side_by_side() {
        let series = [walk(40, 1), walk(30, 2)];
        let transform = fit(&series, &small());
        let all = transform.transform_all(&[&series[0], &series[1]]).unwrap();
        // Dilations 1, 2, 4; values and differences; two groups of eight; sums and counts.
        assert_eq!(transform.block_widths(), [252, 3 * 2 * 2 * 8 * 2, 168]);

        let apart = |config| fit(&series, &config).transform_all(&[&series[1]]).unwrap();
        let none = KernelConfig {
            mini_features: 0,
            hydra_groups: 0,
            difference_features: 0,
            ..small()
        };
        let mini = apart(KernelConfig {
            mini_features: 252,
            ..none.clone()
        });
        let hydra = apart(KernelConfig {
            hydra_groups: 4,
            ..none.clone()
        });
        let differences = apart(KernelConfig {
            difference_features: 168,
            ..none
        });
        let expected = [mini, hydra, differences].concat();
        assert_eq!(all[transform.n_features()..], expected);
    }

    #[test]
    fn hydra_is_read_by_the_roots_of_its_features() {
        let series = walk(40, 1);
        let transform = fit(std::slice::from_ref(&series), &small());
        let hydra = transform.hydra.as_ref().unwrap();
        let mut raw = vec![0.0; hydra.n_features()];
        let values = Padded::of(&series, transform.state.n_steps, transform.margin());
        hydra.transform(&values, &mut raw);
        assert!(raw.iter().any(|&x| x > 1.5), "counts");
        let row = transform.transform_all(&[&series]).unwrap();
        for (found, raw) in row[transform.block_widths()[0]..].iter().zip(raw) {
            assert_eq!(*found, raw.max(0.0).sqrt());
        }
    }

    #[test]
    fn features_have_the_same_bits_on_any_number_of_threads() {
        let series: Vec<Series> = (0..9).map(|i| walk(30 + i, i)).collect();
        let refs: Vec<&Series> = series.iter().collect();
        let with_threads = |n| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(n)
                .build()
                .unwrap();
            pool.install(|| {
                let transform = fit(&series, &small());
                (transform.transform_all(&refs).unwrap(), transform)
            })
        };
        assert_eq!(with_threads(1), with_threads(4));
    }

    #[test]
    fn features_stay_from_release_to_release() {
        let series = [walk(300, 1), walk(280, 2)];
        let transform = fit(&series, &small());
        let features = transform.transform_all(&[&series[0], &series[1]]).unwrap();
        let bytes: Vec<u8> = features
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        assert_eq!(
            xxhash_rust::xxh3::xxh3_64(&bytes),
            9_710_048_673_822_373_094
        );
    }

    #[test]
    fn a_saved_transform_gives_the_same_features() {
        let series = [walk(40, 1), walk(30, 2)];
        let transform = fit(&series, &small());
        let text = serde_json::to_string(transform.state()).unwrap();
        let arrays = transform.arrays().into_iter();
        let arrays: BTreeMap<_, _> = arrays.map(|(k, v)| (k.to_owned(), v.to_vec())).collect();

        let state: KernelState = serde_json::from_str(&text).unwrap();
        let restored = KernelTransform::from_arrays(state.clone(), &arrays).unwrap();
        assert_eq!(restored, transform);

        let missing = KernelTransform::from_arrays(state, &BTreeMap::new());
        assert_eq!(missing, Err(KernelError::MissingArray { name: BIASES }));
    }

    #[test]
    fn what_is_behind_the_longest_training_series_is_cut() {
        let series = [walk(40, 1)];
        let transform = fit(&series, &small());
        let longer = walk(55, 1);
        let [short, long] = [&series[0], &longer].map(|s| transform.transform_all(&[s]).unwrap());
        assert_eq!(short, long);
    }

    #[test]
    fn one_step_constant_missing_and_huge_series_have_finite_features() {
        let one = |value: f32, n: usize| Series::new(vec![value; n], n, 1).unwrap();
        let hard = [
            one(1.0, 1),
            one(f32::NAN, 5),
            one(f32::MAX, 20),
            one(-2.0, 3),
        ];
        let transform = fit(&hard, &KernelConfig::default());
        for series in &hard {
            let features = transform.transform_all(&[series]).unwrap();
            assert!(features.iter().all(|value| value.is_finite()), "{series:?}");
        }
        let short = fit(&hard[3..], &KernelConfig::default());
        assert_eq!(short.state().n_steps, N_TAPS);
    }

    #[test]
    fn kernels_keep_within_a_number_of_features() {
        let wide = KernelConfig::default();
        assert_eq!(wide.clone().within(30_000, 100), wide);
        let without_differences = KernelConfig {
            difference_features: 0,
            ..wide.clone()
        };
        assert_eq!(wide.clone().within(20_000, 100), without_differences);
        for n_steps in [1, 100, 5000] {
            for most in [100, 1000, 4096] {
                let config = wide.clone().within(most, n_steps);
                let series = Series::new(vec![0.0; n_steps], n_steps, 1).unwrap();
                let transform = fit(&[series], &config);
                let found = transform.n_features();
                assert!(
                    found <= most && found + 2 * 84 > most,
                    "{found} of {most}: {config:?}"
                );
            }
        }
        let hydra = KernelConfig {
            mini_features: 0,
            ..wide
        };
        let config = hydra.within(4096, 100);
        assert_eq!((config.mini_features, config.hydra_groups), (0, 64));
    }

    #[test]
    fn seeds_draw_other_kernels() {
        let series = [walk(40, 1)];
        let of = |seed| {
            let transform = fit(&series, &KernelConfig { seed, ..small() });
            transform.transform_all(&[&series[0]]).unwrap()
        };
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn each_misfit_is_named() {
        let one = Series::new(vec![0.0; 5], 5, 1).unwrap();
        let two = walk(5, 1);
        let fit = |series: &[&Series], config| KernelTransform::fit(series, &config).unwrap_err();

        assert_eq!(fit(&[], small()), KernelError::NoSeries);
        let misfit = KernelError::VariateCount {
            index: 1,
            found: 2,
            expected: 1,
        };
        assert_eq!(fit(&[&one, &two], small()), misfit);
        let few = KernelConfig {
            mini_features: 83,
            ..small()
        };
        let error = KernelError::TooFewFeatures {
            found: 83,
            least: 84,
        };
        assert_eq!(fit(&[&one], few), error);
        let odd = KernelConfig {
            hydra_groups: 3,
            ..small()
        };
        assert_eq!(fit(&[&one], odd), KernelError::OddGroups { found: 3 });
        let none = KernelConfig {
            mini_features: 0,
            hydra_groups: 0,
            difference_features: 0,
            seed: 0,
        };
        assert_eq!(fit(&[&one], none), KernelError::NoKernels);
    }
}
