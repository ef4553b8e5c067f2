//! The verdict: how good the model is, and beside what.

use super::Section;
use crate::page::interval::wilson;
use crate::page::markup::{Element, el};
use crate::page::name::shortened;
use crate::page::number::{count, counted, decimal, optional, percent};
use crate::page::widgets::{bar, head, number, tile, track};
use crate::page::{Baseline, Evaluation, ReportPage};

/// The verdict in one sentence, the model beside its baselines, the main scores. A page that only
/// compares models or explains samples has none.
pub(in crate::page) fn section(page: &ReportPage) -> Option<Section> {
    let scored = page
        .evaluation
        .as_ref()
        .filter(|evaluation| evaluation.total() > 0);
    let content = match scored {
        Some(evaluation) => {
            let baselines = with_majority(evaluation);
            let sentence = [sentence(evaluation, &baselines)]
                .into_iter()
                .chain(doubts(page));
            let scores = [beside(evaluation, &baselines), tiles(evaluation)];
            sentence.chain(scores).collect()
        }
        None if page.comparison.is_empty() && page.explained.is_empty() => {
            vec![el("p").class("verdict").text(untested(page))]
        }
        None => Vec::new(),
    };
    Section::new("verdict", "Verdict", content)
}

/// What is known of a model that was not tested.
fn untested(page: &ReportPage) -> String {
    let Some(held_out) = &page.held_out else {
        let text = "The model was trained, but there were no labeled samples to score it on.";
        return text.to_owned();
    };
    format!(
        "The model was not tested. It classifies {} of {} correctly that were held out from \
         training, with a log loss of {}.",
        percent(held_out.accuracy),
        counted(held_out.samples, "training sample"),
        decimal(held_out.log_loss)
    )
}

/// The majority class of the scored samples, then the baselines that were given.
fn with_majority(evaluation: &Evaluation) -> Vec<Baseline> {
    let given = evaluation
        .baselines
        .iter()
        .filter(|baseline| baseline.accuracy.is_finite());
    let largest = evaluation
        .confusion
        .iter()
        .map(|row| row.iter().sum::<u64>());
    let majority = Baseline {
        name: "majority class".to_owned(),
        accuracy: largest.max().unwrap_or(0) as f64 / evaluation.total() as f64,
    };
    let has_own = evaluation
        .baselines
        .iter()
        .any(|baseline| baseline.name == majority.name);
    (!has_own)
        .then_some(majority)
        .into_iter()
        .chain(given.cloned())
        .collect()
}

fn sentence(evaluation: &Evaluation, baselines: &[Baseline]) -> Element {
    let (correct, total) = (evaluation.correct(), evaluation.total());
    let accuracy = percent(correct as f64 / total as f64);
    let [low, high] = wilson(correct, total).unwrap_or([0.0, 1.0]);
    let split = match evaluation.split.is_empty() {
        true => "labeled".to_owned(),
        false => shortened(&evaluation.split, 30),
    };
    let relation = |baseline: &Baseline| match baseline.accuracy {
        accuracy if accuracy < low => "clearly above",
        accuracy if accuracy > high => "clearly below",
        _ => "not distinguishable from",
    };
    let parts: Vec<String> = baselines
        .chunk_by(|a, b| relation(a) == relation(b))
        .map(|alike| {
            let named = alike.iter().map(|baseline| {
                let name = shortened(&baseline.name, 40);
                format!("the {name} ({})", percent(baseline.accuracy))
            });
            let named: Vec<String> = named.collect();
            format!("{} {}", relation(&alike[0]), listed(&named))
        })
        .collect();
    el("p")
        .class("verdict")
        .text(format!(
            "The model classifies {} of {} {split} samples correctly: ",
            count(correct),
            count(total)
        ))
        .child(el("strong").text(format!("{accuracy} accuracy")))
        .text(format!(
            ", 95% interval {} to {}, {}.",
            percent(low),
            percent(high),
            listed(&parts)
        ))
}

/// Parts of a sentence, with commas and an "and".
fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

/// Where the data put the scores in doubt.
fn doubts(page: &ReportPage) -> Option<Element> {
    let findings = page.data.iter().flat_map(|data| &data.findings);
    let warnings = findings.filter(|finding| finding.warning).count() as u64;
    let link = el("a")
        .attr("href", "#data")
        .text(counted(warnings, "warning"));
    let text = el("p").class("doubts").text("Read it with ").child(link);
    (warnings > 0).then(|| text.text(" about the data in mind."))
}

