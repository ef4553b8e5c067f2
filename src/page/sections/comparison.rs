//! Other models on the same splits and seeds.

use super::Section;
use crate::page::ReportPage;
use crate::page::number::{NONE, bytes, decimal, duration, optional, percent};
use crate::page::widgets::{Column, bar, head, note, number, table, track};

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
    /// Its accuracy less that of the model of this page: mean and 95% interval, paired by seed.
    pub difference: Option<[f64; 3]>,
    /// Seconds of training and testing.
    pub seconds: Option<f64>,
    /// Peak of memory in bytes.
    pub memory_bytes: Option<u64>,
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    if page.comparison.is_empty() {
        return None;
    }
    let columns = [
        Column::Text("Model"),
        Column::Number("Accuracy"),
        Column::Bar,
        Column::Number("Difference"),
        Column::Number("Log loss"),
        Column::Number("Time"),
        Column::Number("Memory"),
    ];
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
        vec![
            title,
            number(accuracy(model)),
            bar(track(model.accuracy, interval, class)),
            number(difference(model)),
            number(optional(model.log_loss, decimal)),
            number(optional(model.seconds, duration)),
            number(model.memory_bytes.map_or(NONE.to_owned(), bytes)),
        ]
    });
    let legend = "Whiskers are one standard deviation over the seeds. The difference is accuracy less \
                  that of this model, in percentage points, with its 95% interval paired by seed.";
    let content = vec![
        table("Models on the same splits and seeds", &columns, rows),
        note(legend),
    ];
    Section::new("comparison", "Comparison", content)
}

fn accuracy(model: &Contender) -> String {
    let std = model
        .accuracy_std
        .map(|std| format!(" ± {:.1}", 100.0 * std));
    percent(model.accuracy) + &std.unwrap_or_default()
}

fn difference(model: &Contender) -> String {
    let points = |share: f64| {
        let text = format!("{:+.1}", 100.0 * share);
        if ["+0.0", "-0.0"].contains(&text.as_str()) {
            "0.0".to_owned()
        } else {
            text.replace('-', "−")
        }
    };
    match model.difference {
        Some(all @ [mean, low, high]) if all.iter().all(|value| value.is_finite()) => {
            format!("{} ({} to {})", points(mean), points(low), points(high))
        }
        _ => NONE.to_owned(),
    }
}
