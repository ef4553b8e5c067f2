//! Transforms that hide values: whole variates, and a block of steps in each.

use super::table::Table;
use super::time::part_of;
use crate::data::random::Random;

/// Hides each variate with a probability, but never all that have values.
pub(super) fn drop_variates(table: &mut Table, probability: f64, mut random: Random) {
    let mut dropped: Vec<bool> = (0..table.n_variates)
        .map(|_| random.unit() < probability)
        .collect();
    let seen: Vec<usize> = (0..table.n_variates)
        .filter(|&variate| table.variate(variate).any(|value| !value.is_nan()))
        .collect();
    if !seen.is_empty() && seen.iter().all(|&variate| dropped[variate]) {
        dropped[seen[random.below(seen.len())]] = false;
    }
    for step in table.values.chunks_exact_mut(dropped.len()) {
        for (value, dropped) in step.iter_mut().zip(&dropped) {
            if *dropped {
                *value = f32::NAN;
            }
        }
    }
}

/// Hides one block of steps in each variate, of at most the fraction `longest`, unless that would
/// hide all its values.
pub(super) fn cut_blocks(table: &mut Table, longest: f64, mut random: Random) {
    let (n_steps, n_variates) = (table.n_steps(), table.n_variates);
    let longest = part_of(n_steps, longest);
    for variate in 0..n_variates {
        let len = random.below(longest + 1);
        let start = random.below(n_steps - len + 1);
        let block = start..start + len;
        let stays = table
            .variate(variate)
            .enumerate()
            .any(|(step, value)| !value.is_nan() && !block.contains(&step));
        if stays {
            block.for_each(|step| table.values[step * n_variates + variate] = f32::NAN);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::Purpose;

    fn random(seed: u64) -> Random {
        Random::new([seed, 0, 1], Purpose::VariateDrop)
    }

    fn table(n_steps: usize, n_variates: usize) -> Table {
        Table {
            values: vec![1.0; n_steps * n_variates],
            n_variates,
        }
    }

    #[test]
    fn variates_are_dropped_whole_and_as_often_as_asked_for() {
        let mut dropped = 0;
        for seed in 0..500 {
            let mut table = table(3, 8);
            drop_variates(&mut table, 0.25, random(seed));
            for variate in 0..8 {
                let n_missing = table.variate(variate).filter(|v| v.is_nan()).count();
                assert!([0, 3].contains(&n_missing), "{n_missing} of 3 steps");
                dropped += usize::from(n_missing == 3);
            }
        }
        // A quarter of 4000, within four standard errors.
        assert!((890..1110).contains(&dropped), "{dropped}");
    }

    #[test]
    fn one_variate_with_values_stays() {
        let mut spared = std::collections::HashSet::new();
        for seed in 0..200 {
            let mut table = table(2, 4);
            // Variate 2 has nothing to show.
            table.values[2] = f32::NAN;
            table.values[6] = f32::NAN;
            drop_variates(&mut table, 0.999, random(seed));
            assert!(table.is_seen(), "seed {seed}");
            spared.extend((0..4).filter(|v| table.variate(*v).any(|value| !value.is_nan())));
        }
        assert_eq!(spared, [0, 1, 3].into());
    }

    #[test]
    fn blocks_are_contiguous_no_longer_than_asked_for_and_of_each_variate() {
        let mut lengths = std::collections::HashSet::new();
        let mut differ = false;
        for seed in 0..200 {
            let mut table = table(20, 2);
            cut_blocks(&mut table, 0.2, random(seed));
            let missing = |variate| {
                let values = table.variate(variate).enumerate();
                let missing = values.filter(|(_, v)| v.is_nan());
                missing.map(|(step, _)| step).collect::<Vec<usize>>()
            };
            let block = missing(0);
            assert!(
                block.windows(2).all(|pair| pair[1] == pair[0] + 1),
                "{block:?}"
            );
            lengths.insert(block.len());
            differ |= block != missing(1);
        }
        assert_eq!(lengths, [0, 1, 2, 3, 4].into());
        assert!(differ);
    }

    #[test]
    fn a_block_that_would_hide_everything_is_left_out() {
        for seed in 0..200 {
            let mut table = table(10, 1);
            table.values[..9].fill(f32::NAN);
            cut_blocks(&mut table, 0.9, random(seed));
            assert!(table.is_seen(), "seed {seed}");
        }
    }
}
