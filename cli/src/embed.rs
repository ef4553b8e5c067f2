//! `timesclip embed`: the embeddings of series, by a model.

use std::io::Write;

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Map, Value, json};
use timesclip::data::answers::AnswerFormat;

use crate::output;
use crate::rows::RowArgs;

/// The model, and the series it embeds.
#[derive(Debug, Args)]
pub(crate) struct EmbedArgs {
    /// csv, tsv or jsonl
    #[arg(long = "output-format", value_name = "FORMAT", default_value = "csv")]
    output: AnswerFormat,
    #[command(flatten)]
    rows: RowArgs,
}

/// Embeds.
///
/// # Errors
/// If model or series cannot be read, do not fit, or the embeddings cannot be written.
pub(crate) fn run(args: &EmbedArgs) -> Result<()> {
    ensure!(
        args.output != AnswerFormat::Parquet,
        "embeddings are written as csv, tsv or jsonl"
    );
    args.rows.run(|model, rows, out| {
        let (mut writer, failed) = rows.answer(
            |set| Ok(model.embed(set)?),
            |names| Ok(EmbeddingWriter::new(out, args.output, names)),
            |writer, ids, embedding| writer.write(ids, embedding.map(Vec::as_slice)),
        )?;
        writer.finish()?;
        Ok(failed)
    })
}

/// Writes a row for each sample: its ids, and the numbers of its embedding as `embedding_0`, ..., or
/// as one list in JSON.
struct EmbeddingWriter<'a> {
    out: &'a mut dyn Write,
    format: AnswerFormat,
    names: Vec<String>,
    /// Numbers of an embedding, as soon as there is one.
    width: Option<usize>,
    /// Ids of the malformed rows in front of the first embedding.
    pending: Vec<Vec<String>>,
}

impl<'a> EmbeddingWriter<'a> {
    fn new(out: &'a mut dyn Write, format: AnswerFormat, names: &[String]) -> Self {
        Self {
            out,
            format,
            names: names.to_vec(),
            width: None,
            pending: Vec::new(),
        }
    }

    fn write(&mut self, ids: &[&str], embedding: Option<&[f32]>) -> Result<()> {
        if self.format == AnswerFormat::Jsonl {
            return self.write_object(ids, embedding);
        }
        let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        match (self.width, embedding) {
            (None, None) => {
                self.pending.push(ids);
                Ok(())
            }
            (None, Some(numbers)) => {
                self.start(numbers.len())?;
                self.write_row(ids, embedding)
            }
            (Some(_), _) => self.write_row(ids, embedding),
        }
    }

    /// Writes the header, and the rows that have waited for it.
    fn start(&mut self, width: usize) -> Result<()> {
        self.width = Some(width);
        let numbers = (0..width).map(|i| format!("embedding_{i}"));
        let header: Vec<String> = self.names.iter().cloned().chain(numbers).collect();
        self.write_cells(&header)?;
        for ids in std::mem::take(&mut self.pending) {
            self.write_row(ids, None)?;
        }
        Ok(())
    }

    fn write_row(&mut self, mut cells: Vec<String>, embedding: Option<&[f32]>) -> Result<()> {
        match embedding {
            Some(numbers) => cells.extend(numbers.iter().map(ToString::to_string)),
            None => cells.resize(cells.len() + self.width.unwrap_or(0), String::new()),
        }
        self.write_cells(&cells)
    }

    fn write_cells(&mut self, cells: &[String]) -> Result<()> {
        let delimiter = match self.format {
            AnswerFormat::Tsv => '\t',
            _ => ',',
        };
        for (column, cell) in cells.iter().enumerate() {
            if column > 0 {
                write!(self.out, "{delimiter}")?;
            }
            write!(self.out, "{}", output::cell(cell, delimiter))?;
        }
        Ok(writeln!(self.out)?)
    }

    fn write_object(&mut self, ids: &[&str], embedding: Option<&[f32]>) -> Result<()> {
        let ids = self
            .names
            .iter()
            .cloned()
            .zip(ids.iter().map(|id| json!(id)));
        let mut object: Map<String, Value> = ids.collect();
        object.insert("embedding".to_owned(), json!(embedding));
        serde_json::to_writer(&mut self.out, &object)?;
        Ok(writeln!(self.out)?)
    }

    fn finish(&mut self) -> Result<()> {
        if self.width.is_none() && self.format != AnswerFormat::Jsonl {
            self.start(0)?;
        }
        Ok(())
    }
}
