//! The confusion matrix: drawn if it is small enough to be read, else its most confused pairs.

use std::cmp::Reverse;

use super::Section;
use crate::page::markup::{Element, el};
use crate::page::name::{columns_of, name, shortened};
use crate::page::number::{brief, count, counted, percent};
use crate::page::theme::{self, DEEP, level};
use crate::page::widgets::{Column, NAME_COLUMNS, cell, note, number, scroller, table};
use crate::page::{Evaluation, ReportPage};

/// Classes of a matrix that is drawn.
const MAX_DRAWN: usize = 40;
/// Confused pairs that are listed instead of a matrix, and beside one.
const PAIRS: usize = 20;
const PAIRS_BESIDE: usize = 5;
/// Columns of a class name on the axes, and in the tooltip of a cell.
const AXIS_COLUMNS: usize = 14;
const TOOLTIP_COLUMNS: usize = 40;
/// Space around things.
const GAP: f64 = 8.0;
/// Height of a line of lettering, and the width of one of its columns.
const LINE: f64 = 14.0;
const COLUMN: f64 = 6.8;

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let evaluation = page
        .evaluation
        .as_ref()
        .filter(|evaluation| evaluation.total() > 0)?;
    let names: Vec<String> = (0..evaluation.confusion.len())
        .map(|class| page.class_name(class))
        .collect();
    let mut content = Vec::new();
    let mut title = "Confusion matrix";
    if names.len() <= MAX_DRAWN {
        let legend = "Rows are true classes, columns predicted ones. Blue cells are correct answers, \
                      orange ones mistakes; the shade is the share of the row.";
        let matrix = scroller("Confusion matrix", drawing(&evaluation.confusion, &names));
        let pairs = pairs(evaluation, &names, PAIRS_BESIDE);
        let right = el("div").child(note(legend)).child(pairs);
        content.push(el("div").class("sides").child(matrix).child(right));
    } else {
        title = "Most confused classes";
        content.push(pairs(evaluation, &names, PAIRS));
    }
    if evaluation.unknown > 0 {
        let unknown = counted(evaluation.unknown, "sample");
        let text =
            "of a class that the model does not know: counted as mistakes, but not shown here.";
        content.push(note(format!("{unknown} {text}")));
    }
    Section::new("confusion", title, content)
}

/// The pairs of classes that are most often taken for each other.
fn pairs(evaluation: &Evaluation, names: &[String], most: usize) -> Element {
    let cells = evaluation
        .confusion
        .iter()
        .enumerate()
        .flat_map(|(target, row)| {
            let of_row: u64 = row.iter().sum();
            let row = row.iter().enumerate();
            row.map(move |(predicted, n)| (target, predicted, *n, of_row))
        });
    let mut pairs: Vec<_> = cells
        .filter(|(target, predicted, n, _)| target != predicted && *n > 0)
        .collect();
    pairs.sort_by_key(|(target, predicted, n, _)| (Reverse(*n), *target, *predicted));
    if pairs.is_empty() {
        return note("No class was taken for another.");
    }
    let caption = match pairs.len() > most {
        true => format!(
            "The {most} most confused of {}",
            counted(pairs.len() as u64, "pair")
        ),
        false => "Confused pairs".to_owned(),
    };
    let columns = [
        Column::Text("True class"),
        Column::Text("Predicted as"),
        Column::Number("Samples"),
        Column::Number("Share of the class"),
    ];
    let rows = pairs
        .into_iter()
        .take(most)
        .map(|(target, predicted, n, of_row)| {
            vec![
                cell(name(&names[target], NAME_COLUMNS)),
                cell(name(&names[predicted], NAME_COLUMNS)),
                number(count(n)),
                number(percent(n as f64 / of_row as f64)),
            ]
        });
    table(&caption, &columns, rows)
}

