//! Row-span coding of coverage masks: a line plot is mostly paper, so only its ink is kept.
//!
//! A coded picture is one byte that names its form, and then:
//!
//! ```text
//! form  name    follows
//! 0     blank   nothing: no ink anywhere
//! 1     dense   side * side bytes: the mask itself
//! 2     narrow  first row u8, number of spans n u16,
//!               n heads of two bytes: start u8, (length - 1) u7, row step u1 (the top bit)
//!               the pixels of all spans, one byte each
//! 3     wide    the same with first row u16, n u32, start u16, (length - 1) u15
//! ```
//!
//! Numbers are little-endian. A span lies in the row of the span before it, to the right of it, or,
//! if its row step is 1, in the next row; the first span lies in the first row. What lies outside of
//! all spans is 0. A row of paper between rows of ink has a span of one pixel without ink, and a
//! run that is longer than the length field can say is cut into several spans. Up to 256 pixels a
//! side are coded narrow, up to [`MAX_SIDE_PX`] wide. A picture is coded dense as soon as its spans
//! would take more room.
//!
//! Heads and pixels are apart so that a reader knows where the next head is before it has read
//! this one: that is what makes decoding fast.

mod spans;

use spans::{decode_spans, encode_spans, next_ink};

/// Longest side that can be coded, in pixels.
pub const MAX_SIDE_PX: usize = 1 << 16;
/// Longest side whose coordinates fit in one byte.
const MAX_NARROW_SIDE_PX: usize = 1 << 8;

const BLANK: u8 = 0;
const DENSE: u8 = 1;
const NARROW: u8 = 2;
const WIDE: u8 = 3;

/// Appends the code of one mask to `coded`; returns how many bytes that took.
///
/// At most `1 + side_px * side_px`.
///
/// # Shapes
///
/// - `mask`: `[side_px, side_px]`
///
/// # Panics
///
/// If `mask` has another length, or `side_px` is above [`MAX_SIDE_PX`].
pub fn encode(mask: &[u8], side_px: usize, coded: &mut Vec<u8>) -> usize {
    assert_mask(mask, side_px);
    let start = coded.len();
    let first_ink = next_ink(mask, 0);
    if first_ink == mask.len() {
        coded.push(BLANK);
        return 1;
    }
    let fits = if side_px <= MAX_NARROW_SIDE_PX {
        coded.push(NARROW);
        encode_spans::<1>(mask, side_px, first_ink / side_px, coded)
    } else {
        coded.push(WIDE);
        encode_spans::<2>(mask, side_px, first_ink / side_px, coded)
    };
    if !fits {
        coded.truncate(start);
        coded.push(DENSE);
        coded.extend_from_slice(mask);
    }
    coded.len() - start
}

/// Writes the mask that `coded` begins with; returns how many bytes of `coded` it took.
///
/// Every byte of `mask` is written. Any `coded` is safe: what is not the code of a picture of
/// this size is an error.
///
/// # Shapes
///
/// - `mask`: `[side_px, side_px]`
///
/// # Errors
///
/// [`CodecError`] if `coded` is not the code of a mask of this size. `mask` holds no picture then.
///
/// # Panics
///
/// If `mask` has another length, or `side_px` is above [`MAX_SIDE_PX`].
pub fn decode(coded: &[u8], side_px: usize, mask: &mut [u8]) -> Result<usize, CodecError> {
    assert_mask(mask, side_px);
    let &form = coded.first().ok_or(CodecError::Truncated { len: 0 })?;
    let at = match form {
        BLANK => {
            mask.fill(0);
            1
        }
        DENSE => {
            let pixels = coded[1..].get(..mask.len());
            let len = coded.len();
            mask.copy_from_slice(pixels.ok_or(CodecError::Truncated { len })?);
            1 + mask.len()
        }
        NARROW if side_px <= MAX_NARROW_SIDE_PX => decode_spans::<1>(coded, side_px, mask)?,
        WIDE if side_px > MAX_NARROW_SIDE_PX => decode_spans::<2>(coded, side_px, mask)?,
        _ => return Err(CodecError::UnknownForm { form, side_px }),
    };
    Ok(at)
}

