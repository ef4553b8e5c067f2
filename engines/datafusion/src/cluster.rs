//! The functions on a cluster: Ballista's scheduler, executors and client, with the functions of
//! this crate in their registries.
//!
//! The client plans a query and puts path and checksum of each model into the plan. Scheduler and
//! executors load the model from that path, which they must see, once a process.

use std::sync::Arc;

use ballista::prelude::SessionContextExt;
use ballista_core::object_store::{
    runtime_env_with_s3_support, session_config_with_s3_support, session_state_with_s3_support,
};
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::ExecutorProcessConfig;
use ballista_scheduler::config::SchedulerConfig;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::{Models, functions, register};

/// How a session on a cluster, or beside tables on S3, is configured before anything else.
pub fn session_config() -> SessionConfig {
    session_config_with_s3_support()
}

/// A context whose queries run on the cluster of the scheduler at `address`, `HOST:PORT`.
///
/// # Errors
/// If the address is none. Whether a scheduler is there shows with the first query.
pub async fn connect(
    address: &str,
    config: SessionConfig,
    models: &Arc<Models>,
) -> Result<SessionContext> {
    let state = session_state_with_s3_support(config)?;
    let context = SessionContext::remote_with_state(&format!("df://{address}"), state).await?;
    register(&context, models);
    Ok(context)
}

/// A scheduler that can plan the functions.
pub fn scheduler(config: SchedulerConfig, models: &Arc<Models>) -> SchedulerConfig {
    let functions = functions(models);
    let session = move |config| {
        let mut state = session_state_with_s3_support(config)?;
        for function in &functions {
            state.register_udf(Arc::clone(function))?;
        }
        Ok(state)
    };
    config
        .with_override_config_producer(Arc::new(session_config_with_s3_support))
        .with_override_session_builder(Arc::new(session))
}

/// An executor that can run the functions.
pub fn executor(mut config: ExecutorProcessConfig, models: &Arc<Models>) -> ExecutorProcessConfig {
    let mut registry = BallistaFunctionRegistry::default();
    for function in functions(models) {
        let name = function.name().to_owned();
        registry.scalar_functions.insert(name, function);
    }
    config.override_function_registry = Some(Arc::new(registry));
    config.override_config_producer = Some(Arc::new(session_config_with_s3_support));
    config.override_runtime_producer = Some(Arc::new(runtime_env_with_s3_support));
    config
}
