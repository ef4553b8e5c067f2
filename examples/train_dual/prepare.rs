//! `--prepare-only`: the pictures or features of all sets, or a shard of them, and no training.

use std::ops::ControlFlow;

use anyhow::{Result, bail};
use burn::module::AutodiffModule;
use burn::tensor::backend::{AutodiffBackend, Backend};
use indicatif::ProgressBar;
use timesclip::backend::TrainingJob;
use timesclip::batch::{BatchSource, TimesClipBatcher};
use timesclip::cache::store::{BuiltShard, Shard};
use timesclip::cache::{BuildCost, BuildOptions, OnDiskImages, UncachedImages};
use timesclip::data::SeriesDataset;
use timesclip::encode::FeatureEncoder;
use timesclip::model::TimesClipClassifier;
use timesclip::report::RunConfig;

use crate::args::{Args, CacheFlag};
use crate::data::{Data, cache_folder, progress_bar};
use crate::encoders::Pretrained;
use crate::sets::{Sets, check_device_cache, frozen_tower, with_views};
use crate::{batcher, n_views, start};

/// What there is to do for the runs that follow.
pub(crate) struct Preparation<'a> {
    args: &'a Args,
    data: Data,
    pretrained: Pretrained,
    config: RunConfig,
}

impl<'a> Preparation<'a> {
    /// Refuses flags that leave nothing to prepare, or nowhere to keep it.
    pub(crate) fn new(
        args: &'a Args,
        data: Data,
        pretrained: Pretrained,
        config: RunConfig,
    ) -> Result<Self> {
        match args.cache() {
            CacheFlag::Disk => {}
            CacheFlag::Memory => {
                bail!("--prepare-only keeps pictures and features in files: it needs --cache disk")
            }
            CacheFlag::None => {
                bail!("--prepare-only cannot keep anything without a cache: it needs --cache disk")
            }
        }
        if !config.model.mode.sees() {
            bail!("--prepare-only has nothing to prepare: the model sees no pictures");
        }
        Ok(Self {
            args,
            data,
            pretrained,
            config,
        })
    }
}

impl TrainingJob for Preparation<'_> {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, devices: &[B::Device]) -> Result<()> {
        let (args, config, data) = (self.args, &self.config, &self.data);
        check_device_cache::<B>(args, config, data.train.len(), devices)?;
        let batcher = batcher(args, config);
        let (model, _) = start::<B>(args, config, &self.pretrained, devices)?;
        let model = model.valid();
        let sets = [
            (&data.train, "training", n_views(config)),
            (&data.test, "test", 0),
        ];
        for set in sets {
            let encoder = (&model, devices);
            match args.shard {
                None => drop(Sets::build(args, config, &batcher, set, encoder)?),
                Some(shard) => build_shards(args, config, (&batcher, shard), set, encoder)?,
            }
        }
        Ok(())
    }
}

/// Draws or encodes one shard of a set, and of each of its views.
fn build_shards<B: Backend>(
    args: &Args,
    config: &RunConfig,
    (batcher, shard): (&TimesClipBatcher, Shard),
    (dataset, what, n_views): (&SeriesDataset, &str, usize),
    (model, devices): (&TimesClipClassifier<B>, &[B::Device]),
) -> Result<()> {
    for (series, what) in with_views(config, dataset, what, n_views)? {
        let what = format!("{what}, shard {shard}");
        let Some(tower) = frozen_tower(args, config, model) else {
            draw(args, config, &series, (shard, &what))?;
            continue;
        };
        let images = UncachedImages::new(series, &config.style)?;
        let source = BatchSource::new(&images, batcher);
        let dtype = args.encoders.feature_dtype;
        let encoder = FeatureEncoder::new(tower, source, dtype, &devices[0])?;
        let encoder = encoder.with_devices(devices);
        encode(args, &encoder, dataset, (shard, &what))?;
    }
    Ok(())
}

fn draw(
    args: &Args,
    config: &RunConfig,
    series: &SeriesDataset,
    (shard, what): (Shard, &str),
) -> Result<()> {
    let samples = shard.range(series.len());
    let cost = BuildCost::of_samples(series, samples, &config.style)?;
    println!("pictures  {what}: {cost}");
    let bar = progress_bar(cost.images, args.quiet);
    let (folder, options) = (cache_folder(args)?, watched_by(&bar));
    let built = OnDiskImages::build_shard(folder, series, &config.style, shard, options);
    bar.finish_and_clear();
    tell(&built?, series.n_variates(), "drawn");
    Ok(())
}

fn encode<B: Backend>(
    args: &Args,
    encoder: &FeatureEncoder<'_, B>,
    dataset: &SeriesDataset,
    (shard, what): (Shard, &str),
) -> Result<()> {
    let cost = encoder.estimate()?;
    let n_pictures = shard.range(dataset.len()).len() * dataset.n_variates();
    let share = n_pictures as f64 / cost.images as f64;
    println!(
        "features  {what}: {n_pictures} of {} pictures to encode, {:.1} MB, about {:.0} s",
        cost.images,
        share * cost.bytes as f64 / 1e6,
        share * cost.seconds
    );
    let bar = progress_bar(n_pictures, args.quiet);
    let built = encoder.build_shard(&cache_folder(args)?, shard, watched_by(&bar));
    bar.finish_and_clear();
    tell(&built?, dataset.n_variates(), "encoded");
    Ok(())
}

fn watched_by(bar: &ProgressBar) -> BuildOptions<'_> {
    BuildOptions::new().with_progress(|progress| {
        bar.set_position(progress.done as u64);
        ControlFlow::Continue(())
    })
}

fn tell(built: &BuiltShard, n_variates: usize, done: &str) {
    if let Some(defect) = &built.replaced {
        println!("          an unusable shard was replaced: {defect}");
    }
    println!(
        "          {} {done} now, {:.1} MB",
        built.n_made * n_variates,
        built.bytes as f64 / 1e6
    );
    println!("          {}", built.path.display());
}
