//! Several ridges in one classifier: each sees some of the blocks, a log-linear pool joins them, and a
//! matrix scaling corrects what the pool says.
//!
//! A pool of softmaxes of linear functions, scaled by a matrix, is a softmax of a linear function, so that
//! what is kept, and what an answer costs, is that of one ridge.

use super::model::Member;
use super::pool::{LogPool, Start};
use super::rows::{self, Block, FeatureRows, RowsError};
use super::scaling::{self, MatrixScaling};
use super::targets::Prepared;
use super::{ClosedForm, ClosedFormError, ClosedFormFit, HeldOut, RidgeConfig, Targets};

/// How strongly weights are drawn toward the first ridge alone; in a pool of few samples the others
/// have to earn theirs. Chosen by cross-validation on the training splits of 94 UCR and UEA sets
/// (`docs/accuracy.md`), where 1 to 10 are much the same.
const PULL: f64 = 3.0;

/// Ridges that each see some blocks of the same rows.
///
/// # Examples
///
/// ```
/// use timesclip::closed_form::{Block, FeatureTable, RidgeConfig, RidgeViews, Targets};
///
/// // Six samples of two blocks of one feature; the first tells the classes apart.
/// let values = vec![0.0, 1.0, 0.2, 5.0, 0.1, 3.0, 1.0, 2.0, 0.9, 4.0, 1.1, 1.0];
/// let blocks = vec![Block { width: 1, scale: 1.0 }; 2];
/// let table = FeatureTable::new(values, blocks)?;
/// let targets = Targets::new(&[0, 0, 0, 1, 1, 1], 2);
///
/// let views = [vec![0, 1], vec![0]]; // both blocks, and the first alone
/// let ridges = RidgeViews::fit(&table, &views, &targets, &RidgeConfig::default())?;
/// let fit = ridges.pool(&[0, 1]);
/// assert_eq!(fit.model.state().views.len(), 2);
/// assert!(fit.model.probabilities(&[0.05, 2.0])[0] > 0.5);
/// # Ok::<(), timesclip::closed_form::ClosedFormError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RidgeViews {
    ridges: Vec<(Vec<usize>, ClosedFormFit)>,
    blocks: Vec<Block>,
    targets: Prepared,
}

impl RidgeViews {
    /// Fits a ridge to each list of blocks.
    ///
    /// # Errors
    ///
    /// As [`ClosedForm::fit`].
    ///
    /// # Panics
    ///
    /// If there are no such blocks.
    pub fn fit(
        rows: &impl FeatureRows,
        views: &[Vec<usize>],
        targets: &Targets<'_>,
        config: &RidgeConfig,
    ) -> Result<Self, ClosedFormError> {
        rows::check(rows)?;
        let ridges = views.iter().map(|blocks| {
            let fit = ClosedForm::fit(&Columns::new(rows, blocks), targets, config)?;
            Ok((blocks.clone(), fit))
        });
        Ok(Self {
            ridges: ridges.collect::<Result<_, ClosedFormError>>()?,
            blocks: rows.blocks().to_vec(),
            targets: Prepared::new(targets, rows.n_rows())?,
        })
    }

    /// Some of the ridges as one classifier, over the features of all blocks. Weights are those of
    /// the least log loss of the held-out answers, drawn toward the first ridge alone. The matrix that
    /// scales the pooled scores is fitted to the same answers, drawn toward no change; the held-out
    /// answers that are returned are scaled by matrices fitted to other samples.
    ///
    /// # Panics
    ///
    /// If there are no such ridges.
    pub fn pool(&self, members: &[usize]) -> ClosedFormFit {
        let (weights, scores) = self.pooled(members);
        let joined = members.iter().zip(weights).map(|(&member, weight)| {
            let (blocks, fit) = &self.ridges[member];
            Member {
                model: &fit.model,
                features: rows::features_of(&self.blocks, blocks),
                weight,
            }
        });
        let joined: Vec<Member<'_>> = joined.collect();
        let scaling = MatrixScaling::fit(&scores, &self.targets);
        let scaled = scaling::held_out(&scores, &self.targets);
        ClosedFormFit {
            model: ClosedForm::joined(&joined, rows::width_of(&self.blocks), &scaling),
            held_out: HeldOut::new(&scaled, &self.targets, 1.0),
        }
    }

