//! `FeatureDtype`: how many bits a stored number of a feature has.

use std::fmt;
use std::str::FromStr;

use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use serde::{Deserialize, Serialize};

use super::FeatureError;

/// Numbers that are converted at once.
const CHUNK: usize = 64;

/// How the numbers of features are kept. Reading always gives `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureDtype {
    /// 32 bits, as computed.
    F32,
    /// 16 bits with 11 of precision, up to 65504: the default, for encoders whose outputs are
    /// normalized.
    #[default]
    F16,
    /// 16 bits with 8 of precision and the range of `F32`.
    Bf16,
}

impl FeatureDtype {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::Bf16];

    /// The name that [`FromStr`] takes.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// Bytes of one number.
    pub fn n_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// The number that stands for it in a file.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Bf16 => 2,
        }
    }

    /// What the number in a file stands for.
    pub(super) fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|dtype| dtype.code() == code)
    }

    /// Appends numbers, each rounded to the nearest that there is, to even if two are as near.
    ///
    /// # Errors
    ///
    /// The position of the first value that is not finite when it is rounded.
    pub(super) fn encode(self, values: &[f32], bytes: &mut Vec<u8>) -> Result<(), usize> {
        match self {
            Self::F32 => {
                if let Some(position) = values.iter().position(|value| !value.is_finite()) {
                    return Err(position);
                }
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                Ok(())
            }
            Self::F16 => encode_halves(values, bytes, f16::INFINITY.to_bits(), |values, halves| {
                let halves: &mut [f16] = halves.reinterpret_cast_mut();
                halves.convert_from_f32_slice(values);
            }),
            Self::Bf16 => {
                encode_halves(values, bytes, bf16::INFINITY.to_bits(), |values, halves| {
                    let halves: &mut [bf16] = halves.reinterpret_cast_mut();
                    halves.convert_from_f32_slice(values);
                })
            }
        }
    }

    /// Reads numbers back.
    ///
    /// # Panics
    ///
    /// If `bytes` are not those of as many numbers as `values` has.
    pub(super) fn decode(self, bytes: &[u8], values: &mut [f32]) {
        let (found, expected) = (bytes.len(), values.len() * self.n_bytes());
        assert_eq!(
            found, expected,
            "{found} bytes of features, {expected} wanted"
        );
        match self {
            Self::F32 => {
                let (words, _) = bytes.as_chunks();
                for (value, &word) in values.iter_mut().zip(words) {
                    *value = f32::from_le_bytes(word);
                }
            }
            Self::F16 => decode_halves(bytes, values, |halves, values| {
                let halves: &[f16] = halves.reinterpret_cast();
                halves.convert_to_f32_slice(values);
            }),
            Self::Bf16 => decode_halves(bytes, values, |halves, values| {
                let halves: &[bf16] = halves.reinterpret_cast();
                halves.convert_to_f32_slice(values);
            }),
        }
    }
}

/// Encodes by `convert`; all bits of `exponent` are set in what is not finite.
fn encode_halves(
    values: &[f32],
    bytes: &mut Vec<u8>,
    exponent: u16,
    convert: impl Fn(&[f32], &mut [u16]),
) -> Result<(), usize> {
    let mut halves = [0; CHUNK];
    for (i, values) in values.chunks(CHUNK).enumerate() {
        let halves = &mut halves[..values.len()];
        convert(values, halves);
        if let Some(position) = halves.iter().position(|half| half & exponent == exponent) {
            return Err(i * CHUNK + position);
        }
        bytes.extend(halves.iter().flat_map(|half| half.to_le_bytes()));
    }
    Ok(())
}

fn decode_halves(bytes: &[u8], values: &mut [f32], convert: impl Fn(&[u16], &mut [f32])) {
    let mut halves = [0; CHUNK];
    let (words, _) = bytes.as_chunks();
    for (words, values) in words.chunks(CHUNK).zip(values.chunks_mut(CHUNK)) {
        let halves = &mut halves[..values.len()];
        for (half, &word) in halves.iter_mut().zip(words) {
            *half = u16::from_le_bytes(word);
        }
        convert(halves, values);
    }
}

