//! Augmented views of samples, made while their batch is gathered: values and pictures of one view.

use std::borrow::Cow;

use bytes::Bytes;
use rayon::prelude::*;

use super::buffers::Buffers;
use super::masks;
use crate::cache::store::Pool;
use crate::data::LabeledSeries;
use crate::data::augment::Augmenter;
use crate::raster::{PlotStyle, RasterError, Rasterizer, Scratch};

/// Makes and draws a new view of every sample whenever it is asked for, where caches of views
/// would have but a few.
///
/// A view depends on the augmenter's seed, the sample's id and the number of the view alone.
#[derive(Debug)]
pub struct Augmentation {
    augmenter: Augmenter,
    drawing: Option<Drawing>,
}

#[derive(Debug)]
struct Drawing {
    rasterizer: Rasterizer,
    scratch: Pool<Scratch>,
}

impl Augmentation {
    /// Views of values; batches that bring pictures need [`with_pictures`](Self::with_pictures).
    pub fn new(augmenter: Augmenter) -> Self {
        Self {
            augmenter,
            drawing: None,
        }
    }

    /// Also draws the views, in this style.
    ///
    /// # Errors
    /// [`RasterError`] if the style cannot be drawn.
    pub fn with_pictures(self, style: &PlotStyle) -> Result<Self, RasterError> {
        let drawing = Drawing {
            rasterizer: Rasterizer::new(style.clone())?,
            scratch: Pool::new(),
        };
        Ok(Self {
            drawing: Some(drawing),
            ..self
        })
    }

    /// What makes the views.
    pub fn augmenter(&self) -> &Augmenter {
        &self.augmenter
    }

    /// Side of the pictures, if it draws any.
    #[cfg(feature = "train")]
    pub(crate) fn side_px(&self) -> Option<usize> {
        let drawing = self.drawing.as_ref()?;
        Some(drawing.rasterizer.style().side_px)
    }

    /// One view of each sample.
    pub(super) fn views<'a>(
        &self,
        samples: &[Cow<'_, LabeledSeries>],
        view: usize,
    ) -> Vec<Cow<'a, LabeledSeries>> {
        let samples = samples.par_iter();
        samples
            .map(|sample| Cow::Owned(self.augmenter.view(sample, view)))
            .collect()
    }

    /// Side and masks of the pictures of some samples.
    ///
    /// # Shapes
    /// - masks: `[samples, row_bytes]`, as they travel
    ///
    /// # Panics
    /// If it draws no pictures, or ranges of another number of variates.
    pub(super) fn draw(
        &self,
        samples: &[Cow<'_, LabeledSeries>],
        buffers: &Buffers,
    ) -> (usize, Bytes) {
        let Some(Drawing {
            rasterizer,
            scratch,
        }) = &self.drawing
        else {
            panic!("the batch brings pictures, but the augmentation draws none");
        };
        let side_px = rasterizer.style().side_px;
        let n_variates = samples[0].series.n_variates();
        let row = masks::row_bytes(n_variates, side_px);
        let n = n_variates * side_px * side_px;
        let drawn = buffers.filled(samples.len() * row, |rows| {
            let rows = rows.par_chunks_mut(row).zip(samples);
            rows.for_each(|(row, sample)| {
                let (masks, rest) = row.split_at_mut(n);
                rest.fill(0);
                scratch.with(
                    || rasterizer.scratch(),
                    |scratch| rasterizer.draw_series(scratch, &sample.series, masks),
                );
            });
            Ok::<(), std::convert::Infallible>(())
        });
        (side_px, drawn.unwrap_or_else(|never| match never {}))
    }
}
