//! The only place that names concrete backends: which are compiled in, which are present, which
//! of them is best, and running a job on one of them.
//!
//! Kernels are compiled where a GPU backend is named, which costs minutes each time; so
//! downstream crates that use Burn's backends themselves need nothing of this module.

mod choice;
mod devices;
mod error;
#[cfg(any(test, feature = "wgpu", feature = "cuda"))]
mod trial;

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "train")]
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::backend::Backend;

pub use choice::{BackendChoice, ChosenDevice};
pub use devices::DeviceInfo;
pub use error::BackendError;

/// A family of devices to compute on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendKind {
    /// The processor, through `burn-flex`. Cargo feature `cpu`.
    Cpu,
    /// Any GPU with Vulkan or Metal, through `burn-wgpu`. Cargo feature `wgpu`.
    Wgpu,
    /// NVIDIA GPUs, through `burn-cuda`. Cargo feature `cuda`.
    Cuda,
}

impl BackendKind {
    /// All kinds, fastest first.
    pub const ALL: [Self; 3] = [Self::Cuda, Self::Wgpu, Self::Cpu];

    /// The name that [`FromStr`] takes, and the cargo feature that compiles it in.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// Whether it is compiled in.
    pub fn is_compiled(self) -> bool {
        match self {
            Self::Cpu => cfg!(feature = "cpu"),
            Self::Wgpu => cfg!(feature = "wgpu"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }

    /// The devices of this kind that are present; asks the driver, starts nothing.
    ///
    /// For CUDA the process's panic hook is replaced while this runs.
    ///
    /// # Errors
    /// [`BackendError::NotCompiled`] if the feature is off.
    pub fn devices(self) -> Result<Vec<DeviceInfo>, BackendError> {
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => Ok(vec![devices::processor()]),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(devices::adapters()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(devices::cuda()),
            #[cfg(not(all(feature = "cpu", feature = "wgpu", feature = "cuda")))]
            kind => Err(BackendError::NotCompiled { kind }),
        }
    }

    /// Refuses a device that is not there, before anything is started on it.
    ///
    /// For CUDA the process's panic hook is replaced while this runs.
    ///
    /// # Errors
    /// [`BackendError::NotCompiled`] if the feature is off, [`BackendError::NotPresent`] if there
    /// is no device of that number.
    pub fn check_device(self, index: usize) -> Result<DeviceInfo, BackendError> {
        let devices = self.devices()?;
        let found = devices.len();
        let absent = BackendError::NotPresent {
            kind: self,
            index,
            found,
        };
        devices.into_iter().nth(index).ok_or(absent)
    }

    /// Computes something very small on a GPU, so that a driver in disorder shows as an error here
    /// and not as a panic in the middle of the work. The processor needs no trial.
    ///
    /// The process's panic hook is replaced while this runs.
    ///
    /// # Errors
    /// As [`check_device`](Self::check_device), [`BackendError::Unusable`] if the device is there and
    /// does not compute, and [`BackendError::Nameless`] if Burn cannot be told to take it.
    pub fn try_device(self, index: usize) -> Result<DeviceInfo, BackendError> {
        let device = self.check_device(index)?;
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if self != Self::Cpu {
            trial::double_on(self, index)?;
        }
        Ok(device)
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BackendKind {
    type Err = BackendError;

    fn from_str(name: &str) -> Result<Self, BackendError> {
        let named = |kind: &Self| kind.name() == name;
        let unknown = || BackendError::Unknown {
            name: name.to_owned(),
        };
        Self::ALL.into_iter().find(named).ok_or_else(unknown)
    }
}

/// Work without gradients that runs on whatever backend is chosen at run time.
pub trait BackendJob {
    /// What it gives.
    type Output;

    /// Does the work on the devices asked for, of which there is at least one.
    fn run<B: Backend>(self, devices: &[B::Device]) -> Self::Output;
}

/// Work with gradients that runs on whatever backend is chosen at run time.
#[cfg(feature = "train")]
pub trait TrainingJob {
    /// What it gives.
    type Output;

    /// Does the work on the devices asked for, of which there is at least one.
    fn run<B: AutodiffBackend>(self, devices: &[B::Device]) -> Self::Output;
}

/// Runs a job on the devices of a kind with these numbers; the processor is number 0, as often as
/// it is named.
///
/// # Errors
/// [`BackendError`] if the kind is not compiled in, has no such device, or that does not compute
/// ([`BackendKind::try_device`]).
///
/// # Panics
/// If no device is named.
pub fn run_on<J: BackendJob>(
    kind: BackendKind,
    indices: &[usize],
    job: J,
) -> Result<J::Output, BackendError> {
    try_devices(kind, indices)?;
    start(kind, indices, job)
}

/// Runs a job with gradients, as [`run_on`] runs one without.
///
/// # Errors
/// As [`run_on`].
///
/// # Panics
/// If no device is named.
#[cfg(feature = "train")]
pub fn train_on<J: TrainingJob>(
    kind: BackendKind,
    indices: &[usize],
    job: J,
) -> Result<J::Output, BackendError> {
    try_devices(kind, indices)?;
    start(kind, indices, WithGradients(job))
}

/// Refuses devices that are not there or do not compute, each asked once.
fn try_devices(kind: BackendKind, indices: &[usize]) -> Result<(), BackendError> {
    assert!(!indices.is_empty(), "a job on 0 devices");
    for (i, index) in indices.iter().enumerate() {
        if !indices[..i].contains(index) {
            kind.try_device(*index)?;
        }
    }
    Ok(())
}

/// A job with gradients where one without is expected.
#[cfg(feature = "train")]
struct WithGradients<J>(J);

#[cfg(feature = "train")]
impl<J: TrainingJob> BackendJob for WithGradients<J> {
    type Output = J::Output;

    fn run<B: Backend>(self, devices: &[B::Device]) -> J::Output {
        self.0.run::<burn::backend::Autodiff<B>>(devices)
    }
}

/// Runs a job on devices that are there.
fn start<J: BackendJob>(
    kind: BackendKind,
    indices: &[usize],
    job: J,
) -> Result<J::Output, BackendError> {
    match kind {
        #[cfg(feature = "cpu")]
        BackendKind::Cpu => {
            let devices = vec![burn_flex::FlexDevice; indices.len()];
            Ok(job.run::<burn_flex::Flex>(&devices))
        }
        #[cfg(feature = "wgpu")]
        BackendKind::Wgpu => {
            let devices = indices.iter().copied().map(devices::wgpu_device);
            let devices = devices.collect::<Result<Vec<_>, _>>()?;
            Ok(job.run::<burn_wgpu::Wgpu>(&devices))
        }
        #[cfg(feature = "cuda")]
        BackendKind::Cuda => {
            let devices = indices.iter().copied().map(burn_cuda::CudaDevice::new);
            let devices: Vec<_> = devices.collect();
            Ok(job.run::<burn_cuda::Cuda>(&devices))
        }
        #[cfg(not(all(feature = "cpu", feature = "wgpu", feature = "cuda")))]
        kind => {
            let _ = (indices, job);
            Err(BackendError::NotCompiled { kind })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_belong_together() {
        for kind in BackendKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        let unknown = BackendError::Unknown {
            name: "abacus".to_owned(),
        };
        assert_eq!("abacus".parse::<BackendKind>(), Err(unknown));
    }

    #[test]
    fn a_backend_that_is_not_compiled_in_names_the_feature() {
        for kind in BackendKind::ALL
            .into_iter()
            .filter(|kind| !kind.is_compiled())
        {
            let error = kind.try_device(0).unwrap_err();
            assert_eq!(error, BackendError::NotCompiled { kind });
            assert!(
                error.to_string().contains(&format!("--features {kind}")),
                "{error}"
            );
        }
    }

    #[cfg(feature = "cpu")]
    #[test]
    fn the_processor_is_one_device_and_no_gpu() {
        assert!(!BackendKind::Cpu.try_device(0).unwrap().is_gpu);
        let absent = BackendError::NotPresent {
            kind: BackendKind::Cpu,
            index: 1,
            found: 1,
        };
        assert_eq!(BackendKind::Cpu.try_device(1), Err(absent));
    }
}
