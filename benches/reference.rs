//! The reference's job, from series to scores: 4000 samples of 14 variates and 37 steps are drawn,
//! seen once by a frozen ViT-B/16, learnt from for 8 epochs in batches of 64, and classified.
//!
//! ```text
//! TIMESCLIP_BENCH_BACKEND=cuda TIMESCLIP_BENCH_DTYPE=bf16 \
//!     cargo bench --bench reference --features cuda,fusion,autotune
//! ```
//!
//! On the CPU backend, in single precision, unless said otherwise. `TIMESCLIP_BENCH_SAMPLES` is
//! another number of samples, `TIMESCLIP_BENCH_PRESET` another model, `clip-vit-b-32` or `small`:
//! with few and small it runs on anything in a minute. `TIMESCLIP_BENCH_TOKENS=ink` leaves out the
//! tokens of blank patches.

#[path = "shared/settings.rs"]
mod settings;
#[path = "shared/walks.rs"]
mod walks;

use std::error::Error;
use std::time::Instant;

use burn::module::AutodiffModule;
use burn::tensor::DType;
use burn::tensor::backend::AutodiffBackend;
use timesclip::Modalities;
use timesclip::backend::{TrainingJob, train_on};
use timesclip::batch::{BatchSource, TimesClipBatcher};
use timesclip::cache::features::FeatureDtype;
use timesclip::cache::{BuildOptions, InMemoryImages};
use timesclip::data::SeriesDataset;
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::encode::FeatureEncoder;
use timesclip::metrics::ConfusionMatrix;
use timesclip::model::{Freeze, PatchTokens, TimesClipClassifierConfig};
use timesclip::raster::PlotStyle;
use timesclip::train::{Trainer, TrainingConfig, TrainingData, evaluate};

use walks::{N_CLASSES, walks};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const N_STEPS: usize = 37;
const N_VARIATES: usize = 14;
const EPOCHS: usize = 8;
const BATCH: usize = 64;

struct Job {
    set: SeriesDataset,
    config: TimesClipClassifierConfig,
    dtype: FeatureDtype,
}

/// Wall seconds since the last look.
struct Clock(Instant);

impl Clock {
    fn lap(&mut self) -> f64 {
        let lap = self.0.elapsed().as_secs_f64();
        self.0 = Instant::now();
        lap
    }
}

impl TrainingJob for Job {
    type Output = Result<(), Box<dyn Error>>;

    fn run<B: AutodiffBackend>(self, devices: &[B::Device]) -> Self::Output {
        let device = &devices[0];
        if !B::supports_dtype(device, DType::from(settings::float(self.dtype))) {
            return Err(format!("{device:?} does not compute in {}", self.dtype).into());
        }
        let (started, mut clock) = (Instant::now(), Clock(Instant::now()));
        let (set, config) = (self.set, self.config);
        let classes = set.class_names().to_vec();
        let all: Vec<usize> = (0..set.len()).collect();
        let series = set.samples().iter().map(|sample| &sample.series);
        let normalizer = Normalizer::fit(Normalization::Dataset, series)?;
        let batcher = TimesClipBatcher::new(normalizer, Modalities::DUAL);
        let style = PlotStyle {
            side_px: config.vision.side_px,
            ..PlotStyle::default()
        };
        let images = InMemoryImages::build(set, &style, BuildOptions::new())?;
        let drawing = clock.lap();

        let training = TrainingConfig::new()
            .with_epochs(EPOCHS)
            .with_batch_size(BATCH);
        B::seed(device, training.seed);
        let model = config.init::<B>(device);
        let model = model.with_frozen_precision(settings::float(self.dtype));
        let plain = model.valid();
        let tower = plain.frozen_vision().ok_or("the encoder is not frozen")?;
        let making = clock.lap();
        type Encoder<'a, B> = FeatureEncoder<'a, <B as AutodiffBackend>::InnerBackend>;
        let encoder = Encoder::<B>::new(tower, &images, &batcher, FeatureDtype::F16, device)?;
        let features = encoder.in_memory(BuildOptions::new())?;
        let source = BatchSource::new(&images, &batcher).with_features(&features)?;
        let encoding = clock.lap();

        let data = TrainingData::new(source, &all, &[]);
        let trained = Trainer::<B>::new(&training, data, device)?.fit(model, &mut ())?;
        let learning = clock.lap();
        let judged = evaluate(&trained.model, source, &all, BATCH, device)?;
        let pairs = judged.predictions.iter().map(|p| (p.target, p.predicted));
        let scores = ConfusionMatrix::new(classes.len(), pairs).summary(&classes);
        let judging = clock.lap();
        println!("| drawing | model | encoding | 8 epochs | judging | all |");
        println!("| --: | --: | --: | --: | --: | --: |");
        println!(
            "| {drawing:.1} s | {making:.1} s | {encoding:.1} s | {learning:.1} s | {judging:.1} s \
             | **{:.1} s** |",
            started.elapsed().as_secs_f64()
        );
        println!("training accuracy {:.3}", scores.accuracy.unwrap_or(0.0));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = settings::device()?;
    let n_samples = settings::value("TIMESCLIP_BENCH_SAMPLES", 4000_usize)?;
    let dtype = settings::value("TIMESCLIP_BENCH_DTYPE", FeatureDtype::F32)?;
    let preset = settings::value("TIMESCLIP_BENCH_PRESET", "clip-vit-b-16".to_owned())?;
    let config = match preset.as_str() {
        "clip-vit-b-16" => TimesClipClassifierConfig::reference_vit_b_16(N_VARIATES, N_CLASSES),
        "clip-vit-b-32" => TimesClipClassifierConfig::reference_vit_b_32(N_VARIATES, N_CLASSES),
        "small" => TimesClipClassifierConfig::new(N_VARIATES, N_CLASSES),
        other => return Err(format!("there is no preset {other:?}").into()),
    };
    let tokens = settings::value("TIMESCLIP_BENCH_TOKENS", PatchTokens::All)?;
    println!(
        "{n_samples} x {N_VARIATES} x {N_STEPS}, {preset} frozen in {dtype}, {tokens} tokens, on {device}\n"
    );
    let mut config = config.with_freeze_vision(Freeze::All);
    config.vision = config.vision.with_tokens(tokens);
    let job = Job {
        set: walks(n_samples, N_VARIATES, N_STEPS),
        config,
        dtype,
    };
    train_on(device.kind, &[device.index], job)?
}
