//! The only place that names concrete backends: which are compiled in, which are present, and
//! running a job on one of them.
//!
//! Kernels are compiled where a GPU backend is named, which costs minutes each time; so
//! downstream crates that use Burn's backends themselves need nothing of this module.

use std::fmt;
use std::str::FromStr;

use burn::tensor::backend::AutodiffBackend;
use thiserror::Error;

/// A family of devices to compute on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackendKind {
    /// The processor, through `burn-flex`. Cargo feature `cpu`.
    Cpu,
    /// Any GPU with Vulkan, Metal or DirectX 12, through `burn-wgpu`. Cargo feature `wgpu`.
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

    /// Names of the devices of this kind that are present; asks the driver, starts nothing.
    ///
    /// # Errors
    /// [`BackendError::NotCompiled`] if the feature is off.
    pub fn devices(self) -> Result<Vec<String>, BackendError> {
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => Ok(vec![format!(
                "processor with {} threads",
                rayon::current_num_threads()
            )]),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(wgpu_devices()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(cuda_devices()),
            #[cfg(not(all(feature = "cpu", feature = "wgpu", feature = "cuda")))]
            kind => Err(BackendError::NotCompiled { kind }),
        }
    }

    /// Refuses a device that is not there, before anything is started on it.
    ///
    /// # Errors
    /// [`BackendError::NotCompiled`] if the feature is off, [`BackendError::NotPresent`] if there
    /// is no device of that number.
    pub fn check_device(self, index: usize) -> Result<(), BackendError> {
        let found = self.devices()?.len();
        if index < found {
            return Ok(());
        }
        Err(BackendError::NotPresent {
            kind: self,
            index,
            found,
        })
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

/// Work that runs on whatever backend is chosen at run time.
pub trait BackendJob {
    /// What it gives.
    type Output;

    /// Does the work on a device.
    fn run<B: AutodiffBackend>(self, device: B::Device) -> Self::Output;
}

/// Runs a job on the device number `index` of a kind; the processor has only number 0.
///
/// # Errors
/// [`BackendError`] if the kind is not compiled in or has no such device.
pub fn run_on<J: BackendJob>(
    kind: BackendKind,
    index: usize,
    job: J,
) -> Result<J::Output, BackendError> {
    kind.check_device(index)?;
    match kind {
        #[cfg(feature = "cpu")]
        BackendKind::Cpu => {
            Ok(job.run::<burn::backend::Autodiff<burn_flex::Flex>>(Default::default()))
        }
        #[cfg(feature = "wgpu")]
        BackendKind::Wgpu => {
            Ok(job.run::<burn::backend::Autodiff<burn_wgpu::Wgpu>>(wgpu_device(index)))
        }
        #[cfg(feature = "cuda")]
        BackendKind::Cuda => {
            let device = burn_cuda::CudaDevice::new(index);
            Ok(job.run::<burn::backend::Autodiff<burn_cuda::Cuda>>(device))
        }
        #[cfg(not(all(feature = "cpu", feature = "wgpu", feature = "cuda")))]
        kind => {
            drop(job);
            Err(BackendError::NotCompiled { kind })
        }
    }
}

/// Adapters of the graphics API that burn-wgpu itself asks for: with none, it would panic.
#[cfg(feature = "wgpu")]
fn wgpu_adapters() -> Vec<wgpu::AdapterInfo> {
    let backends = match cfg!(target_os = "macos") {
        true => wgpu::Backends::METAL,
        false => wgpu::Backends::VULKAN,
    };
    let descriptor = wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(backends));
    adapters.iter().map(wgpu::Adapter::get_info).collect()
}

#[cfg(feature = "wgpu")]
fn wgpu_devices() -> Vec<String> {
    wgpu_adapters()
        .into_iter()
        .map(|info| format!("{} ({:?})", info.name, info.device_type))
        .collect()
}

/// Burn counts devices within their type, a user counts them all.
#[cfg(feature = "wgpu")]
fn wgpu_device(index: usize) -> burn_wgpu::WgpuDevice {
    use burn_wgpu::WgpuDevice;
    let types: Vec<_> = wgpu_adapters()
        .into_iter()
        .map(|info| info.device_type)
        .collect();
    let within = types[..index]
        .iter()
        .filter(|kind| **kind == types[index])
        .count();
    match types[index] {
        wgpu::DeviceType::DiscreteGpu => WgpuDevice::DiscreteGpu(within),
        wgpu::DeviceType::IntegratedGpu => WgpuDevice::IntegratedGpu(within),
        wgpu::DeviceType::VirtualGpu => WgpuDevice::VirtualGpu(within),
        wgpu::DeviceType::Cpu => WgpuDevice::Cpu,
        wgpu::DeviceType::Other => WgpuDevice::DefaultDevice,
    }
}

/// cudarc panics where the driver's library is missing, and offers no safe question beforehand.
#[cfg(feature = "cuda")]
fn cuda_devices() -> Vec<String> {
    use cudarc::driver::CudaContext;
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let names = std::panic::catch_unwind(|| {
        let count = usize::try_from(CudaContext::device_count().unwrap_or(0)).unwrap_or(0);
        (0..count)
            .map(|index| format!("CUDA device {index}"))
            .collect()
    });
    std::panic::set_hook(hook);
    names.unwrap_or_default()
}

/// A backend cannot be used.
#[derive(Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendError {
    /// There is no backend of that name.
    #[error("there is no backend {name:?}; there are cpu, wgpu and cuda")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The backend is not compiled in.
    #[error("this program was built without the {kind} backend; build it with --features {kind}")]
    NotCompiled {
        /// The backend.
        kind: BackendKind,
    },
    /// There is no such device.
    #[error("{kind} device {index} was asked for, but this machine has {found} of them")]
    NotPresent {
        /// The backend.
        kind: BackendKind,
        /// Number of the device, from 0.
        index: usize,
        /// Number of devices that are present.
        found: usize,
    },
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
            let error = kind.check_device(0).unwrap_err();
            assert_eq!(error, BackendError::NotCompiled { kind });
            assert!(
                error.to_string().contains(&format!("--features {kind}")),
                "{error}"
            );
        }
    }

    #[cfg(feature = "cpu")]
    #[test]
    fn the_processor_is_one_device() {
        assert_eq!(BackendKind::Cpu.check_device(0), Ok(()));
        let absent = BackendError::NotPresent {
            kind: BackendKind::Cpu,
            index: 1,
            found: 1,
        };
        assert_eq!(BackendKind::Cpu.check_device(1), Err(absent));
    }
}
