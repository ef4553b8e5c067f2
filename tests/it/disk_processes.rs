//! Stores among processes: killed builders, races, a full disk, a folder that cannot be written, and
//! the memory that building and reading take.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use timesclip::cache::disk::{find_stores, store_path};
use timesclip::cache::{CacheError, CachedImageDataset, ImageKey, OnDiskImages, UncachedImages};
use timesclip::raster::PlotStyle;
use xxhash_rust::xxh3::xxh3_64;

use crate::child::{Child, Job, Report};
use crate::disk_faults::{Bench, build, tiny_style};
use crate::pictures::{Random, all_masks, small_style, walks};

#[test]
fn a_reader_keeps_its_pictures_while_another_process_rebuilds() {
    let bench = Bench::new();
    let job = Job::build(bench.folder.path(), 4, 2, 1, 9);
    let images = bench.open(&bench.bytes).unwrap();
    // Another file takes the name, as a copy that went wrong would; the open one lives on.
    let damaged = bench.folder.path().join("damaged");
    fs::write(&damaged, &bench.bytes[..bench.bytes.len() / 2]).unwrap();
    fs::rename(&damaged, &bench.path).unwrap();

    let child = Child::start(&job);
    while !child.ended() {
        assert!(all_masks(&images) == bench.masks);
    }

    assert_eq!(child.report().drawn, 8);
    assert!(all_masks(&images) == bench.masks);
    let fresh = OnDiskImages::open(bench.folder.path(), bench.dataset.clone(), &tiny_style());
    assert!(all_masks(&fresh.unwrap()) == bench.masks);
}

#[test]
fn of_four_processes_that_build_the_same_store_one_draws() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = walks(60, 1, 4);
    let expected = UncachedImages::new(
        dataset,
        &PlotStyle {
            side_px: 16,
            ..small_style()
        },
    );
    let masks = all_masks(&expected.unwrap());
    let job = Job::build(folder.path(), 60, 1, 4, 16);

    let children: Vec<Child> = (0..4).map(|_| Child::start(&job)).collect();
    let reports: Vec<Report> = children.into_iter().map(Child::report).collect();

    let mut drawn: Vec<u64> = reports.iter().map(|report| report.drawn).collect();
    drawn.sort_unstable();
    assert_eq!(drawn, [0, 0, 0, 60]);
    for report in reports {
        assert_eq!(report.masks, xxh3_64(&masks));
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the store stays: {left:?}");
}

#[test]
fn fifty_kills_leave_no_wrong_store_and_lose_nothing() {
    let (n_samples, side_px) = (120, 8);
    let style = PlotStyle {
        side_px,
        ..small_style()
    };
    let dataset = walks(n_samples, 1, 5);
    let folder = tempfile::tempdir().unwrap();
    let whole = tempfile::tempdir().unwrap();
    let job = |folder: &Path| Job::build(folder, n_samples, 1, 5, side_px);
    let start = Instant::now();
    Child::start(&job(whole.path())).report();
    let time_of_build = start.elapsed();
    let path = store_path(folder.path(), ImageKey::of(&dataset, &style));
    let expected = fs::read(store_path(whole.path(), ImageKey::of(&dataset, &style))).unwrap();

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

    let drawn = UncachedImages::new(dataset, &style).unwrap();
    assert_eq!(report.masks, xxh3_64(&all_masks(&drawn)));
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
fn check_full_disk(folder: &Path, limit_kib: Option<u64>) {
    let job = Job::build(folder, 400, 1, 8, 60);
    let job = if let Some(kib) = limit_kib {
        job.with_file_limit(kib)
    } else {
        job
    };
    let error = Child::start(&job).error();

    assert!(error.contains("cannot write"), "{error}");
    let stores = find_stores(folder).expect("a folder");
    assert!(
        stores.iter().all(|store| store.partial),
        "a half store was published"
    );
    assert_eq!(stores.len(), 1, "what was drawn is kept");
}

#[test]
fn a_file_that_cannot_grow_is_an_error_and_the_next_build_goes_on() {
    if !cfg!(unix) {
        eprintln!("skipped: needs the file size limit of a Unix shell");
        return;
    }
    let folder = tempfile::tempdir().unwrap();

    check_full_disk(folder.path(), Some(128));
    let report = Child::start(&Job::build(folder.path(), 400, 1, 8, 60)).report();

    assert!(
        report.drawn > 0 && report.drawn < 400,
        "{} drawn",
        report.drawn
    );
    let style = PlotStyle {
        side_px: 60,
        ..small_style()
    };
    let drawn = UncachedImages::new(walks(400, 1, 8), &style).unwrap();
    assert_eq!(report.masks, xxh3_64(&all_masks(&drawn)));
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

#[test]
fn a_full_disk_is_an_error_and_publishes_nothing() {
    if let Some(mount) = Mount::new("size=128k") {
        check_full_disk(mount.0.path(), None);
    }
}

#[test]
fn a_folder_that_cannot_be_written_serves_what_it_has_and_refuses_the_rest() {
    let Some(mount) = Mount::new("size=1m") else {
        return;
    };
    let dataset = walks(4, 2, 1);
    build(mount.0.path(), &dataset).unwrap();
    assert!(
        mount.run("mount", &["-o", "remount,ro"]),
        "cannot make the folder read-only"
    );

    let images = build(mount.0.path(), &dataset).expect("a store that is there");
    assert_eq!(images.stats().drawn, 0);
    let error = build(mount.0.path(), &walks(4, 2, 97)).unwrap_err();
    let CacheError::Io {
        action: "create",
        source,
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(source.kind(), std::io::ErrorKind::ReadOnlyFilesystem);
}

#[test]
fn building_and_reading_ten_times_the_cap_stays_under_the_cap() {
    const CAP: u64 = 12 << 20;
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: reads the peak memory from /proc");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let job = Job::build_heavy(folder.path(), 10 * CAP);

    let idle = tempfile::tempdir().unwrap();
    let nothing = Child::start(&Job::build(idle.path(), 1, 1, 1, 8))
        .report()
        .peak;
    let built = Child::start(&job).report();
    let read = Child::start(&job).report();

    let stores = find_stores(folder.path()).unwrap();
    assert!(
        stores[0].bytes >= 10 * CAP,
        "a store of {} bytes",
        stores[0].bytes
    );
    assert!(built.drawn > 0 && read.drawn == 0);
    assert_eq!(built.masks, read.masks);
    let beside = |peak: u64| peak.saturating_sub(nothing);
    let (build, read) = (beside(built.peak), beside(read.peak));
    eprintln!("peak memory besides the program: {build} bytes to build, {read} to read");
    assert!(build < CAP, "{build} bytes to build");
    assert!(read < CAP, "{read} bytes to read");
}

#[test]
fn a_store_that_is_being_built_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Child::start(&Job::build(folder.path(), 4000, 1, 9, 16));
    let deadline = Instant::now() + Duration::from_secs(60);
    let found = loop {
        let found = find_stores(folder.path()).unwrap();
        if !found.is_empty() {
            break found;
        }
        assert!(
            Instant::now() < deadline && !child.ended(),
            "no store is being built"
        );
    };

    let error = found[0].remove().unwrap_err();
    child.kill();

    assert!(found[0].partial);
    assert!(matches!(error, CacheError::Busy { .. }), "{error:?}");
    found[0].remove().expect("the lock went with the process");
}
