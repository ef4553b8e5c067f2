//! What a model says of the series of a file: a row for each, in their order, in memory that does not
//! grow with the file.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;
use timesclip::TimesClip;
use timesclip::cache::store::Shard;
use timesclip::data::SeriesDataset;
use timesclip::data::read::{Labels, SeriesReader};

use crate::output::{visible, write_results};
use crate::predict::DeviceFlags;
use crate::read::{ReadFlags, is_stdin};
use crate::shard;

/// Samples that are read and answered for at a time.
const PART: usize = 1024;

/// A model, the series it is asked about, and where its answers go.
#[derive(Debug, Args)]
pub(crate) struct RowArgs {
    /// Model file, or the run directory that holds one
    model: PathBuf,
    /// Series, or `-` for stdin; labels are not looked at
    data: PathBuf,
    /// Write the rows to a file [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Answer only for the I-th of N equal parts, I from 1 to N, in a file of its own
    /// (`FILE-00001-of-00008.csv`), unless that is there and newer than MODEL and DATA. `auto` takes
    /// both from a Slurm array, `auto/N` takes I from one or from an indexed Kubernetes job
    #[arg(long, value_name = "I/N", requires = "out", value_parser = shard::parse)]
    shard: Option<Shard>,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    device: DeviceFlags,
}

impl RowArgs {
    /// Has all rows written, or those of the shard, by `write`; it gives how many were malformed.
    ///
    /// # Errors
    /// If model or series cannot be read, do not fit, or the rows cannot be written.
    pub(crate) fn run(
        &self,
        write: impl FnOnce(&TimesClip, &mut Rows<'_>, &mut dyn io::Write) -> Result<usize>,
    ) -> Result<()> {
        let out = self.out.as_deref();
        let out = match (out, self.shard) {
            (Some(out), Some(shard)) => Some(self.shard_path(out, shard)?),
            _ => out.map(Path::to_owned),
        };
        if self.shard.is_some()
            && let Some(path) = &out
            && shard::is_finished(path, &[&self.model_file(), &self.data])?
        {
            say!("{}: finished before", path.display());
            return Ok(());
        }
        let model = TimesClip::load_with(&self.model, &self.device.options())?;
        let mut rows = self.open(&model)?;
        let mut failed = 0;
        write_results(out.as_deref(), |out| {
            failed = write(&model, &mut rows, out)?;
            Ok(())
        })?;
        rows.tell();
        if failed > 0 {
            say!("warning: {failed} malformed rows have empty answers");
        }
        Ok(())
    }

    fn model_file(&self) -> PathBuf {
        match self.model.is_dir() {
            true => self.model.join("model.safetensors"),
            false => self.model.clone(),
        }
    }

    fn shard_path(&self, out: &Path, shard: Shard) -> Result<PathBuf> {
        ensure!(
            out != Path::new("-"),
            "--shard needs a file to write to, and `-` is stdout"
        );
        ensure!(
            !is_stdin(&self.data),
            "--shard needs a file to read from, and `-` is stdin"
        );
        Ok(shard::path(out, shard))
    }

    fn open(&self, model: &TimesClip) -> Result<Rows<'static>> {
        let options = self.read.options(Labels::Optional);
        let schema = model.schema();
        if is_stdin(&self.data) {
            let stdin = io::BufReader::new(io::stdin());
            let reader = SeriesReader::of_bytes_like(stdin, Path::new("stdin"), &options, schema)?;
            return Ok(Rows::all(reader));
        }
        let open = || SeriesReader::open_like(&self.data, &options, schema);
        match self.shard {
            None => Ok(Rows::all(open()?)),
            Some(shard) => {
                let (n_rows, id_names) = count(open()?)?;
                let range = shard.range(n_rows);
                Ok(Rows {
                    id_names,
                    range,
                    ..Rows::all(open()?)
                })
            }
        }
    }
}

/// Rows of a file, and the names of its id columns.
fn count(mut reader: SeriesReader<'_>) -> Result<(usize, Vec<String>)> {
    let mut n_rows = 0;
    while let Some(part) = reader.next_part(PART)? {
        n_rows += part.dataset.map_or(0, |set| set.len()) + part.rejected.len();
    }
    Ok((n_rows, reader.id_names().to_vec()))
}

