//! From the bytes of a data file to words, numbers and times.

use std::borrow::Cow;
use std::path::Path;

/// Spellings of a missing value: those of pandas, and the archive's `?`.
const MISSING: &[&str] = &[
    "", "?", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "NaT", "na", "NAN", "none",
];

/// Spellings that may also be the name of a class: nothing to do, Namibia.
const MAY_BE_NAMES: &[&str] = &["NA", "na", "N/A", "n/a", "None", "none"];

/// Most characters of a file's text that a message repeats.
const EXCERPT_LEN: usize = 40;

/// Which words stand for a missing value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Missing {
    /// Spellings besides the usual ones.
    more: Vec<String>,
}

impl Missing {
    pub(crate) fn new(more: &[String]) -> Self {
        Self {
            more: more.to_vec(),
        }
    }

    /// Whether a word says that a value is missing.
    pub(crate) fn is(&self, word: &str) -> bool {
        MISSING.contains(&word) || self.more.iter().any(|more| more == word)
    }

    /// Whether a word says that a label is missing, and cannot be the name of a class.
    pub(crate) fn is_label(&self, word: &str) -> bool {
        self.is(word)
            && (!MAY_BE_NAMES.contains(&word) || self.more.iter().any(|more| more == word))
    }

    /// The value of a word, `NaN` where it is missing; `None` if it is no finite number.
    pub(crate) fn value(&self, word: &str) -> Option<f32> {
        let number = if starts_like_number(word) {
            word.parse::<f32>().ok()
        } else {
            None
        };
        match number {
            // A code such as -999 may stand for "missing".
            Some(_) if !self.more.is_empty() && self.is(word) => Some(f32::NAN),
            Some(value) if value.is_finite() => Some(value),
            _ => self.is(word).then_some(f32::NAN),
        }
    }

    /// What a value may be, for messages.
    pub(crate) fn expected(&self) -> &'static str {
        "a finite 32-bit number, or nothing, `NaN`, `NA`, `NULL` or `?` for a missing one"
    }
}

/// Whether a word begins as numbers do; `inf` and `nan` do not.
fn starts_like_number(word: &str) -> bool {
    let digits = word.trim_start_matches(['+', '-']);
    digits
        .as_bytes()
        .first()
        .is_some_and(|&byte| byte.is_ascii_digit() || byte == b'.')
}

/// Whether a word is a finite number.
pub(crate) fn is_number(word: &str) -> bool {
    starts_like_number(word) && word.parse().is_ok_and(|value: f64| value.is_finite())
}

/// A number, or the seconds of an ISO 8601 date from 1970 on; `None` for anything else.
pub(crate) fn parse_time(word: &str) -> Option<f64> {
    if is_number(word) {
        return word.parse().ok();
    }
    let (date, time) = match word.find(['T', ' ']) {
        Some(at) => (&word[..at], word[at + 1..].trim()),
        None => (word, ""),
    };
    let separator = if date.contains('/') { '/' } else { '-' };
    let mut parts = date.split(separator).map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some()
        || !(1..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
    {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "four digits of a year")]
    let days = days_from_civil(year, month, day) as f64;
    Some(days * 86_400.0 + seconds_of_day(time)?)
}

/// Seconds of `hh:mm[:ss[.f]]` with an offset from UTC, or none.
fn seconds_of_day(time: &str) -> Option<f64> {
    if time.is_empty() {
        return Some(0.0);
    }
    let (clock, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (&time[..at], &time[at..]),
        None => (time, ""),
    };
    let offset = match offset.trim_start_matches(['+', '-']) {
        "" | "Z" | "z" => 0.0,
        digits => {
            let digits = digits.replace(':', "");
            let (hours, minutes) = (digits.get(..2)?, digits.get(2..4).unwrap_or("0"));
            let east = hours.parse::<u8>().ok().map(f64::from)? * 3600.0
                + minutes.parse::<u8>().ok().map(f64::from)? * 60.0;
            if offset.starts_with('-') { -east } else { east }
        }
    };
    let mut seconds = 0.0;
    let mut unit = 3600.0;
    for part in clock.trim().split(':') {
        let number: f64 = part
            .parse()
            .ok()
            .filter(|number| (0.0..61.0).contains(number))?;
        seconds += number * unit;
        unit /= 60.0;
    }
    (unit < 60.0).then_some(seconds - offset)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar (Howard Hinnant's `days_from_civil`).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Text of bytes that are UTF-8, or else Latin-1, as in old archive files. Never fails.
pub(crate) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        // Latin-1 is the first 256 code points of Unicode.
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// Name of a set that does not say its own: the stem of its file.
pub(crate) fn set_name(file: &Path) -> String {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let endings = [".csv", ".tsv", ".txt", ".ts", ".arff", ".npy", ".parquet"];
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending));
    stem.unwrap_or(&name).to_owned()
}

