//! The flags about tables of series, and reading by them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use timesclip::data::SeriesDataset;

/// Reads a set.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn read(path: &Path) -> Result<SeriesDataset> {
    let _ = PathBuf::new();
    Ok(timesclip::data::read_dataset(path, None)?)
}
