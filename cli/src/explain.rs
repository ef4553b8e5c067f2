//! `timesclip explain`: which variates and time windows predictions rest on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use timesclip::data::read::Labels;
use timesclip::data::{Series, SeriesDataset};
use timesclip::page::ReportPage;
use timesclip::report::explanation_page;
use timesclip::{ExplainOptions, Explanation, Faithfulness, FaithfulnessOptions, TimesClip};

use crate::output::{visible, write_results};
use crate::predict::DeviceFlags;
use crate::read::{ReadFlags, read_like};

/// Windows of a sample that are printed.
const PRINTED: usize = 3;

/// The model, and the series whose predictions are explained.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Model file, or the run directory that holds one
    model: PathBuf,
    /// Series; labels are not needed
    file: PathBuf,
    /// Row of the sample to explain, from 0 [default: the first --samples]
    #[arg(long, value_name = "ROW")]
    sample: Option<u64>,
    /// How many samples to explain, from the first one on
    #[arg(long, value_name = "N", default_value_t = 3, conflicts_with = "sample")]
    samples: usize,
    /// Time windows of each variate
    #[arg(long, value_name = "N", default_value_t = ExplainOptions::default().n_windows)]
    windows: usize,
    /// Also measure how faithful the explanations are: deletion and insertion curves beside those of
    /// random orders
    #[arg(long)]
    faithfulness: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also write a page for each sample, one for all with the mean of each class, and the JSON
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    read: ReadFlags,
    #[command(flatten)]
    device: DeviceFlags,
}

/// Explains.
///
/// # Errors
/// If model or series cannot be read or do not fit, or the pages cannot be written.
pub(crate) fn run(args: &ExplainArgs) -> Result<()> {
    let model = TimesClip::load_with(&args.model, &args.device.options())?;
    let options = args.read.options(Labels::Optional);
    let set = read_like(&args.file, &options, model.schema())?.dataset;
    let n_windows = args.windows.max(1);
    let mut explained = Vec::new();
    for index in indices(args, &set)? {
        let series = &set.samples()[index].series;
        explained.push((index, model.explain(series, &ExplainOptions { n_windows })?));
    }
    let found = Found {
        faithfulness: args
            .faithfulness
            .then(|| faithfulness(&model, &set, &explained))
            .transpose()?,
        explained,
    };
    let json = found.to_json(&model, &set);
    if let Some(folder) = &args.out {
        write_pages(folder, (&model, &set), &found, &json)?;
    }
    write_results(None, |out| {
        if args.json {
            return Ok(writeln!(out, "{}", serde_json::to_string_pretty(&json)?)?);
        }
        for (index, found) in &found.explained {
            writeln!(out, "{}", summary(&set, (*index, found)))?;
        }
        if let Some(found) = &found.faithfulness {
            for (what, curve) in [
                ("deletion", &found.deletion),
                ("insertion", &found.insertion),
            ] {
                writeln!(
                    out,
                    "{what:9} area {:.4}  in random order {:.4}  better for {:.0}% of {} samples",
                    curve.area,
                    curve.random_area,
                    100.0 * curve.better,
                    found.n_samples
                )?;
            }
        }
        Ok(())
    })
}

/// What was found: explanations of samples, and perhaps how faithful they are.
struct Found {
    explained: Vec<(usize, Explanation)>,
    faithfulness: Option<Faithfulness>,
}

impl Found {
    fn to_json(&self, model: &TimesClip, set: &SeriesDataset) -> Value {
        let explained = self.explained.iter();
        let samples = explained
            .clone()
            .map(|(i, found)| to_json(set, (*i, found)));
        let samples: Vec<Value> = samples.collect();
        let names: Vec<String> = (0..set.n_variates()).map(|of| variate(set, of)).collect();
        json!({
            "classes": model.class_names(),
            "variates": names,
            "method": Explanation::METHOD,
            "samples": samples,
            "class_means": Explanation::class_means(explained.map(|(_, found)| found)),
            "faithfulness": self.faithfulness,
        })
    }
}

/// How faithful explanations are.
fn faithfulness(
    model: &TimesClip,
    set: &SeriesDataset,
    explained: &[(usize, Explanation)],
) -> Result<Faithfulness> {
    let pairs = explained.iter();
    let pairs: Vec<(&Series, &Explanation)> = pairs
        .map(|(index, found)| (&set.samples()[*index].series, found))
        .collect();
    Ok(model.faithfulness(&pairs, &FaithfulnessOptions::default())?)
}

/// The samples that were asked for.
fn indices(args: &ExplainArgs, set: &SeriesDataset) -> Result<Vec<usize>> {
    let Some(row) = args.sample else {
        return Ok((0..set.len().min(args.samples)).collect());
    };
    match set.samples().iter().position(|sample| sample.id == row) {
        Some(index) => Ok(vec![index]),
        None => bail!(
            "`{}` has no sample {row}, it has {}",
            args.file.display(),
            set.len()
        ),
    }
}

fn variate(set: &SeriesDataset, variate: usize) -> String {
    let name = set.variate_names().get(variate);
    name.map_or_else(|| format!("variate {}", variate + 1), Clone::clone)
}

/// The prediction, and the windows that mattered most.
fn summary(set: &SeriesDataset, (index, found): (usize, &Explanation)) -> String {
    let prediction = &found.prediction;
    let rows = found.importance.iter().enumerate();
    let mut cells: Vec<(usize, usize, f32)> = rows
        .flat_map(|(variate, row)| {
            let row = row.iter().enumerate();
            row.map(move |(window, value)| (variate, window, *value))
        })
        .collect();
    cells.sort_by(|a, b| b.2.total_cmp(&a.2));
    let cells = cells.iter().take(PRINTED).map(|&(of, window, value)| {
        let steps = &found.windows[window];
        let (name, last) = (visible(&variate(set, of)), steps.end - 1);
        format!("\n  {value:+.3}  {name}, steps {} to {last}", steps.start)
    });
    let cells: String = cells.collect();
    let (id, label) = (set.samples()[index].id, visible(&prediction.label));
    format!("sample {id}: {label} {:.3}{cells}", prediction.probability)
}

fn to_json(set: &SeriesDataset, (index, found): (usize, &Explanation)) -> Value {
    let windows = found.windows.iter();
    let windows: Vec<[usize; 2]> = windows.map(|steps| [steps.start, steps.end]).collect();
    json!({
        "row": set.samples()[index].id,
        "prediction": found.prediction,
        "windows": windows,
        "importance": found.importance,
    })
}

/// A page for each sample, one for all of them, and the JSON.
fn write_pages(
    folder: &Path,
    (model, set): (&TimesClip, &SeriesDataset),
    found: &Found,
    json: &Value,
) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let page = |name: String, page: ReportPage| -> Result<()> {
        let path = folder.join(name);
        let html = page.to_html();
        write_results(Some(&path), |out| Ok(out.write_all(html.as_bytes())?))
    };
    for one in found.explained.chunks(1) {
        let name = format!("sample{:05}.html", set.samples()[one[0].0].id);
        page(name, explanation_page((model, set), one, None)?)?;
    }
    if found.explained.len() > 1 {
        let faithfulness = found.faithfulness.as_ref();
        let all = explanation_page((model, set), &found.explained, faithfulness)?;
        page("all.html".to_owned(), all)?;
    }
    let path = folder.join("explanations.json");
    write_results(Some(&path), |out| {
        Ok(serde_json::to_writer_pretty(out, json)?)
    })?;
    say!("pages are in {}", folder.display());
    Ok(())
}
