//! Curves without end: seeded synthetic series, to pretrain encoders and to test with.
//!
//! A [`CurveGenerator`] is a stream with random access: a seed and an index decide a curve, its
//! family and the axes that it would be drawn on.
//!
//! ```
//! use timesclip::curves::CurveGenerator;
//!
//! let curves = CurveGenerator::new(42);
//! let curve = curves.curve(1_000_000);
//! assert_eq!(curve, curves.curve(1_000_000));
//! assert!(curve.x_steps >= curve.series.n_steps());
//!
//! let set = curves.labeled_set(60, 3)?; // 60 samples of 3 variates, a class a family
//! assert_eq!(set.n_variates(), 3);
//! # Ok::<(), timesclip::data::SeriesError>(())
//! ```

mod shapes;
mod variates;

use crate::data::random::Random;
use crate::data::{LabeledSeries, Series, SeriesDataset, SeriesError};

/// Shortest curve.
const MIN_STEPS: usize = 8;
/// Longest curve.
const MAX_STEPS: usize = 2000;
/// Octaves that lengths are drawn from: most data sets have series of dozens or hundreds of steps.
const OCTAVES: [usize; 12] = [8, 16, 32, 32, 64, 64, 128, 128, 256, 256, 512, 1024];
/// One curve in so many is its predecessor again, with small differences.
const ECHO: u64 = 5;

/// What numbers are drawn for. They stay: the encoders of this crate were pretrained on the curves
/// that they give.
const VALUES: u64 = 8;
const AXES: u64 = 9;
const DIFFERENCES: u64 = 10;

/// A kind of curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Random walks.
    Walk,
    /// Sums of sines.
    Sines,
    /// Sines of a changing frequency.
    Chirp,
    /// Levels that change at once.
    Steps,
    /// Straight from knot to knot.
    Polyline,
    /// Rounded outlines.
    Smooth,
    /// A base line with bumps.
    Pulses,
    /// Autoregressive processes.
    Autoregressive,
    /// A form that returns again and again.
    Periodic,
    /// Towards an end.
    Decay,
    /// A direction, a season and noise.
    Trend,
    /// Noise of any color.
    Noise,
    /// Rest, something that happens, rest.
    Event,
    /// A motif with pauses and small differences.
    Repeats,
}

impl Family {
    /// Every family, in the order of their labels.
    pub const ALL: [Self; 14] = [
        Self::Walk,
        Self::Sines,
        Self::Chirp,
        Self::Steps,
        Self::Polyline,
        Self::Smooth,
        Self::Pulses,
        Self::Autoregressive,
        Self::Periodic,
        Self::Decay,
        Self::Trend,
        Self::Noise,
        Self::Event,
        Self::Repeats,
    ];

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Walk => "walk",
            Self::Sines => "sines",
            Self::Chirp => "chirp",
            Self::Steps => "steps",
            Self::Polyline => "polyline",
            Self::Smooth => "smooth",
            Self::Pulses => "pulses",
            Self::Autoregressive => "autoregressive",
            Self::Periodic => "periodic",
            Self::Decay => "decay",
            Self::Trend => "trend",
            Self::Noise => "noise",
            Self::Event => "event",
            Self::Repeats => "repeats",
        }
    }
}

/// A synthetic series and the axes it would be drawn on.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The values; a few have gaps.
    pub series: Series,
    /// What kind of curve it is.
    pub family: Family,
    /// `[low, high]` of every variate: like those of a data set, of which one series fills a part.
    /// A few values may lie outside.
    pub y_ranges: Vec<[f32; 2]>,
    /// Steps that the horizontal axis spans, at least as many as the series has.
    pub x_steps: usize,
}

/// An endless stream of curves with random access.
///
/// The same on every run; on another platform, values may differ in their last bits, as its sines
/// and exponentials do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurveGenerator {
    seed: u64,
    n_steps: Option<usize>,
}

