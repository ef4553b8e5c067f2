//! The frozen encoders whose features the closed form is fitted over.

use std::fmt;

use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};

use super::error::FitError;
use super::options::{EncoderWeights, FitOptions};
use crate::backend::{BackendError, BackendJob, ChosenDevice, run_on};
use crate::data::Series;
use crate::encode::{PlotAxes, PlotReader, PlotSeer};
use crate::raster::RasterError;

/// What a model file keeps of frozen encoders: which they are, and the axes that were fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EncoderState {
    /// The axes that series are drawn and read on.
    pub(super) axes: PlotAxes,
    /// Whether line plots are looked at.
    pub(super) vision: bool,
    /// Whether values are read.
    pub(super) language: bool,
    /// Hash of the encoders' files, as 16 hexadecimal digits.
    pub(super) files: String,
}

/// Frozen encoders on some backend.
pub(super) trait Encoders: fmt::Debug + Send + Sync {
    /// Features of one variate by each encoder, vision first.
    fn widths(&self) -> Vec<usize>;

    /// Features of series by each encoder, `[series, n_variates * width]`.
    fn features(&self, axes: &PlotAxes, series: &[&Series]) -> Result<Vec<Vec<f32>>, RasterError>;
}

#[derive(Debug)]
struct Pair<B: Backend> {
    vision: Option<PlotSeer<B>>,
    language: Option<PlotReader<B>>,
}

impl<B: Backend> Encoders for Pair<B> {
    fn widths(&self) -> Vec<usize> {
        let vision = self.vision.as_ref().map(PlotSeer::width);
        let language = self.language.as_ref().map(PlotReader::width);
        vision.into_iter().chain(language).collect()
    }

    fn features(&self, axes: &PlotAxes, series: &[&Series]) -> Result<Vec<Vec<f32>>, RasterError> {
        let vision = self.vision.as_ref().map(|seer| seer.features(axes, series));
        let language = self
            .language
            .as_ref()
            .map(|reader| reader.features(axes, series));
        vision.into_iter().chain(language).collect()
    }
}

impl EncoderState {
    /// The encoders that the options ask for, with axes fitted to the training series; `None` if
    /// they ask for none, or this build has none.
    pub(super) fn fit(series: &[&Series], options: &FitOptions) -> Option<Self> {
        let builtin = |weights: &EncoderWeights| *weights == EncoderWeights::Builtin;
        let (modalities, encoders) = (options.modalities, &options.encoders);
        let vision = modalities.has_vision() && builtin(&encoders.vision_weights);
        let language = modalities.has_language() && builtin(&encoders.text_weights);
        let files = files()?;
        (vision || language).then(|| Self {
            axes: PlotAxes::fit(series),
            vision,
            language,
            files,
        })
    }

    /// Loads the encoders onto a device.
    pub(super) fn load(&self, device: &ChosenDevice) -> Result<Box<dyn Encoders>, BackendError> {
        run_on(device.kind, &[device.index], Load(self))
    }

    /// Says what is wrong with these encoders in this build, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        match files() {
            None => Some("this build has none: cargo feature `builtin` is off".to_owned()),
            Some(files) if files != self.files => Some(format!(
                "it was fitted with those of hash {}, this release has {files}",
                self.files
            )),
            Some(_) => None,
        }
    }
}

/// Hash of the encoders in this build, if there are any.
fn files() -> Option<String> {
    #[cfg(feature = "builtin")]
    {
        use crate::weights::builtin::{READING, VISION};
        let mut hash = xxhash_rust::xxh3::Xxh3Default::new();
        hash.update(VISION);
        hash.update(READING);
        Some(format!("{:016x}", hash.digest()))
    }
    #[cfg(not(feature = "builtin"))]
    None
}

struct Load<'a>(
    #[cfg_attr(
        not(feature = "builtin"),
        expect(dead_code, reason = "there is nothing to load")
    )]
    &'a EncoderState,
);

impl BackendJob for Load<'_> {
    type Output = Box<dyn Encoders>;

    #[cfg(feature = "builtin")]
    fn run<B: Backend>(self, devices: &[B::Device]) -> Box<dyn Encoders> {
        use crate::weights::builtin;

        let Self(state) = self;
        let device = &devices[0];
        Box::new(Pair::<B> {
            vision: state
                .vision
                .then(|| PlotSeer::new(builtin::vision(device), device)),
            language: state
                .language
                .then(|| PlotReader::new(builtin::reading(device), device)),
        })
    }

    #[cfg(not(feature = "builtin"))]
    fn run<B: Backend>(self, _: &[B::Device]) -> Box<dyn Encoders> {
        // `fit` makes no state without the feature, and `problem` refuses one from elsewhere.
        Box::new(Pair::<B> {
            vision: None,
            language: None,
        })
    }
}

impl From<RasterError> for FitError {
    fn from(source: RasterError) -> Self {
        Self::Cache(crate::cache::CacheError::Raster { source })
    }
}
