//! Row-span coding of coverage masks: a line plot is mostly paper, so only its ink is kept.
//!
//! A coded picture is one byte that names its form, and then:
//!
//! ```text
//! form  name    follows
//! 0     blank   nothing: no ink anywhere
//! 1     dense   side * side bytes: the mask itself
//! 2     narrow  first row u8, rows - 1 u8, then for each of these rows:
//!                 spans u8, and for each span: start u8, length - 1 u8, its bytes
//! 3     wide    the same with every u8 but the bytes of a span replaced by a u16
//! ```
//!
//! Numbers are little-endian. Spans of a row go from left to right and do not overlap; what lies
//! outside of them is 0. Up to 256 pixels a side are coded narrow, up to [`MAX_SIDE_PX`] wide.
//! A picture is coded dense as soon as its spans would take more room.

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
    let Some(first_ink) = mask.iter().position(|&pixel| pixel != 0) else {
        coded.push(BLANK);
        return 1;
    };
    let last_ink = mask
        .iter()
        .rposition(|&pixel| pixel != 0)
        .unwrap_or(first_ink);
    let (first_row, last_row) = (first_ink / side_px, last_ink / side_px);
    let fits = if side_px <= MAX_NARROW_SIDE_PX {
        encode_spans::<1>(mask, side_px, first_row, last_row, coded)
    } else {
        encode_spans::<2>(mask, side_px, first_row, last_row, coded)
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
    /// The rows with ink do not lie inside the picture.
    #[error("{rows} rows from row {first} on do not fit in {side_px} pixels")]
    RowsOutOfRange {
        /// First row with ink.
        first: usize,
        /// Number of rows.
        rows: usize,
        /// Side of the picture in pixels.
        side_px: usize,
    },
    /// A span overlaps the one before it, or does not end inside its row.
    #[error("a span of {len} pixels at {start} does not fit between {free} and {side_px}")]
    SpanOutOfRange {
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

/// Codes the rows that have ink with coordinates of `N` bytes; false if dense is smaller.
fn encode_spans<const N: usize>(
    mask: &[u8],
    side_px: usize,
    first_row: usize,
    last_row: usize,
    coded: &mut Vec<u8>,
) -> bool {
    // A gap is worth a new span only if it is longer than what starting a span costs.
    let worth = 2 * N;
    let end = coded.len() + mask.len();
    coded.push(if N == 1 { NARROW } else { WIDE });
    push::<N>(coded, first_row);
    push::<N>(coded, last_row - first_row);
    let rows = &mask[first_row * side_px..(last_row + 1) * side_px];
    for row in rows.chunks_exact(side_px) {
        let count_at = coded.len();
        push::<N>(coded, 0);
        let mut spans = 0;
        let mut from = next_ink(row, 0);
        while from < side_px {
            let (to, next) = span_end(row, from, worth);
            push::<N>(coded, from);
            push::<N>(coded, to - from - 1);
            coded.extend_from_slice(&row[from..to]);
            spans += 1;
            from = next;
        }
        coded[count_at..count_at + N].copy_from_slice(&bytes::<N>(spans));
        if coded.len() > end {
            return false;
        }
    }
    true
}

/// Where the span that starts at `from` ends, and where the next one starts.
fn span_end(row: &[u8], from: usize, worth: usize) -> (usize, usize) {
    let mut to = from;
    loop {
        to += row[to..]
            .iter()
            .position(|&pixel| pixel == 0)
            .unwrap_or(row.len() - to);
        let next = next_ink(row, to);
        if next == row.len() || next - to > worth {
            return (to, next);
        }
        to = next;
    }
}

/// First pixel with ink from `from` on, or the length of the row.
fn next_ink(row: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(word) = row.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*word);
        if word != 0 {
            return at + word.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = row[at..].iter().position(|&pixel| pixel != 0);
    rest.map_or(row.len(), |offset| at + offset)
}

fn push<const N: usize>(coded: &mut Vec<u8>, number: usize) {
    coded.extend_from_slice(&bytes::<N>(number));
}

/// The low `N` bytes of a number that fits in them.
fn bytes<const N: usize>(number: usize) -> [u8; N] {
    let all = number.to_le_bytes();
    std::array::from_fn(|i| all[i])
}

fn decode_spans<const N: usize>(
    coded: &[u8],
    side_px: usize,
    mask: &mut [u8],
) -> Result<usize, CodecError> {
    mask.fill(0);
    let mut at = 1;
    let first = take::<N>(coded, &mut at)?;
    let rows = take::<N>(coded, &mut at)? + 1;
    if first + rows > side_px {
        return Err(CodecError::RowsOutOfRange {
            first,
            rows,
            side_px,
        });
    }
    for row in first..first + rows {
        let spans = take::<N>(coded, &mut at)?;
        let mut free = 0;
        for _ in 0..spans {
            let start = take::<N>(coded, &mut at)?;
            let len = take::<N>(coded, &mut at)? + 1;
            if start < free || start + len > side_px {
                return Err(CodecError::SpanOutOfRange {
                    start,
                    len,
                    free,
                    side_px,
                });
            }
            free = start + len;
            write_span(coded, at, len, &mut mask[row * side_px + start..])?;
            at += len;
        }
    }
    Ok(at)
}

/// Copies the `len` bytes at `at` to the start of `mask`.
///
/// Spans are short: one masked word does for most. It also clears what follows the span in its
/// word; that is still paper, because spans come in the order of their pixels.
#[inline]
fn write_span(coded: &[u8], at: usize, len: usize, mask: &mut [u8]) -> Result<(), CodecError> {
    if len <= 8
        && let Some(word) = coded.get(at..).and_then(<[u8]>::first_chunk::<8>)
        && let Some(pixels) = mask.first_chunk_mut::<8>()
    {
        let keep = u64::MAX >> (64 - 8 * len);
        *pixels = (u64::from_le_bytes(*word) & keep).to_le_bytes();
        return Ok(());
    }
    let span = coded.get(at..at + len);
    let span = span.ok_or(CodecError::Truncated { len: coded.len() })?;
    mask[..len].copy_from_slice(span);
    Ok(())
}

/// Reads a number of `N` bytes at `at` and steps over it.
#[inline]
fn take<const N: usize>(coded: &[u8], at: &mut usize) -> Result<usize, CodecError> {
    let found = coded.get(*at..).and_then(<[u8]>::first_chunk::<N>);
    let number = found.ok_or(CodecError::Truncated { len: coded.len() })?;
    *at += N;
    let mut all = [0; size_of::<usize>()];
    all[..N].copy_from_slice(number);
    Ok(usize::from_le_bytes(all))
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
        let coded = [NARROW, 2, 1, 2, 1, 0, 7, 5, 0, 8, 1, 0, 2, 9, 0, 10];

        assert_eq!(encoded(&mask, 6), coded);
        assert_eq!(decoded(&coded, 6).unwrap(), mask);
    }

    #[test]
    fn a_wide_picture_has_the_documented_bytes() {
        let mut mask = vec![0; 300 * 300];
        mask[299 * 300 + 298] = 1;
        mask[299 * 300 + 299] = 2;

        let coded = [WIDE, 43, 1, 0, 0, 1, 0, 42, 1, 1, 0, 1, 2];

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
        let span = |start, len, free| CodecError::SpanOutOfRange {
            start,
            len,
            free,
            side_px: 6,
        };

        assert_eq!(fails(&[]), CodecError::Truncated { len: 0 });
        assert_eq!(fails(&[DENSE, 1, 2]), CodecError::Truncated { len: 3 });
        assert_eq!(
            fails(&[NARROW, 0, 0, 1, 0, 3, 1, 2]),
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
        let rows = CodecError::RowsOutOfRange {
            first: 4,
            rows: 3,
            side_px: 6,
        };
        assert_eq!(fails(&[NARROW, 4, 2, 0, 0, 0]), rows);
        assert_eq!(fails(&[NARROW, 0, 0, 1, 5, 1, 7, 7]), span(5, 2, 0));
        assert_eq!(
            fails(&[NARROW, 0, 0, 2, 2, 1, 7, 7, 3, 0, 9]),
            span(3, 1, 4)
        );
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
