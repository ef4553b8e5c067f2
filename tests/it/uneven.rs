//! Series whose steps are not evenly spaced in time: where the points are can be what tells classes.

use timesclip::data::{Interpolation, LabeledSeries, Series, SeriesDataset, UnevenTimes};
use timesclip::{Effort, FitOptions, Modalities, TimesClip};

/// The same ten values, of which the high ones come early in one class and late in the other: the
/// values alone say nothing.
fn timed(first: usize, n_samples: usize) -> SeriesDataset {
    let sample = |i: usize| {
        let label = i % 2;
        let value = |step: usize| {
            (step as f32 * 0.7 + (i / 2 % 6) as f32 * 0.02).sin()
                + 2.0 * f32::from(u8::from(step == 5))
        };
        let time = |step: usize| match (label, step < 5) {
            (0, true) | (1, false) => step as f64,
            (0, false) => step as f64 + 20.0,
            _ => step as f64 * 0.2,
        };
        let end = if label == 0 { 29.0 } else { 29.5 };
        let mut times: Vec<f64> = (0..10).map(time).collect();
        times.push(end + (i / 2 % 6) as f64 * 0.02);
        let mut values: Vec<f32> = (0..10).map(value).collect();
        values.push(0.0);
        let series = Series::new(values, 11, 1).and_then(|series| series.with_times(times));
        LabeledSeries {
            id: i as u64,
            series: series.expect("sound series"),
            label,
        }
    };
    let names = vec!["late".to_owned(), "early".to_owned()];
    let samples = (first..first + n_samples).map(sample).collect();
    SeriesDataset::new("timed", names, samples).expect("a sound set")
}

fn accuracy(modalities: Modalities, uneven_times: UnevenTimes) -> f64 {
    let options = FitOptions {
        modalities,
        uneven_times,
        effort: Effort::Fast,
        ..FitOptions::default()
    };
    let model = TimesClip::fit(&timed(0, 24), &options).expect("a model");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    model.save(&path).expect("a file");
    let model = TimesClip::load(&path).expect("the model");
    model.evaluate(&timed(24, 20)).expect("scores").accuracy
}

#[test]
fn points_are_where_they_are_in_time_for_every_view() {
    let views = [
        Modalities::KERNELS_ONLY,
        Modalities::VISION_ONLY,
        Modalities::LANGUAGE_ONLY,
    ];
    for view in views {
        for way in [Interpolation::Linear, Interpolation::Previous] {
            let found = accuracy(view, UnevenTimes::Grid(way));
            assert!(found > 0.95, "{view}, {way:?}: {found}");
        }
        let ignored = accuracy(view, UnevenTimes::Ignore);
        assert!(
            ignored < 0.8,
            "{view}: {ignored} by values that say nothing"
        );
    }
}
