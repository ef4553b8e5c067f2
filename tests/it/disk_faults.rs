//! What can happen to a store: the outcome is always the right pictures or a clear error.
//!
//! Here the bytes are damaged; `disk_processes.rs` has what needs processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use timesclip::IoError;
use timesclip::cache::disk::{self, StoreHeader};
use timesclip::cache::features::{FeatureHeader, FeatureSet};
use timesclip::cache::store::{
    FoundStore, Section, StoreDefect, StoreError, StoreFile, StoreKind, find_stores,
};
use timesclip::data::SeriesDataset;
use timesclip::raster::PlotStyle;
use xxhash_rust::xxh3::xxh3_64;

use crate::pictures::{Random, walks};
use crate::stores::{Kind, OpenStore, for_both_kinds, open_features, set};

for_both_kinds! {
    a_store_has_the_documented_bytes,
    a_store_cut_off_anywhere_is_refused,
    a_store_cut_off_at_a_boundary_is_built_anew,
    a_store_with_more_at_its_end_is_refused,
    every_flipped_byte_is_found_and_its_section_named,
    a_damaged_store_is_built_anew,
    records_in_another_order_are_found,
    other_versions_of_the_format_are_named_and_built_anew,
    a_store_of_something_else_under_the_right_name_is_never_served,
    other_files_under_the_name_of_a_store_are_replaced,
    a_store_that_is_not_there_is_an_error_of_opening,
    a_build_goes_on_from_any_prefix_of_an_earlier_one,
    a_partial_store_of_something_else_is_not_gone_on_with,
    a_reader_meets_an_error_when_its_file_is_damaged_or_cut_off,
    a_folder_that_is_a_file_is_an_error,
    a_folder_under_the_name_of_the_store_is_left_alone,
    stores_are_found_and_removed_and_nothing_else_is,
    a_file_that_is_no_longer_a_store_is_not_removed,
}

/// Pictures so small that a store of a few samples is quick to examine byte by byte.
pub(crate) fn tiny_style() -> PlotStyle {
    PlotStyle {
        side_px: 9,
        ..PlotStyle::default()
    }
}

/// A store of a few samples that can be damaged and mended.
pub(crate) struct Bench {
    pub(crate) kind: Kind,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) dataset: SeriesDataset,
    /// Making it anew for every reading would take most of the time.
    set: FeatureSet,
    /// What the store holds.
    pub(crate) contents: Vec<u8>,
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl Bench {
    pub(crate) fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the store");
        let dataset = walks(4, 2, 1);
        let store = build(kind, folder.path(), &dataset).expect("a build");
        let path = store.path();
        Self {
            kind,
            set: set(&dataset, &tiny_style()),
            contents: kind.expected(&dataset, &tiny_style()),
            bytes: fs::read(&path).expect("the store"),
            folder,
            dataset,
            path,
        }
    }

    /// What opening says of a file of these bytes in the place of the store.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<Box<dyn OpenStore>, StoreError> {
        fs::write(&self.path, bytes).expect("a file in a new folder");
        let folder = self.folder.path();
        match self.kind {
            Kind::Images => self.kind.open(folder, &self.dataset, &tiny_style()),
            Kind::Features => open_features(folder, &self.set),
        }
    }

    fn build(&self) -> Result<Box<dyn OpenStore>, StoreError> {
        build(self.kind, self.folder.path(), &self.dataset)
    }

    fn defect(&self, bytes: &[u8]) -> StoreDefect {
        match self.open(bytes) {
            Err(StoreError::Defect { source, path }) => {
                assert_eq!(path, self.path, "the file is named");
                source
            }
            other => panic!("found {other:?}, expected a defect"),
        }
    }

    /// Holds that a file of these bytes is named, replaced, and never served.
    fn check_rebuilt(&self, bytes: &[u8]) {
        let defect = self.defect(bytes);
        let store = self.build().expect("a new build");
        assert_eq!(store.replaced(), Some(defect.clone()), "the defect is told");
        assert!(store.contents() == self.contents, "{defect}");
        assert!(
            fs::read(&self.path).expect("the store") == self.bytes,
            "{defect}"
        );
    }

    /// Where the header, the records and the index end; the footer is the rest.
    fn bounds(&self) -> [usize; 3] {
        let header_len = self.bytes[12..16].try_into().expect("four bytes");
        let footer_at = self.bytes.len() - 40;
        let records_end = footer_at - 16 * self.dataset.len();
        [
            u32::from_le_bytes(header_len) as usize,
            records_end,
            footer_at,
        ]
    }
}

