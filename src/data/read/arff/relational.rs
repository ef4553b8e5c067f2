//! Multivariate `.arff` files: an attribute holds all series of a sample.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use super::{Bytes, Header, data_lines, split};
use crate::data::read::lines::Lines;
use crate::data::read::options::{Labels, ReadOptions};
use crate::data::read::sample::{Facts, LabelOrigin, Sample, Source};
use crate::data::read::text::{Missing, excerpt, set_name};
use crate::data::read::ts::untimed;
use crate::data::read::{Place, ReadError};

/// The samples of a multivariate file.
pub(super) struct Relational {
    lines: Lines<Cursor<Bytes>>,
    /// Place of the series and of the class among the cells.
    series: usize,
    label: Option<usize>,
    n_attributes: usize,
    missing: Missing,
    labels: Labels,
    facts: Facts,
    row: u64,
}

impl Relational {
    pub(super) fn open<'a>(
        text: Arc<str>,
        file: &Path,
        header: Header,
        options: &ReadOptions,
    ) -> Result<Box<dyn Source + 'a>, ReadError> {
        let lines = data_lines(text, file, &header);
        let attributes = &header.attributes;
        let wanted = options.label_column.as_ref();
        let label = match (options.labels, wanted) {
            (Labels::Absent, _) => None,
            (_, Some(name)) => attributes
                .iter()
                .position(|attribute| attribute.name == *name),
            (_, None) => attributes
                .iter()
                .rposition(|attribute| attribute.classes.is_some()),
        };
        if label.is_none() && options.labels == Labels::Required {
            let error = Place::file(file).found("no attribute of classes", "one, such as `{a, b}`");
            return Err(error.hint("--label-column names it, --no-label reads without labels"));
        }
        let name = match header.relation.is_empty() {
            true => set_name(file),
            false => header.relation.clone(),
        };
        let origin = label.map(|at| LabelOrigin {
            text: format!("attribute \"{}\"", excerpt(&attributes[at].name)),
            column: Some(attributes[at].name.clone()),
        });
        let classes = label.and_then(|at| attributes[at].classes.clone());
        Ok(Box::new(Self {
            series: attributes
                .iter()
                .position(|a| a.relational)
                .unwrap_or_default(),
            n_attributes: attributes.len(),
            lines,
            label,
            missing: Missing::new(&options.missing),
            labels: options.labels,
            facts: Facts {
                name,
                label: origin,
                classes,
                ..Facts::default()
            },
            row: 0,
        }))
    }

    fn sample(&mut self) -> Result<Sample, ReadError> {
        let row = self.row;
        self.row += 1;
        let text = self.lines.text();
        let place = || self.lines.place();
        let cells = split(&text).map_err(|found| place().found(found, "cells in quotes"))?;
        if cells.len() != self.n_attributes {
            let found = format!("{} cells", cells.len());
            return Err(place().found(found, format!("{}, one an attribute", self.n_attributes)));
        }
        let mut variates: Vec<Vec<f32>> = Vec::new();
        for (variate, line) in (1..).zip(cells[self.series].text.split('\n')) {
            let value = |(number, word): (usize, &str)| {
                let word = word.trim();
                let found = self.missing.value(word).filter(|_| !word.is_empty());
                let field = format!("variate {variate}, value {number}");
                let error = || {
                    place()
                        .field(field)
                        .found_text(word, self.missing.expected())
                };
                found.ok_or_else(error)
            };
            variates.push(
                (1..)
                    .zip(line.split(','))
                    .map(value)
                    .collect::<Result<_, _>>()?,
            );
        }
        let n_steps = variates.iter().map(Vec::len).max().unwrap_or_default();
        let at = |step: usize, variate: &Vec<f32>| variate.get(step).copied().unwrap_or(f32::NAN);
        let steps = 0..n_steps;
        let values = steps
            .flat_map(|step| variates.iter().map(move |v| at(step, v)))
            .collect();
        let series = untimed(values, variates.len());
        let series = series.map_err(ReadError::series(place()))?;
        let label = self
            .label
            .map(|at| cells[at].text.as_str())
            .unwrap_or_default();
        let label = match (self.missing.is_label(label), self.labels) {
            (true, Labels::Required) => {
                let place = place().field("label");
                return Err(place.found(format!("`{}`", excerpt(label)), "the name of a class"));
            }
            (true, _) => None,
            (false, _) => Some(label.to_owned()),
        };
        Ok(Sample::new(row, self.lines.number, series, label))
    }
}

impl Source for Relational {
    fn next(&mut self) -> Result<Option<Sample>, ReadError> {
        match self.lines.advance()? {
            true => self.sample().map(Some),
            false => Ok(None),
        }
    }

    fn facts(&mut self) -> &mut Facts {
        &mut self.facts
    }
}
