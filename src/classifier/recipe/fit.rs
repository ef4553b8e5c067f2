//! From options and data to what a network is built of.

use super::Recipe;
use crate::cache::CacheError;
use crate::classifier::FitError;
use crate::classifier::options::{Axis, FitOptions, NetworkOptions, Preset, Switch, Tokenizer};
use crate::classifier::pretrained::{Pretrained, TEXT_WEIGHTS, as_told, keeps_places};
use crate::data::SeriesDataset;
use crate::data::normalize::{Normalization, Normalizer};
use crate::model::loss::TimesClipLoss;
use crate::model::{
    Freeze, LanguageConfig, ReadingEncoderConfig, TimesClipClassifierConfig, TokenPooling,
    VisionEncoderConfig, VisionStem,
};
use crate::raster::{PixelStatistics, PlotStyle, XSpan, YScale};
use crate::weights::{Checkpoint, WeightsError};

/// Tokens that the longest training series makes at most, where the patch length is left open.
const MOST_PATCHES: usize = 256;
/// Steps of a patch at least: the reference's patches.
const SHORTEST_PATCH: usize = 4;

impl Recipe {
    /// Fits everything but the weights to the training samples.
    pub(in crate::classifier) fn fit(
        set: &SeriesDataset,
        options: &FitOptions,
        pretrained: &Pretrained,
    ) -> Result<Self, FitError> {
        let model = model(set, options, pretrained)?;
        let series = set.samples().iter().map(|sample| &sample.series);
        let style = style(set, options, &model.vision);
        style
            .validate()
            .map_err(|source| CacheError::Raster { source })?;
        Ok(Self {
            normalizer: Normalizer::fit(options.normalization, series)?,
            style,
            pixels: pixels(options, pretrained)?,
            model,
        })
    }
}

/// How the encoder's pictures are drawn: small pictures need a line that is wide enough, and what
/// looks at ink was trained on it.
fn style(set: &SeriesDataset, options: &FitOptions, vision: &VisionEncoderConfig) -> PlotStyle {
    let side_px = vision.side_px;
    let grid = matches!(vision.tap.pooling, TokenPooling::Grid { .. });
    let drawn = match vision.stem {
        VisionStem::Patches if !(grid && keeps_places(options, vision)) => PlotStyle {
            side_px,
            ..PlotStyle::default()
        },
        _ => PlotStyle::for_ink(side_px),
    };
    PlotStyle {
        y_scale: match options.pictures.y_axis {
            Axis::Series => YScale::Series,
            Axis::Training => YScale::fitted(set),
        },
        x_span: match options.pictures.x_axis {
            Axis::Series => XSpan::Finite,
            Axis::Training => XSpan::Steps(set.max_steps().max(2)),
        },
        ..drawn
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
    config.vision = match pretrained.vision_config(options)? {
        Some(vision) => vision,
        None => as_told(options, config.vision),
    };
    if let Some(checkpoint) = &pretrained.text {
        check_text(checkpoint, network)?;
        read_text_sizes(&mut config.language, checkpoint).map_err(|source| FitError::Weights {
            option: TEXT_WEIGHTS,
            source,
        })?;
    }
    let frozen = |pretrained: bool| match pretrained {
        true => Freeze::All,
        false => Freeze::None,
    };
    let points = config.language.tokenizer.n_points().is_some() && pretrained.text.is_some();
    config.freeze_vision = encoders
        .freeze_vision
        .unwrap_or(frozen(pretrained.vision.is_some()));
    config.freeze_text = encoders.freeze_text.unwrap_or(frozen(points));
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

/// Refuses a reading encoder for another tokenizer than its own, and the other way round.
fn check_text(checkpoint: &Checkpoint, network: &NetworkOptions) -> Result<(), FitError> {
    let reading = checkpoint.reading_config();
    let reading = reading.map_err(|source| FitError::Weights {
        option: TEXT_WEIGHTS,
        source,
    })?;
    let problem = match (reading.is_some(), network.reading() == Tokenizer::Points) {
        (true, false) => "the text weights are those of a reading encoder, which reads points",
        (false, true) => "the text weights are not those of a reading encoder: it reads no points",
        _ => return Ok(()),
    };
    Err(FitError::Options {
        problem: problem.to_owned(),
    })
}

/// Takes over the sizes of a pretrained text or reading encoder.
fn read_text_sizes(
    language: &mut LanguageConfig,
    checkpoint: &Checkpoint,
) -> Result<(), WeightsError> {
    match checkpoint.reading_config()? {
        Some(reading) => *language = LanguageConfig::of_points(&reading),
        None => language.transformer = checkpoint.text_config()?,
    }
    Ok(())
}

/// The architecture that the rest starts from.
fn preset(set: &SeriesDataset, network: &NetworkOptions) -> TimesClipClassifierConfig {
    type Config = TimesClipClassifierConfig;
    let (n_variates, n_classes) = (set.n_variates(), set.n_classes());
    let vision = match network.preset {
        Preset::ClipVitB32 => return Config::reference_vit_b_32(n_variates, n_classes),
        Preset::ClipVitB16 => return Config::reference_vit_b_16(n_variates, n_classes),
        Preset::Small => None,
        Preset::LinePlots => Some(VisionEncoderConfig::line_plots()),
        Preset::VitS14 => Some(VisionEncoderConfig::vit_s_14()),
    };
    let convolutional = Config::convolutional(n_variates, n_classes, set.max_steps());
    let config = match network.reading() {
        Tokenizer::Patches => Config::new(n_variates, n_classes),
        Tokenizer::Convolutions => convolutional,
        Tokenizer::Points => {
            convolutional.with_language(LanguageConfig::of_points(&ReadingEncoderConfig::new()))
        }
    };
    match vision {
        Some(vision) => config.with_vision(vision),
        None => config,
    }
}

/// The options that change a preset's sizes.
fn resize(config: &mut TimesClipClassifierConfig, options: &FitOptions, longest: usize) {
    let network = &options.network;
    if let Some(tokenizer) = config.language.tokenizer.patches_mut() {
        if !network.is_reference() {
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
    Ok(match (pretrained.pixels()?, options.network.preset) {
        (Some(pixels), _) => pixels,
        (None, Preset::Small) if pretrained.vision.is_none() => PixelStatistics {
            mean: [1.0; 3],
            ..PixelStatistics::CLIP
        },
        (None, Preset::VitS14) => PixelStatistics::IMAGENET,
        (None, _) => PixelStatistics::CLIP,
    })
}
