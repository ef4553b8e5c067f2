//! Every image data set keeps the contract, and one that does not is caught.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use timesclip::cache::{
    BuildCost, BuildOptions, CacheError, CacheStats, CachedImageDataset, ContractViolation,
    ImageKey, ImageSubset, InMemoryImages, OnDiskImages, UncachedImages, check_contract,
};
use timesclip::data::{LabeledSeries, SampleError, SampleSource, SeriesDataset};
use timesclip::raster::{PlotStyle, XSpan, YScale};

use crate::pictures::{Random, all_masks, small_style, walks};

/// The same set in every kind of cache. Stores go to a folder that is removed at once: an open
/// file stays readable.
fn every_kind(dataset: &SeriesDataset, style: &PlotStyle) -> Vec<Arc<dyn CachedImageDataset>> {
    let folder = tempfile::tempdir().expect("a folder for the store");
    let options = BuildOptions::new;
    vec![
        Arc::new(UncachedImages::new(dataset.clone(), style).expect("a sound style")),
        Arc::new(InMemoryImages::build(dataset.clone(), style, options()).expect("a build")),
        Arc::new(
            OnDiskImages::open_or_build(folder.path(), dataset.clone(), style, options())
                .expect("a build"),
        ),
        Arc::new(OnDiskImages::open(folder.path(), dataset.clone(), style).expect("a store")),
    ]
}

fn styles(dataset: &SeriesDataset) -> [PlotStyle; 3] {
    let steps = XSpan::Steps(dataset.max_steps());
    [
        small_style(),
        PlotStyle {
            y_scale: YScale::fitted(dataset),
            x_span: steps,
            ..small_style()
        },
        PlotStyle {
            side_px: 300,
            margin: 0.0,
            ..small_style()
        },
    ]
}

#[test]
fn every_kind_of_cache_keeps_the_contract_in_every_style() {
    let dataset = walks(5, 2, 1);
    for style in styles(&dataset) {
        for images in every_kind(&dataset, &style) {
            let kind = images.stats().kind;
            check_contract(&*images, &style).unwrap_or_else(|found| panic!("{kind}: {found}"));
            let subset = ImageSubset::new(images, vec![4, 0]).unwrap();
            check_contract(&subset, &style).unwrap_or_else(|found| panic!("{kind}: {found}"));
        }
    }
}

#[test]
fn kinds_are_alike_under_shuffle_subset_split_and_truncation() {
    let whole = walks(9, 2, 2);
    let order = Random(7).shuffled(9);
    let (train, test) = order.split_at(5);
    let cases = [
        ("whole", whole.clone()),
        ("shuffled", whole.subset(&order).unwrap()),
        ("train", whole.subset(train).unwrap()),
        ("test", whole.subset(test).unwrap()),
        ("truncated", whole.truncated(6).unwrap()),
        (
            "truncated train",
            whole.truncated(6).unwrap().subset(train).unwrap(),
        ),
    ];
    for (case, dataset) in cases {
        let kinds = every_kind(&dataset, &small_style());
        let expected = all_masks(&*kinds[0]);
        for images in &kinds[1..] {
            let kind = images.stats().kind;
            assert!(all_masks(&**images) == expected, "{case}: {kind} differs");
            assert_eq!(images.key(), kinds[0].key(), "{case}: {kind}");
        }
    }
}

#[test]
fn a_subset_of_a_cache_is_the_cache_of_the_subset() {
    let whole = walks(20, 2, 3);
    let indices = vec![17, 3, 4, 0];
    let alone = UncachedImages::new(whole.subset(&indices).unwrap(), &small_style()).unwrap();
    for images in every_kind(&whole, &small_style()) {
        let subset = ImageSubset::new(images, indices.clone()).unwrap();

        assert!(all_masks(&subset) == all_masks(&alone));
        assert_eq!(subset.key(), alone.key());
        assert_eq!(subset.sample(1).unwrap().id, whole.samples()[3].id);
        assert_eq!(subset.stats().images, 8);
    }
}

#[test]
fn a_subset_of_what_is_not_there_or_twice_is_refused() {
    let images: Arc<dyn CachedImageDataset> =
        Arc::new(UncachedImages::new(walks(5, 1, 4), &small_style()).unwrap());

    let missing = ImageSubset::new(Arc::clone(&images), vec![0, 5]).unwrap_err();
    assert!(matches!(
        missing,
        CacheError::IndexOutOfRange {
            index: 5,
            n_samples: 5
        }
    ));
    let twice = ImageSubset::new(images, vec![0, 3, 0]).unwrap_err();
    assert!(matches!(twice, CacheError::DuplicateIndex { index: 0 }));
}

