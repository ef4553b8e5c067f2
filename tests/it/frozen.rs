//! Frozen encoders: what is held is held, what learns learns, and a picture's features are its own.

use burn::module::{AutodiffModule, Module, ModuleVisitor, Param};
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::backend::Backend;
use burn::tensor::{FloatDType, Tensor};
use timesclip::Modalities;
use timesclip::batch::{BatchSource, HostBatch};
use timesclip::cache::UncachedImages;
use timesclip::model::{
    Freeze, TimesClipClassifier, TimesClipClassifierConfig, TokenPooling, VisionInput, VisionTap,
};

use crate::support::{AutodiffCpu, Cpu, batcher, lock_generator, sines, tiny_model, tiny_style};

fn batch(indices: &[usize]) -> HostBatch {
    let images = UncachedImages::new(sines(24), &tiny_style()).expect("a sound style");
    let batcher = batcher(&sines(24));
    let source = BatchSource::new(&images, &batcher);
    source.gather(indices).expect("a batch")
}

/// Names of the parameters that take a gradient in one step, and of all that are visited.
fn gradients(model: &TimesClipClassifier<AutodiffCpu>) -> (Vec<String>, Vec<String>) {
    let batch = batch(&[0, 1, 2, 3]).into_tensors::<AutodiffCpu>(&Default::default());
    let step = model.forward_classification(batch.input, batch.targets);
    let gradients = GradientsParams::from_grads(step.loss.total.backward(), model);
    let mut names = Names {
        gradients: &gradients,
        path: Vec::new(),
        with: Vec::new(),
        all: Vec::new(),
    };
    model.visit(&mut names);
    (names.with, names.all)
}

struct Names<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    with: Vec<String>,
    all: Vec<String>,
}

impl ModuleVisitor<AutodiffCpu> for Names<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<AutodiffCpu, D>>) {
        let name = self.path.join(".");
        if self.gradients.get::<Cpu, D>(param.id).is_some() {
            self.with.push(name.clone());
        }
        self.all.push(name);
    }
}

fn two_layers(mode: Modalities) -> TimesClipClassifierConfig {
    let mut config = tiny_model(mode);
    config.vision.transformer.n_layers = 2;
    config.language.transformer.n_layers = 2;
    config
}

fn init(config: &TimesClipClassifierConfig) -> TimesClipClassifier<AutodiffCpu> {
    AutodiffCpu::seed(&Default::default(), 1);
    let model = config.init::<AutodiffCpu>(&Default::default());
    let plain = model.valid();
    model.with_fixed_of(&plain)
}

#[test]
fn a_frozen_vision_encoder_has_no_gradients_and_no_place_in_records() {
    let _turn = lock_generator();
    let config = two_layers(Modalities::DUAL);
    let (loose, held) = (
        init(&config),
        init(&config.clone().with_freeze_vision(Freeze::All)),
    );
    let (with, all) = gradients(&held);
    assert!(
        !all.iter().any(|name| name.contains("vision_model")),
        "{all:?}"
    );
    assert_eq!(with.len(), all.len(), "everything visited learns");
    let (count, loose) = (held.parameter_count(), loose.parameter_count());
    assert_eq!(count.total, loose.total);
    assert_eq!(count.trainable + count.frozen, count.total);
    assert_eq!((loose.trainable, loose.frozen), (loose.total, 0));
    assert!(count.frozen > 5000, "{count:?}");
}

#[test]
fn a_step_moves_what_learns_and_leaves_a_frozen_encoder_bit_for_bit() {
    let _turn = lock_generator();
    let model = init(&two_layers(Modalities::DUAL).with_freeze_vision(Freeze::All));
    let logits = |model: &TimesClipClassifier<AutodiffCpu>| {
        let batch = batch(&[0, 1]).into_tensors::<Cpu>(&Default::default());
        let logits = model.valid().forward(batch.input).logits;
        logits
            .into_data()
            .to_vec::<f32>()
            .expect("single precision")
    };
    let fingerprint = |model: &TimesClipClassifier<AutodiffCpu>| {
        model.frozen_vision().expect("frozen").fingerprint()
    };
    let before = (logits(&model), fingerprint(&model));
    let batch = batch(&[0, 1, 2, 3]).into_tensors::<AutodiffCpu>(&Default::default());
    let step = model.forward_classification(batch.input, batch.targets);
    let gradients = GradientsParams::from_grads(step.loss.total.backward(), &model);
    let model = AdamWConfig::new().init().step(1e-2, model, gradients);
    assert_ne!(logits(&model), before.0);
    assert_eq!(fingerprint(&model), before.1);
}

