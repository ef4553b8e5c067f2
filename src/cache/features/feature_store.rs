//! `FeatureStore`: the features of every sample, in memory or in one file.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::{FeatureError, FeatureHeader, FeatureKey, FeatureSet, FeatureStats};
use crate::cache::store::{
    self, BuildOptions, Builder, BuiltShard, Shard, ShardHeader, StoreDefect, StoreError,
    StoreFile, StoreKind, open_if_whole,
};

/// The features of all pictures of a data set, read by sample.
///
/// On disk it keeps the promises of every [`store`]: the file is named by the
/// [`FeatureKey`] and verified when it is opened and on every read; a build that is killed is gone
/// on with; of several processes one builds while the others wait.
///
/// # Examples
///
/// ```
/// use timesclip::cache::{BuildOptions, CachedImageDataset, UncachedImages};
/// use timesclip::cache::features::{EncoderIdentity, FeatureDtype, FeatureSet, FeatureStore};
/// # use timesclip::raster::PlotStyle;
/// # use timesclip::data::{LabeledSeries, Series, SeriesDataset};
/// # let series = Series::new(vec![1.0, 2.0, 1.5], 3, 1)?;
/// # let samples = vec![LabeledSeries { id: 0, series, label: 0 }];
/// # let dataset = SeriesDataset::new("one", vec!["only".into()], samples)?;
/// # let images = UncachedImages::new(dataset, &PlotStyle { side_px: 16, ..PlotStyle::default() })?;
///
/// let encoder = EncoderIdentity {
///     encoder: 0x1234, // of the weights
///     pixels: 0,
///     dtype: FeatureDtype::F16,
///     width: 1,
///     description: "the mean of the ink".to_owned(),
/// };
/// let set = FeatureSet::of(&images, encoder)?;
/// let options = BuildOptions::new();
/// let features = FeatureStore::in_memory(&set, 64, options, |samples, features| {
///     let mut mask = [0; 16 * 16];
///     for (index, feature) in samples.zip(features) {
///         images.masks_into(index, &mut mask)?;
///         *feature = mask.iter().map(|&ink| f32::from(ink)).sum::<f32>() / 256.0;
///     }
///     Ok::<_, timesclip::cache::CacheError>(())
/// })?;
/// let mut feature = [0.0];
/// features.features_into(0, &mut feature)?;
/// assert!(feature[0] > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FeatureStore {
    header: FeatureHeader,
    place: Place,
    replaced: Option<StoreDefect>,
    build_seconds: f64,
    n_computed: usize,
    hits: AtomicU64,
}

/// Where the features are.
enum Place {
    /// The bodies of all records.
    Memory(Vec<u8>),
    Disk(Box<StoreFile<FeatureHeader>>),
}

impl FeatureStore {
    /// Computes all features and keeps them in memory.
    ///
    /// `compute` is called with ranges of at most `batch_samples` indices of samples and a buffer
    /// of NaNs for their features, `[samples, n_variates, width]`, and must write every number.
    ///
    /// # Errors
    ///
    /// [`StoreError::OverBudget`] and [`StoreError::Cancelled`] in [`FeatureError::Store`];
    /// [`FeatureError::Encoder`] with what `compute` returns; [`FeatureError::NotFinite`] if a
    /// number is not finite, or would not be as it is kept.
    ///
    /// # Panics
    ///
    /// If `batch_samples` is 0.
    pub fn in_memory<E: Into<Box<dyn Error + Send + Sync>>>(
        set: &FeatureSet,
        batch_samples: usize,
        mut options: BuildOptions<'_>,
        compute: impl FnMut(Range<usize>, &mut [f32]) -> Result<(), E>,
    ) -> Result<Self, FeatureError> {
        let start = Instant::now();
        options.check_budget(set.bytes())?;
        let header = &set.header;
        let (n_variates, total) = (header.n_variates, set.n_features());
        let mut bodies = Vec::with_capacity(header.n_samples * header.sample_bytes());
        let mut n_done = 0;
        options.report(FeatureHeader::PHASE, n_done, total)?;
        let all = 0..header.n_samples;
        encode_all(set, all, batch_samples, compute, |body| {
            bodies.extend_from_slice(body);
            n_done += n_variates;
            options.report(FeatureHeader::PHASE, n_done, total)
        })?;
        let (place, n_computed) = (Place::Memory(bodies), header.n_samples);
        Ok(Self::new(set, place, start).with_computed(n_computed))
    }

    /// Opens the features of `set` that are in `folder`; never computes any.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Store`] if there is no such file or it cannot be read, or if it is damaged,
    /// cut off, of another format version, or holds other features.
    pub fn open(folder: impl AsRef<Path>, set: &FeatureSet) -> Result<Self, FeatureError> {
        let start = Instant::now();
        let path = Self::path_in(folder.as_ref(), set.key());
        let store = StoreFile::open_wanted(&path, &set.header)?;
        Ok(Self::new(set, Place::Disk(Box::new(store)), start))
    }

