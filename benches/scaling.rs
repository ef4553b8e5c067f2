//! How time and memory grow with samples, variates, steps, batch and ink: `cargo bench --bench scaling`.
//!
//! Each row doubles one size and leaves the others. A row runs in a process of its own, so that its
//! peak is its own; the slope of a series is that of the logarithms: 1 is in proportion, 2 is with
//! the square. Another argument than cargo's `--bench` runs only the series whose name contains it.

use std::error::Error;
use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{env, fs};

use burn::backend::Autodiff;
use burn::tensor::{DType, Int, Tensor, TensorData};
use burn_flex::{Flex, FlexDevice};
use timesclip::Modalities;
use timesclip::batch::{BatchSource, TimesClipBatcher};
use timesclip::cache::{BuildOptions, InMemoryImages};
use timesclip::data::normalize::{Normalization, Normalizer};
use timesclip::data::{Series, SeriesDataset};
use timesclip::model::{
    PatchTokens, TimesClipClassifierConfig, TransformerConfig, VisionEncoderConfig, VisionTower,
};
use timesclip::raster::{PlotStyle, Rasterizer};
use timesclip::train::{Trainer, TrainingConfig, TrainingData};

#[path = "shared/walks.rs"]
mod walks;

use walks::{N_CLASSES, walks};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Passes over what is timed; the fastest counts.
const ROUNDS: usize = 3;

/// One series: what is done, what doubles, from where, how often.
struct Growth {
    name: &'static str,
    of: &'static str,
    first: usize,
    doublings: u32,
    run: fn(usize) -> f64,
}

const SERIES: [Growth; 14] = [
    Growth {
        name: "draw/samples",
        of: "pictures of N x 14 x 37 at 224 px, drawn and kept in memory",
        first: 125,
        doublings: 5,
        run: |n| draw(n, 14, 37),
    },
    Growth {
        name: "draw/variates",
        of: "pictures of 250 x N x 37",
        first: 2,
        doublings: 5,
        run: |n| draw(250, n, 37),
    },
    Growth {
        name: "draw/steps",
        of: "pictures of 250 x 14 x N",
        first: 37,
        doublings: 5,
        run: |n| draw(250, 14, n),
    },
    Growth {
        name: "epoch/samples",
        of: "epoch of the small preset, dual, N x 14 x 37 in batches of 64",
        first: 64,
        doublings: 4,
        run: |n| epoch(Modalities::DUAL, [n, 14, 37], 64),
    },
    Growth {
        name: "epoch/variates",
        of: "the same, 64 x N x 37",
        first: 2,
        doublings: 4,
        run: |n| epoch(Modalities::DUAL, [64, n, 37], 64),
    },
    Growth {
        name: "epoch/steps/dual",
        of: "the same, 64 x 14 x N",
        first: 37,
        doublings: 4,
        run: |n| epoch(Modalities::DUAL, [64, 14, n], 64),
    },
    Growth {
        name: "epoch/steps/language",
        of: "the same, language only, 64 x 14 x N",
        first: 37,
        doublings: 4,
        run: |n| epoch(Modalities::LANGUAGE_ONLY, [64, 14, n], 64),
    },
    Growth {
        name: "epoch/steps/vision",
        of: "the same, vision only, 64 x 14 x N",
        first: 37,
        doublings: 4,
        run: |n| epoch(Modalities::VISION_ONLY, [64, 14, n], 64),
    },
    Growth {
        name: "step/batch",
        of: "one step of a batch of N, dual, 14 x 37",
        first: 8,
        doublings: 4,
        run: |n| epoch(Modalities::DUAL, [n, 14, 37], n),
    },
    Growth {
        name: "step/batch/ink",
        of: "the same on ink tokens",
        first: 8,
        doublings: 4,
        run: |n| epoch_on(PatchTokens::Ink, Modalities::DUAL, [n, 14, 37], n),
    },
    Growth {
        name: "ink/share",
        of: "pass of ViT-B/16 over 8 pictures with ink in N of their 196 patches",
        first: 12,
        doublings: 4,
        run: pass_over_share,
    },
    Growth {
        name: "ink/patches/all",
        of: "pass of a ViT-S over 8 line plots at 224 px in N x N patches, all tokens",
        first: 7,
        doublings: 3,
        run: |n| pass_over_plots(PatchTokens::All, n),
    },
    Growth {
        name: "ink/patches/ink",
        of: "the same, ink tokens",
        first: 7,
        doublings: 3,
        run: |n| pass_over_plots(PatchTokens::Ink, n),
    },
    Growth {
        name: "ink/steps",
        of: "pass of a ViT-S/16 over 8 line plots of N steps, ink tokens",
        first: 37,
        doublings: 4,
        run: |n| {
            let config = vit_s(14).with_tokens(PatchTokens::Ink);
            pass(&config, plots(config.side_px, n))
        },
    },
];

