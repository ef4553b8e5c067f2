//! The model file: all tensors of a model and, in the metadata, everything else that predicting
//! needs, under one checksum.
//!
//! A safetensors file has no checksum. Here the metadata begin with one, of all bytes of the file in
//! which its own digits are zeros; so whatever changed, header or tensors, shows before anything of
//! the file is believed.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use burn::tensor::FloatDType;
use burn::tensor::backend::Backend;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3Default;

use super::encoders::EncoderState;
use super::error::ModelFileError;
use super::features::Features;
use super::network::{ENCODER_PREFIX, Ensemble, Network, prefix, shared_prefixes};
use super::recipe::{Recipe, dtype};
use super::record::Record;
use super::{LoadOptions, TimesClip};
use crate::backend::{BackendJob, run_on};
use crate::closed_form::ClosedForm;
use crate::files::{IoError, write_atomically};
use crate::weights::{Checkpoint, NamedTensor, write_tensors};

/// Version of what the metadata say, and of the tensors' names.
pub(super) const FORMAT: u32 = 3;
/// Key of the metadata.
const KEY: &str = "timesclip_model";
/// How the metadata begin, in the header of a file, up to the digits of the checksum.
const CHECKSUM: &str = r#""timesclip_model":"{\"checksum\":\""#;
/// Digits of the checksum.
const DIGITS: usize = 32;
/// Bytes in front of the header.
const LEN: usize = 8;
/// Longest header that is read.
const MAX_HEADER: u64 = 64 << 20;

/// What the metadata say.
#[derive(Debug, Serialize, Deserialize)]
struct Metadata<R> {
    checksum: String,
    format: u32,
    version: String,
    #[serde(flatten)]
    record: R,
}

/// What every release can read of the metadata.
#[derive(Debug, Deserialize)]
struct Stamp {
    format: u32,
    version: String,
}

/// Writes a model file, in one step as others see it.
pub(super) fn write(
    path: &Path,
    record: &Record,
    tensors: Vec<NamedTensor>,
) -> Result<(), IoError> {
    write_atomically(path, |beside| {
        let metadata = Metadata {
            checksum: "0".repeat(DIGITS),
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            record,
        };
        let text = serde_json::to_string(&metadata)?;
        write_tensors(tensors, HashMap::from([(KEY.to_owned(), text)]), beside)?;
        let mut file = File::options().read(true).write(true).open(beside)?;
        let (_, at) = header(&mut file)?.ok_or(io::ErrorKind::InvalidData)?;
        let digits = format!("{:032x}", checksum(&mut file, at)?);
        file.seek(SeekFrom::Start(at))?;
        file.write_all(digits.as_bytes())
    })
}

/// The record of a model file, if the file is whole and of a format that this release knows.
pub(super) fn read(path: &Path) -> Result<Record, ModelFileError> {
    let path = model_path(path)?;
    let failed = |source| ModelFileError::Io(IoError::at("read", &path)(source));
    let mut file = File::open(&path)
        .map_err(|source| ModelFileError::Io(IoError::at("open", &path)(source)))?;
    let damaged = |problem: String| ModelFileError::Damaged {
        path: path.clone(),
        problem,
    };
    let Some((text, at)) = header(&mut file).map_err(failed)? else {
        return Err(no_model(&path, &mut file).map_err(failed)?);
    };
    let mut digits = [0; DIGITS];
    file.seek(SeekFrom::Start(at))
        .and_then(|_| file.read_exact(&mut digits))
        .map_err(failed)?;
    let found = format!("{:032x}", checksum(&mut file, at).map_err(failed)?);
    if digits != found.as_bytes() {
        return Err(damaged("its checksum is not that of its bytes".to_owned()));
    }
    let stamp: Stamp = parse(&text).map_err(&damaged)?;
    if stamp.format > FORMAT {
        return Err(ModelFileError::Newer {
            path,
            found: stamp.format,
            supported: FORMAT,
            version: stamp.version,
        });
    }
    if stamp.format < FORMAT {
        return Err(ModelFileError::Older {
            path,
            found: stamp.format,
            supported: FORMAT,
        });
    }
    let metadata: Metadata<Record> =
        parse(&text).map_err(|problem| ModelFileError::Contradiction {
            path: path.clone(),
            problem,
        })?;
    Ok(metadata.record)
}

