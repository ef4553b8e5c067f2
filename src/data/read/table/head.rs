//! The first rows of a table: whether there is a header, and what the columns hold.

use std::collections::BTreeSet;

use super::rows::Rows;
use crate::data::read::options::{HeaderRow, ReadOptions};
use crate::data::read::text::{Missing, is_number, visible};
use crate::data::read::{Place, ReadError};

/// Rows that are looked at.
const SAMPLE_ROWS: usize = 100;
/// Numbers in a row that counts from 0 or 1 and so is a header; fewer may be a sample.
const COUNTED: usize = 4;

/// Names that columns of labels usually have.
pub(super) const LABEL_NAMES: &[&str] = &[
    "label",
    "labels",
    "class",
    "classes",
    "target",
    "class_label",
    "classlabel",
    "category",
];
/// Names that columns of ids usually have.
pub(super) const ID_NAMES: &[&str] = &[
    "id",
    "ids",
    "case_id",
    "sample_id",
    "series_id",
    "sample",
    "uid",
    "uuid",
    "index",
];
/// Names that columns of times usually have.
pub(super) const TIME_NAMES: &[&str] = &[
    "time",
    "timestamp",
    "t",
    "step",
    "date",
    "datetime",
    "time_step",
    "timestep",
    "reading_id",
    "time_id",
    "timepoint",
    "timepoints",
];
/// Names that columns of variate names usually have.
pub(super) const VARIATE_NAMES: &[&str] = &[
    "variate",
    "variable",
    "dim",
    "dim_id",
    "dimension",
    "channel",
    "kind",
    "feature",
    "var",
];

/// The start of a table.
pub(super) struct Head {
    /// The header, if there is one.
    pub(super) names: Option<Vec<String>>,
    /// The rows below it.
    pub(super) rows: Vec<Vec<String>>,
    pub(super) n_columns: usize,
    /// Line of the first row.
    pub(super) line: u64,
    /// Whether the header was told by counting numbers.
    pub(super) counted: bool,
}

/// What a column holds in the first rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) numbers: usize,
    pub(super) texts: usize,
    /// Whether all numbers are whole.
    pub(super) whole: bool,
    pub(super) distinct: usize,
    pub(super) filled: usize,
}

impl Kind {
    /// Whether the column holds text, and hardly a number.
    pub(super) fn is_text(&self) -> bool {
        self.texts > self.numbers
    }

    /// Whether the values repeat as those of labels do.
    pub(super) fn repeats(&self) -> bool {
        self.distinct >= 1 && self.distinct * 2 <= self.filled
    }
}

impl Head {
    /// Reads the first rows; rows that are refused are left to the reader.
    pub(super) fn read(
        rows: &mut impl Rows,
        options: &ReadOptions,
        missing: &Missing,
    ) -> Result<Self, ReadError> {
        let mut found = Vec::new();
        let mut line = 0;
        let mut refused = None;
        while found.len() <= SAMPLE_ROWS {
            match rows.advance() {
                Ok(false) => break,
                // A header that cannot be read would make one of the first sample.
                Err(error) if found.is_empty() => return Err(error),
                Err(error) => {
                    refused.get_or_insert(error);
                    continue;
                }
                Ok(true) => {}
            }
            if found.is_empty() {
                line = rows.line();
            }
            let cells = (0..rows.n_cells()).map(|column| rows.cell(column).to_owned());
            found.push(cells.collect::<Vec<String>>());
        }
        if found.is_empty() {
            return Err(Place::file(rows.file()).found("only comments", "a row for each sample"));
        }
        let first = found.remove(0);
        let mut head = Self {
            n_columns: first.len(),
            names: None,
            rows: found,
            line,
            counted: false,
        };
        if head.is_header(&first, options, missing) {
            head.names = Some(first);
        } else {
            head.rows.insert(0, first);
        }
        if let (true, Some(error)) = (head.rows.is_empty(), refused) {
            return Err(error);
        }
        if head.rows.is_empty() {
            let place = Place::line(rows.file(), line);
            let hint = "--no-header reads the only row as a sample";
            return Err(place
                .found("a header and no rows", "a row for each sample")
                .hint(hint));
        }
        head.check_names(rows)?;
        Ok(head)
    }