/// Writes the masks whose codes lie one behind the other in `coded`.
///
/// # Shapes
///
/// - `masks`: `[n, side_px, side_px]`, with any `n`
///
/// # Errors
///
/// [`CodecError`] if `coded` is not the codes of exactly `n` masks. `masks` holds no pictures then.
///
/// # Panics
///
/// If `side_px` is zero or above [`MAX_SIDE_PX`], or `masks` is not whole masks.
pub fn decode_all(coded: &[u8], side_px: usize, masks: &mut [u8]) -> Result<(), CodecError> {
    let mut masks = masks.chunks_mut(side_px * side_px);
    let at = masks.try_fold(0, |at, mask| {
        decode(&coded[at..], side_px, mask).map(|len| at + len)
    })?;
    match coded.len() - at {
        0 => Ok(()),
        extra => Err(CodecError::Extra { extra }),
    }
}

/// Why bytes are not the code of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The code ends before the picture does.
    #[error("the code ends after {len} bytes, inside the picture")]
    Truncated {
        /// Bytes that there are.
        len: usize,
    },
    /// Bytes are left over behind the last picture.
    #[error("{extra} bytes are left over behind the last picture")]
    Extra {
        /// How many.
        extra: usize,
    },
    /// The first byte names no form of a picture of this size.
    #[error("form {form} is not one of a picture of {side_px} pixels a side")]
    UnknownForm {
        /// The first byte.
        form: u8,
        /// Side of the picture in pixels.
        side_px: usize,
    },
    /// A span overlaps the one before it, or does not end inside the picture.
    #[error(
        "a span of {len} pixels at {start} in row {row} does not fit between {free} and {side_px}"
    )]
    SpanOutOfRange {
        /// Row of the span.
        row: usize,
        /// First pixel of the span.
        start: usize,
        /// Pixels of the span.
        len: usize,
        /// First pixel that no span of the row has taken.
        free: usize,
        /// Side of the picture in pixels.
        side_px: usize,
    },
}

