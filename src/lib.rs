//! timesclip: classifies multivariate time series by seeing and reading them.

#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod backend;
pub mod batch;
pub mod cache;
mod error;
mod input;
pub mod loss;
pub mod metrics;
pub mod model;
pub mod normalize;
pub mod raster;
#[cfg(feature = "report")]
pub mod report;
pub mod series;
pub mod split;
#[cfg(feature = "train")]
pub mod train;

pub use error::Error;
