//! What puts scores in doubt: samples on both sides of a split, variates that name the sample.

use std::collections::{BTreeSet, HashMap, HashSet};

use xxhash_rust::xxh3::Xxh3;

use crate::data::{Series, SeriesDataset};
use crate::page::Finding;

/// Fewer samples may well have different constants by chance.
const FEW_SAMPLES: usize = 8;
/// Names that a finding lists at most.
const LISTED: usize = 5;

/// What the checks found, or that they found nothing.
pub(super) fn findings(
    train: Option<&SeriesDataset>,
    test: Option<&SeriesDataset>,
    classes: &[String],
    variate_names: &[String],
) -> Vec<Finding> {
    let mut found = Vec::new();
    if let (Some(train), Some(test)) = (train, test) {
        found.extend(on_both_sides(train, test));
        found.extend(shared_groups(train, test));
    }
    found.extend(train.and_then(contradictions));
    let any = train.or(test);
    found.extend(any.and_then(|set| naming_variates(set, variate_names)));
    found.extend(test.and_then(|set| unknown_classes(set, classes)));
    if found.is_empty() {
        let shared = match (train, test) {
            (Some(_), Some(_)) => "No test series or group is among the training samples, and no",
            _ => "No",
        };
        found.push(Finding {
            warning: false,
            text: format!("{shared} variate looks like an identifier of the samples."),
        });
    }
    found
}

fn warning(text: String) -> Finding {
    Finding {
        warning: true,
        text,
    }
}

/// Equal series, equal hashes.
fn hash(series: &Series) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&(series.n_steps() as u64).to_le_bytes());
    for &value in series.values() {
        // One missing value is like another; so are both zeros.
        let value = if value.is_nan() {
            f32::NAN
        } else {
            value + 0.0
        };
        hash.update(&value.to_bits().to_le_bytes());
    }
    for time in series.times().unwrap_or_default() {
        hash.update(&time.to_bits().to_le_bytes());
    }
    hash.digest128()
}

fn on_both_sides(train: &SeriesDataset, test: &SeriesDataset) -> Option<Finding> {
    let samples = train.samples().iter();
    let seen: HashSet<u128> = samples.map(|sample| hash(&sample.series)).collect();
    let samples = test.samples().iter();
    let n = samples
        .filter(|sample| seen.contains(&hash(&sample.series)))
        .count();
    (n > 0).then(|| {
        warning(format!(
            "{n} of {} test series are also training series: the test score is too good by them.",
            test.len()
        ))
    })
}

fn shared_groups(train: &SeriesDataset, test: &SeriesDataset) -> Option<Finding> {
    let seen: BTreeSet<&String> = train.groups()?.iter().collect();
    let groups: BTreeSet<&String> = test.groups()?.iter().collect();
    let shared: Vec<&str> = groups
        .intersection(&seen)
        .map(|group| group.as_str())
        .collect();
    (!shared.is_empty()).then(|| {
        warning(format!(
            "{} of {} test groups are also training groups ({}): the score says little about new \
             groups.",
            shared.len(),
            groups.len(),
            listed(&shared)
        ))
    })
}

/// Equal training series of different classes.
fn contradictions(train: &SeriesDataset) -> Option<Finding> {
    let mut classes: HashMap<u128, (usize, bool)> = HashMap::new();
    for sample in train.samples() {
        let seen = classes.entry(hash(&sample.series));
        let (label, differs) = seen.or_insert((sample.label, false));
        *differs |= *label != sample.label;
    }
    let n = classes.values().filter(|(_, differs)| *differs).count();
    (n > 0).then(|| {
        warning(format!(
            "{n} training series occur more than once, with different classes."
        ))
    })
}

