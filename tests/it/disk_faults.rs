//! What can happen to a store: the outcome is always the right pictures or a clear error.
//!
//! Here the bytes are damaged; `disk_processes.rs` has what needs processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use timesclip::cache::disk::{
    Section, StoreDefect, StoreFile, StoreHeader, find_stores, store_path,
};
use timesclip::cache::{
    BuildOptions, CacheError, CachedImageDataset, ImageKey, OnDiskImages, UncachedImages,
};
use timesclip::raster::PlotStyle;
use timesclip::series::SeriesDataset;
use xxhash_rust::xxh3::xxh3_64;

use crate::pictures::{Random, all_masks, walks};

/// Pictures so small that a store of a few samples is quick to examine byte by byte.
pub(crate) fn tiny_style() -> PlotStyle {
    PlotStyle {
        side_px: 9,
        ..PlotStyle::default()
    }
}

/// A store of a few samples that can be damaged and mended.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) dataset: SeriesDataset,
    pub(crate) masks: Vec<u8>,
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the store");
        let dataset = walks(4, 2, 1);
        let images = build(folder.path(), &dataset).expect("a build");
        let path = images.path().to_owned();
        let bytes = fs::read(&path).expect("the store");
        let drawn = UncachedImages::new(dataset.clone(), &tiny_style()).expect("a sound style");
        Self {
            masks: all_masks(&drawn),
            folder,
            dataset,
            path,
            bytes,
        }
    }

    /// What opening says of a file of these bytes in the place of the store.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<OnDiskImages, CacheError> {
        fs::write(&self.path, bytes).expect("a file in a new folder");
        OnDiskImages::open(self.folder.path(), self.dataset.clone(), &tiny_style())
    }

    fn defect(&self, bytes: &[u8]) -> StoreDefect {
        match self.open(bytes) {
            Err(CacheError::Store { source, path }) => {
                assert_eq!(path, self.path, "the file is named");
                source
            }
            other => panic!("found {other:?}, expected a defect"),
        }
    }

    /// Holds that a file of these bytes is named, replaced, and never served.
    fn check_rebuilt(&self, bytes: &[u8]) {
        let defect = self.defect(bytes);
        let images = build(self.folder.path(), &self.dataset).expect("a new build");
        assert_eq!(images.replaced(), Some(&defect), "the defect is told");
        assert!(all_masks(&images) == self.masks, "{defect}");
        assert!(
            fs::read(&self.path).expect("the store") == self.bytes,
            "{defect}"
        );
    }

    /// Where the header, the records and the index end; the footer is the rest.
    fn bounds(&self) -> [usize; 3] {
        let header = StoreFile::open(&self.path)
            .expect("the store")
            .header()
            .clone();
        let footer_at = self.bytes.len() - 40;
        [
            72 + header.style.len(),
            footer_at - 16 * header.n_samples,
            footer_at,
        ]
    }
}

pub(crate) fn build(folder: &Path, dataset: &SeriesDataset) -> Result<OnDiskImages, CacheError> {
    OnDiskImages::open_or_build(folder, dataset.clone(), &tiny_style(), BuildOptions::new())
}

#[test]
fn a_store_has_the_documented_bytes() {
    let bench = Bench::new();
    let key = ImageKey::of(&bench.dataset, &tiny_style());
    let bytes = &bench.bytes;
    let [header_end, records_end, index_end] = bench.bounds();
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());

    assert_eq!(bytes[..8], *b"\x89TSIM\r\n\x1a");
    assert_eq!(bytes[8..12], [1, 0, 0, 0]);
    assert_eq!(
        bytes[12..16],
        u32::try_from(header_end).unwrap().to_le_bytes()
    );
    assert_eq!(bytes[16..32], key.series().to_le_bytes());
    assert_eq!(bytes[32..48], key.style().to_le_bytes());
    assert_eq!(
        bytes[48..64],
        [4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0]
    );
    assert!(bytes[64..].starts_with(b"renderer "));
    assert_eq!(u64_at(header_end - 8), xxh3_64(&bytes[..header_end - 8]));
    // The first record: its id, and where the second one begins by the index.
    let (id, len) = (u64_at(header_end), u64_at(header_end + 8));
    assert_eq!(id, bench.dataset.samples()[0].id);
    assert_eq!(
        (u64_at(records_end), u64_at(records_end + 8)),
        (id, header_end as u64)
    );
    assert_eq!(u64_at(records_end + 24), header_end as u64 + len + 24);
    // The footer.
    assert_eq!(u64_at(index_end), records_end as u64);
    assert_eq!(u64_at(index_end + 8), bytes.len() as u64);
    assert_eq!(
        u64_at(index_end + 16),
        xxh3_64(&bytes[records_end..index_end])
    );
    assert_eq!(
        u64_at(index_end + 24),
        xxh3_64(&bytes[index_end..index_end + 24])
    );
    assert_eq!(bytes[index_end + 32..], *b"TSIM-END");
    assert_eq!(bench.path, store_path(bench.folder.path(), key));
    assert_eq!(
        bench.path.file_name().unwrap().to_str().unwrap(),
        format!("{key}.tsim")
    );
}

