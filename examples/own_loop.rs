//! The generic classifier on a backend of your choice, first with a loop of your own, then with the
//! crate's trainer: `cargo run --release --example own_loop`.
//!
//! `TimesClip` does all of this, and more, by itself. Start from here if your loop, your optimizer or
//! your backend is another.

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::tensor::ElementConversion;
use burn::tensor::backend::{AutodiffBackend, Backend};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use timesclip::Modalities;
use timesclip::SeriesDataset;
use timesclip::batch::{BatchSource, TimesClipBatcher};
use timesclip::cache::{BuildOptions, InMemoryImages};
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::data::split::{Split, SplitFractions, SplitOrder};
use timesclip::model::{TimesClipClassifier, TimesClipClassifierConfig};
use timesclip::raster::{Palette, PixelStatistics, PlotStyle, XSpan, YScale};
use timesclip::train::{Trainer, TrainingConfig, TrainingData, evaluate};

/// Any backend of Burn, with autodiff.
type MyBackend = Autodiff<burn_flex::Flex>;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const EPOCHS: usize = 3;
const BATCH: usize = 32;

fn main() -> Result<()> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data");
    let set = SeriesDataset::read(format!("{data}/JapaneseVowels_TRAIN.ts"))?;
    let fractions = SplitFractions {
        valid: 0.2,
        test: 0.0,
    };
    let split = Split::of(&set, fractions, SplitOrder::Stratified, 42)?;
    let config = TimesClipClassifierConfig::convolutional(
        set.n_variates(),
        set.n_classes(),
        set.max_steps(),
    );

    // What depends on data is fitted to training samples alone: statistics, axes of the plots.
    let train = set.subset(&split.train)?;
    let series = train.samples().iter().map(|sample| &sample.series);
    let normalizer = Normalizer::fit(Normalization::Dataset, series)?;
    let style = PlotStyle {
        side_px: config.vision.side_px,
        y_scale: YScale::fitted(&train),
        x_span: XSpan::Steps(train.max_steps()),
        ..PlotStyle::default()
    };
    // Paper is zero, which is what random weights learn best from.
    let pixels = PixelStatistics {
        mean: [1.0; 3],
        ..PixelStatistics::CLIP
    };

    // Pictures are drawn once; batches read them.
    let images = InMemoryImages::build(set, &style, BuildOptions::new())?;
    let batcher =
        TimesClipBatcher::new(normalizer, Modalities::DUAL).with_colors(Palette::default(), pixels);
    let source = BatchSource::new(&images, &batcher);

    let device = Default::default();
    MyBackend::seed(&device, 42);
    let model = config.init::<MyBackend>(&device);
    let model = own_loop(model, source, &split, &device)?;
    let scores = evaluate(&model.valid(), source, &split.valid, BATCH, &device)?;
    println!("own loop: {:.3}", scores.accuracy().unwrap_or_default());

    // The same with the trainer: shuffled, scheduled, clipped, the best epoch kept.
    let training = TrainingConfig::for_samples(split.train.len()).with_steps(Some(60));
    let samples = TrainingData::new(source, &split.train, &split.valid);
    let model = config.init::<MyBackend>(&device);
    let trained = Trainer::new(&training, samples, &device)?.fit(model, &mut ())?;
    let scores = evaluate(&trained.model, source, &split.valid, BATCH, &device)?;
    println!("trainer:  {:.3}", scores.accuracy().unwrap_or_default());
    Ok(())
}

/// A few epochs of AdamW.
fn own_loop<B: AutodiffBackend>(
    mut model: TimesClipClassifier<B>,
    source: BatchSource<'_>,
    split: &Split,
    device: &B::Device,
) -> Result<TimesClipClassifier<B>> {
    let mut optimizer = AdamWConfig::new().init();
    let (mut generator, mut order) = (ChaCha8Rng::seed_from_u64(42), split.train.clone());
    for epoch in 1..=EPOCHS {
        order.shuffle(&mut generator);
        let mut sum = 0.0;
        for indices in order.chunks(BATCH) {
            let batch = source.gather(indices)?.into_tensors::<B>(device);
            // One forward pass gives loss, logits, embeddings and attention.
            let step = model.forward_classification(batch.input, batch.targets);
            let loss: f64 = step.loss.total.clone().into_scalar().elem();
            sum += loss * indices.len() as f64;
            let gradients = GradientsParams::from_grads(step.loss.total.backward(), &model);
            model = optimizer.step(2e-3, model, gradients);
        }
        println!("epoch {epoch}: loss {:.3}", sum / order.len() as f64);
    }
    Ok(model)
}
