//! Parts that several sections are made of: tables, bars, tiles, things that fold away.

use super::markup::{Element, el};
use super::name::name;

/// Columns of a name in a table.
pub(super) const NAME_COLUMNS: usize = 32;

/// A named figure.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Fact {
    /// A named figure.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// Words, on the left.
    Text(&'static str),
    /// Numbers, on the right.
    Number(&'static str),
    /// A bar, whose value is a number in another column.
    Bar,
}

/// A table in a frame of its own that scrolls if it is too wide.
pub(super) fn table(
    caption: &str,
    columns: &[Column],
    rows: impl IntoIterator<Item = Vec<Element>>,
) -> Element {
    let heads = columns.iter().map(|column| {
        let head = el("th").attr("scope", "col");
        match column {
            Column::Text(text) => head.text(text),
            Column::Number(text) => head.class("number").text(text),
            Column::Bar => el("td").class("bar"),
        }
    });
    let rows = rows.into_iter().map(|cells| el("tr").children(cells));
    scroller(
        caption,
        el("table")
            .child(el("caption").text(caption))
            .child(el("thead").child(el("tr").children(heads)))
            .child(el("tbody").children(rows)),
    )
}

/// A cell of words.
pub(super) fn cell(content: Element) -> Element {
    el("td").class("name").child(content)
}

/// The cell that names its row.
pub(super) fn head(text: &str) -> Element {
    el("th")
        .attr("scope", "row")
        .child(name(text, NAME_COLUMNS))
}

/// A cell of a number.
pub(super) fn number(text: impl std::fmt::Display) -> Element {
    el("td").class("number").text(text)
}

/// A cell of a bar.
pub(super) fn bar(bar: Element) -> Element {
    el("td").class("bar").child(bar)
}

/// A bar of a share of its width, with a whisker for the interval of the share. It repeats a number
/// beside it, so that it is hidden from those who listen.
pub(super) fn track(share: f64, interval: Option<[f64; 2]>, class: &str) -> Element {
    let svg = el("svg")
        .class("track")
        .attr("viewBox", "0 0 100 10")
        .attr("preserveAspectRatio", "none")
        .attr("aria-hidden", "true")
        .child(
            el("rect")
                .class(class)
                .attrs(span([0.0, share]))
                .attr("height", 10),
        );
    let whisker = |interval: [f64; 2], height: u8| {
        let place = [("y", (10 - height) / 2), ("height", height)];
        el("rect")
            .class("whisker")
            .attrs(span(interval))
            .attrs(place)
    };
    let Some([low, high]) = interval else {
        return svg;
    };
    let line = whisker([low, high.max(low + WHISKER)], 2);
    let ends = [low, high - WHISKER].map(|end| whisker([end, end + WHISKER], 8));
    svg.child(line).children(ends)
}

/// Width of the end of a whisker, as a share of the bar.
const WHISKER: f64 = 0.004;

/// Place and width of a part of a bar.
fn span([from, to]: [f64; 2]) -> [(&'static str, String); 2] {
    let percent = |share: f64| {
        100.0
            * if share.is_finite() {
                share.clamp(0.0, 1.0)
            } else {
                0.0
            }
    };
    let [from, to] = [from, to].map(percent);
    [
        ("x", format!("{from:.1}")),
        ("width", format!("{:.1}", (to - from).max(0.0))),
    ]
}

/// A figure that stands for itself.
pub(super) fn tile(label: &str, value: impl std::fmt::Display, hint: &str) -> Element {
    el("div")
        .class("tile")
        .attr("title", hint)
        .child(el("dt").text(label))
        .child(el("dd").text(value))
}

/// Something that folds away.
pub(super) fn fold(
    summary: impl std::fmt::Display,
    content: impl IntoIterator<Item = Element>,
) -> Element {
    el("details")
        .child(el("summary").text(summary))
        .children(content)
}

/// A frame that scrolls sideways, also by keyboard.
pub(super) fn scroller(label: &str, content: Element) -> Element {
    el("div")
        .class("scroll")
        .attr("role", "region")
        .attr("aria-label", label)
        .attr("tabindex", 0)
        .child(content)
}

/// Named figures, one a row.
pub(super) fn facts(facts: &[Fact]) -> Option<Element> {
    let rows = facts.iter().map(|fact| {
        el("div")
            .child(el("dt").child(name(&fact.name, 2 * NAME_COLUMNS)))
            .child(el("dd").child(name(&fact.value, 400)))
    });
    (!facts.is_empty()).then(|| el("dl").class("facts").children(rows))
}

/// A paragraph.
pub(super) fn paragraph(text: impl std::fmt::Display) -> Element {
    el("p").text(text)
}

/// A paragraph in a lower voice.
pub(super) fn note(text: impl std::fmt::Display) -> Element {
    el("p").class("note").text(text)
}
