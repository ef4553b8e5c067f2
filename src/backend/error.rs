//! Why a backend cannot be used, in words that say what to do about it.

use thiserror::Error;

use super::BackendKind;

/// A backend cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendError {
    /// There is no backend of that name.
    #[error(
        "there is no backend {name:?}; there are cpu, wgpu and cuda, and auto for the fastest that \
         is compiled in and present"
    )]
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
    #[error(
        "{kind} device {index} was asked for, but this machine has {found} of them{}",
        if *found == 0 { driver(*kind) } else { "" }
    )]
    NotPresent {
        /// The backend.
        kind: BackendKind,
        /// Number of the device, from 0.
        index: usize,
        /// Number of devices that are present.
        found: usize,
    },
    /// A GPU of that number was asked for, of whatever kind.
    #[error(
        "GPU {index} of any kind was asked for, but this machine has {}",
        listed(found)
    )]
    NoGpu {
        /// Number of the device within its kind, from 0.
        index: usize,
        /// Kind, number and name of the GPUs that are present.
        found: Vec<String>,
    },
    /// There are not so many devices.
    #[error("{n} {kind} devices from number {index} on were asked for, but {}", limit(*kind, *found))]
    TooMany {
        /// The backend.
        kind: BackendKind,
        /// Number of the first, from 0.
        index: usize,
        /// As many were asked for.
        n: usize,
        /// Number of devices that are present; of the processor, as many as it can pretend to be.
        found: usize,
    },
    /// The device is there, but the backend cannot be told to take it.
    #[error(
        "{kind} device {index}, {name}, is present but Burn cannot be told to take it: {reason}"
    )]
    Nameless {
        /// The backend.
        kind: BackendKind,
        /// Number of the device, from 0.
        index: usize,
        /// What its driver calls it.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// The device is there, but does not compute.
    #[error("{kind} device {index} is present but does not compute{}: {said}", tools(*kind))]
    Unusable {
        /// The backend.
        kind: BackendKind,
        /// Number of the device, from 0.
        index: usize,
        /// What the backend said when it was tried, in one line.
        said: String,
    },
}

/// What makes devices of a kind appear.
fn driver(kind: BackendKind) -> &'static str {
    match kind {
        BackendKind::Cpu => "",
        BackendKind::Wgpu if cfg!(target_os = "macos") => "; it takes Metal",
        BackendKind::Wgpu => "; it takes a Vulkan loader and driver",
        BackendKind::Cuda => "; it takes NVIDIA's driver",
    }
}

/// The GPUs of a machine in words.
fn listed(found: &[String]) -> String {
    match found {
        [] => "no GPU of a kind that is compiled in".to_owned(),
        found => found.join(", "),
    }
}

/// How many devices of a kind there can be.
fn limit(kind: BackendKind, found: usize) -> String {
    match kind {
        BackendKind::Cpu => format!("the processor can pretend to be {found} at most"),
        BackendKind::Wgpu | BackendKind::Cuda => format!("this machine has {found} of them"),
    }
}

/// What a kind needs beside its driver.
fn tools(kind: BackendKind) -> &'static str {
    match kind {
        BackendKind::Cpu | BackendKind::Wgpu => "",
        BackendKind::Cuda => " (it takes NVRTC and the headers of the CUDA toolkit at CUDA_PATH)",
    }
}
