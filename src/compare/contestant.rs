//! Who can be compared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::modalities::Modalities;

/// A model that can be compared with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contestant {
    /// Line plots, values and kernels.
    Full,
    /// Line plots and values.
    Dual,
    /// Values alone.
    LanguageOnly,
    /// Line plots alone.
    VisionOnly,
    /// Convolution kernels alone.
    KernelsOnly,
    /// The frozen vision encoder that comes with the crate with random weights in the place of its
    /// own, under the same closed form: what line plots give without any pretraining.
    RandomVision,
    /// The ink of line plots in 16 x 16 cells, under the same closed form: what they give without
    /// any encoder.
    RawInk,
    /// The nearest training series under dynamic time warping.
    Dtw,
    /// The largest class.
    Majority,
}

impl Contestant {
    /// All, in the order in which they are listed.
    pub const ALL: [Self; 9] = [
        Self::Full,
        Self::Dual,
        Self::LanguageOnly,
        Self::VisionOnly,
        Self::KernelsOnly,
        Self::RandomVision,
        Self::RawInk,
        Self::Dtw,
        Self::Majority,
    ];

    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Dual => "dual",
            Self::LanguageOnly => "language_only",
            Self::VisionOnly => "vision_only",
            Self::KernelsOnly => "kernels_only",
            Self::RandomVision => "random_vision",
            Self::RawInk => "raw_ink",
            Self::Dtw => "dtw",
            Self::Majority => "majority",
        }
    }

    /// The modalities of a model of this crate; `None` of a baseline.
    pub fn modalities(self) -> Option<Modalities> {
        match self {
            Self::Full => Some(Modalities::FULL),
            Self::Dual => Some(Modalities::DUAL),
            Self::LanguageOnly => Some(Modalities::LANGUAGE_ONLY),
            Self::VisionOnly => Some(Modalities::VISION_ONLY),
            Self::KernelsOnly => Some(Modalities::KERNELS_ONLY),
            Self::RandomVision | Self::RawInk | Self::Dtw | Self::Majority => None,
        }
    }

    /// Whether a seed changes anything; one line is enough where it does not.
    pub fn is_seeded(self) -> bool {
        !matches!(self, Self::RawInk | Self::Dtw | Self::Majority)
    }
}

impl fmt::Display for Contestant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Contestant {
    type Err = UnknownContestant;

    fn from_str(name: &str) -> Result<Self, UnknownContestant> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| UnknownContestant {
            name: name.to_owned(),
        })
    }
}

/// A name that no model of a comparison has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "unknown model `{name}`: expected full, dual, language_only, vision_only, kernels_only, \
     random_vision, raw_ink, dtw or majority"
)]
pub struct UnknownContestant {
    /// The name.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contestants_belong_together() {
        for contestant in Contestant::ALL {
            assert_eq!(contestant.name().parse(), Ok(contestant));
            let json = serde_json::to_string(&contestant).unwrap();
            assert_eq!(json, format!("\"{contestant}\""));
            let modalities = contestant.modalities();
            assert!(modalities.is_none_or(|of| of.name() == contestant.name()));
        }
        let error = "both".parse::<Contestant>().unwrap_err().to_string();
        let all = Contestant::ALL
            .iter()
            .all(|known| error.contains(known.name()));
        assert!(all, "{error}");
    }
}
