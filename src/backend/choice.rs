//! Choosing what to compute on: as told, or the fastest that there is.

use std::fmt;
use std::str::FromStr;

use super::{BackendError, BackendKind, DeviceInfo};

/// What to compute on, as a user says it: `auto`, `cpu`, `wgpu` or `cuda`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The fastest kind that is compiled in and has a GPU that computes; otherwise the processor.
    #[default]
    Auto,
    /// That kind and no other.
    Only(BackendKind),
}

/// A device that is there and computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenDevice {
    /// Its kind.
    pub kind: BackendKind,
    /// Its number within the kind, from 0.
    pub index: usize,
    /// What its driver calls it.
    pub info: DeviceInfo,
    /// Why faster kinds whose GPU is there were not chosen.
    pub passed_over: Vec<BackendError>,
}

impl BackendChoice {
    /// Chooses the device number `index` of the kind asked for, or of the fastest.
    ///
    /// Only real GPUs are chosen unasked: a Vulkan driver that computes on the processor is slower
    /// than the CPU backend.
    ///
    /// # Errors
    /// [`BackendError`] if the kind that was named is not compiled in, or has no such device, or
    /// that does not compute; for `auto`, if this holds for the processor too.
    pub fn choose(self, index: usize) -> Result<ChosenDevice, BackendError> {
        self.choose_by(index, BackendKind::check_device, BackendKind::try_device)
    }

    fn choose_by(
        self,
        index: usize,
        look: impl Fn(BackendKind, usize) -> Result<DeviceInfo, BackendError>,
        attempt: impl Fn(BackendKind, usize) -> Result<DeviceInfo, BackendError>,
    ) -> Result<ChosenDevice, BackendError> {
        let mut passed_over = Vec::new();
        let kind = match self {
            Self::Only(kind) => kind,
            Self::Auto => {
                let is_gpu = |kind: &BackendKind| look(*kind, index).is_ok_and(|info| info.is_gpu);
                let mut gpus = BackendKind::ALL.into_iter().filter(is_gpu);
                let computes = |kind: &BackendKind| match attempt(*kind, index) {
                    Ok(_) => true,
                    Err(error) => {
                        passed_over.push(error);
                        false
                    }
                };
                gpus.find(computes).unwrap_or(BackendKind::Cpu)
            }
        };
        Ok(ChosenDevice {
            kind,
            index,
            info: attempt(kind, index)?,
            passed_over,
        })
    }
}

impl ChosenDevice {
    /// Numbers of this device and of those that follow it, `n` in all. The processor, of which
    /// there is one, is named `n` times.
    pub fn and_next(&self, n: usize) -> Vec<usize> {
        match self.kind {
            BackendKind::Cpu => vec![self.index; n],
            BackendKind::Wgpu | BackendKind::Cuda => (self.index..self.index + n).collect(),
        }
    }
}

impl fmt::Display for ChosenDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, self.index, self.info)
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Only(kind) => kind.fmt(f),
        }
    }
}

impl FromStr for BackendChoice {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Self, BackendError> {
        match name {
            "auto" => Ok(Self::Auto),
            name => name.parse().map(Self::Only),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(name: &str, is_gpu: bool) -> DeviceInfo {
        let name = name.to_owned();
        DeviceInfo { name, is_gpu }
    }

    /// A machine with these devices, of which the CUDA one may be in disorder.
    fn choose(
        choice: BackendChoice,
        wgpu: Option<DeviceInfo>,
        cuda: Option<Result<DeviceInfo, BackendError>>,
    ) -> Result<ChosenDevice, BackendError> {
        let look = |kind, index| {
            let found = match kind {
                BackendKind::Cpu => Some(device("processor", false)),
                BackendKind::Wgpu => wgpu.clone(),
                BackendKind::Cuda => cuda.clone().map(|_| device("H100", true)),
            };
            let found = found.filter(|_| index == 0);
            found.ok_or(BackendError::NotPresent {
                kind,
                index,
                found: 0,
            })
        };
        let attempt = |kind, index| match (kind, &cuda) {
            (BackendKind::Cuda, Some(result)) => result.clone(),
            _ => look(kind, index),
        };
        choice.choose_by(0, look, attempt)
    }

    const AUTO: BackendChoice = BackendChoice::Auto;

    fn disorder() -> BackendError {
        BackendError::Unusable {
            kind: BackendKind::Cuda,
            index: 0,
            said: "no NVRTC".to_owned(),
        }
    }

    #[test]
    fn auto_takes_the_fastest_gpu() {
        let (radeon, h100) = (device("Radeon", true), device("H100", true));
        let chosen = choose(AUTO, Some(radeon.clone()), Some(Ok(h100))).unwrap();
        assert_eq!(chosen.kind, BackendKind::Cuda);
        let chosen = choose(AUTO, Some(radeon), None).unwrap();
        assert_eq!(chosen.kind, BackendKind::Wgpu);
        assert_eq!(chosen.to_string(), "wgpu 0: Radeon");
    }

    #[test]
    fn auto_prefers_the_processor_to_a_gpu_imitated_on_it() {
        let chosen = choose(AUTO, Some(device("llvmpipe", false)), None).unwrap();
        assert_eq!(
            (chosen.kind, chosen.passed_over),
            (BackendKind::Cpu, vec![])
        );
    }

    #[test]
    fn auto_passes_over_a_gpu_in_disorder_and_says_why() {
        let chosen = choose(AUTO, None, Some(Err(disorder()))).unwrap();
        assert_eq!(chosen.kind, BackendKind::Cpu);
        assert_eq!(chosen.passed_over, [disorder()]);
    }

    #[test]
    fn a_named_kind_is_taken_or_refused_but_never_replaced() {
        let only = BackendChoice::Only;
        let llvmpipe = Some(device("llvmpipe", false));
        let chosen = choose(only(BackendKind::Wgpu), llvmpipe, None).unwrap();
        assert_eq!(chosen.kind, BackendKind::Wgpu);
        let refused = choose(only(BackendKind::Cuda), None, Some(Err(disorder())));
        assert_eq!(refused, Err(disorder()));
    }

    #[test]
    fn choices_are_spelled_as_they_are_written() {
        for name in ["auto", "cpu", "wgpu", "cuda"] {
            assert_eq!(name.parse::<BackendChoice>().unwrap().to_string(), name);
        }
        assert!("abacus".parse::<BackendChoice>().is_err());
    }
}