#[test]
fn statistics_tell_what_was_drawn_and_what_was_read() {
    let dataset = walks(6, 3, 5);
    let count = |images: &dyn CachedImageDataset| {
        all_masks(images);
        let CacheStats {
            kind,
            images,
            hits,
            drawn,
            bytes,
            ..
        } = images.stats();
        (kind, images, hits, drawn, bytes > 0)
    };
    let [uncached, memory, built, opened] = every_kind(&dataset, &small_style())
        .try_into()
        .unwrap_or_else(|_| panic!("four kinds"));

    assert_eq!(count(&*uncached), ("none", 18, 0, 18, false));
    assert_eq!(count(&*memory), ("memory", 18, 18, 18, true));
    assert_eq!(count(&*built), ("disk", 18, 18, 18, true));
    assert_eq!(count(&*opened), ("disk", 18, 18, 0, true));
}

#[test]
fn the_estimate_is_near_what_the_build_takes() {
    let dataset = walks(120, 2, 6);
    let cost = BuildCost::estimate(&dataset, &small_style()).unwrap();
    let images = InMemoryImages::build(dataset, &small_style(), BuildOptions::new()).unwrap();

    let (estimated, found) = (cost.bytes as f64, images.stats().bytes as f64);
    assert_eq!(cost.images, 240);
    assert!(
        (estimated / found - 1.0).abs() < 0.25,
        "{estimated} against {found} bytes"
    );
    assert!(cost.seconds > 0.0);
}

