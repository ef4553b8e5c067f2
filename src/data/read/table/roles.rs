//! Which column of a table is what.

use std::path::Path;

use super::head::{Head, ID_NAMES, LABEL_NAMES, TIME_NAMES, VARIATE_NAMES};
use super::names::Grid;
use crate::data::read::error::shortened;
use crate::data::read::options::{Labels, Layout, ReadOptions};
use crate::data::read::schema::TableSchema;
use crate::data::read::text::{Missing, is_number};
use crate::data::read::{Place, ReadError};

/// What flags say about a column that has no role.
const ROLE_FLAGS: &str =
    "--id-column, --group-column, --ignore-columns or --value-columns say what it is";

/// Cells of text, and no number, that make a column one of text; fewer may be damaged values.
const SURELY_TEXT: usize = 2;

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

/// Where the values of a wide table stand.
pub(super) struct WideValues {
    /// Column and place in the time-major values.
    pub(super) cells: Vec<(usize, usize)>,
    pub(super) n_steps: usize,
    pub(super) variates: Vec<String>,
    pub(super) n_variates: usize,
    /// Times of the steps, if names tell any.
    pub(super) steps: Option<Vec<f64>>,
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
            (None, Some(text)) if head.names.is_some() || self.same_columns(head) => {
                Ok(find_column(head, text))
            }
            _ => Ok(None),
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
        for name in &options.ignore_columns {
            roles
                .ignored
                .push(self.find(head, "--ignore-columns", name)?);
        }
        for name in &options.value_columns {
            roles.values.push(self.find(head, "--value-columns", name)?);
        }
        for name in &options.id_columns {
            roles.ids.push(self.find(head, "--id-column", name)?);
        }
        if options.id_columns.is_empty()
            && let Some(known) = known
        {
            roles.ids = known
                .id_columns
                .iter()
                .filter_map(|name| find_column(head, name))
                .collect();
        }
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
        roles.label = self.role(head, label, known)?;
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
        roles.label = head.usual(LABEL_NAMES, &roles.taken());
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

    /// Where the values of a wide table stand, and its label column.
    pub(super) fn wide(&self, head: &Head, roles: &mut Roles) -> Result<WideValues, ReadError> {
        let grid = self.grid(head, roles)?;
        if let Some(grid) = &grid {
            self.settle_rest(head, roles, grid)?;
        } else {
            self.label_by_place(head, roles)?;
            self.pass_over_texts(head, roles);
        }
        match grid {
            Some(grid) => self.by_name(head, roles, grid),
            None => self.by_place(head, roles),
        }
    }

    /// Variates and steps, if names tell them.
    fn grid(&self, head: &Head, roles: &Roles) -> Result<Option<Grid>, ReadError> {
        let Some(names) = &head.names else {
            return Ok(None);
        };
        let rest = roles.rest(head.n_columns);
        let mut named: Vec<(usize, &str)> = rest.iter().map(|&c| (c, names[c].as_str())).collect();
        if let Some(Ok(grid)) = Grid::of(&named) {
            return Ok(Some(grid));
        }
        // A name such as `class2` is not that of a step where the column holds text.
        named.retain(|&(column, _)| !head.kind(column, self.missing).is_text());
        let place = || self.place(head);
        let hint = "--ignore-columns passes columns over, --value-columns says which hold values, \
                    --no-header with --variates takes them by place";
        match Grid::of(&named).transpose() {
            Ok(grid) => Ok(grid),
            Err(found) => {
                let expected = "a column of every variate for every step";
                Err(place().found(found, expected).hint(hint))
            }
        }
    }

