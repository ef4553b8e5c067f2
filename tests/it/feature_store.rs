//! The feature store: right numbers from memory and disk, never an old one, and how much room.
//!
//! What can happen to its file is in `disk_faults.rs` and `disk_processes.rs`, with the image store.

use std::cell::RefCell;
use std::fs;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use timesclip::IoError;
use timesclip::cache::features::{
    EncoderIdentity, FeatureDtype, FeatureError, FeatureKey, FeatureSet, FeatureStats, FeatureStore,
};
use timesclip::cache::store::{BuildPhase, StoreDefect, StoreError};
use timesclip::cache::{BuildOptions, CachedImageDataset, ImageKey, UncachedImages};
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::raster::PlotStyle;

use crate::pictures::{Random, small_style, walks};

const WIDTH: usize = 5;

fn identity() -> EncoderIdentity {
    EncoderIdentity {
        encoder: 7,
        pixels: FeatureKey::hash_pixels(&[0.5, 1.0]),
        dtype: FeatureDtype::F32,
        width: WIDTH,
        description: "encoder of the tests".to_owned(),
    }
}

fn set_of(dataset: &SeriesDataset, identity: EncoderIdentity) -> FeatureSet {
    let images = UncachedImages::new(dataset.clone(), &small_style()).expect("a sound style");
    FeatureSet::of(&images, identity).expect("samples in memory")
}

/// A feature that tells its sample, its variate and its position.
fn number(index: usize, position: usize) -> f32 {
    (index * 100 + position) as f32 / 8.0
}

fn fill(samples: Range<usize>, numbers: &mut [f32]) -> Result<(), std::io::Error> {
    let len = numbers.len() / samples.len();
    for (index, numbers) in samples.zip(numbers.chunks_exact_mut(len)) {
        for (position, value) in numbers.iter_mut().enumerate() {
            *value = number(index, position);
        }
    }
    Ok(())
}

/// An encoder that must not be asked.
fn never(samples: Range<usize>, _: &mut [f32]) -> Result<(), std::io::Error> {
    panic!("{samples:?} were computed again")
}

fn build(folder: &Path, set: &FeatureSet) -> FeatureStore {
    FeatureStore::open_or_build(folder, set, 4, BuildOptions::new(), fill).expect("a build")
}

fn read(store: &FeatureStore, index: usize) -> Vec<f32> {
    let mut numbers = vec![f32::NAN; store.n_variates() * store.width()];
    store.features_into(index, &mut numbers).expect("a sample");
    numbers
}

fn expected(index: usize, len: usize) -> Vec<f32> {
    (0..len).map(|position| number(index, position)).collect()
}

#[test]
fn memory_and_disk_give_the_same_numbers_in_any_order_from_any_batch_size() {
    let dataset = walks(10, 2, 1);
    for dtype in FeatureDtype::ALL {
        let set = set_of(
            &dataset,
            EncoderIdentity {
                dtype,
                ..identity()
            },
        );
        for batch in [1, 3, 10, 1000] {
            let folder = tempfile::tempdir().unwrap();
            let options = BuildOptions::new;
            let stores = [
                FeatureStore::in_memory(&set, batch, options(), fill).unwrap(),
                FeatureStore::open_or_build(folder.path(), &set, batch, options(), fill).unwrap(),
                FeatureStore::open(folder.path(), &set).unwrap(),
            ];
            let largest = number(9, 2 * WIDTH - 1);
            for (index, store) in Random(3)
                .shuffled(10)
                .into_iter()
                .flat_map(|index| stores.iter().map(move |store| (index, store)))
            {
                let numbers = read(store, index);
                let expected = expected(index, 2 * WIDTH);
                match dtype {
                    FeatureDtype::F32 => assert_eq!(numbers, expected),
                    // Half a unit in the last place of the largest number.
                    FeatureDtype::F16 => check_near(&numbers, &expected, largest / 2048.0),
                    FeatureDtype::Bf16 => check_near(&numbers, &expected, largest / 256.0),
                }
                assert_eq!(numbers, read(&stores[0], index));
            }
        }
    }
}

fn check_near(found: &[f32], expected: &[f32], bound: f32) {
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= bound, "{found} for {expected}");
    }
}

