//! Splits that keep groups together, and splits in order.

use std::collections::{BTreeMap, HashMap};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Split, SplitError, SplitFractions, whole};

/// Samples that stay together.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    pub(super) samples: Vec<usize>,
    /// Number of samples of each class `[n_classes]`.
    counts: Vec<f64>,
}

/// Parts that units are dealt to, each with the samples of each class that it lacks.
pub(super) struct Parts {
    lacks: Vec<Vec<f64>>,
    totals: Vec<f64>,
    pub(super) units: Vec<Vec<Unit>>,
}

impl Split {
    /// Splits samples so that no group is in two parts, and every class is represented as in the
    /// whole as far as groups allow.
    ///
    /// # Shapes
    ///
    /// - `labels`, `groups`: `[n_samples]`
    ///
    /// # Errors
    ///
    /// [`SplitError::NoSamples`], [`SplitError::Fraction`], [`SplitError::NoTraining`],
    /// [`SplitError::GroupCount`], and [`SplitError::TooFew`] if there are fewer groups than parts.
    pub fn grouped(
        labels: &[usize],
        groups: &[String],
        fractions: SplitFractions,
        seed: u64,
    ) -> Result<Self, SplitError> {
        fractions.validate()?;
        let mut units = units(labels, groups)?;
        check_parts(units.len(), "groups", fractions)?;
        let shares = [
            1.0 - fractions.valid - fractions.test,
            fractions.valid,
            fractions.test,
        ];
        deal_order(&mut units, seed);
        let mut parts = Parts::new(&units, &shares);
        units.into_iter().for_each(|unit| parts.take(unit));
        parts.fill(&shares);
        let mut parts = parts.units.into_iter().map(samples_of);
        let mut next = || parts.next().unwrap_or_default();
        Ok(Self {
            train: next(),
            valid: next(),
            test: next(),
        })
    }

    /// Splits samples by their order: the last ones are for the test, those before for validation.
    /// With groups, in the order of their first samples, none is in two parts.
    ///
    /// # Errors
    ///
    /// [`SplitError::NoSamples`], [`SplitError::Fraction`], [`SplitError::NoTraining`],
    /// [`SplitError::GroupCount`] and [`SplitError::TooFew`].
    pub fn ordered(
        n_samples: usize,
        groups: Option<&[String]>,
        fractions: SplitFractions,
    ) -> Result<Self, SplitError> {
        fractions.validate()?;
        if n_samples == 0 {
            return Err(SplitError::NoSamples);
        }
        let units: Vec<Vec<usize>> = match groups {
            None => (0..n_samples).map(|index| vec![index]).collect(),
            Some(groups) => {
                let units = units(&vec![0; n_samples], groups)?;
                units.into_iter().map(|unit| unit.samples).collect()
            }
        };
        let of = if groups.is_some() {
            "groups"
        } else {
            "samples"
        };
        check_parts(units.len(), of, fractions)?;
        let mut left = units;
        let test = take_last(&mut left, fractions.test, n_samples, fractions.valid > 0.0);
        let valid = take_last(&mut left, fractions.valid, n_samples, false);
        let mut train = left.concat();
        train.sort_unstable();
        Ok(Self { train, valid, test })
    }
}

/// Takes units from the end until they are the fraction of all samples that is nearest, at least
/// one; one stays for training, and one for another part if there is one.
fn take_last(
    units: &mut Vec<Vec<usize>>,
    fraction: f64,
    n_samples: usize,
    other: bool,
) -> Vec<usize> {
    if fraction == 0.0 {
        return Vec::new();
    }
    let wanted = whole((n_samples as f64 * fraction).round()).max(1);
    let keep = if other { 2 } else { 1 };
    let mut taken: Vec<usize> = Vec::new();
    while units.len() > keep {
        let size = units.last().map_or(0, Vec::len);
        let nearer = (taken.len() + size).abs_diff(wanted) < taken.len().abs_diff(wanted);
        if !(taken.is_empty() || nearer) {
            break;
        }
        taken.extend(units.pop().unwrap_or_default());
    }
    taken.sort_unstable();
    taken
}

fn check_parts(
    n_units: usize,
    of: &'static str,
    fractions: SplitFractions,
) -> Result<(), SplitError> {
    let n_parts = 1 + usize::from(fractions.valid > 0.0) + usize::from(fractions.test > 0.0);
    match n_units < n_parts {
        true => Err(SplitError::TooFew {
            n_units,
            of,
            n_parts,
        }),
        false => Ok(()),
    }
}

/// The samples of each group, in the order of their first samples.
pub(super) fn units(labels: &[usize], groups: &[String]) -> Result<Vec<Unit>, SplitError> {
    if labels.is_empty() {
        return Err(SplitError::NoSamples);
    }
    if labels.len() != groups.len() {
        return Err(SplitError::GroupCount {
            found: groups.len(),
            n_samples: labels.len(),
        });
    }
    let n_classes = labels.iter().max().map_or(0, |&label| label + 1);
    let mut number: HashMap<&str, usize> = HashMap::new();
    let mut units: Vec<Unit> = Vec::new();
    for (index, (&label, group)) in labels.iter().zip(groups).enumerate() {
        let unit = *number.entry(group).or_insert_with(|| {
            units.push(Unit {
                samples: Vec::new(),
                counts: vec![0.0; n_classes],
            });
            units.len() - 1
        });
        units[unit].samples.push(index);
        units[unit].counts[label] += 1.0;
    }
    Ok(units)
}

/// Puts units in a random order, large ones first: small ones then even out what large ones leave.
pub(super) fn deal_order(units: &mut [Unit], seed: u64) {
    units.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    units.sort_by_key(|unit| std::cmp::Reverse(unit.samples.len()));
}

