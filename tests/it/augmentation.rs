//! Views of a set go through every cache as any set does: a picture is that of its view's series.

use std::collections::HashSet;

use timesclip::batch::TimesClipBatcher;
use timesclip::cache::{
    BuildOptions, CachedImageDataset, InMemoryImages, OnDiskImages, UncachedImages, check_contract,
};
use timesclip::data::SeriesDataset;
use timesclip::data::augment::{AugmentConfig, Augmenter, view_of_epoch};
use timesclip::raster::Rasterizer;

use crate::pictures::{Random, all_masks, small_style, walks};
use crate::support::batcher;

const N_VIEWS: usize = 3;

fn augmenter() -> Augmenter {
    let everything = AugmentConfig {
        variate_drop: 0.2,
        missing_block: 0.3,
        prefix: 0.3,
        ..AugmentConfig::default()
    };
    Augmenter::new(everything, 7).expect("a sound configuration")
}

/// Views 0 to [`N_VIEWS`], view `v` in the cache kind `v % 3`. Stores share one folder.
fn cached_views(dataset: &SeriesDataset) -> Vec<Box<dyn CachedImageDataset>> {
    let (folder, style) = (tempfile::tempdir().expect("a folder"), small_style());
    let cached = |view| -> Box<dyn CachedImageDataset> {
        let (set, options) = (augmenter().view_of(dataset, view), BuildOptions::new());
        match view % 3 {
            0 => Box::new(UncachedImages::new(set, &style).expect("a sound style")),
            1 => Box::new(InMemoryImages::build(set, &style, options).expect("a build")),
            _ => Box::new(
                OnDiskImages::open_or_build(folder.path(), set, &style, options).expect("a build"),
            ),
        }
    };
    (0..=N_VIEWS).map(cached).collect()
}

#[test]
fn every_view_keeps_the_contract_with_the_ids_of_the_samples() {
    let dataset = walks(6, 3, 11);
    for images in cached_views(&dataset) {
        check_contract(&*images, &small_style()).unwrap_or_else(|found| panic!("{found}"));
        for (index, sample) in dataset.samples().iter().enumerate() {
            let view = images.sample(index).unwrap();
            assert_eq!((view.id, view.label), (sample.id, sample.label));
        }
    }
}

#[test]
fn a_picture_of_a_view_is_drawn_from_the_series_of_that_view() {
    let dataset = walks(6, 3, 12);
    let rasterizer = Rasterizer::new(small_style()).unwrap();
    for (view, images) in cached_views(&dataset).iter().enumerate() {
        let mut masks = vec![0; 3 * 40 * 40];
        let mut expected = masks.clone();
        for (index, sample) in dataset.samples().iter().enumerate() {
            let series = augmenter().view(sample, view).series;
            rasterizer.draw_series(&mut rasterizer.scratch(), &series, &mut expected);
            images.masks_into(index, &mut masks).unwrap();
            assert_eq!(masks, expected, "view {view} of sample {index}");
        }
    }
}

#[test]
fn values_of_a_batch_are_those_of_the_view_whose_pictures_it_carries() {
    let dataset = walks(5, 2, 13);
    let order = Random(3).shuffled(5);
    let style = small_style();
    let batcher: TimesClipBatcher = batcher(&dataset);
    for view in 0..=N_VIEWS {
        let set = augmenter().view_of(&dataset, view);
        let alone = UncachedImages::new(set.subset(&order).unwrap(), &style).unwrap();
        let images = &cached_views(&dataset)[view];

        let batch = batcher.gather(&**images, &order).unwrap();

        // One set that holds the series of the view, in the order of the batch, and nothing else.
        let expected = batcher.gather(&alone, &[0, 1, 2, 3, 4]).unwrap();
        assert_eq!(batch, expected, "view {view}");
    }
}

#[test]
fn views_have_pictures_and_keys_of_their_own_and_view_0_those_of_the_set() {
    let dataset = walks(6, 3, 14);
    let views = cached_views(&dataset);
    let keys: HashSet<String> = views.iter().map(|v| v.key().to_string()).collect();
    let pictures: HashSet<Vec<u8>> = views.iter().map(|v| all_masks(&**v)).collect();
    assert_eq!((keys.len(), pictures.len()), (N_VIEWS + 1, N_VIEWS + 1));

    let plain = UncachedImages::new(dataset, &small_style()).unwrap();
    assert_eq!(views[0].key(), plain.key());
    assert_eq!(all_masks(&*views[0]), all_masks(&plain));
}

#[test]
fn training_meets_every_view_and_without_views_the_original() {
    let met: HashSet<usize> = (1..=9).map(|epoch| view_of_epoch(epoch, N_VIEWS)).collect();
    assert_eq!(met, (1..=N_VIEWS).collect());
    assert_eq!(view_of_epoch(9, 0), 0);
}