/// The start of a text, short enough for a message, with nothing that a terminal would act on.
pub(crate) fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(EXCERPT_LEN).flat_map(printable).collect();
    if text.chars().nth(EXCERPT_LEN).is_some() {
        short.push_str("...");
    }
    short
}

/// A text with nothing that a terminal would act on.
pub(crate) fn visible(text: &str) -> String {
    text.chars().flat_map(printable).collect()
}

fn printable(letter: char) -> impl Iterator<Item = char> {
    let unseen = letter.is_control() || ('\u{200b}'..='\u{202e}').contains(&letter);
    let escaped = unseen.then(|| letter.escape_default());
    let plain = (!unseen).then_some(letter);
    escaped.into_iter().flatten().chain(plain)
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
        let missing = Missing::default();
        for (word, value) in [
            ("1", 1.0),
            ("-2.5", -2.5),
            ("+3e-2", 0.03),
            (".5", 0.5),
            ("4.", 4.0),
        ] {
            assert_eq!(missing.value(word), Some(value), "{word}");
        }
    }

    #[test]
    fn every_spelling_of_pandas_is_a_missing_value() {
        // `pandas._libs.parsers.STR_NA_VALUES` of pandas 2.3.
        let pandas = [
            "", " ", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
            "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
        ];
        for word in pandas {
            let value = Missing::default().value(word.trim());
            assert!(value.is_some_and(f32::is_nan), "{word}");
        }
    }

    #[test]
    fn own_spellings_are_missing_even_if_they_are_numbers() {
        let missing = Missing::new(&["-999".to_owned(), "gap".to_owned()]);
        assert!(missing.value("-999").is_some_and(f32::is_nan));
        assert!(missing.value("gap").is_some_and(f32::is_nan));
        assert_eq!(missing.value("999"), Some(999.0));
        assert_eq!(Missing::default().value("gap"), None);
    }

    #[test]
    fn a_label_may_be_called_none() {
        let missing = Missing::default();
        assert!(missing.is_label("") && missing.is_label("NaN") && missing.is_label("NULL"));
        assert!(!missing.is_label("None") && !missing.is_label("NA"));
    }

    #[test]
    fn text_and_infinities_are_no_values() {
        for word in [
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
            assert_eq!(Missing::default().value(word), None, "{word}");
        }
    }

    #[test]
    fn times_are_numbers_or_iso_dates() {
        // Seconds by Python's `datetime.fromisoformat(..).timestamp()` in UTC.
        for (word, seconds) in [
            ("12.5", 12.5),
            ("1970-01-02", 86_400.0),
            ("2024-02-29T12:30:15.25Z", 1_709_209_815.25),
            ("2024-02-29 12:30", 1_709_209_800.0),
            ("2024-02-29T12:30:15+02:00", 1_709_202_615.0),
            ("1969/12/31", -86_400.0),
        ] {
            assert_eq!(parse_time(word), Some(seconds), "{word}");
        }
        for word in [
            "",
            "x",
            "2024-13-01",
            "2024-01",
            "29.02.2024",
            "2024-01-01T25h",
            "nan",
        ] {
            assert_eq!(parse_time(word), None, "{word}");
        }
    }

    #[test]
    fn an_excerpt_is_short_and_cuts_between_characters() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"ü".repeat(41)), format!("{}...", "ü".repeat(40)));
        assert_eq!(excerpt(&"ü".repeat(40)), "ü".repeat(40));
        assert_eq!(excerpt("a\u{1b}[31m\u{0}"), "a\\u{1b}[31m\\u{0}");
    }
}
