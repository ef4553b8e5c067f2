//! The features that the closed form is fitted over: kernels and frozen encoders, side by side.

mod training;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::encoders::{EncoderState, Encoders, LoadError, VisionWeights};
use super::error::{FitError, PredictError};
use super::network::unit;
use super::options::FitOptions;
use super::pretrained::Pretrained;
use super::record::Record;
use crate::backend::ChosenDevice;
use crate::closed_form::Block;
use crate::data::Series;
use crate::kernels::{KernelConfig, KernelTransform};
use crate::weights::{Checkpoint, NamedTensor};
pub(super) use training::TrainingRows;

/// Samples up to which every kind of kernels has a ridge of its own, and encoders without kernels may look at
/// more than values: each ridge is a matrix of the samples' size to decompose.
pub(super) const FEW_SAMPLES: usize = 1500;
/// Curves up to which encoders are asked beside kernels: they would cost most of the time, and what they add
/// is little.
const MOST_BESIDE_KERNELS: usize = 4096;

/// Fitted feature blocks.
#[derive(Debug)]
pub(super) struct Features {
    pub(super) kernels: Option<KernelTransform>,
    pub(super) encoders: Option<(EncoderState, Box<dyn Encoders>)>,
}

impl Features {
    /// Fits the blocks that the options ask for; none if there are none. What is left out, and why, is noted.
    pub(super) fn fit(
        series: &[&Series],
        options: &FitOptions,
        pretrained: &Pretrained,
        device: &ChosenDevice,
        mut note: impl FnMut(String),
    ) -> Result<Option<Self>, FitError> {
        let kernels = match options.modalities.has_kernels() {
            true => Some(KernelTransform::fit(series, &kernels(series, options))?),
            false => None,
        };
        let mut encoders = EncoderState::fit(series, options, pretrained)?;
        let n_curves: usize = series.iter().map(|series| series.n_variates()).sum();
        if encoders.is_some() && kernels.is_some() && n_curves > MOST_BESIDE_KERNELS {
            encoders = None;
            note(format!(
                "the closed form is fitted to kernels alone: beside them, encoders look at {MOST_BESIDE_KERNELS} curves \
                 at most, and there are {n_curves}"
            ));
        }
        let encoders = match encoders {
            Some(mut state) => {
                let weights = pretrained.vision.as_ref().map(VisionWeights::Files);
                let loaded = state.load(weights, device)?;
                let widths = widths(loaded.as_ref());
                state
                    .looks
                    .thin_for(series.len(), options.ridge.most_axes, &widths);
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
        let encoders = self.encoders.iter();
        let encoders =
            encoders.flat_map(|(state, encoders)| state.looks.widths(&widths(encoders.as_ref())));
        let widths = kernels.chain(encoders);
        widths.map(|width| Block { width, scale: 1.0 }).collect()
    }

    pub(super) fn n_kernels(&self) -> usize {
        self.kernels.as_ref().map_or(0, |k| k.block_widths().len())
    }

    /// Rows of all blocks, `[series, width]`.
    pub(super) fn rows(&self, series: &[&Series]) -> Result<Vec<f32>, PredictError> {
        let go_on = |_| ControlFlow::Continue(());
        let rows = self.rows_while(series, self.series_to_answer(), go_on)?;
        Ok(rows.unwrap_or_default())
    }

    /// The same, encoding so many series at once; `go_on` hears how many are done. Nothing comes back if it breaks
    /// before all are.
    fn rows_while(
        &self,
        series: &[&Series],
        at_once: usize,
        mut go_on: impl FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Vec<f32>>, PredictError> {
        let kernels = self.kernels.as_ref();
        let kernels = kernels.map(|kernels| kernels.transform_all(series));
        let kernels = kernels.transpose()?;
        let Some((state, encoders)) = &self.encoders else {
            let _ = go_on(series.len());
            return Ok(kernels);
        };
        let mut encoded = Vec::new();
        let mut done = 0;
        for part in series.chunks(at_once) {
            let rows = state
                .looks
                .rows(part, |axes, series| encoders.features(axes, series))?;
            if encoded.is_empty() {
                encoded.reserve_exact(rows.len() / part.len() * series.len());
            }
            encoded.extend(rows);
            done += part.len();
            if go_on(done).is_break() && done < series.len() {
                return Ok(None);
            }
        }
        Ok(Some(match kernels {
            Some(kernels) => beside(&kernels, &encoded, series.len()),
            None => encoded,
        }))
    }

    /// Series that are encoded at once for their answers.
    fn series_to_answer(&self) -> usize {
        let encoders = self.encoders.as_ref();
        encoders.map_or(1, |(state, encoders)| {
            state.looks.series_to_answer(&widths(encoders.as_ref()))
        })
    }

    /// Features of the encoders, averaged over places: `[series][n_variates * d_model * encoders]`,
    /// each of length 1; `None` without encoders.
    pub(super) fn embed(&self, series: &[&Series]) -> Result<Option<Vec<Vec<f32>>>, PredictError> {
        let Some((state, encoders)) = &self.encoders else {
            return Ok(None);
        };
        let mut embeddings = Vec::with_capacity(series.len());
        for series in series.chunks(self.series_to_answer()) {
            let values = &state.looks.states[0];
            let parts = values.encoded(series, |axes, series| encoders.features(axes, series))?;
            embeddings.extend((0..series.len()).map(|i| {
                let parts = parts.iter().zip(encoders.widths());
                let embedding = parts.flat_map(|(part, (width, place))| {
                    let row = part.len() / series.len();
                    let variates = part[i * row..][..row].chunks(width);
                    variates.flat_map(move |variate| mean_of_places(variate, place))
                });
                unit(embedding.collect())
            }));
        }
        Ok(Some(embeddings))
    }
}

/// Features of a variate by each encoder.
fn widths(encoders: &dyn Encoders) -> Vec<usize> {
    let widths = encoders.widths().into_iter();
    widths.map(|(width, _)| width).collect()
}

/// Rows of which each has those of both, one beside the other.
fn beside(left: &[f32], right: &[f32], n_rows: usize) -> Vec<f32> {
    let [l, r] = [left, right].map(|part| part.len() / n_rows.max(1));
    let mut rows = Vec::with_capacity(left.len() + right.len());
    for i in 0..n_rows {
        rows.extend_from_slice(&left[i * l..][..l]);
        rows.extend_from_slice(&right[i * r..][..r]);
    }
    rows
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

#[cfg(all(test, feature = "cpu", feature = "builtin"))]
mod tests;
