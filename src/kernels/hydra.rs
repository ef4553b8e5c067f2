//! Hydra: groups of random kernels compete at every step for the best and the worst match.

use pulp::{Arch, Simd};

use crate::data::random::{Purpose, Random};

use super::N_TAPS;
use super::lanes::{WIDEST, load, store};
use super::padded::Padded;

/// Kernels of a group.
const N_RIVALS: usize = 8;
/// Most variates that a group adds up.
const MOST_VARIATES: usize = 8;
/// Numbers of the lanes.
const LANES: [f32; WIDEST] = [
    0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0,
];

/// The kernels of all groups.
///
/// At each step the kernel of a group with the largest response adds it to its sum, and the one
/// with the smallest response counts one. Half of the groups read values, half differences; each
/// reads the sum of a few variates.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hydra {
    dilations: Vec<usize>,
    /// `[n_dilations, 2, n_groups, N_RIVALS, N_TAPS]`.
    weights: Vec<f32>,
    /// `[n_dilations, 2, n_groups, n_added]`.
    variates: Vec<usize>,
    /// Groups on values; as many read differences.
    n_groups: usize,
}

impl Hydra {
    /// Normal weights, of each kernel with mean 0 and sum of sizes 1; variates with replacement.
    pub(super) fn draw([n_steps, n_variates]: [usize; 2], n_groups: usize, seed: u64) -> Self {
        let dilations = dilations(n_steps);
        let n_groups = n_groups / 2;
        let n_sets = dilations.len() * 2 * n_groups;
        let mut random = Random::new([seed, 0, 0], Purpose::HydraWeights);
        let weights = (0..n_sets * N_RIVALS).flat_map(|_| kernel(&mut random));
        let weights = weights.collect();
        let n_added = match n_variates {
            1 => 1,
            more => (more / 2).clamp(2, MOST_VARIATES),
        };
        let mut random = Random::new([seed, 0, 0], Purpose::HydraVariates);
        let variates = (0..n_sets * n_added).map(|_| random.below(n_variates));
        Self {
            dilations,
            weights,
            variates: variates.collect(),
            n_groups,
        }
    }

    /// Features of one group on values and one on differences.
    pub(super) fn features_of_pair(n_steps: usize) -> usize {
        dilations(n_steps).len() * 2 * 2 * N_RIVALS
    }

    pub(super) fn n_features(&self) -> usize {
        self.weights.len() / N_TAPS * 2
    }

    pub(super) fn margin(&self) -> usize {
        let largest = self.dilations.last().copied().unwrap_or_default();
        N_TAPS / 2 * largest
    }

    /// Features of one series: for each dilation, of values and then of differences, the sums of
    /// all groups and then their counts, `[n_dilations, 2, 2, n_groups, N_RIVALS]`.
    pub(super) fn transform(&self, values: &Padded, out: &mut [f32]) {
        let differences = values.differences(0);
        let of_set = self.n_groups * N_RIVALS;
        let n_added = self.variates.len() / (self.weights.len() / (N_RIVALS * N_TAPS));
        let sets = out.chunks_exact_mut(2 * of_set);
        let weights = self.weights.chunks_exact(of_set * N_TAPS);
        let variates = self.variates.chunks_exact(self.n_groups * n_added);
        for (set, (out, (weights, variates))) in sets.zip(weights.zip(variates)).enumerate() {
            let dilation = self.dilations[set / 2];
            let input = if set % 2 == 0 { values } else { &differences };
            compete(
                Set {
                    dilation,
                    weights,
                    variates,
                },
                input,
                out,
            );
        }
    }
}

/// Powers of two that a kernel fits into the series with.
fn dilations(n_steps: usize) -> Vec<usize> {
    let span = (n_steps - 1) / (N_TAPS - 1);
    (0..=span.ilog2()).map(|exponent| 1 << exponent).collect()
}

/// One kernel.
fn kernel(random: &mut Random) -> [f32; N_TAPS] {
    let drawn: [f64; N_TAPS] = std::array::from_fn(|_| random.normal());
    let mean = drawn.iter().sum::<f64>() / N_TAPS as f64;
    let centered = drawn.map(|weight| weight - mean);
    let size: f64 = centered.iter().map(|weight| weight.abs()).sum();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the nearest 32-bit number is meant"
    )]
    centered.map(|weight| (weight / size) as f32)
}

/// The groups of one dilation that read one input.
#[derive(Clone, Copy, Debug)]
struct Set<'a> {
    dilation: usize,
    weights: &'a [f32],
    variates: &'a [usize],
}

