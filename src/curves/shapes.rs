//! The families of curves: each a function from random numbers to values, one a step.

use std::f64::consts::TAU;

use super::Family;
use super::octaves;
use crate::data::random::Random;

/// One curve of a family, of `n` steps and any scale.
pub(super) fn shape(family: Family, random: &mut Random, n: usize) -> Vec<f64> {
    match family {
        Family::Walk => walk(random, n),
        Family::Sines => sines(random, n),
        Family::Chirp => chirp(random, n),
        Family::Steps => steps(random, n),
        Family::Polyline => knotted(random, n, |a, b, t| a + (b - a) * t),
        Family::Smooth => smooth(random, n),
        Family::Pulses => pulses(random, n),
        Family::Autoregressive => autoregressive(random, n),
        Family::Periodic => periodic(random, n),
        Family::Decay => decay(random, n),
        Family::Trend => trend(random, n),
        Family::Noise => noise(random, n),
        Family::Event => event(random, n),
        Family::Repeats => repeats(random, n),
    }
}

/// Values of a function of the place along the curve, from 0 to 1.
fn along(n: usize, value: impl FnMut(f64) -> f64) -> Vec<f64> {
    let last = (n.max(2) - 1) as f64;
    (0..n).map(|step| step as f64 / last).map(value).collect()
}

/// A random walk; some are drawn back to where they began, some drift.
fn walk(random: &mut Random, n: usize) -> Vec<f64> {
    let pull = if random.chance(0.3) {
        random.between(0.0, 0.1)
    } else {
        0.0
    };
    let drift = random.normal() * 0.2;
    let mut at = 0.0;
    (0..n)
        .map(|_| {
            at += drift + random.normal() - pull * at;
            at
        })
        .collect()
}

/// A sum of one to five sines; higher ones are smaller.
fn sines(random: &mut Random, n: usize) -> Vec<f64> {
    let n_sines = 1 + random.below(5);
    let fall = random.between(0.0, 1.5);
    let waves: Vec<[f64; 3]> = (0..n_sines)
        .map(|_| {
            let frequency = octaves(random, 0.4, 20.0);
            [
                frequency,
                random.unit(),
                random.normal() * frequency.powf(-fall),
            ]
        })
        .collect();
    along(n, |u| {
        let wave =
            |[frequency, phase, height]: &[f64; 3]| height * (TAU * (frequency * u + phase)).sin();
        waves.iter().map(wave).sum()
    })
}

/// A sine whose frequency changes on the way, and often its height.
fn chirp(random: &mut Random, n: usize) -> Vec<f64> {
    let [from, to] = [(); 2].map(|()| octaves(random, 0.5, 24.0));
    let (phase, grows) = (random.unit(), random.between(-3.0, 3.0));
    along(n, |u| {
        let turns = phase + from * u + (to - from) * u * u / 2.0;
        (grows * (u - 0.5)).exp() * (TAU * turns).sin()
    })
}

/// Levels that change at random places.
fn steps(random: &mut Random, n: usize) -> Vec<f64> {
    let n_levels = 2 + random.below(7);
    let mut starts: Vec<f64> = (1..n_levels).map(|_| random.unit()).collect();
    starts.sort_by(f64::total_cmp);
    let few = random.chance(0.4);
    let levels: Vec<f64> = (0..n_levels)
        .map(|_| {
            if few {
                random.below(3) as f64
            } else {
                random.normal()
            }
        })
        .collect();
    along(n, |u| levels[starts.partition_point(|start| *start <= u)])
}

/// Random values at random places, and what `between` makes of two neighbors.
fn knotted(random: &mut Random, n: usize, between: impl Fn(f64, f64, f64) -> f64) -> Vec<f64> {
    let n_knots = 3 + random.below(9);
    let mut places: Vec<f64> = (2..n_knots).map(|_| random.unit()).collect();
    places.extend([0.0, 1.0]);
    places.sort_by(f64::total_cmp);
    let values: Vec<f64> = places.iter().map(|_| random.normal()).collect();
    along(n, |u| {
        let right = places
            .partition_point(|place| *place <= u)
            .clamp(1, n_knots - 1);
        let width = (places[right] - places[right - 1]).max(1e-9);
        let t = ((u - places[right - 1]) / width).clamp(0.0, 1.0);
        between(values[right - 1], values[right], t)
    })
}

