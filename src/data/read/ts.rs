//! Reads UEA/UCR `.ts` files.
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
//! The rows tell shapes and missing values; what the header says about them (`@dimensions`,
//! `@univariate`, `@equalLength`, `@seriesLength`, `@missing`) is not read, because it is wrong in
//! files of the archive. Bytes that are not UTF-8 are read as Latin-1. Time stamps and regression
//! targets are refused.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::text::{BYTE_ORDER_MARK, EXPECTED_VALUE, decode, excerpt, parse_value, set_name};
use super::{Field, ReadError};
use crate::data::classes::Classes;
use crate::data::{LabeledSeries, Series, SeriesDataset};

/// Reads a `.ts` file.
///
/// Sample ids are row numbers after `@data`, from 0. Variates of one sample that are shorter than
/// its longest one are missing (`NaN`) from their end on. Classes keep the order of the header.
///
/// # Errors
///
/// [`ReadError`] names the file, the line and the field, what was found and what was expected.
pub fn read_ts(path: &Path) -> Result<SeriesDataset, ReadError> {
    let file = File::open(path).map_err(ReadError::io(path))?;
    parse_ts(BufReader::new(file), path)
}

/// Reads a `.ts` file from any source of bytes; `file` stands for it in messages, and its stem is
/// the name of a set that has no `@problemName`.
///
/// # Errors
///
/// As [`read_ts`].
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use timesclip::data::ts::parse_ts;
///
/// let text = "@classLabel true up down\n@data\n1,2,3:4,5,?:up\n3,2:7,7:down\n";
/// let dataset = parse_ts(text.as_bytes(), Path::new("slopes.ts"))?;
///
/// assert_eq!(dataset.name(), "slopes");
/// assert_eq!(dataset.class_names(), ["up", "down"]);
/// assert_eq!(dataset.samples()[0].series.n_steps(), 3);
/// assert_eq!(dataset.samples()[1].series.variate(1).collect::<Vec<_>>(), [7.0, 7.0]);
/// # Ok::<(), timesclip::data::ReadError>(())
/// ```
pub fn parse_ts(reader: impl BufRead, file: &Path) -> Result<SeriesDataset, ReadError> {
    let mut lines = Lines {
        reader,
        file,
        number: 0,
        bytes: Vec::new(),
    };
    let (name, mut classes) = read_header(&mut lines)?;
    let line = lines.number;
    let mut samples = read_rows(&mut lines, &mut classes)?;
    if samples.is_empty() {
        return Err(ReadError::NoRows {
            file: file.to_owned(),
            line,
        });
    }
    let class_names = classes.into_names(&mut samples);
    let name = name.unwrap_or_else(|| set_name(file));
    SeriesDataset::new(name, class_names, samples).map_err(ReadError::dataset(file))
}

/// The lines of a file that are neither blank nor comments, and where they are.
struct Lines<'a, R> {
    reader: R,
    file: &'a Path,
    /// Number of the line at hand, from 1.
    number: u64,
    /// The line at hand, with its end.
    bytes: Vec<u8>,
}

impl<R: BufRead> Lines<'_, R> {
    /// Goes to the next line; false at the end of the file.
    fn advance(&mut self) -> Result<bool, ReadError> {
        loop {
            self.bytes.clear();
            let n_bytes = self
                .reader
                .read_until(b'\n', &mut self.bytes)
                .map_err(ReadError::io(self.file))?;
            if n_bytes == 0 {
                return Ok(false);
            }
            self.number += 1;
            if self.number == 1 && self.bytes.starts_with(BYTE_ORDER_MARK) {
                self.bytes.drain(..BYTE_ORDER_MARK.len());
            }
            let line = self.bytes.trim_ascii();
            if !line.is_empty() && !line.starts_with(b"#") {
                return Ok(true);
            }
        }
    }

    /// The line at hand, trimmed.
    fn text(&self) -> Cow<'_, str> {
        decode(self.bytes.trim_ascii())
    }

    fn header_error(&self, expected: &'static str) -> ReadError {
        let found = excerpt(&self.text());
        ReadError::Header {
            file: self.file.to_owned(),
            line: self.number,
            found,
            expected,
        }
    }
}

