//! What the frozen encoders look at: a series as it is, how it changes, and how it repeats.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::data::Series;

/// Most lags of an autocorrelation, and points of a spectrum: two a pixel of the built-in encoder's pictures.
const N_POINTS: usize = 128;
/// Most lags that a spectrum is made of.
const N_LAGS: usize = 2 * N_POINTS;
/// Share of all power below which nothing of a spectrum is told apart.
const LEAST_POWER: f64 = 1e-4;

/// A curve to draw and to read that is made of each variate of a series.
///
/// # Examples
///
/// ```
/// use timesclip::Series;
/// use timesclip::encode::Look;
///
/// let values = (0..60).map(|t| if t % 6 < 3 { 1.0 } else { 0.0 }).collect();
/// let series = Series::new(values, 60, 1)?;
/// let repeats = Look::Autocorrelation.at(&series);
/// assert_eq!(repeats.n_steps(), 30); // lags 1 to 30
/// assert!(repeats.value(5, 0) > 0.8 && repeats.value(2, 0) < -0.8);
/// # Ok::<(), timesclip::data::SeriesError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Look {
    /// The values themselves.
    Values,
    /// [`Series::differences`].
    Differences,
    /// The logarithm of the power spectrum's shape, at 128 frequencies up to half a cycle a step.
    ///
    /// # Formula
    ///
    /// ```text
    /// s(f) = ln(1e-4 + 1 + 2 sum over lags l < L of (1 - l / L) r(l) cos(2 pi f l))
    /// ```
    ///
    /// `r` is the autocorrelation below, `L` the number of steps or 256. Source: Bartlett, *Smoothing
    /// periodograms from time-series with continuous spectra* (1948).
    Spectrum,
    /// The autocorrelation at lags 1 to half of the steps, at most 128 and at least 2.
    ///
    /// # Formula
    ///
    /// ```text
    /// r(l) = sum over t of x_t x_(t+l) / sum over t of x_t^2,   x = values - their mean, 0 where missing
    /// ```
    Autocorrelation,
}

impl Look {
    /// The curves of a series. A variate without any change, or any value, has no spectrum: all of it is
    /// missing; and an autocorrelation of zero.
    #[must_use]
    pub fn at(self, series: &Series) -> Cow<'_, Series> {
        match self {
            Self::Values => Cow::Borrowed(series),
            Self::Differences => Cow::Owned(series.differences()),
            Self::Spectrum => Cow::Owned(curves(series, N_POINTS, spectrum)),
            Self::Autocorrelation => {
                let n_lags = (series.n_steps() / 2).clamp(2, N_POINTS);
                let curve = |values: &[f64]| match autocorrelation(values, n_lags) {
                    Some(mut curve) => curve.split_off(1),
                    None => vec![0.0; n_lags],
                };
                Cow::Owned(curves(series, n_lags, curve))
            }
        }
    }
}

/// A series of what becomes of each variate, `n_points` long.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the nearest 32-bit numbers are meant"
)]
fn curves(series: &Series, n_points: usize, curve: impl Fn(&[f64]) -> Vec<f64>) -> Series {
    let n_variates = series.n_variates();
    let mut out = vec![0.0; n_points * n_variates];
    for variate in 0..n_variates {
        let values: Vec<f64> = series.variate(variate).map(f64::from).collect();
        let places = out.iter_mut().skip(variate).step_by(n_variates);
        for (place, value) in places.zip(curve(&values)) {
            *place = value as f32;
        }
    }
    Series::new(out, n_points, n_variates).expect("points and variates, and no infinite value")
}

/// The autocorrelation at lags 0 to `n_lags`; none of a variate that does not vary.
fn autocorrelation(values: &[f64], n_lags: usize) -> Option<Vec<f64>> {
    let present = values.iter().filter(|value| !value.is_nan());
    let (sum, count) = present.fold((0.0, 0usize), |(sum, n), value| (sum + value, n + 1));
    let mean = sum / count.max(1) as f64;
    let centered = values.iter().map(|value| value - mean);
    let centered: Vec<f64> = centered.map(|x| if x.is_nan() { 0.0 } else { x }).collect();
    let product = |lag: usize| -> f64 {
        let later = centered.iter().skip(lag);
        centered.iter().zip(later).map(|(x, y)| x * y).sum()
    };
    let size = product(0);
    // What rounding leaves of a constant.
    let least = f64::EPSILON * mean * mean * count as f64;
    (size > least).then(|| (0..=n_lags).map(|lag| product(lag) / size).collect())
}

