//! The reading student: gives, of the values of a curve, what teacher and vision encoder give of
//! the columns of its picture and, if it is told to, what random kernels find in the values.

use std::path::Path;

use anyhow::Result;
use burn::module::{AutodiffModule, Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Int, Tensor, TensorData};
use timesclip::model::{ReadingEncoder, ReadingEncoderConfig, VisionEncoder};
use timesclip::weights::save_reading;

use crate::curves::{Curves, N_POINTS};
use crate::kernels;
use crate::rows::Rows;
use crate::steps::Learner;
use crate::teacher::{GRID, TOKENS, Teacher};
use crate::vision;

/// Curves of a step.
pub(crate) const BATCH: usize = 192;
/// Curves that the vision encoder sees at a time.
const SEEN: usize = 256;
/// Share of InfoNCE, over whole curves and over columns, beside the error of distillation.
const ALIGNMENT: f64 = 0.5;
/// First temperature of InfoNCE, and the lowest it may learn.
const TEMPERATURE: [f64; 2] = [0.07, 0.01];
/// Added under a square root.
const TINY: f64 = 1e-12;

/// The encoder, and maps to the teachers' columns.
#[derive(Module, Debug)]
pub(crate) struct Student<B: Backend> {
    encoder: ReadingEncoder<B>,
    head: Linear<B>,
    /// Only where it learns what kernels find.
    kernels: Option<Linear<B>>,
    /// Logarithm of one over the temperature, `[1]`.
    sharpness: Param<Tensor<B, 1>>,
}

/// What it learns from: a row a curve.
pub(crate) struct Data {
    /// `[n, N_POINTS, 4]`
    points: Rows,
    /// `[n, GRID, d_teacher]`
    taught: Rows,
    kernels: Option<Found>,
    /// `[n, GRID, d_model]`
    seen: Rows,
    /// What `seen` is less than what is seen, `[GRID, d_model]`.
    center: Vec<f32>,
    n_held_back: usize,
}

/// What kernels find, and its weight beside the teacher.
struct Found {
    /// `[n, GRID, kernels::WIDTH]`
    rows: Rows,
    weight: f64,
}

impl Data {
    pub(crate) fn new<B: Backend>(
        curves: &Curves,
        data: &vision::Data<'_>,
        encoder: &VisionEncoder<B>,
        weight: f64,
        device: &B::Device,
    ) -> Result<Self> {
        let points = Rows {
            values: curves.points()?,
            shape: [N_POINTS, 4],
        };
        let kernels = (weight > 0.0).then(|| Found {
            rows: Rows {
                values: kernels::found(&points.values),
                shape: [GRID, kernels::WIDTH],
            },
            weight,
        });
        let (seen, center) = seen(data, encoder, device);
        Ok(Self {
            points,
            taught: taught(data.teacher)?,
            kernels,
            seen,
            center,
            n_held_back: data.n_held_back,
        })
    }

    fn held_back(&self) -> Vec<usize> {
        let n = self.taught.len();
        (n - self.n_held_back..n).collect()
    }
}

/// The teacher's column means.
fn taught(teacher: &Teacher) -> Result<Rows> {
    let width = teacher.width();
    let mut values = Vec::with_capacity(teacher.n_curves() * GRID * width);
    let mut tokens = Vec::with_capacity(TOKENS * width);
    for index in 0..teacher.n_curves() {
        tokens.clear();
        teacher.tokens(index, &mut tokens)?;
        for column in 0..GRID {
            let mean = |i: usize| {
                let cells = (0..GRID).map(|row| tokens[(row * GRID + column) * width + i]);
                cells.sum::<f32>() / GRID as f32
            };
            values.extend((0..width).map(mean));
        }
    }
    Ok(Rows {
        values,
        shape: [GRID, width],
    })
}

/// What the vision encoder sees of each column, less its mean over all curves; and that mean.
fn seen<B: Backend>(
    data: &vision::Data<'_>,
    encoder: &VisionEncoder<B>,
    device: &B::Device,
) -> (Rows, Vec<f32>) {
    let all: Vec<usize> = (0..data.teacher.n_curves()).collect();
    let d_model = encoder.config().transformer.d_model;
    let parts = all.chunks(SEEN).map(|curves| {
        let grid = vision::encode(encoder, &data.pictures, curves, device);
        let [n, width] = grid.dims();
        let rows = width / (GRID * d_model);
        let columns = grid.reshape([n, rows, GRID * d_model]).mean_dim(1);
        columns.reshape([n, GRID * d_model])
    });
    let columns = Tensor::cat(parts.collect(), 0);
    let mean = columns.clone().mean_dim(0);
    let numbers = |x: Tensor<B, 2>| x.into_data().iter::<f32>().collect();
    let rows = Rows {
        values: numbers(columns - mean.clone()),
        shape: [GRID, d_model],
    };
    (rows, numbers(mean))
}

