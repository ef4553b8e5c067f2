//! How much memory there is, for advice before pictures are kept in it.

use std::fs;

/// Bytes of memory that can be taken without swapping, where the system tells: on Linux, within
/// the limit of the control group.
///
/// # Examples
///
/// ```
/// if let Some(bytes) = timesclip::cache::available_memory() {
///     assert!(bytes > 0);
/// }
/// ```
pub fn available_memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| available_in(&text));
    let group = group_room();
    machine.into_iter().chain(group).min()
}

/// `MemAvailable` of `/proc/meminfo`, in bytes.
fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// What is left to the control group (version 2) as a container sees it.
fn group_room() -> Option<u64> {
    let number = |name| -> Option<u64> {
        fs::read_to_string(format!("/sys/fs/cgroup/{name}"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_available_memory_is_read() {
        let text = "MemTotal:       16000 kB\nMemAvailable:    1234 kB\nBuffers: 1 kB\n";

        assert_eq!(available_in(text), Some(1234 * 1024));
        assert_eq!(available_in("MemTotal: 16000 kB\n"), None);
    }
}
