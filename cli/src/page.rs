//! What the command adds to the page of a run: date, command, time and memory.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use timesclip::page::ReportPage;
use timesclip::report::PageSources;

use crate::memory::peak_memory_bytes;

/// The page of what is known, made by this command now. Stages are names and their seconds.
pub(crate) fn page(sources: &PageSources<'_>, stages: &[(&str, f64)]) -> Result<ReportPage> {
    let mut page = sources.page()?;
    stamp(&mut page, stages);
    Ok(page)
}

/// Adds what this command knows now: the date, itself, its stages, its memory.
pub(crate) fn stamp(page: &mut ReportPage, stages: &[(&str, f64)]) {
    page.created = Some(now());
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    page.provenance.command = Some(command_line(words));
    let stages = stages
        .iter()
        .map(|(name, seconds)| ((*name).to_owned(), *seconds));
    page.cost.stages = stages.collect();
    page.cost.peak_memory_bytes = peak_memory_bytes();
}

/// Words as a shell takes them for these words.
pub(crate) fn command_line(words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().map(quoted).collect();
    words.join(" ")
}

/// A word as a shell takes it for one.
fn quoted(word: String) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Date and time: `2026-02-28 17:05 UTC`.
fn now() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
    let minutes = seconds.map_or(0, |time| time.as_secs()) / 60;
    let [year, month, day] = date(minutes / 1440);
    let (hour, minute) = (minutes / 60 % 24, minutes % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Year, month and day of the Gregorian calendar, from the days since 1970.
fn date(days: u64) -> [u64; 3] {
    // Years begin in March here, so that the leap day is their last; eras are of 400 years.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (year, day) = (era * 400 + year, day - (153 * month + 2) / 5 + 1);
    match month {
        ..10 => [year, month + 3, day],
        _ => [year + 1, month - 9, day],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // By `date -u -d @SECONDS`.
        assert_eq!(date(0), [1970, 1, 1]);
        assert_eq!(date(11_016), [2000, 2, 29]);
        assert_eq!(date(11_017), [2000, 3, 1]);
        assert_eq!(date(20_818), [2026, 12, 31]);
    }

    #[test]
    fn words_with_blanks_are_quoted() {
        let words = ["timesclip", "my data.csv", "it's"].map(str::to_owned);
        assert_eq!(command_line(words), r"timesclip 'my data.csv' 'it'\''s'");
    }
}