/// Draws a confusion matrix as an SVG file of its own: rows are true classes, columns predicted
/// ones, the shade of a cell is its share of its row, blue on the diagonal and orange elsewhere.
///
/// It follows the reader's choice of a light or a dark theme. Names and counts are left out where
/// there are so many classes that they could not be read.
///
/// # Panics
///
/// If the matrix is not square with one class name a row.
///
/// # Examples
///
/// ```
/// use timesclip::page::confusion_svg;
///
/// let svg = confusion_svg(&[vec![9, 1], vec![0, 12]], &["cat".into(), "dog".into()]);
/// assert!(svg.starts_with("<svg") && svg.contains("cat"));
/// ```
pub fn confusion_svg(matrix: &[Vec<u64>], class_names: &[String]) -> String {
    let n = class_names.len();
    assert!(
        matrix.len() == n && matrix.iter().all(|row| row.len() == n),
        "a matrix of {} rows for {n} classes",
        matrix.len()
    );
    let paper = "svg{background:var(--paper)}";
    let style = format!("{}{paper}\n{}", theme::css(), include_str!("../matrix.css"));
    drawing(matrix, class_names)
        .attr("xmlns", "http://www.w3.org/2000/svg")
        .child(el("style").css(&style))
        .to_string()
}

/// Sizes of the parts of a drawn matrix.
struct Grid {
    n: usize,
    cell: f64,
    left: f64,
    top: f64,
}

impl Grid {
    fn new(n: usize, names: &[String]) -> Self {
        let cell = match n {
            0..=6 => 52.0,
            7..=12 => 42.0,
            13..=20 => 32.0,
            21..=40 => 20.0,
            41..=100 => 10.0,
            _ => (1000.0 / n as f64).max(1.0),
        };
        let longest = names.iter().map(|name| columns_of(name)).max().unwrap_or(0);
        let lettering = longest as f64 * COLUMN;
        Self {
            n,
            cell,
            left: (lettering + LINE + 3.0 * GAP).max(64.0),
            top: lettering.max(LINE) + LINE + 3.0 * GAP,
        }
    }

    fn has_names(&self) -> bool {
        self.cell >= LINE
    }

    /// Upper left corner of a cell.
    fn corner(&self, target: usize, predicted: usize) -> (f64, f64) {
        (
            self.left + predicted as f64 * self.cell,
            self.top + target as f64 * self.cell,
        )
    }

    fn end(&self) -> (f64, f64) {
        self.corner(self.n, self.n)
    }
}

fn drawing(matrix: &[Vec<u64>], names: &[String]) -> Element {
    let short: Vec<String> = names
        .iter()
        .map(|name| shortened(name, AXIS_COLUMNS))
        .collect();
    let unlettered = names.len() > MAX_DRAWN;
    let grid = Grid::new(names.len(), if unlettered { &[] } else { &short });
    let (right, bottom) = grid.end();
    let (width, height) = (right + GAP, bottom + GAP);
    let full: Vec<String> = names
        .iter()
        .map(|name| shortened(name, TOOLTIP_COLUMNS))
        .collect();
    let description =
        "Rows are true classes, columns predicted ones; the table of classes has the same figures.";
    el("svg")
        .class("matrix")
        .attr("viewBox", format!("0 0 {width:.0} {height:.0}"))
        .attrs([
            ("width", format!("{width:.0}")),
            ("height", format!("{height:.0}")),
        ])
        .attr("role", "img")
        .child(el("title").text("Confusion matrix"))
        .child(el("desc").text(description))
        .children(axes(&grid, &short))
        .children(cells(&grid, matrix, &full))
}

