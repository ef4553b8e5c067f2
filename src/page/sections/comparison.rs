//! Other models on the same splits and seeds.

use super::Section;
use crate::page::ReportPage;
use crate::page::name::shortened;
use crate::page::number::{NONE, bytes, decimal, duration, optional, percent};
use crate::page::widgets::{Column, bar, head, note, number, table, track};

/// Columns of the sentence that says how differences were measured.
const MAX_METHOD: usize = 400;

/// A model on the same splits and seeds.
#[derive(Clone, Debug, Default)]
pub struct Contender {
    /// Its name.
    pub name: String,
    /// Whether it is the model that this page is about.
    pub is_this: bool,
    /// Mean accuracy.
    pub accuracy: f64,
    /// Standard deviation of the accuracy over the seeds.
    pub accuracy_std: Option<f64>,
    /// Mean log loss.
    pub log_loss: Option<f64>,
    /// Its accuracy less that of the model of this page: mean and 95% interval.
    pub difference: Option<[f64; 3]>,
    /// Its log loss less that of the model of this page, likewise.
    pub log_loss_difference: Option<[f64; 3]>,
    /// Seconds of training and testing.
    pub seconds: Option<f64>,
    /// Peak of memory in bytes.
    pub memory_bytes: Option<u64>,
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    if page.comparison.is_empty() {
        return None;
    }
    let losses = page
        .comparison
        .iter()
        .any(|model| model.log_loss_difference.is_some());
    let columns = [
        Some(Column::Text("Model")),
        Some(Column::Number("Accuracy")),
        Some(Column::Bar),
        Some(Column::Number("Difference")),
        Some(Column::Number("Log loss")),
        losses.then_some(Column::Number("Difference")),
        Some(Column::Number("Time")),
        Some(Column::Number("Memory")),
    ];
    let columns: Vec<Column> = columns.into_iter().flatten().collect();
    let rows = page.comparison.iter().map(|model| {
        let interval = model
            .accuracy_std
            .map(|std| [model.accuracy - std, (model.accuracy + std).min(1.0)]);
        let class = if model.is_this { "this" } else { "other" };
        let title = if model.is_this {
            head(&model.name).class("this")
        } else {
            head(&model.name)
        };
        let mut cells = vec![
            title,
            number(accuracy(model)),
            bar(track(model.accuracy, interval, class)),
            number(difference(model.difference, points)),
            number(optional(model.log_loss, decimal)),
        ];
        if losses {
            cells.push(number(difference(model.log_loss_difference, thousandths)));
        }
        cells.push(number(optional(model.seconds, duration)));
        cells.push(number(model.memory_bytes.map_or(NONE.to_owned(), bytes)));
        cells
    });
    let this = page.comparison.iter().find(|model| model.is_this);
    let this = this.map_or("this model".to_owned(), |this| shortened(&this.name, 40));
    let legend = format!(
        "Whiskers are one standard deviation over the seeds. Differences are to {this}, those of \
         accuracy in percentage points, with their 95% intervals."
    );
    let method = (!page.comparison_method.is_empty())
        .then(|| note(shortened(&page.comparison_method, MAX_METHOD)));
    let table = table("Models on the same splits and seeds", &columns, rows);
    let content = [Some(table), Some(note(legend)), method];
    let content = content.into_iter().flatten().collect();
    Section::new("comparison", "Comparison", content)
}

fn accuracy(model: &Contender) -> String {
    let std = model
        .accuracy_std
        .map(|std| format!(" ± {:.1}", 100.0 * std));
    percent(model.accuracy) + &std.unwrap_or_default()
}

/// Percentage points with their sign.
fn points(share: f64) -> String {
    signed(format!("{:+.1}", 100.0 * share))
}

/// A number with its sign.
fn thousandths(value: f64) -> String {
    signed(format!("{value:+.3}"))
}

/// A minus as print has it, and no sign where nothing is left by rounding.
fn signed(text: String) -> String {
    match text.trim_start_matches(['+', '-']) {
        zero if zero.chars().all(|c| "0.".contains(c)) => zero.to_owned(),
        _ => text.replace('-', "−"),
    }
}

fn difference(difference: Option<[f64; 3]>, number: fn(f64) -> String) -> String {
    match difference {
        Some(all @ [mean, low, high]) if all.iter().all(|value| value.is_finite()) => {
            format!("{} ({} to {})", number(mean), number(low), number(high))
        }
        _ => NONE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_signs_unless_they_round_to_nothing() {
        let shown = difference(Some([-0.0123, -0.03, 0.0001]), points);
        assert_eq!(shown, "−1.2 (−3.0 to 0.0)");
        let shown = difference(Some([0.25, 0.0, 0.5]), thousandths);
        assert_eq!(shown, "+0.250 (0.000 to +0.500)");
        assert_eq!(difference(None, points), NONE);
        assert_eq!(difference(Some([f64::NAN, 0.0, 0.0]), points), NONE);
    }
}
