//! `timesclip cache`: builds image stores; examines, joins and removes image and embedding stores.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Result, bail, ensure};
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use timesclip::cache::disk::StoreHeader;
use timesclip::cache::features::FeatureHeader;
use timesclip::cache::store::{
    BuiltShard, FoundStore, Shard, StoreDefect, StoreKind, find_stores, join,
};
use timesclip::cache::{BuildCost, BuildOptions, CachedImageDataset, OnDiskImages};
use timesclip::data::SeriesDataset;
use timesclip::data::read::Labels;
use timesclip::raster::PlotStyle;

use crate::read::{ReadFlags, read};
use crate::shard;

/// Prints a line of results; a reader that has gone away is an error of its own.
macro_rules! line {
    ($($argument:tt)*) => {
        writeln!(io::stdout().lock(), $($argument)*)?
    };
}

/// What to do with the stores.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Draw all pictures of a data set into a store; an interrupted build is resumed
    Build {
        /// Folder of the stores; it is made if need be
        #[arg(long)]
        dir: PathBuf,
        /// Refuse to build a store, or shard, of more than so many bytes
        #[arg(long)]
        budget: Option<u64>,
        /// Draw only the I-th of N equal parts, I from 1 to N, into a file of its own: one task of an
        /// array job. `auto` takes both from Slurm, `auto/N` takes I from Slurm or Kubernetes
        #[arg(long, value_name = "I/N", value_parser = shard::parse)]
        shard: Option<Shard>,
        #[command(flatten)]
        data: Box<Data>,
    },
    /// Join the shards in a folder into the stores that they are parts of, and remove them
    Merge {
        /// Folder of the shards
        dir: PathBuf,
    },
    /// List the stores and shards in a folder
    Stats {
        /// Folder of the stores
        dir: PathBuf,
    },
    /// Read and check every byte of all complete stores and shards in a folder
    Verify {
        /// Folder of the stores
        dir: PathBuf,
    },
    /// Remove stores and shards by key or age
    Prune {
        /// Folder of the stores
        dir: PathBuf,
        /// Remove the stores whose key starts with these digits; may be given again
        #[arg(long)]
        key: Vec<String>,
        /// Remove the stores that were written at least so many days ago
        #[arg(long)]
        older_than_days: Option<u32>,
        /// Only list what would be removed
        #[arg(long)]
        dry_run: bool,
    },
}

/// The pictures that are meant.
#[derive(Debug, Args)]
pub(crate) struct Data {
    /// Series, in any format that `train` reads
    file: PathBuf,
    /// Width and height of a picture in pixels
    #[arg(long, default_value_t = 224)]
    side: usize,
    #[command(flatten)]
    read: ReadFlags,
}

impl Data {
    fn read(&self) -> Result<(SeriesDataset, PlotStyle)> {
        let style = PlotStyle {
            side_px: self.side,
            ..PlotStyle::default()
        };
        let options = self.read.options(Labels::Optional);
        Ok((read(&self.file, &options, false)?.dataset, style))
    }
}

/// Runs a command on stores.
///
/// # Errors
/// Whatever keeps it from being done.
pub(crate) fn run(command: CacheCommand) -> Result<()> {
    match command {
        CacheCommand::Build {
            data,
            dir,
            budget,
            shard,
        } => build(&data, &dir, budget, shard),
        CacheCommand::Merge { dir } => merge(&dir),
        CacheCommand::Stats { dir } => stats(&dir),
        CacheCommand::Verify { dir } => verify(&dir),
        CacheCommand::Prune {
            dir,
            key,
            older_than_days,
            dry_run,
        } => prune(&dir, &key, older_than_days, dry_run),
    }
}

fn build(data: &Data, dir: &Path, budget: Option<u64>, shard: Option<Shard>) -> Result<()> {
    let (dataset, style) = data.read()?;
    let n_samples = dataset.len();
    let samples = shard.map_or(0..n_samples, |shard| shard.range(n_samples));
    line!(
        "cost: {}",
        BuildCost::of_samples(&dataset, samples, &style)?
    );
    let bar = ProgressBar::new(0);
    let mut options = watched_by(&bar);
    if let Some(bytes) = budget {
        options = options.with_budget(bytes);
    }
    if let Some(shard) = shard {
        let built = OnDiskImages::build_shard(dir, &dataset, &style, shard, options);
        bar.finish_and_clear();
        return tell_shard(shard, &built?, dataset.n_variates());
    }
    let images = OnDiskImages::open_or_build(dir, dataset, &style, options);
    bar.finish_and_clear();
    let images = images?;
    if let Some(defect) = images.replaced() {
        line!("replaced a store or shard: {defect}");
    }
    let stats = images.stats();
    line!(
        "{}: {} pictures, {} drawn now, {} bytes, {:.2} s",
        images.path().display(),
        stats.images,
        stats.drawn,
        stats.bytes,
        stats.build_seconds
    );
    Ok(())
}

fn watched_by(bar: &ProgressBar) -> BuildOptions<'_> {
    BuildOptions::new().with_progress(|progress| {
        bar.set_length(progress.total as u64);
        bar.set_position(progress.done as u64);
        ControlFlow::Continue(())
    })
}

