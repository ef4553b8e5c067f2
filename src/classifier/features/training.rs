//! The rows of the training samples that the closed form is fitted to.

use std::ops::ControlFlow;

use super::Features;
use crate::classifier::error::FitError;
use crate::classifier::looks::HELD_BYTES;
use crate::closed_form::{Block, FeatureRows, FeatureTable, RowsError};
use crate::data::Series;
use crate::kernels::KernelTransform;

/// The rows of the training samples: held if they are few, else computed when asked for.
pub(in crate::classifier) enum TrainingRows<'a> {
    Held(FeatureTable),
    Computed {
        kernels: &'a KernelTransform,
        series: &'a [&'a Series],
        blocks: Vec<Block>,
    },
}

impl<'a> TrainingRows<'a> {
    /// Computes what is held; `go_on` hears how many series are done. Nothing comes back if it breaks before
    /// all are.
    pub(in crate::classifier) fn new(
        features: &'a Features,
        series: &'a [&'a Series],
        mut go_on: impl FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Self>, FitError> {
        let blocks = features.blocks();
        let width: usize = blocks.iter().map(|block| block.width).sum();
        match &features.kernels {
            // Encoders have no more features than can be held.
            Some(kernels) if features.encoders.is_none() && !is_held(series.len(), width) => {
                let _ = go_on(series.len());
                Ok(Some(Self::Computed {
                    kernels,
                    series,
                    blocks,
                }))
            }
            _ => {
                let at_once = features.encoders.as_ref();
                let at_once = at_once.map_or(1, |(state, _)| state.looks.series_to_train());
                let rows = features.rows_while(series, at_once, go_on)?;
                let table = rows.map(|rows| FeatureTable::new(rows, blocks));
                Ok(table.transpose()?.map(Self::Held))
            }
        }
    }
}

/// Whether so many rows are held.
fn is_held(n_rows: usize, width: usize) -> bool {
    n_rows * width * size_of::<f32>() <= HELD_BYTES
}

impl FeatureRows for TrainingRows<'_> {
    fn n_rows(&self) -> usize {
        match self {
            Self::Held(table) => table.n_rows(),
            Self::Computed { series, .. } => series.len(),
        }
    }

    fn blocks(&self) -> &[Block] {
        match self {
            Self::Held(table) => table.blocks(),
            Self::Computed { blocks, .. } => blocks,
        }
    }

    fn read(&self, indices: &[usize], out: &mut [f32]) -> Result<(), RowsError> {
        match self {
            Self::Held(table) => table.read(indices, out),
            Self::Computed {
                kernels, series, ..
            } => {
                let wanted: Vec<&Series> = indices.iter().map(|index| series[*index]).collect();
                out.copy_from_slice(&kernels.transform_all(&wanted)?);
                Ok(())
            }
        }
    }
}
