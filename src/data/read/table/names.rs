//! From the names of columns to variates and steps: `acc_x_0 .. acc_x_49`, `t0_acc_x`, `acc_x[0]`.

use std::collections::{BTreeMap, HashMap};

use crate::data::read::error::shortened;
use crate::data::read::options::Layout;
use crate::data::read::text::parse_time;

/// Names of the step itself, which do not tell a variate from another.
const STEP_WORDS: &[&str] = &[
    "",
    "t",
    "step",
    "time",
    "ts",
    "timestep",
    "time_step",
    "value",
    "v",
];

/// Finds variate and step in a name.
type Style = fn(&str) -> Option<(String, f64)>;

/// How a name says which step of which variate its column holds; earlier ones are preferred.
const STYLES: [Style; 6] = [date, date_first, bracket, step_first, trailing, leading];

/// The place of `trailing` among them.
const TRAILING: usize = 4;

/// What names say of value columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Grid {
    /// Names of the variates; empty for one that has none.
    pub(super) variates: Vec<String>,
    /// Numbers or times of the steps, ascending.
    pub(super) steps: Vec<f64>,
    /// Indices among the given names, with step and variate, in the order of the names.
    pub(super) cells: Vec<(usize, usize, usize)>,
}

impl Grid {
    /// Variates and steps of the names that tell them. `None` if there are none; the error says
    /// what does not fit.
    pub(super) fn of(names: &[(usize, &str)]) -> Option<Result<Self, String>> {
        let parsed = STYLES.map(|style| {
            let parse = |&(column, name): &(usize, &str)| style(name).map(|(v, s)| (column, v, s));
            names.iter().filter_map(parse).collect::<Vec<_>>()
        });
        let most = parsed.iter().map(Vec::len).max()?;
        let mut found = parsed
            .into_iter()
            .enumerate()
            .filter(|(_, found)| found.len() == most && most > 0);
        let (style, first) = found.next()?;
        // `0_B2`, `0_B3`, `1_B2`: the numbers that count are those of steps.
        let unsure = style == TRAILING && !counts(&first);
        let other = found.next().filter(|(_, other)| unsure && counts(other));
        let found = other.map_or(first, |(_, other)| other);
        let mut steps: Vec<f64> = found.iter().map(|&(_, _, step)| step).collect();
        steps.sort_by(f64::total_cmp);
        steps.dedup();
        // Numbers in the names of columns of one step would make variates of anything.
        (steps.len() > 1).then(|| Self::arranged(found, steps))
    }

    fn arranged(found: Vec<(usize, String, f64)>, steps: Vec<f64>) -> Result<Self, String> {
        let mut variates: Vec<String> = Vec::new();
        let mut number: HashMap<String, usize> = HashMap::new();
        let mut cells = Vec::with_capacity(found.len());
        let mut taken: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (column, name, at) in found {
            let variate = *number.entry(name).or_insert_with_key(|name| {
                variates.push(name.clone());
                variates.len() - 1
            });
            let step = steps.partition_point(|&step| step < at);
            if taken.insert((variate, step), column).is_some() {
                return Err(format!(
                    "two columns of step {at} of `{}`",
                    variates[variate]
                ));
            }
            cells.push((column, step, variate));
        }
        for (variate, name) in variates.iter().enumerate() {
            let missing = (0..steps.len()).filter(|&step| !taken.contains_key(&(variate, step)));
            let missing: Vec<String> = missing.map(|step| steps[step].to_string()).collect();
            if !missing.is_empty() {
                let missing = shortened(&missing);
                return Err(format!("no column of variate `{name}` for step {missing}"));
            }
        }
        Ok(Self {
            variates: bare(variates),
            steps,
            cells,
        })
    }

    /// The order of the columns, if it is one of the two.
    pub(super) fn layout(&self) -> Option<Layout> {
        let (n_steps, n_variates) = (self.steps.len(), self.variates.len().max(1));
        let is = |place: fn(usize, usize, (usize, usize)) -> usize| {
            let mut cells = self.cells.iter().enumerate();
            cells.all(|(i, &(_, step, variate))| place(step, variate, (n_steps, n_variates)) == i)
        };
        if is(|step, variate, (_, n_variates)| step * n_variates + variate) {
            Some(Layout::TimeMajor)
        } else if is(|step, variate, (n_steps, _)| variate * n_steps + step) {
            Some(Layout::VariateMajor)
        } else {
            None
        }
    }
}

