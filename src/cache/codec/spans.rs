//! The two forms that keep spans: where each run of ink lies, and then the ink.

use super::CodecError;

/// Appends all that follows the form byte, with coordinates of `N` bytes.
///
/// False if that is no shorter than the mask itself.
pub(super) fn encode_spans<const N: usize>(
    mask: &[u8],
    side_px: usize,
    first_row: usize,
    coded: &mut Vec<u8>,
) -> bool {
    let start = coded.len();
    push::<N>(coded, first_row);
    let heads_at = coded.len() + 2 * N;
    coded.resize(heads_at, 0);
    let n_spans = push_heads::<N>(&mask[first_row * side_px..], side_px, coded);
    let count = n_spans.to_le_bytes();
    coded[heads_at - 2 * N..heads_at].copy_from_slice(&count[..2 * N]);

    let mut row = first_row;
    for span in 0..n_spans {
        let head = Head::read::<N>(&coded[heads_at + span * 2 * N..]);
        row += head.row_step;
        let at = row * side_px + head.start;
        coded.extend_from_slice(&mask[at..at + head.len]);
    }
    coded.len() - start < mask.len()
}

/// Appends the heads of all spans in `rows`; returns their number.
fn push_heads<const N: usize>(rows: &[u8], side_px: usize, coded: &mut Vec<u8>) -> usize {
    // A gap is worth a new span only if it is longer than what a head costs.
    let worth = 2 * N;
    let longest = 1 << (8 * N - 1);
    let start = coded.len();
    let mut row_step = 0;
    let mut last_ink = start;
    for row in rows.chunks_exact(side_px) {
        let mut from = next_ink(row, 0);
        if from == side_px {
            Head {
                start: 0,
                len: 1,
                row_step,
            }
            .push::<N>(coded);
            row_step = 1;
            continue;
        }
        while from < side_px {
            let (to, next) = span_end(row, from, worth);
            while from < to {
                let len = (to - from).min(longest);
                Head {
                    start: from,
                    len,
                    row_step,
                }
                .push::<N>(coded);
                row_step = 0;
                from += len;
            }
            from = next;
        }
        last_ink = coded.len();
        row_step = 1;
    }
    coded.truncate(last_ink);
    (last_ink - start) / (2 * N)
}

/// Where a span lies.
#[derive(Clone, Copy)]
struct Head {
    start: usize,
    len: usize,
    /// Rows below the span before: 0 or 1.
    row_step: usize,
}

impl Head {
    #[inline]
    fn push<const N: usize>(self, coded: &mut Vec<u8>) {
        push::<N>(coded, self.start);
        push::<N>(coded, (self.len - 1) | self.row_step << (8 * N - 1));
    }

    /// Reads a head from its `2 * N` bytes.
    #[inline]
    fn read<const N: usize>(bytes: &[u8]) -> Self {
        let word = number(&bytes[N..2 * N]);
        let top = 8 * N - 1;
        Self {
            start: number(&bytes[..N]),
            len: (word & ((1 << top) - 1)) + 1,
            row_step: word >> top,
        }
    }
}

/// Where the span that starts at `from` ends, and where the next one starts.
fn span_end(row: &[u8], from: usize, worth: usize) -> (usize, usize) {
    let mut to = from;
    loop {
        to = next_paper(row, to);
        let next = next_ink(row, to);
        if next == row.len() || next - to > worth {
            return (to, next);
        }
        to = next;
    }
}

/// First pixel with ink from `from` on, or the end of `pixels`.
pub(super) fn next_ink(pixels: &[u8], from: usize) -> usize {
    find(pixels, from, |word| word, |pixel| pixel != 0)
}

/// First pixel without ink from `from` on, or the end of `pixels`.
fn next_paper(pixels: &[u8], from: usize) -> usize {
    // The lowest bit that is set lies in the first byte that is zero.
    let zero_bytes = |word: u64| word.wrapping_sub(0x0101_0101_0101_0101) & !word & HIGH_BITS;
    find(pixels, from, zero_bytes, |pixel| pixel == 0)
}

/// The highest bit of each byte.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// First pixel from `from` on that is looked for: `hits` has its lowest bit in the first such
/// byte of a word, `is_hit` tells for one.
#[inline]
fn find(
    pixels: &[u8],
    from: usize,
    hits: impl Fn(u64) -> u64,
    is_hit: impl Fn(u8) -> bool,
) -> usize {
    let mut at = from;
    while let Some(word) = pixels.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let hits = hits(u64::from_le_bytes(*word));
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = pixels[at..].iter().position(|&pixel| is_hit(pixel));
    rest.map_or(pixels.len(), |offset| at + offset)
}

/// Appends the low `N` bytes of a number that fits in them.
#[inline]
fn push<const N: usize>(coded: &mut Vec<u8>, number: usize) {
    coded.extend_from_slice(&number.to_le_bytes()[..N]);
}

/// The number that a few bytes are.
#[inline]
fn number(bytes: &[u8]) -> usize {
    let mut all = [0; size_of::<usize>()];
    all[..bytes.len()].copy_from_slice(bytes);
    usize::from_le_bytes(all)
}

/// Writes the mask of which `coded` is the code with coordinates of `N` bytes.
///
/// Returns how many bytes of `coded` that took.
pub(super) fn decode_spans<const N: usize>(
    coded: &[u8],
    side_px: usize,
    mask: &mut [u8],
) -> Result<usize, CodecError> {
    let truncated = CodecError::Truncated { len: coded.len() };
    mask.fill(0);
    let heads_at = 1 + 3 * N;
    let fixed = coded.get(1..heads_at).ok_or(truncated)?;
    let mut row_at = number(&fixed[..N]) * side_px;
    let heads_len = number(&fixed[N..]).saturating_mul(2 * N);
    let (heads, pixels) = coded[heads_at..]
        .split_at_checked(heads_len)
        .ok_or(truncated)?;
    let mut at = 0;
    let mut free = 0;
    for head in heads.chunks_exact(2 * N) {
        let Head {
            start,
            len,
            row_step,
        } = Head::read::<N>(head);
        row_at += row_step * side_px;
        free *= 1 - row_step;
        let end = start + len;
        if start < free || end > side_px || row_at >= mask.len() {
            let row = row_at / side_px;
            return Err(CodecError::SpanOutOfRange {
                row,
                start,
                len,
                free,
                side_px,
            });
        }
        free = end;
        if !write_span(&pixels[at..], len, &mut mask[row_at + start..]) {
            return Err(truncated);
        }
        at += len;
    }
    Ok(heads_at + heads_len + at)
}

/// Copies the first `len` of `pixels` to the start of `mask`; false if there are fewer.
///
/// Spans are short: one masked word does for most. It also clears what follows the span in its
/// word; that is still paper, because spans come in the order of their pixels.
#[inline]
fn write_span(pixels: &[u8], len: usize, mask: &mut [u8]) -> bool {
    if len <= 16
        && let Some(word) = pixels.first_chunk::<16>()
        && let Some(target) = mask.first_chunk_mut::<16>()
    {
        let keep = u128::MAX >> (128 - 8 * len);
        *target = (u128::from_le_bytes(*word) & keep).to_le_bytes();
        return true;
    }
    pixels.get(..len).is_some_and(|span| {
        mask[..len].copy_from_slice(span);
        true
    })
}
