//! `HubOptions`: which hub, which cache, and what the usual environment variables say about both.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::HubError;

/// The hub where nothing else is said.
const ENDPOINT: &str = "https://huggingface.co";

/// How models are found and fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct HubOptions {
    /// Branch, tag or commit.
    pub revision: String,
    /// Address of the hub.
    pub endpoint: String,
    /// Folder that all models are kept in, in the layout of Hugging Face's own tools.
    pub cache_dir: PathBuf,
    /// Sent to the hub, for models that are private or gated.
    pub token: Option<String>,
    /// Never ask the hub: a model is in the cache or it is not to be had.
    pub offline: bool,
    /// Show a bar for each file on standard error.
    pub progress: bool,
}

impl HubOptions {
    /// Branch `main` of models of Hugging Face's hub, kept in `cache_dir`; no token, no bars.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            revision: "main".to_owned(),
            endpoint: ENDPOINT.to_owned(),
            cache_dir: cache_dir.into(),
            token: None,
            offline: false,
            progress: false,
        }
    }

    /// What the environment says, in the variables of Hugging Face's own tools:
    ///
    /// | variable | what |
    /// |---|---|
    /// | `HF_HUB_CACHE` | the cache; else `hub` in `HF_HOME`, else in `huggingface` in `XDG_CACHE_HOME`, else in `~/.cache/huggingface` |
    /// | `HF_TOKEN` | the token; else the file `HF_TOKEN_PATH`, else `token` beside `hub` |
    /// | `HF_ENDPOINT` | address of the hub |
    /// | `HF_HUB_OFFLINE` | `1`, `true`, `yes` or `on`: never ask the hub |
    ///
    /// # Errors
    ///
    /// [`HubError::NoCacheDir`]; [`HubError::Variable`] if `HF_HUB_OFFLINE` is neither yes nor no.
    pub fn from_env() -> Result<Self, HubError> {
        Self::from_variables(|name| env::var(name).ok(), env::home_dir())
    }

    fn from_variables(
        variable: impl Fn(&str) -> Option<String>,
        home_dir: Option<PathBuf>,
    ) -> Result<Self, HubError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| variable(name).map(PathBuf::from);
        let home = path("HF_HOME")
            .or_else(|| Some(path("XDG_CACHE_HOME")?.join("huggingface")))
            .or_else(|| Some(home_dir?.join(".cache").join("huggingface")));
        let cache_dir = path("HF_HUB_CACHE").or_else(|| Some(home.as_ref()?.join("hub")));
        let token_path = path("HF_TOKEN_PATH").or_else(|| Some(home.as_ref()?.join("token")));
        let mut options = Self::new(cache_dir.ok_or(HubError::NoCacheDir)?);
        options.token = variable("HF_TOKEN").or_else(|| read_token(&token_path?));
        options.offline = variable("HF_HUB_OFFLINE").map_or(Ok(false), is_yes)?;
        if let Some(endpoint) = variable("HF_ENDPOINT") {
            options.endpoint = endpoint.trim_end_matches('/').to_owned();
        }
        Ok(options)
    }
}

/// The token is a secret: it is not shown.
impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("revision", &self.revision)
            .field("endpoint", &self.endpoint)
            .field("cache_dir", &self.cache_dir)
            .field("token", &self.token.as_ref().map(|_| "hidden"))
            .field("offline", &self.offline)
            .field("progress", &self.progress)
            .finish()
    }
}

fn read_token(path: &Path) -> Option<String> {
    let token = fs::read_to_string(path).ok()?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

fn is_yes(found: String) -> Result<bool, HubError> {
    match found.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(HubError::Variable {
            variable: "HF_HUB_OFFLINE",
            found,
            expected: "1 or 0, true or false, yes or no, on or off",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(variables: &[(&str, &str)]) -> Result<HubOptions, HubError> {
        let value = |name: &str| {
            let found = variables.iter().find(|variable| variable.0 == name);
            found.map(|variable| variable.1.to_owned())
        };
        HubOptions::from_variables(value, Some("/home/me".into()))
    }

    #[test]
    fn without_variables_it_is_the_usual_hub_and_cache() {
        let expected = HubOptions::new("/home/me/.cache/huggingface/hub");
        assert_eq!(options(&[]).unwrap(), expected);
        // An empty variable is like none.
        assert_eq!(
            options(&[("HF_HOME", ""), ("HF_HUB_OFFLINE", "")]).unwrap(),
            expected
        );
    }

    #[test]
    fn every_variable_is_honored() {
        let cache = |variables: &[(&str, &str)]| options(variables).unwrap().cache_dir;
        let xdg = ("XDG_CACHE_HOME", "/xdg");
        assert_eq!(cache(&[xdg]), PathBuf::from("/xdg/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "/hf"), xdg]), PathBuf::from("/hf/hub"));
        let own = ("HF_HUB_CACHE", "/own");
        assert_eq!(
            cache(&[own, ("HF_HOME", "/hf"), xdg]),
            PathBuf::from("/own")
        );

        let endpoint = options(&[("HF_ENDPOINT", "https://mirror/")])
            .unwrap()
            .endpoint;
        assert_eq!(endpoint, "https://mirror");
        for (value, offline) in [
            ("1", true),
            ("True", true),
            ("ON", true),
            ("0", false),
            ("no", false),
        ] {
            let options = options(&[("HF_HUB_OFFLINE", value)]).unwrap();
            assert_eq!(options.offline, offline, "{value}");
        }
        let error = options(&[("HF_HUB_OFFLINE", "maybe")])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("HF_HUB_OFFLINE") && error.contains("maybe"),
            "{error}"
        );
    }

    #[test]
    fn the_token_is_that_of_the_variable_or_of_the_file_and_is_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        fs::write(folder.path().join("token"), "of-the-file\n").unwrap();
        fs::write(folder.path().join("other"), "of-the-other").unwrap();
        let other = folder.path().join("other");
        let token = |variables: &[(&str, &str)]| options(variables).unwrap().token;

        assert_eq!(token(&[("HF_HOME", home)]).unwrap(), "of-the-file");
        let other = ("HF_TOKEN_PATH", other.to_str().unwrap());
        assert_eq!(token(&[("HF_HOME", home), other]).unwrap(), "of-the-other");
        assert_eq!(token(&[other, ("HF_TOKEN", "given")]).unwrap(), "given");
        let shown = format!("{:?}", options(&[("HF_TOKEN", "given")]).unwrap());
        assert!(!shown.contains("given"), "{shown}");
    }

    #[test]
    fn without_any_home_the_error_says_which_variable_helps() {
        let error = HubOptions::from_variables(|_| None, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("HF_HOME"), "{error}");
    }
}