    fn is_header(&mut self, first: &[String], options: &ReadOptions, missing: &Missing) -> bool {
        match options.header {
            HeaderRow::Present => return true,
            HeaderRow::Absent => return false,
            HeaderRow::Auto => {}
        }
        let named = [
            &options.label_column,
            &options.group_column,
            &options.weight_column,
        ];
        let named = named
            .into_iter()
            .chain([&options.time_column, &options.variate_column]);
        let mut named = named.flatten().chain(&options.id_columns);
        if named.any(|name| first.contains(name) && !is_number(name)) {
            return true;
        }
        let counted = self.counts(first);
        if counted {
            self.counted = true;
            return true;
        }
        let texts = first
            .iter()
            .filter(|cell| !is_number(cell) && !missing.is(cell))
            .count();
        let numbers = first.iter().filter(|cell| is_number(cell)).count();
        let above_numbers = |column: usize| {
            let kind = self.kind(column, missing);
            !is_number(&first[column]) && !missing.is(&first[column]) && kind.numbers > kind.texts
        };
        let above = (0..first.len()).any(above_numbers);
        if self.rows.is_empty() {
            return numbers == 0 && texts > 0;
        }
        above && texts > numbers
    }

    /// Whether a row holds the numbers from 0 or 1 on, and names besides.
    fn counts(&self, first: &[String]) -> bool {
        let numbers: Vec<&String> = first.iter().filter(|cell| is_number(cell)).collect();
        let from = |start: usize| {
            (start..)
                .zip(&numbers)
                .all(|(number, word)| word.parse() == Ok(number))
        };
        let others = first
            .iter()
            .enumerate()
            .filter(|(_, cell)| !is_number(cell));
        // The label of a sample would be that of others too.
        let mut recurs = others.clone().map(|(column, cell)| {
            !cell.is_empty() && self.rows.iter().any(|row| row.get(column) == Some(cell))
        });
        let is_name = |(_, cell): (usize, &String)| {
            let lower = cell.to_lowercase();
            LABEL_NAMES.contains(&lower.as_str()) || ID_NAMES.contains(&lower.as_str())
        };
        let enough =
            numbers.len() >= COUNTED || (!numbers.is_empty() && others.clone().any(is_name));
        enough && (from(0) || from(1)) && !recurs.any(|recurs| recurs)
    }

    fn check_names(&self, rows: &impl Rows) -> Result<(), ReadError> {
        let mut seen = BTreeSet::new();
        for (column, name) in self.names.iter().flatten().enumerate() {
            if !name.is_empty() && !seen.insert(name) {
                let place = Place::line(rows.file(), self.line);
                let place = place.field(format!("column {}", column + 1));
                let error = place.found_text(name, "every name once");
                return Err(error.hint("--no-header reads the row as a sample"));
            }
        }
        Ok(())
    }

    /// What a column holds.
    pub(super) fn kind(&self, column: usize, missing: &Missing) -> Kind {
        let mut distinct = BTreeSet::new();
        let mut kind = Kind {
            numbers: 0,
            texts: 0,
            whole: true,
            distinct: 0,
            filled: 0,
        };
        for cell in self.rows.iter().filter_map(|row| row.get(column)) {
            if missing.is_label(cell) {
                continue;
            }
            kind.filled += 1;
            distinct.insert(cell);
            let number = if is_number(cell) {
                cell.parse().ok()
            } else {
                None
            };
            match number {
                Some(number) => {
                    let number: f64 = number;
                    kind.numbers += 1;
                    kind.whole &= number.fract() == 0.0;
                }
                None if missing.is(cell) => {}
                None => kind.texts += 1,
            }
        }
        kind.distinct = distinct.len();
        kind
    }

    /// The column in words.
    pub(super) fn describe(&self, column: usize) -> String {
        match self.names.as_ref().and_then(|names| names.get(column)) {
            Some(name) if !name.is_empty() => format!("column \"{}\"", visible(name)),
            _ => format!("column {}", column + 1),
        }
    }

    /// Name of the column, or its number where it has none.
    pub(super) fn name(&self, column: usize) -> String {
        match self.names.as_ref().and_then(|names| names.get(column)) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => (column + 1).to_string(),
        }
    }

    /// The only column with one of the usual names, if it has no role yet.
    pub(super) fn usual(&self, usual: &[&str], taken: &[usize]) -> Option<usize> {
        let names = self.names.as_ref()?;
        let is = |&column: &usize| {
            usual.contains(&names[column].to_lowercase().as_str()) && !taken.contains(&column)
        };
        let mut found = (0..names.len()).filter(is);
        found.next().filter(|_| found.next().is_none())
    }
}