/// The file of a model, or of the run directory that holds one.
pub(super) fn model_path(path: &Path) -> Result<PathBuf, ModelFileError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let inside = path.join("model.safetensors");
    let old = ["checkpoints/best.mpk", "confusion.png"];
    if old.iter().any(|file| path.join(file).exists()) {
        let path = path.to_owned();
        return Err(ModelFileError::OldRun { path });
    }
    if inside.is_file() {
        return Ok(inside);
    }
    Err(ModelFileError::Foreign {
        path: path.to_owned(),
        found: "a folder without model.safetensors".to_owned(),
    })
}

fn parse<T: for<'de> Deserialize<'de>>(header: &str) -> Result<T, String> {
    let unreadable = |error: serde_json::Error| error.to_string();
    let header: serde_json::Value = serde_json::from_str(header).map_err(unreadable)?;
    let text = header["__metadata__"][KEY].as_str().unwrap_or_default();
    serde_json::from_str(text).map_err(unreadable)
}

/// The header of a model file, and at which byte the digits of its checksum are.
fn header(file: &mut File) -> io::Result<Option<(String, u64)>> {
    let len = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    let mut prefix = [0; LEN];
    if len < LEN as u64 {
        return Ok(None);
    }
    file.read_exact(&mut prefix)?;
    let header_len = u64::from_le_bytes(prefix);
    if header_len > MAX_HEADER.min(len - LEN as u64) {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(header_len).read_to_end(&mut text)?;
    let Ok(text) = String::from_utf8(text) else {
        return Ok(None);
    };
    let at = text.find(CHECKSUM).map(|at| at + CHECKSUM.len());
    let at = at.filter(|at| text.len() >= at + DIGITS);
    Ok(at.map(|at| (text, (LEN + at) as u64)))
}

/// The checksum of all bytes but its own digits, which are `at` this byte.
fn checksum(file: &mut File, at: u64) -> io::Result<u128> {
    let mut hash = Xxh3Default::new();
    let mut buffer = vec![0; 1 << 20];
    let mut position = 0;
    file.rewind()?;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(hash.digest128());
        }
        let end = position + n as u64;
        for (place, byte) in (position..end).zip(&mut buffer[..n]) {
            if place >= at + DIGITS as u64 {
                break;
            }
            if place >= at {
                *byte = b'0';
            }
        }
        hash.update(&buffer[..n]);
        position = end;
    }
}

/// What a file without our metadata is: a model cut or changed at its beginning, or something else.
fn no_model(path: &Path, file: &mut File) -> io::Result<ModelFileError> {
    let mut start = vec![0; 4096];
    file.rewind()?;
    let n = file.read(&mut start)?;
    start.truncate(n);
    let has = |what: &[u8]| start.windows(what.len()).any(|window| window == what);
    let path = path.to_owned();
    if has(KEY.as_bytes()) || has(b"\"checksum\\\"") {
        let problem = "its header cannot be read".to_owned();
        return Ok(ModelFileError::Damaged { path, problem });
    }
    let found = match start.as_slice() {
        [] => "an empty file",
        [b'P', b'K', ..] => "a zip archive, perhaps of PyTorch",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file",
        [0x80, ..] => "a Python pickle",
        [b'{' | b'[', ..] => "JSON",
        bytes if bytes.get(LEN) == Some(&b'{') && has(b"\"dtype\"") => {
            "a safetensors file without the metadata of a model"
        }
        bytes if bytes.is_ascii() => "text",
        _ => "a file of another kind",
    };
    let found = found.to_owned();
    Ok(ModelFileError::Foreign { path, found })
}

