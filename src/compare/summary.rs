//! What the lines of a comparison say together.

use super::{Contestant, Line};
use crate::metrics::PairedDifference;

/// Lines of several models and seeds on the same samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The lines, in any order.
    pub lines: Vec<Line>,
    /// The model that the others are compared with.
    pub against: Contestant,
}

/// How one model did over its seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The model.
    pub contestant: Contestant,
    /// Number of seeds, one line each.
    pub n_seeds: usize,
    /// Mean accuracy.
    pub accuracy: f64,
    /// Standard deviation of the accuracy over the seeds; `None` of a single one.
    pub accuracy_std: Option<f64>,
    /// Mean log loss.
    pub log_loss: f64,
    /// Its standard deviation, likewise.
    pub log_loss_std: Option<f64>,
    /// Mean seconds of fitting and testing.
    pub seconds: f64,
    /// The most memory of any line, in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Accuracy less that of the model that it is compared with; `None` of that model itself.
    pub accuracy_difference: Option<PairedDifference>,
    /// Log loss less that of the model that it is compared with, likewise.
    pub log_loss_difference: Option<PairedDifference>,
}

impl Comparison {
    /// How the differences are measured, for people.
    pub const METHOD: &'static str = "Differences are those to the reference model on the same test \
        samples and seeds, with the 95% interval of a paired bootstrap over samples and seeds (2,000 \
        draws, percentiles).";

    /// A summary of each model that has lines, in the order of [`Contestant::ALL`].
    pub fn summaries(&self) -> Vec<Summary> {
        let present = Contestant::ALL.into_iter();
        let present = present.filter(|of| !self.lines_of(*of).is_empty());
        present.map(|contestant| self.summary(contestant)).collect()
    }

    /// The lines of a model, by seed.
    fn lines_of(&self, contestant: Contestant) -> Vec<&Line> {
        let lines = self.lines.iter();
        let mut lines: Vec<&Line> = lines.filter(|line| line.contestant == contestant).collect();
        lines.sort_by_key(|line| line.seed);
        lines
    }

    fn summary(&self, contestant: Contestant) -> Summary {
        let lines = self.lines_of(contestant);
        let of = |score: fn(&Line) -> f64| -> Vec<f64> {
            lines.iter().map(|line| score(line)).collect()
        };
        let accuracies = of(|line| line.scores.accuracy);
        let losses = of(|line| line.scores.log_loss);
        let memory = lines.iter().filter_map(|line| line.peak_memory_bytes);
        Summary {
            contestant,
            n_seeds: lines.len(),
            accuracy: mean(&accuracies),
            accuracy_std: std(&accuracies),
            log_loss: mean(&losses),
            log_loss_std: std(&losses),
            seconds: mean(&of(|line| line.fit_seconds + line.test_seconds)),
            peak_memory_bytes: memory.max(),
            accuracy_difference: self.difference(contestant, |line| {
                let correct = line.scores.correct.iter();
                correct
                    .map(|correct| f64::from(u8::from(*correct)))
                    .collect()
            }),
            log_loss_difference: self.difference(contestant, |line| line.scores.losses.clone()),
        }
    }

    /// The difference of a score of every sample to that of the reference model. A model that no seed
    /// changes stands for itself under every seed.
    fn difference(
        &self,
        contestant: Contestant,
        score: impl Fn(&Line) -> Vec<f64>,
    ) -> Option<PairedDifference> {
        if contestant == self.against {
            return None;
        }
        let [own, other] = [contestant, self.against].map(|of| self.lines_of(of));
        let seeds = match self.against.is_seeded() {
            true => &other,
            false => &own,
        };
        let line = |lines: &[&Line], of: Contestant, seed: u64| {
            let fits = |line: &&&Line| line.seed == seed || !of.is_seeded();
            lines.iter().find(fits).map(|line| score(line))
        };
        let rows = seeds.iter().filter_map(|at| {
            let own = line(&own, contestant, at.seed)?;
            let other = line(&other, self.against, at.seed)?;
            let pairs = own.iter().zip(&other);
            Some(pairs.map(|(own, other)| own - other).collect())
        });
        PairedDifference::of(&rows.collect::<Vec<Vec<f64>>>())
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Unbiased standard deviation; `None` of a single value.
fn std(values: &[f64]) -> Option<f64> {
    let middle = mean(values);
    let squares: f64 = values.iter().map(|value| (value - middle).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::compare::LineScores;

    /// A line that answers these samples correctly.
    pub(crate) fn line(contestant: Contestant, seed: u64, correct: &[bool]) -> Line {
        let loss = |correct: &bool| if *correct { 0.1 } else { 2.0 };
        let losses: Vec<f64> = correct.iter().map(loss).collect();
        let correct_share: Vec<f64> = correct.iter().map(|c| f64::from(u8::from(*c))).collect();
        Line {
            contestant,
            seed,
            scores: LineScores {
                accuracy: mean(&correct_share),
                log_loss: mean(&losses),
                correct: correct.to_vec(),
                losses,
            },
            fit_seconds: 1.5,
            test_seconds: 0.5,
            peak_memory_bytes: Some(10_000_000 * (seed + 1)),
        }
    }

    #[test]
    fn summaries_are_means_over_seeds_and_differences_are_paired() {
        let (yes, no) = (true, false);
        let comparison = Comparison {
            lines: vec![
                line(Contestant::Majority, 1, &[yes, no, no, no]),
                line(Contestant::Full, 2, &[yes, yes, yes, yes]),
                line(Contestant::Full, 1, &[yes, yes, no, yes]),
                line(Contestant::Dual, 1, &[yes, no, no, yes]),
                line(Contestant::Dual, 2, &[yes, no, yes, yes]),
            ],
            against: Contestant::Full,
        };
        let summaries = comparison.summaries();
        let order: Vec<Contestant> = summaries.iter().map(|s| s.contestant).collect();
        assert_eq!(
            order,
            [Contestant::Full, Contestant::Dual, Contestant::Majority]
        );
        let [full, dual, majority] = &summaries[..] else {
            panic!("three summaries");
        };
        assert_eq!((full.n_seeds, full.accuracy), (2, 0.875));
        let std = full.accuracy_std.unwrap();
        assert!((std - 0.125 * 2f64.sqrt()).abs() < 1e-12, "{std}");
        assert_eq!(full.accuracy_difference, None);
        assert_eq!(full.peak_memory_bytes, Some(30_000_000));
        // Seed by seed: only the second sample differs, in both.
        let difference = dual.accuracy_difference.unwrap();
        assert_eq!(difference.mean, -0.25);
        // One line of the majority stands for both seeds.
        assert_eq!((majority.n_seeds, majority.accuracy_std), (1, None));
        assert_eq!(majority.accuracy_difference.unwrap().mean, -0.625);
        let loss = majority.log_loss_difference.unwrap().mean;
        assert!((loss - 0.625 * 1.9).abs() < 1e-12, "{loss}");
    }
}