#[test]
fn threads_read_at_once() {
    let (folder, dataset) = (tempfile::tempdir().unwrap(), walks(20, 1, 2));
    let store = build(folder.path(), &set_of(&dataset, identity()));

    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for index in Random(thread + 1).shuffled(20) {
                    assert_eq!(read(store, index), expected(index, WIDTH));
                }
            });
        }
    });
    assert_eq!(store.stats().hits, 80);
}

#[test]
fn a_store_is_built_once_and_tells_what_it_did() {
    let (folder, dataset) = (tempfile::tempdir().unwrap(), walks(10, 2, 3));
    let set = set_of(&dataset, identity());
    let count = |store: &FeatureStore| {
        read(store, 3);
        let FeatureStats {
            kind,
            features,
            bytes,
            hits,
            computed,
            ..
        } = store.stats();
        (kind, features, bytes, hits, computed)
    };

    let memory = FeatureStore::in_memory(&set, 4, BuildOptions::new(), fill).unwrap();
    let built = build(folder.path(), &set);
    let options = BuildOptions::new();
    let opened = FeatureStore::open_or_build(folder.path(), &set, 4, options, never).unwrap();

    assert_eq!(count(&memory), ("memory", 20, 20 * 5 * 4, 2, 20));
    assert_eq!(count(&built), ("disk", 20, set.bytes(), 2, 20));
    assert_eq!(count(&opened), ("disk", 20, set.bytes(), 2, 0));
    let path = built.path().unwrap();
    assert_eq!(fs::metadata(path).unwrap().len(), set.bytes());
    assert_eq!(path, FeatureStore::path_in(folder.path(), set.key()));
    assert_eq!((memory.path(), built.key()), (None, set.key()));
}