fn spectrum(values: &[f64]) -> Vec<f64> {
    let n_lags = values.len().min(N_LAGS);
    let Some(curve) = autocorrelation(values, n_lags - 1) else {
        return vec![f64::NAN; N_POINTS];
    };
    let tapered = curve.iter().enumerate().skip(1);
    let tapered: Vec<f64> = tapered
        .map(|(lag, r)| 2.0 * r * (1.0 - lag as f64 / n_lags as f64))
        .collect();
    // Frequency of point j: (j + 1/2) / 256, so that the phase of lag l is l (2 j + 1) / 512 turns.
    let n_turns = 4 * N_POINTS;
    let cosines: Vec<f64> = (0..n_turns)
        .map(|i| (i as f64 / n_turns as f64 * std::f64::consts::TAU).cos())
        .collect();
    let power = |point: usize| -> f64 {
        let terms = tapered.iter().enumerate();
        let terms = terms.map(|(i, r)| r * cosines[(i + 1) * (2 * point + 1) % n_turns]);
        (1.0 + terms.sum::<f64>()).max(0.0)
    };
    (0..N_POINTS)
        .map(|point| (power(point) + LEAST_POWER).ln())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounding of 32-bit values.
    const TOLERANCE: f32 = 1e-5;

    fn series(values: &[f32]) -> Series {
        Series::new(values.to_vec(), values.len(), 1).unwrap()
    }

    fn assert_close(found: &Series, expected: &[f32]) {
        assert_eq!(found.n_steps(), expected.len(), "{found:?}");
        for (found, expected) in found.values().iter().zip(expected) {
            assert!(
                (found - expected).abs() < TOLERANCE,
                "{found} for {expected}"
            );
        }
    }

    #[test]
    fn autocorrelations_are_those_of_the_formula() {
        // Less their mean of 3: -2, 0, 1, 2, -1; squares add up to 10.
        let found = Look::Autocorrelation
            .at(&series(&[1.0, 3.0, 4.0, 5.0, 2.0]))
            .into_owned();
        assert_close(&found, &[0.0, -0.3]);
        // The mean of what is there; what is missing adds nothing: -1, -, 1.
        let found = Look::Autocorrelation
            .at(&series(&[1.0, f32::NAN, 3.0]))
            .into_owned();
        assert_close(&found, &[0.0, -0.5]);
    }

    #[test]
    fn each_variate_has_its_own_curve() {
        let both =
            Series::new(vec![1.0, 9.0, 3.0, 1.0, 4.0, 5.0, 5.0, 0.0, 2.0, 2.0], 5, 2).unwrap();
        for look in [Look::Spectrum, Look::Autocorrelation] {
            let found = look.at(&both).into_owned();
            for variate in 0..2 {
                let alone: Vec<f32> = both.variate(variate).collect();
                let found: Vec<f32> = found.variate(variate).collect();
                assert_eq!(found, look.at(&series(&alone)).values());
            }
        }
    }

    #[test]
    fn a_wave_has_its_power_at_its_frequency() {
        for (period, n_steps) in [(4, 200), (16, 200), (16, 600)] {
            let values =
                (0..n_steps).map(|t| (t as f32 / period as f32 * std::f32::consts::TAU).sin());
            let found = Look::Spectrum
                .at(&series(&values.collect::<Vec<_>>()))
                .into_owned();
            assert_eq!(found.n_steps(), 128);
            let largest = |a: &(usize, f32), b: &(usize, f32)| a.1.total_cmp(&b.1);
            let points = found.variate(0).enumerate();
            let (peak, _) = points.max_by(largest).unwrap();
            let expected = 256 / period;
            assert!(peak.abs_diff(expected) <= 1, "{peak} for {expected}");
        }
    }

    #[test]
    fn scale_and_level_change_no_spectrum_and_lengths_share_an_axis() {
        let wave = |n: usize, scale: f32| -> Vec<f32> {
            (0..n)
                .map(|t| scale * ((t * t) % 11) as f32 + 3.0 * scale)
                .collect()
        };
        let small = Look::Spectrum.at(&series(&wave(50, 1.0))).into_owned();
        let large = Look::Spectrum.at(&series(&wave(50, 1000.0))).into_owned();
        assert_close(&large, small.values());
        assert_eq!(
            Look::Spectrum.at(&series(&wave(300, 1.0))).n_steps(),
            small.n_steps()
        );
    }

    #[test]
    fn what_does_not_vary_has_no_spectrum() {
        for values in [&[0.1; 9][..], &[f32::NAN; 9], &[5.0], &[1e30, 1e30]] {
            let constant = series(values);
            assert!(
                Look::Spectrum
                    .at(&constant)
                    .values()
                    .iter()
                    .all(|x| x.is_nan())
            );
            assert!(
                Look::Autocorrelation
                    .at(&constant)
                    .values()
                    .iter()
                    .all(|&x| x == 0.0)
            );
        }
        let far = series(&[f32::MAX, f32::MIN, f32::MAX, f32::MIN]);
        for look in [Look::Spectrum, Look::Autocorrelation] {
            assert!(
                look.at(&far).values().iter().all(|x| x.is_finite()),
                "{look:?}"
            );
        }
    }
}
