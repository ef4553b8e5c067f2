//! The flags about files of series, and reading by them.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use timesclip::data::read::{
    Format, HeaderRow, Labels, Layout, OnError, ReadOptions, ReadSeries, TableSchema, parse,
    parse_like, read_like as read_file_like, read_with,
};
use timesclip::data::window::{LabelRule, Windows};

use crate::output::visible;
use crate::values;

/// How files are read. What is not given is recognized from the file, and printed.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Reading")]
pub(crate) struct ReadFlags {
    /// Format, in place of what the first bytes tell: ts, arff, table (CSV, TSV and other
    /// text), npy, npz, parquet or folder
    #[arg(long, value_name = "NAME")]
    format: Option<Format>,
    /// Character between columns
    #[arg(long, value_name = "CHAR", value_parser = values::delimiter)]
    delimiter: Option<char>,
    /// Numbers are written with a decimal comma: 1,5
    #[arg(long)]
    decimal_comma: bool,
    /// The first row of a table is a header
    #[arg(long, conflicts_with = "no_header")]
    header: bool,
    /// A table has no header
    #[arg(long)]
    no_header: bool,
    /// Column of the class: a name, a number from 1, first, last or none
    #[arg(long, value_name = "COLUMN")]
    label_column: Option<String>,
    /// Samples have no labels: columns without another role hold values
    #[arg(long, conflicts_with = "label_column")]
    no_label: bool,
    /// File with one label a sample, beside an array
    #[arg(long, value_name = "FILE")]
    label_file: Option<PathBuf>,
    /// Column that names the samples, carried through to predictions; may be given again
    #[arg(long, value_name = "COLUMN")]
    id_column: Vec<String>,
    /// Column of what samples belong to: no group is on both sides of a split
    #[arg(long, value_name = "COLUMN")]
    group_column: Option<String>,
    /// Column of how much a sample counts
    #[arg(long, value_name = "COLUMN")]
    weight_column: Option<String>,
    /// Columns to pass over
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    ignore_columns: Vec<String>,
    /// Columns that hold values; others are passed over
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    value_columns: Vec<String>,
    /// Number of variates, where names do not tell
    #[arg(long, value_name = "N", value_parser = values::count)]
    variates: Option<usize>,
    /// Order of the values of a row: time-major (all variates of the first step first) or
    /// variate-major
    #[arg(long, value_name = "ORDER")]
    layout: Option<Layout>,
    /// Column of the time, in a table with a row for each step
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// Column that names the variate, in a table with a row for each value
    #[arg(long, value_name = "COLUMN")]
    variate_column: Option<String>,
    /// Spellings of a missing value besides the usual ones
    #[arg(
        long,
        value_name = "WORDS",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    missing: Vec<String>,
    /// Cut recordings into windows of so many steps, each a sample
    #[arg(long, value_name = "STEPS", value_parser = values::count)]
    window: Option<usize>,
    /// Steps between the starts of two windows [default: the window]
    #[arg(long, value_name = "STEPS", value_parser = values::count, requires = "window")]
    stride: Option<usize>,
    /// Label of a window: last, majority, or uniform (mixed windows are left out)
    #[arg(
        long,
        value_name = "RULE",
        default_value = "majority",
        requires = "window"
    )]
    window_label: LabelRule,
    /// What to do about a malformed row, or a malformed file of a folder: fail or skip
    #[arg(long, value_name = "WHAT", default_value = "fail")]
    on_error: OnError,
}

impl ReadFlags {
    /// The options that the flags describe; `labels` unless a flag says there are none.
    pub(crate) fn options(&self, labels: Labels) -> ReadOptions {
        let windows = self.window.map(|length| Windows {
            length,
            stride: self.stride.unwrap_or(length),
            label: self.window_label,
        });
        ReadOptions {
            format: self.format,
            delimiter: self.delimiter,
            decimal_comma: self.decimal_comma.then_some(true),
            header: match (self.header, self.no_header) {
                (true, _) => HeaderRow::Present,
                (_, true) => HeaderRow::Absent,
                _ => HeaderRow::Auto,
            },
            label_column: self.label_column.clone(),
            labels: if self.no_label {
                Labels::Absent
            } else {
                labels
            },
            label_file: self.label_file.clone(),
            id_columns: self.id_column.clone(),
            group_column: self.group_column.clone(),
            weight_column: self.weight_column.clone(),
            ignore_columns: self.ignore_columns.clone(),
            value_columns: self.value_columns.clone(),
            n_variates: self.variates,
            layout: self.layout,
            time_column: self.time_column.clone(),
            variate_column: self.variate_column.clone(),
            missing: self.missing.clone(),
            windows,
            on_error: self.on_error,
        }
    }
}

/// Whether a path stands for stdin.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Reads a file, or stdin.
pub(crate) fn read_file(path: &Path, options: &ReadOptions) -> Result<ReadSeries> {
    if is_stdin(path) {
        let stdin = io::BufReader::new(io::stdin());
        return Ok(parse(stdin, Path::new("stdin"), options)?);
    }
    Ok(read_with(path, options)?)
}

/// Reads a file, or stdin, with series that are to match those of a schema.
pub(crate) fn read_like(
    path: &Path,
    options: &ReadOptions,
    schema: &TableSchema,
) -> Result<ReadSeries> {
    if is_stdin(path) {
        let stdin = io::BufReader::new(io::stdin());
        return Ok(parse_like(stdin, Path::new("stdin"), options, schema)?);
    }
    Ok(read_file_like(path, options, schema)?)
}

/// Reads a file, and says on stderr what was understood of it.
pub(crate) fn read(path: &Path, options: &ReadOptions, quiet: bool) -> Result<ReadSeries> {
    let read = read_file(path, options)?;
    if !quiet {
        tell(&read);
    }
    Ok(read)
}

/// What was understood of a file, on stderr.
pub(crate) fn tell(read: &ReadSeries) {
    let understanding = &read.understanding;
    say!("{understanding}");
    for note in &understanding.notes {
        say!("  {}", visible(note));
    }
    for warning in &understanding.warnings {
        say!("  warning: {}", visible(warning));
    }
    for left_out in &understanding.rejected {
        say!("  left out: {}", visible(left_out));
    }
}
