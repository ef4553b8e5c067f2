//! The rows of a table of text, and the lines in which they stand.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::dialect::Dialect;
use crate::data::read::text::{decode, excerpt};
use crate::data::read::{Place, ReadError};

/// Most lines of one row: a quote that stays open longer is taken for one that was forgotten.
const MOST_LINES: usize = 100;

/// The rows of a table, one at a time.
pub(crate) trait Rows {
    /// Goes to the next row; false at the end.
    fn advance(&mut self) -> Result<bool, ReadError>;
    /// Line in which the row at hand begins, from 1.
    fn line(&self) -> u64;
    /// Number of cells of the row at hand.
    fn n_cells(&self) -> usize;
    /// One of its cells, trimmed; empty behind the last one.
    fn cell(&self, column: usize) -> &str;
    /// The file, for messages.
    fn file(&self) -> &Path;
    /// Lines passed over so far because they are comments.
    fn n_comments(&self) -> usize;
}

/// Rows of text.
pub(crate) struct TextRows<R> {
    reader: R,
    file: PathBuf,
    dialect: Dialect,
    /// Lines that were read for a row and turned out not to be of it.
    pending: Vec<u8>,
    /// Lines read so far.
    n_lines: u64,
    /// Line in which the row at hand begins.
    line: u64,
    /// The row at hand.
    text: String,
    /// Its cells, as ranges of the text.
    cells: Vec<(usize, usize)>,
    n_comments: usize,
    /// Cells of the first row.
    n_cells: Option<usize>,
}

impl<R: BufRead> TextRows<R> {
    pub(crate) fn new(reader: R, file: &Path, dialect: Dialect) -> Self {
        Self {
            reader,
            file: file.to_owned(),
            dialect,
            pending: Vec::new(),
            n_lines: 0,
            line: 0,
            text: String::new(),
            cells: Vec::new(),
            n_comments: 0,
            n_cells: None,
        }
    }

    /// Appends the next line, with its end; false at the end of the file.
    fn read_line(&mut self, bytes: &mut Vec<u8>) -> Result<bool, ReadError> {
        let end = self.dialect.line_end;
        let n_read = if self.pending.is_empty() {
            self.reader
                .read_until(end, bytes)
                .map_err(ReadError::io(&self.file))?
        } else {
            let found = memchr::memchr(end, &self.pending);
            let size = found.map_or(self.pending.len(), |at| at + 1);
            bytes.extend(self.pending.drain(..size));
            size
        };
        self.n_lines += u64::from(n_read > 0);
        Ok(n_read > 0)
    }

    /// A line that begins with a mark, unless it is a row like those before it: `#1` may be an id.
    fn is_comment(&self, line: &[u8]) -> bool {
        let mark = line.first().is_some_and(|byte| b"#%".contains(byte));
        let delimiter = self.dialect.delimiter;
        let n_cells = memchr::memchr_iter(delimiter, line).count() + 1;
        let is_row = delimiter != b' ' && self.n_cells.is_some_and(|n| n > 1 && n == n_cells);
        mark && !is_row && line.get(1) != Some(&delimiter)
    }

    /// Splits a row that has quotes, reading on where a quoted cell has line breaks.
    fn split_quoted(&mut self, mut bytes: Vec<u8>) -> Result<(), ReadError> {
        let first_line = bytes.len();
        let mut n_lines = 1;
        loop {
            match unquoted(&decode(&bytes), self.dialect.delimiter) {
                Unquoted::Cells(text, cells) => {
                    (self.text, self.cells) = (text, cells);
                    return Ok(());
                }
                Unquoted::Stray(found) if n_lines == 1 => {
                    let place = Place::line(&self.file, self.line);
                    let expected = "quotes around the whole cell, and a quote inside written twice";
                    return Err(place.found_text(&found, expected));
                }
                Unquoted::Open if n_lines < MOST_LINES && self.read_line(&mut bytes)? => {
                    n_lines += 1;
                }
                Unquoted::Open | Unquoted::Stray(_) => break,
            }
        }
        // The other lines may be rows of their own.
        let others = bytes.split_off(first_line);
        self.n_lines = self.line;
        self.pending.splice(..0, others);
        let place = Place::line(&self.file, self.line);
        Err(place.found(
            "a quote that is never closed",
            "a second quote at the end of its cell",
        ))
    }