pub(super) fn samples_of(units: Vec<Unit>) -> Vec<usize> {
    let mut samples: Vec<usize> = units.into_iter().flat_map(|unit| unit.samples).collect();
    samples.sort_unstable();
    samples
}

impl Parts {
    /// Empty parts that are to hold the given shares of every class.
    pub(super) fn new(units: &[Unit], shares: &[f64]) -> Self {
        let mut totals: BTreeMap<usize, f64> = BTreeMap::new();
        for unit in units {
            for (class, count) in unit.counts.iter().enumerate() {
                *totals.entry(class).or_default() += count;
            }
        }
        let totals: Vec<f64> = totals.into_values().collect();
        let lacks = shares
            .iter()
            .map(|share| totals.iter().map(|n| n * share).collect());
        Self {
            lacks: lacks.collect(),
            totals,
            units: vec![Vec::new(); shares.len()],
        }
    }

    /// Gives a unit to the part that lacks its samples most: rare classes weigh as much as others.
    pub(super) fn take(&mut self, unit: Unit) {
        let totals = &self.totals;
        let need = |lacks: &Vec<f64>| -> f64 {
            let classes = unit.counts.iter().zip(lacks).zip(totals);
            classes
                .map(|((count, lack), total)| count * lack / total.max(1.0))
                .sum()
        };
        let parts = (0..self.lacks.len()).rev();
        let part = parts.max_by(|&a, &b| need(&self.lacks[a]).total_cmp(&need(&self.lacks[b])));
        let part = part.unwrap_or_default();
        for (lack, count) in self.lacks[part].iter_mut().zip(&unit.counts) {
            *lack -= count;
        }
        self.units[part].push(unit);
    }

    /// Gives parts that are to hold something, and have got nothing, the smallest unit of the part
    /// that has most.
    pub(super) fn fill(&mut self, shares: &[f64]) {
        for part in 0..shares.len() {
            if shares[part] == 0.0 || !self.units[part].is_empty() {
                continue;
            }
            let richest = (0..shares.len()).max_by_key(|&other| self.units[other].len());
            // Units are dealt large ones first.
            let unit = richest.and_then(|richest| self.units[richest].pop());
            self.units[part].extend(unit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Ten subjects of nine samples of three classes.
    fn subjects() -> (Vec<usize>, Vec<String>) {
        let labels = (0..90).map(|index| index % 3).collect();
        (
            labels,
            (0..90).map(|index| format!("s{}", index / 9)).collect(),
        )
    }

    #[test]
    fn no_group_is_in_two_parts_and_classes_are_represented() {
        let (labels, groups) = subjects();
        let fractions = SplitFractions {
            valid: 0.2,
            test: 0.3,
        };

        let split = Split::grouped(&labels, &groups, fractions, 5).unwrap();

        assert_eq!(
            (split.train.len(), split.valid.len(), split.test.len()),
            (45, 18, 27)
        );
        let of = |part: &[usize]| {
            let mut of: Vec<String> = part.iter().map(|&index| groups[index].clone()).collect();
            of.dedup();
            of
        };
        for (a, b) in [
            (&split.train, &split.valid),
            (&split.train, &split.test),
            (&split.valid, &split.test),
        ] {
            assert!(of(a).iter().all(|group| !of(b).contains(group)));
        }
        for class in 0..3 {
            assert_eq!(
                split
                    .test
                    .iter()
                    .filter(|&&index| labels[index] == class)
                    .count(),
                9
            );
        }
        assert_eq!(
            split,
            Split::grouped(&labels, &groups, fractions, 5).unwrap()
        );
        assert_ne!(
            split,
            Split::grouped(&labels, &groups, fractions, 6).unwrap()
        );
    }

    #[test]
    fn every_part_that_is_asked_for_has_a_group() {
        let labels = [0, 1, 0, 1, 0, 1];
        let groups = groups(&["a", "a", "b", "b", "c", "c"]);
        let fractions = SplitFractions {
            valid: 0.05,
            test: 0.05,
        };
        let split = Split::grouped(&labels, &groups, fractions, 1).unwrap();
        assert_eq!(
            (split.train.len(), split.valid.len(), split.test.len()),
            (2, 2, 2)
        );
    }

    #[test]
    fn too_few_groups_are_refused_with_numbers() {
        let fractions = SplitFractions {
            valid: 0.2,
            test: 0.2,
        };
        let error =
            Split::grouped(&[0, 1, 0], &groups(&["a", "a", "b"]), fractions, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 groups cannot be in 3 parts, expected at least 3 groups, or fewer parts (a fraction \
             of 0)"
        );
        let error = Split::grouped(&[0, 1], &groups(&["a"]), fractions, 1).unwrap_err();
        assert_eq!(
            error,
            SplitError::GroupCount {
                found: 1,
                n_samples: 2
            }
        );
    }

    #[test]
    fn an_ordered_split_ends_with_the_test() {
        let fractions = SplitFractions {
            valid: 0.2,
            test: 0.3,
        };
        let split = Split::ordered(10, None, fractions).unwrap();
        assert_eq!(split.train, [0, 1, 2, 3, 4]);
        assert_eq!((split.valid, split.test), (vec![5, 6], vec![7, 8, 9]));

        let recordings = groups(&["a", "a", "a", "b", "b", "b", "c", "c", "c", "c"]);
        let split = Split::ordered(10, Some(&recordings), fractions).unwrap();
        assert_eq!((split.train, split.valid), (vec![0, 1, 2], vec![3, 4, 5]));
        assert_eq!(split.test, [6, 7, 8, 9]);
        assert!(Split::ordered(2, None, fractions).is_err());
    }
}