/// The ground, its lines, the names of the classes and of the axes.
fn axes(grid: &Grid, names: &[String]) -> Vec<Element> {
    let (right, bottom) = grid.end();
    let (left, top) = (grid.left, grid.top);
    let size = [
        ("x", left),
        ("y", top),
        ("width", right - left),
        ("height", bottom - top),
    ];
    let mut axes = vec![el("rect").class("ground").attrs(size)];
    let text = |class: &str, (x, y): (f64, f64), text: &str| {
        let place = [("x", format!("{x:.1}")), ("y", format!("{y:.1}"))];
        el("text").class(class).attrs(place).text(text)
    };
    let upright = |(x, y): (f64, f64)| format!("rotate(-90 {x:.1} {y:.1})");
    axes.push(text("label", (left, LINE), "Predicted class"));
    let place = (LINE, bottom);
    axes.push(text("label", place, "True class").attr("transform", upright(place)));
    if !grid.has_names() {
        return axes;
    }
    for i in 0..=grid.n {
        let (x, y) = grid.corner(i, i);
        for [x1, y1, x2, y2] in [[left, y, right, y], [x, top, x, bottom]] {
            let ends = [("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2)];
            axes.push(el("line").class("grid").attrs(ends));
        }
    }
    for (i, name) in names.iter().enumerate() {
        let (x, y) = grid.corner(i, i);
        let middle = grid.cell / 2.0 + 4.0;
        axes.push(text("end", (left - GAP, y + middle), name));
        let place = (x + middle, top - GAP);
        axes.push(text("start", place, name).attr("transform", upright(place)));
    }
    axes
}

/// The cells that count something.
fn cells(grid: &Grid, matrix: &[Vec<u64>], names: &[String]) -> Vec<Element> {
    let mut cells = Vec::new();
    for (target, row) in matrix.iter().enumerate() {
        let total: u64 = row.iter().sum();
        for (predicted, n) in row.iter().enumerate().filter(|(_, n)| **n > 0) {
            let share = *n as f64 / total as f64;
            let class = if target == predicted { 'h' } else { 'm' };
            let level = level(share);
            let (x, y) = grid.corner(target, predicted);
            let inset = if grid.has_names() { 0.5 } else { 0.0 };
            let side = grid.cell - 2.0 * inset;
            let size = [
                ("x", x + inset),
                ("y", y + inset),
                ("width", side),
                ("height", side),
            ];
            let rect = el("rect").class(format!("{class}{level}")).attrs(size);
            if !grid.has_names() {
                cells.push(rect);
                continue;
            }
            let title = format!(
                "{} predicted as {}: {} of {} ({})",
                names[target],
                names[predicted],
                count(*n),
                count(total),
                percent(share)
            );
            let small = if grid.cell < 30.0 { " small" } else { "" };
            let deep = if level >= DEEP { " deep" } else { "" };
            let middle = grid.cell / 2.0;
            let lettering = el("text")
                .class(format!("middle{small}{deep}"))
                .attrs([("x", x + middle), ("y", y + middle + 4.0)])
                .text(brief(*n));
            cells.push(
                el("g")
                    .child(el("title").text(title))
                    .child(rect)
                    .child(lettering),
            );
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|class| format!("class {class}")).collect()
    }

    #[test]
    fn counts_are_in_cells_shaded_by_their_share_of_the_row() {
        let svg = confusion_svg(&[vec![3, 1], vec![0, 5]], &names(2));
        assert!(
            svg.contains("class 0 predicted as class 1: 1 of 4 (25.0%)"),
            "{svg}"
        );
        let classes = [
            theme_class(&svg, "h5"),
            theme_class(&svg, "m1"),
            theme_class(&svg, "h6"),
        ];
        assert_eq!(classes, [1, 1, 1]);
        assert!(
            !svg.contains("predicted as class 0: 0"),
            "empty cells are not drawn"
        );
    }

    fn theme_class(svg: &str, class: &str) -> usize {
        svg.matches(&format!("<rect class=\"{class}\"")).count()
    }

    #[test]
    fn many_classes_become_a_list_of_pairs() {
        let n = MAX_DRAWN + 1;
        let mut confusion = vec![vec![0; n]; n];
        for (class, row) in confusion.iter_mut().enumerate() {
            row[class] = 10;
            row[(class + 1) % n] = class as u64;
        }
        let page = ReportPage {
            class_names: names(n),
            evaluation: Some(Evaluation {
                confusion,
                ..Evaluation::default()
            }),
            ..ReportPage::default()
        };
        let html = section(&page).unwrap().element().to_string();
        assert!(!html.contains("<svg"), "no matrix");
        let cell = |class: usize| format!("<td class=\"name\"><bdi>class {class}</bdi></td>");
        let pair = |target, predicted| cell(target) + &cell(predicted);
        let first = html.find(&pair(40, 0));
        let second = html.find(&pair(39, 40));
        assert!(first.unwrap() < second.unwrap(), "most confused first");
    }

    #[test]
    fn a_matrix_of_a_thousand_classes_is_small_and_has_no_lettering() {
        let n = 1000;
        let mut matrix = vec![vec![0; n]; n];
        for (class, row) in matrix.iter_mut().enumerate() {
            row[class] = 1;
        }
        let svg = confusion_svg(&matrix, &names(n));
        assert!(
            svg.len() < 200_000 && !svg.contains("class 7"),
            "{} bytes",
            svg.len()
        );
    }

    #[test]
    fn no_classes_make_an_empty_matrix() {
        assert!(
            !confusion_svg(&[], &[]).contains("NaN"),
            "sizes are numbers"
        );
    }
}