fn assert_mask(mask: &[u8], side_px: usize) {
    assert!(
        side_px <= MAX_SIDE_PX,
        "a side of {side_px} px is above the {MAX_SIDE_PX} px that can be coded"
    );
    assert_eq!(
        mask.len(),
        side_px * side_px,
        "a mask of {} bytes is not {side_px} x {side_px}",
        mask.len()
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes into a buffer that holds something else, so that every pixel must be written.
    fn decoded(coded: &[u8], side_px: usize) -> Result<Vec<u8>, CodecError> {
        let mut mask = vec![0xa5; side_px * side_px];
        let len = decode(coded, side_px, &mut mask)?;
        assert_eq!(len, coded.len(), "the whole code is one picture");
        Ok(mask)
    }

    fn encoded(mask: &[u8], side_px: usize) -> Vec<u8> {
        let mut coded = Vec::new();
        let len = encode(mask, side_px, &mut coded);
        assert_eq!(len, coded.len(), "the length is told");
        coded
    }

    #[test]
    fn a_blank_picture_is_one_byte() {
        let coded = encoded(&[0; 224 * 224], 224);

        assert_eq!(coded, [BLANK]);
        assert_eq!(decoded(&coded, 224).unwrap(), [0; 224 * 224]);
    }

    #[test]
    fn a_narrow_picture_has_the_documented_bytes() {
        let mut mask = [0; 36];
        mask[2 * 6 + 1] = 7;
        mask[2 * 6 + 5] = 8;
        mask[3 * 6] = 9;
        mask[3 * 6 + 2] = 10;

        // Rows 2 and 3. Row 2: a gap of 3 parts two spans. Row 3: a gap of 1 is kept in the span.
        let heads = [1, 0, 5, 0, 0, 0x80 | 2];
        let pixels = [7, 8, 9, 0, 10];
        let coded = [&[NARROW, 2, 3, 0][..], &heads, &pixels].concat();

        assert_eq!(encoded(&mask, 6), coded);
        assert_eq!(decoded(&coded, 6).unwrap(), mask);
    }

    #[test]
    fn a_wide_picture_has_the_documented_bytes() {
        let mut mask = vec![0; 300 * 300];
        mask[299 * 300 + 298] = 1;
        mask[299 * 300 + 299] = 2;

        let coded = [WIDE, 43, 1, 1, 0, 0, 0, 42, 1, 1, 0, 1, 2];

        assert_eq!(encoded(&mask, 300), coded);
        assert_eq!(decoded(&coded, 300).unwrap(), mask);
    }

    #[test]
    fn full_rows_at_the_limit_of_narrow_coordinates_come_back() {
        for side_px in [255, 256, 257] {
            let mut mask = vec![0; side_px * side_px];
            mask[..side_px].fill(9);
            mask[side_px * (side_px - 1)..].fill(255);

            assert_eq!(
                decoded(&encoded(&mask, side_px), side_px).unwrap(),
                mask,
                "{side_px} px"
            );
        }
    }

    #[test]
    fn a_picture_of_4096_pixels_comes_back() {
        let side_px = 4096;
        let mut mask = vec![0; side_px * side_px];
        for row in 0..side_px {
            mask[row * side_px + row] = 255;
            mask[row * side_px + side_px - 1 - row] = 128;
        }

        let coded = encoded(&mask, side_px);

        assert_eq!(decoded(&coded, side_px).unwrap(), mask);
        assert!(coded.len() < 64 << 10, "{} bytes", coded.len());
    }

    #[test]
    fn a_picture_without_paper_is_kept_dense() {
        let mask = [3; 64 * 64];

        let coded = encoded(&mask, 64);

        assert_eq!((coded[0], coded.len()), (DENSE, 1 + 64 * 64));
        assert_eq!(decoded(&coded, 64).unwrap(), mask);
    }

    #[test]
    fn every_defect_has_its_error() {
        let mut mask = [0; 36];
        let mut fails = |coded: &[u8]| decode(coded, 6, &mut mask).unwrap_err();
        let span = |row, start, len, free| {
            let side_px = 6;
            CodecError::SpanOutOfRange {
                row,
                start,
                len,
                free,
                side_px,
            }
        };

        assert_eq!(fails(&[]), CodecError::Truncated { len: 0 });
        assert_eq!(fails(&[DENSE, 1, 2]), CodecError::Truncated { len: 3 });
        assert_eq!(fails(&[NARROW, 0, 1]), CodecError::Truncated { len: 3 });
        assert_eq!(
            fails(&[NARROW, 0, 1, 0, 0]),
            CodecError::Truncated { len: 5 }
        );
        assert_eq!(
            fails(&[NARROW, 0, 1, 0, 0, 3, 1, 2]),
            CodecError::Truncated { len: 8 }
        );
        assert_eq!(
            fails(&[9]),
            CodecError::UnknownForm {
                form: 9,
                side_px: 6
            }
        );
        assert_eq!(
            fails(&[WIDE, 0]),
            CodecError::UnknownForm {
                form: WIDE,
                side_px: 6
            }
        );
        assert_eq!(fails(&[NARROW, 6, 1, 0, 0, 0, 7]), span(6, 0, 1, 0));
        assert_eq!(fails(&[NARROW, 5, 1, 0, 0, 0x80, 7]), span(6, 0, 1, 0));
        assert_eq!(fails(&[NARROW, 0, 1, 0, 5, 1, 7, 7]), span(0, 5, 2, 0));
        assert_eq!(
            fails(&[NARROW, 0, 2, 0, 2, 1, 3, 0, 7, 7, 9]),
            span(0, 3, 1, 4)
        );
    }

    #[test]
    fn rows_of_paper_between_rows_of_ink_come_back() {
        let mut mask = [0; 36];
        (mask[7], mask[30]) = (1, 2);

        assert_eq!(decoded(&encoded(&mask, 6), 6).unwrap(), mask);
    }

    #[test]
    fn bytes_behind_the_last_picture_are_an_error() {
        let mut masks = [0; 2 * 36];

        assert_eq!(decode_all(&[BLANK, BLANK], 6, &mut masks), Ok(()));
        let extra = decode_all(&[BLANK, BLANK, BLANK], 6, &mut masks);
        assert_eq!(extra, Err(CodecError::Extra { extra: 1 }));
        let short = decode_all(&[BLANK], 6, &mut masks);
        assert_eq!(short, Err(CodecError::Truncated { len: 0 }));
    }

    #[test]
    #[should_panic(expected = "a mask of 35 bytes is not 6 x 6")]
    fn a_mask_of_another_size_is_a_broken_contract() {
        encode(&[0; 35], 6, &mut Vec::new());
    }

    /// Masks of runs of paper and ink: from nearly blank to nearly full, on either side of the
    /// limit of narrow coordinates.
    fn masks() -> impl Strategy<Value = (usize, Vec<u8>)> {
        let side_px = prop_oneof![1_usize..40, 250_usize..263, Just(224)];
        let runs = prop::collection::vec((0_usize..600, 0_u8..40, any::<u8>()), 0..300);
        (side_px, runs).prop_map(|(side_px, runs)| {
            let pixels = runs.into_iter().flat_map(|(paper, ink, seed)| {
                let ink = (0..ink).map(move |i| seed.wrapping_mul(i));
                std::iter::repeat_n(0, paper).chain(ink)
            });
            let mut mask: Vec<u8> = pixels.take(side_px * side_px).collect();
            mask.resize(side_px * side_px, 0);
            (side_px, mask)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_mask_comes_back((side_px, mask) in masks()) {
            let coded = encoded(&mask, side_px);

            prop_assert!(coded.len() <= 1 + mask.len());
            prop_assert_eq!(decoded(&coded, side_px).unwrap(), mask);
        }

        #[test]
        fn pictures_in_a_row_come_back((side_px, mask) in masks()) {
            let mut coded = Vec::new();
            for _ in 0..3 {
                encode(&mask, side_px, &mut coded);
            }
            let mut masks = vec![0xa5; 3 * mask.len()];

            decode_all(&coded, side_px, &mut masks).unwrap();

            prop_assert_eq!(masks, mask.repeat(3));
        }

        #[test]
        fn any_bytes_are_a_picture_or_an_error(
            side_px in prop_oneof![1_usize..20, 255_usize..259],
            form in 0_u8..5,
            bytes in prop::collection::vec(prop_oneof![0_u8..4, any::<u8>()], 0..300),
        ) {
            let coded: Vec<u8> = std::iter::once(form).chain(bytes).collect();
            let mut mask = vec![0; side_px * side_px];

            if let Ok(len) = decode(&coded, side_px, &mut mask) {
                prop_assert!(len <= coded.len());
                prop_assert_eq!(decoded(&encoded(&mask, side_px), side_px).unwrap(), mask);
            }
        }

        #[test]
        fn a_damaged_code_is_a_picture_or_an_error(
            (side_px, mask) in masks(),
            place in any::<prop::sample::Index>(),
            flip in 1_u8..,
        ) {
            let mut coded = encoded(&mask, side_px);
            let at = place.index(coded.len());
            coded[at] ^= flip;

            let mut other = vec![0; mask.len()];
            let _ = decode(&coded, side_px, &mut other);
            let _ = decode(&coded[..at], side_px, &mut other);
        }
    }
}
