//! Reads `.arff` files of Weka and of the UEA archive.
//!
//! A file of plain attributes is a table with a header. In a multivariate file, one attribute holds
//! all series of a sample, in quotes, with `\n` between variates.

mod relational;

use std::io::{BufRead, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::relational::Relational;
use super::ReadError;
use super::lines::Lines;
use super::options::{HeaderRow, Labels, ReadOptions};
use super::sample::Source;
use super::source::Opened;
use super::table::{self, Asked, Rows};
use super::text::decode;

/// What a header says.
#[derive(Debug, Default)]
struct Header {
    relation: String,
    attributes: Vec<Attribute>,
    /// Line of `@data`.
    line: u64,
}

#[derive(Debug)]
struct Attribute {
    name: String,
    /// Values of a nominal one.
    classes: Option<Vec<String>>,
    /// Whether it holds numbers.
    numeric: bool,
    /// Whether it holds a table of its own.
    relational: bool,
}

/// Reads an `.arff` file.
pub(super) fn read<'a>(
    opened: Opened<'a>,
    asked: Asked<'_>,
) -> Result<Box<dyn Source + 'a>, ReadError> {
    let file = opened.file;
    let mut reader = opened.reader;
    let mut bytes = Vec::new();
    reader
        .read_to_end(&mut bytes)
        .map_err(ReadError::io(&file))?;
    let text: Arc<str> = decode(&bytes).into();
    drop(bytes);
    let mut lines = Lines::new(Cursor::new(text.as_bytes()), &file, b'%');
    let header = Header::read(&mut lines)?;
    if header
        .attributes
        .iter()
        .any(|attribute| attribute.relational)
    {
        return Relational::open(text.clone(), &file, header, asked.options);
    }
    let nominal = header
        .attributes
        .iter()
        .rfind(|attribute| attribute.classes.is_some());
    let mut options = ReadOptions {
        header: HeaderRow::Present,
        ..asked.options.clone()
    };
    let labeled = options.labels != Labels::Absent && asked.known.is_none();
    if let (None, Some(class)) = (&options.label_column, nominal)
        && (labeled || options.labels == Labels::Required)
    {
        options.label_column = Some(class.name.clone());
    }
    if options.value_columns.is_empty() {
        let numbers = header
            .attributes
            .iter()
            .filter(|attribute| attribute.numeric);
        options.value_columns = numbers.map(|attribute| attribute.name.clone()).collect();
    }
    let label = options.label_column.as_ref();
    let of_label = header
        .attributes
        .iter()
        .find(|attribute| Some(&attribute.name) == label);
    let classes = of_label.and_then(|attribute| attribute.classes.clone());
    let rows = || ArffRows::new(text.clone(), &file, &header);
    let asked = Asked {
        options: &options,
        known: asked.known,
    };
    let mut source = table::read_rows(rows(), rows(), asked)?;
    if !header.relation.is_empty() {
        source.facts().name.clone_from(&header.relation);
    }
    source.facts().classes = classes.filter(|_| source.facts().label.is_some());
    Ok(source)
}

impl Header {
    fn read<R: BufRead>(lines: &mut Lines<R>) -> Result<Self, ReadError> {
        let mut header = Self::default();
        // Attributes within a relational one are its variates or steps, which rows tell.
        let mut inner = false;
        while lines.advance()? {
            let line = lines.text().into_owned();
            let (key, rest) = line
                .trim()
                .split_once(char::is_whitespace)
                .unwrap_or((line.trim(), ""));
            let rest = rest.trim();
            match key.to_lowercase().as_str() {
                "@relation" => header.relation = quoted_word(rest).0,
                "@end" => inner = false,
                "@attribute" if inner => {}
                "@attribute" => {
                    let attribute = Attribute::parse(rest);
                    let expected =
                        "`@attribute NAME TYPE`, of numbers, classes, text or relational";
                    let attribute = attribute.ok_or_else(|| lines.unexpected(expected))?;
                    inner = attribute.relational;
                    header.attributes.push(attribute);
                }
                "@data" if header.attributes.is_empty() => {
                    return Err(lines.unexpected("`@attribute` lines before it"));
                }
                "@data" => {
                    header.line = lines.number;
                    return Ok(header);
                }
                _ => return Err(lines.unexpected("`@relation`, `@attribute` or `@data`")),
            }
        }
        Err(lines
            .place()
            .found("the end of the file", "a line `@data` and rows below it"))
    }
}

