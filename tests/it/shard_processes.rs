//! Shards among processes: several at once, killed ones, and the memory that joining takes.

use std::fs;
use std::path::Path;

use timesclip::cache::features::FeatureHeader;
use timesclip::cache::store::find_stores;
use timesclip::raster::PlotStyle;

use crate::child::{Child, Job};
use crate::pictures::{small_style, walks};
use crate::shards::shard;
use crate::stores::{Kind, for_both_kinds};

for_both_kinds! {
    processes_with_shards_of_one_store_build_it_once,
    killed_shards_lose_nothing,
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
    const CAP: u64 = 4 << 20;
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: reads the peak memory from /proc");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Records of 16 variates of 4096 numbers in 16 bits.
    let job = Job::build(Kind::Features, folder.path(), [340, 16], 8, 1024);
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
