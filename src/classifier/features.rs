//! The features that the closed form is fitted over: kernels and frozen encoders, side by side.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::encoders::{EncoderState, Encoders, LoadError, VisionWeights};
use super::error::{FitError, PredictError};
use super::looks::HELD_BYTES;
use super::network::unit;
use super::options::FitOptions;
use super::pretrained::Pretrained;
use super::record::Record;
use crate::backend::ChosenDevice;
use crate::closed_form::{Block, FeatureRows, FeatureTable, RowsError};
use crate::data::Series;
use crate::kernels::{KernelConfig, KernelTransform};
use crate::weights::{Checkpoint, NamedTensor};

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
                "the closed form is fitted to kernels alone: encoders look at {MOST_BESIDE_KERNELS} curves at most \
                 beside them, and there are {n_curves}"
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

/// The rows of the training samples: held if they are few, else computed when asked for.
pub(super) enum TrainingRows<'a> {
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
    pub(super) fn new(
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

#[cfg(all(test, feature = "cpu", feature = "builtin"))]
mod tests {
    use super::*;
    use crate::Modalities;
    use crate::backend::{BackendChoice, BackendKind};
    use crate::curves::CurveGenerator;

    fn cut_curves(n_samples: usize) -> Vec<Series> {
        let set = CurveGenerator::new(1)
            .labeled_set(n_samples, 1)
            .expect("a set");
        let samples = set.samples().iter();
        samples
            .map(|sample| sample.series.truncated(30).expect("a step"))
            .collect()
    }

    fn fitted(series: &[&Series], options: &FitOptions) -> (Features, Vec<String>) {
        let device = BackendChoice::Only(BackendKind::Cpu)
            .choose(None)
            .expect("a processor");
        let mut notes = Vec::new();
        let pretrained = Pretrained::default();
        let note = |text| notes.push(text);
        let features = Features::fit(series, options, &pretrained, &device, note);
        let features = features.expect("a fit").expect("some features");
        (features, notes)
    }

    fn held<'a>(features: &'a Features, series: &'a [&'a Series]) -> TrainingRows<'a> {
        let rows = TrainingRows::new(features, series, |_| ControlFlow::Continue(()));
        rows.expect("rows").expect("nothing stops it")
    }

    #[test]
    fn blocks_and_ridges_are_those_of_the_modalities() {
        let series = cut_curves(4);
        let series: Vec<&Series> = series.iter().collect();
        for (modalities, n_blocks, n_ridges) in [
            (Modalities::FULL, 5, 7),
            (Modalities::DUAL, 8, 15),
            (Modalities::KERNELS_ONLY, 3, 4),
            (Modalities::VISION_ONLY, 4, 5),
        ] {
            let options = FitOptions {
                modalities,
                ..FitOptions::default()
            };
            let (features, notes) = fitted(&series, &options);
            let rows = held(&features, &series);
            assert_eq!(rows.blocks().len(), n_blocks, "{modalities}");
            assert_eq!(features.views(&rows).ridges.len(), n_ridges, "{modalities}");
            assert!(notes.is_empty(), "{notes:?}");
        }
    }

    #[test]
    fn rows_that_are_computed_are_those_that_are_held() {
        let series = cut_curves(4);
        let series: Vec<&Series> = series.iter().collect();
        let options = FitOptions {
            modalities: Modalities::KERNELS_ONLY,
            ..FitOptions::default()
        };
        let (features, _) = fitted(&series, &options);
        let computed = TrainingRows::Computed {
            kernels: features.kernels.as_ref().unwrap(),
            series: &series,
            blocks: features.blocks(),
        };
        assert_eq!(features.views(&computed).ridges.len(), 1);
        for blocks in [vec![0], vec![1, 2], vec![0, 1, 2]] {
            let width: usize = blocks.iter().map(|&b| computed.blocks()[b].width).sum();
            let [one, other] = [&held(&features, &series), &computed].map(|rows| {
                let mut out = vec![0.0; 2 * width];
                rows.read_blocks(&blocks, &[3, 1], &mut out).unwrap();
                out
            });
            assert!(one == other, "blocks {blocks:?}");
        }
    }

    #[test]
    fn encoders_of_many_samples_have_no_more_features_than_the_ridge_has_axes() {
        let series = cut_curves(20);
        let series: Vec<&Series> = series.iter().collect();
        let mut options = FitOptions {
            modalities: Modalities::DUAL,
            ..FitOptions::default()
        };
        options.ridge.most_axes = 16;
        let (features, _) = fitted(&series, &options);
        let rows = held(&features, &series);
        let widths: Vec<usize> = rows.blocks().iter().map(|block| block.width).collect();
        assert_eq!(widths, [4; 8]);

        // The features are among those of a model that keeps them all.
        options.ridge.most_axes = 4096;
        let (all, _) = fitted(&series, &options);
        let row = |features: &Features| features.rows(&series[..1]).unwrap();
        let (kept, all) = (row(&features), row(&all));
        assert_eq!((kept.len(), all.len()), (32, 4 * (4096 + 2048)));
        assert!(
            kept[..4]
                .iter()
                .all(|feature| all[..4096].contains(feature))
        );
        assert!(
            kept[28..]
                .iter()
                .all(|feature| all[all.len() - 2048..].contains(feature))
        );
    }

    fn wide(n_samples: usize, n_variates: usize) -> Vec<Series> {
        let values = |i: usize| (0..9 * n_variates).map(move |j| ((i + j) % 13) as f32);
        let series = |i| Series::new(values(i).collect(), 9, n_variates);
        (0..n_samples)
            .map(series)
            .collect::<Result<_, _>>()
            .expect("finite values")
    }

    #[test]
    fn beside_kernels_encoders_look_at_no_more_curves_than_is_quick() {
        let n_samples = MOST_BESIDE_KERNELS / 1024;
        let series = wide(n_samples + 1, 1024);
        let series: Vec<&Series> = series.iter().collect();
        let options = FitOptions::default();
        let (features, notes) = fitted(&series, &options);
        assert!(features.encoders.is_none());
        let note = "the closed form is fitted to kernels alone: encoders look at 4096 curves at most beside \
                    them, and there are 5120";
        assert_eq!(notes, [note]);
        let (features, notes) = fitted(&series[..n_samples], &options);
        assert!(features.encoders.is_some() && notes.is_empty());
    }

    #[test]
    fn computing_can_be_stopped_before_the_last_series() {
        // Each is encoded by itself: four looks at 260 variates.
        let series = wide(2, 260);
        let series: Vec<&Series> = series.iter().collect();
        let options = FitOptions {
            modalities: Modalities::LANGUAGE_ONLY,
            ..FitOptions::default()
        };
        let (features, _) = fitted(&series, &options);
        for (n_series, is_stopped) in [(2, true), (1, false)] {
            let mut told = Vec::new();
            let rows = TrainingRows::new(&features, &series[..n_series], |done| {
                told.push(done);
                ControlFlow::Break(())
            });
            assert_eq!(rows.unwrap().is_none(), is_stopped);
            assert_eq!(told, [1]);
        }
    }
}
