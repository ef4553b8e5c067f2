//! Pretrained weights: any bytes are tensors that can be read, or an error with a message.
//!
//! The first byte of the input chooses what the rest is: a file of weights, changes of a sound
//! one, the pickle of an archive, or the `config.json` beside sound weights.

#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;
use timesclip::weights::{Checkpoint, WeightsError};

const CONFIG: &[u8] = include_bytes!("../../tests/fixtures/clip/data/vision/config.json");
const SAFETENSORS: &[u8] =
    include_bytes!("../../tests/fixtures/clip/data/vision/model.safetensors");
const TORCH: &[u8] =
    include_bytes!("../../tests/fixtures/clip/data/vision_bin/pytorch_model.bin");

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    let (name, weights, config) = match choice % 6 {
        0 => ("model.safetensors", rest.to_vec(), CONFIG),
        1 => ("model.safetensors", edited(SAFETENSORS, rest), CONFIG),
        2 => ("pytorch_model.bin", rest.to_vec(), CONFIG),
        3 => ("pytorch_model.bin", edited(TORCH, rest), CONFIG),
        4 => ("pytorch_model.bin", archive(rest), CONFIG),
        _ => ("model.safetensors", SAFETENSORS.to_vec(), rest),
    };
    let file = FOLDER.path().join(name);
    fs::write(&file, weights).expect("a file");
    fs::write(FOLDER.path().join("config.json"), config).expect("a file");
    if let Err(error) = read(&file) {
        assert!(!error.to_string().is_empty(), "an empty message");
    }
});

/// Reads all there is.
fn read(file: &Path) -> Result<(), WeightsError> {
    let checkpoint = Checkpoint::open(file)?;
    for name in checkpoint.tensor_names() {
        if let Some(tensor) = checkpoint.tensor(name)? {
            let n: usize = tensor.shape.iter().product();
            assert_eq!(tensor.values.len(), n, "values of {name}");
        }
    }
    checkpoint.pixel_norm()?;
    checkpoint.vision_config()?;
    checkpoint.text_config()?;
    Ok(())
}

/// A sound file with bytes changed: three bytes of input are a place, from the start or from the
/// end, and what to do there.
fn edited(sound: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        let at = match at & 0x8000 {
            0 => at,
            _ => bytes.len().saturating_sub(1 + (at & 0x7fff)),
        };
        if let Some(byte) = bytes.get_mut(at) {
            *byte = edit[2];
        }
    }
    bytes
}

/// An archive of this pickle, and of four storages of sixteen bytes.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let le = |n: usize| u32::try_from(n).expect("a small archive").to_le_bytes();
    let storages = ["m/data/0", "m/data/1", "m/data/2", "m/data/3"];
    let entries = storages.map(|name| (name, [0; 16].as_slice()));
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in entries.into_iter().chain([("m/data.pkl", pickle)]) {
        let sizes = [[0; 4], le(bytes.len()), le(bytes.len())].concat();
        let names = [&le(name.len())[..2], &[0; 2]].concat();
        directory.extend([b"PK\x01\x02".as_slice(), &[0; 12], &sizes, &names].concat());
        directory.extend([[0; 10].as_slice(), &le(file.len()), name.as_bytes()].concat());
        file.extend([b"PK\x03\x04".as_slice(), &[0; 10], &sizes, &names].concat());
        file.extend([name.as_bytes(), bytes].concat());
    }
    let end = [le(directory.len()), le(file.len())].concat();
    let end = [b"PK\x05\x06".as_slice(), &[0; 8], &end, &[0; 2]].concat();
    [file, directory, end].concat()
}
