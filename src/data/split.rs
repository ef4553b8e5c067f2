//! Seeded, stratified split of a data set into training, validation and test samples, and folds.
//!
//! Groups are never on both sides of a split.

mod folds;
mod groups;

use std::collections::BTreeMap;
use std::str::FromStr;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use folds::Folds;

use super::SeriesDataset;

/// Which part of the samples is held out; the rest is for training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitFractions {
    /// Fraction of all samples for validation, in `[0, 1)`; 0 for no validation samples.
    pub valid: f64,
    /// Fraction of all samples for the test, in `[0, 1)`; 0 where a test set is given apart.
    pub test: f64,
}

/// Indices of the samples for training, validation and test, each in ascending order.
///
/// Every index below the number of samples is in exactly one of the three.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Indices of the training samples.
    pub train: Vec<usize>,
    /// Indices of the validation samples.
    pub valid: Vec<usize>,
    /// Indices of the test samples.
    pub test: Vec<usize>,
}

/// Which samples a split holds out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SplitOrder {
    /// Any, so that every class is represented as in the whole.
    #[default]
    Stratified,
    /// The last ones, as the future is: test behind validation behind training.
    Ordered,
}

impl FromStr for SplitOrder {
    type Err = SplitError;

    fn from_str(name: &str) -> Result<Self, SplitError> {
        match name {
            "stratified" => Ok(Self::Stratified),
            "ordered" => Ok(Self::Ordered),
            _ => Err(SplitError::Order {
                found: name.to_owned(),
            }),
        }
    }
}

impl Split {
    /// Splits a data set; its groups, if it has some, stay together.
    ///
    /// # Errors
    ///
    /// As [`Self::stratified`] and [`Self::grouped`].
    pub fn of(
        dataset: &SeriesDataset,
        fractions: SplitFractions,
        order: SplitOrder,
        seed: u64,
    ) -> Result<Self, SplitError> {
        let labels = dataset.labels();
        match (order, dataset.groups()) {
            (SplitOrder::Stratified, None) => Self::stratified(&labels, fractions, seed),
            (SplitOrder::Stratified, Some(groups)) => {
                Self::grouped(&labels, groups, fractions, seed)
            }
            (SplitOrder::Ordered, groups) => Self::ordered(labels.len(), groups, fractions),
        }
    }

    /// Splits samples so that every class is represented as in the whole.
    ///
    /// A part holds its fraction of all samples, rounded, and of every class, rounded up or down;
    /// at least one sample if its fraction is not 0. Every class keeps a training sample, so a
    /// class with a single sample is never tested, and parts are smaller where classes are small.
    ///
    /// The same labels, fractions and seed give the same split on any machine. The test samples
    /// do not depend on the fraction for validation.
    ///
    /// # Shapes
    ///
    /// - `labels`: `[n_samples]`, the class of each sample
    ///
    /// # Errors
    ///
    /// [`SplitError::NoSamples`], [`SplitError::Fraction`], [`SplitError::NoTraining`], and
    /// [`SplitError::NothingToHoldOut`] if the classes are too small for all parts that are asked
    /// for.
    ///
    /// # Examples
    ///
    /// ```
    /// use timesclip::data::split::{Split, SplitFractions};
    ///
    /// let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1];
    /// let split = Split::stratified(&labels, SplitFractions { valid: 0.2, test: 0.2 }, 42)?;
    ///
    /// assert_eq!((split.train.len(), split.valid.len(), split.test.len()), (6, 2, 2));
    /// # Ok::<(), timesclip::data::split::SplitError>(())
    /// ```
    pub fn stratified(
        labels: &[usize],
        fractions: SplitFractions,
        seed: u64,
    ) -> Result<Self, SplitError> {
        fractions.validate()?;
        if labels.is_empty() {
            return Err(SplitError::NoSamples);
        }
        let mut classes = shuffled_classes(labels, seed);
        let test = hold_out(&mut classes, "test", fractions.test)?;
        let valid = hold_out(&mut classes, "valid", fractions.valid)?;
        let train = classes.into_iter().flat_map(|class| class.left).collect();
        Ok(Self {
            train: sorted(train),
            valid,
            test,
        })
    }
}