/// Rounded between its knots, or a few low harmonics, as outlines have them.
fn smooth(random: &mut Random, n: usize) -> Vec<f64> {
    if random.chance(0.5) {
        return knotted(random, n, |a, b, t| a + (b - a) * t * t * (3.0 - 2.0 * t));
    }
    let template = Template::new(random, 3 + random.clone().below(6));
    let (start, part) = (random.unit(), random.between(0.5, 1.0));
    along(n, |u| template.at(start + part * u))
}

/// A base line with bumps: round, square, pointed, or sudden and slow to fade.
fn pulses(random: &mut Random, n: usize) -> Vec<f64> {
    let n_pulses = 1 + random.below(7);
    let one_sign = random.chance(0.6);
    let form = random.below(4);
    let bumps: Vec<[f64; 3]> = (0..n_pulses)
        .map(|_| {
            let height = random.between(0.3, 1.0);
            let sign = if one_sign || random.chance(0.5) {
                1.0
            } else {
                -1.0
            };
            [random.unit(), octaves(random, 0.005, 0.15), sign * height]
        })
        .collect();
    along(n, |u| {
        bumps
            .iter()
            .map(|&[place, width, height]| height * bump(form, (u - place) / width))
            .sum()
    })
}

/// A bump of height 1 at `x` widths from its place.
fn bump(form: usize, x: f64) -> f64 {
    match form {
        0 => (-x * x / 2.0).exp(),
        1 => f64::from(x.abs() < 1.0),
        2 => (1.0 - x.abs()).max(0.0),
        _ if x < 0.0 => 0.0,
        _ => (-x / 2.0).exp(),
    }
}

/// Each value leans on the one or two before it.
fn autoregressive(random: &mut Random, n: usize) -> Vec<f64> {
    let [first, second] = if random.chance(0.5) {
        [random.between(-0.3, 0.99), 0.0]
    } else {
        let (radius, turn) = (random.between(0.8, 0.995), octaves(random, 0.01, 0.35));
        [2.0 * radius * (TAU * turn).cos(), -radius * radius]
    };
    let (mut one, mut two) = (0.0, 0.0);
    // The first values, which still show that it began at 0, are dropped.
    let warm_up = 50;
    let values: Vec<f64> = (0..n + warm_up)
        .map(|_| {
            let value = first * one + second * two + random.normal();
            (two, one) = (one, value);
            value
        })
        .collect();
    values[warm_up..].to_vec()
}

/// A closed curve of a few harmonics.
struct Template(Vec<[f64; 2]>);

impl Template {
    fn new(random: &mut Random, n_harmonics: usize) -> Self {
        let harmonics = (1..=n_harmonics).map(|k| [(); 2].map(|()| random.normal() / k as f64));
        Self(harmonics.collect())
    }

    /// Its value at so many turns.
    fn at(&self, turns: f64) -> f64 {
        let harmonics = self.0.iter().zip(1u32..);
        harmonics
            .map(|([cos, sin], k)| {
                let angle = TAU * turns * f64::from(k);
                cos * angle.cos() + sin * angle.sin()
            })
            .sum()
    }
}

/// One form again and again, never quite as high or as fast.
fn periodic(random: &mut Random, n: usize) -> Vec<f64> {
    let n_harmonics = 2 + random.below(7);
    let template = Template::new(random, n_harmonics);
    let (turns, phase) = (octaves(random, 1.5, 16.0), random.unit());
    let [uneven, sway] = [(); 2].map(|()| random.between(0.0, 0.4));
    let [slow, other] = [(); 2].map(|()| random.unit());
    along(n, |u| {
        let wobble = 0.3 * uneven * (TAU * (2.3 * u + slow)).sin();
        let height = 1.0 + sway * (TAU * (1.7 * u + other)).sin();
        height * template.at(phase + turns * u + wobble)
    })
}

