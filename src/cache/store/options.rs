//! How a build is watched and held within a budget.

use std::fmt;
use std::ops::ControlFlow;

use super::StoreError;

/// What a build is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildPhase {
    /// Waiting for another process that builds the same store.
    Waiting,
    /// Drawing and coding pictures.
    Drawing,
    /// Computing the outputs of an encoder.
    Encoding,
    /// Copying what is in shards of the store.
    Joining,
}

/// How far a build has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildProgress {
    /// What it is doing.
    pub phase: BuildPhase,
    /// Pictures, or their features, that are done.
    pub done: usize,
    /// Those in all.
    pub total: usize,
}

type OnProgress<'a> = Box<dyn FnMut(BuildProgress) -> ControlFlow<()> + 'a>;

/// How a cache or store is built: the room it may take, and who watches.
///
/// # Examples
///
/// ```
/// use std::ops::ControlFlow;
/// use timesclip::cache::BuildOptions;
///
/// let options = BuildOptions::new().with_budget(2_000_000_000).with_progress(|progress| {
///     // Draw a bar from `progress.done` and `progress.total`.
///     ControlFlow::Continue(())
/// });
/// # let _ = options;
/// ```
#[derive(Default)]
pub struct BuildOptions<'a> {
    budget_bytes: Option<u64>,
    on_progress: Option<OnProgress<'a>>,
}

impl<'a> BuildOptions<'a> {
    /// No budget, nobody watching.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses, beforehand, to build a cache or store of more than `bytes`.
    ///
    /// The size is estimated first; should the estimate be too low, the building stops as soon as
    /// the budget is used up.
    #[must_use]
    pub fn with_budget(mut self, bytes: u64) -> Self {
        self.budget_bytes = Some(bytes);
        self
    }

    /// Calls `on_progress` at the start and after every sample, on the calling thread.
    /// `ControlFlow::Break` cancels the building.
    #[must_use]
    pub fn with_progress(
        mut self,
        on_progress: impl FnMut(BuildProgress) -> ControlFlow<()> + 'a,
    ) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Tells how far the building is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Cancelled`] if the callback says so.
    pub(crate) fn report(
        &mut self,
        phase: BuildPhase,
        done: usize,
        total: usize,
    ) -> Result<(), StoreError> {
        let progress = BuildProgress { phase, done, total };
        match self
            .on_progress
            .as_mut()
            .map(|on_progress| on_progress(progress))
        {
            Some(ControlFlow::Break(())) => Err(StoreError::Cancelled { done, total }),
            _ => Ok(()),
        }
    }

    /// Holds `needed` bytes against the budget.
    ///
    /// # Errors
    ///
    /// [`StoreError::OverBudget`].
    pub(crate) fn check_budget(&self, needed: u64) -> Result<(), StoreError> {
        match self.budget_bytes {
            Some(budget) if needed > budget => Err(StoreError::OverBudget { needed, budget }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for BuildOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildOptions")
            .field("budget_bytes", &self.budget_bytes)
            .field("watched", &self.on_progress.is_some())
            .finish()
    }
}
