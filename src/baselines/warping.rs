//! Dynamic time warping of two series, all variates together, inside a band.

/// Half width of the band, as a share of the longer series.
const BAND: f64 = 0.1;

/// Values of a series without gaps, time-major `[n_steps, n_variates]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Filled {
    pub(super) values: Vec<f32>,
    pub(super) n_variates: usize,
}

impl Filled {
    pub(super) fn n_steps(&self) -> usize {
        self.values.len() / self.n_variates
    }

    fn step(&self, step: usize) -> &[f32] {
        &self.values[step * self.n_variates..][..self.n_variates]
    }
}

/// The warped distance of two series of the same variates, which have no missing values.
///
/// All variates are warped together ("dependent" warping): the cost of a pair of steps is the sum
/// over the variates of squared differences, and the distance is the least sum of costs along a
/// path. The path stays in a band around the diagonal, whose half width is a tenth of the longer
/// series, at least one step; the diagonal leads from corner to corner, so that series of any two
/// lengths have a distance, and it is the same in both directions.
///
/// # Shapes
/// - `a`, `b`: time-major `[n_steps, n_variates]`; the steps may differ
///
/// # Panics
/// If a series is empty, or no whole number of steps.
///
/// # Examples
/// ```
/// use timesclip::baselines::warped_distance;
///
/// // A bump one step later is the same bump.
/// let [early, late] = [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
/// assert_eq!(warped_distance(&early, &late, 1), 0.0);
/// assert_eq!(warped_distance(&early, &[0.0; 4], 1), 1.0);
/// ```
pub fn warped_distance(a: &[f32], b: &[f32], n_variates: usize) -> f64 {
    let filled = |values: &[f32]| {
        let n = values.len();
        assert!(
            n > 0 && n.is_multiple_of(n_variates),
            "{n} values are no steps of {n_variates} variates"
        );
        Filled {
            values: values.to_vec(),
            n_variates,
        }
    };
    distance_below(&filled(a), &filled(b), f64::INFINITY)
}

/// The distance, or infinity as soon as it is known to be larger than `limit`.
pub(super) fn distance_below(a: &Filled, b: &Filled, limit: f64) -> f64 {
    let (long, short) = match a.n_steps() >= b.n_steps() {
        true => (a, b),
        false => (b, a),
    };
    let (n, m) = (long.n_steps(), short.n_steps());
    let reach = (BAND * n as f64).max(1.0);
    let slope = (m - 1) as f64 / (n - 1).max(1) as f64;
    // Least costs up to the step before and up to this one; columns are shifted by one.
    let mut before = vec![f64::INFINITY; m + 1];
    let mut now = before.clone();
    before[0] = 0.0;
    for i in 0..n {
        let middle = slope * i as f64;
        let (first, last) = band(middle - reach, middle + reach, m);
        now.fill(f64::INFINITY);
        let mut least = f64::INFINITY;
        for j in first..=last {
            let path = before[j].min(before[j + 1]).min(now[j]);
            now[j + 1] = path + cost(long.step(i), short.step(j));
            least = least.min(now[j + 1]);
        }
        if least > limit {
            return f64::INFINITY;
        }
        std::mem::swap(&mut before, &mut now);
    }
    before[m]
}

/// First and last column of a row of the band, of `m` columns.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "not negative, and below the number of steps"
)]
fn band(low: f64, high: f64, m: usize) -> (usize, usize) {
    (
        low.ceil().max(0.0) as usize,
        (high.floor() as usize).min(m - 1),
    )
}

fn cost(a: &[f32], b: &[f32]) -> f64 {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

/// How many costs of variates a distance takes, about.
pub(super) fn work(n: usize, m: usize, n_variates: usize) -> u64 {
    let long = n.max(m) as u64;
    let wide = (long / 5 + 1).max(3).min(n.min(m) as u64);
    long * wide * n_variates as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: the whole table, no rows kept, no shortcuts.
    fn whole_table(a: &[f32], b: &[f32]) -> f64 {
        let (n, m) = (a.len(), b.len());
        let slope = (m - 1) as f64 / (n - 1) as f64;
        let reach = (BAND * n as f64).max(1.0);
        let mut table = vec![vec![f64::INFINITY; m + 1]; n + 1];
        table[0][0] = 0.0;
        for i in 1..=n {
            for j in 1..=m {
                if ((j - 1) as f64 - slope * (i - 1) as f64).abs() > reach {
                    continue;
                }
                let cost = f64::from(a[i - 1] - b[j - 1]).powi(2);
                let path = table[i - 1][j - 1]
                    .min(table[i - 1][j])
                    .min(table[i][j - 1]);
                table[i][j] = path + cost;
            }
        }
        table[n][m]
    }

    fn wave(n: usize, speed: f32) -> Vec<f32> {
        (0..n).map(|i| (i as f32 * speed).sin()).collect()
    }

    #[test]
    fn two_rows_give_what_the_whole_table_gives() {
        for (n, m) in [(40, 40), (41, 17), (29, 7), (30, 2), (5, 1)] {
            let (a, b) = (wave(n, 0.4), wave(m, 0.7));
            let expected = whole_table(&a, &b);
            assert!(expected.is_finite(), "{n} and {m} steps have a path");
            assert_eq!(warped_distance(&a, &b, 1), expected, "{n} and {m} steps");
            assert_eq!(warped_distance(&b, &a, 1), expected, "either way");
        }
    }

    #[test]
    fn the_band_keeps_far_steps_apart() {
        let bump = |at: usize| (0..40).map(|i| f32::from(u8::from(i == at))).collect();
        let [early, near, far]: [Vec<f32>; 3] = [bump(10), bump(14), bump(16)];
        assert_eq!(warped_distance(&early, &near, 1), 0.0);
        assert_eq!(warped_distance(&early, &far, 1), 2.0);
    }

    #[test]
    fn variates_are_warped_together() {
        // Each variate alone could be warped to nothing; not both by the same path.
        let a = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let b = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let alone = |of: usize| {
            let pick = |values: &[f32]| values.iter().skip(of).step_by(2).copied().collect();
            let [a, b]: [Vec<f32>; 2] = [pick(&a), pick(&b)];
            warped_distance(&a, &b, 1)
        };
        assert_eq!(alone(0), 0.0);
        assert_eq!(warped_distance(&a, &b, 2), alone(1));
        let c = [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert!(warped_distance(&a, &c, 2) > 0.0, "one path for both");
    }

    #[test]
    fn a_distance_above_the_limit_is_given_up() {
        let filled = |values: Vec<f32>| Filled {
            values,
            n_variates: 1,
        };
        let (a, b) = (filled(wave(40, 0.4)), filled(wave(40, 0.9)));
        let whole = distance_below(&a, &b, f64::INFINITY);
        assert_eq!(distance_below(&a, &b, whole), whole);
        assert_eq!(distance_below(&a, &b, 0.5 * whole), f64::INFINITY);
    }
}
