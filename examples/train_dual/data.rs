//! Reads, checks and splits the series, and builds the image caches.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use timesclip::cache::{
    BuildCost, BuildOptions, CachedImageDataset, InMemoryImages, OnDiskImages, UncachedImages,
    available_memory,
};
use timesclip::data::split::{Split, SplitFractions};
use timesclip::data::{SeriesDataset, read_dataset};
use timesclip::raster::PlotStyle;

use crate::args::{Args, CacheFlag};

/// A set to learn from, its split into training and validation samples, and a set to be tested on.
pub(crate) struct Data {
    pub(crate) train: SeriesDataset,
    pub(crate) split: Split,
    pub(crate) test: SeriesDataset,
}

impl Data {
    /// Steps of the shortest and of the longest series of both sets.
    pub(crate) fn steps(&self) -> (usize, usize) {
        let samples = self.train.samples().iter().chain(self.test.samples());
        let steps = samples.map(|sample| sample.series.n_steps());
        steps.fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)))
    }
}

/// Reads both sets. The test set is only checked for fitting the training set.
pub(crate) fn load(args: &Args) -> Result<Data> {
    let shipped = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/data")
            .join(name)
    };
    let path = |given: &Option<PathBuf>, name| given.clone().unwrap_or_else(|| shipped(name));
    let format = args.csv_format()?;
    let train_path = path(&args.data, "JapaneseVowels_TRAIN.ts");
    let test_path = path(&args.test_data, "JapaneseVowels_TEST.ts");
    let train = read_dataset(&train_path, format.as_ref())?;
    train
        .check_trainable()
        .with_context(|| format!("{} cannot be learnt from", train_path.display()))?;
    let test = read_dataset(&test_path, format.as_ref())?
        .with_classes_of(&train)
        .with_context(|| format!("{} does not fit the training set", test_path.display()))?;
    let labels: Vec<usize> = train.samples().iter().map(|sample| sample.label).collect();
    let fractions = SplitFractions {
        valid: args.valid_fraction,
        test: 0.0,
    };
    let split = Split::stratified(&labels, fractions, args.seed)?;
    println!(
        "data      {}: {} to learn from, {} to choose by, {} to be tested on; {} variates, {} classes",
        train.name(),
        split.train.len(),
        split.valid.len(),
        test.len(),
        train.n_variates(),
        train.n_classes(),
    );
    Ok(Data { train, split, test })
}

/// The pictures of a set, kept as the flags say. A model that sees none gets a cache that draws
/// on demand, which nobody demands.
pub(crate) fn build_images(
    args: &Args,
    dataset: &SeriesDataset,
    style: &PlotStyle,
    sees: bool,
    what: &str,
) -> Result<Box<dyn CachedImageDataset>> {
    if !sees {
        return Ok(Box::new(UncachedImages::new(dataset.clone(), style)?));
    }
    if args.cache() == CacheFlag::None {
        println!("pictures  {what}: drawn when needed, in every epoch");
        return Ok(Box::new(UncachedImages::new(dataset.clone(), style)?));
    }
    let cost = BuildCost::estimate(dataset, style)?;
    println!(
        "pictures  {what}: {} to draw, about {:.1} MB and {:.1} s",
        cost.images,
        cost.bytes as f64 / 1e6,
        cost.seconds
    );
    advise(args.cache(), cost.bytes);
    let bar = progress_bar(cost.images, args.quiet);
    let options = BuildOptions::new().with_progress(|progress| {
        bar.set_position(progress.done as u64);
        ControlFlow::Continue(())
    });
    let images: Box<dyn CachedImageDataset> = match args.cache() {
        CacheFlag::Disk => {
            let folder = cache_folder(args)?;
            let images = OnDiskImages::open_or_build(&folder, dataset.clone(), style, options)?;
            if let Some(defect) = images.replaced() {
                println!("          an unusable store was replaced: {defect}");
            }
            println!("          {}", images.path().display());
            Box::new(images)
        }
        CacheFlag::Memory | CacheFlag::None => {
            Box::new(InMemoryImages::build(dataset.clone(), style, options)?)
        }
    };
    bar.finish_and_clear();
    let stats = images.stats();
    let made = match stats.drawn {
        0 => "all found".to_owned(),
        n => format!("{n} drawn"),
    };
    println!(
        "          {made}, ready in {:.2} s, {:.1} MB, {:.0} bytes each",
        stats.build_seconds,
        stats.bytes as f64 / 1e6,
        stats.bytes as f64 / stats.images.max(1) as f64
    );
    Ok(images)
}

/// The folder of the pictures and features that are kept on disk; made if it is not there.
pub(crate) fn cache_folder(args: &Args) -> Result<PathBuf> {
    let default = || Path::new("runs").join("pictures");
    let folder = args.cache_dir.clone().unwrap_or_else(default);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Says which flag helps if the pictures do not fit the memory that is free.
fn advise(cache: CacheFlag, bytes: u64) {
    let Some(free) = available_memory().filter(|free| cache == CacheFlag::Memory && bytes > *free)
    else {
        return;
    };
    println!(
        "          that is more than the {:.1} MB of memory that are free: --cache disk keeps them in \
         a file, --no-cache draws them in every epoch",
        free as f64 / 1e6
    );
}

/// A bar in a terminal, nothing elsewhere.
pub(crate) fn progress_bar(total: usize, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("          {bar:32} {pos}/{len} {msg} {eta}");
    let bar = ProgressBar::new(total as u64);
    bar.enable_steady_tick(Duration::from_millis(200));
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
