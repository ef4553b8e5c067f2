//! The flags about tables of series, and reading by them.

use std::path::Path;

use anyhow::Result;
use timesclip::data::SeriesDataset;

/// Reads a set.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn read(path: &Path) -> Result<SeriesDataset> {
    Ok(SeriesDataset::read(path)?)
}
