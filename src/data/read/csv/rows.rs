//! The rows of a CSV table, and the lines in which they stand.

use std::borrow::Cow;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use crate::data::ReadError;
use crate::data::read::text::decode;

/// The rows of a table, one at a time, and where they are.
pub(super) struct Rows<'a, R> {
    reader: Reader<CountedLines<R>>,
    pub(super) file: &'a Path,
    /// The row at hand.
    record: ByteRecord,
}

impl<'a, R: Read> Rows<'a, R> {
    pub(super) fn new(reader: R, file: &'a Path, delimiter: u8) -> Self {
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(CountedLines::new(reader));
        Self {
            reader,
            file,
            record: ByteRecord::new(),
        }
    }

    /// Goes to the next row that is not blank; false at the end of the table.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            let is_row = self
                .reader
                .read_byte_record(&mut self.record)
                .map_err(|error| ReadError::io(self.file)(error.into()))?;
            let is_blank = self.record.len() == 1 && self.record[0].trim_ascii().is_empty();
            if !(is_row && is_blank) {
                return Ok(is_row);
            }
        }
    }

    /// Line in which the row at hand begins, from 1.
    pub(super) fn line(&self) -> u64 {
        let breaks_within = self
            .record
            .as_slice()
            .iter()
            .filter(|&&byte| byte == b'\n')
            .count();
        self.reader.get_ref().n_lines - breaks_within as u64
    }

    /// Number of cells of the row at hand.
    pub(super) fn n_cells(&self) -> usize {
        self.record.len()
    }

    /// One cell of the row at hand, trimmed.
    pub(super) fn cell(&self, column: usize) -> Option<Cow<'_, str>> {
        self.record
            .get(column)
            .map(|cell| decode(cell.trim_ascii()))
    }

    /// The cells of the row at hand, trimmed.
    pub(super) fn cells(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.record.iter().map(|cell| decode(cell.trim_ascii()))
    }
}

/// Hands bytes on by at most one line at a time, so that it is known in which line a row ends.
///
/// The line of the CSV reader itself is that of the end of the row before, which is another one
/// after blank lines and after `\r\n`.
struct CountedLines<R> {
    inner: BufReader<R>,
    n_lines: u64,
    at_line_start: bool,
}

impl<R: Read> CountedLines<R> {
    fn new(inner: R) -> Self {
        Self {
            inner: BufReader::new(inner),
            n_lines: 0,
            at_line_start: true,
        }
    }
}

impl<R: Read> Read for CountedLines<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let available = self.inner.fill_buf()?;
        let line_end = available
            .iter()
            .position(|&byte| byte == b'\n')
            .map(|index| index + 1);
        let n_bytes = line_end.unwrap_or(available.len()).min(bytes.len());
        bytes[..n_bytes].copy_from_slice(&available[..n_bytes]);
        self.inner.consume(n_bytes);
        // At the end of the file this counts the empty line after the last break.
        self.n_lines += u64::from(self.at_line_start);
        self.at_line_start = bytes[..n_bytes].last() == Some(&b'\n');
        Ok(n_bytes)
    }
}