    /// Weights of some ridges, and the scores of their pool.
    fn pooled(&self, members: &[usize]) -> (Vec<f64>, Vec<f64>) {
        let held_out = members
            .iter()
            .map(|&member| &self.ridges[member].1.held_out);
        let held_out = held_out.map(|held_out| held_out.probabilities.as_slice());
        let held_out: Vec<&[f32]> = held_out.collect();
        let weights = self.weights(&held_out);
        let scores = scores(&held_out, &weights);
        (weights, scores)
    }

    fn weights(&self, held_out: &[&[f32]]) -> Vec<f64> {
        let n = held_out.len();
        if n == 1 {
            return vec![1.0];
        }
        let start = Start {
            weights: (0..n).map(|i| if i == 0 { 1.0 } else { 0.0 }).collect(),
            pull: PULL,
        };
        let Prepared {
            labels,
            n_classes,
            weights,
            ..
        } = &self.targets;
        LogPool::fit_from(&start, held_out, labels, *n_classes, Some(weights)).weights
    }
}

/// Scores of a pool: weighted sums of the logarithms of its members' probabilities.
fn scores(members: &[&[f32]], weights: &[f64]) -> Vec<f64> {
    let mut scores = vec![0.0; members[0].len()];
    for (member, weight) in members.iter().zip(weights) {
        for (sum, &p) in scores.iter_mut().zip(*member) {
            *sum += weight * f64::from(p.max(f32::MIN_POSITIVE)).ln();
        }
    }
    scores
}

/// Some blocks of rows.
#[derive(Debug)]
struct Columns<'a, R> {
    rows: &'a R,
    wanted: &'a [usize],
    blocks: Vec<Block>,
}

impl<'a, R: FeatureRows> Columns<'a, R> {
    fn new(rows: &'a R, wanted: &'a [usize]) -> Self {
        let blocks = wanted.iter().map(|&block| rows.blocks()[block]);
        Self {
            rows,
            wanted,
            blocks: blocks.collect(),
        }
    }
}

