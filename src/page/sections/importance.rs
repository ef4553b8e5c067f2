//! Where the model looked: variates and time windows, for each class.

use super::Section;
use crate::page::markup::{Element, el};
use crate::page::name::shortened;
use crate::page::number::{count, decimal, percent};
use crate::page::theme::level;
use crate::page::widgets::{Column, bar, facts, fold, head, note, number, paragraph, table, track};
use crate::page::{Fact, ReportPage};

/// Classes whose maps are shown, and that fold away.
const SHOWN: usize = 6;
const FOLDED: usize = 24;
/// Variates of a map, those that mattered most; and of the table of weights.
const MAX_ROWS: usize = 12;
const MAX_WEIGHTS: usize = 20;
/// Windows of a map; more are merged.
const MAX_WINDOWS: usize = 48;
/// Columns of the sentence that says how importance was measured.
const MAX_METHOD: usize = 600;
/// Size of a map.
const ROW: f64 = 18.0;
const LEFT: f64 = 120.0;
const WIDTH: f64 = 330.0;
const TOP: f64 = 3.0;
const BOTTOM: f64 = 18.0;

/// Where the model looked: importance of each variate and time window.
#[derive(Clone, Debug, Default)]
pub struct Importance {
    /// How it was measured, in a sentence.
    pub method: String,
    /// Weight of each variate in variate selection, in the order of the variates.
    pub variate_weights: Vec<f64>,
    /// Mean importance for each class that has one.
    pub classes: Vec<ClassImportance>,
    /// How faithful the explanations are, as named figures.
    pub faithfulness: Vec<Fact>,
}

/// Mean importance over the samples that were predicted as a class.
#[derive(Clone, Debug, Default)]
pub struct ClassImportance {
    /// The class.
    pub class: usize,
    /// `[n_variates][n_windows]`; negative values count as none.
    pub windows: Vec<Vec<f32>>,
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let importance = page.importance.as_ref()?;
    let mut content = Vec::new();
    if !importance.method.is_empty() {
        content.push(paragraph(shortened(&importance.method, MAX_METHOD)));
    }
    let maps = importance
        .classes
        .iter()
        .filter(|class| !class.windows.is_empty());
    let mut maps = maps.map(|class| map(page, class));
    let shown: Vec<Element> = maps.by_ref().take(SHOWN).collect();
    let folded: Vec<Element> = maps.by_ref().take(FOLDED).collect();
    let left_out = maps.count();
    if !shown.is_empty() {
        content.push(el("div").class("maps").children(shown));
        content.push(note("The darker (in the dark theme: the lighter), the more it mattered for the class. Time runs from left to right."));
    }
    if !folded.is_empty() {
        let title = format!("{} more classes", count(folded.len() as u64));
        content.push(fold(title, [el("div").class("maps").children(folded)]));
    }
    if left_out > 0 {
        content.push(note(format!(
            "{} further classes are left out.",
            count(left_out as u64)
        )));
    }
    content.extend(weights(page, importance));
    content.extend(facts(&importance.faithfulness));
    Section::new("importance", "What mattered", content)
}

fn variate_name(page: &ReportPage, variate: usize) -> String {
    let names = page.data.as_ref().map(|data| &data.variate_names);
    let given = names.and_then(|names| names.get(variate));
    given.map_or_else(|| format!("variate {variate}"), Clone::clone)
}

