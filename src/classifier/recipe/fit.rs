//! From options and data to what a network is built of.

use super::Recipe;
use crate::classifier::FitError;
use crate::classifier::options::{
    Axis, EncoderWeights, FitOptions, NetworkOptions, Preset, Switch,
};
use crate::data::SeriesDataset;
use crate::data::normalize::{Normalization, Normalizer};
use crate::model::loss::TimesClipLoss;
use crate::model::{Freeze, TimesClipClassifierConfig};
use crate::raster::{PixelStatistics, PlotStyle, XSpan, YScale};
use crate::weights::Checkpoint;
use crate::weights::hub::{HubOptions, WeightsSource};

/// Tokens that the longest training series makes at most, where the patch length is left open.
const MOST_PATCHES: usize = 256;
/// Steps of a patch at least: the reference's patches.
const SHORTEST_PATCH: usize = 4;

/// Pretrained checkpoints that were found, not yet read.
#[derive(Debug, Default)]
pub(in crate::classifier) struct Pretrained {
    pub(in crate::classifier) vision: Option<Checkpoint>,
    pub(in crate::classifier) text: Option<Checkpoint>,
}

impl Pretrained {
    /// Finds the files of the pretrained weights, downloading them if a hub is named.
    pub(in crate::classifier) fn open(options: &FitOptions) -> Result<Self, FitError> {
        let (encoders, modalities) = (&options.encoders, options.modalities);
        let of = |weights: &EncoderWeights, option, wanted| match weights {
            EncoderWeights::Pretrained(source) if wanted => open(source, option).map(Some),
            _ => Ok(None),
        };
        Ok(Self {
            vision: of(
                &encoders.vision_weights,
                "the vision weights",
                modalities.has_vision(),
            )?,
            text: of(
                &encoders.text_weights,
                "the text weights",
                modalities.has_language(),
            )?,
        })
    }
}

fn open(source: &WeightsSource, option: &'static str) -> Result<Checkpoint, FitError> {
    let options = HubOptions {
        progress: true,
        ..HubOptions::from_env()?
    };
    Checkpoint::open(source.local(&options)?).map_err(|source| FitError::Weights { option, source })
}

impl Recipe {
    /// Fits everything but the weights to the training samples.
    pub(in crate::classifier) fn fit(
        set: &SeriesDataset,
        options: &FitOptions,
        pretrained: &Pretrained,
    ) -> Result<Self, FitError> {
        let model = model(set, options, pretrained)?;
        let series = set.samples().iter().map(|sample| &sample.series);
        let style = PlotStyle {
            side_px: model.vision.side_px,
            y_scale: match options.pictures.y_axis {
                Axis::Series => YScale::Series,
                Axis::Training => YScale::fitted(set),
            },
            x_span: match options.pictures.x_axis {
                Axis::Series => XSpan::Finite,
                Axis::Training => XSpan::Steps(set.max_steps().max(2)),
            },
            ..PlotStyle::default()
        };
        Ok(Self {
            normalizer: Normalizer::fit(options.normalization, series)?,
            style,
            pixels: pixels(options, pretrained)?,
            model,
        })
    }
}

/// Sizes of the classifier: the preset's, the pretrained encoders', the options'.
fn model(
    set: &SeriesDataset,
    options: &FitOptions,
    pretrained: &Pretrained,
) -> Result<TimesClipClassifierConfig, FitError> {
    let (network, encoders) = (&options.network, &options.encoders);
    let mut config = preset(set, network).with_modalities(options.modalities.of_network());
    resize(&mut config, options, set.max_steps());
    if let Some(checkpoint) = &pretrained.vision {
        config.vision = checkpoint
            .vision_config()
            .map_err(|source| FitError::Weights {
                option: "the vision weights",
                source,
            })?;
    }
    if let Some(checkpoint) = &pretrained.text {
        let text = checkpoint
            .text_config()
            .map_err(|source| FitError::Weights {
                option: "the text weights",
                source,
            })?;
        config.language.transformer = text;
    }
    if let Some(side) = options.pictures.side {
        config.vision.side_px = side;
    }
    if let Some(tap) = encoders.tap {
        config.vision.tap = tap;
    }
    config.vision.tokens = encoders.tokens;
    let frozen = match pretrained.vision {
        Some(_) => Freeze::All,
        None => Freeze::None,
    };
    config.freeze_vision = encoders.freeze_vision.unwrap_or(frozen);
    config.freeze_text = encoders.freeze_text.unwrap_or(Freeze::None);
    let frozen = config.modalities.has_vision() && config.freeze_vision == Freeze::All;
    config.standardize_features =
        encoders.standardize == Switch::On || encoders.standardize == Switch::Auto && frozen;
    let statistics = options.normalization == Normalization::InstanceWithStatistics;
    match config.language.tokenizer.patches_mut() {
        Some(tokenizer) => tokenizer.statistics = statistics,
        None if statistics && config.modalities.has_language() => {
            let problem = "level and scale as a token need a language branch that reads patches";
            return Err(FitError::Options {
                problem: problem.to_owned(),
            });
        }
        None => {}
    }
    config.loss = TimesClipLoss::new()
        .with_contrastive_weight(options.training.contrastive_weight)
        .with_label_smoothing(options.training.label_smoothing)
        .with_class_weights(class_weights(set, options));
    config.validate()?;
    Ok(config)
}