/// Whether the steps are the whole numbers from 0 or 1 on.
fn counts(found: &[(usize, String, f64)]) -> bool {
    let mut steps: Vec<f64> = found.iter().map(|&(_, _, step)| step).collect();
    steps.sort_by(f64::total_cmp);
    steps.dedup();
    let ascends = steps.windows(2).all(|pair| pair[1] - pair[0] == 1.0);
    ascends && steps.len() > 1 && (steps[0] == 0.0 || steps[0] == 1.0)
}

/// Variates without what only says "step": `x_t`, from `x_t0`, is `x`; the only one of `t0`, `t1`
/// has no name.
fn bare(variates: Vec<String>) -> Vec<String> {
    if let [only] = variates.as_slice()
        && STEP_WORDS.contains(&only.to_lowercase().as_str())
    {
        return Vec::new();
    }
    for suffix in ["_t", "_step", "_time", ".t", "-t"] {
        let cut = variates
            .iter()
            .map(|name| name.strip_suffix(suffix).filter(|s| !s.is_empty()));
        if let Some(cut) = cut.collect::<Option<Vec<_>>>() {
            return cut.into_iter().map(str::to_owned).collect();
        }
    }
    variates
}

/// Whether a name tells a step of one of the given variates.
pub(super) fn tells(name: &str, variates: &[String]) -> bool {
    let variate = |style: &Style| style(name).map(|(variate, _)| variate);
    STYLES
        .iter()
        .filter_map(variate)
        .any(|variate| variates.contains(&variate))
}

