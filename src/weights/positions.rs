//! Position tables for pictures of another size.

/// Weight of the second derivative in the cubic, as PyTorch and Pillow have it.
const A: f32 = -0.75;

/// Resizes the positions of a square grid of patches; that of a class token in front is kept.
///
/// # Shapes
/// - table: `[class + old * old, d_model]`, row-major
/// - output: `[class + new * new, d_model]`
///
/// # Source
/// `interpolate_pos_encoding` of Hugging Face transformers: PyTorch's bicubic interpolation with
/// `align_corners=False` and without antialiasing; neighbors outside are the border's.
pub(super) fn resize(table: &[f32], d_model: usize, old: usize, new: usize) -> Vec<f32> {
    let n = old * old * d_model;
    assert!(
        table.len() >= n,
        "a table of {} numbers, of which {n} are positions",
        table.len()
    );
    let (class, grid) = table.split_at(table.len() - n);
    let taps: Vec<[(usize, f32); 4]> = (0..new).map(|to| taps(to, old, new)).collect();
    let mut resized = class.to_vec();
    for rows in &taps {
        for columns in &taps {
            resized.extend((0..d_model).map(|i| {
                let row = |y: usize| -> f32 {
                    let at = |x: usize| grid[(y * old + x) * d_model + i];
                    columns.iter().map(|&(x, weight)| weight * at(x)).sum()
                };
                rows.iter().map(|&(y, weight)| weight * row(y)).sum::<f32>()
            }));
        }
    }
    resized
}

/// The four places of `old` that make up place `to` of `new`, and their weights.
fn taps(to: usize, old: usize, new: usize) -> [(usize, f32); 4] {
    // `to` lies at (to + 1/2) old / new - 1/2 of the old places. Here is one more, never negative.
    let (halves, of) = ((2 * to + 1) * old + new, 2 * new);
    let t = (halves % of) as f32 / of as f32;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
    [0, 1, 2, 3].map(|i| {
        let at = (halves / of + i).saturating_sub(2).min(old - 1);
        (at, weights[i])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of 16 products of numbers up to 8 in single precision.
    const TOLERANCE: f32 = 4e-6;

    #[test]
    fn the_same_size_is_the_same_table() {
        let table: Vec<f32> = (0..20).map(|i| (i as f32).sin()).collect();
        assert_eq!(resize(&table, 2, 3, 3), table);
        // An encoder without a class token has none to keep.
        assert_eq!(resize(&table[2..], 2, 3, 3), table[2..]);
        assert_eq!(resize(&table, 2, 3, 5)[2..], resize(&table[2..], 2, 3, 5));
    }

    #[test]
    fn a_constant_stays_and_the_class_token_is_kept() {
        let mut table = vec![0.7; 17];
        table[0] = -4.0;
        let resized = resize(&table, 1, 4, 7);
        assert_eq!((resized.len(), resized[0]), (50, -4.0));
        assert!(resized[1..].iter().all(|v| (v - 0.7).abs() < TOLERANCE));
    }

    #[test]
    fn one_row_doubled_is_what_pytorch_gives() {
        // torch.nn.functional.interpolate(torch.tensor([[[[1., 2., 4., 8.]] * 4]]), size=(8, 8),
        // mode="bicubic", align_corners=False)[0, 0, 0]
        let row = [1.0, 2.0, 4.0, 8.0];
        let mut table = vec![0.0];
        (0..4).for_each(|_| table.extend(row));
        let expected = [
            0.894_531_25,
            1.156_25,
            1.5625,
            2.417_968_8,
            3.160_156_3,
            5.117_187_5,
            7.164_062_5,
            8.421_875,
        ];
        let resized = resize(&table, 1, 4, 8);
        for (found, expected) in resized[1..9].iter().zip(expected) {
            assert!((found - expected).abs() < TOLERANCE, "{found} {expected}");
        }
    }
}
