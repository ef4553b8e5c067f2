//! A data set type of another crate: made of its own records, drawn by its own means, trained on.

use std::borrow::Cow;
use std::ops::ControlFlow;

use timesclip::Modalities;
use timesclip::batch::BatchSource;
use timesclip::cache::{CacheError, CacheStats, CachedImageDataset, ImageKey};
use timesclip::data::{LabeledSeries, SampleError, SampleSource, Series, SeriesDataset};
use timesclip::raster::Rasterizer;
use timesclip::train::{EpochRecord, Trainer, TrainingConfig, TrainingData, TrainingObserver};

use crate::support::{AutodiffCpu, batcher, lock_generator, sines, tiny_model, tiny_style};

/// Series made when they are asked for, kept nowhere.
struct Generated {
    rasterizer: Rasterizer,
    key: ImageKey,
    n_samples: usize,
}

impl Generated {
    fn new(n_samples: usize) -> Self {
        let rasterizer = Rasterizer::new(tiny_style()).expect("a sound style");
        let key = ImageKey::of(&sines(n_samples), &tiny_style());
        Self {
            rasterizer,
            key,
            n_samples,
        }
    }

    fn make(&self, index: usize) -> Result<LabeledSeries, SampleError> {
        SampleError::check_index(index, self.n_samples)?;
        Ok(sines(index + 1).samples()[index].clone())
    }
}

impl SampleSource for Generated {
    fn n_samples(&self) -> usize {
        self.n_samples
    }

    fn n_variates(&self) -> usize {
        2
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, SampleError> {
        self.make(index).map(Cow::Owned)
    }
}

impl CachedImageDataset for Generated {
    fn side_px(&self) -> usize {
        self.rasterizer.style().side_px
    }

    fn masks_into(&self, index: usize, masks: &mut [u8]) -> Result<(), CacheError> {
        CacheError::check_masks(masks, self.n_variates(), self.side_px())?;
        let series: Series = self.make(index)?.series;
        let mut scratch = self.rasterizer.scratch();
        self.rasterizer.draw_series(&mut scratch, &series, masks);
        Ok(())
    }

    fn key(&self) -> ImageKey {
        self.key
    }

    fn stats(&self) -> CacheStats {
        CacheStats {
            kind: "generated",
            images: self.n_samples * 2,
            ..CacheStats::default()
        }
    }
}

/// Stops after the first step.
#[derive(Default)]
struct OneStep(Vec<f64>);

impl TrainingObserver for OneStep {
    fn on_step(&mut self, event: timesclip::train::StepEvent) -> ControlFlow<()> {
        self.0.push(event.loss);
        ControlFlow::Break(())
    }

    fn on_epoch(&mut self, _record: &EpochRecord) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[test]
fn a_foreign_data_set_takes_a_training_step() {
    let _turn = lock_generator();
    let images = Generated::new(12);
    let known: SeriesDataset = sines(12);
    let batcher = batcher(&known);
    let config = TrainingConfig::new().with_batch_size(6);
    let (train, device) = ((0..12).collect::<Vec<_>>(), Default::default());
    let source = BatchSource::new(&images, &batcher);
    let data = TrainingData::new(source, &train, &[]);
    let model = tiny_model(Modalities::DUAL).init::<AutodiffCpu>(&device);
    let mut observer = OneStep::default();
    let trainer = Trainer::<AutodiffCpu>::new(&config, data, &device).expect("sound numbers");
    trainer.fit(model, &mut observer).expect("one step");
    assert_eq!(observer.0.len(), 1);
    assert!(
        observer.0[0].is_finite() && observer.0[0] > 0.0,
        "a loss of {}",
        observer.0[0]
    );
}
