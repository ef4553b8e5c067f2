//! The shards of a store, and joining them into it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::build::{Builder, build_locked, lock, open_if_whole};
use super::file::StoreFile;
use super::options::BuildOptions;
use super::prune::{FoundStore, find_shards};
use super::shard::{Shard, ShardHeader};
use super::{Section, StoreDefect, StoreError, StoreKind};

/// Joins the shards of the store at `path` into it, and opens it.
///
/// The store has the bytes of one that was built whole. Shards of several counts may be mixed as long
/// as together they hold every sample. Memory holds the index of the store and one record. It is built
/// as every store: all or nothing, under the lock of the store, resumed after a kill. The shards
/// are removed when the store is there; if it was there before, that is all.
///
/// [`OnDiskImages::open_or_build`](crate::cache::OnDiskImages::open_or_build) and
/// [`FeatureStore::open_or_build`](crate::cache::features::FeatureStore::open_or_build) join too, and make
/// what no shard holds.
///
/// # Errors
///
/// As the kind's own error: [`StoreError::MissingShards`] if some are not there or not complete;
/// [`StoreError::Defect`] with the path of a shard that is damaged or of something else, which
/// building that shard again replaces; [`StoreError::Io`] if there is neither store nor shard, or a
/// file cannot be read or written; [`StoreError::OverBudget`] and [`StoreError::Cancelled`].
///
/// # Examples
///
/// ```
/// use timesclip::cache::disk::{StoreHeader, store_path};
/// use timesclip::cache::{BuildOptions, ImageKey, OnDiskImages};
/// use timesclip::cache::store::{Shard, join};
/// # use timesclip::raster::PlotStyle;
/// # use timesclip::data::{LabeledSeries, Series, SeriesDataset};
/// # let sample = |id| {
/// #     let series = Series::new(vec![1.0, 2.0, 1.5], 3, 1)?;
/// #     Ok::<_, timesclip::data::SeriesError>(LabeledSeries { id, series, label: 0 })
/// # };
/// # let samples = vec![sample(0)?, sample(1)?, sample(2)?];
/// # let dataset = SeriesDataset::new("three", vec!["only".into()], samples)?;
/// # let style = PlotStyle { side_px: 16, ..PlotStyle::default() };
/// # let temporary = tempfile::tempdir()?;
/// # let folder = temporary.path();
///
/// for shard in ["1/2", "2/2"] {
///     // Each in a process of its own, on any machine that shares the folder.
///     OnDiskImages::build_shard(folder, &dataset, &style, shard.parse()?, BuildOptions::new())?;
/// }
/// let path = store_path(folder, ImageKey::of(&dataset, &style));
/// let store = join::<StoreHeader>(path, BuildOptions::new())?;
/// assert_eq!(store.ids().len(), 3);
/// # assert_eq!(std::fs::read_dir(folder)?.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn join<K: StoreKind>(
    path: impl AsRef<Path>,
    mut options: BuildOptions<'_>,
) -> Result<StoreFile<K>, K::Error> {
    let path = path.as_ref();
    let Some(wanted) = named_by(path, &find_shards::<K>(path)?)? else {
        return StoreFile::open(path);
    };
    let _lock = lock(path, &wanted, &mut options)?;
    // Others may have joined them by now, or made more.
    let pieces = Pieces::of(path, &wanted)?;
    if let Ok(store) = open_if_whole(path, &wanted)? {
        pieces.remove();
        return Ok(store);
    }
    let ids = pieces.ids()?;
    let (store, _) = build_locked(path, &wanted, &ids, &mut options, |builder| {
        while builder.n_done() < ids.len() {
            pieces.copy(builder)?;
        }
        Ok(())
    })?;
    pieces.remove();
    Ok(store)
}

/// What the store at `path` holds, by those of its shards that have its key; nothing if there is no
/// shard.
fn named_by<K: StoreKind>(path: &Path, shards: &[FoundStore<K>]) -> Result<Option<K>, StoreError> {
    let digits = path.file_stem();
    let mut defect = None;
    for shard in shards {
        match &shard.header {
            Ok(header) if digits == Some(OsStr::new(&header.key_digits())) => {
                return Ok(Some(header.clone()));
            }
            Ok(header) => {
                let key = header.key_digits();
                defect.get_or_insert((shard, StoreDefect::OtherKey { key }));
            }
            Err(source) => {
                defect.get_or_insert((shard, source.clone()));
            }
        }
    }
    match defect {
        None => Ok(None),
        Some((shard, defect)) => Err(StoreError::defect(&shard.path)(defect)),
    }
}

/// The shards of one store.
pub(super) struct Pieces<K> {
    store: PathBuf,
    whole: K,
    /// Those that have the name of a complete one: what is in them is checked when they are read.
    shards: Vec<Shard>,
    /// In how many shards others divide, or divided, the store.
    counts: BTreeSet<u32>,
    /// What was wrong with the first that could not be used.
    defect: Option<StoreDefect>,
}

