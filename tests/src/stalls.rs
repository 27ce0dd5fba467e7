//! How long a process waited for a processor that others had.
//!
//! On a busy machine a process that wakes late finds several messages at once, whenever they left: then they seem to
//! have come too close together, and no pace of the sender's could have helped it. The kernel counts such waiting.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How often the kernel is asked.
const LOOK: Duration = Duration::from_millis(10);
/// A stall is the waiting within so many looks.
const LOOKS: usize = 25;
/// How late anybody wakes on a machine that is free.
const USUAL: Duration = Duration::from_millis(2);

/// Watches one process, whose work is done by its main thread.
#[derive(Debug)]
pub(crate) struct Stalls {
    worst_us: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
}

impl Stalls {
    /// Watches the process of this id until dropped.
    pub(crate) fn of(pid: nix::unistd::Pid) -> Self {
        let (worst_us, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let stalls = Self { worst_us: Arc::clone(&worst_us), ends: Arc::clone(&ends) };
        let file = PathBuf::from(format!("/proc/{pid}/schedstat"));
        thread::spawn(move || {
            let mut seen = VecDeque::with_capacity(LOOKS + 1);
            // Time on a processor, time waiting for one, and how often: nanoseconds. Without it nothing is forgiven.
            while let Some(waited) = waited_ns(&file).filter(|_| !ends.load(Ordering::Relaxed)) {
                seen.push_back(waited);
                if seen.len() > LOOKS {
                    seen.pop_front();
                }
                let stall = waited - seen.front().copied().unwrap_or(waited);
                worst_us.fetch_max(stall / 1000, Ordering::Relaxed);
                thread::sleep(LOOK);
            }
        });
        stalls
    }

    /// The longest that it waited within a quarter of a second.
    pub(crate) fn worst(&self) -> Duration {
        Duration::from_micros(self.worst_us.load(Ordering::Relaxed))
    }
}

impl Drop for Stalls {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

/// How long nothing at all ran on this machine, or not soon: what its own kernel counts nowhere where its host has other
/// guests.
///
/// A thread that sleeps for a hundredth of a second, again and again, and adds up how much longer it took.
#[derive(Debug)]
pub struct Pauses {
    lost_us: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
}

impl Pauses {
    /// Watches from now on, until dropped.
    #[must_use]
    pub fn from_now() -> Self {
        let (lost_us, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let pauses = Self { lost_us: Arc::clone(&lost_us), ends: Arc::clone(&ends) };
        thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                let before = Instant::now();
                thread::sleep(LOOK);
                let lost = before.elapsed().saturating_sub(LOOK + USUAL);
                lost_us.fetch_add(u64::try_from(lost.as_micros()).unwrap_or(0), Ordering::Relaxed);
            }
        });
        pauses
    }

    /// All of it so far.
    #[must_use]
    pub fn lost(&self) -> Duration {
        Duration::from_micros(self.lost_us.load(Ordering::Relaxed))
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

/// How much of a time somebody on this machine waited for a processor, as the kernel tells it since Linux 4.20.
#[derive(Debug)]
pub(crate) struct Pressure {
    since: Instant,
    stalled_us: Option<u64>,
}

impl Pressure {
    /// From now on.
    pub(crate) fn from_now() -> Self {
        Self { since: Instant::now(), stalled_us: stalled_us() }
    }

    /// A share of the time since; nothing where the kernel does not tell.
    pub(crate) fn share(&self) -> f64 {
        let Some((now, before)) = stalled_us().zip(self.stalled_us) else { return 0.0 };
        now.saturating_sub(before) as f64 / 1e6 / self.since.elapsed().as_secs_f64().max(0.001)
    }
}

fn stalled_us() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/pressure/cpu").ok()?;
    text.lines().find(|line| line.starts_with("some"))?.rsplit('=').next()?.trim().parse().ok()
}

fn waited_ns(file: &std::path::Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}
