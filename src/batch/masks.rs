//! How masks travel: as bytes, one row a sample, and what opens them on the device.
//!
//! A device that computes with bytes takes the rows as they are. Any other gets the very same
//! bytes as 32-bit words, four pixels each, and takes them apart itself: a quarter of what
//! widening them beforehand would send, and nothing to convert on the host.

use burn::tensor::backend::Backend;
use burn::tensor::{
    AllocationProperty, DType, ElementConversion, Int, IntDType, Tensor, TensorData,
};
use bytes::Bytes;

/// Pixels of a word.
const WORD: usize = size_of::<i32>();

/// Bytes of a row: the masks of one sample, filled up to whole words.
pub(super) fn row_bytes(n_variates: usize, side_px: usize) -> usize {
    (n_variates * side_px * side_px).next_multiple_of(WORD)
}

/// Moves rows to a device.
///
/// # Shapes
/// - bytes: `[n_rows, row_bytes]`
/// - output: the same in U8, or `[n_rows, row_bytes / 4]` in I32
pub(super) fn upload<B: Backend>(
    bytes: Bytes,
    n_rows: usize,
    device: &B::Device,
) -> Tensor<B, 2, Int> {
    // Plain WGPU takes u8 without an error and computes with garbage.
    match B::supports_dtype(device, DType::U8) {
        true => {
            let shape = [n_rows, bytes.len() / n_rows];
            let rows = TensorData::from_bytes(shared(bytes), shape, DType::U8);
            Tensor::from_data(rows, (device, DType::U8))
        }
        false => Tensor::from_data(pack(bytes, n_rows), (device, DType::I32)),
    }
}

/// Reads rows of bytes as rows of words, the first pixel in the lowest bits; copies only bytes
/// that do not lie as words do.
fn pack(bytes: Bytes, n_rows: usize) -> TensorData {
    let shape = [n_rows, bytes.len() / n_rows / WORD];
    let aligned = bytes.as_ptr().addr().is_multiple_of(WORD);
    if cfg!(target_endian = "little") && aligned {
        return TensorData::from_bytes(shared(bytes), shape, DType::I32);
    }
    let (words, _) = bytes.as_chunks();
    let words = words.iter().copied().map(i32::from_le_bytes).collect();
    TensorData::new::<i32, _>(words, shape)
}

fn shared(bytes: Bytes) -> burn::tensor::Bytes {
    burn::tensor::Bytes::from_shared(bytes, AllocationProperty::Other)
}

/// Takes words apart.
///
/// # Shapes
/// - words: `[n_rows, n_words]`
/// - output: `[n_rows, 4 * n_words]`
fn unpack<B: Backend>(words: Tensor<B, 2, Int>) -> Tensor<B, 2, Int> {
    let [n_rows, n_words] = words.dims();
    let shifts = TensorData::from([0, 8, 16, 24]);
    let shifts = Tensor::<B, 1, Int>::from_data(shifts, (&words.device(), DType::I32));
    let shifts = shifts.reshape([1, 1, WORD]);
    let shape = [n_rows, n_words, WORD];
    let words = words.reshape([n_rows, n_words, 1]).expand(shape);
    // A word whose last pixel is 128 or more is negative and drags its sign along: the mask that
    // follows the shift takes it off.
    words
        .bitwise_right_shift(shifts.expand(shape))
        .bitwise_and_scalar(255.elem())
        .reshape([n_rows, n_words * WORD])
}

/// Masks of what [`upload`] gave, or of some rows of it.
///
/// # Shapes
/// - rows: `[batch, row_bytes]` in U8 or `[batch, row_bytes / 4]` in I32
/// - output: `[batch, n_variates, side, side]`
pub(super) fn open<B: Backend>(
    rows: Tensor<B, 2, Int>,
    n_variates: usize,
    side_px: usize,
) -> Tensor<B, 4, Int> {
    let rows = match rows.dtype() {
        DType::U8 => rows,
        _ => unpack(rows.cast(IntDType::I32)),
    };
    let [batch, found] = rows.dims();
    let row = n_variates * side_px * side_px;
    let rows = match found == row {
        true => rows,
        false => rows.narrow(1, 0, row),
    };
    rows.reshape([batch, n_variates, side_px, side_px])
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use super::*;

    type Cpu = burn_flex::Flex;

    fn levels(data: TensorData) -> Vec<u8> {
        data.iter::<u8>().collect()
    }

    #[test]
    fn packed_rows_open_to_the_bytes_they_were() {
        let device = Default::default();
        // Sides and numbers of variates that fill whole words, and such as do not; every level in
        // every place of a word.
        for (n_variates, side_px) in [(4, 16), (1, 7), (3, 5), (2, 3), (1, 1), (14, 8)] {
            let (batch, row) = (5, row_bytes(n_variates, side_px));
            let n = n_variates * side_px * side_px;
            assert!(row.is_multiple_of(4) && (n..n + 4).contains(&row));
            // 257 is odd: a level comes in another place each time.
            let levels_in_turn = (0..=255).chain([0]).cycle();
            let bytes: Bytes = levels_in_turn.take(batch * row).collect();
            let expected: Vec<u8> = bytes
                .chunks(row)
                .flat_map(|row| &row[..n])
                .copied()
                .collect();
            let words = pack(bytes.clone(), batch);
            assert_eq!(words.dtype, DType::I32);
            let words = Tensor::<Cpu, 2, Int>::from_data(words, (&device, DType::I32));
            assert_eq!(words.dims(), [batch, row / 4]);
            for rows in [words, upload(bytes, batch, &device)] {
                let dtype = rows.dtype();
                let masks = open(rows, n_variates, side_px);
                assert_eq!(masks.dims(), [batch, n_variates, side_px, side_px]);
                assert_eq!(
                    levels(masks.into_data()),
                    expected,
                    "{side_px} px of {dtype:?}"
                );
            }
        }
    }

    #[test]
    fn all_levels_survive_in_all_places_of_a_word() {
        let device = Default::default();
        for place in 0..WORD {
            let row = |level: u8| {
                let mut row = [!level; WORD];
                row[place] = level;
                row
            };
            let bytes: Bytes = (0..=255).flat_map(row).collect();
            let words = Tensor::<Cpu, 2, Int>::from_data(pack(bytes.clone(), 256), &device);
            assert_eq!(levels(unpack(words).into_data()), bytes, "place {place}");
        }
    }
}
