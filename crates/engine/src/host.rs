//! Which machine this is, and which start of it: who left a journal here, and whether it may be trusted.

use store::Owner;

fn read_line(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// This process start as an owner of leases.
///
/// A machine that does not tell its boot id gets a fresh one at each call: then no journal is trusted, and what was on
/// the wire is in doubt.
#[must_use]
pub fn owner(instance: &str) -> Owner {
    let name = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let machine = read_line("/etc/machine-id").unwrap_or_default();
    let boot = read_line("/proc/sys/kernel/random/boot_id").unwrap_or_else(|| hex::encode(rand::random::<[u8; 16]>()));
    Owner { instance: instance.to_owned(), host: format!("{name}/{machine}"), boot }
}

/// A name for this process start, unique among all.
#[must_use]
pub fn new_instance() -> String {
    hex::encode(rand::random::<[u8; 8]>())
}
