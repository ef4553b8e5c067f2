//! `timesclip-executor`: Ballista's executor, which can run the functions of this crate.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use ballista_core::error::{BallistaError, Result};
use ballista_executor::config::Config;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::health::spawn_health_server;
use clap::{CommandFactory, FromArgMatches};
use timesclip_datafusion::{Models, cluster};
use tracing_subscriber::EnvFilter;

/// Every tensor operation allocates.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = Config::command().name("timesclip-executor").get_matches();
    let options = Config::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Config) -> Result<()> {
    let filter = EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(&options.log_level_setting));
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let health = format!("{}:{}", options.bind_host, options.bind_health_port);
    let health: SocketAddr = health.parse().map_err(|_| {
        BallistaError::Configuration(format!("`{health}` is no address to listen on"))
    })?;
    let config = ExecutorProcessConfig::try_from(options)?;
    let config = cluster::executor(config, &Arc::new(Models::new()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let probes = spawn_health_server(health, config.health.clone(), stopped);
        let result = start_executor_process(Arc::new(config)).await;
        // Only an early end of the probes leaves nobody to tell.
        let _ = stop.send(());
        let _ = probes.await;
        result
    })
}
