//! Fetching: what the cache lacks comes from the hub, file by file, and is taken in when whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use hf_hub::{Cache, Repo, RepoType};
use serde::de::IgnoredAny;

use super::snapshot::{CONFIG, INDEX, PREPROCESSOR, Snapshot, WEIGHTS, folder_name};
use super::{HubError, HubOptions, check_name, check_revision, is_plain};
use crate::files::IoError;

/// The folder of a model of a hub, on this machine: with `config.json`, `preprocessor_config.json`
/// if the model has one, and the first of `model.safetensors`, `model.safetensors.index.json` with
/// all parts that it lists, and `pytorch_model.bin`.
///
/// What the cache has whole is used without asking the hub whether there is anything newer. What
/// it lacks is fetched beside it, all files at one commit, and each taken in when all its bytes
/// have come; a later call goes on where one that failed ended. Several processes may ask for the
/// same model: one fetches, the others wait for it.
///
/// # Errors
///
/// [`HubError`] says what was tried, and what can be done instead. Whatever happens, no file of
/// the cache is incomplete.
pub fn fetch(name: &str, options: &HubOptions) -> Result<PathBuf, HubError> {
    check_name(name)?;
    check_revision(&options.revision)?;
    let missing = match whole_or_missing(name, options)? {
        Ok(folder) => return Ok(folder),
        Err(missing) => missing,
    };
    if options.offline {
        return Err(HubError::Offline {
            name: name.to_owned(),
            revision: options.revision.clone(),
            cache_dir: options.cache_dir.clone(),
            missing,
        });
    }
    let _lock = lock(name, options)?;
    // The process that held the lock may have fetched the very model.
    if let Ok(folder) = whole_or_missing(name, options)? {
        return Ok(folder);
    }
    Fetcher::new(name, options)?.fetch()
}

/// The folder of the model if the cache has it whole, else the first file that is missing.
fn whole_or_missing(name: &str, options: &HubOptions) -> Result<Result<PathBuf, String>, HubError> {
    let Some(snapshot) = Snapshot::find(options, name) else {
        return Ok(Err(CONFIG.to_owned()));
    };
    Ok(match snapshot.missing(options)? {
        None => Ok(snapshot.dir()),
        Some(missing) => Err(missing),
    })
}

/// Where locks and what has come of files are: a place that other tools keep locks in, too.
fn locks_dir(name: &str, options: &HubOptions) -> PathBuf {
    options.cache_dir.join(".locks").join(folder_name(name))
}

/// Waits until no other process fetches the model.
fn lock(name: &str, options: &HubOptions) -> Result<File, HubError> {
    let folder = locks_dir(name, options);
    fs::create_dir_all(&folder).map_err(IoError::at("create", &folder))?;
    let path = folder.join("timesclip.lock");
    let lock = File::create(&path).map_err(IoError::at("create", &path))?;
    lock.lock().map_err(IoError::at("lock", &path))?;
    Ok(lock)
}

/// Fetches one model.
struct Fetcher<'a> {
    name: &'a str,
    options: &'a HubOptions,
    api: Api,
    /// A cache of its own, for files that are not whole yet.
    partial_dir: PathBuf,
}

impl<'a> Fetcher<'a> {
    fn new(name: &'a str, options: &'a HubOptions) -> Result<Self, HubError> {
        let partial_dir = locks_dir(name, options).join("timesclip-partial");
        let api = ApiBuilder::from_cache(Cache::new(partial_dir.clone()))
            .with_endpoint(options.endpoint.clone())
            .with_token(options.token.clone())
            .with_progress(options.progress)
            .build();
        let unreachable = |source| HubError::Unreachable {
            name: name.to_owned(),
            file: CONFIG.to_owned(),
            endpoint: options.endpoint.clone(),
            source: Box::new(source),
        };
        Ok(Self {
            name,
            options,
            api: api.map_err(unreachable)?,
            partial_dir,
        })
    }

    fn fetch(&self) -> Result<PathBuf, HubError> {
        // One commit for all files, whatever is pushed to the hub in the meantime.
        let config = self.metadata(&self.repo(&self.options.revision), CONFIG)?;
        let commit = config
            .ok_or_else(|| self.not_found(CONFIG))?
            .commit_hash()
            .to_owned();
        if !is_plain(&commit) {
            return Err(self.unreachable(CONFIG, format!("`{commit}` is no commit")));
        }
        let snapshot = Snapshot::new(self.options, self.name, &commit);
        self.need(&snapshot, CONFIG)?;
        if !self.have(&snapshot, PREPROCESSOR)? {
            snapshot.note_absent(PREPROCESSOR)?;
        }
        self.fetch_weights(&snapshot)?;
        snapshot.note_revision(&self.options.revision)?;
        // Empty but for locks: nothing is lost if it stays.
        let _ = fs::remove_dir_all(&self.partial_dir);
        Ok(snapshot.dir())
    }

