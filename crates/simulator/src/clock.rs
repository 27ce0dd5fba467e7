//! The simulator's clock: microseconds since 1970 UTC that never go back.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads the wall clock once and goes on from there by the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Instant,
    began_us: i64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one look at the wall clock: statuses carry real times")]
    pub(crate) fn start() -> Clock {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Clock { began: Instant::now(), began_us: i64::try_from(since_epoch.as_micros()).unwrap_or(0) }
    }

    /// Microseconds since 1970 UTC.
    pub(crate) fn now_us(&self) -> i64 {
        self.began_us + i64::try_from(self.began.elapsed().as_micros()).unwrap_or(0)
    }
}

/// A span of the clock as a duration; zero when it is negative.
pub(crate) fn duration(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}
