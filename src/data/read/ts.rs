//! Reads `.ts` files of the UEA/UCR archive.
//!
//! ```text
//! # comment
//! @problemName Gestures          the name of the set
//! @classLabel true wave point    the classes; without names, those of the rows
//! @data
//! 1.0,1.5,2.0:0.1,?,0.3:wave     variate : variate : class, each variate from its first step on
//! 1.2,1.1:0.4,0.2:Point          lengths may differ; so may the case of a class name
//! ```
//!
//! The rows tell shapes and missing values. What the header says about them is checked, and said to
//! be wrong where it is: in files of the archive it is wrong now and then. With `@timestamps true`,
//! values are written `(time,value)`.

mod claims;

use std::io::BufRead;

use self::claims::Claims;
use super::lines::{Lines, words};
use super::options::{Labels, ReadOptions};
use super::sample::{Facts, LabelOrigin, Sample, Source};
use super::source::Opened;
use super::text::{Missing, parse_time, set_name};
use super::{Place, ReadError};
use crate::data::classes::find_class;
use crate::data::{Series, SeriesError};

/// The samples of a `.ts` file, read as they are asked for.
struct Ts<R> {
    lines: Lines<R>,
    missing: Missing,
    labels: Labels,
    /// Whether rows end with a class.
    labeled: bool,
    /// Whether values are written with their times.
    timed: bool,
    claims: Claims,
    facts: Facts,
    row: u64,
    /// Variates and line of the first row.
    first: Option<(usize, u64)>,
}

/// Reads a `.ts` file.
pub(super) fn read<'a>(
    opened: Opened<'a>,
    options: &ReadOptions,
) -> Result<Box<dyn Source + 'a>, ReadError> {
    let lines = Lines::new(opened.reader, &opened.file, b'#');
    let mut ts = Ts {
        lines,
        missing: Missing::new(&options.missing),
        labels: options.labels,
        labeled: false,
        timed: false,
        claims: Claims::default(),
        facts: Facts {
            name: set_name(&opened.file),
            ..Facts::default()
        },
        row: 0,
        first: None,
    };
    ts.read_header()?;
    if !ts.labeled && options.labels == Labels::Required {
        let error = Place::file(&opened.file).found("no class labels", "`@classLabel true`");
        return Err(error.hint("--no-label reads a file without labels"));
    }
    Ok(Box::new(ts))
}

impl<R: BufRead> Ts<R> {
    /// Reads up to and including `@data`.
    fn read_header(&mut self) -> Result<(), ReadError> {
        while self.lines.advance()? {
            let line = self.lines.text().into_owned();
            let words = words(&line);
            // A line of blanks that are not ASCII has no words.
            let key = words
                .first()
                .map_or(String::new(), |word| word.to_lowercase());
            let value = words.get(1).map(String::as_str).unwrap_or_default();
            let is_true = value.eq_ignore_ascii_case("true");
            match key.as_str() {
                "@data" => return Ok(()),
                "@problemname" if !value.is_empty() => self.facts.name = value.to_owned(),
                "@timestamps" => self.timed = is_true,
                "@targetlabel" if is_true => {
                    let expected = "a set with class labels, not regression targets";
                    return Err(self.lines.unexpected(expected));
                }
                "@classlabel" if is_true => {
                    self.labeled = true;
                    let origin = LabelOrigin::of_file("the end of each row");
                    self.facts.label = (self.labels != Labels::Absent).then_some(origin);
                    self.facts.classes = (words.len() > 2).then(|| words[2..].to_vec());
                }
                _ if key.starts_with('@') => self.claims.read(&key, value),
                _ => {
                    let expected = "a header line that starts with `@`, up to `@data`";
                    return Err(self.lines.unexpected(expected));
                }
            }
        }
        Err(self
            .lines
            .place()
            .found("the end of the file", "a line `@data` and rows below it"))
    }

    fn sample(&mut self) -> Result<Sample, ReadError> {
        let row = self.row;
        self.row += 1;
        let line = self.lines.number;
        let text = self.lines.text().into_owned();
        let (values, label) = self.split_label(&text)?;
        let label = self.label(label)?;
        let variates = self.variates(values)?;
        let place = self.lines.place();
        let &mut (expected, first) = self.first.get_or_insert((variates.len(), line));
        if variates.len() != expected {
            let found = format!("{} variates", variates.len());
            return Err(place.found(found, format!("{expected} as in line {first}")));
        }
        self.claims.see(&variates, line);
        let series = self.series(variates).map_err(ReadError::series(place))?;
        Ok(Sample::new(row, line, series, label))
    }

