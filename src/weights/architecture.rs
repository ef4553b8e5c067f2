//! What `config.json` says of an encoder.
//!
//! A setting that is not there has the value that the classes of Hugging Face transformers document
//! for CLIP: some of its versions write only what differs from those. The model type is always
//! there, and says whose defaults they are.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::error::WeightsError;
use super::settings::{Section, read_object};
use crate::model::{Activation, TransformerConfig, VisionEncoderConfig};

/// Most blocks that are believed: the largest CLIPs have dozens.
const MAX_LAYERS: usize = 1 << 10;
/// Classes of transformers whose tensors and functions are the ones known here.
const ARCHITECTURES: [&str; 5] = [
    "CLIPModel",
    "CLIPVisionModel",
    "CLIPVisionModelWithProjection",
    "CLIPTextModel",
    "CLIPTextModelWithProjection",
];
/// Settings of CLIP's relatives that are true, or not there, wherever the blocks are CLIP's.
const BIASES: [&str; 3] = ["qkv_bias", "attention_bias", "mlp_bias"];

/// A part of a CLIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tower {
    Vision,
    Text,
}

impl Tower {
    /// As names of tensors and settings have it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vision => "vision",
            Self::Text => "text",
        }
    }

    fn model_type(self) -> String {
        format!("clip_{}_model", self.name())
    }
}

/// A parsed `config.json`.
#[derive(Debug)]
pub(super) struct ConfigFile {
    path: PathBuf,
    root: Map<String, Value>,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Result<Self, WeightsError> {
        let root = read_object(path)?;
        let config = Self {
            path: path.to_owned(),
            root,
        };
        let model_type = config.model_type()?;
        let supported = ["clip", "clip_vision_model", "clip_text_model"];
        config
            .section(&config.root)
            .one_of("model_type", model_type, &supported)?;
        let classes = config.root.get("architectures").and_then(Value::as_array);
        for class in classes.into_iter().flatten() {
            let class = class.as_str().unwrap_or("no text");
            config
                .section(&config.root)
                .one_of("architectures", class, &ARCHITECTURES)?;
        }
        Ok(config)
    }

    /// Whether it describes a whole CLIP, and not a tower.
    pub(super) fn is_whole(&self) -> bool {
        self.root
            .get("model_type")
            .is_some_and(|kind| kind == "clip")
    }

    fn model_type(&self) -> Result<&str, WeightsError> {
        self.section(&self.root).text("model_type", "missing")
    }

    /// The vision tower.
    pub(super) fn vision(&self) -> Result<VisionEncoderConfig, WeightsError> {
        let section = self.tower(Tower::Vision)?;
        let channels = section.size("num_channels", 3)?;
        section.one_of("num_channels", &channels.to_string(), &["3"])?;
        let (side_px, patch) = (
            section.side("image_size", 224)?,
            section.side("patch_size", 32)?,
        );
        let transformer = section.transformer([768, 3072, 12, 12])?;
        let pre_norm = section.switch("pre_layernorm", true)?;
        if !side_px.is_multiple_of(patch) {
            let found = format!("{patch}, for pictures of {side_px} px");
            return Err(section.unsupported("patch_size", found, "a divisor of the image size"));
        }
        Ok(VisionEncoderConfig::new(side_px, patch, transformer).with_pre_norm(pre_norm))
    }

    /// The blocks of the text tower.
    pub(super) fn text(&self) -> Result<TransformerConfig, WeightsError> {
        self.tower(Tower::Text)?.transformer([512, 2048, 8, 12])
    }

    /// The settings of a tower.
    fn tower(&self, tower: Tower) -> Result<Section<'_>, WeightsError> {
        let root = self.section(&self.root);
        if !self.is_whole() {
            let found = self.model_type()?.to_owned();
            return if found == tower.model_type() {
                Ok(root)
            } else {
                Err(WeightsError::NoTower {
                    path: self.path.clone(),
                    tower: tower.name(),
                    found,
                })
            };
        }
        // Older files have a complete `*_config_dict` beside it, which transformers prefers.
        let keys = [
            format!("{}_config_dict", tower.name()),
            format!("{}_config", tower.name()),
        ];
        let found = keys.iter().find_map(|key| {
            let value = self.root.get(key).filter(|value| !value.is_null())?;
            Some((key, value))
        });
        match found {
            Some((_, Value::Object(settings))) => {
                let section = self.section(settings);
                let kind = section.text("model_type", &tower.model_type())?.to_owned();
                section.one_of("model_type", &kind, &[&tower.model_type()])?;
                Ok(section)
            }
            Some((key, other)) => Err(root.unsupported(key, other.to_string(), "an object")),
            None => Err(root.unsupported(&keys[1], "missing".to_owned(), "an object")),
        }
    }

    fn section<'a>(&'a self, settings: &'a Map<String, Value>) -> Section<'a> {
        Section {
            path: &self.path,
            settings,
        }
    }
}

impl Section<'_> {
    /// Blocks; the defaults are width, feed-forward width, heads and layers.
    fn transformer(&self, default: [usize; 4]) -> Result<TransformerConfig, WeightsError> {
        let [d_model, d_ff, n_heads, n_layers] = default;
        let d_model = self.size("hidden_size", d_model)?;
        let d_ff = self.size("intermediate_size", d_ff)?;
        let n_heads = self.size("num_attention_heads", n_heads)?;
        let n_layers = self.size("num_hidden_layers", n_layers)?;
        for key in BIASES {
            let set = self.switch(key, true)?.to_string();
            self.one_of(key, &set, &["true"])?;
        }
        if !d_model.is_multiple_of(n_heads) {
            let found = format!("{n_heads}, for a width of {d_model}");
            return Err(self.unsupported("num_attention_heads", found, "a divisor of the width"));
        }
        if n_layers > MAX_LAYERS {
            let supported = format!("at most {MAX_LAYERS}");
            return Err(self.unsupported("num_hidden_layers", n_layers.to_string(), &supported));
        }
        let activation = match self.text("hidden_act", "quick_gelu")? {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => {
                let supported = "quick_gelu or gelu";
                return Err(self.unsupported("hidden_act", other.to_owned(), supported));
            }
        };
        let config = TransformerConfig::new(d_model, d_ff, n_heads, n_layers);
        Ok(config
            .with_activation(activation)
            .with_layer_norm_eps(self.eps()?))
    }

    fn eps(&self) -> Result<f64, WeightsError> {
        let key = "layer_norm_eps";
        let Some(value) = self.settings.get(key) else {
            return Ok(1e-5);
        };
        let eps = value.as_f64().filter(|eps| (1e-12..=0.1).contains(eps));
        eps.ok_or_else(|| self.unsupported(key, value.to_string(), "between 1e-12 and 0.1"))
    }
}
