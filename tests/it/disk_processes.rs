//! Stores among processes: killed builders, races, a full disk, a folder that cannot be written, and
//! the memory that building and reading take.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use timesclip::IoError;
use timesclip::cache::disk::StoreHeader;
use timesclip::cache::features::FeatureHeader;
use timesclip::cache::store::{StoreError, StoreKind, find_stores};
use timesclip::raster::PlotStyle;
use xxhash_rust::xxh3::xxh3_64;

use crate::child::{Child, Job, Report};
use crate::disk_faults::{Bench, build, tiny_style};
use crate::pictures::{Random, small_style, walks};
use crate::stores::{Kind, for_both_kinds};

for_both_kinds! {
    a_reader_keeps_its_samples_while_another_process_rebuilds,
    of_four_processes_that_build_the_same_store_one_does,
    fifty_kills_leave_no_wrong_store_and_lose_nothing,
    a_file_that_cannot_grow_is_an_error_and_the_next_build_goes_on,
    a_full_disk_is_an_error_and_publishes_nothing,
    a_folder_that_cannot_be_written_serves_what_it_has_and_refuses_the_rest,
    a_store_that_is_being_built_is_not_removed,
}

fn style_of(side_px: usize) -> PlotStyle {
    PlotStyle {
        side_px,
        ..small_style()
    }
}

/// Whether each store in a folder is partial, and its bytes.
fn stores_in(kind: Kind, folder: &Path) -> Vec<(bool, u64)> {
    fn list<K: StoreKind>(folder: &Path) -> Vec<(bool, u64)> {
        let found = find_stores::<K>(folder).expect("a folder");
        found
            .iter()
            .map(|store| (store.partial, store.bytes))
            .collect()
    }
    match kind {
        Kind::Images => list::<StoreHeader>(folder),
        Kind::Features => list::<FeatureHeader>(folder),
    }
}

fn a_reader_keeps_its_samples_while_another_process_rebuilds(kind: Kind) {
    let bench = Bench::new(kind);
    let job = Job::build(kind, bench.folder.path(), [4, 2], 1, 9);
    let store = bench.open(&bench.bytes).unwrap();
    // Another file takes the name, as a copy that went wrong would; the open one lives on.
    let damaged = bench.folder.path().join("damaged");
    fs::write(&damaged, &bench.bytes[..bench.bytes.len() / 2]).unwrap();
    fs::rename(&damaged, &bench.path).unwrap();

    let child = Child::start(&job);
    while !child.ended() {
        assert!(store.contents() == bench.contents);
    }

    assert_eq!(child.report().made, 8);
    assert!(store.contents() == bench.contents);
    let fresh = kind.open(bench.folder.path(), &bench.dataset, &tiny_style());
    assert!(fresh.unwrap().contents() == bench.contents);
}

fn of_four_processes_that_build_the_same_store_one_does(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let contents = kind.expected(&walks(60, 1, 4), &style_of(16));
    let job = Job::build(kind, folder.path(), [60, 1], 4, 16);

    let children: Vec<Child> = (0..4).map(|_| Child::start(&job)).collect();
    let reports: Vec<Report> = children.into_iter().map(Child::report).collect();

    let mut made: Vec<u64> = reports.iter().map(|report| report.made).collect();
    made.sort_unstable();
    assert_eq!(made, [0, 0, 0, 60]);
    for report in reports {
        assert_eq!(report.contents, xxh3_64(&contents));
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the store stays: {left:?}");
}

fn fifty_kills_leave_no_wrong_store_and_lose_nothing(kind: Kind) {
    let (n_samples, side_px) = (120, 8);
    let dataset = walks(n_samples, 1, 5);
    let folder = tempfile::tempdir().unwrap();
    let whole = tempfile::tempdir().unwrap();
    let job = |folder: &Path| Job::build(kind, folder, [n_samples, 1], 5, side_px);
    let path_in = |folder: &Path| kind.path(folder, &dataset, &style_of(side_px));
    let start = Instant::now();
    Child::start(&job(whole.path())).report();
    let time_of_build = start.elapsed();
    let path = path_in(folder.path());
    let expected = fs::read(path_in(whole.path())).unwrap();

    let mut random = Random(6);
    let (mut resumable, mut completed) = (0, 0);
    for _ in 0..50 {
        let mut child = Child::start(&job(folder.path()));
        std::thread::sleep(time_of_build.mul_f64(random.below(1000) as f64 / 1000.0));
        child.kill();
        if path.exists() {
            // Published: then it must be all of it. Begin again.
            assert!(
                fs::read(&path).unwrap() == expected,
                "a wrong store was published"
            );
            fs::remove_file(&path).unwrap();
            completed += 1;
        }
        let partial = path.with_added_extension("partial");
        let kept = fs::metadata(partial).map_or(0, |metadata| metadata.len());
        resumable += usize::from(kept > 1000);
    }
    let report = Child::start(&job(folder.path())).report();

    let contents = kind.expected(&dataset, &style_of(side_px));
    assert_eq!(report.contents, xxh3_64(&contents));
    assert!(
        fs::read(&path).unwrap() == expected,
        "not the store of a build in one go"
    );
    assert!(
        resumable > 5,
        "{resumable} kills left something to go on with, {completed} came late"
    );
}

/// Runs out of room while it builds, then is given room.
fn check_full_disk(kind: Kind, folder: &Path, limit_kib: Option<u64>) {
    let job = Job::build(kind, folder, [400, 1], 8, 60);
    let job = if let Some(kib) = limit_kib {
        job.with_file_limit(kib)
    } else {
        job
    };
    let error = Child::start(&job).error();

    assert!(error.contains("cannot write"), "{error}");
    let stores = stores_in(kind, folder);
    assert!(
        stores.iter().all(|&(partial, _)| partial),
        "a half store was published"
    );
    assert_eq!(stores.len(), 1, "what was made is kept");
}

fn a_file_that_cannot_grow_is_an_error_and_the_next_build_goes_on(kind: Kind) {
    if !cfg!(unix) {
        eprintln!("skipped: needs the file size limit of a Unix shell");
        return;
    }
    let folder = tempfile::tempdir().unwrap();

    check_full_disk(kind, folder.path(), Some(128));
    let report = Child::start(&Job::build(kind, folder.path(), [400, 1], 8, 60)).report();

    assert!(report.made > 0 && report.made < 400, "{} made", report.made);
    let contents = kind.expected(&walks(400, 1, 8), &style_of(60));
    assert_eq!(report.contents, xxh3_64(&contents));
}

/// A file system of its own, which only root may have.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder to mount on");
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            other => {
                eprintln!("skipped: cannot mount a file system of `{options}`: {other:?}");
                None
            }
        }
    }

    fn run(&self, program: &str, args: &[&str]) -> bool {
        let command = std::process::Command::new(program)
            .args(args)
            .arg(self.0.path())
            .status();
        command.is_ok_and(|status| status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.run("umount", &[]);
    }
}

