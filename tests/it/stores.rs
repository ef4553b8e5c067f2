//! Both kinds of stores, as the tests of faults see them: samples, bytes, errors.

use std::fmt::Debug;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use timesclip::cache::features::{
    EncoderIdentity, FeatureDtype, FeatureError, FeatureHeader, FeatureKey, FeatureSet,
    FeatureStore,
};
use timesclip::cache::store::{self, BuiltShard, Shard, StoreDefect, StoreError};
use timesclip::cache::{
    BuildOptions, CacheError, CachedImageDataset, ImageKey, OnDiskImages, UncachedImages, disk,
};
use timesclip::data::{SampleSource, SeriesDataset};
use timesclip::raster::PlotStyle;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Makes a test for each kind of store of every function.
macro_rules! for_both_kinds {
    ($($test:ident),* $(,)?) => {
        mod images {
            $(#[test] fn $test() { super::$test($crate::stores::Kind::Images) })*
        }
        mod features {
            $(#[test] fn $test() { super::$test($crate::stores::Kind::Features) })*
        }
    };
}
pub(crate) use for_both_kinds;

/// Samples that the encoder of the tests gets at once.
const BATCH: usize = 3;
/// Numbers of a feature for each pixel of the side: a record of features is about as long as one of
/// pictures.
const NUMBERS_PER_PX: usize = 4;

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// Pictures.
    Images,
    /// Features in 16 bits of an encoder that hashes the series.
    Features,
}

/// An open store.
pub(crate) trait OpenStore: Debug + Send + Sync {
    /// The bytes of one sample: masks, or numbers as `f32`.
    fn read(&self, index: usize) -> Result<Vec<u8>, StoreError>;
    /// The file.
    fn path(&self) -> PathBuf;
    /// What was replaced.
    fn replaced(&self) -> Option<StoreDefect>;
    /// Pictures that were drawn, or features that were computed.
    fn made(&self) -> u64;
    /// Number of samples.
    fn n_samples(&self) -> usize;
    /// All samples, one behind the other.
    fn contents(&self) -> Vec<u8> {
        let samples = (0..self.n_samples()).map(|index| self.read(index).expect("a sample"));
        samples.collect::<Vec<_>>().concat()
    }
}

impl Kind {
    pub(crate) fn open(
        self,
        folder: &Path,
        dataset: &SeriesDataset,
        style: &PlotStyle,
    ) -> Result<Box<dyn OpenStore>, StoreError> {
        match self {
            Self::Images => {
                boxed(OnDiskImages::open(folder, dataset.clone(), style).map_err(of_cache))
            }
            Self::Features => open_features(folder, &set(dataset, style)),
        }
    }

    pub(crate) fn build(
        self,
        folder: &Path,
        dataset: &SeriesDataset,
        style: &PlotStyle,
    ) -> Result<Box<dyn OpenStore>, StoreError> {
        self.build_slowly(folder, dataset, style, Duration::ZERO)
    }

    /// Builds with an encoder that takes some time for each sample, as real ones do.
    pub(crate) fn build_slowly(
        self,
        folder: &Path,
        dataset: &SeriesDataset,
        style: &PlotStyle,
        time: Duration,
    ) -> Result<Box<dyn OpenStore>, StoreError> {
        let options = BuildOptions::new();
        match self {
            Self::Images => {
                let images = OnDiskImages::open_or_build(folder, dataset.clone(), style, options);
                boxed(images.map_err(of_cache))
            }
            Self::Features => {
                let (set, compute) = (set(dataset, style), computing(dataset, time));
                let store = FeatureStore::open_or_build(folder, &set, BATCH, options, compute);
                boxed(store.map_err(of_features))
            }
        }
    }

    /// Builds one shard, with an encoder that takes some time for each sample.
    pub(crate) fn build_shard(
        self,
        folder: &Path,
        (dataset, style): (&SeriesDataset, &PlotStyle),
        shard: Shard,
        (options, time): (BuildOptions<'_>, Duration),
    ) -> Result<BuiltShard, StoreError> {
        match self {
            Self::Images => {
                OnDiskImages::build_shard(folder, dataset, style, shard, options).map_err(of_cache)
            }
            Self::Features => {
                let (set, compute) = (set(dataset, style), computing(dataset, time));
                FeatureStore::build_shard(folder, &set, shard, BATCH, options, compute)
                    .map_err(of_features)
            }
        }
    }

    /// Joins the shards of the store at `path`.
    pub(crate) fn join(self, path: &Path, options: BuildOptions<'_>) -> Result<(), StoreError> {
        match self {
            Self::Images => store::join::<disk::StoreHeader>(path, options)
                .map(drop)
                .map_err(of_cache),
            Self::Features => store::join::<FeatureHeader>(path, options)
                .map(drop)
                .map_err(of_features),
        }
    }

    /// What a store must hold, made without one.
    pub(crate) fn expected(self, dataset: &SeriesDataset, style: &PlotStyle) -> Vec<u8> {
        match self {
            Self::Images => {
                let drawn = UncachedImages::new(dataset.clone(), style).expect("a sound style");
                crate::pictures::all_masks(&drawn)
            }
            Self::Features => {
                let mut numbers = vec![0.0; dataset.n_variates() * style.side_px * NUMBERS_PER_PX];
                let samples = (0..dataset.len()).flat_map(|index| {
                    encode(dataset, index, &mut numbers);
                    bytes_of(&numbers)
                });
                samples.collect()
            }
        }
    }

    /// Where the store is, or would be.
    pub(crate) fn path(self, folder: &Path, dataset: &SeriesDataset, style: &PlotStyle) -> PathBuf {
        match self {
            Self::Images => disk::store_path(folder, ImageKey::of(dataset, style)),
            Self::Features => FeatureStore::path_in(folder, set(dataset, style).key()),
        }
    }

    /// Bytes of the header in front of its text.
    pub(crate) fn fixed_header(self) -> usize {
        match self {
            Self::Images => 64,
            Self::Features => 100,
        }
    }

    /// Letters that stand for the kind in magic numbers.
    pub(crate) fn letters(self) -> &'static str {
        match self {
            Self::Images => "TSIM",
            Self::Features => "TSFT",
        }
    }

    pub(crate) fn extension(self) -> String {
        self.letters().to_lowercase()
    }
}

/// Opens the features of a set.
pub(crate) fn open_features(
    folder: &Path,
    set: &FeatureSet,
) -> Result<Box<dyn OpenStore>, StoreError> {
    boxed(FeatureStore::open(folder, set).map_err(of_features))
}

/// The features of the tests.
pub(crate) fn set(dataset: &SeriesDataset, style: &PlotStyle) -> FeatureSet {
    let images = UncachedImages::new(dataset.clone(), style).expect("a sound style");
    let identity = EncoderIdentity {
        encoder: 0x1111_2222_3333_4444_5555_6666_7777_8888,
        pixels: FeatureKey::hash_pixels(&[0.5, 1.0]),
        dtype: FeatureDtype::F16,
        width: style.side_px * NUMBERS_PER_PX,
        description: "encoder of the tests, no layer, no pooling".to_owned(),
    };
    FeatureSet::of(&images, identity).expect("samples in memory")
}

/// Whole numbers below 2048, which 16 bits hold exactly, made from all values of a series.
fn encode(dataset: &SeriesDataset, index: usize, numbers: &mut [f32]) {
    let values = bytes_of(dataset.samples()[index].series.values());
    for (position, number) in numbers.iter_mut().enumerate() {
        let hash = xxh3_64_with_seed(&values, position as u64) % 2048;
        *number = u16::try_from(hash).expect("below 2048").into();
    }
}

/// An encoder that takes some time for each sample.
fn computing(
    dataset: &SeriesDataset,
    time: Duration,
) -> impl FnMut(Range<usize>, &mut [f32]) -> Result<(), StoreError> {
    move |samples, numbers| {
        std::thread::sleep(time * u32::try_from(samples.len()).expect("a few"));
        let len = numbers.len() / samples.len();
        for (index, numbers) in samples.zip(numbers.chunks_exact_mut(len)) {
            encode(dataset, index, numbers);
        }
        Ok(())
    }
}

fn bytes_of(numbers: &[f32]) -> Vec<u8> {
    let numbers = numbers.iter();
    numbers.flat_map(|number| number.to_le_bytes()).collect()
}

fn boxed<S: OpenStore + 'static, E>(store: Result<S, E>) -> Result<Box<dyn OpenStore>, E> {
    store.map(|store| Box::new(store) as Box<dyn OpenStore>)
}