#[test]
fn the_first_blocks_can_be_held_alone() {
    let _turn = lock_generator();
    let config = two_layers(Modalities::DUAL)
        .with_freeze_vision(Freeze::Layers(1))
        .with_freeze_text(Freeze::Layers(1));
    let (with, all) = gradients(&init(&config));
    for held in [
        "vision.vision_model.embeddings",
        "vision.vision_model.pre_layrnorm",
        "vision.vision_model.encoder.layers.0",
        "language.text_model.encoder.layers.0",
    ] {
        assert!(all.iter().any(|name| name.starts_with(held)), "no {held}");
        assert!(
            !with.iter().any(|name| name.starts_with(held)),
            "{held} learns"
        );
    }
    for loose in [
        "vision.vision_model.encoder.layers.1",
        "vision.vision_model.post_layernorm",
        "language.text_model.encoder.layers.1",
        "language.text_model.final_layer_norm",
    ] {
        assert!(
            with.iter().any(|name| name.starts_with(loose)),
            "{loose} is held"
        );
    }
}

#[test]
fn gradients_pass_through_a_frozen_text_encoder_to_the_tokenizer() {
    let _turn = lock_generator();
    let config = two_layers(Modalities::LANGUAGE_ONLY).with_freeze_text(Freeze::All);
    let (with, _) = gradients(&init(&config));
    let learns = |prefix: &str| with.iter().any(|name| name.starts_with(prefix));
    assert!(!learns("language.text_model"), "{with:?}");
    assert!(learns("language.tokenizer.projection"), "{with:?}");
}

/// Features of every sample on its own, in a batch of all, and in another order.
#[test]
fn features_of_a_picture_do_not_depend_on_its_batch_in_any_bit() {
    let _turn = lock_generator();
    let mut config = two_layers(Modalities::VISION_ONLY).with_freeze_vision(Freeze::All);
    // Wide enough for products that are cut into blocks and spread over threads.
    config.vision.transformer.d_model = 96;
    config.vision.transformer.d_ff = 384;
    config.vision.side_px = 32;
    let model = init(&config);
    let features = |indices: &[usize]| {
        let input = batch(indices).into_tensors::<AutodiffCpu>(&Default::default());
        let vision = input.input.vision.expect("pictures");
        let branch = model.vision.as_ref().expect("a vision branch");
        let [n, n_variates, width] = branch.features(vision.clone()).dims();
        let values = branch.features(vision).into_data();
        let values: Vec<f32> = values.to_vec().expect("single precision");
        assert_eq!(n, indices.len());
        values
            .chunks(n_variates * width)
            .map(<[f32]>::to_vec)
            .collect::<Vec<_>>()
    };
    let all = features(&(0..24).collect::<Vec<_>>());
    let backwards = features(&(0..24).rev().collect::<Vec<_>>());
    for i in 0..24 {
        assert_eq!(features(&[i])[0], all[i], "sample {i} alone");
        assert_eq!(backwards[23 - i], all[i], "sample {i} from behind");
    }
}

/// Largest difference of features from those in single precision, in standard deviations of the features:
/// three times what `cargo bench --bench precision` measured for the small encoder. An operation that
/// loses more than its rounding, or another encoder, is far above.
const HALF_PRECISION: [(FloatDType, f32); 2] = [(FloatDType::F16, 0.1), (FloatDType::BF16, 0.7)];

