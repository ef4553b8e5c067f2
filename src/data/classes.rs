//! From the labels written in a file to class indices.

use std::borrow::Cow;
use std::collections::HashMap;

use super::LabeledSeries;

/// Index of the class called `name`: spelt alike, or else the only one that differs in case.
pub(super) fn find_class(class_names: &[String], name: &str) -> Option<usize> {
    let same = class_names.iter().position(|class| class == name);
    same.or_else(|| {
        let name = name.to_lowercase();
        let mut alike = (0..class_names.len()).filter(|&i| class_names[i].to_lowercase() == name);
        alike.next().filter(|_| alike.next().is_none())
    })
}

/// The name of a class: `1.0` and `1.0000000e+00` are `1`, as `1.50` is `1.5`. Text stays as it is,
/// and so do whole numbers, because `007` is a code.
fn canonical(label: &str) -> Cow<'_, str> {
    let digits = |byte: u8| byte.is_ascii_digit() || b".eE+-".contains(&byte);
    let number = match label.contains('.') && label.bytes().all(digits) {
        true => label.parse().ok().filter(|number: &f64| number.is_finite()),
        false => None,
    };
    match number {
        Some(0.0) => Cow::Borrowed("0"),
        Some(number) => Cow::Owned(number.to_string()),
        None => Cow::Borrowed(label),
    }
}

/// Index of the class that a label means. Either may spell a number in another way; a name of the
/// same spelling is preferred.
pub(super) fn class_of_label(class_names: &[String], label: &str) -> Option<usize> {
    let number = canonical(label);
    let found = find_class(class_names, label).or_else(|| find_class(class_names, &number));
    found.or_else(|| {
        let mut alike = (0..class_names.len()).filter(|&i| canonical(&class_names[i]) == number);
        alike.next().filter(|_| alike.next().is_none())
    })
}

/// The classes of a file while its rows are read.
#[derive(Debug)]
pub(super) struct Classes {
    names: Vec<String>,
    /// Every spelling met so far.
    spellings: HashMap<String, usize>,
    /// Whether the names were listed beforehand, so that no other is a class.
    listed: bool,
}

impl Classes {
    /// The classes that a header lists, in its order.
    pub(super) fn listed(names: Vec<String>) -> Self {
        Self {
            names,
            spellings: HashMap::new(),
            listed: true,
        }
    }

    /// No list: the labels of the rows are the classes.
    pub(super) fn from_rows() -> Self {
        Self {
            names: Vec::new(),
            spellings: HashMap::new(),
            listed: false,
        }
    }

    /// Index of the class without a name, that of samples without a label.
    pub(super) fn unlabeled(&mut self) -> usize {
        if let Some(&index) = self.spellings.get("") {
            return index;
        }
        self.names.push(String::new());
        self.spellings.insert(String::new(), self.names.len() - 1);
        self.names.len() - 1
    }

    /// Index of the class of a row; `None` if it is not among the listed ones.
    pub(super) fn index_of(&mut self, label: &str) -> Option<usize> {
        if let Some(&index) = self.spellings.get(label) {
            return Some(index);
        }
        let name = canonical(label);
        let index = if self.listed {
            class_of_label(&self.names, label)?
        } else if let Some(&index) = self.spellings.get(name.as_ref()) {
            index
        } else {
            self.names.push(name.clone().into_owned());
            self.names.len() - 1
        };
        self.spellings.insert(name.into_owned(), index);
        self.spellings.insert(label.to_owned(), index);
        Some(index)
    }

