//! Tables of every shape, written by another program's writer, come back equal; damaged ones are told.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use super::super::parse;
use super::full;
use crate::data::read::{OnError, ReadOptions, ReadSeries};

/// Tables that are written and read back, and tables that are damaged first.
const TABLES: u32 = 1000;
const DAMAGED: u32 = 200;

const NAMES: [&str; 6] = ["x", "acc_x", "temp C", "a,b", "v;w", "say \"y\""];
const CLASSES: [&str; 5] = ["walk", "sit down", "a,b", "1 \"st\"", "Größe"];
const MISSING: [&str; 6] = ["", "NaN", "NA", "NULL", "None", "?"];

/// A table and how it is written.
#[derive(Clone, Debug)]
struct Table {
    /// `[n_rows][n_steps][n_variates]`; `None` is missing.
    values: Vec<Vec<Vec<Option<f32>>>>,
    labels: Vec<usize>,
    n_variates: usize,
    delimiter: u8,
    /// How a name tells its step.
    style: usize,
    /// Whether the columns of values are in the reverse order.
    reversed: bool,
    /// Whether the label comes first, and whether there are ids.
    label_first: bool,
    ids: bool,
    quoted: bool,
    windows_ends: bool,
    missing: usize,
}

fn tables() -> impl Strategy<Value = Table> {
    let shape = (2usize..8, 2usize..6, 1usize..4);
    shape.prop_flat_map(|(n_rows, n_steps, n_variates)| {
        let value = prop_oneof![6 => (-1e6f32..1e6).prop_map(Some), 1 => Just(None), 1 => (-9i8..9).prop_map(|v| Some(f32::from(v)))];
        let steps = prop::collection::vec(prop::collection::vec(value, n_variates), n_steps);
        let flags = prop::array::uniform5(any::<bool>());
        (
            prop::collection::vec(steps, n_rows),
            prop::collection::vec(0..CLASSES.len(), n_rows),
            prop_oneof![Just(b','), Just(b';'), Just(b'\t'), Just(b'|')],
            0usize..4,
            flags,
            0..MISSING.len(),
        )
            .prop_map(move |(values, labels, delimiter, style, flags, missing)| {
                let [reversed, label_first, ids, quoted, windows_ends] = flags;
                Table {
                    values,
                    labels,
                    n_variates,
                    delimiter,
                    style,
                    reversed,
                    label_first,
                    ids,
                    quoted,
                    windows_ends,
                    missing,
                }
            })
    })
}

impl Table {
    fn name(&self, variate: usize, step: usize) -> String {
        let name = NAMES[variate + self.style % 2];
        match self.style {
            0 => format!("{name}_{step}"),
            1 => format!("{name}[{step}]"),
            2 => format!("t{step}_{name}"),
            _ => format!("{name}.{}", step + 1),
        }
    }

    /// The rows of cells, the header first.
    fn rows(&self) -> Vec<Vec<String>> {
        let n_steps = self.values[0].len();
        let mut columns: Vec<(usize, usize)> = (0..n_steps)
            .flat_map(|step| (0..self.n_variates).map(move |v| (v, step)))
            .collect();
        if self.reversed {
            columns.reverse();
        }
        let arranged = |id: String, label: &str, values: Vec<String>| {
            let mut row = values;
            if self.label_first {
                row.insert(0, label.to_owned());
            } else {
                row.push(label.to_owned());
            }
            if self.ids {
                row.insert(0, id);
            }
            row
        };
        let names = columns
            .iter()
            .map(|&(variate, step)| self.name(variate, step))
            .collect();
        let mut rows = vec![arranged("id".to_owned(), "label", names)];
        for (number, (values, &label)) in self.values.iter().zip(&self.labels).enumerate() {
            let cell = |&(variate, step): &(usize, usize)| match values[step][variate] {
                Some(value) => value.to_string(),
                None => MISSING[self.missing].to_owned(),
            };
            let cells = columns.iter().map(cell).collect();
            rows.push(arranged(format!("row {number}"), CLASSES[label], cells));
        }
        rows
    }

    /// The table as the crate `csv` writes it.
    fn text(&self) -> String {
        let style = if self.quoted {
            csv::QuoteStyle::Always
        } else {
            csv::QuoteStyle::Necessary
        };
        let end = if self.windows_ends {
            csv::Terminator::CRLF
        } else {
            csv::Terminator::Any(b'\n')
        };
        let mut writer = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .quote_style(style)
            .terminator(end)
            .from_writer(Vec::new());
        self.rows()
            .iter()
            .for_each(|row| writer.write_record(row).unwrap());
        String::from_utf8(writer.into_inner().unwrap()).unwrap()
    }

    fn options(&self) -> ReadOptions {
        // What cannot be told from one row of two classes is said.
        ReadOptions {
            label_column: Some("label".to_owned()),
            ..ReadOptions::default()
        }
    }

