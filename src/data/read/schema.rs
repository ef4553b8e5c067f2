//! `TableSchema`: what a trained model remembers of its data, to match new data by name.

use serde::{Deserialize, Serialize};

use super::error::shortened;
use super::options::{Layout, ReadOptions};
use super::sample::{Facts, Sample, Source};
use super::{Place, ReadError};
use crate::data::Series;

/// What new data have to have in common with those that a model was trained on.
///
/// It is kept in the model file. [`read_like`](super::read_like) reads data by it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableSchema {
    /// Names of the variates; empty where they have none, and the position tells.
    pub variates: Vec<String>,
    /// Number of variates.
    pub n_variates: usize,
    /// Names of the classes, in the order of the model.
    pub class_names: Vec<String>,
    /// The label column: a name, or a number where there is no header.
    pub label_column: Option<String>,
    /// The id columns.
    pub id_columns: Vec<String>,
    /// The group column.
    pub group_column: Option<String>,
    /// The weight column.
    pub weight_column: Option<String>,
    /// The time column of a table with a row for each step.
    pub time_column: Option<String>,
    /// The variate column of a table with a row for each value.
    pub variate_column: Option<String>,
    /// Order of the values of a row, where names did not tell it.
    pub layout: Option<Layout>,
    /// Names of all columns of a table with a header.
    pub columns: Vec<String>,
    /// Number of columns of a table.
    pub n_columns: Option<usize>,
    /// Columns that were passed over because it was asked for.
    pub ignore_columns: Vec<String>,
    /// Columns that hold values, where it was told which do.
    pub value_columns: Vec<String>,
    /// Spellings of a missing value besides the usual ones.
    pub missing: Vec<String>,
    /// The windows that samples were cut in.
    pub windows: Option<crate::data::window::Windows>,
}

impl TableSchema {
    /// The schema of data that were read.
    pub(crate) fn new(
        facts: &Facts,
        options: &ReadOptions,
        (n_variates, class_names): (usize, &[String]),
    ) -> Self {
        Self {
            variates: facts.variates.clone(),
            n_variates,
            class_names: class_names.to_vec(),
            label_column: facts.label.as_ref().and_then(|label| label.column.clone()),
            id_columns: facts.ids.clone(),
            group_column: facts.group.clone(),
            weight_column: facts.weight.clone(),
            time_column: facts.time.clone(),
            variate_column: facts.variate.clone(),
            layout: options.layout,
            columns: facts.columns.clone(),
            n_columns: facts.n_columns,
            ignore_columns: options.ignore_columns.clone(),
            value_columns: options.value_columns.clone(),
            missing: options.missing.clone(),
            windows: options.windows,
        }
    }

    /// The options for new data, with what the schema knows where the options say nothing.
    pub(crate) fn complete(&self, options: &ReadOptions) -> ReadOptions {
        let mut complete = options.clone();
        complete.missing.extend(self.missing.iter().cloned());
        complete.windows = options.windows.or(self.windows);
        complete
    }
}

/// Samples with the variates of a schema, in its order.
pub(crate) struct Matched<'a> {
    source: Box<dyn Source + 'a>,
    /// Index of each variate of the schema among those of the file; `None` if they are alike.
    order: Option<Vec<usize>>,
}

impl<'a> Matched<'a> {
    /// Matches the variates of a file with those of a schema: by name if both have names, else by
    /// position.
    pub(crate) fn new(
        mut source: Box<dyn Source + 'a>,
        schema: &TableSchema,
        place: Place,
    ) -> Result<Self, ReadError> {
        let facts = source.facts();
        if facts.variates.is_empty() || schema.variates.is_empty() {
            return Ok(Self {
                source,
                order: None,
            });
        }
        let at = |name: &String| facts.variates.iter().position(|other| other == name);
        let missing: Vec<&String> = schema.variates.iter().filter(|v| at(v).is_none()).collect();
        if !missing.is_empty() {
            let found = format!("the variates {}", shortened(&facts.variates));
            let expected = format!(
                "also those that the model was trained on: {}",
                shortened(&missing)
            );
            return Err(place.found(found, expected));
        }
        let extra = facts
            .variates
            .iter()
            .filter(|name| !schema.variates.contains(name));
        facts.ignored.extend(extra.cloned().collect::<Vec<_>>());
        let order: Vec<usize> = schema.variates.iter().filter_map(at).collect();
        let alike = facts.variates == schema.variates;
        if !alike && facts.variates.len() == order.len() {
            facts
                .notes
                .push("variates put in the order of the model, by name".to_owned());
        }
        facts.variates.clone_from(&schema.variates);
        Ok(Self {
            source,
            order: (!alike).then_some(order),
        })
    }
}

impl Source for Matched<'_> {
    fn next(&mut self) -> Result<Option<Sample>, ReadError> {
        let Some(mut sample) = self.source.next()? else {
            return Ok(None);
        };
        if let Some(order) = &self.order {
            sample.series = reordered(&sample.series, order)
                .map_err(|source| ReadError::series(Place::default())(source))?;
        }
        Ok(Some(sample))
    }

    fn facts(&mut self) -> &mut Facts {
        self.source.facts()
    }
}

/// The variates of the given indices.
fn reordered(series: &Series, order: &[usize]) -> Result<Series, crate::data::SeriesError> {
    let n_steps = series.n_steps();
    let steps = 0..n_steps;
    let values = steps.flat_map(|step| order.iter().map(move |&v| series.value(step, v)));
    let other = Series::new(values.collect(), n_steps, order.len())?;
    match series.times() {
        Some(times) => other.with_times(times.to_vec()),
        None => Ok(other),
    }
}
