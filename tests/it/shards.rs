//! Stores built in shards: joined they have the bytes of a build in one go, or there is a clear error.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use timesclip::cache::BuildOptions;
use timesclip::cache::disk::StoreHeader;
use timesclip::features::FeatureHeader;
use timesclip::raster::PlotStyle;
use timesclip::store::{
    BuildPhase, BuiltShard, Shard, StoreDefect, StoreError, StoreKind, find_stores,
};

use crate::child::{Child, Job};
use crate::disk_faults::{Bench, build, tiny_style};
use crate::pictures::{Random, small_style, walks};
use crate::stores::{Kind, for_both_kinds};

for_both_kinds! {
    shards_in_any_order_join_to_the_bytes_of_one_build,
    an_ordinary_build_takes_what_shards_hold_and_makes_the_rest,
    a_shard_has_the_documented_bytes,
    missing_shards_are_named,
    no_flipped_byte_of_a_shard_is_ever_served,
    a_damaged_shard_is_named_and_built_anew,
    a_foreign_shard_is_named_and_refused,
    joining_goes_on_where_it_ended,
    what_is_there_is_not_built_again,
    different_shards_do_not_wait_for_each_other,
    a_shard_that_is_cancelled_is_gone_on_with,
    shards_are_found_verified_and_removed,
    processes_with_shards_of_one_store_build_it_once,
    killed_shards_lose_nothing,
}

fn shard(number: u32, count: u32) -> Shard {
    Shard::new(number, count).expect("a shard")
}

impl Bench {
    /// The store that was built in one go is only in memory: the folder is empty.
    fn without_store(kind: Kind) -> Self {
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

    fn shard(&self, number: u32, count: u32) -> BuiltShard {
        let built = self.shard_with(shard(number, count), BuildOptions::new());
        built.expect("a shard")
    }

    fn join(&self) -> Result<(), StoreError> {
        self.kind.join(&self.path, BuildOptions::new())
    }

    fn files(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.folder.path()).expect("a folder");
        files.map(|file| file.expect("a file").path()).collect()
    }

    /// Holds that the store has the bytes of a build in one go, and that it is alone.
    fn check_store(&self, how: &str) {
        let bytes = fs::read(&self.path).expect("the store");
        assert!(bytes == self.bytes, "{how}: other bytes");
        assert_eq!(self.files(), [&*self.path], "{how}");
    }

