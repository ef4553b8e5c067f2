//! Explanations find the window that tells the classes apart; early scores see nothing later.

use proptest::prelude::*;
use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::{
    Effort, ExplainOptions, Explanation, FaithfulnessOptions, FitError, FitOptions, Modalities,
    PrefixAnswers, StopRule, TimesClip,
};

use crate::support::lock_generator;

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

#[test]
fn explanations_are_more_faithful_than_random_orders() {
    let model = kernels_only(&bumps(1, 60));
    let test = bumps(2, 12);
    let explained: Vec<Explanation> = test
        .samples()
        .iter()
        .map(|sample| {
            let options = ExplainOptions { n_windows: 10 };
            let found = model.explain(&sample.series, &options);
            found.expect("an explanation")
        })
        .collect();
    let series = test.samples().iter().map(|sample| &sample.series);
    let pairs: Vec<_> = series.zip(&explained).collect();
    let options = FaithfulnessOptions::default();
    let found = model.faithfulness(&pairs, &options).expect("curves");
    println!("{found:#?}");
    let (deletion, insertion) = (&found.deletion, &found.insertion);
    assert!(deletion.area < deletion.random_area - 0.1, "{deletion:?}");
    assert!(
        insertion.area > insertion.random_area + 0.1,
        "{insertion:?}"
    );
    assert!(deletion.better > 0.9 && insertion.better > 0.9, "{found:?}");
    // Both start or end with the whole series and with nothing of it, whatever the order.
    let ends = [deletion.by_importance[0], deletion.at_random[0]];
    assert_eq!(ends, [insertion.by_importance[10], insertion.at_random[10]]);
    assert_eq!(deletion.by_importance[10], insertion.at_random[0]);
    let again = model.faithfulness(&pairs, &options).expect("curves");
    assert_eq!(again, found);
}

#[test]
fn a_rule_when_to_stop_is_fitted_to_answers_by_models_that_did_not_see_them() {
    let (train, test) = (bumps(1, 40), bumps(2, 40));
    let model = kernels_only(&train);
    let shares: Vec<f64> = (1..=10).map(|i| f64::from(i) / 10.0).collect();
    let folds = (&shares[..], 4);
    let held_out = PrefixAnswers::out_of_folds(&train, model.options(), folds, &mut ());
    let held_out = held_out.expect("answers");
    let steps = held_out.scores().into_iter().map(|score| score.n_steps);
    assert!(steps.eq((1..=10).map(|i| 6 * i)), "{held_out:?}");
    let rule = StopRule::fit(&held_out).expect("a rule");
    let answers = model.prefix_answers(&test, &shares).expect("answers");
    let stopped = rule.score(&answers);
    println!("{rule:?}\n{stopped:?}");
    assert!(stopped.earliness < 0.9, "it stops early: {stopped:?}");
    // The rule is fitted to the harmonic mean: what it promises holds on other samples, too, and is far
    // from that of an answer after the first steps or after all of them.
    let promised = rule.fitted.harmonic_mean;
    assert!(
        (stopped.harmonic_mean - promised).abs() < 0.1,
        "{stopped:?}, held out {promised}"
    );
    assert!(stopped.harmonic_mean > 0.65, "{stopped:?}");
    let at_once = answers.scores()[0].accuracy;
    assert!(stopped.accuracy > at_once + 0.2, "{stopped:?}, {at_once}");
    // One by one, the rule does what its score says.
    let mut seen = 0.0;
    for sample in test.samples() {
        let answer = model
            .predict_early(&sample.series, &rule)
            .expect("an answer");
        assert_eq!(
            answer.is_sure,
            answer.prediction.probability >= rule.confidence
        );
        seen += answer.n_steps as f64 / STEPS as f64;
        // What comes after the stop changes nothing, not even that it is known.
        let cut = sample.series.truncated(answer.n_steps).expect("a series");
        let again = model.predict_early(&cut, &rule).expect("an answer");
        assert_eq!(again.prediction, answer.prediction);
    }
    let mean = seen / test.len() as f64;
    assert!(
        (mean - stopped.earliness).abs() < 1e-9,
        "{mean}, {stopped:?}"
    );
}

/// The same model, trained on beginnings, too.
fn with_prefixes(train: &SeriesDataset) -> TimesClip {
    let options = FitOptions {
        prefixes: true,
        ..kernels_only(train).options().clone()
    };
    TimesClip::fit(train, &options).expect("a fit")
}

/// Bumps that are over early, and after them a rise that all classes share: a beginning looks like
/// no whole series.
fn bumps_and_a_rise(seed: u64, n: u64) -> SeriesDataset {
    let set = bumps(seed, n);
    let samples = set.samples().iter().map(|sample| {
        let mut values = sample.series.values().to_vec();
        // The bump comes first: what is before it goes to the end, and rises.
        values.rotate_left(VARIATES * TELLING.start);
        let late = values.iter_mut().skip(VARIATES * (STEPS - TELLING.start));
        late.for_each(|value| *value += 6.0);
        let series = Series::new(values, STEPS, VARIATES).expect("a series");
        LabeledSeries { series, ..*sample }
    });
    let classes = set.class_names().to_vec();
    SeriesDataset::new("rise", classes, samples.collect()).expect("a set")
}

#[test]
fn a_model_that_was_trained_on_beginnings_is_not_surprised_by_them() {
    let (train, test) = (bumps_and_a_rise(1, 40), bumps_and_a_rise(2, 40));
    let loss = |model: &TimesClip| {
        let scores = model.early(&test, &[0.2, 0.4, 0.6]).expect("scores");
        println!("{scores:?}");
        scores.iter().map(|score| score.log_loss).sum::<f64>()
    };
    let [plain, trained] = [kernels_only(&train), with_prefixes(&train)].map(|m| loss(&m));
    assert!(
        trained < plain,
        "{trained} with beginnings, {plain} without"
    );
}

#[test]
fn a_beginning_is_left_out_together_with_its_sample() {
    // Noise alone: only a leak can tell the classes apart.
    let noise = bumps(3, 60).truncated(TELLING.start).expect("a set");
    let model = with_prefixes(&noise);
    let pool = model.provenance().scores.last().expect("a score");
    assert_eq!(pool.n_samples, 60, "whole samples are scored, once each");
    assert!(
        pool.accuracy < 0.75,
        "held-out accuracy {} of noise",
        pool.accuracy
    );
    assert!(
        pool.log_loss > 0.55,
        "held-out loss {} of noise",
        pool.log_loss
    );
}

#[test]
fn networks_take_beginnings_as_views_or_say_that_they_cannot() {
    let _turn = lock_generator();
    let train = bumps(3, 12).truncated(TELLING.start).expect("a set");
    let mut options = FitOptions {
        modalities: Modalities::DUAL,
        folds: Some(1),
        prefixes: true,
        ..FitOptions::default()
    };
    options.training.steps = Some(2);
    TimesClip::fit(&train, &options).expect("a fit");
    options.compute.device_cache = Some(1 << 30);
    let error = TimesClip::fit(&train, &options).expect_err("a cache holds no new views");
    assert!(matches!(error, FitError::Options { .. }), "{error}");
    assert!(error.to_string().contains("cached views"), "{error}");
}
