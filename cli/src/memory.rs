//! How much memory the process took at most, where the system tells (Linux).

use std::fs;

/// Watches how much memory the process takes at most from now on.
#[derive(Debug)]
pub(crate) struct Peak {
    /// Whether the system forgot what was before.
    fresh: bool,
}

impl Peak {
    /// Has the system forget the peak until now.
    pub(crate) fn start() -> Self {
        Self {
            fresh: fs::write("/proc/self/clear_refs", "5").is_ok(),
        }
    }

    /// The most since then, in bytes; `None` where the system does not tell.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.fresh.then(peak_memory_bytes).flatten()
    }
}

/// Memory that the process took at most, in bytes, where the system tells.
pub(crate) fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}