    fn fetch_weights(&self, snapshot: &Snapshot) -> Result<(), HubError> {
        for file in WEIGHTS {
            if !self.have(snapshot, file)? {
                continue;
            }
            if file == INDEX {
                for part in snapshot.parts()? {
                    self.need(snapshot, &part)?;
                }
            }
            return Ok(());
        }
        Err(HubError::NoWeights {
            name: self.name.to_owned(),
            revision: self.options.revision.clone(),
            tried: WEIGHTS.map(str::to_owned).to_vec(),
        })
    }

    /// Fetches a file that must be there.
    fn need(&self, snapshot: &Snapshot, file: &str) -> Result<(), HubError> {
        match self.have(snapshot, file)? {
            true => Ok(()),
            false => Err(self.not_found(file)),
        }
    }

    /// Fetches a file unless the snapshot has it; false if the model has no such file.
    fn have(&self, snapshot: &Snapshot, file: &str) -> Result<bool, HubError> {
        if snapshot.has(file) {
            return Ok(true);
        }
        let repo = self.repo(snapshot.commit());
        let Some(metadata) = self.metadata(&repo, file)? else {
            return Ok(false);
        };
        let tag = metadata.etag().trim_start_matches("W/");
        if !is_plain(tag) {
            return Err(self.unreachable(file, format!("`{tag}` is no entity tag")));
        }
        let link = self.download(&repo, file)?;
        let partial = fs::canonicalize(&link).map_err(IoError::at("read", &link))?;
        // First, as a link that leads nowhere would be in the way of the next attempt.
        fs::remove_file(&link).map_err(IoError::at("remove", &link))?;
        self.check_whole(&partial, file, metadata.size() as u64)?;
        snapshot.take(&partial, tag, file)?;
        Ok(true)
    }

    /// Refuses and removes what is not the whole file.
    fn check_whole(&self, partial: &Path, file: &str, expected: u64) -> Result<(), HubError> {
        let read = IoError::at("read", partial);
        let found = fs::metadata(partial).map_err(read)?.len();
        // Text may be announced with the size that it was compressed to.
        let parses = || {
            let text = fs::read(partial).unwrap_or_default();
            file.ends_with(".json") && serde_json::from_slice::<IgnoredAny>(&text).is_ok()
        };
        if found == expected || parses() {
            return Ok(());
        }
        self.clear_partial()?;
        Err(HubError::Damaged {
            name: self.name.to_owned(),
            file: file.to_owned(),
            found,
            expected,
        })
    }

    /// What the hub says about a file; `None` if it has none.
    fn metadata(&self, repo: &ApiRepo, file: &str) -> Result<Option<Metadata>, HubError> {
        match self.api.metadata(&repo.url(file)) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(self.failed(file, error)),
        }
    }

    /// Fetches a file into the partial cache, going on with what is there of it.
    fn download(&self, repo: &ApiRepo, file: &str) -> Result<PathBuf, HubError> {
        let downloaded = match repo.download(file) {
            // What is there is too long, or whole without its name: it cannot be resumed.
            Err(error)
                if matches!(error, ApiError::InvalidResume) || status(&error) == Some(416) =>
            {
                self.clear_partial()?;
                repo.download(file)
            }
            downloaded => downloaded,
        };
        downloaded.map_err(|error| self.failed(file, error))
    }

    fn clear_partial(&self) -> Result<(), HubError> {
        let folder = &self.partial_dir;
        Ok(fs::remove_dir_all(folder).map_err(IoError::at("remove", folder))?)
    }

    fn repo(&self, revision: &str) -> ApiRepo {
        let (name, revision) = (self.name.to_owned(), revision.to_owned());
        self.api
            .repo(Repo::with_revision(name, RepoType::Model, revision))
    }

    fn failed(&self, file: &str, error: ApiError) -> HubError {
        match status(&error) {
            Some(status @ (401 | 403)) => HubError::Refused {
                name: self.name.to_owned(),
                file: file.to_owned(),
                endpoint: self.options.endpoint.clone(),
                status,
            },
            _ => self.unreachable(file, error),
        }
    }

    fn unreachable(
        &self,
        file: &str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> HubError {
        HubError::Unreachable {
            name: self.name.to_owned(),
            file: file.to_owned(),
            endpoint: self.options.endpoint.clone(),
            source: source.into(),
        }
    }

    fn not_found(&self, file: &str) -> HubError {
        HubError::NotFound {
            name: self.name.to_owned(),
            revision: self.options.revision.clone(),
            file: file.to_owned(),
            endpoint: self.options.endpoint.clone(),
        }
    }
}

/// The status the hub answered with, if that is what went wrong.
fn status(error: &ApiError) -> Option<u16> {
    match error {
        ApiError::RequestError(error) => match **error {
            ureq::Error::StatusCode(status) => Some(status),
            _ => None,
        },
        _ => None,
    }
}
