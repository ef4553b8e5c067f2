//! What the networks of a model are built of: normalizer, plot style, sizes.

#[cfg(feature = "train")]
mod fit;

use burn::tensor::FloatDType;
use serde::{Deserialize, Serialize};

use super::PredictError;
use crate::batch::TimesClipBatcher;
use crate::cache::features::FeatureDtype;
use crate::data::SeriesDataset;
use crate::data::normalize::Normalizer;
use crate::model::TimesClipClassifierConfig;
use crate::raster::{AxisReader, PixelStatistics, PlotStyle};

/// What the networks of a model are built of; the same for all of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    /// Normalization of the values, fitted to the training samples.
    pub(super) normalizer: Normalizer,
    /// How pictures are drawn.
    pub(super) style: PlotStyle,
    /// How pixels are shifted and scaled.
    pub(super) pixels: PixelStatistics,
    /// The classifier.
    pub(super) model: TimesClipClassifierConfig,
}

impl Recipe {
    /// What makes batches for these networks.
    pub(super) fn batcher(&self) -> TimesClipBatcher {
        let batcher = TimesClipBatcher::new(self.normalizer.clone(), self.model.modalities)
            .with_colors(self.style.palette.clone(), self.pixels);
        match self.model.language.tokenizer.n_points() {
            Some(n_points) if self.model.modalities.has_language() => {
                let axes = AxisReader::new(&self.style, n_points);
                batcher.with_points(axes.expect("the style is checked when it is fitted or read"))
            }
            _ => batcher,
        }
    }

    /// Refuses series that the networks cannot take.
    pub(super) fn check_steps(&self, set: &SeriesDataset) -> Result<(), PredictError> {
        let steps = set.samples().iter().map(|sample| sample.series.n_steps());
        let (low, high) = steps.fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
        Ok(self.model.check_steps(low, high)?)
    }
}

/// A precision as Burn names it.
pub(super) fn dtype(precision: FeatureDtype) -> FloatDType {
    match precision {
        FeatureDtype::F32 => FloatDType::F32,
        FeatureDtype::F16 => FloatDType::F16,
        FeatureDtype::Bf16 => FloatDType::BF16,
    }
}