#[test]
fn a_budget_refuses_beforehand_with_both_numbers() {
    let dataset = walks(50, 2, 7);
    let folder = tempfile::tempdir().unwrap();
    let calls = AtomicU64::new(0);
    let options = || {
        BuildOptions::new().with_budget(1000).with_progress(|_| {
            calls.fetch_add(1, Ordering::Relaxed);
            ControlFlow::Continue(())
        })
    };

    let memory = InMemoryImages::build(dataset.clone(), &small_style(), options()).unwrap_err();
    let disk =
        OnDiskImages::open_or_build(folder.path(), dataset, &small_style(), options()).unwrap_err();

    for error in [memory, disk] {
        let CacheError::OverBudget {
            needed,
            budget: 1000,
        } = error
        else {
            panic!("{error:?}");
        };
        assert!(error.to_string().contains(&needed.to_string()), "{error}");
        assert!(needed > 10_000, "{needed}");
    }
    assert_eq!(calls.into_inner(), 0, "nothing was begun");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_budget_stops_a_build_that_was_estimated_too_low() {
    // What the estimate draws is blank: every tenth of 320 samples. The rest is not.
    let full = walks(320, 1, 8);
    let blank = full.samples().iter().enumerate().map(|(i, sample)| {
        let mut sample = sample.clone();
        if i % 10 == 0 {
            sample.series = sample.series.truncated(1).expect("one step");
        }
        sample
    });
    let names = full.class_names().to_vec();
    let dataset = SeriesDataset::new("deceptive", names, blank.collect()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let options = || BuildOptions::new().with_budget(20_000);

    let memory = InMemoryImages::build(dataset.clone(), &small_style(), options()).unwrap_err();
    let disk =
        OnDiskImages::open_or_build(folder.path(), dataset, &small_style(), options()).unwrap_err();

    assert!(
        matches!(memory, CacheError::OverBudget { budget: 20_000, .. }),
        "{memory:?}"
    );
    assert!(
        matches!(disk, CacheError::OverBudget { budget: 20_000, .. }),
        "{disk:?}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn progress_runs_from_nothing_to_all_and_can_cancel() {
    let dataset = walks(600, 1, 9);
    let mut seen = Vec::new();
    let options = BuildOptions::new().with_progress(|progress| {
        seen.push((progress.done, progress.total));
        ControlFlow::Continue(())
    });
    InMemoryImages::build(dataset.clone(), &small_style(), options).unwrap();
    assert_eq!(
        (seen.first(), seen.last()),
        (Some(&(0, 600)), Some(&(600, 600)))
    );
    assert!(seen.len() > 2 && seen.is_sorted(), "{seen:?}");

    let options = BuildOptions::new().with_progress(|progress| match progress.done {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    let error = InMemoryImages::build(dataset, &small_style(), options).unwrap_err();
    let CacheError::Cancelled { done, total: 600 } = error else {
        panic!("{error:?}")
    };
    assert!(done > 0 && done < 600, "{done}");
}

#[test]
fn a_style_that_cannot_draw_the_set_is_refused() {
    let style = PlotStyle {
        y_scale: YScale::Fixed(vec![[0.0, 1.0]; 2]),
        ..small_style()
    };
    let (dataset, folder) = (walks(3, 5, 10), tempfile::tempdir().unwrap());
    let options = BuildOptions::new;

    let results = [
        UncachedImages::new(dataset.clone(), &style).map(drop),
        InMemoryImages::build(dataset.clone(), &style, options()).map(drop),
        OnDiskImages::open_or_build(folder.path(), dataset, &style, options()).map(drop),
    ];
    for result in results {
        assert!(
            matches!(result, Err(CacheError::Raster { .. })),
            "{result:?}"
        );
    }
}

/// A way to break the contract.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Pictures of the sample that is next to the one asked for, as if fetched by position.
    OtherSample,
    /// Series are truncated; the pictures still show all of them.
    StalePictures,
    /// Pictures are those of the read before.
    LateByOne,
    /// Paper is left as it was in the buffer.
    KeepsPaper,
    /// An index that is out of range is the last one.
    ClampsIndex,
    /// A buffer that is too long is filled as far as it goes.
    TakesAnyBuffer,
    /// The key is that of other samples.
    OtherKey,
    /// Hits go back.
    LosesHits,
}

/// A set whose samples are truncated to four steps, and that has one fault.
struct Faulty {
    full: UncachedImages,
    cut: UncachedImages,
    fault: Fault,
    reads: AtomicU64,
    stats_read: AtomicU64,
}

impl Faulty {
    fn new(fault: Fault) -> Self {
        let full = walks(9, 2, 11);
        let cut = full.truncated(4).expect("four steps");
        Self {
            full: UncachedImages::new(full, &small_style()).expect("a sound style"),
            cut: UncachedImages::new(cut, &small_style()).expect("a sound style"),
            fault,
            reads: AtomicU64::new(0),
            stats_read: AtomicU64::new(0),
        }
    }
}

impl SampleSource for Faulty {
    fn n_samples(&self) -> usize {
        self.cut.n_samples()
    }

    fn n_variates(&self) -> usize {
        self.cut.n_variates()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, SampleError> {
        self.cut.sample(index)
    }
}

impl CachedImageDataset for Faulty {
    fn side_px(&self) -> usize {
        self.cut.side_px()
    }

    fn masks_into(&self, index: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        let n = self.n_samples() as u64;
        let last = self.reads.swap(index as u64, Ordering::Relaxed).min(n - 1);
        let expected = self.n_variates() * self.side_px().pow(2);
        match self.fault {
            Fault::OtherSample if index < self.n_samples() => {
                self.cut.masks_into((index + 1) % self.n_samples(), masks)
            }
            Fault::StalePictures => self.full.masks_into(index, masks),
            Fault::LateByOne if index < self.n_samples() => self
                .cut
                .masks_into(usize::try_from(last).expect("an index"), masks),
            Fault::KeepsPaper => {
                let before = masks.to_vec();
                self.cut.masks_into(index, masks)?;
                for (mask, before) in masks.iter_mut().zip(before) {
                    if *mask == 0 {
                        *mask = before;
                    }
                }
                Ok(())
            }
            Fault::ClampsIndex => self.cut.masks_into(index.min(self.n_samples() - 1), masks),
            Fault::TakesAnyBuffer if masks.len() > expected => {
                self.cut.masks_into(index, &mut masks[..expected])
            }
            _ => self.cut.masks_into(index, masks),
        }
    }

    fn key(&self) -> ImageKey {
        if self.fault == Fault::OtherKey {
            self.full.key()
        } else {
            self.cut.key()
        }
    }

    fn stats(&self) -> CacheStats {
        let reads = self.stats_read.fetch_add(1, Ordering::Relaxed);
        let hits = if self.fault == Fault::LosesHits {
            10 - reads
        } else {
            reads
        };
        CacheStats {
            kind: "faulty",
            hits,
            ..self.cut.stats()
        }
    }
}

#[test]
fn an_implementation_that_breaks_the_contract_is_caught() {
    use ContractViolation::{Key, Masks, NotRefused, Stats};

    let caught = |fault| check_contract(&Faulty::new(fault), &small_style()).unwrap_err();
    assert!(matches!(caught(Fault::OtherSample), Masks { index: 0, .. }));
    assert!(matches!(caught(Fault::StalePictures), Masks { .. }));
    assert!(matches!(caught(Fault::LateByOne), Masks { .. }));
    assert!(matches!(caught(Fault::KeepsPaper), Masks { .. }));
    assert!(matches!(caught(Fault::ClampsIndex), NotRefused { .. }));
    assert!(matches!(caught(Fault::TakesAnyBuffer), NotRefused { .. }));
    assert!(matches!(caught(Fault::OtherKey), Key { .. }));
    assert!(matches!(
        caught(Fault::LosesHits),
        Stats { field: "hits", .. }
    ));
}

#[test]
fn the_contract_names_what_is_wrong() {
    let message = |fault| {
        check_contract(&Faulty::new(fault), &small_style())
            .unwrap_err()
            .to_string()
    };

    assert_eq!(
        message(Fault::OtherSample),
        "the masks at index 0 are not those of its sample 100, read in order"
    );
    assert_eq!(
        message(Fault::ClampsIndex),
        "`masks_into(9, ..)` must fail with `sample index 9 was asked for, expected one below \
         the 9 samples`, found no error"
    );
}

#[test]
fn another_style_is_not_the_one_of_the_pictures() {
    let images = UncachedImages::new(walks(3, 1, 12), &small_style()).unwrap();
    let thick = PlotStyle {
        stroke_width: 0.1,
        ..small_style()
    };

    let found = check_contract(&images, &thick).unwrap_err();
    assert!(matches!(found, ContractViolation::Masks { .. }), "{found}");
    let found = check_contract(&images, &PlotStyle::default()).unwrap_err();
    assert!(
        matches!(
            found,
            ContractViolation::Side {
                found: 40,
                expected: 224
            }
        ),
        "{found}"
    );
}
