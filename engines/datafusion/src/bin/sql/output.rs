//! Where the rows of a result go: stdout, one file, or a file for each part of the work; files are
//! complete or not there.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use datafusion::arrow::csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::stats::Precision;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, execute_stream, execute_stream_partitioned};
use datafusion::prelude::DataFrame;
use futures::StreamExt;
use tokio::task::JoinSet;

use crate::progress::Progress;

/// Bytes of a row group of Parquet, which is held until it is complete; as many rows as are usual would
/// be a gigabyte of embeddings.
const ROW_GROUP: usize = 32 << 20;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// With a header.
    Csv,
    /// An object a line.
    Json,
    /// Snappy.
    Parquet,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "csv" => Ok(Self::Csv),
            "json" | "jsonl" | "ndjson" => Ok(Self::Json),
            "parquet" => Ok(Self::Parquet),
            _ => Err(format!(
                "unknown format `{name}`: expected csv, json or parquet"
            )),
        }
    }
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }
}

/// Where rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout(Format),
    File(PathBuf, Format),
    Folder(PathBuf, Format),
}

impl Target {
    /// What the flags say; refuses a folder with files in it, which would be taken for results.
    pub(crate) fn new(out: Option<&Path>, format: Option<Format>) -> Result<Self> {
        let Some(path) = out.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::Stdout(format.unwrap_or(Format::Csv)));
        };
        let extension = path.extension().and_then(|extension| extension.to_str());
        let slash = path.as_os_str().to_string_lossy().ends_with('/');
        if !path.is_dir()
            && !slash
            && let Some(extension) = extension
        {
            let called = extension.parse().map_err(DataFusionError::Configuration);
            return Ok(Self::File(path.to_owned(), format.map_or(called, Ok)?));
        }
        if path.is_dir() && fs::read_dir(path)?.next().is_some() {
            let problem = format!("the folder {} is not empty", path.display());
            return Err(DataFusionError::Configuration(problem));
        }
        let format = format.unwrap_or(Format::Parquet);
        Ok(Self::Folder(path.to_owned(), format))
    }
}

/// Runs a query and writes its rows.
pub(crate) async fn write(
    frame: DataFrame,
    target: &Target,
    progress: &Arc<Progress>,
) -> Result<()> {
    let task = Arc::new(frame.task_ctx());
    let plan = frame.create_physical_plan().await?;
    if let Some(rows) = n_rows(plan.as_ref()) {
        progress.expect(rows);
    }
    match target {
        Target::Stdout(format) => {
            let rows = execute_stream(plan, task)?;
            let mut writer = Writer::new(Box::new(io::stdout()), *format, &rows.schema())?;
            writer.write_all(rows, progress).await?;
            writer.finish()
        }
        Target::File(path, format) => {
            let rows = execute_stream(plan, task)?;
            let part = Part::of(path.clone());
            let written = part.write(rows, *format, progress).await;
            publish(vec![part], written)
        }
        Target::Folder(folder, format) => {
            fs::create_dir_all(folder)?;
            let streams = execute_stream_partitioned(plan, task)?;
            let name = |i| format!("part-{i:05}.{}", format.extension());
            let parts: Vec<Part> = (0..streams.len())
                .map(|i| Part::of(folder.join(name(i))))
                .collect();
            // A task for each, so that each has a core; dropping the set ends all of them.
            let mut tasks = JoinSet::new();
            for (part, rows) in parts.iter().cloned().zip(streams) {
                let (progress, format) = (Arc::clone(progress), *format);
                tasks.spawn(async move { part.write(rows, format, &progress).await });
            }
            let mut written = Ok(());
            while let Some(part) = tasks.join_next().await {
                written = part.map_err(|error| DataFusionError::External(Box::new(error)))?;
                if written.is_err() {
                    tasks.shutdown().await;
                    break;
                }
            }
            publish(parts, written)
        }
    }
}