pub(crate) fn build(
    kind: Kind,
    folder: &Path,
    dataset: &SeriesDataset,
) -> Result<Box<dyn OpenStore>, StoreError> {
    kind.build(folder, dataset, &tiny_style())
}

fn a_store_has_the_documented_bytes(kind: Kind) {
    let bench = Bench::new(kind);
    let key = bench.set.key();
    let bytes = &bench.bytes;
    let [header_end, records_end, index_end] = bench.bounds();
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let letters = kind.letters();

    assert_eq!(
        bytes[..8],
        *[b"\x89", letters.as_bytes(), b"\r\n\x1a"].concat()
    );
    assert_eq!(bytes[8..12], [1, 0, 0, 0]);
    assert_eq!(bytes[16..32], key.images.series().to_le_bytes());
    assert_eq!(bytes[32..48], key.images.style().to_le_bytes());
    let (text, last, name) = match kind {
        Kind::Images => ("renderer ", 9, key.images.to_string()),
        Kind::Features => ("encoder of the tests", 36, key.to_string()),
    };
    assert_eq!(
        bytes[48..64],
        [4, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, last, 0, 0, 0]
    );
    if kind == Kind::Features {
        assert_eq!(bytes[64..80], key.encoder.to_le_bytes());
        assert_eq!(bytes[80..96], key.pixels.to_le_bytes());
        assert_eq!(bytes[96..100], [1, 0, 0, 0]);
    }
    assert!(bytes[kind.fixed_header()..].starts_with(text.as_bytes()));
    assert_eq!(u64_at(header_end - 8), xxh3_64(&bytes[..header_end - 8]));
    // The first record: its id, and where the second one begins by the index.
    let (id, len) = (u64_at(header_end), u64_at(header_end + 8));
    assert_eq!(id, bench.dataset.samples()[0].id);
    assert_eq!(
        (u64_at(records_end), u64_at(records_end + 8)),
        (id, header_end as u64)
    );
    assert_eq!(u64_at(records_end + 24), header_end as u64 + len + 24);
    if kind == Kind::Features {
        assert_eq!(len, 2 * 36 * 2);
        // Whole numbers below 2048 in 16 bits: 2^e (1 + m / 1024), little-endian.
        let first = f32::from_le_bytes(bench.contents[..4].try_into().unwrap());
        let half = u16::from_le_bytes(bytes[header_end + 16..header_end + 18].try_into().unwrap());
        let (exponent, mantissa) = (i32::from(half >> 10) - 15, f32::from(half & 1023));
        assert_eq!(2_f32.powi(exponent) * (1.0 + mantissa / 1024.0), first);
    }
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
    assert_eq!(
        bytes[index_end + 32..],
        *format!("{letters}-END").as_bytes()
    );
    let name = format!("{name}.{}", kind.extension());
    assert_eq!(bench.path, bench.folder.path().join(name));
    let path = kind.path(bench.folder.path(), &bench.dataset, &tiny_style());
    assert_eq!(bench.path, path);
}

fn a_store_cut_off_anywhere_is_refused(kind: Kind) {
    let bench = Bench::new(kind);
    for len in 1..bench.bytes.len() {
        let defect = bench.defect(&bench.bytes[..len]);
        assert!(
            matches!(defect, StoreDefect::Truncated { len: found, .. } if found == len as u64),
            "cut to {len} bytes: {defect}"
        );
    }
    assert_eq!(bench.defect(&[]), StoreDefect::NotAStore);
}

