//! Where the values of a table with a row for each sample stand, and its label column.

use super::{Request, Roles};
use crate::data::read::ReadError;
use crate::data::read::error::shortened;
use crate::data::read::options::{Labels, Layout};
use crate::data::read::table::head::{Head, LABEL_NAMES, TIME_NAMES};
use crate::data::read::table::names::{Grid, tells};

/// What flags say about a column that has no role.
const ROLE_FLAGS: &str =
    "--id-column, --group-column, --ignore-columns or --value-columns say what it is";

/// Cells of text, and no number, that make a column one of text; fewer may be damaged values.
const SURELY_TEXT: usize = 2;

/// Numbered columns of a table that may have a row for each step; a row for each sample has more.
const MOST_OF_A_PANEL: usize = 9;

/// Where the values of a wide table stand.
pub(in crate::data::read::table) struct WideValues {
    /// Column and place in the time-major values.
    pub(in crate::data::read::table) cells: Vec<(usize, usize)>,
    pub(in crate::data::read::table) n_steps: usize,
    pub(in crate::data::read::table) variates: Vec<String>,
    pub(in crate::data::read::table) n_variates: usize,
    /// Times of the steps, if names tell any.
    pub(in crate::data::read::table) steps: Option<Vec<f64>>,
}

impl Request<'_> {
    /// Where the values of a wide table stand, and its label column.
    pub(in crate::data::read::table) fn wide(
        &self,
        head: &Head,
        roles: &mut Roles,
    ) -> Result<WideValues, ReadError> {
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
        let known = self.known.map_or(&[][..], |known| &known.variates);
        let of_known = |&(_, name): &(usize, &str)| tells(name, known);
        let only_known: Vec<(usize, &str)> = named.iter().copied().filter(of_known).collect();
        match Grid::of(&named).transpose() {
            Ok(grid) => Ok(grid),
            Err(found) => {
                if let Some(Ok(grid)) = Grid::of(&only_known) {
                    return Ok(Some(grid));
                }
                let expected = "a column of every variate for every step";
                Err(place().found(found, expected).hint(hint))
            }
        }
    }

    /// Columns whose names do not tell a step: the label, text to pass over, or an error.
    fn settle_rest(&self, head: &Head, roles: &mut Roles, grid: &Grid) -> Result<(), ReadError> {
        let mut in_grid = vec![false; head.n_columns];
        grid.cells
            .iter()
            .for_each(|&(column, ..)| in_grid[column] = true);
        let mut rest = roles.rest(head.n_columns);
        rest.retain(|&column| !in_grid[column]);
        if roles.label.is_none() && !self.no_labels(head) {
            roles.label = self.label_among(head, &rest);
            if roles.label.is_none() && self.options.labels == Labels::Required {
                return Err(self.no_label_column(head, &rest));
            }
        }
        rest.retain(|&column| Some(column) != roles.label);
        let time = head.usual(TIME_NAMES, &roles.taken());
        if let Some(time) = time.filter(|time| rest.contains(time)) {
            self.check_panel(head, roles, (time, grid))?;
        }
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

    /// Refuses to guess whether rows are samples, or steps of samples that come back behind the first rows.
    fn check_panel(
        &self,
        head: &Head,
        roles: &Roles,
        (time, grid): (usize, &Grid),
    ) -> Result<(), ReadError> {
        let [id] = roles.ids[..] else {
            return Ok(());
        };
        let (ids, times) = (head.kind(id, self.missing), head.kind(time, self.missing));
        let ambiguous = head.is_cut() && ids.distinct == ids.filled && times.repeats();
        if self.known.is_some() || !ambiguous || grid.cells.len() > MOST_OF_A_PANEL {
            return Ok(());
        }
        let found = format!("times that repeat in {}", head.describe(time));
        let expected = "to be told whether a row is a sample or a step";
        let name = head.name(time);
        let hint = format!("--time-column {name} reads steps, --ignore-columns {name} samples");
        Err(self.place(head).found(found, expected).hint(hint))
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
        let outside: Vec<usize> = match roles.values.is_empty() {
            true => Vec::new(),
            false => (0..head.n_columns)
                .filter(|c| !taken.contains(c) && !rest.contains(c))
                .collect(),
        };
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
        let number = known
            .label_column
            .as_ref()
            .and_then(|label| label.parse().ok());
        let last = head.n_columns.saturating_sub(1);
        // Counted from the front, unless it was the last one.
        let place = match number {
            Some(number) if known.n_columns != Some(number) => last.min(number.max(1) - 1),
            _ => last,
        };
        let n_values = roles.rest(head.n_columns).len();
        let fits = |n: usize| n > 0 && n.is_multiple_of(known.n_variates);
        let required = self.options.labels == Labels::Required;
        let lacks_one = known.n_columns == Some(head.n_columns + 1);
        if head.kind(place, self.missing).is_text() || (required && !lacks_one) {
            roles.label = Some(place);
        } else if !(lacks_one || head.names.is_some() || (fits(n_values) && !fits(n_values - 1))) {
            let found = format!("{} columns of numbers without names", head.n_columns);
            let expected = "to be told whether one of them holds labels";
            let hint = "--no-label says that none does, --label-column last that the last one does";
            return Err(self.place(head).found(found, expected).hint(hint));
        }
        Ok(())
    }

    /// Columns of text cannot be values.
    pub(in crate::data::read::table) fn pass_over_texts(&self, head: &Head, roles: &mut Roles) {
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

    /// Refuses to take values by place where the known table told by names what they are.
    fn check_places(&self, head: &Head) -> Result<(), ReadError> {
        let Some(known) = self.known.filter(|_| self.options.n_variates.is_none()) else {
            return Ok(());
        };
        let hint = "--variates N with --layout time-major or variate-major takes values by place";
        let place = self.place(head);
        if let Some(time) = &known.time_column {
            let expected = format!("the time column `{time}`, as the model was trained on");
            let hint = "--time-column names it, if it has another name";
            return Err(place.found("no such column", expected).hint(hint));
        }
        if head.names.is_none() && !known.columns.is_empty() {
            let found = format!("{} columns without a header", head.n_columns);
            let expected = format!(
                "a header, or the {} columns that the model was trained on",
                known.columns.len()
            );
            return Err(place.found(found, expected).hint(hint));
        }
        Ok(())
    }

    fn by_place(&self, head: &Head, roles: &mut Roles) -> Result<WideValues, ReadError> {
        self.check_places(head)?;
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