    /// The values of a row, and its class.
    fn split_label<'t>(&self, text: &'t str) -> Result<(&'t str, &'t str), ReadError> {
        if !self.labeled {
            return Ok((text, ""));
        }
        let Some((values, label)) = text.rsplit_once(':') else {
            let expected = "a `:` and the class after the values";
            return Err(self.lines.place().field("label").found_text(text, expected));
        };
        Ok((values, label.trim().trim_matches('"')))
    }

    fn label(&mut self, label: &str) -> Result<Option<String>, ReadError> {
        if !self.labeled || self.labels == Labels::Absent {
            return Ok(None);
        }
        if self.missing.is_label(label) {
            let expected = "the name of a class";
            return match self.labels {
                Labels::Required => Err(self
                    .lines
                    .place()
                    .field("label")
                    .found_text(label, expected)),
                _ => Ok(None),
            };
        }
        // A header that does not quote names with blanks lists their fragments.
        if let Some(listed) = &self.facts.classes
            && find_class(listed, label).is_none()
            && label.contains(' ')
        {
            let parts: Vec<&str> = label.split_whitespace().collect();
            let within = |window: &[String]| window.iter().zip(&parts).all(|(a, b)| a == b);
            if listed.windows(parts.len()).any(within) {
                self.facts.classes = None;
                let note = "class names have blanks: those of the rows are taken";
                self.facts.notes.push(note.to_owned());
            }
        }
        Ok(Some(label.to_owned()))
    }

    /// Times and values of each variate; nothing between two colons is one without values.
    fn variates(&self, text: &str) -> Result<Vec<Variate>, ReadError> {
        let mut variates = Vec::new();
        let parts = if self.timed {
            split_timed(text)
        } else {
            text.split(':').collect()
        };
        for (number, part) in (1..).zip(parts) {
            let part = part.trim();
            let mut variate = Variate::default();
            if part.is_empty() {
                variates.push(variate);
                continue;
            }
            let points = if self.timed {
                points(part)
            } else {
                part.split(',').collect()
            };
            for (place, word) in (1..).zip(points) {
                let word = word.trim();
                let (time, word) = if self.timed {
                    self.timed_value(word, (number, place))?
                } else {
                    (None, word)
                };
                variate.times.extend(time);
                variate.values.push(self.value(word, (number, place))?);
            }
            variates.push(variate);
        }
        Ok(variates)
    }

    fn value(&self, word: &str, at: (usize, usize)) -> Result<f32, ReadError> {
        // Nothing between two commas is no way to write a missing value here.
        let value = self.missing.value(word).filter(|_| !word.is_empty());
        value.ok_or_else(|| {
            let error = self.field(at).found_text(word, self.missing.expected());
            match word {
                "" => error,
                _ => error.hint("--missing reads a word as missing"),
            }
        })
    }

    /// Time and value of `(time,value)`.
    fn timed_value<'t>(
        &self,
        word: &'t str,
        at: (usize, usize),
    ) -> Result<(Option<f64>, &'t str), ReadError> {
        let inner = word
            .strip_prefix('(')
            .and_then(|word| word.strip_suffix(')'));
        let pair = inner.and_then(|inner| inner.rsplit_once(','));
        let pair = pair.and_then(|(time, value)| Some((parse_time(time.trim())?, value.trim())));
        match pair {
            Some((time, value)) => Ok((Some(time), value)),
            None => Err(self
                .field(at)
                .found_text(word, "`(time,value)`, with `@timestamps true`")),
        }
    }

    fn field(&self, (variate, value): (usize, usize)) -> Place {
        self.lines
            .place()
            .field(format!("variate {variate}, value {value}"))
    }

    fn series(&self, variates: Vec<Variate>) -> Result<Series, SeriesError> {
        let n_variates = variates.len();
        if !self.timed {
            let n_steps = variates
                .iter()
                .map(|v| v.values.len())
                .max()
                .unwrap_or_default();
            let at = |step: usize, v: &Variate| v.values.get(step).copied().unwrap_or(f32::NAN);
            let steps = 0..n_steps;
            let values = steps.flat_map(|step| variates.iter().map(move |v| at(step, v)));
            return untimed(values.collect(), n_variates);
        }
        let mut times: Vec<f64> = variates
            .iter()
            .flat_map(|v| v.times.iter().copied())
            .collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let mut values = vec![f32::NAN; times.len() * n_variates];
        for (number, variate) in variates.iter().enumerate() {
            for (time, &value) in variate.times.iter().zip(&variate.values) {
                let step = times.partition_point(|other| other < time);
                values[step * n_variates + number] = value;
            }
        }
        Series::new(values, times.len(), n_variates)?.with_times(times)
    }
}

/// A series of evenly spaced steps up to the last one that has a value, and of at least one if there
/// are any: shorter series may be filled up at their ends.
pub(super) fn untimed(mut values: Vec<f32>, n_variates: usize) -> Result<Series, SeriesError> {
    let written = values.len() / n_variates.max(1);
    let known = values.iter().rposition(|value| !value.is_nan());
    let n_steps = known.map_or(1, |index| index / n_variates.max(1) + 1);
    let n_steps = n_steps.min(written);
    values.truncate(n_steps * n_variates);
    Series::new(values, n_steps, n_variates)
}

/// One variate of a row.
#[derive(Debug, Default)]
struct Variate {
    values: Vec<f32>,
    /// Times of the values, where they are written.
    times: Vec<f64>,
}

/// The variates of a row with times, whose dates have colons too.
fn split_timed(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut open) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => open = true,
            b')' => open = false,
            b':' if !open => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The points `(time,value)` of a variate.
fn points(text: &str) -> Vec<&str> {
    text.split_inclusive(')')
        .map(|point| point.trim_start_matches([',', ' ']))
        .collect()
}

impl<R: BufRead> Source for Ts<R> {
    fn next(&mut self) -> Result<Option<Sample>, ReadError> {
        if self.lines.advance()? {
            return self.sample().map(Some);
        }
        self.facts.warnings.append(&mut self.claims.wrong());
        Ok(None)
    }

    fn facts(&mut self) -> &mut Facts {
        &mut self.facts
    }
}
