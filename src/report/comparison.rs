//! The page of a comparison.

use super::page::split;
use crate::compare::{Comparison, Summary};
use crate::data::SeriesDataset;
use crate::metrics::PairedDifference;
use crate::page::{Contender, DataSummary, Fact, ReportPage};

/// The page of a comparison on these training and test samples. Date, command and configuration are
/// for the caller to add.
pub fn comparison_page(
    comparison: &Comparison,
    (train, test): (&SeriesDataset, &SeriesDataset),
) -> ReportPage {
    let classes = train.class_names();
    let summaries = comparison.summaries();
    let contenders = summaries
        .iter()
        .map(|summary| contender(comparison, summary));
    let numbered = || (1..=train.n_variates()).map(|number| format!("variate {number}"));
    let mut page = ReportPage {
        name: train.name().to_owned(),
        class_names: classes.to_vec(),
        comparison: contenders.collect(),
        comparison_method: Comparison::METHOD.to_owned(),
        data: Some(DataSummary {
            splits: vec![
                split("training", train, classes),
                split("test", test, classes),
            ],
            variate_names: match train.variate_names() {
                [] => numbered().collect(),
                names => names.to_vec(),
            },
            ..DataSummary::default()
        }),
        ..ReportPage::default()
    };
    page.provenance.data_hash = Some(format!("{:032x}", train.fingerprint()));
    page.provenance.facts = vec![
        Fact::new("Training samples", train.len().to_string()),
        Fact::new("Test samples", test.len().to_string()),
        Fact::new("Lines", comparison.lines.len().to_string()),
        Fact::new("timesclip", env!("CARGO_PKG_VERSION")),
    ];
    page
}

fn contender(comparison: &Comparison, summary: &Summary) -> Contender {
    let interval = |of: Option<PairedDifference>| of.map(|of| [of.mean, of.low, of.high]);
    Contender {
        name: summary.contestant.to_string(),
        is_this: summary.contestant == comparison.against,
        accuracy: summary.accuracy,
        accuracy_std: summary.accuracy_std,
        log_loss: Some(summary.log_loss),
        difference: interval(summary.accuracy_difference),
        log_loss_difference: interval(summary.log_loss_difference),
        seconds: Some(summary.seconds),
        memory_bytes: summary.peak_memory_bytes,
    }
}
