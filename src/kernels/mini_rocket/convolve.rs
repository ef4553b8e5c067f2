//! The loops of MiniRocket: responses in pieces of the nearest cache, and counts above thresholds.

use pulp::{Arch, Simd};

use super::super::lanes::WIDEST;
use super::super::padded::Padded;
use super::{MiniRocket, N_KERNELS, N_TAPS};

/// Steps that are worked on at once; a dozen such pieces stay in the nearest cache.
const PIECE: usize = 512;
/// Thresholds that are held against a response at once.
const AT_ONCE: usize = 8;

type Piece = [f32; PIECE];

/// Features of one series: counts of responses above thresholds, piece by piece, then shares.
pub(super) fn transform(rocket: &MiniRocket, values: &Padded, out: &mut [f32]) {
    out.fill(0.0);
    let tripled = tripled(values, rocket.margin());
    let mut rest = out;
    let mut biases = rocket.biases.as_slice();
    for (index, dilation) in rocket.dilations.iter().enumerate() {
        let n_features = dilation.n_biases * N_KERNELS;
        let (counts, others) = rest.split_at_mut(n_features);
        let (here, there) = biases.split_at(n_features);
        (rest, biases) = (others, there);
        let inputs = Inputs {
            values,
            tripled: &tripled,
            variates: &rocket.variates[index * N_KERNELS..][..N_KERNELS],
            step: dilation.step,
            odd: index % 2,
        };
        count_all(inputs, here, counts);
        let chunks = counts.chunks_exact_mut(dilation.n_biases);
        for (kernel, counts) in chunks.enumerate() {
            let n_counted = inputs.counted(kernel).len() as f64;
            for count in counts {
                *count = share(*count, n_counted);
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the nearest 32-bit number is meant"
)]
fn share(count: f32, n: f64) -> f32 {
    (f64::from(count) / n) as f32
}

/// What three of the taps add: three times the values.
fn tripled(values: &Padded, margin: usize) -> Padded {
    let mut tripled = Padded::zeros(values.n_rows(), values.n_steps(), margin);
    for row in 0..values.n_rows() {
        let pairs = tripled.values_mut(row).iter_mut().zip(values.values(row));
        pairs.for_each(|(out, value)| *out = 3.0 * value);
    }
    tripled
}

/// What the kernels of one dilation read.
#[derive(Clone, Copy, Debug)]
struct Inputs<'a> {
    values: &'a Padded,
    tripled: &'a Padded,
    variates: &'a [Vec<usize>],
    step: usize,
    /// 1 for every other dilation.
    odd: usize,
}

impl Inputs<'_> {
    /// Steps whose responses count: all for every other kernel, for the rest only those at which
    /// the kernel lies within the series.
    fn counted(&self, kernel: usize) -> std::ops::Range<usize> {
        let n_steps = self.values.n_steps();
        match (self.odd + kernel) % 2 {
            0 => 0..n_steps,
            _ => N_TAPS / 2 * self.step..n_steps - N_TAPS / 2 * self.step,
        }
    }

    fn tap<'a>(&self, padded: &'a Padded, variate: usize, tap: usize, start: usize) -> &'a [f32] {
        let view = padded.row_from(variate, N_TAPS / 2 * self.step);
        &view[start + tap * self.step..]
    }
}

/// Adds the counts of all kernels of a dilation.
#[pulp::with_simd(count_all = Arch::new())]
#[inline(always)]
fn count_all_with_simd<'a, S: Simd>(
    simd: S,
    inputs: Inputs<'a>,
    biases: &'a [f32],
    counts: &'a mut [f32],
) {
    let n_steps = inputs.values.n_steps();
    let mut alone = vec![[0.0; PIECE]; inputs.values.n_rows()];
    let mut start = 0;
    while start < n_steps {
        let n = (n_steps - start).min(PIECE);
        for (variate, alone) in alone.iter_mut().enumerate() {
            negative(inputs, variate, start, &mut alone[..n]);
        }
        let place = start..start + n;
        if inputs.values.n_rows() == 1 {
            count_one_variate(simd, inputs, &alone[0], place, (biases, &mut *counts));
        } else {
            count_variates(simd, inputs, &alone, place, (biases, &mut *counts));
        }
        start += n;
    }
}

/// The sum of all nine taps with weight -1, in the order of the reference.
#[inline(always)]
fn negative(inputs: Inputs<'_>, variate: usize, start: usize, out: &mut [f32]) {
    let n = out.len();
    let center = &inputs.tap(inputs.values, variate, N_TAPS / 2, start)[..n];
    for (sum, value) in out.iter_mut().zip(center) {
        *sum = -value;
    }
    for tap in (0..N_TAPS).filter(|&tap| tap != N_TAPS / 2) {
        let values = &inputs.tap(inputs.values, variate, tap, start)[..n];
        for (sum, value) in out.iter_mut().zip(values) {
            *sum -= value;
        }
    }
}

/// Kernels that share their first taps share the sums of these.
#[inline(always)]
fn count_one_variate<S: Simd>(
    simd: S,
    inputs: Inputs<'_>,
    alone: &Piece,
    place: std::ops::Range<usize>,
    (biases, counts): (&[f32], &mut [f32]),
) {
    let n = place.len();
    let n_biases = biases.len() / N_KERNELS;
    let (mut one, mut two, mut three) = ([0.0; PIECE], [0.0; PIECE], [0.0; PIECE]);
    let tap = |tap| &inputs.tap(inputs.tripled, 0, tap, place.start)[..n];
    let mut kernel = 0;
    for a in 0..N_TAPS {
        add(&mut one[..n], &alone[..n], tap(a));
        for b in a + 1..N_TAPS {
            add(&mut two[..n], &one[..n], tap(b));
            for c in b + 1..N_TAPS {
                add(&mut three[..n], &two[..n], tap(c));
                let own = kernel * n_biases..(kernel + 1) * n_biases;
                let (biases, counts) = (&biases[own.clone()], &mut counts[own]);
                count(
                    simd,
                    within(&mut three, inputs.counted(kernel), &place),
                    biases,
                    counts,
                );
                kernel += 1;
            }
        }
    }
}