    /// Opens the features of `set` that are in `folder`; computes those that are not there.
    ///
    /// A file with a defect is built anew: [`replaced`](Self::replaced) tells which. A build that
    /// did not end is resumed. What whole shards hold is not computed again, and they are removed
    /// when the file is there. If another process builds this file, waits for it, with the
    /// progress in [`BuildPhase::Waiting`](crate::cache::store::BuildPhase::Waiting). For `compute` see
    /// [`in_memory`](Self::in_memory); holds the features of one batch.
    ///
    /// # Errors
    ///
    /// Those of [`in_memory`](Self::in_memory); [`StoreError::Io`] in [`FeatureError::Store`] if
    /// the folder or a file in it cannot be written or read. Whatever happens, no incomplete file
    /// is left under the name of a store.
    ///
    /// # Panics
    ///
    /// If `batch_samples` is 0.
    pub fn open_or_build<E: Into<Box<dyn Error + Send + Sync>>>(
        folder: impl AsRef<Path>,
        set: &FeatureSet,
        batch_samples: usize,
        mut options: BuildOptions<'_>,
        compute: impl FnMut(Range<usize>, &mut [f32]) -> Result<(), E>,
    ) -> Result<Self, FeatureError> {
        let start = Instant::now();
        let path = Self::path_in(folder.as_ref(), set.key());
        let replaced = match open_if_whole(&path, &set.header)? {
            Ok(store) => return Ok(Self::new(set, Place::Disk(Box::new(store)), start)),
            Err(replaced) => replaced,
        };
        options.check_budget(set.bytes())?;
        let encode = encoding(set, batch_samples, compute);
        let built = store::build(&path, &set.header, &set.ids, &mut options, encode)?;
        let place = Place::Disk(Box::new(built.store));
        Ok(Self {
            replaced: replaced.or(built.defect),
            ..Self::new(set, place, start).with_computed(built.n_made)
        })
    }