    /// Writes numbers with a point, where the table writes them with a comma.
    fn point_decimals(&mut self) {
        if !self.dialect.decimal_comma || !self.text.contains(',') {
            return;
        }
        let text = std::mem::take(&mut self.text);
        let mut pointed = String::with_capacity(text.len());
        let mut done = 0;
        for &(start, end) in &self.cells {
            let digits = |byte: u8| byte.is_ascii_digit() || b"+-eE,".contains(&byte);
            let cell = &text[start..end];
            if cell.bytes().all(digits) && cell.matches(',').count() == 1 {
                pointed.push_str(&text[done..start]);
                pointed.push_str(&cell.replace(',', "."));
                done = end;
            }
        }
        pointed.push_str(&text[done..]);
        self.text = pointed;
    }

    fn split_plain(&mut self) {
        let Self {
            text,
            cells,
            dialect,
            ..
        } = self;
        cells.clear();
        if dialect.delimiter == b' ' {
            let start = text.as_ptr().addr();
            cells.extend(text.split_ascii_whitespace().map(|word| {
                let at = word.as_ptr().addr() - start;
                (at, at + word.len())
            }));
            return;
        }
        let bytes = text.as_bytes();
        let mut start = 0;
        for at in memchr::memchr_iter(dialect.delimiter, bytes) {
            cells.push(trimmed(bytes, start, at));
            start = at + 1;
        }
        cells.push(trimmed(bytes, start, bytes.len()));
    }
}

impl<R: BufRead> Rows for TextRows<R> {
    fn advance(&mut self) -> Result<bool, ReadError> {
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        loop {
            bytes.clear();
            if !self.read_line(&mut bytes)? {
                return Ok(false);
            }
            if self.n_lines == 1 && bytes.starts_with(b"\xef\xbb\xbf") {
                bytes.drain(..3);
            }
            let line = bytes.trim_ascii();
            // A row of empty cells is a row where blanks do not separate.
            if line.is_empty() && !(self.dialect.delimiter == b'\t' && bytes.contains(&b'\t')) {
                continue;
            }
            if self.is_comment(line) {
                self.n_comments += 1;
                continue;
            }
            break;
        }
        self.line = self.n_lines;
        if memchr::memchr(b'"', &bytes).is_some() {
            self.split_quoted(bytes)?;
            self.point_decimals();
            self.n_cells.get_or_insert(self.cells.len());
            return Ok(true);
        }
        while bytes.last().is_some_and(|byte| b"\r\n".contains(byte)) {
            bytes.pop();
        }
        self.text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => decode(error.as_bytes()).into_owned(),
        };
        self.split_plain();
        self.point_decimals();
        self.n_cells.get_or_insert(self.cells.len());
        Ok(true)
    }

    fn line(&self) -> u64 {
        self.line
    }

    fn n_cells(&self) -> usize {
        self.cells.len()
    }

    fn cell(&self, column: usize) -> &str {
        self.cells
            .get(column)
            .map_or("", |&(start, end)| &self.text[start..end])
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn n_comments(&self) -> usize {
        self.n_comments
    }
}

/// A range without the blanks at its ends.
fn trimmed(bytes: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    while start < end && bytes[start].is_ascii_whitespace() {
        start += 1;
    }
    while start < end && bytes[end - 1].is_ascii_whitespace() {
        end -= 1;
    }
    (start, end)
}

/// What splitting a row with quotes comes to.
enum Unquoted {
    /// Text without quotes, and the cells as ranges of it.
    Cells(String, Vec<(usize, usize)>),
    /// The last cell begins with a quote that is not closed.
    Open,
    /// A quote that neither begins nor ends a cell, with what surrounds it.
    Stray(String),
}