    /// The class names; those met in rows are sorted, and the labels of `samples` moved along.
    ///
    /// Names are sorted as numbers if all of them are numbers, else as text.
    pub(super) fn into_names(self, samples: &mut [LabeledSeries]) -> Vec<String> {
        if self.listed {
            return self.names;
        }
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_by(|&a, &b| self.names[a].cmp(&self.names[b]));
        // The class without a name, of samples without a label, is the last one.
        let number = |name: &String| {
            if name.is_empty() {
                Some(f64::NAN)
            } else {
                name.parse().ok()
            }
        };
        let numbers: Option<Vec<f64>> = self.names.iter().map(number).collect();
        if let Some(numbers) = numbers {
            order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
        }
        order.sort_by_key(|&met| self.names[met].is_empty());
        let mut place = vec![0; order.len()];
        for (sorted, &met) in order.iter().enumerate() {
            place[met] = sorted;
        }
        for sample in samples {
            sample.label = place[sample.label];
        }
        order
            .into_iter()
            .map(|met| self.names[met].clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Series;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Class names and labels of rows that carry the given labels.
    fn from_rows(rows: &[&str]) -> (Vec<String>, Vec<usize>) {
        let mut classes = Classes::from_rows();
        let mut samples: Vec<LabeledSeries> = (0..)
            .zip(rows)
            .map(|(id, row)| {
                let series = Series::new(vec![0.0], 1, 1).unwrap();
                LabeledSeries {
                    id,
                    series,
                    label: classes.index_of(row).unwrap(),
                }
            })
            .collect();
        let names = classes.into_names(&mut samples);
        (names, samples.iter().map(|sample| sample.label).collect())
    }

    #[test]
    fn names_that_differ_only_in_case_stay_distinct() {
        let classes = owned(&["a", "A", "Walk"]);

        assert_eq!(find_class(&classes, "A"), Some(1));
        assert_eq!(find_class(&classes, "a"), Some(0));
        assert_eq!(find_class(&classes, "WALK"), Some(2));
        assert_eq!(find_class(&owned(&["b", "B"]), "b"), Some(0));
        assert_eq!(find_class(&owned(&["xy", "Xy"]), "XY"), None);
        assert_eq!(find_class(&classes, "run"), None);
    }

    #[test]
    fn listed_classes_keep_their_order_and_admit_no_other() {
        let mut classes = Classes::listed(owned(&["b", "a"]));

        assert_eq!(classes.index_of("a"), Some(1));
        assert_eq!(classes.index_of("B"), Some(0));
        assert_eq!(classes.index_of("c"), None);
        assert_eq!(classes.into_names(&mut []), ["b", "a"]);
    }

    #[test]
    fn classes_of_rows_are_sorted_and_labels_follow() {
        assert_eq!(
            from_rows(&["oak", "ash", "oak"]),
            (owned(&["ash", "oak"]), vec![1, 0, 1])
        );
    }

    #[test]
    fn numbers_are_sorted_as_numbers_unless_a_name_is_not_one() {
        assert_eq!(from_rows(&["10", "9", "-1"]).0, ["-1", "9", "10"]);
        assert_eq!(from_rows(&["10", "9", "x"]).0, ["10", "9", "x"]);
    }

    #[test]
    fn one_number_is_one_class_however_it_is_spelled() {
        let (names, labels) = from_rows(&["1.0", "1", "-1.0000000e+00", "0.50", "1", "-1", "0.5"]);
        assert_eq!(names, ["-1", "0.5", "1"]);
        assert_eq!(labels, [2, 2, 0, 1, 2, 0, 1]);
        assert_eq!(from_rows(&["007", "7", "v1.0"]).0, ["007", "7", "v1.0"]);
        let mut listed = Classes::listed(owned(&["1", "2.0"]));
        assert_eq!(
            (listed.index_of("1.0"), listed.index_of("2.0")),
            (Some(0), Some(1))
        );
    }

    #[test]
    fn a_label_is_matched_to_another_spelling_of_its_number_if_there_is_one() {
        let of = |classes: &[&str], label| class_of_label(&owned(classes), label);
        assert_eq!(
            [of(&["1.0", "2.0"], "1"), of(&["1.0", "2.0"], "2.")],
            [Some(0), Some(1)]
        );
        assert_eq!(
            [of(&["1", "2"], "2.0"), of(&["1", "2"], "3.0")],
            [Some(1), None]
        );
        assert_eq!(
            [of(&["1.10", "1.1"], "1.10"), of(&["1.10", "1.1"], "1.1")],
            [Some(0), Some(1)]
        );
        assert_eq!([of(&["1.0", "1.00"], "1"), of(&["007"], "7.0")], [None; 2]);
    }

    #[test]
    fn the_order_of_rows_does_not_change_the_classes() {
        let forth = from_rows(&["1.0", "2", "1", "nan"]).0;
        let back = from_rows(&["nan", "1", "2", "1.0"]).0;

        assert_eq!(forth, back);
    }
}
