//! Classifies and embeds time series in SQL: functions for DataFusion on one machine, and for
//! Ballista on many.
//!
//! | function | gives |
//! |---|---|
//! | `timesclip_predict(model, values...)` | the class, a text |
//! | `timesclip_probabilities(model, values...)` | a struct with the probability of each class |
//! | `timesclip_embed(model, values...)` | the embedding, a list of 32-bit floats |
//!
//! `model` is a name that [`Models`] knows, or the path of a model file. The values are one column
//! of lists for each variate, or one struct of such lists. A null in a list is a missing value,
//! lists of a row may differ in length, and a row without any value has the answer null.
//!
//! ```no_run
//! use std::sync::Arc;
//! use datafusion::prelude::{ParquetReadOptions, SessionContext};
//! use timesclip_datafusion::{Models, register};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let models = Arc::new(Models::new());
//! models.name("gesture", "gesture.safetensors");
//! let context = SessionContext::new();
//! register(&context, &models);
//! context.register_parquet("recordings", "data/", ParquetReadOptions::default()).await?;
//! let sql = "SELECT id, timesclip_predict('gesture', acc_x, acc_y) AS label FROM recordings";
//! context.sql(sql).await?.show().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `ballista`: `cluster`, the same functions in Ballista's scheduler, executors and client.

#![deny(clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "ballista")]
pub mod cluster;
mod error;
mod functions;
mod models;
mod series;

pub use error::{FunctionError, ModelError};
pub use functions::{functions, register};
pub use models::{Model, Models};
