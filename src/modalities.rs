//! Which ways of looking at a series a model has.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Which modalities a model has: pictures, values, kernels, or several of them.
///
/// # Examples
/// ```
/// use timesclip::Modalities;
///
/// let modalities: Modalities = "dual".parse()?;
/// assert!(modalities.has_vision() && modalities.has_language() && !modalities.has_kernels());
/// assert_eq!(Modalities::FULL.to_string(), "full");
/// # Ok::<(), timesclip::UnknownModalities>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Modalities {
    vision: bool,
    language: bool,
    kernels: bool,
}

impl Modalities {
    /// Line plots, values and convolution kernels.
    pub const FULL: Self = Self::of(true, true, true);
    /// Line plots and values.
    pub const DUAL: Self = Self::of(true, true, false);
    /// Line plots alone.
    pub const VISION_ONLY: Self = Self::of(true, false, false);
    /// Values alone, read by a transformer.
    pub const LANGUAGE_ONLY: Self = Self::of(false, true, false);
    /// Convolution kernels alone.
    pub const KERNELS_ONLY: Self = Self::of(false, false, true);
    /// All that have a name, in the order in which they are listed to users.
    pub const ALL: [Self; 5] = [
        Self::FULL,
        Self::DUAL,
        Self::LANGUAGE_ONLY,
        Self::VISION_ONLY,
        Self::KERNELS_ONLY,
    ];

    const fn of(vision: bool, language: bool, kernels: bool) -> Self {
        Self {
            vision,
            language,
            kernels,
        }
    }

    /// Whether series are drawn and looked at.
    pub fn has_vision(self) -> bool {
        self.vision
    }

    /// Whether values are read by a transformer.
    pub fn has_language(self) -> bool {
        self.language
    }

    /// Whether values are convolved with fixed kernels.
    pub fn has_kernels(self) -> bool {
        self.kernels
    }

    /// Whether there is anything for a neural network.
    pub fn has_network(self) -> bool {
        self.vision || self.language
    }

    /// The modalities of the neural network alone: these without kernels, [`DUAL`](Self::DUAL)
    /// where nothing else is left.
    pub fn of_network(self) -> Self {
        match self.has_network() {
            true => Self {
                kernels: false,
                ..self
            },
            false => Self::DUAL,
        }
    }

    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match (self.vision, self.language, self.kernels) {
            (true, true, true) => "full",
            (true, true, false) => "dual",
            (false, true, false) => "language_only",
            (true, false, false) => "vision_only",
            _ => "kernels_only",
        }
    }
}

impl fmt::Display for Modalities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Modalities {
    type Err = UnknownModalities;

    fn from_str(name: &str) -> Result<Self, UnknownModalities> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| UnknownModalities {
            name: name.to_owned(),
        })
    }
}

impl TryFrom<String> for Modalities {
    type Error = UnknownModalities;

    fn try_from(name: String) -> Result<Self, UnknownModalities> {
        name.parse()
    }
}

impl From<Modalities> for String {
    fn from(modalities: Modalities) -> Self {
        modalities.name().to_owned()
    }
}

/// A name that no combination of modalities has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown model type `{name}`: expected full, dual, language_only, vision_only or kernels_only"
)]
pub struct UnknownModalities {
    /// The name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_modalities_belong_together() {
        for modalities in Modalities::ALL {
            assert_eq!(modalities.name().parse(), Ok(modalities));
            let json = serde_json::to_string(&modalities).unwrap();
            assert_eq!(json, format!("\"{modalities}\""));
            assert_eq!(
                serde_json::from_str::<Modalities>(&json).unwrap(),
                modalities
            );
        }
        assert!("both".parse::<Modalities>().is_err(), "unknown name");
    }
}
