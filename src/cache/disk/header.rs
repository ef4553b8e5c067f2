//! `StoreHeader`: what a store of pictures says of itself.

use std::ops::RangeInclusive;

use crate::cache::codec::MAX_SIDE_PX;
use crate::cache::key::style_text;
use crate::cache::store::{StoreDefect, StoreKind, u32_at, u32_bytes, u64_at, u128_at};
use crate::cache::{BuildPhase, CacheError, ImageKey};
use crate::data::SeriesDataset;
use crate::raster::PlotStyle;

/// Which pictures a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHeader {
    /// Identity of the pictures.
    pub key: ImageKey,
    /// Number of samples.
    pub n_samples: usize,
    /// Number of variates of every sample.
    pub n_variates: usize,
    /// Width and height of a picture in pixels.
    pub side_px: usize,
    /// The style, for people: every setting that changes a pixel, and the renderer's version.
    pub style: String,
}

impl StoreHeader {
    /// The header of all pictures of `dataset` in `style`.
    pub(super) fn of(dataset: &SeriesDataset, style: &PlotStyle) -> Self {
        Self {
            key: ImageKey::of(dataset, style),
            n_samples: dataset.len(),
            n_variates: dataset.n_variates(),
            side_px: style.side_px,
            style: style_text(style),
        }
    }
}

impl StoreKind for StoreHeader {
    type Error = CacheError;

    const MAGIC: [u8; 8] = *b"\x89TSIM\r\n\x1a";
    const END_MAGIC: [u8; 8] = *b"TSIM-END";
    const VERSION: u32 = 1;
    const EXTENSION: &'static str = "tsim";
    const PHASE: BuildPhase = BuildPhase::Drawing;
    const FIELDS_LEN: usize = 48;

    fn key_digits(&self) -> String {
        self.key.to_string()
    }

    fn n_samples(&self) -> usize {
        self.n_samples
    }

    fn n_variates(&self) -> usize {
        self.n_variates
    }

    /// The longest body has every picture dense.
    fn body_lens(&self) -> Option<RangeInclusive<u64>> {
        let picture = 1 + (self.side_px as u64).checked_mul(self.side_px as u64)?;
        Some(0..=picture.checked_mul(self.n_variates as u64)?)
    }

    fn fields(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(Self::FIELDS_LEN);
        fields.extend_from_slice(&self.key.series().to_le_bytes());
        fields.extend_from_slice(&self.key.style().to_le_bytes());
        fields.extend_from_slice(&(self.n_samples as u64).to_le_bytes());
        fields.extend_from_slice(&u32_bytes(self.n_variates));
        fields.extend_from_slice(&u32_bytes(self.side_px));
        fields
    }

    fn text(&self) -> &str {
        &self.style
    }

    fn from_parts(fields: &[u8], text: String) -> Option<Self> {
        let header = Self {
            key: ImageKey::from_halves(u128_at(fields, 0), u128_at(fields, 16)),
            n_samples: usize::try_from(u64_at(fields, 32)).ok()?,
            n_variates: u32_at(fields, 40) as usize,
            side_px: u32_at(fields, 44) as usize,
            style: text,
        };
        (header.side_px <= MAX_SIDE_PX).then_some(header)
    }

    fn check(&self, found: &Self) -> Result<(), StoreDefect> {
        if found.key.series() != self.key.series() {
            let (found, expected) = (found.n_samples, self.n_samples);
            Err(StoreDefect::OtherSeries { found, expected })
        } else if found != self {
            let (found, expected) = (found.style.clone(), self.style.clone());
            Err(StoreDefect::OtherStyle { found, expected })
        } else {
            Ok(())
        }
    }
}