impl CurveGenerator {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        let n_steps = None;
        Self { seed, n_steps }
    }

    /// A stream of curves of one length; by itself they have 8 to 2,000 steps.
    ///
    /// # Panics
    /// If `n_steps` is below 8.
    #[must_use]
    pub fn with_steps(self, n_steps: usize) -> Self {
        assert!(n_steps >= MIN_STEPS, "curves of {n_steps} steps");
        let n_steps = Some(n_steps);
        Self { n_steps, ..self }
    }

    /// The curve of one variate at an index.
    pub fn curve(&self, index: u64) -> Curve {
        self.multivariate(index, 1)
    }

    /// The curve of several variates at an index. The variates share causes: each is a mixture of
    /// a few hidden curves, with a lag and noise of its own.
    ///
    /// # Panics
    /// If `n_variates` is zero.
    pub fn multivariate(&self, index: u64, n_variates: usize) -> Curve {
        assert!(n_variates > 0, "a curve of 0 variates");
        let is_echo = index % ECHO == ECHO - 1;
        let original = index - u64::from(is_echo);
        let mut random = Random::keyed([self.seed, original, 0, VALUES]);
        let family = Family::ALL[random.below(Family::ALL.len())];
        let any = length(&mut random);
        let n_steps = self.n_steps.unwrap_or(any);
        let mut columns = variates::draw(family, &mut random, [n_steps, n_variates]);
        // An echo is drawn on the axes of what it repeats, so that its differences stay small.
        let mut random = Random::keyed([self.seed, original, 0, AXES]);
        let y_ranges = columns.iter().map(|c| variates::range(c, &mut random));
        let y_ranges = y_ranges.collect();
        let x_steps = variates::span(n_steps, &mut random);
        if is_echo {
            let mut random = Random::keyed([self.seed, index, 0, DIFFERENCES]);
            columns
                .iter_mut()
                .for_each(|column| variates::differ(column, &mut random));
        }
        Curve {
            series: table(&columns),
            family,
            y_ranges,
            x_steps,
        }
    }

    /// The first `n_samples` curves as a labeled set: the classes are the families.
    ///
    /// # Errors
    /// [`SeriesError::NoSamples`] if `n_samples` is zero.
    ///
    /// # Panics
    /// If `n_variates` is zero.
    pub fn labeled_set(
        &self,
        n_samples: usize,
        n_variates: usize,
    ) -> Result<SeriesDataset, SeriesError> {
        let sample = |id| {
            let curve = self.multivariate(id, n_variates);
            LabeledSeries {
                id,
                series: curve.series,
                label: curve.family as usize,
            }
        };
        let samples = (0..n_samples as u64).map(sample).collect();
        let names = Family::ALL.map(|family| family.name().to_owned());
        SeriesDataset::new(format!("curves-{}", self.seed), names.to_vec(), samples)
    }
}

/// A number from `low` to below `high`, as likely in one octave as in the next.
fn octaves(random: &mut Random, low: f64, high: f64) -> f64 {
    low * (high / low).powf(random.unit())
}

/// A number of steps.
fn length(random: &mut Random) -> usize {
    let octave = OCTAVES[random.below(OCTAVES.len())];
    (octave + random.below(octave)).clamp(MIN_STEPS, MAX_STEPS)
}

