//! Reads tables of text: a row for each sample, for each step, or for each value.
//!
//! ```text
//! id,acc_x_0,acc_x_1,acc_y_0,acc_y_1,activity      a row for each sample
//! id;time;acc_x;acc_y;activity                     a row for each step
//! id  time  variate  value  activity               a row for each value
//! ```

mod dialect;
mod head;
mod long;
mod names;
mod roles;
mod rows;
mod wide;

use std::io::Cursor;
use std::path::Path;

pub(super) use self::rows::Rows;

use self::dialect::Dialect;
use self::head::Head;
use self::long::Long;
use self::roles::{Request, Roles};
use self::rows::TextRows;
use self::wide::Wide;
use super::ReadError;
use super::options::{Labels, OnError, ReadOptions};
use super::sample::{Facts, LabelOrigin, Source};
use super::schema::TableSchema;
use super::source::Opened;
use super::text::{Missing, is_number, set_name};

/// What is asked for of a table.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) options: &'a ReadOptions,
    /// The table that this one is to match.
    pub(super) known: Option<&'a TableSchema>,
}

/// Reads a table of text.
pub(super) fn read<'a>(
    opened: Opened<'a>,
    asked: Asked<'_>,
) -> Result<Box<dyn Source + 'a>, ReadError> {
    let (dialect, mut first_rows) = start(&opened, asked.options);
    let mut plan = Plan::of(&mut first_rows, asked)?;
    drop(first_rows);
    plan.note(dialect);
    plan.source(TextRows::new(opened.reader, &opened.file, dialect))
}

/// Reads the same from rows of another kind; `first_rows` are the first of `rows`.
pub(super) fn read_rows<'a, R: Rows + 'a>(
    mut first_rows: R,
    rows: R,
    asked: Asked<'_>,
) -> Result<Box<dyn Source + 'a>, ReadError> {
    Plan::of(&mut first_rows, asked)?.source(rows)
}

/// What is known of the tables of a folder but from options.
pub(super) struct Recordings<'a> {
    /// The table that a model was trained on, if these are to match it.
    pub(super) known: Option<&'a TableSchema>,
    /// Why a column whose name is usual for labels is passed over.
    pub(super) why_no_labels: &'a str,
}

/// Reads a table that is one recording: a row for each step, no labels.
pub(super) fn read_recording(
    opened: Opened<'_>,
    options: &ReadOptions,
    recordings: &Recordings<'_>,
) -> Result<(super::sample::Sample, Facts), ReadError> {
    let (dialect, mut first_rows) = start(&opened, options);
    let mut plan = Plan::of_recording(&mut first_rows, options, recordings)?;
    drop(first_rows);
    let rows = TextRows::new(opened.reader, &opened.file, dialect);
    plan.note(dialect);
    let file = opened.file.clone();
    let mut source = plan.source(rows)?;
    let sample = source.next()?;
    let mut facts = std::mem::take(source.facts());
    match sample {
        Some(sample) => Ok((sample, facts)),
        None => Err(match facts.rejected.drain(..).next() {
            Some(error) => error,
            None => super::Place::file(&file).found("no rows", "a row for each step"),
        }),
    }
}

/// The dialect of a table, and its first rows.
fn start<'o>(
    opened: &'o Opened<'_>,
    options: &ReadOptions,
) -> (Dialect, TextRows<Cursor<&'o [u8]>>) {
    let dialect = Dialect::detect(&opened.head, opened.head_is_all, options);
    let mut start = opened.head.as_slice();
    if !opened.head_is_all {
        let end = memchr::memrchr(dialect.line_end, start);
        start = &start[..end.map_or(start.len(), |at| at + 1)];
    }
    (
        dialect,
        TextRows::new(Cursor::new(start), &opened.file, dialect),
    )
}

/// How a table is to be read.
struct Plan {
    head: Head,
    roles: Roles,
    shape: Shape,
    reading: Reading,
}

/// What rows are read with.
struct Reading {
    facts: Facts,
    missing: Missing,
    labels: Labels,
    on_error: OnError,
    /// Whether windows are cut from the samples, each with a label of its own.
    windowed: bool,
}

enum Shape {
    Wide(roles::WideValues),
    Long,
}

impl Plan {
    fn of(first_rows: &mut impl Rows, asked: Asked<'_>) -> Result<Self, ReadError> {
        let missing = Missing::new(&asked.options.missing);
        let head = Head::read(first_rows, (asked.options, asked.known), &missing)?;
        let file = first_rows.file().to_owned();
        let request = Request {
            file: &file,
            options: asked.options,
            known: asked.known,
            missing: &missing,
        };
        let mut roles = request.roles(&head)?;
        let shape = if request.is_long(&head, &mut roles) {
            request.long_variate(&head, &mut roles);
            request.long_label(&head, &mut roles)?;
            request.pass_over_texts(&head, &mut roles);
            Shape::Long
        } else {
            Shape::Wide(request.wide(&head, &mut roles)?)
        };
        let mut labels = asked.options.labels;
        if request.no_labels(&head) {
            labels = Labels::Absent;
        }
        let facts = facts(&file, &head, &mut roles, &missing);
        let reading = Reading {
            facts,
            missing,
            labels,
            on_error: asked.options.on_error,
            windowed: asked.options.windows.is_some(),
        };
        Ok(Self {
            head,
            roles,
            shape,
            reading,
        })
    }

