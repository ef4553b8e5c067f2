//! Fair comparison: several models on the same training and test samples, with the same seeds.
//!
//! A [`Line`] is one model with one seed: fitted to the training samples, which decide everything
//! that is chosen, and then tested once. A [`Comparison`] is many of them, and says how far apart
//! they are and how sure that is.

mod contestant;
mod line;
mod sight;
mod summary;
mod table;

use thiserror::Error;

pub use contestant::{Contestant, UnknownContestant};
pub use line::{Line, LineScores};
pub use summary::{Comparison, Summary};

use crate::backend::BackendError;
use crate::classifier::{FitError, PredictError};
use crate::closed_form::ClosedFormError;
use crate::data::SeriesError;
use crate::raster::RasterError;

/// A model cannot be fitted or tested for a comparison.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CompareError {
    /// It cannot be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// It cannot answer.
    #[error(transparent)]
    Predict(#[from] PredictError),
    /// The test set does not go with the training set.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// Other variates in the test set than in the training set.
    #[error("the test set has {found} variates, the training set has {expected}")]
    Variates {
        /// Variates of the test set.
        found: usize,
        /// Variates of the training set.
        expected: usize,
    },
    /// The device is not there.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The series cannot be drawn.
    #[error(transparent)]
    Raster(#[from] RasterError),
    /// The closed form of a baseline cannot be fitted.
    #[error(transparent)]
    ClosedForm(#[from] ClosedFormError),
    /// The model is no match for a set of this size, or this build lacks what it needs.
    #[error("{contestant} is left out: {reason}")]
    LeftOut {
        /// The model.
        contestant: Contestant,
        /// Why.
        reason: String,
    },
}