/// Columns of one length as a series.
#[expect(
    clippy::cast_possible_truncation,
    reason = "values are of moderate size"
)]
fn table(columns: &[Vec<f64>]) -> Series {
    let n_steps = columns[0].len();
    let values =
        (0..n_steps).flat_map(|step| columns.iter().map(move |column| column[step] as f32));
    Series::new(values.collect(), n_steps, columns.len()).expect("finite values of a whole table")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const CURVES: CurveGenerator = CurveGenerator {
        seed: 7,
        n_steps: None,
    };

    #[test]
    fn a_seed_and_an_index_decide_a_curve() {
        let bits = |generator: CurveGenerator, index| -> Vec<u32> {
            let curve = generator.multivariate(index, 2);
            curve.series.values().iter().map(|v| v.to_bits()).collect()
        };
        assert_eq!(bits(CURVES, 12), bits(CurveGenerator::new(7), 12));
        assert_ne!(bits(CURVES, 12), bits(CurveGenerator::new(8), 12));
        let distinct: HashSet<_> = (0..500).map(|index| bits(CURVES, index)).collect();
        assert_eq!(distinct.len(), 500, "no two curves are the same");
    }

    #[test]
    fn curves_of_one_length_are_of_every_family() {
        for n_steps in [MIN_STEPS, 50, 3000] {
            let curves = CURVES.with_steps(n_steps);
            let drawn: Vec<Curve> = (0..200)
                .map(|index| curves.multivariate(index, 2))
                .collect();
            assert!(drawn.iter().all(|curve| curve.series.n_steps() == n_steps));
            let families: HashSet<_> = drawn.iter().map(|curve| curve.family).collect();
            assert_eq!(families.len(), Family::ALL.len());
        }
    }

    #[test]
    fn curves_are_drawable_on_axes_that_hold_most_of_them() {
        let mut beside = 0;
        for index in 0..2000 {
            let Curve {
                series,
                y_ranges,
                x_steps,
                family,
            } = CURVES.multivariate(index, 2);
            let n_steps = series.n_steps();
            assert!((MIN_STEPS..=MAX_STEPS).contains(&n_steps));
            assert!(
                x_steps >= n_steps && x_steps <= 4 * n_steps,
                "{x_steps} of {n_steps}"
            );
            for (variate, [low, high]) in y_ranges.into_iter().enumerate() {
                let seen: Vec<f32> = series.variate(variate).filter(|v| !v.is_nan()).collect();
                let inside = seen.iter().filter(|v| (low..=high).contains(v)).count();
                assert!(low < high, "{family:?}");
                assert!(
                    4 * seen.len() >= 3 * n_steps,
                    "{family:?} is mostly missing"
                );
                beside += usize::from(4 * inside < seen.len());
            }
        }
        // Axes are drawn at random too: now and then a lone pulse lies beside its own.
        assert!(
            beside <= 4,
            "{beside} of 4000 variates lie beside their axes"
        );
    }

    #[test]
    fn an_echo_is_its_predecessor_with_small_differences() {
        let mut means = Vec::new();
        for index in (ECHO - 1..500).step_by(5) {
            let [before, echo] = [index - 1, index].map(|index| CURVES.curve(index));
            assert_eq!((before.family, before.x_steps), (echo.family, echo.x_steps));
            assert_eq!(before.y_ranges, echo.y_ranges);
            assert_ne!(before.series, echo.series);
            let [low, high] = before.y_ranges[0];
            let pairs = before.series.values().iter().zip(echo.series.values());
            let mut apart: Vec<f32> = pairs.map(|(a, b)| (a - b).abs() / (high - low)).collect();
            apart.retain(|a| !a.is_nan());
            means.push(apart.iter().sum::<f32>() / apart.len() as f32);
        }
        let mean = means.iter().sum::<f32>() / means.len() as f32;
        assert!((0.005..0.08).contains(&mean), "{mean} of the axis apart");
    }

    #[test]
    fn variates_share_causes() {
        let correlated = (0..200).filter(|&index| {
            let curve = CURVES.multivariate(index, 2);
            let [a, b] = [0, 1].map(|v| curve.series.variate(v).collect::<Vec<_>>());
            correlation(&a, &b).abs() > 0.5
        });
        assert!(
            correlated.count() > 60,
            "variates know nothing of each other"
        );
    }

    fn correlation(a: &[f32], b: &[f32]) -> f32 {
        let both: Vec<[f32; 2]> = a.iter().zip(b).map(|(a, b)| [*a, *b]).collect();
        let both: Vec<_> = both
            .into_iter()
            .filter(|p| !(p[0] + p[1]).is_nan())
            .collect();
        let n = both.len() as f32;
        let mean = |i: usize| both.iter().map(|p| p[i]).sum::<f32>() / n;
        let (mean_a, mean_b) = (mean(0), mean(1));
        let product = |x: usize, y: usize| {
            let means = [mean_a, mean_b];
            both.iter()
                .map(|p| (p[x] - means[x]) * (p[y] - means[y]))
                .sum::<f32>()
        };
        product(0, 1) / (product(0, 0) * product(1, 1)).sqrt().max(1e-30)
    }

    #[test]
    fn a_labeled_set_has_a_class_a_family() {
        let set = CURVES.labeled_set(400, 3).unwrap();
        assert_eq!((set.len(), set.n_variates()), (400, 3));
        assert_eq!(set.n_classes(), Family::ALL.len());
        assert!(
            set.class_counts().iter().all(|&n| n > 5),
            "{:?}",
            set.class_counts()
        );
        for (label, family) in Family::ALL.into_iter().enumerate() {
            assert_eq!(set.class_names()[label], family.name());
            assert_eq!(family as usize, label);
        }
        assert_eq!(
            CURVES.labeled_set(0, 1).unwrap_err(),
            SeriesError::NoSamples {
                dataset: "curves-7".into(),
            }
        );
    }

    #[test]
    fn lengths_reach_from_short_to_long() {
        let lengths: Vec<_> = (0..2000)
            .map(|i| CURVES.curve(i).series.n_steps())
            .collect();
        assert!(lengths.iter().any(|&n| n < 12) && lengths.iter().any(|&n| n > 1500));
    }
}