#[test]
fn a_store_cut_off_anywhere_is_refused() {
    let bench = Bench::new();
    for len in 1..bench.bytes.len() {
        let defect = bench.defect(&bench.bytes[..len]);
        assert!(
            matches!(defect, StoreDefect::Truncated { len: found, .. } if found == len as u64),
            "cut to {len} bytes: {defect}"
        );
    }
    assert_eq!(bench.defect(&[]), StoreDefect::NotAStore);
}

#[test]
fn a_store_cut_off_at_a_boundary_is_built_anew() {
    let bench = Bench::new();
    let [header, records, index] = bench.bounds();
    for len in [
        0,
        8,
        header,
        (header + records) / 2,
        records,
        index,
        bench.bytes.len() - 1,
    ] {
        bench.check_rebuilt(&bench.bytes[..len]);
    }
}

#[test]
fn a_store_with_more_at_its_end_is_refused() {
    let bench = Bench::new();
    let twice = [&bench.bytes[..], &bench.bytes[bench.bounds()[2]..]].concat();

    assert_eq!(bench.defect(&twice), StoreDefect::Checksum(Section::Footer));
    bench.check_rebuilt(&[&bench.bytes[..], b"more"].concat());
}

#[test]
fn every_flipped_byte_is_found_and_its_section_named() {
    let bench = Bench::new();
    let [header, records, index] = bench.bounds();
    let mut random = Random(2);
    let mut bytes = bench.bytes.clone();
    for at in 0..bytes.len() {
        let flip = 1 << random.below(8);
        bytes[at] ^= flip;
        let defect = bench.defect(&bytes);
        let named = match at {
            0..8 => defect == StoreDefect::NotAStore,
            8..12 => matches!(defect, StoreDefect::Version { supported: 1, .. }),
            // The length of the header: it may point behind the end of the file.
            12..16 => matches!(
                defect,
                StoreDefect::Checksum(Section::Header)
                    | StoreDefect::Truncated {
                        section: Section::Header,
                        ..
                    }
            ),
            _ if at < header => defect == StoreDefect::Checksum(Section::Header),
            _ if at < records => matches!(defect, StoreDefect::Record { .. }),
            _ if at < index => defect == StoreDefect::Checksum(Section::Index),
            _ => defect == StoreDefect::Checksum(Section::Footer),
        };
        assert!(
            named,
            "byte {at} (sections end at {header}, {records}, {index}): {defect}"
        );
        bytes[at] ^= flip;
    }
    assert!(bench.open(&bytes).is_ok(), "the flips are undone");
}

#[test]
fn a_damaged_store_is_built_anew() {
    let bench = Bench::new();
    let [header, records, index] = bench.bounds();
    for at in [
        0,
        9,
        20,
        50,
        header + 3,
        records - 20,
        records + 9,
        index + 1,
    ] {
        let mut bytes = bench.bytes.clone();
        bytes[at] ^= 0x10;
        bench.check_rebuilt(&bytes);
    }
}

#[test]
fn records_in_another_order_are_found() {
    let bench = Bench::new();
    let [header, records, _] = bench.bounds();
    let len_at = |at: usize| {
        24 + usize::try_from(u64::from_le_bytes(
            bench.bytes[at + 8..at + 16].try_into().unwrap(),
        ))
        .unwrap()
    };
    let (first, second) = (header + len_at(header), header + len_at(header));
    let end = second + len_at(second);
    let mut bytes = bench.bytes.clone();
    let swapped = [&bench.bytes[first..end], &bench.bytes[header..first]].concat();
    bytes[header..end].copy_from_slice(&swapped);

    assert!(end < records);
    assert!(matches!(bench.defect(&bytes), StoreDefect::Record { .. }));
}

#[test]
fn other_versions_of_the_format_are_named_and_built_anew() {
    let bench = Bench::new();
    let header_end = bench.bounds()[0];
    for version in [0_u32, 2, u32::MAX] {
        let mut bytes = bench.bytes.clone();
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        let checksum = xxh3_64(&bytes[..header_end - 8]);
        bytes[header_end - 8..header_end].copy_from_slice(&checksum.to_le_bytes());

        let defect = StoreDefect::Version {
            found: version,
            supported: 1,
        };
        assert_eq!(bench.defect(&bytes), defect);
        bench.check_rebuilt(&bytes);
    }
}