/// Variates that are constant within every sample, and another constant in each.
fn naming_variates(set: &SeriesDataset, names: &[String]) -> Option<Finding> {
    let names_samples = |variate: &usize| {
        let constants = set.samples().iter().map(|sample| {
            let mut values = sample.series.variate(*variate);
            let first = values.next().filter(|value| !value.is_nan())?;
            values.all(|value| value == first).then(|| first.to_bits())
        });
        let constants: Option<HashSet<u32>> = constants.collect();
        constants.is_some_and(|distinct| distinct.len() == set.len())
    };
    // The values of a single step are always constant.
    let long = set.samples().iter().all(|s| s.series.n_steps() > 1);
    if !long || set.len() < FEW_SAMPLES {
        return None;
    }
    let found = (0..set.n_variates()).filter(names_samples);
    let found: Vec<&str> = found.map(|variate| names[variate].as_str()).collect();
    (!found.is_empty()).then(|| {
        warning(format!(
            "Constant within every sample and different in each, as an identifier is: {}.",
            listed(&found)
        ))
    })
}

fn unknown_classes(test: &SeriesDataset, classes: &[String]) -> Option<Finding> {
    let known: HashSet<&String> = classes.iter().collect();
    let counts = test.class_names().iter().zip(test.class_counts());
    let unknown = counts.filter(|(name, count)| *count > 0 && !known.contains(name));
    let unknown: Vec<&str> = unknown.map(|(name, _)| name.as_str()).collect();
    (!unknown.is_empty()).then(|| {
        warning(format!(
            "The model does not know {} of the classes in the test set: {}.",
            unknown.len(),
            listed(&unknown)
        ))
    })
}

/// The first names, and how many more there are.
fn listed(names: &[&str]) -> String {
    let first = names[..names.len().min(LISTED)].join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LabeledSeries, Metadata, TextColumn};

    /// A set of one variate a list of `(values, label)`.
    fn set(samples: &[([f32; 3], usize)], group: &str) -> SeriesDataset {
        let columns = samples.iter().zip(0..).map(|((values, label), id)| {
            let series = Series::new(values.to_vec(), 3, 1).unwrap();
            LabeledSeries {
                id,
                series,
                label: *label,
            }
        });
        let classes = vec!["a".to_owned(), "b".to_owned()];
        let groups = TextColumn {
            name: "subject".to_owned(),
            values: vec![group.to_owned(); samples.len()],
        };
        SeriesDataset::new("set", classes, columns.collect())
            .and_then(|set| {
                set.with_metadata(Metadata {
                    groups: Some(groups),
                    ..Metadata::default()
                })
            })
            .unwrap()
    }

    fn texts(train: &SeriesDataset, test: &SeriesDataset, classes: &[&str]) -> Vec<String> {
        let classes: Vec<String> = classes.iter().map(|name| (*name).to_owned()).collect();
        let found = findings(Some(train), Some(test), &classes, &["level".to_owned()]);
        found.into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn each_leak_is_named() {
        let train = set(
            &[([1.0, 2.0, f32::NAN], 0), ([1.0, 2.0, f32::NAN], 1)],
            "anna",
        );
        let test = set(&[([1.0, 2.0, -f32::NAN], 0), ([0.0, 2.0, 3.0], 1)], "anna");
        let found = texts(&train, &test, &["a"]);
        assert!(found[0].contains("1 of 2 test series"), "{found:?}");
        assert!(found[1].contains("anna"), "{found:?}");
        assert!(found[2].contains("different classes"), "{found:?}");
        assert!(found[3].contains("does not know 1"), "{found:?}");
    }

    #[test]
    fn a_variate_that_names_the_sample_is_found_and_a_clean_set_is_clean() {
        let rows = |slope: f32| -> Vec<([f32; 3], usize)> {
            let row = |i: u8| [0.0, 1.0, 2.0].map(|step| f32::from(i) + slope * step);
            (0..9).map(|i| (row(i), usize::from(i % 2))).collect()
        };
        let other = set(&[([9.0, 8.0, 7.0], 0), ([9.0, 8.0, 6.0], 1)], "bert");
        let found = texts(&set(&rows(0.0), "anna"), &other, &["a", "b"]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("level"), "{found:?}");
        let found = texts(&set(&rows(0.5), "anna"), &other, &["a", "b"]);
        assert!(found[0].starts_with("No test series"), "{found:?}");
    }
}