/// Rows of a file, that are to be answered for.
pub(crate) struct Rows<'a> {
    reader: SeriesReader<'a>,
    /// Positions of the rows.
    range: Range<usize>,
    /// Names of the id columns, as soon as they are known; none if rows are numbered.
    id_names: Vec<String>,
    /// Malformed rows that have no answer of their own: each is a part of a sample.
    left_out: usize,
}

impl<'a> Rows<'a> {
    fn all(reader: SeriesReader<'a>) -> Self {
        Self {
            reader,
            range: 0..usize::MAX,
            id_names: Vec::new(),
            left_out: 0,
        }
    }

    /// Has every row written: its ids, and the answer, or none if the row is malformed. Gives the
    /// number of those.
    ///
    /// `start` is called once before, with the names of the ids.
    ///
    /// # Errors
    /// If the rows cannot be read, answered for or written.
    pub(crate) fn answer<A, W>(
        &mut self,
        answer: impl Fn(&SeriesDataset) -> Result<Vec<A>>,
        start: impl FnOnce(&[String]) -> Result<W>,
        write: impl Fn(&mut W, &[&str], Option<&A>) -> Result<()>,
    ) -> Result<(W, usize)> {
        let mut position = 0;
        while position < self.range.start {
            let skipped = self
                .reader
                .next_part(PART.min(self.range.start - position))?;
            let Some(part) = skipped else { break };
            position += part.dataset.map_or(0, |set| set.len()) + part.rejected.len();
        }
        let passed_over = self.reader.n_rejected();
        let mut failed = 0;
        let mut part = self.reader.next_part(PART.min(self.range.len()))?;
        if self.id_names.is_empty() {
            self.id_names = self.reader.id_names().to_vec();
        }
        let numbered = self.id_names.is_empty();
        let mut writer = match numbered {
            true => start(&["row".to_owned()])?,
            false => start(&self.id_names)?,
        };
        while let Some(samples) = part {
            let mut rejected = samples.rejected.iter().peekable();
            let mut empty = |before: u64, writer: &mut W| -> Result<()> {
                while let Some(row) = rejected.next_if(|rejected| rejected.row < before) {
                    say!("warning: {}", row.error);
                    let id = row.row.to_string();
                    let ids: Vec<&str> = match numbered {
                        true => vec![&id],
                        false => vec![""; self.id_names.len()],
                    };
                    write(writer, &ids, None)?;
                    failed += 1;
                }
                Ok(())
            };
            if let Some(set) = &samples.dataset {
                for (index, answer) in answer(set)?.into_iter().enumerate() {
                    empty(set.samples()[index].id, &mut writer)?;
                    write_row(&mut writer, set, (index, numbered), |writer, ids| {
                        write(writer, ids, Some(&answer))
                    })?;
                }
            }
            empty(u64::MAX, &mut writer)?;
            position += samples.dataset.map_or(0, |set| set.len()) + samples.rejected.len();
            part = self
                .reader
                .next_part(PART.min(self.range.end.saturating_sub(position)))?;
        }
        let answered = failed + passed_over;
        self.left_out = self.reader.n_rejected().saturating_sub(answered);
        Ok((writer, failed))
    }

    /// What the reader found worth saying, on stderr.
    fn tell(&mut self) {
        if self.left_out > 0 {
            say!("note: {} malformed rows are left out", self.left_out);
        }
        for note in self.reader.notes() {
            say!("{}", visible(note));
        }
        for warning in self.reader.warnings() {
            say!("warning: {}", visible(warning));
        }
    }
}

fn write_row<W>(
    writer: &mut W,
    set: &SeriesDataset,
    (index, numbered): (usize, bool),
    write: impl FnOnce(&mut W, &[&str]) -> Result<()>,
) -> Result<()> {
    let number = set.samples()[index].id.to_string();
    let ids: Vec<&str> = match numbered {
        true => vec![&number],
        false => set
            .metadata()
            .ids
            .iter()
            .map(|column| column.values[index].as_str())
            .collect(),
    };
    write(writer, &ids)
}
