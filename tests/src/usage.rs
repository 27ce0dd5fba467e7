//! What processes use of the machine, from `/proc`: processor time and memory of a process with all that came from it.

use std::collections::BTreeMap;

/// The clock ticks of a second in `/proc`, on every Linux that we know.
const TICKS: f64 = 100.0;

/// What a process and its descendants used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Processor time so far, seconds, of descendants that ended included.
    pub cpu_seconds: f64,
    /// Memory just now, MiB: what each has for itself, and what they share counted once.
    pub megabytes: f64,
}

/// What the process with this id and its descendants use.
#[must_use]
pub fn usage_of_tree(root: i32) -> Usage {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some((pid, parent)) = pid.and_then(|pid| Some((pid, stat(pid)?.parent))) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut usage = Usage::default();
    let mut shared: f64 = 0.0;
    let mut waiting = vec![root];
    while let Some(pid) = waiting.pop() {
        waiting.extend(children.get(&pid).into_iter().flatten());
        usage.cpu_seconds += stat(pid).map_or(0.0, |stat| stat.cpu_seconds);
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        usage.megabytes += kilobytes(&status, "RssAnon:") / 1024.0;
        shared = shared.max(kilobytes(&status, "RssShmem:") / 1024.0);
    }
    usage.megabytes += shared;
    usage
}

struct Stat {
    parent: i32,
    cpu_seconds: f64,
}

/// The fields are counted from the end of the name, which may hold anything.
fn stat(pid: i32) -> Option<Stat> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    // Its own, in its name and the kernel's, and that of children which ended.
    let ticks = fields.get(11..15)?.iter().filter_map(|field| field.parse::<f64>().ok()).sum::<f64>();
    Some(Stat { parent: fields.get(1)?.parse().ok()?, cpu_seconds: ticks / TICKS })
}

fn kilobytes(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0.0)
}
