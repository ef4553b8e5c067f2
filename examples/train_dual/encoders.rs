//! The flags about encoders: their sizes, pretrained weights, freezing, what is taken out of them.

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::backend::Backend;
use clap::ValueEnum;
use timesclip::cache::features::FeatureDtype;
use timesclip::model::{
    Freeze, ModelMode, TimesClipClassifier, TimesClipClassifierConfig, TokenPooling, VisionTap,
};
use timesclip::raster::PixelStatistics;
use timesclip::report::RunConfig;
use timesclip::weights::Checkpoint;
use timesclip::weights::hub::{HubOptions, WeightsSource};

/// What DINOv2 and most plain ViTs were trained with.
const IMAGENET: PixelStatistics = PixelStatistics {
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
};

/// The flags about encoders.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Encoders")]
pub(crate) struct EncoderArgs {
    /// Sizes of the encoders; the CLIP presets are the reference's architecture
    #[arg(long, value_enum, default_value = "small")]
    pub(crate) preset: Preset,
    /// Pretrained vision encoder, CLIP's or a plain ViT: a directory or file of Hugging Face's
    /// layout, or hf:OWNER/NAME. Its sizes take the place of the preset's
    #[arg(long, value_name = "PATH|hf:NAME")]
    vision_weights: Option<WeightsSource>,
    /// Pretrained text encoder, likewise
    #[arg(long, value_name = "PATH|hf:NAME")]
    text_weights: Option<WeightsSource>,
    /// What is held as it is: `vision`, `text`, `vision:N` or `text:N` for the first N blocks,
    /// several with commas, or `none` [default: the vision encoder, if its weights are given]
    #[arg(long, value_name = "WHAT")]
    freeze: Option<FreezeFlag>,
    /// Block of the vision encoder whose tokens are taken, counted from 1 [default: the last]
    #[arg(long, value_name = "BLOCK")]
    tap_layer: Option<usize>,
    /// Tokens of it that are taken
    #[arg(long, value_enum, default_value = "class")]
    tap_tokens: TapTokens,
    /// Whether features of a frozen vision encoder are standardised by the training samples; `auto`
    /// does so where the encoder is frozen
    #[arg(long, value_enum, default_value = "auto")]
    standardize: Switch,
    /// Width and height of pictures in pixels; pretrained positions are resized
    /// [default: the encoder's]
    #[arg(long, value_name = "PX")]
    side: Option<usize>,
    /// What a frozen vision encoder computes in: f32, f16 or bf16; half precisions are for GPUs
    #[arg(long, default_value = "f32")]
    pub(crate) frozen_precision: FeatureDtype,
    /// Whether the outputs of a frozen vision encoder are kept, so that epochs need not run it;
    /// with `--cache disk` in files that later runs find
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) feature_cache: Switch,
    /// How they are kept: f32, f16 or bf16
    #[arg(long, default_value = "f32")]
    pub(crate) feature_dtype: FeatureDtype,
}

impl EncoderArgs {
    /// Refuses flags about an encoder that a model of this mode does not have.
    pub(crate) fn check(&self, mode: ModelMode) -> Result<()> {
        let held = self.freeze.unwrap_or_default();
        let of_vision = [
            ("--vision-weights", self.vision_weights.is_some()),
            ("--freeze vision", held.vision != Freeze::None),
            ("--standardize on", self.standardize == Switch::On),
            ("--side", self.side.is_some()),
            ("--tap-layer", self.tap_layer.is_some()),
        ];
        let of_text = [
            ("--text-weights", self.text_weights.is_some()),
            ("--freeze text", held.text != Freeze::None),
        ];
        let given = |flags: &[(&'static str, bool)]| {
            let given = flags.iter().find(|(_, given)| *given);
            given.map(|(flag, _)| *flag)
        };
        match (given(&of_vision), given(&of_text)) {
            (Some(flag), _) if !mode.sees() => bail!("{flag}: the model sees no pictures"),
            (_, Some(flag)) if !mode.reads() => bail!("{flag}: the model reads no values"),
            _ => Ok(()),
        }
    }
}

/// Sizes of the encoders.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Preset {
    /// Trains from scratch on a CPU in minutes
    Small,
    /// CLIP ViT-B/32
    #[value(name = "clip-vit-b-32")]
    ClipVitB32,
    /// CLIP ViT-B/16
    #[value(name = "clip-vit-b-16")]
    ClipVitB16,
    /// DINOv2's ViT-S/14, to be loaded and frozen, in the small preset
    #[value(name = "vit-s-14")]
    VitS14,
}

/// Tokens that stand for a picture.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum TapTokens {
    /// The class token
    Class,
    /// The mean of the patch tokens
    Mean,
    /// Both, one after the other
    Both,
}

/// A choice that can be left to the program.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Switch {
    /// Where it makes sense
    Auto,
    /// Always, or an error
    On,
    /// Never
    Off,
}

/// What is held as it is, of the vision and of the text encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct FreezeFlag {
    vision: Freeze,
    text: Freeze,
}

impl std::str::FromStr for FreezeFlag {
    type Err = String;

    fn from_str(flag: &str) -> Result<Self, String> {
        let mut held = Self::default();
        if flag == "none" {
            return Ok(held);
        }
        for part in flag.split(',') {
            let (encoder, layers) = match part.split_once(':') {
                Some((encoder, layers)) => (encoder, Some(layers)),
                None => (part, None),
            };
            let freeze = match layers.map(str::parse) {
                None => Freeze::All,
                Some(Ok(n)) => Freeze::Layers(n),
                Some(Err(_)) => return Err(format!("{part:?} has no number of blocks")),
            };
            match encoder {
                "vision" => held.vision = freeze,
                "text" => held.text = freeze,
                _ => return Err(format!("there is no encoder {encoder:?}: vision or text")),
            }
        }
        Ok(held)
    }
}

