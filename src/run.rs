//! The directory of a run: its configuration, its lock, its files.

mod difference;
mod directory;
mod error;
mod lock;
#[cfg(feature = "tensorboard")]
pub mod tensorboard;

pub use directory::{DataSource, RunConfig, RunDirectory};
pub use error::RunError;