/// The architecture that the rest starts from.
fn preset(set: &SeriesDataset, network: &NetworkOptions) -> TimesClipClassifierConfig {
    let (n_variates, n_classes) = (set.n_variates(), set.n_classes());
    match network.preset {
        Preset::Small if network.reads_patches() => {
            TimesClipClassifierConfig::new(n_variates, n_classes)
        }
        Preset::Small => {
            TimesClipClassifierConfig::convolutional(n_variates, n_classes, set.max_steps())
        }
        Preset::ClipVitB32 => TimesClipClassifierConfig::reference_vit_b_32(n_variates, n_classes),
        Preset::ClipVitB16 => TimesClipClassifierConfig::reference_vit_b_16(n_variates, n_classes),
        Preset::VitS14 => TimesClipClassifierConfig::vit_s_14(n_variates, n_classes),
    }
}

/// The options that change a preset's sizes.
fn resize(config: &mut TimesClipClassifierConfig, options: &FitOptions, longest: usize) {
    let network = &options.network;
    if let Some(tokenizer) = config.language.tokenizer.patches_mut() {
        if network.preset == Preset::Small {
            tokenizer.patch_len = longest.div_ceil(MOST_PATCHES).max(SHORTEST_PATCH);
            tokenizer.patch_stride = tokenizer.patch_len;
        }
        if let Some(patch_len) = network.patch_len {
            (tokenizer.patch_len, tokenizer.patch_stride) = (patch_len, patch_len);
        }
        tokenizer.patch_stride = network.patch_stride.unwrap_or(tokenizer.patch_stride);
        tokenizer.dropout = network.dropout.unwrap_or(tokenizer.dropout);
    }
    if let Some(d_model) = network.d_model {
        config.d_model = d_model;
    }
    let encoders = [
        &mut config.vision.transformer,
        &mut config.language.transformer,
    ];
    for transformer in encoders {
        if network.preset == Preset::Small
            && let Some(d_model) = network.d_model
        {
            (transformer.d_model, transformer.d_ff) = (d_model, 4 * d_model);
        }
        transformer.n_layers = network.n_layers.unwrap_or(transformer.n_layers);
        transformer.n_heads = network.n_heads.unwrap_or(transformer.n_heads);
        transformer.dropout = network.dropout.unwrap_or(transformer.dropout);
    }
    if let Some(dropout) = network.dropout {
        config.selection.dropout = dropout;
        config.head.dropout = dropout;
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "losses are of single precision"
)]
fn class_weights(set: &SeriesDataset, options: &FitOptions) -> Option<Vec<f32>> {
    let weights = options.class_weights.of(&set.class_counts())?;
    Some(weights.into_iter().map(|weight| weight as f32).collect())
}

/// How pixels are shifted and scaled: as the pretrained encoder was trained with. Random weights
/// learn faster where paper is zero: the positions are then not drowned by the white that all
/// patches share.
fn pixels(options: &FitOptions, pretrained: &Pretrained) -> Result<PixelStatistics, FitError> {
    let read = match &pretrained.vision {
        Some(checkpoint) => checkpoint
            .pixel_norm()
            .map_err(|source| FitError::Weights {
                option: "the vision weights",
                source,
            })?,
        None => None,
    };
    Ok(match (read, options.network.preset) {
        (Some(norm), _) => PixelStatistics {
            mean: norm.mean,
            std: norm.std,
        },
        (None, Preset::Small) if pretrained.vision.is_none() => PixelStatistics {
            mean: [1.0; 3],
            ..PixelStatistics::CLIP
        },
        (None, Preset::VitS14) => PixelStatistics::IMAGENET,
        (None, _) => PixelStatistics::CLIP,
    })
}