/// Reads up to and including `@data`: the name of the set, if there is one, and its classes.
fn read_header<R: BufRead>(
    lines: &mut Lines<'_, R>,
) -> Result<(Option<String>, Classes), ReadError> {
    let (mut name, mut classes) = (None, None);
    while lines.advance()? {
        let line = lines.text();
        match HeaderLine::parse(&line).map_err(|expected| lines.header_error(expected))? {
            HeaderLine::Name(found) => name = Some(found),
            HeaderLine::Classes(found) => classes = Some(found),
            HeaderLine::Unused => {}
            HeaderLine::Data => {
                let missing = || lines.header_error("a line `@classLabel true` before it");
                return Ok((name, classes.ok_or_else(missing)?));
            }
        }
    }
    let (file, line) = (lines.file.to_owned(), lines.number);
    Err(if line == 0 {
        ReadError::Empty { file }
    } else {
        ReadError::NoDataLine { file, line }
    })
}

/// What one line of a header says.
enum HeaderLine {
    Name(String),
    Classes(Classes),
    /// Something that the rows tell too, and more truly.
    Unused,
    Data,
}

impl HeaderLine {
    /// Reads a line; the error is what was expected instead.
    fn parse(line: &str) -> Result<Self, &'static str> {
        let mut words = line.split_whitespace();
        let key = words.next().unwrap_or_default().to_lowercase();
        let value = words.next().unwrap_or_default();
        let is_true = value.eq_ignore_ascii_case("true");
        match key.as_str() {
            "@data" => Ok(Self::Data),
            "@problemname" if !value.is_empty() => Ok(Self::Name(value.to_owned())),
            "@timestamps" if is_true => Err("a set without time stamps"),
            "@targetlabel" if is_true => Err("a set with class labels, not regression targets"),
            "@classlabel" if !is_true => Err("`true` and the names of the classes"),
            "@classlabel" => {
                let names: Vec<String> = words.map(str::to_owned).collect();
                Ok(Self::Classes(match names.as_slice() {
                    [] => Classes::from_rows(),
                    _ => Classes::listed(names),
                }))
            }
            _ if key.starts_with('@') => Ok(Self::Unused),
            _ => Err("a header line that starts with `@`, up to `@data`"),
        }
    }
}

/// The samples of all rows; their ids are the numbers of their rows.
fn read_rows<R: BufRead>(
    lines: &mut Lines<'_, R>,
    classes: &mut Classes,
) -> Result<Vec<LabeledSeries>, ReadError> {
    let mut samples: Vec<LabeledSeries> = Vec::new();
    let mut first_line = 0;
    while lines.advance()? {
        let row = Row {
            text: &lines.text(),
            file: lines.file,
            line: lines.number,
        };
        let (series, label) = row.parse(classes)?;
        match samples.first() {
            None => first_line = row.line,
            Some(first) => row.check_variates(&series, &first.series, first_line)?,
        }
        samples.push(LabeledSeries {
            id: samples.len() as u64,
            series,
            label,
        });
    }
    Ok(samples)
}

/// One row: the variates and the label, separated by colons.
struct Row<'a> {
    text: &'a str,
    file: &'a Path,
    line: u64,
}

impl Row<'_> {
    /// The series and its label.
    fn parse(&self, classes: &mut Classes) -> Result<(Series, usize), ReadError> {
        let (values, label) = self.text.rsplit_once(':').ok_or_else(|| {
            self.field_error(
                Field::Label,
                self.text,
                "a `:` and the class after the values",
            )
        })?;
        let label = self.parse_label(label.trim(), classes)?;
        let variates: Vec<Vec<f32>> = (1..)
            .zip(values.split(':'))
            .map(|(variate, words)| self.parse_variate(words, variate))
            .collect::<Result<_, _>>()?;
        let n_steps = variates.iter().map(Vec::len).max().unwrap_or_default();
        let values = time_major(&variates, n_steps);
        Series::new(values, n_steps, variates.len())
            .map(|series| (series, label))
            .map_err(ReadError::row(self.file, self.line))
    }

    fn parse_label(&self, label: &str, classes: &mut Classes) -> Result<usize, ReadError> {
        if label.is_empty() {
            return Err(self.field_error(Field::Label, label, "the name of a class"));
        }
        classes
            .index_of(label)
            .ok_or_else(|| ReadError::UnknownClass {
                file: self.file.to_owned(),
                line: self.line,
                found: excerpt(label),
                classes: classes.names().to_vec(),
            })
    }

    /// The values of one variate; nothing between two colons is a variate without values.
    fn parse_variate(&self, words: &str, variate: usize) -> Result<Vec<f32>, ReadError> {
        if words.trim().is_empty() {
            return Ok(Vec::new());
        }
        (1..)
            .zip(words.split(',').map(str::trim))
            .map(|(value, word)| {
                parse_value(word).ok_or_else(|| {
                    self.field_error(Field::Value { variate, value }, word, EXPECTED_VALUE)
                })
            })
            .collect()
    }

    fn check_variates(
        &self,
        series: &Series,
        first: &Series,
        first_line: u64,
    ) -> Result<(), ReadError> {
        if series.n_variates() == first.n_variates() {
            return Ok(());
        }
        Err(ReadError::VariateCount {
            file: self.file.to_owned(),
            line: self.line,
            found: series.n_variates(),
            expected: first.n_variates(),
            first: first_line,
        })
    }

    fn field_error(&self, field: Field, found: &str, expected: &'static str) -> ReadError {
        ReadError::Field {
            file: self.file.to_owned(),
            line: self.line,
            field,
            found: excerpt(found),
            expected,
        }
    }
}

