//! Coded pictures: any bytes are a picture or an error, and any mask comes back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use timesclip::cache::codec::{decode, decode_all, encode};

/// Sides on both sides of the limit of one-byte coordinates, and the smallest ones.
const SIDES: [usize; 8] = [1, 2, 7, 16, 32, 224, 256, 257];

fuzz_target!(|data: &[u8]| {
    let Some((&choice, bytes)) = data.split_first() else {
        return;
    };
    let side_px = SIDES[usize::from(choice) % SIDES.len()];
    let mut mask = vec![0xa5; side_px * side_px];

    if let Ok(len) = decode(bytes, side_px, &mut mask) {
        assert!(len <= bytes.len(), "{len} of {} bytes", bytes.len());
        comes_back(&mask, side_px);
    }
    let mut masks = vec![0xa5; 2 * side_px * side_px];
    if decode_all(bytes, side_px, &mut masks).is_ok() {
        comes_back(&masks[..side_px * side_px], side_px);
    }

    mask.fill(0);
    for (pixel, &byte) in mask.iter_mut().zip(bytes) {
        *pixel = byte;
    }
    comes_back(&mask, side_px);
});

fn comes_back(mask: &[u8], side_px: usize) {
    let mut coded = Vec::new();
    let len = encode(mask, side_px, &mut coded);
    assert_eq!(len, coded.len(), "the length that is told");
    assert!(len <= 1 + mask.len(), "longer than dense");
    let mut decoded = vec![0x5a; mask.len()];
    assert_eq!(decode(&coded, side_px, &mut decoded), Ok(len));
    assert!(decoded == mask, "another mask came back");
}
