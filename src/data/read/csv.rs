//! Reads CSV tables with one row per sample: its values, and its class in one column.
//!
//! ```text
//! red_1,nir_1,red_2,nir_2,crop        a header, or none
//! 0.21,0.33,0.25,0.41,maize           two steps of two variates, time-major
//! 0.20,,0.22,0.35,wheat               an empty cell, NaN, NA or ? is a missing value
//! 0.19,0.31,,,wheat                   missing to the end: a series of one step
//! ```

mod columns;
mod rows;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use self::columns::Columns;
use self::rows::Rows;
use super::ReadError;
use super::text::set_name;
use crate::data::classes::Classes;
use crate::data::{LabeledSeries, SeriesDataset};

/// How the rows of a table are laid out.
///
/// # Examples
///
/// ```
/// use timesclip::data::csv::{CsvFormat, Layout};
///
/// // Fourteen columns a step, the class in the last column.
/// let steps = CsvFormat::new(14);
/// // All steps of the first variate, then all of the second; the class in a named column.
/// let variates = CsvFormat {
///     layout: Layout::VariateMajor,
///     label_column: Some("crop".to_owned()),
///     ..CsvFormat::new(14)
/// };
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsvFormat {
    /// Number of variates of every sample; the number of columns then tells that of steps.
    pub n_variates: usize,
    /// Order of the value columns.
    pub layout: Layout,
    /// Name of the column that holds the class, which needs a header; `None` is the last column.
    pub label_column: Option<String>,
    /// Whether rows have labels.
    #[serde(default)]
    pub labels: Labels,
    /// What separates columns: an ASCII character that no number contains. `None` is a tab in a file
    /// that ends in `.tsv` or `.tab`, and a comma in any other.
    pub delimiter: Option<char>,
    /// Whether the first row is a header.
    pub header: HeaderRow,
}

/// Order of the value columns of a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// All variates of the first step, then all of the second: `[n_steps, n_variates]`.
    #[default]
    TimeMajor,
    /// All steps of the first variate, then all of the second: `[n_variates, n_steps]`.
    VariateMajor,
}

impl FromStr for Layout {
    type Err = ReadError;

    fn from_str(name: &str) -> Result<Self, ReadError> {
        match name {
            "time-major" => Ok(Self::TimeMajor),
            "variate-major" => Ok(Self::VariateMajor),
            other => Err(ReadError::Format {
                found: format!("the layout {other:?}"),
                expected: "time-major or variate-major",
            }),
        }
    }
}

/// Whether the rows of a table have labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// All have.
    #[default]
    Required,
    /// Cells of the label column may be empty: their rows have a class without a name.
    Optional,
    /// There is no label column: all rows have one class without a name.
    Absent,
}

/// Whether the first row of a table is a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderRow {
    /// It is one if the label column is named, or if no value cell holds a number and one holds
    /// text. Column numbers (0, 1, 2, ..) that a sample could hold too are refused.
    #[default]
    Auto,
    /// It is one.
    Present,
    /// It is a sample.
    Absent,
}

impl CsvFormat {
    /// The format of time-major rows with the class in the last column.
    pub fn new(n_variates: usize) -> Self {
        Self {
            n_variates,
            layout: Layout::default(),
            label_column: None,
            labels: Labels::default(),
            delimiter: None,
            header: HeaderRow::default(),
        }
    }

    /// Checks that a file can have this format.
    ///
    /// # Errors
    ///
    /// [`ReadError::Format`] for zero variates, a delimiter that numbers, quotes or lines need,
    /// and a named label column without a header, or of a table without labels.
    pub fn validate(&self) -> Result<(), ReadError> {
        let refuse = |found, expected| Err(ReadError::Format { found, expected });
        if self.n_variates == 0 {
            return refuse("0 variates".to_owned(), "at least one");
        }
        self.delimiter_byte(Path::new(""))?;
        match &self.label_column {
            Some(name) if self.labels == Labels::Absent => {
                let found = format!("the label column `{name}` and no labels");
                refuse(found, "one or the other")
            }
            Some(name) if self.header == HeaderRow::Absent => {
                let found = format!("the label column `{name}` and no header");
                refuse(
                    found,
                    "a header that names it, or the label in the last column",
                )
            }
            _ => Ok(()),
        }
    }

