//! Posting signed bodies at a pace, and what came of each.

use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::now_us;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::sent::Letter;

/// Bodies on the wire at once: Meta's own number is not known; this one keeps the load bounded.
const ON_THE_WIRE: usize = 128;

/// A body's acknowledgement.
pub(crate) struct Acknowledged {
    /// Its place among the bodies.
    pub(crate) place: usize,
    /// From when it was due until its 200: a body that had to wait for the wire has waited for us.
    pub(crate) took: Duration,
    /// When its 200 came, microseconds since 1970 UTC.
    pub(crate) at_us: i64,
}

/// Posts bodies to an address, so many a second if it is said how many, and as fast as they are taken otherwise.
///
/// # Panics
/// When one is not acknowledged.
pub(crate) async fn post(
    url: &str,
    letters: impl Iterator<Item = Letter>,
    per_second: Option<f64>,
) -> Vec<Acknowledged> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .http1_only()
        .pool_max_idle_per_host(ON_THE_WIRE)
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client");
    let wire = Arc::new(Semaphore::new(ON_THE_WIRE));
    let began = Instant::now();
    let mut posts = JoinSet::new();
    let mut acknowledged = Vec::new();
    for (place, letter) in letters.enumerate() {
        let due = match per_second {
            Some(rate) => began + Duration::from_secs_f64(place as f64 / rate),
            None => Instant::now(),
        };
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let room = Arc::clone(&wire).acquire_owned().await.expect("never closed");
        let request = http
            .post(url)
            .header("content-type", "application/json")
            .header("x-hub-signature-256", letter.signature)
            .body(letter.body);
        posts.spawn(async move {
            let _room = room;
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), 200, "each is acknowledged");
            Acknowledged { place, took: due.elapsed(), at_us: now_us() }
        });
        while let Some(done) = posts.try_join_next() {
            acknowledged.push(done.expect("no post panics"));
        }
    }
    acknowledged.extend(posts.join_all().await);
    acknowledged
}
