//! The pictures of a set and its views, and the features of a frozen encoder in their place.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use burn::tensor::backend::{AutodiffBackend, Backend};
use bytesize::ByteSize;
use timesclip::batch::{BatchSource, DeviceCache, TimesClipBatcher};
use timesclip::cache::features::{FeatureError, FeatureHeader, FeatureStats, FeatureStore};
use timesclip::cache::store::{StoreError, join};
use timesclip::cache::{BuildOptions, CachedImageDataset, UncachedImages};
use timesclip::data::SeriesDataset;
use timesclip::data::augment::Augmenter;
use timesclip::encode::FeatureEncoder;
use timesclip::model::{Freeze, TimesClipClassifier, VisionTower};
use timesclip::report::RunConfig;

use crate::args::{Args, CacheFlag};
use crate::data::{build_images, cache_folder, progress_bar};
use crate::encoders::Switch;

/// A set and its views, ready to be gathered into batches.
pub(crate) struct Sets {
    images: Vec<Box<dyn CachedImageDataset>>,
    features: Vec<FeatureStore>,
    on_device: Vec<DeviceCache>,
}

impl Sets {
    /// Draws or encodes, as the flags say, the pictures of a set and of `n_views` views of it.
    pub(crate) fn build<B: Backend>(
        args: &Args,
        config: &RunConfig,
        batcher: &TimesClipBatcher,
        (dataset, what, n_views): (&SeriesDataset, &str, usize),
        (model, devices): (&TimesClipClassifier<B>, &[B::Device]),
    ) -> Result<Self> {
        let frozen = frozen_tower(args, config, model);
        let mut sets = Self {
            images: Vec::new(),
            features: Vec::new(),
            on_device: Vec::new(),
        };
        for (series, what) in with_views(config, dataset, what, n_views)? {
            let Some(tower) = frozen else {
                let sees = config.model.mode.sees();
                sets.images
                    .push(build_images(args, &series, &config.style, sees, &what)?);
                continue;
            };
            // Every picture is drawn once, for the encoder: there is nothing to cache.
            let images = UncachedImages::new(series, &config.style)?;
            let source = BatchSource::new(&images, batcher);
            let dtype = args.encoders.feature_dtype;
            let encoder = FeatureEncoder::new(tower, source, dtype, &devices[0])?;
            let encoder = encoder.with_devices(devices);
            sets.features.push(encode(args, &encoder, &what)?);
            sets.images.push(Box::new(images));
        }
        Ok(sets)
    }

    /// What batches come from: the set itself, then its views.
    pub(crate) fn sources<'a>(
        &'a self,
        batcher: &'a TimesClipBatcher,
    ) -> Result<Vec<BatchSource<'a>>> {
        let images = self.images.iter().enumerate();
        let sources = images.map(|(i, images)| {
            let source = BatchSource::new(&**images, batcher);
            let source = match self.features.get(i) {
                Some(features) => source.with_features(features)?,
                None => source,
            };
            Ok(match self.on_device.get(i) {
                Some(cache) => source.with_device_cache(cache)?,
                None => source,
            })
        });
        sources.collect()
    }

    /// Brings all pictures, or their features, to the device if the flags say so.
    pub(crate) fn keep_on_device<B: AutodiffBackend>(
        &mut self,
        args: &Args,
        batcher: &TimesClipBatcher,
        devices: &[B::Device],
    ) -> Result<()> {
        let Some(ByteSize(budget)) = args.device_cache else {
            return Ok(());
        };
        let (start, mut used) = (Instant::now(), 0);
        let mut caches = Vec::new();
        for source in self.sources(batcher)? {
            let cache = DeviceCache::build_for_training::<B>(source, devices, budget - used)
                .context("--device-cache: the device cannot keep this set")?;
            used += cache.bytes();
            caches.push(cache);
        }
        self.on_device = caches;
        println!(
            "kept      {:.1} MB on each device, ready in {:.2} s",
            used as f64 / 1e6,
            start.elapsed().as_secs_f64()
        );
        Ok(())
    }

    /// The pictures of the set itself.
    pub(crate) fn images(&self) -> &dyn CachedImageDataset {
        &*self.images[0]
    }

    /// The features of the set itself, if they are cached.
    pub(crate) fn feature_stats(&self) -> Option<FeatureStats> {
        self.features.first().map(FeatureStore::stats)
    }
}

/// A set and `n_views` views of it, and what they are called.
pub(crate) fn with_views(
    config: &RunConfig,
    dataset: &SeriesDataset,
    what: &str,
    n_views: usize,
) -> Result<impl Iterator<Item = (SeriesDataset, String)>> {
    let transforms = config
        .augmentation
        .map(|augmentation| augmentation.transforms);
    let augmenter = Augmenter::new(transforms.unwrap_or_default(), config.training.seed)?;
    Ok((0..=n_views).map(move |view| {
        let what = match view {
            0 => what.to_owned(),
            _ => format!("{what}, view {view}"),
        };
        (augmenter.view_of(dataset, view), what)
    }))
}

