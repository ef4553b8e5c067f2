//! Pretrained encoders of one's own: their files, and how the vision encoder is read.

use super::FitError;
use super::options::{EncoderWeights, FitOptions, Preset, Tokenizer};
use crate::model::{VisionEncoderConfig, VisionStem};
use crate::raster::PixelStatistics;
use crate::weights::Checkpoint;
use crate::weights::hub::{HubOptions, WeightsSource};

/// What errors call the weights.
pub(super) const VISION_WEIGHTS: &str = "the vision weights";
pub(super) const TEXT_WEIGHTS: &str = "the text weights";

/// Pretrained checkpoints that were found, not yet read.
#[derive(Debug, Default)]
pub(super) struct Pretrained {
    pub(super) vision: Option<Checkpoint>,
    #[cfg_attr(
        not(feature = "train"),
        expect(dead_code, reason = "networks alone read with it")
    )]
    pub(super) text: Option<Checkpoint>,
}

impl Pretrained {
    /// Finds the files of the pretrained weights, downloading them if a hub is named.
    pub(super) fn open(options: &FitOptions) -> Result<Self, FitError> {
        let (encoders, modalities) = (&options.encoders, options.modalities);
        let of = |weights: &EncoderWeights, option, builtin: bool, wanted| match weights {
            EncoderWeights::Pretrained(source) if wanted => open(source, option).map(Some),
            EncoderWeights::Builtin if wanted && builtin => builtin_file(option).map(Some),
            _ => Ok(None),
        };
        let sees = options.network.preset == Preset::LinePlots;
        let reads = options.network.reading() == Tokenizer::Points;
        let (vision, text) = (&encoders.vision_weights, &encoders.text_weights);
        Ok(Self {
            vision: of(vision, VISION_WEIGHTS, sees, modalities.has_vision())?,
            text: of(text, TEXT_WEIGHTS, reads, modalities.has_language())?,
        })
    }

    /// Sizes of the vision encoder, and where it is tapped, if it is pretrained.
    pub(super) fn vision_config(
        &self,
        options: &FitOptions,
    ) -> Result<Option<VisionEncoderConfig>, FitError> {
        let config = self.vision.as_ref().map(Checkpoint::vision_config);
        let config = config.transpose().map_err(|source| FitError::Weights {
            option: VISION_WEIGHTS,
            source,
        })?;
        Ok(config.map(|vision| {
            let places = keeps_places(options, &vision);
            let vision = match places {
                true => vision.keeping_places(),
                false => vision,
            };
            as_told(options, vision)
        }))
    }

    /// How pixels are shifted and scaled for it, if its files say so.
    pub(super) fn pixels(&self) -> Result<Option<PixelStatistics>, FitError> {
        let norm = self.vision.as_ref().map(Checkpoint::pixel_norm).transpose();
        let norm = norm.map_err(|source| FitError::Weights {
            option: VISION_WEIGHTS,
            source,
        })?;
        Ok(norm.flatten().map(|norm| PixelStatistics {
            mean: norm.mean,
            std: norm.std,
        }))
    }
}

/// The file of a built-in encoder.
fn builtin_file(option: &'static str) -> Result<Checkpoint, FitError> {
    #[cfg(feature = "builtin")]
    {
        use crate::weights::builtin::{reading_file, vision_file};
        Ok(match option {
            VISION_WEIGHTS => vision_file(),
            _ => reading_file(),
        })
    }
    #[cfg(not(feature = "builtin"))]
    Err(FitError::Options {
        problem: format!(
            "{option}: this build has no built-in encoders, cargo feature `builtin` is off"
        ),
    })
}

fn open(source: &WeightsSource, option: &'static str) -> Result<Checkpoint, FitError> {
    let options = HubOptions {
        progress: true,
        ..HubOptions::from_env()?
    };
    Checkpoint::open(source.local(&options)?).map_err(|source| FitError::Weights { option, source })
}

/// Whether a pretrained encoder of photographs is read in a grid of places, of small pictures with a
/// clear line. In the reference's presets, and wherever size or tap are told, it is not.
pub(super) fn keeps_places(options: &FitOptions, vision: &VisionEncoderConfig) -> bool {
    let told = options.pictures.side.is_some() || options.encoders.tap.is_some();
    vision.stem == VisionStem::Patches && !options.network.is_reference() && !told
}

/// A vision encoder with the size of pictures, the tap and the tokens that the options tell.
pub(super) fn as_told(
    options: &FitOptions,
    mut vision: VisionEncoderConfig,
) -> VisionEncoderConfig {
    if let Some(side) = options.pictures.side {
        vision.side_px = side;
    }
    if let Some(tap) = options.encoders.tap {
        vision.tap = tap;
    }
    vision.tokens = options.encoders.tokens;
    vision
}
