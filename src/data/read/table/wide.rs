//! Tables with a row for each sample.

use super::Reading;
use super::head::Head;
use super::roles::{Roles, WideValues};
use super::rows::Rows;
use crate::data::Series;
use crate::data::read::options::Labels;
use crate::data::read::sample::{About, Facts, Sample, Source};
use crate::data::read::text::{Missing, excerpt};
use crate::data::read::{Place, ReadError};

/// The samples of a table, read as they are asked for.
pub(super) struct Wide<R> {
    rows: R,
    cells: Cells,
    facts: Facts,
    row: u64,
    /// Whether the header has been passed.
    started: bool,
}

/// What the cells of a row are.
struct Cells {
    head: Head,
    roles: Roles,
    values: WideValues,
    missing: Missing,
    labels: Labels,
}

impl<R: Rows> Wide<R> {
    pub(super) fn new(
        rows: R,
        head: Head,
        roles: Roles,
        values: WideValues,
        reading: Reading,
    ) -> Self {
        let Reading {
            facts,
            missing,
            labels,
            ..
        } = reading;
        let cells = Cells {
            head,
            roles,
            values,
            missing,
            labels,
        };
        Self {
            rows,
            cells,
            facts,
            row: 0,
            started: false,
        }
    }
}

impl<R: Rows> Source for Wide<R> {
    fn next(&mut self) -> Result<Option<Sample>, ReadError> {
        if !self.started {
            self.started = true;
            if self.cells.head.first_row_is_header {
                self.rows.advance()?;
            }
        }
        let row = self.row;
        // A row that is refused has a number, too.
        self.row += 1;
        match self.rows.advance()? {
            true => self.cells.sample(&self.rows, row).map(Some),
            false => {
                let n = self.rows.n_comments();
                if n > 0 {
                    self.facts
                        .notes
                        .push(format!("{n} comment lines passed over"));
                }
                Ok(None)
            }
        }
    }

    fn facts(&mut self) -> &mut Facts {
        &mut self.facts
    }
}

impl Cells {
    fn sample(&self, rows: &impl Rows, row: u64) -> Result<Sample, ReadError> {
        check_count(rows, &self.head)?;
        let n_variates = self.values.n_variates;
        let mut values = vec![f32::NAN; self.values.n_steps * n_variates];
        for &(column, place) in &self.values.cells {
            let cell = rows.cell(column);
            values[place] = match self.missing.value(cell) {
                Some(value) => value,
                None => return Err(value_error(rows, &self.head, column, &self.missing)),
            };
        }
        let n_steps = known_steps(&values, n_variates);
        values.truncate(n_steps * n_variates);
        let place = || Place::line(rows.file(), rows.line());
        let series = Series::new(values, n_steps, n_variates);
        let series = series.map_err(ReadError::series(place()))?;
        let series = match &self.values.steps {
            Some(steps) => series.with_times(steps[..n_steps].to_vec()),
            None => Ok(series),
        };
        let series = series.map_err(ReadError::series(place()))?;
        let label = label(
            rows,
            &self.head,
            self.roles.label,
            (&self.missing, self.labels),
        )?;
        let about = self.roles.about(rows, &self.head)?;
        Ok(Sample {
            about,
            ..Sample::new(row, rows.line(), series, label)
        })
    }
}

impl Roles {
    /// Ids, group and weight of the row at hand.
    pub(super) fn about(&self, rows: &impl Rows, head: &Head) -> Result<About, ReadError> {
        let weigh = |column: usize| {
            let cell = rows.cell(column);
            let weight = cell
                .parse()
                .ok()
                .filter(|w: &f32| w.is_finite() && *w >= 0.0);
            weight.ok_or_else(|| field(rows, head, column).found_text(cell, "a weight, at least 0"))
        };
        Ok(About {
            ids: self
                .ids
                .iter()
                .map(|&column| rows.cell(column).to_owned())
                .collect(),
            group: self.group.map(|column| rows.cell(column).to_owned()),
            weight: self.weight.map(weigh).transpose()?,
        })
    }
}

/// A cell of the row at hand, for messages.
pub(super) fn field(rows: &impl Rows, head: &Head, column: usize) -> Place {
    let number = column + 1;
    let name = head.names.as_ref().and_then(|names| names.get(column));
    let field = match name.filter(|name| !name.is_empty()) {
        Some(name) => format!("column {number} (`{}`)", excerpt(name)),
        None => format!("column {number}"),
    };
    Place::line(rows.file(), rows.line()).field(field)
}

/// What is wrong with a cell that should hold a value.
pub(super) fn value_error(
    rows: &impl Rows,
    head: &Head,
    column: usize,
    missing: &Missing,
) -> ReadError {
    let cell = rows.cell(column);
    let error = field(rows, head, column).found_text(cell, missing.expected());
    let commas = cell.contains(',') && cell.replace(',', ".").parse::<f32>().is_ok();
    let infinite = cell.parse::<f32>().is_ok();
    if commas {
        error.hint("--decimal-comma reads it as a number")
    } else if infinite {
        error.hint(format!("--missing {} reads it as missing", excerpt(cell)))
    } else {
        let word = excerpt(cell);
        error.hint(format!(
            "--missing \"{word}\" reads it as missing, --ignore-columns passes the column over"
        ))
    }
}

/// Refuses a row with more or fewer cells than the first one.
pub(super) fn check_count(rows: &impl Rows, head: &Head) -> Result<(), ReadError> {
    let found = rows.n_cells();
    if found == head.n_columns {
        return Ok(());
    }
    let place = Place::line(rows.file(), rows.line());
    let expected = format!("{} as in line {}", head.n_columns, head.line);
    let error = place.found(format!("{found} columns"), expected);
    Err(error.hint("--on-error skip leaves such rows out"))
}

/// The label of the row at hand.
pub(super) fn label(
    rows: &impl Rows,
    head: &Head,
    column: Option<usize>,
    (missing, labels): (&Missing, Labels),
) -> Result<Option<String>, ReadError> {
    let Some(column) = column else {
        return Ok(None);
    };
    let cell = rows.cell(column);
    match (missing.is_label(cell), labels) {
        (false, _) => Ok(Some(cell.to_owned())),
        (true, Labels::Optional | Labels::Absent) => Ok(None),
        (true, Labels::Required) => {
            let error = field(rows, head, column).found_text(cell, "the name of a class");
            Err(error.hint("--on-error skip leaves rows without a label out"))
        }
    }
}

/// Number of steps up to the last one that has a value; at least one.
fn known_steps(values: &[f32], n_variates: usize) -> usize {
    let last = values.iter().rposition(|value| !value.is_nan());
    last.map_or(1, |index| index / n_variates + 1)
}
