//! A data set type of your own: series made when they are asked for, pictures drawn by your own means,
//! checked by the public contract test, and trained on: `cargo run --release --example own_dataset`.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::backend::Autodiff;
use timesclip::Modalities;
use timesclip::batch::{BatchSource, TimesClipBatcher};
use timesclip::cache::{CacheError, CacheStats, CachedImageDataset, ImageKey, check_contract};
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::data::{SampleError, SampleSource};
use timesclip::model::TimesClipClassifierConfig;
use timesclip::raster::{PlotStyle, Rasterizer};
use timesclip::train::{EpochRecord, Trainer, TrainingConfig, TrainingData};
use timesclip::{LabeledSeries, Series};

const N_SAMPLES: usize = 40;
const N_STEPS: usize = 30;
const N_VARIATES: usize = 2;

/// Waves of two speeds, stored nowhere.
struct Waves {
    rasterizer: Rasterizer,
    key: ImageKey,
    drawn: AtomicU64,
}

impl Waves {
    fn new(style: PlotStyle) -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Self {
            // Equal keys stand for equal pictures.
            key: ImageKey::of_samples((0..N_SAMPLES).map(wave), &style),
            rasterizer: Rasterizer::new(style)?,
            drawn: AtomicU64::new(0),
        })
    }
}

fn wave(index: usize) -> LabeledSeries {
    let (label, phase) = (index % 2, index as f32 * 0.7);
    let speed = [0.3, 0.8][label];
    let values = (0..N_STEPS).flat_map(|step| {
        let angle = step as f32 * speed + phase;
        [angle.sin(), angle.cos()]
    });
    LabeledSeries {
        id: index as u64,
        series: Series::new(values.collect(), N_STEPS, N_VARIATES).expect("finite values"),
        label,
    }
}

impl SampleSource for Waves {
    fn n_samples(&self) -> usize {
        N_SAMPLES
    }

    fn n_variates(&self) -> usize {
        N_VARIATES
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, SampleError> {
        SampleError::check_index(index, N_SAMPLES)?;
        Ok(Cow::Owned(wave(index)))
    }
}

impl CachedImageDataset for Waves {
    fn side_px(&self) -> usize {
        self.rasterizer.style().side_px
    }

    fn masks_into(&self, index: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        CacheError::check_masks(masks, N_VARIATES, self.side_px())?;
        let series = self.sample(index)?.into_owned().series;
        let mut scratch = self.rasterizer.scratch();
        self.rasterizer.draw_series(&mut scratch, &series, masks);
        self.drawn.fetch_add(N_VARIATES as u64, Ordering::Relaxed);
        Ok(())
    }

    fn key(&self) -> ImageKey {
        self.key
    }

    fn stats(&self) -> CacheStats {
        CacheStats {
            kind: "waves",
            images: N_SAMPLES * N_VARIATES,
            drawn: self.drawn.load(Ordering::Relaxed),
            ..CacheStats::default()
        }
    }
}

/// Prints every epoch.
struct Print;

impl timesclip::train::TrainingObserver for Print {
    fn on_epoch(&mut self, record: &EpochRecord) -> ControlFlow<()> {
        let accuracy = record.valid_accuracy.unwrap_or_default();
        println!(
            "epoch {}: loss {:.3}, validation accuracy {accuracy:.2}",
            record.epoch, record.train_loss
        );
        ControlFlow::Continue(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = TimesClipClassifierConfig::convolutional(N_VARIATES, 2, N_STEPS);
    let style = PlotStyle {
        side_px: config.vision.side_px,
        ..PlotStyle::default()
    };
    let images = Waves::new(style.clone())?;
    check_contract(&images, &style)?;

    let series: Vec<Series> = (0..N_SAMPLES).map(|index| wave(index).series).collect();
    let normalizer = Normalizer::fit(Normalization::Dataset, &series)?;
    let batcher = TimesClipBatcher::new(normalizer, Modalities::DUAL);
    let source = BatchSource::new(&images, &batcher);
    let (train, valid): (Vec<usize>, Vec<usize>) = (0..N_SAMPLES).partition(|index| index % 10 < 8);

    let device = Default::default();
    let training = TrainingConfig::for_samples(train.len()).with_steps(Some(20));
    let data = TrainingData::new(source, &train, &valid);
    let model = config.init::<Autodiff<burn_flex::Flex>>(&device);
    Trainer::new(&training, data, &device)?.fit(model, &mut Print)?;
    Ok(())
}
