//! The data: sizes, balance, and what the checks found.

use super::Section;
use crate::page::ReportPage;
use crate::page::markup::{Element, el};
use crate::page::name::{name, shortened};
use crate::page::number::{NONE, count, counted, optional, percent};
use crate::page::widgets::{
    Column, NAME_COLUMNS, bar, fold, head, note, number, scroller, table, track,
};

/// Classes of a table that is not folded away.
const MAX_OPEN: usize = 20;
/// Names of variates that are listed.
const MAX_VARIATES: usize = 500;

/// Sizes of the data, and what was noticed about them.
#[derive(Clone, Debug, Default)]
pub struct DataSummary {
    /// Names of the variates.
    pub variate_names: Vec<String>,
    /// The splits: training, validation, test.
    pub splits: Vec<SplitSummary>,
    /// What the checks for leaks and faults found.
    pub findings: Vec<Finding>,
}

/// Sizes of a split.
#[derive(Clone, Debug, Default)]
pub struct SplitSummary {
    /// Its name.
    pub name: String,
    /// Samples of each class.
    pub class_counts: Vec<u64>,
    /// Shortest, median and longest series, in time steps.
    pub n_steps: Option<[usize; 3]>,
    /// Share of values that are missing.
    pub missing: Option<f64>,
}

/// What a check of the data found.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Whether it puts the scores in doubt.
    pub warning: bool,
    /// The finding, as a sentence.
    pub text: String,
}

impl SplitSummary {
    /// Number of samples.
    fn total(&self) -> u64 {
        self.class_counts.iter().sum()
    }
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let data = page.data.as_ref()?;
    let mut content = Vec::new();
    content.extend(findings(&data.findings));
    if !data.splits.is_empty() {
        content.push(split_table(&data.splits));
        content.extend(balance(page, data));
    }
    content.extend(variates(&data.variate_names));
    Section::new("data", "Data", content)
}

/// Warnings first.
fn findings(findings: &[Finding]) -> Option<Element> {
    let item = |finding: &Finding| {
        let (class, mark) = match finding.warning {
            true => ("warning", "Warning"),
            false => ("good", "Checked"),
        };
        el("li")
            .class(class)
            .child(el("strong").text(mark))
            .text(' ')
            .child(el("bdi").text(shortened(&finding.text, 600)))
    };
    let (warnings, rest): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.warning);
    let items = warnings.into_iter().chain(rest).map(item);
    (!findings.is_empty()).then(|| el("ul").class("findings").children(items))
}

fn split_table(splits: &[SplitSummary]) -> Element {
    let columns = [
        Column::Text("Split"),
        Column::Number("Samples"),
        Column::Number("Classes"),
        Column::Number("Time steps"),
        Column::Number("Missing values"),
    ];
    let rows = splits.iter().map(|split| {
        let steps = split
            .n_steps
            .map_or(NONE.to_owned(), |[least, median, most]| {
                match least == most {
                    true => count(least as u64),
                    false => format!("{least} to {most}, median {median}"),
                }
            });
        let classes = split.class_counts.iter().filter(|n| **n > 0).count();
        vec![
            head(&split.name),
            number(count(split.total())),
            number(count(classes as u64)),
            number(steps),
            number(optional(split.missing, percent)),
        ]
    });
    table("Sizes of the splits", &columns, rows)
}

/// Samples of each class in each split; of many classes, the rarest.
fn balance(page: &ReportPage, data: &DataSummary) -> Option<Element> {
    let n = data
        .splits
        .iter()
        .map(|split| split.class_counts.len())
        .max()?;
    let of_class = |class: &usize| {
        data.splits
            .iter()
            .map(|split| samples(split, *class))
            .sum::<u64>()
    };
    let mut classes: Vec<usize> = (0..n).collect();
    if n <= MAX_OPEN {
        return Some(class_table(page, data, "Samples of each class", &classes));
    }
    classes.sort_by_key(of_class);
    let [least, most] = [classes.first()?, classes.last()?].map(|class| count(of_class(class)));
    let classes = &classes[..MAX_OPEN];
    let caption = format!("The {MAX_OPEN} classes with the fewest samples");
    let summary = format!(
        "The {} classes have from {least} to {most} samples each.",
        count(n as u64)
    );
    let table = fold(&caption, [class_table(page, data, &caption, classes)]);
    Some(el("div").child(note(summary)).child(table))
}

fn samples(split: &SplitSummary, class: usize) -> u64 {
    split.class_counts.get(class).copied().unwrap_or(0)
}

fn class_table(page: &ReportPage, data: &DataSummary, caption: &str, classes: &[usize]) -> Element {
    let splits = || data.splits.iter();
    let of_class = |class: usize| splits().map(|split| samples(split, class)).sum::<u64>();
    let most = classes.iter().map(|class| of_class(*class)).max();
    let most = most.unwrap_or(0).max(1) as f64;
    let heads = splits().map(|split| {
        let head = el("th").attr("scope", "col").class("number");
        head.child(name(&split.name, NAME_COLUMNS))
    });
    let header = el("tr")
        .child(el("th").attr("scope", "col").text("Class"))
        .children(heads)
        .child(el("td").class("bar"));
    let rows = classes.iter().map(|class| {
        let counts = splits().map(|split| number(count(samples(split, *class))));
        el("tr")
            .child(head(&page.class_name(*class)))
            .children(counts)
            .child(bar(track(of_class(*class) as f64 / most, None, "other")))
    });
    let table = el("table")
        .child(el("caption").text(caption))
        .child(el("thead").child(header))
        .child(el("tbody").children(rows));
    scroller(caption, table)
}

fn variates(names: &[String]) -> Option<Element> {
    let items = names
        .iter()
        .take(MAX_VARIATES)
        .map(|text| el("li").child(name(text, NAME_COLUMNS)));
    let list = el("ul").class("names columns").children(items);
    let title = counted(names.len() as u64, "variate");
    let hidden = names.len().saturating_sub(MAX_VARIATES);
    let rest = (hidden > 0).then(|| note(format!("and {} more", count(hidden as u64))));
    (!names.is_empty()).then(|| fold(title, [list].into_iter().chain(rest)))
}