impl SplitFractions {
    /// Checks that both fractions are in `[0, 1)` and leave something for training.
    ///
    /// # Errors
    ///
    /// [`SplitError::Fraction`] and [`SplitError::NoTraining`].
    pub fn validate(&self) -> Result<(), SplitError> {
        for (part, fraction) in [("valid", self.valid), ("test", self.test)] {
            if !(0.0..1.0).contains(&fraction) {
                return Err(SplitError::Fraction { part, fraction });
            }
        }
        if self.valid + self.test >= 1.0 {
            return Err(SplitError::NoTraining {
                valid: self.valid,
                test: self.test,
            });
        }
        Ok(())
    }
}

/// Why samples cannot be split.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// There is nothing to split.
    #[error("there are no samples to split, expected at least one")]
    NoSamples,
    /// A fraction that is none.
    #[error("the {part} fraction is {fraction}, expected one from 0 to below 1")]
    Fraction {
        /// `valid` or `test`.
        part: &'static str,
        /// The fraction.
        fraction: f64,
    },
    /// The held-out parts take everything.
    #[error(
        "the fractions {valid} (valid) and {test} (test) are at least 1 together, expected less"
    )]
    NoTraining {
        /// Fraction for validation.
        valid: f64,
        /// Fraction for the test.
        test: f64,
    },
    /// A name that is no order.
    #[error("--split is `{found}`, expected stratified or ordered")]
    Order {
        /// The name.
        found: String,
    },
    /// Fewer folds than two, or more than there are samples or groups.
    #[error("{n_folds} folds were asked for, expected 2 to {most}, the number of {of}")]
    FoldCount {
        /// Folds that were asked for.
        n_folds: usize,
        /// The most folds that can be made.
        most: usize,
        /// `samples` or `groups`.
        of: &'static str,
    },
    /// Groups or samples that are too few to make all parts.
    #[error(
        "{n_units} {of} cannot be in {n_parts} parts, expected at least {n_parts} {of}, or fewer parts \
         (a fraction of 0)"
    )]
    TooFew {
        /// Number of groups or samples.
        n_units: usize,
        /// `samples` or `groups`.
        of: &'static str,
        /// Parts that are to hold something.
        n_parts: usize,
    },
    /// Groups of other than all samples.
    #[error("{found} groups were given, expected one for each of the {n_samples} samples")]
    GroupCount {
        /// Number of groups.
        found: usize,
        /// Number of samples.
        n_samples: usize,
    },
    /// Every sample is in another part already, or the last one of its class for training.
    #[error(
        "no sample is left for the {part} fraction {fraction}: {n_samples} samples of {n_classes} \
         classes, expected one for training of each class and one more for each other part"
    )]
    NothingToHoldOut {
        /// `valid` or `test`.
        part: &'static str,
        /// Its fraction.
        fraction: f64,
        /// Number of samples.
        n_samples: usize,
        /// Number of classes that have samples.
        n_classes: usize,
    },
}

/// One class that has samples.
struct Class {
    /// Number of its samples.
    size: usize,
    /// Those that no part has taken yet, in random order; one of them stays for training.
    left: Vec<usize>,
}

impl Class {
    fn spare(&self) -> usize {
        self.left.len() - 1
    }

    /// Samples that are its exact share of a part.
    fn quota(&self, fraction: f64) -> f64 {
        self.size as f64 * fraction
    }
}

/// The classes that have samples, each shuffled.
fn shuffled_classes(labels: &[usize], seed: u64) -> Vec<Class> {
    let mut indices_of: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, &label) in labels.iter().enumerate() {
        indices_of.entry(label).or_default().push(index);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let shuffled = indices_of.into_values().map(|mut left| {
        left.shuffle(&mut rng);
        Class {
            size: left.len(),
            left,
        }
    });
    shuffled.collect()
}

/// Takes the samples of one part out of the classes.
fn hold_out(
    classes: &mut [Class],
    part: &'static str,
    fraction: f64,
) -> Result<Vec<usize>, SplitError> {
    if fraction == 0.0 {
        return Ok(Vec::new());
    }
    let n_samples: usize = classes.iter().map(|class| class.size).sum();
    let n_spare: usize = classes.iter().map(Class::spare).sum();
    if n_spare == 0 {
        let n_classes = classes.len();
        return Err(SplitError::NothingToHoldOut {
            part,
            fraction,
            n_samples,
            n_classes,
        });
    }
    let n_part = whole((n_samples as f64 * fraction).round()).clamp(1, n_spare);
    let shares = shares(classes, fraction, n_part);
    let taken = classes
        .iter_mut()
        .zip(shares)
        .flat_map(|(class, share)| class.left.drain(..share));
    Ok(sorted(taken.collect()))
}

