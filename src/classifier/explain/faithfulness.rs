//! Whether explanations are true: what is hidden first must matter most.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::occlusion::{Cell, occluded};
use super::{BATCH, Explanation, PredictError, TimesClip};
use crate::data::Series;

/// How closely explanations are examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaithfulnessOptions {
    /// Points of a curve after its first. Default: 10.
    pub n_points: usize,
    /// Random orders of each sample to compare with. Default: 3.
    pub n_random: usize,
    /// Decides the random orders. Default: 0.
    pub seed: u64,
}

impl Default for FaithfulnessOptions {
    fn default() -> Self {
        Self {
            n_points: 10,
            n_random: 3,
            seed: 0,
        }
    }
}

/// How faithful explanations are to the model, as deletion and insertion curves.
///
/// The windows of a sample are hidden one after the other, the most important first: a faithful
/// explanation lets the probability of the predicted class fall fast (deletion). Then all are hidden
/// and shown again one after the other: it rises fast (insertion). Random orders are what an
/// explanation must beat. Windows are hidden as explanations hide them, by straight lines.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Faithfulness {
    /// Number of samples.
    pub n_samples: usize,
    /// Random orders of each sample.
    pub n_random: usize,
    /// Share of the windows that are hidden, or shown, at each point of a curve.
    pub shares: Vec<f64>,
    /// Hiding windows: lower is better.
    pub deletion: FaithfulnessCurve,
    /// Showing windows: higher is better.
    pub insertion: FaithfulnessCurve,
}

/// Mean probability of the class that is predicted for the whole series.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaithfulnessCurve {
    /// In the order of importance, at each share.
    pub by_importance: Vec<f64>,
    /// In random order, at each share.
    pub at_random: Vec<f64>,
    /// Area under the curve in the order of importance, 0 to 1.
    pub area: f64,
    /// Area under the curve in random order.
    pub random_area: f64,
    /// Share of the samples for which the order of importance has the better area; half of those
    /// with equal areas.
    pub better: f64,
}

/// Hidden cells at each point of a curve, from none to all.
type Stages = Vec<Vec<Cell>>;

impl TimesClip {
    /// Measures how faithful explanations of series are to this model.
    ///
    /// For each sample this takes `2 (1 + n_random) (n_points - 1) + 2` predictions.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn faithfulness(
        &self,
        explained: &[(&Series, &Explanation)],
        options: &FaithfulnessOptions,
    ) -> Result<Faithfulness, PredictError> {
        let n_points = options.n_points.max(1);
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let [mut deletion, mut insertion] = [Sums::new(n_points), Sums::new(n_points)];
        for (series, explanation) in explained {
            let mut orders = vec![by_importance(explanation)];
            for _ in 0..options.n_random {
                let mut order = orders[0].clone();
                order.shuffle(&mut rng);
                orders.push(order);
            }
            let class = explanation.prediction.class;
            let curves = self.curves((series, class), &orders, n_points)?;
            let (deleted, inserted) = curves.split_at(orders.len());
            deletion.add(deleted, |own, random| own < random);
            insertion.add(inserted, |own, random| own > random);
        }
        let shares = (0..=n_points).map(|point| point as f64 / n_points as f64);
        Ok(Faithfulness {
            n_samples: explained.len(),
            n_random: options.n_random,
            shares: shares.collect(),
            deletion: deletion.curve(),
            insertion: insertion.curve(),
        })
    }

    /// Deletion curves of all orders, then their insertion curves.
    fn curves(
        &self,
        (series, class): (&Series, usize),
        orders: &[Vec<Cell>],
        n_points: usize,
    ) -> Result<Vec<Vec<f64>>, PredictError> {
        let deleted = orders.iter().map(|order| stages(order, n_points));
        let inserted = orders.iter().map(|order| {
            let backward: Vec<Cell> = order.iter().rev().cloned().collect();
            let mut stages = stages(&backward, n_points);
            stages.reverse();
            stages
        });
        let curves: Vec<Stages> = deleted.chain(inserted).collect();
        // The ends are the same for all: nothing is hidden, or everything.
        let mut wanted = vec![curves[0][0].clone(), curves[0][n_points].clone()];
        wanted.extend(curves.iter().flat_map(|curve| curve[1..n_points].to_vec()));
        let mut found = Vec::with_capacity(wanted.len());
        for wanted in wanted.chunks(BATCH) {
            let hidden = wanted.iter().map(|cells| occluded(series, cells));
            let hidden: Vec<Series> = hidden.collect::<Result<_, _>>()?;
            let answers = self.predict(&hidden)?;
            let answers = answers.iter().map(|answer| answer.probabilities[class]);
            found.extend(answers.map(f64::from));
        }
        let (ends, inner) = found.split_at(2);
        let curve = |i: usize| {
            let inner = &inner[i * (n_points - 1)..(i + 1) * (n_points - 1)];
            let [first, last] = match i < orders.len() {
                true => [ends[0], ends[1]],
                false => [ends[1], ends[0]],
            };
            let points = [first].into_iter().chain(inner.iter().copied());
            points.chain([last]).collect()
        };
        Ok((0..curves.len()).map(curve).collect())
    }
}

