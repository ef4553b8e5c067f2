//! Early recognition: what the model knows after the first steps.

use super::Section;
use crate::page::chart::{Axis, Chart, Style};
use crate::page::markup::{Element, el};
use crate::page::number::{count, decimal, optional, percent};
use crate::page::widgets::{Column, facts, fold, number, table};
use crate::page::{Fact, ReportPage};

/// Scores from the first steps only.
#[derive(Clone, Debug, Default)]
pub struct EarlyRecognition {
    /// Scores after a growing number of steps.
    pub points: Vec<EarlyPoint>,
    /// Figures of the stop rule and such, as named figures.
    pub facts: Vec<Fact>,
}

/// Scores after some steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct EarlyPoint {
    /// Steps seen.
    pub n_steps: usize,
    /// Accuracy.
    pub accuracy: f64,
    /// Macro F1.
    pub macro_f1: Option<f64>,
    /// Log loss.
    pub log_loss: Option<f64>,
}

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let early = page.early.as_ref().filter(|early| early.points.len() > 1)?;
    let mut content = vec![
        el("div")
            .class("pair")
            .child(scores(early))
            .children(loss(early)),
    ];
    content.extend(facts(&early.facts));
    content.push(fold("The same as a table", [point_table(&early.points)]));
    Section::new("early", "Early recognition", content)
}

fn steps(early: &EarlyRecognition) -> Axis {
    let last = early.points.iter().map(|point| point.n_steps).max();
    Axis::whole("Time steps seen", 0, last.unwrap_or(1))
}

fn line(early: &EarlyRecognition, of: impl Fn(&EarlyPoint) -> Option<f64>) -> Vec<(f64, f64)> {
    let points = early.points.iter();
    points
        .filter_map(|point| Some((point.n_steps as f64, of(point)?)))
        .collect()
}

fn scores(early: &EarlyRecognition) -> Element {
    let accuracy = line(early, |point| Some(point.accuracy));
    let f1 = line(early, |point| point.macro_f1);
    let mut chart = Chart::new(steps(early), Axis::share("Score"));
    let styles = [0, 1].map(|color| Style {
        color,
        dashed: color == 1,
    });
    chart.line(&accuracy, &styles[0]);
    chart.explain("accuracy", &styles[0]);
    if !f1.is_empty() {
        chart.line(&f1, &styles[1]);
        chart.explain("macro F1", &styles[1]);
    }
    chart.figure(
        "Scores by steps seen",
        "How accuracy grows with the number of time steps that the model has seen.",
    )
}

fn loss(early: &EarlyRecognition) -> Option<Element> {
    let loss = line(early, |point| point.log_loss);
    let values: Vec<f64> = loss.iter().map(|(_, loss)| *loss).collect();
    let mut chart = Chart::new(steps(early), Axis::positive("Log loss", &values));
    chart.line(
        &loss,
        &Style {
            color: 0,
            dashed: false,
        },
    );
    let description =
        "How the log loss falls with the number of time steps that the model has seen.";
    (!loss.is_empty()).then(|| chart.figure("Log loss by steps seen", description))
}

fn point_table(points: &[EarlyPoint]) -> Element {
    let columns = [
        Column::Number("Time steps seen"),
        Column::Number("Accuracy"),
        Column::Number("Macro F1"),
        Column::Number("Log loss"),
    ];
    let rows = points.iter().map(|point| {
        vec![
            number(count(point.n_steps as u64)),
            number(percent(point.accuracy)),
            number(optional(point.macro_f1, percent)),
            number(optional(point.log_loss, decimal)),
        ]
    });
    table("Scores by steps seen", &columns, rows)
}