/// The errors in what the teacher says and in what kernels find, each `[1]`.
type Errors<B> = (Tensor<B, 1>, Option<Tensor<B, 1>>);

/// What is said of each column by what was read of some curves.
struct Columns<B: Backend> {
    /// `[n, GRID, d_teacher]`
    taught: Tensor<B, 3>,
    /// `[n, GRID, d_model]`
    read: Tensor<B, 3>,
    /// `[n, GRID, kernels::WIDTH]`
    found: Option<Tensor<B, 3>>,
}

impl<B: Backend> Columns<B> {
    fn errors(&self, data: &Data, curves: &[usize], device: &B::Device) -> Errors<B> {
        let taught = error(&self.taught, data.taught.take(curves, device));
        let found = self.found.as_ref().zip(data.kernels.as_ref());
        let found = found.map(|(given, found)| error(given, found.rows.take(curves, device)));
        (taught, found)
    }
}

impl<B: Backend> Student<B> {
    pub(crate) fn new(data: &Data, device: &B::Device) -> Self {
        let config = ReadingEncoderConfig::new().with_joint_columns(Some(GRID));
        let d_model = config.transformer.d_model;
        let sharpness = Tensor::from_floats([-TEMPERATURE[0].ln()], device);
        Self {
            head: LinearConfig::new(d_model, data.taught.shape[1]).init(device),
            kernels: data.kernels.as_ref().map(|found| {
                let [_, width] = found.rows.shape;
                LinearConfig::new(d_model, width).init(device)
            }),
            sharpness: Param::from_tensor(sharpness),
            encoder: config.init(device),
        }
    }

    /// What the teacher, the vision encoder and the kernels should say of each column by what it
    /// reads.
    fn columns(&self, points: Tensor<B, 3>) -> Columns<B> {
        let tokens = self.encoder.forward(points);
        let [n, n_tokens, d_model] = tokens.dims();
        let means = tokens.clone();
        let means = means.reshape([n * GRID, n_tokens / GRID, d_model]);
        let means = means.mean_dim(1).reshape([n, GRID, d_model]);
        let joint = self.encoder.joint.as_ref().expect("a joint space");
        Columns {
            taught: linear(&self.head, means.clone()),
            read: joint.project(tokens),
            found: self.kernels.as_ref().map(|map| linear(map, means)),
        }
    }

    /// Writes the encoder.
    pub(crate) fn save(&self, data: &Data, device: &B::Device, folder: &Path) -> Result<()> {
        let encoder = self.encoder_of(data, device);
        Ok(save_reading(&encoder, folder.join("reading.safetensors"))?)
    }

    /// The encoder, with the center of the space.
    fn encoder_of(&self, data: &Data, device: &B::Device) -> ReadingEncoder<B> {
        let mut encoder = self.encoder.clone();
        if let Some(joint) = &mut encoder.joint {
            let center = TensorData::new(data.center.clone(), joint.center.shape());
            joint.center = Param::from_tensor(Tensor::from_data(center, device));
        }
        encoder
    }

    /// Shares of the curves held back that are found by the other view, as [`recall`] has them.
    fn retrieval(&self, data: &Data, device: &B::Device) -> [f64; 4] {
        let curves = data.held_back();
        let read = self.columns(data.points.take(&curves, device)).read;
        let read = unit(read.flatten::<2>(1, 2));
        let seen = unit(data.seen.take::<B>(&curves, device).flatten::<2>(1, 2));
        both_ways(&read, &seen)
    }

    /// The same of curves that nothing was chosen by, through what is shipped.
    pub(crate) fn recall(
        &self,
        data: &Data,
        vision: &VisionEncoder<B>,
        fresh: &Curves,
        device: &B::Device,
    ) -> Result<[f64; 4]> {
        let encoder = self.encoder_of(data, device);
        let joint = encoder.joint.as_ref().expect("a joint space");
        let pictures = fresh.pictures(vision::SIDE)?;
        let points = Rows {
            values: fresh.points()?,
            shape: [N_POINTS, 4],
        };
        let all: Vec<usize> = (0..fresh.len()).collect();
        let places = all.chunks(SEEN).map(|curves| {
            let read = encoder.forward(points.take(curves, device));
            let seen = vision::encode(vision, &pictures, curves, device);
            (joint.of_values(read), joint.of_pictures(seen))
        });
        let (read, seen): (Vec<_>, Vec<_>) = places.unzip();
        Ok(both_ways(&Tensor::cat(read, 0), &Tensor::cat(seen, 0)))
    }
}

