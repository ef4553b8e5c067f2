//! Sharded building as a user meets it: `image_cache` and `train_dual --prepare-only`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::examples::{Bench, built, example};

/// What was printed, of a command that must end well or must not.
fn printed(output: &Output, good: bool) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(output.status.success(), good, "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// Names and bytes of all files in a folder.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).expect("a folder").map(|file| {
        let file = file.expect("a file");
        let name = file.file_name().to_string_lossy().into_owned();
        (name, fs::read(file.path()).expect("a file"))
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

#[test]
fn image_cache_draws_shards_and_merges_them() {
    let Some(image_cache) = built("image_cache") else {
        return;
    };
    let bench = Bench::new();
    let (whole, shards) = (bench.path("whole"), bench.path("shards"));
    let build = |folder: &Path, more: &[&str]| {
        let mut command = Command::new(&image_cache);
        command.arg("build").arg(bench.path("train.csv"));
        command.args(["--variates", "1", "--side", "24", "--dir"]);
        command.arg(folder).args(more);
        command.output().expect("the example starts")
    };
    let of_shards = |what: &str| {
        let mut command = Command::new(&image_cache);
        command.arg(what).arg(&shards);
        command.output().expect("the example starts")
    };
    printed(&build(&whole, &[]), true);
    let text = printed(&build(&shards, &["--shard", "3/3"]), true);
    assert!(
        text.contains("shard 3/3, 6 pictures, 6 drawn now"),
        "{text}"
    );
    printed(&build(&shards, &["--shard", "1/3"]), true);
    let text = printed(&of_shards("merge"), false);
    assert!(
        text.contains("1 of its 3 shards are missing or not complete: 2"),
        "{text}"
    );

    printed(&build(&shards, &["--shard", "2/3"]), true);
    let text = printed(&of_shards("stats"), true);
    assert!(
        text.contains("(shard 2/3)") && text.contains("3 files"),
        "{text}"
    );
    let (name, mut bytes) = contents(&shards).swap_remove(1);
    bytes[400] ^= 1;
    fs::write(shards.join(&name), bytes).expect("a shard");
    for what in ["verify", "merge"] {
        let text = printed(&of_shards(what), false);
        assert!(text.contains(&name) && text.contains("damaged"), "{text}");
    }
    let text = printed(&build(&shards, &["--shard", "2/3"]), true);
    assert!(text.contains("replaced a shard: its record"), "{text}");
    for _ in 0..2 {
        printed(&of_shards("merge"), true);
        assert!(
            contents(&shards) == contents(&whole),
            "not the store of one build"
        );
    }
}

#[test]
fn image_cache_prunes_shards_and_refuses_those_that_cannot_be() {
    let Some(image_cache) = built("image_cache") else {
        return;
    };
    let bench = Bench::new();
    let folder = bench.path("pruned");
    let build = |shard: &str| {
        let mut command = Command::new(&image_cache);
        command.arg("build").arg(bench.path("train.csv"));
        command.args(["--variates", "1", "--side", "24", "--dir"]);
        command.arg(&folder).args(["--shard", shard]);
        command.output().expect("the example starts")
    };
    printed(&build("1/2"), true);
    let (name, _) = contents(&folder).swap_remove(0);
    let (key, _) = name.split_once('.').expect("the key of the store");
    let mut prune = Command::new(&image_cache);
    let prune = prune.arg("prune").arg(&folder).args(["--key", key]);
    let text = printed(&prune.output().expect("the example starts"), true);
    assert!(text.contains("shard-1-of-2"), "{text}");
    assert!(contents(&folder).is_empty(), "{text}");
    for (shard, expected) in [
        ("5/4", "no shard 5 of 4, expected a number from 1 to 4"),
        ("0/4", "from 1 to 4"),
        ("x", "`x` is no shard"),
    ] {
        let text = printed(&build(shard), false);
        assert!(text.contains(expected), "{text}");
    }
}

/// Features and pictures of training set, view and test set, prepared in shards and whole.
#[test]
fn train_dual_finds_what_it_prepared_in_shards() {
    let Some(train_dual) = example() else { return };
    for frozen in [&["--freeze", "vision"][..], &[]] {
        let bench = Bench::new();
        let (apart, whole) = (bench.path("apart"), bench.path("whole"));
        let run = |folder: &Path, more: &[&str]| {
            let folder = folder.to_str().expect("a path of the test's own");
            let disk = ["--views", "1", "--cache", "disk", "--cache-dir", folder];
            let flags = [frozen, &disk, more].concat();
            printed(
                &bench.run(&train_dual, "train.csv", "test.csv", &flags),
                true,
            )
        };
        for shard in ["2/2", "1/2"] {
            let text = run(&apart, &["--prepare-only", "--shard", shard]);
            let view = format!("training, view 1, shard {shard}");
            assert!(text.contains(&view), "{text}");
        }
        assert_eq!(contents(&apart).len(), 6);
        run(&whole, &["--prepare-only"]);
        assert!(!bench.path("run").exists(), "preparing leaves a run behind");

        let histories = [&apart, &whole].map(|folder| {
            run(folder, &[]);
            let report = bench.report("run");
            let made = match frozen {
                [] => &report["cache"]["drawn"],
                _ => &report["features"]["computed"],
            };
            assert_eq!(*made, 0, "{report}");
            fs::remove_dir_all(bench.path("run")).expect("the run");
            report["history"].clone()
        });
        assert_eq!(histories[0], histories[1]);
        assert!(contents(&apart) == contents(&whole), "{frozen:?}");
    }
}

#[test]
fn two_preparations_at_once_and_a_missing_shard_that_the_run_encodes_itself() {
    let Some(train_dual) = example() else { return };
    let bench = Bench::new();
    let folder = bench.path("features");
    let command = |more: &[&str]| {
        let mut command = Command::new(&train_dual);
        let (data, test) = (bench.path("train.csv"), bench.path("test.csv"));
        command.arg("--data").arg(data).arg("--test-data").arg(test);
        command.args(["--epochs", "1", "--variates", "1", "--freeze", "vision"]);
        command
            .args(["--cache", "disk", "--cache-dir"])
            .arg(&folder);
        command.arg("--out").arg(bench.path("run")).args(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let started = ["1/4", "2/4"].map(|shard| {
        let child = command(&["--prepare-only", "--shard", shard]).spawn();
        child.expect("the example starts")
    });
    for child in started {
        printed(&child.wait_with_output().expect("a child"), true);
    }
    let text = printed(&command(&[]).output().expect("the example starts"), true);
    assert!(
        text.contains("2 of its 4 shards are missing or not complete: 3-4"),
        "{text}"
    );
    assert_eq!(bench.report("run")["features"]["computed"], 8);
    assert_eq!(contents(&folder).len(), 2, "two stores, no shards");
}

#[test]
fn preparing_what_cannot_be_kept_is_refused() {
    let Some(train_dual) = example() else { return };
    let bench = Bench::new();
    let disk = ["--prepare-only", "--cache", "disk"];
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--prepare-only"], &["--cache disk"]),
        (
            &["--prepare-only", "--no-cache"],
            &["without a cache", "--cache disk"],
        ),
        (&["--shard", "1/2"], &["--prepare-only"]),
        (&["--prepare-only", "--shard", "1/2"], &["--cache disk"]),
        (&["--shard", "3/2"], &["no shard 3 of 2"]),
        (&["--shard", "two"], &["`two` is no shard"]),
        (&["--model-type", "language_only"], &["sees no pictures"]),
    ];
    for (flags, expected) in cases {
        let flags = match flags {
            ["--model-type", _] => [&disk, flags].concat(),
            _ => flags.to_vec(),
        };
        let text = printed(
            &bench.run(&train_dual, "train.csv", "test.csv", &flags),
            false,
        );
        for part in expected {
            assert!(text.contains(part), "{flags:?}: {text}");
        }
        assert!(!bench.path("run").exists(), "{flags:?} leaves a run behind");
    }
}
