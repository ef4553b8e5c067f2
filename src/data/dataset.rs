//! `SeriesDataset`: labeled series with their class names, checked when it is made.

use std::collections::{BTreeSet, HashSet};

use super::classes::class_of_label;
use super::{LabeledSeries, Metadata, SeriesError, TimeGrid};

/// Labeled series that share their variates and their classes.
///
/// Checked on construction: at least one sample, one number of variates throughout, every label
/// below the number of classes, every id and every class name once. Lengths may differ.
///
/// # Examples
///
/// ```
/// use timesclip::data::{LabeledSeries, Series, SeriesDataset};
///
/// let sample = |id, values: Vec<f32>, label| {
///     let n_steps = values.len();
///     Series::new(values, n_steps, 1).map(|series| LabeledSeries { id, series, label })
/// };
/// let samples = vec![sample(0, vec![1.0, 2.0], 0)?, sample(1, vec![3.0, 2.0, 1.0], 1)?];
/// let dataset = SeriesDataset::new("slopes", vec!["up".into(), "down".into()], samples)?;
///
/// assert_eq!(dataset.n_variates(), 1);
/// assert_eq!(dataset.max_steps(), 3);
/// # Ok::<(), timesclip::data::SeriesError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesDataset {
    name: String,
    class_names: Vec<String>,
    samples: Vec<LabeledSeries>,
    metadata: Metadata,
}

/// A data set with the classes of a model, and what did not fit.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassMatch {
    /// The set. Its classes are those of the model, then the unseen ones: a prediction is never
    /// right for a sample of those.
    pub dataset: SeriesDataset,
    /// Classes of samples that the model does not know, and the number of their samples.
    pub unseen: Vec<(String, usize)>,
    /// Classes of the model that no sample has.
    pub absent: Vec<String>,
}

impl SeriesDataset {
    /// Makes a data set; a label is an index into `class_names`.
    ///
    /// # Errors
    ///
    /// [`SeriesError::NoSamples`], [`SeriesError::DuplicateClass`], [`SeriesError::DuplicateId`],
    /// [`SeriesError::VariateCount`] and [`SeriesError::LabelOutOfRange`].
    pub fn new(
        name: impl Into<String>,
        class_names: Vec<String>,
        samples: Vec<LabeledSeries>,
    ) -> Result<Self, SeriesError> {
        let dataset = Self {
            name: name.into(),
            class_names,
            samples,
            metadata: Metadata::default(),
        };
        dataset.check_class_names()?;
        dataset.check_samples()?;
        Ok(dataset)
    }

    /// The set with names of its variates, and with ids, groups and weights of its samples.
    ///
    /// # Errors
    ///
    /// [`SeriesError::Metadata`] if there is not one entry for each sample or variate, and
    /// [`SeriesError::Weight`].
    pub fn with_metadata(mut self, metadata: Metadata) -> Result<Self, SeriesError> {
        metadata.check(&self.samples)?;
        self.metadata = metadata;
        Ok(self)
    }

    /// Names of the variates, and ids, groups and weights of the samples, as far as known.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Names of the variates; empty where they have none.
    pub fn variate_names(&self) -> &[String] {
        &self.metadata.variates
    }

    /// The group of each sample, if there are groups.
    pub fn groups(&self) -> Option<&[String]> {
        self.metadata
            .groups
            .as_ref()
            .map(|column| column.values.as_slice())
    }

    /// The group of each sample as a number, if there are at least two groups.
    pub fn group_numbers(&self) -> Option<Vec<usize>> {
        let names = self.groups()?;
        let distinct: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let number = |name: &String| distinct.range(..name.as_str()).count();
        (distinct.len() > 1).then(|| names.iter().map(number).collect())
    }

    /// Whether the sample at an index has a label; those without have a class without a name.
    pub fn is_labeled(&self, index: usize) -> bool {
        let class = self.samples.get(index).map(|sample| sample.label);
        class.is_some_and(|class| !self.class_names[class].is_empty())
    }

    /// The label of each sample `[n_samples]`.
    pub fn labels(&self) -> Vec<usize> {
        self.samples.iter().map(|sample| sample.label).collect()
    }

    /// Name of the set, for people: usually that of its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of the classes; a label is an index into them.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Number of classes, with or without samples.
    pub fn n_classes(&self) -> usize {
        self.class_names.len()
    }

