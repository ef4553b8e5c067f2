//! Learning curves, one line a fold.

use super::super::chart::{Axis, Chart, Style};
use super::super::input::{EpochScores, LearningCurve, ReportPage};
use super::super::markup::{Element, el};
use super::super::name::shortened;
use super::super::number::{decimal, optional, percent};
use super::super::widgets::{Column, fold, head, note, number, table};
use super::Section;

/// Folds with a color of their own in the legend.
const MAX_NAMED: usize = 8;

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let trained = page.learning.iter().filter(|curve| !curve.epochs.is_empty());
    let curves: Vec<&LearningCurve> = trained.collect();
    if curves.is_empty() {
        return None;
    }
    let loss = quantity(&curves, |epoch| [epoch.train_loss, epoch.valid_loss]);
    let accuracy = quantity(&curves, |epoch| [epoch.train_accuracy, epoch.valid_accuracy]);
    let charts = [
        chart(&curves, &loss, "Loss", Axis::positive("Loss", &all(&loss))),
        chart(&curves, &accuracy, "Accuracy", Axis::upper_share("Accuracy", &all(&accuracy))),
    ];
    let charts: Vec<Element> = charts.into_iter().flatten().collect();
    let mut content = vec![el("div").class("pair").children(charts)];
    if curves.iter().any(|curve| curve.best_epoch.is_some()) {
        content.push(note("A dot marks the epoch whose weights were kept."));
    }
    content.push(fold("The same as a table", [summary(&curves)]));
    Section::new("learning", "Learning curves", content)
}

/// Values of one quantity by curve and epoch, on training and on validation samples.
type Values = Vec<[Vec<f64>; 2]>;

fn quantity(curves: &[&LearningCurve], of: fn(&EpochScores) -> [Option<f64>; 2]) -> Values {
    let values = |curve: &LearningCurve, side: usize| {
        let epochs = curve.epochs.iter();
        epochs.map(|epoch| of(epoch)[side].unwrap_or(f64::NAN)).collect()
    };
    let both = |curve: &&LearningCurve| [values(curve, 0), values(curve, 1)];
    curves.iter().map(both).collect()
}

fn all(values: &Values) -> Vec<f64> {
    values.iter().flatten().flatten().copied().filter(|value| value.is_finite()).collect()
}

fn chart(curves: &[&LearningCurve], values: &Values, title: &str, axis: Axis) -> Option<Element> {
    if all(values).is_empty() {
        return None;
    }
    let last = curves.iter().flat_map(|curve| &curve.epochs).map(|epoch| epoch.epoch);
    let first = curves.iter().flat_map(|curve| &curve.epochs).map(|epoch| epoch.epoch);
    let epochs = Axis::whole("Epoch", first.min().unwrap_or(0), last.max().unwrap_or(1));
    let mut chart = Chart::new(epochs, axis);
    let has = |side: usize| values.iter().any(|curve| curve[side].iter().any(|value| value.is_finite()));
    let both = has(0) && has(1);
    let points = |curve: &LearningCurve, values: &[f64]| -> Vec<(f64, f64)> {
        let epochs = curve.epochs.iter().map(|epoch| epoch.epoch as f64);
        epochs.zip(values.iter().copied()).collect()
    };
    for (color, (curve, [train, valid])) in curves.iter().zip(values).enumerate() {
        chart.line(&points(curve, train), &Style { color, dashed: both });
        chart.line(&points(curve, valid), &Style { color, dashed: false });
    }
    for (color, (curve, [_, valid])) in curves.iter().zip(values).enumerate() {
        let kept = points(curve, valid).into_iter().find(|(epoch, value)| {
            value.is_finite() && curve.best_epoch.is_some_and(|best| best as f64 == *epoch)
        });
        if let Some(point) = kept {
            let name = shortened(&curve.name, 30);
            chart.dot(point, color, &format!("{name}, epoch {}: {}", point.0, decimal(point.1)));
        }
    }
    for (color, curve) in curves.iter().enumerate().take(MAX_NAMED) {
        let style = Style { color, dashed: false };
        chart.explain(&shortened(&curve.name, 30), &style);
    }
    if both {
        chart.explain("training (unbroken: validation)", &Style { color: 7, dashed: true });
    }
    let description = format!("{title} after each epoch, a line for each fold.");
    Some(chart.figure(&format!("{title} by epoch"), &description))
}

/// Where each curve ended, and what was kept of it.
fn summary(curves: &[&LearningCurve]) -> Element {
    let columns = [
        Column::Text("Training"),
        Column::Number("Epochs"),
        Column::Number("Epoch kept"),
        Column::Number("Training loss"),
        Column::Number("Validation loss"),
        Column::Number("Validation accuracy"),
    ];
    let rows = curves.iter().filter_map(|curve| {
        let kept = curve.epochs.iter().find(|epoch| Some(epoch.epoch) == curve.best_epoch);
        let shown = kept.or(curve.epochs.last())?;
        Some(vec![
            head(&curve.name),
            number(curve.epochs.len()),
            number(shown.epoch),
            number(optional(shown.train_loss, decimal)),
            number(optional(shown.valid_loss, decimal)),
            number(optional(shown.valid_accuracy, percent)),
        ])
    });
    table("Scores at the epoch that was kept", &columns, rows)
}