    fn delimiter_byte(&self, file: &Path) -> Result<u8, ReadError> {
        let tabs = |ending: &OsStr| {
            ["tsv", "tab"]
                .iter()
                .any(|&tab| ending.eq_ignore_ascii_case(tab))
        };
        let usual = match file.extension().is_some_and(tabs) {
            true => '\t',
            false => ',',
        };
        let delimiter = self.delimiter.unwrap_or(usual);
        u8::try_from(delimiter)
            .ok()
            .filter(|byte| byte.is_ascii())
            .filter(|byte| !byte.is_ascii_alphanumeric() && !b"+-.?\"\r\n".contains(byte))
            .ok_or_else(|| ReadError::Format {
                found: format!("the delimiter {delimiter:?}"),
                expected: "an ASCII character such as a comma, a semicolon or a tab",
            })
    }
}

/// Reads a CSV file.
///
/// Sample ids are row numbers, from 0, not counting the header. Steps at the end of a row that
/// are missing in all variates are dropped, so that lengths are true; a row without any value is
/// one missing step. Class names are the distinct labels, sorted: as numbers if all are numbers.
///
/// # Errors
///
/// [`ReadError`] names the file, the line and the column, what was found and what was expected.
pub fn read_csv(path: &Path, format: &CsvFormat) -> Result<SeriesDataset, ReadError> {
    let file = File::open(path).map_err(ReadError::io(path))?;
    parse_csv(file, path, format)
}

