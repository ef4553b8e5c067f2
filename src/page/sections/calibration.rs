//! Calibration: whether the model is right as often as it says.

use super::Section;
use crate::page::chart::{Axis, Chart, Style};
use crate::page::interval::wilson;
use crate::page::markup::{Element, el};
use crate::page::number::{count, decimal, optional, percent};
use crate::page::widgets::{Column, fold, note, number, paragraph, table, tile};
use crate::page::{CalibrationBin, Evaluation, ReportPage};

/// How to read the diagram.
const READING: &str = "Each dot is a group of answers given with about the same confidence, at the \
                       share of them that is correct. Below the diagonal the model is overconfident, \
                       above it underconfident.";
/// Height of the bars of samples, as a share of the chart.
const BARS: f64 = 0.2;

pub(super) fn section(page: &ReportPage) -> Option<Section> {
    let evaluation = page
        .evaluation
        .as_ref()
        .filter(|evaluation| evaluation.total() > 0)?;
    let mut bins = evaluation.calibration.clone();
    bins.retain(|bin| bin.samples > 0 && bin.confidence.is_finite());
    if bins.is_empty() && evaluation.log_loss.is_none() && evaluation.ece.is_none() {
        return None;
    }
    let mut content = vec![tiles(evaluation)];
    if !bins.is_empty() {
        let text = el("div")
            .child(paragraph(reading(&bins)))
            .child(note(READING));
        let table = fold("The same as a table", [bin_table(&bins)]);
        let sides = el("div").class("sides").child(reliability(&bins));
        content.push(sides.child(text.child(table)));
    }
    Section::new("calibration", "Calibration", content)
}

fn tiles(evaluation: &Evaluation) -> Element {
    let hint = "Mean distance between confidence and accuracy";
    el("dl").class("tiles").children([
        tile(
            "Expected calibration error",
            optional(evaluation.ece, percent),
            hint,
        ),
        tile(
            "Log loss",
            optional(evaluation.log_loss, decimal),
            "0 is perfect",
        ),
        tile(
            "Brier score",
            optional(evaluation.brier, decimal),
            "0 is perfect",
        ),
    ])
}

fn accuracy(bin: &CalibrationBin) -> f64 {
    bin.correct as f64 / bin.samples as f64
}

fn interval(bin: &CalibrationBin) -> [f64; 2] {
    wilson(bin.correct, bin.samples).unwrap_or([0.0, 1.0])
}

/// The reliability diagram.
fn reliability(bins: &[CalibrationBin]) -> Element {
    let mut chart = Chart::new(Axis::share("Confidence"), Axis::share("Accuracy"));
    let most = bins.iter().map(|bin| bin.samples).max().unwrap_or(1) as f64;
    for (i, bin) in bins.iter().enumerate() {
        // A bar is as wide as its neighbors allow, around the mean confidence of its bin.
        let gap = |other: Option<&CalibrationBin>| {
            other.map_or(0.05, |other| {
                (other.confidence - bin.confidence).abs() / 2.0
            })
        };
        let before = gap(i.checked_sub(1).and_then(|i| bins.get(i)));
        let half = before.min(gap(bins.get(i + 1))).clamp(0.01, 0.04);
        let span = [bin.confidence - half, bin.confidence + half];
        let title = format!("{} samples", count(bin.samples));
        chart.bar(span, BARS * bin.samples as f64 / most, &title);
    }
    let perfect = Style {
        color: 7,
        dashed: true,
    };
    chart.line(&[(0.0, 0.0), (1.0, 1.0)], &perfect);
    for bin in bins {
        chart.whisker(bin.confidence, interval(bin));
    }
    for bin in bins {
        let title = format!(
            "confidence {}, accuracy {}, {} samples",
            percent(bin.confidence),
            percent(accuracy(bin)),
            count(bin.samples)
        );
        chart.dot((bin.confidence, accuracy(bin)), 0, &title);
    }
    chart.explain_dots("accuracy of a bin, with its 95% interval", 0);
    chart.explain("perfect calibration", &perfect);
    chart.explain_bars("samples in the bin");
    chart.figure(
        "Reliability diagram",
        "Accuracy of the answers against the confidence they were given with; on the diagonal, both agree.",
    )
}

/// What the diagram says, in a sentence.
fn reading(bins: &[CalibrationBin]) -> String {
    let off = |sign: f64| {
        let beyond = bins.iter().filter(|bin| {
            let [low, high] = interval(bin);
            match sign > 0.0 {
                true => bin.confidence > high,
                false => bin.confidence < low,
            }
        });
        beyond.count()
    };
    let n = bins.len();
    match (off(1.0), off(-1.0)) {
        (0, 0) => {
            "In no bin does confidence differ from accuracy by more than chance would explain."
                .to_owned()
        }
        (over, 0) => format!("The model is overconfident in {over} of {n} bins."),
        (0, under) => format!("The model is underconfident in {under} of {n} bins."),
        (over, under) => format!(
            "Of {n} bins, the model is overconfident in {over} and underconfident in {under}."
        ),
    }
}

fn bin_table(bins: &[CalibrationBin]) -> Element {
    let columns = [
        Column::Number("Mean confidence"),
        Column::Number("Accuracy"),
        Column::Number("95% interval"),
        Column::Number("Samples"),
    ];
    let rows = bins.iter().map(|bin| {
        let [low, high] = interval(bin);
        vec![
            number(percent(bin.confidence)),
            number(percent(accuracy(bin))),
            number(format!("{} to {}", percent(low), percent(high))),
            number(count(bin.samples)),
        ]
    });
    table("Bins of the reliability diagram", &columns, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_counts_only_what_chance_does_not_explain() {
        let bin = |confidence, correct, samples| CalibrationBin {
            confidence,
            correct,
            samples,
        };
        assert!(
            reading(&[bin(0.9, 8, 10)]).starts_with("In no bin"),
            "8 of 10 may be 90%"
        );
        let both = reading(&[bin(0.9, 50, 100), bin(0.5, 90, 100)]);
        assert_eq!(
            both,
            "Of 2 bins, the model is overconfident in 1 and underconfident in 1."
        );
    }
}
