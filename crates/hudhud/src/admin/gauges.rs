//! Gauges that are looked up when somebody asks for the metrics: how things stand is in the database, not in memory.

use std::time::Duration;

use engine::App;
use metrics::gauge;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Whoever asks more often gets the same numbers: a dashboard must not cost a campaign its pace.
const EVERY: Duration = Duration::from_secs(2);
/// The metrics of a process whose database is away are shown as they were.
const PATIENCE: Duration = Duration::from_secs(2);

/// When the gauges were last looked up.
#[derive(Debug, Default)]
pub(super) struct Gauges(Mutex<Option<Instant>>);

impl Gauges {
    pub(super) async fn refresh(&self, app: &App) {
        let mut last = self.0.lock().await;
        if last.is_some_and(|last| last.elapsed() < EVERY) {
            return;
        }
        *last = Some(Instant::now());
        match tokio::time::timeout(PATIENCE, look(app)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the gauges stay as they were"),
            Err(_) => tracing::debug!("the gauges stay as they were: the database does not answer in time"),
        }
    }
}

async fn look(app: &App) -> engine::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; no count of ours comes near 2^52")]
    let count = |n: i64| n as f64;
    for lane in engine::queue_view::view(app).await? {
        let number = &lane.phone_number_id;
        for (state, n) in [("ready", lane.ready), ("delayed", lane.delayed), ("inflight", lane.in_flight)] {
            gauge!("hudhud_queue_depth", "number" => number.clone(), "state" => state).set(count(n));
        }
        gauge!("hudhud_queue_oldest_age_seconds", "number" => number.clone()).set(lane.oldest_seconds);
        gauge!("hudhud_pace_limit_per_second", "number" => number.clone()).set(lane.rate.map_or(0.0, f64::from));
    }
    gauge!("hudhud_in_doubt").set(count(engine::indoubt::count(app).await?));
    Ok(())
}