/// The number of rows of a result, where the tables tell.
fn n_rows(plan: &dyn ExecutionPlan) -> Option<usize> {
    let statistics = StatisticsContext::new().compute(plan, &StatisticsArgs::new());
    match statistics.ok()?.num_rows {
        Precision::Exact(rows) | Precision::Inexact(rows) => Some(rows),
        Precision::Absent => None,
    }
}

/// A file that is written beside its place.
#[derive(Clone, Debug)]
struct Part {
    path: PathBuf,
    beside: PathBuf,
}

impl Part {
    fn of(path: PathBuf) -> Self {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".partial");
        Self {
            path,
            beside: beside.into(),
        }
    }

    async fn write(
        &self,
        rows: SendableRecordBatchStream,
        format: Format,
        progress: &Progress,
    ) -> Result<()> {
        let file = File::create(&self.beside)?;
        let synced = file.try_clone()?;
        let mut writer = Writer::new(Box::new(file), format, &rows.schema())?;
        writer.write_all(rows, progress).await?;
        writer.finish()?;
        Ok(synced.sync_all()?)
    }
}

/// Puts all files in their places if all were written, and else removes them.
fn publish(parts: Vec<Part>, written: Result<()>) -> Result<()> {
    let published = written.and_then(|()| {
        for part in &parts {
            fs::rename(&part.beside, &part.path)?;
        }
        Ok(())
    });
    if published.is_err() {
        for part in &parts {
            // The failure is what is reported, not that its remains could not be removed.
            let _ = fs::remove_file(&part.beside);
        }
    }
    published
}

/// Writes batches of rows in a format.
enum Writer {
    Csv(Box<csv::Writer<BufWriter<Box<dyn Write + Send>>>>),
    Json(LineDelimitedWriter<BufWriter<Box<dyn Write + Send>>>),
    Parquet(Box<ArrowWriter<BufWriter<Box<dyn Write + Send>>>>),
}

impl Writer {
    fn new(out: Box<dyn Write + Send>, format: Format, schema: &SchemaRef) -> Result<Self> {
        let out = BufWriter::new(out);
        if let Some(field) = schema.fields().iter().find(|f| f.data_type().is_nested())
            && format == Format::Csv
        {
            let problem = format!(
                "CSV has no place for column `{}` of type {}: write json or parquet, or select its \
                 fields, as in {0}['name']",
                field.name(),
                field.data_type()
            );
            return Err(DataFusionError::Plan(problem));
        }
        Ok(match format {
            Format::Csv => {
                let writer = csv::WriterBuilder::new().with_header(true).build(out);
                Self::Csv(Box::new(writer))
            }
            Format::Json => Self::Json(LineDelimitedWriter::new(out)),
            Format::Parquet => {
                let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
                let properties = Some(properties.build());
                let writer = ArrowWriter::try_new(out, Arc::clone(schema), properties)?;
                Self::Parquet(Box::new(writer))
            }
        })
    }

    async fn write_all(
        &mut self,
        mut rows: SendableRecordBatchStream,
        progress: &Progress,
    ) -> Result<()> {
        // A table without rows has a header all the same.
        self.write(&RecordBatch::new_empty(rows.schema()))?;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            self.write(&batch)?;
            progress.wrote(batch.num_rows());
        }
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match self {
            Self::Csv(writer) => Ok(writer.write(batch)?),
            Self::Json(writer) => Ok(writer.write(batch)?),
            Self::Parquet(writer) => {
                writer.write(batch)?;
                if writer.in_progress_size() > ROW_GROUP {
                    writer.flush()?;
                }
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Csv(writer) => Ok(writer.into_inner().flush()?),
            Self::Json(mut writer) => {
                writer.finish()?;
                Ok(writer.into_inner().flush()?)
            }
            Self::Parquet(writer) => Ok(writer.into_inner()?.flush()?),
        }
    }
}
