//! From the bytes of a data file to words, numbers and times.

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::path::Path;

/// Spellings of a missing value: those of pandas, and the archive's `?`.
const MISSING: &[&str] = &[
    "", "?", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null", "NaT", "na", "NAN", "none",
];

/// Spellings that may also be the name of a class: nothing to do, Namibia.
const MAY_BE_NAMES: &[&str] = &["NA", "na", "N/A", "n/a", "None", "none"];

/// No clock on Earth is further from UTC.
const MOST_HOURS_EAST: u32 = 14;

/// Most characters of a file's text that a message repeats.
const EXCERPT_LEN: usize = 40;

/// Which words stand for a missing value.
#[derive(Clone, Debug, Default)]
pub(crate) struct Missing {
    /// Spellings besides the usual ones.
    more: Vec<String>,
    /// The numbers among them.
    codes: Vec<f64>,
}

impl Missing {
    pub(crate) fn new(more: &[String]) -> Self {
        Self {
            more: more.to_vec(),
            codes: more.iter().filter_map(|word| finite(word)).collect(),
        }
    }

    /// Whether a word says that a value is missing.
    pub(crate) fn is(&self, word: &str) -> bool {
        MISSING.contains(&word) || self.is_own(word)
    }

    /// Whether a word is one of the spellings besides the usual ones, or the number of one.
    fn is_own(&self, word: &str) -> bool {
        let is_code = || finite(word).is_some_and(|number| self.codes.contains(&number));
        self.more.iter().any(|more| more == word) || (!self.codes.is_empty() && is_code())
    }

    /// Whether a word says that a label is missing, and cannot be the name of a class.
    pub(crate) fn is_label(&self, word: &str) -> bool {
        self.is(word) && (!MAY_BE_NAMES.contains(&word) || self.is_own(word))
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
            Some(_) if self.is_own(word) => Some(f32::NAN),
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
    finite(word).is_some()
}

/// The value of a word that is a finite number.
fn finite(word: &str) -> Option<f64> {
    if !starts_like_number(word) {
        return None;
    }
    word.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A number, or the seconds of an ISO 8601 date from 1970 on; `None` for anything else.
pub(crate) fn parse_time(word: &str) -> Option<f64> {
    if let Some(number) = finite(word) {
        return Some(number);
    }
    let (date, seconds) = match word.split_once(['T', ' ']) {
        Some((date, time)) => (date, seconds_of_day(time.trim())?),
        None => (word, 0.0),
    };
    let separator = if date.contains('/') { '/' } else { '-' };
    let mut parts = date.split(separator);
    // A year of four digits comes first: in `1/2/24` nothing tells the day from the month.
    let year = whole(parts.next()?, 4..=4).filter(|year| *year > 0)?;
    let month = whole(parts.next()?, 1..=2).filter(|month| (1..=12).contains(month))?;
    let day = whole(parts.next()?, 1..=2)?;
    if parts.next().is_some() || !(1..=days_of_month(year, month)).contains(&day) {
        return None;
    }
    let days = days_from_civil(i64::from(year), i64::from(month), i64::from(day));
    #[expect(clippy::cast_precision_loss, reason = "four digits of a year")]
    let days = days as f64;
    Some(days * 86_400.0 + seconds)
}

/// A number of so many digits, and nothing else.
fn whole(text: &str, n_digits: RangeInclusive<usize>) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if digits && n_digits.contains(&text.len()) {
        text.parse().ok()
    } else {
        None
    }
}

fn days_of_month(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Seconds of `hh:mm[:ss[.f]]` with an offset from UTC, or none.
fn seconds_of_day(time: &str) -> Option<f64> {
    let (clock, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (time[..at].trim_end(), &time[at..]),
        None => (time, ""),
    };
    let mut parts = clock.split(':');
    let hours = whole(parts.next()?, 1..=2).filter(|hours| *hours < 24)?;
    let minutes = whole(parts.next()?, 1..=2).filter(|minutes| *minutes < 60)?;
    let seconds = match parts.next() {
        Some(text) => seconds_of_minute(text)?,
        None => 0.0,
    };
    if parts.next().is_some() {
        return None;
    }
    Some(f64::from(hours * 3600 + minutes * 60) + seconds - seconds_east(offset)?)
}

/// Seconds of `ss[.f]`, up to 60 as leap seconds have it.
fn seconds_of_minute(text: &str) -> Option<f64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = whole(seconds, 1..=2).filter(|seconds| *seconds <= 60);
    if seconds.is_some() && fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

/// Seconds of `Z`, `+hh`, `+hhmm` or `+hh:mm`; 0 of nothing.
fn seconds_east(offset: &str) -> Option<f64> {
    if matches!(offset, "" | "Z" | "z") {
        return Some(0.0);
    }
    let distance = offset.strip_prefix(['+', '-'])?;
    let (hours, minutes) = match distance.split_once(':') {
        Some(parts) => parts,
        None if distance.len() == 2 => (distance, "00"),
        None => distance.split_at_checked(2)?,
    };
    let hours = whole(hours, 2..=2).filter(|hours| *hours <= MOST_HOURS_EAST)?;
    let minutes = whole(minutes, 2..=2).filter(|minutes| *minutes < 60)?;
    let seconds = f64::from(hours * 3600 + minutes * 60);
    Some(if offset.starts_with('-') {
        -seconds
    } else {
        seconds
    })
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
    fn a_number_that_stands_for_missing_may_be_spelled_in_other_ways() {
        for code in ["-999", "-999.0", "-9.99e2"] {
            let missing = Missing::new(&[code.to_owned()]);
            for word in ["-999", "-999.0", "-999.", "-9.99e2", "-0999"] {
                let value = missing.value(word);
                assert!(value.is_some_and(f32::is_nan), "{code}: {word}");
                assert!(missing.is(word) && missing.is_label(word), "{code}: {word}");
            }
            assert_eq!(missing.value("-999.5"), Some(-999.5));
            assert!(!missing.is("-99") && !missing.is("x"));
        }
        // Exact beyond the digits of a 32-bit number.
        let missing = Missing::new(&["16777217".to_owned()]);
        assert_eq!(missing.value("16777216"), Some(16_777_216.0));
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
            ("2024-02-29T12:30:15+0200", 1_709_202_615.0),
            ("2024-02-29 12:30:15 -02", 1_709_217_015.0),
            ("1969/12/31", -86_400.0),
            ("2000-02-29", 951_782_400.0),
            ("2016-12-31T23:59:60Z", 1_483_228_800.0),
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
            "28/01/24",
            "1/2/24",
            "24-01-28",
            "12024-01-28",
            "0000-01-01",
            "2024-02-30",
            "2023-02-29",
            "1900-02-29",
            "2024-04-31",
            "2024-00-10",
            "2024-01-00",
            "2024-+1-10",
            "2024-01-01T",
            "2024-01-01T24:00",
            "2024-01-01T12:60",
            "2024-01-01T12:00:61",
            "2024-01-01T12",
            "2024-01-01T12:00:00:00",
            "2024-01-01T12.5:00",
            "2024-01-01T12:00+15:00",
            "2024-01-01T12:00+02:60",
            "2024-01-01T12:00+2",
            "2024-01-01T12:00+",
            "2024-01-01T12:00Z1",
            "2024-01-01T12:00++02",
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
