//! All integration tests in one binary: every further one would link Burn again.

mod classifier_parity;
mod command;
mod downstream;
mod layering;
mod support;
mod training;
