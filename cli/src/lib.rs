//! The command `timesclip`, as a library, so that examples share its flags.
//!
//! Results go to stdout, all else to stderr. Exit codes: 0 done, 1 the work failed, 2 wrong usage.

/// Says something on stderr, as `eprintln!` does, whether or not anybody is left to read it.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::output::say(format_args!($($argument)*))
    };
}

mod cache;
mod closing;
mod compare;
mod draw;
mod early;
mod embed;
mod evaluate;
mod exit;
mod explain;
mod extend;
pub mod flags;
mod inspect;
mod memory;
mod output;
mod page;
mod predict;
mod progress;
mod read;
mod report;
mod rows;
mod search;
mod shard;
mod synth;
pub mod train;
mod values;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub use exit::finish;

use output::write_results;

/// Classifies multivariate time series by their line plots, their values and convolution kernels.
#[derive(Debug, Parser)]
#[command(
    name = "timesclip",
    version,
    args_override_self = true,
    allow_negative_numbers = true,
    after_help = "Exit codes: 0 done, 1 the work failed, 2 wrong usage. Results go to stdout, all \
                  else to stderr; `-` stands for stdin or stdout."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fit a model to labeled series
    Train(Box<train::TrainArgs>),
    /// Predict the classes of series
    Predict(predict::PredictArgs),
    /// Write the embeddings of series
    Embed(embed::EmbedArgs),
    /// Score a model on labeled series
    Evaluate(evaluate::EvaluateArgs),
    /// Write a page about a model and a test set, for people
    Report(report::ReportArgs),
    /// Show which variates and time windows predictions rest on
    Explain(explain::ExplainArgs),
    /// Score a model on the first steps of labeled series
    Early(early::EarlyArgs),
    /// Compare models on the same samples and seeds
    Compare(compare::CompareArgs),
    /// Find the series of a file that are nearest to others, by their values or their line plots
    Search(search::SearchArgs),
    /// Write labeled synthetic series
    Synth(synth::SynthArgs),
    /// Show what a model file holds, or what is understood of series
    Inspect(inspect::InspectArgs),
    /// Draw series as line plots
    Draw(draw::DrawArgs),
    /// Build, join, verify and remove stores of pictures and embeddings
    #[command(subcommand)]
    Cache(cache::CacheCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Runs the command and gives its exit code.
pub fn run(cli: Cli) -> ExitCode {
    finish(dispatch(cli.command))
}

fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::Train(args) => train::run(&args),
        Command::Predict(args) => predict::run(&args),
        Command::Embed(args) => embed::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Early(args) => early::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Search(args) => search::run(&args),
        Command::Synth(args) => synth::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Draw(args) => draw::run(&args),
        Command::Cache(command) => cache::run(command),
        Command::Completions { shell } => {
            let mut script: Vec<u8> = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "timesclip", &mut script);
            write_results(None, |out| Ok(out.write_all(&script)?))
        }
    }
}
