//! Writing what a model answers: tables of predictions, and result files for benchmarks.

#[cfg(feature = "parquet")]
mod parquet;
mod tsml;

use std::io::{self, Write};
use std::iter;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use tsml::TsmlResult;

use super::ReadError;

/// How predictions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerFormat {
    /// Columns separated by commas.
    #[default]
    Csv,
    /// Columns separated by tabs.
    Tsv,
    /// A JSON object in each line.
    Jsonl,
    /// A Parquet file; needs the feature `parquet`.
    Parquet,
}

impl FromStr for AnswerFormat {
    type Err = ReadError;

    fn from_str(name: &str) -> Result<Self, ReadError> {
        match name {
            "csv" => Ok(Self::Csv),
            "tsv" => Ok(Self::Tsv),
            "jsonl" => Ok(Self::Jsonl),
            "parquet" if cfg!(feature = "parquet") => Ok(Self::Parquet),
            "parquet" => {
                let expected =
                    "csv, tsv or jsonl; parquet needs a build with the feature `parquet`";
                Err(ReadError::option("--output-format", name, expected))
            }
            _ => {
                let expected = "csv, tsv, jsonl or parquet";
                Err(ReadError::option("--output-format", name, expected))
            }
        }
    }
}

/// Writes a row for each sample: its ids, the class that is predicted, the probability of that class,
/// and the probability of every class.
///
/// # Examples
///
/// ```
/// use timesclip::data::answers::{AnswerFormat, AnswerWriter};
///
/// let classes = ["run".to_owned(), "walk".to_owned()];
/// let ids = ["id".to_owned()];
/// let mut answers = AnswerWriter::new(Vec::new(), AnswerFormat::Csv, &ids, &classes)?;
/// answers.write(&["a1"], Some(&[0.25, 0.75]))?;
/// answers.write(&["a2"], None)?;
///
/// assert_eq!(
///     String::from_utf8_lossy(&answers.finish()?),
///     "id,label,probability,probability_run,probability_walk\na1,walk,0.75,0.25,0.75\na2,,,,\n"
/// );
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct AnswerWriter<W> {
    out: W,
    format: AnswerFormat,
    id_names: Vec<String>,
    class_names: Vec<String>,
    #[cfg(feature = "parquet")]
    parquet: Option<parquet::ParquetAnswers>,
}