/// Each kernel adds up variates of its own.
#[inline(always)]
fn count_variates<S: Simd>(
    simd: S,
    inputs: Inputs<'_>,
    alone: &[Piece],
    place: std::ops::Range<usize>,
    (biases, counts): (&[f32], &mut [f32]),
) {
    let n = place.len();
    let n_biases = biases.len() / N_KERNELS;
    let mut sums = [0.0; PIECE];
    for (kernel, variates) in inputs.variates.iter().enumerate() {
        let chosen = super::draw::TAPS[kernel];
        for (i, &variate) in variates.iter().enumerate() {
            let taps =
                chosen.map(|tap| &inputs.tap(inputs.tripled, variate, tap, place.start)[..n]);
            add_taps(&mut sums[..n], &alone[variate][..n], taps, i == 0);
        }
        let own = kernel * n_biases..(kernel + 1) * n_biases;
        let (biases, counts) = (&biases[own.clone()], &mut counts[own]);
        count(
            simd,
            within(&mut sums, inputs.counted(kernel), &place),
            biases,
            counts,
        );
    }
}

#[inline(always)]
fn add(out: &mut [f32], left: &[f32], right: &[f32]) {
    for (out, (left, right)) in out.iter_mut().zip(left.iter().zip(right)) {
        *out = left + right;
    }
}

#[inline(always)]
fn add_taps(out: &mut [f32], alone: &[f32], [a, b, c]: [&[f32]; 3], first: bool) {
    let taps = a.iter().zip(b).zip(c);
    for ((out, alone), ((a, b), c)) in out.iter_mut().zip(alone).zip(taps) {
        let response = alone + a + b + c;
        *out = if first { response } else { *out + response };
    }
}

/// The responses of a piece that count, filled up with what is above no threshold.
#[inline(always)]
fn within<'a>(
    responses: &'a mut Piece,
    counted: std::ops::Range<usize>,
    place: &std::ops::Range<usize>,
) -> &'a [f32] {
    let from = counted.start.clamp(place.start, place.end) - place.start;
    let to = counted.end.clamp(place.start, place.end) - place.start;
    let responses = &mut responses[from..];
    let n = to.saturating_sub(from);
    let filled = n.next_multiple_of(WIDEST).min(responses.len());
    responses[n..filled].fill(f32::NEG_INFINITY);
    &responses[..filled]
}

/// Adds to each count how many responses are above its threshold.
#[inline(always)]
fn count<S: Simd>(simd: S, responses: &[f32], biases: &[f32], counts: &mut [f32]) {
    let mut first = 0;
    while first < biases.len() {
        let (biases, counts) = (&biases[first..], &mut counts[first..]);
        first += match biases.len() {
            AT_ONCE.. => count_block::<S, AT_ONCE>(simd, responses, biases, counts),
            4.. => count_block::<S, 4>(simd, responses, biases, counts),
            2.. => count_block::<S, 2>(simd, responses, biases, counts),
            _ => count_block::<S, 1>(simd, responses, biases, counts),
        };
    }
}

#[inline(always)]
fn count_block<S: Simd, const N: usize>(
    simd: S,
    responses: &[f32],
    biases: &[f32],
    counts: &mut [f32],
) -> usize {
    let (zero, one) = (simd.splat_f32s(0.0), simd.splat_f32s(1.0));
    let mut sums = [zero; N];
    let mut thresholds = [zero; N];
    for (threshold, bias) in thresholds.iter_mut().zip(biases) {
        *threshold = simd.splat_f32s(*bias);
    }
    let (vectors, tail) = S::as_simd_f32s(responses);
    for response in vectors {
        for (sum, threshold) in sums.iter_mut().zip(thresholds) {
            let above = simd.greater_than_f32s(*response, threshold);
            *sum = simd.add_f32s(*sum, simd.select_f32s(above, one, zero));
        }
    }
    for ((count, sum), bias) in counts.iter_mut().zip(sums).zip(biases) {
        let behind = tail.iter().filter(|response| *response > bias).count();
        *count += simd.reduce_sum_f32s(sum) + behind as f32;
    }
    N
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::series;
    use super::*;

    #[test]
    fn counts_are_the_same_on_any_processor_and_in_any_piece() {
        for n_variates in [1, 3] {
            let n_steps = PIECE + 83;
            let mut rocket = MiniRocket::draw([n_steps, n_variates], 1000, 5);
            let values: Vec<f32> = (0..n_steps * n_variates)
                .map(|i| ((i * i) % 101) as f32 / 7.0)
                .collect();
            let series = series(&values, n_variates);
            let values = Padded::of(&series, n_steps, rocket.margin());
            rocket.fit_biases(&[&series], 5, |_| values.clone());
            let inputs = Inputs {
                values: &values,
                tripled: &tripled(&values, rocket.margin()),
                variates: &rocket.variates[..N_KERNELS],
                step: 1,
                odd: 0,
            };
            let n_features = rocket.dilations[0].n_biases * N_KERNELS;
            let biases = &rocket.biases[..n_features];
            let mut here = vec![0.0; n_features];
            count_all(inputs, biases, &mut here);
            let mut plain = vec![0.0; n_features];
            count_all_with_simd(pulp::Scalar::new(), inputs, biases, &mut plain);
            assert_eq!(here, plain);
        }
    }
}
