//! Learning curves, one line a fold.

use super::Section;
use crate::page::ReportPage;
use crate::page::chart::{Axis, Chart, Style};
use crate::page::markup::{Element, el};
use crate::page::name::shortened;
use crate::page::number::{decimal, optional, percent};
use crate::page::theme::SERIES;
use crate::page::widgets::{Column, fold, head, note, number, table};

/// Color of what is not about one fold.
const GRAY: usize = SERIES - 1;

/// How one training went.
#[derive(Clone, Debug, Default)]
pub struct LearningCurve {
    /// Its name: `fold 1`.
    pub name: String,
    /// Its epochs, in order.
    pub epochs: Vec<EpochScores>,
    /// The epoch whose weights were kept, as [`EpochScores::epoch`] counts.
    pub best_epoch: Option<usize>,
}

/// Scores after an epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct EpochScores {
    /// Which epoch, counted from 1.
    pub epoch: usize,
    /// Mean loss on training samples.
    pub train_loss: Option<f64>,
    /// Accuracy on training samples.
    pub train_accuracy: Option<f64>,
    /// Mean loss on validation samples.
    pub valid_loss: Option<f64>,
    /// Accuracy on validation samples.
    pub valid_accuracy: Option<f64>,
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let trained = page
        .learning
        .iter()
        .filter(|curve| !curve.epochs.is_empty());
    let curves: Vec<&LearningCurve> = trained.collect();
    if curves.is_empty() {
        return None;
    }
    let loss = quantity(&curves, |epoch| [epoch.train_loss, epoch.valid_loss]);
    let accuracy = quantity(&curves, |epoch| {
        [epoch.train_accuracy, epoch.valid_accuracy]
    });
    let charts = [
        chart(&curves, &loss, "Loss", Axis::positive("Loss", &all(&loss))),
        chart(
            &curves,
            &accuracy,
            "Accuracy",
            Axis::upper_share("Accuracy", &all(&accuracy)),
        ),
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
        epochs
            .map(|epoch| of(epoch)[side].unwrap_or(f64::NAN))
            .collect()
    };
    let both = |curve: &&LearningCurve| [values(curve, 0), values(curve, 1)];
    curves.iter().map(both).collect()
}

fn all(values: &Values) -> Vec<f64> {
    values
        .iter()
        .flatten()
        .flatten()
        .copied()
        .filter(|value| value.is_finite())
        .collect()
}

fn chart(curves: &[&LearningCurve], values: &Values, title: &str, axis: Axis) -> Option<Element> {
    if all(values).is_empty() {
        return None;
    }
    let epochs = || {
        curves
            .iter()
            .flat_map(|curve| &curve.epochs)
            .map(|epoch| epoch.epoch)
    };
    let span = [epochs().min(), epochs().max()].map(|end| end.unwrap_or(0));
    let mut chart = Chart::new(Axis::whole("Epoch", span[0], span[1]), axis);
    let has = |side: usize| {
        values
            .iter()
            .flat_map(|curve| &curve[side])
            .any(|value| value.is_finite())
    };
    let both = has(0) && has(1);
    let named = curves.len() <= SERIES;
    let color = |curve: usize| if named { curve } else { 0 };
    for (i, (curve, [train, valid])) in curves.iter().zip(values).enumerate() {
        let style = |dashed| Style {
            color: color(i),
            dashed,
        };
        chart.line(&points(curve, train), &style(both));
        chart.line(&points(curve, valid), &style(false));
    }
    for (i, (curve, [_, valid])) in curves.iter().zip(values).enumerate() {
        if let Some(point) = kept(curve, valid) {
            let name = shortened(&curve.name, 30);
            let text = format!("{name}, epoch {}: {}", point.0, decimal(point.1));
            chart.dot(point, color(i), &text);
        }
    }
    let solid = |color| Style {
        color,
        dashed: false,
    };
    if named {
        for (i, curve) in curves.iter().enumerate() {
            chart.explain(&shortened(&curve.name, 30), &solid(i));
        }
    } else {
        chart.explain(&format!("each of {} folds", curves.len()), &solid(0));
    }
    if both {
        chart.explain("validation", &solid(GRAY));
        chart.explain(
            "training",
            &Style {
                color: GRAY,
                dashed: true,
            },
        );
    }
    let description = format!("{title} after each epoch, a line for each fold.");
    Some(chart.figure(&format!("{title} by epoch"), &description))
}

/// Epochs and their values.
fn points(curve: &LearningCurve, values: &[f64]) -> Vec<(f64, f64)> {
    let epochs = curve.epochs.iter().map(|epoch| epoch.epoch as f64);
    epochs.zip(values.iter().copied()).collect()
}

/// The epoch whose weights were kept, and its value.
fn kept(curve: &LearningCurve, values: &[f64]) -> Option<(f64, f64)> {
    let best = curve.best_epoch? as f64;
    let mut points = points(curve, values).into_iter();
    points.find(|(epoch, value)| *epoch == best && value.is_finite())
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
        let kept = curve
            .epochs
            .iter()
            .find(|epoch| Some(epoch.epoch) == curve.best_epoch);
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