    fn check(&self, read: &ReadSeries) -> Result<(), TestCaseError> {
        prop_assert_eq!(read.dataset.len(), self.values.len());
        prop_assert_eq!(read.dataset.n_variates(), self.n_variates);
        let names = read.dataset.variate_names();
        for (index, sample) in read.dataset.samples().iter().enumerate() {
            let values = &self.values[index];
            for variate in 0..self.n_variates {
                let name = NAMES[variate + self.style % 2];
                let place = names.iter().position(|other| other == name);
                let place =
                    place.ok_or_else(|| TestCaseError::fail(format!("no {name} in {names:?}")))?;
                for (step, cells) in values.iter().enumerate() {
                    let found = if step < sample.series.n_steps() {
                        Some(sample.series.value(step, place)).filter(|value| !value.is_nan())
                    } else {
                        None
                    };
                    prop_assert_eq!(found, cells[variate], "row {}, step {}", index, step);
                }
            }
            let class = &read.dataset.class_names()[sample.label];
            prop_assert_eq!(class, CLASSES[self.labels[index]]);
        }
        if self.ids {
            let ids = &read.dataset.metadata().ids[0].values;
            let expected: Vec<String> = (0..ids.len()).map(|row| format!("row {row}")).collect();
            prop_assert_eq!(ids, &expected);
        }
        Ok(())
    }
}

fn runner(cases: u32) -> TestRunner {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

#[test]
fn a_thousand_generated_tables_come_back_equal() {
    let result = runner(TABLES).run(&tables(), |table| {
        let text = table.text();
        match parse(text.as_bytes(), "t.csv".as_ref(), &table.options()) {
            Ok(read) => table.check(&read),
            Err(error) => Err(TestCaseError::fail(format!("{}\n{text}", full(&error)))),
        }
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn two_hundred_damaged_tables_are_told_by_their_line_or_read_without_the_row() {
    let damage = (tables(), any::<prop::sample::Index>(), 0usize..5);
    let result = runner(DAMAGED).run(&damage, |(table, row, kind)| {
        let text = table.text();
        let end = if table.windows_ends { "\r\n" } else { "\n" };
        let mut lines: Vec<String> = text.split_terminator(end).map(str::to_owned).collect();
        let row = 1 + row.index(lines.len() - 1);
        let delimiter = char::from(table.delimiter);
        let line = &mut lines[row];
        match kind {
            0 => line.push_str(&format!("{delimiter}7")),
            1 => *line = "7".to_owned(),
            2 => *line = format!("\"{}", line.replace('"', "")),
            3 => *line = line.replace('"', "") + "\"",
            _ => {
                let mut rows = table.rows();
                let place = usize::from(table.ids) + usize::from(table.label_first);
                rows[row][place] = "brok*en".to_owned();
                let mut writer = csv::WriterBuilder::new()
                    .delimiter(table.delimiter)
                    .from_writer(Vec::new());
                writer.write_record(&rows[row]).unwrap();
                let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
                *line = text.trim_end().to_owned();
            }
        }
        let text = lines.join(end) + end;
        let options = ReadOptions {
            delimiter: Some(delimiter),
            ..table.options()
        };
        let Err(error) = parse(text.as_bytes(), "t.csv".as_ref(), &options) else {
            return Err(TestCaseError::fail(format!(
                "damage {kind} in line {} is read:\n{text}",
                row + 1
            )));
        };
        prop_assert_eq!(error.line(), Some(row as u64 + 1), "{}\n{}", error, text);
        // Without the row, the others are as they were.
        let skip = ReadOptions {
            on_error: OnError::Skip,
            ..options
        };
        if let Ok(read) = parse(text.as_bytes(), "t.csv".as_ref(), &skip) {
            prop_assert_eq!(read.dataset.len(), table.values.len() - 1);
            prop_assert_eq!(read.understanding.n_rejected, 1);
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes[..], "t".as_ref(), &ReadOptions::default());
    }

    #[test]
    fn any_text_of_a_format_is_read_or_refused(
        start in prop_oneof![
            Just("@classLabel true a b\n@data\n"),
            Just("@timestamps true\n@classLabel true a b\n@data\n"),
            Just("@relation r\n@attribute s relational\n@attribute t numeric\n@end s\n@attribute c {a,b}\n@data\n"),
            Just("@relation r\n@attribute x1 numeric\n@attribute c {a,b}\n@data\n"),
            Just("id,time,x,label\n"),
            Just("id,time,variate,value,label\n"),
            Just(""),
        ],
        rows in "([0-9a-c?.,:;'\"()\\\\ntT\\-# \r\u{e9}@]{0,30}\n){0,8}",
    ) {
        let text = format!("{start}{rows}");
        let _ = parse(text.as_bytes(), "t".as_ref(), &ReadOptions::default());
    }
}
