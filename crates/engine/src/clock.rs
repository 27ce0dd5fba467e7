//! The time, from one place: the machine's, or a hand's in a test.
//!
//! Two clocks that never mix. *Wall* time (epoch milliseconds, UTC) goes into rows and is compared with what people
//! and Meta say. *Boot* time (microseconds since an arbitrary start, never set back, also counting while the machine
//! sleeps) measures how long something took: pacing, claims, leases.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

/// Counts on while the machine sleeps, so that a claim made before a laptop's nap is old after it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const BOOT_CLOCK: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const BOOT_CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;

/// The system's time, or one that a test moves by hand. Cheap to clone; clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    /// The system's, whose wall time is off by so many milliseconds.
    Stepped(Arc<AtomicI64>),
    /// Wall time at the start (epoch ms), and the microseconds that have passed since.
    Manual(i64, Arc<watch::Sender<u64>>),
}

impl Clock {
    /// The machine's own clocks.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The machine's own clocks, with a wall time that [`Self::step_wall`] sets: as a machine's is set by hand or by NTP.
    #[must_use]
    pub fn steppable() -> Self {
        Self(Source::Stepped(Arc::default()))
    }

    /// A clock that stands at this wall time (epoch ms) and moves only by [`Self::advance`]. Boot time starts at 0.
    #[must_use]
    pub fn manual(now_ms: i64) -> Self {
        Self(Source::Manual(now_ms, Arc::new(watch::Sender::new(0))))
    }

    /// Wall time: epoch milliseconds, UTC. May jump when the machine's clock is set.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Source::System => wall_ms(),
            Source::Stepped(step) => wall_ms().saturating_add(step.load(Ordering::Relaxed)),
            Source::Manual(start, passed) => start.saturating_add_unsigned(*passed.borrow() / 1000),
        }
    }

    /// Boot time: microseconds since an arbitrary start. Never goes back; counts on while the machine sleeps.
    #[must_use]
    pub fn boot_us(&self) -> u64 {
        match &self.0 {
            Source::System | Source::Stepped(_) => {
                let now = clock_gettime(BOOT_CLOCK).expect("the kernel has had this clock since 2.6.39");
                u64::try_from(now.tv_sec()).unwrap_or(0) * 1_000_000 + u64::try_from(now.tv_nsec()).unwrap_or(0) / 1000
            }
            Source::Manual(_, passed) => *passed.borrow(),
        }
    }

    /// Waits this long. On a manual clock: until somebody has advanced it that far.
    #[crate::boxed]
    pub async fn sleep(&self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.sleep_until(self.boot_us().saturating_add(micros)).await;
    }

    /// Waits until boot time has reached `boot_us`. May wake up to a millisecond late (tokio's timer), never early.
    #[crate::boxed]
    pub async fn sleep_until(&self, boot_us: u64) {
        match &self.0 {
            Source::System | Source::Stepped(_) => loop {
                let now = self.boot_us();
                if now >= boot_us {
                    return;
                }
                // Tokio's timer stands still while the machine sleeps, hence the look at the clock after it.
                tokio::time::sleep(Duration::from_micros(boot_us - now)).await;
            },
            Source::Manual(_, passed) => {
                // The sender lives in `self`, so waiting cannot fail.
                let _ = passed.subscribe().wait_for(|passed| *passed >= boot_us).await;
            }
        }
    }

    /// Moves a manual clock forward and wakes whoever slept until then. Does nothing to the system's clock.
    pub fn advance(&self, time: Duration) {
        if let Source::Manual(_, passed) = &self.0 {
            let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
            passed.send_modify(|passed| *passed = passed.saturating_add(micros));
        }
    }

    /// Sets the wall time of a steppable clock forward, or back; boot time goes on. Does nothing to the other clocks.
    pub fn step_wall(&self, by_ms: i64) {
        if let Source::Stepped(step) = &self.0 {
            step.fetch_add(by_ms, Ordering::Relaxed);
        }
    }

    /// Whether a hand moves it.
    #[must_use]
    pub fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(..))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
fn wall_ms() -> i64 {
    // A machine whose clock stands before 1970 gets 0: every time check then refuses, none overflows.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_exactly_when_it_is_moved_that_far() {
        let clock = Clock::manual(1_700_000_000_000);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(2_000_000).await }
        });
        clock.advance(Duration::from_micros(1_999_999));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_micros(1));
        sleeper.await.unwrap();
        assert_eq!((clock.now_ms(), clock.boot_us()), (1_700_000_002_000, 2_000_000));
    }

    #[test]
    fn a_stepped_wall_leaves_boot_time_alone() {
        let clock = Clock::steppable();
        let (wall, boot) = (clock.now_ms(), clock.boot_us());
        clock.clone().step_wall(-7_200_000);
        assert!((wall - 7_200_000..wall - 7_140_000).contains(&clock.now_ms()));
        assert!((boot..boot + 60_000_000).contains(&clock.boot_us()));
    }

    #[tokio::test]
    async fn the_system_clock_never_wakes_early_and_advancing_it_does_nothing() {
        let clock = Clock::system();
        let before = clock.boot_us();
        clock.advance(Duration::from_secs(3600));
        clock.sleep(Duration::from_millis(5)).await;
        let slept = clock.boot_us() - before;
        assert!((5_000..1_000_000).contains(&slept), "slept {slept} µs");
        assert!(clock.now_ms() > 1_600_000_000_000);
    }
}
