//! What frozen encoders look at, and how much of what they see is kept.

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::features::FEW_SAMPLES;
use crate::data::Series;
use crate::encode::{Look, PlotAxes};
use crate::raster::RasterError;

/// What encoders without kernels look at; `docs/accuracy.md` has what each is worth.
const LOOKS: [Look; 4] = [
    Look::Values,
    Look::Differences,
    Look::Spectrum,
    Look::Autocorrelation,
];
/// Features of all training samples that are held at once, in bytes.
pub(super) const HELD_BYTES: usize = 2 << 30;
/// Curves of all training samples up to which encoders look at more than values.
const FEW_CURVES: usize = 1 << 15;
/// Curves of training samples that are encoded before progress is told.
const CURVES_AT_ONCE: usize = 2048;
/// Features of one look that are held before they are thinned, in bytes, or those of one series.
const ENCODED_BYTES: usize = 512 << 20;

/// What encoders look at, values first, and how many of the features of each encoder and look are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Looks {
    pub(super) states: Vec<LookState>,
    /// `None` if all are kept.
    n_kept: Option<usize>,
}

/// A look, and the axes that were fitted to its curves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookState {
    look: Look,
    /// The axes that its curves are drawn and read on.
    pub(super) axes: PlotAxes,
}

/// Features of each encoder, `[series, n_variates * width]`.
pub(crate) type Encoded = Result<Vec<Vec<f32>>, RasterError>;

impl Looks {
    /// Values; and everything else of few series with few variates, unless kernels do.
    pub(crate) fn fit(series: &[&Series], beside_kernels: bool) -> Self {
        let n_curves: usize = series.iter().map(|series| series.n_variates()).sum();
        let few = series.len() <= FEW_SAMPLES && n_curves <= FEW_CURVES;
        let only_values = beside_kernels || !few;
        let looks = if only_values { &LOOKS[..1] } else { &LOOKS };
        let states = looks.iter().map(|&look| {
            let curves: Vec<Cow<'_, Series>> = series.iter().map(|s| look.at(s)).collect();
            let curves: Vec<&Series> = curves.iter().map(Cow::as_ref).collect();
            let axes = PlotAxes::fit(&curves);
            LookState { look, axes }
        });
        Self {
            states: states.collect(),
            n_kept: None,
        }
    }

    /// Keeps as many features as can be held of so many rows, and, of more rows than a ridge has axes, as
    /// many as it has. `widths` are those of each encoder, of one variate.
    pub(crate) fn thin_for(&mut self, n_rows: usize, most_axes: usize, widths: &[usize]) {
        let of_look = widths.len().max(1);
        let held = HELD_BYTES / size_of::<f32>() / n_rows.max(1) / (of_look * self.states.len());
        // A ridge sees two looks at most.
        let axes = match n_rows > most_axes {
            true => most_axes / (of_look * self.states.len().min(2)),
            false => usize::MAX,
        };
        let most = held.min(axes).max(1);
        let widest = widths.iter().max().copied().unwrap_or_default();
        self.n_kept = (widest * self.n_variates() > most).then_some(most);
    }

    /// Refuses what no fit to series of so many variates makes.
    pub(super) fn check(&self, n_variates: usize) -> Result<(), String> {
        if self.states.first().map(|state| state.look) != Some(Look::Values) {
            return Err("encoders that do not look at values first".to_owned());
        }
        if self.n_kept == Some(0) {
            return Err("encoders of which no feature is kept".to_owned());
        }
        let mut axes = self.states.iter().map(|state| &state.axes);
        match axes.find(|axes| axes.n_variates() != n_variates) {
            None => Ok(()),
            Some(axes) => Err(format!(
                "axes of {} variates in a model of {n_variates}",
                axes.n_variates()
            )),
        }
    }

    /// Number of looks.
    pub(crate) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn n_variates(&self) -> usize {
        self.states[0].axes.n_variates()
    }

    /// Training series that are encoded at once.
    pub(crate) fn series_to_train(&self) -> usize {
        (CURVES_AT_ONCE / (self.len() * self.n_variates())).max(1)
    }