/// Towards an end: fading, ringing out, or along a logistic curve.
fn decay(random: &mut Random, n: usize) -> Vec<f64> {
    let rate = octaves(random, 1.0, 12.0);
    match random.below(3) {
        0 => along(n, |u| (-rate * u).exp()),
        1 => {
            let (turns, phase) = (octaves(random, 1.0, 20.0), random.unit());
            along(n, |u| (-rate * u).exp() * (TAU * (turns * u + phase)).cos())
        }
        _ => {
            let middle = random.between(0.2, 0.8);
            along(n, |u| 1.0 / (1.0 + (-4.0 * rate * (u - middle)).exp()))
        }
    }
}

/// Up or down, straight or bent, with a season and noise.
fn trend(random: &mut Random, n: usize) -> Vec<f64> {
    let [slope, bend, season] = [2.0, 2.0, 0.5].map(|size| size * random.normal());
    let (turns, phase) = (octaves(random, 1.0, 14.0), random.unit());
    let (rough, base) = (random.between(0.0, 0.3), noise(random, n));
    let curve = along(n, |u| {
        slope * u + bend * (u - 0.5) * (u - 0.5) + season * (TAU * (turns * u + phase)).sin()
    });
    curve.iter().zip(base).map(|(a, b)| a + rough * b).collect()
}

/// Noise of any color, from white to darker than a walk: octaves of smoothed random values.
fn noise(random: &mut Random, n: usize) -> Vec<f64> {
    let fall = random.between(0.0, 1.2);
    let mut values = vec![0.0; n];
    let mut knots = 2;
    loop {
        let height = (knots as f64).powf(-fall);
        let levels: Vec<f64> = (0..=knots).map(|_| random.normal()).collect();
        let octave = along(n, |u| between(&levels, u * knots as f64));
        values
            .iter_mut()
            .zip(octave)
            .for_each(|(sum, value)| *sum += height * value);
        if knots >= n {
            return values;
        }
        knots *= 2;
    }
}

/// The value of a line through `levels` at a place between two of them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place is from 0 to the last level"
)]
fn between(levels: &[f64], place: f64) -> f64 {
    let left = (place as usize).min(levels.len() - 2);
    let t = place - left as f64;
    levels[left] + (levels[left + 1] - levels[left]) * t
}

/// Rest, something that happens, and rest again, as a gesture has it.
fn event(random: &mut Random, n: usize) -> Vec<f64> {
    let (start, length) = (random.between(0.05, 0.5), random.between(0.2, 0.5));
    let [rise, fall] = [(); 2].map(|()| octaves(random, 0.01, 0.1));
    let n_harmonics = 1 + random.below(4);
    let (wobble, template) = (random.between(0.0, 0.5), Template::new(random, n_harmonics));
    let [before, during, after] = if random.chance(0.6) {
        [0.0, 1.0, 0.2 * random.normal()]
    } else {
        [(); 3].map(|()| random.normal())
    };
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    along(n, |u| {
        let up = logistic((u - start) / rise);
        let down = logistic((u - start - length) / fall);
        let within = wobble * template.at((u - start) / length);
        before + up * (during - before + within * (1.0 - down)) + up * down * (after - during)
    })
}

/// One motif several times, with pauses and small differences.
fn repeats(random: &mut Random, n: usize) -> Vec<f64> {
    let n_harmonics = 1 + random.below(4);
    let motif = Template::new(random, n_harmonics);
    let count = 2 + random.below(6);
    let busy = random.between(0.4, 1.0);
    let differs = random.between(0.0, 0.25);
    let heights: Vec<[f64; 2]> = (0..count)
        .map(|_| {
            [
                1.0 + differs * random.normal(),
                0.3 * differs * random.normal(),
            ]
        })
        .collect();
    along(n, |u| {
        let place = u * count as f64;
        let [height, late] = heights[whole(place).min(count - 1)];
        let t = (place.fract() + late) / busy;
        // A window that is 0 at both ends keeps the motif from jumping.
        let window = (TAU / 2.0 * t.clamp(0.0, 1.0)).sin();
        height * window * motif.at(t)
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small positive number"
)]
fn whole(place: f64) -> usize {
    place as usize
}
