//! `AugmentConfig`: how strongly views differ from their samples.

use serde::{Deserialize, Serialize};

/// How strongly views differ from their samples; 0 turns a transform off.
///
/// Transforms are applied in this order: prefix, crop, warp; then scale, shift and jitter, measured by the
/// mean and the standard deviation of each variate in what the first three left; then what goes
/// missing. The default is mild: each view is still plainly its sample. It hides nothing, so that
/// sets without gaps meet none in training alone; turn hiding on where values go missing in use.
///
/// Scale and shift show only where level and scale are kept: in the language branch unless each
/// series is normalized by itself, in pictures on a fixed vertical scale.
///
/// # Examples
///
/// ```
/// use timesclip::data::augment::AugmentConfig;
///
/// let only_noise = AugmentConfig { jitter: 0.1, ..AugmentConfig::OFF };
/// assert!(only_noise.validate().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentConfig {
    /// Standard deviation of the noise that is added to every value, as a multiple of that of its
    /// variate. The noise is nearly normal, and at most 3.5 times its standard deviation.
    pub jitter: f64,
    /// Change of a variate's amplitude: distances from its mean are multiplied by one number from
    /// `1 / (1 + scale)` to `1 + scale`. Its level stays.
    pub scale: f64,
    /// Farthest that the level of a variate moves, up or down, as a multiple of its standard
    /// deviation.
    pub shift: f64,
    /// How unevenly time runs: the speed along the series varies smoothly, from at least
    /// `1 - warp` to at most `1 + warp`, the same for all variates. First and last step stay.
    /// Below 1.
    pub warp: f64,
    /// Largest fraction of the steps that is cut off, at the two ends together. The view is
    /// shorter by that. Below 1.
    pub crop: f64,
    /// Probability that a variate is missing throughout. At least one with values stays. Below 1.
    pub variate_drop: f64,
    /// Longest block of steps, as a fraction of all, that goes missing in a variate. Every variate
    /// has one block, of random length and place; one that would hide all its values is left out.
    /// Below 1.
    pub missing_block: f64,
    /// Probability that a view is made of the beginning of its sample alone: of a share of the steps
    /// from none to all, at least one step. Below 1.
    #[serde(default)]
    pub prefix: f64,
}

impl AugmentConfig {
    /// Every transform turned off: all views are the sample.
    pub const OFF: Self = Self {
        jitter: 0.0,
        scale: 0.0,
        shift: 0.0,
        warp: 0.0,
        crop: 0.0,
        variate_drop: 0.0,
        missing_block: 0.0,
        prefix: 0.0,
    };

    /// Checks every field.
    ///
    /// # Errors
    ///
    /// [`AugmentError::Strength`] and [`AugmentError::Fraction`] name the first that cannot be.
    pub fn validate(&self) -> Result<(), AugmentError> {
        let strengths = [
            ("jitter", self.jitter),
            ("scale", self.scale),
            ("shift", self.shift),
        ];
        let fractions = [
            ("warp", self.warp),
            ("crop", self.crop),
            ("variate_drop", self.variate_drop),
            ("missing_block", self.missing_block),
            ("prefix", self.prefix),
        ];
        for (field, value) in strengths {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(AugmentError::Strength { field, value });
            }
        }
        for (field, value) in fractions {
            if !(0.0..1.0).contains(&value) {
                return Err(AugmentError::Fraction { field, value });
            }
        }
        Ok(())
    }
}

impl Default for AugmentConfig {
    fn default() -> Self {
        Self {
            jitter: 0.05,
            scale: 0.1,
            shift: 0.1,
            warp: 0.2,
            crop: 0.1,
            variate_drop: 0.0,
            missing_block: 0.0,
            prefix: 0.0,
        }
    }
}

/// Why a configuration of views is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A strength that is negative or no number.
    #[error("`{field}` of the augmentation is {value}, expected a number from 0 up")]
    Strength {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: f64,
    },
    /// A fraction or probability outside its range.
    #[error("`{field}` of the augmentation is {value}, expected one from 0 to below 1")]
    Fraction {
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_checked_by_name() {
        let fields = [
            "jitter",
            "scale",
            "shift",
            "warp",
            "crop",
            "variate_drop",
            "missing_block",
            "prefix",
        ];
        for field in fields {
            for bad in ["-0.1", "1e999"] {
                let json = serde_json::to_string(&AugmentConfig::OFF).unwrap();
                let json = json.replace(&format!("\"{field}\":0.0"), &format!("\"{field}\":{bad}"));
                // JSON has no infinity: what cannot be written is not read either.
                let Ok(config) = serde_json::from_str::<AugmentConfig>(&json) else {
                    assert_eq!(bad, "1e999", "{json}");
                    continue;
                };
                let error = config.validate().unwrap_err().to_string();
                assert!(error.contains(&format!("`{field}`")), "{error}");
            }
        }
        assert_eq!(AugmentConfig::OFF.validate(), Ok(()));
        assert_eq!(AugmentConfig::default().validate(), Ok(()));
    }

    #[test]
    fn numbers_that_are_none_are_refused() {
        for bad in [f64::NAN, f64::INFINITY] {
            let jitter = AugmentConfig {
                jitter: bad,
                ..AugmentConfig::OFF
            };
            assert!(matches!(
                jitter.validate(),
                Err(AugmentError::Strength {
                    field: "jitter",
                    ..
                })
            ));
        }
        for bad in [f64::NAN, 1.0] {
            let crop = AugmentConfig {
                crop: bad,
                ..AugmentConfig::OFF
            };
            assert!(matches!(
                crop.validate(),
                Err(AugmentError::Fraction { field: "crop", .. })
            ));
        }
    }
}
