//! Faults of the reference that no other test is about: `docs/reference-faults.md` has them all.

use timesclip::data::{LabeledSeries, Series, SeriesDataset};
use timesclip::options::{ClassWeights, EncoderWeights, Tokenizer};
use timesclip::{FitOptions, Modalities, TimesClip};

use crate::support::lock_generator;
use crate::timesclip::waves;

/// A set of classes that differ in the speed of their waves.
fn set(n_classes: usize, n_variates: usize, n_steps: usize) -> SeriesDataset {
    let samples = (0..4 * n_classes).map(|i| {
        let label = i % n_classes;
        let speed = 0.2 + 0.3 * label as f32;
        let values = (0..n_steps * n_variates).map(|at| {
            let (step, variate) = (at / n_variates, at % n_variates);
            (speed * step as f32 + (i + variate) as f32).sin()
        });
        LabeledSeries {
            id: i as u64,
            series: Series::new(values.collect(), n_steps, n_variates).expect("a series"),
            label,
        }
    });
    let classes = (0..n_classes).map(|class| format!("class {class}"));
    SeriesDataset::new("waves", classes.collect(), samples.collect()).expect("a set")
}

/// One network of a few steps beside the closed form.
fn few_steps(modalities: Modalities) -> FitOptions {
    let mut options = FitOptions {
        modalities,
        folds: Some(2),
        ..FitOptions::default()
    };
    options.training.steps = Some(2);
    options
}

#[test]
fn shapes_come_from_the_data() {
    let _turn = lock_generator();
    for (n_classes, n_variates, n_steps) in [(2, 1, 9), (3, 14, 37), (7, 3, 50)] {
        let set = set(n_classes, n_variates, n_steps);
        let mut networks = few_steps(Modalities::DUAL);
        networks.encoders.vision_weights = EncoderWeights::Random;
        networks.encoders.text_weights = EncoderWeights::Random;
        for options in [few_steps(Modalities::KERNELS_ONLY), networks] {
            let model = TimesClip::fit(&set, &options).expect("a fit");
            let answers = model.predict(&set).expect("answers");
            assert_eq!(answers.len(), set.len());
            assert_eq!(answers[0].probabilities.len(), n_classes);
            assert_eq!(model.n_variates(), n_variates);
        }
    }
}

#[test]
fn a_series_shorter_than_a_patch_is_taken_or_refused_with_both_numbers() {
    let _turn = lock_generator();
    let (train, short) = (waves(16), waves(4).truncated(3).expect("a set"));
    let mut options = few_steps(Modalities::LANGUAGE_ONLY);
    options.encoders.text_weights = EncoderWeights::Random;
    let model = TimesClip::fit(&train, &options).expect("a fit");
    assert_eq!(model.predict(&short).expect("padded").len(), 4);

    options.network.tokenizer = Some(Tokenizer::Patches);
    options.network.patch_len = Some(8);
    let model = TimesClip::fit(&train, &options).expect("a fit");
    match model.predict(&short) {
        Ok(answers) => assert_eq!(answers.len(), 4),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains('3') && text.contains('8'), "{text}");
        }
    }
}

#[test]
fn balanced_classes_change_a_network() {
    let _turn = lock_generator();
    // Three of one class to one of the other, hard to tell apart.
    let all = waves(48);
    let rare = (0..48).filter(|i| i % 2 == 0 || i % 6 == 1);
    let train = all.subset(&rare.collect::<Vec<_>>()).expect("a set");
    let unseen = (0..48).filter(|i| i % 2 == 1 && i % 6 != 1);
    let unseen = all.subset(&unseen.collect::<Vec<_>>()).expect("a set");
    let mut options = few_steps(Modalities::LANGUAGE_ONLY);
    options.encoders.text_weights = EncoderWeights::Random;
    options.training.steps = Some(30);
    let [plain, balanced] = [ClassWeights::None, ClassWeights::Balanced].map(|class_weights| {
        let options = FitOptions {
            class_weights,
            ..options.clone()
        };
        let model = TimesClip::fit(&train, &options).expect("a fit");
        let answers = model.predict(&unseen).expect("answers");
        let fast = answers
            .iter()
            .map(|answer| f64::from(answer.probabilities[1]));
        fast.sum::<f64>() / unseen.len() as f64
    });
    assert!(
        balanced > plain + 0.01,
        "mean probability of the rare class on unseen samples of it: {plain} plain, {balanced} balanced"
    );
}