/// The vision encoder, if its outputs are kept in the place of pictures.
pub(crate) fn frozen_tower<'a, B: Backend>(
    args: &Args,
    config: &RunConfig,
    model: &'a TimesClipClassifier<B>,
) -> Option<&'a VisionTower<B>> {
    model
        .frozen_vision()
        .filter(|_| keeps_features(args, config))
}

fn keeps_features(args: &Args, config: &RunConfig) -> bool {
    args.encoders.feature_cache != Switch::Off && problem(config).is_none()
}

/// Refuses a device cache that has nothing to keep, or less room than all views of the training set
/// take of one of the devices.
pub(crate) fn check_device_cache<B: Backend>(
    args: &Args,
    config: &RunConfig,
    n_samples: usize,
    devices: &[B::Device],
) -> Result<()> {
    let Some(budget) = args.device_cache else {
        return Ok(());
    };
    if !config.model.mode.sees() {
        bail!("--device-cache: the model sees no pictures");
    }
    let (n_variates, vision) = (config.model.n_variates, &config.model.vision);
    let set = match keeps_features(args, config) {
        true => {
            let dtype = args.encoders.feature_dtype;
            let bytes = |device| DeviceCache::number_bytes::<B>(dtype, device);
            let number = devices.iter().map(bytes).max().unwrap_or(0);
            (n_samples * n_variates * vision.d_output() * number) as u64
        }
        false => DeviceCache::picture_bytes(n_samples, n_variates, vision.side_px),
    };
    let n_views = config.augmentation.map_or(0, |a| a.views as u64);
    let needed = set * (1 + n_views);
    if needed > budget.as_u64() {
        bail!(
            "--device-cache allows {budget} ({} bytes), but the training set and {n_views} views of \
             it take {} ({needed} bytes)",
            budget.as_u64(),
            ByteSize(needed)
        );
    }
    Ok(())
}

/// Why the outputs of the vision encoder cannot be kept, if they cannot.
fn problem(config: &RunConfig) -> Option<&'static str> {
    if !config.model.mode.sees() {
        Some("the model sees no pictures")
    } else if config.model.freeze_vision != Freeze::All {
        Some("the vision encoder learns (it does not with --freeze vision)")
    } else if config.training.color_jitter.is_some() {
        Some("--color-jitter changes the pictures in every step")
    } else {
        None
    }
}

/// Refuses a feature cache that was asked for but cannot be; says why one is left out.
pub(crate) fn check_feature_cache(args: &Args, config: &RunConfig) -> Result<()> {
    match (problem(config), args.encoders.feature_cache) {
        (Some(problem), Switch::On) => {
            bail!("--feature-cache on: features cannot be kept, because {problem}")
        }
        (Some(problem), Switch::Auto) if config.model.mode.sees() => {
            println!("features  not kept: {problem}");
        }
        _ => {}
    }
    Ok(())
}

/// The features that an earlier run left in a folder, or all shards of them.
fn find<B: Backend>(encoder: &FeatureEncoder<'_, B>, folder: &Path) -> Option<FeatureStore> {
    if let Ok(found) = encoder.open(folder) {
        return Some(found);
    }
    let path = FeatureStore::path_in(folder, encoder.key());
    match join::<FeatureHeader>(path, BuildOptions::new()) {
        Ok(_) => encoder.open(folder).ok(),
        Err(FeatureError::Store(error @ StoreError::MissingShards { .. })) => {
            println!("          {error}: encoding the rest here");
            None
        }
        // Building the store names what is wrong.
        Err(_) => None,
    }
}

/// Encodes one set, or finds it encoded by an earlier run.
fn encode<B: Backend>(
    args: &Args,
    encoder: &FeatureEncoder<'_, B>,
    what: &str,
) -> Result<FeatureStore> {
    let folder: Option<PathBuf> = match args.cache() {
        CacheFlag::Disk => Some(cache_folder(args)?),
        CacheFlag::Memory | CacheFlag::None => None,
    };
    let found = folder.as_ref().and_then(|folder| find(encoder, folder));
    let features = match found {
        Some(features) => features,
        None => {
            let cost = encoder.estimate()?;
            println!(
                "features  {what}: {} pictures to encode, {:.1} MB, about {:.0} s",
                cost.images,
                cost.bytes as f64 / 1e6,
                cost.seconds
            );
            let bar = progress_bar(cost.images, args.quiet);
            let options = BuildOptions::new().with_progress(|progress| {
                bar.set_position(progress.done as u64);
                ControlFlow::Continue(())
            });
            let features = match &folder {
                Some(folder) => encoder.open_or_build(folder, options),
                None => encoder.in_memory(options),
            };
            bar.finish_and_clear();
            features.context("the pictures cannot be encoded")?
        }
    };
    if let Some(defect) = features.replaced() {
        println!("          an unusable store was replaced: {defect}");
    }
    let stats = features.stats();
    println!(
        "features  {what}: {} encoded, ready in {:.2} s, {:.1} MB",
        stats.computed,
        stats.build_seconds,
        stats.bytes as f64 / 1e6
    );
    if let Some(path) = features.path() {
        println!("          {}", path.display());
    }
    Ok(features)
}
