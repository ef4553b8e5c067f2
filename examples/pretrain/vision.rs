//! The vision student: gives, of a small picture, the tokens that the teacher gives of a large one.

use anyhow::Result;
use burn::module::{AutodiffModule, Module};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Int, Tensor, TensorData};
use timesclip::model::{TokenPooling, VisionEncoder, VisionEncoderConfig};

use crate::curves::Pictures;
use crate::steps::Learner;
use crate::teacher::{GRID, TOKENS, Teacher};

/// Curves of a step.
pub(crate) const BATCH: usize = 128;
/// Width and height of a picture.
pub(crate) const SIDE: usize = 64;
/// Weight of the error in a cell with ink and without: most cells are blank.
const INK: f32 = 1.3;
const BLANK: f32 = 0.3;

/// The encoder, and a map to the teacher's tokens.
#[derive(Module, Debug)]
pub(crate) struct Student<B: Backend> {
    encoder: VisionEncoder<B>,
    head: Linear<B>,
}

/// What it learns from.
pub(crate) struct Data<'a> {
    pub(crate) pictures: Pictures<'a>,
    pub(crate) teacher: &'a Teacher,
    pub(crate) n_held_back: usize,
}

impl<B: Backend> Student<B> {
    pub(crate) fn new(d_teacher: usize, device: &B::Device) -> Self {
        let mut config = VisionEncoderConfig::line_plots();
        config.tap.pooling = TokenPooling::Grid {
            rows: GRID,
            columns: GRID,
        };
        Self {
            head: LinearConfig::new(config.transformer.d_model, d_teacher).init(device),
            encoder: config.init(device),
        }
    }

    /// The tokens of some curves' pictures, `[n, TOKENS, d_model]`.
    fn tokens(
        &self,
        pictures: &Pictures<'_>,
        curves: &[usize],
        device: &B::Device,
    ) -> Tensor<B, 3> {
        let taken = encode(&self.encoder, pictures, curves, device);
        let d_model = self.encoder.config().transformer.d_model;
        taken.reshape([curves.len(), TOKENS, d_model])
    }

    /// The encoder, with the tap that its features are read by.
    pub(crate) fn encoder(&self) -> VisionEncoder<B> {
        let encoder = self.encoder.clone();
        encoder.with_tap(VisionEncoderConfig::line_plots().tap)
    }

    /// Weighted mean of the squared errors.
    fn error(&self, data: &Data<'_>, curves: &[usize], device: &B::Device) -> Result<Tensor<B, 1>> {
        let n = curves.len();
        let width = data.teacher.width();
        let (mut targets, mut weights) = (Vec::with_capacity(n * TOKENS * width), Vec::new());
        for &index in curves {
            data.teacher.tokens(index, &mut targets)?;
            weights.extend(weights_of(data.pictures.mask(index)));
        }
        let targets = TensorData::new(targets, [n * TOKENS, width]);
        let targets = Tensor::<B, 2>::from_data(targets, device);
        let weights = TensorData::new(weights, [n * TOKENS, 1]);
        let weights = Tensor::<B, 2>::from_data(weights, device);
        let tokens = self.tokens(&data.pictures, curves, device);
        let given = self.head.forward(tokens.flatten::<2>(0, 1));
        let errors = given - targets;
        Ok((errors.clone() * errors * weights).mean())
    }
}

/// What an encoder takes of some curves' pictures, `[n, d_output]`.
pub(crate) fn encode<B: Backend>(
    encoder: &VisionEncoder<B>,
    pictures: &Pictures<'_>,
    curves: &[usize],
    device: &B::Device,
) -> Tensor<B, 2> {
    let ink = curves.iter().flat_map(|&index| pictures.mask(index));
    let ink: Vec<i32> = ink.map(|&level| i32::from(level)).collect();
    let ink = TensorData::new(ink, [curves.len(), 1, SIDE, SIDE]);
    let masks = Tensor::<B, 4, Int>::from_data(ink, device);
    // Convolutions look at the ink, whatever its color.
    let colors = Tensor::zeros([1, 2, 3], device);
    encoder.forward(masks, colors).flatten(1, 2)
}

/// The weight of each cell of a picture, row-major.
fn weights_of(mask: &[u8]) -> [f32; TOKENS] {
    let cell = SIDE / GRID;
    let mut weights = [BLANK; TOKENS];
    for (at, _) in mask.iter().enumerate().filter(|(_, ink)| **ink > 0) {
        weights[at / SIDE / cell * GRID + at % SIDE / cell] = INK;
    }
    weights
}

impl<B: AutodiffBackend> Learner<B> for Student<B> {
    type Data<'a> = Data<'a>;

    fn loss(
        &self,
        data: &Data<'_>,
        curves: &[usize],
        _random: u64,
        device: &B::Device,
    ) -> Result<Tensor<B, 1>> {
        self.error(data, curves, device)
    }

    fn measure(&self, data: &Data<'_>, device: &B::Device) -> Result<String> {
        let student = self.valid();
        let n_curves = data.teacher.n_curves();
        let held_back: Vec<usize> = (n_curves - data.n_held_back..n_curves).collect();
        let mut errors = Vec::new();
        for curves in held_back.chunks_exact(BATCH) {
            let error = student.error(data, curves, device)?;
            errors.push(error.into_scalar().elem::<f64>());
        }
        let error = errors.iter().sum::<f64>() / errors.len() as f64;
        Ok(format!("error {error:.4} on curves held back"))
    }
}
