//! Transforms of time: a part of the steps, and an uneven speed along them.

use super::table::Table;
use crate::data::random::Random;

/// With this probability, keeps a share of the steps, from the first on: any number from one to all.
pub(super) fn prefix(table: &mut Table, probability: f64, mut random: Random) {
    let [chance, share] = [(); 2].map(|()| random.unit());
    if chance >= probability {
        return;
    }
    let kept = part_of(table.n_steps(), share) + 1;
    let values = table.values[..kept * table.n_variates].to_vec();
    table.replace_if_seen(values);
}

/// Keeps a window of the steps: at most the fraction `most` is cut off, at both ends together.
pub(super) fn crop(table: &mut Table, most: f64, mut random: Random) {
    let n_steps = table.n_steps();
    let cut = random.below(part_of(n_steps, most) + 1);
    let start = random.below(cut + 1);
    let kept = start..start + n_steps - cut;
    let n_variates = table.n_variates;
    let values = &table.values[kept.start * n_variates..kept.end * n_variates];
    table.replace_if_seen(values.to_vec());
}

/// Lets time run at a speed that varies between `1 - strength` and `1 + strength`.
///
/// # Formula
///
/// With `u` the place along the series from 0 to 1, and `|a| + |b| <= strength`:
///
/// ```text
/// place looked at = u + u (1 - u) (a + b (1 - 2 u))
/// speed           = 1 + a (1 - 2 u) + b (1 - 6 u + 6 u^2)
/// ```
pub(super) fn warp(table: &mut Table, strength: f64, mut random: Random) {
    let [a, b] = [(); 2].map(|()| random.signed() * strength / 2.0);
    let n_steps = table.n_steps();
    if strength == 0.0 || n_steps < 3 {
        return;
    }
    let last = (n_steps - 1) as f64;
    let mut values = Vec::with_capacity(table.values.len());
    for step in 0..n_steps {
        let u = step as f64 / last;
        let place = u + u * (1.0 - u) * (a + b * (1.0 - 2.0 * u));
        look_at(table, place * last, &mut values);
    }
    table.replace_if_seen(values);
}

/// Appends the values at a place between steps: on the line between two neighbors, or that of
/// the nearer one, missing or not, if the other is missing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place is between the first and the last step; values lie between two of their width"
)]
fn look_at(table: &Table, place: f64, values: &mut Vec<f32>) {
    let before = (place as usize).min(table.n_steps() - 1);
    let after = (before + 1).min(table.n_steps() - 1);
    let weight = place - before as f64;
    let at = |step: usize| &table.values[step * table.n_variates..][..table.n_variates];
    values.extend(at(before).iter().zip(at(after)).map(|(&a, &b)| {
        if a.is_nan() || b.is_nan() {
            return if weight < 0.5 { a } else { b };
        }
        (f64::from(a) + (f64::from(b) - f64::from(a)) * weight) as f32
    }));
}

/// The whole steps in a fraction of all steps.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction below 1 of a number of steps"
)]
pub(super) fn part_of(n_steps: usize, fraction: f64) -> usize {
    // Below 1 even for fractions that a product would round up.
    ((n_steps as f64 * fraction) as usize).min(n_steps - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::Purpose;

    fn random(seed: u64, purpose: Purpose) -> Random {
        Random::new([seed, 0, 1], purpose)
    }

    /// One variate.
    fn table(values: &[f32]) -> Table {
        Table {
            values: values.to_vec(),
            n_variates: 1,
        }
    }

    /// Values that are the number of their step.
    fn steps(n_steps: u16) -> Vec<f32> {
        (0..n_steps).map(f32::from).collect()
    }

    #[test]
    fn a_crop_is_a_window_and_every_window_comes_up() {
        let mut windows = std::collections::HashSet::new();
        for seed in 0..500 {
            let mut table = table(&steps(10));
            crop(&mut table, 0.3, random(seed, Purpose::Crop));
            assert!(table.values.windows(2).all(|pair| pair[1] - pair[0] == 1.0));
            windows.insert((table.values[0].to_bits(), table.n_steps()));
        }
        // One window of ten steps, two of nine, three of eight, four of seven.
        assert_eq!(windows.len(), 10);
    }

    #[test]
    fn a_prefix_is_a_beginning_and_every_length_comes_up() {
        let mut lengths = std::collections::BTreeSet::new();
        let mut whole = 0;
        for seed in 0..500 {
            let mut table = table(&steps(10));
            prefix(&mut table, 0.5, random(seed, Purpose::Prefix));
            let n = table.n_steps();
            assert_eq!(table.values, steps(10)[..n]);
            lengths.insert(n);
            whole += usize::from(n == 10);
        }
        assert_eq!(lengths, (1..=10).collect());
        assert!((230..330).contains(&whole), "{whole} of 500 are whole");
    }

    #[test]
    fn short_series_keep_a_step() {
        for n_steps in 1..4 {
            for seed in 0..50 {
                let mut table = table(&steps(n_steps));
                crop(&mut table, 0.999, random(seed, Purpose::Crop));
                assert!((1..=usize::from(n_steps)).contains(&table.n_steps()));
            }
        }
    }

    #[test]
    fn time_runs_forwards_at_the_speed_allowed_and_keeps_its_ends() {
        let mut uneven = 0.0f32;
        for seed in 0..200 {
            let mut table = table(&steps(101));
            warp(&mut table, 0.4, random(seed, Purpose::Warp));
            assert_eq!((table.values[0], table.values[100]), (0.0, 100.0));
            for pair in table.values.windows(2) {
                let speed = pair[1] - pair[0];
                assert!((0.6 - 1e-4..=1.4 + 1e-4).contains(&speed), "{speed}");
                uneven = uneven.max((speed - 1.0).abs());
            }
        }
        assert!(uneven > 0.3, "the warp is as strong as asked for: {uneven}");
    }

    #[test]
    fn a_value_between_steps_is_on_the_line_between_them() {
        let mut values = Vec::new();
        look_at(&table(&[1.0, 3.0, 7.0]), 1.25, &mut values);
        look_at(&table(&[1.0, 3.0, 7.0]), 2.0, &mut values);
        look_at(&table(&[f32::MIN, f32::MAX]), 0.75, &mut values);
        assert_eq!(values, [4.0, 7.0, f32::MAX / 2.0]);
    }

    #[test]
    fn beside_a_gap_the_nearer_step_decides() {
        let gap = table(&[1.0, f32::NAN, 5.0]);
        let at = |place| {
            let mut values = Vec::new();
            look_at(&gap, place, &mut values);
            values[0]
        };
        assert_eq!((at(0.25), at(1.75)), (1.0, 5.0));
        assert!(at(0.75).is_nan() && at(1.25).is_nan());
    }

    #[test]
    fn a_series_with_one_value_keeps_it() {
        for seed in 0..300 {
            let mut lonely = vec![f32::NAN; 30];
            lonely[11] = 2.0;
            let mut table = table(&lonely);
            crop(&mut table, 0.9, random(seed, Purpose::Crop));
            warp(&mut table, 0.9, random(seed, Purpose::Warp));
            assert!(table.is_seen(), "seed {seed}");
        }
    }
}
