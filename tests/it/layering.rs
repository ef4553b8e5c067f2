//! The import rules of `docs/design.md`, held by reading the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Room, and the rooms it may import from. A room is a file of `src` and the folder beside it.
const RULES: &[(&str, &[&str])] = &[
    ("files", &[]),
    ("modalities", &[]),
    ("data", &["files"]),
    ("metrics", &[]),
    ("baselines", &["data"]),
    ("kernels", &["data"]),
    ("closed_form", &["metrics"]),
    ("raster", &["data"]),
    ("page", &["raster"]),
    ("cache", &["data", "files", "raster"]),
    ("curves", &["data"]),
    ("fused", &[]),
    ("model", &["fused", "modalities"]),
    ("weights", &["files", "hub", "model"]),
    ("hub", &["files"]),
    ("batch", &["cache", "data", "modalities", "model", "raster"]),
    ("backend", &[]),
    (
        "encode",
        &["batch", "cache", "data", "modalities", "model", "raster"],
    ),
    (
        "train",
        &[
            "batch", "cache", "data", "files", "metrics", "model", "raster",
        ],
    ),
    (
        "classifier",
        &[
            "backend",
            "batch",
            "cache",
            "closed_form",
            "data",
            "encode",
            "files",
            "hub",
            "kernels",
            "metrics",
            "modalities",
            "model",
            "raster",
            "train",
            "weights",
        ],
    ),
    (
        "compare",
        &[
            "backend",
            "baselines",
            "classifier",
            "closed_form",
            "data",
            "encode",
            "metrics",
            "modalities",
            "model",
            "raster",
            "weights",
        ],
    ),
    ("run", &["backend", "classifier", "data", "files"]),
    (
        "report",
        &[
            "backend",
            "cache",
            "classifier",
            "compare",
            "data",
            "metrics",
            "modalities",
            "model",
            "page",
            "raster",
            "run",
            "train",
        ],
    ),
];
/// Folders inside a room that are rooms of their own.
const INNER: &[&str] = &["model/fused", "weights/hub"];
/// Rooms of the host: no tensor may enter.
const HOST: &[&str] = &[
    "files",
    "modalities",
    "data",
    "metrics",
    "baselines",
    "kernels",
    "closed_form",
    "raster",
    "cache",
    "hub",
    "curves",
    "page",
];
/// Rooms of the tensors: no thread, rasterizer or file may enter.
const TENSOR: &[&str] = &["model"];

fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry of a folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                let inside = path
                    .strip_prefix(&root)
                    .expect("inside src")
                    .with_extension("");
                let room = room_of(&inside);
                found.push((room, path, text));
            }
        }
    }
    found
}

/// The room of a source, which is the folder in `src` or one of [`INNER`].
fn room_of(inside: &Path) -> String {
    let found = INNER.iter().find(|inner| inside.starts_with(inner));
    let room = found.map_or_else(
        || inside.iter().next(),
        |inner| Path::new(inner).file_name(),
    );
    room.expect("a name").to_string_lossy().into_owned()
}

/// Lines of code that are neither comments nor unit tests.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let marks = ["#[cfg(test)]", "#[cfg(all(test,"];
    let ends = marks.iter().filter_map(|mark| text.find(mark));
    let end = ends.min().unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn rooms_import_only_from_where_they_may() {
    for (room, path, text) in sources() {
        if ["lib", "error"].contains(&room.as_str()) {
            continue;
        }
        let (_, allowed) = RULES
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{room} has no rule: give it one"));
        for line in code(&text) {
            for part in line.split("crate::").skip(1) {
                let words = part.split(|c: char| !(c.is_alphanumeric() || "_:".contains(c)));
                let target = words.take(1).collect::<String>().replace("::", "/");
                let target = room_of(Path::new(&target));
                let known = RULES.iter().any(|(name, _)| *name == target);
                assert!(
                    target == room || !known || allowed.contains(&target.as_str()),
                    "{} imports from {target}, which {room} may not",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn rings_hold_and_only_two_rooms_name_backends() {
    for (room, path, text) in sources() {
        let refuse = |what: &str| {
            let line = code(&text).find(|line| line.contains(what));
            assert!(line.is_none(), "{} has {what}: {line:?}", path.display());
        };
        if HOST.contains(&room.as_str()) {
            refuse("burn::");
        }
        if TENSOR.contains(&room.as_str()) {
            ["rayon", "tiny_skia", "std::fs", "std::thread"]
                .iter()
                .for_each(|what| refuse(what));
        }
        if room == "weights" {
            ["rayon", "tiny_skia", "std::thread"]
                .iter()
                .for_each(|what| refuse(what));
        }
        if room != "backend" {
            ["burn_wgpu", "burn_cuda"]
                .iter()
                .for_each(|what| refuse(what));
        }
        if !["backend", "fused"].contains(&room.as_str()) {
            refuse("burn_flex");
        }
    }
}

/// `Tensor::cat` loses gradients where networks learn side by side; `concat` does not.
#[test]
fn what_learns_concatenates_by_concat_alone() {
    for (room, path, text) in sources() {
        let is_free = ["concat.rs", "tests.rs"].map(|name| path.ends_with(name));
        if is_free.contains(&true) || !["fused", "model", "train"].contains(&room.as_str()) {
            continue;
        }
        let calls = ["Tensor::cat(", "Tensor::stack("];
        let found = code(&text).find(|line| calls.iter().any(|call| line.contains(call)));
        assert!(found.is_none(), "{}: {found:?}", path.display());
    }
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for (_, path, text) in sources() {
        assert!(text.starts_with("//! "), "{} does not", path.display());
    }
}