fn tell_shard(shard: Shard, built: &BuiltShard, n_variates: usize) -> Result<()> {
    if let Some(defect) = &built.replaced {
        line!("replaced a shard: {defect}");
    }
    line!(
        "{}: shard {shard}, {} pictures, {} drawn now, {} bytes",
        built.path.display(),
        built.samples.len() * n_variates,
        built.n_made * n_variates,
        built.bytes
    );
    Ok(())
}

fn merge(dir: &Path) -> Result<()> {
    let images = merge_kind::<StoreHeader>(dir)?;
    let features = merge_kind::<FeatureHeader>(dir)?;
    let (found, failed) = (images.0 + features.0, images.1 + features.1);
    if found == 0 {
        line!("there are no shards in {}", dir.display());
    }
    ensure!(failed == 0, "{failed} of {found} stores cannot be joined");
    Ok(())
}

/// Joins all shards of one kind; returns how many stores they are of, and how many cannot be joined.
fn merge_kind<K: StoreKind>(dir: &Path) -> Result<(usize, usize)> {
    let found = find_stores::<K>(dir)?;
    let shards = found.iter().filter(|store| store.shard.is_some());
    let stores: BTreeSet<PathBuf> = shards.map(FoundStore::store_path).collect();
    let mut n_failed = 0;
    for path in &stores {
        let bar = ProgressBar::new(0);
        let joined = join::<K>(path, watched_by(&bar));
        bar.finish_and_clear();
        match joined {
            Ok(store) => line!(
                "{}: {} samples, {} bytes",
                path.display(),
                store.ids().len(),
                store.bytes()
            ),
            Err(error) => {
                n_failed += 1;
                line!("{:#}", anyhow::Error::new(error));
            }
        }
    }
    Ok((stores.len(), n_failed))
}

fn stats(dir: &Path) -> Result<()> {
    let images = list::<StoreHeader>(dir, |header| {
        format!("{} px; {}", header.side_px, header.style)
    })?;
    let features = list::<FeatureHeader>(dir, |header| {
        let (key, description) = (header.key, &header.description);
        format!("{} numbers as {}; {description}", key.width, key.dtype)
    })?;
    let (n_stores, bytes) = (images.0 + features.0, images.1 + features.1);
    line!("{n_stores} files, {bytes} bytes");
    Ok(())
}

/// Lists the stores and shards of one kind; returns their number and their bytes.
fn list<K: StoreKind>(dir: &Path, what: impl Fn(&K) -> String) -> Result<(usize, u64)> {
    let stores = find_stores::<K>(dir)?;
    for store in &stores {
        let days = age(store).as_secs_f64() / 86_400.0;
        let shard = store.shard.map(|shard| format!(" (shard {shard})"));
        line!(
            "{}{}{}: {} bytes, {days:.1} days old",
            store.path.display(),
            shard.unwrap_or_default(),
            if store.partial { " (not complete)" } else { "" },
            store.bytes
        );
        match &store.header {
            Ok(header) => line!(
                "  {} samples x {} variates, {}",
                header.n_samples(),
                header.n_variates(),
                what(header)
            ),
            Err(defect) => line!("  {defect}"),
        }
    }
    Ok((stores.len(), stores.iter().map(|store| store.bytes).sum()))
}

fn verify(dir: &Path) -> Result<()> {
    let n_damaged = damaged::<StoreHeader>(dir)? + damaged::<FeatureHeader>(dir)?;
    ensure!(n_damaged == 0, "{n_damaged} files are damaged");
    Ok(())
}

/// Reads all of every complete store and shard of one kind; returns how many are damaged.
fn damaged<K: StoreKind>(dir: &Path) -> Result<usize> {
    let mut n_damaged = 0;
    for store in find_stores::<K>(dir)?.iter().filter(|store| !store.partial) {
        match store.verify() {
            Ok(()) => line!("{}: whole", store.path.display()),
            Err(error) => {
                n_damaged += 1;
                line!("{:#}", anyhow::Error::new(error));
            }
        }
    }
    Ok(n_damaged)
}

fn prune(dir: &Path, keys: &[String], days: Option<u32>, dry_run: bool) -> Result<()> {
    if keys.is_empty() && days.is_none() || keys.iter().any(String::is_empty) {
        bail!("nothing says which stores to remove: give --key, --older-than-days, or both");
    }
    let oldest = days.map(|days| Duration::from_secs(u64::from(days) * 86_400));
    prune_kind::<StoreHeader>(dir, keys, oldest, dry_run)?;
    prune_kind::<FeatureHeader>(dir, keys, oldest, dry_run)
}

fn prune_kind<K: StoreKind>(
    dir: &Path,
    keys: &[String],
    oldest: Option<Duration>,
    dry_run: bool,
) -> Result<()> {
    for store in find_stores::<K>(dir)? {
        let name = store.path.file_name().unwrap_or_default().to_string_lossy();
        let named = keys.is_empty() || keys.iter().any(|key| name.starts_with(key.as_str()));
        let foreign = matches!(store.header, Err(StoreDefect::NotAStore));
        if foreign || !named || oldest.is_some_and(|oldest| age(&store) < oldest) {
            continue;
        }
        if dry_run {
            line!("would remove {}", store.path.display());
        } else {
            store.remove()?;
            line!("removed {}", store.path.display());
        }
    }
    Ok(())
}

/// Time since a store was last written; none if that lies in the future.
fn age<K>(store: &FoundStore<K>) -> Duration {
    SystemTime::now()
        .duration_since(store.modified)
        .unwrap_or_default()
}
