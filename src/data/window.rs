//! Sliding windows over long recordings.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ReadError;

/// Windows of one length over a recording, each of which is a sample.
///
/// # Examples
///
/// ```
/// use timesclip::data::window::{LabelRule, Windows};
///
/// let windows = Windows { length: 4, stride: 2, label: LabelRule::Majority };
/// assert_eq!(windows.starts(9).collect::<Vec<_>>(), [0, 2, 4]);
/// assert_eq!(windows.label_of(&["sit", "walk", "walk", "sit"]), Some("sit"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// Steps of a window, at least one.
    pub length: usize,
    /// Steps from the start of one window to that of the next, at least one.
    pub stride: usize,
    /// The label of a window whose steps have labels of their own.
    pub label: LabelRule,
}

/// Which label a window has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelRule {
    /// That of its last step: what is known when the window is complete.
    #[default]
    Last,
    /// The most frequent one; of two, the one that ends later.
    Majority,
    /// The only one; windows with several are left out.
    Uniform,
}

impl FromStr for LabelRule {
    type Err = ReadError;

    fn from_str(name: &str) -> Result<Self, ReadError> {
        match name {
            "last" => Ok(Self::Last),
            "majority" => Ok(Self::Majority),
            "uniform" => Ok(Self::Uniform),
            _ => Err(ReadError::option(
                "--window-label",
                name,
                "last, majority or uniform",
            )),
        }
    }
}

impl Windows {
    /// Checks the length and the stride.
    ///
    /// # Errors
    ///
    /// [`ReadError::Option`] if one of them is zero.
    pub fn validate(&self) -> Result<(), ReadError> {
        for (flag, steps) in [("--window", self.length), ("--stride", self.stride)] {
            if steps == 0 {
                return Err(ReadError::option(flag, "0", "at least one step"));
            }
        }
        Ok(())
    }

    /// First steps of the windows that fit into a recording of `n_steps` steps.
    pub fn starts(&self, n_steps: usize) -> impl Iterator<Item = usize> + use<> {
        let end = (n_steps + 1).saturating_sub(self.length);
        (0..end).step_by(self.stride.max(1))
    }

    /// The label of a window with the given labels of its steps, if it has one.
    pub fn label_of<'a, S: AsRef<str>>(&self, labels: &'a [S]) -> Option<&'a str> {
        let last = labels.last()?.as_ref();
        match self.label {
            LabelRule::Last => Some(last),
            LabelRule::Uniform => labels
                .iter()
                .all(|label| label.as_ref() == last)
                .then_some(last),
            LabelRule::Majority => {
                let mut seen: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
                for (step, label) in labels.iter().enumerate() {
                    let entry = seen.entry(label.as_ref()).or_default();
                    *entry = (entry.0 + 1, step);
                }
                seen.into_iter()
                    .max_by_key(|&(_, rank)| rank)
                    .map(|(label, _)| label)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(length: usize, stride: usize, label: LabelRule) -> Windows {
        Windows {
            length,
            stride,
            label,
        }
    }

    #[test]
    fn only_whole_windows_are_made() {
        let starts = |length, stride, n_steps| {
            windows(length, stride, LabelRule::Last)
                .starts(n_steps)
                .collect::<Vec<_>>()
        };
        assert_eq!(starts(4, 4, 12), [0, 4, 8]);
        assert_eq!(starts(4, 3, 9), [0, 3]);
        assert_eq!(starts(4, 1, 4), [0]);
        assert!(starts(4, 1, 3).is_empty());
    }

    #[test]
    fn each_rule_finds_its_label() {
        let label = |rule, labels: &[&str]| windows(1, 1, rule).label_of(labels).map(str::to_owned);
        let mixed = ["b", "a", "a", "b", "c"];

        assert_eq!(label(LabelRule::Last, &mixed).as_deref(), Some("c"));
        assert_eq!(label(LabelRule::Majority, &mixed).as_deref(), Some("b"));
        assert_eq!(label(LabelRule::Uniform, &mixed), None);
        assert_eq!(label(LabelRule::Uniform, &["a", "a"]).as_deref(), Some("a"));
        assert_eq!(label(LabelRule::Last, &[]), None);
    }
}
