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

/// As many devices as the processor pretends to be at most, which is more than a machine has.
const MOST_PRETENDED: usize = 256;

impl BackendChoice {
    /// Chooses the device number `index` of the kind asked for, or of the fastest. Without a number
    /// it is the first of the kind asked for; `auto` then tries every GPU of every kind.
    ///
    /// Only real GPUs are chosen unasked: a Vulkan driver that computes on the processor is slower
    /// than the CPU backend.
    ///
    /// # Errors
    /// [`BackendError`] if the kind that was named is not compiled in, or has no such device, or
    /// that does not compute; for `auto`, if this holds for the processor too, which is number 0.
    pub fn choose(self, index: Option<usize>) -> Result<ChosenDevice, BackendError> {
        let devices = |kind: BackendKind| kind.devices().unwrap_or_default();
        self.choose_by(index, devices, BackendKind::try_device)
    }

    fn choose_by(
        self,
        index: Option<usize>,
        devices: impl Fn(BackendKind) -> Vec<DeviceInfo>,
        attempt: impl Fn(BackendKind, usize) -> Result<DeviceInfo, BackendError>,
    ) -> Result<ChosenDevice, BackendError> {
        let mut passed_over = Vec::new();
        let (kind, index) = match self {
            Self::Only(kind) => (kind, index.unwrap_or(0)),
            Self::Auto => {
                let asked = |gpu: &Gpu| index.is_none_or(|index| gpu.index == index);
                let computes = |gpu: &Gpu| match attempt(gpu.kind, gpu.index) {
                    Ok(_) => true,
                    Err(error) => {
                        passed_over.push(error);
                        false
                    }
                };
                match (gpus(&devices).filter(asked).find(computes), index) {
                    (Some(gpu), _) => (gpu.kind, gpu.index),
                    (None, None | Some(0)) => (BackendKind::Cpu, 0),
                    (None, Some(index)) => return Err(no_gpu(index, passed_over, &devices)),
                }
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

/// A GPU that is there.
struct Gpu {
    kind: BackendKind,
    index: usize,
    info: DeviceInfo,
}

/// All GPUs, the fastest kind first; a kind is not asked before the ones before it are looked at.
fn gpus(devices: &impl Fn(BackendKind) -> Vec<DeviceInfo>) -> impl Iterator<Item = Gpu> {
    let of_kind = |kind| {
        let numbered = devices(kind).into_iter().enumerate();
        let gpus = numbered.filter(|(_, info)| info.is_gpu);
        gpus.map(move |(index, info)| Gpu { kind, index, info })
    };
    BackendKind::ALL.into_iter().flat_map(of_kind)
}

/// Why no GPU of that number can be used: what the first said that was tried, or that none is there.
fn no_gpu(
    index: usize,
    passed_over: Vec<BackendError>,
    devices: &impl Fn(BackendKind) -> Vec<DeviceInfo>,
) -> BackendError {
    let named = |Gpu { kind, index, info }| format!("{kind} {index}: {info}");
    let absent = || BackendError::NoGpu {
        index,
        found: gpus(devices).map(named).collect(),
    };
    passed_over.into_iter().next().unwrap_or_else(absent)
}

impl ChosenDevice {
    /// Numbers of this device and of those that follow it, `n` in all. The processor, of which
    /// there is one, is named `n` times.
    ///
    /// # Errors
    /// [`BackendError::TooMany`] if the machine has not so many devices, or the processor is to
    /// pretend to be more than 256; [`BackendError::NotCompiled`] if the kind is not compiled in.
    pub fn and_next(&self, n: usize) -> Result<Vec<usize>, BackendError> {
        let found = match self.kind {
            BackendKind::Cpu => MOST_PRETENDED,
            kind => kind.devices()?.len(),
        };
        self.and_next_of(n, found)
    }

    fn and_next_of(&self, n: usize, found: usize) -> Result<Vec<usize>, BackendError> {
        let &Self { kind, index, .. } = self;
        let end = index.checked_add(n).filter(|end| *end <= found);
        let too_many = BackendError::TooMany {
            kind,
            index,
            n,
            found,
        };
        let end = end.ok_or(too_many)?;
        Ok(match kind {
            BackendKind::Cpu => vec![index; n],
            BackendKind::Wgpu | BackendKind::Cuda => (index..end).collect(),
        })
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

    fn radeon() -> DeviceInfo {
        device("Radeon", true)
    }

    fn llvmpipe() -> DeviceInfo {
        device("llvmpipe", false)
    }

    fn h100() -> DeviceInfo {
        device("H100", true)
    }

    /// A machine with these devices beside its processor, of which the CUDA ones may be in disorder.
    fn choose(
        (choice, index): (BackendChoice, Option<usize>),
        wgpu: &[DeviceInfo],
        cuda: &[Result<DeviceInfo, BackendError>],
    ) -> Result<ChosenDevice, BackendError> {
        let devices = |kind| match kind {
            BackendKind::Cpu => vec![device("processor", false)],
            BackendKind::Wgpu => wgpu.to_vec(),
            BackendKind::Cuda => cuda.iter().map(|_| h100()).collect(),
        };
        let attempt = |kind, index: usize| match (kind, cuda.get(index)) {
            (BackendKind::Cuda, Some(result)) => result.clone(),
            _ => devices(kind).into_iter().nth(index).ok_or_else(|| {
                let found = devices(kind).len();
                BackendError::NotPresent { kind, index, found }
            }),
        };
        choice.choose_by(index, devices, attempt)
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
        let chosen = choose((AUTO, None), &[radeon()], &[Ok(h100())]).unwrap();
        assert_eq!(chosen.kind, BackendKind::Cuda);
        let chosen = choose((AUTO, None), &[radeon()], &[]).unwrap();
        assert_eq!(chosen.kind, BackendKind::Wgpu);
        assert_eq!(chosen.to_string(), "wgpu 0: Radeon");
    }

    #[test]
    fn auto_prefers_the_processor_to_a_gpu_imitated_on_it() {
        let chosen = choose((AUTO, None), &[llvmpipe()], &[]).unwrap();
        assert_eq!(
            (chosen.kind, chosen.passed_over),
            (BackendKind::Cpu, vec![])
        );
    }

    #[test]
    fn auto_finds_a_gpu_that_is_listed_behind_an_imitated_one() {
        let chosen = choose((AUTO, None), &[llvmpipe(), radeon()], &[]).unwrap();
        assert_eq!(chosen.to_string(), "wgpu 1: Radeon");
        let first = choose((AUTO, Some(0)), &[llvmpipe(), radeon()], &[]).unwrap();
        assert_eq!(first.kind, BackendKind::Cpu);
    }

    #[test]
    fn auto_passes_over_a_gpu_in_disorder_and_says_why() {
        let chosen = choose((AUTO, None), &[], &[Err(disorder())]).unwrap();
        assert_eq!(chosen.kind, BackendKind::Cpu);
        assert_eq!(chosen.passed_over, [disorder()]);
        let chosen = choose((AUTO, None), &[], &[Err(disorder()), Ok(h100())]).unwrap();
        assert_eq!((chosen.kind, chosen.index), (BackendKind::Cuda, 1));
    }

    #[test]
    fn auto_with_a_number_that_no_gpu_has_names_those_that_are_there() {
        let error = choose((AUTO, Some(1)), &[radeon()], &[Ok(h100())]).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("cuda 0: H100, wgpu 0: Radeon"), "{said}");
        let said = choose((AUTO, Some(1)), &[], &[]).unwrap_err().to_string();
        assert!(said.contains("no GPU"), "{said}");
        let broken = choose((AUTO, Some(1)), &[], &[Ok(h100()), Err(disorder())]);
        assert_eq!(broken, Err(disorder()));
    }

    #[test]
    fn a_named_kind_is_taken_or_refused_but_never_replaced() {
        let only = |kind| (BackendChoice::Only(kind), None);
        let chosen = choose(only(BackendKind::Wgpu), &[llvmpipe(), radeon()], &[]).unwrap();
        assert_eq!((chosen.kind, chosen.index), (BackendKind::Wgpu, 0));
        let refused = choose(only(BackendKind::Cuda), &[], &[Err(disorder())]);
        assert_eq!(refused, Err(disorder()));
    }

    #[test]
    fn more_devices_than_there_are_are_refused_before_they_are_counted_out() {
        let chosen = |kind, index| ChosenDevice {
            kind,
            index,
            info: radeon(),
            passed_over: Vec::new(),
        };
        let second = chosen(BackendKind::Wgpu, 1);
        assert_eq!(second.and_next_of(2, 3), Ok(vec![1, 2]));
        for n in [3, usize::MAX] {
            let error = second.and_next_of(n, 3).unwrap_err();
            assert!(matches!(error, BackendError::TooMany { found: 3, .. }));
        }
        let processor = chosen(BackendKind::Cpu, 0);
        assert_eq!(processor.and_next(3), Ok(vec![0; 3]));
        let said = processor.and_next(usize::MAX).unwrap_err().to_string();
        assert!(said.contains("256"), "{said}");
    }

    #[test]
    fn choices_are_spelled_as_they_are_written() {
        for name in ["auto", "cpu", "wgpu", "cuda"] {
            assert_eq!(name.parse::<BackendChoice>().unwrap().to_string(), name);
        }
        assert!("abacus".parse::<BackendChoice>().is_err());
    }
}