/// Reads a CSV table from any source of bytes; `file` stands for it in messages, and its stem is
/// the name of the set.
///
/// # Errors
///
/// As [`read_csv`].
///
/// # Examples
///
/// ```
/// use std::path::Path;
/// use timesclip::data::csv::{CsvFormat, parse_csv};
///
/// let table = "red_1,nir_1,red_2,nir_2,crop\n0.2,0.3,0.2,0.4,maize\n0.2,0.3,,,wheat\n";
/// let set = parse_csv(table.as_bytes(), Path::new("crops.csv"), &CsvFormat::new(2))?;
///
/// assert_eq!(set.class_names(), ["maize", "wheat"]);
/// assert_eq!(set.samples()[0].series.n_steps(), 2);
/// assert_eq!(set.samples()[1].series.n_steps(), 1);
/// # Ok::<(), timesclip::data::ReadError>(())
/// ```
pub fn parse_csv(
    reader: impl Read,
    file: &Path,
    format: &CsvFormat,
) -> Result<SeriesDataset, ReadError> {
    format.validate()?;
    let mut rows = Rows::new(reader, file, format.delimiter_byte(file)?);
    if !rows.advance()? {
        return Err(ReadError::Empty {
            file: file.to_owned(),
        });
    }
    let columns = Columns::of_first_row(&rows, format)?;
    let first_line = rows.line();
    if columns.has_header() && !rows.advance()? {
        return Err(ReadError::NoRows {
            file: file.to_owned(),
            line: first_line,
        });
    }
    let mut classes = Classes::from_rows();
    let mut samples = Vec::new();
    loop {
        let (series, label) = columns.parse(&rows, &mut classes)?;
        samples.push(LabeledSeries {
            id: samples.len() as u64,
            series,
            label,
        });
        if !rows.advance()? {
            break;
        }
    }
    let class_names = classes.into_names(&mut samples);
    SeriesDataset::new(set_name(file), class_names, samples).map_err(ReadError::dataset(file))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(table: impl AsRef<[u8]>, format: &CsvFormat) -> Result<SeriesDataset, ReadError> {
        parse_csv(table.as_ref(), Path::new("toy.csv"), format)
    }

    fn refusal(table: impl AsRef<[u8]>, format: &CsvFormat) -> String {
        parse(table, format).unwrap_err().to_string()
    }

    fn labeled_by(column: &str) -> CsvFormat {
        CsvFormat {
            label_column: Some(column.to_owned()),
            ..CsvFormat::new(2)
        }
    }

    fn with_header(header: HeaderRow) -> CsvFormat {
        CsvFormat {
            header,
            ..CsvFormat::new(2)
        }
    }

    /// Values with missing ones as `None`, so that they compare equal.
    fn values(set: &SeriesDataset, index: usize) -> Vec<Option<f32>> {
        let values = set.samples()[index].series.values();
        values
            .iter()
            .map(|&value| (!value.is_nan()).then_some(value))
            .collect()
    }

    #[test]
    fn rows_become_samples_in_order() {
        let set = parse("1,10,2,20,b\n3,30,4,40,a\n", &CsvFormat::new(2)).unwrap();

        assert_eq!(
            (set.name(), set.len(), set.n_variates(), set.max_steps()),
            ("toy", 2, 2, 2)
        );
        assert_eq!(set.class_names(), ["a", "b"]);
        assert_eq!(set.samples()[0].series.values(), [1.0, 10.0, 2.0, 20.0]);
        let ids_and_labels: Vec<_> = set.samples().iter().map(|s| (s.id, s.label)).collect();
        assert_eq!(ids_and_labels, [(0, 1), (1, 0)]);
    }

    #[test]
    fn both_layouts_give_the_same_series() {
        let steps = parse("1,10,100,2,20,200,a\n", &CsvFormat::new(3)).unwrap();
        let format = CsvFormat {
            layout: Layout::VariateMajor,
            ..CsvFormat::new(3)
        };
        let variates = parse("1,2,10,20,100,200,a\n", &format).unwrap();

        assert_eq!(steps, variates);
        assert_eq!(steps.samples()[0].series.value(1, 2), 200.0);
    }

    #[test]
    fn the_label_column_may_stand_anywhere() {
        let table = "a1,b1,crop,a2,b2\n1,10,oat,2,20\n";

        let set = parse(table, &labeled_by("crop")).unwrap();

        assert_eq!(set.class_names(), ["oat"]);
        assert_eq!(set.samples()[0].series.values(), [1.0, 10.0, 2.0, 20.0]);
    }

    #[test]
    fn a_wide_table_takes_its_shape_from_the_columns() {
        let (n_steps, n_variates) = (37, 14);
        let row = |shift: usize, class: &str| {
            let cells: Vec<String> = (0..n_steps * n_variates)
                .map(|i| (i + shift).to_string())
                .collect();
            format!("{},{class}\n", cells.join(","))
        };
        let table = row(5, "wheat") + &row(9, "maize");

        let set = parse(table, &CsvFormat::new(n_variates)).unwrap();

        assert_eq!((set.max_steps(), set.n_variates()), (37, 14));
        assert_eq!(set.samples()[0].series.value(36, 13), 522.0);
        assert_eq!(set.samples()[1].label, 0);
    }

    #[test]
    fn missing_cells_are_nan() {
        let set = parse("1,,?,NaN, NA ,6,a\n", &CsvFormat::new(2)).unwrap();

        assert_eq!(
            values(&set, 0),
            [Some(1.0), None, None, None, None, Some(6.0)]
        );
    }

    #[test]
    fn steps_missing_to_the_end_are_not_counted() {
        let table = "1,10,2,20,3,30,a\n1,10,2,,,,a\n1,10,,,,30,a\n,,,,,,a\n";

        let set = parse(table, &CsvFormat::new(2)).unwrap();

        let lengths: Vec<usize> = set.samples().iter().map(|s| s.series.n_steps()).collect();
        assert_eq!(lengths, [3, 2, 3, 1]);
        assert_eq!(values(&set, 1), [Some(1.0), Some(10.0), Some(2.0), None]);
        assert_eq!(values(&set, 3), [None, None]);
    }

    #[test]
    fn steps_missing_to_the_end_are_not_counted_in_variate_major_rows() {
        let format = CsvFormat {
            layout: Layout::VariateMajor,
            ..CsvFormat::new(2)
        };

        let set = parse("1,,,10,20,,a\n", &format).unwrap();

        assert_eq!(values(&set, 0), [Some(1.0), Some(10.0), None, Some(20.0)]);
    }

    #[test]
    fn a_header_is_recognised_by_its_text() {
        let rows = "1,10,x\n3,30,y\n";
        let plain = parse(rows, &CsvFormat::new(2)).unwrap();

        for header in ["a,b,class\n", "na,k,class\n", ",b,\n"] {
            assert_eq!(
                parse(format!("{header}{rows}"), &CsvFormat::new(2)).unwrap(),
                plain
            );
        }
    }

    #[test]
    fn a_first_row_with_a_number_or_only_missing_values_is_a_sample() {
        assert_eq!(parse(",,x\n1,2,y\n", &CsvFormat::new(2)).unwrap().len(), 2);
        assert_eq!(
            parse("NA,?,x\n1,2,y\n", &CsvFormat::new(2)).unwrap().len(),
            2
        );
        assert!(refusal("1,oops,x\n1,2,y\n", &CsvFormat::new(2)).contains("`oops`"));
        assert!(refusal("inf,inf,x\n1,2,y\n", &CsvFormat::new(2)).contains("`inf`"));
    }

    #[test]
    fn a_header_of_numbers_must_be_declared() {
        let table = "0,1,2,3,class\n5,6,7,8,a\n";

        let message = refusal(table, &CsvFormat::new(2));
        assert!(message.contains("whether there is a header"), "{message}");
        assert!(refusal("1,2,3,4,a\n", &CsvFormat::new(2)).contains("header"));
        assert_eq!(
            parse(table, &with_header(HeaderRow::Present))
                .unwrap()
                .len(),
            1
        );
        assert_eq!(
            parse(table, &with_header(HeaderRow::Absent)).unwrap().len(),
            2
        );
        assert_eq!(parse(table, &labeled_by("class")).unwrap().len(), 1);
    }

    #[test]
    fn delimiters_quotes_blank_lines_and_line_ends_are_read() {
        let plain = parse("1,10,a b\n3,30,c\n", &CsvFormat::new(2)).unwrap();

        let tabs = CsvFormat {
            delimiter: Some('\t'),
            ..CsvFormat::new(2)
        };
        let table = "1\t10\ta b\n3\t30\tc";
        assert_eq!(parse(table, &tabs).unwrap(), plain);
        for name in ["toy.tsv", "toy.TAB"] {
            let file = Path::new(name);
            let read = parse_csv(table.as_bytes(), file, &CsvFormat::new(2)).unwrap();
            assert_eq!(read.samples(), plain.samples(), "{name}");
        }
        let semicolons = CsvFormat {
            delimiter: Some(';'),
            ..CsvFormat::new(2)
        };
        let table = "\u{feff}1; 10 ;\"a b\"\r\n\r\n\"3\";30;c \r\n\r\n";
        assert_eq!(parse(table, &semicolons).unwrap(), plain);
    }

    #[test]
    fn latin1_labels_are_read() {
        assert_eq!(
            parse(b"1,2,Gr\xfcn\n", &CsvFormat::new(2))
                .unwrap()
                .class_names(),
            ["Gr\u{fc}n"]
        );
    }

    #[test]
    fn labels_that_are_numbers_are_sorted_as_numbers() {
        let set = parse("1,2,10\n1,2,9\n1,2,-1\n", &CsvFormat::new(2)).unwrap();

        assert_eq!(set.class_names(), ["-1", "9", "10"]);
        assert_eq!(set.samples()[0].label, 2);
    }

    #[test]
    fn a_bad_cell_is_named_with_line_column_and_header() {
        let expected = "expected a finite 32-bit number, or `NaN`, `NA` or `?` for a missing one";
        for bad in ["x", "inf", "-inf", "1e39", "1.2.3"] {
            assert_eq!(
                refusal(
                    format!("a,b,class\n1,2,x\n\n1,{bad},y\n"),
                    &CsvFormat::new(2)
                ),
                format!("`toy.csv`, line 4, column 2 (`b`): found `{bad}`, {expected}")
            );
            assert_eq!(
                refusal(format!("1,{bad},x\n"), &CsvFormat::new(2)),
                format!("`toy.csv`, line 1, column 2: found `{bad}`, {expected}")
            );
        }
    }

    #[test]
    fn lines_are_those_of_the_file() {
        // Line 1 is blank; the label of the first row holds a line break, so it ends in line 3.
        let table = "\n1,2,\"x\ny\"\n\n\n1,oops,z\n";

        assert!(refusal(table, &CsvFormat::new(2)).starts_with("`toy.csv`, line 6, column 2"));
        let unclosed = "1,2,x\n1,oops,\"y\nz\n";
        assert!(refusal(unclosed, &CsvFormat::new(2)).starts_with("`toy.csv`, line 2, column 2"));
        let windows = "\r\n1,2,x\r\n \r\n1,oops,z";
        assert!(refusal(windows, &CsvFormat::new(2)).starts_with("`toy.csv`, line 4, column 2"));
        // Longer than any buffer.
        let wide = format!("{}x\n", "1,".repeat(100_000)).repeat(2) + "1\n";
        assert!(
            refusal(wide, &CsvFormat::new(2)).starts_with("`toy.csv`, line 3: found 1 columns")
        );
    }

    #[test]
    fn a_ragged_row_is_refused() {
        for row in ["1,2", "1,2,3,x"] {
            let found = row.split(',').count();
            assert_eq!(
                refusal(format!("a,b,class\n1,2,x\n{row}\n"), &CsvFormat::new(2)),
                format!("`toy.csv`, line 3: found {found} columns, expected 3 as in line 1")
            );
        }
    }

    #[test]
    fn columns_that_make_no_steps_are_refused() {
        assert_eq!(
            refusal("1,2,3,4,9,x\n", &CsvFormat::new(2)),
            "`toy.csv`, line 1: found 5 value columns, expected a multiple of the 2 variates"
        );
        assert_eq!(
            refusal("x\ny\n", &CsvFormat::new(2)),
            "`toy.csv`, line 1: found 0 value columns, expected a multiple of the 2 variates"
        );
    }

    #[test]
    fn a_label_column_that_is_not_there_is_refused() {
        assert_eq!(
            refusal("a,b,class\n1,2,x\n", &labeled_by("crop")),
            "`toy.csv`, line 1: found 0 columns called `crop`, expected one among: a, b, class"
        );
        assert!(
            refusal("crop,b,crop\n1,2,x\n", &labeled_by("crop"))
                .contains("found 2 columns called `crop`")
        );
    }

    #[test]
    fn a_row_without_label_is_refused() {
        assert_eq!(
            refusal("a,b,class\n1,2, \n", &CsvFormat::new(2)),
            "`toy.csv`, line 2, column 3 (`class`): found ``, expected the name of a class"
        );
    }

    fn with_labels(labels: Labels) -> CsvFormat {
        CsvFormat {
            labels,
            ..CsvFormat::new(2)
        }
    }

    #[test]
    fn a_row_without_label_is_of_a_class_without_name_where_labels_are_optional() {
        let set = parse("1,2,\n3,4,x\n", &with_labels(Labels::Optional)).unwrap();

        assert_eq!(set.class_names(), ["", "x"]);
        assert_eq!((set.samples()[0].label, set.samples()[1].label), (0, 1));
    }

    #[test]
    fn a_table_without_labels_holds_values_alone() {
        let format = with_labels(Labels::Absent);
        for header in ["", "a,b,c,d\n"] {
            let set = parse(format!("{header}1,10,2,20\n3,30,,\n"), &format).unwrap();

            assert_eq!(set.class_names(), [""]);
            assert_eq!(set.samples()[0].series.values(), [1.0, 10.0, 2.0, 20.0]);
            assert_eq!(set.samples()[1].series.n_steps(), 1);
        }
        assert_eq!(
            refusal("1,10,2,20,x\n", &format),
            "`toy.csv`, line 1: found 5 value columns, expected a multiple of the 2 variates"
        );
        let named = CsvFormat {
            labels: Labels::Absent,
            ..labeled_by("crop")
        };
        assert!(refusal("1,2\n", &named).contains("`crop` and no labels"));
    }

    #[test]
    fn a_table_without_rows_is_refused() {
        assert_eq!(
            refusal("", &CsvFormat::new(2)),
            "`toy.csv` is empty, expected a row for each sample"
        );
        assert_eq!(
            refusal("a,b,class\n", &CsvFormat::new(2)),
            "`toy.csv` has no rows after its header in line 1, expected one for each sample"
        );
    }

    #[test]
    fn formats_that_no_file_can_have_are_refused() {
        assert_eq!(
            refusal("1,2,x\n", &CsvFormat::new(0)),
            "the CSV format has 0 variates, expected at least one"
        );
        for delimiter in ['"', '\n', '.', '-', '5', 'e', 'é', '→'] {
            let message = refusal(
                "1,2,x\n",
                &CsvFormat {
                    delimiter: Some(delimiter),
                    ..CsvFormat::new(2)
                },
            );
            assert!(
                message.contains(&format!("the delimiter {delimiter:?}")),
                "{message}"
            );
        }
        let layout = "sideways".parse::<Layout>().unwrap_err().to_string();
        assert!(layout.contains("time-major or variate-major"), "{layout}");
        let nameless = CsvFormat {
            header: HeaderRow::Absent,
            ..labeled_by("crop")
        };
        assert_eq!(
            refusal("1,2,x\n", &nameless),
            "the CSV format has the label column `crop` and no header, expected a header that names \
             it, or the label in the last column"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            n_variates in 0usize..4,
        ) {
            let _ = parse(bytes, &CsvFormat::new(n_variates));
        }

        #[test]
        fn any_table_is_read_or_refused(
            table in "((([0-9.?-]{0,3}|NaN|\"|a),){2,4}[a-c\"]?\r?\n){0,6}",
            variate_major: bool,
            named: bool,
        ) {
            let layout = if variate_major { Layout::VariateMajor } else { Layout::TimeMajor };
            let label_column = named.then(|| "a".to_owned());
            let _ = parse(table, &CsvFormat { layout, label_column, ..CsvFormat::new(2) });
        }

        #[test]
        fn written_values_are_read_back(
            rows in prop::collection::vec(prop::collection::vec(-1e6f32..1e6, 6), 1..6),
        ) {
            let row = |row: &Vec<f32>| {
                let words: Vec<String> = row.iter().map(f32::to_string).collect();
                format!("{},a\n", words.join(","))
            };
            let set = parse(rows.iter().map(row).collect::<String>(), &CsvFormat::new(3)).unwrap();
            let read: Vec<Vec<f32>> =
                set.samples().iter().map(|sample| sample.series.values().to_vec()).collect();
            prop_assert_eq!(read, rows);
        }
    }
}
