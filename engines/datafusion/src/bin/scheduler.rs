//! `timesclip-scheduler`: Ballista's scheduler, which can plan the functions of this crate.

use std::process::ExitCode;
use std::sync::Arc;

use ballista_core::error::{BallistaError, Result};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{Config, SchedulerConfig};
use ballista_scheduler::scheduler_process::start_server;
use clap::{CommandFactory, FromArgMatches};
use timesclip_datafusion::{Models, cluster};
use tracing_subscriber::EnvFilter;

/// Plans of many operators are nested deeply; as in Ballista's own.
const STACK: usize = 32 << 20;

fn main() -> ExitCode {
    let matches = Config::command().name("timesclip-scheduler").get_matches();
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
    let address = format!("{}:{}", options.bind_host, options.bind_port);
    let address = address.parse().map_err(|_| {
        BallistaError::Configuration(format!("`{address}` is no address to listen on"))
    })?;
    let config = SchedulerConfig::try_from(options)?;
    let config = cluster::scheduler(config, &Arc::new(Models::new()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK)
        .build()?;
    runtime.block_on(async {
        let cluster = BallistaCluster::new_from_config(&config).await?;
        start_server(cluster, address, Arc::new(config)).await
    })
}
