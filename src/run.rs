//! The directory of a run: its configuration, its lock, its files.

mod difference;
mod directory;
mod error;
mod lock;

pub use directory::{DataSource, RunConfig, RunDirectory};
pub use error::RunError;