    /// Computes the features of one shard of the store of `set` into a file of its own.
    ///
    /// Shards are computed by as many processes as there are, on machines that share `folder` or in
    /// folders whose files are put together afterwards. [`store::join`], or
    /// [`open_or_build`](Self::open_or_build), makes of them the store: byte for byte that of a build
    /// in one go, if the encoder says the same of a sample in whatever batch. A shard that is there is
    /// found, one with a defect is built anew, a build that did not end is resumed, and of two
    /// processes with the same shard one waits. If the whole store is there, nothing is computed.
    ///
    /// # Errors
    ///
    /// Those of [`open_or_build`](Self::open_or_build); the budget is one for the shard.
    ///
    /// # Panics
    ///
    /// If `batch_samples` is 0.
    #[expect(
        clippy::too_many_arguments,
        reason = "those of a whole store, and which shard"
    )]
    pub fn build_shard<E: Into<Box<dyn Error + Send + Sync>>>(
        folder: impl AsRef<Path>,
        set: &FeatureSet,
        shard: Shard,
        batch_samples: usize,
        mut options: BuildOptions<'_>,
        compute: impl FnMut(Range<usize>, &mut [f32]) -> Result<(), E>,
    ) -> Result<BuiltShard, FeatureError> {
        let path = Self::path_in(folder.as_ref(), set.key());
        let header = ShardHeader {
            whole: set.header.clone(),
            shard,
        };
        let replaced = match store::find_shard(&path, &header)? {
            Ok(found) => return Ok(found),
            Err(replaced) => replaced,
        };
        let bytes = store::file_len(&header, set.header.sample_bytes() as u64);
        options.check_budget(bytes)?;
        let encode = encoding(set, batch_samples, compute);
        let built = store::build_shard(&path, &header, &set.ids, &mut options, encode)?;
        Ok(BuiltShard { replaced, ..built })
    }

    /// The file in `folder` that holds, or would hold, the features with this key.
    pub fn path_in(folder: &Path, key: FeatureKey) -> PathBuf {
        store::path_of::<FeatureHeader>(folder, key)
    }

    fn new(set: &FeatureSet, place: Place, start: Instant) -> Self {
        Self {
            header: set.header.clone(),
            place,
            replaced: None,
            build_seconds: start.elapsed().as_secs_f64(),
            n_computed: 0,
            hits: AtomicU64::new(0),
        }
    }

    fn with_computed(mut self, n_samples: usize) -> Self {
        self.n_computed = n_samples;
        self
    }

    /// Writes the features of the sample at `index`; may be called from several threads at once.
    ///
    /// # Shapes
    ///
    /// - `features`: `[n_variates, width]`
    ///
    /// # Errors
    ///
    /// [`FeatureError::IndexOutOfRange`]; [`FeatureError::BufferLength`] if `features` has another
    /// length; [`FeatureError::Store`] if the file is not there any more as it was written.
    /// `features` holds none then.
    pub fn features_into(&self, index: usize, features: &mut [f32]) -> Result<(), FeatureError> {
        let FeatureHeader { n_samples, key, .. } = self.header;
        if index >= n_samples {
            return Err(FeatureError::IndexOutOfRange { index, n_samples });
        }
        let (found, expected) = (features.len(), self.header.sample_len());
        if found != expected {
            return Err(FeatureError::BufferLength { found, expected });
        }
        match &self.place {
            Place::Memory(bodies) => {
                let len = self.header.sample_bytes();
                key.dtype
                    .decode(&bodies[index * len..(index + 1) * len], features);
            }
            Place::Disk(store) => store.with_body(index, |body| {
                key.dtype.decode(body, features);
                Ok(())
            })?,
        }
        self.hits
            .fetch_add(self.header.n_variates as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Number of samples.
    pub fn n_samples(&self) -> usize {
        self.header.n_samples
    }

    /// Number of variates of every sample, and so of its features.
    pub fn n_variates(&self) -> usize {
        self.header.n_variates
    }

    /// Numbers of one feature.
    pub fn width(&self) -> usize {
        self.header.key.width
    }

    /// Identity of the features.
    pub fn key(&self) -> FeatureKey {
        self.header.key
    }

    /// The file of the features, if they are on disk.
    pub fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::Memory(_) => None,
            Place::Disk(store) => Some(store.path()),
        }
    }

    /// What was wrong with the file, or with a shard of it, that was found first and is replaced by
    /// now.
    pub fn replaced(&self) -> Option<&StoreDefect> {
        self.replaced.as_ref()
    }

    /// What the store holds and has done so far.
    pub fn stats(&self) -> FeatureStats {
        let (kind, bytes) = match &self.place {
            Place::Memory(bodies) => ("memory", bodies.len() as u64),
            Place::Disk(store) => ("disk", store.bytes()),
        };
        let n_variates = self.header.n_variates;
        FeatureStats {
            kind,
            features: self.header.n_samples * n_variates,
            bytes,
            build_seconds: self.build_seconds,
            hits: self.hits.load(Ordering::Relaxed),
            computed: (self.n_computed * n_variates) as u64,
        }
    }
}

impl fmt::Debug for FeatureStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureStore")
            .field("header", &self.header)
            .field("path", &self.path())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Computes the features of the samples at some positions, and appends them.
fn encoding<E: Into<Box<dyn Error + Send + Sync>>>(
    set: &FeatureSet,
    batch_samples: usize,
    mut compute: impl FnMut(Range<usize>, &mut [f32]) -> Result<(), E>,
) -> impl FnMut(&mut Builder<'_, '_>, Range<usize>) -> Result<(), FeatureError> {
    move |store, samples| {
        encode_all(set, samples, batch_samples, &mut compute, |body| {
            store.append(&[body])
        })
    }
}

/// Computes the features of the samples at some positions, and hands those of each sample to
/// `take` as they are kept, in order.
fn encode_all<E: Into<Box<dyn Error + Send + Sync>>>(
    set: &FeatureSet,
    samples: Range<usize>,
    batch_samples: usize,
    mut compute: impl FnMut(Range<usize>, &mut [f32]) -> Result<(), E>,
    mut take: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), FeatureError> {
    assert!(
        batch_samples > 0,
        "batches of {batch_samples} samples, expected 1 or more"
    );
    let FeatureHeader { key, .. } = set.header;
    let sample_len = set.header.sample_len();
    let mut values = Vec::new();
    let mut body = Vec::with_capacity(set.header.sample_bytes());
    for start in samples.clone().step_by(batch_samples) {
        let end = samples.end.min(start.saturating_add(batch_samples));
        values.clear();
        // What is not written is found, and not stored.
        values.resize((end - start) * sample_len, f32::NAN);
        compute(start..end, &mut values).map_err(|source| FeatureError::Encoder {
            start,
            end,
            source: source.into(),
        })?;
        for (index, values) in (start..end).zip(values.chunks_exact(sample_len)) {
            body.clear();
            let encoded = key.dtype.encode(values, &mut body);
            encoded.map_err(|position| FeatureError::NotFinite {
                id: set.ids[index],
                variate: position / key.width,
                value: values[position],
                dtype: key.dtype,
            })?;
            take(&body)?;
        }
    }
    Ok(())
}
