//! Folds for cross-validation: every sample is held out once.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::groups::{Parts, deal_order, samples_of, units};
use super::{Split, SplitError, shuffled_classes};
use crate::data::SeriesDataset;

/// Samples that are held out together, fold by fold; each sample is in one fold.
///
/// # Examples
///
/// ```
/// use timesclip::data::split::Folds;
///
/// let labels = [0, 0, 0, 0, 1, 1, 1, 1];
/// let folds = Folds::stratified(&labels, None, 4, 42)?;
/// assert_eq!(folds.len(), 4);
/// for split in folds.splits() {
///     assert_eq!((split.train.len(), split.valid.len()), (6, 2));
/// }
/// # Ok::<(), timesclip::data::split::SplitError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folds {
    folds: Vec<Vec<usize>>,
}

impl Folds {
    /// Folds of a data set; its groups, if it has some, stay together.
    ///
    /// # Errors
    ///
    /// As [`Self::stratified`].
    pub fn of(dataset: &SeriesDataset, n_folds: usize, seed: u64) -> Result<Self, SplitError> {
        Self::stratified(&dataset.labels(), dataset.groups(), n_folds, seed)
    }

    /// Folds in which every class is represented as in the whole: of a class, folds differ by one
    /// sample at most. With groups, none is in two folds, and classes are represented as far as
    /// groups allow.
    ///
    /// A class with fewer samples, or groups, than folds is missing from some; one with a single
    /// sample is missing from the training samples of the fold that holds it out.
    ///
    /// # Shapes
    ///
    /// - `labels`, `groups`: `[n_samples]`
    ///
    /// # Errors
    ///
    /// [`SplitError::NoSamples`], [`SplitError::GroupCount`], and [`SplitError::FoldCount`] for
    /// fewer folds than two, or more than samples or groups.
    pub fn stratified(
        labels: &[usize],
        groups: Option<&[String]>,
        n_folds: usize,
        seed: u64,
    ) -> Result<Self, SplitError> {
        if labels.is_empty() {
            return Err(SplitError::NoSamples);
        }
        let check = |most: usize, of: &'static str| match (2..=most).contains(&n_folds) {
            true => Ok(()),
            false => Err(SplitError::FoldCount { n_folds, most, of }),
        };
        let Some(groups) = groups else {
            check(labels.len(), "samples")?;
            return Ok(Self::dealt(labels, n_folds, seed));
        };
        let mut units = units(labels, groups)?;
        check(units.len(), "groups")?;
        let shares = vec![1.0 / n_folds as f64; n_folds];
        deal_order(&mut units, seed);
        let mut parts = Parts::new(&units, &shares);
        units.into_iter().for_each(|unit| parts.take(unit));
        parts.fill(&shares);
        Ok(Self {
            folds: parts.units.into_iter().map(samples_of).collect(),
        })
    }

    /// Deals the samples of one class after the other, each class from where the last one ended.
    fn dealt(labels: &[usize], n_folds: usize, seed: u64) -> Self {
        let mut folds = vec![Vec::new(); n_folds];
        let classes = shuffled_classes(labels, seed);
        let dealt = classes.into_iter().flat_map(|class| class.left);
        for (turn, index) in dealt.enumerate() {
            folds[turn % n_folds].push(index);
        }
        folds.iter_mut().for_each(|fold| fold.sort_unstable());
        // The first folds get the remainders: which ones is up to the seed.
        folds.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        Self { folds }
    }

    /// Number of folds.
    pub fn len(&self) -> usize {
        self.folds.len()
    }

    /// Always false: there are at least two folds.
    pub fn is_empty(&self) -> bool {
        self.folds.is_empty()
    }

    /// Indices of the samples of each fold, ascending.
    pub fn folds(&self) -> &[Vec<usize>] {
        &self.folds
    }

    /// For each fold, its samples for validation and all others for training.
    pub fn splits(&self) -> impl Iterator<Item = Split> + '_ {
        self.folds.iter().enumerate().map(|(held, valid)| {
            let others = self
                .folds
                .iter()
                .enumerate()
                .filter(|&(fold, _)| fold != held);
            let mut train: Vec<usize> = others.flat_map(|(_, fold)| fold).copied().collect();
            train.sort_unstable();
            Split {
                train,
                valid: valid.clone(),
                test: Vec::new(),
            }
        })
    }

    /// The fold of each sample `[n_samples]`.
    pub fn fold_of_samples(&self) -> Vec<usize> {
        let mut fold_of = vec![0; self.folds.iter().map(Vec::len).sum()];
        for (fold, samples) in self.folds.iter().enumerate() {
            for &index in samples {
                fold_of[index] = fold;
            }
        }
        fold_of
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn count(part: &[usize], labels: &[usize], class: usize) -> usize {
        part.iter().filter(|&&index| labels[index] == class).count()
    }

    #[test]
    fn groups_stay_together_and_classes_are_spread() {
        // Twelve subjects of five samples; four of them have the rare class.
        let labels: Vec<usize> = (0..60)
            .map(|i| usize::from(i / 5 % 3 == 0 && i % 5 == 0))
            .collect();
        let groups: Vec<String> = (0..60).map(|index| format!("s{}", index / 5)).collect();

        let folds = Folds::stratified(&labels, Some(&groups), 4, 3).unwrap();

        let fold_of = folds.fold_of_samples();
        for samples in (0..60).collect::<Vec<_>>().chunks(5) {
            assert!(
                samples
                    .iter()
                    .all(|&index| fold_of[index] == fold_of[samples[0]])
            );
        }
        for fold in folds.folds() {
            assert_eq!((fold.len(), count(fold, &labels, 1)), (15, 1));
        }
    }

    #[test]
    fn folds_that_cannot_be_are_refused_with_what_can() {
        let refusal = |groups: Option<&[String]>, n_folds| {
            Folds::stratified(&[0, 1, 0], groups, n_folds, 0)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refusal(None, 5),
            "5 folds were asked for, expected 2 to 3, the number of samples"
        );
        assert_eq!(
            refusal(None, 1),
            "1 folds were asked for, expected 2 to 3, the number of samples"
        );
        let groups = ["a", "a", "b"].map(str::to_owned);
        assert_eq!(
            refusal(Some(&groups), 3),
            "3 folds were asked for, expected 2 to 2, the number of groups"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn folds_are_disjoint_exhaustive_and_stratified(
            labels in prop::collection::vec(0usize..4, 10..80),
            n_folds in 2usize..8,
            seed: u64,
        ) {
            let Ok(folds) = Folds::stratified(&labels, None, n_folds, seed) else {
                return Err(TestCaseError::fail("ten samples make eight folds"));
            };
            let mut all = folds.folds().concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>());
            for class in 0..4 {
                let counts = folds.folds().iter().map(|fold| count(fold, &labels, class));
                let (low, high) = counts.fold((usize::MAX, 0), |(l, h), n| (l.min(n), h.max(n)));
                prop_assert!(high - low <= 1, "{low} to {high} of class {class}");
            }
            let sizes = folds.folds().iter().map(Vec::len);
            let (low, high) = sizes.fold((usize::MAX, 0), |(l, h), n| (l.min(n), h.max(n)));
            prop_assert!(high - low <= 1);
        }
    }
}
