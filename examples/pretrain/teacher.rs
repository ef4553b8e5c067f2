//! What the teacher says of every curve: computed once, kept in a feature store, standardized.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context, Result};
use burn::tensor::backend::Backend;
use timesclip::Modalities;
use timesclip::batch::TimesClipBatcher;
use timesclip::cache::BuildOptions;
use timesclip::cache::features::{FeatureDtype, FeatureStore};
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::encode::FeatureEncoder;
use timesclip::model::{TokenPooling, VisionTap, VisionTower};
use timesclip::raster::{Palette, PixelStatistics};
use timesclip::weights::Checkpoint;

use crate::Args;
use crate::curves::Curves;

/// Rows and columns of tokens.
pub(crate) const GRID: usize = 8;
/// Tokens of a picture.
pub(crate) const TOKENS: usize = GRID * GRID;
/// Block of the teacher whose tokens are learned.
const LAYER: usize = 8;
/// Curves that the teacher's numbers are standardized by.
const STANDARD: usize = 512;

/// The tokens of all curves.
pub(crate) struct Teacher {
    store: FeatureStore,
    /// Mean and standard deviation of each number.
    standard: Vec<[f32; 2]>,
}

impl Teacher {
    /// Opens the tokens in the output folder, after computing what is not there.
    pub(crate) fn open<B: Backend>(
        args: &Args,
        curves: &Curves,
        device: &B::Device,
    ) -> Result<Self> {
        let checkpoint = Checkpoint::open(&args.teacher)?;
        let mut config = checkpoint.vision_config()?;
        config.side_px = GRID * config.image_patch_size;
        config.tap = VisionTap {
            layer: Some(LAYER),
            pooling: TokenPooling::Grid {
                rows: GRID,
                columns: GRID,
            },
        };
        let norm = checkpoint.pixel_norm()?;
        let norm = norm.context("the teacher does not say what it expects of pixels")?;
        let encoder = checkpoint.load_vision::<B>(&config, device)?;
        let tower = VisionTower::frozen(encoder);
        let pictures = curves.pictures(config.side_px)?;
        // Nothing reads the values, but a batcher has something to normalize by.
        let unit = Normalizer::fit(Normalization::Dataset, [curves.first()])?;
        let statistics = PixelStatistics {
            mean: norm.mean,
            std: norm.std,
        };
        let batcher = TimesClipBatcher::new(unit, Modalities::VISION_ONLY)
            .with_colors(Palette::new(vec![[0; 3]]), statistics);
        let encoder = FeatureEncoder::new(&tower, &pictures, &batcher, FeatureDtype::F16, device)?;
        let started = Instant::now();
        let options = BuildOptions::new().with_progress(|progress| {
            if progress.done % 1024 == 0 {
                let seconds = started.elapsed().as_secs();
                println!(
                    "teacher   {} of {} in {seconds} s",
                    progress.done, progress.total
                );
            }
            ControlFlow::Continue(())
        });
        let store = encoder.open_or_build(&args.out, options)?;
        let standard = standard(&store)?;
        Ok(Self { store, standard })
    }

    /// Width of a token.
    pub(crate) fn width(&self) -> usize {
        self.standard.len()
    }

    /// Number of curves.
    pub(crate) fn n_curves(&self) -> usize {
        self.store.n_samples()
    }

    /// Appends the tokens of a curve, standardized, `[TOKENS, width]`.
    pub(crate) fn tokens(&self, index: usize, tokens: &mut Vec<f32>) -> Result<()> {
        let start = tokens.len();
        tokens.resize(start + TOKENS * self.width(), 0.0);
        let tokens = &mut tokens[start..];
        self.store.features_into(index, tokens)?;
        for token in tokens.chunks_exact_mut(self.width()) {
            for (value, [mean, std]) in token.iter_mut().zip(&self.standard) {
                *value = (*value - mean) / std;
            }
        }
        Ok(())
    }
}

/// Mean and standard deviation of each of the numbers of a token.
fn standard(store: &FeatureStore) -> Result<Vec<[f32; 2]>> {
    let width = store.width() / TOKENS;
    let mut sums = vec![[0.0_f64; 2]; width];
    let mut tokens = vec![0.0; store.width()];
    let n_curves = STANDARD.min(store.n_samples());
    for index in 0..n_curves {
        store.features_into(index, &mut tokens)?;
        for (i, value) in tokens.iter().enumerate() {
            let value = f64::from(*value);
            let sum = &mut sums[i % width];
            *sum = [sum[0] + value, sum[1] + value * value];
        }
    }
    let n = (n_curves * TOKENS) as f64;
    let standard = sums.into_iter().map(|[sum, squares]| {
        let mean = sum / n;
        let variance = (squares / n - mean * mean).max(1e-12);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "features are of single precision"
        )]
        let moments = [mean as f32, variance.sqrt() as f32];
        moments
    });
    Ok(standard.collect())
}