impl<W: Write> AnswerWriter<W> {
    /// Writes the header, if the format has one.
    ///
    /// # Errors
    ///
    /// What the system says; [`io::ErrorKind::Unsupported`] for Parquet without the feature.
    pub fn new(
        out: W,
        format: AnswerFormat,
        id_names: &[String],
        class_names: &[String],
    ) -> io::Result<Self> {
        let label = || ["label".to_owned()];
        let classes = class_names.iter().map(|name| format!("probability_{name}"));
        let numbers: Vec<String> = iter::once("probability".to_owned())
            .chain(classes)
            .collect();
        let text: Vec<String> = id_names.iter().cloned().chain(label()).collect();
        #[cfg(not(feature = "parquet"))]
        if format == AnswerFormat::Parquet {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut writer = Self {
            out,
            format,
            id_names: id_names.to_vec(),
            class_names: class_names.to_vec(),
            #[cfg(feature = "parquet")]
            parquet: match format {
                AnswerFormat::Parquet => Some(parquet::ParquetAnswers::new(&text, &numbers)?),
                _ => None,
            },
        };
        if matches!(format, AnswerFormat::Csv | AnswerFormat::Tsv) {
            writer.write_row(&[text, numbers].concat())?;
        }
        Ok(writer)
    }

    /// Writes the answer for a sample: the probability of each class, or none for a row that could
    /// not be read.
    ///
    /// # Shapes
    ///
    /// - `ids`: `[n_ids]`; missing ones are empty
    /// - `probabilities`: `[n_classes]`
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// If there are not as many probabilities as classes.
    pub fn write(&mut self, ids: &[&str], probabilities: Option<&[f32]>) -> io::Result<()> {
        let n_classes = self.class_names.len();
        if let Some(probabilities) = probabilities {
            let found = probabilities.len();
            assert_eq!(
                found, n_classes,
                "{found} probabilities of {n_classes} classes"
            );
        }
        let best = probabilities.and_then(|all| {
            // The first of those that are equally probable.
            (0..n_classes)
                .rev()
                .max_by(|&a, &b| all[a].total_cmp(&all[b]))
        });
        if self.format == AnswerFormat::Jsonl {
            return self.write_object(ids, probabilities, best);
        }
        #[cfg(feature = "parquet")]
        if let Some(parquet) = &mut self.parquet {
            use parquet::Cell;
            let id = |column: usize| Cell::Text(ids.get(column).copied());
            let label = best.map(|class| self.class_names[class].as_str());
            let number = |class: usize| Cell::Number(probabilities.map(|all| all[class]));
            let most = Cell::Number(best.and_then(|class| Some(probabilities?[class])));
            let cells = (0..self.id_names.len())
                .map(id)
                .chain([Cell::Text(label), most])
                .chain((0..n_classes).map(number));
            return parquet.write(&mut self.out, cells);
        }
        let text = |class: usize| probabilities.map_or(String::new(), |all| all[class].to_string());
        let id = |column: usize| ids.get(column).copied().unwrap_or_default().to_owned();
        let mut row: Vec<String> = (0..self.id_names.len()).map(id).collect();
        row.push(best.map_or(String::new(), |class| self.class_names[class].clone()));
        row.push(best.map_or(String::new(), text));
        row.extend((0..n_classes).map(text));
        self.write_row(&row)
    }

    fn write_row(&mut self, cells: &[String]) -> io::Result<()> {
        let delimiter = if self.format == AnswerFormat::Csv {
            ','
        } else {
            '\t'
        };
        for (column, cell) in cells.iter().enumerate() {
            if column > 0 {
                write!(self.out, "{delimiter}")?;
            }
            let plain = !cell.contains([delimiter, '"', '\n', '\r']);
            let edge = |at: Option<char>| at.is_some_and(char::is_whitespace);
            if plain && !edge(cell.chars().next()) && !edge(cell.chars().next_back()) {
                self.out.write_all(cell.as_bytes())?;
            } else {
                write!(self.out, "\"{}\"", cell.replace('"', "\"\""))?;
            }
        }
        writeln!(self.out)
    }

    fn write_object(
        &mut self,
        ids: &[&str],
        probabilities: Option<&[f32]>,
        best: Option<usize>,
    ) -> io::Result<()> {
        let quoted = |text: &str| serde_json::to_string(text).map_err(io::Error::other);
        let mut text = String::from("{");
        for (name, id) in self.id_names.iter().zip(ids) {
            text.push_str(&format!("{}:{},", quoted(name)?, quoted(id)?));
        }
        match best.zip(probabilities) {
            None => text.push_str("\"label\":null,\"probability\":null,\"probabilities\":null"),
            Some((best, all)) => {
                let label = quoted(&self.class_names[best])?;
                text.push_str(&format!("\"label\":{label},\"probability\":{}", all[best]));
                let number = |(name, p): (&String, &f32)| Ok(format!("{}:{p}", quoted(name)?));
                let numbers = self.class_names.iter().zip(all).map(number);
                let numbers = numbers.collect::<io::Result<Vec<_>>>()?;
                text.push_str(&format!(",\"probabilities\":{{{}}}", numbers.join(",")));
            }
        }
        writeln!(self.out, "{text}}}")
    }

    /// Writes what is buffered, and gives the destination back.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn finish(mut self) -> io::Result<W> {
        #[cfg(feature = "parquet")]
        if let Some(parquet) = self.parquet.take() {
            parquet.finish(&mut self.out)?;
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn written(format: AnswerFormat, ids: &[&str]) -> String {
        let classes = owned(&["a,b", "c \"d\""]);
        let mut answers = AnswerWriter::new(Vec::new(), format, &owned(ids), &classes).unwrap();
        answers.write(&["x\ty"], Some(&[0.5, 0.5])).unwrap();
        answers.write(&["z"], None).unwrap();
        String::from_utf8(answers.finish().unwrap()).unwrap()
    }

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        assert_eq!(
            written(AnswerFormat::Csv, &["id"]),
            "id,label,probability,\"probability_a,b\",\"probability_c \"\"d\"\"\"\n\
             x\ty,\"a,b\",0.5,0.5,0.5\nz,,,,\n"
        );
        assert_eq!(
            written(AnswerFormat::Tsv, &["id"]).lines().nth(1),
            Some("\"x\ty\"\ta,b\t0.5\t0.5\t0.5")
        );
    }

    #[test]
    #[cfg(feature = "parquet")]
    fn a_parquet_file_is_read_back_with_its_names_and_numbers() {
        use ::parquet::file::reader::{FileReader, SerializedFileReader};
        use ::parquet::record::Field;

        // More rows than a group has.
        const ROWS: usize = 70_000;
        let (ids, classes) = (owned(&["id"]), owned(&["a,b", "c"]));
        let format = AnswerFormat::Parquet;
        let mut answers = AnswerWriter::new(Vec::new(), format, &ids, &classes).unwrap();
        for row in 0..ROWS {
            let share = row as f32 / ROWS as f32;
            let probabilities = [share, 1.0 - share];
            let readable = (row != 3).then_some(&probabilities[..]);
            answers.write(&[&format!("s{row}")], readable).unwrap();
        }
        let bytes = bytes::Bytes::from(answers.finish().unwrap());
        let reader = SerializedFileReader::new(bytes).unwrap();
        assert_eq!(reader.num_row_groups(), 2);
        let rows: Vec<_> = reader
            .get_row_iter(None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows.len(), ROWS);
        let cells = |row: usize| -> Vec<(String, Field)> {
            let cells = rows[row].get_column_iter();
            cells
                .map(|(name, field)| (name.clone(), field.clone()))
                .collect()
        };
        let names: Vec<String> = cells(0).into_iter().map(|(name, _)| name).collect();
        let expected = [
            "id",
            "label",
            "probability",
            "probability_a,b",
            "probability_c",
        ];
        assert_eq!(names, expected);
        let fields: Vec<Field> = cells(69_999).into_iter().map(|(_, field)| field).collect();
        let share = 69_999.0 / 70_000.0_f32;
        assert_eq!(fields[0], Field::Str("s69999".to_owned()));
        assert_eq!(fields[1], Field::Str("a,b".to_owned()));
        assert_eq!(fields[2..], [share, share, 1.0 - share].map(Field::Float));
        let empty: Vec<Field> = cells(3)
            .into_iter()
            .skip(1)
            .map(|(_, field)| field)
            .collect();
        assert!(empty.iter().all(|field| *field == Field::Null), "{empty:?}");
    }

    #[test]
    fn lines_of_json_hold_names_and_numbers() {
        let text = written(AnswerFormat::Jsonl, &["id"]);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines[0]["id"], "x\ty");
        assert_eq!(lines[0]["label"], "a,b");
        assert_eq!(lines[0]["probabilities"]["c \"d\""], 0.5);
        assert_eq!(lines[1]["label"], serde_json::Value::Null);
    }
}
