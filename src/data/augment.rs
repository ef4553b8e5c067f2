//! Seeded views of series: what a training sample might have looked like as well.
//!
//! A view is a series like any other: its picture and its patches are both made from it, so the
//! two never contradict. Views of a set are a set, with the ids and labels of the first, and any
//! image cache holds their pictures. View 0 is the set itself; an epoch of training looks at one
//! view of every sample ([`view_of_epoch`]), validation and test at view 0.
//!
//! ```
//! use timesclip::data::augment::{AugmentConfig, Augmenter, view_of_epoch};
//! use timesclip::cache::{CachedImageDataset, UncachedImages};
//! use timesclip::raster::PlotStyle;
//! # use timesclip::data::{LabeledSeries, Series, SeriesDataset};
//! # let series = Series::new(vec![1.0, 2.0, 1.5], 3, 1)?;
//! # let samples = vec![LabeledSeries { id: 7, series, label: 0 }];
//! # let dataset = SeriesDataset::new("one", vec!["only".into()], samples)?;
//!
//! let augmenter = Augmenter::new(AugmentConfig::default(), 42)?;
//! let n_views = 4;
//! let views: Vec<_> = (0..=n_views)
//!     .map(|view| UncachedImages::new(augmenter.view_of(&dataset, view), &PlotStyle::default()))
//!     .collect::<Result<_, _>>()?;
//!
//! let in_epoch_five = &views[view_of_epoch(5, n_views)];
//! assert_eq!(in_epoch_five.sample(0)?.id, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A view depends on the seed, the sample's id and the number of the view alone: not on the order
//! in which views are made, nor on threads. All arithmetic is `+ - * /` and square roots, which
//! are exactly rounded, so that views are the same bits on every machine.

mod config;
mod missing;
mod table;
mod time;
mod values;

use rayon::prelude::*;

pub use config::{AugmentConfig, AugmentError};

use self::table::Table;
use crate::data::random::{Purpose, Random};
use crate::data::{LabeledSeries, Series, SeriesDataset};

/// Makes views of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Augmenter {
    config: AugmentConfig,
    seed: u64,
}

impl Augmenter {
    /// An augmenter whose views `config` and `seed` decide.
    ///
    /// # Errors
    ///
    /// Whatever [`AugmentConfig::validate`] finds wrong.
    pub fn new(config: AugmentConfig, seed: u64) -> Result<Self, AugmentError> {
        config.validate()?;
        Ok(Self { config, seed })
    }

    /// How strongly views differ from their samples.
    pub fn config(&self) -> &AugmentConfig {
        &self.config
    }

    /// What the views are drawn from, besides the samples.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// One view of a sample, with its id and label. View 0 is the sample itself.
    ///
    /// What is missing in the sample stays missing, values stay finite, and a sample that is not
    /// missing throughout has no view that is. Views may be shorter than the sample, never empty.
    pub fn view(&self, sample: &LabeledSeries, view: usize) -> LabeledSeries {
        let &LabeledSeries { id, label, .. } = sample;
        let series = match view {
            0 => sample.series.clone(),
            _ => self.transformed(&sample.series, id, view),
        };
        LabeledSeries { id, series, label }
    }

    /// The same view of every sample of a set: a set with the same ids, labels and positions.
    ///
    /// Works on all threads of the current rayon pool.
    #[expect(
        clippy::missing_panics_doc,
        reason = "the samples are those of a set that was checked, but for their values"
    )]
    pub fn view_of(&self, dataset: &SeriesDataset, view: usize) -> SeriesDataset {
        if view == 0 {
            return dataset.clone();
        }
        let samples = dataset.samples().par_iter();
        let samples = samples.map(|sample| self.view(sample, view)).collect();
        let name = format!("{}, view {view}", dataset.name());
        SeriesDataset::new(name, dataset.class_names().to_vec(), samples)
            .expect("ids, labels and variates are those of a set that was checked")
    }

    fn transformed(&self, series: &Series, id: u64, view: usize) -> Series {
        // Taken apart, so that a new setting does not compile until it is used here.
        let AugmentConfig {
            jitter,
            scale,
            shift,
            warp,
            crop,
            variate_drop,
            missing_block,
            prefix,
        } = self.config;
        // Every transform has numbers of its own: a setting changes nothing but its own transform.
        let random = |purpose| Random::new([self.seed, id, view as u64], purpose);
        let mut table = Table::of(series);
        time::prefix(&mut table, prefix, random(Purpose::Prefix));
        time::crop(&mut table, crop, random(Purpose::Crop));
        time::warp(&mut table, warp, random(Purpose::Warp));
        let changes = values::Changes {
            scale: (scale, random(Purpose::Scale)),
            shift: (shift, random(Purpose::Shift)),
            jitter: (jitter, random(Purpose::Jitter)),
        };
        changes.apply(&mut table);
        missing::drop_variates(&mut table, variate_drop, random(Purpose::VariateDrop));
        missing::cut_blocks(&mut table, missing_block, random(Purpose::MissingBlock));
        table.into_series()
    }
}

