//! The features that the closed form is fitted over: kernels and frozen encoders, side by side.

use std::collections::BTreeMap;
use std::ops::Range;

use super::encoders::{EncoderState, Encoders, LoadError, VisionWeights};
use super::error::{FitError, PredictError};
use super::network::unit;
use super::options::FitOptions;
use super::pretrained::Pretrained;
use super::record::Record;
use crate::backend::ChosenDevice;
use crate::closed_form::{Block, ClosedFormError, FeatureRows, FeatureTable, RowsError};
use crate::data::Series;
use crate::kernels::{KernelConfig, KernelTransform};
use crate::weights::{Checkpoint, NamedTensor};

/// How much a block of kernel features counts.
const KERNEL_SCALE: f64 = 1.0;
/// How much the features of frozen encoders count together, beside kernels. Kernels carry the
/// accuracy; these lower the log loss (`docs/accuracy.md`).
const ENCODER_SCALE: f64 = 0.3;
/// Features of all training samples that are held at once, in bytes; more are computed whenever they
/// are asked for.
const HELD_BYTES: usize = 2 << 30;

/// Fitted feature blocks.
#[derive(Debug)]
pub(super) struct Features {
    pub(super) kernels: Option<KernelTransform>,
    encoders: Option<(EncoderState, Box<dyn Encoders>)>,
}

/// A modality, and which blocks are its own.
pub(super) type ModalityBlocks = (&'static str, Range<usize>);

impl Features {
    /// Fits the blocks that the options ask for; none if there are none.
    pub(super) fn fit(
        series: &[&Series],
        options: &FitOptions,
        pretrained: &Pretrained,
        device: &ChosenDevice,
    ) -> Result<Option<Self>, FitError> {
        let many = series.len() > options.ridge.most_axes;
        let kernels = match options.modalities.has_kernels() {
            true => Some(KernelTransform::fit(series, &kernels(series, options))?),
            false => None,
        };
        // Of many samples and many features no Gram matrix is small.
        let encoders = match many {
            true => None,
            false => EncoderState::fit(series, options, pretrained)?,
        };
        let encoders = match encoders {
            Some(state) => {
                let weights = pretrained.vision.as_ref().map(VisionWeights::Files);
                let loaded = state.load(weights, device)?;
                Some((state, loaded))
            }
            None => None,
        };
        let some = kernels.is_some() || encoders.is_some();
        Ok(some.then_some(Self { kernels, encoders }))
    }

    /// The features of a model file.
    pub(super) fn restore(
        record: &Record,
        arrays: &BTreeMap<String, Vec<f32>>,
        checkpoint: &Checkpoint,
        device: &ChosenDevice,
    ) -> Result<Self, String> {
        let kernels = record.kernels.clone();
        let kernels = kernels.map(|state| KernelTransform::from_arrays(state, arrays));
        let encoders = record.encoders.clone().map(|state| {
            let weights = Some(VisionWeights::Model(checkpoint));
            let loaded = state.load(weights, device)?;
            Ok::<_, LoadError>((state, loaded))
        });
        Ok(Self {
            kernels: kernels.transpose().map_err(|error| error.to_string())?,
            encoders: encoders.transpose().map_err(|error| error.to_string())?,
        })
    }

    /// The encoders among the features.
    pub(super) fn encoder_state(&self) -> Option<&EncoderState> {
        self.encoders.as_ref().map(|(state, _)| state)
    }

    /// The weights of encoders that a model file must have.
    pub(super) fn encoder_tensors(&self) -> Vec<NamedTensor> {
        let encoders = self.encoders.iter();
        encoders
            .flat_map(|(_, encoders)| encoders.tensors())
            .collect()
    }

    /// The blocks of a row.
    pub(super) fn blocks(&self) -> Vec<Block> {
        let kernels = self.kernels.iter().flat_map(KernelTransform::block_widths);
        let kernels = kernels.map(|width| Block {
            width,
            scale: KERNEL_SCALE,
        });
        let encoders = self.encoders.iter().flat_map(|(state, encoders)| {
            let widths = encoders.widths();
            let scale = match self.kernels {
                Some(_) => ENCODER_SCALE / widths.len() as f64,
                None => 1.0,
            };
            let n_variates = state.axes.n_variates();
            widths.into_iter().map(move |(width, _)| Block {
                width: width * n_variates,
                scale,
            })
        });
        kernels.chain(encoders).collect()
    }

    /// Which modality which blocks belong to.
    pub(super) fn modalities(&self) -> Vec<ModalityBlocks> {
        let mut modalities = Vec::new();
        let mut end = 0;
        if let Some(kernels) = &self.kernels {
            end = kernels.block_widths().len();
            modalities.push(("kernels", 0..end));
        }
        let state = self.encoder_state();
        for (name, there) in [
            ("vision", state.is_some_and(|state| state.vision.is_some())),
            ("language", state.is_some_and(|state| state.language)),
        ] {
            if there {
                modalities.push((name, end..end + 1));
                end += 1;
            }
        }
        modalities
    }

    /// Rows of all blocks, `[series, width]`.
    pub(super) fn rows(&self, series: &[&Series]) -> Result<Vec<f32>, PredictError> {
        let mut parts = Vec::new();
        if let Some(kernels) = &self.kernels {
            parts.push(kernels.transform_all(series)?);
        }
        if let Some((state, encoders)) = &self.encoders {
            parts.extend(encoders.features(&state.axes, series)?);
        }
        let mut rows = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        for i in 0..series.len() {
            for part in &parts {
                let width = part.len() / series.len();
                rows.extend_from_slice(&part[i * width..(i + 1) * width]);
            }
        }
        Ok(rows)
    }

    /// Features of the encoders, averaged over places: `[series][n_variates * d_model * encoders]`,
    /// each of length 1; `None` without encoders.
    pub(super) fn embed(&self, series: &[&Series]) -> Result<Option<Vec<Vec<f32>>>, PredictError> {
        let Some((state, encoders)) = &self.encoders else {
            return Ok(None);
        };
        let mut embeddings = vec![Vec::new(); series.len()];
        let parts = encoders.features(&state.axes, series)?;
        for (part, (width, place)) in parts.iter().zip(encoders.widths()) {
            let rows = part.chunks(part.len() / series.len());
            for (embedding, row) in embeddings.iter_mut().zip(rows) {
                let variates = row.chunks(width);
                embedding.extend(variates.flat_map(|row| mean_of_places(row, place)));
            }
        }
        Ok(Some(embeddings.into_iter().map(unit).collect()))
    }
}

/// The mean of places of a line plot, of so many numbers each.
fn mean_of_places(features: &[f32], d_place: usize) -> Vec<f32> {
    let mut mean = vec![0.0; d_place];
    let share = d_place as f32 / features.len() as f32;
    for place in features.chunks(d_place) {
        mean.iter_mut()
            .zip(place)
            .for_each(|(sum, value)| *sum += share * value);
    }
    mean
}

/// The kernels that the options ask for; of more training samples than the ridge has axes, so few
/// that the Gram matrix of their features stays as small.
fn kernels(series: &[&Series], options: &FitOptions) -> KernelConfig {
    let config = KernelConfig {
        mini_features: options.kernels.mini_features,
        hydra_groups: options.kernels.hydra_groups,
        seed: options.seed,
    };
    let most = options.ridge.most_axes;
    if series.len() <= most {
        return config;
    }
    let longest = series.iter().map(|series| series.n_steps()).max();
    config.within(most, longest.unwrap_or_default())
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
        wanted: &Range<usize>,
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
