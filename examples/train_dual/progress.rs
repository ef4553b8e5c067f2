//! Shows how a run goes: bars in a terminal, a line an epoch elsewhere; and stops it on Ctrl-C.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use indicatif::ProgressBar;
use timesclip::train::{EpochRecord, StepEvent, TrainingConfig, TrainingObserver};

use crate::data::progress_bar;

/// Watches the training.
pub(crate) struct Progress {
    epochs: usize,
    quiet: bool,
    bar: Option<ProgressBar>,
    stop: Arc<AtomicBool>,
}

impl Progress {
    /// Starts to watch, and to listen to Ctrl-C.
    pub(crate) fn new(config: &TrainingConfig, quiet: bool) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))?;
        Ok(Self {
            epochs: config.epochs,
            quiet,
            bar: None,
            stop,
        })
    }

    /// Takes the bar away.
    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn flow(&self) -> ControlFlow<()> {
        match self.stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl TrainingObserver for Progress {
    fn on_step(&mut self, event: StepEvent) -> ControlFlow<()> {
        let quiet = self.quiet;
        let bar = self
            .bar
            .get_or_insert_with(|| progress_bar(event.n_steps, quiet));
        bar.set_position(event.step as u64);
        bar.set_message(format!(
            "epoch {}/{} loss {:.4}",
            event.epoch, self.epochs, event.loss
        ));
        self.flow()
    }

    fn on_epoch(&mut self, record: &EpochRecord) -> ControlFlow<()> {
        self.finish();
        if !self.quiet {
            let valid = match (record.valid_loss, record.valid_accuracy) {
                (Some(loss), Some(accuracy)) => format!("  valid {loss:.4} {accuracy:.4}"),
                _ => String::new(),
            };
            println!(
                "epoch {:>3}/{}  train {:.4} {:.4}{valid}  rate {:.2e}",
                record.epoch,
                self.epochs,
                record.train_loss,
                record.train_accuracy,
                record.learning_rate
            );
        }
        self.flow()
    }
}