/// The view that training looks at in an epoch, of `n_views` besides the original.
///
/// Epochs are counted from 1 and go through views 1 to `n_views` in turn; without views it is
/// always view 0, the original.
///
/// # Panics
///
/// If `epoch` is 0.
///
/// # Examples
///
/// ```
/// use timesclip::data::augment::view_of_epoch;
///
/// let views: Vec<usize> = (1..=5).map(|epoch| view_of_epoch(epoch, 3)).collect();
/// assert_eq!(views, [1, 2, 3, 1, 2]);
/// assert_eq!(view_of_epoch(5, 0), 0);
/// ```
pub fn view_of_epoch(epoch: usize, n_views: usize) -> usize {
    assert!(epoch >= 1, "epoch {epoch}: epochs are counted from 1");
    (epoch - 1).checked_rem(n_views).map_or(0, |turn| turn + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Settings that are all on, and strong.
    const STRONG: AugmentConfig = AugmentConfig {
        jitter: 2.0,
        scale: 3.0,
        shift: 2.0,
        warp: 0.9,
        crop: 0.8,
        variate_drop: 0.6,
        missing_block: 0.8,
        prefix: 0.5,
    };

    fn sample(id: u64, values: Vec<f32>, n_variates: usize) -> LabeledSeries {
        let n_steps = values.len() / n_variates;
        LabeledSeries {
            id,
            series: Series::new(values, n_steps, n_variates).unwrap(),
            label: 1,
        }
    }

    /// A walk of 20 steps and three variates, with a gap.
    fn walk(id: u64) -> LabeledSeries {
        let values = (0..60u16).map(|i| f32::from(i * 37 % 19) + 10.0 * f32::from(i % 3));
        let mut values: Vec<f32> = values.collect();
        values[31] = f32::NAN;
        sample(id, values, 3)
    }

    fn augmenter(config: AugmentConfig) -> Augmenter {
        Augmenter::new(config, 42).unwrap()
    }

    /// The bits of all values, so that missing ones can be compared.
    fn bits(sample: &LabeledSeries) -> Vec<u32> {
        let bits = |v: &f32| if v.is_nan() { u32::MAX } else { v.to_bits() };
        sample.series.values().iter().map(bits).collect()
    }

    #[test]
    fn every_setting_changes_views_when_on_and_nothing_when_off() {
        let off = AugmentConfig::OFF;
        let one_on = [
            ("jitter", AugmentConfig { jitter: 0.1, ..off }),
            ("scale", AugmentConfig { scale: 0.1, ..off }),
            ("shift", AugmentConfig { shift: 0.1, ..off }),
            ("warp", AugmentConfig { warp: 0.3, ..off }),
            ("crop", AugmentConfig { crop: 0.3, ..off }),
            ("prefix", AugmentConfig { prefix: 0.9, ..off }),
            (
                "drop",
                AugmentConfig {
                    variate_drop: 0.5,
                    ..off
                },
            ),
            (
                "block",
                AugmentConfig {
                    missing_block: 0.3,
                    ..off
                },
            ),
        ];
        let walk = walk(3);
        for view in 0..5 {
            assert_eq!(bits(&augmenter(off).view(&walk, view)), bits(&walk));
        }
        for (setting, config) in one_on {
            let augmenter = augmenter(config);
            let changed = (1..9).filter(|v| bits(&augmenter.view(&walk, *v)) != bits(&walk));
            assert!(changed.count() >= 4, "{setting}");
        }
    }

    #[test]
    fn a_setting_does_not_touch_the_numbers_of_another() {
        let jitter = AugmentConfig {
            jitter: 0.1,
            ..AugmentConfig::OFF
        };
        let both = AugmentConfig {
            missing_block: 0.3,
            ..jitter
        };
        let (alone, with_gaps) = (augmenter(jitter), augmenter(both));
        let (alone, with_gaps) = (alone.view(&walk(1), 2), with_gaps.view(&walk(1), 2));
        let pairs = alone.series.values().iter().zip(with_gaps.series.values());
        for (alone, both) in pairs.filter(|(_, both)| !both.is_nan()) {
            assert_eq!(alone, both);
        }
    }

    #[test]
    fn seed_id_and_view_each_decide_the_view() {
        let augmenter = augmenter(AugmentConfig::default());
        let view = augmenter.view(&walk(3), 1);

        assert_eq!((view.id, view.label), (3, 1));
        assert_eq!(bits(&view), bits(&augmenter.clone().view(&walk(3), 1)));
        let other_seed = Augmenter::new(AugmentConfig::default(), 43).unwrap();
        assert_ne!(bits(&view), bits(&other_seed.view(&walk(3), 1)));
        assert_ne!(bits(&view), bits(&augmenter.view(&walk(4), 1)));
        assert_ne!(bits(&view), bits(&augmenter.view(&walk(3), 2)));
    }

    #[test]
    fn views_of_a_set_are_those_of_its_samples_in_any_order_and_on_any_threads() {
        let augmenter = augmenter(STRONG);
        let samples: Vec<LabeledSeries> = (0..40).map(walk).collect();
        let classes = vec!["a".to_owned(), "b".to_owned()];
        let dataset = SeriesDataset::new("walks", classes, samples).unwrap();
        let order: Vec<usize> = (0..40).rev().step_by(3).collect();
        let alone = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .unwrap();

        let whole = augmenter.view_of(&dataset, 5);
        let part = dataset.subset(&order).unwrap();
        let part = alone.install(|| augmenter.view_of(&part, 5));

        for (found, &index) in part.samples().iter().zip(&order) {
            let expected = augmenter.view(&dataset.samples()[index], 5);
            assert_eq!((found.id, bits(found)), (expected.id, bits(&expected)));
            assert_eq!(bits(&whole.samples()[index]), bits(&expected));
        }
        assert_eq!(
            bits(&augmenter.view_of(&dataset, 0).samples()[7]),
            bits(&walk(7))
        );
    }

    #[test]
    fn views_stay_the_same_from_release_to_release() {
        let config = AugmentConfig {
            jitter: 0.05,
            scale: 0.1,
            shift: 0.1,
            warp: 0.2,
            crop: 0.1,
            variate_drop: 0.05,
            missing_block: 0.1,
            prefix: 0.0,
        };

        let view = augmenter(config).view(&walk(3), 1);

        // Recorded when the transforms were written.
        let recorded = [
            0.018245745,
            27.221994,
            36.347805,
            14.721741,
            24.712502,
            33.8774,
        ];
        assert_eq!(view.series.values()[..6], recorded);
    }

    #[test]
    fn epochs_go_through_the_views_in_turn() {
        let of_epochs = |n_views| (1..=7).map(move |epoch| view_of_epoch(epoch, n_views));
        assert_eq!(of_epochs(3).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3, 1]);
        assert!(of_epochs(1).all(|view| view == 1));
        assert!(of_epochs(0).all(|view| view == 0));
    }

    #[test]
    #[should_panic(expected = "epoch 0")]
    fn there_is_no_epoch_zero() {
        view_of_epoch(0, 3);
    }

    /// Series of any length and values, missing and huge ones among them.
    fn any_series() -> impl Strategy<Value = LabeledSeries> {
        let value = prop_oneof![
            4 => -10.0f32..10.0,
            2 => Just(f32::NAN),
            1 => prop_oneof![Just(f32::MAX), Just(f32::MIN), Just(1e37), Just(1e-40), Just(-0.0)],
        ];
        (1usize..4, 1usize..30, any::<u64>()).prop_flat_map(move |(n_variates, n_steps, id)| {
            prop::collection::vec(value.clone(), n_variates * n_steps)
                .prop_map(move |values| sample(id, values, n_variates))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn views_are_series_that_show_something_of_their_sample(
            sample in any_series(),
            view in 1usize..9,
            seed: u64,
        ) {
            let strong = Augmenter::new(STRONG, seed).unwrap();
            let seen = |s: &Series| s.values().iter().any(|v| !v.is_nan());

            // Making the series checks its shape and that no value is infinite.
            let found = strong.view(&sample, view);

            prop_assert_eq!((found.id, found.label), (sample.id, sample.label));
            prop_assert_eq!(found.series.n_variates(), sample.series.n_variates());
            prop_assert!((1..=sample.series.n_steps()).contains(&found.series.n_steps()));
            prop_assert_eq!(seen(&found.series), seen(&sample.series));
            prop_assert_eq!(bits(&found), bits(&strong.view(&sample, view)));
            prop_assert_eq!(bits(&strong.view(&sample, 0)), bits(&sample));
        }

        #[test]
        fn what_is_missing_stays_missing(sample in any_series(), view in 1usize..9, seed: u64) {
            // Without the transforms that move steps.
            let config = AugmentConfig { warp: 0.0, crop: 0.0, ..STRONG };
            let found = Augmenter::new(config, seed).unwrap().view(&sample, view);
            let values_only = AugmentConfig { variate_drop: 0.0, missing_block: 0.0, ..config };
            let same = Augmenter::new(values_only, seed).unwrap().view(&sample, view);
            let steps = sample.series.values().iter();
            let steps = steps.zip(found.series.values()).zip(same.series.values());
            for ((old, new), same) in steps {
                prop_assert!(!old.is_nan() || new.is_nan());
                prop_assert_eq!(old.is_nan(), same.is_nan());
            }
        }
    }
}