/// Pretrained weights that were found, not yet read.
#[derive(Debug)]
pub(crate) struct Pretrained {
    vision: Option<Checkpoint>,
    text: Option<Checkpoint>,
}

impl EncoderArgs {
    /// Finds the files of the pretrained weights, downloading them if the hub is named.
    pub(crate) fn open(&self) -> Result<Pretrained> {
        let open = |source: &Option<WeightsSource>| {
            let Some(source) = source else {
                return Ok(None);
            };
            let options = HubOptions {
                progress: true,
                ..HubOptions::from_env()?
            };
            let checkpoint = Checkpoint::open(source.local(&options)?)?;
            Ok::<_, anyhow::Error>(Some(checkpoint))
        };
        Ok(Pretrained {
            vision: open(&self.vision_weights).context("--vision-weights cannot be used")?,
            text: open(&self.text_weights).context("--text-weights cannot be used")?,
        })
    }

    /// Where pretrained weights came from: of the vision encoder, of the text encoder.
    pub(crate) fn sources(&self) -> [Option<String>; 2] {
        [&self.vision_weights, &self.text_weights]
            .map(|source| source.as_ref().map(ToString::to_string))
    }

    /// Whether all weights are drawn anew, and the model is the small one.
    pub(crate) fn is_small(&self) -> bool {
        matches!(self.preset, Preset::Small | Preset::VitS14)
    }

    /// The classifier that the flags describe, before mode, loss and dropout.
    pub(crate) fn model(
        &self,
        n_variates: usize,
        n_classes: usize,
        pretrained: &Pretrained,
    ) -> Result<TimesClipClassifierConfig> {
        let preset = match self.preset {
            Preset::Small => TimesClipClassifierConfig::new,
            Preset::ClipVitB32 => TimesClipClassifierConfig::reference_vit_b_32,
            Preset::ClipVitB16 => TimesClipClassifierConfig::reference_vit_b_16,
            Preset::VitS14 => TimesClipClassifierConfig::vit_s_14,
        };
        let mut config = preset(n_variates, n_classes);
        if let Some(checkpoint) = &pretrained.vision {
            config.vision = checkpoint.vision_config()?;
        }
        if let Some(checkpoint) = &pretrained.text {
            config.language.transformer = checkpoint.text_config()?;
        }
        if let Some(side_px) = self.side {
            config.vision.side_px = side_px;
        }
        config.vision.tap = VisionTap {
            layer: self.tap_layer,
            pooling: match self.tap_tokens {
                TapTokens::Class => TokenPooling::Class,
                TapTokens::Mean => TokenPooling::Mean,
                TapTokens::Both => TokenPooling::Both,
            },
        };
        let held = self.freeze.unwrap_or(FreezeFlag {
            vision: match pretrained.vision {
                Some(_) => Freeze::All,
                None => Freeze::None,
            },
            text: Freeze::None,
        });
        (config.freeze_vision, config.freeze_text) = (held.vision, held.text);
        let frozen = held.vision == Freeze::All;
        config.standardize_features =
            self.standardize == Switch::On || self.standardize == Switch::Auto && frozen;
        ensure!(
            frozen || self.frozen_precision == FeatureDtype::F32,
            "--frozen-precision is for a frozen vision encoder: --freeze vision"
        );
        Ok(config)
    }

    /// How pixels are shifted and scaled: as the pretrained encoder was trained with. Weights drawn
    /// anew learn faster where paper is zero: the positions are then not drowned by the white that
    /// all patches share.
    pub(crate) fn pixels(&self, pretrained: &Pretrained) -> Result<PixelStatistics> {
        let read = match &pretrained.vision {
            Some(checkpoint) => checkpoint.pixel_norm()?,
            None => None,
        };
        Ok(match (read, self.preset) {
            (Some(norm), _) => PixelStatistics {
                mean: norm.mean,
                std: norm.std,
            },
            (None, Preset::Small) if pretrained.vision.is_none() => PixelStatistics {
                mean: [1.0; 3],
                ..PixelStatistics::CLIP
            },
            (None, Preset::VitS14) => IMAGENET,
            (None, _) => PixelStatistics::CLIP,
        })
    }

    /// Reads the pretrained weights into the model.
    pub(crate) fn load<B: Backend>(
        &self,
        model: TimesClipClassifier<B>,
        config: &RunConfig,
        pretrained: &Pretrained,
        device: &B::Device,
    ) -> Result<TimesClipClassifier<B>> {
        let mut model = model;
        if let Some(checkpoint) = pretrained
            .vision
            .as_ref()
            .filter(|_| config.model.mode.sees())
        {
            model =
                model.with_vision_encoder(checkpoint.load_vision(&config.model.vision, device)?);
        }
        if let Some(checkpoint) = pretrained
            .text
            .as_ref()
            .filter(|_| config.model.mode.reads())
        {
            model = model.with_text_encoder(checkpoint.load_text(&config.model.language, device)?);
        }
        if self.frozen_precision == FeatureDtype::F32 {
            return Ok(model);
        }
        let (dtype, name) = (config.frozen_dtype(), self.frozen_precision);
        ensure!(
            B::supports_dtype(device, dtype.into()),
            "this device does not compute in {name}"
        );
        Ok(model.with_frozen_precision(dtype))
    }
}
