//! The score that something is chosen by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the best of several candidates is best at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// The lowest mean log loss: the best probabilities.
    #[default]
    LogLoss,
    /// The highest share of right answers.
    Accuracy,
    /// The highest mean recall of the classes that have samples.
    BalancedAccuracy,
}

impl Score {
    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::LogLoss => "log_loss",
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced_accuracy",
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Score {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::LogLoss, Self::Accuracy, Self::BalancedAccuracy];
        let known = all.into_iter().find(|score| score.name() == name);
        known.ok_or_else(|| {
            format!("unknown score `{name}`: expected log_loss, accuracy or balanced_accuracy")
        })
    }
}
