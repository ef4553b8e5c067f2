//! What benches are told by environment variables.

use std::error::Error;
use std::str::FromStr;

use burn::tensor::FloatDType;
use timesclip::backend::{BackendChoice, BackendKind, ChosenDevice};
use timesclip::cache::features::FeatureDtype;

/// The value of a variable, or what it is unless said otherwise.
pub(crate) fn value<T>(name: &str, default: T) -> Result<T, Box<dyn Error>>
where
    T: FromStr<Err: Into<Box<dyn Error>>>,
{
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(Into::into),
        Err(_) => Ok(default),
    }
}

/// The device that `TIMESCLIP_BENCH_BACKEND` names; the processor unless said otherwise.
pub(crate) fn device() -> Result<ChosenDevice, Box<dyn Error>> {
    let cpu = BackendChoice::Only(BackendKind::Cpu);
    Ok(value("TIMESCLIP_BENCH_BACKEND", cpu)?.choose(None)?)
}

/// A precision as Burn names it.
pub(crate) fn float(dtype: FeatureDtype) -> FloatDType {
    match dtype {
        FeatureDtype::F32 => FloatDType::F32,
        FeatureDtype::F16 => FloatDType::F16,
        FeatureDtype::Bf16 => FloatDType::BF16,
    }
}