/// Recall among the first and the first ten, of pictures by values and of values by pictures.
fn both_ways<B: Backend>(read: &Tensor<B, 2>, seen: &Tensor<B, 2>) -> [f64; 4] {
    let ([a, b], [c, d]) = (recall(read, seen), recall(seen, read));
    [a, b, c, d]
}

/// Shares of the rows whose own row there is the nearest, or among the ten nearest.
fn recall<B: Backend>(wanted: &Tensor<B, 2>, there: &Tensor<B, 2>) -> [f64; 2] {
    let n = there.dims()[0];
    let mut better = Vec::with_capacity(n);
    for start in (0..n).step_by(SEEN) {
        let some = wanted.clone().narrow(0, start, SEEN.min(n - start));
        let likeness = some.matmul(there.clone().transpose());
        let likeness: Vec<f32> = likeness.into_data().iter().collect();
        let rows = likeness.chunks_exact(n).zip(start..);
        better.extend(rows.map(|(row, own)| row.iter().filter(|x| **x > row[own]).count()));
    }
    [1, 10].map(|first| better.iter().filter(|&&n| n < first).count() as f64 / n as f64)
}

/// A linear layer as one matrix product.
fn linear<B: Backend>(layer: &Linear<B>, x: Tensor<B, 3>) -> Tensor<B, 3> {
    let [n, seq, _] = x.dims();
    let y = layer.forward(x.flatten::<2>(0, 1));
    let width = y.dims()[1];
    y.reshape([n, seq, width])
}

/// The mean of the squared differences.
fn error<B: Backend>(given: &Tensor<B, 3>, taught: Tensor<B, 3>) -> Tensor<B, 1> {
    let errors = given.clone() - taught;
    (errors.clone() * errors).mean()
}

/// Rows of length 1.
fn unit<B: Backend>(x: Tensor<B, 2>) -> Tensor<B, 2> {
    let length = ((x.clone() * x.clone()).sum_dim(1) + TINY).sqrt();
    x / length
}

/// InfoNCE in both directions between rows that belong together.
fn info_nce<B: Backend>(a: Tensor<B, 2>, b: Tensor<B, 2>, sharpness: Tensor<B, 1>) -> Tensor<B, 1> {
    let n = a.dims()[0];
    let logits = unit(a).matmul(unit(b).transpose()) * sharpness.unsqueeze();
    let rows = Tensor::<B, 1, Int>::arange(0..n as i64, &logits.device()).reshape([n, 1]);
    let own = |logits| log_softmax(logits, 1).gather(1, rows.clone()).mean();
    (own(logits.clone()) + own(logits.transpose())) * -0.5
}

impl<B: AutodiffBackend> Learner<B> for Student<B> {
    type Data<'a> = Data;

    fn loss(
        &self,
        data: &Data,
        curves: &[usize],
        random: u64,
        device: &B::Device,
    ) -> Result<Tensor<B, 1>> {
        let columns = self.columns(data.points.take(curves, device));
        let (taught, found) = columns.errors(data, curves, device);
        let distilled = match found.zip(data.kernels.as_ref()) {
            Some((found, kernels)) => taught + found * kernels.weight,
            None => taught,
        };
        let read = columns.read;
        let seen = data.seen.take::<B>(curves, device);
        let most = -TEMPERATURE[1].ln();
        let sharpness = self.sharpness.val().clamp_max(most).exp();
        let column = usize::try_from(random % GRID as u64)?;
        let of_column = |x: &Tensor<B, 3>| x.clone().narrow(1, column, 1).flatten::<2>(1, 2);
        let of_column = info_nce(of_column(&read), of_column(&seen), sharpness.clone());
        let whole = info_nce(read.flatten(1, 2), seen.flatten(1, 2), sharpness);
        Ok(distilled + (whole + of_column) * ALIGNMENT)
    }

    fn measure(&self, data: &Data, device: &B::Device) -> Result<String> {
        let student = self.valid();
        let curves = data.held_back();
        let columns = student.columns(data.points.take(&curves, device));
        let (taught, found) = columns.errors(data, &curves, device);
        let taught = taught.into_scalar().elem::<f64>();
        let found = found.map_or(String::new(), |found| {
            format!(" (of kernels {:.4})", found.into_scalar().elem::<f64>())
        });
        let [one, ten, back_one, back_ten] = student.retrieval(data, device);
        Ok(format!(
            "of {} curves held back: error {taught:.4}{found}, picture found by values {one:.3} (of \
             ten {ten:.3}), values by picture {back_one:.3} ({back_ten:.3})",
            curves.len()
        ))
    }
}
