//! Networks that start from a model: fold by fold, or not at all where that would flatter them.

use std::path::Path;

use timesclip::data::SeriesDataset;
use timesclip::options::{EncoderWeights, Extension, TrainingLeft};
use timesclip::{Effort, FitOptions, Modalities, Prediction, TimesClip};

use crate::support::lock_generator;
use crate::timesclip::waves_but;

/// Adam's steps are about as long as the rate: one changes no weight that could be seen.
const NO_RATE: f64 = 1e-9;
/// The running statistics of batch norms move all the same, by what one batch differs from the rest.
const TOLERANCE: f32 = 0.01;

/// Two small networks that read values, and nothing beside them.
fn options(steps: usize) -> FitOptions {
    let mut options = FitOptions {
        modalities: Modalities::LANGUAGE_ONLY,
        folds: Some(2),
        ..FitOptions::default()
    };
    options.encoders.text_weights = EncoderWeights::Random;
    options.training.steps = Some(steps);
    options
}

fn from(path: &Path, mut options: FitOptions) -> FitOptions {
    options.training.init_from = Some(path.to_owned());
    options
}

/// A model of twelve steps, and where it is.
fn started() -> (tempfile::TempDir, SeriesDataset, TimesClip) {
    let (folder, set) = (tempfile::tempdir().expect("a folder"), waves_but(None, 24));
    let model = TimesClip::fit(&set, &options(12)).expect("a fit");
    model
        .save(folder.path().join("model.safetensors"))
        .expect("saved");
    (folder, set, model)
}

fn farthest(a: &[Prediction], b: &[Prediction]) -> f32 {
    let rows = a.iter().zip(b);
    let rows = rows.flat_map(|(a, b)| a.probabilities.iter().zip(&b.probabilities));
    rows.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn networks_start_from_those_of_a_model() {
    let _turn = lock_generator();
    let (folder, set, model) = started();
    let mut still = from(folder.path(), options(1));
    still.training.learning_rate = Some(NO_RATE);
    let next = TimesClip::fit(&set, &still).expect("a fit");
    let [first, second] = [&model, &next].map(|model| model.predict(&set).expect("answers"));
    let far = farthest(&first, &second);
    assert!(
        far < TOLERANCE,
        "a step of no length moved answers by {far}"
    );
    // Each fold's network went on from its own: what it did not see, it still did not.
    let held_out = |model: &TimesClip| model.provenance().scores[0].log_loss;
    let moved = (held_out(&model) - held_out(&next)).abs();
    assert!(
        moved < f64::from(TOLERANCE),
        "held-out loss moved by {moved}"
    );

    let other = TimesClip::fit(&set, &options(1)).expect("a fit");
    let far = farthest(&first, &other.predict(&set).expect("answers"));
    assert!(
        far > 2.0 * TOLERANCE,
        "random weights answer like a model: {far}"
    );
}

#[test]
fn an_extension_trains_what_is_left() {
    let _turn = lock_generator();
    let (folder, set, _) = started();
    let mut longer = options(20);
    longer.compute.extends = Some(Extension {
        model: folder.path().join("model.safetensors"),
        left: TrainingLeft::Steps(8),
    });
    let (model, report) = TimesClip::fit_observed(&set, &longer, &mut ()).expect("a fit");
    let [short, whole] = [8, 20].map(|steps| {
        let (_, report) = TimesClip::fit_observed(&set, &options(steps), &mut ()).expect("a fit");
        report.network.expect("networks").folds[0].history.len()
    });
    let epochs = report.network.expect("networks").folds[0].history.len();
    assert!(epochs == short && epochs < whole, "{epochs} of {whole}");
    assert_eq!(
        model.options().training.steps,
        Some(20),
        "the model says what it had"
    );
}

#[test]
fn what_would_flatter_or_cannot_be_is_refused() {
    let _turn = lock_generator();
    let (folder, set, _) = started();
    let path = folder.path();
    let refused = |set: &SeriesDataset, options: &FitOptions, why: &str| {
        let error = TimesClip::fit(set, options).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    };
    let seen = "judged by what it has seen";
    let mut seed = from(path, options(1));
    seed.seed = 7;
    refused(&set, &seed, seen);
    let mut folds = from(path, options(1));
    folds.folds = Some(3);
    refused(&set, &folds, seen);
    // Other samples were seen by none of its networks.
    let others = set.subset(&(0..20).collect::<Vec<_>>()).expect("a set");
    TimesClip::fit(&others, &seed).expect("a fit to other samples");

    let mut wide = from(path, options(1));
    wide.network.d_model = Some(32);
    refused(&set, &wide, "are built otherwise");
    let samples = set.samples().to_vec();
    let renamed = vec!["fast".to_owned(), "slow".to_owned()];
    let renamed = SeriesDataset::new("renamed", renamed, samples).expect("a set");
    refused(&renamed, &from(path, options(1)), "has other classes");
    let mut kernels = from(path, options(1));
    kernels.modalities = Modalities::KERNELS_ONLY;
    refused(&set, &kernels, "has no network");
    let mut fast = from(path, options(1));
    fast.effort = Effort::Fast;
    refused(&set, &fast, "trains no network");

    let plain = FitOptions {
        modalities: Modalities::KERNELS_ONLY,
        ..FitOptions::default()
    };
    let plain = TimesClip::fit(&set, &plain).expect("a fit");
    let path = path.join("kernels.safetensors");
    plain.save(&path).expect("saved");
    refused(&set, &from(&path, options(1)), "holds no networks");
    let absent = from(&folder.path().join("absent.safetensors"), options(1));
    refused(&set, &absent, "the model to start from cannot be used");
}
