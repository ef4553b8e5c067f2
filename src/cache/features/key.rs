//! `FeatureKey`: the identity of features, made from all that decides their numbers.

use std::fmt;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{FeatureDtype, FeatureError, FeatureHeader};
use crate::cache::store;
use crate::cache::{CachedImageDataset, ImageKey};
use crate::data::SampleError;

/// Identity of the features of a data set: equal keys, equal features.
///
/// Shown as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeatureKey {
    /// The pictures: samples, views and style.
    pub images: ImageKey,
    /// Hash of the encoder: all its weights, its architecture, and where its output is tapped.
    pub encoder: u128,
    /// Hash of the colors in which the encoder sees the pictures:
    /// [`hash_pixels`](Self::hash_pixels).
    pub pixels: u128,
    /// How the numbers are kept.
    pub dtype: FeatureDtype,
    /// Numbers of one feature.
    pub width: usize,
}

impl FeatureKey {
    /// The hash of a table of colors.
    ///
    /// # Shapes
    ///
    /// - `colors`: any; pixel values by variate, coverage and channel, as the encoder gets them
    pub fn hash_pixels(colors: &[f32]) -> u128 {
        let mut hash = Xxh3::new();
        for color in colors {
            hash.update(&color.to_le_bytes());
        }
        hash.digest128()
    }
}

impl fmt::Display for FeatureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            images,
            encoder,
            pixels,
            dtype,
            width,
        } = *self;
        let mut bytes = Vec::new();
        for part in [images.series(), images.style(), encoder, pixels] {
            bytes.extend_from_slice(&part.to_le_bytes());
        }
        bytes.extend_from_slice(&dtype.code().to_le_bytes());
        bytes.extend_from_slice(&(width as u64).to_le_bytes());
        write!(f, "{:032x}", xxh3_128(&bytes))
    }
}

/// Which encoder, seeing which colors, and what is kept of its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderIdentity {
    /// Hash of all weights, of the architecture, and of where the output is tapped.
    pub encoder: u128,
    /// Hash of the colors: [`FeatureKey::hash_pixels`].
    pub pixels: u128,
    /// How the numbers are kept.
    pub dtype: FeatureDtype,
    /// Numbers of one feature, at least 1.
    pub width: usize,
    /// Encoder and tap in words, for people; no part of the key.
    pub description: String,
}

/// The samples and the encoder whose features are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureSet {
    pub(super) header: FeatureHeader,
    /// Ids of the samples, in order.
    pub(super) ids: Vec<u64>,
}

impl FeatureSet {
    /// The outputs of `encoder` for all pictures of `images`.
    ///
    /// # Errors
    ///
    /// [`FeatureError::Samples`] if a sample cannot be read.
    ///
    /// # Panics
    ///
    /// If the width is 0.
    pub fn of(
        images: &dyn CachedImageDataset,
        encoder: EncoderIdentity,
    ) -> Result<Self, FeatureError> {
        let width = encoder.width;
        assert!(width > 0, "features of {width} numbers, expected 1 or more");
        let ids = (0..images.n_samples()).map(|index| Ok(images.sample(index)?.id));
        let ids: Result<Vec<u64>, SampleError> = ids.collect();
        let header = FeatureHeader {
            key: FeatureKey {
                images: images.key(),
                encoder: encoder.encoder,
                pixels: encoder.pixels,
                dtype: encoder.dtype,
                width,
            },
            n_samples: images.n_samples(),
            n_variates: images.n_variates(),
            description: encoder.description,
        };
        let ids = ids.map_err(|source| FeatureError::Samples { source })?;
        Ok(Self { header, ids })
    }

    /// Identity of the features.
    pub fn key(&self) -> FeatureKey {
        self.header.key
    }

    /// Number of features: samples times variates.
    pub fn n_features(&self) -> usize {
        self.header.n_samples * self.header.n_variates
    }

    /// Bytes of the features on disk, exactly; in memory they take a little less.
    pub fn bytes(&self) -> u64 {
        store::file_len(&self.header, self.header.sample_bytes() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::PlotStyle;

    fn key() -> FeatureKey {
        FeatureKey {
            images: ImageKey::of_samples::<crate::data::LabeledSeries>([], &PlotStyle::default()),
            encoder: 1,
            pixels: 2,
            dtype: FeatureDtype::F16,
            width: 768,
        }
    }

    #[test]
    fn every_part_changes_the_key() {
        let style = PlotStyle {
            margin: 0.2,
            ..PlotStyle::default()
        };
        let keys = [
            key(),
            FeatureKey {
                images: ImageKey::of_samples::<crate::data::LabeledSeries>([], &style),
                ..key()
            },
            FeatureKey {
                encoder: 2,
                ..key()
            },
            FeatureKey { pixels: 1, ..key() },
            FeatureKey {
                dtype: FeatureDtype::Bf16,
                ..key()
            },
            FeatureKey {
                width: 767,
                ..key()
            },
        ];
        for (i, a) in keys.iter().enumerate() {
            assert_eq!(a.to_string().len(), 32);
            for b in &keys[i + 1..] {
                assert_ne!(a.to_string(), b.to_string());
            }
        }
    }

    #[test]
    fn every_color_changes_the_hash_of_the_pixels() {
        let hash = FeatureKey::hash_pixels;

        assert_eq!(hash(&[0.0, 1.0]), hash(&[0.0, 1.0]));
        assert_ne!(hash(&[0.0, 1.0]), hash(&[1.0, 0.0]));
        assert_ne!(hash(&[0.0, 1.0]), hash(&[0.0, 1.0 + f32::EPSILON]));
        assert_ne!(hash(&[0.0]), hash(&[0.0, 0.0]));
    }
}
