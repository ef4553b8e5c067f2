//! Which devices are there, asked without starting anything on them.

use std::fmt;
#[cfg(feature = "wgpu")]
use std::sync::OnceLock;

#[cfg(feature = "wgpu")]
use super::{BackendError, BackendKind};

/// A device, as its driver describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name.
    pub name: String,
    /// Whether it is a graphics processor: neither the processor itself nor a driver that only
    /// imitates a GPU on it, which is slower than the CPU backend.
    pub is_gpu: bool,
}

impl fmt::Display for DeviceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(feature = "cpu")]
pub(super) fn processor() -> DeviceInfo {
    DeviceInfo {
        name: format!("processor with {} threads", rayon::current_num_threads()),
        is_gpu: false,
    }
}

#[cfg(feature = "wgpu")]
pub(super) fn adapters() -> Vec<DeviceInfo> {
    let device = |info: &wgpu::AdapterInfo| DeviceInfo {
        is_gpu: info.device_type != wgpu::DeviceType::Cpu,
        name: info.name.clone(),
    };
    wgpu_adapters().iter().map(device).collect()
}

/// Adapters of the graphics API that burn-wgpu itself asks for: with none, it would panic. They are
/// asked for once, so that a number means the same one as long as the process lives.
#[cfg(feature = "wgpu")]
fn wgpu_adapters() -> &'static [wgpu::AdapterInfo] {
    static ADAPTERS: OnceLock<Vec<wgpu::AdapterInfo>> = OnceLock::new();
    ADAPTERS.get_or_init(|| {
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
    })
}

/// The device of that number, as Burn names it.
#[cfg(feature = "wgpu")]
pub(super) fn wgpu_device(index: usize) -> Result<burn_wgpu::WgpuDevice, BackendError> {
    let adapters = wgpu_adapters();
    let types: Vec<_> = adapters.iter().map(|info| info.device_type).collect();
    wgpu_name(&types, index).map_err(|reason| BackendError::Nameless {
        kind: BackendKind::Wgpu,
        index,
        name: adapters[index].name.clone(),
        reason,
    })
}

/// Burn counts devices within their type, a user counts them all. It has no names for some, and would
/// take another device for them.
#[cfg(feature = "wgpu")]
fn wgpu_name(
    types: &[wgpu::DeviceType],
    index: usize,
) -> Result<burn_wgpu::WgpuDevice, &'static str> {
    use burn_wgpu::WgpuDevice;
    let before = types[..index].iter();
    let within = before.filter(|other| **other == types[index]).count();
    match types[index] {
        wgpu::DeviceType::DiscreteGpu => Ok(WgpuDevice::DiscreteGpu(within)),
        wgpu::DeviceType::IntegratedGpu => Ok(WgpuDevice::IntegratedGpu(within)),
        wgpu::DeviceType::VirtualGpu => Ok(WgpuDevice::VirtualGpu(within)),
        wgpu::DeviceType::Cpu if within == 0 => Ok(WgpuDevice::Cpu),
        wgpu::DeviceType::Cpu => Err("of drivers that compute on the processor it takes the first"),
        wgpu::DeviceType::Other => Err("its driver does not say what it is"),
    }
}

/// cudarc panics where the driver's library is missing, and offers no safe question beforehand.
#[cfg(feature = "cuda")]
pub(super) fn cuda() -> Vec<DeviceInfo> {
    use cudarc::driver::{CudaContext, result::device};
    let (names, _) = super::trial::quietly(|| {
        let count = CudaContext::device_count().unwrap_or(0);
        let name = |ordinal| device::get_name(device::get(ordinal)?);
        (0..count)
            .map(|ordinal| DeviceInfo {
                name: name(ordinal).unwrap_or_else(|_| format!("CUDA device {ordinal}")),
                is_gpu: true,
            })
            .collect()
    });
    names.unwrap_or_default()
}

#[cfg(all(test, feature = "wgpu"))]
mod tests {
    use burn_wgpu::WgpuDevice;
    use wgpu::DeviceType;

    use super::*;

    #[test]
    fn what_burn_would_take_another_device_for_has_no_name() {
        let types = [
            DeviceType::DiscreteGpu,
            DeviceType::Cpu,
            DeviceType::DiscreteGpu,
            DeviceType::Cpu,
            DeviceType::Other,
        ];
        assert_eq!(wgpu_name(&types, 1), Ok(WgpuDevice::Cpu));
        assert_eq!(wgpu_name(&types, 2), Ok(WgpuDevice::DiscreteGpu(1)));
        for index in [3, 4] {
            assert!(wgpu_name(&types, index).is_err(), "number {index}");
        }
    }
}
