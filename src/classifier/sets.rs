//! The pictures of a set and of its augmented views, and the features of a frozen encoder in their
//! place.

use std::path::Path;

use burn::tensor::backend::{AutodiffBackend, Backend};

use super::FitError;
use super::observer::{Phase, Watch};
use super::options::{AugmentWhen, FitOptions, PictureCache, Switch};
use super::recipe::Recipe;
use crate::batch::{BatchSource, DeviceCache, TimesClipBatcher};
use crate::cache::features::{FeatureError, FeatureHeader, FeatureStats, FeatureStore};
use crate::cache::store::{Shard, StoreError, join};
use crate::cache::{
    BuildCost, BuildOptions, CacheStats, CachedImageDataset, InMemoryImages, OnDiskImages,
    UncachedImages, available_memory,
};
use crate::data::SeriesDataset;
use crate::data::augment::Augmenter;
use crate::encode::FeatureEncoder;
use crate::model::{Freeze, TimesClipClassifier, VisionTower};

/// What sets are built by: the options, what was fitted, and the encoder that may be frozen.
#[derive(Clone, Copy)]
pub(super) struct Builder<'a, B: Backend> {
    pub(super) options: &'a FitOptions,
    pub(super) recipe: &'a Recipe,
    pub(super) batcher: &'a TimesClipBatcher,
    pub(super) model: &'a TimesClipClassifier<B>,
    pub(super) devices: &'a [B::Device],
}

/// A set and its augmented views, ready to be gathered into batches.
pub(super) struct Sets {
    samples: Vec<Samples>,
    features: Vec<FeatureStore>,
    on_device: Vec<DeviceCache>,
}

/// The samples of a set, with pictures if the network looks at any.
enum Samples {
    Series(SeriesDataset),
    Pictures(Box<dyn CachedImageDataset>),
}

