//! Shards that are missing, damaged or of something else: named, and never served.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use timesclip::cache::BuildOptions;
use timesclip::cache::store::{StoreDefect, StoreError};
use timesclip::raster::PlotStyle;

use crate::disk_faults::{Bench, build, tiny_style};
use crate::pictures::{Random, walks};
use crate::shards::shard;
use crate::stores::{Kind, for_both_kinds};

for_both_kinds! {
    missing_shards_are_named,
    no_flipped_byte_of_a_shard_is_ever_served,
    a_damaged_shard_is_named_and_built_anew,
    a_foreign_shard_is_named_and_refused,
}

impl Bench {
    /// The file that joining cannot use, and why.
    fn defect_of_joining(&self) -> (PathBuf, StoreDefect) {
        match self.join() {
            Err(StoreError::Defect { path, source }) => (path, source),
            other => panic!("{other:?}, expected a defect"),
        }
    }
}

fn missing_shards_are_named(kind: Kind) {
    let bench = Bench::without_store(kind);
    let missing = |bench: &Bench| match bench.join() {
        Err(error @ StoreError::MissingShards { .. }) => error.to_string(),
        other => panic!("{other:?}, expected missing shards"),
    };
    let there = |bench: &Bench| match bench.join() {
        Err(StoreError::Io(error)) => error.source.kind(),
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
        let built = bench.shard(2, 2);
        assert_eq!((built.n_made, built.replaced), (2, Some(defect)));
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
