//! `timesclip-sql`: a query over tables of series, by models, into files.

mod output;
mod progress;
mod session;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::DFParser;
use output::Format;
use progress::Progress;
use timesclip_datafusion::Models;

/// Every tensor operation allocates.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs SQL over Parquet, CSV and JSON files, with models that classify and embed time series.
///
/// A file, a folder or a pattern stands in quotes where a table would:
/// SELECT id, timesclip_predict('gesture', acc_x, acc_y) FROM 'data/*.parquet'.
/// timesclip_probabilities gives the probability of each class, timesclip_embed an embedding.
#[derive(Debug, Parser)]
#[command(
    name = "timesclip-sql",
    version,
    after_help = "Exit codes: 0 done, 1 the work failed, 2 wrong usage. Results go to stdout or \
                  --out, all else to stderr."
)]
struct Args {
    /// Statements, separated by `;`, or `-` for stdin; the last one gives the result
    query: String,
    /// A model file, or the run directory that holds one, and its name in queries; may be given again
    #[arg(long, value_name = "NAME=PATH", value_parser = named)]
    model: Vec<(String, PathBuf)>,
    /// Where results go: a file (.csv, .json, .jsonl, .parquet), or a folder of them, which must be
    /// empty or not there; nothing is there until all of it is [default: stdout]
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// csv, json (an object a line) or parquet [default: as the file is called; parquet in a
    /// folder, csv on stdout]
    #[arg(long, value_name = "FORMAT")]
    output_format: Option<Format>,
    /// Parts of the work that are done at the same time [default: the number of cores]
    #[arg(long, value_name = "N")]
    partitions: Option<usize>,
    /// Memory for sorting and grouping, above which they go to temporary files: 512M, 4G
    #[arg(long, value_name = "SIZE")]
    memory_limit: Option<String>,
    /// Run on the cluster of this scheduler, in a build with the feature `ballista`
    #[arg(long, value_name = "HOST:PORT")]
    scheduler: Option<String>,
    /// A setting of DataFusion or Ballista, as `SET NAME = VALUE` would; may be given again
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Print no progress
    #[arg(long)]
    quiet: bool,
}

fn named(text: &str) -> std::result::Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), path.into()))
        }
        _ => Err("expected a name and a path, as in gesture=gesture.safetensors".to_owned()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let run = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(DataFusionError::from)
        .and_then(|runtime| runtime.block_on(run(args)));
    match run {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    let target = output::Target::new(args.out.as_deref(), args.output_format)?;
    let models = Arc::new(Models::new());
    for (name, path) in &args.model {
        models.name(name, path);
    }
    let context = session::context(&args, &models).await?;
    let query = match args.query.as_str() {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            text
        }
        text => text.to_owned(),
    };
    let progress = Progress::new(&models, args.quiet);
    let outcome = statements(&context, &query, &target, &progress).await;
    progress.finish(outcome.is_ok());
    outcome
}

/// Runs all statements; the rows of the last one go to `target`.
async fn statements(
    context: &SessionContext,
    query: &str,
    target: &output::Target,
    progress: &Arc<Progress>,
) -> Result<()> {
    let mut statements = DFParser::parse_sql(query)?;
    let last = statements.pop_back();
    let last = last.ok_or_else(|| DataFusionError::Plan("there is no statement".to_owned()))?;
    for statement in statements {
        let plan = context.state().statement_to_plan(statement).await?;
        context.execute_logical_plan(plan).await?.collect().await?;
    }
    let plan = context.state().statement_to_plan(last).await?;
    let frame = context.execute_logical_plan(plan).await?;
    output::write(frame, target, progress).await
}

/// An error with its causes, and without what DataFusion puts in front of those of others.
fn told(error: &DataFusionError) -> String {
    let root = error.find_root();
    let mut text = match root {
        DataFusionError::External(inner) => inner.to_string(),
        _ => error.strip_backtrace(),
    };
    let mut cause = match root {
        DataFusionError::External(inner) => inner.source(),
        _ => None,
    };
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}

fn is_broken_pipe(error: &DataFusionError) -> bool {
    let broken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    match error.find_root() {
        DataFusionError::IoError(error) => broken(error),
        DataFusionError::ArrowError(error, _) => match error.as_ref() {
            datafusion::arrow::error::ArrowError::IoError(_, error) => broken(error),
            _ => false,
        },
        _ => false,
    }
}
