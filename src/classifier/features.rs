//! The features that the closed form is fitted over: kernels, and later frozen encoders, side by
//! side.

use std::collections::BTreeMap;

use super::error::{FitError, PredictError};
use super::options::FitOptions;
use super::record::Record;
use crate::closed_form::{Block, ClosedFormError, FeatureRows, FeatureTable, RowsError};
use crate::data::Series;
use crate::kernels::{KernelConfig, KernelTransform};

/// How much a block of kernel features counts.
const KERNEL_SCALE: f64 = 1.0;
/// Features of all training samples that are held at once, in bytes; more are computed whenever they
/// are asked for.
const HELD_BYTES: usize = 2 << 30;
/// Of more training samples than the ridge has axes, at most so many MiniRocket features and Hydra
/// groups are taken, so that their Gram matrix stays small.
const FEW_KERNELS: [usize; 2] = [2000, 8];

/// Fitted feature blocks.
#[derive(Debug)]
pub(super) struct Features {
    pub(super) kernels: Option<KernelTransform>,
}

/// A modality, and which blocks are its own.
pub(super) type ModalityBlocks = (&'static str, std::ops::Range<usize>);

impl Features {
    /// Fits the blocks that the options ask for; none if there are none.
    pub(super) fn fit(series: &[&Series], options: &FitOptions) -> Result<Option<Self>, FitError> {
        if !options.modalities.has_kernels() {
            return Ok(None);
        }
        let mut config = KernelConfig {
            mini_features: options.kernels.mini_features,
            hydra_groups: options.kernels.hydra_groups,
            seed: options.seed,
        };
        if series.len() > options.ridge.most_axes {
            let [features, groups] = FEW_KERNELS;
            config.mini_features = config.mini_features.min(features);
            config.hydra_groups = config.hydra_groups.min(groups);
        }
        let kernels = KernelTransform::fit(series, &config)?;
        Ok(Some(Self {
            kernels: Some(kernels),
        }))
    }

    /// The features of a model file.
    pub(super) fn restore(
        record: &Record,
        arrays: &BTreeMap<String, Vec<f32>>,
    ) -> Result<Self, String> {
        let kernels = record.kernels.clone();
        let kernels = kernels.map(|state| KernelTransform::from_arrays(state, arrays));
        Ok(Self {
            kernels: kernels.transpose().map_err(|error| error.to_string())?,
        })
    }

    /// The blocks of a row.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let kernels = self.kernels.iter().flat_map(|kernels| {
            let widths = kernels.block_widths().into_iter();
            widths.map(|width| Block {
                width,
                scale: KERNEL_SCALE,
            })
        });
        kernels.collect()
    }

    /// Which modality which blocks belong to.
    pub(super) fn modalities(&self) -> Vec<ModalityBlocks> {
        let kernels = self.kernels.as_ref();
        let kernels = kernels.map(|kernels| ("kernels", 0..kernels.block_widths().len()));
        kernels.into_iter().collect()
    }

    /// Rows of all blocks, `[series, width]`.
    pub(super) fn rows(&self, series: &[&Series]) -> Result<Vec<f32>, PredictError> {
        match &self.kernels {
            Some(kernels) => Ok(kernels.transform_all(series)?),
            None => Ok(Vec::new()),
        }
    }
}

/// The rows of the training samples: held if they are few, else computed when asked for.
pub(super) enum TrainingRows<'a> {
    Held(FeatureTable),
    Computed {
        features: &'a Features,
        series: &'a [&'a Series],
        blocks: Vec<Block>,
    },
}

impl<'a> TrainingRows<'a> {
    pub(super) fn new(features: &'a Features, series: &'a [&'a Series]) -> Result<Self, FitError> {
        let blocks = features.blocks();
        let width: usize = blocks.iter().map(|block| block.width).sum();
        if series.len() * width * size_of::<f32>() > HELD_BYTES {
            return Ok(Self::Computed {
                features,
                series,
                blocks,
            });
        }
        let rows = features.rows(series).map_err(FitError::from)?;
        Ok(Self::Held(FeatureTable::new(rows, blocks)?))
    }

    /// The rows of some blocks alone, if all are held.
    pub(super) fn only(
        &self,
        wanted: &std::ops::Range<usize>,
    ) -> Result<Option<FeatureTable>, ClosedFormError> {
        let Self::Held(table) = self else {
            return Ok(None);
        };
        let blocks = table.blocks();
        let start: usize = blocks[..wanted.start].iter().map(|block| block.width).sum();
        let width: usize = blocks[wanted.clone()].iter().map(|block| block.width).sum();
        let whole: usize = blocks.iter().map(|block| block.width).sum();
        let mut values = Vec::with_capacity(table.n_rows() * width);
        let mut row = vec![0.0; whole];
        for index in 0..table.n_rows() {
            table
                .read(&[index], &mut row)
                .map_err(ClosedFormError::Rows)?;
            values.extend_from_slice(&row[start..start + width]);
        }
        FeatureTable::new(values, blocks[wanted.clone()].to_vec()).map(Some)
    }
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
                features, series, ..
            } => {
                let wanted: Vec<&Series> = indices.iter().map(|index| series[*index]).collect();
                out.copy_from_slice(&features.rows(&wanted)?);
                Ok(())
            }
        }
    }
}
