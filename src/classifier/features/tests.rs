//! Which features there are, and when they are computed.

use super::*;
use crate::Modalities;
use crate::backend::{BackendChoice, BackendKind};
use crate::closed_form::FeatureRows;

/// Series of 30 steps, no two alike.
fn different(n_samples: usize) -> Vec<Series> {
    let values = |i: usize| (0..30).map(move |t| ((t * t + 7 * i * t) % 31) as f32);
    let series = |i| Series::new(values(i).collect(), 30, 1).expect("finite values");
    (0..n_samples).map(series).collect()
}

fn fitted(series: &[&Series], options: &FitOptions) -> (Features, Vec<String>) {
    let device = BackendChoice::Only(BackendKind::Cpu)
        .choose(None)
        .expect("a processor");
    let mut notes = Vec::new();
    let pretrained = Pretrained::default();
    let note = |text| notes.push(text);
    let features = Features::fit(series, options, &pretrained, &device, note);
    let features = features.expect("a fit").expect("some features");
    (features, notes)
}

fn held<'a>(features: &'a Features, series: &'a [&'a Series]) -> TrainingRows<'a> {
    let rows = TrainingRows::new(features, series, |_| ControlFlow::Continue(()));
    rows.expect("rows").expect("nothing stops it")
}

#[test]
fn blocks_and_ridges_are_those_of_the_modalities() {
    let series = different(4);
    let series: Vec<&Series> = series.iter().collect();
    for (modalities, n_blocks, n_ridges) in [
        (Modalities::FULL, 5, 7),
        (Modalities::DUAL, 8, 15),
        (Modalities::KERNELS_ONLY, 3, 4),
        (Modalities::VISION_ONLY, 4, 5),
    ] {
        let options = FitOptions {
            modalities,
            ..FitOptions::default()
        };
        let (features, notes) = fitted(&series, &options);
        let rows = held(&features, &series);
        assert_eq!(rows.blocks().len(), n_blocks, "{modalities}");
        assert_eq!(features.views(&rows).ridges.len(), n_ridges, "{modalities}");
        assert!(notes.is_empty(), "{notes:?}");
    }
}

#[test]
fn rows_that_are_computed_are_those_that_are_held() {
    let series = different(4);
    let series: Vec<&Series> = series.iter().collect();
    let options = FitOptions {
        modalities: Modalities::KERNELS_ONLY,
        ..FitOptions::default()
    };
    let (features, _) = fitted(&series, &options);
    let computed = TrainingRows::Computed {
        kernels: features.kernels.as_ref().unwrap(),
        series: &series,
        blocks: features.blocks(),
    };
    assert_eq!(features.views(&computed).ridges.len(), 1);
    for blocks in [vec![0], vec![1, 2], vec![0, 1, 2]] {
        let width: usize = blocks.iter().map(|&b| computed.blocks()[b].width).sum();
        let [one, other] = [&held(&features, &series), &computed].map(|rows| {
            let mut out = vec![0.0; 2 * width];
            rows.read_blocks(&blocks, &[3, 1], &mut out).unwrap();
            out
        });
        assert!(one == other, "blocks {blocks:?}");
    }
}

#[test]
fn encoders_of_many_samples_have_no_more_features_than_the_ridge_has_axes() {
    let series = different(20);
    let series: Vec<&Series> = series.iter().collect();
    let mut options = FitOptions {
        modalities: Modalities::DUAL,
        ..FitOptions::default()
    };
    options.ridge.most_axes = 16;
    let (features, _) = fitted(&series, &options);
    let rows = held(&features, &series);
    let widths: Vec<usize> = rows.blocks().iter().map(|block| block.width).collect();
    assert_eq!(widths, [4; 8]);

    // The features are among those of a model that keeps them all.
    options.ridge.most_axes = 4096;
    let (all, _) = fitted(&series, &options);
    let row = |features: &Features| features.rows(&series[..1]).unwrap();
    let (kept, all) = (row(&features), row(&all));
    assert_eq!((kept.len(), all.len()), (32, 4 * (4096 + 2048)));
    assert!(
        kept[..4]
            .iter()
            .all(|feature| all[..4096].contains(feature))
    );
    assert!(
        kept[28..]
            .iter()
            .all(|feature| all[all.len() - 2048..].contains(feature))
    );
}

fn wide(n_samples: usize, n_variates: usize) -> Vec<Series> {
    let values = |i: usize| (0..9 * n_variates).map(move |j| ((i + j) % 13) as f32);
    let series = |i| Series::new(values(i).collect(), 9, n_variates);
    (0..n_samples)
        .map(series)
        .collect::<Result<_, _>>()
        .expect("finite values")
}

#[test]
fn beside_kernels_encoders_look_at_no_more_curves_than_is_quick() {
    let n_samples = MOST_BESIDE_KERNELS / 1024;
    let series = wide(n_samples + 1, 1024);
    let series: Vec<&Series> = series.iter().collect();
    let options = FitOptions::default();
    let (features, notes) = fitted(&series, &options);
    assert!(features.encoders.is_none());
    let note = "the closed form is fitted to kernels alone: beside them, encoders look at 4096 curves at \
                most, and there are 5120";
    assert_eq!(notes, [note]);
    let (features, notes) = fitted(&series[..n_samples], &options);
    assert!(features.encoders.is_some() && notes.is_empty());
}

#[test]
fn computing_can_be_stopped_before_the_last_series() {
    // Each is encoded by itself: four looks at 260 variates.
    let series = wide(2, 260);
    let series: Vec<&Series> = series.iter().collect();
    let options = FitOptions {
        modalities: Modalities::LANGUAGE_ONLY,
        ..FitOptions::default()
    };
    let (features, _) = fitted(&series, &options);
    for (n_series, is_stopped) in [(2, true), (1, false)] {
        let mut told = Vec::new();
        let rows = TrainingRows::new(&features, &series[..n_series], |done| {
            told.push(done);
            ControlFlow::Break(())
        });
        assert_eq!(rows.unwrap().is_none(), is_stopped);
        assert_eq!(told, [1]);
    }
}