    /// The file that joining cannot use, and why.
    fn defect_of_joining(&self) -> (PathBuf, StoreDefect) {
        match self.join() {
            Err(StoreError::Defect { path, source }) => (path, source),
            other => panic!("{other:?}, expected a defect"),
        }
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

fn missing_shards_are_named(kind: Kind) {
    let bench = Bench::without_store(kind);
    let missing = |bench: &Bench| match bench.join() {
        Err(error @ StoreError::MissingShards { .. }) => error.to_string(),
        other => panic!("{other:?}, expected missing shards"),
    };
    let there = |bench: &Bench| match bench.join() {
        Err(StoreError::Io { source, .. }) => source.kind(),
        other => panic!("{other:?}, expected nothing there"),
    };
    assert_eq!(there(&bench), std::io::ErrorKind::NotFound);

    bench.shard(2, 4);
    let text = missing(&bench);
    assert!(
        text.contains("3 of its 4 shards are missing or not complete: 1, 3-4"),
        "{text}"
    );
    assert!(text.contains(bench.path.to_str().unwrap()), "{text}");
    // Others, of which fewer are missing; one of them is not complete.
    for number in [1, 2] {
        bench.shard(number, 3);
    }
    let whole = bench.shard(3, 3).path;
    fs::rename(&whole, whole.with_added_extension("partial")).unwrap();
    let text = missing(&bench);
    assert!(
        text.ends_with("1 of its 3 shards are missing or not complete: 3"),
        "{text}"
    );
    bench.shard(3, 3);
    bench.join().unwrap();
    bench.check_store("all of three, one of four");
}

fn no_flipped_byte_of_a_shard_is_ever_served(kind: Kind) {
    let bench = Bench::without_store(kind);
    bench.shard(1, 2);
    let path = bench.shard(2, 2).path;
    let whole = fs::read(&path).unwrap();
    let mut random = Random(3);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << random.below(8);
        fs::write(&path, &bytes).unwrap();
        match bench.join() {
            Err(StoreError::Defect { path: named, .. }) => assert_eq!(named, path, "byte {at}"),
            // Its first bytes are others: no shard at all.
            Err(StoreError::MissingShards { missing, .. }) => {
                assert!(missing == [2] && at < 8, "byte {at}");
            }
            other => panic!("byte {at}: {other:?}"),
        }
        assert!(!bench.path.exists(), "byte {at}");
    }
    for len in (0..whole.len()).step_by(29) {
        fs::write(&path, &whole[..len]).unwrap();
        bench.join().unwrap_err();
    }
    fs::write(&path, &whole).unwrap();
    bench.join().unwrap();
    bench.check_store("undone");
}

fn a_damaged_shard_is_named_and_built_anew(kind: Kind) {
    let bench = Bench::without_store(kind);
    let damage = |number| {
        let path = bench.shard(number, 2).path;
        let mut bytes = fs::read(&path).unwrap();
        // In the last record of the shard.
        let at = bytes.len() - 40 - 2 * 16 - 20;
        bytes[at] ^= 4;
        fs::write(&path, &bytes).unwrap();
        path
    };
    bench.shard(2, 2);
    let path = damage(1);
    let record = StoreDefect::Record {
        position: 1,
        id: 103,
    };

    assert_eq!(bench.defect_of_joining(), (path, record.clone()));
    // The task that has it.
    let built = bench.shard(1, 2);
    assert_eq!((built.n_made, built.replaced), (2, Some(record.clone())));
    bench.join().unwrap();
    bench.check_store("built anew");
    fs::remove_file(&bench.path).unwrap();
    // Whoever needs the store: what comes before the damage is good.
    damage(1);
    bench.shard(2, 2);
    let store = build(kind, bench.folder.path(), &bench.dataset).unwrap();
    assert_eq!(store.made(), 2);
    assert_eq!(store.replaced(), Some(record));
    bench.check_store("taken");
}

fn a_foreign_shard_is_named_and_refused(kind: Kind) {
    let bench = Bench::without_store(kind);
    let other = tempfile::tempdir().unwrap();
    let of_others = |seed, number, side_px| {
        let style = PlotStyle {
            side_px,
            ..tiny_style()
        };
        let (dataset, how) = (walks(4, 2, seed), (BuildOptions::new(), Duration::ZERO));
        let what = (&dataset, &style);
        kind.build_shard(other.path(), what, shard(number, 2), how)
            .unwrap()
            .path
    };
    bench.shard(1, 2);
    let path = bench.shard(2, 2).path;
    // Of other samples, of other pictures, the other half, a whole store.
    let other_set = of_others(99, 2, 9);
    let other_style = of_others(1, 2, 10);
    let other_half = of_others(1, 1, 9);
    let cases = [
        (&other_set, "other content"),
        (&other_half, "it is shard 1/2, expected shard 2/2"),
    ];
    for (file, expected) in cases {
        fs::copy(file, &path).unwrap();
        let (named, defect) = bench.defect_of_joining();
        assert_eq!(named, path);
        assert!(defect.to_string().contains(expected), "{defect}");
    }
    fs::copy(&other_style, &path).unwrap();
    let (named, defect) = bench.defect_of_joining();
    let style = matches!(
        defect,
        StoreDefect::OtherStyle { .. } | StoreDefect::OtherFeatures { .. }
    );
    assert!(named == path && style, "{defect}");
    fs::write(&path, &bench.bytes).unwrap();
    let missing = bench.join().unwrap_err();
    assert!(missing.to_string().ends_with("complete: 2"), "{missing}");
    // A store under the name of a shard is none of the tasks' either, and a shard none of a store.
    let built = bench.shard(2, 2);
    assert_eq!(built.replaced, Some(StoreDefect::NotAStore));
    let shard_as_store = bench.open(&fs::read(&path).unwrap()).unwrap_err();
    let StoreError::Defect { source, .. } = shard_as_store else {
        panic!("{shard_as_store:?}")
    };
    assert_eq!(source, StoreDefect::NotAStore);
    // All shards are of another store: nothing says what is wanted but the name.
    fs::remove_file(&bench.path).unwrap();
    for (number, file) in [(1, of_others(99, 1, 9)), (2, other_set)] {
        fs::copy(file, shard(number, 2).path(&bench.path)).unwrap();
    }
    let (_, defect) = bench.defect_of_joining();
    assert!(matches!(defect, StoreDefect::OtherKey { .. }), "{defect}");
    let store = build(kind, bench.folder.path(), &bench.dataset).unwrap();
    assert_eq!(store.made(), 8);
    bench.check_store("drawn or encoded anew");
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
    let path = bench.shard(2, 3).path;
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

fn processes_with_shards_of_one_store_build_it_once(kind: Kind) {
    let (bench, [n_samples, side_px]) = (tempfile::tempdir().unwrap(), [40, 16]);
    let (whole, folder) = (tempfile::tempdir().unwrap(), bench.path());
    let job = |folder: &Path| Job::build(kind, folder, [n_samples, 1], 4, side_px);
    Child::start(&job(whole.path())).report();

    // Four shards, each given to two processes.
    let parts = (0..8).map(|i| format!("{}/4", i % 4 + 1));
    let children: Vec<Child> = parts
        .map(|part| Child::start(&job(folder).part(&part)))
        .collect();
    let made: u64 = children.into_iter().map(|child| child.report().made).sum();
    assert_eq!(made, n_samples as u64);
    let joins = [(); 2].map(|()| Child::start(&job(folder).part("join")));
    for join in joins {
        join.report();
    }

    check_equal(kind, folder, whole.path());
}

/// Holds that two folders have the same store, and the first nothing else.
fn check_equal(kind: Kind, folder: &Path, whole: &Path) {
    let only_file = |folder: &Path| {
        let mut files = fs::read_dir(folder).expect("a folder");
        let file = files.next().expect("a store").expect("a store");
        assert!(files.next().is_none(), "{kind:?}: more than the store");
        (file.file_name(), fs::read(file.path()).expect("the store"))
    };
    assert!(only_file(folder) == only_file(whole), "{kind:?}");
}

fn killed_shards_lose_nothing(kind: Kind) {
    // Pictures are drawn in less time than the encoder of the tests takes.
    let (n_samples, side_px) = match kind {
        Kind::Images => (6000, 8),
        Kind::Features => (1000, 8),
    };
    let half = n_samples as u64 / 2;
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let job = |folder: &Path| Job::build(kind, folder, [n_samples, 1], 5, side_px);
    let style = PlotStyle {
        side_px,
        ..small_style()
    };
    let store = kind.path(folder.path(), &walks(n_samples, 1, 5), &style);
    let path = shard(2, 2).path(&store);
    let len = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    // Ends the job as soon as its file has grown, or later.
    let kill_when_grown = |part: &str, partial: &Path| {
        let before = len(partial);
        let mut child = Child::start(&job(folder.path()).part(part));
        while len(partial) <= before && !child.ended() {
            std::thread::yield_now();
        }
        child.kill();
        len(partial)
    };
    let partial = path.with_added_extension("partial");
    let kept: Vec<u64> = (0..5).map(|_| kill_when_grown("2/2", &partial)).collect();
    assert!(
        kept[0] > 0 && !path.exists(),
        "no kill came in time: {kept:?}"
    );
    assert!(kept.is_sorted(), "what was made was lost: {kept:?}");
    let made = |part: &str| Child::start(&job(folder.path()).part(part)).report().made;
    assert!(made("2/2") < half, "all was made again");
    assert_eq!(made("1/2"), half);
    kill_when_grown("join", &store.with_added_extension("partial"));
    made("join");

    made("whole");
    Child::start(&job(whole.path())).report();
    check_equal(kind, folder.path(), whole.path());
}

#[test]
fn joining_ten_times_the_cap_stays_under_the_cap() {
    const CAP: u64 = 12 << 20;
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: reads the peak memory from /proc");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Records of 16 variates of 4096 numbers in 16 bits.
    let job = Job::build(Kind::Features, folder.path(), [1000, 16], 8, 1024);
    for part in ["1/2", "2/2"] {
        Child::start(&job.part(part)).report();
    }

    let idle = tempfile::tempdir().unwrap();
    let nothing = Job::build(Kind::Features, idle.path(), [1, 1], 1, 8);
    let nothing = Child::start(&nothing).report().peak;
    let joined = Child::start(&job.part("join")).report().peak;

    let store = &find_stores::<FeatureHeader>(folder.path()).unwrap()[0];
    assert!(store.bytes >= 10 * CAP, "a store of {} bytes", store.bytes);
    assert_eq!(store.shard, None);
    let beside = joined.saturating_sub(nothing);
    eprintln!("peak memory besides the program: {beside} bytes to join");
    assert!(beside < CAP, "{beside} bytes to join");
}