    /// Series that are encoded at once for their answers: as many as memory allows, since variates that several
    /// have in common are encoded once.
    pub(crate) fn series_to_answer(&self, widths: &[usize]) -> usize {
        let width: usize = widths.iter().sum::<usize>() * self.n_variates();
        (ENCODED_BYTES / size_of::<f32>() / width.max(1)).max(1)
    }

    /// Features that are kept of each encoder, look after look.
    pub(crate) fn widths(&self, widths: &[usize]) -> Vec<usize> {
        let kept = widths
            .iter()
            .map(|width| self.n_kept_of(width * self.n_variates()));
        let kept: Vec<usize> = kept.collect();
        kept.repeat(self.len())
    }

    fn n_kept_of(&self, width: usize) -> usize {
        width.min(self.n_kept.unwrap_or(width))
    }

    /// The features of series that are kept: a row each, encoder after encoder, look after look.
    pub(crate) fn rows(
        &self,
        series: &[&Series],
        encode: impl Fn(&PlotAxes, &[&Series]) -> Encoded,
    ) -> Result<Vec<f32>, RasterError> {
        let parts = self.states.iter().map(|state| {
            let encoded = state.encoded(series, &encode)?;
            let parts = encoded.into_iter();
            Ok(parts
                .map(|features| self.part(features, series.len()))
                .collect())
        });
        let parts: Vec<Vec<Part>> = parts.collect::<Result<_, RasterError>>()?;
        let row = |i: usize| parts.iter().flatten().flat_map(move |part| part.row(i));
        Ok((0..series.len()).flat_map(row).copied().collect())
    }

    /// What is kept of one encoder's features.
    fn part(&self, features: Vec<f32>, n_rows: usize) -> Part {
        let all = features.len() / n_rows;
        let width = self.n_kept_of(all);
        if width == all {
            return Part { features, width };
        }
        let places = spread(width, all);
        let kept = features.chunks(all);
        let kept = kept.flat_map(|row| places.iter().map(|&place| row[place]));
        Part {
            features: kept.collect(),
            width,
        }
    }
}

impl LookState {
    /// What encoders make of the curves of some series.
    pub(super) fn encoded<T>(
        &self,
        series: &[&Series],
        encode: impl Fn(&PlotAxes, &[&Series]) -> Result<T, RasterError>,
    ) -> Result<T, RasterError> {
        let curves = series.par_iter().map(|series| self.look.at(series));
        let curves: Vec<Cow<'_, Series>> = curves.collect();
        let curves: Vec<&Series> = curves.iter().map(Cow::as_ref).collect();
        encode(&self.axes, &curves)
    }
}

/// What is kept of what one encoder makes of one look at some series.
struct Part {
    /// `[series, width]`.
    features: Vec<f32>,
    width: usize,
}

impl Part {
    fn row(&self, i: usize) -> &[f32] {
        &self.features[i * self.width..][..self.width]
    }
}

