//! Fits and tests models on every set of a folder, and prints one table:
//! `cargo run --release --example study -- FOLDER --out study.csv`.
//!
//! A set is a folder `NAME` with `NAME_TRAIN.ts` and `NAME_TEST.ts`. Everything is chosen on the training
//! split; the test split is looked at once a row. Rows are appended to the file as they are done, and
//! those that are there already are not done again. With `--tsml DIR`, predictions are written as
//! tsml-eval reads them.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use timesclip::data::answers::TsmlResult;
use timesclip::model::PatchTokens;
use timesclip::options::{AugmentWhen, EncoderWeights, Preset, Tokenizer};
use timesclip::{Effort, Evaluation, FitOptions, Modalities, SeriesDataset, TimesClip};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fits and tests models on every set of a folder.
#[derive(Debug, Parser)]
struct Args {
    /// Folder of the sets
    folder: PathBuf,
    /// File of the rows, CSV
    #[arg(long)]
    out: PathBuf,
    /// Model types, several with commas
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "full,dual,language_only,vision_only,kernels_only"
    )]
    model_types: Vec<Modalities>,
    /// fast or full
    #[arg(long, default_value = "fast")]
    effort: Effort,
    /// Seeds, from 1 on
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// What to leave out, several with commas: contrastive, augmentation, builtin, folds
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// The network's architecture, as of `timesclip train`
    #[arg(long, default_value = "small")]
    preset: Preset,
    /// How its language branch makes tokens of values [default: the preset's]
    #[arg(long)]
    tokenizer: Option<Tokenizer>,
    /// Weights of the vision encoder, as of `timesclip train`
    #[arg(long, default_value = "builtin")]
    vision_weights: EncoderWeights,
    /// Patches that become tokens of the network's vision encoder, all or ink
    #[arg(long, default_value = "all")]
    tokens: PatchTokens,
    /// Also write the predictions as tsml-eval reads them, into this folder
    #[arg(long)]
    tsml: Option<PathBuf>,
}

/// Key of a row: set, model type with what is left out, effort, seed.
type Key = (String, String, String, u64);
/// Accuracy and log loss of held-out training samples, accuracy, log loss and ECE of the test split,
/// seconds.
type Scores = [f64; 6];

const HEADER: &str =
    "set,model,effort,seed,held_out_accuracy,held_out_log_loss,accuracy,log_loss,ece,seconds";

fn main() -> Result<()> {
    let args = Args::parse();
    let mut rows = read(&args.out)?;
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&args.out)?;
    if rows.is_empty() {
        writeln!(file, "{HEADER}")?;
    }
    for (name, folder) in sets(&args.folder)? {
        for &modalities in &args.model_types {
            for seed in 1..=args.seeds {
                let key = key(&args, &name, modalities, seed);
                if rows.contains_key(&key) {
                    continue;
                }
                let scores = run(&args, (&name, &folder), modalities, seed)
                    .with_context(|| format!("{name}, {modalities}, seed {seed}"))?;
                let (set, model, effort, seed) = &key;
                let numbers = scores.map(|score| format!("{score:.6}")).join(",");
                let line = format!("{set},{model},{effort},{seed},{numbers}");
                eprintln!("{line}");
                writeln!(file, "{line}")?;
                rows.insert(key, scores);
            }
        }
    }
    print(&rows);
    Ok(())
}

fn key(args: &Args, name: &str, modalities: Modalities, seed: u64) -> Key {
    let without = args.without.iter().map(|what| format!(" without {what}"));
    let model = format!(
        "{modalities}{}{}",
        others(args),
        without.collect::<String>()
    );
    let effort = format!("{:?}", args.effort).to_lowercase();
    (name.to_owned(), model, effort, seed)
}

/// What of network and encoders is not the default: rows of other options have other names.
fn others(args: &Args) -> String {
    let FitOptions {
        network, encoders, ..
    } = FitOptions::default();
    let name = |option: serde_json::Result<serde_json::Value>| {
        let option = option.unwrap_or_default();
        option
            .as_str()
            .map_or_else(|| option.to_string(), str::to_owned)
    };
    let mut others = String::new();
    if args.preset != network.preset {
        others += &format!(" {}", name(serde_json::to_value(args.preset)));
    }
    if let Some(tokenizer) = args.tokenizer {
        others += &format!(" {}", name(serde_json::to_value(tokenizer)));
    }
    if args.vision_weights != encoders.vision_weights {
        others += &format!(" {}", name(serde_json::to_value(&args.vision_weights)));
    }
    if args.tokens != encoders.tokens {
        others += &format!(" {} tokens", args.tokens);
    }
    others
}

