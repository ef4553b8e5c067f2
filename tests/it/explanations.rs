//! Explanations find the window that tells the classes apart; early scores see nothing later.

use proptest::prelude::*;
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::{Effort, ExplainOptions, FitOptions, Modalities, TimesClip};

/// Steps and variates of a series; where the classes differ, and in which variate.
const STEPS: usize = 60;
const VARIATES: usize = 2;
const TELLING: std::ops::Range<usize> = 24..36;
const TELLING_VARIATE: usize = 1;
/// Chance would hit 12 of 120 cells; what is left are windows at the edge of the bump.
const LEAST_HIT_RATE: f64 = 0.8;

/// Noise in `-0.5..0.5`, the same on every machine.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f32 {
        let state = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = state.wrapping_add(1_442_695_040_888_963_407);
        let top = u16::try_from(self.0 >> 48).expect("16 bits");
        f32::from(top) / 65_536.0 - 0.5
    }
}

/// Noise with a bump in one place, up in one class and down in the other.
fn bumps(seed: u64, n: u64) -> SeriesDataset {
    let mut noise = Noise(seed);
    let samples = (0..n).map(|id| {
        let label = usize::from(id % 2 == 1);
        let sign = if label == 1 { 1.0 } else { -1.0 };
        let mut values = Vec::new();
        for step in 0..STEPS {
            for variate in 0..VARIATES {
                let telling = variate == TELLING_VARIATE && TELLING.contains(&step);
                values.push(noise.next() + if telling { 2.0 * sign } else { 0.0 });
            }
        }
        let series = Series::new(values, STEPS, VARIATES).expect("a series");
        LabeledSeries { id, series, label }
    });
    let classes = vec!["down".to_owned(), "up".to_owned()];
    SeriesDataset::new("bumps", classes, samples.collect()).expect("a set")
}

fn kernels_only(train: &SeriesDataset) -> TimesClip {
    let options = FitOptions {
        modalities: Modalities::KERNELS_ONLY,
        effort: Effort::Fast,
        ..FitOptions::default()
    };
    TimesClip::fit(train, &options).expect("a fit")
}

#[test]
fn the_most_important_window_is_the_one_that_tells_the_classes_apart() {
    let model = kernels_only(&bumps(1, 60));
    let test = bumps(2, 20);
    let options = ExplainOptions { n_windows: 10 };
    let hits = test.samples().iter().filter(|sample| {
        let found = model
            .explain(&sample.series, &options)
            .expect("an explanation");
        let (variate, window) = found.most_important();
        let steps = found.windows[window].clone();
        let overlaps = steps.start < TELLING.end && TELLING.start < steps.end;
        variate == TELLING_VARIATE && overlaps
    });
    let rate = hits.count() as f64 / test.len() as f64;
    println!("hit rate {rate}");
    assert!(rate >= LEAST_HIT_RATE, "a hit rate of {rate}");
}

#[test]
fn early_scores_grow_to_the_score_of_whole_series() {
    let model = kernels_only(&bumps(1, 40));
    let test = bumps(2, 20);
    let scores = model.early(&test, &[0.3, 1.0, 0.5, 1.0]).expect("scores");
    let steps: Vec<usize> = scores.iter().map(|score| score.n_steps).collect();
    assert_eq!(steps, [18, 30, 60]);
    let whole = model.evaluate(&test).expect("scores");
    assert_eq!(scores[2].accuracy, whole.accuracy);
    assert_eq!(scores[2].log_loss, whole.log_loss);
    assert!(scores[0].accuracy < whole.accuracy, "{scores:?}");
}

#[test]
fn no_value_beyond_the_cut_changes_an_early_score() {
    let models = [Modalities::KERNELS_ONLY, Modalities::FULL].map(|modalities| {
        let mut options = FitOptions {
            modalities,
            folds: Some(1),
            ..FitOptions::default()
        };
        options.training.steps = Some(2);
        // Noise alone: the closed form errs, so that a network is trained as well.
        let mut train = bumps(3, 16).truncated(TELLING.start).expect("a set");
        if modalities == Modalities::KERNELS_ONLY {
            options.effort = Effort::Fast;
            train = bumps(3, 16);
        }
        TimesClip::fit(&train, &options).expect("a fit")
    });
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(8));
    let later = proptest::collection::vec(prop_oneof![-1e6_f32..1e6, Just(f32::NAN)], 7);
    let cuts = (9..TELLING.start, later);
    let outcome = runner.run(&cuts, |(cut, later)| {
        let set = bumps(4, 3);
        let changed = set.samples().iter().map(|sample| {
            let mut values = sample.series.values().to_vec();
            let beyond = values[cut * VARIATES..].iter_mut();
            beyond
                .zip(later.iter().cycle())
                .for_each(|(value, new)| *value = *new);
            let series = Series::new(values, STEPS, VARIATES).expect("a series");
            LabeledSeries { series, ..*sample }
        });
        let classes = set.class_names().to_vec();
        let changed = SeriesDataset::new("changed", classes, changed.collect()).expect("a set");
        let share = cut as f64 / STEPS as f64;
        for model in &models {
            let early = |set: &SeriesDataset| model.early(set, &[share]).expect("scores");
            prop_assert_eq!(early(&set), early(&changed));
            let answers = |set: &SeriesDataset| {
                let cut = set.truncated(cut).expect("a set");
                model.predict(&cut).expect("predictions")
            };
            prop_assert_eq!(answers(&set), answers(&changed));
        }
        Ok(())
    });
    outcome.expect("no leak");
}
