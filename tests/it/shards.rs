//! Stores built in shards: joined they have the bytes of a build in one go.
//!
//! `shard_faults.rs` has what can be wrong with them, `shard_processes.rs` what needs processes.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use timesclip::cache::BuildOptions;
use timesclip::cache::disk::StoreHeader;
use timesclip::cache::features::FeatureHeader;
use timesclip::cache::store::{BuildPhase, BuiltShard, Shard, StoreError, StoreKind, find_stores};

use crate::disk_faults::{Bench, build, tiny_style};
use crate::pictures::Random;
use crate::stores::{Kind, for_both_kinds};

for_both_kinds! {
    shards_in_any_order_join_to_the_bytes_of_one_build,
    an_ordinary_build_takes_what_shards_hold_and_makes_the_rest,
    a_shard_has_the_documented_bytes,
    joining_goes_on_where_it_ended,
    what_is_there_is_not_built_again,
    different_shards_do_not_wait_for_each_other,
    a_shard_that_is_cancelled_is_gone_on_with,
    shards_are_found_verified_and_removed,
}

pub(crate) fn shard(number: u32, count: u32) -> Shard {
    Shard::new(number, count).expect("a shard")
}

impl Bench {
    /// The store that was built in one go is only in memory: the folder is empty.
    pub(crate) fn without_store(kind: Kind) -> Self {
        let bench = Self::new(kind);
        fs::remove_file(&bench.path).expect("the store");
        bench
    }

    fn shard_with(
        &self,
        shard: Shard,
        options: BuildOptions<'_>,
    ) -> Result<BuiltShard, StoreError> {
        let what = (&self.dataset, &tiny_style());
        let how = (options, Duration::ZERO);
        self.kind.build_shard(self.folder.path(), what, shard, how)
    }

    pub(crate) fn shard(&self, number: u32, count: u32) -> BuiltShard {
        let built = self.shard_with(shard(number, count), BuildOptions::new());
        built.expect("a shard")
    }

    pub(crate) fn join(&self) -> Result<(), StoreError> {
        self.kind.join(&self.path, BuildOptions::new())
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.folder.path()).expect("a folder");
        files.map(|file| file.expect("a file").path()).collect()
    }

    /// Holds that the store has the bytes of a build in one go, and that it is alone.
    pub(crate) fn check_store(&self, how: &str) {
        let bytes = fs::read(&self.path).expect("the store");
        assert!(bytes == self.bytes, "{how}: other bytes");
        assert_eq!(self.files(), [&*self.path], "{how}");
    }
}

fn shards_in_any_order_join_to_the_bytes_of_one_build(kind: Kind) {
    let bench = Bench::without_store(kind);
    let mut random = Random(1);
    // Four samples: one shard, equal ones, unequal ones, one each, and some without any.
    for count in [1, 2, 3, 4, 7] {
        for number in random.shuffled(count as usize) {
            let built = bench.shard(u32::try_from(number).unwrap() + 1, count);
            assert_eq!(built.n_made, built.samples.len());
            assert_eq!(built.bytes, fs::metadata(&built.path).unwrap().len());
        }
        assert_eq!(bench.files().len(), count as usize);

        bench.join().unwrap();
        bench.check_store(&format!("{count} shards"));
        fs::remove_file(&bench.path).unwrap();
    }
}

fn an_ordinary_build_takes_what_shards_hold_and_makes_the_rest(kind: Kind) {
    let bench = Bench::without_store(kind);
    // Which of four shards, each of one sample of two variates, are there; in thirds too.
    for (fourths, third, made) in [
        (&[1, 2, 3, 4][..], None, 0),
        (&[2, 4], None, 4),
        (&[1], None, 6),
        (&[3], None, 6),
        (&[1, 2], Some(3), 0),
        (&[4], Some(1), 4),
    ] {
        for &number in fourths {
            bench.shard(number, 4);
        }
        if let Some(number) = third {
            bench.shard(number, 3);
        }
        let store = build(kind, bench.folder.path(), &bench.dataset).unwrap();

        assert_eq!(store.made(), made, "{fourths:?} {third:?}");
        assert_eq!(store.replaced(), None);
        bench.check_store(&format!("{fourths:?} {third:?}"));
        fs::remove_file(&bench.path).unwrap();
    }
}

fn a_shard_has_the_documented_bytes(kind: Kind) {
    let bench = Bench::without_store(kind);
    let built = bench.shard(2, 3);
    let bytes = fs::read(&built.path).unwrap();
    let fixed = kind.fixed_header();
    let letters = kind.letters().to_lowercase();

    assert_eq!(built.path, shard(2, 3).path(&bench.path));
    let name = built.path.file_name().unwrap().to_str().unwrap();
    assert!(
        name.ends_with(&format!(".{letters}.shard-2-of-3")),
        "{name}"
    );
    assert_eq!(built.samples, 1..2);
    assert_eq!(
        bytes[..8],
        *[b"\x89", letters.as_bytes(), b"\r\n\x1a"].concat()
    );
    assert!(bytes.ends_with(format!("{letters}-end").as_bytes()));
    // The whole store, then the shard, then the text.
    assert_eq!(bytes[16..fixed], bench.bytes[16..fixed]);
    assert_eq!(bytes[fixed..fixed + 8], [2, 0, 0, 0, 3, 0, 0, 0]);
    assert_eq!(bytes[fixed + 8..fixed + 16], bench.bytes[fixed..fixed + 8]);
}

