//! The loop: AdamW along a warm-up and half a cosine, and checkpoints to go on from.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use burn::module::AutodiffModule;
use burn::optim::{AdamWConfig, GradientsParams, Optimizer};
use burn::record::{FullPrecisionSettings, NamedMpkFileRecorder, Recorder};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Highest learning rate.
const RATE: f64 = 1.5e-3;
/// Weight decay.
const DECAY: f32 = 0.05;
/// Steps until the highest rate is reached.
const WARM_UP: usize = 50;
/// Steps from one checkpoint to the next.
const CHECKPOINT: usize = 100;
/// Steps from one line of progress to the next.
const REPORT: usize = 20;

/// What learns.
pub(crate) trait Learner<B: AutodiffBackend>: AutodiffModule<B> {
    /// What it learns from.
    type Data<'a>;

    /// The loss on some curves. `random` is a random number of this step.
    fn loss(
        &self,
        data: &Self::Data<'_>,
        curves: &[usize],
        random: u64,
        device: &B::Device,
    ) -> Result<Tensor<B, 1>>;

    /// A line of what it can do with the curves held back.
    fn measure(&self, data: &Self::Data<'_>, device: &B::Device) -> Result<String>;
}

/// A course of steps.
pub(crate) struct Steps {
    pub(crate) checkpoint: PathBuf,
    pub(crate) n_steps: usize,
    pub(crate) batch: usize,
    pub(crate) n_curves: usize,
    pub(crate) seed: u64,
    pub(crate) resume: bool,
}

impl Steps {
    /// Runs all steps that are left.
    pub(crate) fn run<B: AutodiffBackend, L: Learner<B>>(
        &self,
        mut learner: L,
        data: &L::Data<'_>,
        device: &B::Device,
    ) -> Result<L> {
        let name = self.checkpoint.file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        let optimizer = AdamWConfig::new().with_epsilon(1e-8);
        let mut optimizer = optimizer.with_weight_decay(DECAY).init::<B, L>();
        let recorder = NamedMpkFileRecorder::<FullPrecisionSettings>::new();
        let path = self.checkpoint.with_extension("mpk");
        let mut start = 0;
        if self.resume && path.is_file() {
            let record = Recorder::<B>::load(&recorder, path.clone(), device);
            let (step, weights, moments): (u64, _, _) =
                record.with_context(|| format!("cannot go on from {}", path.display()))?;
            start = usize::try_from(step)?;
            learner = learner.load_record(weights);
            optimizer = optimizer.load_record(moments);
            println!("{name:9} goes on after {start} steps");
        }
        let (started, mut losses) = (Instant::now(), Vec::new());
        for step in start..self.n_steps {
            let (curves, random) = self.batch_of(step);
            let loss = learner.loss(data, &curves, random, device)?;
            losses.push(loss.clone().into_scalar().elem::<f64>());
            let gradients = GradientsParams::from_grads(loss.backward(), &learner);
            learner = optimizer.step(self.rate(step), learner, gradients);
            let done = step + 1;
            if done % REPORT == 0 || done == self.n_steps {
                let loss = losses.iter().sum::<f64>() / losses.len() as f64;
                let each = started.elapsed().as_secs_f64() / (done - start) as f64;
                let n_steps = self.n_steps;
                println!("{name:9} step {done}/{n_steps}  loss {loss:.4}  {each:.2} s a step");
                losses.clear();
            }
            if done % CHECKPOINT == 0 || done == self.n_steps {
                println!("{name:9} {}", learner.measure(data, device)?);
                let record = (
                    done as u64,
                    learner.clone().into_record(),
                    optimizer.to_record(),
                );
                publish(&path, |beside| {
                    Ok(Recorder::<B>::record(&recorder, record, beside)?)
                })?;
            }
        }
        Ok(learner)
    }

    /// The curves of a step, each once a pass and in a new order every pass, and a number.
    fn batch_of(&self, step: usize) -> (Vec<usize>, u64) {
        let in_pass = self.n_curves / self.batch;
        let mut order: Vec<usize> = (0..self.n_curves).collect();
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream((step / in_pass) as u64);
        order.shuffle(&mut random);
        let first = step % in_pass * self.batch;
        let mut random = ChaCha8Rng::seed_from_u64(!self.seed);
        random.set_stream(step as u64);
        (order[first..first + self.batch].to_vec(), random.random())
    }

    fn rate(&self, step: usize) -> f64 {
        let middle = step as f64 + 0.5;
        let warm_up = WARM_UP.min(self.n_steps / 2) as f64;
        if middle < warm_up {
            return RATE * middle / warm_up;
        }
        let done = (middle - warm_up) / (self.n_steps as f64 - warm_up);
        RATE * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

/// Writes a file beside its place, then renames it: a crash leaves the old one or the new one.
fn publish(path: &Path, write: impl FnOnce(PathBuf) -> Result<()>) -> Result<()> {
    let beside = path.with_extension("partial.mpk");
    write(beside.clone())?;
    Ok(std::fs::rename(beside, path)?)
}
