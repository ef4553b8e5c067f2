//! Watching a fit: phases, epochs, the time that is left; and cancelling it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// What a fit is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Computing what the closed form is fitted to: kernels and frozen encoders, in samples.
    Features,
    /// Fitting the closed-form head.
    ClosedForm,
    /// Drawing pictures into a cache, in pictures.
    Drawing,
    /// Running a frozen vision encoder into the embedding cache, in pictures.
    Encoding,
    /// Training networks, in optimizer steps over all folds.
    Training,
}

impl Phase {
    /// A word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::ClosedForm => "closed form",
            Self::Drawing => "drawing",
            Self::Encoding => "encoding",
            Self::Training => "training",
        }
    }
}

/// Something that happened during a fit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum FitEvent {
    /// A phase is under way.
    Progress {
        /// Which.
        phase: Phase,
        /// How much of it is done.
        done: usize,
        /// How much there is to do.
        total: usize,
        /// Time until the phase is done, as far as the pace so far tells.
        eta: Option<Duration>,
    },
    /// An epoch of one fold was completed.
    #[cfg(feature = "train")]
    Epoch {
        /// The fold, counted from 1.
        fold: usize,
        /// Number of folds.
        n_folds: usize,
        /// Number of epochs of the fold.
        n_epochs: usize,
        /// What the epoch did.
        record: crate::train::EpochRecord,
    },
    /// Something a person may want to know: which device, what is skipped and why.
    Note(String),
}

/// Watches a fit, and may cancel it.
///
/// Closures that take a [`FitEvent`] are observers too. A fit that is cancelled gives the model as
/// far as it was fitted.
pub trait FitObserver {
    /// Called after every event; breaking cancels the fit.
    fn on_event(&mut self, event: &FitEvent) -> ControlFlow<()>;
}

/// Watches nothing.
impl FitObserver for () {
    fn on_event(&mut self, _: &FitEvent) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(&FitEvent) -> ControlFlow<()>> FitObserver for F {
    fn on_event(&mut self, event: &FitEvent) -> ControlFlow<()> {
        self(event)
    }
}

/// Turns counts into events with the time that is left, and remembers whether someone cancelled.
pub(super) struct Watch<'a> {
    observer: &'a mut dyn FitObserver,
    started: Instant,
    cancelled: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(observer: &'a mut dyn FitObserver) -> Self {
        Self {
            observer,
            started: Instant::now(),
            cancelled: false,
        }
    }

    /// Passes an event on.
    pub(super) fn tell(&mut self, event: &FitEvent) -> ControlFlow<()> {
        if self.observer.on_event(event).is_break() {
            self.cancelled = true;
        }
        self.flow()
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        let _ = self.tell(&FitEvent::Note(text.into()));
    }

    /// Starts the clock of a phase anew.
    pub(super) fn start(&mut self, phase: Phase, total: usize) -> ControlFlow<()> {
        self.started = Instant::now();
        self.progress(phase, 0, total)
    }

    pub(super) fn progress(&mut self, phase: Phase, done: usize, total: usize) -> ControlFlow<()> {
        let eta = (done > 0).then(|| {
            let left = total.saturating_sub(done) as f64 / done as f64;
            self.started.elapsed().mul_f64(left)
        });
        self.tell(&FitEvent::Progress {
            phase,
            done,
            total,
            eta,
        })
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    pub(super) fn flow(&self) -> ControlFlow<()> {
        match self.cancelled {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
