//! `SampleSource`: where batches get their labeled series from.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use thiserror::Error;

use super::{LabeledSeries, SeriesDataset};

/// Labeled series of one shape family, read by their position.
///
/// A [`SeriesDataset`] is one that holds them all; an implementation elsewhere may read them from
/// wherever they are. Object safe; reads take `&self` and may come from several threads at once.
///
/// # Examples
/// ```
/// use timesclip::data::{LabeledSeries, SampleSource, Series, SeriesDataset};
///
/// let series = Series::new(vec![1.0, 2.0, 1.5], 3, 1)?;
/// let samples = vec![LabeledSeries { id: 7, series, label: 0 }];
/// let set = SeriesDataset::new("one", vec!["only".into()], samples)?;
/// assert_eq!((set.n_samples(), set.sample(0)?.id), (1, 7));
/// assert!(set.sample(1).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SampleSource: Send + Sync {
    /// Number of samples.
    fn n_samples(&self) -> usize;

    /// Number of variates of every sample.
    fn n_variates(&self) -> usize;

    /// The labeled series of the sample at `index`: the same on every read.
    ///
    /// # Errors
    /// [`SampleError::IndexOutOfRange`]; whatever an implementation meets while it reads.
    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, SampleError>;
}

impl SampleSource for SeriesDataset {
    fn n_samples(&self) -> usize {
        self.len()
    }

    fn n_variates(&self) -> usize {
        Self::n_variates(self)
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, SampleError> {
        SampleError::check_index(index, self.len())?;
        Ok(Cow::Borrowed(&self.samples()[index]))
    }
}

impl<S: SampleSource + ?Sized> SampleSource for Arc<S> {
    fn n_samples(&self) -> usize {
        (**self).n_samples()
    }

    fn n_variates(&self) -> usize {
        (**self).n_variates()
    }

    fn sample(&self, index: usize) -> Result<Cow<'_, LabeledSeries>, SampleError> {
        (**self).sample(index)
    }
}

/// A sample cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SampleError {
    /// A sample that is not there was asked for.
    #[error("sample index {index} was asked for, expected one below the {n_samples} samples")]
    IndexOutOfRange {
        /// The index.
        index: usize,
        /// Number of samples.
        n_samples: usize,
    },
    /// An implementation outside this crate failed.
    #[error("the samples cannot be read")]
    Custom {
        /// Its own error.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl SampleError {
    /// Refuses an index that no sample has.
    ///
    /// # Errors
    /// [`SampleError::IndexOutOfRange`] unless `index` is below `n_samples`.
    pub fn check_index(index: usize, n_samples: usize) -> Result<(), Self> {
        match index < n_samples {
            true => Ok(()),
            false => Err(Self::IndexOutOfRange { index, n_samples }),
        }
    }
}
