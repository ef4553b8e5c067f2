//! Which column of a table is what.

mod wide;

use std::path::Path;

pub(super) use self::wide::WideValues;

use super::head::{Head, ID_NAMES, LABEL_NAMES, TIME_NAMES, VARIATE_NAMES};
use crate::data::read::error::shortened;
use crate::data::read::options::{Labels, ReadOptions};
use crate::data::read::schema::TableSchema;
use crate::data::read::text::{Missing, is_number};
use crate::data::read::{Place, ReadError};

/// What is asked for, and of which table.
pub(super) struct Request<'a> {
    pub(super) file: &'a Path,
    pub(super) options: &'a ReadOptions,
    /// The table that a model was trained on, if this one is to match it.
    pub(super) known: Option<&'a TableSchema>,
    pub(super) missing: &'a Missing,
}

/// Columns that have a role.
#[derive(Debug, Default)]
pub(super) struct Roles {
    pub(super) label: Option<usize>,
    pub(super) ids: Vec<usize>,
    pub(super) group: Option<usize>,
    pub(super) weight: Option<usize>,
    pub(super) time: Option<usize>,
    pub(super) variate: Option<usize>,
    pub(super) ignored: Vec<usize>,
    /// Columns that hold values, as far as the options say.
    pub(super) values: Vec<usize>,
    pub(super) notes: Vec<String>,
}

impl Roles {
    fn taken(&self) -> Vec<usize> {
        let single = [self.label, self.group, self.weight, self.time, self.variate];
        let several = self.ids.iter().chain(&self.ignored);
        single
            .into_iter()
            .flatten()
            .chain(several.copied())
            .collect()
    }

    /// Columns without a role, or those that the options call values.
    pub(super) fn rest(&self, n_columns: usize) -> Vec<usize> {
        let taken = self.taken();
        let all = || (0..n_columns).collect();
        let mut rest = if self.values.is_empty() {
            all()
        } else {
            self.values.clone()
        };
        rest.retain(|column| !taken.contains(column));
        rest
    }

    /// Passes over columns whose names are usual for labels, which come from elsewhere, or of which there are
    /// none; but for columns that are known to be variates, or told to hold values.
    pub(super) fn pass_over_labels(&mut self, head: &Head, variates: &[String], why: &str) {
        if !self.values.is_empty() {
            return;
        }
        let Some(names) = &head.names else {
            return;
        };
        for column in self.rest(head.n_columns) {
            let name = &names[column];
            let is_usual = LABEL_NAMES.contains(&name.to_lowercase().as_str());
            if is_usual && !variates.contains(name) {
                self.ignored.push(column);
                let described = head.describe(column);
                self.notes.push(format!(
                    "{described} is passed over: {why} (--value-columns says else)"
                ));
            }
        }
    }
}

