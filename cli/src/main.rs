//! The command `timesclip`.

use std::process::ExitCode;

use clap::Parser;

/// Every tensor operation allocates; this allocator makes a training step a third shorter.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    timesclip_cli::run(timesclip_cli::Cli::parse())
}
