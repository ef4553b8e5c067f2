//! Pretrains the two small encoders of line plots on synthetic curves.
//!
//! The vision encoder learns to give what a middle block of a large ViT gives; the reading encoder
//! learns the same for the values of the curves, to find the picture of a curve by them, and, with
//! `--kernels`, what random kernels find in them. The ViT runs once over every curve; its tokens are
//! kept in the output folder. `docs/encoders.md` has the recipe.
//!
//! `cargo run --release --example pretrain -- --teacher DINOV2 --out FOLDER`

mod curves;
mod kernels;
mod reading;
mod rows;
mod steps;
mod teacher;
mod vision;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use clap::Parser;
use timesclip::backend::{BackendChoice, TrainingJob, train_on};
use timesclip::weights::{Checkpoint, save_vision};

use curves::Curves;
use steps::Steps;
use teacher::Teacher;

/// Every tensor operation allocates; this allocator makes a training step a third shorter.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pretrains a vision and a reading encoder on synthetic curves.
#[derive(Debug, Parser)]
struct Args {
    /// The teacher: a ViT in Hugging Face's layout, a directory or file
    #[arg(long, value_name = "PATH")]
    teacher: PathBuf,
    /// Folder of the teacher's tokens, the checkpoints and the encoders
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Curves to learn from
    #[arg(long, default_value_t = 39_936)]
    curves: usize,
    /// Those of them that the vision encoder learns from
    #[arg(long, default_value_t = 19_968)]
    vision_curves: usize,
    /// A finished vision encoder, a file of this program: only a reading encoder is trained
    #[arg(long, value_name = "FILE")]
    vision: Option<PathBuf>,
    /// Curves held back, to measure on
    #[arg(long, default_value_t = 512)]
    held_back: usize,
    /// New curves among which values and pictures are searched for at the end
    #[arg(long, default_value_t = 10_000)]
    fresh: usize,
    /// Optimizer steps of the vision encoder
    #[arg(long, default_value_t = 1000)]
    steps: usize,
    /// Optimizer steps of the reading encoder
    #[arg(long, default_value_t = 1500)]
    reading_steps: usize,
    /// Weight of what random kernels find in the values, beside the teacher, for the reading encoder
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.0)]
    kernels: f64,
    /// Decides the curves, the first weights and the order of the curves
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Goes on from the checkpoints in the folder
    #[arg(long)]
    resume: bool,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    backend: BackendChoice,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    ensure!(
        args.curves >= reading::BATCH.max(args.vision_curves)
            && args.vision_curves.min(args.held_back) >= vision::BATCH,
        "too few curves for a batch"
    );
    ensure!(
        args.kernels >= 0.0 && args.kernels.is_finite(),
        "--kernels is a weight, 0 or more"
    );
    std::fs::create_dir_all(&args.out)?;
    let device = args.backend.choose(None)?;
    train_on(device.kind, &[device.index], Pretraining(args))?
}

/// The part that needs a device.
struct Pretraining<'a>(&'a Args);

impl TrainingJob for Pretraining<'_> {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, devices: &[B::Device]) -> Result<()> {
        let (args, device) = (self.0, &devices[0]);
        B::seed(device, args.seed);
        let curves = Curves::draw(args.seed, args.curves + args.held_back)?;
        println!("curves    {} drawn and read", curves.len());
        let teacher = Teacher::open::<B::InnerBackend>(args, &curves, device)?;
        let steps = |name, (n_steps, n_curves), batch| Steps {
            checkpoint: args.out.join(name),
            n_steps,
            batch,
            n_curves,
            seed: args.seed,
            resume: args.resume,
        };
        let data = vision::Data {
            pictures: curves.pictures(vision::SIDE)?,
            teacher: &teacher,
            n_held_back: args.held_back,
        };
        let encoder = match &args.vision {
            Some(file) => Checkpoint::open(file)?.load_own_vision(device)?,
            None => {
                let student = vision::Student::<B>::new(teacher.width(), device);
                let course = (args.steps, args.vision_curves);
                let student = steps("vision", course, vision::BATCH).run(student, &data, device)?;
                student.valid().encoder()
            }
        };
        save_vision(&encoder, args.out.join("vision.safetensors"))?;
        let data = reading::Data::new(&curves, &data, &encoder, args.kernels, device)?;
        let reader = reading::Student::<B>::new(&data, device);
        let course = (args.reading_steps, args.curves);
        // A checkpoint of the one is none of the other.
        let name = ["reading", "reading-kernels"][usize::from(args.kernels > 0.0)];
        let reader = steps(name, course, reading::BATCH).run(reader, &data, device)?;
        let reader = reader.valid();
        reader.save(&data, device, &args.out)?;
        let fresh = Curves::draw(!args.seed, args.fresh)?;
        let [one, ten, back_one, back_ten] = reader.recall(&data, &encoder, &fresh, device)?;
        println!(
            "of {} new curves: picture found by values {one:.3} (of ten {ten:.3}), values by \
             picture {back_one:.3} ({back_ten:.3})",
            fresh.len()
        );
        Ok(())
    }
}