impl Request<'_> {
    pub(super) fn place(&self, head: &Head) -> Place {
        Place::line(self.file, head.line)
    }

    fn find(&self, head: &Head, flag: &str, text: &str) -> Result<usize, ReadError> {
        if let Some(column) = find_column(head, text) {
            return Ok(column);
        }
        let place = self.place(head);
        let known = match &head.names {
            Some(names) => format!("one of: {}", shortened(names)),
            None => format!("a number from 1 to {}, first or last", head.n_columns),
        };
        let error = place.found(format!("no column `{text}`"), known);
        Err(error.hint(format!("{flag} names it, or gives its number")))
    }

    /// A column that options name, or that the known table had.
    fn role(
        &self,
        head: &Head,
        (flag, option): (&str, Option<&String>),
        known: Option<&String>,
    ) -> Result<Option<usize>, ReadError> {
        match (option, known) {
            (Some(text), _) => self.find(head, flag, text).map(Some),
            (None, Some(text)) => Ok(self.known_column(head, text)),
            (None, None) => Ok(None),
        }
    }

    /// Where a column of the known table is: by its name or, where neither table has any, by its place,
    /// behind a label that is not there or in the last column of longer or shorter rows.
    fn known_column(&self, head: &Head, text: &str) -> Option<usize> {
        if head.names.is_some() {
            return find_column(head, text);
        }
        let known = self.known.filter(|known| known.columns.is_empty())?;
        let (number, n): (usize, usize) = (text.parse().ok()?, known.n_columns?);
        let label = known
            .label_column
            .as_ref()
            .and_then(|label| label.parse().ok());
        let lacks_label = head.n_columns + 1 == n && self.options.labels != Labels::Required;
        let at = match head.n_columns {
            same if same == n => number,
            _ if lacks_label && label.is_some_and(|label| number > label) => number - 1,
            longer if number == n => longer,
            _ => number,
        };
        at.checked_sub(1).filter(|&column| column < head.n_columns)
    }

    /// Columns that options name, or that the known table had.
    fn several(
        &self,
        head: &Head,
        (flag, options): (&str, &[String]),
        known: impl Fn(&TableSchema) -> &[String],
    ) -> Result<Vec<usize>, ReadError> {
        if !options.is_empty() {
            return options
                .iter()
                .map(|name| self.find(head, flag, name))
                .collect();
        }
        let known = self.known.map_or(&[][..], known);
        let columns = known
            .iter()
            .filter_map(|name| self.known_column(head, name));
        Ok(columns.collect())
    }

    /// Columns of values: those that options name, or all that the known table was told of.
    fn told_values(&self, head: &Head) -> Result<Vec<usize>, ReadError> {
        let flag = "--value-columns";
        let options = (flag, &self.options.value_columns[..]);
        let found = self.several(head, options, |known| &known.value_columns)?;
        let known = self.known.map_or(&[][..], |known| &known.value_columns);
        let some = options.1.is_empty() && !found.is_empty() && head.names.is_some();
        let absent = |name: &&String| find_column(head, name).is_none();
        match known.iter().find(absent).filter(|_| some) {
            // A part of the values would make other series.
            Some(name) => self.find(head, flag, name).map(|_| found),
            None => Ok(found),
        }
    }

    /// Whether a table without header has as many columns as the known one.
    fn same_columns(&self, head: &Head) -> bool {
        self.known
            .is_some_and(|known| known.n_columns == Some(head.n_columns))
    }

    /// The roles that options, the known table and usual names give, but for the label.
    pub(super) fn roles(&self, head: &Head) -> Result<Roles, ReadError> {
        let options = self.options;
        let known = self.known;
        let mut roles = Roles::default();
        let ignored = ("--ignore-columns", &options.ignore_columns[..]);
        roles.ignored = self.several(head, ignored, |known| &known.ignore_columns)?;
        roles.values = self.told_values(head)?;
        let ids = ("--id-column", &options.id_columns[..]);
        roles.ids = self.several(head, ids, |known| &known.id_columns)?;
        let group = ("--group-column", options.group_column.as_ref());
        roles.group = self.role(head, group, known.and_then(|k| k.group_column.as_ref()))?;
        let weight = ("--weight-column", options.weight_column.as_ref());
        roles.weight = self.role(head, weight, known.and_then(|k| k.weight_column.as_ref()))?;
        let time = ("--time-column", options.time_column.as_ref());
        roles.time = self.role(head, time, known.and_then(|k| k.time_column.as_ref()))?;
        let variate = ("--variate-column", options.variate_column.as_ref());
        roles.variate = self.role(head, variate, known.and_then(|k| k.variate_column.as_ref()))?;
        self.explicit_label(head, &mut roles)?;
        self.usual_ids(head, &mut roles);
        Ok(roles)
    }

    /// The label column as far as options or the known table name it.
    fn explicit_label(&self, head: &Head, roles: &mut Roles) -> Result<(), ReadError> {
        let options = self.options;
        let known = self.known.and_then(|known| known.label_column.as_ref());
        if self.no_labels(head) {
            let column = known.filter(|_| head.names.is_some());
            roles
                .ignored
                .extend(column.and_then(|name| find_column(head, name)));
            return Ok(());
        }
        let label = ("--label-column", options.label_column.as_ref());
        let by_place = head.names.is_some() || self.same_columns(head);
        roles.label = self.role(head, label, known.filter(|_| by_place))?;
        let lacks = roles.label.is_none() && known.is_some() && head.names.is_some();
        if let Some(name) = known.filter(|_| lacks && options.labels == Labels::Required) {
            self.find(head, "--label-column", name)?;
        }
        Ok(())
    }

    /// Whether no column is that of the labels.
    pub(super) fn no_labels(&self, head: &Head) -> bool {
        let none = self.options.label_column.as_deref() == Some("none");
        self.options.labels == Labels::Absent || none && find_column(head, "none").is_none()
    }

    fn usual_ids(&self, head: &Head, roles: &mut Roles) {
        let Some(names) = &head.names else {
            return;
        };
        // The index that pandas writes where it is not told to leave it out.
        let index = |name: &str| name.is_empty() || name.starts_with("Unnamed: ");
        let pandas = (0..names.len()).find(|&column| {
            let kind = head.kind(column, self.missing);
            let trailing = column > 0 && kind.filled == 0;
            index(&names[column]) && (column == 0 || trailing) && kind.texts == 0
        });
        if let Some(column) = pandas.filter(|column| !roles.taken().contains(column)) {
            roles.ignored.push(column);
            roles
                .notes
                .push(format!("column {} has no name: passed over", column + 1));
        }
        if roles.ids.is_empty()
            && roles.values.is_empty()
            && let Some(id) = head.usual(ID_NAMES, &roles.taken())
        {
            roles.ids.push(id);
        }
    }

    /// Whether the table has a row for each step or value, not for each sample.
    pub(super) fn is_long(&self, head: &Head, roles: &mut Roles) -> bool {
        if roles.time.is_some() || roles.variate.is_some() {
            return true;
        }
        let Some(time) = head.usual(TIME_NAMES, &roles.taken()) else {
            return false;
        };
        let kind = roles.ids.first().map(|&id| head.kind(id, self.missing));
        let repeats = kind.is_some_and(|kind| kind.distinct < kind.filled);
        if !repeats && self.options.windows.is_none() {
            return false;
        }
        roles.time = Some(time);
        roles.notes.push(format!(
            "a row for each step: times from {}",
            head.describe(time)
        ));
        true
    }

    /// The label column of a long table.
    pub(super) fn long_label(&self, head: &Head, roles: &mut Roles) -> Result<(), ReadError> {
        if roles.label.is_some() || self.no_labels(head) {
            return Ok(());
        }
        let mut taken = roles.taken();
        let variates = self.known.map_or(&[][..], |known| &known.variates);
        taken.extend((0..head.n_columns).filter(|&c| variates.contains(&head.name(c))));
        roles.label = head.usual(LABEL_NAMES, &taken);
        if roles.label.is_none() && self.known.is_none() {
            let mut texts = roles.rest(head.n_columns);
            texts.retain(|&column| head.kind(column, self.missing).is_text());
            if let [only] = texts.as_slice() {
                roles.label = Some(*only);
            }
        }
        if roles.label.is_none() && self.options.labels == Labels::Required {
            return Err(self.no_label_column(head, &roles.rest(head.n_columns)));
        }
        Ok(())
    }

    fn no_label_column(&self, head: &Head, columns: &[usize]) -> ReadError {
        let names: Vec<String> = columns.iter().map(|&column| head.name(column)).collect();
        let expected = format!("a column of classes among: {}", shortened(&names));
        let error = self.place(head).found("no column of labels", expected);
        error.hint("--label-column names it, --no-label reads a table without labels")
    }

    /// The variate column of a table with a row for each value.
    pub(super) fn long_variate(&self, head: &Head, roles: &mut Roles) {
        if roles.variate.is_none() && roles.values.is_empty() && self.known.is_none() {
            let found = head.usual(VARIATE_NAMES, &roles.taken());
            let rest = roles.rest(head.n_columns);
            let numbers = |&&column: &&usize| !head.kind(column, self.missing).is_text();
            let others = rest.iter().filter(|&&column| Some(column) != found);
            if found.is_some() && others.filter(numbers).count() == 1 {
                roles.variate = found;
            }
        }
    }
}

/// The column of a name or, where there is none, of a number from 1, `first` or `last`.
pub(super) fn find_column(head: &Head, text: &str) -> Option<usize> {
    let named = head
        .names
        .as_ref()
        .and_then(|names| names.iter().position(|name| name == text));
    let number = if is_number(text) {
        text.parse::<usize>().ok()
    } else {
        None
    };
    named.or_else(|| match text {
        "first" => Some(0),
        "last" => head.n_columns.checked_sub(1),
        _ => number
            .and_then(|number| number.checked_sub(1))
            .filter(|&c| c < head.n_columns),
    })
}