/// `n` of so many places, in ascending order: one of each stretch of them, which is as if at random and always
/// the same.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a place in a stretch is less than its length"
)]
fn spread(n: usize, places: usize) -> Vec<usize> {
    let stretch = |i: usize| i * places / n..(i + 1) * places / n;
    let place = |Range { start, end }: Range<usize>| {
        let number = xxh3_64(&(start as u64).to_le_bytes());
        start + (number % (end - start) as u64) as usize
    };
    (0..n).map(stretch).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_variates(n_steps: usize) -> Series {
        let values = (0..2 * n_steps).map(|i| (i % 7) as f32).collect();
        Series::new(values, n_steps, 2).expect("finite values")
    }

    #[test]
    fn states_that_no_fit_makes_are_refused() {
        let series = two_variates(3);
        let looks = Looks::fit(&[&series], false);
        assert_eq!(looks.len(), LOOKS.len());
        assert_eq!(looks.check(2), Ok(()));
        let problem = "axes of 2 variates in a model of 3";
        assert_eq!(looks.check(3), Err(problem.to_owned()));
        for (states, n_kept) in [
            (vec![], None),
            (looks.states[1..].to_vec(), None),
            (looks.states.clone(), Some(0)),
        ] {
            let other = Looks { states, n_kept };
            assert!(other.check(2).is_err(), "{other:?}");
        }
    }

    #[test]
    fn of_many_curves_values_alone_are_looked_at() {
        let wide = |n_variates| Series::new(vec![1.0; n_variates], 1, n_variates).unwrap();
        assert_eq!(Looks::fit(&[&wide(FEW_CURVES)], false).len(), LOOKS.len());
        assert_eq!(Looks::fit(&[&wide(FEW_CURVES + 1)], false).len(), 1);
        assert_eq!(Looks::fit(&[&wide(1)], true).len(), 1);
    }

    #[test]
    fn as_many_features_are_kept_as_there_is_room_for() {
        let series = two_variates(5);
        let kept = |beside_kernels, n_rows, most_axes, widths: &[usize]| {
            let mut looks = Looks::fit(&[&series], beside_kernels);
            looks.thin_for(n_rows, most_axes, widths);
            looks.widths(widths)
        };
        // All: 300 rows of eight blocks take 118 MB.
        assert_eq!(
            kept(false, 300, 4096, &[4096, 2048]),
            [8192, 4096].repeat(4)
        );
        // As many as two looks of two encoders may have.
        assert_eq!(
            kept(false, 5000, 4096, &[4096, 2048]),
            [1024, 1024].repeat(4)
        );
        assert_eq!(kept(true, 5000, 4096, &[4096, 2048]), [2048, 2048]);
        assert_eq!(kept(true, 5000, 4096, &[4096]), [4096]);
        assert_eq!(kept(true, 5000, 4096, &[4096, 30]), [2048, 60]);
        // As many as 2 GiB hold.
        assert_eq!(kept(true, 1_000_000, 4096, &[4096]), [536]);
        assert_eq!(kept(true, 4000, 4096, &[100_000]), [134_217]);
    }

    #[test]
    fn rows_are_what_is_kept_of_each_encoder_and_look() {
        let (one, other) = (two_variates(4), two_variates(9));
        // Of each series two features of a variate, then three; what they are of is in their digits.
        let encode = |_: &PlotAxes, series: &[&Series]| {
            let of = |width: usize, encoder: f32| {
                let rows = series.iter().flat_map(move |series| {
                    let steps = 100.0 * series.n_steps() as f32;
                    (0..2 * width).map(move |i| steps + 10.0 * encoder + i as f32)
                });
                rows.collect::<Vec<f32>>()
            };
            Ok(vec![of(2, 0.0), of(3, 1.0)])
        };
        let mut looks = Looks::fit(&[&one, &other], true);
        let rows = looks.rows(&[&one, &other], encode).unwrap();
        let expected: Vec<f32> = [400.0, 900.0]
            .into_iter()
            .flat_map(|steps| [0, 1, 2, 3, 10, 11, 12, 13, 14, 15].map(|i| steps + i as f32))
            .collect();
        assert_eq!(rows, expected);

        looks.n_kept = Some(3);
        assert_eq!(looks.widths(&[2, 3]), [3, 3]);
        let thin = looks.rows(&[&one, &other], encode).unwrap();
        let places = |places: usize| spread(3, places).into_iter();
        let expected: Vec<f32> = [400.0, 900.0]
            .into_iter()
            .flat_map(|steps| {
                let both = places(4).chain(places(6).map(|place| 10 + place));
                both.map(move |place| steps + place as f32)
            })
            .collect();
        assert_eq!(thin, expected);
    }

    #[test]
    fn places_are_spread_over_all() {
        for (n, places) in [(1, 1), (1, 900), (7, 8), (300, 1000), (4096, 98_304)] {
            let found = spread(n, places);
            assert_eq!(found.len(), n);
            assert!(found.is_sorted_by(|a, b| a < b), "{n} of {places}");
            for (i, place) in found.iter().enumerate() {
                assert!((i * places / n..(i + 1) * places / n).contains(place));
            }
        }
        // Of stretches of 24, each of the 24 places about as often.
        let mut counts = [0; 24];
        spread(4096, 98_304)
            .iter()
            .for_each(|place| counts[place % 24] += 1);
        assert!(
            counts.iter().all(|count| (120..230).contains(count)),
            "{counts:?}"
        );
    }
}