/// Variate and window map of one class: all variates, or those that mattered most.
fn map(page: &ReportPage, class: &ClassImportance) -> Element {
    let rows = class.windows.iter().map(|row| merged(row)).enumerate();
    let mut rows: Vec<(usize, Vec<f32>)> = rows.collect();
    let total = rows.len();
    let sum = |row: &[f32]| row.iter().map(|value| value.max(0.0)).sum::<f32>();
    rows.sort_by(|a, b| sum(&b.1).total_cmp(&sum(&a.1)));
    rows.truncate(MAX_ROWS);
    rows.sort_by_key(|(variate, _)| *variate);
    let most = rows
        .iter()
        .flat_map(|(_, row)| row)
        .copied()
        .fold(0.0, f32::max);
    let height = TOP + rows.len() as f64 * ROW + BOTTOM;
    let label = |x: f64, anchor: &str, text: &str| {
        let place = [("x", x), ("y", height - 4.0)];
        el("text")
            .class(format!("tick {anchor}"))
            .attrs(place)
            .text(text)
    };
    let title = shortened(&page.class_name(class.class), 30);
    let svg = el("svg")
        .attr("viewBox", format!("0 0 {} {height}", LEFT + WIDTH))
        .attr("role", "img")
        .child(el("title").text(format!("What mattered for {title}")))
        .children(rows.iter().enumerate().flat_map(|(i, (variate, row))| {
            let y = TOP + i as f64 * ROW;
            let place = [("x", LEFT - 8.0), ("y", y + 12.5)];
            let name = shortened(&variate_name(page, *variate), 14);
            let name = el("text").class("tick end").attrs(place).text(name);
            [name].into_iter().chain(cells(row, most, y))
        }))
        .child(label(LEFT, "start", "start"))
        .child(label(LEFT + WIDTH, "end", "end"));
    let caption = el("figcaption").child(el("bdi").text(title));
    let caption = match total > MAX_ROWS {
        true => caption.text(format!(
            ": the {MAX_ROWS} variates of {total} that mattered most"
        )),
        false => caption,
    };
    el("figure").class("chart map").child(caption).child(svg)
}

/// Windows of one variate. Each reaches a little under the next one, so that no seam shows.
fn cells(row: &[f32], most: f32, y: f64) -> impl Iterator<Item = Element> {
    let width = WIDTH / row.len().max(1) as f64;
    row.iter().enumerate().map(move |(window, value)| {
        let level = level(f64::from(value / most));
        let x = LEFT + window as f64 * width;
        let size = [
            ("x", x),
            ("y", y),
            ("width", width + 0.5),
            ("height", ROW - 2.0),
        ];
        let size = size.map(|(name, value)| (name, format!("{value:.1}")));
        el("rect").class(format!("m{level}")).attrs(size)
    })
}

/// Windows averaged in groups, so that at most [`MAX_WINDOWS`] remain.
fn merged(row: &[f32]) -> Vec<f32> {
    let size = row.len().div_ceil(MAX_WINDOWS).max(1);
    let groups = row.chunks(size);
    groups
        .map(|group| group.iter().sum::<f32>() / group.len() as f32)
        .collect()
}

/// The variates that variate selection weighs most.
fn weights(page: &ReportPage, importance: &Importance) -> Option<Element> {
    let mut weights: Vec<(usize, f64)> = importance
        .variate_weights
        .iter()
        .copied()
        .enumerate()
        .collect();
    weights.sort_by(|a, b| b.1.total_cmp(&a.1));
    let most = weights.first()?.1.max(f64::MIN_POSITIVE);
    let total = weights.len();
    if total < 2 {
        return None;
    }
    weights.truncate(MAX_WEIGHTS);
    let caption = match total > MAX_WEIGHTS {
        true => format!("Variate selection: the {MAX_WEIGHTS} largest weights of {total}"),
        false => "Weights of variate selection".to_owned(),
    };
    let columns = [
        Column::Text("Variate"),
        Column::Number("Weight"),
        Column::Bar,
    ];
    let as_percent = total > 0
        && weights
            .iter()
            .all(|(_, weight)| (0.0..=1.0).contains(weight));
    let format = if as_percent { percent } else { decimal };
    let rows = weights.iter().map(|(variate, weight)| {
        vec![
            head(&variate_name(page, *variate)),
            number(format(*weight)),
            bar(track(weight / most, None, "weight")),
        ]
    });
    Some(table(&caption, &columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_merged_by_their_mean() {
        let row: Vec<f32> = (0..96).map(|i| (i % 2) as f32).collect();
        assert_eq!(merged(&row), vec![0.5; 48]);
        assert_eq!(merged(&[1.0, 2.0]), [1.0, 2.0]);
    }

    #[test]
    fn only_the_variates_that_matter_most_are_mapped() {
        let mut windows = vec![vec![0.1, 0.0]; 100];
        windows[77] = vec![0.0, 0.9];
        let page = ReportPage {
            importance: Some(Importance {
                classes: vec![ClassImportance { class: 0, windows }],
                ..Importance::default()
            }),
            ..ReportPage::default()
        };
        let html = section(&page).unwrap().element().to_string();
        assert!(
            html.contains("variate 77") && html.contains("variates of 100"),
            "{html}"
        );
        assert_eq!(html.matches("class=\"m6\"").count(), 1, "one hot window");
    }
}
