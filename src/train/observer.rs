//! Watching a run, and stopping it.

use std::ops::ControlFlow;

use super::EpochRecord;

/// A step that was just taken.
#[derive(Clone, Copy, Debug)]
pub struct StepEvent {
    /// Counted from 1.
    pub epoch: usize,
    /// Steps taken in this epoch.
    pub step: usize,
    /// Steps of an epoch.
    pub n_steps: usize,
    /// Total loss of the step's batch.
    pub loss: f64,
}

/// Watches a run, and may stop it.
pub trait TrainingObserver {
    /// Called after every step. A run stopped here goes on from the last whole epoch.
    fn on_step(&mut self, _event: StepEvent) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Called after every epoch.
    fn on_epoch(&mut self, _record: &EpochRecord) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Watches nothing.
impl TrainingObserver for () {}