/// Loads a model onto a device.
pub(super) fn load(path: &Path, options: &LoadOptions) -> Result<TimesClip, ModelFileError> {
    let path = model_path(path)?;
    let record = read(&path)?;
    let checkpoint = Checkpoint::open(&path)?;
    let contradiction = |problem: String| ModelFileError::Contradiction {
        path: path.clone(),
        problem,
    };
    let predictors =
        usize::from(record.closed_form.is_some()) + usize::from(record.network.is_some());
    if predictors == 0 || record.pool.len() != predictors {
        let found = record.pool.len();
        return Err(contradiction(format!(
            "{found} weights for {predictors} predictors"
        )));
    }
    if let Some(problem) = record.encoders.as_ref().and_then(EncoderState::problem) {
        return Err(ModelFileError::Encoder { path, problem });
    }
    let device = options.backend.choose(options.device)?;
    let closed_form = match &record.closed_form {
        None => None,
        Some(state) => {
            let arrays = arrays(&checkpoint)?;
            let features = Features::restore(&record, &arrays, &checkpoint, &device)
                .map_err(&contradiction)?;
            let head = ClosedForm::from_arrays(state.clone(), &arrays)
                .map_err(|error| contradiction(error.to_string()))?;
            let width: usize = features.blocks().iter().map(|block| block.width).sum();
            if (width, record.class_names.len()) != (state.n_features, state.n_classes) {
                return Err(contradiction(format!(
                    "a head for {} features and {} classes, of {width} features and {} classes",
                    state.n_features,
                    state.n_classes,
                    record.class_names.len()
                )));
            }
            Some((features, head))
        }
    };
    let network = match &record.network {
        None => None,
        Some((recipe, n)) => {
            check_recipe(&record, recipe).map_err(&contradiction)?;
            let job = LoadNetworks {
                checkpoint: &checkpoint,
                recipe,
                n_members: *n,
                precision: dtype(record.options.encoders.frozen_precision),
            };
            Some(run_on(device.kind, &[device.index], job)??)
        }
    };
    Ok(TimesClip::assemble(record, closed_form, network))
}

/// Refuses a recipe that is not for the classes and variates of its model.
fn check_recipe(record: &Record, recipe: &Recipe) -> Result<(), String> {
    recipe.model.validate().map_err(|error| error.to_string())?;
    let found = [recipe.model.n_variates, recipe.model.n_classes];
    let expected = [record.n_variates, record.class_names.len()];
    if found != expected || recipe.normalizer.n_variates() != record.n_variates {
        return Err(format!(
            "networks for {found:?} variates and classes in a model of {expected:?}"
        ));
    }
    recipe
        .style
        .validate()
        .and_then(|()| recipe.style.validate_variates(record.n_variates))
        .map_err(|error| error.to_string())
}

/// The arrays of the closed form, by name.
fn arrays(checkpoint: &Checkpoint) -> Result<BTreeMap<String, Vec<f32>>, ModelFileError> {
    let names = checkpoint.tensor_names();
    let elsewhere = ["network.", ENCODER_PREFIX];
    let names = names.filter(|name| !elsewhere.iter().any(|part| name.starts_with(part)));
    let mut arrays = BTreeMap::new();
    for name in names {
        if let Some(tensor) = checkpoint.tensor(name)? {
            arrays.insert(name.to_owned(), tensor.values);
        }
    }
    Ok(arrays)
}

/// Loads the networks of a model onto a device.
struct LoadNetworks<'a> {
    checkpoint: &'a Checkpoint,
    recipe: &'a Recipe,
    n_members: usize,
    /// What frozen encoders compute in, where the device can.
    precision: FloatDType,
}

impl BackendJob for LoadNetworks<'_> {
    type Output = Result<Box<dyn Network>, ModelFileError>;

    fn run<B: Backend>(self, devices: &[B::Device]) -> Self::Output {
        let device = &devices[0];
        let member = |number| {
            let (prefix, shared) = (prefix(number), shared_prefixes(number));
            self.checkpoint
                .load_member::<B>(&prefix, shared, &self.recipe.model, device)
        };
        let members = (0..self.n_members).map(member);
        let members = members.collect::<Result<Vec<_>, _>>()?;
        let network = Ensemble::new(members, self.recipe.clone(), device.clone());
        Ok(Box::new(
            match B::supports_dtype(device, self.precision.into()) {
                true => network.with_frozen_precision(self.precision),
                false => network,
            },
        ))
    }
}
