//! The lines of a text that are neither blank nor comments, and where they are.

use std::borrow::Cow;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::text::decode;
use super::{Place, ReadError};

/// The lines of a file, one at a time.
pub(super) struct Lines<R> {
    reader: R,
    file: PathBuf,
    /// What comments begin with.
    comment: u8,
    /// Number of the line at hand, from 1.
    pub(super) number: u64,
    /// The line at hand, with its end.
    bytes: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, file: &Path, comment: u8) -> Self {
        Self {
            reader,
            file: file.to_owned(),
            comment,
            number: 0,
            bytes: Vec::new(),
        }
    }

    /// Goes to the next line; false at the end of the file.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            self.bytes.clear();
            let read = self.reader.read_until(b'\n', &mut self.bytes);
            if read.map_err(ReadError::io(&self.file))? == 0 {
                return Ok(false);
            }
            self.number += 1;
            if self.number == 1 && self.bytes.starts_with(b"\xef\xbb\xbf") {
                self.bytes.drain(..3);
            }
            let line = self.bytes.trim_ascii();
            if !line.is_empty() && line[0] != self.comment {
                return Ok(true);
            }
        }
    }

    /// The line at hand, trimmed.
    pub(super) fn text(&self) -> Cow<'_, str> {
        decode(self.bytes.trim_ascii())
    }

    /// The line at hand, for messages.
    pub(super) fn place(&self) -> Place {
        Place::line(&self.file, self.number)
    }

    /// What is wrong with the line at hand.
    pub(super) fn unexpected(&self, expected: &str) -> ReadError {
        self.place().found_text(&self.text(), expected)
    }
}

/// The words of a line; quotes keep blanks within a word.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let quoted = matches!(first, '"' | '\'')
            .then(|| rest[1..].find(first))
            .flatten();
        let (word, after) = match quoted {
            Some(end) => (&rest[1..=end], &rest[end + 2..]),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_within_a_word() {
        assert_eq!(
            words("a \"b c\"  'd e' f's \"g"),
            ["a", "b c", "d e", "f's", "\"g"]
        );
        assert!(words("  ").is_empty());
    }

    #[test]
    fn lines_are_counted_and_comments_passed_over() {
        let text = "\u{feff}# one\r\n\r\n a \n#\nb";
        let mut lines = Lines::new(text.as_bytes(), Path::new("t"), b'#');
        let mut found = Vec::new();
        while lines.advance().unwrap() {
            found.push((lines.number, lines.text().into_owned()));
        }
        assert_eq!(found, [(3, "a".to_owned()), (5, "b".to_owned())]);
    }
}
