//! The frozen encoders whose features the closed form is fitted over.

use std::fmt;

use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::error::FitError;
use super::looks::{Encoded, Looks};
use super::options::{EncoderWeights, FitOptions};
use super::pretrained::{Pretrained, VISION_WEIGHTS};
use crate::backend::{BackendError, BackendJob, ChosenDevice, run_on};
use crate::data::Series;
use crate::encode::{PlotAxes, PlotReader, PlotSeer};
use crate::model::VisionEncoderConfig;
use crate::raster::{PixelStatistics, RasterError};
use crate::weights::{Checkpoint, NamedTensor, WeightsError, vision_tensors};

/// Where a pretrained vision encoder is in a model file.
const PREFIX: &str = "encoder.vision.vision_model.";

/// What a model file keeps of frozen encoders: which they are, and the axes that were fitted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EncoderState {
    /// What they look at.
    pub(super) looks: Looks,
    /// What looks at line plots, if anything does.
    pub(super) vision: Option<Seeing>,
    /// Whether values are read.
    pub(super) language: bool,
    /// Hash of the built-in encoders' files, as 16 hexadecimal digits, if one of them is used.
    pub(super) files: Option<String>,
}

/// What looks at line plots.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Seeing {
    /// The encoder that comes with the crate.
    Builtin,
    /// Another one, whose weights are in the model file.
    Pretrained {
        config: VisionEncoderConfig,
        pixels: PixelStatistics,
    },
}

impl PartialEq for Seeing {
    fn eq(&self, other: &Self) -> bool {
        let text = |seeing: &Self| serde_json::to_string(seeing).unwrap_or_default();
        text(self) == text(other)
    }
}

/// Frozen encoders on some backend.
pub(super) trait Encoders: fmt::Debug + Send + Sync {
    /// Features of one variate by each encoder, vision first, and how many of them are of one place.
    fn widths(&self) -> Vec<(usize, usize)>;

    /// Features of series by each encoder.
    fn features(&self, axes: &PlotAxes, series: &[&Series]) -> Encoded;

    /// The weights that a model file must have: those of no built-in encoder.
    fn tensors(&self) -> Vec<NamedTensor>;
}

#[derive(Debug)]
struct Pair<B: Backend> {
    vision: Option<PlotSeer<B>>,
    language: Option<PlotReader<B>>,
    /// Whether the weights of what sees are nowhere else.
    keeps_vision: bool,
}

impl<B: Backend> Encoders for Pair<B> {
    fn widths(&self) -> Vec<(usize, usize)> {
        let vision = self.vision.as_ref();
        let vision = vision.map(|seer| (seer.width(), seer.d_place()));
        let language = self.language.as_ref();
        let language = language.map(|reader| (reader.width(), reader.d_place()));
        vision.into_iter().chain(language).collect()
    }

    fn features(&self, axes: &PlotAxes, series: &[&Series]) -> Encoded {
        let vision = self.vision.as_ref().map(|seer| seer.features(axes, series));
        let language = self
            .language
            .as_ref()
            .map(|reader| reader.features(axes, series));
        vision.into_iter().chain(language).collect()
    }

    fn tensors(&self) -> Vec<NamedTensor> {
        let kept = self.vision.as_ref().filter(|_| self.keeps_vision);
        kept.map_or_else(Vec::new, |seer| vision_tensors(&seer.encoder(), PREFIX))
    }
}

impl EncoderState {
    /// The encoders that the options ask for, with axes fitted to the training series; `None` if
    /// they ask for none, or this build has none.
    pub(super) fn fit(
        series: &[&Series],
        options: &FitOptions,
        pretrained: &Pretrained,
    ) -> Result<Option<Self>, FitError> {
        let (modalities, encoders) = (options.modalities, &options.encoders);
        let (files, builtin) = (files(), EncoderWeights::Builtin);
        let vision = match &encoders.vision_weights {
            _ if !modalities.has_vision() => None,
            EncoderWeights::Random => None,
            EncoderWeights::Builtin => files.as_ref().map(|_| Seeing::Builtin),
            // The reference's encoders cost minutes, and its way of reading them says little.
            EncoderWeights::Pretrained(_) if options.network.is_reference() => None,
            EncoderWeights::Pretrained(_) => {
                let config = pretrained.vision_config(options)?;
                let pixels = pretrained.pixels()?.unwrap_or(PixelStatistics::CLIP);
                config.map(|config| Seeing::Pretrained { config, pixels })
            }
        };
        let language = modalities.has_language() && encoders.text_weights == builtin;
        let language = language && files.is_some();
        let uses_files = language || vision == Some(Seeing::Builtin);
        let some = language || vision.is_some();
        Ok(some.then(|| Self {
            looks: Looks::fit(series, modalities.has_kernels()),
            vision,
            language,
            files: files.filter(|_| uses_files),
        }))
    }