impl Sets {
    /// What batches come from: the set itself, then its views.
    pub(super) fn sources<'a>(
        &'a self,
        batcher: &'a TimesClipBatcher,
    ) -> Result<Vec<BatchSource<'a>>, FitError> {
        let samples = self.samples.iter().enumerate();
        let sources = samples.map(|(i, samples)| {
            let source = match samples {
                Samples::Series(series) => BatchSource::of_series(series, batcher),
                Samples::Pictures(images) => BatchSource::new(&**images, batcher),
            };
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

    /// What the picture cache of the set itself holds, if the network looks at pictures.
    pub(super) fn image_stats(&self) -> Option<CacheStats> {
        match &self.samples[0] {
            Samples::Series(_) => None,
            Samples::Pictures(images) => Some(images.stats()),
        }
    }

    /// The features of the set itself, if they are cached.
    pub(super) fn feature_stats(&self) -> Option<FeatureStats> {
        self.features.first().map(FeatureStore::stats)
    }
}

impl<B: Backend> Builder<'_, B> {
    /// Draws or encodes the pictures of a set, and of its augmented views if it is trained on.
    pub(super) fn build(
        &self,
        dataset: &SeriesDataset,
        n_views: usize,
        watch: &mut Watch<'_>,
    ) -> Result<Sets, FitError> {
        let mut sets = Sets {
            samples: Vec::new(),
            features: Vec::new(),
            on_device: Vec::new(),
        };
        for series in self.views_of(dataset, n_views)? {
            if !self.recipe.model.modalities.has_vision() {
                sets.samples.push(Samples::Series(series));
                continue;
            }
            let Some(tower) = self.cached_tower() else {
                let images = self.images(series, watch)?;
                sets.samples.push(Samples::Pictures(images));
                continue;
            };
            // Every picture is drawn once, for the encoder: there is nothing to cache.
            let images = UncachedImages::new(series, &self.recipe.style)?;
            let dtype = self.options.compute.feature_dtype;
            let device = &self.devices[0];
            let encoder = FeatureEncoder::new(tower, &images, self.batcher, dtype, device)?;
            let encoder = encoder.with_devices(self.devices);
            sets.features.push(self.features(&encoder, watch)?);
            sets.samples.push(Samples::Pictures(Box::new(images)));
        }
        Ok(sets)
    }

    /// Draws or encodes one shard of a set, and of each of its augmented views, into files.
    pub(super) fn build_shards(
        &self,
        dataset: &SeriesDataset,
        n_views: usize,
        shard: Shard,
        watch: &mut Watch<'_>,
    ) -> Result<(), FitError> {
        let PictureCache::Disk(folder) = &self.options.compute.pictures else {
            return Ok(());
        };
        let n_pictures = shard.range(dataset.len()).len() * dataset.n_variates();
        for series in self.views_of(dataset, n_views)? {
            let phase = match self.cached_tower() {
                Some(_) => Phase::Encoding,
                None => Phase::Drawing,
            };
            let _ = watch.start(phase, n_pictures);
            let options = BuildOptions::new()
                .with_progress(|progress| watch.progress(phase, progress.done, n_pictures));
            let Some(tower) = self.cached_tower() else {
                OnDiskImages::build_shard(folder, &series, &self.recipe.style, shard, options)?;
                continue;
            };
            let images = UncachedImages::new(series, &self.recipe.style)?;
            let dtype = self.options.compute.feature_dtype;
            let device = &self.devices[0];
            let encoder = FeatureEncoder::new(tower, &images, self.batcher, dtype, device)?;
            let encoder = encoder.with_devices(self.devices);
            encoder.build_shard(folder, shard, options)?;
        }
        Ok(())
    }

    /// A set and `n_views` augmented views of it.
    pub(super) fn views_of(
        &self,
        dataset: &SeriesDataset,
        n_views: usize,
    ) -> Result<impl Iterator<Item = SeriesDataset>, FitError> {
        let augmenter = Augmenter::new(self.options.transforms(), self.options.seed)?;
        Ok((0..=n_views).map(move |view| augmenter.view_of(dataset, view)))
    }

    /// The vision encoder, if its outputs are cached in the place of pictures.
    pub(super) fn cached_tower(&self) -> Option<&VisionTower<B>> {
        let caches = caches_features(self.options, self.recipe);
        self.model.frozen_vision().filter(|_| caches)
    }

    /// The pictures of a set, kept as the options say.
    fn images(
        &self,
        dataset: SeriesDataset,
        watch: &mut Watch<'_>,
    ) -> Result<Box<dyn CachedImageDataset>, FitError> {
        let style = &self.recipe.style;
        let cache = &self.options.compute.pictures;
        if *cache == PictureCache::None {
            return Ok(Box::new(UncachedImages::new(dataset, style)?));
        }
        let cost = BuildCost::estimate(&dataset, style)?;
        let free = available_memory();
        if *cache == PictureCache::Memory && free.is_some_and(|free| cost.bytes > free) {
            watch.note(format!(
                "the pictures take about {:.1} MB, more than the memory that is free; on disk they \
                 need none",
                cost.bytes as f64 / 1e6
            ));
        }
        let total = cost.images;
        let _ = watch.start(Phase::Drawing, total);
        let options = BuildOptions::new()
            .with_progress(|progress| watch.progress(Phase::Drawing, progress.done, total));
        Ok(match cache {
            PictureCache::Disk(folder) => Box::new(OnDiskImages::open_or_build(
                folder, dataset, style, options,
            )?),
            PictureCache::Memory | PictureCache::None => {
                Box::new(InMemoryImages::build(dataset, style, options)?)
            }
        })
    }

    /// Encodes one set, or finds it encoded by an earlier run.
    fn features(
        &self,
        encoder: &FeatureEncoder<'_, B>,
        watch: &mut Watch<'_>,
    ) -> Result<FeatureStore, FitError> {
        let folder = match &self.options.compute.pictures {
            PictureCache::Disk(folder) => Some(folder),
            PictureCache::Memory | PictureCache::None => None,
        };
        if let Some(found) = folder.and_then(|folder| find(encoder, folder, watch)) {
            return Ok(found);
        }
        let cost = encoder.estimate()?;
        watch.note(format!(
            "{} pictures to encode, {:.1} MB, about {:.0} s",
            cost.images,
            cost.bytes as f64 / 1e6,
            cost.seconds
        ));
        let total = cost.images;
        let _ = watch.start(Phase::Encoding, total);
        let options = BuildOptions::new()
            .with_progress(|progress| watch.progress(Phase::Encoding, progress.done, total));
        Ok(match folder {
            Some(folder) => encoder.open_or_build(folder, options)?,
            None => encoder.in_memory(options)?,
        })
    }
}