#[test]
fn a_store_of_something_else_under_the_right_name_is_never_served() {
    let bench = Bench::new();
    let other = tempfile::tempdir().unwrap();
    let bytes_of = |dataset: SeriesDataset, style: &PlotStyle| {
        let options = BuildOptions::new();
        let images = OnDiskImages::open_or_build(other.path(), dataset, style, options).unwrap();
        fs::read(images.path()).unwrap()
    };
    let style = tiny_style();
    let thick = PlotStyle {
        stroke_width: 0.05,
        ..tiny_style()
    };
    let other_set = bytes_of(walks(4, 2, 99), &style);
    let other_order = bytes_of(bench.dataset.subset(&[1, 0, 2, 3]).unwrap(), &style);
    let shorter = bytes_of(bench.dataset.truncated(5).unwrap(), &style);
    let fewer = bytes_of(bench.dataset.subset(&[0, 1, 2]).unwrap(), &style);
    let other_style = bytes_of(bench.dataset.clone(), &thick);

    for bytes in [&other_set, &other_order, &shorter] {
        let defect = StoreDefect::OtherSeries {
            found: 4,
            expected: 4,
        };
        assert_eq!(bench.defect(bytes), defect);
        bench.check_rebuilt(bytes);
    }
    let defect = StoreDefect::OtherSeries {
        found: 3,
        expected: 4,
    };
    assert_eq!(bench.defect(&fewer), defect);
    bench.check_rebuilt(&fewer);
    let StoreDefect::OtherStyle { found, expected } = bench.defect(&other_style) else {
        panic!("not named as another style");
    };
    assert!(
        found.contains("stroke 0.05") && !expected.contains("stroke 0.05"),
        "{found}"
    );
    bench.check_rebuilt(&other_style);
}

#[test]
fn other_files_under_the_name_of_a_store_are_replaced() {
    let bench = Bench::new();
    for bytes in [&b"some text that is no store"[..], &[0; 4096], b"\x89TS"] {
        bench.check_rebuilt(bytes);
    }
}

