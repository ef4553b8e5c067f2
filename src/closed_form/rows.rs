//! Where features come from: rows of blocks, read in chunks so that they need never all be held.

use std::ops::Range;

use super::{ClosedFormError, is_positive};

/// Rows that are read at once where only some of their blocks are asked for.
const CHUNK: usize = 256;

/// Why a row could not be made.
pub type RowsError = Box<dyn std::error::Error + Send + Sync>;

/// Neighboring features that are scaled together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Number of features.
    pub width: usize,
    /// Weight of the block beside the others in one ridge.
    pub scale: f64,
}

/// Rows of features, block after block.
///
/// Rows may be asked for several times and from several threads, and must be the same each time.
pub trait FeatureRows: Sync {
    /// Number of samples.
    fn n_rows(&self) -> usize;

    /// The blocks of every row.
    fn blocks(&self) -> &[Block];

    /// Writes the rows of some samples.
    ///
    /// # Shapes
    ///
    /// - `out`: `[indices.len(), width of all blocks]`
    ///
    /// # Errors
    ///
    /// Whatever keeps a row from being made.
    fn read(&self, indices: &[usize], out: &mut [f32]) -> Result<(), RowsError>;

    /// Writes some blocks of the rows; worth its own code where others cost something.
    ///
    /// # Shapes
    ///
    /// - `blocks`: places among all blocks, ascending
    /// - `out`: `[indices.len(), width of these blocks]`
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    fn read_blocks(
        &self,
        blocks: &[usize],
        indices: &[usize],
        out: &mut [f32],
    ) -> Result<(), RowsError> {
        let all = width_of(self.blocks());
        let wanted = features_of(self.blocks(), blocks);
        let width: usize = wanted.iter().map(Range::len).sum();
        let mut whole = vec![0.0; CHUNK.min(indices.len()) * all];
        let chunks = out.chunks_mut(CHUNK * width);
        for (indices, out) in indices.chunks(CHUNK).zip(chunks) {
            let whole = &mut whole[..indices.len() * all];
            self.read(indices, whole)?;
            for (row, out) in whole.chunks_exact(all).zip(out.chunks_exact_mut(width)) {
                copy_features(row, &wanted, out);
            }
        }
        Ok(())
    }
}

/// Which features of a row some of its blocks are.
pub(super) fn features_of(all: &[Block], blocks: &[usize]) -> Vec<Range<usize>> {
    let features = |&block: &usize| {
        let first = width_of(&all[..block]);
        first..first + all[block].width
    };
    blocks.iter().map(features).collect()
}

/// Some features of a row, one after the other.
fn copy_features(row: &[f32], wanted: &[Range<usize>], mut out: &mut [f32]) {
    for features in wanted {
        let place = out.split_off_mut(..features.len()).unwrap_or_default();
        place.copy_from_slice(&row[features.clone()]);
    }
}

/// Rows that are held in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureTable {
    values: Vec<f32>,
    blocks: Vec<Block>,
    width: usize,
}

impl FeatureTable {
    /// A table of `[n_rows, width of all blocks]` values.
    ///
    /// # Errors
    ///
    /// [`ClosedFormError::Ragged`] if the values are not whole rows.
    pub fn new(values: Vec<f32>, blocks: Vec<Block>) -> Result<Self, ClosedFormError> {
        let width = blocks.iter().map(|block| block.width).sum();
        let found = values.len();
        if width == 0 || !found.is_multiple_of(width) {
            return Err(ClosedFormError::Ragged { found, width });
        }
        Ok(Self {
            values,
            blocks,
            width,
        })
    }
}

impl FeatureRows for FeatureTable {
    fn n_rows(&self) -> usize {
        self.values.len() / self.width
    }

    fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    fn read(&self, indices: &[usize], out: &mut [f32]) -> Result<(), RowsError> {
        for (&index, out) in indices.iter().zip(out.chunks_exact_mut(self.width)) {
            out.copy_from_slice(&self.values[index * self.width..][..self.width]);
        }
        Ok(())
    }
}

/// Features of all blocks.
pub(super) fn width(rows: &impl FeatureRows) -> usize {
    width_of(rows.blocks())
}

/// Features of some blocks.
pub(super) fn width_of(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| block.width).sum()
}

pub(super) fn check(rows: &impl FeatureRows) -> Result<(), ClosedFormError> {
    let found = rows.n_rows();
    if found < 2 {
        return Err(ClosedFormError::TooFewSamples { found });
    }
    if rows.blocks().is_empty() {
        return Err(ClosedFormError::Ragged { found: 0, width: 0 });
    }
    for (index, &Block { width, scale }) in rows.blocks().iter().enumerate() {
        if width == 0 || !is_positive(scale) {
            return Err(ClosedFormError::Block {
                index,
                width,
                scale,
            });
        }
    }
    Ok(())
}

/// Reads rows and checks that they are finite.
pub(super) fn read(
    rows: &impl FeatureRows,
    indices: &[usize],
    out: &mut [f32],
) -> Result<(), ClosedFormError> {
    rows.read(indices, out).map_err(ClosedFormError::Rows)?;
    match out.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(place) => Err(ClosedFormError::NotFinite {
            row: indices[place / width(rows)],
            feature: place % width(rows),
            value: out[place],
        }),
    }
}
