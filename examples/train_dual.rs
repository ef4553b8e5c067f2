//! Fits the full model to a set of series and scores it on a test set:
//! `cargo run --release --example train_dual`.
//!
//! Without arguments it takes JapaneseVowels, which is in this repository. The flags are those of
//! `timesclip train`; `-- --help` lists them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use timesclip_cli::train::{TrainFlags, train};

/// Every tensor operation allocates; this allocator makes a training step a third shorter.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Classifies multivariate time series by their line plots, their values and convolution kernels.
#[derive(Debug, Parser)]
#[command(args_override_self = true, allow_negative_numbers = true)]
struct Args {
    /// Labeled series to train on [default: JapaneseVowels, and its test set]
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    #[command(flatten)]
    flags: TrainFlags,
}

fn main() -> ExitCode {
    let mut args = Args::parse();
    let shipped = |name: &str| {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("examples/data")
            .join(name)
    };
    let data = args.data.unwrap_or_else(|| {
        let test = || shipped("JapaneseVowels_TEST.ts");
        args.flags.test_data.get_or_insert_with(test);
        shipped("JapaneseVowels_TRAIN.ts")
    });
    timesclip_cli::finish(train(&data, &args.flags))
}