/// A whole number of at most 15 digits, which a float holds exactly.
fn number(digits: &str) -> Option<f64> {
    let plain = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

fn without_separator(name: &str) -> &str {
    name.strip_suffix(['_', '.', '-', ' ', ':', '/'])
        .unwrap_or(name)
}

/// `acc_x[0]`, `acc_x(0)`.
fn bracket(name: &str) -> Option<(String, f64)> {
    let inner = name.strip_suffix(']').map(|inner| (inner, '['));
    let (inner, open) = inner.or_else(|| name.strip_suffix(')').map(|inner| (inner, '(')))?;
    let (variate, digits) = inner.rsplit_once(open)?;
    let variate = without_separator(variate.trim_end());
    Some((variate.to_owned(), number(digits.trim())?))
}

/// `t0_acc_x`, `step12.acc_x`.
fn step_first(name: &str) -> Option<(String, f64)> {
    let lower = name.to_lowercase();
    let words = ["timestep", "time_step", "step", "time", "day", "ts", "t"];
    let word = words.iter().find(|word| lower.starts_with(**word))?;
    let rest = name.get(word.len()..)?.trim_start_matches(['_', '+']);
    split_leading(rest)
}

/// `12_acc_x`.
fn leading(name: &str) -> Option<(String, f64)> {
    split_leading(name)
}

fn split_leading(name: &str) -> Option<(String, f64)> {
    let end = name.find(|c: char| !c.is_ascii_digit())?;
    let variate = name[end..].strip_prefix(['_', '.', '-', ' ', ':', '/'])?;
    if variate.is_empty() {
        return None;
    }
    Some((variate.to_owned(), number(&name[..end])?))
}

/// `acc_x_0`, `acc_x.0`, `acc_x0`, `0`.
fn trailing(name: &str) -> Option<(String, f64)> {
    let digits = name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (variate, digits) = name.split_at(name.len() - digits);
    let step = number(digits)?;
    // The minus of `x_-1`, not the hyphen of `x-1`.
    let minus = variate
        .strip_suffix('-')
        .filter(|variate| variate.ends_with('_'));
    let (variate, step) = match minus {
        Some(variate) => (variate, -step),
        None => (variate.strip_suffix('+').unwrap_or(variate), step),
    };
    Some((without_separator(variate).to_owned(), step))
}

/// `ndvi_2024-05-01`, `ndvi_20240501`, `ndvi_2024-05`, `x_12:30`.
fn date(name: &str) -> Option<(String, f64)> {
    ["2024-05-01", "20240501", "2024-05", "12:30"]
        .iter()
        .find_map(|like| {
            let at = name.len().checked_sub(like.len())?;
            let (variate, date) = (name.get(..at)?, name.get(at..)?);
            let apart = variate.ends_with(|c: char| !c.is_ascii_alphanumeric());
            let whole = like.len() == "2024-05-01".len();
            let step = calendar(date).filter(|_| variate.is_empty() || apart || whole)?;
            Some((without_separator(variate).to_owned(), step))
        })
}

/// `2024-05-01_B2`, `20240501_B2`, `2024-05_B2`.
fn date_first(name: &str) -> Option<(String, f64)> {
    ["2024-05-01", "20240501", "2024-05"]
        .iter()
        .find_map(|like| {
            let (date, rest) = name.split_at_checked(like.len())?;
            let variate = rest.strip_prefix(['_', '.', ' ', ':', '/'])?;
            let step = calendar(date).filter(|_| !variate.is_empty())?;
            Some((variate.to_owned(), step))
        })
}

/// Seconds of a day, a month or a time of day.
fn calendar(text: &str) -> Option<f64> {
    let day = |year: &str, month: &str, day: &str| {
        let digits = [year, month, day].iter().all(|part| number(part).is_some());
        let is_recent = ["19", "20", "21"]
            .iter()
            .any(|century| year.starts_with(century));
        let date = format!("{year}-{month}-{day}");
        if digits && is_recent {
            parse_time(&date)
        } else {
            None
        }
    };
    let parts: Vec<&str> = text.split(['-', '/']).collect();
    match parts[..] {
        [year, month, of_month] => day(year, month, of_month),
        [year, month] if month.len() == 2 => day(year, month, "01"),
        [digits] if digits.len() == 8 => day(digits.get(..4)?, digits.get(4..6)?, digits.get(6..)?),
        [clock] => {
            let (hour, minute) = clock.split_once(':')?;
            let (hour, minute) = (number(hour)?, number(minute)?);
            (hour < 24.0 && minute < 60.0).then_some(hour * 3600.0 + minute * 60.0)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(names: &[&str]) -> Option<Result<Grid, String>> {
        let numbered: Vec<(usize, &str)> = names.iter().copied().enumerate().collect();
        Grid::of(&numbered)
    }

    fn variates(names: &[&str]) -> (Vec<String>, Vec<f64>, Option<Layout>) {
        let grid = grid(names).unwrap().unwrap();
        let layout = grid.layout();
        (grid.variates, grid.steps, layout)
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn every_usual_spelling_tells_variates_and_steps() {
        let steps = vec![0.0, 1.0];
        let two = owned(&["acc_x", "acc_y"]);
        let time_major = (two.clone(), steps.clone(), Some(Layout::TimeMajor));
        for names in [
            ["acc_x_0", "acc_y_0", "acc_x_1", "acc_y_1"],
            ["acc_x.0", "acc_y.0", "acc_x.1", "acc_y.1"],
            ["acc_x0", "acc_y0", "acc_x1", "acc_y1"],
            ["acc_x[0]", "acc_y[0]", "acc_x[1]", "acc_y[1]"],
            ["acc_x (0)", "acc_y (0)", "acc_x (1)", "acc_y (1)"],
            ["t0_acc_x", "t0_acc_y", "t1_acc_x", "t1_acc_y"],
            [
                "step_0.acc_x",
                "step_0.acc_y",
                "step_1.acc_x",
                "step_1.acc_y",
            ],
            ["0_acc_x", "0_acc_y", "1_acc_x", "1_acc_y"],
            ["acc_x_t0", "acc_y_t0", "acc_x_t1", "acc_y_t1"],
        ] {
            assert_eq!(variates(&names), time_major, "{names:?}");
        }
        let names = ["acc_x_0", "acc_x_1", "acc_y_0", "acc_y_1"];
        assert_eq!(variates(&names), (two, steps, Some(Layout::VariateMajor)));
    }

    #[test]
    fn columns_may_stand_in_any_order() {
        let found = grid(&["b_2", "a_1", "a_2", "b_1"]).unwrap().unwrap();
        assert_eq!(found.layout(), None);
        assert_eq!(found.variates, ["b", "a"]);
        assert_eq!(found.cells, [(0, 1, 0), (1, 0, 1), (2, 1, 1), (3, 0, 0)]);
    }

    #[test]
    fn steps_alone_are_one_variate_without_a_name() {
        assert_eq!(variates(&["0", "1", "2"]).0, owned(&[]));
        assert_eq!(variates(&["t1", "t2"]).0, owned(&[]));
        assert_eq!(variates(&["x1", "x2"]).0, owned(&["x"]));
    }

    #[test]
    fn steps_may_be_dates_or_have_gaps() {
        let (names, steps, _) = variates(&["ndvi_2024-05-01", "ndvi_2024-05-03"]);
        assert_eq!((names, steps[1] - steps[0]), (owned(&["ndvi"]), 172_800.0));
        assert_eq!(variates(&["a_0", "a_1", "a_5"]).1, [0.0, 1.0, 5.0]);
        let day = 86_400.0;
        for names in [
            ["ndvi_20240531", "ndvi_20240601", "ndvi_20240602"],
            ["2024-05-31_ndvi", "2024-06-01_ndvi", "2024-06-02_ndvi"],
            ["20240531_ndvi", "20240601_ndvi", "20240602_ndvi"],
        ] {
            let (variate, steps, _) = variates(&names);
            assert_eq!(variate, ["ndvi"], "{names:?}");
            let apart = [steps[1] - steps[0], steps[2] - steps[1]];
            assert_eq!(apart, [day, day], "{names:?}");
        }
        let (variate, steps, _) = variates(&["ndvi_2024-11", "ndvi_2024-12", "ndvi_2025-01"]);
        assert_eq!(
            (variate, steps[2] - steps[0]),
            (owned(&["ndvi"]), 61.0 * day)
        );
        let (variate, steps, _) = variates(&["x_00:00", "x_00:30", "x_01:00"]);
        assert_eq!((variate, steps), (owned(&["x"]), vec![0.0, 1800.0, 3600.0]));
        let (variate, steps, _) = variates(&["x_-2", "x_-1", "x_1"]);
        assert_eq!((variate, steps), (owned(&["x"]), vec![-2.0, -1.0, 1.0]));
        // Neither a month nor a day.
        assert_eq!(
            variates(&["x_20241301", "x_20241302"]).1,
            [20_241_301.0, 20_241_302.0]
        );
    }

    #[test]
    fn numbers_that_count_are_those_of_steps() {
        let names = ["0_B2", "0_B3", "0_B4", "1_B2", "1_B3", "1_B4"];
        let bands = owned(&["B2", "B3", "B4"]);
        assert_eq!(
            variates(&names),
            (bands, vec![0.0, 1.0], Some(Layout::TimeMajor))
        );
        let names = ["1_x_0", "1_x_1", "2_x_0", "2_x_1"];
        let (of_two, steps) = (owned(&["1_x", "2_x"]), vec![0.0, 1.0]);
        assert_eq!(
            variates(&names),
            (of_two, steps, Some(Layout::VariateMajor))
        );
        assert_eq!(
            variates(&["day1_s1", "day1_s2", "day2_s1", "day2_s2"]).0,
            ["s1", "s2"]
        );
    }

    #[test]
    fn names_that_contradict_each_other_are_refused() {
        let refusal = |names: &[&str]| grid(names).unwrap().unwrap_err();
        assert_eq!(
            refusal(&["a_0", "a_1", "b_0"]),
            "no column of variate `b` for step 1"
        );
        assert_eq!(
            refusal(&["a_0", "a_1", "a_01"]),
            "two columns of step 1 of `a`"
        );
    }

    #[test]
    fn names_without_steps_tell_nothing() {
        assert_eq!(grid(&["mean", "std", "label"]), None);
        assert_eq!(grid(&["pm2", "o2"]).map(|g| g.is_err()), None);
    }
}
