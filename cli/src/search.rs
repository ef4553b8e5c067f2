//! `timesclip search`: the series of a file that are nearest to those of another, by their values or
//! their line plots, in the space that the built-in encoders share.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use burn::tensor::backend::Backend;
use clap::{Args, ValueEnum};
use rayon::prelude::*;
use timesclip::backend::{BackendChoice, BackendJob, run_on};
use timesclip::data::read::{Labels, ReadSeries};
use timesclip::data::{Series, SeriesDataset};
use timesclip::encode::{JointEncoder, PlotAxes};
use timesclip::weights::builtin;

use crate::output::{cell, write_results};
use crate::read::{ReadFlags, read, read_like, tell};

/// What is searched for, and in what.
#[derive(Debug, Args)]
pub(crate) struct SearchArgs {
    /// Series to find, in any format that `train` reads
    index: PathBuf,
    /// Series to search for; without them, every series of INDEX is searched for by one view among
    /// the others, and the share that is found is printed
    query: Option<PathBuf>,
    /// What of the series is searched for: values or pictures
    #[arg(long, value_name = "VIEW", default_value = "values")]
    by: View,
    /// What of INDEX is searched in: values or pictures
    #[arg(long = "in", value_name = "VIEW", default_value = "pictures")]
    within: View,
    /// How many of the nearest series to print
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// Write to a file [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where to compute: auto, cpu, wgpu or cuda
    #[arg(long, value_name = "NAME", default_value = "auto")]
    backend: BackendChoice,
    #[command(flatten)]
    read: ReadFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum View {
    Values,
    Pictures,
}

/// Searches.
///
/// # Errors
/// If the series cannot be read, do not belong together, or the answers cannot be written.
pub(crate) fn run(args: &SearchArgs) -> Result<()> {
    let options = args.read.options(Labels::Optional);
    ensure!(
        args.query.is_some() || args.by != args.within,
        "every series is found by itself: name other series, or search by the other view"
    );
    let ReadSeries {
        dataset: index,
        schema,
        ..
    } = read(&args.index, &options, false)?;
    // Variates are found by their names, as a model finds those of its training series.
    let query = args.query.as_ref();
    let query = query.map(|path| read_like(path, &options, &schema));
    let query = query.transpose()?;
    let query = query.as_ref().inspect(|read| tell(read));
    let query = query.map(|read| &read.dataset);
    let device = args.backend.choose(None)?;
    let job = Place {
        index: (&index, args.within),
        query: (query.unwrap_or(&index), args.by),
    };
    let [there, wanted] = run_on(device.kind, &[device.index], job)??;
    write_results(args.out.as_deref(), |out| match query {
        Some(query) => write_nearest(out, &index, query, &nearest(&there, &wanted, args.top)),
        None => write_recall(out, &there, &wanted),
    })
}

/// Rows of one length.
struct Rows {
    values: Vec<f32>,
    width: usize,
}

impl Rows {
    fn iter(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.width)
    }
}

/// Places two sets in the space.
struct Place<'a> {
    index: (&'a SeriesDataset, View),
    query: (&'a SeriesDataset, View),
}

impl BackendJob for Place<'_> {
    type Output = Result<[Rows; 2]>;

    fn run<B: Backend>(self, devices: &[B::Device]) -> Self::Output {
        let device = &devices[0];
        let (vision, reading) = (builtin::vision::<B>(device), builtin::reading(device));
        let joint = JointEncoder::new(vision, reading, device);
        let joint = joint.context("the built-in encoders share no space")?;
        let axes = PlotAxes::fit(&series(self.index.0));
        let place = |(set, view): (&SeriesDataset, View)| -> Result<Rows> {
            let series = series(set);
            let values = match view {
                View::Values => joint.of_values(&axes, &series)?,
                View::Pictures => joint.of_pictures(&axes, &series)?,
            };
            let width = values.len() / series.len();
            Ok(Rows { values, width })
        };
        Ok([place(self.index)?, place(self.query)?])
    }
}

fn series(set: &SeriesDataset) -> Vec<&Series> {
    set.samples().iter().map(|sample| &sample.series).collect()
}

fn likeness(a: &[f32], b: &[f32]) -> f32 {
    // Sums side by side, which the compiler makes vectors of.
    let mut sums = [0.0; 16];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

/// For every row wanted, the rows there that are most like it, and how much.
fn nearest(there: &Rows, wanted: &Rows, top: usize) -> Vec<Vec<(usize, f32)>> {
    let wanted: Vec<&[f32]> = wanted.iter().collect();
    let of_one = |row: &&[f32]| {
        let mut all: Vec<(usize, f32)> = there
            .iter()
            .map(|other| likeness(row, other))
            .enumerate()
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(top);
        all
    };
    wanted.par_iter().map(of_one).collect()
}

fn write_nearest(
    out: &mut dyn Write,
    index: &SeriesDataset,
    query: &SeriesDataset,
    found: &[Vec<(usize, f32)>],
) -> Result<()> {
    writeln!(out, "query,rank,match,label,likeness")?;
    for (sample, found) in found.iter().enumerate() {
        let query = name(query, sample);
        for (rank, &(place, likeness)) in found.iter().enumerate() {
            let label = match index.is_labeled(place) {
                true => &index.class_names()[index.samples()[place].label],
                false => "",
            };
            let (rank, found, label) = (rank + 1, name(index, place), cell(label, ','));
            writeln!(out, "{query},{rank},{found},{label},{likeness:.4}")?;
        }
    }
    Ok(())
}

/// A sample by its ids, as a cell; without any by its number.
fn name(set: &SeriesDataset, sample: usize) -> String {
    let ids = set.metadata().ids.iter();
    let ids: Vec<&str> = ids.map(|column| column.values[sample].as_str()).collect();
    match ids.is_empty() {
        true => set.samples()[sample].id.to_string(),
        false => cell(&ids.join("/"), ',').into_owned(),
    }
}

/// The shares of the series that are nearest to themselves, or among the ten nearest, in the other
/// view.
fn write_recall(out: &mut dyn Write, there: &Rows, wanted: &Rows) -> Result<()> {
    let rows: Vec<(&[f32], &[f32])> = there.iter().zip(wanted.iter()).collect();
    let better = |&(own, wanted): &(&[f32], &[f32])| {
        let least = likeness(wanted, own);
        there
            .iter()
            .filter(|other| likeness(wanted, other) > least)
            .count()
    };
    let better: Vec<usize> = rows.par_iter().map(better).collect();
    let share = |most: usize| {
        let found = better.iter().filter(|&&better| better < most).count();
        found as f64 / better.len() as f64
    };
    writeln!(out, "series,recall_at_1,recall_at_10")?;
    Ok(writeln!(
        out,
        "{},{:.4},{:.4}",
        better.len(),
        share(1),
        share(10)
    )?)
}