/// One variate after the other -> `[n_steps, n_variates]`, `NaN` after the end of a variate.
fn time_major(variates: &[Vec<f32>], n_steps: usize) -> Vec<f32> {
    (0..n_steps)
        .flat_map(|step| {
            variates
                .iter()
                .map(move |v| v.get(step).copied().unwrap_or(f32::NAN))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: &str = "@problemName toy\n@classLabel true a b\n@data\n";

    fn parse(text: impl AsRef<[u8]>) -> Result<SeriesDataset, ReadError> {
        parse_ts(text.as_ref(), Path::new("toy.ts"))
    }

    /// Message, and that of its cause, of rows under [`HEADER`], which ends at line 3.
    fn refusal(rows: &str) -> String {
        refusal_of(&format!("{HEADER}{rows}"))
    }

    fn refusal_of(text: &str) -> String {
        let error = parse(text).unwrap_err();
        match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        }
    }

    /// Values with missing ones as `None`, so that they compare equal.
    fn values(dataset: &SeriesDataset, index: usize) -> Vec<Option<f32>> {
        let values = dataset.samples()[index].series.values();
        values
            .iter()
            .map(|&value| (!value.is_nan()).then_some(value))
            .collect()
    }

    #[test]
    fn rows_become_samples_in_order() {
        let set = parse(format!("{HEADER}1,2,3:4,5,6:b\n7,8,9:0,1,2:a\n")).unwrap();

        assert_eq!((set.name(), set.len(), set.n_variates()), ("toy", 2, 2));
        assert_eq!(set.class_names(), ["a", "b"]);
        assert_eq!(values(&set, 0), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0].map(Some));
        let ids_and_labels: Vec<_> = set.samples().iter().map(|s| (s.id, s.label)).collect();
        assert_eq!(ids_and_labels, [(0, 1), (1, 0)]);
    }

    #[test]
    fn lengths_may_differ_between_samples() {
        let set = parse(format!("{HEADER}1,2,3:a\n4:b\n5,6:a\n")).unwrap();

        let lengths: Vec<usize> = set.samples().iter().map(|s| s.series.n_steps()).collect();
        assert_eq!(lengths, [3, 1, 2]);
        assert_eq!(set.max_steps(), 3);
    }

    #[test]
    fn a_shorter_variate_is_missing_from_its_end_on() {
        let set = parse(format!("{HEADER}1,2,3:4::b\n")).unwrap();

        let first = [Some(1.0), Some(4.0), None];
        assert_eq!(
            values(&set, 0),
            [first, [Some(2.0), None, None], [Some(3.0), None, None]].concat()
        );
    }

    #[test]
    fn missing_values_are_read_in_both_spellings() {
        let set = parse(format!("{HEADER} 1 , ? ,NaN, nan,5 : a \n")).unwrap();

        assert_eq!(values(&set, 0), [Some(1.0), None, None, None, Some(5.0)]);
    }

    #[test]
    fn what_the_header_says_about_shapes_is_not_believed() {
        let header = "@univariate true\n@dimensions 7\n@equalLength true\n@seriesLength 99\n\
                      @missing false\n@classLabel true a b\n@data\n";

        let set = parse(format!("{header}1,2:3,?:a\n1:2:b\n")).unwrap();

        assert_eq!((set.n_variates(), set.max_steps()), (2, 2));
    }

    #[test]
    fn class_names_match_in_any_case_and_keep_the_order_of_the_header() {
        let text = "@classLabel TRUE Walk RUN jump\n@data\n1:JUMP\n2:walk\n3:Run\n";

        let set = parse(text).unwrap();

        assert_eq!(set.class_names(), ["Walk", "RUN", "jump"]);
        let labels: Vec<usize> = set.samples().iter().map(|sample| sample.label).collect();
        assert_eq!(labels, [2, 0, 1]);
    }

    #[test]
    fn classes_that_the_header_does_not_list_come_from_the_rows() {
        let set = parse("@classLabel true\n@data\n1:10\n2:9\n3:10\n").unwrap();

        assert_eq!(set.class_names(), ["9", "10"]);
        assert_eq!(set.class_counts(), [1, 2]);
    }

    #[test]
    fn latin1_bytes_are_read() {
        let text =
            b"# Universit\xe9 \xff\n@classLabel true h\xe4\xdflich b\n@data\n1:h\xe4\xdflich\n";

        assert_eq!(
            parse(text).unwrap().class_names(),
            ["h\u{e4}\u{df}lich", "b"]
        );
    }

    #[test]
    fn line_ends_blanks_comments_and_a_byte_order_mark_do_not_matter() {
        let plain = parse(format!("{HEADER}1,2:a\n3:b\n")).unwrap();

        let windows = format!("{HEADER}1,2:a\n3:b\n").replace('\n', "\r\n");
        assert_eq!(parse(windows).unwrap(), plain);
        let marked = format!("\u{feff}# toy\n\n{HEADER}\n# rows\n1,2:a\n  \n\t3:b");
        assert_eq!(parse(marked).unwrap(), plain);
    }

    #[test]
    fn a_set_without_a_name_has_that_of_its_file() {
        let set = |name| parse(format!("{name}@classLabel true a b\n@data\n1:a\n")).unwrap();

        assert_eq!(set("").name(), "toy");
        assert_eq!(set("@problemName\n").name(), "toy");
        assert_eq!(set("@PROBLEMNAME Vowels\n").name(), "Vowels");
    }

    #[test]
    fn constant_and_missing_variates_are_data() {
        let set = parse(format!("{HEADER}1,1,1:?,?,?:a\n")).unwrap();

        assert_eq!(values(&set, 0), [Some(1.0), None].repeat(3));
    }

    #[test]
    fn time_stamps_and_regression_targets_are_refused() {
        for key in ["timeStamps", "timestamps"] {
            assert_eq!(
                refusal_of(&format!(
                    "@problemName x\n@{key} true\n@classLabel true a\n@data\n"
                )),
                format!(
                    "`toy.ts`, line 2: found `@{key} true`, expected a set without time stamps"
                )
            );
        }
        for key in ["targetlabel", "targetLabel"] {
            assert_eq!(
                refusal_of(&format!("@{key} true\n@data\n1,2:0.5\n")),
                format!(
                    "`toy.ts`, line 1: found `@{key} true`, expected a set with class labels, not \
                     regression targets"
                )
            );
        }
        assert!(
            parse(format!(
                "@timeStamps false\n@targetlabel false\n{HEADER}1:a\n"
            ))
            .is_ok()
        );
    }

    #[test]
    fn a_set_without_class_labels_is_refused() {
        assert_eq!(
            refusal_of("@classLabel false\n@data\n1,2\n"),
            "`toy.ts`, line 1: found `@classLabel false`, expected `true` and the names of the \
             classes"
        );
        assert_eq!(
            refusal_of("@problemName x\n@data\n1,2:a\n"),
            "`toy.ts`, line 2: found `@data`, expected a line `@classLabel true` before it"
        );
    }

    #[test]
    fn a_file_without_header_or_rows_is_refused() {
        assert_eq!(
            refusal_of(""),
            "`toy.ts` is empty, expected a row for each sample"
        );
        assert_eq!(
            refusal_of("# only\n\n@problemName x\n"),
            "`toy.ts` ends at line 3 without an `@data` line"
        );
        assert_eq!(
            refusal(""),
            "`toy.ts` has no rows after its header in line 3, expected one for each sample"
        );
        assert_eq!(
            refusal_of("1,2,3:a\n"),
            "`toy.ts`, line 1: found `1,2,3:a`, expected a header line that starts with `@`, up \
             to `@data`"
        );
    }

    #[test]
    fn a_value_that_is_no_finite_number_is_named_with_its_place() {
        let expected = "expected a finite 32-bit number, or `NaN`, `NA` or `?` for a missing one";
        for bad in ["x", "inf", "-Infinity", "1e39", "(0,1)", "1 2", ""] {
            // Bad words with a comma are two values; the first of them is at fault.
            let word = bad.split(',').next().unwrap();
            assert_eq!(
                refusal(&format!("1,2:3,4:a\n\n1,2:3,{bad}:b\n")),
                format!("`toy.ts`, line 6, variate 2, value 2: found `{word}`, {expected}")
            );
        }
    }

    #[test]
    fn a_long_word_is_shortened_in_the_message() {
        let message = refusal(&format!("{}:a\n", "z".repeat(10_000)));

        assert!(message.len() < 200, "{} bytes", message.len());
    }

    #[test]
    fn a_label_outside_the_header_is_refused() {
        assert_eq!(
            refusal("1:a\n2:c\n"),
            "`toy.ts`, line 5, label: found the class `c`, expected one of: a, b"
        );
    }

    #[test]
    fn a_row_without_label_or_values_is_refused() {
        assert_eq!(
            refusal("1,2\n"),
            "`toy.ts`, line 4, label: found `1,2`, expected a `:` and the class after the values"
        );
        assert_eq!(
            refusal("1,2:\n"),
            "`toy.ts`, line 4, label: found ``, expected the name of a class"
        );
        assert_eq!(
            refusal("::a\n"),
            "`toy.ts`, line 4: the row makes no series: the series has no time steps, expected at \
             least one"
        );
    }

    #[test]
    fn rows_of_other_variates_are_refused() {
        assert_eq!(
            refusal("# first\n1:2:a\n3:b\n"),
            "`toy.ts`, line 6: found 1 variates, expected 2 as in line 5"
        );
    }

    #[test]
    fn a_class_listed_twice_is_refused() {
        assert_eq!(
            refusal_of("@classLabel true a b a\n@data\n1:a\n"),
            "`toy.ts` holds no usable data set: two classes have the name `a`, expected every name \
             once"
        );
    }

    #[test]
    fn the_committed_archive_files_are_read_with_their_shapes() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");

        // Facts of the archive: samples, shortest and longest series, samples of each class.
        let train = (270, 7, 26, [30; 9]);
        let test = (370, 7, 29, [31, 35, 88, 44, 29, 24, 40, 50, 29]);
        for (file, facts) in [
            ("JapaneseVowels_TRAIN.ts", train),
            ("JapaneseVowels_TEST.ts", test),
        ] {
            let set = read_ts(&folder.join(file)).unwrap();
            let shortest = set
                .samples()
                .iter()
                .map(|s| s.series.n_steps())
                .min()
                .unwrap();

            assert_eq!(set.name(), "JapaneseVowels");
            assert_eq!((set.n_variates(), set.n_classes()), (12, 9));
            let counts: [usize; 9] = set.class_counts().try_into().unwrap();
            assert_eq!((set.len(), shortest, set.max_steps(), counts), facts);
            assert!(
                set.samples()
                    .iter()
                    .all(|s| s.series.values().iter().all(|v| v.is_finite()))
            );
        }
        let first = read_ts(&folder.join("JapaneseVowels_TRAIN.ts")).unwrap();
        assert_eq!(first.samples()[0].series.value(0, 0), 1.860936);
        assert_eq!(first.samples()[0].series.value(1, 0), 1.891651);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(bytes);
        }

        #[test]
        fn any_text_of_the_format_is_read_or_refused(
            header in "(@[a-zA-Z]{1,12} ?(true|false|[0-9])?( [a-c]){0,3}\n){0,4}",
            rows in "([0-9a-c?.,:\\-# \r\u{e9}@]{0,30}\n){0,8}",
        ) {
            let _ = parse(format!("{header}{HEADER}{rows}"));
        }

        #[test]
        fn written_values_are_read_back(
            rows in prop::collection::vec(prop::collection::vec(-1e6f32..1e6, 1..6), 1..6),
        ) {
            let row = |row: &Vec<f32>| {
                let words: Vec<String> = row.iter().map(f32::to_string).collect();
                format!("{}:a\n", words.join(","))
            };
            let set = parse(HEADER.to_owned() + &rows.iter().map(row).collect::<String>()).unwrap();
            let read: Vec<Vec<f32>> =
                set.samples().iter().map(|sample| sample.series.values().to_vec()).collect();
            prop_assert_eq!(read, rows);
        }
    }
}
