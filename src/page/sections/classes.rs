//! The table of classes.

use std::cmp::Reverse;

use super::Section;
use crate::page::markup::{Element, el};
use crate::page::name::{columns_of, name};
use crate::page::number::{NONE, count, optional, percent};
use crate::page::widgets::{
    Column, NAME_COLUMNS, bar, cell, fold, head, note, number, table, track,
};
use crate::page::{Evaluation, ReportPage};

/// Classes of a table that is shown whole, in the order of the classes.
const MAX_WHOLE: usize = 20;
/// Classes that are shown of more, the worst first.
const WORST: usize = 10;

/// Scores of one class.
struct ClassScores {
    class: usize,
    samples: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
    /// The class it is most often taken for, and how often.
    taken_for: Option<(usize, u64)>,
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let evaluation = page
        .evaluation
        .as_ref()
        .filter(|evaluation| evaluation.total() > 0)?;
    let mut scores = scores(evaluation);
    let n = scores.len();
    let content = if n <= MAX_WHOLE {
        vec![class_table(page, &scores, "Scores of each class")]
    } else {
        scores.sort_by(|a, b| rank(a).total_cmp(&rank(b)).then(b.samples.cmp(&a.samples)));
        let worst = class_table(
            page,
            &scores[..WORST],
            &format!("The {WORST} classes with the lowest F1"),
        );
        let all = class_table(page, &scores, "Scores of each class, lowest F1 first");
        vec![
            worst,
            fold(format!("All {} classes", count(n as u64)), [all]),
        ]
    };
    let legend = "Precision: how many of those predicted as the class are of it. Recall: how many of \
                  its samples were found. F1: their harmonic mean.";
    let content = content
        .into_iter()
        .chain([note(legend)])
        .chain(long_names(page));
    Section::new("classes", "Classes", content.collect())
}

/// Classes without samples are no failure: they come last.
fn rank(scores: &ClassScores) -> f64 {
    match scores.samples {
        0 => 2.0,
        _ => scores.f1.unwrap_or(2.0),
    }
}

fn scores(evaluation: &Evaluation) -> Vec<ClassScores> {
    let matrix = &evaluation.confusion;
    let mut predicted = vec![0_u64; matrix.len()];
    for row in matrix {
        row.iter()
            .zip(&mut predicted)
            .for_each(|(n, sum)| *sum += n);
    }
    let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
    let of_class = |(class, row): (usize, &Vec<u64>)| {
        let (samples, correct) = (row.iter().sum(), row[class]);
        let mistakes = row
            .iter()
            .copied()
            .enumerate()
            .filter(|(other, n)| *other != class && *n > 0);
        ClassScores {
            class,
            samples,
            precision: share(correct, predicted[class]),
            recall: share(correct, samples),
            f1: share(2 * correct, samples + predicted[class]),
            taken_for: mistakes.max_by_key(|(other, n)| (*n, Reverse(*other))),
        }
    };
    matrix.iter().enumerate().map(of_class).collect()
}

fn class_table(page: &ReportPage, scores: &[ClassScores], caption: &str) -> Element {
    let columns = [
        Column::Text("Class"),
        Column::Number("Samples"),
        Column::Number("Precision"),
        Column::Number("Recall"),
        Column::Number("F1"),
        Column::Bar,
        Column::Text("Most often taken for"),
    ];
    let rows = scores.iter().map(|class| {
        let taken_for = match class.taken_for {
            Some((other, n)) => el("span")
                .child(name(&page.class_name(other), NAME_COLUMNS))
                .text(format!(" ({})", count(n))),
            None => el("span").text(NONE),
        };
        vec![
            head(&page.class_name(class.class)),
            number(count(class.samples)),
            number(optional(class.precision, percent)),
            number(optional(class.recall, percent)),
            number(optional(class.f1, percent)),
            bar(track(class.f1.unwrap_or(0.0), None, "this")),
            cell(taken_for),
        ]
    });
    table(caption, &columns, rows)
}

/// Characters of all long names that are shown in full.
const LONG_NAMES: usize = 60_000;

/// The names that do not fit the tables, in full.
fn long_names(page: &ReportPage) -> Option<Element> {
    let is_long = |text: &&String| columns_of(text) > NAME_COLUMNS;
    let mut left = LONG_NAMES;
    let names = page.class_names.iter().filter(is_long).map_while(|text| {
        let shown: String = text.chars().take(left).collect();
        left -= shown.chars().count();
        (!shown.is_empty()).then(|| el("li").child(el("bdi").text(shown)))
    });
    let names: Vec<Element> = names.collect();
    let any = !names.is_empty();
    let list = el("ul").class("names").children(names);
    any.then(|| fold("Long class names in full", [list]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_those_of_the_matrix() {
        let evaluation = Evaluation {
            confusion: vec![vec![8, 2, 0], vec![1, 9, 0], vec![0, 0, 0]],
            ..Evaluation::default()
        };
        let [first, _, absent] = &scores(&evaluation)[..] else {
            panic!("three classes");
        };
        assert_eq!(
            (first.precision, first.recall),
            (Some(8.0 / 9.0), Some(0.8))
        );
        assert_eq!(
            (first.f1, first.taken_for),
            (Some(16.0 / 19.0), Some((1, 2)))
        );
        assert_eq!(
            (absent.precision, absent.recall, absent.f1),
            (None, None, None)
        );
    }

    #[test]
    fn the_worst_of_many_classes_come_first_and_all_fold_away() {
        let n = 50;
        let mut confusion = vec![vec![0; n]; n];
        for (class, row) in confusion.iter_mut().enumerate() {
            row[class] = 10;
        }
        confusion[33][3] = 30;
        let page = ReportPage {
            evaluation: Some(Evaluation {
                confusion,
                ..Evaluation::default()
            }),
            ..ReportPage::default()
        };
        let html = section(&page).unwrap().element().to_string();
        let shown = &html[..html.find("<details>").unwrap()];
        assert!(
            shown.find("<bdi>class 33</bdi>").unwrap() < shown.find("<bdi>class 3</bdi>").unwrap(),
            "worst first"
        );
        assert!(
            html.contains("<summary>All 50 classes</summary>"),
            "all of them"
        );
    }
}