/// The cells of an explanation, the most important first.
fn by_importance(explanation: &Explanation) -> Vec<Cell> {
    let rows = explanation.importance.iter().enumerate();
    let mut cells: Vec<(f32, Cell)> = rows
        .flat_map(|(variate, row)| {
            let windows = row.iter().zip(&explanation.windows);
            windows.map(move |(value, steps)| (*value, (variate, steps.clone())))
        })
        .collect();
    cells.sort_by(|a, b| b.0.total_cmp(&a.0));
    cells.into_iter().map(|(_, cell)| cell).collect()
}

/// The first cells of an order, from none to all.
fn stages(order: &[Cell], n_points: usize) -> Stages {
    let stages = (0..=n_points).map(|point| order[..point * order.len() / n_points].to_vec());
    stages.collect()
}

/// Sums over samples.
struct Sums {
    by_importance: Vec<f64>,
    at_random: Vec<f64>,
    better: f64,
    n: f64,
}

impl Sums {
    fn new(n_points: usize) -> Self {
        Self {
            by_importance: vec![0.0; n_points + 1],
            at_random: vec![0.0; n_points + 1],
            better: 0.0,
            n: 0.0,
        }
    }

    /// Adds the curves of a sample, the one by importance first.
    fn add(&mut self, curves: &[Vec<f64>], is_better: impl Fn(f64, f64) -> bool) {
        let (own, random) = (&curves[0], &curves[1..]);
        let share = 1.0 / random.len().max(1) as f64;
        let mut mean = vec![0.0; own.len()];
        for curve in random {
            let points = mean.iter_mut().zip(curve);
            points.for_each(|(mean, value)| *mean += share * value);
        }
        let [own_area, random_area] = [area(own), area(&mean)];
        self.better += match own_area == random_area {
            true => 0.5,
            false => f64::from(u8::from(is_better(own_area, random_area))),
        };
        let pairs = [(&mut self.by_importance, own), (&mut self.at_random, &mean)];
        for (sums, curve) in pairs {
            let points = sums.iter_mut().zip(curve);
            points.for_each(|(sum, value)| *sum += value);
        }
        self.n += 1.0;
    }

    fn curve(self) -> FaithfulnessCurve {
        let n = self.n.max(1.0);
        let mean = |sums: Vec<f64>| -> Vec<f64> { sums.iter().map(|sum| sum / n).collect() };
        let [by_importance, at_random] = [mean(self.by_importance), mean(self.at_random)];
        FaithfulnessCurve {
            area: area(&by_importance),
            random_area: area(&at_random),
            by_importance,
            at_random,
            better: self.better / n,
        }
    }
}

/// Area under points at equal distances over 0 to 1, by the trapezoidal rule.
fn area(points: &[f64]) -> f64 {
    let n = (points.len() - 1).max(1) as f64;
    let pairs = points.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
    pairs.sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_those_of_trapezoids() {
        assert_eq!(area(&[1.0, 1.0, 1.0]), 1.0);
        assert_eq!(area(&[1.0, 0.0]), 0.5);
        assert_eq!(area(&[1.0, 0.0, 0.0]), 0.25);
    }

    #[test]
    fn stages_go_from_nothing_to_everything() {
        let order: Vec<Cell> = (0..5).map(|variate| (variate, 0..1)).collect();
        let sizes: Vec<usize> = stages(&order, 3).iter().map(Vec::len).collect();
        assert_eq!(sizes, [0, 1, 3, 5]);
    }

    #[test]
    fn the_better_area_is_counted_and_ties_count_half() {
        let mut sums = Sums::new(1);
        let lower = |own: f64, random: f64| own < random;
        sums.add(&[vec![1.0, 0.0], vec![1.0, 1.0], vec![1.0, 0.6]], lower);
        sums.add(&[vec![1.0, 0.5], vec![1.0, 0.5]], lower);
        let curve = sums.curve();
        assert_eq!(curve.by_importance, [1.0, 0.25]);
        assert_eq!(curve.at_random, [1.0, 0.65]);
        assert_eq!(curve.better, 0.75);
    }
}