#[test]
fn features_in_half_precision_stay_near_those_in_single_precision() {
    let _turn = lock_generator();
    let config = two_layers(Modalities::VISION_ONLY).with_freeze_vision(Freeze::All);
    let plain = init(&config).valid();
    let tower = plain.frozen_vision().expect("a frozen encoder");
    let features = |dtype: FloatDType| -> Vec<f32> {
        let tower = tower.clone().with_frozen_precision(dtype);
        let batch = batch(&(0..24).collect::<Vec<_>>());
        match batch.into_tensors::<Cpu>(&Default::default()).input.vision {
            Some(VisionInput::Masks { masks, colors }) => {
                let features = tower.forward(masks, colors).into_data();
                features.to_vec().expect("single precision comes out")
            }
            other => panic!("no pictures, but {other:?}"),
        }
    };
    let exact = features(FloatDType::F32);
    let (width, n) = (16, exact.len() as f32);
    let mean_of = |i: usize| exact.iter().skip(i).step_by(width).sum::<f32>() * width as f32 / n;
    let mean: Vec<f32> = (0..width).map(mean_of).collect();
    let centered = exact.iter().zip(mean.iter().cycle()).map(|(x, m)| x - m);
    let std = (centered.map(|x| x * x).sum::<f32>() / n).sqrt();
    for (dtype, tolerance) in HALF_PRECISION {
        let found = features(dtype);
        let apart = exact.iter().zip(&found).map(|(a, b)| (a - b).abs());
        let largest = apart.fold(0.0, f32::max) / std;
        assert!(largest > 0.0, "{dtype:?} computes in single precision");
        assert!(largest < tolerance, "{dtype:?}: {largest} deviations");
    }
}

#[test]
fn the_fingerprint_knows_every_weight_and_the_tap() {
    let _turn = lock_generator();
    let config = two_layers(Modalities::VISION_ONLY).with_freeze_vision(Freeze::All);
    let of = |config: &TimesClipClassifierConfig| {
        init(config).frozen_vision().expect("frozen").fingerprint()
    };
    let base = of(&config);
    assert_eq!(of(&config), base, "the same weights");
    let mut tapped = config.clone();
    tapped.vision.tap = VisionTap {
        layer: Some(1),
        pooling: TokenPooling::Class,
    };
    assert_ne!(of(&tapped), base, "another tap");
    let model = init(&config);
    let mut encoder = model.frozen_vision().expect("frozen").encoder();
    let norm = &mut encoder.post_layernorm;
    norm.gamma = norm.gamma.clone().map(|gamma| {
        let mut values = [1.0; 16];
        values[3] += f32::EPSILON;
        Tensor::from_floats(values, &gamma.device())
    });
    let changed = model.with_vision_encoder(encoder);
    assert_ne!(changed.frozen_vision().expect("frozen").fingerprint(), base);
}

#[test]
fn taps_take_what_they_say() {
    let _turn = lock_generator();
    let mut config = two_layers(Modalities::VISION_ONLY);
    let encoder = |config: &TimesClipClassifierConfig| {
        Cpu::seed(&Default::default(), 3);
        config.vision.init::<Cpu>(&Default::default())
    };
    let pixels = || Tensor::<Cpu, 4>::ones([2, 3, 32, 32], &Default::default()) * 0.3;
    let states = encoder(&config).hidden_states(pixels());
    assert_eq!(states.len(), 3);
    let take = |config: &TimesClipClassifierConfig| encoder(config).forward_pixels(pixels());
    config.vision.tap.pooling = TokenPooling::Both;
    config.vision.tap.layer = Some(1);
    let taken = take(&config);
    assert_eq!(taken.dims(), [2, 32]);
    let class = states[1].clone().slice([0..2, 0..1]).reshape([2, 16]);
    let mean = states[1]
        .clone()
        .slice([0..2, 1..17])
        .mean_dim(1)
        .reshape([2, 16]);
    let expected = Tensor::cat(vec![class, mean], 1).into_data();
    taken.into_data().assert_eq(&expected, true);
    // The last block's tokens pass the last norm, named or not.
    config.vision.tap.pooling = TokenPooling::Class;
    config.vision.tap.layer = Some(2);
    let named = take(&config).into_data();
    config.vision.tap.layer = None;
    named.assert_eq(&take(&config).into_data(), true);
}

#[test]
#[should_panic(expected = "the vision encoder learns: it needs pictures")]
fn features_are_refused_by_an_encoder_that_learns() {
    let model = init(&two_layers(Modalities::VISION_ONLY));
    let features = Tensor::zeros([1, 2, 16], &Default::default());
    let branch = model.vision.as_ref().expect("a vision branch");
    let _ = branch.forward(VisionInput::Features(features));
}