    /// All rows are steps of one sample.
    fn of_recording(
        first_rows: &mut impl Rows,
        options: &ReadOptions,
        recordings: &Recordings<'_>,
    ) -> Result<Self, ReadError> {
        let missing = Missing::new(&options.missing);
        let mut head = Head::read(first_rows, (options, None), &missing)?;
        // Four variates may well count in the first step.
        let only_numbers = head.names.iter().flatten().all(|name| is_number(name));
        if only_numbers && std::mem::take(&mut head.counted) {
            head.first_row_is_header = false;
            let first = head.names.take();
            head.rows.splice(..0, first);
        }
        let file = first_rows.file().to_owned();
        let options = ReadOptions {
            labels: Labels::Absent,
            label_column: None,
            id_columns: Vec::new(),
            ..options.clone()
        };
        // Roles that do not tell samples apart.
        let known = recordings.known.map(|known| TableSchema {
            time_column: known.time_column.clone(),
            value_columns: known.value_columns.clone(),
            ignore_columns: known.ignore_columns.clone(),
            ..TableSchema::default()
        });
        let request = Request {
            file: &file,
            options: &options,
            known: known.as_ref(),
            missing: &missing,
        };
        let mut roles = request.roles(&head)?;
        roles.time = roles.time.or_else(|| head.usual(head::TIME_NAMES, &[]));
        roles.ignored.append(&mut roles.ids);
        let variates = recordings.known.map_or(&[][..], |known| &known.variates);
        roles.pass_over_labels(&head, variates, recordings.why_no_labels);
        let facts = facts(&file, &head, &mut roles, &missing);
        let reading = Reading {
            facts,
            missing,
            labels: Labels::Absent,
            on_error: options.on_error,
            windowed: false,
        };
        Ok(Self {
            head,
            roles,
            shape: Shape::Long,
            reading,
        })
    }

    fn note(&mut self, dialect: Dialect) {
        let notes = &mut self.reading.facts.notes;
        notes.insert(
            0,
            format!("columns separated by {}", dialect.delimiter_name()),
        );
        if dialect.decimal_comma {
            notes.insert(1, "numbers with a decimal comma".to_owned());
        }
    }

    fn source<'a>(self, rows: impl Rows + 'a) -> Result<Box<dyn Source + 'a>, ReadError> {
        let Self {
            head,
            roles,
            shape,
            mut reading,
        } = self;
        reading.facts.n_columns = Some(head.n_columns);
        match shape {
            Shape::Wide(values) => {
                reading.facts.variates = values.variates.clone();
                Ok(Box::new(Wide::new(rows, head, roles, values, reading)))
            }
            Shape::Long => Ok(Box::new(Long::read(rows, head, roles, reading)?)),
        }
    }
}

/// What is known before the rows are read.
fn facts(file: &Path, head: &Head, roles: &mut Roles, missing: &Missing) -> Facts {
    let mut notes = vec![match (&head.names, head.counted) {
        (Some(_), false) if head.first_row_is_header => "the first row is a header".to_owned(),
        (Some(_), false) => {
            "no header: columns stand where they stood in the table of the model".to_owned()
        }
        (Some(_), true) => {
            "the first row counts, so it is a header: --no-header says else".to_owned()
        }
        (None, _) => "no header".to_owned(),
    }];
    notes.append(&mut roles.notes);
    let origin = |column: usize| LabelOrigin {
        text: head.describe(column),
        column: Some(head.name(column)),
    };
    let classes = |&column: &usize| {
        let kind = head.kind(column, missing);
        kind.repeats() && (kind.is_text() || kind.whole)
    };
    let could_be_labels = (0..head.n_columns)
        .filter(classes)
        .map(|column| head.describe(column));
    Facts {
        name: set_name(file),
        columns: head.names.clone().unwrap_or_default(),
        label: roles.label.map(origin),
        ids: roles.ids.iter().map(|&column| head.name(column)).collect(),
        group: roles.group.map(|column| head.name(column)),
        weight: roles.weight.map(|column| head.name(column)),
        time: roles.time.map(|column| head.name(column)),
        variate: roles.variate.map(|column| head.name(column)),
        ignored: roles
            .ignored
            .iter()
            .map(|&column| head.name(column))
            .collect(),
        could_be_labels: could_be_labels.collect(),
        notes,
        ..Facts::default()
    }
}