fn a_full_disk_is_an_error_and_publishes_nothing(kind: Kind) {
    if let Some(mount) = Mount::new("size=128k") {
        check_full_disk(kind, mount.0.path(), None);
    }
}

fn a_folder_that_cannot_be_written_serves_what_it_has_and_refuses_the_rest(kind: Kind) {
    let Some(mount) = Mount::new("size=1m") else {
        return;
    };
    let dataset = walks(4, 2, 1);
    build(kind, mount.0.path(), &dataset).unwrap();
    assert!(
        mount.run("mount", &["-o", "remount,ro"]),
        "cannot make the folder read-only"
    );

    let store = build(kind, mount.0.path(), &dataset).expect("a store that is there");
    assert_eq!(store.made(), 0);
    let error = build(kind, mount.0.path(), &walks(4, 2, 97)).unwrap_err();
    let StoreError::Io(IoError {
        action: "create",
        source,
        ..
    }) = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(source.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}

#[test]
fn building_and_reading_ten_times_the_cap_stays_under_the_cap() {
    // Building takes some 11 MB; pages of the program that only building touches count as well.
    const CAP: u64 = 16 << 20;
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: reads the peak memory from /proc");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let job = Job::build_heavy(folder.path(), 10 * CAP);

    let idle = tempfile::tempdir().unwrap();
    let nothing = Child::start(&Job::build(Kind::Images, idle.path(), [1, 1], 1, 8))
        .report()
        .peak;
    let built = Child::start(&job).report();
    let read = Child::start(&job).report();

    let (_, bytes) = stores_in(Kind::Images, folder.path())[0];
    assert!(bytes >= 10 * CAP, "a store of {bytes} bytes");
    assert!(built.made > 0 && read.made == 0);
    assert_eq!(built.contents, read.contents);
    let beside = |peak: u64| peak.saturating_sub(nothing);
    let (build, read) = (beside(built.peak), beside(read.peak));
    eprintln!("peak memory besides the program: {build} bytes to build, {read} to read");
    assert!(build < CAP, "{build} bytes to build");
    assert!(read < CAP, "{read} bytes to read");
}

fn a_store_that_is_being_built_is_not_removed(kind: Kind) {
    match kind {
        Kind::Images => check_not_removed::<StoreHeader>(kind),
        Kind::Features => check_not_removed::<FeatureHeader>(kind),
    }
}

fn check_not_removed<K: StoreKind>(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Child::start(&Job::build(kind, folder.path(), [4000, 1], 9, 16));
    let deadline = Instant::now() + Duration::from_secs(60);
    let found = loop {
        let found = find_stores::<K>(folder.path()).unwrap();
        if !found.is_empty() {
            break found;
        }
        assert!(
            Instant::now() < deadline && !child.ended(),
            "no store is being built"
        );
    };

    let error = found[0].remove().unwrap_err().to_string();
    child.kill();

    assert!(found[0].partial);
    assert!(
        error.contains("is being built by another process"),
        "{error}"
    );
    found[0].remove().expect("the lock went with the process");
}
