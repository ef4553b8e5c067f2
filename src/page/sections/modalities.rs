//! Which modalities carried the answer.

use super::Section;
use crate::page::ReportPage;
use crate::page::name::shortened;
use crate::page::number::{decimal, optional, percent};
use crate::page::widgets::{Column, bar, head, note, number, table, track};

/// One modality, or one member of the pool.
#[derive(Clone, Debug, Default)]
pub struct Modality {
    /// Its name.
    pub name: String,
    /// Its weight in the pool.
    pub weight: Option<f64>,
    /// Accuracy of it alone.
    pub accuracy: Option<f64>,
    /// Log loss of it alone.
    pub log_loss: Option<f64>,
    /// Accuracy of it alone on the test samples.
    pub test_accuracy: Option<f64>,
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    if page.modalities.is_empty() {
        return None;
    }
    let most = page
        .modalities
        .iter()
        .filter_map(|modality| modality.weight)
        .fold(0.0, f64::max);
    let tested = page.modalities.iter().any(|m| m.test_accuracy.is_some());
    let mut columns = vec![
        Column::Text("Modality or predictor"),
        Column::Number("Accuracy alone"),
        Column::Bar,
        Column::Number("Log loss alone"),
        Column::Number("Weight in the pool"),
        Column::Bar,
    ];
    if tested {
        columns.push(Column::Number("Accuracy on test samples"));
    }
    let rows = page.modalities.iter().map(|modality| {
        let weight = modality.weight.map_or(0.0, |weight| weight / most.max(1.0));
        let mut cells = vec![
            head(&modality.name),
            number(optional(modality.accuracy, percent)),
            bar(track(modality.accuracy.unwrap_or(0.0), None, "this")),
            number(optional(modality.log_loss, decimal)),
            number(optional(modality.weight, decimal)),
            bar(track(weight, None, "weight")),
        ];
        if tested {
            cells.push(number(optional(modality.test_accuracy, percent)));
        }
        cells
    });
    let samples = match page.modality_split.is_empty() {
        true => String::new(),
        false => format!(" on {} samples", shortened(&page.modality_split, 40)),
    };
    let caption = format!("Each alone{samples}, and its weight in the pooled answer");
    let table = table(&caption, &columns, rows);
    let content = [Some(table), carried(&page.modalities).map(note)];
    Section::new(
        "modalities",
        "Modalities",
        content.into_iter().flatten().collect(),
    )
}

/// Which of them carried the answer, in a sentence.
fn carried(modalities: &[Modality]) -> Option<String> {
    let weighted: Vec<(&Modality, f64)> = modalities
        .iter()
        .filter_map(|modality| Some((modality, modality.weight?)))
        .collect();
    let total: f64 = weighted.iter().map(|(_, weight)| weight).sum();
    let (most, weight) = weighted.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    if weighted.len() < 2 || total <= 0.0 {
        return None;
    }
    let name = shortened(&most.name, 40);
    Some(format!(
        "Most of the answer comes from {name}, with {} of the weight.",
        percent(weight / total)
    ))
}