#[test]
fn a_store_that_is_not_there_is_an_error_of_opening() {
    let (folder, dataset) = (tempfile::tempdir().unwrap(), walks(3, 1, 3));

    let error = OnDiskImages::open(folder.path(), dataset, &tiny_style()).unwrap_err();
    let CacheError::Io {
        action: "open",
        source,
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn a_build_goes_on_from_any_prefix_of_an_earlier_one() {
    let bench = Bench::new();
    let records_end = bench.bounds()[1];
    let partial = bench.path.with_added_extension("partial");
    let mut drawn = BTreeSet::new();
    // Prefixes that end inside every section, one with a torn tail, one of another store.
    let mut prefixes: Vec<Vec<u8>> = (0..=bench.bytes.len())
        .step_by(37)
        .map(|len| bench.bytes[..len].to_vec())
        .collect();
    prefixes.push([&bench.bytes[..records_end - 30], &[0x55; 500][..]].concat());
    prefixes.push(b"no store at all".to_vec());
    prefixes.push(bench.bytes.clone());
    for prefix in prefixes {
        fs::remove_file(&bench.path).unwrap();
        fs::write(&partial, &prefix).unwrap();

        let images = build(bench.folder.path(), &bench.dataset).unwrap();

        drawn.insert(images.stats().drawn);
        assert!(
            all_masks(&images) == bench.masks,
            "from {} bytes",
            prefix.len()
        );
        assert!(
            fs::read(&bench.path).unwrap() == bench.bytes,
            "from {} bytes",
            prefix.len()
        );
        assert!(!partial.exists(), "from {} bytes", prefix.len());
    }
    // Nothing that was whole is drawn again: two pictures a sample.
    assert_eq!(drawn, BTreeSet::from([0, 2, 4, 6, 8]));
}

#[test]
fn a_partial_store_of_something_else_is_not_gone_on_with() {
    let bench = Bench::new();
    let other = build(bench.folder.path(), &walks(4, 2, 98)).unwrap();
    fs::copy(other.path(), bench.path.with_added_extension("partial")).unwrap();
    fs::remove_file(&bench.path).unwrap();

    let images = build(bench.folder.path(), &bench.dataset).unwrap();

    assert_eq!(images.stats().drawn, 8);
    assert!(all_masks(&images) == bench.masks);
}

#[test]
fn a_reader_meets_an_error_when_its_file_is_damaged_or_cut_off() {
    let bench = Bench::new();
    let [header, records, _] = bench.bounds();
    let images = bench.open(&bench.bytes).unwrap();
    let mut masks = vec![0; 2 * 81];
    let mut bytes = bench.bytes.clone();
    bytes[header + 30] ^= 1;

    // Writing keeps the file that is open: the damage comes under the reader.
    fs::write(&bench.path, &bytes).unwrap();
    let error = images.masks_into(0, &mut masks).unwrap_err();
    assert!(
        matches!(
            error,
            CacheError::Store {
                source: StoreDefect::Record { id: 100, .. },
                ..
            }
        ),
        "{error:?}"
    );
    images
        .masks_into(1, &mut masks)
        .expect("a record that is whole");
    fs::OpenOptions::new()
        .write(true)
        .open(&bench.path)
        .unwrap()
        .set_len(99)
        .unwrap();
    let error = images.masks_into(3, &mut masks).unwrap_err();
    let section = Section::Records;
    let cut = StoreDefect::Truncated { section, len: 99 };
    assert!(
        matches!(&error, CacheError::Store { source, .. } if *source == cut),
        "{error:?}"
    );
    fs::write(&bench.path, &bench.bytes).unwrap();
    images
        .masks_into(3, &mut masks)
        .expect("the file is whole again");
    assert!(masks == bench.masks[3 * 162..], "{records}");
}

#[test]
fn a_folder_that_is_a_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();

    let error = build(&file, &walks(4, 2, 1)).unwrap_err();
    assert!(
        matches!(&error, CacheError::Io { path, .. } if path.starts_with(&file)),
        "{error:?}"
    );
    let error = build(&file.join("below"), &walks(4, 2, 1)).unwrap_err();
    assert!(
        matches!(&error, CacheError::Io { path, .. } if path.starts_with(&file)),
        "{error:?}"
    );
    assert_eq!(fs::read(&file).unwrap(), b"not a folder");
}

#[test]
fn a_folder_under_the_name_of_the_store_is_left_alone() {
    let bench = Bench::new();
    fs::remove_file(&bench.path).unwrap();
    fs::create_dir_all(bench.path.join("inside")).unwrap();

    let error = build(bench.folder.path(), &bench.dataset).unwrap_err();

    assert!(matches!(error, CacheError::Io { .. }), "{error:?}");
    assert!(bench.path.join("inside").is_dir());
}

#[test]
fn stores_are_found_and_removed_and_nothing_else_is() {
    let bench = Bench::new();
    let folder = bench.folder.path();
    let key = ImageKey::of(&bench.dataset, &tiny_style());
    let partial = bench.path.with_added_extension("partial");
    fs::write(&partial, &bench.bytes[..300]).unwrap();
    let digits = "0123456789abcdef0123456789abcdef";
    // Named like stores but others' files, and a store under a name that is not one.
    fs::write(folder.join(format!("{digits}.tsim")), "somebody's notes").unwrap();
    fs::write(folder.join(format!("{digits}.tsim.partial")), "").unwrap();
    fs::create_dir(folder.join(format!("{}.tsim", digits.replace('0', "f")))).unwrap();
    fs::write(folder.join("copy of a store"), &bench.bytes).unwrap();

    let found = find_stores(folder).unwrap();

    let paths: Vec<&Path> = found.iter().map(|store| store.path.as_path()).collect();
    assert_eq!(paths, [&*bench.path, &*partial]);
    assert_eq!((found[0].partial, found[1].partial), (false, true));
    let StoreHeader {
        key: of_store,
        n_samples: 4,
        n_variates: 2,
        side_px: 9,
        ..
    } = found[0].header.clone().unwrap()
    else {
        panic!("{found:?}");
    };
    assert_eq!(of_store, key);
    for store in &found {
        store.remove().unwrap();
    }
    assert_eq!(find_stores(folder).unwrap().len(), 0);
    assert_eq!(
        fs::read_dir(folder).unwrap().count(),
        4,
        "the files of others stay"
    );
}

#[test]
fn a_file_that_is_no_longer_a_store_is_not_removed() {
    let bench = Bench::new();
    let found = find_stores(bench.folder.path()).unwrap();
    fs::write(&bench.path, "somebody's notes").unwrap();

    let error = found[0].remove().unwrap_err();

    assert!(matches!(
        error,
        CacheError::Store {
            source: StoreDefect::NotAStore,
            ..
        }
    ));
    assert!(bench.path.exists());
}
