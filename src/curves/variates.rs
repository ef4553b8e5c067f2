//! From a family to the variates of a series, and to the axes they are drawn on.

use super::Family;
use super::octaves;
use super::shapes::shape;
use crate::data::random::Random;

/// Draws `[n_steps, n_variates]` values of a family, a column a variate.
pub(super) fn draw(
    family: Family,
    random: &mut Random,
    [n_steps, n_variates]: [usize; 2],
) -> Vec<Vec<f64>> {
    let n_hidden = 1 + random.below(n_variates.min(3));
    let hidden: Vec<Vec<f64>> = (0..n_hidden)
        .map(|_| unit(shape(family, random, n_steps)))
        .collect();
    (0..n_variates)
        .map(|_| {
            let mut column = mixed(&hidden, random, n_variates > 1);
            treat(&mut column, random);
            rescale(&mut column, random);
            lose(&mut column, random);
            column
        })
        .collect()
}

/// Moved and scaled to the range from -0.5 to 0.5; a constant to 0.
fn unit(mut values: Vec<f64>) -> Vec<f64> {
    let [low, high] = extent(&values);
    let middle = (low + high) / 2.0;
    let scale = if high > low { 1.0 / (high - low) } else { 0.0 };
    values
        .iter_mut()
        .for_each(|value| *value = (*value - middle) * scale);
    values
}

/// The least and the largest value that is not missing.
fn extent(values: &[f64]) -> [f64; 2] {
    let seen = values.iter().filter(|value| !value.is_nan());
    seen.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], value| {
        [low.min(*value), high.max(*value)]
    })
}

/// A mixture of hidden curves, each a little late; one alone is taken as it is.
fn mixed(hidden: &[Vec<f64>], random: &mut Random, several: bool) -> Vec<f64> {
    let n_steps = hidden[0].len();
    let mut column = vec![0.0; n_steps];
    for curve in hidden {
        let weight = random.normal();
        let late = if several && random.chance(0.5) {
            random.below(n_steps / 8 + 1)
        } else {
            0
        };
        for (step, value) in column.iter_mut().enumerate() {
            *value += weight * curve[step.saturating_sub(late)];
        }
    }
    unit(column)
}

/// What measuring does to a curve: noise, smoothing, an end of the scale, few levels.
fn treat(column: &mut [f64], random: &mut Random) {
    if random.chance(0.35) {
        let noise = octaves(random, 0.003, 0.1);
        column
            .iter_mut()
            .for_each(|value| *value += noise * random.normal());
    }
    if random.chance(0.15) {
        smoothed(column, 1 + random.below(column.len() / 16 + 1));
    }
    if random.chance(0.05) {
        let limit = random.between(0.2, 0.45);
        column
            .iter_mut()
            .for_each(|value| *value = value.min(limit));
    }
    if random.chance(0.05) {
        let levels = 4.0 + random.below(12) as f64;
        column
            .iter_mut()
            .for_each(|value| *value = (*value * levels).round() / levels);
    }
}

/// Means of as many steps before and behind.
fn smoothed(column: &mut [f64], reach: usize) {
    let original = column.to_vec();
    for (step, value) in column.iter_mut().enumerate() {
        let window = &original[step.saturating_sub(reach)..(step + reach + 1).min(original.len())];
        *value = window.iter().sum::<f64>() / window.len() as f64;
    }
}

/// A unit and a level, as measurements have them.
fn rescale(column: &mut [f64], random: &mut Random) {
    let scale = octaves(random, 0.01, 100.0);
    let level = 2.0 * random.normal();
    column
        .iter_mut()
        .for_each(|value| *value = scale * (*value + level));
}

/// Loses some values of some columns: a run of steps, or steps here and there.
fn lose(column: &mut [f64], random: &mut Random) {
    let n_steps = column.len();
    if random.chance(0.03) {
        let lost = 1 + random.below(n_steps / 5);
        let start = random.below(n_steps - lost);
        column[start..start + lost].fill(f64::NAN);
    }
    if random.chance(0.01) {
        let few = random.between(0.01, 0.1);
        column
            .iter_mut()
            .filter(|_| random.chance(few))
            .for_each(|value| *value = f64::NAN);
    }
}

/// Small differences: another speed here and there, a bump, noise.
pub(super) fn differ(column: &mut [f64], random: &mut Random) {
    let [low, high] = extent(column);
    let size = (high - low).max(1e-6);
    let original = column.to_vec();
    let last = (column.len() - 1) as f64;
    let [bend, height, noise] = [0.15, 0.15, 0.02].map(|most| most * random.between(-1.0, 1.0));
    let (place, width) = (random.unit(), octaves(random, 0.02, 0.2));
    for (step, value) in column.iter_mut().enumerate() {
        let u = step as f64 / last;
        let from = (u + bend * u * (1.0 - u)) * last;
        let x = (u - place) / width;
        let bump = height * (-x * x / 2.0).exp();
        *value = original[nearest(from, original.len())] + size * (bump + noise * random.normal());
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place from 0 to the last step"
)]
fn nearest(place: f64, n_steps: usize) -> usize {
    (place.round() as usize).min(n_steps - 1)
}

/// The vertical axis of a column: of a data set, of which it fills a part, or just its own.
#[expect(
    clippy::cast_possible_truncation,
    reason = "values are of moderate size"
)]
pub(super) fn range(column: &[f64], random: &mut Random) -> [f32; 2] {
    let [low, high] = extent(column);
    let size = if high > low { high - low } else { 1.0 };
    let [below, above] = match random.unit() {
        fits if fits < 0.3 => [0.0; 2],
        // A new series of a set may be higher than those its axes were fitted to.
        short if short < 0.36 => [0.2 * random.unit(), -0.1 * random.unit()],
        _ => [(); 2].map(|()| 1.5 * random.unit() * random.unit()),
    };
    let margin = if high > low { 0.0 } else { 0.5 };
    let [low, high] = [
        low - size * (below + margin),
        high + size * (above + margin),
    ];
    [low as f32, high as f32]
}

/// Steps of the horizontal axis: those of the longest series of a set, often this one.
pub(super) fn span(n_steps: usize, random: &mut Random) -> usize {
    if random.chance(0.6) {
        return n_steps;
    }
    n_steps + random.below(n_steps * 2) * (1 + random.below(2)) / 2
}
