//! The first rows of a table: whether there is a header, and what the columns hold.

use std::collections::BTreeSet;

use super::rows::Rows;
use crate::data::read::options::{HeaderRow, Labels, ReadOptions};
use crate::data::read::schema::TableSchema;
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

/// Whether a cell may well stand in a row of values: a number, or nothing.
fn plain(cell: &str) -> bool {
    cell.is_empty() || is_number(cell)
}

/// The start of a table.
pub(super) struct Head {
    /// The header, or that of the table which this one is to match.
    pub(super) names: Option<Vec<String>>,
    pub(super) first_row_is_header: bool,
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
        (options, known): (&ReadOptions, Option<&TableSchema>),
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
            first_row_is_header: false,
            rows: found,
            line,
            counted: false,
        };
        let columns = known.map_or(&[][..], |known| &known.columns);
        if head.is_header(&first, (options, columns), missing) {
            head.names = Some(first);
            head.first_row_is_header = true;
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
        if let Some(known) = known {
            head.take_names_of(known, options);
        }
        Ok(head)
    }

    /// Without a header, columns as many as those of a known table have their names; so have those
    /// that lack its labels alone.
    fn take_names_of(&mut self, known: &TableSchema, options: &ReadOptions) {
        let by_place = options.n_variates.is_some() || options.layout.is_some();
        if self.names.is_some() || known.columns.is_empty() || by_place {
            return;
        }
        let mut columns = known.columns.clone();
        if columns.len() == self.n_columns + 1 && options.labels != Labels::Required {
            columns.retain(|name| Some(name) != known.label_column.as_ref());
        }
        self.names = Some(columns).filter(|columns| columns.len() == self.n_columns);
    }

    fn is_header(
        &mut self,
        first: &[String],
        (options, known): (&ReadOptions, &[String]),
        missing: &Missing,
    ) -> bool {
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
        let mut pairs = first.iter().zip(known);
        if first == known || pairs.any(|(cell, name)| cell == name && !plain(cell)) {
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
        let named = others.clone().any(is_name);
        let enough = numbers.len() >= COUNTED || (!numbers.is_empty() && named);
        // Wavelengths or years, say: no sample has a label called `label`.
        let values: Option<Vec<f64>> = numbers.iter().map(|word| word.parse().ok()).collect();
        let ascends = values.is_some_and(|values| values.is_sorted_by(|a, b| a < b));
        let counts = from(0) || from(1) || (named && ascends && numbers.len() >= COUNTED);
        enough && counts && !recurs.any(|recurs| recurs)
    }

    /// Whether there may be rows that were not looked at.
    pub(super) fn is_cut(&self) -> bool {
        self.rows.len() >= SAMPLE_ROWS
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
