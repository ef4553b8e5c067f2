//! Weights by name: the folder of a model on this machine, fetched from a hub if need be.
//!
//! A model hub is a server that speaks Hugging Face's protocol. What it sends is kept in the cache
//! that all tools of that hub share, so that a model fetched by one of them is there for the others.
//!
//! ```
//! use timesclip::weights::hub::WeightsSource;
//!
//! let by_name: WeightsSource = "hf:openai/clip-vit-base-patch16@main".parse()?;
//! assert!(matches!(by_name, WeightsSource::Hub { .. }));
//! let by_path: WeightsSource = "weights/clip".parse()?;
//! assert_eq!(by_path, WeightsSource::Path("weights/clip".into()));
//! # Ok::<(), timesclip::weights::hub::HubError>(())
//! ```

mod error;
#[cfg(feature = "hub")]
mod fetch;
mod options;
#[cfg(feature = "hub")]
mod snapshot;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use error::HubError;
#[cfg(feature = "hub")]
pub use fetch::fetch;
pub use options::HubOptions;

/// What the name of a model on a hub begins with.
const PREFIX: &str = "hf:";

/// Where weights come from, as a flag says it: a path, or `hf:owner/name[@revision]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightsSource {
    /// A file or folder on this machine.
    Path(PathBuf),
    /// A model on a hub.
    Hub {
        /// `owner/name`.
        name: String,
        /// Branch, tag or commit; the one of [`HubOptions`] if there is none.
        revision: Option<String>,
    },
}

impl WeightsSource {
    /// The weights on this machine: the path itself, or the folder of the model, which is fetched
    /// unless the cache has it.
    ///
    /// # Errors
    ///
    /// [`HubError::NotCompiled`] for a name in a build without the feature `hub`; otherwise what
    /// `fetch` says. Nothing is checked about a path.
    pub fn local(&self, options: &HubOptions) -> Result<PathBuf, HubError> {
        match self {
            Self::Path(path) => Ok(path.clone()),
            Self::Hub { name, revision } => {
                let revision = revision.as_ref().unwrap_or(&options.revision).clone();
                fetch_if_compiled(
                    name,
                    HubOptions {
                        revision,
                        ..options.clone()
                    },
                )
            }
        }
    }
}

#[cfg(feature = "hub")]
fn fetch_if_compiled(name: &str, options: HubOptions) -> Result<PathBuf, HubError> {
    fetch(name, &options)
}

#[cfg(not(feature = "hub"))]
fn fetch_if_compiled(name: &str, _: HubOptions) -> Result<PathBuf, HubError> {
    let name = name.to_owned();
    Err(HubError::NotCompiled { name })
}

impl FromStr for WeightsSource {
    type Err = HubError;

    /// # Errors
    ///
    /// [`HubError::NoSource`] if there is no text, [`HubError::Name`] and [`HubError::Revision`].
    fn from_str(text: &str) -> Result<Self, HubError> {
        let Some(text) = text.strip_prefix(PREFIX) else {
            return match text {
                "" => Err(HubError::NoSource),
                path => Ok(Self::Path(path.into())),
            };
        };
        let (name, revision) = match text.split_once('@') {
            Some((name, revision)) => (name, Some(revision)),
            None => (text, None),
        };
        check_name(name)?;
        revision.map_or(Ok(()), check_revision)?;
        Ok(Self::Hub {
            name: name.to_owned(),
            revision: revision.map(str::to_owned),
        })
    }
}

/// As [`FromStr`] reads it.
impl fmt::Display for WeightsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Hub {
                name,
                revision: None,
            } => write!(f, "{PREFIX}{name}"),
            Self::Hub {
                name,
                revision: Some(revision),
            } => write!(f, "{PREFIX}{name}@{revision}"),
        }
    }
}

/// Refuses what is not `owner/name`; what passes is safe in a path and an address.
fn check_name(name: &str) -> Result<(), HubError> {
    let parts: Vec<&str> = name.split('/').collect();
    if parts.len() == 2 && parts.iter().all(|part| is_plain(part)) {
        Ok(())
    } else {
        let found = name.to_owned();
        Err(HubError::Name { found })
    }
}

/// Refuses what is no branch, tag or commit; what passes is safe in a path and an address.
fn check_revision(revision: &str) -> Result<(), HubError> {
    if revision.split('/').all(is_plain) {
        Ok(())
    } else {
        let found = revision.to_owned();
        Err(HubError::Revision { found })
    }
}

/// Whether this is the name of a file or folder, of characters that need no quoting anywhere.
fn is_plain(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    part.chars().all(plain) && !part.starts_with('.') && !part.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(name: &str, revision: Option<&str>) -> WeightsSource {
        WeightsSource::Hub {
            name: name.to_owned(),
            revision: revision.map(str::to_owned),
        }
    }

    #[test]
    fn names_and_paths_are_told_apart_and_written_as_they_are_read() {
        let cases = [
            ("hf:openai/clip", hub("openai/clip", None)),
            (
                "hf:a-b/c_d.e@refs/pr/1",
                hub("a-b/c_d.e", Some("refs/pr/1")),
            ),
            ("openai/clip", WeightsSource::Path("openai/clip".into())),
            ("../clip@main", WeightsSource::Path("../clip@main".into())),
        ];
        for (text, source) in cases {
            assert_eq!(text.parse::<WeightsSource>().unwrap(), source);
            assert_eq!(source.to_string(), text);
        }
    }

    #[test]
    fn what_names_nothing_is_refused_with_what_was_found() {
        let names = [
            "clip", "a/b/c", "/b", "a/", "", "a/..", "a b/c", "a/b?c", "a//b",
        ];
        for name in names {
            let error = format!("hf:{name}").parse::<WeightsSource>().unwrap_err();
            assert!(
                matches!(&error, HubError::Name { found } if found == name),
                "{error}"
            );
        }
        for revision in ["", "..", "a/../b", "/a", "a b", "a@b"] {
            let error = format!("hf:a/b@{revision}")
                .parse::<WeightsSource>()
                .unwrap_err();
            assert!(
                matches!(&error, HubError::Revision { found } if found == revision),
                "{error}"
            );
        }
        assert!(matches!(
            "".parse::<WeightsSource>(),
            Err(HubError::NoSource)
        ));
    }

    #[test]
    fn a_path_is_where_it_is() {
        let options = HubOptions::new("nowhere");
        let source = WeightsSource::Path("some/folder".into());
        assert_eq!(
            source.local(&options).unwrap(),
            PathBuf::from("some/folder")
        );
    }

    #[cfg(not(feature = "hub"))]
    #[test]
    fn without_the_feature_a_name_is_refused_with_the_feature() {
        let error = hub("a/b", None)
            .local(&HubOptions::new("nowhere"))
            .unwrap_err();
        assert!(error.to_string().contains("--features hub"), "{error}");
    }
}