    /// Number of variates of every sample.
    pub fn n_variates(&self) -> usize {
        self.samples[0].series.n_variates()
    }

    /// Number of time steps of the longest sample.
    pub fn max_steps(&self) -> usize {
        self.samples
            .iter()
            .map(|sample| sample.series.n_steps())
            .max()
            .unwrap_or_default()
    }

    /// Number of samples, at least one.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Always false: a data set without samples cannot be made.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// All samples.
    pub fn samples(&self) -> &[LabeledSeries] {
        &self.samples
    }

    /// The sample at one index, which is not its id; `None` out of range.
    pub fn get(&self, index: usize) -> Option<&LabeledSeries> {
        self.samples.get(index)
    }

    /// Number of samples of each class `[n_classes]`.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_classes()];
        for sample in &self.samples {
            counts[sample.label] += 1;
        }
        counts
    }

    /// The samples at the given indices, in that order, with their ids and all class names.
    ///
    /// # Errors
    ///
    /// [`SeriesError::IndexOutOfRange`], [`SeriesError::DuplicateId`] if an index is given twice,
    /// and [`SeriesError::NoSamples`] if there is none.
    pub fn subset(&self, indices: &[usize]) -> Result<Self, SeriesError> {
        let pick = |&index: &usize| {
            let len = self.len();
            self.get(index)
                .cloned()
                .ok_or(SeriesError::IndexOutOfRange { index, len })
        };
        let samples = indices.iter().map(pick).collect::<Result<_, _>>()?;
        let subset = Self::new(self.name.clone(), self.class_names.clone(), samples)?;
        subset.with_metadata(self.metadata.subset(indices))
    }

    /// The set with only the first `n_steps` steps of every series; shorter ones stay as they are.
    ///
    /// # Errors
    ///
    /// [`SeriesError::NoSteps`] if `n_steps` is zero.
    pub fn truncated(&self, n_steps: usize) -> Result<Self, SeriesError> {
        let mut dataset = self.clone();
        for sample in &mut dataset.samples {
            sample.series = sample.series.truncated(n_steps)?;
        }
        Ok(dataset)
    }

    /// The set with every unevenly spaced series on a grid of times.
    #[must_use]
    pub fn on_grid(&self, grid: &TimeGrid) -> Self {
        let mut dataset = self.clone();
        for sample in &mut dataset.samples {
            if let Some(series) = grid.place(&sample.series) {
                sample.series = series;
            }
        }
        dataset
    }

    /// The set with the classes of `training`: labels are moved, by class name, to its order.
    ///
    /// A file for testing may list its classes in another order, or lack some, or write their
    /// names in another case or their numbers in another way (`1` and `1.0`); a name of the same
    /// spelling is preferred.
    ///
    /// # Errors
    ///
    /// [`SeriesError::UnseenClass`] if a sample has a class that no sample of `training` has.
    pub fn with_classes_of(&self, training: &Self) -> Result<Self, SeriesError> {
        let seen = training.class_counts();
        let label_in_training: Vec<Option<usize>> = self
            .class_names
            .iter()
            .map(|name| {
                class_of_label(&training.class_names, name).filter(|&label| seen[label] > 0)
            })
            .collect();
        let mut samples = self.samples.clone();
        for sample in &mut samples {
            sample.label = label_in_training[sample.label]
                .ok_or_else(|| self.unseen_class(sample, training))?;
        }
        let dataset = Self::new(self.name.clone(), training.class_names.clone(), samples)?;
        dataset.with_metadata(self.metadata.clone())
    }

    /// The set with the classes of a model: labels are moved, by class name, to its order.
    ///
    /// Unlike [`Self::with_classes_of`], this takes samples of classes that the model does not
    /// know: their classes follow those of the model. Samples without a label stay without.
    ///
    /// # Errors
    ///
    /// [`SeriesError::DuplicateClass`] if `class_names` names one twice.
    pub fn match_classes(&self, class_names: &[String]) -> Result<ClassMatch, SeriesError> {
        let mut names = class_names.to_vec();
        let counts = self.class_counts();
        let mut unseen = Vec::new();
        let mut place = vec![0; self.n_classes()];
        for (label, name) in self.class_names.iter().enumerate() {
            place[label] = match class_of_label(class_names, name) {
                Some(known) => known,
                None if counts[label] == 0 => continue,
                None => {
                    if !name.is_empty() {
                        unseen.push((name.clone(), counts[label]));
                    }
                    names.push(name.clone());
                    names.len() - 1
                }
            };
        }
        let mut samples = self.samples.clone();
        for sample in &mut samples {
            sample.label = place[sample.label];
        }
        let dataset = Self::new(self.name.clone(), names, samples)?;
        let counts = dataset.class_counts();
        let absent = class_names
            .iter()
            .zip(counts)
            .filter(|&(_, count)| count == 0);
        Ok(ClassMatch {
            absent: absent.map(|(name, _)| name.clone()).collect(),
            dataset: dataset.with_metadata(self.metadata.clone())?,
            unseen,
        })
    }

    /// For each class, its index among the classes of a model; `None` if the model does not know it.
    pub(crate) fn classes_among(&self, class_names: &[String]) -> Vec<Option<usize>> {
        let names = self.class_names.iter();
        names
            .map(|name| class_of_label(class_names, name))
            .collect()
    }

    /// Refuses a set that no classifier can learn from.
    ///
    /// # Errors
    ///
    /// [`SeriesError::OneClass`] if all samples have one class, and
    /// [`SeriesError::FewerSamplesThanClasses`].
    pub fn check_trainable(&self) -> Result<(), SeriesError> {
        let only = self.samples[0].label;
        if self.samples.iter().all(|sample| sample.label == only) {
            return Err(SeriesError::OneClass {
                dataset: self.name.clone(),
                class: self.class_names[only].clone(),
            });
        }
        if self.len() < self.n_classes() {
            return Err(SeriesError::FewerSamplesThanClasses {
                dataset: self.name.clone(),
                n_samples: self.len(),
                n_classes: self.n_classes(),
            });
        }
        Ok(())
    }

    fn check_class_names(&self) -> Result<(), SeriesError> {
        let mut names = HashSet::new();
        match self
            .class_names
            .iter()
            .find(|name| !names.insert(name.as_str()))
        {
            Some(class) => Err(SeriesError::DuplicateClass {
                class: class.clone(),
            }),
            None => Ok(()),
        }
    }

    fn check_samples(&self) -> Result<(), SeriesError> {
        let Some(first) = self.samples.first() else {
            return Err(SeriesError::NoSamples {
                dataset: self.name.clone(),
            });
        };
        let expected = first.series.n_variates();
        let n_classes = self.n_classes();
        let mut ids = HashSet::with_capacity(self.samples.len());
        for &LabeledSeries {
            id,
            ref series,
            label,
        } in &self.samples
        {
            let found = series.n_variates();
            if found != expected {
                return Err(SeriesError::VariateCount {
                    id,
                    found,
                    expected,
                });
            }
            if label >= n_classes {
                return Err(SeriesError::LabelOutOfRange {
                    id,
                    label,
                    n_classes,
                });
            }
            if !ids.insert(id) {
                return Err(SeriesError::DuplicateId { id });
            }
        }
        Ok(())
    }

    fn unseen_class(&self, sample: &LabeledSeries, training: &Self) -> SeriesError {
        let counts = training.class_counts();
        let seen = training
            .class_names
            .iter()
            .zip(counts)
            .filter(|&(_, count)| count > 0);
        SeriesError::UnseenClass {
            dataset: self.name.clone(),
            id: sample.id,
            class: self.class_names[sample.label].clone(),
            known: seen.map(|(name, _)| name.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Series, TextColumn};

    fn sample(id: u64, n_steps: usize, label: usize) -> LabeledSeries {
        let values = (0..n_steps)
            .flat_map(|step| [step as f32, id as f32])
            .collect();
        LabeledSeries {
            id,
            series: Series::new(values, n_steps, 2).unwrap(),
            label,
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn three_lengths() -> SeriesDataset {
        let samples = vec![sample(10, 4, 1), sample(11, 7, 0), sample(12, 2, 1)];
        SeriesDataset::new("three", names(&["a", "b"]), samples).unwrap()
    }

    #[test]
    fn a_set_knows_its_sizes() {
        let dataset = three_lengths();

        assert_eq!(dataset.name(), "three");
        assert_eq!((dataset.len(), dataset.is_empty()), (3, false));
        assert_eq!(
            (
                dataset.n_classes(),
                dataset.n_variates(),
                dataset.max_steps()
            ),
            (2, 2, 7)
        );
        assert_eq!(dataset.class_counts(), [1, 2]);
        assert_eq!(dataset.get(2).unwrap().id, 12);
        assert_eq!(dataset.get(3), None);
    }

    #[test]
    fn each_defect_of_a_set_is_named() {
        let make = |classes: &[&str], samples| {
            SeriesDataset::new("bad", names(classes), samples).unwrap_err()
        };
        let one_variate = LabeledSeries {
            id: 5,
            series: Series::new(vec![0.0], 1, 1).unwrap(),
            label: 0,
        };

        let no_samples = SeriesError::NoSamples {
            dataset: "bad".to_owned(),
        };
        assert_eq!(make(&["a"], vec![]), no_samples);
        let duplicate_class = SeriesError::DuplicateClass {
            class: "a".to_owned(),
        };
        assert_eq!(make(&["a", "a"], vec![sample(0, 1, 0)]), duplicate_class);
        assert_eq!(
            make(&["a"], vec![sample(0, 1, 0), one_variate]),
            SeriesError::VariateCount {
                id: 5,
                found: 1,
                expected: 2
            }
        );
        assert_eq!(
            make(&["a"], vec![sample(7, 1, 1)]),
            SeriesError::LabelOutOfRange {
                id: 7,
                label: 1,
                n_classes: 1
            }
        );
        assert_eq!(
            make(&["a"], vec![sample(7, 1, 0), sample(7, 2, 0)]),
            SeriesError::DuplicateId { id: 7 }
        );
    }

    #[test]
    fn a_subset_keeps_ids_order_and_class_names() {
        let subset = three_lengths().subset(&[2, 0]).unwrap();

        let ids: Vec<u64> = subset.samples().iter().map(|sample| sample.id).collect();
        assert_eq!(ids, [12, 10]);
        assert_eq!(subset.class_names(), ["a", "b"]);
        assert_eq!(subset.class_counts(), [0, 2]);
    }

    #[test]
    fn a_subset_of_other_than_distinct_samples_is_refused() {
        let dataset = three_lengths();

        assert_eq!(
            dataset.subset(&[3]),
            Err(SeriesError::IndexOutOfRange { index: 3, len: 3 })
        );
        assert_eq!(
            dataset.subset(&[1, 1]),
            Err(SeriesError::DuplicateId { id: 11 })
        );
        assert!(matches!(
            dataset.subset(&[]),
            Err(SeriesError::NoSamples { .. })
        ));
    }

    #[test]
    fn truncation_shortens_only_longer_series() {
        let dataset = three_lengths();

        let short = dataset.truncated(3).unwrap();

        let lengths: Vec<usize> = short.samples().iter().map(|s| s.series.n_steps()).collect();
        assert_eq!(lengths, [3, 3, 2]);
        assert_eq!(short.samples()[1].id, 11);
        assert_eq!(
            short.samples()[1].series,
            dataset.samples()[1].series.truncated(3).unwrap()
        );
        assert_eq!(dataset.truncated(0), Err(SeriesError::NoSteps));
    }

    #[test]
    fn classes_are_matched_by_name_not_by_position() {
        let training = three_lengths();
        let samples = vec![sample(0, 1, 0), sample(1, 1, 2)];
        let test = SeriesDataset::new("test", names(&["B", "unused", "a"]), samples).unwrap();

        let test = test.with_classes_of(&training).unwrap();

        let labels: Vec<usize> = test.samples().iter().map(|sample| sample.label).collect();
        assert_eq!(labels, [1, 0]);
        assert_eq!(test.class_names(), training.class_names());
    }

    #[test]
    fn classes_that_a_model_does_not_know_are_counted_and_stand_behind_its_own() {
        let samples = vec![
            sample(0, 1, 0),
            sample(1, 1, 2),
            sample(2, 1, 2),
            sample(3, 1, 3),
        ];
        let test = SeriesDataset::new("test", names(&["b", "none", "new", ""]), samples).unwrap();

        let found = test.match_classes(&names(&["a", "b"])).unwrap();

        assert_eq!(found.unseen, [("new".to_owned(), 2)]);
        assert_eq!(found.absent, ["a"]);
        assert_eq!(found.dataset.class_names(), ["a", "b", "new", ""]);
        assert_eq!(found.dataset.labels(), [1, 2, 2, 3]);
        assert!(found.dataset.is_labeled(1) && !found.dataset.is_labeled(3));
    }

    #[test]
    fn classes_are_matched_however_their_numbers_are_spelled() {
        let samples = vec![sample(0, 1, 1), sample(1, 1, 0), sample(2, 1, 2)];
        let test = SeriesDataset::new("test", names(&["2", "1", "3"]), samples).unwrap();
        let model = names(&["1.0", "2.0"]);

        let found = test.match_classes(&model).unwrap();

        assert_eq!(found.dataset.labels(), [0, 1, 2]);
        assert_eq!(found.unseen, [("3".to_owned(), 1)]);
        assert_eq!(test.classes_among(&model), [Some(1), Some(0), None]);
        let samples = vec![sample(0, 1, 0), sample(1, 1, 1), sample(2, 1, 2)];
        let training = SeriesDataset::new("train", names(&["1.0", "2.0", "3.0"]), samples);
        let moved = test.with_classes_of(&training.unwrap()).unwrap();
        assert_eq!(moved.labels(), [0, 1, 2]);
    }

    #[test]
    fn metadata_go_with_the_samples() {
        let text = |name: &str, values: [&str; 3]| TextColumn {
            name: name.to_owned(),
            values: values.map(str::to_owned).to_vec(),
        };
        let metadata = Metadata {
            variates: names(&["x", "y"]),
            ids: vec![text("id", ["p", "q", "r"])],
            groups: Some(text("subject", ["s", "s", "t"])),
            weights: Some(vec![1.0, 2.0, 0.5]),
        };
        let dataset = three_lengths().with_metadata(metadata.clone()).unwrap();

        let subset = dataset.subset(&[2, 0]).unwrap();

        assert_eq!(subset.variate_names(), ["x", "y"]);
        assert_eq!(subset.metadata().ids[0].values, ["r", "p"]);
        assert_eq!(subset.groups(), Some(&names(&["t", "s"])[..]));
        assert_eq!(subset.metadata().weights, Some(vec![0.5, 1.0]));

        let fewer = Metadata {
            weights: Some(vec![1.0]),
            ..metadata.clone()
        };
        let error = three_lengths().with_metadata(fewer).unwrap_err();
        assert_eq!(error.to_string(), "the weights have 1 entries, expected 3");
        let negative = Metadata {
            weights: Some(vec![1.0, -1.0, 0.0]),
            ..metadata
        };
        let error = three_lengths().with_metadata(negative).unwrap_err();
        assert_eq!(
            error,
            SeriesError::Weight {
                id: 11,
                weight: -1.0
            }
        );
    }

    #[test]
    fn a_class_that_training_never_saw_is_named() {
        // "c" is a class of the training set, but none of its samples has it.
        let training = SeriesDataset::new(
            "train",
            names(&["a", "b", "c"]),
            vec![sample(0, 1, 0), sample(1, 1, 1)],
        )
        .unwrap();
        let test = |class| {
            SeriesDataset::new(
                "test",
                names(&["a", class]),
                vec![sample(3, 1, 0), sample(4, 1, 1)],
            )
            .unwrap()
            .with_classes_of(&training)
        };

        assert!(test("b").is_ok(), "b has a training sample");
        for class in ["c", "d"] {
            assert_eq!(
                test(class).unwrap_err().to_string(),
                format!(
                    "sample 4 of `test` has the class `{class}`, which training never saw, \
                     expected one of: a, b"
                )
            );
        }
    }

    #[test]
    fn only_sets_with_something_to_tell_apart_are_trainable() {
        let make = |classes: &[&str], samples| {
            SeriesDataset::new("set", names(classes), samples)
                .unwrap()
                .check_trainable()
        };

        assert_eq!(
            make(&["a", "b"], vec![sample(0, 1, 0), sample(1, 1, 1)]),
            Ok(())
        );
        assert_eq!(
            make(&["a", "b"], vec![sample(0, 1, 1), sample(1, 1, 1)]),
            Err(SeriesError::OneClass {
                dataset: "set".to_owned(),
                class: "b".to_owned()
            })
        );
        assert_eq!(
            make(&["a", "b", "c"], vec![sample(0, 1, 0), sample(1, 1, 1)]),
            Err(SeriesError::FewerSamplesThanClasses {
                dataset: "set".to_owned(),
                n_samples: 2,
                n_classes: 3
            })
        );
    }
}
