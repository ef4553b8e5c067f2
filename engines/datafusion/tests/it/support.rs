//! Series of two variates, tables of them, and models fitted to them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, ListArray};
use datafusion::arrow::datatypes::Float32Type;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use timesclip::data::read::TableSchema;
use timesclip::{Effort, FitOptions, LabeledSeries, Modalities, Series, SeriesDataset, TimesClip};

/// Names of the variates.
pub(crate) const VARIATES: [&str; 2] = ["acc_x", "acc_y"];

/// One list of values, with gaps.
pub(crate) type List = Option<Vec<Option<f32>>>;

/// Row `i` of a table: slow waves where `i` is even, fast ones where it is odd; of unequal lengths,
/// some values missing, every tenth row without any.
pub(crate) fn row(i: usize) -> [List; 2] {
    if i % 10 == 9 {
        return [None, Some(vec![None])];
    }
    let speed = [0.3, 0.9][i % 2];
    let value = |step: usize, variate: usize| {
        let phase = (i * 7 % 13) as f32 + variate as f32;
        Some((step as f32 * speed + phase).sin())
    };
    let n_steps = 20 + i % 5;
    let mut x: Vec<_> = (0..n_steps).map(|step| value(step, 0)).collect();
    x[i % 7] = None;
    let y = (0..n_steps - 2).map(|step| value(step, 1));
    [Some(x), Some(y.collect())]
}

/// The series of a row, as the functions are to read it.
pub(crate) fn series(row: &[List; 2]) -> Option<Series> {
    let values = |list: &List| list.clone().unwrap_or_default();
    let [x, y] = row.each_ref().map(values);
    let n_steps = x.len().max(y.len());
    let at = |list: &[Option<f32>], step: usize| list.get(step).copied().flatten();
    let steps = (0..n_steps).flat_map(|step| [at(&x, step), at(&y, step)]);
    let values: Vec<f32> = steps.map(|value| value.unwrap_or(f32::NAN)).collect();
    if values.iter().all(|value| value.is_nan()) {
        return None;
    }
    Some(Series::new(values, n_steps, 2).expect("a series"))
}

/// Rows of a table: `id`, and a list for each variate.
pub(crate) fn batch(rows: std::ops::Range<usize>) -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(
        rows.clone()
            .map(|i| i64::try_from(i).expect("a small number")),
    ));
    let lists = |variate: usize| -> ArrayRef {
        let lists = rows.clone().map(|i| row(i)[variate].clone());
        Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(lists))
    };
    let columns = [("id", id), (VARIATES[0], lists(0)), (VARIATES[1], lists(1))];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Writes rows to a Parquet file.
pub(crate) fn parquet(path: &Path, rows: std::ops::Range<usize>) {
    let batch = batch(rows);
    let file = std::fs::File::create(path).expect("a file");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows");
    writer.close().expect("a whole file");
}

/// A model of slow and fast waves, which knows the names of its variates.
pub(crate) fn fitted(modalities: Modalities) -> TimesClip {
    let samples = (0..24usize).filter(|i| i % 10 != 9).map(|i| LabeledSeries {
        id: i as u64,
        series: series(&row(i)).expect("values"),
        label: i % 2,
    });
    let classes = vec!["slow".to_owned(), "fast".to_owned()];
    let set = SeriesDataset::new("waves", classes.clone(), samples.collect()).expect("a set");
    let options = FitOptions {
        modalities,
        effort: Effort::Fast,
        ..FitOptions::default()
    };
    let schema = TableSchema {
        variates: VARIATES.map(str::to_owned).to_vec(),
        n_variates: 2,
        class_names: classes,
        ..TableSchema::default()
    };
    let model = TimesClip::fit(&set, &options).expect("a model");
    model.with_schema(schema)
}

/// A folder with `waves.safetensors`, a model of kernels alone.
pub(crate) fn folder_with_model() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("waves.safetensors");
    let model = fitted(Modalities::KERNELS_ONLY);
    model.save(&path).expect("a model file");
    (folder, path)
}

/// Runs `timesclip-sql` in a folder.
pub(crate) fn sql(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_timesclip-sql"));
    let output = command.args(args).current_dir(folder).output();
    output.expect("the command starts")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// The lines of a text in alphabetical order, as rows come in any.
pub(crate) fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}
