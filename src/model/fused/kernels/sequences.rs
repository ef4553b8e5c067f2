//! Tokens made into sequences, and the way back.

use rayon::prelude::*;

/// A class token and the tokens of every sequence, each with its position and its variate.
pub(crate) fn sequences(
    out: &mut [f32],
    tokens: &[f32],
    [class, positions, variates]: [&[f32]; 3],
) {
    let width = class.len();
    let size = positions.len();
    let n_variates = variates.len() / width;
    let sequences = out.par_chunks_mut(size).enumerate();
    sequences.for_each(|(i, out)| {
        let tokens = &tokens[i * (size - width)..][..size - width];
        let variate = &variates[i % n_variates * width..][..width];
        out[..width].copy_from_slice(class);
        out[width..].copy_from_slice(tokens);
        for (row, position) in out
            .chunks_exact_mut(width)
            .zip(positions.chunks_exact(width))
        {
            for ((x, position), variate) in row.iter_mut().zip(position).zip(variate) {
                *x = *x + position + variate;
            }
        }
    });
}

/// Sequences of `seq` rows without the first of them.
pub(crate) fn without_first(rows: &[f32], seq: usize, width: usize) -> Vec<f32> {
    let size = (seq - 1) * width;
    let mut out = vec![0.0; rows.len() / seq * (seq - 1)];
    let sequences = out
        .par_chunks_mut(size.max(1))
        .zip(rows.par_chunks(seq * width));
    sequences.for_each(|(out, rows)| out.copy_from_slice(&rows[width..]));
    out
}
