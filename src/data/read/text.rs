//! From the bytes of a data file to words and numbers: what both readers share.

use std::borrow::Cow;
use std::path::Path;

/// What a value may be, for messages.
pub(super) const EXPECTED_VALUE: &str =
    "a finite 32-bit number, or `NaN`, `NA` or `?` for a missing one";

/// The bytes that some editors put before UTF-8 text.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Most characters of a file's text that a message repeats.
const EXCERPT_LEN: usize = 40;

/// Text of bytes that are UTF-8, or else Latin-1, as in old archive files. Never fails.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        // Latin-1 is the first 256 code points of Unicode.
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// The value of a word, `NaN` where it says "missing"; `None` if it is no finite number.
pub(super) fn parse_value(word: &str) -> Option<f32> {
    if word == "?" || word.eq_ignore_ascii_case("na") {
        return Some(f32::NAN);
    }
    // `parse` reads `NaN` in any case, and makes infinities of `inf` and of too large numbers.
    word.parse().ok().filter(|value: &f32| !value.is_infinite())
}

/// Name of a set that does not say its own: the stem of its file.
pub(super) fn set_name(file: &Path) -> String {
    file.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The start of a text, short enough for a message.
pub(super) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT_LEN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_utf8_or_else_latin1() {
        assert_eq!(decode("Größe".as_bytes()), "Größe");
        assert_eq!(decode(b"Gr\xf6\xdfe"), "Größe");
    }

    #[test]
    fn finite_numbers_are_values() {
        for (word, value) in [
            ("1", 1.0),
            ("-2.5", -2.5),
            ("+3e-2", 0.03),
            (".5", 0.5),
            ("4.", 4.0),
        ] {
            assert_eq!(parse_value(word), Some(value), "{word}");
        }
    }

    #[test]
    fn missing_values_are_nan() {
        for word in ["?", "NaN", "nan", "NAN", "-nan", "NA", "na"] {
            assert!(parse_value(word).is_some_and(f32::is_nan), "{word}");
        }
    }

    #[test]
    fn text_and_infinities_are_no_values() {
        for word in [
            "",
            "x",
            "1,5",
            "1 2",
            "0x10",
            "inf",
            "-Infinity",
            "1e39",
            "-1e39",
            "--1",
        ] {
            assert_eq!(parse_value(word), None, "{word}");
        }
    }

    #[test]
    fn an_excerpt_is_short_and_cuts_between_characters() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"ü".repeat(41)), format!("{}...", "ü".repeat(40)));
        assert_eq!(excerpt(&"ü".repeat(40)), "ü".repeat(40));
    }
}