impl<R: FeatureRows> FeatureRows for Columns<'_, R> {
    fn n_rows(&self) -> usize {
        self.rows.n_rows()
    }

    fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn read(&self, indices: &[usize], out: &mut [f32]) -> Result<(), RowsError> {
        self.rows.read_blocks(self.wanted, indices, out)
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::FeatureTable;
    use super::super::smoothed::{Smoothing, softmax};
    use super::*;

    /// Weights are rounded to 32 bits, twice where they are joined.
    const TOLERANCE: f32 = 1e-4;
    const N_CLASSES: usize = 3;
    const WIDTHS: [usize; 3] = [7, 300, 5];

    /// Classes in turns: the first block tells them with some noise, the second is noise alone, and
    /// the third tells the last class.
    fn table(n_rows: usize) -> (FeatureTable, Vec<usize>) {
        let labels: Vec<usize> = (0..n_rows).map(|i| i % N_CLASSES).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let mut values = Vec::new();
        for &label in &labels {
            for (block, width) in WIDTHS.into_iter().enumerate() {
                values.extend((0..width).map(|feature| {
                    let told = match block {
                        0 => f32::from(u8::from(feature % N_CLASSES == label)) * 0.3,
                        1 => 0.0,
                        _ => f32::from(u8::from(label == 2)) * 0.1,
                    };
                    told + rng.random::<f32>()
                }));
            }
        }
        let blocks = WIDTHS.map(|width| Block { width, scale: 1.0 });
        let table = FeatureTable::new(values, blocks.to_vec());
        (table.expect("whole rows"), labels)
    }

    fn all_rows(table: &FeatureTable) -> Vec<f32> {
        let indices: Vec<usize> = (0..table.n_rows()).collect();
        let mut rows = vec![0.0; indices.len() * WIDTHS.iter().sum::<usize>()];
        table.read(&indices, &mut rows).expect("they are held");
        rows
    }

    #[test]
    fn one_classifier_says_what_the_pool_of_ridges_says() {
        let (table, labels) = table(90);
        let targets = Targets::new(&labels, N_CLASSES);
        let views = [vec![0, 1, 2], vec![0], vec![0, 2], vec![2]];
        let ridges = RidgeViews::fit(&table, &views, &targets, &RidgeConfig::default()).unwrap();
        let joined = ridges.pool(&[0, 1, 2, 3]);
        let weights: Vec<f64> = joined
            .model
            .state()
            .views
            .iter()
            .map(|v| v.weight)
            .collect();
        assert_eq!(weights.len(), 4);
        assert!(weights[1] > 0.1, "{weights:?}");

        let rows = all_rows(&table);
        let width = rows.len() / labels.len();
        let answers = views.iter().zip(&ridges.ridges).map(|(blocks, (_, fit))| {
            let of_block = |row: &[f32], block: usize| {
                let first: usize = WIDTHS[..block].iter().sum();
                row[first..][..WIDTHS[block]].to_vec()
            };
            let rows = rows.chunks(width);
            let rows: Vec<f32> = rows
                .flat_map(|row| blocks.iter().flat_map(move |&block| of_block(row, block)))
                .collect();
            fit.model.probabilities(&rows)
        });
        let answers: Vec<Vec<f32>> = answers.collect();
        let members: Vec<&[f32]> = answers.iter().map(Vec::as_slice).collect();
        let expected = MatrixScaling::fit(&ridges.pooled(&[0, 1, 2, 3]).1, &ridges.targets)
            .apply(&scores(&members, &weights));
        let found = joined.model.probabilities(&rows);
        all_close(&found, &probabilities(&expected));
    }

    fn all_close(found: &[f32], expected: &[f32]) {
        for (found, expected) in found.iter().zip(expected) {
            let close = (found - expected).abs() < TOLERANCE;
            assert!(close, "{found} for {expected}");
        }
    }

    /// Of scores that are calibrated already.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the nearest 32-bit numbers are meant"
    )]
    fn probabilities(scores: &[f64]) -> Vec<f32> {
        let mut row = [0.0; N_CLASSES];
        let rows = scores.chunks(N_CLASSES).flat_map(|scores| {
            softmax(scores, 1.0, &mut row);
            row.map(|p| p as f32)
        });
        rows.collect()
    }

    #[test]
    fn others_are_only_taken_for_what_they_add() {
        for n_rows in [30, 60, 90] {
            let (table, labels) = table(n_rows);
            let targets = Targets::new(&labels, N_CLASSES);
            let views = [vec![0, 1, 2], vec![0], vec![0, 2], vec![2]];
            let config = RidgeConfig::default();
            let ridges = RidgeViews::fit(&table, &views, &targets, &config).unwrap();
            let smoothing = Smoothing::new(n_rows, N_CLASSES);
            let [one, all] = [&[0][..], &[0, 1, 2, 3]].map(|members| {
                let (_, scores) = ridges.pooled(members);
                let mut p = [0.0; N_CLASSES];
                let rows = scores.chunks(N_CLASSES).zip(&labels);
                let losses = rows
                    .map(|(row, &label)| softmax(row, 1.0, &mut p) - smoothing.expect(row, label));
                losses.sum::<f64>() / n_rows as f64
            });
            assert!(all <= one + 1e-6, "{n_rows}: {all} after {one}");
        }
    }

    #[test]
    fn a_single_view_is_the_scaled_ridge() {
        let (table, labels) = table(30);
        let targets = Targets::new(&labels, N_CLASSES);
        let config = RidgeConfig::default();
        let ridges = RidgeViews::fit(&table, &[vec![0, 1, 2], vec![1]], &targets, &config).unwrap();
        let ridge = ClosedForm::fit(&table, &targets, &config).unwrap();
        let rows = all_rows(&table);
        let answers = ridge.model.probabilities(&rows);
        let expected = MatrixScaling::fit(&ridges.pooled(&[0]).1, &ridges.targets)
            .apply(&scores(&[&answers], &[1.0]));
        let found = ridges.pool(&[0]).model.probabilities(&rows);
        all_close(&found, &probabilities(&expected));
    }

    #[test]
    fn weights_start_from_the_first_ridge_alone() {
        // Two members that say the same: nothing but the pull tells them apart.
        let p: Vec<f32> = (0..40)
            .flat_map(|i| if i % 2 == 0 { [0.8, 0.2] } else { [0.2, 0.8] })
            .collect();
        let labels: Vec<usize> = (0..40).map(|i| i % 2).collect();
        let start = Start {
            weights: vec![1.0, 0.0],
            pull: PULL,
        };
        let pool = LogPool::fit_from(&start, &[&p, &p], &labels, 2, None);
        let lead = pool.weights[0] - pool.weights[1];
        assert!((lead - 1.0).abs() < 1e-6, "{pool:?}");
    }
}