fn a_store_cut_off_at_a_boundary_is_built_anew(kind: Kind) {
    let bench = Bench::new(kind);
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

fn a_store_with_more_at_its_end_is_refused(kind: Kind) {
    let bench = Bench::new(kind);
    let twice = [&bench.bytes[..], &bench.bytes[bench.bounds()[2]..]].concat();

    assert_eq!(bench.defect(&twice), StoreDefect::Checksum(Section::Footer));
    bench.check_rebuilt(&[&bench.bytes[..], b"more"].concat());
}

fn every_flipped_byte_is_found_and_its_section_named(kind: Kind) {
    let bench = Bench::new(kind);
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

fn a_damaged_store_is_built_anew(kind: Kind) {
    let bench = Bench::new(kind);
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

fn records_in_another_order_are_found(kind: Kind) {
    let bench = Bench::new(kind);
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

fn other_versions_of_the_format_are_named_and_built_anew(kind: Kind) {
    let bench = Bench::new(kind);
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

fn a_store_of_something_else_under_the_right_name_is_never_served(kind: Kind) {
    let bench = Bench::new(kind);
    let other = tempfile::tempdir().unwrap();
    let bytes_of = |dataset: &SeriesDataset, style: &PlotStyle| {
        let store = kind.build(other.path(), dataset, style).unwrap();
        fs::read(store.path()).unwrap()
    };
    let style = tiny_style();
    let thick = PlotStyle {
        stroke_width: 0.05,
        ..tiny_style()
    };
    let other_set = bytes_of(&walks(4, 2, 99), &style);
    let other_order = bytes_of(&bench.dataset.subset(&[1, 0, 2, 3]).unwrap(), &style);
    let shorter = bytes_of(&bench.dataset.truncated(5).unwrap(), &style);
    let fewer = bytes_of(&bench.dataset.subset(&[0, 1, 2]).unwrap(), &style);
    let other_style = bytes_of(&bench.dataset, &thick);

    for (bytes, found) in [
        (&other_set, 4),
        (&other_order, 4),
        (&shorter, 4),
        (&fewer, 3),
    ] {
        let defect = StoreDefect::OtherSeries { found, expected: 4 };
        assert_eq!(bench.defect(bytes), defect);
        bench.check_rebuilt(bytes);
    }
    match bench.defect(&other_style) {
        StoreDefect::OtherStyle { found, expected } if kind == Kind::Images => {
            assert!(found.contains("stroke 0.05"), "{found}");
            assert!(!expected.contains("stroke 0.05"), "{expected}");
        }
        StoreDefect::OtherFeatures { found, expected } if kind == Kind::Features => {
            assert_ne!(found, expected);
        }
        other => panic!("not named as another style: {other}"),
    }
    bench.check_rebuilt(&other_style);
}

fn other_files_under_the_name_of_a_store_are_replaced(kind: Kind) {
    let bench = Bench::new(kind);
    for bytes in [&b"some text that is no store"[..], &[0; 4096], b"\x89TS"] {
        bench.check_rebuilt(bytes);
    }
}

fn a_store_that_is_not_there_is_an_error_of_opening(kind: Kind) {
    let (folder, dataset) = (tempfile::tempdir().unwrap(), walks(3, 1, 3));

    let error = kind
        .open(folder.path(), &dataset, &tiny_style())
        .unwrap_err();
    let StoreError::Io(IoError {
        action: "open",
        source,
        ..
    }) = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
}

fn a_build_goes_on_from_any_prefix_of_an_earlier_one(kind: Kind) {
    let bench = Bench::new(kind);
    let records_end = bench.bounds()[1];
    let partial = bench.path.with_added_extension("partial");
    let mut made = BTreeSet::new();
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

        let store = bench.build().unwrap();

        made.insert(store.made());
        assert!(
            store.contents() == bench.contents,
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
    // Nothing that was whole is made again: two pictures, or features, a sample.
    assert_eq!(made, BTreeSet::from([0, 2, 4, 6, 8]));
}

fn a_partial_store_of_something_else_is_not_gone_on_with(kind: Kind) {
    let bench = Bench::new(kind);
    let other = build(kind, bench.folder.path(), &walks(4, 2, 98)).unwrap();
    fs::copy(other.path(), bench.path.with_added_extension("partial")).unwrap();
    fs::remove_file(&bench.path).unwrap();

    let store = bench.build().unwrap();

    assert_eq!(store.made(), 8);
    assert!(store.contents() == bench.contents);
}

fn a_reader_meets_an_error_when_its_file_is_damaged_or_cut_off(kind: Kind) {
    let bench = Bench::new(kind);
    let [header, ..] = bench.bounds();
    let store = bench.open(&bench.bytes).unwrap();
    let sample_len = bench.contents.len() / 4;
    let mut bytes = bench.bytes.clone();
    bytes[header + 30] ^= 1;

    // Writing keeps the file that is open: the damage comes under the reader.
    fs::write(&bench.path, &bytes).unwrap();
    let error = store.read(0).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Defect {
                source: StoreDefect::Record { id: 100, .. },
                ..
            }
        ),
        "{error:?}"
    );
    store.read(1).expect("a record that is whole");
    fs::OpenOptions::new()
        .write(true)
        .open(&bench.path)
        .unwrap()
        .set_len(99)
        .unwrap();
    let error = store.read(3).unwrap_err();
    let section = Section::Records;
    let cut = StoreDefect::Truncated { section, len: 99 };
    assert!(
        matches!(&error, StoreError::Defect { source, .. } if *source == cut),
        "{error:?}"
    );
    fs::write(&bench.path, &bench.bytes).unwrap();
    let sample = store.read(3).expect("the file is whole again");
    assert!(sample == bench.contents[3 * sample_len..]);
}

fn a_folder_that_is_a_file_is_an_error(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();

    let error = build(kind, &file, &walks(4, 2, 1)).unwrap_err();
    assert!(
        matches!(&error, StoreError::Io(error) if error.path.starts_with(&file)),
        "{error:?}"
    );
    let error = build(kind, &file.join("below"), &walks(4, 2, 1)).unwrap_err();
    assert!(
        matches!(&error, StoreError::Io(error) if error.path.starts_with(&file)),
        "{error:?}"
    );
    assert_eq!(fs::read(&file).unwrap(), b"not a folder");
}

fn a_folder_under_the_name_of_the_store_is_left_alone(kind: Kind) {
    let bench = Bench::new(kind);
    fs::remove_file(&bench.path).unwrap();
    fs::create_dir_all(bench.path.join("inside")).unwrap();

    let error = bench.build().unwrap_err();

    assert!(matches!(error, StoreError::Io(_)), "{error:?}");
    assert!(bench.path.join("inside").is_dir());
}

fn stores_are_found_and_removed_and_nothing_else_is(kind: Kind) {
    match kind {
        Kind::Images => check_found::<StoreHeader>(kind, |header| header.side_px == 9),
        Kind::Features => check_found::<FeatureHeader>(kind, |header| header.key.width == 36),
    }
}

fn check_found<K: StoreKind>(kind: Kind, is_right: impl Fn(&K) -> bool) {
    let bench = Bench::new(kind);
    let folder = bench.folder.path();
    let partial = bench.path.with_added_extension("partial");
    fs::write(&partial, &bench.bytes[..300]).unwrap();
    let digits = "0123456789abcdef0123456789abcdef";
    let named = |digits: &str| folder.join(format!("{digits}.{}", kind.extension()));
    // Of a build that was killed before its first byte.
    let empty = named(&"f".repeat(32)).with_added_extension("partial");
    fs::write(&empty, "").unwrap();
    // Named like stores but others' files, a store under a name that is not one, and one of the
    // other kind.
    fs::write(named(digits), "somebody's notes").unwrap();
    fs::write(named(digits).with_added_extension("partial"), "notes").unwrap();
    fs::create_dir(named(&digits.replace('0', "f"))).unwrap();
    fs::write(folder.join("copy of a store"), &bench.bytes).unwrap();
    let other = match kind {
        Kind::Images => Kind::Features,
        Kind::Features => Kind::Images,
    };
    let other = build(other, folder, &bench.dataset).unwrap();
    fs::copy(other.path(), named(&digits.replace('0', "e"))).unwrap();

    let all = find_stores::<K>(folder).unwrap();

    // What is named like a store and is none is told, and stays.
    let is_store = |store: &FoundStore<K>| store.header != Err(StoreDefect::NotAStore);
    let (found, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_store);
    assert_eq!(
        others.len(),
        3,
        "notes, notes that are partial, a store of the other kind"
    );
    for other in &others {
        assert!(other.remove().is_err(), "{}", other.path.display());
    }
    let paths: Vec<&Path> = found.iter().map(|store| store.path.as_path()).collect();
    assert_eq!(paths, [&*bench.path, &*partial, &*empty]);
    let are_partial: Vec<bool> = found.iter().map(|store| store.partial).collect();
    assert_eq!(are_partial, [false, true, true]);
    let header = found[0].header.as_ref().unwrap();
    assert_eq!((header.n_samples(), header.n_variates()), (4, 2));
    assert!(is_right(header), "{header:?}");
    for store in &found {
        store.remove().unwrap();
    }
    assert_eq!(find_stores::<K>(folder).unwrap().len(), 3);
    let left = fs::read_dir(folder).unwrap().count();
    assert_eq!(left, 6, "the files of others stay");
}

fn a_file_that_is_no_longer_a_store_is_not_removed(kind: Kind) {
    let bench = Bench::new(kind);
    let removed = match kind {
        Kind::Images => remove_replaced(&bench, disk::find_stores(bench.folder.path()).unwrap())
            .map_err(|error| error.to_string()),
        Kind::Features => {
            let found = find_stores::<FeatureHeader>(bench.folder.path()).unwrap();
            remove_replaced(&bench, found).map_err(|error| error.to_string())
        }
    };

    let error = removed.unwrap_err();
    assert!(error.contains("cannot be used"), "{error}");
    assert!(bench.path.exists());
}

fn remove_replaced<K: StoreKind>(bench: &Bench, found: Vec<FoundStore<K>>) -> Result<(), K::Error> {
    fs::write(&bench.path, "somebody's notes").expect("a file");
    found[0].remove()
}

#[test]
fn a_header_that_was_signed_but_does_not_fit_is_refused() {
    let bench = Bench::new(Kind::Features);
    let header_end = bench.bounds()[0];
    let cases = [
        (60, 35, Section::Index),
        (60, 37, Section::Index),
        (60, 0, Section::Header),
        (56, 3, Section::Index),
        (96, 0, Section::Index),
        (96, 3, Section::Header),
        (48, 3, Section::Footer),
    ];
    for (at, number, section) in cases {
        let mut bytes = bench.bytes.clone();
        bytes[at] = number;
        let checksum = xxh3_64(&bytes[..header_end - 8]);
        bytes[header_end - 8..header_end].copy_from_slice(&checksum.to_le_bytes());
        fs::write(&bench.path, &bytes).unwrap();

        let error = StoreFile::<FeatureHeader>::open(&bench.path).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(
            cause,
            format!("its {section} is damaged"),
            "{number} at {at}"
        );
    }
}

#[test]
fn a_store_is_opened_and_verified_without_its_data_set() {
    let images = Bench::new(Kind::Images);
    let store = disk::StoreFile::open(&images.path).unwrap();
    store.verify().unwrap();
    assert_eq!(store.ids(), [100, 103, 106, 109]);

    let features = Bench::new(Kind::Features);
    let store = StoreFile::<FeatureHeader>::open(&features.path).unwrap();
    store.verify().unwrap();
    assert_eq!(store.header().key, features.set.key());
    fs::write(&features.path, &images.bytes).unwrap();
    let error = StoreFile::<FeatureHeader>::open(&features.path).unwrap_err();
    assert!(error.to_string().contains("cannot be used"), "{error}");
}
