//! How much one caller may ask: a bucket of requests that fills again at a steady rate. Whoever empties it gets 429 and
//! the time to wait.
//!
//! Callers who signed in have a bucket each, by their name. Whoever has yet to sign in, or shows a key that opens
//! nothing, has one by address, a small one. Commands on this machine and Meta's webhooks have none. Each process
//! counts for itself: the limits are there against loops and guessing, not to the request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How many requests at once, and how many a second after that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    burst: f64,
    a_second: f64,
}

/// Ten times what an open page of the console asks.
pub(super) const CALLER: Bucket = Bucket { burst: 400.0, a_second: 100.0 };
/// Enough for an office that signs in at nine.
pub(super) const STRANGER: Bucket = Bucket { burst: 40.0, a_second: 1.0 };

/// So many callers are remembered; then those whose buckets are full again are forgotten.
const MANY: usize = 10_000;

#[derive(Clone, Copy, Debug)]
struct Level {
    left: f64,
    at: Duration,
}

/// The buckets of everybody who asked lately.
#[derive(Debug, Default)]
pub(super) struct Limits {
    levels: Mutex<HashMap<String, Level>>,
}

impl Limits {
    /// Takes one request out of somebody's bucket, `now` on a clock that only goes forward. Gives the time to wait
    /// where it is empty.
    pub(super) fn take(&self, who: &str, bucket: Bucket, now: Duration) -> Option<Duration> {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= MANY {
            levels.retain(|_, level| level.filled(bucket, now) < bucket.burst);
            if levels.len() >= MANY {
                // More strangers than can be told apart: they share a bucket until it calms down.
                levels.clear();
            }
        }
        let level = levels.entry(who.to_owned()).or_insert(Level { left: bucket.burst, at: now });
        let left = level.filled(bucket, now);
        if left < 1.0 {
            return Some(Duration::from_secs_f64((1.0 - left) / bucket.a_second));
        }
        *level = Level { left: left - 1.0, at: now };
        None
    }
}

impl Level {
    fn filled(self, bucket: Bucket, now: Duration) -> f64 {
        (self.left + now.saturating_sub(self.at).as_secs_f64() * bucket.a_second).min(bucket.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Bucket = Bucket { burst: 3.0, a_second: 2.0 };

    #[test]
    fn a_bucket_gives_its_burst_at_once_and_then_its_rate_and_says_how_long_to_wait() {
        let limits = Limits::default();
        let take = |who: &str, ms| limits.take(who, SMALL, Duration::from_millis(ms));
        assert_eq!([take("a", 0), take("a", 0), take("a", 0)], [None; 3]);
        assert_eq!(take("a", 0), Some(Duration::from_millis(500)));
        assert_eq!(take("b", 0), None, "each has their own");
        assert_eq!(take("a", 250), Some(Duration::from_millis(250)), "asking does not make the wait longer");
        assert_eq!(take("a", 500), None);
        assert_eq!([take("a", 60_000), take("a", 60_000), take("a", 60_000)], [None; 3]);
        assert!(take("a", 60_000).is_some(), "it holds no more than its burst");
    }

    #[test]
    fn the_memory_of_callers_is_bounded() {
        let limits = Limits::default();
        for n in 0..MANY * 2 {
            limits.take(&n.to_string(), SMALL, Duration::from_secs(n as u64));
        }
        assert!(limits.levels.lock().unwrap().len() <= MANY);
    }
}