impl<K: StoreKind> Pieces<K> {
    /// Finds the complete shards of the store at `path`.
    pub(super) fn of(path: &Path, wanted: &K) -> Result<Self, StoreError> {
        let mut pieces = Self {
            store: path.to_owned(),
            whole: wanted.clone(),
            shards: Vec::new(),
            counts: BTreeSet::new(),
            defect: None,
        };
        for found in find_shards::<K>(path)? {
            let Some(shard) = found.shard else { continue };
            pieces.counts.insert(shard.count());
            if !found.partial {
                pieces.shards.push(shard);
            }
        }
        Ok(pieces)
    }

    /// A shard that holds the sample at `position`.
    fn holder(&self, position: usize) -> Option<Shard> {
        let mut shards = self.shards.iter().copied();
        shards.find(|&shard| self.range(shard).contains(&position))
    }

    fn range(&self, shard: Shard) -> Range<usize> {
        shard.range(self.whole.n_samples())
    }

    /// Opens a shard, its records not checked.
    fn open(&self, shard: Shard) -> Result<StoreFile<ShardHeader<K>>, StoreError> {
        let wanted = ShardHeader {
            whole: self.whole.clone(),
            shard,
        };
        let path = shard.path(&self.store);
        StoreFile::open_unverified(path, |found| wanted.check(found))
    }

    /// Ids of all samples, if every one is in a shard.
    fn ids(&self) -> Result<Vec<u64>, StoreError> {
        let n_samples = self.whole.n_samples();
        let mut ids = Vec::new();
        while ids.len() < n_samples {
            let shard = self.holder(ids.len()).ok_or_else(|| self.missing())?;
            let start = ids.len() - self.range(shard).start;
            ids.extend_from_slice(&self.open(shard)?.ids()[start..]);
        }
        Ok(ids)
    }

    /// Says which shards are missing, of the count of which fewest are.
    fn missing(&self) -> StoreError {
        let missing_of = |count: u32| -> Vec<u32> {
            let there = |&number: &u32| {
                let shard = Shard::new(number, count);
                shard
                    .is_ok_and(|shard| self.shards.contains(&shard) || self.range(shard).is_empty())
            };
            (1..=count).filter(|number| !there(number)).collect()
        };
        let counts = self.counts.iter().map(|&count| (missing_of(count), count));
        let fewest = counts.min_by_key(|(missing, _)| missing.len());
        let (missing, count) = fewest.unwrap_or((vec![1], 1));
        StoreError::MissingShards {
            path: self.store.clone(),
            missing,
            count,
        }
    }

    /// Appends the rest of a shard that holds the next sample.
    fn copy(&self, builder: &mut Builder<'_, '_>) -> Result<(), StoreError> {
        let next = builder.n_done();
        let shard = self.holder(next).ok_or_else(|| self.missing())?;
        let (file, range) = (self.open(shard)?, self.range(shard));
        if file.ids() != &builder.ids()[range.clone()] {
            let defect = StoreDefect::Checksum(Section::Index);
            return Err(StoreError::defect(file.path())(defect));
        }
        for position in next - range.start..range.len() {
            file.with_record(position, |body| builder.copy(body))?;
        }
        Ok(())
    }

    /// Appends what shards hold, and has `fill` append what none does; a shard that turns out to be
    /// damaged holds nothing from there on.
    pub(super) fn fill(
        &mut self,
        builder: &mut Builder<'_, '_>,
        mut fill: impl FnMut(&mut Builder<'_, '_>, Range<usize>) -> Result<(), K::Error>,
    ) -> Result<(), K::Error> {
        let n_samples = self.whole.n_samples();
        while builder.n_done() < n_samples {
            let next = builder.n_done();
            let Some(shard) = self.holder(next) else {
                let ranges = self.shards.iter().map(|&shard| self.range(shard));
                let held = ranges.filter(|range| range.start > next && !range.is_empty());
                let end = held.map(|range| range.start).min();
                fill(builder, next..end.unwrap_or(n_samples))?;
                continue;
            };
            match self.copy(builder) {
                Err(StoreError::Defect { source, .. }) => {
                    self.shards.retain(|&other| other != shard);
                    self.defect.get_or_insert(source);
                }
                copied => copied?,
            }
        }
        Ok(())
    }

    /// Removes all shards of the store, whole or not, but those that are being built; returns what was
    /// wrong with the first that could not be used.
    pub(super) fn remove(self) -> Option<StoreDefect> {
        // The store is there: a shard that stays takes room and does no harm.
        for shard in find_shards::<K>(&self.store).into_iter().flatten() {
            let _ = shard.remove();
        }
        self.defect
    }
}