#[pulp::with_simd(compete = Arch::new())]
#[inline(always)]
fn compete_with_simd<'a, S: Simd>(simd: S, set: Set<'a>, input: &'a Padded, out: &'a mut [f32]) {
    let before = N_TAPS / 2 * set.dilation;
    let (sums, counts) = out.split_at_mut(out.len() / 2);
    let n_groups = sums.len() / N_RIVALS;
    let n_added = set.variates.len() / n_groups;
    let mut added = Padded::zeros(1, input.n_steps(), before);
    for group in 0..n_groups {
        let view = if input.n_rows() == 1 {
            input.row_from(0, before)
        } else {
            add(
                &set.variates[group * n_added..][..n_added],
                input,
                &mut added,
            );
            added.row_from(0, before)
        };
        let weights = &set.weights[group * N_RIVALS * N_TAPS..][..N_RIVALS * N_TAPS];
        let place = group * N_RIVALS..(group + 1) * N_RIVALS;
        let (sums, counts) = (&mut sums[place.clone()], &mut counts[place]);
        let sizes = [set.dilation, input.n_steps()];
        group_with_simd(simd, view, weights, sizes, [sums, counts]);
    }
}

/// The sum of some variates, one after the other.
#[inline(always)]
fn add(variates: &[usize], input: &Padded, out: &mut Padded) {
    let out = out.values_mut(0);
    out.copy_from_slice(input.values(variates[0]));
    for &variate in &variates[1..] {
        for (sum, value) in out.iter_mut().zip(input.values(variate)) {
            *sum += value;
        }
    }
}

/// Sums of the largest and counts of the smallest responses of one group.
#[inline(always)]
fn group_with_simd<S: Simd>(
    simd: S,
    view: &[f32],
    weights: &[f32],
    [dilation, n_steps]: [usize; 2],
    [sums, counts]: [&mut [f32]; 2],
) {
    let mut best_lanes = [[0.0; WIDEST]; N_RIVALS];
    let mut worst_lanes = [[0.0; WIDEST]; N_RIVALS];
    let mut first_lane = 0;
    while first_lane < WIDEST {
        let [best_sums, worst_counts] =
            lanes_with_simd(simd, view, weights, [dilation, n_steps, first_lane]);
        for (lanes, sum) in best_lanes.iter_mut().zip(best_sums) {
            store::<S>(lanes, first_lane, sum);
        }
        for (lanes, count) in worst_lanes.iter_mut().zip(worst_counts) {
            store::<S>(lanes, first_lane, count);
        }
        first_lane += S::F32_LANES;
    }
    for (sum, lanes) in sums.iter_mut().zip(&best_lanes) {
        *sum = lanes.iter().sum();
    }
    for (count, lanes) in counts.iter_mut().zip(&worst_lanes) {
        *count = lanes.iter().sum();
    }
}

/// Sums and counts of the steps that fall into the lanes of one vector.
///
/// Loops stand for closures here and below: these would be compiled without the processor's
/// vectors.
#[inline(always)]
fn lanes_with_simd<S: Simd>(
    simd: S,
    view: &[f32],
    weights: &[f32],
    [dilation, n_steps, first_lane]: [usize; 3],
) -> [[S::f32s; N_RIVALS]; 2] {
    let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
    let lane_numbers = load::<S>(&LANES, 0);
    let mut best_sums = [zero; N_RIVALS];
    let mut worst_counts = [zero; N_RIVALS];
    let mut step = first_lane;
    while step < n_steps {
        let mut taps = [zero; N_TAPS];
        for (tap, values) in taps.iter_mut().enumerate() {
            *values = load::<S>(view, step + tap * dilation);
        }
        let [best, winner, loser] = rank(simd, respond(simd, taps, weights));
        // Behind the series, the best adds nothing and the worst counts nothing.
        let inside = simd.less_than_f32s(lane_numbers, simd.splat_f32s((n_steps - step) as f32));
        let best = simd.select_f32s(inside, best, zero);
        let count = simd.select_f32s(inside, one, zero);
        let totals = best_sums.iter_mut().zip(&mut worst_counts);
        for (rival, (best_sum, worst_count)) in totals.enumerate() {
            let number = simd.splat_f32s(rival as f32);
            let gain = simd.select_f32s(simd.equal_f32s(winner, number), best, zero);
            *best_sum = simd.add_f32s(*best_sum, gain);
            let gain = simd.select_f32s(simd.equal_f32s(loser, number), count, zero);
            *worst_count = simd.add_f32s(*worst_count, gain);
        }
        step += WIDEST;
    }
    [best_sums, worst_counts]
}