    /// Loads the encoders onto a device; a pretrained one comes from `weights`.
    pub(super) fn load(
        &self,
        weights: Option<VisionWeights<'_>>,
        device: &ChosenDevice,
    ) -> Result<Box<dyn Encoders>, LoadError> {
        let job = Load {
            state: self,
            weights,
        };
        Ok(run_on(device.kind, &[device.index], job)??)
    }

    /// Refuses a state that no fit to series of so many variates makes.
    pub(super) fn check(&self, n_variates: usize) -> Result<(), String> {
        self.looks.check(n_variates)
    }

    /// Says what is wrong with these encoders in this build, if anything.
    pub(super) fn problem(&self) -> Option<String> {
        let fitted_with = self.files.as_ref()?;
        match files() {
            None => Some("this build has none: cargo feature `builtin` is off".to_owned()),
            Some(files) if files != *fitted_with => Some(format!(
                "it was fitted with those of hash {fitted_with}, this release has {files}"
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

/// Where the weights of a pretrained vision encoder are.
#[derive(Clone, Copy, Debug)]
pub(super) enum VisionWeights<'a> {
    /// In its own files.
    Files(&'a Checkpoint),
    /// In a model file.
    Model(&'a Checkpoint),
}

/// Why encoders cannot be loaded.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl From<LoadError> for FitError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Backend(error) => error.into(),
            LoadError::Weights(source) => Self::Weights {
                option: VISION_WEIGHTS,
                source,
            },
        }
    }
}

struct Load<'a> {
    state: &'a EncoderState,
    weights: Option<VisionWeights<'a>>,
}

impl BackendJob for Load<'_> {
    type Output = Result<Box<dyn Encoders>, WeightsError>;

    fn run<B: Backend>(self, devices: &[B::Device]) -> Self::Output {
        let (state, device) = (self.state, &devices[0]);
        let vision = match &state.vision {
            Some(Seeing::Builtin) => builtin_seer(device),
            Some(Seeing::Pretrained { config, pixels }) => {
                let encoder = match self.weights {
                    Some(VisionWeights::Files(checkpoint)) => {
                        Some(checkpoint.load_vision(config, device)?)
                    }
                    Some(VisionWeights::Model(checkpoint)) => {
                        Some(checkpoint.load_encoder(PREFIX, config, device)?)
                    }
                    None => None,
                };
                encoder.map(|encoder| PlotSeer::new(encoder, device).with_pixels(pixels))
            }
            None => None,
        };
        Ok(Box::new(Pair::<B> {
            vision,
            language: state.language.then(|| builtin_reader(device)).flatten(),
            keeps_vision: state.vision != Some(Seeing::Builtin),
        }))
    }
}

// `fit` makes no state of built-in encoders without the feature, and `problem` refuses one from
// elsewhere.
#[cfg_attr(
    feature = "builtin",
    expect(clippy::unnecessary_wraps, reason = "none in other builds")
)]
fn builtin_seer<B: Backend>(device: &B::Device) -> Option<PlotSeer<B>> {
    #[cfg(feature = "builtin")]
    return Some(PlotSeer::new(
        crate::weights::builtin::vision(device),
        device,
    ));
    #[cfg(not(feature = "builtin"))]
    {
        let _ = device;
        None
    }
}

#[cfg_attr(
    feature = "builtin",
    expect(clippy::unnecessary_wraps, reason = "none in other builds")
)]
fn builtin_reader<B: Backend>(device: &B::Device) -> Option<PlotReader<B>> {
    #[cfg(feature = "builtin")]
    return Some(PlotReader::new(
        crate::weights::builtin::reading(device),
        device,
    ));
    #[cfg(not(feature = "builtin"))]
    {
        let _ = device;
        None
    }
}

impl From<RasterError> for FitError {
    fn from(source: RasterError) -> Self {
        Self::Cache(crate::cache::CacheError::Raster { source })
    }
}
