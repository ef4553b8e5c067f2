//! Builds a store or a shard beside its place, going on where a build before it ended, and publishes it.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::file::StoreFile;
use super::lock::BuildLock;
use super::options::{BuildOptions, BuildPhase};
use super::partial::Partial;
use super::pieces::Pieces;
use super::shard::{BuiltShard, ShardHeader};
use super::{StoreDefect, StoreError, StoreKind, lock_path};
use crate::files::IoError;

/// Opens the store at `path`, or says what is wrong with it: nothing if there is none.
pub(crate) fn open_if_whole<K: StoreKind>(
    path: &Path,
    wanted: &K,
) -> Result<Result<StoreFile<K>, Option<StoreDefect>>, StoreError> {
    match StoreFile::open_wanted(path, wanted) {
        Ok(store) => Ok(Ok(store)),
        Err(StoreError::Defect { source, .. }) => Ok(Err(Some(source))),
        Err(StoreError::Io(error)) if error.source.kind() == io::ErrorKind::NotFound => {
            Ok(Err(None))
        }
        Err(error) => Err(error),
    }
}

/// Finds a shard of the store at `path`, or the whole store, or says what is wrong with the shard.
pub(crate) fn find_shard<K: StoreKind>(
    path: &Path,
    wanted: &ShardHeader<K>,
) -> Result<Result<BuiltShard, Option<StoreDefect>>, StoreError> {
    if let Ok(store) = open_if_whole(path, &wanted.whole)? {
        return Ok(Ok(built_shard(&store, wanted.range())));
    }
    let found = open_if_whole(&wanted.shard.path(path), wanted)?;
    Ok(found.map(|file| built_shard(&file, wanted.range())))
}

/// A file that was found, of which this process made nothing.
fn built_shard<K: StoreKind>(file: &StoreFile<K>, samples: Range<usize>) -> BuiltShard {
    BuiltShard {
        path: file.path().to_owned(),
        samples,
        n_made: 0,
        bytes: file.bytes(),
        replaced: None,
    }
}

/// A store that was built, and how.
pub(crate) struct Built<K> {
    pub(crate) store: StoreFile<K>,
    /// Samples that this process drew or encoded.
    pub(crate) n_made: usize,
    /// What was wrong with a shard that was found.
    pub(crate) defect: Option<StoreDefect>,
}

/// Builds and opens the store at `path`, whose samples have these `ids`.
///
/// Makes the folder, and waits as long as another process builds the same store. Takes what whole
/// shards hold; `fill` appends the records of the positions that it is given. On an error, what was
/// written stays beside the place of the store, for the next build to resume; only a budget that
/// is used up removes it. Shards go when the store is there.
pub(crate) fn build<K: StoreKind>(
    path: &Path,
    wanted: &K,
    ids: &[u64],
    options: &mut BuildOptions<'_>,
    fill: impl FnMut(&mut Builder<'_, '_>, Range<usize>) -> Result<(), K::Error>,
) -> Result<Built<K>, K::Error> {
    let _lock = lock(path, wanted, options)?;
    // The process that held the lock may have built the very store.
    if let Ok(store) = open_if_whole(path, wanted)? {
        return Ok(Built {
            store,
            n_made: 0,
            defect: None,
        });
    }
    let mut pieces = Pieces::of(path, wanted)?;
    let (store, n_made) = build_locked(path, wanted, ids, options, |builder| {
        pieces.fill(builder, fill)
    })?;
    let defect = pieces.remove();
    Ok(Built {
        store,
        n_made,
        defect,
    })
}

