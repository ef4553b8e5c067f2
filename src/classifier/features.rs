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
use crate::closed_form::{Block, FeatureRows, FeatureTable, RowsError, features_of};
use crate::data::Series;
use crate::kernels::{KernelConfig, KernelTransform};
use crate::weights::{Checkpoint, NamedTensor};

/// Samples up to which every kind of kernels has a ridge of its own, and encoders without kernels look at
/// more than values: each ridge is a matrix of the samples' size to decompose.
pub(crate) const FEW_SAMPLES: usize = 1500;
/// Features of all training samples that are held at once, in bytes; more are computed whenever they
/// are asked for.
const HELD_BYTES: usize = 2 << 30;

/// Fitted feature blocks.
#[derive(Debug)]
pub(super) struct Features {
    pub(super) kernels: Option<KernelTransform>,
    pub(super) encoders: Option<(EncoderState, Box<dyn Encoders>)>,
}

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
        if let Some(state) = &record.encoders {
            state.check(record.n_variates)?;
        }
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
        let encoders = self.encoders.iter().flat_map(|(state, encoders)| {
            let n_variates = state.looks[0].axes.n_variates();
            let widths = encoders.widths().repeat(state.looks.len()).into_iter();
            widths.map(move |(width, _)| width * n_variates)
        });
        let widths = kernels.chain(encoders);
        widths.map(|width| Block { width, scale: 1.0 }).collect()
    }

    pub(super) fn n_kernels(&self) -> usize {
        self.kernels.as_ref().map_or(0, |k| k.block_widths().len())
    }

    /// Rows of all blocks, `[series, width]`.
    pub(super) fn rows(&self, series: &[&Series]) -> Result<Vec<f32>, PredictError> {
        let all: Vec<usize> = (0..self.blocks().len()).collect();
        self.rows_of(&all, series)
    }

    /// Rows of some blocks; of kernels and of every look, only what these need is computed.
    fn rows_of(&self, wanted: &[usize], series: &[&Series]) -> Result<Vec<f32>, PredictError> {
        let blocks = self.blocks();
        let mut parts: Vec<Vec<f32>> = Vec::new();
        // Where in the parts the features of each wanted block are.
        let mut places: Vec<(usize, Range<usize>)> = Vec::new();
        let n_kernels = self.n_kernels();
        let of_kernels: Vec<usize> = wanted.iter().copied().filter(|&b| b < n_kernels).collect();
        if let Some(kernels) = self.kernels.as_ref().filter(|_| !of_kernels.is_empty()) {
            let features = features_of(&blocks, &of_kernels);
            places.extend(features.into_iter().map(|features| (0, features)));
            parts.push(kernels.transform_all(series)?);
        }
        if let Some((state, encoders)) = &self.encoders {
            let n_encoders = encoders.widths().len();
            for (look, state) in state.looks.iter().enumerate() {
                let own = n_kernels + look * n_encoders..n_kernels + (look + 1) * n_encoders;
                let own: Vec<usize> = wanted.iter().copied().filter(|b| own.contains(b)).collect();
                if own.is_empty() {
                    continue;
                }
                for block in own {
                    let part = parts.len() + (block - n_kernels) % n_encoders;
                    places.push((part, 0..blocks[block].width));
                }
                parts.extend(state.features(series, |axes, s| encoders.features(axes, s))?);
            }
        }
        let width: usize = places.iter().map(|(_, features)| features.len()).sum();
        let mut rows = Vec::with_capacity(series.len() * width);
        for i in 0..series.len() {
            for (part, features) in &places {
                let part = &parts[*part];
                let width = part.len() / series.len();
                rows.extend_from_slice(&part[i * width..][features.clone()]);
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
        let parts = state.looks[0].features(series, |axes, s| encoders.features(axes, s))?;
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
        difference_features: options.kernels.difference_features,
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
            Self::Computed { blocks, .. } => {
                let all: Vec<usize> = (0..blocks.len()).collect();
                self.read_blocks(&all, indices, out)
            }
        }
    }

    fn read_blocks(
        &self,
        blocks: &[usize],
        indices: &[usize],
        out: &mut [f32],
    ) -> Result<(), RowsError> {
        match self {
            Self::Held(table) => table.read_blocks(blocks, indices, out),
            Self::Computed {
                features, series, ..
            } => {
                let wanted: Vec<&Series> = indices.iter().map(|index| series[*index]).collect();
                out.copy_from_slice(&features.rows_of(blocks, &wanted)?);
                Ok(())
            }
        }
    }
}

#[cfg(all(test, feature = "cpu", feature = "builtin"))]
mod tests {
    use super::*;
    use crate::Modalities;
    use crate::backend::{BackendChoice, BackendKind};
    use crate::curves::CurveGenerator;

    #[test]
    fn rows_that_are_computed_for_some_blocks_are_those_that_are_held() {
        let set = CurveGenerator::new(1).labeled_set(4, 1).unwrap();
        let series = set
            .samples()
            .iter()
            .map(|s| s.series.truncated(30).unwrap());
        let series: Vec<Series> = series.collect();
        let series: Vec<&Series> = series.iter().collect();
        let device = BackendChoice::Only(BackendKind::Cpu).choose(None).unwrap();
        for (modalities, n_blocks, n_ridges) in [
            (Modalities::FULL, 5, [7, 2]),
            (Modalities::DUAL, 8, [15, 1]),
            (Modalities::KERNELS_ONLY, 3, [4, 1]),
            (Modalities::VISION_ONLY, 4, [5, 1]),
        ] {
            let options = FitOptions {
                modalities,
                ..FitOptions::default()
            };
            let features = Features::fit(&series, &options, &Pretrained::default(), &device);
            let features = features.unwrap().unwrap();
            let held = TrainingRows::new(&features, &series).unwrap();
            let computed = TrainingRows::Computed {
                features: &features,
                series: &series,
                blocks: features.blocks(),
            };
            let found = [&held, &computed].map(|rows| features.views(rows).ridges.len());
            assert_eq!(found, n_ridges, "{modalities}");
            assert_eq!(held.blocks().len(), n_blocks, "{modalities}");
            let last = n_blocks - 1;
            for blocks in [vec![0], vec![1, last], vec![last], (0..n_blocks).collect()] {
                let widths = features_of(held.blocks(), &blocks);
                let width: usize = widths.iter().map(Range::len).sum();
                let [one, other] = [&held, &computed].map(|rows| {
                    let mut out = vec![0.0; 2 * width];
                    rows.read_blocks(&blocks, &[3, 1], &mut out).unwrap();
                    out
                });
                assert!(one == other, "{modalities}, blocks {blocks:?}");
            }
        }
    }
}