fn of_cache(error: CacheError) -> StoreError {
    match error {
        CacheError::Io(error) => StoreError::Io(error),
        CacheError::Store { path, source } => StoreError::Defect { path, source },
        CacheError::MissingShards {
            path,
            missing,
            count,
        } => StoreError::MissingShards {
            path,
            missing,
            count,
        },
        CacheError::Cancelled { done, total } => StoreError::Cancelled { done, total },
        CacheError::OverBudget { needed, budget } => StoreError::OverBudget { needed, budget },
        other => panic!("no error of a store: {other:?}"),
    }
}

fn of_features(error: FeatureError) -> StoreError {
    match error {
        FeatureError::Store(error) => error,
        other => panic!("no error of a store: {other:?}"),
    }
}

impl OpenStore for OnDiskImages {
    fn read(&self, index: usize) -> Result<Vec<u8>, StoreError> {
        let mut masks = vec![0; self.n_variates() * self.side_px().pow(2)];
        self.masks_into(index, &mut masks).map_err(of_cache)?;
        Ok(masks)
    }

    fn path(&self) -> PathBuf {
        self.path().to_owned()
    }

    fn replaced(&self) -> Option<StoreDefect> {
        self.replaced().cloned()
    }

    fn made(&self) -> u64 {
        self.stats().drawn
    }

    fn n_samples(&self) -> usize {
        SampleSource::n_samples(self)
    }
}

impl OpenStore for FeatureStore {
    fn read(&self, index: usize) -> Result<Vec<u8>, StoreError> {
        let mut numbers = vec![0.0; self.n_variates() * self.width()];
        self.features_into(index, &mut numbers)
            .map_err(of_features)?;
        Ok(bytes_of(&numbers))
    }

    fn path(&self) -> PathBuf {
        self.path().expect("a store on disk").to_owned()
    }

    fn replaced(&self) -> Option<StoreDefect> {
        self.replaced().cloned()
    }

    fn made(&self) -> u64 {
        self.stats().computed
    }

    fn n_samples(&self) -> usize {
        self.n_samples()
    }
}