impl fmt::Display for FeatureDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for FeatureDtype {
    type Err = FeatureError;

    fn from_str(name: &str) -> Result<Self, FeatureError> {
        let unknown = || FeatureError::UnknownDtype {
            name: name.to_owned(),
        };
        let mut all = Self::ALL.into_iter();
        all.find(|dtype| dtype.name() == name).ok_or_else(unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(dtype: FeatureDtype, values: &[f32]) -> Result<Vec<f32>, usize> {
        let mut bytes = Vec::new();
        dtype.encode(values, &mut bytes)?;
        assert_eq!(bytes.len(), values.len() * dtype.n_bytes());
        let mut read = vec![f32::NAN; values.len()];
        dtype.decode(&bytes, &mut read);
        Ok(read)
    }

    #[test]
    fn names_and_codes_come_back() {
        for dtype in FeatureDtype::ALL {
            assert_eq!(dtype.to_string().parse::<FeatureDtype>().unwrap(), dtype);
            assert_eq!(FeatureDtype::from_code(dtype.code()), Some(dtype));
            let json = serde_json::to_string(&dtype).unwrap();
            assert_eq!(json, format!("\"{dtype}\""));
        }
        assert_eq!(FeatureDtype::from_code(3), None);
        let error = "f64".parse::<FeatureDtype>().unwrap_err().to_string();
        assert!(error.contains("`f64`"), "{error}");
    }

    #[test]
    fn ties_go_to_the_even_neighbor() {
        let (f16, bf16) = (FeatureDtype::F16, FeatureDtype::Bf16);
        // Between 2048 and 4096 the numbers of f16 are 2 apart, between 256 and 512 those of bf16.
        let read = back(f16, &[2049.0, 2051.0, -2049.0, 2049.5]).unwrap();
        assert_eq!(read, [2048.0, 2052.0, -2048.0, 2050.0]);
        let read = back(bf16, &[257.0, 259.0, -257.0, 257.5]).unwrap();
        assert_eq!(read, [256.0, 260.0, -256.0, 258.0]);
    }

    #[test]
    fn what_would_become_infinite_is_found_at_its_place() {
        let (f32, f16, bf16) = (FeatureDtype::F32, FeatureDtype::F16, FeatureDtype::Bf16);
        // 65520 is in the middle between the largest f16 and the next power of two.
        assert_eq!(back(f16, &[0.0, 65519.9]), Ok(vec![0.0, 65504.0]));
        assert_eq!(back(f16, &[0.0, 65520.0]), Err(1));
        assert_eq!(back(bf16, &[f32::MAX]), Err(0));
        assert_eq!(back(f32, &[f32::MAX]), Ok(vec![f32::MAX]));
        for dtype in FeatureDtype::ALL {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut values = vec![1.0; 200];
                values[150] = bad;
                assert_eq!(back(dtype, &values), Err(150), "{dtype} {bad}");
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_come_back_within_half_a_unit(
            values in prop::collection::vec(-6e4_f32..6e4, 0..200),
        ) {
            prop_assert_eq!(&back(FeatureDtype::F32, &values).unwrap(), &values);
            // Half a unit in the last place of 11 and of 8 bits; below the normal numbers of f16
            // the unit is 2^-24.
            let cases = [(FeatureDtype::F16, 2_f32.powi(-11)), (FeatureDtype::Bf16, 2_f32.powi(-8))];
            for (dtype, unit) in cases {
                let read = back(dtype, &values).unwrap();
                for (read, value) in read.iter().zip(&values) {
                    let bound = (value.abs() * unit).max(2_f32.powi(-25));
                    prop_assert!((read - value).abs() <= bound, "{dtype}: {value} as {read}");
                }
                prop_assert_eq!(&back(dtype, &read).unwrap(), &read);
            }
        }
    }
}
