//! Mean and std of the pixels that an encoder was trained with.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::WeightsError;
use super::settings::read_object;

/// Where Hugging Face keeps them, and where a tower without a processor may have them.
const FILES: [&str; 2] = ["preprocessor_config.json", "config.json"];
/// A pixel is a byte, and becomes a number in 0..1.
const RESCALE: f64 = 1.0 / 255.0;
const RESCALE_TOLERANCE: f64 = 1e-6;

/// What an encoder expects of its pixels: `(pixel - mean) / std`, for pixels in 0..1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PixelNorm {
    /// Mean of red, green and blue.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue.
    pub std: [f32; 3],
}

/// Reads them from a directory; none if no file there has them.
pub(super) fn read(directory: &Path) -> Result<Option<PixelNorm>, WeightsError> {
    for name in FILES {
        let path = directory.join(name);
        if !path.exists() {
            continue;
        }
        let settings = read_object(&path)?;
        if settings.contains_key("image_mean") || settings.contains_key("image_std") {
            return parse(&settings, &path).map(Some);
        }
    }
    Ok(None)
}

fn parse(settings: &Map<String, Value>, path: &Path) -> Result<PixelNorm, WeightsError> {
    let unsupported = |what: &str, supported: &str| WeightsError::Unsupported {
        path: path.to_owned(),
        what: what.to_owned(),
        found: settings
            .get(what)
            .map_or("missing".to_owned(), Value::to_string),
        supported: supported.to_owned(),
    };
    for key in ["do_rescale", "do_normalize"] {
        if settings
            .get(key)
            .is_some_and(|value| *value != Value::Bool(true))
        {
            return Err(unsupported(key, "true"));
        }
    }
    let rescale = settings.get("rescale_factor").map(Value::as_f64);
    if rescale.is_some_and(|factor| {
        factor.is_none_or(|factor| (factor - RESCALE).abs() > RESCALE_TOLERANCE)
    }) {
        return Err(unsupported("rescale_factor", "1/255"));
    }
    let triple = |key: &str, low: f32| {
        let values = settings.get(key).map(<[f32; 3]>::deserialize);
        let values = values.and_then(Result::ok);
        let values = values.filter(|values| values.iter().all(|x| (low..=1.0).contains(x)));
        values.ok_or_else(|| unsupported(key, "three numbers up to 1"))
    };
    Ok(PixelNorm {
        mean: triple("image_mean", 0.0)?,
        std: triple("image_std", 1e-3)?,
    })
}