impl Attribute {
    fn parse(text: &str) -> Option<Self> {
        let (name, kind) = quoted_word(text);
        let lower = kind.to_lowercase();
        let listed = kind
            .strip_prefix('{')
            .and_then(|kind| kind.strip_suffix('}'));
        let classes = match listed {
            Some(listed) => Some(
                split(listed)
                    .ok()?
                    .into_iter()
                    .map(|cell| cell.text)
                    .collect(),
            ),
            None => None,
        };
        let word = lower.split_whitespace().next().unwrap_or_default();
        let numeric = ["numeric", "real", "integer"].contains(&word);
        let plain = numeric || ["string", "date"].contains(&word);
        let relational = word == "relational";
        let known = plain || relational || classes.is_some();
        known.then_some(Self {
            name,
            classes,
            numeric,
            relational,
        })
    }
}

/// The first word, which quotes may hold together, and the rest.
fn quoted_word(text: &str) -> (String, &str) {
    for quote in ['\'', '"'] {
        if let Some((word, rest)) = text.strip_prefix(quote).and_then(|t| t.split_once(quote)) {
            return (word.to_owned(), rest.trim());
        }
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (text[..end].to_owned(), text[end..].trim())
}

/// A cell, and whether quotes were around it.
struct Cell {
    text: String,
}

/// The cells of a row; quotes hold commas, a backslash stands before a quote. `\n` stays as it is.
fn split(row: &str) -> Result<Vec<Cell>, &'static str> {
    let mut cells = Vec::new();
    let mut rest = row.trim_start();
    loop {
        let quote = rest
            .chars()
            .next()
            .filter(|first| matches!(first, '\'' | '"'));
        let (text, after) = match quote {
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
            Some(quote) => {
                let mut text = String::new();
                let mut letters = rest.char_indices().skip(1);
                let end = loop {
                    match letters.next() {
                        None => return Err("a quote that is never closed"),
                        Some((at, letter)) if letter == quote => break at,
                        Some((_, '\\')) => match letters.next() {
                            Some((_, escaped @ ('\'' | '"' | '\\'))) => text.push(escaped),
                            Some((_, 'n')) => text.push('\n'),
                            Some((_, other)) => text.extend(['\\', other]),
                            None => return Err("a quote that is never closed"),
                        },
                        Some((_, letter)) => text.push(letter),
                    }
                };
                (text, rest[end + 1..].trim_start())
            }
        };
        cells.push(Cell { text });
        match after.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if after.is_empty() => return Ok(cells),
            None => return Err("text behind a quote"),
        }
    }
}

/// The rows of a file of plain attributes; their names are the first one.
struct ArffRows {
    lines: Lines<Cursor<Bytes>>,
    file: PathBuf,
    cells: Vec<String>,
    names: Vec<String>,
    started: bool,
}

/// Text that several readers share.
struct Bytes(Arc<str>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// The lines below `@data`.
fn data_lines(text: Arc<str>, file: &Path, header: &Header) -> Lines<Cursor<Bytes>> {
    let mut lines = Lines::new(Cursor::new(Bytes(text)), file, b'%');
    // These lines have been read before.
    while lines.number < header.line && lines.advance().is_ok_and(|more| more) {}
    lines
}

impl ArffRows {
    fn new(text: Arc<str>, file: &Path, header: &Header) -> Self {
        Self {
            lines: data_lines(text, file, header),
            file: file.to_owned(),
            cells: Vec::new(),
            names: header
                .attributes
                .iter()
                .map(|attribute| attribute.name.clone())
                .collect(),
            started: false,
        }
    }
}

impl Rows for ArffRows {
    fn advance(&mut self) -> Result<bool, ReadError> {
        if !std::mem::replace(&mut self.started, true) {
            self.cells.clone_from(&self.names);
            return Ok(true);
        }
        if !self.lines.advance()? {
            return Ok(false);
        }
        let text = self.lines.text();
        if text.starts_with('{') {
            return Err(self
                .lines
                .unexpected("a row with all values, not a sparse one"));
        }
        let cells = split(&text);
        let place = self.lines.place();
        let cells = cells.map_err(|found| place.found(found, "cells separated by commas"))?;
        self.cells = cells.into_iter().map(|cell| cell.text).collect();
        Ok(true)
    }

    fn line(&self) -> u64 {
        self.lines.number
    }

    fn n_cells(&self) -> usize {
        self.cells.len()
    }

    fn cell(&self, column: usize) -> &str {
        self.cells.get(column).map_or("", String::as_str)
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn n_comments(&self) -> usize {
        0
    }
}
