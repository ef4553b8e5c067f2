//! Writes made-up series of 3 variates and 50 steps, as many as you like, to measure with.
//!
//! ```text
//! cargo run --release -p timesclip-datafusion --example waves -- 1000000 waves/     # Parquet, lists
//! cargo run --release -p timesclip-datafusion --example waves -- 1000000 waves.csv  # a column a value
//! ```
//!
//! Both hold the same series: row `i` is one of four speeds, which `label` names, under noise. Parquet
//! comes in files of 100,000 rows.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListArray, StringArray, UInt64Array};
use datafusion::arrow::datatypes::Float32Type;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const VARIATES: [&str; 3] = ["acc_x", "acc_y", "acc_z"];
const STEPS: u32 = 50;
const CLASSES: [&str; 4] = ["rest", "walk", "run", "jump"];
const ROWS_OF_FILE: u64 = 100_000;
const ROWS_OF_BATCH: u64 = 10_000;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, out] = args.as_slice() else {
        return Err("usage: waves ROWS OUT, where OUT is a .csv file or a folder".into());
    };
    let rows = 0..rows.parse()?;
    match out.ends_with(".csv") {
        true => csv(rows, Path::new(out)),
        false => parquet(rows, Path::new(out)),
    }
}

/// A number from 0 to 1 that looks like chance, the same in every run.
fn noise(mut seed: u64) -> f32 {
    seed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    seed = (seed ^ seed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    let [low, high, ..] = (seed ^ seed >> 31).to_le_bytes();
    f32::from(u16::from_le_bytes([low, high])) / f32::from(u16::MAX)
}

fn class(row: u64) -> usize {
    [0, 3, 2, 1][usize::from(row.to_le_bytes()[0] & 3)]
}

fn value(row: u64, variate: usize, step: u32) -> f32 {
    let seed = (row * 3 + variate as u64) * u64::from(STEPS);
    let speed = 0.1 + 0.1 * class(row) as f32;
    let phase = noise(!seed) * 6.0;
    (step as f32 * speed + phase).sin() + noise(seed + u64::from(step)) * 2.0 - 1.0
}

fn csv(rows: Range<u64>, path: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    write!(file, "id")?;
    for name in VARIATES {
        for step in 0..STEPS {
            write!(file, ",{name}_{step}")?;
        }
    }
    writeln!(file, ",label")?;
    let mut line = String::new();
    for row in rows {
        line.clear();
        write!(line, "{row}")?;
        for variate in 0..VARIATES.len() {
            for step in 0..STEPS {
                write!(line, ",{}", value(row, variate, step))?;
            }
        }
        writeln!(file, "{line},{}", CLASSES[class(row)])?;
    }
    Ok(file.flush()?)
}

fn parquet(rows: Range<u64>, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for start in (0..rows.end.div_ceil(ROWS_OF_FILE)).map(|file| file * ROWS_OF_FILE) {
        let end = rows.end.min(start + ROWS_OF_FILE);
        let path = folder.join(format!("{:05}.parquet", start / ROWS_OF_FILE));
        let mut writer = ArrowWriter::try_new(File::create(path)?, batch(0..0)?.schema(), None)?;
        let mut first = start;
        while first < end {
            let next = end.min(first + ROWS_OF_BATCH);
            writer.write(&batch(first..next)?)?;
            first = next;
        }
        writer.close()?;
    }
    Ok(())
}

fn batch(rows: Range<u64>) -> Result<RecordBatch> {
    let ids: ArrayRef = Arc::new(UInt64Array::from_iter_values(rows.clone()));
    let mut columns = vec![("id", ids)];
    for (variate, name) in VARIATES.into_iter().enumerate() {
        let list = |row| Some((0..STEPS).map(move |step| Some(value(row, variate, step))));
        let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(rows.clone().map(list));
        columns.push((name, Arc::new(lists)));
    }
    let labels = rows.map(|row| CLASSES[class(row)]);
    columns.push(("label", Arc::new(StringArray::from_iter_values(labels))));
    Ok(RecordBatch::try_from_iter(columns)?)
}
