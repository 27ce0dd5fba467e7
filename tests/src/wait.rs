//! Waiting, always with a bound.

use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::slot::slot;

/// Looks again and again until there is something to see.
///
/// # Panics
/// When there is nothing within `bound`: with `what` it waited for.
pub async fn until<T>(what: &str, bound: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "it did not come to this within {bound:?}: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Tells a story that may not take longer than `limit` once it is its turn.
///
/// # Panics
/// When it does.
pub async fn story(limit: Duration, told: impl Future<Output = ()>) {
    let _slot = slot().await;
    // Boxed: a story's future is large, and the test's thread has a small stack.
    let told = Box::pin(told);
    assert!(tokio::time::timeout(limit, told).await.is_ok(), "the story was not over within {limit:?}");
}

/// Wall time, microseconds since 1970 UTC: what the simulator's ledger counts in.
#[must_use]
pub fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
