//! `FeatureHeader`: what a store of features says of itself.

use std::ops::RangeInclusive;

use super::{FeatureDtype, FeatureError, FeatureKey};
use crate::cache::ImageKey;
use crate::cache::store::{BuildPhase, StoreDefect, StoreKind, u32_at, u32_bytes, u64_at, u128_at};

/// Which features a store holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureHeader {
    /// Identity of the features.
    pub key: FeatureKey,
    /// Number of samples.
    pub n_samples: usize,
    /// Number of variates of every sample, and so of features.
    pub n_variates: usize,
    /// Encoder and tap in words, for people; no part of the key.
    pub description: String,
}

impl FeatureHeader {
    /// Numbers of the features of one sample.
    pub(super) fn sample_len(&self) -> usize {
        self.n_variates * self.key.width
    }

    /// Bytes of the features of one sample.
    pub(super) fn sample_bytes(&self) -> usize {
        self.sample_len() * self.key.dtype.n_bytes()
    }

    /// All that must be equal, for people.
    fn describe(&self) -> String {
        let FeatureKey {
            images,
            encoder,
            pixels,
            dtype,
            width,
        } = self.key;
        let (style, description) = (images.style(), &self.description);
        format!(
            "{description}; {width} numbers as {dtype}; encoder {encoder:032x}; pixels \
             {pixels:032x}; style {style:032x}"
        )
    }
}

impl StoreKind for FeatureHeader {
    type Error = FeatureError;

    const MAGIC: [u8; 8] = *b"\x89TSFT\r\n\x1a";
    const END_MAGIC: [u8; 8] = *b"TSFT-END";
    const VERSION: u32 = 1;
    const EXTENSION: &'static str = "tsft";
    const PHASE: BuildPhase = BuildPhase::Encoding;
    const FIELDS_LEN: usize = 84;

    fn key_digits(&self) -> String {
        self.key.to_string()
    }

    fn n_samples(&self) -> usize {
        self.n_samples
    }

    fn n_variates(&self) -> usize {
        self.n_variates
    }

    /// Every body has the same length.
    fn body_lens(&self) -> Option<RangeInclusive<u64>> {
        let len = (self.n_variates as u64)
            .checked_mul(self.key.width as u64)?
            .checked_mul(self.key.dtype.n_bytes() as u64)?;
        Some(len..=len)
    }

    fn fields(&self) -> Vec<u8> {
        let FeatureKey {
            images,
            encoder,
            pixels,
            dtype,
            width,
        } = self.key;
        let mut fields = Vec::with_capacity(Self::FIELDS_LEN);
        fields.extend_from_slice(&images.series().to_le_bytes());
        fields.extend_from_slice(&images.style().to_le_bytes());
        fields.extend_from_slice(&(self.n_samples as u64).to_le_bytes());
        fields.extend_from_slice(&u32_bytes(self.n_variates));
        fields.extend_from_slice(&u32_bytes(width));
        fields.extend_from_slice(&encoder.to_le_bytes());
        fields.extend_from_slice(&pixels.to_le_bytes());
        fields.extend_from_slice(&dtype.code().to_le_bytes());
        fields
    }

    fn text(&self) -> &str {
        &self.description
    }

    fn from_parts(fields: &[u8], text: String) -> Option<Self> {
        let key = FeatureKey {
            images: ImageKey::from_halves(u128_at(fields, 0), u128_at(fields, 16)),
            encoder: u128_at(fields, 48),
            pixels: u128_at(fields, 64),
            dtype: FeatureDtype::from_code(u32_at(fields, 80))?,
            width: u32_at(fields, 44) as usize,
        };
        let header = Self {
            key,
            n_samples: usize::try_from(u64_at(fields, 32)).ok()?,
            n_variates: u32_at(fields, 40) as usize,
            description: text,
        };
        (key.width > 0).then_some(header)
    }

    fn check(&self, found: &Self) -> Result<(), StoreDefect> {
        let shape = |header: &Self| (header.n_samples, header.n_variates);
        if found.key.images.series() != self.key.images.series() || shape(found) != shape(self) {
            let (found, expected) = (found.n_samples, self.n_samples);
            Err(StoreDefect::OtherSeries { found, expected })
        } else if found.key != self.key {
            let (found, expected) = (found.describe(), self.describe());
            Err(StoreDefect::OtherFeatures { found, expected })
        } else {
            Ok(())
        }
    }
}
