//! The second teacher: what random kernels find in each column of a curve.
//!
//! As in Hydra, groups of kernels compete at every point for the largest and the smallest response,
//! on values and on differences; here the sums are those of a column, not of the whole series.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use timesclip::raster::AxisReader;

use crate::curves::N_POINTS;
use crate::teacher::GRID;

/// Points from one tap of a kernel to the next.
const DILATIONS: [usize; 5] = [1, 2, 4, 8, 16];
/// Groups on the values at each dilation; as many are on the differences.
const N_GROUPS: usize = 4;
/// Kernels of a group.
const N_RIVALS: usize = 8;
/// Weights of a kernel.
const N_TAPS: usize = 9;
/// Zeros on both sides of a curve, for all taps of the widest kernels.
const MARGIN: usize = N_TAPS / 2 * DILATIONS[DILATIONS.len() - 1];
/// Numbers of a column: of every kernel the sum of its wins and the count of its losses.
pub(crate) const WIDTH: usize = DILATIONS.len() * 2 * N_GROUPS * N_RIVALS * 2;
/// Decides the kernels.
const SEED: u64 = 7;

type Kernel = [f32; N_TAPS];

/// What the kernels find, `[n, GRID, WIDTH]`: roots, each number standardized over all columns of
/// all curves.
///
/// # Shapes
/// - `points`: `[n, N_POINTS, 4]`, as [`AxisReader`] makes them
pub(crate) fn found(points: &[f32]) -> Vec<f32> {
    let kernels = draw();
    let (read, wide) = (N_POINTS * AxisReader::POINT, GRID * WIDTH);
    let mut found = vec![0.0; points.len() / read * wide];
    found
        .par_chunks_exact_mut(wide)
        .zip(points.par_chunks_exact(read))
        .for_each(|(found, points)| search(&kernels, points, found));
    standardize(&mut found);
    found
}

/// Normal weights, of each kernel with mean 0 and sum of sizes 1, `[DILATIONS, 2, N_GROUPS, N_RIVALS]`.
fn draw() -> Vec<Kernel> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let n_kernels = DILATIONS.len() * 2 * N_GROUPS * N_RIVALS;
    let kernel = |_| {
        let mut weights = [0.0; N_TAPS].map(|_: f32| normal(&mut random));
        let mean = weights.iter().sum::<f32>() / N_TAPS as f32;
        weights.iter_mut().for_each(|weight| *weight -= mean);
        let size: f32 = weights.iter().map(|weight| weight.abs()).sum();
        weights.map(|weight| weight / size)
    };
    (0..n_kernels).map(kernel).collect()
}

/// A number of the normal distribution (Box and Muller, 1958).
#[expect(
    clippy::cast_possible_truncation,
    reason = "the nearest 32-bit number is meant"
)]
fn normal(random: &mut ChaCha8Rng) -> f32 {
    let (size, angle): (f64, f64) = (random.random(), random.random());
    let size = (-2.0 * size.max(1e-12).ln()).sqrt();
    (size * (std::f64::consts::TAU * angle).cos()) as f32
}

/// The roots of one curve's sums and counts, `[GRID, WIDTH]`.
fn search(kernels: &[Kernel], points: &[f32], found: &mut [f32]) {
    let inputs = inputs(points);
    for (group, rivals) in kernels.chunks_exact(N_RIVALS).enumerate() {
        let set = group / N_GROUPS;
        let (dilation, input) = (DILATIONS[set / 2], &inputs[set % 2]);
        for at in (0..N_POINTS).filter(|&at| is_valid(points, at)) {
            let view = &input[MARGIN + at - N_TAPS / 2 * dilation..];
            let ((best, winner), loser) = compete(rivals, view, dilation);
            let column = &mut found[at * GRID / N_POINTS * WIDTH..][..WIDTH];
            let (wins, losses) = column[group * N_RIVALS * 2..].split_at_mut(N_RIVALS);
            wins[winner] += best.max(0.0);
            losses[loser] += 1.0;
        }
    }
    found.iter_mut().for_each(|number| *number = number.sqrt());
}

fn is_valid(points: &[f32], at: usize) -> bool {
    points[at * AxisReader::POINT + 1] > 0.5
}

/// Values and differences, 0 where there are none and in the margins.
fn inputs(points: &[f32]) -> [Vec<f32>; 2] {
    let mut values = vec![0.0; N_POINTS + 2 * MARGIN];
    let mut differences = values.clone();
    for at in 0..N_POINTS {
        values[MARGIN + at] = points[at * AxisReader::POINT];
        if at > 0 && is_valid(points, at) && is_valid(points, at - 1) {
            differences[MARGIN + at] = values[MARGIN + at] - values[MARGIN + at - 1];
        }
    }
    [values, differences]
}

/// The largest response of a group and its kernel, and the kernel of the smallest.
fn compete(rivals: &[Kernel], view: &[f32], dilation: usize) -> ((f32, usize), usize) {
    let (mut best, mut least) = ((f32::MIN, 0), (f32::MAX, 0));
    for (rival, weights) in rivals.iter().enumerate() {
        let taps = weights.iter().zip(view.iter().step_by(dilation));
        let response = taps.fold(0.0, |sum, (weight, value)| sum + weight * value);
        if response > best.0 {
            best = (response, rival);
        }
        if response < least.0 {
            least = (response, rival);
        }
    }
    (best, least.1)
}

/// Gives each number mean 0 and standard deviation 1 over all columns.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the nearest 32-bit numbers are meant"
)]
fn standardize(found: &mut [f32]) {
    let n_columns = (found.len() / WIDTH) as f64;
    let mut moments = vec![[0.0_f64; 2]; WIDTH];
    for column in found.chunks_exact(WIDTH) {
        for ([sum, squares], number) in moments.iter_mut().zip(column) {
            *sum += f64::from(*number);
            *squares += f64::from(*number) * f64::from(*number);
        }
    }
    let scales = moments.iter().map(|[sum, squares]| {
        let mean = sum / n_columns;
        let variance = (squares / n_columns - mean.powi(2)).max(1e-12);
        (mean as f32, variance.sqrt() as f32)
    });
    let scales: Vec<(f32, f32)> = scales.collect();
    found.par_chunks_exact_mut(WIDTH).for_each(|column| {
        for (number, (mean, deviation)) in column.iter_mut().zip(&scales) {
            *number = (*number - mean) / deviation;
        }
    });
}