fn joining_goes_on_where_it_ended(kind: Kind) {
    let bench = Bench::without_store(kind);
    let mut done = Vec::new();
    for stop in [2, 4, 6] {
        for number in 1..=3 {
            bench.shard(number, 3);
        }
        let stopping = BuildOptions::new().with_progress(|progress| match progress.done {
            done if done == stop => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        let stopped = bench.kind.join(&bench.path, stopping).unwrap_err();
        assert!(
            matches!(stopped, StoreError::Cancelled { .. }),
            "{stopped:?}"
        );
        assert_eq!(bench.files().len(), 4, "the shards stay until the end");
        let watching = BuildOptions::new().with_progress(|progress| {
            done.push((progress.phase == BuildPhase::Joining, progress.done));
            ControlFlow::Continue(())
        });
        bench.kind.join(&bench.path, watching).unwrap();
        bench.check_store(&format!("stopped after {stop}"));
        fs::remove_file(&bench.path).unwrap();
    }
    let expected = [
        (false, 2),
        (true, 4),
        (true, 6),
        (true, 8),
        (false, 4),
        (true, 6),
        (true, 8),
        (false, 6),
        (true, 8),
    ];
    assert_eq!(done, expected);
}

fn what_is_there_is_not_built_again(kind: Kind) {
    let bench = Bench::without_store(kind);
    let first = bench.shard(1, 2);
    let again = bench.shard(1, 2);
    assert_eq!((first.n_made, again.n_made), (2, 0));
    assert_eq!(first.path, again.path);
    bench.shard(2, 2);
    let left = fs::read(&first.path).unwrap();
    bench.join().unwrap();
    // A task that comes late finds the store.
    let late = bench.shard(1, 2);
    assert_eq!((late.n_made, &late.path), (0, &bench.path));
    // Joining was killed when the store was there and a shard was left.
    fs::write(&first.path, &left).unwrap();
    bench.join().unwrap();
    bench.check_store("joined twice");
    bench.join().unwrap();
    bench.check_store("joined without shards");
}

fn different_shards_do_not_wait_for_each_other(kind: Kind) {
    let bench = Bench::without_store(kind);
    let mut inside = None;
    let options = BuildOptions::new().with_progress(|progress| {
        if progress.done == 2 {
            // The lock of the first half is held.
            inside = Some(bench.shard(2, 2));
        }
        ControlFlow::Continue(())
    });
    bench.shard_with(shard(1, 2), options).unwrap();
    assert_eq!(inside.map(|built| built.n_made), Some(2));
    bench.join().unwrap();
    bench.check_store("one within the other");
}

fn a_shard_that_is_cancelled_is_gone_on_with(kind: Kind) {
    let bench = Bench::without_store(kind);
    let mut seen = Vec::new();
    let options = BuildOptions::new().with_progress(|progress| {
        seen.push((progress.done, progress.total));
        match progress.done {
            2 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    bench.shard_with(shard(2, 2), options).unwrap_err();
    assert_eq!(seen, [(0, 4), (2, 4)]);
    let tight = bench.shard_with(shard(1, 2), BuildOptions::new().with_budget(99));
    assert!(
        matches!(tight, Err(StoreError::OverBudget { budget: 99, .. })),
        "{tight:?}"
    );
    assert_eq!(bench.shard(2, 2).n_made, 1);
    bench.shard(1, 2);
    bench.join().unwrap();
    bench.check_store("gone on with");
}

fn shards_are_found_verified_and_removed(kind: Kind) {
    match kind {
        Kind::Images => check_found::<StoreHeader>(kind),
        Kind::Features => check_found::<FeatureHeader>(kind),
    }
}

fn check_found<K: StoreKind>(kind: Kind) {
    let bench = Bench::without_store(kind);
    let folder = bench.folder.path();
    let mut removed = None;
    let options = BuildOptions::new().with_progress(|_| {
        removed.get_or_insert_with(|| {
            let found = find_stores::<K>(folder).expect("a folder");
            found[0].remove().map_err(|error| error.to_string())
        });
        ControlFlow::Continue(())
    });
    let path = bench.shard_with(shard(2, 3), options).unwrap().path;
    let busy = removed.unwrap().unwrap_err();
    assert!(busy.contains("is being built by another process"), "{busy}");
    let partial = shard(3, 3)
        .path(&bench.path)
        .with_added_extension("partial");
    fs::write(&partial, &fs::read(&path).unwrap()[..20]).unwrap();
    for name in ["shard-0-of-3", "shard-4-of-3", "shard-02-of-3"] {
        fs::copy(&path, bench.path.with_added_extension(name)).unwrap();
    }

    let found = find_stores::<K>(folder).unwrap();
    let told: Vec<_> = found
        .iter()
        .map(|found| (&*found.path, found.shard, found.partial))
        .collect();
    let expected = [
        (&*path, Some(shard(2, 3)), false),
        (&*partial, Some(shard(3, 3)), true),
    ];
    assert_eq!(told, expected);
    let header = found[0].header.as_ref().unwrap();
    assert_eq!(header.n_samples(), 4, "of the whole store");
    assert!(found.iter().all(|found| found.store_path() == bench.path));
    found[0].verify().unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    found[0].verify().unwrap_err();
    for found in &found {
        found.remove().unwrap();
    }
    assert_eq!(
        bench.files().len(),
        3,
        "files that are called otherwise stay"
    );
}