/// Pictures of a pass over an encoder.
const PICTURES: usize = 8;
const SIDE_PX: usize = 224;

/// A ViT-S of so many rows and columns of patches.
fn vit_s(grid: usize) -> VisionEncoderConfig {
    let blocks = TransformerConfig::new(384, 1536, 6, 12);
    VisionEncoderConfig::new(SIDE_PX, SIDE_PX / grid, blocks)
}

/// Masks of walks of so many steps.
fn plots(side_px: usize, n_steps: usize) -> Vec<u8> {
    let set = walks(PICTURES, 1, n_steps);
    let style = PlotStyle {
        side_px,
        ..PlotStyle::default()
    };
    let series: Vec<&Series> = set.samples().iter().map(|sample| &sample.series).collect();
    let mut masks = vec![0; PICTURES * side_px * side_px];
    let rasterizer = Rasterizer::new(style).expect("a sound style");
    rasterizer.draw_all(&series, &mut masks);
    masks
}

fn pass_over_plots(tokens: PatchTokens, grid: usize) -> f64 {
    let config = vit_s(grid).with_tokens(tokens);
    pass(&config, plots(SIDE_PX, 37))
}

/// A pass over pictures of which the first patches have ink.
fn pass_over_share(n_inked: usize) -> f64 {
    let config = VisionEncoderConfig::clip_vit_b_16().with_tokens(PatchTokens::Ink);
    let (side, size) = (config.side_px, config.image_patch_size);
    let mut picture = vec![0; side * side];
    for patch in 0..n_inked {
        let (row, column) = (patch / (side / size), patch % (side / size));
        picture[row * size * side + column * size] = 255;
    }
    pass(&config, picture.repeat(PICTURES))
}

/// Seconds of a frozen encoder's pass over pictures of one variate.
fn pass(config: &VisionEncoderConfig, masks: Vec<u8>) -> f64 {
    let side = config.side_px;
    let tower = VisionTower::frozen(config.init::<Flex>(&FlexDevice));
    let masks = TensorData::new(masks, [PICTURES, 1, side, side]);
    let masks = Tensor::<Flex, 4, Int>::from_data(masks, (&FlexDevice, DType::U8));
    let colors = Tensor::<Flex, 3>::from_data([[[1.0; 3], [-1.0; 3]]], &FlexDevice);
    fastest(|| {
        let start = Instant::now();
        black_box(tower.forward(masks.clone(), colors.clone()).into_data());
        start.elapsed().as_secs_f64()
    })
}

/// Seconds of drawing all pictures of a set.
fn draw(n_samples: usize, n_variates: usize, n_steps: usize) -> f64 {
    let set = walks(n_samples, n_variates, n_steps);
    let build = |set: SeriesDataset| {
        InMemoryImages::build(set, &PlotStyle::default(), BuildOptions::new()).expect("pictures")
    };
    fastest(|| {
        let set = set.clone();
        let start = Instant::now();
        black_box(build(set));
        start.elapsed().as_secs_f64()
    })
}

/// Seconds of a training epoch of the small preset, from pictures in memory.
fn epoch(mode: Modalities, shape: [usize; 3], batch_size: usize) -> f64 {
    epoch_on(PatchTokens::All, mode, shape, batch_size)
}