/// Divides `n_part` samples among the classes: the whole part of each quota, then one each to the
/// classes that lack most of theirs. No class gives more than it can spare, nor more than its
/// quota rounded up in place of one that cannot.
fn shares(classes: &[Class], fraction: f64, n_part: usize) -> Vec<usize> {
    let whole_part = |class: &Class| whole(class.quota(fraction)).min(class.spare());
    let mut shares: Vec<usize> = classes.iter().map(whole_part).collect();
    while shares.iter().sum::<usize>() < n_part {
        let lack = |i: &usize| classes[*i].quota(fraction) - shares[*i] as f64;
        let gives = |i: &usize| lack(i) > 0.0 && shares[*i] < classes[*i].spare();
        // The first one of those that lack the same.
        let most = (0..classes.len()).rev().filter(gives);
        match most.max_by(|a, b| lack(a).total_cmp(&lack(b))) {
            Some(class) => shares[class] += 1,
            None => break,
        }
    }
    shares
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a count of samples, of which there are fewer"
)]
fn whole(count: f64) -> usize {
    count as usize
}

fn sorted(mut indices: Vec<usize>) -> Vec<usize> {
    indices.sort_unstable();
    indices
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(labels: &[usize], valid: f64, test: f64, seed: u64) -> Split {
        Split::stratified(labels, SplitFractions { valid, test }, seed).unwrap()
    }

    /// Samples of each class `0..n_classes` in a part.
    fn counts(part: &[usize], labels: &[usize], n_classes: usize) -> Vec<usize> {
        let of_class = |class| part.iter().filter(|&&index| labels[index] == class).count();
        (0..n_classes).map(of_class).collect()
    }

    #[test]
    fn classes_are_represented_as_in_the_whole() {
        let labels = [vec![0; 50], vec![1; 30], vec![2; 20]].concat();

        let split = split(&labels, 0.1, 0.2, 7);

        assert_eq!(counts(&split.train, &labels, 3), [35, 21, 14]);
        assert_eq!(counts(&split.valid, &labels, 3), [5, 3, 2]);
        assert_eq!(counts(&split.test, &labels, 3), [10, 6, 4]);
    }

    #[test]
    fn remainders_go_to_the_classes_that_lack_most() {
        // A quarter of 21 samples is 5; the quotas are 2.5, 1.75 and 1.
        let labels = [vec![0; 10], vec![1; 7], vec![2; 4]].concat();

        assert_eq!(
            counts(&split(&labels, 0.0, 0.25, 0).test, &labels, 3),
            [2, 2, 1]
        );
    }

    #[test]
    fn one_seed_gives_one_split_and_another_seed_another() {
        let labels: Vec<usize> = (0..60).map(|index| index % 3).collect();

        assert_eq!(split(&labels, 0.1, 0.2, 42), split(&labels, 0.1, 0.2, 42));
        assert_ne!(split(&labels, 0.1, 0.2, 42), split(&labels, 0.1, 0.2, 43));
    }

    #[test]
    fn splits_stay_the_same_from_release_to_release() {
        let labels: Vec<usize> = (0..12).map(|index| index % 2).collect();

        let split = split(&labels, 0.2, 0.2, 42);

        // Recorded with rand 0.10.
        assert_eq!((split.valid, split.test), (vec![2, 9], vec![1, 4]));
    }

    #[test]
    fn a_split_without_test_is_one_of_training_and_validation() {
        let labels = [vec![0; 20], vec![1; 10]].concat();

        let split = split(&labels, 0.1, 0.0, 1);

        assert!(split.test.is_empty());
        assert_eq!(counts(&split.valid, &labels, 2), [2, 1]);
        assert_eq!(counts(&split.train, &labels, 2), [18, 9]);
    }

    #[test]
    fn the_test_samples_do_not_depend_on_the_validation_fraction() {
        let labels: Vec<usize> = (0..97).map(|index| index % 4).collect();

        assert_eq!(
            split(&labels, 0.3, 0.2, 5).test,
            split(&labels, 0.0, 0.2, 5).test
        );
    }

    #[test]
    fn a_small_fraction_still_holds_out_a_sample() {
        let labels = [0, 0, 0, 1, 1, 1];

        let split = split(&labels, 0.01, 0.01, 3);

        assert_eq!(
            (split.train.len(), split.valid.len(), split.test.len()),
            (4, 1, 1)
        );
    }

    #[test]
    fn every_class_keeps_a_training_sample() {
        let labels = [0, 0, 1, 2, 2, 2, 3];

        let split = split(&labels, 0.3, 0.3, 11);

        // Classes 1 and 3 have one sample each; classes 0 and 2 can spare three together.
        assert_eq!(counts(&split.train, &labels, 4), [1, 1, 1, 1]);
        assert_eq!(counts(&split.test, &labels, 4), [1, 0, 1, 0]);
        assert_eq!(counts(&split.valid, &labels, 4), [0, 0, 1, 0]);
    }

    #[test]
    fn a_large_class_does_not_stand_in_for_small_ones() {
        let labels: Vec<usize> = [vec![0; 10], (1..=10).collect()].concat();

        let split = split(&labels, 0.0, 0.3, 2);

        // Three tenths of twenty samples are six, but ten classes have nothing to spare.
        assert_eq!(counts(&split.test, &labels, 2), [3, 0]);
        assert_eq!(split.test.len(), 3);
    }

    #[test]
    fn fractions_that_leave_no_split_are_refused() {
        let refusal = |labels: &[usize], valid, test| {
            Split::stratified(labels, SplitFractions { valid, test }, 0).unwrap_err()
        };

        assert_eq!(refusal(&[], 0.1, 0.1), SplitError::NoSamples);
        for bad in [-0.1, 1.0, f64::INFINITY] {
            let wrong = |part| SplitError::Fraction {
                part,
                fraction: bad,
            };
            assert_eq!(refusal(&[0, 1], bad, 0.1), wrong("valid"));
            assert_eq!(refusal(&[0, 1], 0.1, bad), wrong("test"));
        }
        assert!(matches!(
            refusal(&[0], f64::NAN, 0.1),
            SplitError::Fraction { .. }
        ));
        assert_eq!(
            refusal(&[0, 1], 0.5, 0.5),
            SplitError::NoTraining {
                valid: 0.5,
                test: 0.5
            }
        );
    }

    #[test]
    fn a_set_whose_every_sample_is_needed_for_training_is_refused() {
        let nothing = |part, n_samples| SplitError::NothingToHoldOut {
            part,
            fraction: 0.2,
            n_samples,
            n_classes: 2,
        };
        let refusal = |labels: &[usize], valid, test| {
            Split::stratified(labels, SplitFractions { valid, test }, 0).unwrap_err()
        };

        assert_eq!(refusal(&[0, 1], 0.0, 0.2), nothing("test", 2));
        // The only sample to spare is in the test set.
        assert_eq!(refusal(&[0, 0, 1], 0.2, 0.2), nothing("valid", 3));
        assert_eq!(split(&[0, 1], 0.0, 0.0, 0).train, [0, 1]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parts_are_disjoint_exhaustive_and_stratified(
            labels in prop::collection::vec(0usize..5, 20..120),
            valid in 0.01..0.4,
            test in 0.01..0.4,
            seed: u64,
        ) {
            let Ok(split) = Split::stratified(&labels, SplitFractions { valid, test }, seed) else {
                return Err(TestCaseError::fail("twenty samples of five classes can be split"));
            };

            let whole = (0..labels.len()).collect::<Vec<_>>();
            let all = sorted([&split.train[..], &split.valid, &split.test].concat());
            prop_assert_eq!(&all, &whole);
            let sizes = counts(&whole, &labels, 5);
            let mut left = sizes.clone();
            for (part, fraction) in [(&split.test, test), (&split.valid, valid)] {
                prop_assert!(part.is_sorted());
                let n_part = (labels.len() as f64 * fraction).round().max(1.0);
                prop_assert!(part.len() as f64 <= n_part, "{} of {n_part}", part.len());
                for (class, &count) in counts(part, &labels, 5).iter().enumerate() {
                    let quota = sizes[class] as f64 * fraction;
                    let spare = left[class].saturating_sub(1) as f64;
                    let allowed = quota.floor().min(spare)..=quota.ceil().min(spare);
                    prop_assert!(allowed.contains(&(count as f64)), "{count} of class {class}");
                    left[class] -= count;
                }
            }
            for (class, &count) in counts(&split.train, &labels, 5).iter().enumerate() {
                prop_assert!(count >= 1 || sizes[class] == 0, "class {class} in training");
            }
        }
    }
}
