//! What the header of a `.ts` file says about its rows, and whether it is true.

use super::Variate;

/// What a header says, and what the rows show.
#[derive(Debug, Default)]
pub(super) struct Claims {
    dimensions: Option<usize>,
    univariate: Option<bool>,
    equal_length: Option<bool>,
    series_length: Option<usize>,
    missing: Option<bool>,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    n_variates: usize,
    /// Shortest and longest series, with the line of the first one of another length.
    steps: Option<(usize, usize)>,
    other_length: Option<u64>,
    /// Line of the first missing value.
    missing: Option<u64>,
}

impl Claims {
    /// Takes a line of the header.
    pub(super) fn read(&mut self, key: &str, value: &str) {
        let truth = match value.to_lowercase().as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        match key {
            "@dimensions" | "@dimension" => self.dimensions = value.parse().ok(),
            "@univariate" => self.univariate = truth,
            "@equallength" => self.equal_length = truth,
            "@serieslength" => self.series_length = value.parse().ok(),
            "@missing" => self.missing = truth,
            _ => {}
        }
    }

    /// Takes a row.
    pub(super) fn see(&mut self, variates: &[Variate], line: u64) {
        let seen = &mut self.seen;
        seen.n_variates = variates.len();
        let missing = |variate: &Variate| variate.values.iter().any(|value| value.is_nan());
        if variates.iter().any(missing) {
            seen.missing.get_or_insert(line);
        }
        let lengths = || variates.iter().map(|variate| variate.values.len());
        let (low, high) = (lengths().min().unwrap_or(0), lengths().max().unwrap_or(0));
        let (shortest, longest) = seen.steps.unwrap_or((low, high));
        if low != shortest || high != longest || low != high {
            seen.other_length.get_or_insert(line);
        }
        seen.steps = Some((shortest.min(low), longest.max(high)));
    }

    /// What the header says wrongly.
    pub(super) fn wrong(&self) -> Vec<String> {
        let seen = &self.seen;
        let Some((shortest, longest)) = seen.steps else {
            return Vec::new();
        };
        let mut wrong = Vec::new();
        if let Some(claimed) = self
            .dimensions
            .filter(|&claimed| claimed != seen.n_variates)
        {
            let found = seen.n_variates;
            wrong.push(format!(
                "the header says `@dimensions {claimed}`, the rows have {found}"
            ));
        }
        if let Some(claimed) = self.univariate.filter(|&one| one != (seen.n_variates == 1)) {
            let found = seen.n_variates;
            wrong.push(format!(
                "the header says `@univariate {claimed}`, the rows have {found} variates"
            ));
        }
        if let (Some(true), Some(line)) = (self.equal_length, seen.other_length) {
            wrong.push(format!(
                "the header says `@equalLength true`, series have {shortest} to {longest} steps \
                 (another length in line {line})"
            ));
        }
        if let Some(claimed) = self
            .series_length
            .filter(|&n| n != longest || n != shortest)
            && self.equal_length != Some(false)
        {
            let found = match shortest == longest {
                true => shortest.to_string(),
                false => format!("{shortest} to {longest}"),
            };
            wrong.push(format!(
                "the header says `@seriesLength {claimed}`, series have {found} steps"
            ));
        }
        if let (Some(false), Some(line)) = (self.missing, seen.missing) {
            wrong.push(format!(
                "the header says `@missing false`, line {line} has a missing value"
            ));
        }
        wrong
    }
}
