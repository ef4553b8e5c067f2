//! Training steps, predictions and frozen forward passes, on the CPU backend unless
//! `TIMESCLIP_BENCH_BACKEND` names another (or `auto`) that is compiled in.
//!
//! `TIMESCLIP_BENCH_DTYPE` is what frozen encoders compute in, `f32`, `f16` or `bf16`;
//! `TIMESCLIP_BENCH_PICTURES` is how many they are given, 8 unless said otherwise.
//!
//! With `--serve` it runs the case named on each line of standard input and answers with the wall
//! and the processor seconds that took: `benches/compare/pytorch.py` alternates it with PyTorch so.

mod cases;
#[path = "../shared/settings.rs"]
mod settings;
#[path = "../shared/walks.rs"]
mod walks;

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, Write};
use std::time::Instant;

use burn::tensor::backend::AutodiffBackend;
use criterion::{BenchmarkId, Criterion, Throughput};
use timesclip::Modalities;
use timesclip::backend::{TrainingJob, train_on};
use timesclip::cache::features::FeatureDtype;
use timesclip::model::VisionEncoderConfig;

use crate::cases::{Case, Cases};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times a case that processes `elements` samples or pictures.
fn time(criterion: &mut Criterion, id: BenchmarkId, elements: usize, mut case: Case) {
    let mut group = criterion.benchmark_group("model");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(elements as u64));
    group.bench_function(id, |b| b.iter(&mut case));
    group.finish();
}

fn bench<B: AutodiffBackend>(cases: &Cases<B>, criterion: &mut Criterion) {
    for mode in [
        Modalities::DUAL,
        Modalities::LANGUAGE_ONLY,
        Modalities::VISION_ONLY,
    ] {
        let parameter = format!("small/{mode:?}/batch={}", cases::BATCH);
        let id = |what: &str| BenchmarkId::new(what, &parameter);
        time(criterion, id("step"), cases::BATCH, cases.step(mode));
        time(criterion, id("predict"), cases::BATCH, cases.predict(mode));
    }
    for patch in [16, 8] {
        let parameter = format!("vit-64px-{patch}/batch={}", cases::SMALL_PICTURES);
        let id = BenchmarkId::new("step", parameter);
        time(criterion, id, cases::SMALL_PICTURES, cases.vit_step(patch));
    }
    for (name, config) in [
        ("vit-b-32", VisionEncoderConfig::clip_vit_b_32()),
        ("vit-b-16", VisionEncoderConfig::clip_vit_b_16()),
    ] {
        let parameter = format!("{name}/batch={}", cases.pictures);
        let id = |what: &str| BenchmarkId::new(what, &parameter);
        let (pixels, masks) = (cases.forward_pixels(&config), cases.forward_masks(&config));
        time(criterion, id("forward-pixels"), cases.pictures, pixels);
        time(criterion, id("forward-masks"), cases.pictures, masks);
        let ink = cases.forward_ink(&config);
        time(criterion, id("forward-ink"), cases.pictures, ink);
    }
}

fn serve<B: AutodiffBackend>(cases: &Cases<B>) -> Result<(), Box<dyn Error>> {
    let mut open: Option<(String, Case)> = None;
    for line in io::stdin().lock().lines() {
        let name = line?;
        let (_, case) = match open.take() {
            Some(same) if same.0 == name => open.insert(same),
            _ => open.insert((name.clone(), cases.named(&name))),
        };
        let (start, used) = (Instant::now(), processor_seconds());
        case();
        let wall = start.elapsed().as_secs_f64();
        println!("{wall} {}", processor_seconds() - used);
        io::stdout().flush()?;
    }
    Ok(())
}

/// Processor time of all threads so far, where Linux tells it; otherwise zero.
fn processor_seconds() -> f64 {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    let nanoseconds = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    nanoseconds.sum::<u64>() as f64 * 1e-9
}

struct Bench {
    pictures: usize,
    dtype: FeatureDtype,
}

impl TrainingJob for Bench {
    type Output = Result<(), Box<dyn Error>>;

    fn run<B: AutodiffBackend>(self, devices: &[B::Device]) -> Self::Output {
        let device = devices[0].clone();
        let cases = Cases::<B>::new(device, self.pictures, settings::float(self.dtype));
        if std::env::args().any(|argument| argument == "--serve") {
            return serve(&cases);
        }
        let mut criterion = Criterion::default().configure_from_args();
        bench(&cases, &mut criterion);
        criterion.final_summary();
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = settings::device()?;
    let bench = Bench {
        pictures: settings::value("TIMESCLIP_BENCH_PICTURES", 8)?,
        dtype: settings::value("TIMESCLIP_BENCH_DTYPE", FeatureDtype::F32)?,
    };
    eprintln!("on {device}, frozen encoders in {}", bench.dtype);
    train_on(device.kind, &[device.index], bench)?
}