    /// Columns whose names do not tell a step: the label, text to pass over, or an error.
    fn settle_rest(&self, head: &Head, roles: &mut Roles, grid: &Grid) -> Result<(), ReadError> {
        let in_grid = |column: &usize| grid.cells.iter().any(|(cell, ..)| cell == column);
        let mut rest = roles.rest(head.n_columns);
        rest.retain(|column| !in_grid(column));
        if roles.label.is_none() && !self.no_labels(head) {
            roles.label = self.label_among(head, &rest);
            if roles.label.is_none() && self.options.labels == Labels::Required {
                return Err(self.no_label_column(head, &rest));
            }
        }
        rest.retain(|&column| Some(column) != roles.label);
        let time = head.usual(TIME_NAMES, &roles.taken());
        let passes = |column: usize| {
            self.known.is_some()
                || head.kind(column, self.missing).numbers == 0
                || time == Some(column)
        };
        for column in rest {
            if !passes(column) {
                let number = column + 1;
                let place = self.place(head).field(format!("column {number}"));
                let found = format!("`{}`, a column of numbers", head.name(column));
                let expected = "a name that tells variate and step, as the others do";
                return Err(place.found(found, expected).hint(ROLE_FLAGS));
            }
            roles.ignored.push(column);
        }
        Ok(())
    }

    /// The label among columns whose names tell no step.
    fn label_among(&self, head: &Head, rest: &[usize]) -> Option<usize> {
        let others: Vec<usize> = (0..head.n_columns).filter(|c| !rest.contains(c)).collect();
        if let Some(column) = head.usual(LABEL_NAMES, &others) {
            return Some(column);
        }
        if self.known.is_some() {
            return None;
        }
        let texts = rest
            .iter()
            .filter(|&&c| head.kind(c, self.missing).is_text());
        let texts: Vec<usize> = texts.copied().collect();
        match (texts.as_slice(), rest) {
            ([only], _) | ([], [only]) => Some(*only),
            ([.., last], _) if *last + 1 == head.n_columns => Some(*last),
            _ => None,
        }
    }

    /// The label column of a table whose names tell nothing.
    fn label_by_place(&self, head: &Head, roles: &mut Roles) -> Result<(), ReadError> {
        if roles.label.is_some() || self.no_labels(head) {
            return Ok(());
        }
        if self.known.is_some() {
            return self.label_of_known(head, roles);
        }
        let taken = roles.taken();
        let usual = head.usual(LABEL_NAMES, &taken);
        let rest = roles.rest(head.n_columns);
        let outside = (0..head.n_columns).filter(|c| !taken.contains(c) && !rest.contains(c));
        let outside: Vec<usize> = outside.collect();
        let kind = |column: &usize| head.kind(*column, self.missing);
        let mut texts = rest.iter().filter(|column| kind(column).is_text());
        let only_text = texts
            .next_back()
            .filter(|_| texts.next().is_none())
            .copied();
        let (first, last) = (rest.first(), rest.last());
        let starts = match (first, last) {
            (Some(first), Some(last)) if head.names.is_none() && only_text.is_none() => {
                // As in the UCR archive: whole numbers first, values behind.
                let (first, last) = (kind(first), kind(last));
                first.whole && first.repeats() && !(last.whole && last.repeats())
            }
            _ => false,
        };
        let place = if starts {
            "the first one, of whole numbers"
        } else {
            "the last one"
        };
        let chosen = match &outside[..] {
            [only] if usual.is_none() => Some(*only),
            _ => usual.or(only_text).or(if starts {
                first.copied()
            } else {
                last.copied()
            }),
        };
        if usual.is_none()
            && only_text.is_none()
            && let Some(column) = chosen
        {
            let described = head.describe(column);
            roles.notes.push(format!(
                "labels from {described}, {place}: --label-column says else"
            ));
        }
        roles.label = chosen;
        Ok(())
    }

    /// The label column of a table without header that is to match a known one.
    fn label_of_known(&self, head: &Head, roles: &mut Roles) -> Result<(), ReadError> {
        let Some(known) = self.known else {
            return Ok(());
        };
        let last = head.n_columns.saturating_sub(1);
        let n_values = roles.rest(head.n_columns).len();
        let fits = |n: usize| n > 0 && n.is_multiple_of(known.n_variates);
        let required = self.options.labels == Labels::Required;
        let lacks_one = known.n_columns == Some(head.n_columns + 1);
        if head.kind(last, self.missing).is_text() || (required && !lacks_one) {
            roles.label = Some(last);
        } else if !(lacks_one || head.names.is_some() || (fits(n_values) && !fits(n_values - 1))) {
            let found = format!("{} columns of numbers without names", head.n_columns);
            let expected = "to be told whether one of them holds labels";
            let hint = "--no-label says that none does, --label-column last that the last one does";
            return Err(self.place(head).found(found, expected).hint(hint));
        }
        Ok(())
    }

