//! A comparison as tables: Markdown for people, CSV for programs.

use std::fmt::Write;

use super::{Comparison, Summary};
use crate::metrics::PairedDifference;

impl Comparison {
    /// One row a model: means, spread, differences with their intervals.
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "| model | seeds | accuracy | difference to {} | log loss | difference to {} | seconds | \
             memory |\n|---|---|---|---|---|---|---|---|\n",
            self.against, self.against
        );
        for summary in self.summaries() {
            let memory = summary.peak_memory_bytes.map_or("–".to_owned(), |bytes| {
                format!("{} MB", bytes / 1_000_000)
            });
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {:.1} | {memory} |",
                summary.contestant,
                summary.n_seeds,
                spread(summary.accuracy, summary.accuracy_std),
                interval(summary.accuracy_difference),
                spread(summary.log_loss, summary.log_loss_std),
                interval(summary.log_loss_difference),
                summary.seconds,
            );
        }
        text
    }

    /// One row a line: model, seed, scores, seconds, bytes.
    pub fn to_csv(&self) -> String {
        let mut text =
            "model,seed,accuracy,log_loss,fit_seconds,test_seconds,peak_memory_bytes\n".to_owned();
        for Summary { contestant, .. } in self.summaries() {
            let mut lines: Vec<_> = self.lines.iter().collect();
            lines.retain(|line| line.contestant == contestant);
            lines.sort_by_key(|line| line.seed);
            for line in lines {
                let memory = line
                    .peak_memory_bytes
                    .map_or_else(String::new, |n| n.to_string());
                let _ = writeln!(
                    text,
                    "{},{},{},{},{:.3},{:.3},{memory}",
                    line.contestant,
                    line.seed,
                    line.scores.accuracy,
                    line.scores.log_loss,
                    line.fit_seconds,
                    line.test_seconds,
                );
            }
        }
        text
    }
}

fn spread(mean: f64, std: Option<f64>) -> String {
    std.map_or_else(
        || format!("{mean:.4}"),
        |std| format!("{mean:.4} ± {std:.4}"),
    )
}

fn interval(difference: Option<PairedDifference>) -> String {
    difference.map_or("–".to_owned(), |PairedDifference { mean, low, high }| {
        format!("{mean:+.4} ({low:+.4} to {high:+.4})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Contestant;
    use crate::compare::summary::tests::line;

    #[test]
    fn tables_have_a_row_for_each_model_and_each_line() {
        let comparison = Comparison {
            lines: vec![
                line(Contestant::Dtw, 1, &[true, true, false, false]),
                line(Contestant::Full, 2, &[true, true, true, true]),
                line(Contestant::Full, 1, &[true, true, true, true]),
            ],
            against: Contestant::Full,
        };
        let markdown = comparison.to_markdown();
        let rows: Vec<&str> = markdown.lines().collect();
        assert_eq!(rows.len(), 4);
        assert!(
            rows[2].starts_with(
                "| full | 2 | 1.0000 ± 0.0000 | – | 0.1000 ± 0.0000 | – | 2.0 | 30 MB |"
            ),
            "{markdown}"
        );
        assert!(
            rows[3].starts_with("| dtw | 1 | 0.5000 | -0.5000 ("),
            "{markdown}"
        );
        let csv = comparison.to_csv();
        let rows: Vec<&str> = csv.lines().collect();
        assert_eq!(rows[1], "full,1,1,0.1,1.500,0.500,20000000");
        assert!(rows[3].starts_with("dtw,1,0.5,"), "{csv}");
    }
}
