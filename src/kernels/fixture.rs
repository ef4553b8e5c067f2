//! The cases of `tests/fixtures/kernels`: what aeon makes of given kernels.

use serde::Deserialize;

use crate::data::Series;

#[derive(Deserialize)]
pub(super) struct Cases {
    pub(super) mini_rocket: Vec<MiniRocketCase>,
    pub(super) hydra: Vec<HydraCase>,
    pub(super) dilations: Vec<DilationCase>,
}

#[derive(Deserialize)]
pub(super) struct MiniRocketCase {
    pub(super) name: String,
    pub(super) n_variates: usize,
    pub(super) n_steps: usize,
    pub(super) series: Vec<Vec<f32>>,
    pub(super) variate_counts: Vec<usize>,
    pub(super) variates: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    pub(super) n_biases: Vec<usize>,
    pub(super) biases: Vec<f32>,
    pub(super) features: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
pub(super) struct HydraCase {
    pub(super) name: String,
    pub(super) n_variates: usize,
    pub(super) n_steps: usize,
    pub(super) n_groups: usize,
    pub(super) series: Vec<Vec<f32>>,
    pub(super) dilations: Vec<usize>,
    pub(super) weights: Vec<f32>,
    pub(super) variates: Vec<usize>,
    pub(super) features: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
pub(super) struct DilationCase {
    pub(super) n_steps: usize,
    pub(super) n_biases: usize,
    pub(super) dilations: Vec<usize>,
    pub(super) counts: Vec<usize>,
}

impl Cases {
    pub(super) fn read() -> Self {
        let text = include_str!("../../tests/fixtures/kernels/cases.json");
        serde_json::from_str(text).unwrap()
    }
}

/// Series of time-major values.
pub(super) fn series(values: &[f32], n_variates: usize) -> Series {
    Series::new(values.to_vec(), values.len() / n_variates, n_variates).unwrap()
}