    /// Columns of text cannot be values.
    pub(super) fn pass_over_texts(&self, head: &Head, roles: &mut Roles) {
        if roles.values.is_empty() {
            let mut texts = roles.rest(head.n_columns);
            texts.retain(|&column| {
                let kind = head.kind(column, self.missing);
                kind.texts >= SURELY_TEXT && kind.numbers == 0
            });
            roles.ignored.extend(texts);
        }
    }

    fn by_name(&self, head: &Head, roles: &mut Roles, grid: Grid) -> Result<WideValues, ReadError> {
        let n_variates = grid.variates.len().max(1);
        let n_steps = grid.steps.len();
        let place = || self.place(head);
        if let Some(asked) = self.options.n_variates.filter(|&asked| asked != n_variates) {
            let names = match grid.variates.as_slice() {
                [] => "1 variate".to_owned(),
                names => format!("{n_variates} variates ({})", shortened(names)),
            };
            // Numbers alone do not name variates.
            if grid.variates.is_empty() {
                return self.by_place(head, roles);
            }
            let expected = format!("the {asked} of --variates");
            let hint = "without --variates, the names tell";
            return Err(place()
                .found(format!("{names} in the header"), expected)
                .hint(hint));
        }
        if let Some(asked) = self.options.layout
            && grid.layout() != Some(asked)
            && n_variates > 1
        {
            let found = match grid.layout() {
                Some(layout) => format!("a header in {layout} order"),
                None => "a header in neither order".to_owned(),
            };
            let hint = "without --layout, the names tell";
            return Err(place()
                .found(found, format!("the {asked} of --layout"))
                .hint(hint));
        }
        let cells = grid
            .cells
            .iter()
            .map(|&(c, step, variate)| (c, step * n_variates + variate));
        Ok(WideValues {
            cells: cells.collect(),
            n_steps,
            variates: grid.variates,
            n_variates,
            steps: Some(grid.steps),
        })
    }

    fn by_place(&self, head: &Head, roles: &mut Roles) -> Result<WideValues, ReadError> {
        let values = roles.rest(head.n_columns);
        let values: Vec<usize> = values
            .into_iter()
            .filter(|&c| Some(c) != roles.label)
            .collect();
        let known = self.known.map(|known| known.n_variates);
        let n_variates = match self.options.n_variates.or(known) {
            Some(n_variates) => n_variates,
            None if head.names.is_none() || head.counted || values.len() == 1 => {
                roles
                    .notes
                    .push("names tell no variates, so 1: --variates says else".to_owned());
                1
            }
            None => {
                let names: Vec<String> = values.iter().map(|&c| head.name(c)).collect();
                let found = format!("the value columns {}", shortened(&names));
                let expected = "names that tell variate and step, such as `x_0`, `x_1`";
                let hint = "--variates N with --layout time-major or variate-major takes them by \
                            place, --time-column reads a table with a row for each step";
                return Err(self.place(head).found(found, expected).hint(hint));
            }
        };
        let n_values = values.len();
        if n_values == 0 || !n_values.is_multiple_of(n_variates) {
            let found = format!("{n_values} value columns");
            let expected = format!("a multiple of the {n_variates} variates");
            let hint = "--variates, --delimiter, --label-column, --id-column or --no-label may be \
                        wrong or missing";
            return Err(self.place(head).found(found, expected).hint(hint));
        }
        let n_steps = n_values / n_variates;
        let layout = self
            .options
            .layout
            .or(self.known.and_then(|known| known.layout));
        let place = |index: usize| match layout.unwrap_or(Layout::TimeMajor) {
            Layout::TimeMajor => index,
            Layout::VariateMajor => (index % n_steps) * n_variates + index / n_steps,
        };
        if layout.is_none() && n_variates > 1 {
            let note = "values of a row step by step (time-major): --layout says else";
            roles.notes.push(note.to_owned());
        }
        Ok(WideValues {
            cells: values
                .into_iter()
                .enumerate()
                .map(|(i, c)| (c, place(i)))
                .collect(),
            n_steps,
            variates: Vec::new(),
            n_variates,
            steps: None,
        })
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