impl Sets {
    /// Brings all pictures, or their features, to the devices if the options say so.
    pub(super) fn keep_on_device<B: AutodiffBackend>(
        &mut self,
        options: &FitOptions,
        batcher: &TimesClipBatcher,
        devices: &[B::Device],
    ) -> Result<(), FitError> {
        let Some(budget) = options.compute.device_cache else {
            return Ok(());
        };
        let mut used = 0;
        let mut caches = Vec::new();
        for source in self.sources(batcher)? {
            let cache = DeviceCache::build_for_training::<B>(source, devices, budget - used)?;
            used += cache.bytes();
            caches.push(cache);
        }
        self.on_device = caches;
        Ok(())
    }
}

/// Whether epochs read features in the place of pictures.
fn caches_features(options: &FitOptions, recipe: &Recipe) -> bool {
    options.compute.feature_cache != Switch::Off && feature_problem(options, recipe).is_none()
}

/// Why the outputs of the vision encoder cannot be cached, if they cannot.
fn feature_problem(options: &FitOptions, recipe: &Recipe) -> Option<&'static str> {
    if !recipe.model.modalities.has_vision() {
        Some("the model has no vision encoder")
    } else if recipe.model.freeze_vision != Freeze::All {
        Some("the vision encoder is trained")
    } else if options.augmentation.color_jitter.is_some() {
        Some("color jitter changes the pictures in every step")
    } else {
        None
    }
}

/// Number of augmented views that are made beforehand.
pub(super) fn n_views(options: &FitOptions) -> usize {
    match options.augmentation.when {
        AugmentWhen::Views(n) => n,
        AugmentWhen::EveryStep | AugmentWhen::Never => 0,
    }
}

/// Refuses caches that were asked for and cannot be, before anything is computed.
pub(super) fn check_caches<B: Backend>(
    options: &FitOptions,
    recipe: &Recipe,
    n_samples: usize,
    devices: &[B::Device],
) -> Result<(), FitError> {
    let refuse = |problem: String| Err(FitError::Options { problem });
    let compute = &options.compute;
    if compute.feature_cache == Switch::On
        && let Some(problem) = feature_problem(options, recipe)
    {
        return refuse(format!("features cannot be cached, because {problem}"));
    }
    let Some(budget) = compute.device_cache else {
        return Ok(());
    };
    if !recipe.model.modalities.has_vision() {
        return refuse("a device cache: the model sees no pictures".to_owned());
    }
    let (n_variates, vision) = (recipe.model.n_variates, &recipe.model.vision);
    let set = if caches_features(options, recipe) {
        let bytes = |device| DeviceCache::number_bytes::<B>(compute.feature_dtype, device);
        let number = devices.iter().map(bytes).max().unwrap_or(0);
        (n_samples * n_variates * vision.d_output() * number) as u64
    } else {
        DeviceCache::picture_bytes(n_samples, n_variates, vision.side_px)
    };
    let n_views = n_views(options);
    let needed = set * (1 + n_views as u64);
    if needed > budget {
        return refuse(format!(
            "the device cache may take {budget} bytes, but the training set and {n_views} views of \
             it take {needed}"
        ));
    }
    Ok(())
}

/// The features that an earlier run left in a folder, or all shards of them.
fn find<B: Backend>(
    encoder: &FeatureEncoder<'_, B>,
    folder: &Path,
    watch: &mut Watch<'_>,
) -> Option<FeatureStore> {
    if let Ok(found) = encoder.open(folder) {
        return Some(found);
    }
    let path = FeatureStore::path_in(folder, encoder.key());
    match join::<FeatureHeader>(path, BuildOptions::new()) {
        Ok(_) => encoder.open(folder).ok(),
        Err(FeatureError::Store(error @ StoreError::MissingShards { .. })) => {
            watch.note(format!("{error}: encoding the rest here"));
            None
        }
        // Building the store names what is wrong.
        Err(_) => None,
    }
}