/// The model and its baselines as bars on one scale.
fn beside(evaluation: &Evaluation, baselines: &[Baseline]) -> Element {
    let accuracy = evaluation.correct() as f64 / evaluation.total() as f64;
    let interval = wilson(evaluation.correct(), evaluation.total());
    let row = |name: &str, accuracy: f64, bar_of: Element| {
        el("tr").children([head(name), bar(bar_of), number(percent(accuracy))])
    };
    let rows = baselines.iter().map(|baseline| {
        let bar = track(baseline.accuracy, None, "other");
        row(&capitalized(&baseline.name), baseline.accuracy, bar)
    });
    let caption = "Accuracy on a scale from 0 to 100%; the whisker is the 95% interval (Wilson)";
    el("table")
        .class("beside")
        .child(el("caption").text(caption))
        .child(
            el("tbody")
                .child(row("This model", accuracy, track(accuracy, interval, "this")).class("this"))
                .children(rows),
        )
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

fn tiles(evaluation: &Evaluation) -> Element {
    let scores = [
        (
            "Balanced accuracy",
            optional(evaluation.balanced_accuracy, percent),
            "Mean recall over the classes",
        ),
        (
            "Macro F1",
            optional(evaluation.macro_f1, percent),
            "Mean F1 over the classes",
        ),
        (
            "Log loss",
            optional(evaluation.log_loss, decimal),
            "Mean negative log probability of the true class; 0 is perfect",
        ),
        (
            "Calibration error",
            optional(evaluation.ece, percent),
            "Expected calibration error: mean distance between confidence and accuracy",
        ),
    ];
    let tiles = scores
        .into_iter()
        .map(|(label, value, hint)| tile(label, value, hint));
    el("dl").class("tiles").children(tiles)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Contender;
    use crate::page::{DataSummary, Finding};

    fn html(page: &ReportPage) -> String {
        section(page).unwrap().element().to_string()
    }

    fn page(confusion: Vec<Vec<u64>>, baselines: &[(&str, f64)]) -> ReportPage {
        let baseline = |(name, accuracy): &(&str, f64)| Baseline {
            name: (*name).to_owned(),
            accuracy: *accuracy,
        };
        ReportPage {
            evaluation: Some(Evaluation {
                split: "test".to_owned(),
                confusion,
                baselines: baselines.iter().map(baseline).collect(),
                ..Evaluation::default()
            }),
            ..ReportPage::default()
        }
    }

    #[test]
    fn verdict_says_what_the_interval_allows() {
        let page = page(
            vec![vec![45, 5], vec![5, 45]],
            &[("kernel baseline", 0.89), ("oracle", 1.0)],
        );
        let text = html(&page);
        for part in [
            "90 of 100 test samples",
            "<strong>90.0% accuracy</strong>, 95% interval 82.6% to 94.5%",
            "clearly above the majority class (50.0%)",
            "not distinguishable from the kernel baseline (89.0%)",
            "and clearly below the oracle (100%).",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn samples_of_unknown_classes_count_as_mistakes() {
        let mut page = page(vec![vec![45, 0], vec![0, 45]], &[]);
        page.evaluation.as_mut().unwrap().unknown = 10;
        let text = html(&page);
        assert!(
            text.contains("90 of 100 test samples") && text.contains("(45.0%)"),
            "{text}"
        );
    }

    #[test]
    fn without_samples_nothing_is_claimed() {
        for page in [ReportPage::default(), page(vec![vec![0]], &[])] {
            let text = html(&page);
            assert!(
                text.contains("no labeled samples") && !text.contains("NaN"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_majority_class_that_is_given_is_not_shown_twice() {
        let text = html(&page(
            vec![vec![3, 0], vec![0, 1]],
            &[("majority class", 0.25)],
        ));
        assert!(
            text.contains("(25.0%)") && !text.contains("(75.0%)"),
            "{text}"
        );
    }

    #[test]
    fn a_page_that_only_compares_has_no_verdict() {
        let page = ReportPage {
            comparison: vec![Contender::default()],
            ..ReportPage::default()
        };
        assert!(section(&page).is_none(), "nothing was scored");
    }

    #[test]
    fn warnings_about_the_data_are_told_with_the_verdict() {
        let mut page = page(vec![vec![3, 0], vec![0, 1]], &[]);
        let finding = |warning| Finding {
            warning,
            ..Finding::default()
        };
        page.data = Some(DataSummary {
            findings: vec![finding(true), finding(false), finding(true)],
            ..DataSummary::default()
        });
        assert!(
            html(&page).contains("<a href=\"#data\">2 warnings</a>"),
            "they are counted"
        );
        page.data = None;
        assert!(!html(&page).contains("#data"), "none");
    }
}