/// Responses of the kernels of a group at the steps of a vector.
#[inline(always)]
fn respond<S: Simd>(simd: S, taps: [S::f32s; N_TAPS], weights: &[f32]) -> [S::f32s; N_RIVALS] {
    let mut responses = [taps[0]; N_RIVALS];
    for (response, weights) in responses.iter_mut().zip(weights.chunks_exact(N_TAPS)) {
        *response = simd.mul_f32s(simd.splat_f32s(weights[0]), *response);
        for (tap, weight) in taps[1..].iter().zip(&weights[1..]) {
            *response = simd.mul_add_f32s(simd.splat_f32s(*weight), *tap, *response);
        }
    }
    responses
}

/// The largest response, the kernel it is of, and the kernel of the smallest; of equal ones the
/// first.
#[inline(always)]
fn rank<S: Simd>(simd: S, responses: [S::f32s; N_RIVALS]) -> [S::f32s; 3] {
    let (mut best, mut worst) = (responses[0], responses[0]);
    let (mut winner, mut loser) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
    for (rival, response) in responses.into_iter().enumerate().skip(1) {
        let number = simd.splat_f32s(rival as f32);
        let above = simd.greater_than_f32s(response, best);
        best = simd.select_f32s(above, response, best);
        winner = simd.select_f32s(above, number, winner);
        let below = simd.less_than_f32s(response, worst);
        worst = simd.select_f32s(below, response, worst);
        loser = simd.select_f32s(below, number, loser);
    }
    [best, winner, loser]
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Cases, series};
    use super::*;

    /// Sums of up to 60 responses of size 10; rounding differs in the order of their terms.
    const TOLERANCE: f32 = 1e-4;

    #[test]
    fn features_equal_those_of_aeon() {
        let cases = Cases::read().hydra;
        assert_eq!(cases.len(), 3);
        for case in cases {
            let n_sets = case.weights.len() / N_TAPS / N_RIVALS;
            let one_variate = vec![0; n_sets];
            let hydra = Hydra {
                dilations: case.dilations,
                weights: case.weights,
                variates: if case.variates.is_empty() {
                    one_variate
                } else {
                    case.variates
                },
                n_groups: case.n_groups / 2,
            };
            for (values, expected) in case.series.iter().zip(&case.features) {
                let series = series(values, case.n_variates);
                let values = Padded::of(&series, case.n_steps, hydra.margin());
                let mut found = vec![0.0; hydra.n_features()];
                hydra.transform(&values, &mut found);
                assert_eq!(found.len(), expected.len(), "{}", case.name);
                for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                    let close = (found - expected).abs() < TOLERANCE;
                    assert!(close, "{} {i}: {found} for {expected}", case.name);
                }
            }
        }
    }

    #[test]
    fn weights_have_mean_0_and_sizes_that_add_up_to_1() {
        let hydra = Hydra::draw([100, 3], 64, 5);
        for kernel in hydra.weights.chunks_exact(N_TAPS) {
            let mean: f32 = kernel.iter().sum();
            let size: f32 = kernel.iter().map(|weight| weight.abs()).sum();
            assert!(mean.abs() < 1e-6 && (size - 1.0).abs() < 1e-6, "{kernel:?}");
        }
        assert_eq!(hydra.dilations, [1, 2, 4, 8]);
        assert!(hydra.variates.iter().all(|&variate| variate < 3));
    }

    #[test]
    fn differences_are_blind_to_level() {
        let hydra = Hydra::draw([30, 1], 8, 5);
        let features = |level: f32| {
            let values: Vec<f32> = (0..30).map(|t| ((t * t) % 11) as f32 + level).collect();
            let mut out = vec![0.0; hydra.n_features()];
            hydra.transform(
                &Padded::of(&series(&values, 1), 30, hydra.margin()),
                &mut out,
            );
            out
        };
        let (low, high) = (features(0.0), features(8.0));
        let half = 4 * N_RIVALS * 2;
        assert_ne!(low[..half], high[..half]);
        assert_eq!(low[half..2 * half], high[half..2 * half]);
    }

    #[test]
    fn features_have_the_same_bits_on_any_processor() {
        let hydra = Hydra::draw([83, 3], 4, 5);
        let values: Vec<f32> = (0..83 * 3).map(|i| ((i * i) % 101) as f32 / 7.0).collect();
        let values = Padded::of(&series(&values, 3), 83, hydra.margin());
        let mut here = vec![0.0; hydra.n_features()];
        hydra.transform(&values, &mut here);
        let of_set = hydra.n_groups * N_RIVALS;
        let mut plain = vec![0.0; 2 * of_set];
        let set = Set {
            dilation: 1,
            weights: &hydra.weights[..of_set * N_TAPS],
            variates: &hydra.variates[..2 * hydra.n_groups],
        };
        compete_with_simd(pulp::Scalar::new(), set, &values, &mut plain);
        assert_eq!(here[..2 * of_set], plain);
    }
}
