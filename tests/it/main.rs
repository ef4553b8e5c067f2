//! All integration tests in one binary: every further one would link Burn again.

mod augmentation;
mod cache_contract;
mod child;
mod classifier_parity;
mod command;
mod disk_faults;
mod disk_processes;
mod downstream;
mod golden_raster;
mod layering;
mod pictures;
mod raster_allocations;
mod support;
mod training;