/// Builds a shard of the store at `path`, whose samples have these `ids`; see [`build`].
pub(crate) fn build_shard<K: StoreKind>(
    path: &Path,
    wanted: &ShardHeader<K>,
    ids: &[u64],
    options: &mut BuildOptions<'_>,
    mut fill: impl FnMut(&mut Builder<'_, '_>, Range<usize>) -> Result<(), K::Error>,
) -> Result<BuiltShard, K::Error> {
    let (store, samples) = (path, wanted.range());
    let path = wanted.shard.path(store);
    let _lock = lock(&path, wanted, options)?;
    // The process that held the lock may have built it, and others joined it by now.
    if let Ok(found) = find_shard(store, wanted)? {
        return Ok(found);
    }
    let own_ids = &ids[samples.clone()];
    let (file, n_made) = build_locked(&path, wanted, own_ids, options, |builder| {
        let rest = samples.start + builder.n_done()..samples.end;
        fill(builder, rest)
    })?;
    Ok(BuiltShard {
        n_made,
        ..built_shard(&file, samples)
    })
}

/// Makes the folder of a store, and waits until no other process builds the same one.
pub(super) fn lock<K: StoreKind>(
    path: &Path,
    kind: &K,
    options: &mut BuildOptions<'_>,
) -> Result<BuildLock, StoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(IoError::at("create", folder))?;
    let total = kind.n_samples() * kind.n_variates();
    BuildLock::wait(&lock_path(path), || {
        options.report(BuildPhase::Waiting, 0, total)
    })
}

/// Builds and opens the store at `path`, whose lock is held; also returns how many samples were not
/// there before, in whatever file.
pub(super) fn build_locked<K: StoreKind>(
    path: &Path,
    kind: &K,
    ids: &[u64],
    options: &mut BuildOptions<'_>,
    fill: impl FnOnce(&mut Builder<'_, '_>) -> Result<(), K::Error>,
) -> Result<(StoreFile<K>, usize), K::Error> {
    let mut builder = Builder {
        partial: Partial::resume(path, kind, ids)?,
        phase: K::PHASE,
        n_variates: kind.n_variates(),
        ids,
        n_made: 0,
        options,
    };
    builder.report(builder.phase)?;
    if let Err(error) = fill(&mut builder) {
        if builder.check_budget().is_err() {
            builder.partial.discard();
        }
        return Err(error);
    }
    let (filled, wanted) = (builder.n_done(), ids.len());
    assert_eq!(
        filled, wanted,
        "{filled} of {wanted} samples were filled in"
    );
    let n_made = builder.n_made;
    builder.partial.publish::<K>(path)?;
    Ok((StoreFile::open_wanted(path, kind)?, n_made))
}

/// Takes the records of a store that is being built, in order.
pub(crate) struct Builder<'a, 'o> {
    partial: Partial,
    phase: BuildPhase,
    n_variates: usize,
    ids: &'a [u64],
    n_made: usize,
    options: &'a mut BuildOptions<'o>,
}

impl Builder<'_, '_> {
    /// Samples whose records are there: the position of the next one.
    pub(super) fn n_done(&self) -> usize {
        self.partial.n_records()
    }

    /// Ids of all samples.
    pub(super) fn ids(&self) -> &[u64] {
        self.ids
    }

    /// Appends the record of the next sample; its body is all `pieces`, one behind the other.
    ///
    /// # Errors
    ///
    /// [`StoreError::Io`], [`StoreError::OverBudget`], [`StoreError::Cancelled`].
    pub(crate) fn append(&mut self, pieces: &[impl AsRef<[u8]>]) -> Result<(), StoreError> {
        self.n_made += 1;
        self.add(pieces, self.phase)
    }

    /// Appends the record of the next sample, made by another process.
    pub(super) fn copy(&mut self, body: &[u8]) -> Result<(), StoreError> {
        self.add(&[body], BuildPhase::Joining)
    }

    fn add(&mut self, pieces: &[impl AsRef<[u8]>], phase: BuildPhase) -> Result<(), StoreError> {
        self.partial.append(self.ids[self.n_done()], pieces)?;
        self.check_budget()?;
        self.report(phase)
    }

    fn check_budget(&self) -> Result<(), StoreError> {
        self.options.check_budget(self.partial.bytes())
    }

    fn report(&mut self, phase: BuildPhase) -> Result<(), StoreError> {
        let n_variates = self.n_variates;
        let (done, total) = (self.n_done() * n_variates, self.ids.len() * n_variates);
        self.options.report(phase, done, total)
    }
}