fn epoch_on(
    tokens: PatchTokens,
    mode: Modalities,
    [n, n_variates, n_steps]: [usize; 3],
    batch_size: usize,
) -> f64 {
    let set = walks(n, n_variates, n_steps);
    let mut model = TimesClipClassifierConfig::new(n_variates, N_CLASSES).with_modalities(mode);
    model.vision.tokens = tokens;
    let series = set.samples().iter().map(|sample| &sample.series);
    let normalizer = Normalizer::fit(Normalization::Dataset, series).expect("a sound set");
    let batcher = TimesClipBatcher::new(normalizer, mode);
    let style = PlotStyle {
        side_px: model.vision.side_px,
        ..PlotStyle::default()
    };
    let images = InMemoryImages::build(set, &style, BuildOptions::new()).expect("pictures");
    let train: Vec<usize> = (0..n).collect();
    let training = TrainingConfig::new()
        .with_epochs(ROUNDS + 1)
        .with_batch_size(batch_size);
    let data = TrainingData::new(BatchSource::new(&images, &batcher), &train, &[]);
    let trainer = Trainer::<Autodiff<Flex>>::new(&training, data, &FlexDevice);
    let trained = trainer
        .expect("sound numbers")
        .fit(model.init(&FlexDevice), &mut ());
    // The first epoch warms up.
    let epochs = trained.expect("epochs").epoch_seconds;
    epochs[1..].iter().copied().fold(f64::INFINITY, f64::min)
}

fn fastest(run: impl FnMut() -> f64) -> f64 {
    let times = std::iter::repeat_with(run).take(ROUNDS);
    times.fold(f64::INFINITY, f64::min)
}

/// Kilobytes of memory that this process has held at most, where Linux tells it.
fn peak_kb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Slope of the logarithms, by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let n = points.len() as f64;
    let logs = points.iter().map(|(x, y)| (x.ln(), y.ln()));
    let (x, y) = logs
        .clone()
        .fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x / n, sum.1 + y / n));
    let both: f64 = logs.clone().map(|(a, b)| (a - x) * (b - y)).sum();
    both / logs.map(|(a, _)| (a - x).powi(2)).sum::<f64>()
}

/// Runs one row in a process of its own: seconds, and megabytes above an idle process.
fn row(series: usize, size: usize, idle_kb: u64) -> Result<(f64, Option<f64>), Box<dyn Error>> {
    let arguments = [series.to_string(), size.to_string()];
    let output = Command::new(env::current_exe()?)
        .arg("--row")
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the row of {size} ended with {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace();
    let seconds = numbers.next().ok_or("a row ended without a time")?;
    let peak: Option<u64> = numbers.next().map(str::parse).transpose()?;
    let above = peak.map(|peak| peak.saturating_sub(idle_kb) as f64 / 1e3);
    Ok((seconds.parse()?, above))
}

fn table(number: usize, series: &Growth, idle_kb: u64) -> Result<(), Box<dyn Error>> {
    println!("{}: {}\n", series.name, series.of);
    println!("| N | s | MB |\n| --: | --: | --: |");
    let (mut times, mut peaks) = (Vec::new(), Vec::new());
    for doubling in 0..=series.doublings {
        let size = series.first << doubling;
        let (seconds, megabytes) = row(number, size, idle_kb)?;
        times.push((size as f64, seconds));
        peaks.extend(megabytes.map(|megabytes| (size as f64, megabytes)));
        let megabytes = megabytes.map_or("-".to_owned(), |megabytes| format!("{megabytes:.0}"));
        println!("| {size} | {seconds:.3} | {megabytes} |");
    }
    // The first rows are mostly what does not grow: the slope is that of the last three.
    let last = |points: &[(f64, f64)]| slope(&points[points.len().saturating_sub(3)..]);
    println!("| slope | {:.2} | {:.2} |\n", last(&times), last(&peaks));
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, series, size] = arguments.as_slice()
        && flag == "--row"
    {
        let series = &SERIES[series.parse::<usize>()?];
        let seconds = (series.run)(size.parse()?);
        let peak = peak_kb().map_or(String::new(), |peak| peak.to_string());
        println!("{seconds} {peak}");
        return Ok(());
    }
    let filter = arguments
        .iter()
        .find(|argument| !argument.starts_with("--"));
    let idle_kb = peak_kb().unwrap_or(0);
    for (number, series) in SERIES.iter().enumerate() {
        if filter.is_none_or(|filter| series.name.contains(filter.as_str())) {
            table(number, series, idle_kb)?;
        }
    }
    Ok(())
}