fn unquoted(row: &str, delimiter: u8) -> Unquoted {
    let delimiter = char::from(delimiter);
    let row = row.trim_end_matches(['\r', '\n']);
    let mut text = String::with_capacity(row.len());
    let mut cells = Vec::new();
    let mut rest = row;
    loop {
        let start = text.len();
        let cell = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() && c != delimiter);
        let cell = if delimiter == ' ' {
            cell.trim_start()
        } else {
            cell
        };
        let after = if let Some(mut inner) = cell.strip_prefix('"') {
            loop {
                let Some(end) = inner.find('"') else {
                    return Unquoted::Open;
                };
                text.push_str(&inner[..end]);
                inner = &inner[end + 1..];
                match inner.strip_prefix('"') {
                    Some(more) => {
                        text.push('"');
                        inner = more;
                    }
                    None => break,
                }
            }
            cells.push((start, text.len()));
            let blank = |c: char| c.is_ascii_whitespace() && c != delimiter;
            let after = inner.trim_start_matches(blank);
            if !after.is_empty() && !after.starts_with(delimiter) {
                return Unquoted::Stray(excerpt(cell));
            }
            after
        } else {
            let end = cell.find(delimiter).unwrap_or(cell.len());
            let word = cell[..end].trim_ascii();
            if word.contains('"') {
                return Unquoted::Stray(word.to_owned());
            }
            text.push_str(word);
            cells.push((start, text.len()));
            &cell[end..]
        };
        match after.strip_prefix(delimiter) {
            Some(more) if delimiter == ' ' && more.trim().is_empty() => break,
            Some(more) => rest = more,
            None => break,
        }
    }
    Unquoted::Cells(text, cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows_of(text: &str, delimiter: u8) -> TextRows<&[u8]> {
        let dialect = Dialect {
            delimiter,
            decimal_comma: false,
            line_end: b'\n',
        };
        TextRows::new(text.as_bytes(), Path::new("t.csv"), dialect)
    }

    /// Lines and cells of all rows, and the messages of those that are refused.
    fn all(text: &str, delimiter: u8) -> Vec<(u64, Vec<String>)> {
        let mut rows = rows_of(text, delimiter);
        let mut found = Vec::new();
        loop {
            match rows.advance() {
                Ok(false) => return found,
                Ok(true) => {
                    let cells = (0..rows.n_cells())
                        .map(|i| rows.cell(i).to_owned())
                        .collect();
                    found.push((rows.line(), cells));
                }
                Err(error) => found.push((error.line().unwrap(), vec![error.to_string()])),
            }
        }
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|&cell| cell.to_owned()).collect())
    }

    #[test]
    fn cells_are_trimmed_and_lines_counted() {
        let found = all("\u{feff}1, 2 ,a\r\n\r\n# note\n3,,b\n", b',');
        assert_eq!(found, [row(1, &["1", "2", "a"]), row(4, &["3", "", "b"])]);
    }

    #[test]
    fn quotes_keep_delimiters_quotes_and_line_breaks() {
        let found = all("\"a,b\",\"say \"\"hi\"\"\",\"two\nlines\"\n1,2,3\n", b',');
        assert_eq!(
            found,
            [
                row(1, &["a,b", "say \"hi\"", "two\nlines"]),
                row(3, &["1", "2", "3"])
            ]
        );
    }

    #[test]
    fn a_forgotten_quote_costs_one_row() {
        let found = all("1,\"a\n2,b\n3,c\n", b',');
        let message = "`t.csv`, line 1: found a quote that is never closed, expected a second \
                       quote at the end of its cell";
        assert_eq!(
            found,
            [row(1, &[message]), row(2, &["2", "b"]), row(3, &["3", "c"])]
        );
    }

    #[test]
    fn a_quote_inside_a_cell_is_refused() {
        for text in ["1,a\"\n", "1,\"a\"b\n", "1,a\"b\"\n"] {
            let message = &all(text, b',')[0].1[0];
            assert!(message.starts_with("`t.csv`, line 1: found `"), "{message}");
            assert!(
                message.contains("expected quotes around the whole cell"),
                "{message}"
            );
        }
    }

    #[test]
    fn any_number_of_blanks_separates() {
        assert_eq!(
            all("  1.0   2.0\t a \n", b' '),
            [row(1, &["1.0", "2.0", "a"])]
        );
        assert_eq!(all(" 1  \"a b\" 2 \n", b' '), [row(1, &["1", "a b", "2"])]);
    }

    #[test]
    fn empty_cells_at_the_ends_are_cells() {
        assert_eq!(all(",1,\n", b','), [row(1, &["", "1", ""])]);
        assert_eq!(all("\t\t\n", b'\t'), [row(1, &["", "", ""])]);
        assert_eq!(all("\"\",\"\"\n", b','), [row(1, &["", ""])]);
    }
}
