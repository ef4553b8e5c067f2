//! How a table of text is written: what separates columns and lines, and which decimal mark.

use crate::data::read::options::ReadOptions;
use crate::data::read::text::decode;

/// What may separate columns; the first of those that fit is taken.
const DELIMITERS: &[u8] = b"\t;|, ";
/// Lines that are looked at.
const SAMPLE_LINES: usize = 100;
/// Share of lines that must have the same number of a delimiter.
const REGULAR: f64 = 0.9;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// A blank stands for any number of blanks.
    pub(crate) delimiter: u8,
    pub(crate) decimal_comma: bool,
    pub(crate) line_end: u8,
}

impl Dialect {
    /// The dialect of a table that begins with `head`.
    pub(crate) fn detect(head: &[u8], head_is_all: bool, options: &ReadOptions) -> Self {
        let line_end = match memchr::memchr(b'\n', head) {
            None if memchr::memchr(b'\r', head).is_some() => b'\r',
            _ => b'\n',
        };
        let lines = sample_lines(head, line_end, head_is_all);
        let delimiter = options.delimiter.and_then(|mark| u8::try_from(mark).ok());
        let delimiter = delimiter.unwrap_or_else(|| detect_delimiter(&lines));
        let decimal_comma = options
            .decimal_comma
            .unwrap_or_else(|| delimiter != b',' && has_decimal_commas(&lines, delimiter));
        Self {
            delimiter,
            decimal_comma,
            line_end,
        }
    }

    /// The delimiter in words.
    pub(crate) fn delimiter_name(self) -> &'static str {
        match self.delimiter {
            b',' => "commas",
            b';' => "semicolons",
            b'\t' => "tabs",
            b'|' => "bars",
            b' ' => "blanks",
            _ => "another character",
        }
    }
}

/// The first lines that are neither blank nor comments.
fn sample_lines(head: &[u8], line_end: u8, head_is_all: bool) -> Vec<&[u8]> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut lines: Vec<&[u8]> = text.split(|&byte| byte == line_end).collect();
    if !head_is_all && lines.len() > 1 {
        lines.pop();
    }
    let is_row = |line: &&[u8]| {
        let line = line.trim_ascii();
        !line.is_empty() && !line.starts_with(b"%") && !line.starts_with(b"#")
    };
    lines
        .into_iter()
        .filter(is_row)
        .take(SAMPLE_LINES)
        .collect()
}

fn detect_delimiter(lines: &[&[u8]]) -> u8 {
    let mut best = (b',', 0.0);
    for &delimiter in DELIMITERS {
        let counts: Vec<usize> = lines.iter().map(|line| count(line, delimiter)).collect();
        let alike = |&n: &usize| counts.iter().filter(|&&other| other == n).count();
        let Some(usual) = counts.iter().copied().filter(|&n| n > 0).max_by_key(alike) else {
            continue;
        };
        let share = alike(&usual) as f64 / lines.len() as f64;
        if share >= REGULAR {
            return delimiter;
        }
        // An irregular table has damaged rows, which are named when they are read.
        if share > best.1 {
            best = (delimiter, share);
        }
    }
    best.0
}

/// How often a delimiter stands outside of quotes.
fn count(line: &[u8], delimiter: u8) -> usize {
    let mut quoted = false;
    let mut n = 0;
    let mut before = b' ';
    for &byte in line.trim_ascii_end() {
        quoted ^= byte == b'"';
        let is_blank = byte == b' ' || byte == b'\t';
        n += usize::from(
            !quoted
                && match delimiter {
                    b' ' => is_blank && before != b' ',
                    _ => byte == delimiter,
                },
        );
        before = if is_blank { b' ' } else { byte };
    }
    n
}

/// Whether numbers have a comma and none has a point.
fn has_decimal_commas(lines: &[&[u8]], delimiter: u8) -> bool {
    let mut found = false;
    for line in lines {
        for cell in line.split(|&byte| byte == delimiter) {
            let cell = decode(cell.trim_ascii());
            let cell = cell.trim_matches('"').trim_start_matches(['-', '+']);
            let number = |mark: char| {
                let parts = cell.split_once(mark);
                parts.is_some_and(|(whole, part)| {
                    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
                    digits(whole)
                        && !part.is_empty()
                        && part.split(['e', 'E']).next().is_some_and(digits)
                })
            };
            if number('.') {
                return false;
            }
            found |= number(',');
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(text: &str) -> (char, bool) {
        let dialect = Dialect::detect(text.as_bytes(), true, &ReadOptions::default());
        (char::from(dialect.delimiter), dialect.decimal_comma)
    }

    #[test]
    fn the_delimiter_that_every_line_has_alike_is_taken() {
        assert_eq!(detect("a,b,c\n1,2,x y\n3,4,z\n"), (',', false));
        assert_eq!(detect("a;b;c\n1,5;2,5;x\n3,0;4,1;y\n"), (';', true));
        assert_eq!(detect("1.5\t2.5\tx, y\n1.5\t2.5\tz\n"), ('\t', false));
        assert_eq!(detect("1|2|a\n3|4|b\n"), ('|', false));
        assert_eq!(detect("  1.0  2.0   1\n 3.0 4.0 2\n"), (' ', false));
        assert_eq!(detect("a, b, c\n1, 2, x\n"), (',', false));
        assert_eq!(detect("# a;b;c\n\"a;b\",2\n\"c\",4\n"), (',', false));
        assert_eq!(detect("id\tx\n1\t1,5\n2\t2,25\n"), ('\t', true));
    }

    #[test]
    fn damaged_lines_do_not_hide_the_delimiter() {
        assert_eq!(detect("a,b,c\n1,2,x\n1,2\n1,2,3,4\n5,6,y\n"), (',', false));
    }

    #[test]
    fn lines_may_end_as_on_any_system() {
        let end = |text: &[u8]| Dialect::detect(text, true, &ReadOptions::default()).line_end;
        assert_eq!(end(b"1,2\r3,4\r"), b'\r');
        assert_eq!(end(b"1,2\r\n3,4\r\n"), b'\n');
    }

    #[test]
    fn what_is_said_is_not_detected() {
        let options = ReadOptions {
            delimiter: Some(','),
            decimal_comma: Some(false),
            ..ReadOptions::default()
        };
        let dialect = Dialect::detect(b"1,5;2,5\n1,5;2,5\n", true, &options);
        assert_eq!((dialect.delimiter, dialect.decimal_comma), (b',', false));
    }
}