/// Names and folders of the sets.
fn sets(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut sets = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.join(format!("{name}_TRAIN.ts")).is_file() {
            sets.push((name, path));
        }
    }
    sets.sort();
    ensure!(
        !sets.is_empty(),
        "no NAME/NAME_TRAIN.ts in {}",
        folder.display()
    );
    Ok(sets)
}

fn options(args: &Args, modalities: Modalities, seed: u64) -> Result<FitOptions> {
    let mut options = FitOptions {
        modalities,
        seed,
        effort: args.effort,
        ..FitOptions::default()
    };
    options.network.preset = args.preset;
    options.network.tokenizer = args.tokenizer;
    options.encoders.vision_weights = args.vision_weights.clone();
    options.encoders.tokens = args.tokens;
    for what in &args.without {
        match what.as_str() {
            "contrastive" => options.training.contrastive_weight = 0.0,
            "augmentation" => options.augmentation.when = AugmentWhen::Never,
            "folds" => options.folds = Some(1),
            "builtin" => {
                options.encoders.vision_weights = EncoderWeights::Random;
                options.encoders.text_weights = EncoderWeights::Random;
            }
            other => anyhow::bail!(
                "--without {other}: expected contrastive, augmentation, builtin or folds"
            ),
        }
    }
    Ok(options)
}

fn run(
    args: &Args,
    (name, folder): (&str, &Path),
    modalities: Modalities,
    seed: u64,
) -> Result<Scores> {
    let train = SeriesDataset::read(folder.join(format!("{name}_TRAIN.ts")))?;
    let test = SeriesDataset::read(folder.join(format!("{name}_TEST.ts")))?;
    let started = Instant::now();
    let model = TimesClip::fit(&train, &options(args, modalities, seed)?)?;
    let seconds = started.elapsed().as_secs_f64();
    let evaluation = model.evaluate(&test)?;
    if let Some(folder) = &args.tsml {
        write_tsml(
            folder,
            (name, &format!("TimesClip-{modalities}")),
            seed,
            &evaluation,
        )?;
    }
    let held_out = model.provenance().scores.last();
    let held_out = held_out.context("a fit without held-out answers")?;
    Ok([
        held_out.accuracy,
        held_out.log_loss,
        evaluation.accuracy,
        evaluation.log_loss,
        evaluation.ece.unwrap_or(f64::NAN),
        seconds,
    ])
}

fn write_tsml(
    folder: &Path,
    (dataset, classifier): (&str, &str),
    resample: u64,
    evaluation: &Evaluation,
) -> Result<()> {
    let answers = evaluation.targets.iter().zip(&evaluation.predictions);
    let answers =
        answers.filter_map(|(target, answer)| Some(((*target)?, answer.probabilities.clone())));
    let (labels, probabilities): (Vec<usize>, Vec<Vec<f32>>) = answers.unzip();
    TsmlResult {
        dataset,
        classifier,
        resample,
        parameters: "defaults",
        class_names: &evaluation.class_names,
        labels: &labels,
        probabilities: &probabilities,
        fit_milliseconds: None,
        predict_milliseconds: None,
    }
    .write(folder)?;
    Ok(())
}

/// The rows of an earlier study; none if there was none.
fn read(path: &Path) -> Result<BTreeMap<Key, Scores>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(path)?;
    let rows = text.lines().filter(|line| *line != HEADER).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        ensure!(
            cells.len() == HEADER.split(',').count(),
            "{line:?} is no row of a study: {HEADER}"
        );
        let key = (
            cells[0].into(),
            cells[1].into(),
            cells[2].into(),
            cells[3].parse()?,
        );
        let mut scores = Scores::default();
        for (score, cell) in scores.iter_mut().zip(&cells[4..]) {
            *score = cell.parse()?;
        }
        Ok((key, scores))
    });
    rows.collect()
}

/// Means over the seeds, a line a set and model; and over the sets.
fn print(rows: &BTreeMap<Key, Scores>) {
    let mut means: BTreeMap<(&str, &str, &str), Vec<Scores>> = BTreeMap::new();
    for ((set, model, effort, _), scores) in rows {
        means.entry((model, effort, set)).or_default().push(*scores);
        means
            .entry((model, effort, "~ mean"))
            .or_default()
            .push(*scores);
    }
    println!("| model | effort | set | held out | accuracy | log loss | ECE | seconds |");
    println!("|---|---|---|---|---|---|---|---|");
    for ((model, effort, set), scores) in means {
        let mean = |i: usize| scores.iter().map(|s| s[i]).sum::<f64>() / scores.len() as f64;
        println!(
            "| {model} | {effort} | {set} | {:.3} / {:.3} | {:.4} | {:.4} | {:.3} | {:.1} |",
            mean(0),
            mean(1),
            mean(2),
            mean(3),
            mean(4),
            mean(5)
        );
    }
}
