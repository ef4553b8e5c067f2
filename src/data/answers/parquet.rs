//! Predictions as a Parquet file: a column of text for every id and for the label, a column of 32-bit
//! numbers for every probability.

use std::io::{self, Write};
use std::sync::Arc;

use ::parquet::basic::{LogicalType, Repetition, Type as PhysicalType};
use ::parquet::column::writer::ColumnWriter;
use ::parquet::data_type::ByteArray;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::types::{Type, TypePtr};

/// Rows of a group: what is held in memory.
const GROUP_ROWS: usize = 65_536;

/// Rows that are waiting for their group to be full, and the writer of groups.
pub(super) struct ParquetAnswers {
    /// Writes into memory, from where every group goes on to the destination.
    writer: SerializedFileWriter<Vec<u8>>,
    columns: Vec<Column>,
    n_rows: usize,
}

/// Values of a column that are there, and 1 for each of them, 0 for each that is not.
enum Column {
    Text(Vec<ByteArray>, Vec<i16>),
    Number(Vec<f32>, Vec<i16>),
}

/// A value of a row, if it is there.
pub(super) enum Cell<'a> {
    Text(Option<&'a str>),
    Number(Option<f32>),
}

impl ParquetAnswers {
    /// Columns of text, then columns of numbers.
    pub(super) fn new(text: &[String], numbers: &[String]) -> io::Result<Self> {
        let column = |name: &String, kind, logical| -> io::Result<TypePtr> {
            let column = Type::primitive_type_builder(name, kind)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical);
            Ok(Arc::new(column.build().map_err(io::Error::other)?))
        };
        let text_type = |name| column(name, PhysicalType::BYTE_ARRAY, Some(LogicalType::String));
        let number_type = |name| column(name, PhysicalType::FLOAT, None);
        let fields = text.iter().map(text_type);
        let fields = fields.chain(numbers.iter().map(number_type));
        let schema = Type::group_type_builder("predictions")
            .with_fields(fields.collect::<io::Result<_>>()?)
            .build()
            .map_err(io::Error::other)?;
        let properties = Arc::new(WriterProperties::default());
        let writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties);
        let empty_text = text.iter().map(|_| Column::Text(Vec::new(), Vec::new()));
        let empty = numbers
            .iter()
            .map(|_| Column::Number(Vec::new(), Vec::new()));
        Ok(Self {
            writer: writer.map_err(io::Error::other)?,
            columns: empty_text.chain(empty).collect(),
            n_rows: 0,
        })
    }

    /// Adds a row, and passes on what is finished.
    pub(super) fn write<'a>(
        &mut self,
        out: &mut impl Write,
        cells: impl Iterator<Item = Cell<'a>>,
    ) -> io::Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Text(values, there), Cell::Text(text)) => {
                    there.push(i16::from(text.is_some()));
                    values.extend(text.map(ByteArray::from));
                }
                (Column::Number(values, there), Cell::Number(number)) => {
                    there.push(i16::from(number.is_some()));
                    values.extend(number);
                }
                _ => unreachable!("text and numbers are in the order of the columns"),
            }
        }
        self.n_rows += 1;
        match self.n_rows < GROUP_ROWS {
            true => Ok(()),
            false => self.write_group(out),
        }
    }

    fn write_group(&mut self, out: &mut impl Write) -> io::Result<()> {
        let mut group = self.writer.next_row_group().map_err(io::Error::other)?;
        for column in &mut self.columns {
            let next = group.next_column().map_err(io::Error::other)?;
            let mut writer = next.expect("as many columns as the schema has");
            let written = match (writer.untyped(), &mut *column) {
                (ColumnWriter::ByteArrayColumnWriter(writer), Column::Text(values, there)) => {
                    writer.write_batch(values, Some(there), None)
                }
                (ColumnWriter::FloatColumnWriter(writer), Column::Number(values, there)) => {
                    writer.write_batch(values, Some(there), None)
                }
                _ => unreachable!("the schema was made of these columns"),
            };
            written.map_err(io::Error::other)?;
            writer.close().map_err(io::Error::other)?;
            match column {
                Column::Text(values, there) => (values.clear(), there.clear()),
                Column::Number(values, there) => (values.clear(), there.clear()),
            };
        }
        group.close().map_err(io::Error::other)?;
        self.n_rows = 0;
        self.pass_on(out)
    }

    /// Passes on the bytes that are written so far; the writer has counted them.
    fn pass_on(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.writer.flush().map_err(io::Error::other)?;
        let bytes = self.writer.inner_mut();
        out.write_all(bytes)?;
        bytes.clear();
        Ok(())
    }

    /// Writes the last group and the end of the file.
    pub(super) fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        if self.n_rows > 0 {
            self.write_group(out)?;
        }
        let rest = self.writer.into_inner().map_err(io::Error::other)?;
        out.write_all(&rest)
    }
}

impl std::fmt::Debug for ParquetAnswers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetAnswers")
            .field("n_rows", &self.n_rows)
            .finish_non_exhaustive()
    }
}
