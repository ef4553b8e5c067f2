//! Which devices are there, asked without starting anything on them.

use std::fmt;
#[cfg(feature = "wgpu")]
use std::sync::OnceLock;

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

/// Burn counts devices within their type, a user counts them all.
#[cfg(feature = "wgpu")]
pub(super) fn wgpu_device(index: usize) -> burn_wgpu::WgpuDevice {
    use burn_wgpu::WgpuDevice;
    let adapters = wgpu_adapters();
    let kind = adapters[index].device_type;
    let before = adapters[..index].iter();
    let within = before.filter(|info| info.device_type == kind).count();
    match kind {
        wgpu::DeviceType::DiscreteGpu => WgpuDevice::DiscreteGpu(within),
        wgpu::DeviceType::IntegratedGpu => WgpuDevice::IntegratedGpu(within),
        wgpu::DeviceType::VirtualGpu => WgpuDevice::VirtualGpu(within),
        wgpu::DeviceType::Cpu => WgpuDevice::Cpu,
        wgpu::DeviceType::Other => WgpuDevice::DefaultDevice,
    }
}

/// cudarc panics where the driver's library is missing, and offers no safe question beforehand.
#[cfg(feature = "cuda")]
pub(super) fn cuda() -> Vec<DeviceInfo> {
    use cudarc::driver::{CudaContext, result::device};
    let names = super::trial::quietly(|| {
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
