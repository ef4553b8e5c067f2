//! Where a query runs: in this process, or on a cluster.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use timesclip_datafusion::{Models, register};

use crate::Args;

/// A context that knows the functions and the models, and takes files for tables.
pub(crate) async fn context(args: &Args, models: &Arc<Models>) -> Result<SessionContext> {
    let mut config = base();
    if let Some(partitions) = args.partitions {
        config = config.with_target_partitions(partitions);
    }
    for setting in &args.set {
        let (name, value) = setting.split_once('=').ok_or_else(|| {
            DataFusionError::Configuration(format!("`{setting}` is no NAME=VALUE"))
        })?;
        config.options_mut().set(name.trim(), value.trim())?;
    }
    let context = match &args.scheduler {
        Some(address) => remote(address, config, models).await?,
        None => {
            let runtime = runtime(args.memory_limit.as_deref(), &config)?;
            let context = SessionContext::new_with_config_rt(config, runtime);
            register(&context, models);
            context
        }
    };
    Ok(context.enable_url_table())
}

#[cfg(feature = "ballista")]
fn base() -> SessionConfig {
    timesclip_datafusion::cluster::session_config()
}

#[cfg(not(feature = "ballista"))]
fn base() -> SessionConfig {
    SessionConfig::new().with_information_schema(true)
}

#[cfg(feature = "ballista")]
async fn remote(
    address: &str,
    config: SessionConfig,
    models: &Arc<Models>,
) -> Result<SessionContext> {
    timesclip_datafusion::cluster::connect(address, config, models).await
}

#[cfg(not(feature = "ballista"))]
async fn remote(address: &str, _: SessionConfig, _: &Arc<Models>) -> Result<SessionContext> {
    Err(DataFusionError::NotImplemented(format!(
        "this build knows no clusters such as that of {address}: cargo feature `ballista` is off"
    )))
}

/// Memory and temporary files of the process.
fn runtime(memory_limit: Option<&str>, config: &SessionConfig) -> Result<Arc<RuntimeEnv>> {
    let stores = stores(config)?;
    let mut builder = RuntimeEnvBuilder::from_runtime_env(&stores);
    if let Some(limit) = memory_limit {
        let bytes = SessionContext::parse_capacity_limit("--memory-limit", limit)?;
        builder = builder.with_memory_pool(Arc::new(FairSpillPool::new(bytes)));
    }
    builder.build_arc()
}

#[cfg(feature = "ballista")]
fn stores(config: &SessionConfig) -> Result<Arc<RuntimeEnv>> {
    ballista_core::object_store::runtime_env_with_s3_support(config)
}

#[cfg(not(feature = "ballista"))]
fn stores(_: &SessionConfig) -> Result<Arc<RuntimeEnv>> {
    RuntimeEnvBuilder::new().build_arc()
}