#[test]
fn the_reference_set_takes_less_than_130_mb() {
    const WIDTH: usize = 768;
    const VARIATES: usize = 14;
    let identity = || EncoderIdentity {
        dtype: FeatureDtype::F16,
        width: WIDTH,
        description: "clip-vit-base-patch32, last layer, class token".to_owned(),
        ..identity()
    };
    let bytes = |n_samples: usize| {
        let samples = (0..n_samples as u64).map(|id| LabeledSeries {
            id,
            series: Series::new(vec![0.0; 2 * VARIATES], 2, VARIATES).expect("finite values"),
            label: 0,
        });
        let names = vec!["only".to_owned()];
        let dataset = SeriesDataset::new("reference", names, samples.collect()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = build(folder.path(), &set_of(&dataset, identity()));
        let bytes = fs::metadata(store.path().unwrap()).unwrap().len();
        assert_eq!(bytes, store.stats().bytes);
        bytes
    };

    // A real store of two samples and one of three tell what a sample and the rest take.
    let (two, three) = (bytes(2), bytes(3));
    let sample = three - two;
    let reference = two + (5557 - 2) * sample;

    assert_eq!(sample, 14 * 768 * 2 + 24 + 16);
    assert!(reference <= 130_000_000, "{reference} bytes");
    eprintln!("77,798 features of 768 in f16: {reference} bytes");
}

/// A store of features, and what became of one thing that decides them.
struct Change {
    name: &'static str,
    dataset: SeriesDataset,
    style: PlotStyle,
    identity: EncoderIdentity,
}

impl Change {
    fn none() -> Self {
        Self {
            name: "none",
            dataset: walks(6, 2, 4),
            style: small_style(),
            identity: identity(),
        }
    }

    /// Another encoder: a changed weight, layer or pooling changes its hash.
    fn of_encoder(name: &'static str, change: impl FnOnce(&mut EncoderIdentity)) -> Self {
        let mut changed = Self {
            name,
            ..Self::none()
        };
        change(&mut changed.identity);
        changed
    }

    fn set(&self) -> FeatureSet {
        let images = UncachedImages::new(self.dataset.clone(), &self.style).expect("a style");
        FeatureSet::of(&images, self.identity.clone()).expect("samples in memory")
    }
}

#[test]
fn whatever_changes_an_old_feature_is_never_served() {
    let folder = tempfile::tempdir().unwrap();
    let old = Change::none().set();
    let bytes = fs::read(build(folder.path(), &old).path().unwrap()).unwrap();
    let mut style = Change::none();
    (style.name, style.style.stroke_width) = ("style", 0.03);
    let mut value = Change::none();
    (value.name, value.dataset) = ("value", with_one_value_changed(&value.dataset));
    let changes = [
        Change::of_encoder("encoder", |identity| identity.encoder ^= 1 << 127),
        Change::of_encoder("pixels", |identity| identity.pixels ^= 1),
        Change::of_encoder("dtype", |identity| identity.dtype = FeatureDtype::F16),
        Change::of_encoder("width", |identity| identity.width = 4),
        style,
        value,
    ];
    for change in changes {
        let (name, new) = (change.name, change.set());
        assert_ne!(new.key().to_string(), old.key().to_string(), "{name}");
        let missing = FeatureStore::open(folder.path(), &new).unwrap_err();
        assert!(
            matches!(
                &missing,
                FeatureError::Store(StoreError::Io(IoError { action: "open", .. }))
            ),
            "{name}: {missing:?}"
        );
        // Nor under the name of the new one.
        let place = FeatureStore::path_in(folder.path(), new.key());
        fs::write(&place, &bytes).unwrap();
        let defect = defect_of(FeatureStore::open(folder.path(), &new));
        let named = match name {
            "value" => matches!(defect, StoreDefect::OtherSeries { .. }),
            _ => matches!(defect, StoreDefect::OtherFeatures { .. }),
        };
        assert!(named, "{name}: {defect}");
        let store = build(folder.path(), &new);
        assert_eq!(store.replaced(), Some(&defect), "{name}");
        assert_eq!(store.stats().computed, 12, "{name}");
        fs::remove_file(place).unwrap();
    }
    let words = |identity: &mut EncoderIdentity| identity.description = "in other words".to_owned();
    let same = Change::of_encoder("words", words).set();
    FeatureStore::open(folder.path(), &same).expect("words are no part of the key");
}

fn defect_of(opened: Result<FeatureStore, FeatureError>) -> StoreDefect {
    match opened {
        Err(FeatureError::Store(StoreError::Defect { source, .. })) => source,
        other => panic!("found {other:?}, expected a defect"),
    }
}

fn with_one_value_changed(dataset: &SeriesDataset) -> SeriesDataset {
    let mut samples = dataset.samples().to_vec();
    let series = &samples[4].series;
    let mut values = series.values().to_vec();
    let place = values
        .iter()
        .position(|value| value.is_finite())
        .expect("a value");
    values[place] = f32::from_bits(values[place].to_bits() ^ 1);
    samples[4].series = Series::new(values, series.n_steps(), series.n_variates()).expect("finite");
    SeriesDataset::new("changed", dataset.class_names().to_vec(), samples).expect("a sound set")
}

#[test]
fn what_is_asked_for_wrongly_is_refused_with_both_numbers() {
    let (folder, dataset) = (tempfile::tempdir().unwrap(), walks(6, 2, 5));
    let set = set_of(&dataset, identity());
    let memory = FeatureStore::in_memory(&set, 4, BuildOptions::new(), fill).unwrap();
    for store in [memory, build(folder.path(), &set)] {
        let mut numbers = [0.0; 2 * WIDTH + 1];
        for index in [6, usize::MAX] {
            let error = store.features_into(index, &mut numbers[1..]).unwrap_err();
            assert!(
                matches!(error, FeatureError::IndexOutOfRange { index: found, n_samples: 6 } if found == index)
            );
        }
        for found in [0, 9, 11] {
            let error = store.features_into(0, &mut numbers[..found]).unwrap_err();
            assert!(
                matches!(error, FeatureError::BufferLength { found: len, expected: 10 } if len == found)
            );
        }
        assert_eq!(store.stats().hits, 0);
    }
}

#[test]
fn a_number_that_is_not_finite_is_an_error_that_names_its_sample() {
    let (folder, dataset) = (tempfile::tempdir().unwrap(), walks(6, 2, 6));
    let cases = [
        (FeatureDtype::F16, Some(70_000.0)),
        (FeatureDtype::F16, Some(f32::NEG_INFINITY)),
        (FeatureDtype::Bf16, Some(f32::MAX)),
        (FeatureDtype::F32, Some(f32::NAN)),
        // An encoder that does not write a number.
        (FeatureDtype::F32, None),
    ];
    for (dtype, bad) in cases {
        let set = set_of(
            &dataset,
            EncoderIdentity {
                dtype,
                ..identity()
            },
        );
        let compute = |samples: Range<usize>, numbers: &mut [f32]| {
            let untouched = numbers[0];
            let first = samples.start;
            fill(samples.clone(), numbers)?;
            if samples.contains(&3) {
                numbers[(3 - first) * 2 * WIDTH + WIDTH + 2] = bad.unwrap_or(untouched);
            }
            Ok::<_, std::io::Error>(())
        };
        let options = BuildOptions::new;
        let results = [
            FeatureStore::in_memory(&set, 2, options(), compute),
            FeatureStore::open_or_build(folder.path(), &set, 2, options(), compute),
        ];
        for result in results {
            let error = result.unwrap_err();
            let FeatureError::NotFinite {
                id,
                variate,
                value,
                dtype: of,
            } = error
            else {
                panic!("{error:?}")
            };
            assert_eq!((id, variate, of), (dataset.samples()[3].id, 1, dtype));
            assert_eq!(value.to_bits(), bad.unwrap_or(f32::NAN).to_bits());
        }
        // What came before is kept, and gone on with.
        let store = build(folder.path(), &set);
        assert_eq!(store.stats().computed, 2 * 3, "{dtype}");
        fs::remove_file(store.path().unwrap()).unwrap();
    }
}

#[test]
fn an_encoder_that_fails_is_the_cause_and_the_next_build_goes_on() {
    let (folder, dataset) = (tempfile::tempdir().unwrap(), walks(10, 1, 7));
    let set = set_of(&dataset, identity());
    let seen = RefCell::new(Vec::new());
    let compute = |fails_at: usize| {
        let seen = &seen;
        move |samples: Range<usize>, numbers: &mut [f32]| {
            seen.borrow_mut().push(samples.clone());
            if samples.contains(&fails_at) {
                return Err(std::io::Error::other("the device is lost"));
            }
            fill(samples, numbers)
        }
    };
    let options = BuildOptions::new;

    let error =
        FeatureStore::open_or_build(folder.path(), &set, 4, options(), compute(5)).unwrap_err();
    let FeatureError::Encoder {
        start: 4,
        end: 8,
        ref source,
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(source.to_string(), "the device is lost");
    let store =
        FeatureStore::open_or_build(folder.path(), &set, 4, options(), compute(99)).unwrap();

    assert_eq!(*seen.borrow(), [0..4, 4..8, 4..8, 8..10]);
    assert_eq!(store.stats().computed, 6);
    for index in 0..10 {
        assert_eq!(read(&store, index), expected(index, WIDTH));
    }
}

#[test]
fn a_budget_refuses_beforehand_and_progress_can_cancel() {
    let (folder, dataset) = (tempfile::tempdir().unwrap(), walks(10, 2, 8));
    let set = set_of(&dataset, identity());
    let tight = || BuildOptions::new().with_budget(set.bytes() - 1);
    let refused = [
        FeatureStore::in_memory(&set, 4, tight(), never),
        FeatureStore::open_or_build(folder.path(), &set, 4, tight(), never),
    ];
    for result in refused {
        let error = result.unwrap_err();
        let FeatureError::Store(StoreError::OverBudget { needed, .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!(needed, set.bytes());
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let mut seen = Vec::new();
    let cancelled = BuildOptions::new().with_progress(|progress| {
        seen.push((progress.phase, progress.done, progress.total));
        match progress.done {
            6 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    let error = FeatureStore::open_or_build(folder.path(), &set, 4, cancelled, fill).unwrap_err();
    let FeatureError::Store(StoreError::Cancelled { done: 6, total: 20 }) = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        seen,
        [0, 2, 4, 6].map(|done| (BuildPhase::Encoding, done, 20))
    );
    let exact = BuildOptions::new().with_budget(set.bytes());
    let store = FeatureStore::open_or_build(folder.path(), &set, 4, exact, fill).unwrap();
    assert_eq!(store.stats().computed, 14);
}

#[test]
fn a_set_of_features_has_the_key_of_its_pictures() {
    let dataset = walks(5, 2, 9);
    let images = UncachedImages::new(dataset.clone(), &small_style()).unwrap();
    let set = FeatureSet::of(&images, identity()).unwrap();

    assert_eq!(set.key().images, ImageKey::of(&dataset, &small_style()));
    assert_eq!(set.key().images, images.key());
    assert_eq!(set.n_features(), 10);
}
